//! The pending entries of a group: delivered, not yet acknowledged.
//!
//! ```text
//!   records      one tree by ID:     { id 16 │ delivered_ms, or place in the queue 8 │ count 4 │ owner 4 }
//!   by_consumer  per consumer:       { id 16 │ since 5 }  entries somebody has
//!   released     one tree by place:  { place 4 │ id 16 }  entries nobody has: given back by XNACK, first in first out
//! ```
//!
//! At most 53 bytes per entry and about 3 of tree around them when deliveries come in ID order (see `records`). The trees
//! know of every subtree the oldest delivery, that of records also whether something in it was released, so the next
//! entry idle for long enough, of all or of one consumer, is found in O(log n) however many fresh ones lie before it, and
//! the entries in the order of their idleness without a tree of their own (see `idleness`).
//!
//! A claim that meets a reference to an entry that has left the log marks it *gone*, and no claim looks at it again: so
//! many of them cost each claim nothing. What lies below the log's first entry is passed over without a look.
//!
//! Invariants: an ID is in exactly one consumer's tree, that of its record's owner, or when it has none and is not
//! gone in `released`, at its place; a count of `COUNT_IS_LARGE` has its value in `large_counts`, others have none there.
//!
//! It does not know whether the entries still exist in the stream, nor the consumers' names (see
//! `group`).

mod claim;
mod foreign;

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::id::StreamId;
use super::idleness::{ByIdleness, Idleness};
use super::records::{GONE, Highest, NOBODY, Owned, PendingRecord, Place, Released, Since};
use super::releases::Releases;
use super::tree::{Iter, Tree};

pub(crate) use claim::IdleClaim;

/// Stands for a delivery count that does not fit 32 bits (XCLAIM RETRYCOUNT may set any).
const COUNT_IS_LARGE: u32 = u32::MAX;
/// A delivery count ends here: the highest that a reply can tell, and what XNACK FATAL sets.
pub(crate) const DELIVERY_COUNT_MAX: u64 = i64::MAX as u64;
/// More consumers than this a group does not have.
pub(super) const CONSUMER_COUNT_MAX: u32 = NOBODY;

/// Which consumer of its group: a small number that the group gives out, reused after deletion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ConsumerIndex(pub(super) u32);

impl ConsumerIndex {
    fn slot(self) -> usize {
        self.0 as usize
    }
}

/// One pending entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PendingEntry {
    /// The stream entry.
    pub(crate) id: StreamId,
    /// Who has it and since when.
    pub(crate) delivery: Delivery,
}

/// Who has an entry, since when, and how often it was delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    /// The owner; none: it was released.
    pub(crate) consumer: Option<ConsumerIndex>,
    /// Unix time of the last delivery, milliseconds; 0 when it was released.
    pub(crate) delivered_ms: u64,
    /// Deliveries so far.
    pub(crate) delivery_count: u64,
}

impl Delivery {
    /// Milliseconds since the delivery; negative when the clock went back.
    #[must_use]
    #[allow(
        clippy::cast_possible_wrap,
        reason = "Redis computes with signed milliseconds; both are far below 2^63"
    )]
    pub(crate) fn idle_ms(&self, now_ms: u64) -> i64 {
        (now_ms as i64).wrapping_sub(self.delivered_ms as i64)
    }

    /// Whether it was released: anybody may take it, at once.
    #[must_use]
    pub(crate) fn is_released(&self) -> bool {
        self.consumer.is_none()
    }

    /// Whether it may be taken after so many idle milliseconds; 0 asks for nothing.
    #[must_use]
    pub(crate) fn is_claimable(&self, now_ms: u64, idle_min_ms: i64) -> bool {
        self.is_released() || idle_min_ms <= 0 || self.idle_ms(now_ms) >= idle_min_ms
    }

    /// The count after one more delivery.
    #[must_use]
    pub(crate) fn next_count(&self) -> u64 {
        next_count(self.delivery_count)
    }
}

