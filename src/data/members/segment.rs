//! A segment of a table: an index of slots over packed entries.
//!
//! ```text
//! slots    | tag 14 bits, offset 18 bits | empty | …       a power of two, filled to four fifths at most
//! bytes    | entry | (dead) | entry | …
//!
//! entry    | length of key | length of payload | key | payload |      a length: one byte below 251, else 251 and two bytes
//!          | 255 | number of a large entry, four bytes |              the key with its payload lies on its own
//! ```
//! A key's slot is at its tag or behind it (linear probing); a removal moves those behind it up, so there are no marks of
//! removed ones. Bytes that are dead go when they are a quarter. Large entries are shared by whoever has them: a copy of the segment, those
//! it splits into, replies.
//!
//! Invariants: `len` slots are filled; each has the tag of its key's hash. Not here: which keys belong to which segment.

use super::{Hasher, below};
use bytes::Bytes;

/// An empty slot; no entry has that offset.
const EMPTY: u32 = u32::MAX;
const OFFSET_BITS: u32 = 18;
const OFFSET_MASK: u32 = (1 << OFFSET_BITS) - 1;
/// Tags are the low bits of a hash, the directory goes by the high ones.
const TAG_MASK: u64 = (1 << (32 - OFFSET_BITS)) - 1;

const SLOTS_MIN: usize = 8;
/// A segment with more entries splits: four fifths of 1024 slots.
const ENTRIES_MAX: usize = 819;
/// A segment with more bytes splits.
const BYTES_MAX: usize = 64 * 1024;
/// Segments with fewer entries look for a neighbour to become one with.
const SMALL_ENTRIES: usize = ENTRIES_MAX / 8;
/// Prefixes are no longer than this: keys whose hashes agree so far stay together.
const DEPTH_MAX: u8 = 32;
/// An entry of more bytes is large.
const LARGE_BYTES: usize = 2048;
/// A length from here on takes three bytes.
const LONG_LENGTH: usize = 251;
/// The first byte of a large entry.
const LARGE_MARK: u8 = 255;
const LARGE_REFERENCE_BYTES: usize = 5;

/// A segment. See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    slots: Box<[u32]>,
    bytes: Vec<u8>,
    /// Large entries: the length of the key in eight bytes, the key, the payload. Unused numbers are `None`.
    large: Vec<Option<Bytes>>,
    len: u32,
    dead_bytes: u32,
    prefix: u64,
    depth: u8,
}

/// An entry where it lies.
struct Found<'s> {
    key: &'s [u8],
    payload: &'s [u8],
    /// Bytes it takes among the packed ones.
    packed_bytes: usize,
}

fn length_bytes(length: usize) -> usize {
    if length < LONG_LENGTH { 1 } else { 3 }
}

fn read_length(bytes: &[u8], at: usize) -> (usize, usize) {
    let short = usize::from(bytes[at]);
    if short < LONG_LENGTH {
        return (short, at + 1);
    }
    let long = u16::from_le_bytes([bytes[at + 1], bytes[at + 2]]);
    (usize::from(long), at + 3)
}

fn write_length(bytes: &mut Vec<u8>, length: usize) {
    if length < LONG_LENGTH {
        bytes.push(length as u8);
    } else {
        bytes.push(LONG_LENGTH as u8);
        bytes.extend_from_slice(&(length as u16).to_le_bytes());
    }
}

/// See [`Segment::large`].
fn large_entry(key: &[u8], payload: &[&[u8]], payload_bytes: usize) -> Bytes {
    let mut entry = Vec::with_capacity(8 + key.len() + payload_bytes);
    entry.extend_from_slice(&(key.len() as u64).to_le_bytes());
    entry.extend_from_slice(key);
    for piece in payload {
        entry.extend_from_slice(piece);
    }
    entry.into()
}

