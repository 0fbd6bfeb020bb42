//! Who waits for which key, in which order.
//!
//! ```text
//! WAITING ──claim──► SERVED      by whoever holds the keyspace and has something to give
//!    └─────cancel──► CANCELLED   by timeout, CLIENT UNBLOCK, CLIENT KILL, end of file
//! ```
//! One compare-exchange decides; the loser does nothing. A waiter stands in the queue of each of its keys, which may
//! lie in several keyspaces; queues drop those no longer WAITING when they meet them, and sweep when they have doubled.
//! Pure: no clock, no channel.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::ids::{ClientId, ShardId, ShardSet};
use crate::resp::Protocol;
use crate::resp::arguments::Request;

use super::value::ValueType;

/// What a blocked command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// An element of a list (BLPOP, BLMOVE …).
    List,
    /// An entry of a stream (XREAD).
    Stream,
    /// An entry for a consumer group; also runs again when the key goes or changes its type (XREADGROUP).
    StreamGroup,
}

impl WaitKind {
    /// Whether a key that now has this type (`None`: no key) can end the wait.
    pub fn concerns(self, present: Option<ValueType>) -> bool {
        match self {
            Self::List => present == Some(ValueType::List),
            Self::Stream => present == Some(ValueType::Stream),
            Self::StreamGroup => true,
        }
    }
}

const WAITING: u8 = 0;
const SERVED: u8 = 1;
const CANCELLED: u8 = 2;

/// A blocked client's command.
#[derive(Debug)]
pub struct Waiter {
    state: AtomicU8,
    /// The client.
    pub client: ClientId,
    /// Where its connection is; a blocked connection does not migrate.
    pub home: ShardId,
    /// What it waits for.
    pub kind: WaitKind,
    /// Its database.
    pub db: usize,
    /// The version its reply is written in.
    pub protocol: Protocol,
    /// The keys it waits for.
    pub keys: Vec<Box<[u8]>>,
    /// The command to run again (IDs like `$` already resolved).
    pub request: Request,
    /// Every shard its command touches when it is served by way of one key: those of the destination keys.
    pub needs: ShardSet,
    /// CLIENT NO-TOUCH of the client.
    pub no_touch: bool,
}

/// What a waiter is made from.
#[derive(Debug)]
pub struct WaiterFacts {
    /// See [`Waiter`].
    pub client: ClientId,
    /// See [`Waiter`].
    pub home: ShardId,
    /// See [`Waiter`].
    pub kind: WaitKind,
    /// See [`Waiter`].
    pub db: usize,
    /// See [`Waiter`].
    pub protocol: Protocol,
    /// See [`Waiter`].
    pub keys: Vec<Box<[u8]>>,
    /// See [`Waiter`].
    pub request: Request,
    /// See [`Waiter`].
    pub needs: ShardSet,
    /// See [`Waiter`].
    pub no_touch: bool,
}

impl Waiter {
    /// A waiter in state WAITING.
    pub fn new(facts: WaiterFacts) -> Self {
        let WaiterFacts {
            client,
            home,
            kind,
            db,
            protocol,
            keys,
            request,
            needs,
            no_touch,
        } = facts;
        Self {
            state: AtomicU8::new(WAITING),
            client,
            home,
            kind,
            db,
            protocol,
            keys,
            request,
            needs,
            no_touch,
        }
    }

    /// Whether it still waits.
    pub fn is_waiting(&self) -> bool {
        self.state.load(Ordering::Acquire) == WAITING
    }

    fn leave(&self, to: u8) -> bool {
        self.state
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Takes it to be served; false when it was cancelled or served before.
    pub fn claim(&self) -> bool {
        self.leave(SERVED)
    }

    /// Puts a claimed waiter back to WAITING: there was nothing to give it after all.
    /// Only the claimer may call this, before anybody could see an effect of the claim.
    pub fn unclaim(&self) {
        debug_assert_eq!(
            self.state.load(Ordering::Acquire),
            SERVED,
            "only a claimed waiter can be put back"
        );
        self.state.store(WAITING, Ordering::Release);
    }

    /// Ends the wait without serving; false when it was served or cancelled before.
    pub fn cancel(&self) -> bool {
        self.leave(CANCELLED)
    }
}

/// The waiters of one key, longest waiting first.
#[derive(Debug, Default)]
struct WaitQueue {
    waiters: VecDeque<Arc<Waiter>>,
    /// Length after the last sweep.
    swept_len: usize,
    /// Whether the key is on the ready list.
    ready: bool,
}

/// The wait queues of one database of one keyspace.
#[derive(Debug, Default)]
pub struct WaitTable {
    queues: HashMap<Box<[u8]>, WaitQueue>,
}

impl WaitTable {
    /// Whether nobody waits for anything here.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Number of keys that somebody waits for (`total_blocking_keys`), the cancelled included until met.
    pub fn key_count(&self) -> usize {
        self.queues.len()
    }

    /// Appends a waiter to a key's queue. Amortised O(1).
    pub fn register(&mut self, key: &[u8], waiter: Arc<Waiter>) {
        if !self.queues.contains_key(key) {
            self.queues.insert(key.into(), WaitQueue::default());
        }
        if let Some(queue) = self.queues.get_mut(key) {
            if queue.waiters.len() >= 2 * queue.swept_len.max(8) {
                queue.waiters.retain(|waiter| waiter.is_waiting());
                queue.swept_len = queue.waiters.len();
            }
            queue.waiters.push_back(waiter);
        }
    }

    /// Takes a waiter out of a key's queue: it was served or cancelled.
    pub fn forget(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue
                .waiters
                .retain(|other| !Arc::ptr_eq(other, waiter) && other.is_waiting());
            if queue.waiters.is_empty() && !queue.ready {
                self.queues.remove(key);
            }
        }
    }

    /// Whether somebody may wait for the key.
    pub fn has(&self, key: &[u8]) -> bool {
        !self.queues.is_empty() && self.queues.contains_key(key)
    }

    /// Marks the key ready; true when it has waiters and was not marked before.
    pub fn mark_ready(&mut self, key: &[u8]) -> bool {
        match self.queues.get_mut(key) {
            Some(queue) if !queue.ready => {
                queue.ready = true;
                true
            }
            _ => false,
        }
    }

    /// The waiters of a ready key in order, the mark taken off.
    pub fn take_ready(&mut self, key: &[u8]) -> Vec<Arc<Waiter>> {
        let Some(queue) = self.queues.get_mut(key) else {
            return Vec::new();
        };
        queue.ready = false;
        queue.waiters.retain(|waiter| waiter.is_waiting());
        queue.swept_len = queue.waiters.len();
        if queue.waiters.is_empty() {
            self.queues.remove(key);
            return Vec::new();
        }
        queue.waiters.iter().cloned().collect()
    }

    /// The shards that serving the waiters of a key would touch besides the key's own.
    pub fn needs(&self, key: &[u8]) -> ShardSet {
        let Some(queue) = self.queues.get(key) else {
            return ShardSet::EMPTY;
        };
        queue
            .waiters
            .iter()
            .filter(|waiter| waiter.is_waiting())
            .fold(ShardSet::EMPTY, |set, waiter| set.union(waiter.needs))
    }

    /// Every key that somebody waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.queues.keys().map(|key| &**key)
    }
}
