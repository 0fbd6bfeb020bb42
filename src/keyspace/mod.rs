//! The keyspace: everything of one partition that must be atomic with its data.
//!
//! ```text
//! Keyspace ─┬─ databases[16]: key table + expiry index + names of streams
//!           ├─ waits[16], watches[16]      by database index, not swapped by SWAPDB
//!           ├─ tracking                     who has read which key, whatever its database
//!           ├─ effects                      what writes did, in order
//!           ├─ events                       notifications to publish, in order
//!           ├─ discards                     big values that nobody needs any more
//!           ├─ snapshots                    what is walked, and shares of what has changed since
//!           └─ ready                        keys whose waiters may have something to get, in order
//! ```
//! It is `Send`, owned by one shard, and changes hands only by move. Whoever holds it finishes the work: nobody gives it
//! away with ready keys unserved, effects undelivered or events unpublished.
//!
//! Invariants: a key is changed only through a [`KeyHandle`], which insists on a report of what the change was;
//! an expired key is never seen: the lookup that finds it removes it and writes its DEL first, but for a lookup to read
//! during CLIENT PAUSE, which leaves it where it is.
//! Not here: clocks (`now_ms` enters), sockets, replies, which shard a key belongs to.

pub(crate) mod access;
mod alarm;
pub(crate) mod claim;
#[cfg(test)]
mod counted_tests;
pub(crate) mod discard;
pub(crate) mod effect;
mod element_ends;
pub(crate) mod event;
pub(crate) mod evict;
mod expiry;
pub(crate) mod handed;
mod handle;
mod key;
mod marks;
mod names;
mod order;
pub(crate) mod rewrite;
mod segment;
pub(crate) mod snapshot;
pub(crate) mod space;
pub(crate) mod table;
pub(crate) mod tracking;
pub(crate) mod value;
pub(crate) mod wait;
mod waits;
pub(crate) mod walk;
pub(crate) mod watch;
mod whole;

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::counters::KeyspaceCounters;
use crate::ids::ShardId;
use crate::limits;

use access::AccessPolicy;
use alarm::Alarms;
use discard::{Discarded, Discards};
use effect::EffectBuffer;
use element_ends::ElementEnds;
use event::{EventClass, KeyEvent};
pub(crate) use handle::{KeyHandle, Report};
use names::StreamNames;
use snapshot::Snapshots;
pub(crate) use space::{InHand, Space};
use table::{Entry, KeyTable};
use tracking::{Change, Invalidation, TrackingCounts, TrackingTable};
use wait::WaitTable;
use walk::Walks;
use watch::WatchTable;

/// What a shard's settings mean to its keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyspacePolicy {
    /// Classes of events that are published (`notify-keyspace-events`).
    pub(crate) notify: EventClass,
    /// Whether an expired key is deleted with UNLINK (`lazyfree-lazy-expire`).
    pub(crate) unlink_expired: bool,
    /// CLIENT PAUSE, Unix ms: who only looks removes no expired key until then.
    pub(crate) paused_until_ms: u64,
    /// What is noted of the use of keys (`maxmemory-policy`).
    pub(crate) access: AccessPolicy,
}

/// One numbered database of one keyspace.
#[derive(Debug)]
pub(crate) struct Database {
    table: KeyTable,
    /// (when, hash of the key): what ends next.
    expiries: BTreeSet<(u64, u64)>,
    element_ends: ElementEnds,
    streams: StreamNames,
}

impl Database {
    fn new(hasher: DefaultHashBuilder, lists_streams: bool) -> Self {
        Self {
            table: KeyTable::new(hasher),
            expiries: BTreeSet::new(),
            element_ends: ElementEnds::default(),
            streams: StreamNames::new(lists_streams),
        }
    }