impl Segment {
    pub(super) fn new(prefix: u64, depth: u8) -> Self {
        Self {
            slots: vec![EMPTY; SLOTS_MIN].into_boxed_slice(),
            bytes: Vec::new(),
            large: Vec::new(),
            len: 0,
            dead_bytes: 0,
            prefix,
            depth,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn prefix(&self) -> u64 {
        self.prefix
    }

    pub(super) fn depth(&self) -> u8 {
        self.depth
    }

    /// Pieces of memory to free.
    pub(super) fn part_count(&self) -> usize {
        1 + self.large.len()
    }

    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let large = self.large.iter().flatten().map(|entry| entry.len() + 16);
        self.slots.len() * size_of::<u32>()
            + self.bytes.capacity()
            + self.large.capacity() * size_of::<Option<Bytes>>()
            + large.sum::<usize>()
    }

    fn live_bytes(&self) -> usize {
        self.bytes.len() - self.dead_bytes as usize
    }

    /// Whether it is to be split, if it can be.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        (self.len() > ENTRIES_MAX || self.live_bytes() > BYTES_MAX)
            && self.depth < DEPTH_MAX
            && self.len > 1
    }

    #[inline]
    pub(super) fn is_small(&self) -> bool {
        self.len() < SMALL_ENTRIES && self.live_bytes() < BYTES_MAX / 8
    }

    /// Whether both together are one segment with room to spare.
    pub(super) fn fits_with(&self, other: &Self) -> bool {
        self.depth == other.depth
            && self.len() + other.len() < ENTRIES_MAX / 2
            && self.live_bytes() + other.live_bytes() < BYTES_MAX / 2
    }

