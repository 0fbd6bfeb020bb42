//! A segment of the key table: entries side by side, and an index to find one by its hash.
//!
//! ```text
//! entries  | a | b | c | d | … |           no gaps: what is removed is replaced by the last
//! index    |   | 2 |   | 0 | 3 |   | 1 |   places in `entries`, by hash
//! ```
//! The index wastes room, as hash tables do, but a place is two bytes; the entries, which are large, grow by an eighth. So
//! an entry costs about the same whether the segment has just split or is about to.
//!
//! Invariant: the index has each place in `entries` once. Not here: how the hash of a key is made.

use hashbrown::HashTable;

use super::table::Entry;

/// Fewest entries that room is made for.
const ROOM_MIN: usize = 4;

/// The bits that the index looks at: the top ones of a hash are the same in all of a segment.
fn inner(hash: u64) -> u64 {
    hash.rotate_left(32)
}

/// Entries whose hashes begin with the same bits.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// How many bits they share.
    pub(super) depth: u32,
    /// Those bits.
    pub(super) prefix: u32,
    entries: Vec<Entry>,
    index: HashTable<u16>,
}

impl Segment {
    /// An empty segment with room for so many entries.
    pub(super) fn with_room(depth: u32, prefix: u32, room: usize) -> Self {
        Self {
            depth,
            prefix,
            entries: Vec::with_capacity(room),
            index: HashTable::with_capacity(room),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn get(&self, place: u16) -> Option<&Entry> {
        self.entries.get(usize::from(place))
    }

    pub(super) fn get_mut(&mut self, place: u16) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(place))
    }

    /// The place of an entry with this hash. O(1). Others may be asked about too: `is_it` decides.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<u16> {
        let is_at = |place: &u16| is_it(&self.entries[usize::from(*place)]);
        self.index.find(inner(hash), is_at).copied()
    }

    /// Adds an entry that is not there; gives its place. `hash_of` is asked when the index grows.
    ///
    /// # Panics
    /// When there are 65,536 already: so many hashes do not begin with the same bits.
    pub(super) fn push(&mut self, hash: u64, entry: Entry, hash_of: impl Fn(&Entry) -> u64) -> u16 {
        let len = self.entries.len();
        let Ok(place) = u16::try_from(len) else {
            unreachable!("a segment of {len} entries");
        };
        if len == self.entries.capacity() {
            self.entries.reserve_exact(ROOM_MIN.max(len / 8));
        }
        self.entries.push(entry);
        let entries = &self.entries;
        self.index.insert_unique(inner(hash), place, |place| {
            inner(hash_of(&entries[usize::from(*place)]))
        });
        place
    }

    /// Takes an entry out; the last takes its place. Gives room back when most of it is unused. O(1) amortised.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        is_it: impl Fn(&Entry) -> bool,
        hash_of: impl Fn(&Entry) -> u64,
    ) -> Option<Entry> {
        let entries = &self.entries;
        let is_at = |place: &u16| is_it(&entries[usize::from(*place)]);
        let found = self.index.find_entry(inner(hash), is_at).ok()?;
        let (place, _) = found.remove();
        let entry = self.entries.swap_remove(usize::from(place));
        let last = self.entries.len() as u16;
        if place != last {
            let hash = inner(hash_of(&self.entries[usize::from(place)]));
            match self.index.find_mut(hash, |other| *other == last) {
                Some(other) => *other = place,
                None => unreachable!("an entry that is not in the index"),
            }
        }
        self.shrink(hash_of);
        Some(entry)
    }

    fn shrink(&mut self, hash_of: impl Fn(&Entry) -> u64) {
        let len = self.entries.len();
        if self.entries.capacity() > 2 * len + 2 * ROOM_MIN {
            self.entries.shrink_to(len + len / 8);
            let entries = &self.entries;
            self.index
                .shrink_to(len, |place| inner(hash_of(&entries[usize::from(*place)])));
        }
    }

    /// Takes all entries out.
    pub(super) fn take_entries(&mut self) -> Vec<Entry> {
        self.index = HashTable::new();
        std::mem::take(&mut self.entries)
    }

    /// Bytes on the heap, but not what entries point to.
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.index.allocation_size()
    }
}
