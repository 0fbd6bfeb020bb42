//! Who is living, and which entry goes to whom. Pure: no server, no clock of its own.
//!
//! ```text
//! entry of a page ─► gone from the stream?      ─► acknowledge
//!                 ─► delivered too often?       ─► dead letter / delete
//!                 ─► --to, not its owner?       ─► to that consumer, alive or not
//!                 ─► someone living, not owner? ─► to the least loaded
//!                 ─► else                       ─► stays
//! ```
//!
//! Invariants: nobody gets an entry that is already theirs, so a pass never refreshes the idle
//! time of an entry in vain; loads count what this pass has handed out already, so that a large
//! page spreads evenly.
//!
//! Deliberately not here: anything sticky. A pass that ends half-way leaves a state from which
//! the next one continues.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::group::Consumer;

/// How much longer than we think a hand-over may have been under way, milliseconds. A server's
/// idle time is rounded down, and our clock starts when the reply is there.
const SAME_MOMENT_MS: u64 = 50;

/// Consumers that may get entries, with the number of entries they hold.
#[derive(Debug)]
pub(super) struct Living {
    load: HashMap<Vec<u8>, u64>,
    only: Option<Vec<u8>>,
}

impl Living {
    /// The consumers idle for less than `min_idle_ms`; with `to` that one gets everything, whoever is alive.
    ///
    /// Consumers whose name starts with `reserved` belong to reclaimers and do no work.
    pub(super) fn among(
        consumers: &[Consumer],
        min_idle_ms: u64,
        to: Option<&str>,
        reserved: &[u8],
    ) -> Living {
        let load = consumers
            .iter()
            .filter(|consumer| consumer.idle_ms < min_idle_ms)
            .filter(|consumer| !consumer.name.starts_with(reserved))
            .map(|consumer| (consumer.name.clone(), consumer.pending_count))
            .collect();
        Living {
            load,
            only: to.map(|name| name.as_bytes().to_vec()),
        }
    }

    /// Number of consumers that are alive.
    pub(super) fn count(&self) -> usize {
        self.load.len()
    }

    /// Chooses who gets an entry of `owner` and counts it as theirs; `None`: nobody can. O(n).
    pub(super) fn choose(&mut self, owner: &[u8]) -> Option<Vec<u8>> {
        let chosen = match &self.only {
            // Whoever names a consumer knows better than an idle time.
            Some(only) => (only != owner).then(|| only.clone()),
            // By name among equals: a dry run then says what the pass does.
            None => self
                .load
                .iter()
                .filter(|(name, _)| name.as_slice() != owner)
                .min_by_key(|(name, load)| (**load, *name))
                .map(|(name, _)| name.clone()),
        }?;
        self.add(&chosen, 1);
        self.remove(owner);
        Some(chosen)
    }

    /// Takes back one that `consumer` was chosen for and did not get.
    pub(super) fn not_given(&mut self, consumer: &[u8]) {
        self.remove(consumer);
    }

    fn add(&mut self, consumer: &[u8], entries: u64) {
        if let Some(load) = self.load.get_mut(consumer) {
            *load += entries;
        }
    }

    fn remove(&mut self, consumer: &[u8]) {
        if let Some(load) = self.load.get_mut(consumer) {
            *load = load.saturating_sub(1);
        }
    }
}

/// What repeated passes remember: whom they made look alive.
///
/// To a server XCLAIM is a sign of life of the consumer that *gets* the entries, although it did
/// nothing. With --every, dead consumers could keep each other looking alive by our own
/// hand-overs; so a consumer not heard of since we gave it something counts as idle for as long
/// as it really is.
#[derive(Debug, Default)]
pub(super) struct HandOvers {
    last: HashMap<(String, Vec<u8>), HandOver>,
}

#[derive(Debug)]
struct HandOver {
    at: Instant,
    /// How long the consumer had really been idle then.
    idle_before: Duration,
}

