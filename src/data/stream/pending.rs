//! The pending entries of a group: delivered, not yet acknowledged.
//!
//! ```text
//!   records      one tree by ID:   { id 16 │ delivered_ms 8 │ count 4 │ consumer 4 }
//!   by_consumer  per consumer:     { id 16 }
//! ```
//!
//! 48 bytes per entry and about 3 of tree around them when deliveries come in ID order. The
//! tree of records knows the oldest delivery of every subtree, so the next entry idle for long enough
//! is found in O(log n) however many fresh ones lie before it. An order by delivery time would be a third tree
//! beside these two, kept in [`PendingEntries::assign`], [`PendingEntries::acknowledge`] and
//! [`PendingEntries::redeliver`], the only places that change a record.
//!
//! Invariants: an ID is in exactly one consumer's tree, that of its record's consumer; a count of
//! `COUNT_IS_LARGE` has its value in `large_counts`, others have none there.
//!
//! It does not know whether the entries still exist in the stream, nor the consumers' names (see
//! `group`).

use std::collections::BTreeMap;

use super::id::StreamId;
use super::tree::{Iter, Record, Tree};

/// Stands for a delivery count that does not fit 32 bits (XCLAIM RETRYCOUNT may set any).
const COUNT_IS_LARGE: u32 = u32::MAX;

/// Which consumer of its group: a small number that the group gives out, reused after deletion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConsumerIndex(pub(super) u32);

impl ConsumerIndex {
    fn slot(self) -> usize {
        self.0 as usize
    }
}

/// One pending entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PendingEntry {
    /// The stream entry.
    pub id: StreamId,
    /// Who has it and since when.
    pub delivery: Delivery,
}

/// Who has an entry, since when, and how often it was delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The owner.
    pub consumer: ConsumerIndex,
    /// Unix time of the last delivery, milliseconds.
    pub delivered_ms: u64,
    /// Deliveries so far.
    pub delivery_count: u64,
}

impl Delivery {
    /// Milliseconds since the delivery; negative when the clock went back.
    #[must_use]
    #[allow(
        clippy::cast_possible_wrap,
        reason = "Redis computes with signed milliseconds; both are far below 2^63"
    )]
    pub fn idle_ms(&self, now_ms: u64) -> i64 {
        (now_ms as i64).wrapping_sub(self.delivered_ms as i64)
    }
}

#[derive(Clone, Copy)]
struct PendingRecord {
    id: StreamId,
    delivered_ms: u64,
    count: u32,
    consumer: ConsumerIndex,
}

impl Record for PendingRecord {
    type Key = StreamId;
    fn key(&self) -> StreamId {
        self.id
    }
    fn delivered_ms(&self) -> u64 {
        self.delivered_ms
    }
}

#[derive(Clone, Copy)]
struct OwnedId(StreamId);

impl Record for OwnedId {
    type Key = StreamId;
    fn key(&self) -> StreamId {
        self.0
    }
    fn delivered_ms(&self) -> u64 {
        0
    }
}

/// All pending entries of one group. See the module's head.
#[derive(Clone, Default)]
pub struct PendingEntries {
    records: Tree<PendingRecord>,
    by_consumer: Vec<Tree<OwnedId>>,
    large_counts: BTreeMap<StreamId, u64>,
    redeliveries: u64,
}

impl PendingEntries {
    /// Number of pending entries. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// How often an entry was delivered that had been delivered before, since this structure was made.
    #[must_use]
    pub fn redeliveries(&self) -> u64 {
        self.redeliveries
    }

    /// When the entry that is longest without another delivery was delivered, Unix milliseconds. O(1).
    #[must_use]
    pub fn oldest_delivery_ms(&self) -> Option<u64> {
        self.records.oldest_ms()
    }

    /// Whether nothing is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of entries this consumer has. O(1).
    #[must_use]
    pub fn len_of(&self, consumer: ConsumerIndex) -> usize {
        self.by_consumer.get(consumer.slot()).map_or(0, Tree::len)
    }

    /// The pending entry with this ID. O(log n).
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<PendingEntry> {
        self.records.get(id).map(|record| self.open(record))
    }

    /// The lowest pending ID. O(log n).
    #[must_use]
    pub fn first_id(&self) -> Option<StreamId> {
        self.records.at_rank(0).map(|r| r.id)
    }

    /// The highest pending ID. O(log n).
    #[must_use]
    pub fn last_id(&self) -> Option<StreamId> {
        self.records.last().map(|r| r.id)
    }

    /// Makes the entry pending with this delivery, whoever had it before: delivery, claim and
    /// transfer in one. Returns how it was. O(log n).
    pub fn assign(&mut self, id: StreamId, delivery: Delivery) -> Option<PendingEntry> {
        let record = self.pack(id, delivery);
        let before = self.records.insert(record);
        if before.is_none_or(|b| b.consumer != delivery.consumer) {
            if let Some(b) = before {
                self.by_consumer[b.consumer.slot()].remove(id);
            }
            let slot = delivery.consumer.slot();
            if self.by_consumer.len() <= slot {
                self.by_consumer.resize_with(slot + 1, Tree::default);
            }
            self.by_consumer[slot].insert(OwnedId(id));
        }
        let before = before.map(|b| self.open(&b));
        let count_before = before.map_or(1, |b| b.delivery.delivery_count);
        self.redeliveries += u64::from(delivery.delivery_count > count_before);
        if record.count != COUNT_IS_LARGE {
            self.forget_large_count(id);
        } else {
            self.large_counts.insert(id, delivery.delivery_count);
        }
        before
    }

