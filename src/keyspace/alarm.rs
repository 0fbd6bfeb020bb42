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
    pub fn set_alarm(&mut self, db: usize, key: &[u8], at_ms: u64) {
        if self.waits[db].set_alarm(key, at_ms) {
            self.alarms.add(&self.waits, at_ms, db, key);
        }
    }

    /// When the next alarm is due, Unix ms; at the latest then [`Keyspace::ring`].
    pub fn next_alarm_ms(&self) -> Option<u64> {
        self.alarms.list.first().map(|(at_ms, ..)| *at_ms)
    }

    /// Marks the keys ready whose alarms are due, at most `budget`; whether there are more. O(log n) each.
    pub fn ring(&mut self, now_ms: u64, budget: usize) -> bool {
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
