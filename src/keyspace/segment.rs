//! A segment of the key table: entries side by side, and an index to find one by its hash.
//!
//! ```text
//! pages  | a b c d | e f g . |            no gaps: what is removed is replaced by the last
//! cells  |   | 2 |   | 0 | 3 |   | …      places in the pages with eight bits of the hash, by eight other bits
//! ```
//! The list of pages and the cells lie in one piece of memory, so that a lookup in a table larger than the caches waits only
//! twice: for the cell and for the entry. The index wastes room, as hash tables do, but a cell is two bytes; the entries,
//! which are large, take a page more when they need it. So an entry costs about the same whether the segment has just split
//! or is about to. All pages have one size: the room of one that goes is just right for the next that comes, in whichever
//! segment.
//!
//! Who looks for a hash begins at its cell and goes on to the next until one is empty. A cell whose entry has gone is not
//! empty but where the next one is, and is used again; when few are empty the index is made anew.
//!
//! Invariants: all pages but the last are full, none is empty; the cells have each place once; one of them is empty at least.
//! Only a segment that cannot split has a further one for what it cannot hold. Not here: how the hash of a key is made, what
//! marks are for.

use super::marks::Marks;
use super::table::Entry;

/// Entries of a page.
const PAGE_ENTRIES: usize = 16;
/// Pages of a segment.
const PAGES: usize = 12;
/// Entries that a segment holds.
pub(super) const SEGMENT_ENTRIES_MAX: usize = PAGES * PAGE_ENTRIES;
const CELLS: usize = 256;
/// Cells in use, those of entries that have gone included, up to which a search does not take long.
const USED_MAX: u16 = 224;

/// No entry, nor any behind it that belongs here or before.
const EMPTY: u16 = 0xffff;
/// An entry that has gone.
const GONE: u16 = 0xfffe;

const _: () = assert!(SEGMENT_ENTRIES_MAX < USED_MAX as usize && (USED_MAX as usize) < CELLS);

type Page = [Option<Entry>; PAGE_ENTRIES];

/// The cell where the search for a hash begins. The top bits of a hash are the same in all of a segment.
fn home(hash: u64) -> u8 {
    (hash >> 32) as u8
}

/// What a cell says of a hash, in its upper half.
fn tag(hash: u64) -> u16 {
    (hash >> 16) as u16 & 0xff00
}

/// The place in a cell; none in one without an entry.
fn place_of(cell: u16) -> u16 {
    cell & 0xff
}

fn has_entry(cell: u16) -> bool {
    cell < GONE
}

/// Entries whose hashes begin with the same bits.
#[derive(Debug)]
pub(super) struct Segment {
    /// How many bits they share.
    pub(super) depth: u32,
    /// Those bits.
    pub(super) prefix: u32,
    len: u16,
    /// Cells that are not empty.
    used: u16,
    /// Places of entries that a snapshot passes by.
    marks: Marks,
    pages: [Option<Box<Page>>; PAGES],
    more: Option<Box<Segment>>,
    cells: [u16; CELLS],
}

// For one more byte the allocator would give a fifth more.
const _: () = assert!(size_of::<Segment>() <= 640);

impl Segment {
    /// An empty segment.
    pub(super) fn new(depth: u32, prefix: u32) -> Self {
        Self {
            depth,
            prefix,
            len: 0,
            used: 0,
            marks: Marks::default(),
            pages: [const { None }; PAGES],
            more: None,
            cells: [EMPTY; CELLS],
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len) + self.more.as_ref().map_or(0, |more| more.len())
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let segments = std::iter::successors(Some(self), |segment| segment.more.as_deref());
        let pages = segments.flat_map(|segment| segment.pages.iter().flatten());
        pages.flat_map(|page| page.iter().flatten())
    }

    fn own(&self, place: u16) -> Option<&Entry> {
        let place = usize::from(place);
        let page = self.pages.get(place / PAGE_ENTRIES)?.as_ref()?;
        page[place % PAGE_ENTRIES].as_ref()
    }

    pub(super) fn get(&self, place: u16) -> Option<&Entry> {
        let at = usize::from(place);
        match self.pages.get(at / PAGE_ENTRIES) {
            Some(page) => page.as_ref()?[at % PAGE_ENTRIES].as_ref(),
            None => (self.more.as_ref()?).get(place - SEGMENT_ENTRIES_MAX as u16),
        }
    }

    pub(super) fn get_mut(&mut self, place: u16) -> Option<&mut Entry> {
        let at = usize::from(place);
        match self.pages.get_mut(at / PAGE_ENTRIES) {
            Some(page) => page.as_mut()?[at % PAGE_ENTRIES].as_mut(),
            None => (self.more.as_mut()?).get_mut(place - SEGMENT_ENTRIES_MAX as u16),
        }
    }

    /// Whether the entry at a place was marked in this round.
    #[inline]
    pub(super) fn is_marked(&self, place: u16, round: u32) -> bool {
        match usize::from(place).checked_sub(SEGMENT_ENTRIES_MAX) {
            None => self.marks.has(place.into(), round),
            Some(behind) => {
                let more = self.more.as_ref();
                more.is_some_and(|more| more.is_marked(behind as u16, round))
            }
        }
    }

