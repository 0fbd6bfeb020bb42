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
//! A *position* is the offset of an entry in the buffer. Positions come from this type and stay valid until the
//! pack is changed in front of or at them.
//!
//! It knows nothing of the size limits of lists and streams, and never shrinks its allocation on its own.

mod entry;

pub(crate) use entry::{Element, parse_integer};
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
        Self::with_capacity(HEADER_BYTES + 1)
    }

    /// An empty pack whose buffer has room for `capacity_bytes` in all (header and terminator included).
    #[must_use]
    pub(crate) fn with_capacity(capacity_bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(capacity_bytes.max(HEADER_BYTES + 1));
        buffer.extend_from_slice(&[HEADER_BYTES as u8 + 1, 0, 0, 0, 0, 0, TERMINATOR]);
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

    /// Bytes of the allocation.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Number of elements. O(1) up to 65,534, O(n) above.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match self.counted() {
            COUNT_UNKNOWN => self.positions().count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no element.
    #[must_use]
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.len() == HEADER_BYTES + 1
    }

    /// Makes room for `additional_bytes` more, so that appends up to there do not reallocate.
    pub(crate) fn reserve(&mut self, additional_bytes: usize) {
        self.buffer.reserve(additional_bytes);
    }

    /// Gives back what the allocation has too much: for a pack that will not grow again.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.buffer.shrink_to_fit();
    }

    /// Bytes the entry of this element will take.
    #[must_use]
    pub(crate) fn entry_bytes(bytes: &[u8]) -> usize {
        Entry::new(bytes).length()
    }

    /// Appends an element and returns its position. Amortised O(length of the element).
    ///
    /// # Panics
    /// When the pack would pass [`LISTPACK_BYTES_MAX`] (as do all that add).
    #[inline]
    pub fn push_back(&mut self, bytes: &[u8]) -> usize {
        self.append_entry(&Entry::new(bytes))
    }

    /// Appends an integer and returns its position.
    #[inline]
    pub(crate) fn push_integer(&mut self, value: i64) -> usize {
        self.append_entry(&Entry::integer(value))
    }

    /// Puts an element first. O(bytes of the pack).
    pub(crate) fn push_front(&mut self, bytes: &[u8]) -> usize {
        self.splice(HEADER_BYTES, 0, Some(&Entry::new(bytes)), 1)
    }

    /// Puts an element before the one at `position` (or at the end, for [`Listpack::end`]); returns the new element's position.
    pub(crate) fn insert(&mut self, position: usize, bytes: &[u8]) -> usize {
        self.splice(position, 0, Some(&Entry::new(bytes)), 1)
    }

    /// Replaces the element at `position`, which stays valid.
    pub(crate) fn replace(&mut self, position: usize, bytes: &[u8]) {
        let old = entry_length(&self.buffer, position);
        self.splice(position, old, Some(&Entry::new(bytes)), 0);
    }

    /// Replaces the element at `position` by an integer; in place when the widths are equal.
    pub(crate) fn replace_integer(&mut self, position: usize, value: i64) {
        let old = entry_length(&self.buffer, position);
        self.splice(position, old, Some(&Entry::integer(value)), 0);
    }

    /// Removes the element at `position`, where its successor (or the end) is then.
    pub(crate) fn delete(&mut self, position: usize) {
        let old = entry_length(&self.buffer, position);
        self.splice(position, old, None, -1);
    }

    /// Removes up to `count` elements from `position` on; returns how many.
    pub(crate) fn delete_range(&mut self, position: usize, count: usize) -> usize {
        let (mut at, mut removed) = (position, 0);
        while removed < count && at < self.end() {
            at += entry_length(&self.buffer, at);
            removed += 1;
        }
        self.splice(position, at - position, None, -(removed as isize));
        removed
    }

    /// Removes everything and keeps the allocation.
    pub(crate) fn clear(&mut self) {
        self.buffer.truncate(HEADER_BYTES);
        self.buffer.push(TERMINATOR);
        self.set_counted(0);
        self.write_total();
    }

    /// The position behind the last element.
    #[must_use]
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.buffer.len() - 1
    }

    /// Position of the first element.
    #[must_use]
    #[inline]
    pub(crate) fn first(&self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER_BYTES)
    }

    /// Position of the last element.
    #[must_use]
    #[inline]
    pub(crate) fn last(&self) -> Option<usize> {
        (!self.is_empty()).then(|| entry_before(&self.buffer, self.end()))
    }

    /// Position of the element after the one at `position`.
    #[must_use]
    #[inline]
    pub(crate) fn next(&self, position: usize) -> Option<usize> {
        let next = position + entry_length(&self.buffer, position);
        (next < self.end()).then_some(next)
    }

    /// Position of the element before the one at `position`, which may be the end.
    #[must_use]
    #[inline]
    pub(crate) fn previous(&self, position: usize) -> Option<usize> {
        (position > HEADER_BYTES).then(|| entry_before(&self.buffer, position))
    }

    /// The element at `position`.
    ///
    /// # Panics
    /// When `position` is not one of this pack's.
    #[must_use]
    #[inline]
    pub(crate) fn get(&self, position: usize) -> Element<'_> {
        decode(&self.buffer, position).0
    }

    /// The element at `position` and the position behind it: the step of a walk that decodes each entry once.
    /// `None` at the end.
    #[must_use]
    #[inline]
    pub(crate) fn read(&self, position: usize) -> Option<(Element<'_>, usize)> {
        if position >= self.end() {
            return None;
        }
        let (element, length) = decode(&self.buffer, position);
        Some((element, position + length))
    }

    /// The position behind the element at `position`, without decoding it.
    #[must_use]
    #[inline]
    pub(crate) fn skip(&self, position: usize) -> usize {
        position + entry_length(&self.buffer, position)
    }

    /// Position of the element with this index. O(n), from the nearer end.
    #[must_use]
    pub(crate) fn seek(&self, index: usize) -> Option<usize> {
        let count = self.len();
        if index >= count {
            return None;
        }
        if index <= count / 2 {
            self.positions().nth(index)
        } else {
            let mut at = self.end();
            for _ in index..count {
                at = entry_before(&self.buffer, at);
            }
            Some(at)
        }
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

    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.first(), |at| self.next(*at))
    }

    fn counted(&self) -> u16 {
        u16::from_le_bytes([self.buffer[4], self.buffer[5]])
    }

    #[inline]
    fn set_counted(&mut self, count: u16) {
        self.buffer[4..6].copy_from_slice(&count.to_le_bytes());
    }

    #[inline]
    fn write_total(&mut self) {
        let total = self.buffer.len();
        assert!(total <= LISTPACK_BYTES_MAX, "a listpack passed its limit");
        self.buffer[..4].copy_from_slice(&(total as u32).to_le_bytes());
    }

    #[inline]
    fn append_entry(&mut self, entry: &Entry<'_>) -> usize {
        let position = self.end();
        self.buffer.reserve(entry.length());
        self.buffer.truncate(position);
        entry.append_to(&mut self.buffer);
        self.buffer.push(TERMINATOR);
        self.count_changed(1);
        self.write_total();
        position
    }

    /// Puts `entry` in the place of `old` bytes at `position`; the number of elements changes by `difference`.
    fn splice(
        &mut self,
        position: usize,
        old: usize,
        entry: Option<&Entry<'_>>,
        difference: isize,
    ) -> usize {
        debug_assert!(position >= HEADER_BYTES && position + old < self.buffer.len());
        let new = entry.map_or(0, Entry::length);
        let tail = position + old;
        let length = self.buffer.len();
        if new > old {
            self.buffer.resize(length + new - old, 0);
            self.buffer.copy_within(tail..length, position + new);
        } else if new < old {
            self.buffer.copy_within(tail..length, position + new);
            self.buffer.truncate(length - (old - new));
        }
        if let Some(entry) = entry {
            entry.write_over(&mut self.buffer[position..position + new]);
        }
        self.count_changed(difference);
        self.write_total();
        position
    }

    #[inline]
    fn count_changed(&mut self, difference: isize) {
        let counted = self.counted();
        if counted == COUNT_UNKNOWN {
            // Redis leaves it unknown until somebody counts; so may we when it has shrunk.
            if difference < 0 {
                let count = self.positions().count();
                self.set_counted(u16::try_from(count).unwrap_or(COUNT_UNKNOWN));
            }
            return;
        }
        let count = usize::from(counted).saturating_add_signed(difference);
        self.set_counted(u16::try_from(count).unwrap_or(COUNT_UNKNOWN));
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
