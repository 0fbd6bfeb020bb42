//! The one way to change a key: a handle that insists on a report.
//!
//! ```text
//! write(key) ──► CLEAN ── value_mut / insert / remove / set_expiry ───────────────────► DUE ── effect / covered ──► CLEAN
//!                 └────── change(work on the value ──► [`Report`]) ── it changed ────────┘
//!                 ▲                                     │ it did not
//!                 └─────────────────────────────────────┘
//! ```
//! A change reports three separate things: `effect` (what a log and replicas get), `touched` (WATCH, client
//! tracking), `event` (keyspace notifications, in Redis' order). A handle dropped with a change that nobody
//! reported is a defect; it is asserted in builds with debug assertions.
//!
//! A command may know only afterwards whether it changes anything (XACK). It then works on the value in
//! [`KeyHandle::change`], and the same call says what came of it. There is no way to take a change back later.

use super::access::{Access, AccessPolicy};
use super::discard::Part;
use super::effect::EffectWriter;
use super::event::EventClass;
use super::table::{Entry, Position};
use super::value::{StringValue, Value, ValueType};
use super::{Database, Keyspace};
use crate::data::stream::Removed;

/// What came of work on a value, see [`KeyHandle::change`].
pub(crate) trait Report {
    /// Whether anything changed that an effect must repeat. What no replay can know does not count: when a consumer was
    /// seen, how often a message came again.
    fn is_change(&self) -> bool;
}

impl Report for bool {
    fn is_change(&self) -> bool {
        *self
    }
}

/// How many parts of the value were changed.
impl Report for usize {
    fn is_change(&self) -> bool {
        *self > 0
    }
}

/// What was changed, if anything.
impl<T> Report for Option<T> {
    fn is_change(&self) -> bool {
        self.is_some()
    }
}

/// Work that was refused changed nothing.
impl<T: Report, E> Report for Result<T, E> {
    fn is_change(&self) -> bool {
        self.as_ref().is_ok_and(T::is_change)
    }
}

impl Report for Removed {
    fn is_change(&self) -> bool {
        self.trimmed > 0 || !self.deleted.is_empty() || !self.references.is_empty()
    }
}

/// Access to one key of one database to change it.
pub(crate) struct KeyHandle<'k> {
    keyspace: &'k mut Keyspace,
    db: usize,
    key: &'k [u8],
    hash: u64,
    at: Option<Position>,
    report_due: bool,
}

impl<'k> KeyHandle<'k> {
    pub(super) fn new(
        keyspace: &'k mut Keyspace,
        db: usize,
        key: &'k [u8],
        hash: u64,
        at: Option<Position>,
    ) -> Self {
        Self {
            keyspace,
            db,
            key,
            hash,
            at,
            report_due: false,
        }
    }

