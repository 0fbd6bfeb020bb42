//! Pending entries in the order of their idleness, out of the tree that has them by ID.
//!
//! ```text
//!   heap: subtrees by (oldest claimable delivery in it, lowest ID) and records by (delivery, ID)
//!   pop: a subtree ─► what it consists of goes into the heap     a record ─► it is the next
//! ```
//! Best first: what a subtree stands for in the heap is not above any record in it, so a record on top is the oldest of
//! all that are left. A subtree that is opened holds a record that comes before all others known, so k records
//! open k·log n subtrees at most.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::data::steps;

use super::id::StreamId;
use super::records::PendingRecord;
use super::tree::{Child, Node, Record, Summary};

/// What is told of several pending entries.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Idleness {
    /// When the one was delivered that was delivered longest ago, Unix ms, and in the highest bit whether none was released.
    oldest: u64,
    /// The same among those not known as gone from the log.
    pub(super) claimable_ms: u64,
}

/// In `oldest`: none was released.
const NONE_RELEASED: u64 = 1 << 63;

impl Idleness {
    /// Of no entry that somebody has: later than any delivery.
    pub(super) const NEVER_MS: u64 = u64::MAX >> 1;
    /// Of a released entry.
    pub(super) const RELEASED: Self = Self {
        oldest: Self::NEVER_MS,
        claimable_ms: Self::NEVER_MS,
    };

    /// Of an entry delivered at that time, Unix ms.
    pub(super) fn new(delivered_ms: u64, is_claimable: bool) -> Self {
        let delivered_ms = delivered_ms.min(Self::NEVER_MS - 1);
        Self {
            oldest: delivered_ms | NONE_RELEASED,
            claimable_ms: if is_claimable {
                delivered_ms
            } else {
                Self::NEVER_MS
            },
        }
    }

    /// Whether one of them was released.
    pub(super) fn released(self) -> bool {
        self.oldest & NONE_RELEASED == 0
    }

    /// When the one was delivered that was delivered longest ago, Unix ms.
    pub(super) fn oldest_ms(self) -> u64 {
        self.oldest & !NONE_RELEASED
    }
}

impl Summary for Idleness {
    const NONE: Self = Self {
        oldest: u64::MAX,
        claimable_ms: Self::NEVER_MS,
    };

    fn join(self, other: Self) -> Self {
        let none_released = self.oldest & other.oldest & NONE_RELEASED;
        Self {
            oldest: self.oldest_ms().min(other.oldest_ms()) | none_released,
            claimable_ms: self.claimable_ms.min(other.claimable_ms),
        }
    }
}

enum Part<'a> {
    Subtree(&'a Node<PendingRecord>),
    Record(&'a PendingRecord),
}

/// A part of the tree with the lowest (delivery, ID) that it may hold.
struct Candidate<'a> {
    rank: Reverse<(u64, StreamId)>,
    part: Part<'a>,
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// The walk. See the module's head.
pub(super) struct ByIdleness<'a> {
    heap: BinaryHeap<Candidate<'a>>,
    lowest: StreamId,
    latest_ms: u64,
}

impl<'a> ByIdleness<'a> {
    /// Over the records with owners, not gone, from the ID `lowest` on, delivered no later than `latest_ms`.
    pub(super) fn new(
        root: Option<&'a Child<PendingRecord>>,
        lowest: StreamId,
        latest_ms: u64,
    ) -> Self {
        let mut walk = Self {
            heap: BinaryHeap::new(),
            lowest,
            latest_ms: latest_ms.min(Idleness::NEVER_MS - 1),
        };
        root.into_iter().for_each(|root| walk.consider(root));
        walk
    }

    fn consider(&mut self, child: &'a Child<PendingRecord>) {
        if child.summary.claimable_ms <= self.latest_ms {
            self.push(
                child.summary.claimable_ms,
                child.first,
                Part::Subtree(&child.node),
            );
        }
    }

    fn push(&mut self, ms: u64, id: StreamId, part: Part<'a>) {
        steps::count(1);
        let rank = Reverse((ms, id));
        self.heap.push(Candidate { rank, part });
    }

    fn open(&mut self, node: &'a Node<PendingRecord>) {
        match node {
            Node::Leaf(records) => {
                let start = records.partition_point(|r| r.id < self.lowest);
                for record in &records[start..] {
                    let ms = record.summary().claimable_ms;
                    if ms <= self.latest_ms {
                        self.push(ms, record.id, Part::Record(record));
                    }
                }
            }
            Node::Inner(children) => {
                // A subtree is below `lowest` as a whole when the next one begins no higher.
                let start = children.partition_point(|c| c.first <= self.lowest);
                for child in &children[start.saturating_sub(1)..] {
                    self.consider(child);
                }
            }
        }
    }
}

impl<'a> Iterator for ByIdleness<'a> {
    type Item = &'a PendingRecord;

    fn next(&mut self) -> Option<&'a PendingRecord> {
        loop {
            match self.heap.pop()?.part {
                Part::Record(record) => return Some(record),
                Part::Subtree(node) => self.open(node),
            }
        }
    }
}