    /// Marks the entry at a place.
    #[inline]
    pub(super) fn mark(&mut self, place: u16, round: u32) {
        match usize::from(place).checked_sub(SEGMENT_ENTRIES_MAX) {
            None => self.marks.set(place.into(), round),
            Some(behind) => {
                if let Some(more) = &mut self.more {
                    more.mark(behind as u16, round);
                }
            }
        }
    }

    /// The latest round in which an entry was marked.
    pub(super) fn round(&self) -> u32 {
        let more = self.more.as_ref().map_or(0, |more| more.round());
        self.marks.round().max(more)
    }

    /// All entries with whether they are marked in this round, in the order of [`Segment::take_entries`].
    pub(super) fn entries_with_marks(&self, round: u32) -> impl Iterator<Item = (&Entry, bool)> {
        let segments = std::iter::successors(Some(self), |segment| segment.more.as_deref());
        segments.flat_map(move |segment| {
            (0..segment.len).filter_map(move |place| {
                let entry = segment.own(place)?;
                Some((entry, segment.marks.has(place.into(), round)))
            })
        })
    }

    /// Marks entries that are not marked yet and gives them, until `take` says that it is enough; whether none is left.
    pub(super) fn mark_rest(&mut self, round: u32, take: &mut dyn FnMut(&Entry) -> bool) -> bool {
        for place in 0..self.len {
            if self.marks.has(place.into(), round) {
                continue;
            }
            self.marks.set(place.into(), round);
            if self.own(place).is_some_and(&mut *take) {
                return false;
            }
        }
        match &mut self.more {
            Some(more) => more.mark_rest(round, take),
            None => true,
        }
    }

    /// The cell of an entry with this hash, and the entry.
    #[inline]
    fn cell(&self, hash: u64, is_it: impl Fn(&Entry) -> bool) -> Option<(u8, &Entry)> {
        let (tag, mut at) = (tag(hash), home(hash));
        loop {
            let cell = self.cells[usize::from(at)];
            if cell & 0xff00 == tag
                && let Some(entry) = self.own(place_of(cell))
                && is_it(entry)
            {
                return Some((at, entry));
            }
            if cell == EMPTY {
                return None;
            }
            at = at.wrapping_add(1);
        }
    }

