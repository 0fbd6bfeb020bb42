//! What the threads of the shards share: their mailboxes, the berths, and the sockets of listeners.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::Keyspace;

use super::hand::berths::Berths;
use super::listener_sockets::{self, ListenerSockets};
use super::mailbox::{Message, Post};

/// What lies in the mailbox of one thread.
#[derive(Debug, Default)]
struct Inbox {
    messages: VecDeque<Message>,
    /// Its thread sleeps until this wakes it.
    sleeper: Option<Waker>,
}

/// A mailbox, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Mailbox {
    /// How many messages it has: a look costs less than the lock.
    count: AtomicUsize,
    /// How many rounds of its loop its thread has begun.
    rounds: AtomicU64,
    inbox: Mutex<Inbox>,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mailboxes of all threads, the berths, and the sockets of listeners.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    boxes: Vec<Mailbox>,
    /// Of each thread; of none where there is only one.
    sockets: Vec<ListenerSockets>,
    /// Held only while one step puts messages into several mailboxes.
    order: Mutex<()>,
    berths: Berths<Box<Keyspace>>,
}

impl Mailboxes {
    /// A mailbox and a berth for each shard.
    ///
    /// # Errors
    /// When the system gives no descriptor for the sockets of listeners.
    pub(crate) fn new(shard_count: usize) -> io::Result<Self> {
        let several = if shard_count > 1 { shard_count } else { 0 };
        let sockets = (0..several).map(|_| ListenerSockets::new());
        Ok(Self {
            boxes: (0..shard_count).map(|_| Mailbox::default()).collect(),
            sockets: sockets.collect::<io::Result<_>>()?,
            order: Mutex::new(()),
            berths: Berths::new(shard_count),
        })
    }

    /// A thread begins a round of its loop.
    pub(super) fn begin_round(&self, at: ShardId) {
        let rounds = &self.boxes[at.index()].rounds;
        // Nobody else writes it.
        rounds.store(rounds.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// The sockets of a thread's listeners; `None` where there is only one thread.
    pub(super) fn listener_sockets(&self, at: ShardId) -> Option<&ListenerSockets> {
        self.sockets.get(at.index())
    }

    /// Its thread sleeps from now on, unless something has come; false in that case.
    pub(super) fn sleep(&self, at: ShardId, waker: &Waker) -> bool {
        let mut inbox = self.boxes[at.index()].lock();
        if !inbox.messages.is_empty() {
            return false;
        }
        match &mut inbox.sleeper {
            Some(sleeper) => sleeper.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        true
    }

    /// How many messages it has.
    pub(super) fn len(&self, at: ShardId) -> usize {
        self.boxes[at.index()].count.load(Ordering::Acquire)
    }

    /// Its thread is awake.
    pub(super) fn rise(&self, at: ShardId) {
        self.boxes[at.index()].lock().sleeper = None;
    }
}

impl Post for Mailboxes {
    fn send(&self, to: ShardId, message: Message) -> bool {
        let mailbox = &self.boxes[to.index()];
        let mut inbox = mailbox.lock();
        inbox.messages.push_back(message);
        mailbox.count.store(inbox.messages.len(), Ordering::Release);
        inbox.sleeper.is_some()
    }

    fn send_ordered(&self, messages: Vec<(ShardId, Message)>) -> ShardSet {
        let mut to_wake = ShardSet::EMPTY;
        let order =
            (messages.len() > 1).then(|| self.order.lock().unwrap_or_else(PoisonError::into_inner));
        for (to, message) in messages {
            if self.send(to, message) {
                to_wake.insert(to);
            }
        }
        drop(order);
        to_wake
    }

    fn wake(&self, threads: ShardSet) {
        for thread in threads.iter() {
            let sleeper = self.boxes[thread.index()].lock().sleeper.take();
            if let Some(sleeper) = sleeper {
                sleeper.wake();
            }
        }
    }

    fn receive_all(&self, at: ShardId) -> VecDeque<Message> {
        let mailbox = &self.boxes[at.index()];
        if mailbox.count.load(Ordering::Acquire) == 0 {
            return VecDeque::new();
        }
        let mut inbox = mailbox.lock();
        mailbox.count.store(0, Ordering::Release);
        std::mem::take(&mut inbox.messages)
    }

    fn has_mail(&self, at: ShardId) -> bool {
        self.len(at) > 0
    }

    fn outstanding(&self, at: ShardId) -> ShardSet {
        listener_sockets::outstanding(&self.sockets, at)
    }

    fn ask_to_tell(&self, at: ShardId, threads: ShardSet) {
        for thread in threads.iter().filter(|thread| *thread != at) {
            if let Some(sockets) = self.listener_sockets(thread) {
                sockets.ask_to_tell(at);
            }
        }
    }

    fn rounds(&self, at: ShardId) -> u64 {
        self.boxes[at.index()].rounds.load(Ordering::Acquire)
    }

    fn berths(&self) -> &Berths<Box<Keyspace>> {
        &self.berths
    }
}
