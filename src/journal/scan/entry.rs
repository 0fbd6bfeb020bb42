//! One entry of a log's file: a command, or a line that Redis skips.
//!
//! Strict, unlike the parser of what clients send: whoever wrote the file is a server, and what it did not write is damage.

use super::super::annotation::{self, Commit, FILL_LINE};
use super::super::own;
use crate::resp::arguments::ArgumentRange;

/// Longest line that begins with `#`, line end included: Redis reads no longer one. Bytes.
const LINE_BYTES_MAX: usize = 1023;
/// A length or count has at most so many digits.
const DIGITS_MAX: usize = 10;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A command; its arguments are in the ranges.
    Command,
    /// Own lines.
    Own,
    /// A commit mark.
    Commit(Commit),
    /// A begin mark with its salt.
    Begin(u32),
    /// A line that may be the end mark of a file.
    End,
    /// One or more lines of fill.
    Fill,
    /// A line that Redis wrote (`#TS:`), or a person.
    Note,
    /// A line that begins like one of ours and is none.
    Reserved,
}

/// What is at the beginning of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An entry of so many bytes.
    Whole(Kind, usize),
    /// More bytes are needed to know.
    Incomplete,
    /// None: the first byte that does not fit, and why.
    Broken(usize, &'static str),
}

/// Why reading a command ended early.
enum Stop {
    Incomplete,
    Broken(usize, &'static str),
}

/// Reads the entry at the beginning of `buffer`, which is at offset `at` of the file. `is_at_end`: no bytes follow the buffer.
#[inline]
pub(super) fn read(
    buffer: &[u8],
    at: u64,
    is_at_end: bool,
    ranges: &mut Vec<ArgumentRange>,
) -> Entry {
    match buffer.first() {
        Some(b'*') => match command(buffer, ranges) {
            Ok(len) => Entry::Whole(Kind::Command, len),
            Err(Stop::Incomplete) => Entry::Incomplete,
            Err(Stop::Broken(at, reason)) => Entry::Broken(at, reason),
        },
        Some(b'#') => line(buffer, at, is_at_end),
        Some(_) => Entry::Broken(0, "neither a command nor a # line begins here"),
        None => Entry::Incomplete,
    }
}

/// The length of the command at the beginning of `buffer`, and where its arguments are.
#[inline]
fn command(buffer: &[u8], ranges: &mut Vec<ArgumentRange>) -> Result<usize, Stop> {
    ranges.clear();
    let (count, mut at) = number(buffer, 0, b'*')?;
    if count == 0 {
        return Err(Stop::Broken(1, "a command without a name"));
    }
    for _ in 0..count {
        let (len, start) = number(buffer, at, b'$')?;
        let end = start + len;
        if end + 2 > u32::MAX as usize {
            return Err(Stop::Broken(at, "a command of more than 4 GB"));
        }
        match buffer.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            None | Some([] | [b'\r']) => return Err(Stop::Incomplete),
            Some(_) => return Err(Stop::Broken(end, "no line end behind an argument")),
        }
        ranges.push(ArgumentRange {
            start: start as u32,
            len: len as u32,
        });
        at = end + 2;
    }
    Ok(at)
}

/// The number of a line `<kind><digits>\r\n` at `at`, and the offset behind it.
#[inline]
fn number(buffer: &[u8], at: usize, kind: u8) -> Result<(usize, usize), Stop> {
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    match buffer.get(at..).unwrap_or_default() {
        [first, ones @ b'0'..=b'9', b'\r', b'\n', ..] if *first == kind => {
            Ok((digit(*ones), at + 4))
        }
        [
            first,
            tens @ b'0'..=b'9',
            ones @ b'0'..=b'9',
            b'\r',
            b'\n',
            ..,
        ] if *first == kind => Ok((10 * digit(*tens) + digit(*ones), at + 5)),
        rest => long_number(rest, at, kind),
    }
}

fn long_number(rest: &[u8], at: usize, kind: u8) -> Result<(usize, usize), Stop> {
    match rest.first() {
        None => return Err(Stop::Incomplete),
        Some(first) if *first == kind => {}
        Some(_) => return Err(Stop::Broken(at, "an argument does not begin with $")),
    }
    let mut value = 0;
    for (index, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            b'0'..=b'9' if index <= DIGITS_MAX => {
                value = 10 * value + usize::from(byte - b'0');
            }
            b'\r' if index > 1 => {
                return match rest.get(index + 1) {
                    None => Err(Stop::Incomplete),
                    Some(b'\n') => Ok((value, at + index + 2)),
                    Some(_) => Err(Stop::Broken(at + index + 1, "no line end behind a number")),
                };
            }
            _ => return Err(Stop::Broken(at + index, "not a length")),
        }
    }
    Err(Stop::Incomplete)
}

