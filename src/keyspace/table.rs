//! The key table: an extendible table that never rehashes as a whole, and SCAN order.
//!
//! ```text
//! directory (by the top `depth` bits of the hash)      segments: the entries whose hashes begin with the same bits
//!   000 ──┐
//!   001 ──┴──► prefix 00,  depth 2
//!   010 ─────► prefix 010, depth 3       full: it splits in two with a bit more
//!   011 ─────► prefix 011, depth 3       few: it merges with its twin, 010 with 011
//!   1xx ─────► prefix 1,   depth 1
//! ```
//! Directory order is hash order, so a scan walks hashes upwards and a cursor is a hash prefix: an entry present
//! throughout is met whatever splits and merges meanwhile. Not here: expiry, types, shards.
//!
//! Invariants: the prefixes of the segments cover all hashes, none twice; the directory has at most a bit more than the
//! deepest segment, two after a merge.

#![allow(
    clippy::vec_box,
    reason = "a segment stays where it is while the list of segments grows: it is large"
)]

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::access::Access;
use super::expiry::{Ends, Expiry};
use super::key::Key;
use super::segment::{SEGMENT_ENTRIES_MAX, Segment};
use super::value::Value;

/// Entries of two twins together up to which they merge: far from where they would split again.
const MERGED_ENTRIES_MAX: usize = SEGMENT_ENTRIES_MAX / 4;
/// Deepest directory: 2^24 segments.
const DEPTH_MAX: u32 = 24;
/// Bits of the hash that a scan position keeps.
pub(crate) const SCAN_BITS: u32 = 46;

/// A key with its value and what is known of it, in as many bytes as a cache line has. It lies across two of them: an
/// allocator that is asked for whole lines wastes more memory than the second line costs time.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: Key,
    /// The value.
    pub(crate) value: Value,
    /// When it ends, 40 bits, above its use, 24 bits.
    times: u64,
}

const ACCESS_BITS: u32 = 24;
const ACCESS_MASK: u64 = (1 << ACCESS_BITS) - 1;

const _: () = assert!(size_of::<Entry>() == 64 && size_of::<Option<Entry>>() == 64);

impl Entry {
    /// A key that does not end.
    pub(crate) fn new(key: &[u8], value: Value, access: Access) -> Self {
        Self {
            key: key.into(),
            value,
            times: access.bits().into(),
        }
    }

    /// Its use.
    #[inline]
    pub(crate) fn access(&self) -> Access {
        Access::of_bits((self.times & ACCESS_MASK) as u32)
    }

    #[inline]
    pub(super) fn set_access(&mut self, access: Access) {
        self.times = self.times & !ACCESS_MASK | u64::from(access.bits());
    }

    #[inline]
    fn ends(&self) -> Expiry {
        Expiry::of_bits(self.times >> ACCESS_BITS)
    }

    /// When the key ends, Unix ms.
    #[inline]
    pub(crate) fn expiry(&self) -> Option<u64> {
        match self.ends().ends() {
            Ends::Never => None,
            Ends::At(ms) => Some(ms),
            Ends::Elsewhere => self.key.end_ms(),
        }
    }

    pub(super) fn set_expiry(&mut self, expire_ms: Option<u64>) {
        if self.ends() == Expiry::ELSEWHERE {
            self.key.set_end(None);
        }
        let ends = match expire_ms {
            None => Expiry::default(),
            Some(ms) => Expiry::at(ms).unwrap_or_else(|| {
                self.key.set_end(Some(ms));
                Expiry::ELSEWHERE
            }),
        };
        self.times = ends.bits() << ACCESS_BITS | self.times & ACCESS_MASK;
    }

    /// The same key with a share of its value, whatever becomes of it.
    pub(super) fn share(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            times: self.times,
        }
    }

    /// Estimated bytes of the key with its value (MEMORY USAGE).
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.key.heap_bytes() + self.value.heap_bytes()
    }
}

/// Where an entry lies until the table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    segment: u32,
    place: u16,
}

/// The entries of one database of one keyspace.
#[derive(Debug)]
pub(crate) struct KeyTable {
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Box<Segment>>,
    /// Segments by depth.
    depths: [u32; DEPTH_MAX as usize + 1],
    len: usize,
    hasher: DefaultHashBuilder,
}