impl HandOvers {
    /// Notes that `consumer`, really idle for `idle_before_ms`, was given entries at `now`.
    pub(super) fn note(
        &mut self,
        stream: &str,
        consumer: &Consumer,
        idle_before_ms: u64,
        now: Instant,
    ) {
        let idle_before = Duration::from_millis(idle_before_ms);
        let key = (stream.to_owned(), consumer.name.clone());
        self.last.insert(
            key,
            HandOver {
                at: now,
                idle_before,
            },
        );
    }

    /// Replaces the idle times that are only ours by the real ones.
    pub(super) fn correct(&mut self, stream: &str, consumers: &mut [Consumer], now: Instant) {
        for consumer in consumers {
            let key = (stream.to_owned(), consumer.name.clone());
            let Some(hand_over) = self.last.get(&key) else {
                continue;
            };
            let since = now.saturating_duration_since(hand_over.at);
            let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            if consumer.idle_ms.saturating_add(SAME_MOMENT_MS) >= since_ms {
                let idle_ms = (since + hand_over.idle_before).as_millis();
                consumer.idle_ms = u64::try_from(idle_ms).unwrap_or(u64::MAX);
            } else {
                self.last.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn consumer(name: &str, pending_count: u64, idle_ms: u64) -> Consumer {
        Consumer {
            name: name.as_bytes().to_vec(),
            pending_count,
            idle_ms,
        }
    }

    fn chosen(living: &mut Living, owner: &str) -> Option<String> {
        living
            .choose(owner.as_bytes())
            .map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn the_least_loaded_living_consumer_gets_the_entry() {
        let consumers = [
            consumer("busy", 3, 10),
            consumer("free", 1, 10),
            consumer("dead", 0, 1_000),
        ];
        let mut living = Living::among(&consumers, 1_000, None, b"reserved");
        assert_eq!(living.count(), 2);
        let order: Vec<_> = (0..5)
            .map(|_| chosen(&mut living, "dead").unwrap())
            .collect();
        assert_eq!(order, ["free", "free", "busy", "free", "busy"]);
    }

    #[test]
    fn the_owner_never_gets_its_own_entry() {
        let mut living = Living::among(&[consumer("one", 5, 0)], 10, None, b"reserved");
        assert_eq!(chosen(&mut living, "one"), None);
        assert_eq!(chosen(&mut living, "other").as_deref(), Some("one"));
    }

    #[test]
    fn a_named_consumer_gets_everything_alive_or_not() {
        let consumers = [
            consumer("a", 0, 1),
            consumer("b", 9, 1),
            consumer("dead", 0, 99),
        ];
        let mut living = Living::among(&consumers, 10, Some("b"), b"reserved");
        assert_eq!(
            (living.count(), chosen(&mut living, "x").as_deref()),
            (2, Some("b"))
        );
        assert_eq!(chosen(&mut living, "b"), None);
        let mut idle = Living::among(&consumers, 10, Some("dead"), b"reserved");
        assert_eq!(chosen(&mut idle, "x").as_deref(), Some("dead"));
    }

    #[test]
    fn reclaimers_are_not_workers() {
        let living = Living::among(&[consumer("reserved-1", 0, 0)], 10, None, b"reserved");
        assert_eq!(living.count(), 0);
    }

    #[test]
    fn being_given_entries_is_no_sign_of_life() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut memory = HandOvers::default();
        memory.note("s", &consumer("w", 0, 700), 700, at(0));
        let mut seen = [consumer("w", 1, 600)];
        memory.correct("s", &mut seen, at(600));
        assert_eq!(seen[0].idle_ms, 1_300);
        // Of another stream nothing is known.
        let mut other = [consumer("w", 1, 600)];
        memory.correct("t", &mut other, at(600));
        assert_eq!(other[0].idle_ms, 600);
        // It asked for something in between: alive.
        let mut alive = [consumer("w", 1, 100)];
        memory.correct("s", &mut alive, at(600));
        assert_eq!(alive[0].idle_ms, 100);
        assert!(memory.last.is_empty());
    }
}
