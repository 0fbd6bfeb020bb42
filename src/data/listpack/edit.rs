//! Changes inside a pack: the small forms of hashes, sets and sorted sets.
//!
//! Positions are offsets of entries, as [`Listpack::first`], [`Listpack::next`] and [`Listpack::find`] give them; each change moves
//! what lies behind it. All are O(bytes of the pack).

use super::entry::{Element, Entry, decode, entry_before, entry_length};
use super::{COUNT_UNKNOWN, HEADER_BYTES, Iter, LISTPACK_BYTES_MAX, Listpack, TERMINATOR};

/// Up to which size a value stays in its small form: settings like `hash-max-listpack-entries` and `-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackLimits {
    /// Most fields or members.
    pub(crate) entry_count_max: usize,
    /// The longest text among them, bytes.
    pub(crate) text_bytes_max: usize,
}

/// A pack with no more room than this keeps it, bytes.
const SPARE_BYTES_MIN: usize = 128;

impl Listpack {
    /// How many elements there are. O(1) up to 65,534 of them.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match self.counted() {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether texts of so many bytes may still be added: with their heads and tails, which a few elements have.
    #[must_use]
    pub(crate) fn has_room_for(&self, text_bytes: usize) -> bool {
        const HEADS_AND_TAILS: usize = 64;
        let bytes = self.buffer.len().saturating_add(text_bytes);
        bytes.saturating_add(HEADS_AND_TAILS) <= LISTPACK_BYTES_MAX
    }

    /// Position of the first element; [`Listpack::end`] when there is none.
    #[must_use]
    #[inline]
    pub(crate) fn first(&self) -> usize {
        HEADER_BYTES
    }

    /// The position behind the element at this one.
    #[must_use]
    #[inline]
    pub(crate) fn next(&self, at: usize) -> usize {
        at + entry_length(&self.buffer, at)
    }

    /// The position of the element in front of this one.
    #[must_use]
    pub(crate) fn before(&self, at: usize) -> usize {
        entry_before(&self.buffer, at)
    }

    /// The element at a position.
    #[must_use]
    #[inline]
    pub(crate) fn at(&self, at: usize) -> Element<'_> {
        decode(&self.buffer, at).0
    }

    /// Position of the element with this index, from the nearer end; the end for an index behind the last.
    #[must_use]
    pub(crate) fn seek(&self, index: usize) -> usize {
        let count = self.len();
        if index >= count {
            return self.end();
        }
        if index <= count / 2 {
            (0..index).fold(self.first(), |at, _| self.next(at))
        } else {
            (index..count).fold(self.end(), |at, _| self.before(at))
        }
    }

    /// Elements from one position on up to another, from both ends.
    #[must_use]
    pub(crate) fn iter_between(&self, from: usize, to: usize) -> Iter<'_> {
        Iter {
            buffer: &self.buffer,
            front: from,
            back: to,
        }
    }

    /// Position of the first element equal to `text` among every `step`-th from the first on.
    #[must_use]
    #[inline]
    pub(crate) fn find(&self, text: &[u8], step: usize) -> Option<usize> {
        if text.len() > LISTPACK_BYTES_MAX {
            // Longer than any element.
            return None;
        }
        let wanted = Entry::new(text);
        let end = self.end();
        let mut at = self.first();
        while at < end {
            if wanted.is_at(&self.buffer, at) {
                return Some(at);
            }
            for _ in 0..step {
                at = self.next(at);
            }
        }
        None
    }

    /// Puts elements in front of the one at `at`, or behind the last.
    ///
    /// # Panics
    /// When the pack would pass [`LISTPACK_BYTES_MAX`].
    pub(crate) fn insert(&mut self, at: usize, texts: &[&[u8]]) {
        let mut next = at;
        for text in texts {
            let entry = Entry::new(text);
            self.splice(next, 0, Some(&entry));
            next += entry.length();
        }
        self.count_changed(texts.len() as isize);
    }

    /// Puts an element in the place of the one at `at`.
    ///
    /// # Panics
    /// When the pack would pass [`LISTPACK_BYTES_MAX`].
    pub(crate) fn replace(&mut self, at: usize, text: &[u8]) {
        let old = entry_length(&self.buffer, at);
        self.splice(at, old, Some(&Entry::new(text)));
        self.count_changed(0);
    }

    /// Removes the elements from `at` on, `count` of them or up to the end.
    pub(crate) fn remove(&mut self, at: usize, count: usize) {
        let (mut to, mut gone) = (at, 0);
        while gone < count && to < self.end() {
            to = self.next(to);
            gone += 1;
        }
        self.splice(at, to - at, None);
        self.count_changed(-(gone as isize));
        if self.buffer.capacity() > (2 * self.buffer.len()).max(SPARE_BYTES_MIN) {
            self.buffer.shrink_to_fit();
        }
    }

    /// Replaces `old` bytes at `at` by an entry. The buffer grows by no more than it must: most packs are never changed again.
    fn splice(&mut self, at: usize, old: usize, entry: Option<&Entry<'_>>) {
        let new = entry.map_or(0, Entry::length);
        let (tail, end) = (at + old, self.buffer.len());
        if new > old {
            self.buffer.reserve_exact(new - old);
            self.buffer.resize(end + new - old, 0);
        }
        self.buffer.copy_within(tail..end, at + new);
        self.buffer.truncate(end + new - old);
        if let Some(entry) = entry {
            entry.write_over(&mut self.buffer[at..at + new]);
        }
    }

    /// The header after a change of so many elements.
    fn count_changed(&mut self, by: isize) {
        debug_assert_eq!(self.buffer.last(), Some(&TERMINATOR));
        let total = self.buffer.len();
        assert!(total <= LISTPACK_BYTES_MAX, "a listpack passed its limit");
        let counted = match self.counted() {
            // Unknown until somebody counts; small forms never get there.
            COUNT_UNKNOWN => self.iter().count() as isize,
            count => count as isize + by,
        };
        let counted = counted.clamp(0, COUNT_UNKNOWN as isize) as u16;
        self.buffer[..4].copy_from_slice(&(total as u32).to_le_bytes());
        self.buffer[4..6].copy_from_slice(&counted.to_le_bytes());
    }
}
