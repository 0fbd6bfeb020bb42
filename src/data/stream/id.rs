//! The position of an entry in a stream: milliseconds and a sequence number.
//!
//! Written `<ms>-<seq>` by clients. Ordered by time first, then sequence, so that the derived
//! order of the struct is the order of the stream.
//!
//! What this module does not do: the marks of the command language (`-`, `+`, `(`, `$`, `>`, `*`)
//! are a matter of the commands; only the form `<ms>-*` is known here, since it is a form of ID.

use std::fmt;

/// Longest text that can be an ID (Redis copies an ID into a buffer of 128 bytes).
const TEXT_BYTES_MAX: usize = 127;
/// Two numbers of at most 20 digits and the dash.
const FORMATTED_BYTES_MAX: usize = 41;

/// An entry's ID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct StreamId {
    /// Unix time of the entry in milliseconds, as the writer saw it.
    pub(crate) ms: u64,
    /// Place among the entries of the same millisecond.
    pub(crate) seq: u64,
}

/// An ID as XADD takes it: whole, or with the sequence left to the server (`<ms>-*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RequestedId {
    /// Both parts given.
    Whole(StreamId),
    /// `<ms>-*`.
    AnySequence(u64),
}

/// The text is not an ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InvalidId;

impl StreamId {
    /// 0-0: before every entry; also "none" where Redis writes 0-0 for none.
    pub(crate) const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The last possible ID.
    pub(crate) const MAX: StreamId = StreamId {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// The next ID; none after the last.
    #[must_use]
    pub(crate) const fn successor(self) -> Option<StreamId> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { ms: self.ms, seq }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The ID before; none before 0-0.
    #[must_use]
    pub(crate) const fn predecessor(self) -> Option<StreamId> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { ms: self.ms, seq }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Whether this is 0-0.
    #[must_use]
    pub(crate) const fn is_zero(self) -> bool {
        self.ms == 0 && self.seq == 0
    }

    /// Reads `<ms>-<seq>`, or `<ms>` alone with the sequence `missing_seq`.
    ///
    /// # Errors
    /// [`InvalidId`] for anything else, `-`, `+` and `<ms>-*` included.
    pub(crate) fn parse(text: &[u8], missing_seq: u64) -> Result<StreamId, InvalidId> {
        match split(text)? {
            (ms, None) => Ok(StreamId {
                ms: number(ms)?,
                seq: missing_seq,
            }),
            (ms, Some(seq)) => Ok(StreamId {
                ms: number(ms)?,
                seq: number(seq)?,
            }),
        }
    }

    /// Reads what [`StreamId::parse`] reads (a missing sequence is 0) and also `<ms>-*`.
    ///
    /// # Errors
    /// [`InvalidId`] for anything else.
    pub(crate) fn parse_requested(text: &[u8]) -> Result<RequestedId, InvalidId> {
        match split(text)? {
            (ms, Some(b"*")) => Ok(RequestedId::AnySequence(number(ms)?)),
            _ => StreamId::parse(text, 0).map(RequestedId::Whole),
        }
    }

    /// The 16 bytes under which Redis' files and radix trees know this ID: both parts big endian.
    #[must_use]
    pub(crate) fn to_be_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }

