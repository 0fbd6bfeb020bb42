//! A consumer group: how far it has read, its consumers, what is pending.
//!
//! Consumers are known by name to clients and by [`ConsumerIndex`] to the pending entries. The index of a
//! deleted consumer is given out again; nothing refers to it any more by then.
//!
//! What Redis cannot know about a group's reading position stays unknown here too: `entries_read` is `None`
//! until it can be derived (see [`Log::count_up_to`](super::log::Log::count_up_to)).
//!
//! It does not look into the stream by itself: what needs both gets the [`Log`] passed in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::id::StreamId;
use super::log::{Entry, Log};
use super::pending::{CONSUMER_COUNT_MAX, ConsumerIndex, Delivery, PendingEntries, PendingEntry};

/// A consumer of a group.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    name: Arc<[u8]>,
    /// Last attempt to read, claim or similar, Unix milliseconds.
    pub(crate) seen_ms: u64,
    /// Last time it got something; none so far (Redis writes -1).
    pub(crate) active_ms: Option<u64>,
}

impl Consumer {
    /// The consumer's name.
    #[must_use]
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name, shared.
    #[must_use]
    pub(crate) fn shared_name(&self) -> Arc<[u8]> {
        Arc::clone(&self.name)
    }
}

/// A consumer group of a stream.
#[derive(Clone)]
pub(crate) struct Group {
    /// The last entry handed out by `>` reads, or where SETID put the group.
    pub(crate) last_delivered: StreamId,
    /// How many entries the group has read since the stream's first ever; `None`: unknown.
    pub(crate) entries_read: Option<u64>,
    pending: PendingEntries,
    by_name: BTreeMap<Arc<[u8]>, ConsumerIndex>,
    consumers: Vec<Option<Consumer>>,
    free: Vec<ConsumerIndex>,
}

