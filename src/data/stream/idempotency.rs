//! Which messages producers have added: how an XADD that is sent again is known.
//!
//! ```text
//!   producers   name ─► Producer ─┬─ order    [ message, ID, recorded ] …   oldest first
//!                                 └─ places   message ─► its place in `order`, counted from the first ever
//!   by_use      turn ─► name                                                who recorded longest ago first
//! ```
//! A record is kept for the window's duration and while it is among the newest of its producer, as many as the
//! window's size: what comes first ends it. Records of one producer end from the front of its order, when it records the
//! next one. A producer whose newest record has ended is at the front of `by_use`, and goes with the next record of whomever,
//! or when somebody looks after it from time to time: so each record is taken out once, for O(log producers), and no search
//! for old ones is needed. There are never more producers than a limit.
//!
//! A clone is a share: the table of names, and a producer, are copied only when one side records to them.
//!
//! Invariants: times ascend in an order (a clock that goes back counts as standing); a producer is in `by_use` exactly once, with
//! its `turn`; none is empty; `places` holds every message of `order` and no other, with its last place.
//!
//! It knows no clock, and not whether the entries are still there: a message stays known when its entry is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::limits;

use super::id::StreamId;

/// Room for so many producers is kept, however few there are.
const PRODUCERS_KEPT: usize = 16;

/// How long, and how many of, the messages of a producer stay known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// Seconds a message stays known.
    pub(crate) duration_s: u32,
    /// Messages of one producer that stay known.
    pub(crate) size_max: u32,
}

impl Window {
    fn has_ended(self, recorded_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(recorded_ms) >= u64::from(self.duration_s) * 1000
    }
}

impl Default for Window {
    fn default() -> Self {
        Window {
            duration_s: 100,
            size_max: 100,
        }
    }
}

/// How much is known at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tracked {
    /// Producers with a message that is known.
    pub(crate) producers: usize,
    /// Messages that are known.
    pub(crate) messages: usize,
}

/// What a stream knows of its producers' messages. See the module's head.
#[derive(Clone, Default)]
pub(crate) struct Idempotency {
    window: Window,
    /// Somebody chose the window for this stream.
    is_configured: bool,
    added: u64,
    duplicates: u64,
    tables: Option<Arc<Tables>>,
}

#[derive(Clone, Default)]
struct Tables {
    producers: HashMap<Arc<[u8]>, Arc<Producer>>,
    by_use: BTreeMap<u64, Arc<[u8]>>,
    turn_next: u64,
}

#[derive(Clone, Default)]
struct Producer {
    order: VecDeque<Record>,
    /// How many records have left the front of `order`.
    ended: u64,
    places: HashMap<Arc<[u8]>, u64>,
    turn: u64,
}

#[derive(Clone)]
struct Record {
    message: Arc<[u8]>,
    id: StreamId,
    recorded_ms: u64,
}

impl Producer {
    fn newest_ms(&self) -> u64 {
        self.order.back().map_or(0, |record| record.recorded_ms)
    }

    fn drop_oldest(&mut self) {
        if let Some(record) = self.order.pop_front() {
            if self.places.get(&record.message) == Some(&self.ended) {
                self.places.remove(&record.message);
            }
            self.ended += 1;
        }
    }

    fn known_count(&self, window: Window, now_ms: u64) -> usize {
        if self.places.len() == self.order.len() {
            return self.order.len() - self.ended_at(window, now_ms);
        }
        self.known(window, now_ms).count()
    }

    /// The records that have neither ended nor been superseded.
    fn known(&self, window: Window, now_ms: u64) -> impl Iterator<Item = &Record> + '_ {
        let from = self.ended_at(window, now_ms);
        let none_superseded = self.places.len() == self.order.len();
        (self.ended..)
            .zip(&self.order)
            .skip(from)
            .filter(move |(place, record)| {
                none_superseded || self.places.get(&record.message) == Some(place)
            })
            .map(|(_, record)| record)
    }

    /// How many records at the front have ended.
    fn ended_at(&self, window: Window, now_ms: u64) -> usize {
        self.order
            .partition_point(|record| window.has_ended(record.recorded_ms, now_ms))
    }
}

