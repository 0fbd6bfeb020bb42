//! A connection as its shard keeps it, one plain struct that can be sent to another shard.
//!
//! ```text
//! Ready ─┬─► Queued      its local run waits in the admission queue
//!        ├─► Batch       a run of its commands is on another shard
//!        ├─► Loan        it waits for keyspaces
//!        ├─► Blocked     BLPOP, XREAD BLOCK …            all of them back to Ready
//!        ├─► Barrier     its reply waits for all shards
//!        ├─► Walking     KEYS: the shards look through their keys
//!        ├─► Paused      CLIENT PAUSE
//!        ├─► Throttled   too much of what it published is undelivered
//!        ├─► Leaving     on its way to another shard
//!        └─► Waiting     WAIT
//! ```

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use crate::client::session::Session;
use crate::config::{OutputLimit, Settings};
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::limits;
use crate::net::buffers::{Input, Output};
use crate::net::transport::ParkedTransport;
use crate::pubsub::message::Encoded;
use crate::resp::arguments::Request;
use crate::resp::reply::Reply;
use crate::resp::request::RequestParser;

use super::mailbox::Blocked;

/// What keeps a client from running its next command.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing.
    Ready,
    /// See the drawing.
    Queued,
    /// Commands at the head of `pending` are on another shard.
    Batch {
        /// Whether it is an EXEC.
        transaction: bool,
    },
    /// See the drawing.
    Loan,
    /// See the drawing.
    Blocked(Box<Blocked>),
    /// See the drawing.
    Barrier {
        /// Acknowledgements missing.
        missing: usize,
        /// The reply held back.
        reply: Reply,
    },
    /// See the drawing.
    Walking {
        /// Shards that have not found their part yet.
        missing: usize,
        /// Keys found.
        count: usize,
        /// The keys, RESP.
        parts: Vec<Vec<u8>>,
    },
    /// See the drawing.
    Paused,
    /// See the drawing.
    Throttled,
    /// It moves to another shard: its socket is being taken from its task.
    Leaving,
    /// Until when, Unix ms (`None`: for ever), and the reply held back.
    Waiting {
        /// See above.
        deadline_ms: Option<u64>,
        /// See above.
        reply: Vec<u8>,
    },
}

impl Phase {
    /// Whether its client waits for something that may never come: the end of its input ends that.
    pub(super) fn is_a_wait(&self) -> bool {
        matches!(self, Self::Blocked(_) | Self::Waiting { .. } | Self::Paused)
    }

    /// Whether the reply to a command that has run, or runs elsewhere, is not among the output yet.
    pub(super) fn holds_a_reply(&self) -> bool {
        matches!(
            self,
            Self::Batch { .. } | Self::Barrier { .. } | Self::Walking { .. } | Self::Waiting { .. }
        )
    }
}

/// Where a client's batches went, to decide whether it should move there.
#[derive(Debug, Default)]
pub(super) struct Wanderlust {
    pub(super) to: Option<ShardId>,
    pub(super) batches: u32,
    /// Turns in a row, nearly, with the keyspaces of all shards.
    pub(super) mixed: u32,
    /// The turn goes on after a wait for keyspaces.
    pub(super) is_split: bool,
    pub(super) moves: u32,
    pub(super) moved_ms: u64,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    pub(super) session: Session,
    pub(super) parser: RequestParser,
    pub(super) input: Input,
    pub(super) output: Output,
    /// Messages that wait for a reply: the first that the client's own command caused, and all after it.
    pub(super) behind_reply: Vec<Encoded>,
    pub(super) phase: Phase,
    /// Parsed requests that have not run, oldest first; before what is in `input`.
    pub(super) pending: VecDeque<Request>,
    /// Shards that the next command needs besides those of its keys, since others wait for its keys.
    pub(super) needs: ShardSet,
    /// It has waited for a loan, and the keyspaces were not free when the one before it was over.
    pub(super) has_tried_again: bool,
    pub(super) wanderlust: Wanderlust,
    /// Replies before AUTH to what was sent in one piece, bytes.
    pub(super) unauthenticated_reply_bytes: usize,
    /// Since when the output is over the soft limit, Unix ms.
    pub(super) over_soft_limit_ms: Option<u64>,
    /// The time the client saw last, Unix ms: what it sees next is not earlier.
    pub(super) now_ms: u64,
    /// The end of its input was read.
    pub(super) ended: bool,
    /// It is among those whose turn comes next ([`super::turns`]).
    pub(super) has_turn_coming: bool,
    /// The socket, while it is on its way to a shard.
    pub(super) transport: Option<ParkedTransport>,
}