impl Group {
    /// A group that will read what comes after `last_delivered`.
    #[must_use]
    pub(crate) fn new(last_delivered: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last_delivered,
            entries_read,
            pending: PendingEntries::default(),
            by_name: BTreeMap::new(),
            consumers: Vec::new(),
            free: Vec::new(),
        }
    }

    /// What is pending.
    #[must_use]
    pub(crate) fn pending(&self) -> &PendingEntries {
        &self.pending
    }

    /// What is pending, to change.
    pub(crate) fn pending_mut(&mut self) -> &mut PendingEntries {
        &mut self.pending
    }

    /// Number of consumers. O(1).
    #[must_use]
    pub(crate) fn consumer_count(&self) -> usize {
        self.by_name.len()
    }

    /// The consumers by name, ascending.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = (ConsumerIndex, &Consumer)> + '_ {
        self.by_name
            .values()
            .map(|&index| (index, self.consumer(index)))
    }

    /// The consumer with this name.
    #[must_use]
    pub(crate) fn find_consumer(&self, name: &[u8]) -> Option<ConsumerIndex> {
        self.by_name.get(name).copied()
    }

    /// The consumer with this index.
    ///
    /// # Panics
    /// When the index is not of a living consumer of this group.
    #[must_use]
    pub(crate) fn consumer(&self, index: ConsumerIndex) -> &Consumer {
        self.consumers[index.0 as usize]
            .as_ref()
            .expect("an index of a living consumer")
    }

    /// The consumer with this index, to change its times.
    ///
    /// # Panics
    /// When the index is not of a living consumer of this group.
    pub(crate) fn consumer_mut(&mut self, index: ConsumerIndex) -> &mut Consumer {
        self.consumers[index.0 as usize]
            .as_mut()
            .expect("an index of a living consumer")
    }

    /// Adds a consumer; `None` when the name is taken.
    ///
    /// # Panics
    /// At 2^31 consumers.
    pub(crate) fn create_consumer(&mut self, name: &[u8], now_ms: u64) -> Option<ConsumerIndex> {
        if self.by_name.contains_key(name) {
            return None;
        }
        let name: Arc<[u8]> = Arc::from(name);
        let consumer = Consumer {
            name: Arc::clone(&name),
            seen_ms: now_ms,
            active_ms: None,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.consumers[index.0 as usize] = Some(consumer);
                index
            }
            None => {
                self.consumers.push(Some(consumer));
                let slot = self.consumers.len() - 1;
                let index = u32::try_from(slot).ok();
                let index = index.filter(|index| *index < CONSUMER_COUNT_MAX);
                ConsumerIndex(index.expect("fewer than 2^31 consumers"))
            }
        };
        self.by_name.insert(name, index);
        Some(index)
    }

    /// Removes a consumer with what it has pending; gives how much that was.
    pub(crate) fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let index = self.by_name.remove(name)?;
        let pending_count = self.pending.forget_consumer(index);
        self.consumers[index.0 as usize] = None;
        self.free.push(index);
        Some(pending_count)
    }

    /// Takes an entry off the pending list; whether it was there. O(log n).
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> Option<PendingEntry> {
        self.pending.acknowledge(id)
    }

    /// The group moves on to `id`, an entry of the log above its position: keeps `entries_read` as
    /// exact as Redis does.
    pub(crate) fn advance(&mut self, id: StreamId, log: &Log) {
        match self.entries_read {
            Some(read) if !log.has_tombstone_from(id) => {
                self.entries_read = Some(read.saturating_add(1));
            }
            _ if log.entries_added() > 0 => self.entries_read = log.count_up_to(id),
            _ => {}
        }
        self.last_delivered = id;
    }

    /// First delivery of entries by `>`, in their order: they are pending with this consumer from now on, whoever
    /// had them (SETID may have moved the group back). Cost as [`PendingEntries::deliver_each`].
    pub(crate) fn deliver(&mut self, ids: &[StreamId], consumer: ConsumerIndex, now_ms: u64) {
        self.pending.deliver_each(ids, consumer, now_ms);
        self.consumer_mut(consumer).active_ms = Some(now_ms);
    }

    /// The name of who has a pending entry; empty when it was released.
    #[must_use]
    pub(crate) fn owner_name(&self, delivery: &Delivery) -> &[u8] {
        delivery
            .consumer
            .map_or(&[], |consumer| self.consumer(consumer).name())
    }

    /// Goes over what a claim may take, in its order (see [`PendingEntries::by_idleness`]): released entries and those
    /// delivered no later than `latest_ms`. `take` gets the pending entry and the log's, until it returns false.
    /// References to entries that have left the log are passed over, now and by later claims. Amortised O(log n) each.
    pub(crate) fn for_each_claimable<'l>(
        &mut self,
        log: &'l Log,
        latest_ms: Option<u64>,
        mut take: impl FnMut(&PendingEntry, Entry<'l>) -> bool,
    ) {
        self.pending.follow(log.rewinds());
        if log.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        for pending in self.pending.by_idleness(log.first_id(), latest_ms) {
            match log.get(pending.id) {
                None => gone.push(pending.id),
                Some(entry) => {
                    if !take(&pending, entry) {
                        break;
                    }
                }
            }
        }
        self.pending.mark_gone(&gone);
    }

    /// When the entry was delivered that somebody has, that is in the log, and that was delivered longest ago, Unix ms.
    /// 0 when there is a released one. Amortised O(log n).
    pub(crate) fn oldest_claimable_ms(&mut self, log: &Log) -> Option<u64> {
        let mut oldest_ms = None;
        self.for_each_claimable(log, Some(u64::MAX), |pending, _| {
            oldest_ms = Some(pending.delivery.delivered_ms);
            false
        });
        oldest_ms
    }

    /// The first entry of the log that the group has not been given.
    #[must_use]
    pub(crate) fn first_undelivered(&self, log: &Log) -> Option<StreamId> {
        let start = self.last_delivered.successor()?;
        log.range(start, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// Entries the group has still to read, as XINFO tells it: `None` when Redis cannot know. May be negative
    /// when ENTRIESREAD claimed more than were ever added.
    #[must_use]
    #[allow(
        clippy::cast_possible_wrap,
        reason = "counters of entries stay below 2^63"
    )]
    pub(crate) fn lag(&self, log: &Log) -> Option<i64> {
        if log.entries_added() == 0 {
            return Some(0);
        }
        // Since 8.0: nothing of what is there has been read, whatever was read of what is gone.
        let has_tombstone = log.has_tombstone_from(self.last_delivered);
        let before_all = self.last_delivered < log.first_id() && !has_tombstone;
        if before_all || (log.is_empty() && self.last_delivered <= log.last_id()) {
            return Some(log.len() as i64);
        }
        let read = match self.entries_read {
            Some(read) if !has_tombstone => Some(read),
            _ => log.count_up_to(self.last_delivered),
        };
        read.map(|read| (log.entries_added() as i64).wrapping_sub(read as i64))
    }

    /// Bytes of the group's structures.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        let names: usize = self
            .by_name
            .keys()
            .map(|name| name.len() + 2 * size_of::<usize>())
            .sum();
        names
            + self.by_name.len() * size_of::<(Arc<[u8]>, ConsumerIndex)>()
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + self.free.capacity() * size_of::<ConsumerIndex>()
            + self.pending.heap_bytes()
    }
}