impl Idempotency {
    /// Nothing known, with this window.
    #[must_use]
    pub(crate) fn new(window: Window) -> Self {
        Idempotency {
            window,
            ..Idempotency::default()
        }
    }

    /// The window.
    #[must_use]
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// Sets the window; one that differs makes all messages unknown. Whether it differs.
    pub(crate) fn set_window(&mut self, window: Window) -> bool {
        if self.window == window {
            return false;
        }
        self.window = window;
        self.tables = None;
        true
    }

    /// Notes that somebody chose the window for this stream. Whether it was not used before.
    pub(crate) fn note_configured(&mut self) -> bool {
        let was_used = self.is_used();
        self.is_configured = true;
        !was_used
    }

    /// Whether somebody chose the window, or a message was ever recorded.
    #[must_use]
    pub(crate) fn is_used(&self) -> bool {
        self.is_configured || self.added > 0
    }

    /// How many messages were ever recorded.
    #[must_use]
    pub(crate) fn added(&self) -> u64 {
        self.added
    }

    /// How many times a known message came again.
    #[must_use]
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Counts a known message that came again.
    pub(crate) fn count_duplicate(&mut self) {
        self.duplicates += 1;
    }

    /// The entry that a producer's message became, while it is known. O(1).
    #[must_use]
    pub(crate) fn find(&self, producer: &[u8], message: &[u8], now_ms: u64) -> Option<StreamId> {
        let producer = self.tables.as_ref()?.producers.get(producer)?;
        let place = producer.places.get(message)? - producer.ended;
        let record = producer.order.get(usize::try_from(place).ok()?)?;
        (!self.window.has_ended(record.recorded_ms, now_ms)).then_some(record.id)
    }

    /// Whether something is known, or was and has not been forgotten yet.
    #[must_use]
    pub(crate) fn is_recording(&self) -> bool {
        self.tables.is_some()
    }

    /// Whether there is room for a producer's records: it has some already, or there are fewer producers than the limit.
    pub(crate) fn has_room_for(&mut self, producer: &[u8], now_ms: u64) -> bool {
        let most = limits::IDMP_PRODUCERS_MAX;
        let is_full = |tables: &Arc<Tables>| {
            tables.producers.len() >= most && !tables.producers.contains_key(producer)
        };
        if !self.tables.as_ref().is_some_and(is_full) {
            return true;
        }
        self.end_producers(now_ms, usize::MAX);
        !self.tables.as_ref().is_some_and(is_full)
    }

    /// Records that a producer's message became this entry; what was known of it before is superseded. O(log producers),
    /// besides what ends.
    pub(crate) fn record(&mut self, producer: &[u8], message: &[u8], id: StreamId, now_ms: u64) {
        self.end_producers(now_ms, usize::MAX);
        self.added += 1;
        let window = self.window;
        let tables = Arc::make_mut(self.tables.get_or_insert_default());
        let turn = tables.turn_next;
        tables.turn_next += 1;
        let entry = match tables.producers.get_mut(producer) {
            Some(entry) => {
                let name = tables.by_use.remove(&entry.turn);
                tables.by_use.extend(name.map(|name| (turn, name)));
                entry
            }
            None => {
                let name: Arc<[u8]> = Arc::from(producer);
                tables.by_use.insert(turn, Arc::clone(&name));
                tables.producers.entry(name).or_default()
            }
        };
        let producer = Arc::make_mut(entry);
        producer.turn = turn;
        let ended = producer.ended_at(window, now_ms);
        let over = (producer.order.len() + 1).saturating_sub(window.size_max.max(1) as usize);
        for _ in 0..ended.max(over) {
            producer.drop_oldest();
        }
        let message: Arc<[u8]> = Arc::from(message);
        let place = producer.ended + producer.order.len() as u64;
        let recorded_ms = now_ms.max(producer.newest_ms());
        producer.places.insert(Arc::clone(&message), place);
        producer.order.push_back(Record {
            message,
            id,
            recorded_ms,
        });
    }

