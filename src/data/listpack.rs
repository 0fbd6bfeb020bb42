//! A sequence of byte strings and integers packed into one allocation, in Redis' own listpack layout.
//!
//! ```text
//! | total bytes u32 LE | element count u16 LE | entry | entry | … | 0xFF |
//!
//! entry = | encoding + payload | backlen |
//!
//!   0xxxxxxx                      integer 0..=127
//!   10llllll  bytes               string of up to 63 bytes
//!   110xxxxx  xxxxxxxx            integer of 13 bits, two's complement, big end first
//!   1110llll  llllllll  bytes     string of up to 4095 bytes
//!   0xF0  u32 LE  bytes           longer string
//!   0xF1 / F2 / F3 / F4           integer of 16 / 24 / 32 / 64 bits, little end first
//! ```
//!
//! The backlen is the length of encoding and payload in groups of seven bits, written so that it can be read
//! from its last byte backwards: this is how the pack is walked from its end. An element count of 65535 means
//! "count them". Source: the listpack specification that Redis points to (antirez/listpack) and the
//! bytes Valkey writes.
//!
//! Invariants: the buffer is always a whole, valid listpack, so [`Listpack::bytes`] is a copy-free serialisation.
//! A string pushed here that is the canonical decimal form of an `i64` is stored as an integer (bytes taken over may differ; comparisons do not care).
//!
//! Lists and streams keep entries in buffers of their own and change them there (`entry.rs`). A [`Listpack`] is the small form of
//! hashes, sets and sorted sets (`edit.rs`), and the judge of such bytes, for tests and fuzzing: it looks at every entry and
//! reads from both ends. It knows no size limits.

mod edit;
mod entry;
mod foreign;

pub(crate) use edit::PackLimits;
pub(crate) use entry::{Element, IntegerText, integer_text, parse_integer};
pub(crate) use entry::{Entry, decode, entry_before, entry_length};
use entry::{backlen, body_length};

/// Bytes before the first entry.
pub(crate) const HEADER_BYTES: usize = 6;
/// The byte after the last entry.
const TERMINATOR: u8 = 0xFF;
/// The element count that stands for "count them".
const COUNT_UNKNOWN: u16 = u16::MAX;
/// Largest pack that may be built, bytes: far enough from the u32 in the header (Redis stops here too).
pub(crate) const LISTPACK_BYTES_MAX: usize = 1 << 30;

/// Why bytes are not a listpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorruptListpack {
    /// The header does not fit the length of the bytes.
    Header,
    /// An entry is malformed or leaves the pack.
    Entry {
        /// Offset of the entry.
        at: usize,
    },
    /// The header counts other elements than there are.
    Count,
    /// The last field has no value.
    Uneven,
    /// A field or member is there twice.
    Twice,
}

/// A packed sequence in Redis' layout. See the module's head.
#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    buffer: Vec<u8>,
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Listpack {
    /// An empty pack.
    #[must_use]
    pub fn new() -> Self {
        let buffer = vec![HEADER_BYTES as u8 + 1, 0, 0, 0, 0, 0, TERMINATOR];
        Listpack { buffer }
    }

    /// Takes over bytes that came from elsewhere, after looking at every entry. O(n).
    ///
    /// # Errors
    /// [`CorruptListpack`] when the bytes are not exactly one listpack.
    pub fn from_bytes(buffer: Vec<u8>) -> Result<Self, CorruptListpack> {
        let total = buffer
            .first_chunk::<4>()
            .map(|b| u32::from_le_bytes(*b) as usize);
        if total != Some(buffer.len())
            || buffer.len() < HEADER_BYTES + 1
            || buffer.last() != Some(&TERMINATOR)
        {
            return Err(CorruptListpack::Header);
        }
        let end = buffer.len() - 1;
        let (mut at, mut count) = (HEADER_BYTES, 0usize);
        while at < end {
            let body = body_length(&buffer, at).ok_or(CorruptListpack::Entry { at })?;
            let (expected, length) = backlen(body);
            if buffer.get(at + body..at + body + length) != Some(&expected[..length])
                || at + body + length > end
            {
                return Err(CorruptListpack::Entry { at });
            }
            at += body + length;
            count += 1;
        }
        let pack = Listpack { buffer };
        let counted = pack.counted();
        if counted != COUNT_UNKNOWN && usize::from(counted) != count {
            return Err(CorruptListpack::Count);
        }
        Ok(pack)
    }

    /// The whole pack as Redis stores it: header, entries, terminator.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Appends an element. Amortised O(length of the element).
    ///
    /// # Panics
    /// When the pack would pass [`LISTPACK_BYTES_MAX`].
    pub fn push_back(&mut self, bytes: &[u8]) {
        let entry = Entry::new(bytes);
        self.buffer.reserve(entry.length());
        self.buffer.truncate(self.end());
        entry.append_to(&mut self.buffer);
        self.buffer.push(TERMINATOR);
        self.write_header();
    }

    /// The position behind the last element.
    #[must_use]
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.buffer.len() - 1
    }

    /// Elements from the first to the last, or with `rev()` backwards.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            buffer: &self.buffer,
            front: HEADER_BYTES,
            back: self.end(),
        }
    }

    fn counted(&self) -> u16 {
        u16::from_le_bytes([self.buffer[4], self.buffer[5]])
    }

    /// The header after one more element.
    fn write_header(&mut self) {
        let total = self.buffer.len();
        assert!(total <= LISTPACK_BYTES_MAX, "a listpack passed its limit");
        self.buffer[..4].copy_from_slice(&(total as u32).to_le_bytes());
        // Once unknown it stays so: Redis leaves it to whoever counts.
        let counted = self.counted().saturating_add(1);
        self.buffer[4..6].copy_from_slice(&counted.to_le_bytes());
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterator over the elements of a pack, from both ends.
#[derive(Clone)]
pub struct Iter<'a> {
    buffer: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (element, length) = decode(self.buffer, self.front);
        self.front += length;
        Some(element)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = entry_before(self.buffer, self.back);
        Some(decode(self.buffer, self.back).0)
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
