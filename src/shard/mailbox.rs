//! Messages between shards, and the one ordering primitive.
//!
//! A mailbox is a FIFO: what is to be told, and in which order. No keyspace is ever in one. Messages to several shards are put into all their mailboxes under one process-wide lock, so that
//! all shards see all multi-shard work in the same order; nothing else takes that lock.
//! What travels is owned: payloads are shared, connections are moved.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::keyspace::migrate::Migrated;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::Keyspace;
use crate::keyspace::wait::Waiter;
use crate::keyspace::walk::Walked;
use crate::net::stored::Stored;
use crate::pubsub::Name;
use crate::pubsub::registry::ChannelKind;

use super::client::Client;
use super::describe::StreamQuery;
use super::hand::berths::Berths;
use super::snapshot::run::Run;

/// A message to the subscribers of a channel.
#[derive(Debug)]
pub struct Publication {
    /// PUBLISH or SPUBLISH.
    pub(crate) kind: ChannelKind,
    /// Channel.
    pub(crate) channel: Bytes,
    /// Message.
    pub(crate) payload: Bytes,
    /// Its place among all publications; 0 before it is sent.
    pub(crate) number: u64,
    /// The client whose commands caused it: it gets its own message after the reply, as on one thread.
    pub(crate) cause: Option<ClientId>,
    /// Whether it tells of keys, as an event does, and not only what its publisher had to say.
    pub(super) tells_of_keys: bool,
    /// Position of the log that must be reached before it is sent to anybody.
    pub(super) held_for: u64,
}

impl Publication {
    /// What a client publishes. It was not sent yet, and is nobody's doing as far as is known.
    pub(super) fn new(kind: ChannelKind, channel: Bytes, payload: Bytes) -> Self {
        Self {
            kind,
            channel,
            payload,
            number: 0,
            cause: None,
            tells_of_keys: false,
            held_for: 0,
        }
    }

    /// What tells of keys: as above.
    pub(super) fn of_keys(kind: ChannelKind, channel: Bytes, payload: Bytes) -> Self {
        Self {
            tells_of_keys: true,
            ..Self::new(kind, channel, payload)
        }
    }

    /// What it weighs in a mailbox, bytes.
    pub(crate) fn weight(&self) -> usize {
        self.channel.len() + self.payload.len() + 64
    }
}

/// What a client-side cache is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoticeKind {
    /// Of keys, by who read them.
    Invalidation,
    /// Of keys, in the place of who read them.
    Redirected,
    /// That the client with this id, to which notices are redirected, is gone.
    RedirectionBroken(u64),
}

/// A message to a client-side cache.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Who counts it as undelivered; `None` when it is credited already.
    pub(crate) from: Option<ShardId>,
    /// Who is told.
    pub(crate) receiver: ClientId,
    /// What.
    pub(crate) kind: NoticeKind,
    /// The prefix of the keys (BCAST): notices of the same are told together, others each by itself.
    pub(crate) prefix: Option<Bytes>,
    /// How many keys; `None` for all.
    pub(crate) key_count: Option<usize>,
    /// The keys as bulk strings, or a null for all.
    pub(crate) payload: Bytes,
}

impl Notice {
    /// What it weighs in a mailbox, bytes.
    pub(crate) fn weight(&self) -> usize {
        self.payload.len() + 64
    }
}

/// What shards send each other.
#[derive(Debug)]
pub enum Message {
    /// Keyspaces that your jobs wait for are free: try now.
    Offer,
    /// Your keyspace must be looked at by then, Unix ms.
    Alarm(u64),
    /// A script runs for long and holds what clients of yours may wait for.
    ScriptIsBusy,
    /// Part of what a client of yours looks for was found.
    Walked(Box<Walked>),
    /// A blocked client of yours got its reply.
    Served {
        /// The wait that ended.
        waiter: Arc<Waiter>,
        /// The reply, RESP.
        reply: Vec<u8>,
        /// The server's time, Unix ms.
        now_ms: u64,
    },
    /// Deliver to your subscribers.
    Publication {
        /// Where it was published; gets the credit back.
        from: ShardId,
        /// What.
        publication: Arc<Publication>,
    },
    /// Tell your client-side cache.
    Notice(Box<Notice>),
    /// Tell client-side caches of changed prefixes.
    Notices {
        /// Where the keys changed; gets the credit back.
        from: ShardId,
        /// Credited already, each by itself.
        notices: Vec<Notice>,
        /// What all of them weigh, bytes.
        weight: usize,
    },
    /// Subscriptions of your client have ended, and what was published before has been delivered: forget them.
    Unsubscribed {
        /// The client.
        client: ClientId,
        /// What it is no longer subscribed to.
        ended: Vec<(ChannelKind, Name)>,
    },
    /// So many bytes of your publications were delivered.
    Credit {
        /// Where they were delivered.
        from: ShardId,
        /// Bytes.
        bytes: usize,
    },
    /// Look at the shared facts, then acknowledge.
    Barrier {
        /// Who waits.
        from: ShardId,
        /// For which client.
        client: ClientId,
    },
    /// A barrier was seen.
    BarrierSeen(ClientId),
    /// Another thread has ended a round: who waits for what it had to read may go on.
    CaughtUp,
    /// Look at this client's handle.
    Poke(ClientId),
    /// The log has come further: output may wait for that.
    LogMoved,
    /// A snapshot is wanted.
    Cut(Arc<Run>),
    /// The cut is made, or there is room for more: walk on.
    Walk(Arc<Run>),
    /// What a client has asked to be saved is saved; or it is not, and this is its reply.
    Saved {
        /// The client.
        client: ClientId,
        /// An error, RESP.
        error: Option<Vec<u8>>,
    },
    /// The copy of the data that a client has asked for is written.
    Copied {
        /// The client.
        client: ClientId,
        /// The copy.
        copy: Box<Stored>,
    },
    /// Another server has keys that a client of yours wanted there, or not.
    Migrated(Box<Migrated>),
    /// The keyspace of the only shard lies in its berth.
    Loaded,
    /// Tell of your streams, for the metrics.
    DescribeStreams(Box<StreamQuery>),
    /// A line for your clients in MONITOR.
    MonitorLine(Bytes),
    /// A connection is yours from now on.
    Adopt(Box<Client>),
    /// The process ends.
    Stop,
    /// No shard has anything left to do: each may leave its loop.
    Drained,
}