/// The latest delivery that has been idle for so long; none when time has not lasted for so long.
fn latest_ms(now_ms: u64, idle_min_ms: u64) -> Option<u64> {
    match idle_min_ms {
        // Asks for nothing: also entries whose delivery lies ahead of the clock.
        0 => Some(u64::MAX),
        _ => now_ms.checked_sub(idle_min_ms),
    }
}

/// Whether an entry among several was delivered no later than that, or released.
fn holds_idle(latest_ms: Option<u64>) -> impl Fn(Idleness) -> bool {
    move |s| s.released() || latest_ms.is_some_and(|latest_ms| s.oldest_ms() <= latest_ms)
}

/// One delivery more, up to [`DELIVERY_COUNT_MAX`].
fn next_count(count: u64) -> u64 {
    count.saturating_add(1).min(DELIVERY_COUNT_MAX)
}

/// All pending entries of one group. See the module's head.
#[derive(Clone, Default)]
pub(crate) struct PendingEntries {
    records: Tree<PendingRecord>,
    by_consumer: Vec<Tree<Owned>>,
    released: Tree<Released>,
    /// Released entries, gone ones included.
    released_count: usize,
    next_place: u32,
    large_counts: BTreeMap<StreamId, u64>,
    /// How many of them are [`DELIVERY_COUNT_MAX`].
    dead_count: usize,
    redeliveries: u64,
    /// How often the log had gone back when entries were marked as gone: what was gone may be there again.
    rewinds: u32,
    /// Which IDs have left the list, for trims that spare what is on it.
    pub(super) releases: Releases,
}

impl PendingEntries {
    /// Number of pending entries. O(1).
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// How often an entry was delivered that had been delivered before, since this structure was made.
    #[must_use]
    pub(crate) fn redeliveries(&self) -> u64 {
        self.redeliveries
    }

    /// How many entries were given up for good: their count is the highest there is (XNACK FATAL). O(1).
    #[must_use]
    pub(crate) fn dead_count(&self) -> usize {
        self.dead_count
    }

    /// Number of entries this consumer has. O(1).
    #[must_use]
    pub(crate) fn len_of(&self, consumer: ConsumerIndex) -> usize {
        self.by_consumer.get(consumer.slot()).map_or(0, Tree::len)
    }

    /// The pending entry with this ID. O(log n).
    #[must_use]
    pub(crate) fn get(&self, id: StreamId) -> Option<PendingEntry> {
        self.records.get(id).map(|record| self.open(record))
    }

    /// The lowest pending ID. O(log n).
    #[must_use]
    pub(crate) fn first_id(&self) -> Option<StreamId> {
        self.records.at_rank(0).map(|r| r.id)
    }

    /// The highest pending ID. O(log n).
    #[must_use]
    pub(crate) fn last_id(&self) -> Option<StreamId> {
        self.records.last().map(|r| r.id)
    }

    /// Number of released entries: nobody has them. O(1).
    #[must_use]
    pub(crate) fn released_count(&self) -> usize {
        self.released_count
    }

    /// When the entry was delivered that somebody has and that was delivered longest ago, Unix ms. O(1).
    #[must_use]
    pub(crate) fn oldest_delivery_ms(&self) -> Option<u64> {
        let oldest_ms = self.records.summary().oldest_ms();
        (oldest_ms != Idleness::NEVER_MS).then_some(oldest_ms)
    }

    /// Makes the entry pending with this delivery, whoever had it before: delivery, claim, transfer and, without a
    /// consumer, release to the end of the queue in one. Returns how it was. O(log n).
    pub(crate) fn assign(&mut self, id: StreamId, delivery: Delivery) -> Option<PendingEntry> {
        let record = self.pack(id, delivery);
        let before = self.records.insert(record);
        self.reindex(id, before.as_ref(), Some(&record));
        let before = before.map(|b| self.open(&b));
        let count_before = before.map_or(1, |b| b.delivery.delivery_count);
        let is_delivery = delivery.consumer.is_some() && delivery.delivery_count > count_before;
        self.redeliveries += u64::from(is_delivery);
        if record.count != COUNT_IS_LARGE {
            self.forget_large_count(id);
        } else {
            self.set_large_count(id, delivery.delivery_count);
        }
        before
    }

