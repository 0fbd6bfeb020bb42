//! The types of values and the names of their encodings.

use std::sync::Arc;

use bytes::Bytes;

use crate::data::ends::EndingElements;
use crate::data::hash::Hash;
use crate::data::list::List;
use crate::data::set::Set;
use crate::data::sorted_set::SortedSet;
use crate::data::stream::Stream;

/// The longest string that Redis keeps in the object itself, bytes.
pub(crate) const EMBEDDED_BYTES_MAX: usize = 44;
/// How much of a string takes as long to free as a piece of another value: its pages go back one by one. Bytes.
const STRING_PART_BYTES: usize = 16 * 1024;

/// From this size on a string is shared by the replies that give it, bytes.
const SHARED_BYTES_MIN: usize = crate::limits::SHARED_BULK_BYTES_MIN;
/// What a pending entry, a consumer or a message of a producer is taken to have, bytes.
const RECORD_BYTES: usize = 64;

/// The longest string in place, bytes: what fits beside the two words of one on the heap.
const SHORT_BYTES_MAX: usize = 22;
/// The least room of a string that was changed in place, bytes.
const GROWING_BYTES_MIN: usize = 8;

const _: () = assert!(size_of::<StringValue>() == 24);
const _: () = assert!(size_of::<Value>() == 32);

/// A string, in the form Redis would choose. A short one lies in the entry of its key: no memory of its own, and no cache
/// line more to read.
#[derive(Clone, Debug)]
pub(crate) enum StringValue {
    /// A canonical 64-bit integer (`int`).
    Integer(i64),
    /// Few bytes as they were set (`embstr`).
    Short {
        /// How many.
        len: u8,
        /// They, and bytes without meaning behind them.
        bytes: [u8; SHORT_BYTES_MAX],
    },
    /// More bytes as they were set (`embstr` up to 44 bytes, else `raw`).
    Fixed(Box<[u8]>),
    /// Bytes that were changed in place (`raw`).
    Growing {
        /// How many.
        len: u32,
        /// They, and zeros behind them.
        room: Box<[u8]>,
    },
    /// Many bytes, whether changed or not (`raw`).
    Large(LargeString),
}

/// A long string. A reply that is being sent has a share of it; a change meanwhile copies it.
#[derive(Clone, Debug)]
#[allow(
    clippy::rc_buffer,
    reason = "it grows in place while nobody shares it, which an Arc<[u8]> does not"
)]
pub(crate) struct LargeString(Arc<Vec<u8>>);

impl AsRef<[u8]> for LargeString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl LargeString {
    /// The same bytes, for a reply. O(1).
    pub(crate) fn share(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }
}

