//! Looks behind what does not fit for the proof that it once did.
//!
//! ```text
//! …#c│ ?? damaged range ?? #c│ range #c│ range #c│
//!    └ last mark          └──┬─────────┘
//!                            a chain: what is between two marks has the checksum of the second, so the second is one of
//!                            ours, and what it says about the synced position is true
//! ```
//! A mark can be found without knowing what is before it: it ends on a multiple of 16. Whether it is one, or the value of somebody who
//! knows how marks look, is decided by the checksum alone. The mark that closes the damaged range may be damaged itself: so a
//! chain also begins where that mark must have ended.

use std::io::{self, Read};

use super::super::annotation::{self, ALIGNMENT, Commit, FILL_LINE, RangeChecksum};
use super::verdict::Proof;

/// Bytes read at once; a multiple of 16.
const PIECE_BYTES: usize = 128 * 1024;
/// Bytes of the piece before that are kept: a mark may begin there.
const KEPT_BYTES: usize = 64;
/// Marks from which a chain may begin: the last so many.
const CHAINS_MAX: usize = 6;

/// Whether nothing but fill, end marks and zeros is between offset `at`, where the reader stands, and the end. The end mark may be that
/// of a part whose begin mark is not there.
pub(super) fn is_filler(reader: &mut impl Read, at: u64) -> io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES];
    // Up to a multiple of 16 only zeros can be right.
    let first = (at.next_multiple_of(ALIGNMENT) - at) as usize;
    let room = piece.get_mut(..first).unwrap_or_default();
    let count = read_full(reader, room)?;
    if room.iter().take(count).any(|byte| *byte != 0) {
        return Ok(false);
    }
    loop {
        let count = read_full(reader, &mut piece)?;
        if count == 0 {
            return Ok(true);
        }
        let read = piece.get(..count).unwrap_or_default();
        let is_filler = |line: &[u8]| {
            let is_whole = line.len() == ALIGNMENT as usize;
            let is_end = line.starts_with(b"#e") && (!is_whole || line.ends_with(b"------\r\n"));
            is_end || is_fill_or_zeros(line)
        };
        if !read.chunks(ALIGNMENT as usize).all(is_filler) {
            return Ok(false);
        }
    }
}

/// Whether 16 bytes at a multiple of 16, fewer at the end of the file, are fill or zeros.
fn is_fill_or_zeros(line: &[u8]) -> bool {
    FILL_LINE.starts_with(line) || line.iter().all(|byte| *byte == 0)
}

/// Fills the buffer, or as much of it as there is.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(room) = buffer.get_mut(count..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// The bytes since a place that may be the end of a mark.
#[derive(Clone, Copy)]
struct Chain {
    range: RangeChecksum,
    /// Up to where it is summed.
    summed: u64,
}

/// Part of the file: its offset and its bytes.
struct Piece<'a> {
    offset: u64,
    bytes: &'a [u8],
}

impl Piece<'_> {
    fn between(&self, from: u64, to: u64) -> &[u8] {
        let index = |offset: u64| offset.wrapping_sub(self.offset) as usize;
        self.bytes.get(index(from)..index(to)).unwrap_or_default()
    }
}

/// What [`search`] found.
pub(super) struct Findings {
    pub(super) proof: Option<Proof>,
    /// Whether an end mark is there, or fill is the last that is there, where the power failed while it was lengthened: the old end
    /// mark was written over already, the new one had not come to the disk. A Redis appends commands, and no fill.
    pub(super) ends_as_ours: bool,
}

/// Reads on from `last_mark`, the end of the last mark that was right and a multiple of 16, and looks for the proof that bytes
/// behind it were on disk. `broken_at`: where the first byte is that does not fit.
pub(super) fn search(
    reader: &mut impl Read,
    salt: u32,
    last_mark: u64,
    broken_at: u64,
) -> io::Result<Findings> {
    let mut buffer = vec![0; KEPT_BYTES + PIECE_BYTES];
    // The kept bytes before the first piece may be before the beginning of the file: no offset is asked for there.
    let mut offset = last_mark.wrapping_sub(KEPT_BYTES as u64);
    let mut search = Search {
        salt,
        last_mark,
        // A mark of 16 to 31 bytes that began where the pass stumbled ends here.
        resumed: (broken_at + ALIGNMENT).next_multiple_of(ALIGNMENT),
        end_line: annotation::end_line(salt),
        chains: vec![Chain {
            range: RangeChecksum::new(salt),
            summed: last_mark,
        }],
        end_mark: None,
        ends_with_fill: false,
    };
    loop {
        let room = buffer.get_mut(KEPT_BYTES..).unwrap_or_default();
        let end = KEPT_BYTES + read_full(reader, room)?;
        let piece = Piece {
            offset,
            bytes: buffer.get(..end).unwrap_or_default(),
        };
        let proof = search.piece(&piece);
        if proof.is_some() || end < buffer.len() {
            return Ok(Findings {
                proof,
                ends_as_ours: search.end_mark.is_some() || search.ends_with_fill,
            });
        }
        buffer.copy_within(end - KEPT_BYTES.., 0);
        offset = offset.wrapping_add(PIECE_BYTES as u64);
    }
}

