//! Commands that Redis does not know, as lines that it skips.
//!
//! ```text
//! #m XNACK jobs workers FAIL 1-1 \r…\n     the arguments, a space between two of them
//! #+ … the rest\r\n                        goes on where the line before ended, also in the middle of an argument
//! ```
//! A line has at most 1,000 bytes: at 1,024 Redis and Valkey refuse the file. In an argument `\` is written `\\`, a space `\s`, a quote
//! `\q`, a line break `\r` `\n`, any other control byte `\xHH`; all else stands as it is.

use crate::resp::request::{RequestLimits, RequestParser};

/// Longest line, line end included, bytes.
pub const LINE_BYTES_MAX: usize = 1000;
/// Begins a command.
const FIRST: &[u8] = b"#m ";
/// Goes on with it.
const NEXT: &[u8] = b"#+ ";

/// Appends a command as own lines. There is at least one argument.
pub fn encode<'a>(arguments: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    for (index, argument) in arguments.into_iter().enumerate() {
        if index > 0 {
            text.push(b' ');
        }
        escape(argument, &mut text);
    }
    let per_line = LINE_BYTES_MAX - FIRST.len() - 2;
    let mut mark = FIRST;
    let mut rest = text.as_slice();
    loop {
        let (now, later) = rest.split_at(rest.len().min(per_line));
        out.extend_from_slice(mark);
        out.extend_from_slice(now);
        out.extend_from_slice(b"\r\n");
        if later.is_empty() {
            return;
        }
        rest = later;
        mark = NEXT;
    }
}

/// Appends a command in RESP, as an effect is recorded, as own lines.
pub(crate) fn encode_command(command: &[u8], out: &mut Vec<u8>) {
    let mut parser = RequestParser::new();
    let whole = parser.parse(command, &RequestLimits::NONE);
    debug_assert!(matches!(whole, Ok(Some(_))), "an effect that is no request");
    encode(parser.arguments(command).iter(), out);
}

fn escape(argument: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in argument {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b' ' => out.extend_from_slice(b"\\s"),
            b'"' => out.extend_from_slice(b"\\q"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 | 0x7F => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'x', high, low]);
            }
            _ => out.push(byte),
        }
    }
}

/// Whether a line begins an own command.
#[must_use]
pub fn is_first(line: &[u8]) -> bool {
    line.starts_with(FIRST)
}

/// Whether a line goes on with one.
#[must_use]
pub fn is_next(line: &[u8]) -> bool {
    line.starts_with(NEXT)
}

/// Adds the arguments of own lines, each with its line end, one after the other: their bytes to `bytes`, and where each ends there
/// to `ends`. `None`: not what [`encode`] writes.
pub fn decode(lines: &[u8], bytes: &mut Vec<u8>, ends: &mut Vec<usize>) -> Option<()> {
    let mut text = Vec::with_capacity(lines.len());
    for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let mark = if index == 0 { FIRST } else { NEXT };
        text.extend_from_slice(line.strip_prefix(mark)?.strip_suffix(b"\r\n")?);
    }
    if lines.is_empty() {
        return None;
    }
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' => ends.push(bytes.len()),
            b'\\' => bytes.push(match rest.next()? {
                b'\\' => b'\\',
                b's' => b' ',
                b'q' => b'"',
                b'r' => b'\r',
                b'n' => b'\n',
                b'x' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
                _ => return None,
            }),
            0..0x20 | 0x7F | b'"' => return None,
            byte => bytes.push(byte),
        }
    }
    ends.push(bytes.len());
    Some(())
}

/// The arguments that [`decode`] has added to nothing.
pub(super) fn words<'b>(bytes: &'b [u8], ends: &[usize]) -> Vec<&'b [u8]> {
    let mut start = 0;
    let word = |end: &usize| bytes.get(std::mem::replace(&mut start, *end)..*end);
    ends.iter().filter_map(word).collect()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        decode(lines, &mut bytes, &mut ends)?;
        let mut start = 0;
        Some(
            ends.into_iter()
                .map(|end| bytes[std::mem::replace(&mut start, end)..end].to_vec())
                .collect(),
        )
    }

    proptest! {
        #![proptest_config(crate::property::cases(1000))]

        #[test]
        fn any_arguments_are_read_back(
            arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..6)
        ) {
            let mut lines = Vec::new();
            encode(arguments.iter().map(Vec::as_slice), &mut lines);
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                prop_assert!(line.len() <= LINE_BYTES_MAX && line.starts_with(b"#"));
                prop_assert!(line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\r'));
            }
            prop_assert_eq!(read(&lines), Some(arguments));
        }

        #[test]
        fn any_bytes_are_refused_or_written_the_same(text: Vec<u8>) {
            let lines = [b"#m ", text.as_slice(), b"\r\n"].concat();
            if let Some(arguments) = read(&lines) {
                prop_assert_eq!(read(&{
                    let mut again = Vec::new();
                    encode(arguments.iter().map(Vec::as_slice), &mut again);
                    again
                }), Some(arguments));
            }
        }
    }

    #[test]
    fn a_line_can_be_read_by_a_person() {
        let mut lines = Vec::new();
        encode(
            [b"XNACK".as_slice(), b"my jobs", b"", b"a\0\"b\"\r\n\xff"],
            &mut lines,
        );
        assert_eq!(lines, b"#m XNACK my\\sjobs  a\\x00\\qb\\q\\r\\n\xff\r\n");
    }
}
