//! The key table: an extendible table that never rehashes as a whole, and SCAN order.
//!
//! ```text
//! directory (by the top `depth` bits of the hash)      segments, at most 1,000 entries before they split
//!   000 ──┐
//!   001 ──┴──► segment, local depth 2
//!   010 ─────► segment, local depth 3
//!   011 ─────► segment, local depth 3
//!   1xx ─────► segment, local depth 1
//! ```
//! Directory order is hash order, so a scan walks hashes upwards and a cursor is a hash prefix: an entry present
//! throughout is met whatever splits meanwhile. Not here: expiry, types, shards.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::value::Value;

/// Entries of a segment that make it split.
const SEGMENT_ENTRIES_MAX: usize = 1000;
/// Deepest directory: 2^24 segments.
const DEPTH_MAX: u32 = 24;
/// Bits of the hash that a scan position keeps.
pub const SCAN_BITS: u32 = 46;

/// A key with its value and what is known of it.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: Box<[u8]>,
    /// The value.
    pub value: Value,
    /// When the key ends, Unix ms; 0 for never.
    pub(super) expire_ms: u64,
    /// Last access, Unix seconds (OBJECT IDLETIME).
    pub accessed_s: u32,
}

impl Entry {
    /// When the key ends, Unix ms.
    pub fn expiry(&self) -> Option<u64> {
        (self.expire_ms != 0).then_some(self.expire_ms)
    }
}

#[derive(Debug)]
struct Segment {
    depth: u32,
    entries: HashTable<Entry>,
}

/// Where an entry lies until the table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    segment: u32,
    bucket: u32,
}

/// The entries of one database of one keyspace.
#[derive(Debug)]
pub struct KeyTable {
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    len: usize,
    hasher: DefaultHashBuilder,
}

