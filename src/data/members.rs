//! A table of byte strings, each with a payload: the large form of hashes and sets, and what finds the score of a member.
//!
//! ```text
//! directory, by the top bits of the hash          segments, behind `Arc`
//! | 0 | 0 | 1 | 2 |  ── numbers of segments ──►   | slots | packed entries | …
//! ```
//! The table is extendible: a segment of about 800 entries or 64 KB splits in two, two small neighbours become one. So it is not
//! moved as a whole, and a clone shares all segments; a later change copies one. The exception: cursors tell hashes, so someone may find
//! keys whose hashes are alike. When a segment is far deeper than chance makes any, all keys get hashes that nobody can foresee.
//!
//! Invariants: a segment of depth `d` has the keys whose hashes begin with its `d` bits of prefix, and `2^(depth - d)` places
//! in the directory. The order of [`Members::scan`] is that of hashes, so that splits move nothing past a cursor.
//! Not here: what a payload means, small forms.

mod segment;

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::DefaultHashBuilder;

use super::estimate;
use segment::Segment;

/// Bits of a hash that are a position of [`Members::scan`].
const POSITION_BITS: u32 = 52;
/// What a segment has at most where chance picks one, entries: the bound of the rejection that makes all entries as likely.
const PICKED_MAX: usize = 1024;
/// By how many bits a segment may be deeper than the number of segments calls for.
const SKEW_BITS_MAX: u32 = 10;
/// With more segments a table has so many pieces of memory that it is not asked how many more its large entries are.
const PARTS_COUNTED_MAX: usize = 64;

/// A number below `bound`, which is any of them as often for a number by chance of 64 bits; 0 for a bound of 0. The high half of
/// the product: the bias is below 2^-32 for any number of members.
pub(crate) fn below(chance: u64, bound: usize) -> usize {
    ((u128::from(chance) * bound as u128) >> 64) as usize
}

/// What hashes are made by.
#[derive(Clone, Debug)]
enum Hasher {
    /// Fast; who sees many hashes may find out how it makes them.
    Fast(DefaultHashBuilder),
    /// SipHash with a key that its hashes do not tell.
    Secret(RandomState),
}

impl Hasher {
    #[inline]
    fn hash_one(&self, key: &[u8]) -> u64 {
        match self {
            Self::Fast(hasher) => hasher.hash_one(key),
            Self::Secret(hasher) => hasher.hash_one(key),
        }
    }
}

/// A table. See the module's head.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    hasher: Hasher,
    len: usize,
    /// Bits of a hash that choose a place in the directory.
    depth: u8,
    /// Segments that need all of these bits.
    deepest_count: usize,
    directory: Vec<u32>,
    segments: Vec<Arc<Segment>>,
}

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

impl Members {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self {
            hasher: Hasher::Fast(DefaultHashBuilder::default()),
            len: 0,
            depth: 0,
            deepest_count: 1,
            directory: vec![0],
            segments: vec![Arc::new(Segment::new(0, 0))],
        }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap. O(segments).
    pub(crate) fn heap_bytes(&self) -> usize {
        let segments = self.segments.iter();
        let bytes = |segment: &Arc<Segment>| size_of::<Segment>() + segment.heap_bytes();
        self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Arc<Segment>>()
            + segments.map(bytes).sum::<usize>()
    }

    /// As [`Members::heap_bytes`], about. O(1).
    pub(crate) fn estimated_bytes(&self) -> usize {
        let segments = &self.segments;
        let bytes_of = |at: usize| size_of::<Segment>() + segments[at].heap_bytes();
        estimate::sum_of(segments.len(), bytes_of)
    }

    /// Pieces of memory to free; of very many only the segments are counted.
    pub(crate) fn part_count(&self) -> usize {
        if self.segments.len() > PARTS_COUNTED_MAX {
            return self.segments.len();
        }
        let segments = self.segments.iter();
        segments.map(|segment| segment.part_count()).sum()
    }