    /// The key.
    pub(crate) fn key(&self) -> &'k [u8] {
        self.key
    }

    /// The entry, if the key exists.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.keyspace.databases[self.db].table.get(self.at?)
    }

    /// A lookup to write counts as an access (OBJECT IDLETIME), also when nothing is changed after all.
    pub(super) fn accessed(&mut self) {
        let (policy, now_ms) = (self.keyspace.policy.access, self.keyspace.now_ms);
        let chance = self.keyspace.chance();
        if let Some(at) = self.at
            && let Some(entry) = self.keyspace.databases[self.db].table.get_mut(at)
        {
            entry.set_access(entry.access().again(policy, now_ms, chance));
        }
    }

    /// The key was not used for so many seconds, where that is what is noted of the use of keys.
    pub(crate) fn note_idle(&mut self, idle_s: u64) {
        self.note_access(|access, policy, now_ms| access.with_idle(policy, idle_s, now_ms));
    }

    /// The key was used so often, on the scale of OBJECT FREQ, where that is what is noted of the use of keys.
    pub(crate) fn note_frequency(&mut self, frequency: u8) {
        self.note_access(|access, policy, now_ms| access.with_frequency(policy, frequency, now_ms));
    }

    fn note_access(&mut self, note: impl FnOnce(Access, AccessPolicy, u64) -> Access) {
        let (policy, now_ms) = (self.keyspace.policy.access, self.keyspace.now_ms);
        if let Some(at) = self.at
            && let Some(entry) = self.keyspace.databases[self.db].table.get_mut(at)
        {
            entry.set_access(note(entry.access(), policy, now_ms));
        }
    }

    /// Whether the key exists.
    pub(crate) fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// The value, if the key exists.
    pub(crate) fn value(&self) -> Option<&Value> {
        self.entry().map(|entry| &entry.value)
    }

    /// The value to change; a report is due from here on.
    #[inline]
    pub(crate) fn value_mut(&mut self) -> Option<&mut Value> {
        self.report_due |= self.at.is_some();
        self.value_to_work_on()
    }

    /// Works on the value, if the key exists, without a need to know beforehand whether that changes it: what `work` gives
    /// says so. If it is a change a report is due from here on.
    #[inline]
    pub(crate) fn change<R: Report>(&mut self, work: impl FnOnce(Option<&mut Value>) -> R) -> R {
        let report = work(self.value_to_work_on());
        self.report_due |= report.is_change();
        report
    }

    #[inline]
    fn value_to_work_on(&mut self) -> Option<&mut Value> {
        let at = self.at?;
        let (policy, now_ms) = (self.keyspace.policy.access, self.keyspace.now_ms);
        let table = self.keyspace.before_change(self.db, at);
        let entry = table.get_mut(at)?;
        entry.set_access(entry.access().replaced(policy, now_ms));
        Some(&mut entry.value)
    }

    /// Creates the key or replaces its value; an expiry stays (see [`KeyHandle::set_expiry`]). Gives the new value.
    /// A new key sends the `new` event of class `n`. Blocked clients look at the key after the command.
    ///
    /// # Panics
    /// Never: the entry was just put there.
    pub(crate) fn insert(&mut self, value: Value) -> &mut Value {
        self.report_due = true;
        let (policy, now_ms) = (self.keyspace.policy.access, self.keyspace.now_ms);
        let at = match self.at {
            Some(at) => at,
            None => {
                let entry = Entry::new(self.key, value, Access::new(policy, now_ms));
                let database = &mut self.keyspace.databases[self.db];
                database.streams.came(self.key, &entry.value);
                database.element_ends.came(self.key, Some(&entry.value));
                let at = database.table.insert(self.hash, entry);
                self.keyspace
                    .snapshots
                    .came(self.db, &mut database.table, at);
                self.keyspace.walks.came(self.db, self.hash, self.key);
                self.keyspace.count_keys(self.db);
                self.at = Some(at);
                self.keyspace.mark_ready(self.db, self.key);
                self.keyspace
                    .push_event(self.db, EventClass::NEW, "new", self.key);
                let entry = self.keyspace.databases[self.db].table.get_mut(at);
                return &mut entry
                    .unwrap_or_else(|| unreachable!("inserted above"))
                    .value;
            }
        };
        self.keyspace.mark_replaced(self.db, self.key);
        self.keyspace.before_replacement(self.db, at);
        let database = &mut self.keyspace.databases[self.db];
        let entry = database
            .table
            .get_mut(at)
            .unwrap_or_else(|| unreachable!("found at creation"));
        database.streams.left(self.key, &entry.value);
        database.streams.came(self.key, &value);
        database.element_ends.came(self.key, Some(&value));
        let old = std::mem::replace(&mut entry.value, value);
        entry.set_access(entry.access().replaced(policy, now_ms));
        self.keyspace.discards.add_value(old);
        &mut entry.value
    }

    /// As [`KeyHandle::insert`], for a command that puts a new value in the place of the old without regard to it (SET): tells
    /// that it was overwritten and, if so, that its type changed. Redis: before the event of the command.
    pub(crate) fn overwrite(&mut self, value: Value) {
        let old = self.value().map(Value::value_type);
        let new = value.value_type();
        self.insert(value);
        self.overwritten(old, new);
    }

    /// As [`KeyHandle::overwrite`], with a string; a text of the same length needs no new room.
    pub(crate) fn overwrite_string(&mut self, text: &[u8]) {
        let replaced = match self.value_mut() {
            Some(Value::String(string)) => string.replace(text),
            _ => false,
        };
        if replaced {
            self.keyspace.mark_ready(self.db, self.key);
            self.overwritten(Some(ValueType::String), ValueType::String);
        } else {
            self.overwrite(Value::String(StringValue::new(text)));
        }
    }

    /// Tells that a value of type `old` was replaced by one of type `new`.
    pub(crate) fn overwritten(&mut self, old: Option<ValueType>, new: ValueType) {
        let Some(old) = old else { return };
        self.event(EventClass::OVERWRITTEN, "overwritten");
        if old != new {
            self.event(EventClass::TYPE_CHANGED, "type_changed");
        }
    }

    /// Removes the key; false when there is none. Blocked clients look at the key after the command.
    pub(crate) fn remove(&mut self) -> bool {
        let Some(entry) = self.take() else {
            return false;
        };
        self.keyspace.discards.add_value(entry.value);
        self.keyspace.mark_ready(self.db, self.key);
        true
    }

    /// Lets part of the value that has left it be freed by another thread.
    pub(crate) fn discard(&mut self, part: Part) {
        self.keyspace.discards.add_part(part);
    }

    /// Takes the entry out to put it elsewhere; [`KeyHandle::ready`] is due behind that.
    pub(crate) fn take(&mut self) -> Option<Entry> {
        self.at.take()?;
        self.report_due = true;
        self.keyspace.take_entry(self.db, self.key, self.hash)
    }

    /// When the key ends, Unix ms.
    #[inline]
    pub(crate) fn expiry(&self) -> Option<u64> {
        self.entry().and_then(Entry::expiry)
    }

    /// Sets or takes away the time at which the key ends, Unix ms. False when there is no key.
    pub(crate) fn set_expiry(&mut self, expire_ms: Option<u64>) -> bool {
        let Some(at) = self.at else { return false };
        self.report_due = true;
        self.keyspace.before_change(self.db, at);
        let database: &mut Database = &mut self.keyspace.databases[self.db];
        let Some(entry) = database.table.get_mut(at) else {
            return false;
        };
        let old = entry.expiry();
        entry.set_expiry(expire_ms);
        if let Some(old) = old {
            Keyspace::forget_expiry(database, old, self.hash, self.key);
        }
        if let Some(expire_ms) = expire_ms {
            database.expiries.insert((expire_ms, self.hash));
        }
        self.keyspace.count_keys(self.db);
        true
    }

    /// Elements of the value end at other times than before.
    pub(crate) fn elements_end(&mut self) {
        let Some(at) = self.at else { return };
        let Database {
            table,
            element_ends,
            ..
        } = &mut self.keyspace.databases[self.db];
        element_ends.came(self.key, table.get(at).map(|entry| &entry.value));
    }

    /// Whether effects are replayed: limits that held when they were recorded are not asked again.
    pub(crate) fn is_replaying(&self) -> bool {
        self.keyspace.replaying
    }

    /// Whether effects are recorded: an expensive argument need not be made when not.
    pub(crate) fn records_effects(&self) -> bool {
        self.keyspace.effects.is_recording()
    }

    /// Reports the change as one deterministic command.
    pub(crate) fn effect(&mut self, write: impl FnOnce(&mut EffectWriter)) {
        self.report_due = false;
        self.keyspace.effects.record(self.db, 1, write);
    }

    /// As [`KeyHandle::effect`], of an effect that stands for so many changes.
    pub(crate) fn effect_of(&mut self, changes: usize, write: impl FnOnce(&mut EffectWriter)) {
        self.report_due = false;
        self.keyspace.effects.record(self.db, changes as u64, write);
    }

    /// As [`KeyHandle::effect`], for a command that ran in another database than the key's (COPY DB).
    pub(crate) fn effect_in(&mut self, db: usize, write: impl FnOnce(&mut EffectWriter)) {
        self.report_due = false;
        self.keyspace.effects.record(db, 1, write);
    }

    /// The change is part of an effect that another handle of this command reports (LMOVE, RENAME).
    pub(crate) fn covered(&mut self) {
        self.report_due = false;
    }

    /// The key counts as modified: WATCH, tracking. Only where Redis signals a modified key.
    pub(crate) fn touched(&mut self) {
        self.keyspace.touch(self.db, self.key);
    }

    /// Blocked clients should look at the key though it has neither come nor gone: a stream has new entries, a group ended.
    pub(crate) fn ready(&mut self) {
        self.keyspace.mark_ready(self.db, self.key);
    }

    /// The stream has recorded whose message an entry is: it is looked after until what it knows has ended.
    pub(crate) fn records_messages(&mut self) {
        let database = &mut self.keyspace.databases[self.db];
        database.streams.records(self.key);
    }

    /// Entries of a group are pending since this time, Unix ms: who is blocked to take them over looks at them in time.
    pub(crate) fn pending_since(&mut self, group: &[u8], since_ms: u64) {
        self.keyspace
            .pending_since(self.db, self.key, group, since_ms);
    }

    /// Entries of a group were released: who is blocked to take entries over looks at them after the command.
    pub(crate) fn released(&mut self, group: &[u8]) {
        self.keyspace.released(self.db, self.key, group);
    }

    /// A list that was there has become longer, to so many elements: who waits for that many looks at it.
    #[inline]
    pub(crate) fn grown(&mut self, len: usize) {
        self.keyspace.mark_grown(self.db, self.key, len);
    }

    /// A keyspace notification.
    pub(crate) fn event(&mut self, class: EventClass, name: &'static str) {
        self.keyspace.push_event(self.db, class, name, self.key);
    }
}

