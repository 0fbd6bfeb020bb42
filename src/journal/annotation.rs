//! The marks in a log's file: lines that Redis skips and recovery stands on.
//!
//! ```text
//! 0                16                                        n*16
//! │#bSSSSSSCCCCCC\r\n│*2\r\n…commands, own lines…#cCCCCCCDDDDDD---\r\n│##############\r\n … ##############\r\n#eEEEEEE------\r\n│*2\r\n…
//!  begin             range                       commit               fill                                end             Redis' own
//! ```
//! - **Begin** (`#b`): what follows is ours, and counts only with a commit behind it. S: the file's salt, C: the checksum of S.
//! - **Commit** (`#c`): ends every write. C: CRC32C, begun with the salt, of all bytes since the mark before and of D. D: bytes
//!   from the end of this line back to the position known to be synced when it was written (36 bits, saturating). So a later commit
//!   proves that an earlier range was on disk: damage in it is damage, not the end of what the last power cut let through.
//! - **Fill**: lines written ahead, so that syncing need not change the size; later commands overwrite them.
//! - **End** (`#e`): behind the fill. What follows it is not ours: a real Redis appended it, which opens the file at its end. E: a
//!   checksum of the salt.
//!
//! All marks end on a multiple of 16 bytes, begin and commit padded with `-`, so a commit is found without reading what is before
//! it. Numbers are six digits of base 64. The salt differs for each file, and nobody who sends commands knows it: no value
//! can pass for a commit.
//!
//! Contract with the writer: begin mark, fill and end mark are synced before anything is written over the fill; when the fill is
//! lengthened, its write begins with the old end mark and is synced before commands are written at or behind that. So after a power cut
//! an end mark is behind every command that we have ever written; when the power failed while the fill was lengthened, it may be fill and
//! zeros instead. Behind an end mark is only fill. A file that is finished is synced before the end mark is put right behind the last
//! commit, and everywhere else a line of fill is before it: so an end mark without one proves that what is before it was on disk.
//! At no moment, not even behind a power cut, does a file end right behind a commit: there is fill or an end mark. (A repair that a crash
//! came into may leave one that does.)

use crc_fast::{CrcAlgorithm, Digest};

/// What marks are padded to, bytes.
pub const ALIGNMENT: u64 = 16;
/// Longest begin or commit mark.
pub const MARK_BYTES_MAX: usize = 31;
/// A line of fill.
pub const FILL_LINE: &[u8; 16] = b"##############\r\n";

/// Six digits of base 64 reach so far.
const DISTANCE_MAX: u64 = (1 << 36) - 1;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What no digit decodes to.
const NO_DIGIT: u8 = 0xFF;
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// CRC32C of what had this checksum, followed by these bytes.
fn crc32c(before: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!before));
    digest.update(bytes);
    // It has 32 bits.
    digest.finalize() as u32
}

/// The checksum of what is between two marks, as it grows. The salt of the file is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeChecksum(u32);

impl RangeChecksum {
    /// Of nothing, in a file with this salt.
    #[must_use]
    pub fn new(salt: u32) -> Self {
        Self(salt)
    }

    /// Takes more bytes in.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0 = crc32c(self.0, bytes);
    }

    /// The checksum with the digits of the distance at its end.
    fn sealed(self, distance: &[u8]) -> u32 {
        crc32c(self.0, distance)
    }
}

/// A commit mark as it stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    checksum: u32,
    /// Bytes from the end of the mark back to the synced position.
    distance: u64,
    /// Bytes of the line.
    pub len: usize,
}

impl Commit {
    /// Whether it belongs to a range with this checksum.
    #[must_use]
    pub fn seals(&self, range: RangeChecksum) -> bool {
        self.checksum == range.sealed(&digits(self.distance))
    }

    /// The position known to be synced when the mark that ends at `end` was written.
    #[must_use]
    pub fn synced(&self, end: u64) -> u64 {
        end.saturating_sub(self.distance)
    }
}

