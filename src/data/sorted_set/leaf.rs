//! A leaf of the order: entries side by side in one buffer.
//!
//! ```text
//! | scores, 8 bytes each | where members start, 2 bytes each | members, one behind the other |
//! ```
//! Invariants: entries ascend by score, then by member. A leaf with several entries is far below 64 KiB, so two bytes say
//! where a member starts; a long member is alone. The tree sees to both. Not here: how full a leaf should be.

use super::edge::Edge;

/// Bytes of a score.
const SCORE_BYTES: usize = 8;
/// Bytes of an entry besides its member.
pub(super) const ENTRY_BYTES: usize = SCORE_BYTES + 2;
/// A buffer grows by so much, which is how far apart the sizes lie that an allocator gives.
const GROWTH_BYTES: usize = 512;

/// Entries in order.
#[derive(Clone, Default)]
pub(super) struct Leaf {
    count: usize,
    bytes: Vec<u8>,
}

impl Leaf {
    /// A leaf of one entry.
    pub(super) fn of(score: f64, member: &[u8]) -> Self {
        let mut leaf = Self::default();
        leaf.insert(0, score, member);
        leaf
    }

    /// How many entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of all entries.
    #[inline]
    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The score of an entry.
    #[inline]
    pub(super) fn score(&self, index: usize) -> f64 {
        let at = index * SCORE_BYTES;
        let mut bytes = [0; SCORE_BYTES];
        bytes.copy_from_slice(&self.bytes[at..at + SCORE_BYTES]);
        f64::from_le_bytes(bytes)
    }

    /// Where members begin.
    #[inline]
    fn members_at(&self) -> usize {
        self.count * ENTRY_BYTES
    }

    /// Where a member starts among the members; of one behind the last their end.
    #[inline]
    fn start(&self, index: usize) -> usize {
        if index == self.count {
            return self.bytes.len() - self.members_at();
        }
        let at = self.count * SCORE_BYTES + 2 * index;
        usize::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// The member of an entry.
    #[inline]
    pub(super) fn member(&self, index: usize) -> &[u8] {
        let members_at = self.members_at();
        &self.bytes[members_at + self.start(index)..members_at + self.start(index + 1)]
    }

    /// How many entries lie in front of an edge. O(log n).
    #[inline]
    pub(super) fn before(&self, edge: &Edge<'_>) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            if edge.is_behind(self.score(middle), || self.member(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Puts an entry in front of the one at `index`.
    pub(super) fn insert(&mut self, index: usize, score: f64, member: &[u8]) {
        let (count, start, old) = (self.count, self.start(index), self.bytes.len());
        let new = old + ENTRY_BYTES + member.len();
        self.reserve(new);
        self.bytes.resize(new, 0);
        let bytes = &mut self.bytes;
        // From the back: what lies behind each of the three places makes room.
        let (starts_at, members_at) = (count * SCORE_BYTES, count * ENTRY_BYTES);
        let (new_starts_at, new_members_at) = (starts_at + SCORE_BYTES, members_at + ENTRY_BYTES);
        let (score_at, start_at) = (index * SCORE_BYTES, starts_at + 2 * index);
        bytes.copy_within(
            members_at + start..old,
            new_members_at + start + member.len(),
        );
        bytes.copy_within(start_at..members_at + start, start_at + ENTRY_BYTES);
        bytes.copy_within(score_at..start_at, score_at + SCORE_BYTES);
        bytes[score_at..score_at + SCORE_BYTES].copy_from_slice(&score.to_le_bytes());
        let at = new_starts_at + 2 * index;
        bytes[at..at + 2].copy_from_slice(&(start as u16).to_le_bytes());
        move_starts(&mut bytes[at + 2..new_members_at], member.len() as isize);
        let at = new_members_at + start;
        bytes[at..at + member.len()].copy_from_slice(member);
        self.count += 1;
    }

    /// Makes room for so many bytes in all, with as little to spare as an allocator gives anyway.
    fn reserve(&mut self, bytes: usize) {
        if bytes > self.bytes.capacity() {
            let wanted = if bytes > GROWTH_BYTES {
                bytes.next_multiple_of(GROWTH_BYTES)
            } else {
                bytes.next_power_of_two()
            };
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }

    /// Removes `count` entries from the one at `index` on.
    pub(super) fn remove(&mut self, index: usize, count: usize) {
        debug_assert!(index + count <= self.count, "no such entries");
        let (start, end, old) = (
            self.start(index),
            self.start(index + count),
            self.bytes.len(),
        );
        let (starts_at, members_at) = (self.count * SCORE_BYTES, self.members_at());
        let bytes = &mut self.bytes;
        let gone = end - start;
        move_starts(
            &mut bytes[starts_at + 2 * (index + count)..members_at],
            -(gone as isize),
        );
        // From the front, each part to its new place.
        let score_at = index * SCORE_BYTES;
        bytes.copy_within(
            score_at + count * SCORE_BYTES..starts_at + 2 * index,
            score_at,
        );
        let new_starts_at = starts_at - count * SCORE_BYTES;
        bytes.copy_within(
            starts_at + 2 * (index + count)..members_at + start,
            new_starts_at + 2 * index,
        );
        let new_members_at = members_at - count * ENTRY_BYTES;
        bytes.copy_within(members_at + end..old, new_members_at + start);
        bytes.truncate(old - gone - count * ENTRY_BYTES);
        self.count -= count;
        self.fit();
    }

    /// Gives back room that is much more than the entries need.
    fn fit(&mut self) {
        let wanted = self.bytes.len().next_multiple_of(GROWTH_BYTES);
        if self.bytes.capacity() > wanted + wanted / 2 {
            self.bytes.shrink_to(wanted);
        }
    }

    /// Takes the entries from `index` on into a leaf of their own.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let mut right = Self::default();
        right.append(self, index);
        self.remove(index, self.count - index);
        right
    }

    /// Appends the entries of another from `from` on.
    pub(super) fn append(&mut self, other: &Self, from: usize) {
        let (own, more) = (self.count, other.count - from);
        let (own_end, base) = (self.start(own), other.start(from));
        let mut bytes = Vec::new();
        let len = self.bytes.len() + more * ENTRY_BYTES + other.start(other.count) - base;
        bytes.reserve_exact(len.next_multiple_of(GROWTH_BYTES));
        bytes.extend_from_slice(&self.bytes[..own * SCORE_BYTES]);
        bytes.extend_from_slice(&other.bytes[from * SCORE_BYTES..other.count * SCORE_BYTES]);
        bytes.extend_from_slice(&self.bytes[own * SCORE_BYTES..self.members_at()]);
        let starts = (from..other.count).map(|index| (other.start(index) - base + own_end) as u16);
        bytes.extend(starts.flat_map(u16::to_le_bytes));
        bytes.extend_from_slice(&self.bytes[self.members_at()..]);
        bytes.extend_from_slice(&other.bytes[other.members_at() + base..]);
        self.bytes = bytes;
        self.count += more;
    }

    /// Where to cut the entries so that both halves have about as many bytes.
    pub(super) fn middle(&self) -> usize {
        let half = self.bytes.len() / 2;
        let below = |index: &usize| index * ENTRY_BYTES + self.start(*index) < half;
        (1..self.count)
            .find(|index| !below(index))
            .unwrap_or(self.count - 1)
            .max(1)
    }
}

/// Moves where members start.
fn move_starts(starts: &mut [u8], by: isize) {
    for start in starts.chunks_exact_mut(2) {
        let moved = u16::from_le_bytes([start[0], start[1]]).wrapping_add(by as u16);
        start.copy_from_slice(&moved.to_le_bytes());
    }
}