/// The length of the line at the beginning of `buffer`, its line end included.
fn line_len(buffer: &[u8]) -> Result<usize, Stop> {
    let near = buffer.get(..LINE_BYTES_MAX).unwrap_or(buffer);
    match near.iter().position(|byte| *byte == b'\n') {
        Some(last) => Ok(last + 1),
        None if near.len() == LINE_BYTES_MAX => Err(Stop::Broken(0, "a # line that is too long")),
        None => Err(Stop::Incomplete),
    }
}

fn line(buffer: &[u8], at: u64, is_at_end: bool) -> Entry {
    if buffer.starts_with(FILL_LINE) {
        let (lines, _) = buffer.as_chunks::<16>();
        let count = lines.iter().take_while(|line| *line == FILL_LINE).count();
        return Entry::Whole(Kind::Fill, 16 * count);
    }
    let len = match line_len(buffer) {
        Ok(len) => len,
        Err(Stop::Incomplete) => return Entry::Incomplete,
        Err(Stop::Broken(at, reason)) => return Entry::Broken(at, reason),
    };
    let whole = buffer.get(..len).unwrap_or_default();
    let kind = match whole.get(1) {
        Some(b'c') => annotation::parse_commit(whole, at).map(Kind::Commit),
        Some(b'b') => annotation::parse_begin(whole, at).map(Kind::Begin),
        Some(b'e') => (len == 16 && at.is_multiple_of(16)).then_some(Kind::End),
        Some(b'm') if own::is_first(whole) => return own_lines(buffer, len, is_at_end),
        Some(b'm' | b'+') => None,
        _ => Some(Kind::Note),
    };
    Entry::Whole(kind.unwrap_or(Kind::Reserved), len)
}

/// Own lines whose first has `len` bytes, up to the last that goes on with it.
fn own_lines(buffer: &[u8], mut len: usize, is_at_end: bool) -> Entry {
    loop {
        let rest = buffer.get(len..).unwrap_or_default();
        if rest.len() < 3 && !is_at_end {
            return Entry::Incomplete;
        }
        if !own::is_next(rest) {
            return Entry::Whole(Kind::Own, len);
        }
        match line_len(rest) {
            Ok(more) => len += more,
            Err(Stop::Incomplete) => return Entry::Incomplete,
            Err(Stop::Broken(at, reason)) => return Entry::Broken(len + at, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(buffer: &[u8]) -> Entry {
        read(buffer, 0, true, &mut Vec::new())
    }

    #[test]
    fn a_command_is_whole_with_its_last_byte() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nabcdefghi\r\nj\r\n";
        for len in 0..bytes.len() {
            assert_eq!(read_all(&bytes[..len]), Entry::Incomplete, "{len}");
        }
        let mut ranges = Vec::new();
        let entry = read(bytes, 0, false, &mut ranges);
        assert_eq!(entry, Entry::Whole(Kind::Command, bytes.len()));
        let ends: Vec<(u32, u32)> = ranges
            .iter()
            .map(|range| (range.start, range.len))
            .collect();
        assert_eq!(ends, [(8, 3), (17, 0), (24, 12)]);
    }

    #[test]
    fn what_no_server_writes_is_broken_at_its_first_byte() {
        for (bytes, at) in [
            (&b"PING\r\n"[..], 0),
            (b"*0\r\n", 1),
            (b"*-1\r\n", 1),
            (b"*\r\n", 1),
            (b"*1\r\nPING", 4),
            (b"*1\r\n$x\r\n", 5),
            (b"*1\r\n$1\rx", 7),
            (b"*1\r\n$1\r\nabc", 9),
            (b"*1\r\n$12345678901\r\n", 15),
            (b"*1\r\n$4294967295\r\n", 4),
            (&[b'#'; 1100], 0),
        ] {
            assert!(
                matches!(read_all(bytes), Entry::Broken(found, _) if found == at),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn own_lines_end_where_another_line_begins() {
        let bytes = b"#m a\r\n#+ b\r\n#+ c\r\n#cx";
        assert_eq!(read_all(bytes), Entry::Whole(Kind::Own, 18));
        assert_eq!(read_all(&bytes[..18]), Entry::Whole(Kind::Own, 18));
        let more = read(&bytes[..18], 0, false, &mut Vec::new());
        assert_eq!(more, Entry::Incomplete);
        assert_eq!(read_all(b"#+ b\r\n"), Entry::Whole(Kind::Reserved, 6));
        assert_eq!(read_all(b"#TS:1\r\n"), Entry::Whole(Kind::Note, 7));
        assert_eq!(read_all(b"#\n"), Entry::Whole(Kind::Note, 2));
    }
}
