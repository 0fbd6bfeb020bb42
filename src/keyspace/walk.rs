//! Walks over all keys of a database, a few at a time, that find what was there when they began (KEYS over very many).
//!
//! ```text
//! hash order   found │ to be found
//!                    ▲ position       a key that goes in there is found at once; one that comes there is passed by
//! ```
//! So a walk gives the keys of one moment, its begin, though others write meanwhile; and one of several keyspaces that began
//! in one hand gives those of one moment in all of them. A database that is emptied or swapped is walked to the end first.
//!
//! Not here: patterns, who is told.

use std::collections::HashSet;
use std::fmt;

use crate::ids::{ClientId, ShardId};
use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::Keyspace;
use super::table::{Entry, KeyTable};

/// Whether a key is wanted, by its name.
pub(crate) type Wanted = Box<dyn Fn(&[u8]) -> bool + Send>;

/// A walk to begin.
pub(crate) struct WalkRequest {
    /// The database.
    pub(crate) db: usize,
    /// Keys that have expired by then are not there, Unix ms.
    pub(crate) now_ms: u64,
    /// Who asks, and on which shard it is.
    pub(crate) client: ClientId,
    /// See above.
    pub(crate) home: ShardId,
    /// Which keys.
    pub(crate) wanted: Wanted,
}

/// What a walk found.
#[derive(Debug)]
pub struct Walked {
    /// Who asked.
    pub(crate) client: ClientId,
    /// Where it is.
    pub(crate) home: ShardId,
    /// How many keys.
    pub(crate) count: usize,
    /// The keys as bulk strings.
    pub(crate) keys: Vec<u8>,
}

struct Walk {
    request: WalkRequest,
    /// The scan position up to which everything is found; `None` at the end.
    position: Option<u64>,
    /// Keys beyond it that came since.
    came: HashSet<Box<[u8]>>,
    found: Reply,
    count: usize,
}

/// Whether a key met in a walk is still there for clients. Redis leaves its removal to others.
#[must_use]
pub(crate) fn is_live(entry: &Entry, now_ms: u64) -> bool {
    entry.expiry().is_none_or(|at| now_ms <= at) && !entry.value.has_ended(now_ms)
}

impl Walk {
    fn is_ahead(&self, db: usize, hash: u64) -> bool {
        let at = KeyTable::scan_position(hash);
        self.request.db == db && self.position.is_some_and(|position| position <= at)
    }

    fn take(&mut self, entry: &Entry) {
        if (self.request.wanted)(&entry.key) && is_live(entry, self.request.now_ms) {
            self.found.bulk(&entry.key);
            self.count += 1;
        }
    }

    fn step(&mut self, table: &KeyTable, keys: usize) {
        let Some(from) = self.position else { return };
        self.position = table.walk(from, keys, |entry| {
            if self.came.is_empty() || !self.came.contains(&*entry.key) {
                self.take(entry);
            }
        });
    }
}

/// The walks under way in a keyspace, oldest first.
#[derive(Default)]
pub(super) struct Walks(Vec<Walk>);

impl fmt::Debug for Walks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Walks({})", self.0.len())
    }
}

impl Walks {
    /// A key has come that was not there.
    #[inline]
    pub(super) fn came(&mut self, db: usize, hash: u64, key: &[u8]) {
        for walk in self.0.iter_mut().filter(|walk| walk.is_ahead(db, hash)) {
            walk.came.insert(key.into());
        }
    }

    /// A key has gone.
    #[inline]
    pub(super) fn left(&mut self, db: usize, hash: u64, entry: &Entry) {
        for walk in self.0.iter_mut().filter(|walk| walk.is_ahead(db, hash)) {
            if !walk.came.remove(&*entry.key) {
                walk.take(entry);
            }
        }
    }
}

impl Keyspace {
    /// Begins a walk: what is there now will be found.
    pub(crate) fn begin_walk(&mut self, request: WalkRequest) {
        self.walks.0.push(Walk {
            request,
            position: Some(0),
            came: HashSet::new(),
            found: Reply::new(Protocol::default()),
            count: 0,
        });
    }

    /// Walks under way, or not handed on yet.
    pub(crate) fn walk_count(&self) -> usize {
        self.walks.0.len()
    }

