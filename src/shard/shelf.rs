//! The keyspaces of shards at rest: who is awake works with them without waking anybody.
//!
//! ```text
//!            rest: nothing left to do              another shard needs it
//! ┌ home ┐ ───────────────────────────► ┌ here ┐ ─────────────────────────► ┌ out ┐  for one turn of one client
//! └──────┘ ◄─────────────────────────── └──────┘ ◄───────────────────────── └─────┘
//!            rise: an event                            turn over   │ its owner rose meanwhile, or has an earlier alarm:
//!    ▲                                                             │ it goes there as a message
//!    └──────────────────────────── Return ─────────────────────────┘
//! ```
//! A shard rests when its mailbox and its queue are empty, so who takes its keyspace goes past nobody: it is a loan that
//! had not to be asked for. The rules of loans hold: what is done with it is finished before it is put back, and nothing
//! waits in between. A lock guards each place; it is held for the move of a pointer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::Keyspace;

use super::Shard;
use super::client::Client;
use super::mailbox::Message;

/// Where the keyspace of a shard is, as far as others may know.
#[derive(Debug)]
enum Place {
    /// With its owner, or lent, or on the way to its owner.
    Home,
    /// For whom it may concern.
    Here {
        keyspace: Box<Keyspace>,
        /// When its owner will wake up for it, Unix ms.
        alarm_ms: u64,
    },
    /// With another shard.
    Out {
        /// See above.
        alarm_ms: u64,
        /// Its owner has work for it.
        is_wanted: bool,
    },
}

/// The place of one shard's keyspace, on a cache line of its own: its owner passes it twice a turn.
#[derive(Debug)]
#[repr(align(128))]
struct Shelf {
    /// A hint: a look at it costs less than the lock.
    is_here: AtomicBool,
    place: Mutex<Place>,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The places of all shards' keyspaces.
#[derive(Debug)]
pub struct Shelves(Vec<Shelf>);

impl Shelves {
    /// All keyspaces with their owners.
    pub fn new(shard_count: usize) -> Self {
        let shelf = |_| Shelf {
            is_here: AtomicBool::new(false),
            place: Mutex::new(Place::Home),
        };
        Self((0..shard_count).map(shelf).collect())
    }

    /// Its owner rests.
    fn leave(&self, keyspace: Box<Keyspace>) {
        let shelf = &self.0[keyspace.shard().index()];
        let alarm_ms = keyspace.next_alarm_ms().unwrap_or(u64::MAX);
        let mut place = shelf.lock();
        debug_assert!(matches!(*place, Place::Home), "left twice");
        *place = Place::Here { keyspace, alarm_ms };
        shelf.is_here.store(true, Ordering::Release);
    }

    /// Its owner rises: the keyspace, or `None` when it will come as a message.
    fn fetch(&self, owner: ShardId) -> Option<Box<Keyspace>> {
        let shelf = &self.0[owner.index()];
        let mut place = shelf.lock();
        if let Place::Out { is_wanted, .. } = &mut *place {
            *is_wanted = true;
            return None;
        }
        shelf.is_here.store(false, Ordering::Release);
        match std::mem::replace(&mut *place, Place::Home) {
            Place::Here { keyspace, .. } => Some(keyspace),
            Place::Home | Place::Out { .. } => None,
        }
    }

    /// Another shard takes the keyspace, if its owner rests.
    fn take(&self, owner: ShardId) -> Option<Box<Keyspace>> {
        let shelf = &self.0[owner.index()];
        if !shelf.is_here.load(Ordering::Acquire) {
            return None;
        }
        let mut place = shelf.lock();
        let Place::Here { alarm_ms, .. } = *place else {
            return None;
        };
        let out = Place::Out {
            alarm_ms,
            is_wanted: false,
        };
        shelf.is_here.store(false, Ordering::Release);
        match std::mem::replace(&mut *place, out) {
            Place::Here { keyspace, .. } => Some(keyspace),
            Place::Home | Place::Out { .. } => None,
        }
    }

