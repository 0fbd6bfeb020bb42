//! When keys are to be looked at by those who wait for them, though nothing happens to them: an entry of a stream has been
//! pending for so long then that a blocked XREADGROUP CLAIM takes it over.
//!
//! ```text
//! queue of a key (wait.rs): alarm_ms, the truth  ◄── by (time, database, key): which comes next, possibly out of date
//! ```
//! An alarm that was moved, or whose queue is gone, stays in the list until it is met or swept: the list is never
//! longer than twice the queues with an alarm and a few.

use std::collections::BTreeSet;

use super::Keyspace;
use super::wait::WaitTable;

/// Alarms of a keyspace, the next first.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    list: BTreeSet<(u64, usize, Box<[u8]>)>,
    swept_len: usize,
}

/// A list of fewer alarms is not swept.
const SWEEP_ABOVE: usize = 64;

impl Alarms {
    fn add(&mut self, waits: &[WaitTable], at_ms: u64, db: usize, key: &[u8]) {
        self.list.insert((at_ms, db, key.into()));
        if self.list.len() > 2 * self.swept_len.max(SWEEP_ABOVE) {
            self.list
                .retain(|(at_ms, db, key)| waits[*db].alarm_ms(key) == Some(*at_ms));
            self.swept_len = self.list.len();
        }
    }
}

impl Keyspace {
    /// Those who wait for the key look at it at this time, Unix ms, or earlier. O(log n).
    pub(crate) fn set_alarm(&mut self, db: usize, key: &[u8], at_ms: u64) {
        if self.waits[db].set_alarm(key, at_ms) {
            self.alarms.add(&self.waits, at_ms, db, key);
        }
    }

    /// When the next alarm is due, Unix ms; at the latest then [`Keyspace::ring`].
    pub(crate) fn next_alarm_ms(&self) -> Option<u64> {
        self.alarms.list.first().map(|(at_ms, ..)| *at_ms)
    }

    /// Marks the keys ready whose alarms are due, at most `budget`; whether there are more. O(log n) each.
    pub(crate) fn ring(&mut self, now_ms: u64, budget: usize) -> bool {
        for _ in 0..budget {
            if self.next_alarm_ms().is_none_or(|at_ms| at_ms > now_ms) {
                return false;
            }
            let Some((at_ms, db, key)) = self.alarms.list.pop_first() else {
                return false;
            };
            if self.waits[db].take_alarm(&key, at_ms) {
                self.mark_ready(db, &key);
            }
        }
        true
    }

    /// An entry of a group has been pending since this time, Unix ms: who waits to take it over looks at the key in time.
    pub(super) fn pending_since(&mut self, db: usize, key: &[u8], group: &[u8], since_ms: u64) {
        if self.replaying || self.waits[db].is_empty() {
            return;
        }
        let Some(claim_ms) = self.waits[db].shortest_claim_ms(key, group) else {
            return;
        };
        let at_ms = since_ms.saturating_add(claim_ms);
        if at_ms <= self.now_ms {
            self.mark_ready(db, key);
        } else {
            self.set_alarm(db, key, at_ms);
        }
    }

    /// An entry of a group was released: who waits to take over entries looks at the key.
    pub(super) fn released(&mut self, db: usize, key: &[u8], group: &[u8]) {
        if self.waits[db].shortest_claim_ms(key, group).is_some() {
            self.mark_ready(db, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::tests::{group, waiter};
    use super::*;
    use crate::ids::ShardId;

    fn keyspace() -> Keyspace {
        Keyspace::new(ShardId(0), 2, hashbrown::DefaultHashBuilder::default())
    }

    fn ready(keyspace: &mut Keyspace) -> Vec<(usize, Box<[u8]>)> {
        let next = || keyspace.next_ready().map(|(_, db, key)| (db, key));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn an_alarm_rings_once_and_not_before_its_time() {
        let mut keyspace = keyspace();
        for db in 0..2 {
            let waiter = waiter(group(b"g", Some(50)));
            keyspace.waits_mut(db).register(b"k".as_slice(), waiter);
        }
        keyspace.now_ms = 1_000;
        keyspace.pending_since(1, b"k", b"g", 990);
        // Later than what is set: nothing new. Of another group: nobody waits for it. Nobody waits for the key.
        keyspace.pending_since(1, b"k", b"g", 995);
        keyspace.pending_since(0, b"k", b"h", 995);
        keyspace.pending_since(0, b"l", b"g", 995);
        assert_eq!(keyspace.next_alarm_ms(), Some(1_040));
        assert!(!keyspace.ring(1_039, 10));
        assert!(!keyspace.has_ready());
        assert!(!keyspace.ring(1_040, 10));
        assert_eq!(ready(&mut keyspace), [(1, b"k".as_slice().into())]);
        assert_eq!(keyspace.next_alarm_ms(), None);
        // Long enough already, or released: at once.
        keyspace.waits_mut(1).take_ready(b"k");
        keyspace.pending_since(1, b"k", b"g", 950);
        keyspace.released(0, b"k", b"g");
        keyspace.released(0, b"k", b"h");
        assert_eq!(ready(&mut keyspace).len(), 2);
        assert_eq!(keyspace.next_alarm_ms(), None);
    }

    #[test]
    fn a_round_rings_no_more_than_its_budget() {
        let mut keyspace = keyspace();
        for n in 0..10_u8 {
            let waiter = waiter(group(b"g", Some(1)));
            keyspace.waits_mut(0).register([n].as_slice(), waiter);
            keyspace.set_alarm(0, &[n], 5);
        }
        assert!(keyspace.ring(5, 4));
        assert_eq!(ready(&mut keyspace).len(), 4);
        assert!(!keyspace.ring(5, 100));
        assert_eq!(ready(&mut keyspace).len(), 6);
    }

    #[test]
    fn alarms_of_waits_that_are_over_do_not_pile_up() {
        let mut keyspace = keyspace();
        for n in 0..10_000_u64 {
            let waiter = waiter(group(b"g", Some(1)));
            keyspace
                .waits_mut(0)
                .register(b"k".as_slice(), waiter.clone());
            keyspace.set_alarm(0, b"k", 1_000_000 + n);
            keyspace.waits_mut(0).forget(b"k", &waiter);
        }
        assert!(keyspace.alarms.list.len() <= 2 * SWEEP_ABOVE + 1);
        assert!(!keyspace.ring(u64::MAX, 1_000));
        assert!(!keyspace.has_ready());
    }
}
