//! Snapshots: all keys as they were at one moment, the cut, handed out a few at a time while commands go on.
//!
//! ```text
//!                       begin: the cut              step                     step                    over
//! database 0  ──────────────┬───── walked in hash order, what is met is marked and shared ──────────────►
//! database 1  ──────────────┤                                                 ── walked ──►
//!   a key changes or goes   │  not marked: its share goes into `ahead`, it is marked    marked: nothing
//!   a key comes             │  it is marked: it was not there
//!   a database is emptied   │  the snapshot takes the old table over and walks it
//! ```
//! So each key that was there at the cut is given exactly once, in no order to rely on, with the value and the expiry it had; only
//! its use is that of later, since reads do not save. No value is copied as a whole: a share is a clone, and what changes
//! later copies a block. What is taken over leaves by the discards.
//!
//! Marks are of a round (marks.rs), so nothing is to be cleaned up behind a snapshot that ended before its time.
//!
//! Invariants: `cuts` and `places` say the same; a table in `places` is not finished; a database without a number in `cuts`
//! needs no marks. Not here: the clock (the caller measures how long a step takes), formats, who writes them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::discard::Part;
use super::handed::{HandedOut, InSaversHands, Kept};
use super::table::{Entry, KeyTable, Position};
use super::value::{StringValue, Value};
use super::{Database, Keyspace};
use crate::counters::KeyspaceCounters;
use crate::data::stream::Stream;

/// A key of a snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotEntry {
    /// The number of its database at the cut.
    pub(crate) db: usize,
    /// The key with a share of its value: as they were at the cut, but for [`Entry::access`].
    pub(crate) entry: Entry,
    /// What does not count as used until it is dropped.
    kept: Option<Kept>,
}

/// Keys of a snapshot, as the saver gets them. Its shares do not count as used where it alone has them.
#[derive(Debug)]
pub(crate) struct Batch {
    // First of all: they are freed before that is noted.
    /// The keys.
    pub(crate) entries: Vec<SnapshotEntry>,
    in_hands: InSaversHands,
}

impl Batch {
    /// Frees it. `tell`: tells how much is used, before any of it counts again; else keys would go for it.
    pub(crate) fn free(mut self, tell: impl FnOnce()) {
        let entries = self.entries.iter_mut();
        let kept: Vec<Kept> = entries.filter_map(|saved| saved.kept.take()).collect();
        drop(self.entries);
        tell();
        drop((kept, self.in_hands));
    }
}

/// Shares are encoded by another thread.
const _: fn() = || {
    fn sent<T: Send>() {}
    sent::<Batch>();
};

/// What a database had at the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CutCounts {
    /// Keys: so many will be given.
    pub(crate) keys: usize,
    /// Those of them that end.
    pub(crate) expiring: usize,
}

/// Whether a snapshot is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may be more.
    Going,
    /// All keys have been given.
    Done,
}

/// Where a database of the cut is now.
enum Place {
    /// It has this number now.
    Live(usize),
    /// It was emptied: only the snapshot has it.
    Taken(Box<Database>),
    /// All its keys are marked.
    Finished,
}

struct Snapshot {
    round: u32,
    /// By number at the cut.
    places: Vec<Place>,
    /// By number now: its number at the cut, if keys of it may not be marked yet.
    cuts: Vec<Option<usize>>,
    /// The database that is walked, by its number at the cut, and from where.
    db: usize,
    position: u64,
    ahead: VecDeque<SnapshotEntry>,
    ahead_bytes: usize,
    /// Bytes of all entries that were ever kept for it.
    kept_bytes: u64,
    counters: Arc<KeyspaceCounters>,
}

/// The snapshot under way, if any, and what its marks are.
#[derive(Default)]
pub(super) struct Snapshots {
    running: Option<Box<Snapshot>>,
    /// The round of the last one.
    round: u32,
    /// What was handed to a saver last, also of one that is over.
    handed: Option<Arc<HandedOut>>,
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.running.as_ref().map(|running| running.ahead.len());
        write!(f, "Snapshots({}, {keys:?} ahead)", self.round)
    }
}

