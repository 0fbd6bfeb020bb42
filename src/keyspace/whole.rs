//! What happens to whole databases, in one keyspace or in all in hand: filled, emptied, swapped, recorded, replayed.
//!
//! Who watches, waits or walks learns of it key by key, as far as keys are concerned that it looks at.

use crate::resp::arguments::Args;

use super::effect::EffectWriter;
use super::space::InHand;
use super::value::Value;
use super::{Database, Keyspace, Space};

impl Keyspace {
    /// Empties a database (FLUSHDB, FLUSHALL): watchers of keys that were there and all blocked clients learn of it.
    /// The effect is the caller's. O(keys watched and waited for).
    pub(crate) fn flush(&mut self, db: usize) {
        for key in self.watches[db].keys() {
            self.write(db, &key, self.now_ms);
        }
        let empty = self.empty_database();
        let old = self.put(db, empty);
        self.mark_waited(db, |_, key| old.table.has(key));
        self.counters.dirty.add(old.table.len() as u64);
        self.part_with(db, old);
    }

    /// Gives what was in its place; watchers of keys that were there learn of it.
    fn put(&mut self, db: usize, database: Database) -> Database {
        self.end_walks(db);
        let old = std::mem::replace(&mut self.databases[db], database);
        for key in self.watches[db].keys() {
            if old.table.has(&key) {
                self.watches[db].touch(&key);
            }
        }
        self.count_keys(db);
        old
    }

    /// What was a database is none any more; a snapshot may still need it.
    fn part_with(&mut self, db: usize, old: Database) {
        if let Some(old) = self.snapshots.take_over(db, old) {
            self.discards.add_database(old);
        }
    }

    /// Puts a key of a file into its place; false when it is there already, unless `replaces`. While effects are replayed.
    pub(crate) fn load(
        &mut self,
        db: usize,
        key: &[u8],
        value: Value,
        expire_ms: Option<u64>,
        now_ms: u64,
        replaces: bool,
    ) -> bool {
        let mut handle = self.write(db, key, now_ms);
        if handle.exists() && !replaces {
            return false;
        }
        let had_end = handle.expiry().is_some();
        handle.insert(value);
        if expire_ms.is_some() || had_end {
            handle.set_expiry(expire_ms);
        }
        handle.covered();
        true
    }

    /// Drops every key, to rebuild them by replay: watchers of keys that were there learn of it, and nobody else.
    pub(crate) fn clear(&mut self) {
        for db in 0..self.databases.len() {
            let empty = self.empty_database();
            self.replace(db, empty);
        }
    }

    fn replace(&mut self, db: usize, database: Database) {
        let old = self.put(db, database);
        self.part_with(db, old);
    }

    /// An empty one to be filled, whose databases can take the place of this one's.
    pub(crate) fn twin(&self) -> Self {
        let mut twin = Self::new(self.shard, self.databases.len(), self.hasher.clone());
        twin.policy = self.policy;
        if self.lists_streams {
            twin.list_streams();
        }
        twin
    }

    /// Drops every key, as [`Keyspace::clear`], and has those of a [`Keyspace::twin`] instead.
    pub(crate) fn take_databases(&mut self, twin: &mut Self) {
        for (db, database) in twin.databases.drain(..).enumerate() {
            self.replace(db, database);
        }
    }

    /// Swaps the contents of two databases (SWAPDB); watchers of keys in either and blocked clients learn of it.
    pub(crate) fn swap(&mut self, a: usize, b: usize, now_ms: u64) {
        // What is there only to be removed as expired goes first: it changes nothing for who watched its absence.
        for (db, other) in [(a, b), (b, a)] {
            for key in self.watches[db].keys() {
                self.write(other, &key, now_ms);
            }
        }
        self.end_walks(a);
        self.end_walks(b);
        self.databases.swap(a, b);
        self.snapshots.swap(a, b);
        self.count_keys(a);
        self.count_keys(b);
        for (db, other) in [(a, b), (b, a)] {
            for key in self.watches[db].keys() {
                if self.databases[db].table.has(&key) || self.databases[other].table.has(&key) {
                    self.watches[db].touch(&key);
                }
            }
            self.mark_waited(db, |databases, key| {
                databases[a].table.has(key) || databases[b].table.has(key)
            });
        }
    }

