//! When elements of values end, fields of hashes and members of sets: which key of a database is to be looked at next, and what
//! ends when its time has come.
//!
//! Invariant: the time of a key is never later than that at which its next element ends ([`EndingElements::next_end_ms`] is the
//! truth); it may be earlier, when that element has gone. So a lookup sees by one number that none has ended anywhere.
//!
//! As with keys, an element that has ended is never seen: the lookup that finds it removes it, with its event and its effect. Other
//! than with keys, so does a lookup to read during CLIENT PAUSE. Where very many have ended, a command first waits for steps that remove
//! them ([`Keyspace::end_step`]), so that nobody else waits for long. Its keys are looked at, those of EXEC's commands and those watched:
//! not the other database of COPY and MOVE, nor keys that SORT finds by patterns. There a lookup removes all at once.

use super::event::EventClass;
use super::table::Position;
use super::value::{Value, ValueType};
use super::{Database, Keyspace};
use crate::data::ends::Ends;
use crate::limits;

/// When elements of the values of a database end. See the module's head.
#[derive(Debug, Default)]
pub(super) struct ElementEnds(Ends);

impl ElementEnds {
    /// When the next element ends at the earliest.
    #[inline]
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.0.next_ms()
    }

    /// The elements of a key end from this time on, or not at all. O(log n).
    pub(super) fn set(&mut self, key: &[u8], next_ms: Option<u64>) {
        let is_nothing_new = next_ms.is_none() && self.0.is_empty();
        if !is_nothing_new && self.0.get(key) != next_ms {
            self.0.set(key, next_ms);
        }
    }

    /// The key has a new value, or none any more.
    pub(super) fn came(&mut self, key: &[u8], value: Option<&Value>) {
        let elements = value.and_then(Value::ending);
        self.set(key, elements.and_then(|elements| elements.next_end_ms()));
    }
}

impl Database {
    /// Whether any value has elements that end.
    pub(crate) fn has_ending_elements(&self) -> bool {
        !self.element_ends.0.is_empty()
    }

    /// How many values have elements that end.
    #[cfg(test)]
    pub(crate) fn ending_value_count(&self) -> usize {
        self.element_ends.0.len()
    }
}

impl Keyspace {
    /// The position of a key once elements of it that have ended are gone, and maybe the key with them.
    #[inline]
    pub(super) fn without_ended_elements(
        &mut self,
        db: usize,
        key: &[u8],
        at: Position,
        now_ms: u64,
    ) -> Option<Position> {
        if !self.has_ended_elements(db, at, now_ms) {
            return Some(at);
        }
        self.end_elements(db, key, now_ms, usize::MAX);
        let table = &self.databases[db].table;
        table.find(table.hash(key), key)
    }

    /// Whether an element of the value at a position has ended.
    #[inline]
    fn has_ended_elements(&self, db: usize, at: Position, now_ms: u64) -> bool {
        let database = &self.databases[db];
        if self.replaying
            || database
                .element_ends
                .next_ms()
                .is_none_or(|ms| ms >= now_ms)
        {
            return false;
        }
        let entry = database.table.get(at);
        entry.is_some_and(|entry| entry.value.elements_have_ended(now_ms))
    }

    /// Whether an element of any value of a database, or of all, has ended.
    #[inline]
    pub(crate) fn elements_have_ended(&self, db: Option<usize>, now_ms: u64) -> bool {
        let has_ended = |database: &Database| {
            let next_ms = database.element_ends.next_ms();
            next_ms.is_some_and(|ms| ms < now_ms)
        };
        let databases = match db {
            Some(db) => self.databases.get(db..=db).unwrap_or_default(),
            None => &self.databases[..],
        };
        !self.replaying && databases.iter().any(has_ended)
    }

    /// Removes elements of a key that have ended, as many as `budget` has left, which it takes them from.
    #[cold]
    pub(crate) fn end_step(&mut self, db: usize, key: &[u8], now_ms: u64, budget: &mut usize) {
        let Some(Database { table, .. }) = self.databases.get(db) else {
            return;
        };
        let at = table.find(table.hash(key), key);
        let entry = at.and_then(|at| table.get(at));
        if entry.is_some_and(|entry| entry.value.elements_have_ended(now_ms)) {
            *budget -= self.end_elements(db, key, now_ms, *budget);
        }
    }

    /// Removes elements of a value whose time has come, at most `budget`, and the key when none is left; gives how many.
    pub(super) fn end_elements(
        &mut self,
        db: usize,
        key: &[u8],
        now_ms: u64,
        budget: usize,
    ) -> usize {
        let Database {
            table,
            element_ends,
            ..
        } = &mut self.databases[db];
        let hash = table.hash(key);
        let at = table.find(hash, key);
        if let Some(at) = at {
            self.snapshots.before_change(db, table, at);
        }
        let value = at.and_then(|at| table.get_mut(at));
        let value = value.map(|entry| &mut entry.value);
        let value_type = value.as_ref().map(|value| value.value_type());
        let Some(elements) = value.and_then(Value::ending_mut) else {
            debug_assert!(false, "an end without its value");
            element_ends.set(key, None);
            return 0;
        };
        let ended = elements.take_ended(now_ms, budget);
        let is_empty = elements.is_empty();
        element_ends.set(key, elements.next_end_ms());
        if ended.is_empty() {
            return 0;
        }
        let (class, event, removal) = match value_type {
            Some(ValueType::Set) => (EventClass::SET, "sexpired", "SREM"),
            _ => (EventClass::HASH, "hexpired", "HDEL"),
        };
        self.counters.expired_elements.add(ended.len() as u64);
        self.push_event(db, class, event, key);
        if is_empty {
            if let Some(entry) = self.take_entry(db, key, hash) {
                self.discards.add_value(entry.value);
            }
            self.push_event(db, EventClass::GENERIC, "del", key);
            self.mark_ready(db, key);
        }
        self.touch_ended(db, key);
        for ended in ended.chunks(limits::PUSH_EFFECT_ELEMENTS_MAX) {
            self.effects.record(db, 0, |effect| {
                effect.arg(removal).arg(key);
                effect.args(ended.iter().map(|element| &**element));
            });
        }
        ended.len()
    }

    /// Removes elements whose time has come, at most `budget`; gives how many keys and elements were looked at.
    pub(super) fn end_due_elements(&mut self, now_ms: u64, budget: usize) -> usize {
        let mut count = 0;
        for db in 0..self.databases.len() {
            while count < budget {
                let next = self.databases[db].element_ends.0.first();
                let Some((_, key)) = next.filter(|(ms, _)| *ms < now_ms) else {
                    break;
                };
                let key = key.to_vec();
                count += self.end_elements(db, &key, now_ms, budget - count).max(1);
            }
        }
        count
    }
}