/// Appends the commit mark of a range of commands that ends at offset `end` of the file; `synced`: the position up to which the
/// file is known to be on disk.
pub fn commit(range: RangeChecksum, end: u64, synced: u64, out: &mut Vec<u8>) {
    let mark_end = padded_end(end);
    let distance = mark_end.saturating_sub(synced).min(DISTANCE_MAX);
    let distance = digits(distance);
    let checksum = digits(u64::from(range.sealed(&distance)));
    line(b'c', checksum, distance, end, out);
}

/// Appends its commit to a range that begins at offset `start`, right behind a mark. `synced`: see [`commit`].
pub(super) fn seal(salt: u32, start: u64, synced: u64, range: &mut Vec<u8>) {
    let mut checksum = RangeChecksum::new(salt);
    checksum.extend(range);
    commit(checksum, start + range.len() as u64, synced, range);
}

/// Appends the begin mark at offset `start`.
pub fn begin(salt: u32, start: u64, out: &mut Vec<u8>) {
    let salt = digits(u64::from(salt));
    let checksum = digits(u64::from(crc32c(0, &salt)));
    line(b'b', salt, checksum, start, out);
}

/// The end mark of a file with this salt. It stands at a multiple of 16.
#[must_use]
pub fn end_line(salt: u32) -> [u8; 16] {
    let mut line = *b"#eEEEEEE------\r\n";
    let checksum = digits(u64::from(crc32c(salt, b"end")));
    line[2..8].copy_from_slice(&checksum);
    line
}

/// Appends fill from offset `start`, which is a multiple of 16, to `end`, with the end mark as its last line.
///
/// # Panics
/// Either is no multiple of 16, or there is no room for the end mark.
pub fn fill(salt: u32, start: u64, end: u64, out: &mut Vec<u8>) {
    assert!(
        start.is_multiple_of(ALIGNMENT) && end.is_multiple_of(ALIGNMENT) && end > start,
        "fill from {start} to {end}"
    );
    let lines = (end - start) / ALIGNMENT - 1;
    out.reserve((end - start) as usize);
    for _ in 0..lines {
        out.extend_from_slice(FILL_LINE);
    }
    out.extend_from_slice(&end_line(salt));
}

/// Where a mark that begins at `start` ends.
fn padded_end(start: u64) -> u64 {
    (start + ALIGNMENT).next_multiple_of(ALIGNMENT)
}

fn line(kind: u8, first: [u8; 6], second: [u8; 6], start: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'#', kind]);
    out.extend_from_slice(&first);
    out.extend_from_slice(&second);
    let padding = padded_end(start) - start - ALIGNMENT;
    out.extend((0..padding).map(|_| b'-'));
    out.extend_from_slice(b"\r\n");
}

fn digits(number: u64) -> [u8; 6] {
    std::array::from_fn(|place| {
        let shift = 6 * (5 - place as u32);
        DIGITS[(number >> shift & 63) as usize]
    })
}

fn number(digits: [u8; 6]) -> Option<u64> {
    digits.into_iter().try_fold(0, |number, digit| {
        let value = VALUES[usize::from(digit)];
        (value != NO_DIGIT).then_some(number << 6 | u64::from(value))
    })
}

/// The two numbers of a line that is a mark of a kind, line end included, which begins at `start` of the file.
fn numbers(kind: u8, line: &[u8], start: u64) -> Option<(u64, u64)> {
    let (head, padding) = line.split_first_chunk::<14>()?;
    let [b'#', k, a, b, c, d, e, f, g, h, i, j, k2, l] = *head else {
        return None;
    };
    let padding = padding.strip_suffix(b"\r\n")?;
    let fits = line.len() as u64 == padded_end(start) - start;
    if k != kind || !fits || padding.iter().any(|byte| *byte != b'-') {
        return None;
    }
    Some((number([a, b, c, d, e, f])?, number([g, h, i, j, k2, l])?))
}

