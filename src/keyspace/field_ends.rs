//! When fields of hashes end: which key of a database is to be looked at next, and what ends when its time has come.
//!
//! ```text
//! by key    key ─► ms        by time   (ms, key)      one entry for a hash with fields that end
//! ```
//! Invariant: the time of a hash is never later than that at which its next field ends ([`Hash::next_end_ms`] is the
//! truth); it may be earlier, when that field has gone. So a lookup sees by one number that no field has ended anywhere.
//!
//! As with keys, a field that has ended is never seen: the lookup that finds it removes it, with its event and its effect. Other
//! than with keys, so does a lookup to read during CLIENT PAUSE.

use std::collections::{BTreeSet, HashMap};

use super::event::EventClass;
use super::table::Position;
use super::value::Value;
use super::{Database, Keyspace};
use crate::data::hash::Hash;
use crate::limits;

/// When fields of the hashes of a database end. See the module's head.
#[derive(Debug, Default)]
pub(super) struct FieldEnds {
    by_key: HashMap<Box<[u8]>, u64>,
    by_time: BTreeSet<(u64, Box<[u8]>)>,
}

impl FieldEnds {
    /// When the next field ends at the earliest.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(ms, _)| *ms)
    }

    /// The fields of a key end from this time on, or not at all. O(log n).
    pub(super) fn set(&mut self, key: &[u8], next_ms: Option<u64>) {
        if self.by_key.is_empty() && next_ms.is_none() || self.by_key.get(key).copied() == next_ms {
            return;
        }
        if let Some(old) = self.by_key.remove(key) {
            self.by_time.remove(&(old, key.into()));
        }
        if let Some(ms) = next_ms {
            self.by_key.insert(key.into(), ms);
            self.by_time.insert((ms, key.into()));
        }
    }

    /// The key has a new value, or none any more.
    pub(super) fn came(&mut self, key: &[u8], value: Option<&Value>) {
        let next_ms = match value {
            Some(Value::Hash(hash)) => hash.next_end_ms(),
            _ => None,
        };
        self.set(key, next_ms);
    }
}

impl Database {
    /// How many hashes have fields that end.
    #[cfg(test)]
    pub(crate) fn ending_hash_count(&self) -> usize {
        self.field_ends.by_key.len()
    }
}

impl Keyspace {
    /// The position of a key once fields of it that have ended are gone, and maybe the key with them.
    #[inline]
    pub(super) fn without_ended_fields(
        &mut self,
        db: usize,
        key: &[u8],
        at: Position,
        now_ms: u64,
    ) -> Option<Position> {
        if !self.has_ended_fields(db, at, now_ms) {
            return Some(at);
        }
        self.end_fields(db, key, now_ms, usize::MAX);
        let table = &self.databases[db].table;
        table.find(table.hash(key), key)
    }

    /// Whether the value at a position is a hash of which a field has ended.
    #[inline]
    fn has_ended_fields(&self, db: usize, at: Position, now_ms: u64) -> bool {
        let database = &self.databases[db];
        if self.replaying || database.field_ends.next_ms().is_none_or(|ms| ms >= now_ms) {
            return false;
        }
        let value = database.table.get(at).map(|entry| &entry.value);
        matches!(value, Some(Value::Hash(hash)) if hash.next_end_ms().is_some_and(|ms| ms < now_ms))
    }

    /// Removes fields of a hash whose time has come, at most `budget`, and the key when none is left; gives how many.
    pub(super) fn end_fields(
        &mut self,
        db: usize,
        key: &[u8],
        now_ms: u64,
        budget: usize,
    ) -> usize {
        let Database {
            table, field_ends, ..
        } = &mut self.databases[db];
        let hash = table.hash(key);
        let at = table.find(hash, key);
        let value = at.and_then(|at| table.get_mut(at));
        let Some(Value::Hash(fields)) = value.map(|entry| &mut entry.value) else {
            debug_assert!(false, "an end without its hash");
            field_ends.set(key, None);
            return 0;
        };
        let ended = fields.take_ended(now_ms, budget);
        let is_empty = Hash::is_empty(fields);
        field_ends.set(key, fields.next_end_ms());
        if ended.is_empty() {
            return 0;
        }
        self.push_event(db, EventClass::HASH, "hexpired", key);
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
                effect.arg("HDEL").arg(key);
                for field in ended {
                    effect.arg(field);
                }
            });
        }
        ended.len()
    }

    /// Removes fields whose time has come, at most `budget`; gives how many keys and fields were looked at.
    pub(super) fn end_due_fields(&mut self, now_ms: u64, budget: usize) -> usize {
        let mut count = 0;
        for db in 0..self.databases.len() {
            while count < budget {
                let next = self.databases[db].field_ends.by_time.first();
                let Some((_, key)) = next.filter(|(ms, _)| *ms < now_ms) else {
                    break;
                };
                let key = key.clone();
                count += self.end_fields(db, &key, now_ms, budget - count).max(1);
            }
        }
        count
    }
}