    /// The entry was handed to its owner once more: new time, one delivery more. O(log n).
    pub fn redeliver(&mut self, id: StreamId, now_ms: u64) -> Option<Delivery> {
        let before = self.get(id)?;
        let delivery = Delivery {
            delivered_ms: now_ms,
            delivery_count: before.delivery.delivery_count.saturating_add(1),
            ..before.delivery
        };
        let record = self.pack(id, delivery);
        self.records.update(id, |r| *r = record);
        self.redeliveries += 1;
        if record.count == COUNT_IS_LARGE {
            self.large_counts.insert(id, delivery.delivery_count);
        }
        Some(delivery)
    }

    /// Takes the entry off the list; gives what it was. O(log n).
    pub fn acknowledge(&mut self, id: StreamId) -> Option<PendingEntry> {
        let record = self.records.remove(id)?;
        self.by_consumer[record.consumer.slot()].remove(id);
        let entry = self.open(&record);
        self.forget_large_count(id);
        Some(entry)
    }

    /// Takes everything off the list that this consumer has; gives how many. O(m log n).
    pub(super) fn forget_consumer(&mut self, consumer: ConsumerIndex) -> usize {
        let Some(own) = self.by_consumer.get_mut(consumer.slot()) else {
            return 0;
        };
        let own = std::mem::take(own);
        for OwnedId(id) in own.iter() {
            self.records.remove(*id);
            if !self.large_counts.is_empty() {
                self.large_counts.remove(id);
            }
        }
        own.len()
    }

    /// Pending entries from `from` on in ID order. O(log n) to start.
    pub fn iter_from(&self, from: StreamId) -> impl Iterator<Item = PendingEntry> + '_ {
        self.records.iter_from(from).map(|r| self.open(r))
    }

    /// IDs of one consumer's pending entries from `from` on. O(log n) to start.
    pub fn ids_of(
        &self,
        consumer: ConsumerIndex,
        from: StreamId,
    ) -> impl Iterator<Item = StreamId> + '_ {
        let own: Option<Iter<'_, OwnedId>> = self
            .by_consumer
            .get(consumer.slot())
            .map(|tree| tree.iter_from(from));
        own.into_iter().flatten().map(|owned| owned.0)
    }

    /// One consumer's pending entries from `from` on: O(log n) each.
    pub fn iter_of(
        &self,
        consumer: ConsumerIndex,
        from: StreamId,
    ) -> impl Iterator<Item = PendingEntry> + '_ {
        self.ids_of(consumer, from).filter_map(|id| self.get(id))
    }

    /// The first entry from `from` on that was idle for at least `idle_min_ms` at `now_ms`. O(log n).
    #[must_use]
    pub fn next_idle(&self, from: StreamId, now_ms: u64, idle_min_ms: u64) -> Option<PendingEntry> {
        // Idle 0 asks for nothing: also entries whose delivery lies ahead of the clock.
        let latest_ms = match idle_min_ms {
            0 => u64::MAX,
            _ => now_ms.checked_sub(idle_min_ms)?,
        };
        self.records
            .next_delivered_by(from, latest_ms)
            .map(|r| self.open(r))
    }

    /// How many pending entries have a lower ID. O(log n).
    #[must_use]
    pub fn rank(&self, id: StreamId) -> usize {
        self.records.rank(id)
    }

    /// The ID that has `rank` pending IDs before it. O(log n).
    #[must_use]
    pub fn id_at_rank(&self, rank: usize) -> Option<StreamId> {
        self.records.at_rank(rank).map(|r| r.id)
    }

    /// Bytes of all trees.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.records.heap_bytes()
            + self.by_consumer.capacity() * size_of::<Tree<OwnedId>>()
            + self.by_consumer.iter().map(Tree::heap_bytes).sum::<usize>()
            + self.large_counts.len() * size_of::<(StreamId, u64)>()
    }

    fn pack(&self, id: StreamId, delivery: Delivery) -> PendingRecord {
        PendingRecord {
            id,
            delivered_ms: delivery.delivered_ms,
            count: u32::try_from(delivery.delivery_count).unwrap_or(COUNT_IS_LARGE),
            consumer: delivery.consumer,
        }
    }

    fn open(&self, record: &PendingRecord) -> PendingEntry {
        let delivery_count = match record.count {
            COUNT_IS_LARGE => self.large_counts.get(&record.id).copied(),
            _ => None,
        };
        PendingEntry {
            id: record.id,
            delivery: Delivery {
                consumer: record.consumer,
                delivered_ms: record.delivered_ms,
                delivery_count: delivery_count.unwrap_or(u64::from(record.count)),
            },
        }
    }

    fn forget_large_count(&mut self, id: StreamId) {
        if !self.large_counts.is_empty() {
            self.large_counts.remove(&id);
        }
    }
}