impl StringValue {
    /// The form Redis gives a value that is set: an integer when the text is one, else bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match parse_canonical_integer(bytes) {
            Some(value) => Self::Integer(value),
            None if bytes.len() >= SHARED_BYTES_MIN => {
                Self::Large(LargeString(Arc::new(bytes.to_vec())))
            }
            None => Self::text(bytes),
        }
    }

    /// Bytes, though they may look like an integer.
    pub(crate) fn text(bytes: &[u8]) -> Self {
        let len = bytes.len();
        if len > SHORT_BYTES_MAX {
            return Self::Fixed(bytes.into());
        }
        let mut short = [0; SHORT_BYTES_MAX];
        short[..len].copy_from_slice(bytes);
        Self::Short {
            len: len as u8,
            bytes: short,
        }
    }

    /// Bytes in the form of those that were changed in place (`raw`); they become the string's room.
    pub(crate) fn raw(bytes: Vec<u8>) -> Self {
        if bytes.len() >= SHARED_BYTES_MIN {
            return Self::Large(LargeString(Arc::new(bytes)));
        }
        Self::Growing {
            len: bytes.len() as u32,
            room: bytes.into_boxed_slice(),
        }
    }

    /// Puts a text in the place of another of the same length, in the room it has; false when that is not possible.
    pub(crate) fn replace(&mut self, text: &[u8]) -> bool {
        let old = match self {
            Self::Short { len, bytes } => &mut bytes[..usize::from(*len)],
            Self::Fixed(old) => old,
            Self::Integer(_) | Self::Growing { .. } | Self::Large(_) => return false,
        };
        let fits = old.len() == text.len() && parse_canonical_integer(text).is_none();
        if fits {
            old.copy_from_slice(text);
        }
        fits
    }

    /// Length of the text, bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes(&mut [0; 20]).len()
    }

    /// The text; an integer is formatted into `scratch`.
    pub(crate) fn bytes<'a>(&'a self, scratch: &'a mut [u8; 20]) -> &'a [u8] {
        match (self, self.text_bytes()) {
            (Self::Integer(value), _) => crate::resp::reply::format_integer(*value, scratch),
            (_, text) => text.unwrap_or_default(),
        }
    }

    /// The text, unless it is stored as an integer.
    pub(crate) fn text_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Integer(_) => None,
            Self::Short { len, bytes } => Some(&bytes[..usize::from(*len)]),
            Self::Fixed(bytes) => Some(bytes),
            Self::Growing { len, room } => Some(&room[..*len as usize]),
            Self::Large(large) => Some(large.as_ref()),
        }
    }

    /// Writes a text over the bytes from `offset` on, zeros before it where there is nothing yet; from then on `raw`.
    /// Amortised O(text), and O(string) when it was not changed in place before.
    pub(crate) fn write_at(&mut self, offset: usize, text: &[u8]) {
        let end = offset + text.len();
        let bytes = self.bytes_mut(end);
        bytes[offset..end].copy_from_slice(text);
    }

    /// The bytes to change in place, `len_min` of them or more: zeros where there is nothing yet; from then on `raw`. Costs as
    /// [`StringValue::write_at`].
    pub(crate) fn bytes_mut(&mut self, len_min: usize) -> &mut [u8] {
        let len = self.len().max(len_min);
        let has_room = match self {
            Self::Growing { room, .. } => len <= room.len(),
            Self::Large(_) => true,
            Self::Integer(_) | Self::Short { .. } | Self::Fixed(_) => false,
        };
        if !has_room {
            let mut scratch = [0; 20];
            let old = self.bytes(&mut scratch);
            let room_bytes = len.max(2 * old.len()).max(GROWING_BYTES_MIN);
            *self = if len >= SHARED_BYTES_MIN {
                Self::Large(LargeString(Arc::new(with_zeros(old, len, room_bytes))))
            } else {
                let mut room = vec![0; room_bytes.min(SHARED_BYTES_MIN)].into_boxed_slice();
                room[..old.len()].copy_from_slice(old);
                Self::Growing { len: 0, room }
            };
        }
        match self {
            Self::Growing { len: at, room } => {
                *at = len as u32;
                &mut room[..len]
            }
            Self::Large(large) => {
                if len > 2 * large.0.len() {
                    large.0 = Arc::new(with_zeros(&large.0, len, len));
                }
                let bytes = Arc::make_mut(&mut large.0);
                bytes.resize(len, 0);
                bytes
            }
            Self::Integer(_) | Self::Short { .. } | Self::Fixed(_) => {
                unreachable!("made growing above")
            }
        }
    }

    /// `int`, `embstr` or `raw`.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int",
            Self::Short { .. } => "embstr",
            Self::Fixed(bytes) if bytes.len() <= EMBEDDED_BYTES_MAX => "embstr",
            Self::Fixed(_) | Self::Growing { .. } | Self::Large(_) => "raw",
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Short { .. } => 0,
            Self::Fixed(bytes) => bytes.len(),
            Self::Growing { room, .. } => room.len(),
            Self::Large(large) => large.0.capacity(),
        }
    }
}

/// A longer copy with zeros at its end, and room for more. Many zeros come from the system as they are: no page is touched.
fn with_zeros(bytes: &[u8], len: usize, room_bytes: usize) -> Vec<u8> {
    if len > 2 * bytes.len() {
        let mut longer = vec![0; len];
        longer[..bytes.len()].copy_from_slice(bytes);
        return longer;
    }
    let mut longer = Vec::with_capacity(room_bytes);
    longer.extend_from_slice(bytes);
    longer
}