    /// Marks the keys that somebody waits for and that a change of the whole database concerns, in a fixed order.
    fn mark_waited(&mut self, db: usize, concerns: impl Fn(&[Database], &[u8]) -> bool) {
        let mut keys: Vec<Box<[u8]>> = self.waits[db]
            .keys()
            .filter(|key| concerns(&self.databases, key))
            .map(Box::from)
            .collect();
        keys.sort_unstable();
        for key in keys {
            self.mark_ready(db, &key);
        }
    }
}

impl Space<'_> {
    /// Empties the client's database (FLUSHDB), with all keyspaces in hand, and reports the effect.
    pub(crate) fn flush(&mut self, effect: impl FnOnce(&mut EffectWriter)) {
        let db = self.db;
        self.keyspaces_mut().for_each(|keyspace| keyspace.flush(db));
        self.report_flush(effect);
    }

    /// Empties all databases (FLUSHALL), with all keyspaces in hand, and reports the effect.
    pub(crate) fn flush_all(&mut self, effect: impl FnOnce(&mut EffectWriter)) {
        for keyspace in self.keyspaces_mut() {
            (0..keyspace.database_count()).for_each(|db| keyspace.flush(db));
        }
        self.report_flush(effect);
    }

    /// Redis tells all who track, whatever they read. What went is counted already.
    fn report_flush(&mut self, effect: impl FnOnce(&mut EffectWriter)) {
        self.invalidate_all();
        self.report(0, effect);
    }

    /// Whoever caches anything is told that nothing of it holds any more.
    pub(crate) fn invalidate_all(&mut self) {
        self.keyspaces_mut().for_each(Keyspace::clear_tracked);
        if let Some(keyspace) = self.keyspaces_mut().next() {
            keyspace.invalidate_all();
        }
    }

    /// Swaps the contents of two databases (SWAPDB), with all keyspaces in hand, and reports the effect. Redis: to swap a
    /// database with itself is a change too.
    pub(crate) fn swap(&mut self, a: usize, b: usize, effect: impl FnOnce(&mut EffectWriter)) {
        if a != b {
            let now_ms = self.now_ms;
            self.keyspaces_mut()
                .for_each(|keyspace| keyspace.swap(a, b, now_ms));
        }
        self.report(1, effect);
    }

    /// Reports an effect that belongs to no single key, once for all keyspaces in hand. `changes`: those that are not
    /// counted yet.
    fn report(&mut self, changes: u64, effect: impl FnOnce(&mut EffectWriter)) {
        let db = self.db;
        if let Some(keyspace) = self.keyspaces_mut().next() {
            keyspace.effects.record(db, changes, effect);
        }
    }

    /// Reports a command that changes what belongs to no keyspace, as it is: the libraries of functions.
    pub(crate) fn record_command(&mut self, args: &Args<'_>) {
        self.report(1, |effect| {
            effect.args(args.iter());
        });
    }

    /// Starts or ends the recording of effects in the keyspaces in hand (DEBUG EFFECTS).
    pub(crate) fn record_effects(&mut self, recording: bool) {
        self.keyspaces_mut()
            .for_each(|keyspace| keyspace.effects.set_recording(recording));
    }

    /// Whether effects are replayed.
    pub(crate) fn is_replaying(&mut self) -> bool {
        self.keyspaces_mut().any(|keyspace| keyspace.replaying)
    }

    /// Begins or ends a replay in the keyspaces in hand (DEBUG EFFECTS REPLAY).
    pub(crate) fn set_replaying(&mut self, replaying: bool) {
        self.keyspaces_mut()
            .for_each(|keyspace| keyspace.set_replaying(replaying));
    }
}