    /// The keys of streams that begin with `prefix`, in order; none unless [`Keyspace::list_streams`] was asked for.
    pub(crate) fn streams<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.streams.starting_with(prefix)
    }

    /// Its keys.
    pub(crate) fn table(&self) -> &KeyTable {
        &self.table
    }

    /// Number of keys that will expire.
    pub(crate) fn expiring_count(&self) -> usize {
        self.expiries.len()
    }

    /// Average time to live of the keys that will expire, ms: of the next few, as Redis estimates it too.
    pub(crate) fn average_ttl_ms(&self, now_ms: u64) -> u64 {
        let sample: Vec<u64> = self
            .expiries
            .iter()
            .take(16)
            .map(|(at, _)| at.saturating_sub(now_ms))
            .collect();
        if sample.is_empty() {
            0
        } else {
            sample.iter().sum::<u64>() / sample.len() as u64
        }
    }
}

/// An entry that was looked up.
#[derive(Clone, Copy)]
struct Found {
    at: table::Position,
    /// Its time has come.
    expired: bool,
}

/// The partition of one shard.
#[derive(Debug)]
pub struct Keyspace {
    shard: ShardId,
    databases: Vec<Database>,
    waits: Vec<WaitTable>,
    /// Whether `waits` may have changed since it was seen that nobody waits there who writes elsewhere.
    waits_changed: Cell<bool>,
    watches: Vec<WatchTable>,
    tracking: TrackingTable,
    /// What all keyspaces of the process count together of it.
    pub(crate) tracking_counts: Arc<TrackingCounts>,
    invalidations: Vec<Invalidation>,
    ready: VecDeque<(u64, usize, Box<[u8]>)>,
    alarms: Alarms,
    events: Vec<KeyEvent>,
    discards: Discards,
    walks: Walks,
    snapshots: Snapshots,
    /// What writes did.
    pub(crate) effects: EffectBuffer,
    /// How far a log goes that has all of them but those in hand.
    pub(crate) logged_to: u64,
    /// Settings that matter here.
    pub(crate) policy: KeyspacePolicy,
    counters: Arc<KeyspaceCounters>,
    /// The latest time seen, Unix ms: time never goes back for a keyspace.
    pub(crate) now_ms: u64,
    /// While effects are replayed nothing expires: their DELs follow.
    pub(crate) replaying: bool,
    /// The database in which keys were looked for first when keys ended last.
    expired_first: usize,
    recording_before_replay: bool,
    chances: u64,
    hasher: DefaultHashBuilder,
    lists_streams: bool,
    candidates: evict::Candidates,
}

impl Keyspace {
    /// An empty partition. Keyspaces of one process share `hasher`, so that values can move between them.
    pub(crate) fn new(shard: ShardId, database_count: usize, hasher: DefaultHashBuilder) -> Self {
        let counters = Arc::new(KeyspaceCounters::new(database_count));
        Self {
            shard,
            databases: (0..database_count)
                .map(|_| Database::new(hasher.clone(), false))
                .collect(),
            waits: (0..database_count).map(|_| WaitTable::default()).collect(),
            waits_changed: Cell::new(false),
            watches: (0..database_count).map(|_| WatchTable::default()).collect(),
            tracking: TrackingTable::default(),
            tracking_counts: Arc::default(),
            invalidations: Vec::new(),
            ready: VecDeque::new(),
            alarms: Alarms::default(),
            events: Vec::new(),
            discards: Discards::default(),
            walks: Walks::default(),
            snapshots: Snapshots::default(),
            effects: EffectBuffer::counting(Arc::clone(&counters)),
            logged_to: 0,
            policy: KeyspacePolicy::default(),
            counters,
            now_ms: 0,
            replaying: false,
            expired_first: 0,
            recording_before_replay: false,
            chances: 0,
            hasher,
            lists_streams: false,
            candidates: evict::Candidates::default(),
        }
    }

    /// Keeps a list of the keys that are streams from here on. To be called before there is any key.
    pub(crate) fn list_streams(&mut self) {
        self.lists_streams = true;
        self.clear();
    }

    /// Counts in these from here on, which others read. To be called before there is any key.
    pub(crate) fn count_in(&mut self, counters: &Arc<KeyspaceCounters>) {
        self.counters = Arc::clone(counters);
        self.effects = EffectBuffer::counting(Arc::clone(counters));
    }

    /// What it counts.
    pub(crate) fn counters(&self) -> &KeyspaceCounters {
        &self.counters
    }

