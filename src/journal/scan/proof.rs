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

use super::super::annotation::{self, ALIGNMENT, RangeChecksum};
use super::verdict::Proof;

/// Bytes read at once; a multiple of 16.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes of the piece before that are kept: a mark may begin there.
const KEPT_BYTES: usize = 64;
/// Marks from which a chain may begin: the last so many.
const CHAINS_MAX: usize = 6;

/// Whether all bytes to the end are zero.
pub(super) fn is_zeros(reader: &mut impl Read) -> io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match read_full(reader, &mut piece)? {
            0 => return Ok(true),
            count => {
                let read = piece.get(..count).unwrap_or_default();
                if read.iter().any(|byte| *byte != 0) {
                    return Ok(false);
                }
            }
        }
    }
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
        let index = |offset: u64| offset.saturating_sub(self.offset) as usize;
        self.bytes.get(index(from)..index(to)).unwrap_or_default()
    }
}

/// Reads on from `last_mark`, the end of the last mark that was right, and looks for the proof that bytes behind it were on disk.
/// `broken_at`: where the first byte is that does not fit.
pub(super) fn search(
    reader: &mut impl Read,
    salt: u32,
    last_mark: u64,
    broken_at: u64,
) -> io::Result<Option<Proof>> {
    // In front so many bytes that what is read lies at multiples of 16.
    let first = last_mark - last_mark % ALIGNMENT;
    let mut buffer = vec![0; KEPT_BYTES + PIECE_BYTES];
    let mut held = KEPT_BYTES + (last_mark - first) as usize;
    let mut offset = first.wrapping_sub(KEPT_BYTES as u64);
    let mut search = Search {
        salt,
        last_mark,
        // A mark of 16 to 31 bytes that began where the reader stumbled ends here.
        resumed: (broken_at + ALIGNMENT).next_multiple_of(ALIGNMENT),
        end_line: annotation::end_line(salt),
        chains: vec![Chain {
            range: RangeChecksum::new(salt),
            summed: last_mark,
        }],
        end_mark: None,
    };
    loop {
        let room = buffer.get_mut(held..).unwrap_or_default();
        let count = read_full(reader, room)?;
        let end = held + count;
        let whole = end - end % ALIGNMENT as usize;
        // The kept bytes before the first piece are not in the file: no offset is asked for there.
        let piece = Piece {
            offset,
            bytes: buffer.get(..end).unwrap_or_default(),
        };
        if let Some(proof) = search.piece(&piece, whole) {
            return Ok(Some(proof));
        }
        if end < buffer.len() {
            return Ok(None);
        }
        buffer.copy_within(end - KEPT_BYTES.., 0);
        offset = offset.wrapping_add((end - KEPT_BYTES) as u64);
        held = KEPT_BYTES;
    }
}

struct Search {
    salt: u32,
    last_mark: u64,
    resumed: u64,
    end_line: [u8; 16],
    chains: Vec<Chain>,
    /// End of an end mark that was the last thing seen.
    end_mark: Option<u64>,
}

impl Search {
    /// Looks at each multiple of 16 of a piece behind the kept bytes, up to index `whole`.
    fn piece(&mut self, piece: &Piece<'_>, whole: usize) -> Option<Proof> {
        None.or_else(|| {
            let mut index = KEPT_BYTES;
            while index + ALIGNMENT as usize <= whole {
                index += ALIGNMENT as usize;
                let end = piece.offset.wrapping_add(index as u64);
                if end <= self.last_mark {
                    continue;
                }
                if let Some(proof) = self.place(piece, index, end) {
                    return Some(proof);
                }
            }
            let rest = piece.bytes.len() - whole;
            self.end_mark.filter(|_| rest > 0).map(Proof::Appended)
        })
        .or_else(|| {
            let to = piece.offset.wrapping_add(whole as u64);
            for chain in &mut self.chains {
                extend(chain, piece, to.saturating_sub(KEPT_BYTES as u64 / 2));
            }
            None
        })
    }

    /// Looks at what ends at `index` of the piece, which is `end` of the file.
    fn place(&mut self, piece: &Piece<'_>, index: usize, end: u64) -> Option<Proof> {
        if let Some(at) = self.end_mark {
            return Some(Proof::Appended(at));
        }
        let before = piece.bytes.get(..index).unwrap_or_default();
        if end == self.resumed {
            self.begin_chain(end);
        }
        if !before.ends_with(b"\r\n") {
            return None;
        }
        if before.ends_with(&self.end_line) {
            self.end_mark = Some(end);
            return None;
        }
        let commit = annotation::commit_at_end(before, end)?;
        let start = end - commit.len as u64;
        let mut proof = None;
        for (number, chain) in self.chains.iter_mut().enumerate() {
            if chain.summed > start {
                continue;
            }
            extend(chain, piece, start);
            if commit.seals(chain.range) {
                let synced = commit.synced(end);
                // The first chain begins at the last mark: the range that was refused is sealed after all.
                if number == 0 && start > self.last_mark {
                    proof = Some(Proof::Sealed);
                } else if synced > self.last_mark {
                    proof = Some(Proof::Synced {
                        commit: end,
                        synced,
                    });
                }
            }
        }
        self.begin_chain(end);
        proof
    }

    fn begin_chain(&mut self, at: u64) {
        if self.chains.iter().any(|chain| chain.summed == at) {
            return;
        }
        if self.chains.len() == CHAINS_MAX {
            // The first one stays: it begins at the last mark.
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