    /// The reverse of [`StreamId::to_be_bytes`].
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "each half is taken by its own cast"
    )]
    pub(crate) fn from_be_bytes(bytes: [u8; 16]) -> StreamId {
        let both = u128::from_be_bytes(bytes);
        StreamId {
            ms: (both >> 64) as u64,
            seq: both as u64,
        }
    }

    /// The text of this ID without allocation.
    #[must_use]
    pub(crate) fn text(self) -> StreamIdText {
        let mut bytes = [0; FORMATTED_BYTES_MAX];
        let mut start = write_backwards(&mut bytes, FORMATTED_BYTES_MAX, self.seq);
        start -= 1;
        bytes[start] = b'-';
        start = write_backwards(&mut bytes, start, self.ms);
        StreamIdText { bytes, start }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// An ID's text in a buffer of its own.
#[derive(Clone, Copy)]
pub(crate) struct StreamIdText {
    bytes: [u8; FORMATTED_BYTES_MAX],
    start: usize,
}

impl StreamIdText {
    /// The text.
    #[must_use]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Writes `value` so that it ends before `end`; returns where it starts.
fn write_backwards(bytes: &mut [u8; FORMATTED_BYTES_MAX], end: usize, value: u64) -> usize {
    const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
        2021222324252627282930313233343536373839\
        4041424344454647484950515253545556575859\
        6061626364656667686970717273747576777879\
        8081828384858687888990919293949596979899";
    let mut rest = value;
    let mut at = end;
    while rest >= 100 {
        #[allow(clippy::cast_possible_truncation, reason = "below 200")]
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        at -= 2;
        bytes[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 100")]
    let rest = rest as usize;
    if rest >= 10 {
        at -= 2;
        bytes[at..at + 2].copy_from_slice(&PAIRS[rest * 2..rest * 2 + 2]);
    } else {
        at -= 1;
        bytes[at] = PAIRS[rest * 2 + 1];
    }
    at
}

/// The parts before and after the first dash. Redis reads IDs as C strings: a zero byte ends them.
fn split(text: &[u8]) -> Result<(&[u8], Option<&[u8]>), InvalidId> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(InvalidId);
    }
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    let text = &text[..end];
    Ok(match text.iter().position(|&b| b == b'-') {
        Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
        None => (text, None),
    })
}

/// A number as Redis reads it here: what `strtoull` takes (white space, a sign, leading zeros), but not a plain negative number.
fn number(text: &[u8]) -> Result<u64, InvalidId> {
    // Nearly always: 1 to 19 digits, which cannot overflow.
    if !text.is_empty() && text.len() < 20 && text.iter().all(u8::is_ascii_digit) {
        return Ok(text.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0')));
    }
    number_by_strtoull(text)
}

fn number_by_strtoull(text: &[u8]) -> Result<u64, InvalidId> {
    if is_plain_negative(text) {
        return Err(InvalidId);
    }
    let blank = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r');
    let skipped = text.iter().take_while(|b| blank(b)).count();
    let (negative, digits) = match &text[skipped..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return Err(InvalidId);
    }
    let mut value: u64 = 0;
    for b in digits {
        if !b.is_ascii_digit() {
            return Err(InvalidId);
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(b - b'0')))
            .ok_or(InvalidId)?;
    }
    Ok(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// Whether Redis' strict reader of integers takes this text as a number below zero (it then refuses it).
fn is_plain_negative(text: &[u8]) -> bool {
    let [b'-', digits @ ..] = text else {
        return false;
    };
    let strict = matches!(digits.first(), Some(b'1'..=b'9'));
    strict && std::str::from_utf8(text).is_ok_and(|t| t.parse::<i64>().is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let cases: &[(&[u8], Option<StreamId>)] = &[
            (b"0-0", Some(id(0, 0))),
            (b"1526919030474-55", Some(id(1_526_919_030_474, 55))),
            (b"12", Some(id(12, 7))),
            (
                b"18446744073709551615-18446744073709551615",
                Some(StreamId::MAX),
            ),
            (b"18446744073709551616-0", None),
            (b"0018446744073709551615-1", Some(id(u64::MAX, 1))),
            (b"", None),
            (b"-", None),
            (b"+", None),
            (b"-1", None),
            (b"1-", None),
            (b"1-2-3", None),
            (b"1--5", None),
            (b"1--05", Some(id(1, 5u64.wrapping_neg()))),
            (b" 1-+2", Some(id(1, 2))),
            (b"1 -2", None),
            (b"1-2\x00junk", Some(id(1, 2))),
            (b"1-*", None),
            (b"a-1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(StreamId::parse(text, 7).ok(), *expected, "{text:?}");
        }
        assert_eq!(StreamId::parse(&[b'1'; 128], 0), Err(InvalidId));
        assert_eq!(
            StreamId::parse_requested(b"5-*"),
            Ok(RequestedId::AnySequence(5))
        );
        assert_eq!(
            StreamId::parse_requested(b"5"),
            Ok(RequestedId::Whole(id(5, 0)))
        );
    }

    #[test]
    fn text_is_what_display_writes_and_reads_back() {
        for ms in [0, 1, 9, 10, 99, 100, 101, 12_345, u64::MAX] {
            for seq in [0, 7, 10, 1_000, u64::MAX - 1] {
                let one = id(ms, seq);
                assert_eq!(one.text().as_bytes(), one.to_string().as_bytes());
                assert_eq!(StreamId::parse(one.text().as_bytes(), 0), Ok(one));
                assert_eq!(StreamId::from_be_bytes(one.to_be_bytes()), one);
            }
        }
    }

    #[test]
    fn neighbours_carry_over_the_sequence() {
        assert_eq!(id(1, u64::MAX).successor(), Some(id(2, 0)));
        assert_eq!(id(2, 0).predecessor(), Some(id(1, u64::MAX)));
        assert_eq!(StreamId::MAX.successor(), None);
        assert_eq!(StreamId::MIN.predecessor(), None);
    }
}