    /// First delivery of these entries, which ascend. O(log n + m) for m of them when they are behind all that are pending, as
    /// new ones are; else O(log n) each.
    pub(crate) fn deliver_each(&mut self, ids: &[StreamId], consumer: ConsumerIndex, now_ms: u64) {
        let delivery = Delivery {
            consumer: Some(consumer),
            delivered_ms: now_ms,
            delivery_count: 1,
        };
        let (last, first) = (self.last_id(), ids.first());
        if ids.len() < 2 || last.is_some_and(|last| first.is_some_and(|first| *first <= last)) {
            ids.iter().for_each(|id| {
                self.assign(*id, delivery);
            });
            return;
        }
        let records: SmallVec<[PendingRecord; 16]> =
            ids.iter().map(|id| self.pack(*id, delivery)).collect();
        self.records.insert_each(&records);
        let owned: SmallVec<[Owned; 16]> = ids.iter().map(|id| Owned::new(*id, now_ms)).collect();
        self.own_tree(consumer).insert_each(&owned);
    }

    /// The entry was handed to its owner once more: new time, one delivery more. `None` when nobody has it. O(log n).
    pub(crate) fn redeliver(&mut self, id: StreamId, now_ms: u64) -> Option<Delivery> {
        let before = self.get(id)?.delivery;
        before.consumer?;
        let delivery = Delivery {
            delivered_ms: now_ms,
            delivery_count: before.next_count(),
            ..before
        };
        self.assign(id, delivery);
        Some(delivery)
    }

    /// Takes the entry off the list; gives what it was. O(log n).
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> Option<PendingEntry> {
        let record = self.records.remove(id)?;
        self.reindex(id, Some(&record), None);
        let entry = self.open(&record);
        self.forget_large_count(id);
        self.releases.note(id);
        Some(entry)
    }

    /// Takes all of `start..=end` off the list; gives the IDs, ascending. O(log n + m) for m of them, and O(log n) for each
    /// consumer that had some and each released one.
    pub(super) fn remove_range(&mut self, start: StreamId, end: StreamId) -> Vec<StreamId> {
        let taken = self.records.remove_range(start, end);
        let owners: BTreeSet<ConsumerIndex> =
            taken.iter().filter_map(PendingRecord::consumer).collect();
        for owner in owners {
            self.by_consumer[owner.slot()].remove_range(start, end);
        }
        for record in &taken {
            if record.consumer().is_none() {
                self.reindex(record.id, Some(record), None);
            }
            self.forget_large_count(record.id);
            self.releases.note(record.id);
        }
        taken.into_iter().map(|record| record.id).collect()
    }

    /// Keeps the other trees as the tree of records: one of them has changed from `before` to `after`.
    fn reindex(
        &mut self,
        id: StreamId,
        before: Option<&PendingRecord>,
        after: Option<&PendingRecord>,
    ) {
        let place = |r: Option<&PendingRecord>| r.map_or(Place::Nowhere, PendingRecord::place);
        let is_released = |r: Option<&PendingRecord>| r.is_some_and(|r| r.consumer().is_none());
        self.released_count += usize::from(is_released(after));
        self.released_count -= usize::from(is_released(before));
        let (from, to) = (place(before), place(after));
        if from == to {
            return;
        }
        match from {
            // It is replaced.
            Place::With(consumer, _) if to.consumer() == Some(consumer) => {}
            Place::With(consumer, _) => {
                self.by_consumer[consumer.slot()].remove(id);
            }
            Place::InQueue(place) => {
                self.released.remove(place);
            }
            Place::Nowhere => {}
        }
        match to {
            Place::With(consumer, since) => {
                self.own_tree(consumer).insert(Owned::new(id, since));
            }
            Place::InQueue(place) => {
                self.released.insert(Released::new(place, id));
            }
            Place::Nowhere => {}
        }
    }

    fn own_tree(&mut self, consumer: ConsumerIndex) -> &mut Tree<Owned> {
        let slot = consumer.slot();
        if self.by_consumer.len() <= slot {
            self.by_consumer.resize_with(slot + 1, Tree::default);
        }
        &mut self.by_consumer[slot]
    }

