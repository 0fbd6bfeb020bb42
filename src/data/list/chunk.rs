//! A chunk of a list: packed entries with room at both ends.
//!
//! ```text
//! buffer  | gap … | entry | entry | … |            entries in the listpack encoding, no header, no terminator
//!           start ┘                    └ buffer.len()
//! ```
//! Queues push at one end and pop at the other: neither moves the entries in between. The gap is used up before
//! anything is moved, and each move makes room in proportion to the buffer, so that both ends are O(1) amortised.
//!
//! Invariant: `count` entries lie in `buffer[start..]`, nothing else. Sizes are those of the listpack that would hold
//! the entries, because Redis' limits speak of it. Not here: the limits.

use crate::data::listpack::{Element, Entry, HEADER_BYTES, decode, entry_before, entry_length};

/// Header and terminator of the listpack that would hold the entries.
const FRAME_BYTES: usize = HEADER_BYTES + 1;
/// Buffers grow by doubling up to here, then by this much: the chunk limits end at 64 KB.
const GROWTH_BYTES_MAX: usize = 32 * 1024;

/// Packed entries. See the module's head.
#[derive(Clone, Default)]
pub(super) struct Packed {
    buffer: Vec<u8>,
    start: u32,
    count: u32,
}

impl Packed {
    /// A chunk with one entry and no room to spare: most lists of one element are queues that never grow.
    pub(super) fn one(entry: &Entry<'_>) -> Self {
        let mut buffer = Vec::with_capacity(entry.length());
        entry.append_to(&mut buffer);
        Packed {
            buffer,
            start: 0,
            count: 1,
        }
    }

    /// The entries of a listpack, `count` of them, without room to spare.
    pub(super) fn of_listpack(listpack: &[u8], count: usize) -> Self {
        Packed {
            buffer: listpack[HEADER_BYTES..listpack.len() - 1].to_vec(),
            start: 0,
            count: count as u32,
        }
    }

