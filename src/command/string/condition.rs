//! What must be true of a key for SET to set it, or DELEX to remove it.

use crate::command::args::Cursor;
use crate::command::error::{self, CommandError};
use crate::keyspace::table::Entry;
use crate::keyspace::value::StringValue;

use super::string_of;

/// Digits of a digest.
const DIGEST_DIGITS: usize = 16;

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Condition<'a> {
    #[default]
    Any,
    /// NX
    Absent,
    /// XX
    Present,
    /// IFEQ: it is this string.
    Is(&'a [u8]),
    /// IFNE: it is absent, or another string.
    IsNot(&'a [u8]),
    /// IFDEQ: it is a string with this digest.
    HasDigest(&'a [u8]),
    /// IFDNE: it is absent, or has another digest.
    HasNotDigest(&'a [u8]),
}

impl<'a> Condition<'a> {
    /// Moves over NX or XX.
    pub(super) fn read_presence(rest: &mut Cursor<'a, '_>) -> Option<Self> {
        if rest.keyword("NX") {
            Some(Self::Absent)
        } else if rest.keyword("XX") {
            Some(Self::Present)
        } else {
            None
        }
    }

    /// Moves over a condition on the value, when it is next with its value.
    pub(super) fn read_comparison(rest: &mut Cursor<'a, '_>) -> Option<Self> {
        if rest.left() < 2 {
            return None;
        }
        let condition = if rest.keyword("IFEQ") {
            Self::Is
        } else if rest.keyword("IFNE") {
            Self::IsNot
        } else if rest.keyword("IFDEQ") {
            Self::HasDigest
        } else if rest.keyword("IFDNE") {
            Self::HasNotDigest
        } else {
            return None;
        };
        rest.next().map(condition)
    }

    /// Whether it holds. Comparisons are of strings only.
    pub(super) fn holds(self, entry: Option<&Entry>) -> Result<bool, CommandError> {
        match self {
            Self::Any => return Ok(true),
            Self::Absent => return Ok(entry.is_none()),
            Self::Present => return Ok(entry.is_some()),
            Self::Is(_) | Self::IsNot(_) | Self::HasDigest(_) | Self::HasNotDigest(_) => {}
        }
        let Some(string) = string_of(entry)? else {
            return Ok(matches!(self, Self::IsNot(_) | Self::HasNotDigest(_)));
        };
        let bytes_are = |text: &[u8]| string.bytes(&mut [0; 20]) == text;
        let digest_is = |wanted: &[u8]| {
            let is_one = wanted.len() == DIGEST_DIGITS && wanted.iter().all(u8::is_ascii_hexdigit);
            if !is_one {
                return Err(error::NO_DIGEST);
            }
            Ok(wanted.eq_ignore_ascii_case(digest(string).as_bytes()))
        };
        Ok(match self {
            Self::Is(text) => bytes_are(text),
            Self::IsNot(text) => !bytes_are(text),
            Self::HasDigest(wanted) => digest_is(wanted)?,
            Self::HasNotDigest(wanted) => !digest_is(wanted)?,
            Self::Any | Self::Absent | Self::Present => true,
        })
    }
}

/// XXH3 of a string, 64 bits, in hexadecimal: what DIGEST replies. Source: the DIGEST page of Redis.
pub(super) fn digest(string: &StringValue) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(string.bytes(&mut [0; 20]));
    format!("{hash:016x}")
}