    /// Takes everything off the list that this consumer has; gives how many. O(m log n).
    pub(super) fn forget_consumer(&mut self, consumer: ConsumerIndex) -> usize {
        let Some(own) = self.by_consumer.get_mut(consumer.slot()) else {
            return 0;
        };
        let own = std::mem::take(own);
        for id in own.iter().map(Owned::id) {
            self.records.remove(id);
            self.releases.note(id);
            self.forget_large_count(id);
        }
        own.len()
    }

    /// Pending entries from `from` on in ID order. O(log n) to start.
    pub(crate) fn iter_from(&self, from: StreamId) -> impl Iterator<Item = PendingEntry> + '_ {
        self.records.iter_from(from).map(|r| self.open(r))
    }

    /// IDs of one consumer's pending entries from `from` on. O(log n) to start.
    pub(crate) fn ids_of(
        &self,
        consumer: ConsumerIndex,
        from: StreamId,
    ) -> impl Iterator<Item = StreamId> + '_ {
        let own: Option<Iter<'_, Owned>> = self
            .by_consumer
            .get(consumer.slot())
            .map(|tree| tree.iter_from(from));
        own.into_iter().flatten().map(Owned::id)
    }

    /// One consumer's pending entries from `from` on: O(log n) each.
    pub(crate) fn iter_of(
        &self,
        consumer: ConsumerIndex,
        from: StreamId,
    ) -> impl Iterator<Item = PendingEntry> + '_ {
        self.ids_of(consumer, from).filter_map(|id| self.get(id))
    }

    /// The first entry from `from` on that was idle for at least `idle_min_ms` at `now_ms`, or is released. O(log n).
    #[must_use]
    pub(crate) fn next_idle(
        &self,
        from: StreamId,
        now_ms: u64,
        idle_min_ms: u64,
    ) -> Option<PendingEntry> {
        let holds = holds_idle(latest_ms(now_ms, idle_min_ms));
        self.records.next_where(from, &holds).map(|r| self.open(r))
    }

    /// What a claim takes, in its order: the released entries, first in first out, then those delivered no later than
    /// `latest_ms`, longest idle first and of equal ones the lowest ID first. Nothing below `lowest`, and nothing known
    /// as gone. O(log n) each.
    pub(crate) fn by_idleness(
        &self,
        lowest: StreamId,
        latest_ms: Option<u64>,
    ) -> impl Iterator<Item = PendingEntry> + '_ {
        let mut place = Some(0);
        let released = std::iter::from_fn(move || {
            let next = self
                .released
                .next_where(place?, &|Highest(id)| id >= lowest)?;
            place = next.place.checked_add(1);
            self.get(next.id())
        });
        let root = self.records.root().filter(|_| latest_ms.is_some());
        let owned = ByIdleness::new(root, lowest, latest_ms.unwrap_or(0));
        released.chain(owned.map(|r| self.open(r)))
    }

    /// Notes that these entries have left the log, for claims to pass them over.
    pub(super) fn mark_gone(&mut self, ids: &[StreamId]) {
        for id in ids {
            let mut after = None;
            let before = self.records.update(*id, |record| {
                record.owner |= GONE;
                after = Some(*record);
            });
            if let (Some(before), Some(after)) = (before, after)
                && before.consumer().is_none()
            {
                self.reindex(*id, Some(&before), Some(&after));
            }
        }
    }

    /// The log has gone back so often (XSETID on an emptied stream): when that is news, IDs known as gone may have come
    /// into being anew. O(n) then.
    pub(super) fn follow(&mut self, rewinds: u32) {
        if self.rewinds == rewinds {
            return;
        }
        self.rewinds = rewinds;
        let marked: Vec<PendingRecord> = self
            .records
            .iter()
            .filter(|r| r.is_gone())
            .copied()
            .collect();
        for before in marked {
            let after = PendingRecord {
                owner: before.owner & !GONE,
                ..before
            };
            self.records.insert(after);
            self.reindex(before.id, Some(&before), Some(&after));
        }
    }

    /// The released entries in the order of the queue, gone ones too. O(n log n).
    #[must_use]
    pub(crate) fn released_in_order(&self) -> Vec<PendingEntry> {
        let released = self.records.iter().filter(|r| r.consumer().is_none());
        let mut released: Vec<&PendingRecord> = released.collect();
        released.sort_unstable_by_key(|r| r.time);
        released.into_iter().map(|r| self.open(r)).collect()
    }

    /// For tests of what happens when the places are used up: goes on from `to`.
    #[cfg(test)]
    pub(super) fn skip_places(&mut self, to: u32) {
        self.next_place = self.next_place.max(to);
    }

    /// The next place at the end of the queue. When 32 bits are used up all are counted anew.
    fn take_place(&mut self) -> u32 {
        if self.next_place == u32::MAX {
            self.released = Tree::default();
            let released = self.released_in_order();
            self.next_place = 0;
            for entry in released {
                let place = self.next_place;
                self.next_place += 1;
                let mut gone = false;
                self.records.update(entry.id, |r| {
                    r.time = u64::from(place);
                    gone = r.is_gone();
                });
                if !gone {
                    self.released.insert(Released::new(place, entry.id));
                }
            }
        }
        self.next_place += 1;
        self.next_place - 1
    }

    /// The first of a consumer's entries from `from` on that was idle for at least `idle_min_ms` at `now_ms`. O(log n).
    #[must_use]
    pub(crate) fn next_idle_of(
        &self,
        consumer: ConsumerIndex,
        from: StreamId,
        now_ms: u64,
        idle_min_ms: u64,
    ) -> Option<PendingEntry> {
        let latest_ms = latest_ms(now_ms, idle_min_ms)?;
        let own = self.by_consumer.get(consumer.slot())?;
        let latest = Since::new(latest_ms);
        let mut from = Some(from);
        loop {
            let id = own.next_where(from?, &|since| since <= latest)?.id();
            // What stands there is rounded down when it is far from our days.
            let record = self.records.get(id).filter(|r| r.time <= latest_ms);
            if let Some(record) = record {
                return Some(self.open(record));
            }
            from = id.successor();
        }
    }

    /// How many pending entries have a lower ID. O(log n).
    #[must_use]
    pub(crate) fn rank(&self, id: StreamId) -> usize {
        self.records.rank(id)
    }

    /// The ID that has `rank` pending IDs before it. O(log n).
    #[must_use]
    pub(crate) fn id_at_rank(&self, rank: usize) -> Option<StreamId> {
        self.records.at_rank(rank).map(|r| r.id)
    }

    /// Bytes of all trees.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.records.heap_bytes()
            + self.by_consumer.capacity() * size_of::<Tree<Owned>>()
            + self.by_consumer.iter().map(Tree::heap_bytes).sum::<usize>()
            + self.released.heap_bytes()
            + self.large_counts.len() * size_of::<(StreamId, u64)>()
            + self.releases.heap_bytes()
    }

    fn pack(&mut self, id: StreamId, delivery: Delivery) -> PendingRecord {
        let (owner, time) = match delivery.consumer {
            Some(ConsumerIndex(index)) => (index, delivery.delivered_ms),
            None => (NOBODY, u64::from(self.take_place())),
        };
        PendingRecord {
            id,
            time,
            count: u32::try_from(delivery.delivery_count).unwrap_or(COUNT_IS_LARGE),
            owner,
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
                consumer: record.consumer(),
                delivered_ms: record.consumer().map_or(0, |_| record.time),
                delivery_count: delivery_count.unwrap_or(u64::from(record.count)),
            },
        }
    }

    fn set_large_count(&mut self, id: StreamId, count: u64) {
        self.forget_large_count(id);
        self.large_counts.insert(id, count);
        self.dead_count += usize::from(count == DELIVERY_COUNT_MAX);
    }

    fn forget_large_count(&mut self, id: StreamId) {
        if !self.large_counts.is_empty() {
            let count = self.large_counts.remove(&id);
            self.dead_count -= usize::from(count == Some(DELIVERY_COUNT_MAX));
        }
    }
}
