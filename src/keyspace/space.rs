//! What a command may reach: the keyspace of one shard, or those of several in one hand.
//!
//! A handler names keys, the space finds their keyspace. So LMOVE is written once, whether both keys live in one
//! keyspace or in two. It gets no keyspace itself: that is [`InHand`]'s, for the engine. What concerns whole databases is in
//! `whole.rs`.

use std::sync::Arc;

use crate::ids::{ShardId, ShardSet, shard_of};

use super::access::AccessPolicy;
use super::table::Entry;
use super::walk::WalkRequest;
use super::watch::WatchFlag;
use super::{Database, KeyHandle, Keyspace};

enum Parts<'a> {
    One(&'a mut Keyspace),
    Many(&'a mut [Box<Keyspace>]),
    None,
}

/// The keyspaces in hand, with the database and the time of the command.
pub(crate) struct Space<'a> {
    parts: Parts<'a>,
    shard_count: usize,
    /// The database of the client.
    pub(crate) db: usize,
    /// The one time of the command (of the whole EXEC), Unix ms.
    pub(crate) now_ms: u64,
    /// Whether a read counts as an access (not with CLIENT NO-TOUCH).
    pub(crate) touch: bool,
}

impl<'a> Space<'a> {
    /// One keyspace.
    pub(crate) fn one(keyspace: &'a mut Keyspace, shard_count: usize) -> Self {
        Self {
            parts: Parts::One(keyspace),
            shard_count,
            db: 0,
            now_ms: 0,
            touch: true,
        }
    }

    /// Several keyspaces, in ascending order of their shards.
    pub(crate) fn many(keyspaces: &'a mut [Box<Keyspace>], shard_count: usize) -> Self {
        debug_assert!(keyspaces.is_sorted_by_key(|keyspace| keyspace.shard()));
        Self {
            parts: Parts::Many(keyspaces),
            shard_count,
            db: 0,
            now_ms: 0,
            touch: true,
        }
    }

    /// None: for commands without keys.
    pub(crate) fn none(shard_count: usize) -> Self {
        Self {
            parts: Parts::None,
            shard_count,
            db: 0,
            now_ms: 0,
            touch: true,
        }
    }

    /// A shorter borrow of the same keyspaces.
    pub(crate) fn reborrow(&mut self) -> Space<'_> {
        let parts = match &mut self.parts {
            Parts::One(keyspace) => Parts::One(keyspace),
            Parts::Many(keyspaces) => Parts::Many(keyspaces),
            Parts::None => Parts::None,
        };
        Space {
            parts,
            shard_count: self.shard_count,
            db: self.db,
            now_ms: self.now_ms,
            touch: self.touch,
        }
    }

    /// How many shards there are in all.
    pub(crate) fn shard_count(&self) -> usize {
        self.shard_count
    }

    /// How many databases each keyspace has; 0 when none is in hand.
    pub(crate) fn database_count(&self) -> usize {
        self.keyspaces().next().map_or(0, Keyspace::database_count)
    }

    /// The shards whose keyspaces are in hand.
    pub(crate) fn shards(&self) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        for keyspace in self.keyspaces() {
            set.insert(keyspace.shard());
        }
        set
    }

    /// Whether the key's keyspace is in hand.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        match &self.parts {
            Parts::One(_) if self.shard_count == 1 => true,
            _ => self.shards().contains(shard_of(key, self.shard_count)),
        }
    }

    /// Whether nothing of the work on the keyspaces in hand is left undone.
    pub(crate) fn is_settled(&self) -> bool {
        match &self.parts {
            Parts::One(keyspace) => keyspace.is_quiet(),
            Parts::Many(keyspaces) => keyspaces.iter().all(|keyspace| keyspace.is_quiet()),
            Parts::None => true,
        }
    }

    /// Whether somebody may wait who writes to another key when served: false is certain.
    pub(crate) fn may_have_moving_waits(&self) -> bool {
        match &self.parts {
            Parts::One(keyspace) => keyspace.may_have_moving_waits(),
            Parts::Many(keyspaces) => {
                let mut keyspaces = keyspaces.iter();
                keyspaces.any(|keyspace| keyspace.may_have_moving_waits())
            }
            Parts::None => false,
        }
    }

    /// Looks a key up to read it; counts a hit or a miss.
    pub(crate) fn read(&mut self, key: &[u8]) -> Option<&Entry> {
        let (db, now_ms, touch) = (self.db, self.now_ms, self.touch);
        self.of(key).read(db, key, now_ms, touch)
    }

    /// Looks a key up to read it without touching it; counts a hit or a miss (EXISTS, TYPE, TTL).
    pub(crate) fn look(&mut self, key: &[u8]) -> Option<&Entry> {
        let (db, now_ms) = (self.db, self.now_ms);
        self.of(key).read(db, key, now_ms, false)
    }

    /// Looks a key up without counting or touching it.
    pub(crate) fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let (db, now_ms) = (self.db, self.now_ms);
        self.of(key).peek(db, key, now_ms)
    }

    /// Looks a key up again that [`Space::read`] has looked up, with no effect: so several values can be looked at together.
    pub(crate) fn view(&self, key: &[u8]) -> Option<&Entry> {
        let shard = shard_of(key, self.shard_count);
        let keyspace = self
            .keyspaces()
            .find(|keyspace| keyspace.shard() == shard)?;
        keyspace.view(self.db, key, self.now_ms)
    }

    /// Looks a key up to change it.
    pub(crate) fn write<'s>(&'s mut self, key: &'s [u8]) -> KeyHandle<'s> {
        self.write_in(self.db, key)
    }

    /// Looks a key of another database up to change it (MOVE, COPY DB).
    pub(crate) fn write_in<'s>(&'s mut self, db: usize, key: &'s [u8]) -> KeyHandle<'s> {
        let (now_ms, touch) = (self.now_ms, self.touch);
        let mut handle = self.of(key).write(db, key, now_ms);
        if touch {
            handle.accessed();
        }
        handle
    }

    /// Looks a key up to read it; an access whatever the client has said of them (TOUCH). Counts a hit or a miss.
    pub(crate) fn access(&mut self, key: &[u8]) -> Option<&Entry> {
        let (db, now_ms) = (self.db, self.now_ms);
        self.of(key).read(db, key, now_ms, true)
    }

    /// What is noted of the use of a key.
    pub(crate) fn access_policy(&mut self, key: &[u8]) -> AccessPolicy {
        self.of(key).policy.access
    }

    /// Sets the flag when a key changes from here on (WATCH). A key that has expired is removed now, so that its removal later
    /// does not count as a change; one that CLIENT PAUSE keeps counts as gone already.
    pub(crate) fn watch(&mut self, key: &[u8], flag: &Arc<WatchFlag>) {
        let (db, now_ms) = (self.db, self.now_ms);
        let keyspace = self.of(key);
        keyspace.peek(db, key, now_ms);
        let is_expired = keyspace.holds_expired(db, key, now_ms);
        keyspace.watches_mut(db).watch(key, flag, is_expired);
    }

    /// The parts of a database that are in hand, by shard, to look at.
    pub(crate) fn databases(&self, db: usize) -> impl Iterator<Item = &Database> {
        self.keyspaces().map(move |keyspace| keyspace.database(db))
    }

    /// The part of the client's database that belongs to a shard, to look at; `None` when it is not in hand.
    pub(crate) fn database_of_shard(&self, shard: ShardId) -> Option<&Database> {
        let mut keyspaces = self.keyspaces();
        let keyspace = keyspaces.find(|keyspace| keyspace.shard() == shard)?;
        Some(keyspace.database(self.db))
    }

    /// Walks under way in the keyspace that has most of them.
    pub(crate) fn walk_count_max(&self) -> usize {
        let counts = self.keyspaces().map(Keyspace::walk_count);
        counts.max().unwrap_or(0)
    }

    /// Begins a walk in each keyspace in hand; gives how many.
    pub(crate) fn begin_walks(&mut self, request: impl Fn() -> WalkRequest) -> usize {
        let mut count = 0;
        for keyspace in self.keyspaces_mut() {
            keyspace.begin_walk(request());
            count += 1;
        }
        count
    }
}