/// A walk looks into so many segments for each unit of its budget: most of a step's time goes to their entries, but they may
/// have none that are not marked.
const SEGMENTS_PER_COST: usize = 1;
/// Pieces of memory that take as long to share as a small value.
const PARTS_PER_COST: usize = 8;
/// Bytes of a string that take as long to copy as a small value.
const COPIED_BYTES_PER_COST: usize = 512;
/// Consumers of a stream: there are pieces of memory for each.
fn consumer_count(stream: &Stream) -> usize {
    let groups = stream.groups();
    groups.map(|(_, group)| 1 + group.consumer_count()).sum()
}

/// How long it takes to share a value, in small values. O(groups of a stream).
fn cost_of(value: &Value) -> usize {
    let parts = match value {
        Value::String(StringValue::Large(_)) => 0,
        Value::String(string) => return 1 + string.heap_bytes() / COPIED_BYTES_PER_COST,
        Value::Stream(stream) => stream.log().block_count() + consumer_count(stream),
        Value::List(_) | Value::Set(_) | Value::SortedSet(_) | Value::Hash(_) => value.part_count(),
    };
    1 + parts / PARTS_PER_COST
}

/// What a share may keep from being freed, bytes: of a large value an estimate. O(groups of a stream).
fn retained_bytes(entry: &Entry) -> usize {
    let shell_bytes = size_of::<SnapshotEntry>() + entry.key.heap_bytes();
    shell_bytes + entry.value.estimated_bytes()
}

/// What the first change of a value in place leaves to its share alone, bytes: the piece that is changed, of most values. What it
/// shares with the value counts as used, as before.
const CHANGED_PIECE_BYTES: usize = 8 << 10;

/// What a key does of which a share is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Its value or its expiry changes.
    InPlace,
    /// Its value goes.
    Goes,
}

/// What a share has of its own, bytes: small values are copied.
fn copied_bytes(entry: &Entry) -> usize {
    let value_bytes = match &entry.value {
        Value::String(StringValue::Large(_)) => 0,
        Value::String(string) => string.heap_bytes(),
        value => match value.part_count() {
            ..=1 => value.heap_bytes(),
            _ => 0,
        },
    };
    size_of::<SnapshotEntry>() + entry.key.heap_bytes() + value_bytes
}

impl Snapshot {
    #[cold]
    fn save(&mut self, db: usize, table: &mut KeyTable, at: Position, change: Change) {
        let Some(cut) = self.cuts[db] else { return };
        if table.is_marked(at, self.round) {
            return;
        }
        table.mark(at, self.round);
        if let Some(entry) = table.get(at) {
            let entry = entry.share();
            let bytes = match change {
                Change::Goes => retained_bytes(&entry),
                Change::InPlace => {
                    let piece = copied_bytes(&entry) + CHANGED_PIECE_BYTES;
                    retained_bytes(&entry).min(piece)
                }
            };
            self.ahead_bytes += bytes;
            self.kept_bytes += bytes as u64;
            let kept = Some(Kept::new(bytes, &self.counters));
            let saved = SnapshotEntry {
                db: cut,
                entry,
                kept,
            };
            self.ahead.push_back(saved);
        }
    }

    /// Gives what was saved, until the budget is spent.
    fn give_ahead(&mut self, budget: &mut usize, into: &mut Vec<SnapshotEntry>) {
        while *budget > 0
            && let Some(saved) = self.ahead.pop_front()
        {
            *budget -= 1;
            self.ahead_bytes -= saved.kept.as_ref().map_or(0, Kept::bytes);
            into.push(saved);
        }
        if self.ahead.is_empty() {
            self.ahead_bytes = 0;
            // Room for the most that were ever saved is not kept: the next change makes new.
            self.ahead = VecDeque::new();
        }
    }