struct Search {
    salt: u32,
    last_mark: u64,
    resumed: u64,
    end_line: [u8; 16],
    chains: Vec<Chain>,
    /// Where the end mark ends, once it was seen.
    end_mark: Option<u64>,
    /// Whether fill is the last that was seen, but for zeros.
    ends_with_fill: bool,
}

impl Search {
    /// Looks at each 16 bytes of a piece behind the kept bytes.
    fn piece(&mut self, piece: &Piece<'_>) -> Option<Proof> {
        let (_, new) = piece.bytes.split_at_checked(KEPT_BYTES)?;
        let mut index = KEPT_BYTES;
        for line in new.chunks(ALIGNMENT as usize) {
            index += line.len();
            let end = piece.offset.wrapping_add(index as u64);
            if let Some(proof) = self.line(piece, index, end, line) {
                return Some(proof);
            }
        }
        // What a mark of the next piece may begin with is left out.
        let end = piece.offset.wrapping_add(index as u64);
        let to = end.saturating_sub(KEPT_BYTES as u64 / 2);
        for chain in &mut self.chains {
            extend(chain, piece, to);
        }
        None
    }

    /// Looks at a line of 16 bytes, which ends at `index` of the piece and at `end` of the file; at its end it may be shorter.
    fn line(&mut self, piece: &Piece<'_>, index: usize, end: u64, line: &[u8]) -> Option<Proof> {
        if let Some(at) = self.end_mark {
            let is_filler = is_fill_or_zeros(line) || self.end_line.starts_with(line);
            return (!is_filler).then_some(Proof::Appended(at));
        }
        let is_behind_fill = self.ends_with_fill;
        if line.iter().any(|byte| *byte != 0) {
            self.ends_with_fill = FILL_LINE.starts_with(line) || self.end_line.starts_with(line);
        }
        if end == self.resumed {
            self.begin_chain(end);
        }
        if line == self.end_line {
            self.end_mark = Some(end);
            return (!is_behind_fill).then_some(Proof::Ended(end));
        }
        if line.len() < ALIGNMENT as usize || !line.ends_with(b"\r\n") {
            return None;
        }
        let before = piece.bytes.get(..index).unwrap_or_default();
        let commit = annotation::commit_at_end(before, end)?;
        let proof = self.commit(piece, &commit, end);
        self.begin_chain(end);
        proof
    }

    /// What a commit that ends at `end` proves, if it is one.
    fn commit(&mut self, piece: &Piece<'_>, commit: &Commit, end: u64) -> Option<Proof> {
        let start = end - commit.len as u64;
        let synced = commit.synced(end);
        let mut proof = None;
        for (number, chain) in self.chains.iter_mut().enumerate() {
            if chain.summed > start {
                continue;
            }
            extend(chain, piece, start);
            if !commit.seals(chain.range) {
                continue;
            }
            if number == 0 {
                // It begins at the last mark: the range that was refused has its checksum after all.
                proof = Some(Proof::Sealed);
            } else if synced > self.last_mark {
                proof = proof.or(Some(Proof::Synced {
                    commit: end,
                    synced,
                }));
            }
        }
        proof
    }

    fn begin_chain(&mut self, at: u64) {
        if self.chains.iter().any(|chain| chain.summed == at) {
            return;
        }
        if self.chains.len() == CHAINS_MAX {
            // The first one stays.
            self.chains.remove(1);
        }
        self.chains.push(Chain {
            range: RangeChecksum::new(self.salt),
            summed: at,
        });
    }
}

/// Sums a chain up to an offset, if it is not there yet.
fn extend(chain: &mut Chain, piece: &Piece<'_>, to: u64) {
    if to > chain.summed {
        chain.range.extend(piece.between(chain.summed, to));
        chain.summed = to;
    }
}
