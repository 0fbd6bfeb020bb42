//! What no key refers to any more and takes long to free: it leaves the keyspace whole, to be freed by another thread.
//!
//! A command that removes or replaces a big value costs no more than one that does so with a small one. The keyspace
//! collects such values, whoever holds it hands them on after the command. Small ones are freed where they are: that is
//! quicker than to pass them on.

use std::any::Any;
use std::fmt;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Database;
use super::handed::HandedOut;
use super::value::Value;
use crate::counters::KeyspaceCounters;

/// Whatever it is, it is only to be freed.
pub(crate) struct Part {
    _freed_with_it: Box<dyn Any + Send>,
}

impl Part {
    /// To be freed.
    pub(crate) fn new(part: impl Any + Send) -> Self {
        Self {
            _freed_with_it: Box::new(part),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part")
    }
}

/// Parts from which on a value is freed elsewhere (Redis: 64).
pub(crate) const PARTS_MIN: usize = 64;

/// A value that was evicted: its bytes are on their way until another thread has freed it.
#[derive(Debug)]
pub(crate) struct Evicted {
    // First of all: it is freed before the end is noted.
    value: Value,
    being_freed: BeingFreed,
    /// What the saver of a snapshot had in its hands then: perhaps this value too.
    in_hands: Option<Arc<HandedOut>>,
}

impl Evicted {
    /// Frees the value. `net`: bytes that this thread has taken and not given back. `tell`: tells how much is used, before the value
    /// counts no more as being freed.
    pub(crate) fn free(self, net: impl Fn() -> i64, tell: impl FnOnce()) {
        let before = net();
        drop(self.value);
        let freed = u64::try_from(before - net()).unwrap_or(0);
        if let Some(handed) = self.in_hands {
            handed.owe(still_held(self.being_freed.bytes, freed));
        }
        tell();
        drop(self.being_freed);
    }
}

/// What of a value that went is held by somebody else, given how many bytes it had, about, and how many were freed with it.
pub(super) fn still_held(bytes: u64, freed: u64) -> u64 {
    // Not for an estimate that was too high.
    let left = bytes.saturating_sub(freed);
    if left > bytes / 2 { left } else { 0 }
}

#[derive(Debug)]
struct BeingFreed {
    bytes: u64,
    counters: Arc<KeyspaceCounters>,
}

impl Drop for BeingFreed {
    fn drop(&mut self) {
        let all = &self.counters.being_freed;
        all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Something to free.
#[derive(Debug)]
pub(crate) enum Discarded {
    /// A value.
    Value(#[expect(dead_code, reason = "held to be dropped where it is freed")] Value),
    /// A value that went to make room.
    Evicted(Box<Evicted>),
    /// All keys of a database.
    Database(Box<Database>),
    /// Part of a value, or a reply that was not sent: nobody else may hold any more what it shares of a value.
    Part(#[expect(dead_code, reason = "held to be dropped where it is freed")] Part),
}

impl Discarded {
    /// Objects in it, as `lazyfreed_objects` counts them: a value is one, a database its keys.
    pub(crate) fn object_count(&self) -> u64 {
        match self {
            Self::Value(_) | Self::Evicted(_) => 1,
            Self::Database(database) => database.table().len() as u64,
            Self::Part(_) => 0,
        }
    }
}

/// What a keyspace has discarded since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Discards(Vec<Discarded>);

impl Discards {
    pub(super) fn add_value(&mut self, value: Value) {
        if value.part_count() > PARTS_MIN {
            self.0.push(Discarded::Value(value));
        }
    }

    /// As [`Discards::add_value`], of one that is removed to make room: gives its bytes when they are freed elsewhere, later.
    /// `in_hands`: what the saver of a snapshot has.
    pub(super) fn add_evicted(
        &mut self,
        value: Value,
        counters: &Arc<KeyspaceCounters>,
        in_hands: Option<Arc<HandedOut>>,
    ) -> u64 {
        if value.part_count() <= PARTS_MIN {
            return 0;
        }
        let bytes = value.estimated_bytes() as u64;
        counters.being_freed.fetch_add(bytes, Ordering::Relaxed);
        let evicted = Evicted {
            value,
            being_freed: BeingFreed {
                bytes,
                counters: Arc::clone(counters),
            },
            in_hands,
        };
        self.0.push(Discarded::Evicted(Box::new(evicted)));
        bytes
    }

    pub(super) fn add_database(&mut self, database: Database) {
        if database.table().len() > PARTS_MIN || is_big(&database) {
            self.0.push(Discarded::Database(Box::new(database)));
        }
    }

    pub(super) fn add_part(&mut self, part: Part) {
        self.0.push(Discarded::Part(part));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Discarded> {
        std::mem::take(&mut self.0)
    }
}

/// Whether the few values of a database make many parts.
fn is_big(database: &Database) -> bool {
    let values = database.table().iter().map(|entry| &entry.value);
    values.map(Value::part_count).sum::<usize>() > PARTS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::list::{End, List, ListLimits};
    use crate::keyspace::value::StringValue;

    fn list(element_bytes: usize, count: usize) -> Value {
        let (mut list, limits) = (List::default(), ListLimits::default());
        let element = vec![b'x'; element_bytes];
        for _ in 0..count {
            list.before_adding(element.len(), 1, &limits);
            list.push(End::Back, &element, &limits);
        }
        Value::List(list)
    }

    #[test]
    fn a_database_of_few_keys_is_kept_when_they_are_big() {
        let mut keyspace = crate::keyspace::Keyspace::new(
            crate::ids::ShardId(0),
            1,
            hashbrown::DefaultHashBuilder::default(),
        );
        for (element_bytes, is_kept) in [(10, false), (4000, true)] {
            let mut handle = keyspace.write(0, b"key", 0);
            handle.insert(list(element_bytes, 1000));
            handle.covered();
            drop(handle);
            keyspace.flush(0);
            assert_eq!(keyspace.take_discards().len(), usize::from(is_kept));
        }
    }

    #[test]
    fn only_what_takes_long_to_free_is_kept() {
        let mut discards = Discards::default();
        discards.add_value(list(10, 1000));
        discards.add_value(Value::String(StringValue::new(&[0; 1000])));
        assert!(discards.is_empty());
        discards.add_value(list(4000, 1000));
        discards.add_value(Value::String(StringValue::new(&vec![0; 4 << 20])));
        let kept = discards.take();
        assert_eq!(kept.iter().map(Discarded::object_count).sum::<u64>(), 2);
        assert!(discards.is_empty());
    }
}