/// The integer a text stands for, when the text is exactly how that integer is printed. Source: `string2ll` of Redis.
pub(crate) fn parse_canonical_integer(bytes: &[u8]) -> Option<i64> {
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
pub(crate) enum Value {
    /// `string`
    String(StringValue),
    /// `list`; in place, since most are short queues.
    List(List),
    /// `set`
    Set(Set),
    /// `zset`
    SortedSet(SortedSet),
    /// `hash`
    Hash(Hash),
    /// `stream`
    Stream(Box<Stream>),
}

/// The types, as TYPE names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// `string`
    String,
    /// `list`
    List,
    /// `set`
    Set,
    /// `zset`
    SortedSet,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
}

impl ValueType {
    /// The name that TYPE replies.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::String(string) => string.fmt(f),
            Self::List(_) | Self::Set(_) | Self::SortedSet(_) | Self::Hash(_) | Self::Stream(_) => {
                f.write_str(self.value_type().name())
            }
        }
    }
}

impl Value {
    /// Its type.
    pub(crate) fn value_type(&self) -> ValueType {
        match self {
            Self::String(_) => ValueType::String,
            Self::List(_) => ValueType::List,
            Self::Set(_) => ValueType::Set,
            Self::SortedSet(_) => ValueType::SortedSet,
            Self::Hash(_) => ValueType::Hash,
            Self::Stream(_) => ValueType::Stream,
        }
    }

    /// Its elements, if they are such as may end by themselves.
    pub(crate) fn ending(&self) -> Option<&dyn EndingElements> {
        match self {
            Self::Hash(hash) => Some(hash),
            Self::Set(set) => Some(set),
            Self::String(_) | Self::List(_) | Self::SortedSet(_) | Self::Stream(_) => None,
        }
    }

    /// Whether an element of it has ended.
    pub(crate) fn elements_have_ended(&self, now_ms: u64) -> bool {
        let next_ms = self.ending().and_then(EndingElements::next_end_ms);
        next_ms.is_some_and(|ms| ms < now_ms)
    }

    /// Whether all that it holds has ended: there is no such key any more.
    pub(crate) fn has_ended(&self, now_ms: u64) -> bool {
        let elements = self.ending().filter(|_| self.elements_have_ended(now_ms));
        elements.is_some_and(|elements| elements.ended_count(now_ms) == elements.len())
    }

    /// As [`Value::ending`], to change them.
    pub(crate) fn ending_mut(&mut self) -> Option<&mut dyn EndingElements> {
        match self {
            Self::Hash(hash) => Some(hash),
            Self::Set(set) => Some(set),
            Self::String(_) | Self::List(_) | Self::SortedSet(_) | Self::Stream(_) => None,
        }
    }