    /// Walks on in one database; gives it when it was taken over and its end is reached.
    fn walk(
        &mut self,
        databases: &mut [Database],
        budget: &mut usize,
        into: &mut Vec<SnapshotEntry>,
    ) -> Option<Box<Database>> {
        let cut = self.db;
        let table = match &mut self.places[cut] {
            Place::Live(db) => &mut databases[*db].table,
            Place::Taken(database) => &mut database.table,
            Place::Finished => {
                self.db += 1;
                return None;
            }
        };
        let segments = *budget * SEGMENTS_PER_COST;
        // To look at a database that has no keys takes time too.
        *budget -= 1;
        let next = table.mark_rest(self.position, self.round, segments, &mut |entry| {
            let entry = entry.share();
            *budget = budget.saturating_sub(cost_of(&entry.value));
            into.push(SnapshotEntry {
                db: cut,
                entry,
                kept: None,
            });
            *budget == 0
        });
        self.position = next.unwrap_or(0);
        if next.is_some() {
            *budget = 0;
            return None;
        }
        self.db += 1;
        match std::mem::replace(&mut self.places[cut], Place::Finished) {
            Place::Live(db) => self.cuts[db] = None,
            Place::Taken(database) => return Some(database),
            Place::Finished => {}
        }
        None
    }
}

impl Snapshots {
    /// The value or the expiry of a key is about to change: what they were is saved first, unless the snapshot has them.
    #[inline]
    pub(super) fn before_change(&mut self, db: usize, table: &mut KeyTable, at: Position) {
        if let Some(running) = &mut self.running {
            running.save(db, table, at, Change::InPlace);
        }
    }

    /// As [`Snapshots::before_change`], of a value that another is about to take the place of.
    #[inline]
    pub(super) fn before_replacement(&mut self, db: usize, table: &mut KeyTable, at: Position) {
        if let Some(running) = &mut self.running {
            running.save(db, table, at, Change::Goes);
        }
    }

    /// As [`Snapshots::before_change`], of a key that is about to go.
    #[inline]
    pub(super) fn before_removal(
        &mut self,
        db: usize,
        table: &mut KeyTable,
        hash: u64,
        key: &[u8],
    ) {
        if self.running.is_some()
            && let Some(at) = table.find(hash, key)
        {
            self.before_replacement(db, table, at);
        }
    }

    /// A key has come that was not there.
    #[inline]
    pub(super) fn came(&mut self, db: usize, table: &mut KeyTable, at: Position) {
        if let Some(running) = &self.running
            && running.cuts[db].is_some()
        {
            table.mark(at, running.round);
        }
    }

    /// Another database has taken the place of this one, which nobody else needs; gives it back if the snapshot does not either.
    pub(super) fn take_over(&mut self, db: usize, old: Database) -> Option<Database> {
        let Some(running) = &mut self.running else {
            return Some(old);
        };
        let Some(cut) = running.cuts[db].take() else {
            return Some(old);
        };
        running.places[cut] = Place::Taken(Box::new(old));
        None
    }

    /// Two databases have changed places.
    pub(super) fn swap(&mut self, a: usize, b: usize) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.cuts.swap(a, b);
        for db in [a, b] {
            if let Some(cut) = running.cuts[db] {
                running.places[cut] = Place::Live(db);
            }
        }
    }
}

impl Keyspace {
    /// Begins a snapshot of what is there now, which [`Keyspace::step_snapshot`] then gives; one that is under way is aborted.
    /// Gives what the databases have, by number. O(databases).
    pub(crate) fn begin_snapshot(&mut self) -> Vec<CutCounts> {
        self.abort_snapshot();
        self.snapshots.round += 1;
        let count = self.databases.len();
        self.snapshots.running = Some(Box::new(Snapshot {
            round: self.snapshots.round,
            places: (0..count).map(Place::Live).collect(),
            cuts: (0..count).map(Some).collect(),
            db: 0,
            position: 0,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            kept_bytes: 0,
            counters: Arc::clone(&self.counters),
        }));
        let counts = self.databases.iter().map(|database| CutCounts {
            keys: database.table.len(),
            expiring: database.expiries.len(),
        });
        counts.collect()
    }

