//! Who waits for which key, in which order.
//!
//! ```text
//! WAITING ──claim──► CLAIMED ──served──► SERVED      by whoever holds the keyspace
//!    │  ▲───────unclaim──┘                           there was nothing to give after all
//!    └─────cancel──► CANCELLED                       by timeout, CLIENT UNBLOCK, CLIENT KILL, end of file
//! ```
//! One compare-exchange decides; the loser does nothing. CLAIMED lasts for one synchronous step of the claimer, so a
//! canceller that meets it waits that step out. A waiter stands in the queue of each of its keys, which may
//! lie in several keyspaces; queues drop those no longer WAITING when they meet them, and sweep when they have doubled.
//! Pure: no clock, no channel.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::ids::{ClientId, ShardId};
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
const CLAIMED: u8 = 1;
const SERVED: u8 = 2;
const CANCELLED: u8 = 3;

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
    /// Keys it writes to besides those it waits on (the destination of BLMOVE).
    pub destinations: Vec<Box<[u8]>>,
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
    pub destinations: Vec<Box<[u8]>>,
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
            destinations,
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
            destinations,
            no_touch,
        }
    }

    /// Whether it still waits.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), WAITING | CLAIMED)
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Takes it to be served; false when it was cancelled or served before. [`Waiter::served`] or [`Waiter::unclaim`]
    /// must follow in the same synchronous step.
    pub fn claim(&self) -> bool {
        self.step(WAITING, CLAIMED)
    }

    /// A claimed waiter got its reply.
    pub fn served(&self) {
        let done = self.step(CLAIMED, SERVED);
        debug_assert!(done, "only a claimed waiter is served");
    }

    /// A claimed waiter got nothing: it waits on.
    pub fn unclaim(&self) {
        let done = self.step(CLAIMED, WAITING);
        debug_assert!(done, "only a claimed waiter can be put back");
    }

    /// Ends the wait without serving; false when it was served or cancelled before.
    pub fn cancel(&self) -> bool {
        loop {
            match self.state.compare_exchange(
                WAITING,
                CANCELLED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(CLAIMED) => std::thread::yield_now(),
                Err(_) => return false,
            }
        }
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
    /// Whether one of them may be served when the key is gone (XREADGROUP).
    wants_absence: bool,
}

impl WaitQueue {
    /// After waiters left: looks whether the last that wanted absence was among them. O(1) while the first in line wants it.
    fn look_for_absence(&mut self) {
        self.wants_absence = self.wants_absence
            && self
                .waiters
                .iter()
                .any(|waiter| waiter.kind == WaitKind::StreamGroup);
    }
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

    /// Appends a waiter to a key's queue. Amortised O(1).
    pub fn register(&mut self, key: &[u8], waiter: Arc<Waiter>) {
        if !self.queues.contains_key(key) {
            self.queues.insert(key.into(), WaitQueue::default());
        }
        if let Some(queue) = self.queues.get_mut(key) {
            if queue.waiters.len() >= 2 * queue.swept_len.max(8) {
                queue.waiters.retain(|waiter| waiter.is_waiting());
                queue.swept_len = queue.waiters.len();
                queue.look_for_absence();
            }
            queue.wants_absence |= waiter.kind == WaitKind::StreamGroup;
            queue.waiters.push_back(waiter);
        }
    }

    /// Takes a waiter out of a key's queue: it was served or cancelled. O(1) for the first in line.
    pub fn forget(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        if let Some(at) = queue
            .waiters
            .iter()
            .position(|other| Arc::ptr_eq(other, waiter))
        {
            queue.waiters.remove(at);
            queue.look_for_absence();
        }
        if queue.waiters.is_empty() && !queue.ready {
            self.queues.remove(key);
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

    /// Takes the ready mark off a key, before its waiters are looked at.
    pub fn take_ready(&mut self, key: &[u8]) {
        let Some(queue) = self.queues.get_mut(key) else {
            return;
        };
        queue.ready = false;
        if queue.waiters.is_empty() {
            self.queues.remove(key);
        }
    }

    /// The waiter at `index` of a key's queue; those no longer waiting are dropped on the way.
    pub fn waiter_at(&mut self, key: &[u8], index: usize) -> Option<Arc<Waiter>> {
        let queue = self.queues.get_mut(key)?;
        while queue
            .waiters
            .get(index)
            .is_some_and(|waiter| !waiter.is_waiting())
        {
            queue.waiters.remove(index);
            queue.look_for_absence();
        }
        let waiter = queue.waiters.get(index).cloned();
        if queue.waiters.is_empty() && !queue.ready {
            self.queues.remove(key);
        }
        waiter
    }

    /// Whether a waiter of the key may be served though the key is gone.
    pub fn wants_absence(&self, key: &[u8]) -> bool {
        self.queues
            .get(key)
            .is_some_and(|queue| queue.wants_absence)
    }

    /// The destinations of those who wait for a key.
    pub fn destinations(&self, key: &[u8]) -> Vec<Box<[u8]>> {
        let Some(queue) = self.queues.get(key) else {
            return Vec::new();
        };
        let waiting = queue
            .waiters
            .iter()
            .filter(|waiter| waiter.is_waiting() && !waiter.destinations.is_empty());
        waiting
            .flat_map(|waiter| waiter.destinations.iter().cloned())
            .collect()
    }

    /// Every key that somebody waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.queues.keys().map(|key| &**key)
    }
}