    /// What OBJECT ENCODING replies.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::String(string) => string.encoding(),
            Self::List(list) => list.encoding(),
            Self::Set(set) => set.encoding(),
            Self::SortedSet(set) => set.encoding(),
            Self::Hash(hash) => hash.encoding(),
            Self::Stream(_) => "stream",
        }
    }

    /// How many pieces of memory it is made of, roughly: what it costs to free. O(groups of a stream).
    pub(crate) fn part_count(&self) -> usize {
        match self {
            Self::String(string) => string.heap_bytes() / STRING_PART_BYTES,
            Self::List(list) => list.chunk_count(),
            Self::Set(set) => set.part_count(),
            Self::SortedSet(set) => set.part_count(),
            Self::Hash(hash) => hash.part_count(),
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
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::String(string) => string.heap_bytes(),
            Self::List(list) => list.heap_bytes(),
            Self::Set(set) => set.heap_bytes(),
            Self::SortedSet(set) => set.heap_bytes(),
            Self::Hash(hash) => hash.heap_bytes(),
            Self::Stream(stream) => size_of::<Stream>() + stream.heap_bytes(),
        }
    }

    /// As [`Value::heap_bytes`], about: of many pieces a few are looked at. O(groups of a stream).
    pub(crate) fn estimated_bytes(&self) -> usize {
        match self {
            Self::String(string) => string.heap_bytes(),
            Self::List(list) => list.estimated_bytes(),
            Self::Set(set) => set.estimated_bytes(),
            Self::SortedSet(set) => set.estimated_bytes(),
            Self::Hash(hash) => hash.estimated_bytes(),
            Self::Stream(stream) => {
                let groups = stream.groups().map(|(_, group)| group);
                let records = groups.map(|group| group.consumer_count() + group.pending().len());
                let records = records.sum::<usize>() + stream.idempotency().part_count();
                stream.log().estimated_bytes() + records * RECORD_BYTES
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::list::{End, ListLimits};
    use crate::data::listpack::PackLimits;
    use crate::data::set::SetLimits;

    #[test]
    fn the_bytes_of_a_big_value_are_known_about() {
        let (mut list, limits) = (List::default(), ListLimits::default());
        let (mut set, set_limits) = (
            Set::Large(Box::default()),
            SetLimits {
                integer_count_max: 0,
                pack: PackLimits {
                    entry_count_max: 0,
                    text_bytes_max: 0,
                },
            },
        );
        for n in 0..100_000_usize {
            let text = format!("{n:0width$}", width = 10 + n % 100);
            list.before_adding(text.len(), 1, &limits);
            list.push(End::Back, text.as_bytes(), &limits);
            set.add(text.as_bytes(), &set_limits);
        }
        for value in [Value::List(list), Value::Set(set)] {
            let (exact, about) = (value.heap_bytes(), value.estimated_bytes());
            assert!(exact > 3_000_000);
            let error = about.abs_diff(exact);
            // The pieces that are looked at lie elsewhere each time: their hashes begin anew.
            assert!(error < exact / 8, "{value:?}: {about}, not {exact}");
        }
    }

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

    fn text_of(string: &StringValue) -> Vec<u8> {
        string.bytes(&mut [0; 20]).to_vec()
    }

    #[test]
    fn a_string_has_the_bytes_it_was_made_from() {
        for len in 0..100 {
            let text = vec![b'x'; len];
            let string = StringValue::new(&text);
            assert_eq!(text_of(&string), text);
            assert_eq!(string.len(), len);
            assert_eq!(string.heap_bytes() == 0, len <= SHORT_BYTES_MAX);
            assert_eq!(string.encoding() == "embstr", len <= EMBEDDED_BYTES_MAX);
        }
    }

    #[test]
    fn a_string_is_replaced_in_its_room_only_where_its_form_stays() {
        for more in ["", "and many bytes more than fit in place"] {
            let with = |text: &str| [text, more].concat().into_bytes();
            let mut string = StringValue::new(&with("abc"));
            assert!(string.replace(&with("xyz")));
            for other in ["ab", "abcd"] {
                assert!(!string.replace(&with(other)));
                assert_eq!(text_of(&string), with("xyz"));
            }
            assert!(string.replace(&with("012")));
        }
        let mut string = StringValue::new(b"abc");
        for other in ["123", "-12", ""] {
            assert!(!string.replace(other.as_bytes()));
        }
        assert!(!StringValue::Integer(123).replace(b"abc"));
        string.write_at(0, b"x");
        assert!(!string.replace(b"xyz"));
    }

    #[test]
    fn a_string_changed_in_place_has_what_a_vector_would_have() {
        let firsts = ["", "12", "abc", "as many bytes as do not fit in place"];
        for first in firsts.map(str::as_bytes) {
            let (mut string, mut twin) = (StringValue::new(first), first.to_vec());
            for step in 0..200 {
                let text = vec![b'a' + (step % 26) as u8; step * step % 701];
                let offset = match step % 3 {
                    0 => twin.len(),
                    1 => twin.len() / 2,
                    _ => twin.len() + step,
                };
                let end = offset + text.len();
                twin.resize(twin.len().max(end), 0);
                twin[offset..end].copy_from_slice(&text);
                string.write_at(offset, &text);
                assert_eq!(text_of(&string), twin);
                assert_eq!(string.encoding(), "raw");
                assert!(string.heap_bytes() <= 2 * twin.len().max(GROWING_BYTES_MIN));
            }
            assert!(matches!(string, StringValue::Large(_)));
        }
    }
}