impl Drop for KeyHandle<'_> {
    fn drop(&mut self) {
        debug_assert!(
            !self.report_due || std::thread::panicking(),
            "a change of key {:?} was not reported",
            String::from_utf8_lossy(self.key)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    fn keyspace() -> Keyspace {
        let mut keyspace = Keyspace::new(ShardId(0), 1, hashbrown::DefaultHashBuilder::default());
        let mut handle = keyspace.write(0, b"key", 0);
        handle.insert(Value::String(StringValue::new(b"text")));
        handle.covered();
        drop(handle);
        keyspace
    }

    #[test]
    #[should_panic(expected = "was not reported")]
    fn work_that_changed_the_value_needs_a_report() {
        keyspace().write(0, b"key", 0).change(|_| true);
    }

    #[test]
    #[should_panic(expected = "was not reported")]
    fn work_that_changed_nothing_takes_no_change_back() {
        let mut keyspace = keyspace();
        let mut handle = keyspace.write(0, b"key", 0);
        handle.value_mut();
        handle.change(|_| false);
    }

    #[test]
    fn work_says_what_it_came_to() {
        let mut keyspace = keyspace();
        let mut handle = keyspace.write(0, b"key", 0);
        assert!(!handle.change(|_| false));
        assert_eq!(handle.change(|_| 0_usize), 0);
        assert_eq!(handle.change(|_| Err::<bool, _>("refused")), Err("refused"));
        assert_eq!(handle.change(|_| None::<u8>), None);
        assert!(!handle.report_due);
        assert_eq!(handle.change(|value| value.map(|_| 7)), Some(7));
        assert!(handle.report_due);
        handle.covered();
        drop(handle);
        let mut handle = keyspace.write(0, b"missing", 0);
        assert!(handle.change(|value| value.is_none()));
        handle.covered();
    }
}