impl KeyTable {
    /// An empty table. Tables that share `hasher` agree on SCAN order.
    pub(crate) fn new(hasher: DefaultHashBuilder) -> Self {
        let mut depths = [0; DEPTH_MAX as usize + 1];
        depths[0] = 1;
        Self {
            directory: vec![0],
            depth: 0,
            segments: vec![Box::new(Segment::new(0, 0))],
            depths,
            len: 0,
            hasher,
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash of a key in this table.
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn segment_of(&self, hash: u64) -> u32 {
        if self.depth == 0 {
            self.directory[0]
        } else {
            self.directory[(hash >> (64 - self.depth)) as usize]
        }
    }

    /// Where the key is. O(1).
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Position> {
        self.find_entry(hash, key).map(|(at, _)| at)
    }

    /// Where the key is, and its entry. O(1).
    #[inline]
    pub(super) fn find_entry(&self, hash: u64, key: &[u8]) -> Option<(Position, &Entry)> {
        let segment = self.segment_of(hash);
        let is_it = |entry: &Entry| *entry.key == *key;
        let (place, entry) = self.segments[segment as usize].find(hash, &is_it)?;
        Some((Position { segment, place }, entry))
    }

    /// Whether the key is there. O(1).
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.find(self.hash(key), key).is_some()
    }

    /// The entry at a position found since the last change of the table.
    pub(crate) fn get(&self, at: Position) -> Option<&Entry> {
        self.segments[at.segment as usize].get(at.place)
    }

    /// The entry at a position found since the last change of the table, to change.
    pub(crate) fn get_mut(&mut self, at: Position) -> Option<&mut Entry> {
        self.segments[at.segment as usize].get_mut(at.place)
    }

    /// Whether the entry at a position was marked in this round.
    #[inline]
    pub(super) fn is_marked(&self, at: Position, round: u32) -> bool {
        self.segments[at.segment as usize].is_marked(at.place, round)
    }

    /// Marks the entry at a position.
    #[inline]
    pub(super) fn mark(&mut self, at: Position, round: u32) {
        self.segments[at.segment as usize].mark(at.place, round);
    }

    /// Adds a key that is not there. O(1), now and then the split of one segment.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry) -> Position {
        debug_assert!(
            self.find(hash, &entry.key).is_none(),
            "the key must not be there"
        );
        let mut segment = self.segment_of(hash);
        while self.segments[segment as usize].len() >= SEGMENT_ENTRIES_MAX
            && self.segments[segment as usize].depth < DEPTH_MAX
        {
            self.split(segment);
            segment = self.segment_of(hash);
        }
        let hasher = &self.hasher;
        let hash_of = |entry: &Entry| hasher.hash_one(&*entry.key);
        let place = self.segments[segment as usize].push(hash, entry, &hash_of);
        self.len += 1;
        Position { segment, place }
    }