    /// The keys of a database have become more or fewer, or another number of them will expire.
    fn count_keys(&self, db: usize) {
        let database = &self.databases[db];
        if let Some(counters) = self.counters.databases.get(db) {
            counters.keys.set(database.table.len() as u64);
            counters.expiring.set(database.expiries.len() as u64);
        }
    }

    fn empty_database(&self) -> Database {
        Database::new(self.hasher.clone(), self.lists_streams)
    }

    /// The shard it belongs to.
    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }

    /// Database `db`.
    pub(crate) fn database(&self, db: usize) -> &Database {
        &self.databases[db]
    }

    /// How many databases.
    pub(crate) fn database_count(&self) -> usize {
        self.databases.len()
    }

    /// Looks a key up to read it. An expired key is removed first.
    pub(crate) fn read(
        &mut self,
        db: usize,
        key: &[u8],
        now_ms: u64,
        touch: bool,
    ) -> Option<&Entry> {
        let hash = self.databases[db].table.hash(key);
        if let Some(at) = self.find_live(db, key, hash, now_ms) {
            self.counters.hits.add(1);
            let chance = self.chance();
            let entry = self.databases[db].table.get_mut(at)?;
            if touch {
                entry.set_access(entry.access().again(self.policy.access, now_ms, chance));
            }
            return Some(entry);
        }
        self.counters.misses.add(1);
        self.push_event(db, EventClass::KEY_MISS, "keymiss", key);
        None
    }

    /// A number without pattern, for counters of use; none is needed where there are none.
    fn chance(&mut self) -> u32 {
        if self.policy.access == AccessPolicy::Recency {
            return 0;
        }
        (evict::draw(&mut self.chances) >> 32) as u32
    }

    /// Looks a key up without counting, touching or a keymiss event (OBJECT, DEBUG, TTL …). An expired key is removed first.
    pub(crate) fn peek(&mut self, db: usize, key: &[u8], now_ms: u64) -> Option<&Entry> {
        let hash = self.databases[db].table.hash(key);
        let at = self.find_live(db, key, hash, now_ms)?;
        self.databases[db].table.get(at)
    }

    /// Looks a key up to change it. An expired key is removed first.
    pub(crate) fn write<'k>(&'k mut self, db: usize, key: &'k [u8], now_ms: u64) -> KeyHandle<'k> {
        self.now_ms = self.now_ms.max(now_ms);
        let hash = self.databases[db].table.hash(key);
        let found = self.find(db, key, hash, now_ms);
        let at = found.filter(|found| !found.expired).map(|found| found.at);
        if found.is_some() && at.is_none() {
            // Whoever writes makes room, also during a pause.
            self.expire(db, key, hash);
        }
        let at = at.and_then(|at| self.without_ended_elements(db, key, at, now_ms));
        KeyHandle::new(self, db, key, hash, at)
    }

    /// Whether a key is there that should not be seen any more: it expired during CLIENT PAUSE.
    pub(crate) fn holds_expired(&self, db: usize, key: &[u8], now_ms: u64) -> bool {
        let hash = self.databases[db].table.hash(key);
        let found = self.find(db, key, hash, now_ms);
        found.is_some_and(|found| found.expired)
    }

    fn find(&self, db: usize, key: &[u8], hash: u64, now_ms: u64) -> Option<Found> {
        let table = &self.databases[db].table;
        let (at, entry) = table.find_entry(hash, key)?;
        let has_ended = |expire_ms| now_ms > expire_ms && !self.replaying;
        let expired = entry.expiry().is_some_and(has_ended);
        Some(Found { at, expired })
    }

    /// Finds a key to read it.
    fn find_live(
        &mut self,
        db: usize,
        key: &[u8],
        hash: u64,
        now_ms: u64,
    ) -> Option<table::Position> {
        let found = self.find(db, key, hash, now_ms)?;
        if !found.expired {
            return self.without_ended_elements(db, key, found.at, now_ms);
        }
        if now_ms >= self.policy.paused_until_ms {
            self.expire(db, key, hash);
        }
        None
    }

    /// The key, unless its time has come.
    fn view(&self, db: usize, key: &[u8], now_ms: u64) -> Option<&Entry> {
        let table = &self.databases[db].table;
        let found = self.find(db, key, table.hash(key), now_ms)?;
        if found.expired {
            None
        } else {
            table.get(found.at)
        }
    }

    /// Removes a key whose time has come: event, DEL effect, watchers, waiters.
    fn expire(&mut self, db: usize, key: &[u8], hash: u64) {
        if let Some(entry) = self.take_entry(db, key, hash) {
            self.discards.add_value(entry.value);
        }
        self.counters.expired.add(1);
        self.push_event(db, EventClass::EXPIRED, "expired", key);
        if !self.watches[db].is_empty() {
            self.watches[db].touch_expired(key);
        }
        self.invalidate(key, Change::Expired);
        self.mark_ready(db, key);
        let name: &[u8] = if self.policy.unlink_expired {
            b"UNLINK"
        } else {
            b"DEL"
        };
        // Redis counts no change of anybody's.
        self.effects.record(db, 0, |effect| {
            effect.arg(name).arg(key);
        });
    }

    /// Removes keys whose time has come, at most `budget`; gives how many. O(log n) each.
    pub(crate) fn expire_due(&mut self, now_ms: u64, budget: usize) -> usize {
        if self.replaying {
            return 0;
        }
        // Neither elements nor one database wait until nothing else ends.
        let mut count = self.end_due_elements(now_ms, budget / 4);
        let databases = self.databases.len();
        self.expired_first = (self.expired_first + 1) % databases;
        for turn in 0..databases {
            let db = (self.expired_first + turn) % databases;
            while count < budget {
                let Some((at, hash)) = self.databases[db].expiries.first().copied() else {
                    break;
                };
                if now_ms <= at {
                    break;
                }
                let key = self.databases[db]
                    .table
                    .find_by_hash(hash, |entry| entry.expiry() == Some(at))
                    .map(|entry| entry.key.clone());
                match key {
                    Some(key) => self.expire(db, &key, hash),
                    None => {
                        debug_assert!(false, "an expiry without its key");
                        self.databases[db].expiries.remove(&(at, hash));
                        self.count_keys(db);
                    }
                }
                count += 1;
            }
        }
        count + self.end_due_elements(now_ms, budget - count)
    }

    /// Forgets watchers whose WATCH is over, within the limit of one round.
    pub(crate) fn sweep_watchers(&mut self) {
        for watches in self.watches.iter_mut().filter(|table| !table.is_empty()) {
            let share = watches.len() / limits::WATCHERS_SWEPT_PER_ROUND_SHARE;
            let budget = share.max(limits::WATCHERS_SWEPT_PER_ROUND_MIN);
            watches.sweep(isize::try_from(budget).unwrap_or(isize::MAX));
        }
    }

    /// When the next key or element ends, Unix ms.
    pub(crate) fn next_expiry_ms(&self) -> Option<u64> {
        let next_of = |database: &Database| {
            let key = database.expiries.first().map(|(at, _)| *at);
            key.into_iter().chain(database.element_ends.next_ms()).min()
        };
        self.databases.iter().filter_map(next_of).min()
    }

    fn take_entry(&mut self, db: usize, key: &[u8], hash: u64) -> Option<Entry> {
        let database = &mut self.databases[db];
        self.snapshots
            .before_removal(db, &mut database.table, hash, key);
        let entry = database.table.remove(hash, key)?;
        database.streams.left(key, &entry.value);
        database.element_ends.came(key, None);
        self.walks.left(db, hash, &entry);
        if let Some(expire_ms) = entry.expiry() {
            Self::forget_expiry(database, expire_ms, hash, key);
        }
        self.count_keys(db);
        Some(entry)
    }

    /// Takes (when, hash) out of the index unless another key with the same hash ends at the same time.
    fn forget_expiry(database: &mut Database, expire_ms: u64, hash: u64, key: &[u8]) {
        let twin = database.table.find_by_hash(hash, |entry| {
            entry.expiry() == Some(expire_ms) && *entry.key != *key
        });
        if twin.is_none() {
            database.expiries.remove(&(expire_ms, hash));
        }
    }

    /// A key changed: WATCH and client-side caches learn of it.
    fn touch(&mut self, db: usize, key: &[u8]) {
        self.touch_by(db, key, Change::Written);
    }

    /// As [`Keyspace::touch`], of what has ended by itself, whoever has met it.
    fn touch_ended(&mut self, db: usize, key: &[u8]) {
        self.touch_by(db, key, Change::Expired);
    }

    fn touch_by(&mut self, db: usize, key: &[u8], change: Change) {
        if self.replaying {
            return;
        }
        if !self.watches[db].is_empty() {
            self.watches[db].touch(key);
        }
        self.invalidate(key, change);
    }

    /// A key came into being, became another or went: those who wait for it look at it after the command. What happens
    /// to a key that stays concerns nobody who waits, but for entries added to a stream, the end of a group and elements
    /// added to a list of which several are waited for.
    fn mark_ready(&mut self, db: usize, key: &[u8]) {
        if self.replaying || self.waits[db].is_empty() {
            return;
        }
        if self.waits[db].mark_ready(key) {
            self.ready.push_back((order::next(), db, key.into()));
        }
    }

    /// As [`Keyspace::mark_ready`], for a key whose value was replaced: it concerns only who waits for the key to go too. Redis:
    /// a list or sorted set that takes the place of another value serves nobody (SORT STORE, ZUNIONSTORE).
    fn mark_replaced(&mut self, db: usize, key: &[u8]) {
        if self.waits[db].wants_absence(key) {
            self.mark_ready(db, key);
        }
    }

    /// As [`Keyspace::mark_ready`], for a list that has become longer: it concerns only who waits for several elements at once.
    #[inline]
    fn mark_grown(&mut self, db: usize, key: &[u8], len: usize) {
        if !self.waits[db].is_empty() && self.waits[db].is_enough(key, len) {
            self.mark_ready(db, key);
        }
    }

    fn push_event(&mut self, db: usize, class: EventClass, name: &'static str, key: &[u8]) {
        let notify = self.policy.notify;
        if notify.0 != 0 && notify.intersects(class) && !self.replaying {
            self.events.push(KeyEvent {
                order: order::next(),
                db,
                name,
                key: key.into(),
            });
        }
    }

    /// The oldest event not yet published, all at once, in order.
    pub(crate) fn take_events(&mut self) -> Vec<KeyEvent> {
        std::mem::take(&mut self.events)
    }

    /// Whether events wait to be published.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The key that became ready first: its number in the order of the thread, database, key.
    pub(crate) fn next_ready(&mut self) -> Option<(u64, usize, Box<[u8]>)> {
        self.ready.pop_front()
    }

    /// Whether a key is ready for its waiters.
    #[cfg(test)]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether big values were discarded.
    pub(crate) fn has_discards(&self) -> bool {
        !self.discards.is_empty()
    }

    /// The big values discarded since the last call, to free them elsewhere.
    pub(crate) fn take_discards(&mut self) -> Vec<Discarded> {
        self.discards.take()
    }

    /// The watched keys of database `db`.
    pub(crate) fn watches_mut(&mut self, db: usize) -> &mut WatchTable {
        &mut self.watches[db]
    }

    /// The watched keys of database `db`.
    pub(crate) fn watches(&self, db: usize) -> &WatchTable {
        &self.watches[db]
    }

    /// Whether nothing of the work on this keyspace is left undone, but that its effects may have to be handed on.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.ready.is_empty()
            && self.events.is_empty()
            && self.invalidations.is_empty()
            && self.discards.is_empty()
    }

    /// Whether nothing of the work on this keyspace is left undone.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_quiet() && self.effects.is_empty()
    }

    /// Begins or ends a replay of effects: nothing expires, nothing is recorded and nothing is published meanwhile.
    pub(crate) fn set_replaying(&mut self, replaying: bool) {
        if replaying && !self.replaying {
            self.recording_before_replay = self.effects.is_recording();
            self.effects.set_recording(false);
        }
        if !replaying && self.replaying {
            self.events.clear();
            self.effects.set_recording(self.recording_before_replay);
        }
        self.replaying = replaying;
    }
}