    #[inline]
    fn found(&self, slot: u32) -> Found<'_> {
        let start = (slot & OFFSET_MASK) as usize;
        if self.bytes[start] == LARGE_MARK {
            return self.found_large(start);
        }
        let (key_bytes, at) = read_length(&self.bytes, start);
        let (payload_bytes, at) = read_length(&self.bytes, at);
        let (key, rest) = self.bytes[at..].split_at(key_bytes);
        Found {
            key,
            payload: &rest[..payload_bytes],
            packed_bytes: at + key_bytes + payload_bytes - start,
        }
    }

    #[cold]
    fn found_large(&self, start: usize) -> Found<'_> {
        let entry = self.large[self.large_number(start)].as_deref();
        let entry = entry.unwrap_or_else(|| unreachable!("a reference has its large entry"));
        let (length, rest) = entry.split_first_chunk().unwrap_or((&[0; 8], entry));
        let (key, payload) = rest.split_at(u64::from_le_bytes(*length) as usize);
        Found {
            key,
            payload,
            packed_bytes: LARGE_REFERENCE_BYTES,
        }
    }

    fn large_number(&self, start: usize) -> usize {
        let number = &self.bytes[start + 1..start + LARGE_REFERENCE_BYTES];
        u32::from_le_bytes([number[0], number[1], number[2], number[3]]) as usize
    }

    /// The entry of a slot, if that is filled.
    pub(super) fn at(&self, slot: usize) -> Option<(&[u8], &[u8])> {
        let slot = self.slots[slot];
        if slot == EMPTY {
            return None;
        }
        let found = self.found(slot);
        Some((found.key, found.payload))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.slots.len()).filter_map(|slot| self.at(slot))
    }

    /// An entry, each as likely as any other. The segment has one.
    pub(super) fn random(&self, chance: &mut dyn FnMut() -> u64) -> (&[u8], &[u8]) {
        loop {
            if let Some(entry) = self.at(below(chance(), self.slots.len())) {
                return entry;
            }
        }
    }

    /// The slot of a key.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let tag = (hash & TAG_MASK) as u32;
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                return None;
            }
            if slot >> OFFSET_BITS == tag && self.found(slot).key == key {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        let slot = self.find(hash, key)?;
        Some(self.found(self.slots[slot]).payload)
    }

    /// Puts an entry; true when its key is new.
    #[inline]
    pub(super) fn set(&mut self, hash: u64, key: &[u8], payload: &[&[u8]]) -> bool {
        let payload_bytes = payload.iter().map(|piece| piece.len()).sum();
        let Some(slot) = self.find(hash, key) else {
            let offset = self.append(key, payload, payload_bytes);
            self.enter(hash, offset);
            return true;
        };
        if !self.overwrite(slot, payload, payload_bytes) {
            self.bury(slot);
            let offset = self.append(key, payload, payload_bytes);
            self.slots[slot] = (self.slots[slot] & !OFFSET_MASK) | offset;
            self.compact_if_due();
        }
        false
    }

    /// The slots that are filled.
    pub(super) fn filled_slots(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().copied().filter(|slot| *slot != EMPTY)
    }

    /// The key of a filled slot.
    pub(super) fn key(&self, slot: u32) -> &[u8] {
        self.found(slot).key
    }

    /// Takes the entry of another segment's slot over; the key is new here.
    pub(super) fn adopt(&mut self, hash: u64, other: &Self, slot: u32) {
        let start = (slot & OFFSET_MASK) as usize;
        let offset = if other.bytes[start] == LARGE_MARK {
            let entry = other.large[other.large_number(start)].clone();
            self.append_large(entry)
        } else {
            let Found { key, payload, .. } = other.found(slot);
            self.append(key, &[payload], payload.len())
        };
        self.enter(hash, offset);
    }

    /// Enters the offset of a key that is new.
    #[inline]
    fn enter(&mut self, hash: u64, offset: u32) {
        if (self.len() + 1) * 5 > self.slots.len() * 4 {
            self.index_anew(self.slots.len() * 2);
        }
        self.fill_slot((hash & TAG_MASK) as u32, offset);
        self.len += 1;
    }

    /// The payload of a key without a copy, if its entry is large.
    pub(super) fn share_of(&self, hash: u64, key: &[u8]) -> Option<Bytes> {
        let slot = self.slots[self.find(hash, key)?];
        let start = (slot & OFFSET_MASK) as usize;
        if self.bytes[start] != LARGE_MARK {
            return None;
        }
        let entry = self.large[self.large_number(start)].as_ref()?;
        Some(entry.slice_ref(self.found(slot).payload))
    }

    /// Puts a payload in the place of one of the same length.
    fn overwrite(&mut self, slot: usize, payload: &[&[u8]], payload_bytes: usize) -> bool {
        let start = (self.slots[slot] & OFFSET_MASK) as usize;
        let found = self.found(self.slots[slot]);
        if found.payload.len() != payload_bytes || self.bytes[start] == LARGE_MARK {
            return false;
        }
        let end = start + found.packed_bytes;
        let mut at = end - payload_bytes;
        for piece in payload {
            self.bytes[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        true
    }

    /// Appends an entry; returns its offset.
    fn append(&mut self, key: &[u8], payload: &[&[u8]], payload_bytes: usize) -> u32 {
        let packed =
            length_bytes(key.len()) + length_bytes(payload_bytes) + key.len() + payload_bytes;
        let is_large = packed > LARGE_BYTES || self.bytes.len() + packed > 2 * BYTES_MAX;
        if is_large {
            return self.append_large(Some(large_entry(key, payload, payload_bytes)));
        }
        let start = self.make_room(packed);
        write_length(&mut self.bytes, key.len());
        write_length(&mut self.bytes, payload_bytes);
        self.bytes.extend_from_slice(key);
        for piece in payload {
            self.bytes.extend_from_slice(piece);
        }
        start
    }

    /// Where the next packed entry begins, with room for it.
    #[inline]
    fn make_room(&mut self, needed: usize) -> u32 {
        let start = self.bytes.len();
        assert!(
            start + needed < OFFSET_MASK as usize,
            "tens of thousands of keys with the same 32 bits of a hash"
        );
        if self.bytes.capacity() - start < needed {
            // An eighth to spare: the buffer is copied eight times while it fills, and is never half empty.
            self.bytes.reserve_exact(needed.max(start / 8));
        }
        start as u32
    }

    /// Keeps a large entry and appends what refers to it; returns the offset of that.
    #[cold]
    fn append_large(&mut self, entry: Option<Bytes>) -> u32 {
        let unused = self.large.iter().position(Option::is_none);
        let number = unused.unwrap_or(self.large.len());
        if unused.is_none() {
            self.large.push(None);
        }
        self.large[number] = entry;
        let start = self.make_room(LARGE_REFERENCE_BYTES);
        self.bytes.push(LARGE_MARK);
        self.bytes.extend_from_slice(&(number as u32).to_le_bytes());
        start
    }

    /// Counts the bytes of a slot's entry as dead.
    fn bury(&mut self, slot: usize) {
        let start = (self.slots[slot] & OFFSET_MASK) as usize;
        self.dead_bytes += self.found(self.slots[slot]).packed_bytes as u32;
        if self.bytes[start] == LARGE_MARK {
            let number = self.large_number(start);
            self.large[number] = None;
        }
    }

    #[inline]
    fn fill_slot(&mut self, tag: u32, offset: u32) {
        let mask = self.slots.len() - 1;
        let mut at = tag as usize & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = tag << OFFSET_BITS | offset;
    }

    /// Removes the entry of a slot.
    pub(super) fn remove(&mut self, slot: usize) {
        self.bury(slot);
        self.len -= 1;
        let mask = self.slots.len() - 1;
        let (mut hole, mut at) = (slot, (slot + 1) & mask);
        while self.slots[at] != EMPTY {
            let home = (self.slots[at] >> OFFSET_BITS) as usize & mask;
            // It may move up to the hole unless that lies in front of its place.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = (at + 1) & mask;
        }
        self.slots[hole] = EMPTY;
        self.compact_if_due();
    }

    fn compact_if_due(&mut self) {
        let dead = self.dead_bytes as usize;
        if dead > 64 && dead * 4 > self.bytes.len() {
            self.compact();
        }
        if self.slots.len() > SLOTS_MIN && self.len() * 8 < self.slots.len() {
            self.index_anew(self.slots.len() / 2);
        }
    }

    /// Packs the entries anew, without the dead bytes.
    #[cold]
    fn compact(&mut self) {
        let mut bytes = Vec::with_capacity(self.live_bytes());
        for at in 0..self.slots.len() {
            let slot = self.slots[at];
            if slot == EMPTY {
                continue;
            }
            let start = (slot & OFFSET_MASK) as usize;
            let end = start + self.found(slot).packed_bytes;
            self.slots[at] = (slot & !OFFSET_MASK) | bytes.len() as u32;
            bytes.extend_from_slice(&self.bytes[start..end]);
            // Packed entries are read where they were until all have moved.
        }
        self.bytes = bytes;
        self.dead_bytes = 0;
    }

    /// Puts all slots into an index of another size. Tags say where they belong.
    #[cold]
    fn index_anew(&mut self, slot_count: usize) {
        let slots = vec![EMPTY; slot_count].into_boxed_slice();
        let old = std::mem::replace(&mut self.slots, slots);
        for slot in old.into_iter().filter(|slot| *slot != EMPTY) {
            self.fill_slot(slot >> OFFSET_BITS, slot & OFFSET_MASK);
        }
    }

    /// The two segments of the next bit of the hash; `None` when there are no more bits.
    pub(super) fn halves(&self, hasher: &Hasher) -> Option<[Self; 2]> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        let depth = self.depth + 1;
        let mut halves = [0, 1].map(|bit| Self::new(self.prefix << 1 | bit, depth));
        for half in &mut halves {
            half.bytes.reserve_exact(self.live_bytes() / 2);
        }
        for slot in self.filled_slots() {
            let hash = hasher.hash_one(self.key(slot));
            let bit = hash >> (64 - u32::from(depth)) & 1;
            halves[bit as usize].adopt(hash, self, slot);
        }
        Some(halves)
    }

    /// Both segments as one.
    pub(super) fn joined_with(&self, other: &Self, hasher: &Hasher) -> Self {
        let mut joined = Self::new(self.prefix >> 1, self.depth - 1);
        for segment in [self, other] {
            for slot in segment.filled_slots() {
                let hash = hasher.hash_one(segment.key(slot));
                joined.adopt(hash, segment, slot);
            }
        }
        joined
    }
}
