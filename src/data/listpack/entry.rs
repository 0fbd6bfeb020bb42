//! One entry of a listpack: an element to bytes and back.
//!
//! The layout is drawn in the head of [`super`]. This file knows entries in a buffer, not the pack around them:
//! lists keep entries in buffers with a gap in front and no header.
//!
//! Invariant: positions come from whoever owns the buffer and are starts (or ends) of entries; anything else is a bug and panics.

use super::LISTPACK_BYTES_MAX;

/// The longest decimal form of an `i64`.
pub(crate) const INTEGER_TEXT_BYTES_MAX: usize = 20;

/// One element, borrowed from its pack.
#[derive(Debug, Clone, Copy)]
pub enum Element<'a> {
    /// Stored as an integer; stands for its decimal text.
    Int(i64),
    /// Stored as it came.
    Bytes(&'a [u8]),
}

/// Room for the decimal text of an integer element.
pub(crate) type IntegerText = [u8; INTEGER_TEXT_BYTES_MAX];

impl<'a> Element<'a> {
    /// The element as a client sees it; `text` is where the digits of an integer go.
    #[must_use]
    pub(crate) fn as_bytes<'t>(&self, text: &'t mut IntegerText) -> &'t [u8]
    where
        'a: 't,
    {
        match *self {
            Element::Int(value) => integer_text(value, text),
            Element::Bytes(bytes) => bytes,
        }
    }

    /// The element as a byte string of its own.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        let mut text = [0; INTEGER_TEXT_BYTES_MAX];
        self.as_bytes(&mut text).to_vec()
    }

    /// The element as an integer, if it is one in canonical form.
    #[must_use]
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match *self {
            Element::Int(value) => Some(value),
            Element::Bytes(bytes) => parse_integer(bytes),
        }
    }
}

impl PartialEq<[u8]> for Element<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        match *self {
            Element::Bytes(bytes) => bytes == other,
            Element::Int(value) => parse_integer(other) == Some(value),
        }
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Element::Int(a), Element::Int(b)) => a == b,
            (Element::Bytes(a), _) => *other == *a,
            (Element::Int(_), Element::Bytes(b)) => *self == *b,
        }
    }
}

impl Eq for Element<'_> {}

/// The integer whose canonical decimal form these bytes are: no sign but `-`, no leading zero, no space.
#[must_use]
#[inline]
pub(crate) fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() >= INTEGER_TEXT_BYTES_MAX || !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    // At most 19 digits: below 10^19, so a u64 cannot overflow.
    let mut magnitude: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// The decimal form of an integer, written into `text`.
#[must_use]
pub(crate) fn integer_text(value: i64, text: &mut IntegerText) -> &[u8] {
    let mut magnitude = value.unsigned_abs();
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + (magnitude % 10) as u8;
        magnitude /= 10;
        if magnitude == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        text[start] = b'-';
    }
    &text[start..]
}

/// The part of an entry before its payload: encoding byte and length or the whole integer.
#[derive(Clone, Copy)]
struct Prefix {
    bytes: [u8; 9],
    length: usize,
}

impl Prefix {
    fn new(bytes: &[u8]) -> Self {
        let mut prefix = Prefix {
            bytes: [0; 9],
            length: bytes.len(),
        };
        prefix.bytes[..bytes.len()].copy_from_slice(bytes);
        prefix
    }

    fn integer(value: i64) -> Self {
        let wide = value.to_le_bytes();
        match value {
            0..=127 => Prefix::new(&[wide[0]]),
            -4096..=4095 => Prefix::new(&[0xC0 | (wide[1] & 0x1F), wide[0]]),
            -32_768..=32_767 => Prefix::new(&[0xF1, wide[0], wide[1]]),
            -8_388_608..=8_388_607 => Prefix::new(&[0xF2, wide[0], wide[1], wide[2]]),
            -2_147_483_648..=2_147_483_647 => {
                Prefix::new(&[0xF3, wide[0], wide[1], wide[2], wide[3]])
            }
            _ => {
                let mut prefix = Prefix {
                    bytes: [0xF4; 9],
                    length: 9,
                };
                prefix.bytes[1..].copy_from_slice(&wide);
                prefix
            }
        }
    }

    #[inline]
    fn string(length: usize) -> Self {
        let low = (length & 0xFF) as u8;
        match length {
            0..=63 => Prefix {
                bytes: [0x80 | low, 0, 0, 0, 0, 0, 0, 0, 0],
                length: 1,
            },
            64..=4095 => Prefix {
                bytes: [0xE0 | (length >> 8) as u8, low, 0, 0, 0, 0, 0, 0, 0],
                length: 2,
            },
            _ => {
                assert!(
                    length <= LISTPACK_BYTES_MAX,
                    "an element longer than a listpack may be"
                );
                let wide = (length as u32).to_le_bytes();
                Prefix::new(&[0xF0, wide[0], wide[1], wide[2], wide[3]])
            }
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// An element ready to be written as an entry: what it will take is known before any byte moves.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    prefix: Prefix,
    payload: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Canonical integers become integers, all else stays a string.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        match parse_integer(bytes) {
            Some(value) => Entry::integer(value),
            None => Entry {
                prefix: Prefix::string(bytes.len()),
                payload: bytes,
            },
        }
    }

    pub(crate) fn integer(value: i64) -> Self {
        Entry {
            prefix: Prefix::integer(value),
            payload: &[],
        }
    }

    fn body_length(&self) -> usize {
        self.prefix.length + self.payload.len()
    }

    /// Bytes of the whole entry.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        let body = self.body_length();
        body + backlen_bytes(body)
    }