    /// The other shard puts it back; gives it again when its owner must have it now.
    fn put_back(&self, keyspace: Box<Keyspace>) -> Option<Box<Keyspace>> {
        let shelf = &self.0[keyspace.shard().index()];
        let mut place = shelf.lock();
        let Place::Out {
            alarm_ms,
            is_wanted,
        } = *place
        else {
            debug_assert!(false, "put back but not taken");
            return Some(keyspace);
        };
        // Who waits for a time earlier than any before it must be looked at earlier: only its owner can.
        if is_wanted || keyspace.next_alarm_ms().is_some_and(|at| at < alarm_ms) {
            *place = Place::Home;
            return Some(keyspace);
        }
        *place = Place::Here { keyspace, alarm_ms };
        shelf.is_here.store(true, Ordering::Release);
        None
    }
}

impl Shard {
    /// Nothing is left to do until the next event: others may work with the keyspace meanwhile.
    pub fn rest(&mut self) {
        if self.shared.shard_count == 1 || self.has_work() || self.stopping {
            return;
        }
        if let Some(mut keyspace) = self.keyspace.take() {
            debug_assert!(keyspace.is_settled(), "left with work undone");
            super::publish_counters_of(&self.shared, &mut keyspace);
            self.post.shelves().leave(keyspace);
            self.is_resting = true;
        }
    }

    /// Something is to be done.
    pub(super) fn rise(&mut self) {
        if std::mem::take(&mut self.is_resting) {
            self.keyspace = self.post.shelves().fetch(self.id);
        }
    }

    /// Whether all these keyspaces are in hand for the rest of this client's turn: this shard's own, which may be used if
    /// `own_is_free`, and those of shards at rest.
    pub(super) fn gather(&mut self, client: &Client, shards: ShardSet, own_is_free: bool) -> bool {
        // What a resting shard has sent may still be in the mailbox: who is told of things hears of them before it sees them.
        if shards.contains(self.id) && !own_is_free || client.session.listens() {
            return false;
        }
        for shard in shards.iter().filter(|shard| *shard != self.id) {
            if self.guests.iter().any(|guest| guest.shard() == shard) {
                continue;
            }
            let Some(mut guest) = self.post.shelves().take(shard) else {
                return false;
            };
            guest.policy = self.policy();
            guest
                .effects
                .set_recording(self.shared.effects.is_recording());
            self.guests.push(guest);
        }
        true
    }

    /// The turn of the client for whom they were gathered is over.
    pub(super) fn put_guests_back(&mut self, client: &mut Client) {
        if let Some(visited) = self.visited.take() {
            self.wander(client, visited);
            self.consider_departure(client);
        }
        while let Some(mut guest) = self.guests.pop() {
            debug_assert!(guest.is_settled(), "put back with work undone");
            super::publish_counters_of(&self.shared, &mut guest);
            let owner = guest.shard();
            if let Some(guest) = self.post.shelves().put_back(guest) {
                self.post.send(owner, Message::Return(guest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const OWNER: ShardId = ShardId(1);

    fn left() -> Shelves {
        let shelves = Shelves::new(2);
        let hasher = hashbrown::DefaultHashBuilder::default();
        shelves.leave(Box::new(Keyspace::new(OWNER, 16, hasher)));
        shelves
    }

    #[test]
    fn a_keyspace_is_taken_once_and_put_back() {
        let shelves = left();
        assert!(shelves.take(ShardId(0)).is_none(), "not at rest");
        let keyspace = shelves.take(OWNER).unwrap();
        assert!(shelves.take(OWNER).is_none(), "taken twice");
        assert!(shelves.put_back(keyspace).is_none(), "nobody wants it");
        assert!(shelves.take(OWNER).is_some());
    }

    #[test]
    fn an_owner_that_rises_gets_it_at_once_or_as_a_message() {
        let shelves = left();
        let keyspace = shelves.fetch(OWNER).unwrap();
        assert!(shelves.take(OWNER).is_none(), "its owner is awake");
        shelves.leave(keyspace);
        let keyspace = shelves.take(OWNER).unwrap();
        assert!(shelves.fetch(OWNER).is_none(), "it is out");
        let keyspace = shelves.put_back(keyspace).unwrap();
        assert!(shelves.fetch(OWNER).is_none(), "it is in the mail");
        shelves.leave(keyspace);
        assert!(shelves.fetch(OWNER).is_some());
    }
}