impl Client {
    /// A connection with nothing read or written.
    pub fn new(session: Session, transport: Option<ParkedTransport>) -> Self {
        Self {
            session,
            parser: RequestParser::new(),
            input: Input::default(),
            output: Output::default(),
            behind_reply: Vec::new(),
            phase: Phase::Ready,
            pending: VecDeque::new(),
            needs: ShardSet::EMPTY,
            has_tried_again: false,
            wanderlust: Wanderlust::default(),
            unauthenticated_reply_bytes: 0,
            over_soft_limit_ms: None,
            now_ms: 0,
            ended: false,
            has_turn_coming: false,
            transport,
        }
    }

    /// CLIENT ID.
    pub fn id(&self) -> ClientId {
        self.session.id()
    }

    /// Whether nothing keeps it from running its next command.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Takes the socket out, once.
    pub fn take_transport(&mut self) -> Option<ParkedTransport> {
        self.transport.take()
    }

    /// Appends a message to its output.
    pub(super) fn send(&mut self, message: &Encoded) {
        // Nearly always it is in one part.
        for part in message.parts().iter().filter(|part| !part.is_empty()) {
            self.output.append_shared(part);
        }
    }

    /// Tells what of its output is unsent: the whole length, as Redis counts it, though others may hold the same bytes.
    pub(super) fn mirror_output(&self) {
        let handle = &self.session.handle;
        handle
            .output_bytes
            .store(self.output.len(), Ordering::Relaxed);
        handle
            .output_pieces
            .store(self.output.piece_count(), Ordering::Relaxed);
    }

    /// Its next command needs these keyspaces, and not all are free.
    pub(super) fn put_off(&mut self, shards: ShardSet) {
        self.needs = if shards.len() > 1 {
            shards
        } else {
            ShardSet::EMPTY
        };
    }

    /// Whether more replies come as soon as another shard has had its turn: they leave with those that are there already.
    /// Not so for who is told of things, whose order it might be that matters, nor when there is much to send.
    pub(super) fn has_more_output_soon(&self) -> bool {
        matches!(
            self.phase,
            Phase::Queued | Phase::Batch { .. } | Phase::Loan
        ) && self.output.len() < limits::TURN_REPLY_BYTES_MAX
            && !self.session.closing
            && !self.session.listens()
    }

    /// Input that is not understood yet: what `client-query-buffer-limit` bounds. The arguments of a request that is not whole
    /// are not counted, as in Redis.
    pub(super) fn unparsed_bytes(&self) -> usize {
        self.input
            .len()
            .saturating_sub(self.parser.understood_bytes())
    }

    /// Whether it has left so many replies unread that it gets no more until it reads.
    pub(super) fn is_behind_with_reading(&self) -> bool {
        self.output.len() > limits::OUTPUT_BYTES_TO_STOP_RUNNING
    }

    fn output_limit<'s>(&self, settings: &'s Settings) -> &'s OutputLimit {
        if self.session.subscriptions.any() {
            &settings.output_limit_pubsub
        } else {
            &settings.output_limit_normal
        }
    }

    /// Whether its unsent output is over the limit at which it is closed at once.
    pub(super) fn is_over_hard_limit(&self, settings: &Settings) -> bool {
        let hard_bytes = self.output_limit(settings).hard_bytes;
        hard_bytes > 0 && self.output.len() as u64 > hard_bytes
    }

    /// Whether a stranger has sent a longer pipeline than those who have not logged in may, or does not read.
    pub(super) fn is_over_unauthenticated_limit(&self) -> bool {
        let bytes = self.unauthenticated_reply_bytes.max(self.output.len());
        !self.session.authenticated && bytes > limits::UNAUTHENTICATED_REPLY_BYTES_MAX
    }

    /// Whether its unsent output is, or was a moment ago, over a limit.
    pub(super) fn has_much_to_send(&self, settings: &Settings) -> bool {
        let limit = self.output_limit(settings);
        let length = self.output.len() as u64;
        let exceeds = |bytes: u64| bytes > 0 && length > bytes;
        exceeds(limit.hard_bytes)
            || exceeds(limit.soft_bytes)
            || self.over_soft_limit_ms.is_some()
            || self.is_over_unauthenticated_limit()
    }

    /// When its output is below the soft limit again its time above is over: the next one begins anew.
    pub(super) fn forget_soft_limit(&mut self, settings: &Settings) {
        if self.over_soft_limit_ms.is_some() {
            let limit = self.output_limit(settings);
            if self.output.len() as u64 <= limit.soft_bytes {
                self.over_soft_limit_ms = None;
            }
        }
    }

    /// Whether it can move to another shard now: between commands, nothing unsent, nothing that ties it here.
    pub(super) fn can_move(&self) -> bool {
        matches!(self.phase, Phase::Ready)
            && self.pending.is_empty()
            && self.output.is_empty()
            && !self.session.listens()
            && !self.session.transaction.active
            && self.session.transaction.watched.is_empty()
            && !self.session.monitoring
            && !self.session.closing
            && !self.ended
    }
}