    /// The payload of a key without a copy, if it is large: what a reply may share.
    pub(crate) fn share_of(&self, key: &[u8]) -> Option<Bytes> {
        let hash = self.hasher.hash_one(key);
        self.segments[self.number_of(hash)].share_of(hash, key)
    }

    /// The payload of a key.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hasher.hash_one(key);
        self.segments[self.number_of(hash)].get(hash, key)
    }

    /// Whether there is the key.
    #[inline]
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Puts a key with a payload, which comes in pieces; true when the key is new.
    #[inline]
    pub(crate) fn set(&mut self, key: &[u8], payload: &[&[u8]]) -> bool {
        let hash = self.hasher.hash_one(key);
        let number = self.number_of(hash);
        let segment = Arc::make_mut(&mut self.segments[number]);
        let is_new = segment.set(hash, key, payload);
        self.len += usize::from(is_new);
        if segment.is_full() {
            self.split(number);
        }
        is_new
    }

    /// Removes a key; false when there is none.
    #[inline]
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        let number = self.number_of(hash);
        // A segment that others share is not copied for nothing.
        let Some(slot) = self.segments[number].find(hash, key) else {
            return false;
        };
        let segment = Arc::make_mut(&mut self.segments[number]);
        segment.remove(slot);
        self.len -= 1;
        if segment.is_small() {
            self.merge(number);
        }
        true
    }

    /// A key with its payload, each as likely as any other.
    pub(crate) fn random(&self, chance: &mut dyn FnMut() -> u64) -> Option<(&[u8], &[u8])> {
        if self.len == 0 {
            return None;
        }
        loop {
            let segment = &self.segments[below(chance(), self.segments.len())];
            // Segments are picked evenly, and kept as often as they have entries.
            if self.segments.len() == 1 || below(chance(), PICKED_MAX) < segment.len() {
                return Some(segment.random(chance));
            }
        }
    }

    /// All keys with their payloads.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.segments.iter().flat_map(|segment| segment.iter())
    }

    /// Gives about `count` keys from a cursor on, 0 at first, in the order of their hashes; returns the next cursor, 0 at the
    /// end. What is there all the time is given. A cursor is below 2^52. O(count + segment).
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        take: &mut dyn FnMut(&[u8], &[u8]),
    ) -> u64 {
        let mut position = cursor;
        let mut given = 0;
        while position < 1 << POSITION_BITS {
            let segment = &self.segments[self.number_of(position << (64 - POSITION_BITS))];
            let mut found: Vec<(u64, &[u8], &[u8])> = segment
                .iter()
                .map(|(key, payload)| {
                    let hash = self.hasher.hash_one(key);
                    (hash >> (64 - POSITION_BITS), key, payload)
                })
                .filter(|(at, ..)| *at >= position)
                .collect();
            found.sort_unstable_by_key(|(at, ..)| *at);
            let mut last = None;
            for (at, key, payload) in found {
                if given >= count && last != Some(at) {
                    return at;
                }
                take(key, payload);
                (given, last) = (given + 1, Some(at));
            }
            position = (segment.prefix() + 1) << (POSITION_BITS - u32::from(segment.depth()));
            if given >= count {
                break;
            }
        }
        // Behind the last segment the position is 2^52.
        position & ((1 << POSITION_BITS) - 1)
    }

    /// What is there now, to be read later. O(segments).
    pub(crate) fn share(&self) -> MembersShare {
        MembersShare {
            segments: self.segments.iter().cloned().collect(),
            slot: 0,
        }
    }

    #[inline]
    fn number_of(&self, hash: u64) -> usize {
        // A shift by 64 is none.
        let place = hash.checked_shr(64 - u32::from(self.depth)).unwrap_or(0);
        self.directory[place as usize] as usize
    }

    /// The places of a prefix of so many bits in the directory.
    fn places(&self, prefix: u64, depth: u8) -> std::ops::Range<usize> {
        let width = self.depth - depth;
        (prefix << width) as usize..((prefix + 1) << width) as usize
    }

    /// Splits a segment in two until none is full. One whose keys have the same hash stays as it is.
    #[cold]
    fn split(&mut self, number: usize) {
        let segment = &self.segments[number];
        let Some([low, high]) = segment.halves(&self.hasher) else {
            return;
        };
        if low.depth() > self.depth {
            let is_skewed = u32::from(self.depth) > self.segments.len().ilog2() + SKEW_BITS_MAX;
            if is_skewed && matches!(self.hasher, Hasher::Fast(_)) {
                return self.hash_secretly();
            }
            self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
            self.depth += 1;
            self.deepest_count = 0;
        }
        if low.depth() == self.depth {
            self.deepest_count += 2;
        }
        let other = self.segments.len();
        let full = [low.is_full(), high.is_full()];
        let places = self.places(high.prefix(), high.depth());
        self.directory[places].fill(other as u32);
        self.segments[number] = Arc::new(low);
        self.segments.push(Arc::new(high));
        // No more than one of them is: together they are a segment that has just become full.
        if let Some(at) = full.into_iter().position(|is_full| is_full) {
            self.split([number, other][at]);
        }
    }

    /// Takes a hasher that nobody can see through. O(keys), large entries are shared. A walk with [`Members::scan`] that is under way
    /// may miss keys.
    #[cold]
    fn hash_secretly(&mut self) {
        let mut anew = Self::new();
        anew.hasher = Hasher::Secret(RandomState::new());
        anew.len = self.len;
        for segment in std::mem::take(&mut self.segments) {
            for slot in segment.filled_slots() {
                let hash = anew.hasher.hash_one(segment.key(slot));
                let number = anew.number_of(hash);
                let target = Arc::make_mut(&mut anew.segments[number]);
                target.adopt(hash, &segment, slot);
                if target.is_full() {
                    anew.split(number);
                }
            }
        }
        *self = anew;
    }

    /// Makes a small segment and its neighbour one, if that is small too.
    #[cold]
    fn merge(&mut self, number: usize) {
        let segment = &self.segments[number];
        let (prefix, depth) = (segment.prefix(), segment.depth());
        if depth == 0 {
            return;
        }
        let neighbour = self.directory[self.places(prefix ^ 1, depth).start] as usize;
        if !segment.fits_with(&self.segments[neighbour]) {
            return;
        }
        let joined = segment.joined_with(&self.segments[neighbour], &self.hasher);
        let places = self.places(joined.prefix(), joined.depth());
        self.directory[places].fill(number as u32);
        self.segments[number] = Arc::new(joined);
        self.segments.swap_remove(neighbour);
        let moved = self.segments.get(neighbour);
        if let Some((prefix, depth)) = moved.map(|moved| (moved.prefix(), moved.depth())) {
            let places = self.places(prefix, depth);
            self.directory[places].fill(neighbour as u32);
        }
        if depth == self.depth {
            self.deepest_count -= 2;
        }
        if self.deepest_count == 0 {
            self.shrink_directory();
        }
    }

    /// Shortens the directory to the bits that segments need.
    #[cold]
    fn shrink_directory(&mut self) {
        let depths = || self.segments.iter().map(|segment| segment.depth());
        let needed = depths().max().unwrap_or(0);
        self.deepest_count = depths().filter(|depth| *depth == needed).count();
        let step = 1 << (self.depth - needed);
        self.directory = self.directory.iter().step_by(step).copied().collect();
        self.depth = needed;
    }
}

/// What a table was when the share was taken, whatever becomes of it. Segments that were read are given back one by one.
#[derive(Debug)]
pub(crate) struct MembersShare {
    segments: VecDeque<Arc<Segment>>,
    slot: usize,
}

impl MembersShare {
    /// Reads keys with their payloads until `take` says that it is enough, or there are no more.
    pub(crate) fn read(&mut self, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        while let Some(segment) = self.segments.front() {
            while self.slot < segment.slot_count() {
                let entry = segment.at(self.slot);
                self.slot += 1;
                if let Some((key, payload)) = entry
                    && take(key, payload)
                {
                    return;
                }
            }
            self.segments.pop_front();
            self.slot = 0;
        }
    }
}

#[cfg(test)]
mod tests;
