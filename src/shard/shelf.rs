//! Where keyspaces lie between turns: whoever needs one takes it for a client's turn, without asking and waking its shard.
//!
//! ```text
//!            rest: no work waits for it            another shard needs it
//! ┌ home ┐ ───────────────────────────► ┌ here ┐ ─────────────────────────► ┌ out ┐  for one turn of one client
//! └──────┘ ◄─────────────────────────── └──────┘ ◄───────────────────────── └─────┘
//!            rise: an event or a turn                    turn over   │ its owner wants it, or must know of an alarm:
//!    ▲                                                               │ it goes there as a message
//!    └──────────────────────────── Return ───────────────────────────┘
//! ```
//! A shard rests after each client's turn, while it sends replies and while it sleeps, if its queue is empty: who takes
//! the keyspace goes past nobody, it is a loan that had not to be asked for. The rules of loans hold: the work is finished
//! before it is put back, and nothing waits in between. What a shard sent before it rested may still be in mailboxes
//! (that a client waits, say), so a waiter is served through the mailbox of its shard, and who is told of things
//! (subscribers, tracking clients) goes the way of messages: also to the own keyspace, when others have worked with it and
//! what they sent may still be in the mailbox. A lock guards each place; it is held for the move of a pointer.
//!
//! Measured, two shards, LPUSH to 1000 random keys, 50 connections: by messages half of the commands are batches and cost
//! 1.6 µs more; from the shelf 1 of 1000 is one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::Keyspace;

use super::Shard;
use super::client::Client;
use super::mailbox::Message;