    /// Takes an entry out. O(1), now and then the merge of two small segments.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let segment = self.segment_of(hash);
        let hasher = &self.hasher;
        let entry = self.segments[segment as usize].remove(
            hash,
            &|entry: &Entry| *entry.key == *key,
            &|entry: &Entry| hasher.hash_one(&*entry.key),
        )?;
        self.len -= 1;
        if self.segments[segment as usize].len() <= MERGED_ENTRIES_MAX / 2 {
            self.merge(segment);
        }
        Some(entry)
    }

    /// The places in the directory that lead to a segment.
    fn span(&self, depth: u32, prefix: u32) -> std::ops::Range<usize> {
        let bits = self.depth - depth;
        (prefix as usize) << bits..(prefix as usize + 1) << bits
    }

    /// Lets the directory lead to a segment where its prefix says.
    fn enter(&mut self, number: u32) {
        let Segment { depth, prefix, .. } = *self.segments[number as usize];
        let span = self.span(depth, prefix);
        self.directory[span].fill(number);
    }

    fn split(&mut self, number: u32) {
        let old = &mut self.segments[number as usize];
        let (depth, prefix) = (old.depth + 1, old.prefix << 1);
        let round = old.round();
        let known: Vec<(u64, bool)> = old
            .entries_with_marks(round)
            .map(|(entry, is_marked)| (self.hasher.hash_one(&*entry.key), is_marked))
            .collect();
        let entries = old.take_entries();
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
            self.depth = depth;
        }
        let hash_of = |entry: &Entry| self.hasher.hash_one(&*entry.key);
        let is_high = |hash: u64| hash >> (64 - depth) & 1 == 1;
        let mut low = Box::new(Segment::new(depth, prefix));
        let mut high = Box::new(Segment::new(depth, prefix | 1));
        for ((hash, is_marked), entry) in known.into_iter().zip(entries) {
            let half = if is_high(hash) { &mut high } else { &mut low };
            let place = half.push(hash, entry, &hash_of);
            if is_marked {
                half.mark(place, round);
            }
        }
        self.segments[number as usize] = low;
        let new = self.segments.len() as u32;
        self.segments.push(high);
        self.enter(new);
        self.depths[depth as usize - 1] -= 1;
        self.depths[depth as usize] += 2;
    }

    /// Merges a small segment with its twin, and what comes of it with its own, as long as both together are small.
    fn merge(&mut self, mut number: u32) {
        loop {
            let Segment { depth, prefix, .. } = *self.segments[number as usize];
            if depth == 0 {
                break;
            }
            let twin = self.directory[self.span(depth, prefix ^ 1).start];
            let (one, other) = (
                &self.segments[number as usize],
                &self.segments[twin as usize],
            );
            if other.depth != depth || one.len() + other.len() > MERGED_ENTRIES_MAX {
                break;
            }
            let mut merged = Box::new(Segment::new(depth - 1, prefix >> 1));
            // Marks of an earlier round mean nothing any more.
            let round = one.round().max(other.round());
            for part in [number, twin] {
                let part = &mut self.segments[part as usize];
                let marks: Vec<bool> = (part.entries_with_marks(round))
                    .map(|(_, is_marked)| is_marked)
                    .collect();
                for (is_marked, entry) in marks.into_iter().zip(part.take_entries()) {
                    let hash_of = |entry: &Entry| self.hasher.hash_one(&*entry.key);
                    let place = merged.push(hash_of(&entry), entry, &hash_of);
                    if is_marked {
                        merged.mark(place, round);
                    }
                }
            }
            // The last segment takes the place that becomes free.
            let free = number.max(twin) as usize;
            number = number.min(twin);
            self.segments[number as usize] = merged;
            self.enter(number);
            self.segments.swap_remove(free);
            if free < self.segments.len() {
                self.enter(free as u32);
            }
            self.depths[depth as usize] -= 2;
            self.depths[depth as usize - 1] += 1;
        }
        self.shrink_directory();
    }

    /// Halves the directory while its last two bits tell no segments apart: one is left, so that it does not double soon.
    fn shrink_directory(&mut self) {
        while self.depth >= 2
            && self.depths[self.depth as usize] == 0
            && self.depths[self.depth as usize - 1] == 0
        {
            self.depth -= 1;
            self.directory = self.directory.iter().copied().step_by(2).collect();
            if self.segments.len() < self.segments.capacity() / 4 {
                self.segments.shrink_to(2 * self.segments.len());
            }
        }
    }

    /// All entries, in no order to rely on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flat_map(|segment| segment.entries())
    }

    /// The scan position of a hash: its top [`SCAN_BITS`] bits.
    pub(super) fn scan_position(hash: u64) -> u64 {
        hash >> (64 - SCAN_BITS)
    }

    /// Entries from a scan position on, in hash order, at least `count` when there are so many (all that share the last
    /// position). Gives the position to go on from, `None` at the end. O(count + entries of the segments touched).
    pub(crate) fn scan(
        &self,
        from: u64,
        count: usize,
        mut take: impl FnMut(&Entry),
    ) -> Option<u64> {
        let mut taken = 0;
        let mut position = from;
        loop {
            let slot = if self.depth == 0 {
                0
            } else {
                (position >> (SCAN_BITS - self.depth)) as usize
            };
            let segment = self.directory.get(slot)?;
            let segment = &self.segments[*segment as usize];
            let mut found: Vec<(u64, &Entry)> = segment
                .entries()
                .map(|entry| {
                    (
                        Self::scan_position(self.hasher.hash_one(&*entry.key)),
                        entry,
                    )
                })
                .filter(|(at, _)| *at >= position)
                .collect();
            found.sort_unstable_by_key(|(at, _)| *at);
            let mut last = None;
            for (at, entry) in found {
                if taken >= count && last != Some(at) {
                    return Some(at);
                }
                take(entry);
                taken += 1;
                last = Some(at);
            }
            let width = 1u64 << (SCAN_BITS - segment.depth);
            position = (position / width + 1) * width;
            if position >= 1 << SCAN_BITS {
                return None;
            }
            if taken >= count {
                return Some(position);
            }
        }
    }

    /// Entries from a scan position on, whole segments in hash order, until there were `count`; in no order within a segment.
    /// Gives the position to go on from, `None` at the end.
    pub(crate) fn walk(
        &self,
        from: u64,
        count: usize,
        mut take: impl FnMut(&Entry),
    ) -> Option<u64> {
        let (mut position, mut taken) = (from, 0);
        loop {
            let slot = match self.depth {
                0 => 0,
                depth => (position >> (SCAN_BITS - depth)) as usize,
            };
            let segment = &self.segments[*self.directory.get(slot)? as usize];
            let width = 1u64 << (SCAN_BITS - segment.depth);
            // Segments have merged since: this one begins before the position.
            let is_cut = !position.is_multiple_of(width);
            for entry in segment.entries() {
                if !is_cut || Self::scan_position(self.hash(&entry.key)) >= position {
                    take(entry);
                }
            }
            taken += segment.len();
            position = (position / width + 1) * width;
            if position >= 1 << SCAN_BITS {
                return None;
            }
            if taken >= count {
                return Some(position);
            }
        }
    }

    /// Marks entries that are not marked yet and gives them, from a scan position on, whole segments in hash order, until `take`
    /// says that it is enough. Gives the position to go on from, `None` at the end. Looks into `segments` of them at most.
    pub(super) fn mark_rest(
        &mut self,
        from: u64,
        round: u32,
        segments: usize,
        take: &mut dyn FnMut(&Entry) -> bool,
    ) -> Option<u64> {
        let mut position = from;
        for _ in 0..segments {
            let slot = match self.depth {
                0 => 0,
                depth => (position >> (SCAN_BITS - depth)) as usize,
            };
            let segment = &mut self.segments[*self.directory.get(slot)? as usize];
            if !segment.mark_rest(round, take) {
                return Some(position);
            }
            // When segments have merged this one begins before the position: its marks tell what is new.
            let width = 1u64 << (SCAN_BITS - segment.depth);
            position = (position / width + 1) * width;
            if position >= 1 << SCAN_BITS {
                return None;
            }
        }
        Some(position)
    }

    /// An entry picked with `random`, each equally likely; `None` when empty.
    pub(crate) fn random(&self, mut random: impl FnMut() -> u64) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        let places = match self.segments.as_slice() {
            [only] => only.len(),
            // A place that only a full segment has is drawn for all, and drawn again where it is empty.
            _ => SEGMENT_ENTRIES_MAX,
        };
        loop {
            let segment = &self.segments[(random() % self.segments.len() as u64) as usize];
            let place = (random() % places as u64) as u16;
            if let Some(entry) = segment.get(place) {
                return Some(entry);
            }
        }
    }

    /// An entry by its hash and a condition; for the expiry index.
    pub(crate) fn find_by_hash(
        &self,
        hash: u64,
        matches: impl Fn(&Entry) -> bool,
    ) -> Option<&Entry> {
        let segment = self.segment_of(hash);
        // The index also asks about entries that share only a few bits of the hash.
        let segment = &self.segments[segment as usize];
        let is_it = |entry: &Entry| matches(entry) && self.hash(&entry.key) == hash;
        segment.find(hash, &is_it).map(|(_, entry)| entry)
    }

    /// Bytes of the table itself, entries included but not what they point to.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Box<Segment>>()
            + self.segments.len() * size_of::<Segment>()
            + (self.segments.iter().map(|segment| segment.heap_bytes())).sum::<usize>()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
