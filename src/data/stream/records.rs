//! What the trees of pending entries hold, as small as it can be.
//!
//! ```text
//!   PendingRecord  32 bytes  │ id 16 │ time 8 │ count 4 │ owner 4: consumer 31 bits, gone 1 bit │
//!   Owned          21 bytes  │ id 16 │ since 5 │          Released  20 bytes  │ place 4 │ id 16 │
//! ```
//! A record stands in its own tree and in one of the others: with its owner, or in the queue of what was released.

use super::id::StreamId;
use super::idleness::Idleness;
use super::pending::ConsumerIndex;
use super::tree::{Record, Summary};

/// In a record's owner: nobody.
pub(super) const NOBODY: u32 = u32::MAX >> 1;
/// In a record's owner: the entry has left the log.
pub(super) const GONE: u32 = 1 << 31;

/// A pending entry.
#[derive(Clone, Copy)]
pub(super) struct PendingRecord {
    pub(super) id: StreamId,
    /// When it was delivered, Unix ms; of a released entry its place in the queue.
    pub(super) time: u64,
    pub(super) count: u32,
    pub(super) owner: u32,
}

/// Where a record is to be found besides its own tree.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// In the tree of who has had it since then, Unix ms.
    With(ConsumerIndex, u64),
    /// In the queue of released entries.
    InQueue(u32),
    Nowhere,
}

impl Place {
    pub(super) fn consumer(self) -> Option<ConsumerIndex> {
        match self {
            Place::With(consumer, _) => Some(consumer),
            Place::InQueue(_) | Place::Nowhere => None,
        }
    }
}

impl PendingRecord {
    pub(super) fn consumer(&self) -> Option<ConsumerIndex> {
        let index = self.owner & !GONE;
        (index != NOBODY).then_some(ConsumerIndex(index))
    }

    pub(super) fn is_gone(&self) -> bool {
        self.owner & GONE != 0
    }

    pub(super) fn place(&self) -> Place {
        match self.consumer() {
            Some(consumer) => Place::With(consumer, self.time),
            None if self.is_gone() => Place::Nowhere,
            None => Place::InQueue(u32::try_from(self.time).unwrap_or(u32::MAX)),
        }
    }
}

impl Record for PendingRecord {
    type Key = StreamId;
    type Summary = Idleness;
    fn key(&self) -> StreamId {
        self.id
    }
    fn summary(&self) -> Idleness {
        match self.consumer() {
            None => Idleness::RELEASED,
            Some(_) => Idleness::new(self.time, !self.is_gone()),
        }
    }
}

/// When an entry was delivered: 40 bits of Unix milliseconds. What lies before or behind the 34 years that they span is
/// rounded, in the order of time: nothing gets in front of what is older.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Since(u64);

impl Since {
    const BITS: u32 = 40;
    /// Where they begin, Unix ms: November 2004. Our days are in the middle.
    const BEGIN_MS: u64 = 1 << Self::BITS;

    pub(super) fn new(ms: u64) -> Self {
        Self(ms.saturating_sub(Self::BEGIN_MS).min((1 << Self::BITS) - 1))
    }
}

impl Summary for Since {
    const NONE: Self = Self(u64::MAX);
    fn join(self, other: Self) -> Self {
        self.min(other)
    }
}

/// An entry that somebody has. In bytes: 21 instead of 24.
#[derive(Clone, Copy)]
pub(super) struct Owned {
    id: [u8; 16],
    since: [u8; 5],
}

impl Owned {
    pub(super) fn new(id: StreamId, since_ms: u64) -> Self {
        let [_, _, _, since @ ..] = Since::new(since_ms).0.to_be_bytes();
        Self {
            id: id.to_be_bytes(),
            since,
        }
    }

    pub(super) fn id(&self) -> StreamId {
        StreamId::from_be_bytes(self.id)
    }
}

impl Record for Owned {
    type Key = StreamId;
    type Summary = Since;
    fn key(&self) -> StreamId {
        self.id()
    }
    fn summary(&self) -> Since {
        let [a, b, c, d, e] = self.since;
        Since(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }
}

/// A place in the queue of released entries. In pieces of 4 bytes: 20 instead of 24.
#[derive(Clone, Copy)]
pub(super) struct Released {
    pub(super) place: u32,
    id: [u32; 4],
}

/// The highest of several IDs.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Highest(pub(super) StreamId);

impl Summary for Highest {
    const NONE: Self = Highest(StreamId::MIN);
    fn join(self, other: Self) -> Self {
        Highest(self.0.max(other.0))
    }
}

impl Released {
    #[allow(clippy::cast_possible_truncation, reason = "halves of 64 bits")]
    pub(super) fn new(place: u32, id: StreamId) -> Self {
        let halves = |n: u64| [(n >> 32) as u32, n as u32];
        let ([a, b], [c, d]) = (halves(id.ms), halves(id.seq));
        Self {
            place,
            id: [a, b, c, d],
        }
    }

    pub(super) fn id(&self) -> StreamId {
        let whole = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let [a, b, c, d] = self.id;
        StreamId {
            ms: whole(a, b),
            seq: whole(c, d),
        }
    }
}

impl Record for Released {
    type Key = u32;
    type Summary = Highest;
    fn key(&self) -> u32 {
        self.place
    }
    fn summary(&self) -> Highest {
        Highest(self.id())
    }
}
