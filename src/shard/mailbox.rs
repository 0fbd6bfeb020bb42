//! Messages between shards, and the one ordering primitive.
//!
//! A mailbox is a FIFO. Messages to several shards are put into all their mailboxes under one process-wide lock, so that
//! all shards see all multi-shard work in the same order; nothing else takes that lock.
//! What travels is owned: request bytes are shared, keyspaces and connections are moved.

use std::sync::Arc;

use bytes::Bytes;

use crate::client::registry::ClientHandle;
use crate::client::transaction::WatchedKeys;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::Keyspace;
use crate::keyspace::wait::Waiter;
use crate::keyspace::walk::Walked;
use crate::keyspace::watch::WatchFlag;
use crate::pubsub::Name;
use crate::pubsub::registry::ChannelKind;
use crate::resp::Protocol;
use crate::resp::arguments::Request;
use crate::resp::reply::Reply;

use super::client::Client;
use super::describe::StreamQuery;
use super::shelf::Shelves;

/// Names a loan: unique for its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoanId(pub u64);

/// One command of a batch.
#[derive(Clone, Debug)]
pub struct BatchCommand {
    /// Row number.
    pub row: u16,
    /// Arguments.
    pub request: Request,
}

/// What a command needs to know of its client on another shard.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// The client.
    pub handle: Arc<ClientHandle>,
    /// Its database.
    pub db: usize,
    /// The version its replies are written in.
    pub protocol: Protocol,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// CLIENT CACHING before the command.
    pub caching: bool,
    /// The flag of its WATCH set.
    pub watch_flag: Option<Arc<WatchFlag>>,
}

/// What a batch has of an EXEC besides its commands.
#[derive(Debug)]
pub struct BatchTransaction {
    /// The row of EXEC.
    pub row: u16,
    /// The keys that the client watches.
    pub watched: WatchedKeys,
}

/// A run of commands whose keys all live on one other shard.
#[derive(Debug)]
pub struct Batch {
    /// Where the client is.
    pub from: ShardId,
    /// The client.
    pub facts: SessionFacts,
    /// The commands in order.
    pub commands: Vec<BatchCommand>,
    /// Whether they are a whole EXEC: one reply, all or nothing.
    pub transaction: Option<BatchTransaction>,
    /// The sender's time, Unix ms.
    pub now_ms: u64,
}

/// Why a batch stopped before its end.
#[derive(Debug)]
pub enum BatchStop {
    /// The command after the executed ones waits; it counts as executed and its waiter is registered.
    Waits(Box<Blocked>),
    /// The command after the executed ones must run with these keyspaces in hand.
    Needs(ShardSet),
    /// CLIENT PAUSE holds the command after the executed ones.
    Paused,
}

/// What a blocked client must know of its wait.
#[derive(Debug)]
pub struct Blocked {
    /// The waiter, registered.
    pub waiter: Arc<Waiter>,
    /// When the wait ends, Unix ms.
    pub deadline_ms: Option<u64>,
    /// The reply to a timeout.
    pub null: Vec<u8>,
}

/// The answer to a batch.
#[derive(Debug)]
pub struct BatchDone {
    /// The client.
    pub client: ClientId,
    /// The replies, in order.
    pub reply: Reply,
    /// How many commands were executed.
    pub executed: usize,
    /// Why not all.
    pub stop: Option<BatchStop>,
    /// The executing shard's time, Unix ms.
    pub now_ms: u64,
}

/// A message to the subscribers of a channel.
#[derive(Debug)]
pub struct Publication {
    /// PUBLISH or SPUBLISH.
    pub kind: ChannelKind,
    /// Channel.
    pub channel: Bytes,
    /// Message.
    pub payload: Bytes,
    /// Its place among all publications; 0 before it is sent.
    pub number: u64,
    /// The client whose commands caused it: it gets its own message after the reply, as on one thread.
    pub cause: Option<ClientId>,
}

impl Publication {
    /// What it weighs in a mailbox, bytes.
    pub fn weight(&self) -> usize {
        self.channel.len() + self.payload.len() + 64
    }
}

/// What a client-side cache is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
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
    pub from: Option<ShardId>,
    /// Who is told.
    pub receiver: ClientId,
    /// What.
    pub kind: NoticeKind,
    /// The keys as a RESP array, or a null for all.
    pub payload: Bytes,
}

impl Notice {
    /// What it weighs in a mailbox, bytes.
    pub fn weight(&self) -> usize {
        self.payload.len() + 64
    }
}

/// What shards send each other.
#[derive(Debug)]
pub enum Message {
    /// Run these commands.
    Batch(Box<Batch>),
    /// They ran.
    BatchDone(Box<BatchDone>),
    /// Lend your keyspace to the coordinator when you reach this position.
    Lend {
        /// The loan.
        loan: LoanId,
        /// Who wants it.
        coordinator: ShardId,
    },
    /// A keyspace for a loan.
    Grant {
        /// The loan.
        loan: LoanId,
        /// The keyspace.
        keyspace: Box<Keyspace>,
    },
    /// A keyspace comes home.
    Return(Box<Keyspace>),
    /// To oneself: what was in the mailbox before your client's command has been delivered.
    Heard(ClientId),
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
    /// A waiter in your tables waits no longer.
    Forget(Arc<Waiter>),
    /// Deliver to your subscribers.
    Publication {
        /// Where it was published; gets the credit back.
        from: ShardId,
        /// What.
        publication: Arc<Publication>,
    },
    /// Tell your client-side cache.
    Notice(Box<Notice>),
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
    /// Look at this client's handle.
    Poke(ClientId),
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

/// Where messages go. The real one wakes threads, that of the simulation keeps them in lists.
pub trait Post {
    /// Puts a message into one mailbox.
    fn send(&self, to: ShardId, message: Message);

    /// Puts messages into several mailboxes as one step in the order that all shards see.
    fn send_ordered(&self, messages: Vec<(ShardId, Message)>);

    /// Where shards at rest leave their keyspaces.
    fn shelves(&self) -> &Shelves;
}
