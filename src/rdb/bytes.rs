//! Reading what is at hand: numbers and strings of a value.

#![deny(clippy::indexing_slicing)]

use super::{Flaw, encodings, lzf};
use crate::data::listpack::{IntegerText, integer_text};

/// Bytes not yet read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'b>(&'b [u8]);

/// A number in front of something, or how a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Plain(u64),
    Encoded(u8),
}

/// A string.
pub(super) enum Text<'b> {
    /// As it stands there.
    Plain(&'b [u8]),
    /// An integer.
    Integer(i64, IntegerText),
    /// It was compressed.
    Owned(Vec<u8>),
}

impl Text<'_> {
    /// The bytes.
    pub(super) fn bytes(&mut self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Integer(value, text) => integer_text(*value, text),
            Self::Owned(bytes) => bytes,
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<u8> {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Plain(_) | Self::Integer(..) => self.bytes().to_vec(),
        }
    }
}

/// How many bytes of a length follow its first, or what it says.
pub(super) fn first_of_length(first: u8) -> Result<usize, Length> {
    match first >> 6 {
        0 => Err(Length::Plain(u64::from(first))),
        1 => Ok(1),
        2 if first == 0x80 => Ok(4),
        2 if first == 0x81 => Ok(8),
        _ => Err(Length::Encoded(first)),
    }
}

/// The length of these bytes: the first and those that follow it.
pub(super) fn length_of(first: u8, rest: &[u8]) -> u64 {
    let begin = if first >> 6 == 1 { first & 0x3F } else { 0 };
    rest.iter().fold(u64::from(begin), |length, byte| {
        length << 8 | u64::from(*byte)
    })
}

/// An integer that stands for a string: so many bytes, the lowest first.
pub(super) fn integer_of(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let begin = if negative { -1 } else { 0 };
    bytes
        .iter()
        .rev()
        .fold(begin, |value, byte| value << 8 | i64::from(*byte))
}

/// How many bytes of an integer follow its encoding.
pub(super) fn integer_bytes(encoding: u8) -> Option<usize> {
    match encoding {
        encodings::INT8 => Some(1),
        encodings::INT16 => Some(2),
        encodings::INT32 => Some(4),
        _ => None,
    }
}

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&self) -> &'b [u8] {
        self.0
    }

    pub(super) fn take(&mut self, count: u64) -> Result<&'b [u8], Flaw> {
        let count = usize::try_from(count).map_err(|_| Flaw::Short)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Flaw::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Flaw::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn length_or_encoding(&mut self) -> Result<Length, Flaw> {
        let first = self.byte()?;
        Ok(match first_of_length(first) {
            Err(length) => length,
            Ok(count) => Length::Plain(length_of(first, self.take(count as u64)?)),
        })
    }

    pub(super) fn length(&mut self) -> Result<u64, Flaw> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(Flaw::Corrupt("a malformed length")),
        }
    }

    /// Milliseconds since 1970; what lies before counts as then.
    pub(super) fn time(&mut self) -> Result<u64, Flaw> {
        let ms = i64::from_le_bytes(self.array()?);
        Ok(u64::try_from(ms).unwrap_or(0))
    }

    pub(super) fn double(&mut self) -> Result<f64, Flaw> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    pub(super) fn text(&mut self) -> Result<Text<'b>, Flaw> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(Text::Plain(self.take(length)?)),
            Length::Encoded(encodings::LZF) => {
                let (compressed, length) = (self.length()?, self.length()?);
                let compressed = self.take(compressed)?;
                let text = usize::try_from(length)
                    .ok()
                    .and_then(|length| lzf::decompress(compressed, length));
                text.map(Text::Owned)
                    .ok_or(Flaw::Corrupt("a malformed compressed string"))
            }
            Length::Encoded(encoding) => {
                let count =
                    integer_bytes(encoding).ok_or(Flaw::Corrupt("an unknown string encoding"))?;
                let value = integer_of(self.take(count as u64)?);
                Ok(Text::Integer(value, Default::default()))
            }
        }
    }
}