impl KeyTable {
    /// An empty table. Tables that share `hasher` agree on SCAN order.
    pub fn new(hasher: DefaultHashBuilder) -> Self {
        let first = Segment {
            depth: 0,
            entries: HashTable::new(),
        };
        Self {
            directory: vec![0],
            depth: 0,
            segments: vec![first],
            len: 0,
            hasher,
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash of a key in this table.
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn segment_of(&self, hash: u64) -> u32 {
        if self.depth == 0 {
            self.directory[0]
        } else {
            self.directory[(hash >> (64 - self.depth)) as usize]
        }
    }

    /// The bits inside a segment: the top ones are the same in all of it.
    fn inner(hash: u64) -> u64 {
        hash.rotate_left(32)
    }

    /// Where the key is. O(1).
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Position> {
        let segment = self.segment_of(hash);
        let entries = &self.segments[segment as usize].entries;
        let bucket = entries.find_bucket_index(Self::inner(hash), |entry| *entry.key == *key)?;
        Some(Position {
            segment,
            bucket: bucket as u32,
        })
    }

    /// Whether the key is there. O(1).
    pub fn has(&self, key: &[u8]) -> bool {
        self.find(self.hash(key), key).is_some()
    }

    /// The entry at a position found since the last change of the table.
    pub fn get(&self, at: Position) -> Option<&Entry> {
        self.segments[at.segment as usize]
            .entries
            .get_bucket(at.bucket as usize)
    }

    /// The entry at a position found since the last change of the table, to change.
    pub fn get_mut(&mut self, at: Position) -> Option<&mut Entry> {
        self.segments[at.segment as usize]
            .entries
            .get_bucket_mut(at.bucket as usize)
    }

    /// Adds a key that is not there. O(1), now and then the split of one segment.
    pub fn insert(&mut self, hash: u64, entry: Entry) -> Position {
        debug_assert!(
            self.find(hash, &entry.key).is_none(),
            "the key must not be there"
        );
        let mut segment = self.segment_of(hash);
        while self.segments[segment as usize].entries.len() >= SEGMENT_ENTRIES_MAX
            && self.segments[segment as usize].depth < DEPTH_MAX
        {
            self.split(segment);
            segment = self.segment_of(hash);
        }
        let hasher = &self.hasher;
        let entries = &mut self.segments[segment as usize].entries;
        let occupied = entries.insert_unique(Self::inner(hash), entry, |entry| {
            Self::inner(hasher.hash_one(&*entry.key))
        });
        self.len += 1;
        Position {
            segment,
            bucket: occupied.bucket_index() as u32,
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let segment = self.segment_of(hash);
        let entries = &mut self.segments[segment as usize].entries;
        let (entry, _) = entries
            .find_entry(Self::inner(hash), |entry| *entry.key == *key)
            .ok()?
            .remove();
        self.len -= 1;
        if entries.is_empty() && entries.capacity() > 64 {
            let hasher = &self.hasher;
            self.segments[segment as usize]
                .entries
                .shrink_to_fit(|entry| Self::inner(hasher.hash_one(&*entry.key)));
        }
        Some(entry)
    }

    fn split(&mut self, segment: u32) {
        let depth = self.segments[segment as usize].depth + 1;
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
            self.depth = depth;
        }
        let bit = 64 - depth;
        let old = std::mem::take(&mut self.segments[segment as usize].entries);
        let room = old.len() / 2 + 1;
        let (mut low, mut high) = (
            HashTable::with_capacity(room),
            HashTable::with_capacity(room),
        );
        for entry in old {
            let hash = self.hasher.hash_one(&*entry.key);
            let half = if hash >> bit & 1 == 0 {
                &mut low
            } else {
                &mut high
            };
            half.insert_unique(Self::inner(hash), entry, |entry| {
                Self::inner(self.hasher.hash_one(&*entry.key))
            });
        }
        let new = self.segments.len() as u32;
        self.segments[segment as usize] = Segment {
            depth,
            entries: low,
        };
        self.segments.push(Segment {
            depth,
            entries: high,
        });
        for (prefix, at) in self.directory.iter_mut().enumerate() {
            if *at == segment && prefix >> (self.depth - depth) & 1 == 1 {
                *at = new;
            }
        }
    }

    /// All entries, in no order to rely on.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.segments
            .iter()
            .flat_map(|segment| segment.entries.iter())
    }

    /// The scan position of a hash: its top [`SCAN_BITS`] bits.
    fn scan_position(hash: u64) -> u64 {
        hash >> (64 - SCAN_BITS)
    }

    /// Entries from a scan position on, in hash order, at least `count` when there are so many (all that share the last
    /// position). Gives the position to go on from, `None` at the end. O(count + entries of the segments touched).
    pub fn scan(&self, from: u64, count: usize, mut take: impl FnMut(&Entry)) -> Option<u64> {
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
                .entries
                .iter()
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

    /// An entry picked with `random`, each about equally likely; `None` when empty.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        loop {
            let slot = (random() % self.directory.len() as u64) as usize;
            let entries = &self.segments[self.directory[slot] as usize].entries;
            // Rejection keeps the choice even: a bucket of the largest segment size is drawn, an empty one draws again.
            let buckets = entries.num_buckets();
            for _ in 0..8 {
                if let Some(entry) = entries.get_bucket((random() % buckets.max(1) as u64) as usize)
                {
                    return Some(entry);
                }
            }
        }
    }

    /// An entry by its hash and a condition; for the expiry index.
    pub fn find_by_hash(&self, hash: u64, matches: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let segment = self.segment_of(hash);
        // The raw table gives every entry that shares a few bits of the hash.
        self.segments[segment as usize]
            .entries
            .iter_hash(Self::inner(hash))
            // hashbrown also gives entries of which only a few bits of the hash are the same.
            .find(|entry| matches(entry) && self.hash(&entry.key) == hash)
    }

    /// Bytes of the table itself, entries included but not what they point to.
    pub fn heap_bytes(&self) -> usize {
        self.directory.len() * 4
            + self
                .segments
                .iter()
                .map(|segment| size_of::<Segment>() + segment.entries.allocation_size())
                .sum::<usize>()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