    /// Forgets the producers whose messages have all ended, at most `budget`; gives how many. O(1) when there is none, else
    /// amortised O(log producers) for each.
    pub(crate) fn end_producers(&mut self, now_ms: u64, budget: usize) -> usize {
        let window = self.window;
        let Some(tables) = &mut self.tables else {
            return 0;
        };
        let mut count = 0;
        while count < budget
            && let Some((&turn, name)) = tables.by_use.first_key_value()
            && let Some(producer) = tables.producers.get(name)
            && window.has_ended(producer.newest_ms(), now_ms)
        {
            let tables = Arc::make_mut(tables);
            if let Some(name) = tables.by_use.remove(&turn) {
                tables.producers.remove(&name);
            }
            count += 1;
        }
        if tables.producers.is_empty() {
            self.tables = None;
        } else if count > 0
            && tables.producers.capacity() > 4 * tables.producers.len().max(PRODUCERS_KEPT)
        {
            Arc::make_mut(tables).producers.shrink_to_fit();
        }
        count
    }

    /// How much is known now. O(producers · log messages), unless a
    /// replay has superseded some.
    #[must_use]
    pub(crate) fn tracked(&self, now_ms: u64) -> Tracked {
        let mut tracked = Tracked::default();
        let tables = self.tables.iter();
        for producer in tables.flat_map(|tables| tables.producers.values()) {
            let known = producer.known_count(self.window, now_ms);
            tracked.producers += usize::from(known > 0);
            tracked.messages += known;
        }
        tracked
    }

    /// All that is known now: producer, message, entry. By producers' names, the messages of each in the order in which they
    /// were recorded.
    pub(crate) fn records(
        &self,
        now_ms: u64,
    ) -> impl Iterator<Item = (&[u8], &[u8], StreamId)> + '_ {
        let producers = self.tables.iter().flat_map(|tables| &tables.producers);
        let mut producers: Vec<_> = producers.collect();
        producers.sort_unstable_by_key(|(name, _)| *name);
        producers.into_iter().flat_map(move |(name, producer)| {
            let known = producer.known(self.window, now_ms);
            known.map(|record| (&**name, &*record.message, record.id))
        })
    }

    /// How many pieces of memory it is made of, roughly: one producer is taken for all. O(1) but for gaps in the table.
    #[must_use]
    pub(crate) fn part_count(&self) -> usize {
        let tables = self.tables.as_ref().map(|tables| &tables.producers);
        let first = tables.and_then(|producers| producers.values().next());
        let messages = first.map_or(0, |producer| producer.order.len());
        tables.map_or(0, HashMap::len) * (1 + messages)
    }

    /// Bytes of all tables, also those shared with clones.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        /// The two counts in front of what an `Arc` shares.
        const COUNTS: usize = 2 * size_of::<usize>();
        let Some(tables) = &self.tables else { return 0 };
        let producers = tables.producers.iter().map(|(name, producer)| {
            let messages: usize = producer
                .order
                .iter()
                .map(|record| COUNTS + record.message.len())
                .sum();
            COUNTS
                + name.len()
                + size_of::<(Arc<[u8]>, Arc<Producer>)>()
                + size_of::<(u64, Arc<[u8]>)>()
                + COUNTS
                + size_of::<Producer>()
                + producer.order.capacity() * size_of::<Record>()
                + producer.places.capacity() * (size_of::<(Arc<[u8]>, u64)>() + 1)
                + messages
        });
        COUNTS + size_of::<Tables>() + producers.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