    /// An entry with this hash, and its place. O(1). Others may be asked about too: `is_it` decides.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_it: &impl Fn(&Entry) -> bool) -> Option<(u16, &Entry)> {
        match self.cell(hash, is_it) {
            Some((at, entry)) => Some((place_of(self.cells[usize::from(at)]), entry)),
            None => self.find_further(hash, is_it),
        }
    }

    fn find_further(&self, hash: u64, is_it: &impl Fn(&Entry) -> bool) -> Option<(u16, &Entry)> {
        let (place, entry) = self.more.as_ref()?.find(hash, is_it)?;
        Some((SEGMENT_ENTRIES_MAX as u16 + place, entry))
    }

    /// Adds an entry that is not there; gives its place. `hash_of` is asked when the index is made anew.
    ///
    /// # Panics
    /// When there are 65,536 already: so many hashes do not begin with the same bits.
    pub(super) fn push(
        &mut self,
        hash: u64,
        entry: Entry,
        hash_of: &impl Fn(&Entry) -> u64,
    ) -> u16 {
        let len = usize::from(self.len);
        if len == SEGMENT_ENTRIES_MAX {
            let more = self.more.get_or_insert_with(|| Box::new(Self::new(0, 0)));
            let place = SEGMENT_ENTRIES_MAX + usize::from(more.push(hash, entry, hash_of));
            let Ok(place) = u16::try_from(place) else {
                unreachable!("a segment of {place} entries");
            };
            return place;
        }
        let page =
            self.pages[len / PAGE_ENTRIES].get_or_insert_with(|| Box::new([const { None }; _]));
        page[len % PAGE_ENTRIES] = Some(entry);
        if self.used >= USED_MAX {
            self.remake_index(hash_of);
        }
        self.fill_cell(hash, self.len);
        self.len += 1;
        len as u16
    }

    fn fill_cell(&mut self, hash: u64, place: u16) {
        let mut at = home(hash);
        while has_entry(self.cells[usize::from(at)]) {
            at = at.wrapping_add(1);
        }
        let cell = &mut self.cells[usize::from(at)];
        self.used += u16::from(*cell == EMPTY);
        *cell = tag(hash) | place;
    }

    fn remake_index(&mut self, hash_of: &impl Fn(&Entry) -> u64) {
        (self.cells, self.used) = ([EMPTY; CELLS], 0);
        for place in 0..self.len {
            let hash = self.own(place).map_or(0, hash_of);
            self.fill_cell(hash, place);
        }
    }

    /// Takes an entry out; the last takes its place. O(1) amortised.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        is_it: &impl Fn(&Entry) -> bool,
        hash_of: &impl Fn(&Entry) -> u64,
    ) -> Option<Entry> {
        let Some((at, _)) = self.cell(hash, is_it) else {
            let more = self.more.as_mut()?;
            let entry = more.remove(hash, is_it, hash_of);
            if more.len() == 0 {
                self.more = None;
            }
            return entry;
        };
        let place = place_of(self.cells[usize::from(at)]);
        self.empty_cell(at);
        let mut entry = self.pop()?;
        let last = self.len;
        self.marks.replace_by_last(place.into(), last.into());
        if place != last {
            let mut at = home(hash_of(&entry));
            while place_of(self.cells[usize::from(at)]) != last {
                at = at.wrapping_add(1);
            }
            self.cells[usize::from(at)] ^= last ^ place;
            entry = std::mem::replace(self.get_mut(place)?, entry);
        }
        Some(entry)
    }

    fn empty_cell(&mut self, mut at: u8) {
        self.cells[usize::from(at)] = GONE;
        if self.cells[usize::from(at.wrapping_add(1))] != EMPTY {
            return;
        }
        while self.cells[usize::from(at)] == GONE {
            self.cells[usize::from(at)] = EMPTY;
            self.used -= 1;
            at = at.wrapping_sub(1);
        }
    }

    /// Takes the last entry out of the pages; it is counted no more.
    fn pop(&mut self) -> Option<Entry> {
        self.len -= 1;
        let last = usize::from(self.len);
        let page = &mut self.pages[last / PAGE_ENTRIES];
        let entry = page.as_mut()?[last % PAGE_ENTRIES].take();
        if last.is_multiple_of(PAGE_ENTRIES) {
            *page = None;
        }
        entry
    }

    /// Takes all entries out.
    pub(super) fn take_entries(&mut self) -> impl Iterator<Item = Entry> + use<> {
        let mut all = Vec::with_capacity(PAGES);
        let mut next = Some(Box::new(std::mem::replace(self, Self::new(0, 0))));
        while let Some(segment) = next {
            all.extend(segment.pages.into_iter().flatten());
            next = segment.more;
        }
        all.into_iter().flat_map(|page| page.into_iter().flatten())
    }

    /// Bytes on the heap, but not what entries point to.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let more = self.more.as_ref();
        self.pages.iter().flatten().count() * size_of::<Page>()
            + more.map_or(0, |more| size_of::<Self>() + more.heap_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::keyspace::access::Access;
    use crate::keyspace::value::{StringValue, Value};

    /// Few cells and few tags, so that many keys look for the same.
    fn hash_of_number(number: u64) -> u64 {
        (number % 37) << 32 | (number % 5) << 24
    }

    fn name(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn hash_of(entry: &Entry) -> u64 {
        let bytes = (&*entry.key).try_into().unwrap_or_default();
        hash_of_number(u64::from_be_bytes(bytes))
    }

    fn entry(number: u64) -> Entry {
        let value = Value::String(StringValue::Integer(1));
        Entry::new(&name(number), value, Access::default())
    }

    fn check(segment: &Segment, twin: &BTreeMap<u64, ()>) {
        assert_eq!(segment.len(), twin.len());
        assert_eq!(segment.entries().count(), twin.len());
        for number in twin.keys() {
            let is_it = |entry: &Entry| *entry.key == *name(*number);
            let found = segment.find(hash_of_number(*number), &is_it);
            assert!(
                found.is_some_and(|(place, entry)| segment
                    .get(place)
                    .is_some_and(|other| std::ptr::eq(entry, other))),
                "{number}"
            );
        }
        let mut part = Some(segment);
        while let Some(segment) = part {
            let used = segment.cells.iter().filter(|cell| **cell != EMPTY).count();
            assert_eq!(used, usize::from(segment.used));
            assert!(used <= usize::from(USED_MAX));
            part = segment.more.as_deref();
        }
    }

    #[test]
    fn a_segment_keeps_what_is_put_there_though_all_hashes_are_alike() {
        for keys in [20, 150, 190, 700] {
            let (mut segment, mut twin) = (Segment::new(0, 0), BTreeMap::new());
            let mut random: u64 = 7;
            for step in 0..20_000 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let number = (random >> 33) % keys;
                let is_it = |entry: &Entry| *entry.key == *name(number);
                if twin.remove(&number).is_some() {
                    let gone = segment.remove(hash_of_number(number), &is_it, &hash_of);
                    assert!(gone.is_some_and(|entry| is_it(&entry)));
                } else {
                    twin.insert(number, ());
                    segment.push(hash_of_number(number), entry(number), &hash_of);
                }
                assert!(
                    segment
                        .find(hash_of_number(keys), &|entry| hash_of(entry) == keys)
                        .is_none()
                );
                if step % 500 == 0 {
                    check(&segment, &twin);
                }
            }
            check(&segment, &twin);
            assert_eq!(segment.take_entries().count(), twin.len());
            assert_eq!(segment.len(), 0);
        }
    }
}