/// How often a shard looks for a keyspace that is elsewhere: about 2 µs.
const SPINS_MAX: usize = 50;

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
        /// Others have worked with it since its owner left it.
        was_out: bool,
    },
    /// With another shard.
    Out {
        /// See above.
        alarm_ms: u64,
        /// Its owner is up and misses it.
        is_wanted: bool,
        /// See above.
        was_out: bool,
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
    /// Waits a moment for who has the keyspace: mostly it is a few commands, less than a message takes. False in vain.
    fn wait(&self) -> bool {
        for _ in 0..SPINS_MAX {
            if self.is_here.load(Ordering::Acquire) {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

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
        *place = Place::Here {
            keyspace,
            alarm_ms,
            was_out: false,
        };
        shelf.is_here.store(true, Ordering::Release);
    }

    /// Its owner rests while the keyspace is lent.
    fn leave_lent(&self, owner: ShardId) {
        let mut place = self.0[owner.index()].lock();
        debug_assert!(!matches!(*place, Place::Here { .. }), "in two places");
        *place = Place::Out {
            // Its owner knows of no alarm.
            alarm_ms: u64::MAX,
            is_wanted: false,
            was_out: true,
        };
    }

    /// It came to its owner as a message.
    pub(super) fn came_home(&self, owner: ShardId) {
        *self.0[owner.index()].lock() = Place::Home;
    }

    /// Its owner rises: the keyspace, and whether others had it meanwhile; or `None` when it will come as a message.
    fn fetch(&self, owner: ShardId) -> Option<(Box<Keyspace>, bool)> {
        let shelf = &self.0[owner.index()];
        shelf.wait();
        let mut place = shelf.lock();
        if let Place::Out { is_wanted, .. } = &mut *place {
            *is_wanted = true;
            return None;
        }
        shelf.is_here.store(false, Ordering::Release);
        match std::mem::replace(&mut *place, Place::Home) {
            Place::Here {
                keyspace, was_out, ..
            } => Some((keyspace, was_out)),
            Place::Home | Place::Out { .. } => None,
        }
    }

    /// Another shard takes the keyspace, if its owner rests.
    fn take(&self, owner: ShardId) -> Option<Box<Keyspace>> {
        let shelf = &self.0[owner.index()];
        if !shelf.wait() {
            return None;
        }
        let mut place = shelf.lock();
        let Place::Here {
            alarm_ms, was_out, ..
        } = *place
        else {
            return None;
        };
        let out = Place::Out {
            alarm_ms,
            is_wanted: false,
            was_out,
        };
        shelf.is_here.store(false, Ordering::Release);
        match std::mem::replace(&mut *place, out) {
            Place::Here { keyspace, .. } => Some(keyspace),
            Place::Home | Place::Out { .. } => None,
        }
    }

    /// A shard puts it back; gives it again when its owner must have it now.
    fn put_back(&self, keyspace: Box<Keyspace>, by: ShardId) -> Option<Box<Keyspace>> {
        let shelf = &self.0[keyspace.shard().index()];
        let mut place = shelf.lock();
        let Place::Out {
            alarm_ms,
            is_wanted,
            was_out,
        } = *place
        else {
            // Lent by an owner who has not gone to rest since.
            return Some(keyspace);
        };
        // Who waits for a time earlier than any before it must be looked at earlier, and a walk goes on: by its owner.
        let is_early = keyspace.next_alarm_ms().is_some_and(|at| at < alarm_ms);
        if is_wanted || is_early || keyspace.walk_count() > 0 {
            *place = Place::Home;
            return Some(keyspace);
        }
        let was_out = was_out || by != keyspace.shard();
        *place = Place::Here {
            keyspace,
            alarm_ms,
            was_out,
        };
        shelf.is_here.store(true, Ordering::Release);
        None
    }
}

impl Shard {
    /// Nothing is to be done with the keyspace until the next event or turn: others may work with it meanwhile.
    pub fn rest(&mut self) {
        let has_use = !self.admission.is_empty() || self.listeners_waiting > 0;
        if self.shared.shard_count == 1 || has_use || self.is_stopping() {
            return;
        }
        let walks = |keyspace: &Keyspace| keyspace.walk_count() > 0;
        if self.keyspace.as_deref().is_some_and(walks) {
            return;
        }
        self.tell_broadcasts();
        if let Some(keyspace) = self.keyspace.take() {
            debug_assert!(keyspace.is_settled(), "left with work undone");
            self.post.shelves().leave(keyspace);
            self.is_resting = true;
        } else if !self.is_resting {
            self.post.shelves().leave_lent(self.id);
            self.is_resting = true;
        }
    }

    /// Something is to be done.
    pub(super) fn rise(&mut self) {
        if std::mem::take(&mut self.is_resting) {
            if let Some((keyspace, was_out)) = self.post.shelves().fetch(self.id) {
                self.keyspace = Some(keyspace);
                self.mail_is_behind |= was_out;
            }
            self.apply_policy();
            self.apply_recording();
        }
    }

    /// Gives a keyspace back that was taken or lent.
    pub(super) fn put_back(&self, keyspace: Box<Keyspace>) {
        let owner = keyspace.shard();
        if let Some(keyspace) = self.post.shelves().put_back(keyspace, self.id) {
            self.post.send(owner, Message::Return(keyspace));
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
        let used_own = std::mem::take(&mut self.used_own);
        if client.is_ready() && (used_own || !self.guests.is_empty()) {
            let has_all = used_own && self.guests.len() + 1 == self.shared.shard_count;
            self.mix(client, has_all);
        }
        if let Some(visited) = self.visited.take() {
            self.wander(client, visited);
            self.consider_departure(client);
        }
        if !self.guests.is_empty() {
            self.tell_broadcasts();
        }
        while let Some(guest) = self.guests.pop() {
            debug_assert!(guest.is_settled(), "put back with work undone");
            self.put_back(guest);
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
        assert!(
            shelves.put_back(keyspace, ShardId(0)).is_none(),
            "nobody wants it"
        );
        assert!(shelves.take(OWNER).is_some());
    }

    #[test]
    fn an_owner_that_rises_gets_it_at_once_or_as_a_message() {
        let shelves = left();
        let (keyspace, was_out) = shelves.fetch(OWNER).unwrap();
        assert!(!was_out, "nobody took it");
        assert!(shelves.take(OWNER).is_none(), "its owner is awake");
        shelves.leave(keyspace);
        let keyspace = shelves.take(OWNER).unwrap();
        assert!(shelves.fetch(OWNER).is_none(), "it is out");
        let keyspace = shelves.put_back(keyspace, ShardId(0)).unwrap();
        assert!(shelves.fetch(OWNER).is_none(), "it is in the mail");
        shelves.leave(keyspace);
        let keyspace = shelves.take(OWNER).unwrap();
        assert!(
            shelves.put_back(keyspace, ShardId(0)).is_none(),
            "nobody wants it"
        );
        let (keyspace, was_out) = shelves.fetch(OWNER).unwrap();
        assert!(was_out);
        shelves.leave(keyspace);
        let keyspace = shelves.take(OWNER).unwrap();
        assert!(shelves.put_back(keyspace, OWNER).is_none());
        assert!(shelves.fetch(OWNER).is_some_and(|(_, was_out)| !was_out));
    }
}