    /// Gives some more keys of the snapshot, those first whose shares were taken before a change. `budget`: how much work this
    /// may be, in small values shared; a large value is more, and is given whole. To be called with at least 1 until it is
    /// done. May leave tables to be freed elsewhere ([`Keyspace::take_discards`]).
    pub(crate) fn step_snapshot(
        &mut self,
        budget: usize,
        into: &mut Vec<SnapshotEntry>,
    ) -> Progress {
        let Some(running) = &mut self.snapshots.running else {
            return Progress::Done;
        };
        let mut budget = budget;
        running.give_ahead(&mut budget, into);
        while budget > 0 && running.db < running.places.len() {
            if let Some(walked) = running.walk(&mut self.databases, &mut budget, into) {
                self.discards.add_database(*walked);
            }
        }
        if running.db < running.places.len() || !running.ahead.is_empty() {
            return Progress::Going;
        }
        self.snapshots.running = None;
        Progress::Done
    }

    /// Ends the snapshot under way, if any: what was not given is not needed any more. May leave much to be freed elsewhere.
    pub(crate) fn abort_snapshot(&mut self) {
        let Some(running) = self.snapshots.running.take() else {
            return;
        };
        for place in running.places {
            if let Place::Taken(database) = place {
                self.discards.add_database(*database);
            }
        }
        if !running.ahead.is_empty() {
            self.discards.add_part(Part::new(running.ahead));
        }
    }

    /// The key at a position is about to change: a snapshot that has it not yet gets it as it is. Gives its table.
    #[inline]
    pub(super) fn before_change(&mut self, db: usize, at: Position) -> &mut KeyTable {
        let table = &mut self.databases[db].table;
        self.snapshots.before_change(db, table, at);
        table
    }

    /// As [`Keyspace::before_change`], of a value that another is about to take the place of.
    pub(super) fn before_replacement(&mut self, db: usize, at: Position) {
        let table = &mut self.databases[db].table;
        self.snapshots.before_replacement(db, table, at);
    }

    /// Whether a snapshot is under way.
    #[cfg(test)]
    pub(crate) fn has_snapshot(&self) -> bool {
        self.snapshots.running.is_some()
    }

    /// Keys that [`Keyspace::step_snapshot`] gave, for the saver.
    pub(crate) fn hand_out(&mut self, entries: Vec<SnapshotEntry>) -> Batch {
        let handed = Arc::new(HandedOut::new(&self.counters));
        let walked = entries.iter().filter(|saved| saved.kept.is_none());
        let copied = walked.map(|saved| copied_bytes(&saved.entry));
        handed.owe(copied.sum::<usize>() as u64);
        self.snapshots.handed = Some(Arc::clone(&handed));
        Batch {
            entries,
            in_hands: InSaversHands(handed),
        }
    }

    /// What the saver was given last, if it still has that.
    pub(super) fn in_savers_hands(&self) -> Option<&Arc<HandedOut>> {
        let handed = self.snapshots.handed.as_ref();
        handed.filter(|handed| handed.is_held())
    }

    /// Bytes that were kept for the running snapshot since its cut, of what has changed or gone; the saver may have freed some.
    pub(super) fn kept_for_snapshot(&self) -> u64 {
        let running = self.snapshots.running.as_ref();
        running.map_or(0, |running| running.kept_bytes)
    }

    /// What shares taken before a change may keep from being freed until a step gives them, bytes: of large values an estimate,
    /// which counts what is still in use too. Tables that were taken over are not in it: they are what the data was.
    pub(crate) fn snapshot_bytes(&self) -> usize {
        let running = self.snapshots.running.as_ref();
        running.map_or(0, |running| running.ahead_bytes)
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