    /// The entries, without header and terminator.
    pub(super) fn entries(&self) -> &[u8] {
        &self.buffer[self.first()..]
    }

    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the listpack that would hold the entries.
    pub(super) fn listpack_bytes(&self) -> usize {
        FRAME_BYTES + self.live_bytes()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn live_bytes(&self) -> usize {
        self.buffer.len() - self.start as usize
    }

    /// Offset of the first entry.
    pub(super) fn first(&self) -> usize {
        self.start as usize
    }

    /// Offset behind the last entry.
    pub(super) fn end(&self) -> usize {
        self.buffer.len()
    }

    /// The element at an offset and the offset behind it.
    #[inline]
    pub(super) fn read(&self, at: usize) -> (Element<'_>, usize) {
        let (element, length) = decode(&self.buffer, at);
        (element, at + length)
    }

    /// The element that ends before an offset, and where it begins.
    #[inline]
    pub(super) fn read_back(&self, end: usize) -> (Element<'_>, usize) {
        let at = entry_before(&self.buffer, end);
        (decode(&self.buffer, at).0, at)
    }

    /// Offset of the entry with this index (the end for `count`), from the nearer end.
    pub(super) fn seek(&self, index: usize) -> usize {
        debug_assert!(index <= self.count());
        if index <= self.count() / 2 {
            let mut at = self.first();
            for _ in 0..index {
                at += entry_length(&self.buffer, at);
            }
            at
        } else {
            let mut at = self.end();
            for _ in index..self.count() {
                at = entry_before(&self.buffer, at);
            }
            at
        }
    }

    #[inline]
    pub(super) fn push_back(&mut self, entry: &Entry<'_>) {
        let length = entry.length();
        if self.buffer.capacity() - self.buffer.len() < length {
            self.make_room_behind(length);
        }
        entry.append_to(&mut self.buffer);
        self.count += 1;
    }

    #[inline]
    pub(super) fn push_front(&mut self, entry: &Entry<'_>) {
        let length = entry.length();
        if self.first() < length {
            self.make_room_in_front(length);
        }
        let start = self.first() - length;
        entry.write_over(&mut self.buffer[start..start + length]);
        self.start = start as u32;
        self.count += 1;
    }

    #[inline]
    pub(super) fn pop_front(&mut self) {
        debug_assert!(self.count > 0);
        self.start += entry_length(&self.buffer, self.first()) as u32;
        self.count -= 1;
    }

    #[inline]
    pub(super) fn pop_back(&mut self) {
        debug_assert!(self.count > 0);
        self.buffer
            .truncate(entry_before(&self.buffer, self.buffer.len()));
        self.count -= 1;
    }

    /// Puts an entry before the one at `at` (or last, at the end).
    pub(super) fn insert(&mut self, at: usize, entry: &Entry<'_>) {
        self.splice(at, 0, Some(entry));
        self.count += 1;
    }

    /// Replaces the entry at `at`.
    pub(super) fn replace(&mut self, at: usize, entry: &Entry<'_>) {
        self.splice(at, entry_length(&self.buffer, at), Some(entry));
    }

    /// Removes `count` entries from index `index` on.
    pub(super) fn remove_range(&mut self, index: usize, count: usize) {
        let from = self.seek(index);
        let to = self.seek(index + count);
        if to == self.end() {
            self.buffer.truncate(from);
        } else if from == self.first() {
            self.start = to as u32;
        } else {
            self.splice(from, to - from, None);
        }
        self.count -= count as u32;
    }

    /// Takes the entries from index `index` on into a chunk of their own.
    pub(super) fn split_off(&mut self, index: usize) -> Packed {
        let at = self.seek(index);
        let tail = Packed {
            buffer: self.buffer[at..].to_vec(),
            start: 0,
            count: self.count - index as u32,
        };
        self.buffer.truncate(at);
        self.count = index as u32;
        tail
    }

    /// Appends the entries of another chunk.
    pub(super) fn append(&mut self, other: &Packed) {
        self.buffer
            .extend_from_slice(&other.buffer[other.first()..]);
        self.count += other.count;
    }

    /// Offset of the first (or with `back` last) entry equal to `wanted`.
    pub(super) fn contains(&self, wanted: Element<'_>) -> bool {
        let mut at = self.first();
        while at < self.end() {
            let (element, next) = self.read(at);
            if element == wanted {
                return true;
            }
            at = next;
        }
        false
    }

    /// Removes up to `limit` entries equal to `wanted`, the first or with `from_back` the last ones; returns how many.
    pub(super) fn remove_equal(
        &mut self,
        wanted: Element<'_>,
        limit: usize,
        from_back: bool,
    ) -> usize {
        let mut found = Vec::new();
        let mut at = self.first();
        while at < self.end() && (from_back || found.len() < limit) {
            let (element, next) = self.read(at);
            if element == wanted {
                found.push((at, next));
            }
            at = next;
        }
        let surplus = found.len().saturating_sub(limit);
        let gone = &found[surplus..];
        let mut kept = Vec::with_capacity(self.live_bytes());
        let mut from = self.first();
        for (at, next) in gone {
            kept.extend_from_slice(&self.buffer[from..*at]);
            from = *next;
        }
        kept.extend_from_slice(&self.buffer[from..]);
        let removed = gone.len();
        *self = Packed {
            buffer: kept,
            start: 0,
            count: self.count - removed as u32,
        };
        removed
    }

    /// Gives back all room to spare: for a chunk that is not at an end of its list.
    pub(super) fn shrink(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start as usize);
            self.start = 0;
        }
        self.buffer.shrink_to_fit();
    }

    fn splice(&mut self, at: usize, old: usize, entry: Option<&Entry<'_>>) {
        let new = entry.map_or(0, Entry::length);
        let (tail, end) = (at + old, self.buffer.len());
        if new > old {
            self.buffer.resize(end + new - old, 0);
        }
        self.buffer.copy_within(tail..end, at + new);
        self.buffer.truncate(end + new - old);
        if let Some(entry) = entry {
            entry.write_over(&mut self.buffer[at..at + new]);
        }
    }

    /// The capacity of a buffer that must hold `needed` bytes: the present one while half of it is free.
    fn next_capacity(&self, needed: usize) -> usize {
        let capacity = self.buffer.capacity();
        if needed <= capacity / 2 {
            capacity
        } else {
            needed + needed.min(GROWTH_BYTES_MAX)
        }
    }

    #[cold]
    fn make_room_behind(&mut self, length: usize) {
        let live = self.live_bytes();
        let capacity = self.next_capacity(live + length);
        if capacity > self.buffer.capacity() {
            let mut buffer = Vec::with_capacity(capacity);
            buffer.extend_from_slice(&self.buffer[self.start as usize..]);
            self.buffer = buffer;
        } else {
            self.buffer.copy_within(self.start as usize.., 0);
            self.buffer.truncate(live);
        }
        self.start = 0;
    }

    #[cold]
    fn make_room_in_front(&mut self, length: usize) {
        let live = self.live_bytes();
        let capacity = self.next_capacity(live + length);
        let start = capacity - live;
        if capacity > self.buffer.capacity() {
            let mut buffer = Vec::with_capacity(capacity);
            buffer.resize(start, 0);
            buffer.extend_from_slice(&self.buffer[self.start as usize..]);
            self.buffer = buffer;
        } else {
            let (from, end) = (self.start as usize, self.buffer.len());
            self.buffer.resize(capacity, 0);
            self.buffer.copy_within(from..end, start);
        }
        self.start = start as u32;
    }
}