    /// Whether the entry at this position is this one. Equal elements are equal bytes in packs that are written here.
    #[inline]
    pub(super) fn is_at(&self, buffer: &[u8], at: usize) -> bool {
        let rest = &buffer[at..];
        let (prefix, payload) = (self.prefix.as_slice(), self.payload);
        rest.len() >= self.body_length()
            && rest[..prefix.len()] == *prefix
            && rest[prefix.len()..self.body_length()] == *payload
    }

    /// Appends the entry; the caller has reserved [`Entry::length`] bytes.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_slice());
        out.extend_from_slice(self.payload);
        let (backlen, length) = backlen(self.body_length());
        out.extend_from_slice(&backlen[..length]);
    }

    /// Writes the entry over `target`, which is exactly [`Entry::length`] bytes long.
    pub(crate) fn write_over(&self, target: &mut [u8]) {
        let body = self.body_length();
        let (prefix, rest) = target.split_at_mut(self.prefix.length);
        prefix.copy_from_slice(self.prefix.as_slice());
        let (payload, tail) = rest.split_at_mut(self.payload.len());
        payload.copy_from_slice(self.payload);
        let (backlen, length) = backlen(body);
        tail.copy_from_slice(&backlen[..length]);
    }
}

/// Bytes of the backlen of a body; the bounds are Redis', which give up the last value of each width but the first.
#[inline]
pub(super) fn backlen_bytes(body: usize) -> usize {
    match body {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

#[inline]
pub(super) fn backlen(body: usize) -> ([u8; 5], usize) {
    let length = backlen_bytes(body);
    let mut bytes = [0; 5];
    for (i, byte) in bytes[..length].iter_mut().enumerate() {
        let group = ((body >> (7 * (length - 1 - i))) & 0x7F) as u8;
        *byte = if i == 0 { group } else { group | 0x80 };
    }
    (bytes, length)
}

/// Bytes of encoding, length and payload of the entry that begins at `at`; `None` for a terminator or an unknown encoding.
#[inline]
pub(super) fn body_length(buffer: &[u8], at: usize) -> Option<usize> {
    let first = *buffer.get(at)?;
    Some(match first {
        0x00..=0x7F => 1,
        0x80..=0xBF => 1 + usize::from(first & 0x3F),
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 2 + (usize::from(first & 0x0F) << 8 | usize::from(*buffer.get(at + 1)?)),
        0xF0 => 5 + u32::from_le_bytes(buffer.get(at + 1..at + 5)?.try_into().ok()?) as usize,
        0xF1 => 3,
        0xF2 => 4,
        0xF3 => 5,
        0xF4 => 9,
        _ => return None,
    })
}

/// Bytes of the whole entry that begins at `at`.
#[inline]
pub(crate) fn entry_length(buffer: &[u8], at: usize) -> usize {
    let body = body_length(buffer, at).expect("a position of this pack is the start of an entry");
    body + backlen_bytes(body)
}

/// Where the entry begins that ends before `end`.
#[inline]
pub(crate) fn entry_before(buffer: &[u8], end: usize) -> usize {
    let mut body = 0usize;
    let mut at = end;
    let mut shift = 0;
    loop {
        at -= 1;
        let byte = buffer[at];
        body |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return at - body;
        }
        shift += 7;
    }
}

/// The element of the entry that begins at `at`, and the length of the whole entry.
#[inline]
pub(crate) fn decode(buffer: &[u8], at: usize) -> (Element<'_>, usize) {
    let body = body_length(buffer, at).expect("a position of this pack is the start of an entry");
    let entry = &buffer[at..at + body];
    let first = entry[0];
    let element = match first {
        0x00..=0x7F => Element::Int(i64::from(first)),
        0x80..=0xBF => Element::Bytes(&entry[1..]),
        0xC0..=0xDF => {
            let raw = u16::from_be_bytes([first & 0x1F, entry[1]]);
            // Sign-extend 13 bits.
            Element::Int(i64::from((raw << 3) as i16 >> 3))
        }
        0xE0..=0xEF => Element::Bytes(&entry[2..]),
        0xF0 => Element::Bytes(&entry[5..]),
        _ => {
            let digits = &entry[1..];
            let negative = digits[digits.len() - 1] & 0x80 != 0;
            let mut wide = [if negative { 0xFF } else { 0 }; 8];
            wide[..digits.len()].copy_from_slice(digits);
            Element::Int(i64::from_le_bytes(wide))
        }
    };
    (element, body + backlen_bytes(body))
}