/// The commit mark that a line is, line end included, which begins at `start` of the file.
#[must_use]
pub fn parse_commit(line: &[u8], start: u64) -> Option<Commit> {
    let (checksum, distance) = numbers(b'c', line, start)?;
    Some(Commit {
        checksum: u32::try_from(checksum).ok()?,
        distance,
        len: line.len(),
    })
}

/// The salt of the begin mark that a line is, line end included, which begins at `start` of the file.
#[must_use]
pub fn parse_begin(line: &[u8], start: u64) -> Option<u32> {
    let (salt, checksum) = numbers(b'b', line, start)?;
    let fits = checksum == u64::from(crc32c(0, &digits(salt)));
    u32::try_from(salt).ok().filter(|_| fits)
}

/// The commit mark that ends where `bytes` end, at a multiple of 16 of the file, whatever is before it.
#[must_use]
pub(super) fn commit_at_end(bytes: &[u8], end: u64) -> Option<Commit> {
    let padding = bytes
        .strip_suffix(b"\r\n")?
        .iter()
        .rev()
        .take(ALIGNMENT as usize)
        .take_while(|byte| **byte == b'-')
        .count();
    let len = ALIGNMENT as usize + padding;
    let start = bytes.len().checked_sub(len)?;
    parse_commit(bytes.get(start..)?, end.checked_sub(len as u64)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_crc32c_and_goes_on_from_any_byte() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
    }

    proptest! {
        #![proptest_config(crate::property::cases(2000))]

        #[test]
        fn a_commit_is_read_back_and_seals_its_range_alone(
            range: Vec<u8>, start in 0..1u64 << 40, back in 0..1u64 << 38, salt: u32, flip: usize
        ) {
            let mut checksum = RangeChecksum::new(salt);
            checksum.extend(&range);
            let end = start + range.len() as u64;
            let synced = end.saturating_sub(back);
            let mut line = Vec::new();
            commit(checksum, end, synced, &mut line);
            let mark_end = end + line.len() as u64;
            prop_assert!((16..=31).contains(&line.len()) && mark_end.is_multiple_of(16));
            let read = parse_commit(&line, end).unwrap();
            prop_assert!(read.seals(checksum));
            prop_assert_eq!(read.synced(mark_end), synced.max(mark_end.saturating_sub(DISTANCE_MAX)));
            prop_assert_eq!(commit_at_end(&line, mark_end), Some(read));
            let before = [b"x--\r\n--".as_slice(), &line].concat();
            prop_assert_eq!(commit_at_end(&before, mark_end), Some(read));
            prop_assert!(!read.seals(RangeChecksum::new(salt ^ 1)) || salt ^ 1 == salt);
            // A flipped bit makes another line of it, or a mark that does not fit.
            let bit = flip % (8 * line.len());
            line[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!parse_commit(&line, end).is_some_and(|read| read.seals(checksum)));
        }

        #[test]
        fn a_begin_is_read_back_and_no_bit_of_it_is_free(salt: u32, start in 0..1u64 << 40, flip: usize) {
            let mut line = Vec::new();
            begin(salt, start, &mut line);
            prop_assert_eq!((start + line.len() as u64) % 16, 0);
            prop_assert_eq!(parse_begin(&line, start), Some(salt));
            let bit = flip % (8 * line.len());
            line[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse_begin(&line, start), None);
        }
    }

    #[test]
    fn fill_ends_with_the_end_mark() {
        let mut out = Vec::new();
        fill(7, 32, 80, &mut out);
        assert_eq!(out, [&FILL_LINE[..], FILL_LINE, &end_line(7)].concat());
        assert_ne!(end_line(7), end_line(8));
    }

    #[test]
    fn lines_of_another_kind_are_no_marks() {
        for line in [&FILL_LINE[..], &end_line(7), b"", b"#c\r\n", b"#TS:1\r\n"] {
            assert_eq!(parse_commit(line, 0), None);
            assert_eq!(parse_begin(line, 0), None);
            assert_eq!(commit_at_end(line, line.len() as u64), None);
        }
    }
}
