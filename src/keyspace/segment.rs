//! A segment of the key table: entries side by side, and an index to find one by its hash.
//!
//! ```text
//! pages  | a b c d | e f g . |            no gaps: what is removed is replaced by the last
//! index  |   | 2 |   | 0 | 3 |   | …      places in the pages, by hash
//! ```
//! The index wastes room, as hash tables do, but a place is two bytes; the entries, which are large, take a page more when
//! they need it. So an entry costs about the same whether the segment has just split or is about to. All pages have one
//! size: the room of one that goes is just right for the next that comes, in whichever segment.
//!
//! Invariants: all pages but the last are full, none is empty; the index has each place once. Not here: how the hash of a key
//! is made.

#![allow(
    clippy::vec_box,
    reason = "a page stays where it is while the list of pages grows: moving it would need new room"
)]

use hashbrown::HashTable;

use super::table::Entry;

/// Entries of a page.
const PAGE_ENTRIES: usize = 16;

type Page = [Option<Entry>; PAGE_ENTRIES];

/// The bits that the index looks at: the top ones of a hash are the same in all of a segment.
fn inner(hash: u64) -> u64 {
    hash.rotate_left(32)
}

fn entry_at(pages: &[Box<Page>], place: u16) -> Option<&Entry> {
    let place = usize::from(place);
    pages.get(place / PAGE_ENTRIES)?[place % PAGE_ENTRIES].as_ref()
}

/// Entries whose hashes begin with the same bits.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// How many bits they share.
    pub(super) depth: u32,
    /// Those bits.
    pub(super) prefix: u32,
    pages: Vec<Box<Page>>,
    index: HashTable<u16>,
}

impl Segment {
    /// An empty segment that so many entries will be put into.
    pub(super) fn with_room(depth: u32, prefix: u32, room: usize) -> Self {
        Self {
            depth,
            prefix,
            pages: Vec::with_capacity(room.div_ceil(PAGE_ENTRIES)),
            index: HashTable::with_capacity(room),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.pages.iter().flat_map(|page| page.iter().flatten())
    }

    pub(super) fn get(&self, place: u16) -> Option<&Entry> {
        entry_at(&self.pages, place)
    }

    pub(super) fn get_mut(&mut self, place: u16) -> Option<&mut Entry> {
        let place = usize::from(place);
        self.pages.get_mut(place / PAGE_ENTRIES)?[place % PAGE_ENTRIES].as_mut()
    }

    /// The place of an entry with this hash. O(1). Others may be asked about too: `is_it` decides.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<u16> {
        let is_at = |place: &u16| entry_at(&self.pages, *place).is_some_and(&is_it);
        self.index.find(inner(hash), is_at).copied()
    }

    /// Adds an entry that is not there; gives its place. `hash_of` is asked when the index grows.
    ///
    /// # Panics
    /// When there are 65,536 already: so many hashes do not begin with the same bits.
    pub(super) fn push(&mut self, hash: u64, entry: Entry, hash_of: impl Fn(&Entry) -> u64) -> u16 {
        let len = self.len();
        let Ok(place) = u16::try_from(len) else {
            unreachable!("a segment of {len} entries");
        };
        match self.pages.last_mut() {
            Some(page) if !len.is_multiple_of(PAGE_ENTRIES) => {
                page[len % PAGE_ENTRIES] = Some(entry);
            }
            _ => {
                let mut page = Box::new([const { None }; PAGE_ENTRIES]);
                page[0] = Some(entry);
                self.pages.push(page);
            }
        }
        let pages = &self.pages;
        self.index.insert_unique(inner(hash), place, |place| {
            inner(entry_at(pages, *place).map_or(0, &hash_of))
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
        let is_at = |place: &u16| entry_at(&self.pages, *place).is_some_and(&is_it);
        let found = self.index.find_entry(inner(hash), is_at).ok()?;
        let (place, _) = found.remove();
        let last = self.len() as u16;
        let mut entry = self.pop()?;
        if place != last {
            let moved_hash = inner(hash_of(&entry));
            entry = std::mem::replace(self.get_mut(place)?, entry);
            match self.index.find_mut(moved_hash, |other| *other == last) {
                Some(other) => *other = place,
                None => unreachable!("an entry that is not in the index"),
            }
        }
        self.shrink_index(hash_of);
        Some(entry)
    }

    /// Takes the last entry out of the pages; it is counted no more.
    fn pop(&mut self) -> Option<Entry> {
        let at = self.len() % PAGE_ENTRIES;
        let entry = self.pages.last_mut()?[at].take();
        if at == 0 {
            self.pages.pop();
        }
        entry
    }

    fn shrink_index(&mut self, hash_of: impl Fn(&Entry) -> u64) {
        let len = self.len();
        if self.index.capacity() > 4 * len.max(PAGE_ENTRIES) {
            let pages = &self.pages;
            self.index.shrink_to(2 * len, |place| {
                inner(entry_at(pages, *place).map_or(0, &hash_of))
            });
            self.pages.shrink_to_fit();
        }
    }

    /// Takes all entries out.
    pub(super) fn take_entries(&mut self) -> impl Iterator<Item = Entry> + use<> {
        self.index = HashTable::new();
        let pages = std::mem::take(&mut self.pages).into_iter();
        pages.flat_map(|page| page.into_iter().flatten())
    }

    /// Bytes on the heap, but not what entries point to.
    pub(super) fn heap_bytes(&self) -> usize {
        self.pages.len() * size_of::<Page>()
            + self.pages.capacity() * size_of::<Box<Page>>()
            + self.index.allocation_size()
    }
}