/// The keyspaces themselves: for who has them in hand and finishes the work on them. Commands do without: they change keys
/// through handles, and whole databases through what a space offers. `tests/tidy.rs` keeps this name out of their room.
pub(crate) trait InHand {
    /// The keyspaces in hand, by shard.
    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace>;

    /// The keyspaces in hand, by shard, to change.
    fn keyspaces_mut(&mut self) -> impl Iterator<Item = &mut Keyspace>;

    /// The keyspace of a shard, if in hand.
    fn of_shard(&mut self, shard: ShardId) -> Option<&mut Keyspace>;

    /// The keyspace of a key.
    ///
    /// # Panics
    /// When it is not in hand: routing went wrong, and going on would put a key where nobody finds it.
    fn of(&mut self, key: &[u8]) -> &mut Keyspace;
}

impl InHand for Space<'_> {
    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        let (one, many): (Option<&Keyspace>, &[Box<Keyspace>]) = match &self.parts {
            Parts::One(keyspace) => (Some(keyspace), &[]),
            Parts::Many(keyspaces) => (None, keyspaces),
            Parts::None => (None, &[]),
        };
        one.into_iter()
            .chain(many.iter().map(|keyspace| &**keyspace))
    }

    fn keyspaces_mut(&mut self) -> impl Iterator<Item = &mut Keyspace> {
        let (one, many): (Option<&mut Keyspace>, &mut [Box<Keyspace>]) = match &mut self.parts {
            Parts::One(keyspace) => (Some(keyspace), &mut []),
            Parts::Many(keyspaces) => (None, keyspaces),
            Parts::None => (None, &mut []),
        };
        one.into_iter()
            .chain(many.iter_mut().map(|keyspace| &mut **keyspace))
    }

    fn of_shard(&mut self, shard: ShardId) -> Option<&mut Keyspace> {
        self.keyspaces_mut()
            .find(|keyspace| keyspace.shard() == shard)
    }

    fn of(&mut self, key: &[u8]) -> &mut Keyspace {
        let shard_count = self.shard_count;
        match &mut self.parts {
            Parts::One(keyspace) => {
                let is_home = shard_count == 1 || keyspace.shard() == shard_of(key, shard_count);
                assert!(is_home, "a key away from home");
                keyspace
            }
            Parts::Many(keyspaces) => {
                let shard = shard_of(key, shard_count);
                match keyspaces
                    .iter_mut()
                    .find(|keyspace| keyspace.shard() == shard)
                {
                    Some(keyspace) => keyspace,
                    None => unreachable!("shard {} is not in hand", shard.0),
                }
            }
            Parts::None => unreachable!("a command without keys looked one up"),
        }
    }
}
