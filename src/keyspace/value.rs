//! The types of values and the names of their encodings.

use std::sync::Arc;

use bytes::Bytes;

use crate::data::list::List;
use crate::data::stream::Stream;

/// The longest string that Redis keeps in the object itself, bytes.
const EMBEDDED_BYTES_MAX: usize = 44;
/// How much of a string takes as long to free as a piece of another value: its pages go back one by one. Bytes.
const STRING_PART_BYTES: usize = 16 * 1024;

/// From this size on a string is shared by the replies that give it, bytes.
const SHARED_BYTES_MIN: usize = crate::limits::SHARED_BULK_BYTES_MIN;

/// A string, in the form Redis would choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringValue {
    /// A canonical 64-bit integer (`int`).
    Integer(i64),
    /// Bytes as they were set (`embstr` up to 44 bytes, else `raw`).
    Fixed(Box<[u8]>),
    /// Bytes that were changed in place (`raw`).
    Growing(Vec<u8>),
    /// Many bytes, whether changed or not (`raw`).
    Large(LargeString),
}

/// A long string. A reply that is being sent has a share of it; a change meanwhile copies it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::rc_buffer,
    reason = "it grows in place while nobody shares it, which an Arc<[u8]> does not"
)]
pub struct LargeString(Arc<Vec<u8>>);

impl AsRef<[u8]> for LargeString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl LargeString {
    /// The same bytes, for a reply. O(1).
    pub fn share(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }
}

impl StringValue {
    /// The form Redis gives a value that is set: an integer when the text is one, else bytes.
    pub fn new(bytes: &[u8]) -> Self {
        match parse_canonical_integer(bytes) {
            Some(value) => Self::Integer(value),
            None if bytes.len() >= SHARED_BYTES_MIN => {
                Self::Large(LargeString(Arc::new(bytes.to_vec())))
            }
            None => Self::Fixed(bytes.into()),
        }
    }

    /// Length of the text, bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(value) => crate::resp::reply::format_integer(*value, &mut [0; 20]).len(),
            Self::Fixed(bytes) => bytes.len(),
            Self::Growing(bytes) => bytes.len(),
            Self::Large(large) => large.0.len(),
        }
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text; an integer is formatted into `scratch`.
    pub fn bytes<'a>(&'a self, scratch: &'a mut [u8; 20]) -> &'a [u8] {
        match self {
            Self::Integer(value) => crate::resp::reply::format_integer(*value, scratch),
            Self::Fixed(bytes) => bytes,
            Self::Growing(bytes) => bytes,
            Self::Large(large) => large.as_ref(),
        }
    }

    /// The bytes to change in place, from then on `raw`.
    pub fn growing(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Growing(bytes) if bytes.len() >= SHARED_BYTES_MIN => {
                *self = Self::Large(LargeString(Arc::new(std::mem::take(bytes))));
            }
            Self::Growing(_) | Self::Large(_) => {}
            Self::Integer(_) | Self::Fixed(_) => {
                *self = Self::Growing(self.bytes(&mut [0; 20]).to_vec());
            }
        }
        match self {
            Self::Growing(bytes) => bytes,
            Self::Large(large) => Arc::make_mut(&mut large.0),
            Self::Integer(_) | Self::Fixed(_) => unreachable!("made growing above"),
        }
    }

    /// `int`, `embstr` or `raw`.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int",
            Self::Fixed(bytes) if bytes.len() <= EMBEDDED_BYTES_MAX => "embstr",
            Self::Fixed(_) | Self::Growing(_) | Self::Large(_) => "raw",
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Integer(_) => 0,
            Self::Fixed(bytes) => bytes.len(),
            Self::Growing(bytes) => bytes.capacity(),
            Self::Large(large) => large.0.capacity(),
        }
    }
}

/// The integer a text stands for, when the text is exactly how that integer is printed. Source: `string2ll` of Redis.
pub fn parse_canonical_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] => return (!negative).then_some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative {
        (magnitude <= 1 << 63).then(|| (magnitude as i64).wrapping_neg())
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// A value of a key.
#[derive(Clone)]
pub enum Value {
    /// `string`
    String(StringValue),
    /// `list`; in place, since most are short queues.
    List(List),
    /// `stream`
    Stream(Box<Stream>),
}

/// The types, as TYPE names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `string`
    String,
    /// `list`
    List,
    /// `stream`
    Stream,
}

impl ValueType {
    /// The name that TYPE replies.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Stream => "stream",
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::String(string) => string.fmt(f),
            Self::List(_) | Self::Stream(_) => f.write_str(self.value_type().name()),
        }
    }
}

impl Value {
    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::String(_) => ValueType::String,
            Self::List(_) => ValueType::List,
            Self::Stream(_) => ValueType::Stream,
        }
    }

    /// What OBJECT ENCODING replies.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::String(string) => string.encoding(),
            Self::List(list) => list.encoding(),
            Self::Stream(_) => "stream",
        }
    }

    /// How many pieces of memory it is made of, roughly: what it costs to free. O(groups of a stream).
    pub fn part_count(&self) -> usize {
        match self {
            Self::String(string) => string.heap_bytes() / STRING_PART_BYTES,
            Self::List(list) => list.chunk_count(),
            Self::Stream(stream) => {
                let groups = stream.groups();
                let groups =
                    groups.map(|(_, group)| 1 + group.consumer_count() + group.pending().len());
                stream.log().block_count()
                    + groups.sum::<usize>()
                    + stream.idempotency().part_count()
            }
        }
    }

    /// Bytes on the heap, the box included.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::String(string) => string.heap_bytes(),
            Self::List(list) => list.heap_bytes(),
            Self::Stream(stream) => size_of::<Stream>() + stream.heap_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_integers() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", None),
            ("01", None),
            ("-1", Some(-1)),
            ("", None),
            ("-", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9223372036854775809", None),
            ("1 ", None),
        ] {
            assert_eq!(parse_canonical_integer(text.as_bytes()), value, "{text}");
        }
    }
}