/// Where messages go, and keyspaces lie. The real one wakes threads, that of the simulation keeps lists.
pub trait Post {
    /// Puts a message into one mailbox; true when its thread sleeps and must be woken.
    fn send(&self, to: ShardId, message: Message) -> bool;

    /// Sends from a thread that has no shard.
    fn post(&self, to: ShardId, message: Message) {
        if self.send(to, message) {
            self.wake(ShardSet::one(to));
        }
    }

    /// Puts messages into several mailboxes as one step in the order that all shards see; gives the threads to wake.
    fn send_ordered(&self, messages: Vec<(ShardId, Message)>) -> ShardSet;

    /// Wakes threads.
    fn wake(&self, threads: ShardSet);

    /// Everything that is in a mailbox.
    fn receive_all(&self, at: ShardId) -> VecDeque<Message>;

    /// Whether something is in a mailbox.
    fn has_mail(&self, at: ShardId) -> bool;

    /// Threads other than this one whose listeners have sent something that has not taken effect yet.
    fn outstanding(&self, at: ShardId) -> ShardSet;

    /// Has these threads send one [`Message::CaughtUp`] to this one, each when it has ended a round.
    fn ask_to_tell(&self, at: ShardId, threads: ShardSet);

    /// How many rounds of its loop a thread has begun.
    fn rounds(&self, at: ShardId) -> u64;

    /// The berths of all keyspaces.
    fn berths(&self) -> &Berths<Box<Keyspace>>;
}

/// The mail of one thread. Whom it must wake it notes, and wakes when it holds no keyspace any more: a thread that is woken
/// wants it, and the call takes longer than most commands.
pub(super) struct Mail {
    id: ShardId,
    post: Arc<dyn Post>,
    to_wake: Cell<ShardSet>,
    /// What has been received and not taken in.
    received: RefCell<VecDeque<Message>>,
}

impl Mail {
    pub(super) fn new(id: ShardId, post: Arc<dyn Post>) -> Self {
        Self {
            id,
            post,
            to_wake: Cell::new(ShardSet::EMPTY),
            received: RefCell::default(),
        }
    }

    /// Puts a message into one mailbox.
    pub(super) fn send(&self, to: ShardId, message: Message) {
        if self.post.send(to, message) {
            let mut to_wake = self.to_wake.get();
            to_wake.insert(to);
            self.to_wake.set(to_wake);
        }
    }

    /// Puts messages into several mailboxes as one step in the order that all shards see.
    pub(super) fn send_ordered(&self, messages: Vec<(ShardId, Message)>) {
        let sleeping = self.post.send_ordered(messages);
        self.to_wake.set(self.to_wake.get().union(sleeping));
    }

    /// Wakes who was sent something; whether there was somebody to wake.
    pub(super) fn ring(&self) -> bool {
        let to_wake = self.to_wake.take();
        if to_wake.is_empty() {
            return false;
        }
        self.post.wake(to_wake);
        true
    }

    /// How many messages have come, so that they can be taken in one by one.
    pub(super) fn receive(&self) -> usize {
        let mut received = self.received.borrow_mut();
        let mut fresh = self.post.receive_all(self.id);
        if received.is_empty() {
            *received = fresh;
        } else {
            received.append(&mut fresh);
        }
        received.len()
    }

    /// The next of those that were received.
    pub(super) fn next(&self) -> Option<Message> {
        self.received.borrow_mut().pop_front()
    }

    /// Whether something has come.
    pub(super) fn has_mail(&self) -> bool {
        !self.received.borrow().is_empty() || self.post.has_mail(self.id)
    }

    /// See [`Post::outstanding`].
    pub(super) fn outstanding(&self) -> ShardSet {
        self.post.outstanding(self.id)
    }

    /// See [`Post::ask_to_tell`].
    pub(super) fn ask_to_tell(&self, threads: ShardSet) {
        self.post.ask_to_tell(self.id, threads);
    }

    /// See [`Post::rounds`].
    pub(super) fn rounds(&self, at: ShardId) -> u64 {
        self.post.rounds(at)
    }
}