    /// Goes on with the oldest walk by about so many keys; gives it when it is over.
    pub(crate) fn step_walk(&mut self, keys: usize) -> Option<Walked> {
        let walk = self.walks.0.first_mut()?;
        walk.step(&self.databases[walk.request.db].table, keys);
        if walk.position.is_some() {
            return None;
        }
        let mut walk = self.walks.0.remove(0);
        Some(Walked {
            client: walk.request.client,
            home: walk.request.home,
            count: walk.count,
            keys: walk.found.take(),
        })
    }

    /// The database becomes another: what is walked of it is found now.
    pub(super) fn end_walks(&mut self, db: usize) {
        for walk in self.walks.0.iter_mut().filter(|walk| walk.request.db == db) {
            walk.step(&self.databases[db].table, usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hashbrown::DefaultHashBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::keyspace::value::{StringValue, Value};

    fn keyspace() -> Keyspace {
        Keyspace::new(ShardId(0), 2, DefaultHashBuilder::default())
    }

    fn put(keyspace: &mut Keyspace, db: usize, key: &str) {
        let mut handle = keyspace.write(db, key.as_bytes(), 0);
        handle.insert(Value::String(StringValue::Integer(1)));
        handle.covered();
    }

    fn remove(keyspace: &mut Keyspace, db: usize, key: &str) {
        let mut handle = keyspace.write(db, key.as_bytes(), 0);
        handle.remove();
        handle.covered();
    }

    fn begin(keyspace: &mut Keyspace, db: usize) {
        keyspace.begin_walk(WalkRequest {
            db,
            now_ms: 0,
            client: ClientId(7),
            home: ShardId(3),
            wanted: Box::new(|key| key != b"key:5"),
        });
    }

    /// The keys of a walk that is over; each must be there once.
    fn keys_of(walked: &Walked) -> BTreeSet<String> {
        let text = String::from_utf8_lossy(&walked.keys);
        let keys: Vec<&str> = text.split("\r\n").skip(1).step_by(2).collect();
        let set: BTreeSet<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!((set.len(), walked.count), (keys.len(), keys.len()));
        set
    }

    proptest! {
        #![proptest_config(crate::property::cases(256))]
        #[test]
        fn a_walk_finds_what_was_there_when_it_began(
            before in proptest::collection::vec(0..2000u32, 0..2500),
            changes in proptest::collection::vec((any::<bool>(), 0..2000u32), 0..400),
            step in 1..600usize,
            flush in proptest::option::of(0..40usize),
        ) {
            let mut keyspace = keyspace();
            let mut there: BTreeSet<String> = BTreeSet::new();
            for number in before {
                put(&mut keyspace, 0, &format!("key:{number}"));
                there.insert(format!("key:{number}"));
            }
            there.remove("key:5");
            begin(&mut keyspace, 0);
            let mut changes = changes.chunks(10).enumerate();
            let walked = loop {
                if let Some(walked) = keyspace.step_walk(step) {
                    break walked;
                }
                let Some((round, changes)) = changes.next() else { continue };
                if flush == Some(round) {
                    keyspace.flush(0);
                }
                for (add, number) in changes {
                    let key = format!("key:{number}");
                    if *add { put(&mut keyspace, 0, &key) } else { remove(&mut keyspace, 0, &key) }
                    // What happens to another database concerns nobody.
                    if *add { put(&mut keyspace, 1, &key) } else { remove(&mut keyspace, 1, &key) }
                }
            };
            prop_assert_eq!(keys_of(&walked), there);
            prop_assert_eq!((walked.client, walked.home, keyspace.walk_count()), (ClientId(7), ShardId(3), 0));
        }
    }

    #[test]
    fn a_swap_ends_the_walks_of_both_databases() {
        let mut keyspace = keyspace();
        for number in 0..1000 {
            put(&mut keyspace, 0, &format!("key:{number}"));
            put(&mut keyspace, 1, &format!("other:{number}"));
        }
        begin(&mut keyspace, 0);
        begin(&mut keyspace, 1);
        assert!(keyspace.step_walk(10).is_none());
        keyspace.swap(0, 1, 0);
        let first = keyspace
            .step_walk(1)
            .unwrap_or_else(|| unreachable!("it is over"));
        let second = keyspace
            .step_walk(1)
            .unwrap_or_else(|| unreachable!("it is over"));
        assert_eq!((first.count, second.count), (999, 1000));
        assert!(keys_of(&first).contains("key:999") && keys_of(&second).contains("other:999"));
    }
}
