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

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::ids::{ClientId, ShardId};
use crate::resp::Protocol;
use crate::resp::arguments::Request;

use super::value::Value;

/// What a blocked command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// An element of a list (BLPOP, BLMOVE …).
    List,
    /// So many elements of a list at once (BLMOVEM EXACTLY).
    ListOf(usize),
    /// An entry of a stream (XREAD).
    Stream,
    /// An entry for a consumer group; also runs again when the key goes or changes its type (XREADGROUP).
    StreamGroup,
}

impl WaitKind {
    /// Whether a key that now has this value (`None`: no key) can end the wait.
    pub fn concerns(self, present: Option<&Value>) -> bool {
        match self {
            Self::List => matches!(present, Some(Value::List(_))),
            Self::ListOf(count) => {
                matches!(present, Some(Value::List(list)) if list.len() >= count)
            }
            Self::Stream => matches!(present, Some(Value::Stream(_))),
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
    /// How many of them may be served when the key is gone (XREADGROUP).
    wanting_absence: usize,
    /// How many elements of a list they wait for, where not one, and how many of them.
    wanted: BTreeMap<usize, usize>,
    /// Which keys they write to, and how many of them to each.
    destinations: BTreeMap<Box<[u8]>, usize>,
}

/// One less of those counted under a key.
fn leave<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl WaitQueue {
    fn push(&mut self, waiter: Arc<Waiter>) {
        self.wanting_absence += usize::from(waiter.kind == WaitKind::StreamGroup);
        if let WaitKind::ListOf(count) = waiter.kind {
            *self.wanted.entry(count).or_default() += 1;
        }
        for key in &waiter.destinations {
            *self.destinations.entry(key.clone()).or_default() += 1;
        }
        self.waiters.push_back(waiter);
    }

    /// What is known of all of them without one that has left.
    fn left(&mut self, waiter: &Waiter) {
        self.wanting_absence -= usize::from(waiter.kind == WaitKind::StreamGroup);
        if let WaitKind::ListOf(count) = waiter.kind {
            leave(&mut self.wanted, &count);
        }
        for key in &waiter.destinations {
            leave(&mut self.destinations, key);
        }
    }

    fn remove(&mut self, index: usize) {
        if let Some(waiter) = self.waiters.remove(index) {
            self.left(&waiter);
        }
    }

    fn sweep(&mut self) {
        for waiter in std::mem::take(&mut self.waiters) {
            if waiter.is_waiting() {
                self.waiters.push_back(waiter);
            } else {
                self.left(&waiter);
            }
        }
        self.swept_len = self.waiters.len();
    }
}

/// The wait queues of one database of one keyspace.
#[derive(Debug, Default)]
pub struct WaitTable {
    queues: HashMap<Box<[u8]>, WaitQueue>,
    /// Queues with a waiter who writes to another key when served.
    moving: usize,
}

impl WaitTable {
    /// Whether nobody waits for anything here.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether somebody who waits here writes to another key when served.
    pub fn has_destinations(&self) -> bool {
        self.moving > 0
    }

    /// Changes a key's queue; one that nobody waits in and nothing is due for goes.
    fn change<R>(&mut self, key: &[u8], change: impl FnOnce(&mut WaitQueue) -> R) -> Option<R> {
        let queue = self.queues.get_mut(key)?;
        let before = usize::from(!queue.destinations.is_empty());
        let done = change(queue);
        let is_over = queue.waiters.is_empty() && !queue.ready;
        let after = usize::from(!queue.destinations.is_empty());
        self.moving = self.moving + after - before;
        if is_over {
            self.queues.remove(key);
        }
        Some(done)
    }

    /// Appends a waiter to a key's queue. Amortised O(1).
    pub fn register(&mut self, key: &[u8], waiter: Arc<Waiter>) {
        if !self.queues.contains_key(key) {
            self.queues.insert(key.into(), WaitQueue::default());
        }
        self.change(key, |queue| {
            if queue.waiters.len() >= 2 * queue.swept_len.max(8) {
                queue.sweep();
            }
            queue.push(waiter);
        });
    }

    /// Takes a waiter out of a key's queue: it was served or cancelled. O(1) for the first in line.
    pub fn forget(&mut self, key: &[u8], waiter: &Arc<Waiter>) {
        self.change(key, |queue| {
            let mut waiters = queue.waiters.iter();
            if let Some(at) = waiters.position(|other| Arc::ptr_eq(other, waiter)) {
                queue.remove(at);
            }
        });
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

    /// Whether somebody waits for several elements of a list at once, and so many are enough.
    pub fn is_enough(&self, key: &[u8], len: usize) -> bool {
        let Some(queue) = self.queues.get(key) else {
            return false;
        };
        let least = queue.wanted.keys().next();
        // Of those that wait no longer some may still be counted.
        let is_served = |waiter: &Arc<Waiter>| {
            waiter.is_waiting() && matches!(waiter.kind, WaitKind::ListOf(count) if count <= len)
        };
        least.is_some_and(|least| *least <= len) && queue.waiters.iter().any(is_served)
    }

    /// Takes the ready mark off a key, before its waiters are looked at.
    pub fn take_ready(&mut self, key: &[u8]) {
        self.change(key, |queue| queue.ready = false);
    }

    /// The waiter at `index` of a key's queue; those no longer waiting are dropped on the way.
    pub fn waiter_at(&mut self, key: &[u8], index: usize) -> Option<Arc<Waiter>> {
        self.change(key, |queue| {
            loop {
                match queue.waiters.get(index) {
                    Some(waiter) if !waiter.is_waiting() => queue.remove(index),
                    waiter => break waiter.cloned(),
                }
            }
        })?
    }

    /// Whether a waiter of the key may be served though the key is gone.
    pub fn wants_absence(&self, key: &[u8]) -> bool {
        let queue = self.queues.get(key);
        queue.is_some_and(|queue| queue.wanting_absence > 0)
    }

    /// The keys that those who wait for a key write to, each once.
    pub fn destinations(&self, key: &[u8]) -> impl Iterator<Item = &[u8]> {
        let queue = self.queues.get(key).into_iter();
        queue.flat_map(|queue| queue.destinations.keys().map(|key| &**key))
    }

    /// Every key that somebody waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.queues.keys().map(|key| &**key)
    }
}
