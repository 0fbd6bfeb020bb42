//! A connection as its shard keeps it, one plain struct that can be sent to another shard. What keeps it: `phase.rs`.

use std::sync::atomic::Ordering;

use crate::client::session::{ReplyMode, Session};
use crate::command::row::Row;
use crate::config::{OutputLimit, Settings};
use crate::ids::ClientId;
use crate::limits;
use crate::net::buffers::{Input, Output};
use crate::net::transport::ParkedTransport;
use crate::pubsub::message::Encoded;
use crate::resp::reply::{Mark, Reply};
use crate::resp::request::RequestParser;

use super::admit::Admitted;
use super::habits::Habits;
use super::phase::Phase;

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
    /// A command that was admitted and has not run; before what is in `input`.
    pub(super) kept: Option<Admitted>,
    pub(super) habits: Habits,
    /// Replies before AUTH to what was sent in one piece, bytes.
    pub(super) unauthenticated_reply_bytes: usize,
    /// Since when the output is over the soft limit, Unix ms.
    pub(super) over_soft_limit_ms: Option<u64>,
    /// Position of the log that must be reached before its output is sent.
    pub(super) held_for: u64,
    /// Position of the log behind what it has written itself.
    pub(super) wrote_to: u64,
    /// WAITAOF: the position of the log that must be on disk.
    pub(super) waits_for_sync: Option<u64>,
    /// It is among those whose output waits for the log.
    pub(super) is_held: bool,
    /// Since when, Unix ms.
    pub(super) held_since_ms: u64,
    /// The time the client saw last, Unix ms: what it sees next is not earlier.
    pub(super) now_ms: u64,
    /// The end of its input was read.
    pub(super) ended: bool,
    /// It is sent a copy of the data, and then closed. What it says meanwhile is read, and passed over: a connection that is closed with
    /// something unread loses what is on its way to the client.
    pub(super) is_sent_copy: bool,
    /// It is among those whose turn comes next ([`super::turns`]).
    pub(super) has_turn_coming: bool,
    /// It is among the listeners of which something waits for its turn ([`super::outstanding`]).
    pub(super) is_outstanding: bool,
    /// The socket, while it is on its way to a shard.
    pub(super) transport: Option<ParkedTransport>,
}

impl Client {
    /// A connection with nothing read or written.
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            parser: RequestParser::new(),
            input: Input::default(),
            output: Output::default(),
            behind_reply: Vec::new(),
            phase: Phase::Ready,
            kept: None,
            habits: Habits::default(),
            unauthenticated_reply_bytes: 0,
            over_soft_limit_ms: None,
            held_for: 0,
            wrote_to: 0,
            waits_for_sync: None,
            is_held: false,
            held_since_ms: 0,
            now_ms: 0,
            ended: false,
            is_sent_copy: false,
            has_turn_coming: false,
            is_outstanding: false,
            transport: None,
        }
    }

    /// CLIENT ID.
    pub fn id(&self) -> ClientId {
        self.session.id()
    }

    /// Whether nothing keeps it from running its next command.
    pub(super) fn is_ready(&self) -> bool {
        self.phase.is_ready()
    }

    /// Gives it its socket.
    pub(crate) fn set_transport(&mut self, transport: ParkedTransport) {
        self.transport = Some(transport);
    }

    /// Takes the socket out, once.
    pub(crate) fn take_transport(&mut self) -> Option<ParkedTransport> {
        self.transport.take()
    }

    /// Position of the log that must be reached before its output is sent. While the log cannot be written, those who only read are
    /// served, as in Redis, though they may see what was never acknowledged.
    pub(super) fn waits_for(&self, log_is_in_trouble: bool) -> u64 {
        if log_is_in_trouble {
            self.wrote_to
        } else {
            self.held_for
        }
    }

    /// Appends a message to its output, to be sent when the log has come to this position.
    pub(super) fn send(&mut self, message: &Encoded, held_for: u64) {
        if self.session.closing {
            // Redis: whoever is closed behind its replies gets those, and nothing after them.
            return;
        }
        self.held_for = self.held_for.max(held_for);
        // Nearly always it is in one part.
        for part in message.parts().iter().filter(|part| !part.is_empty()) {
            self.output.append_shared(part);
        }
    }

    /// Tells what of its input has not run.
    pub(super) fn mirror_input(&self) {
        let handle = &self.session.handle;
        handle
            .query_bytes
            .store(self.input.len(), Ordering::Relaxed);
    }

    /// Tells what of its output is unsent: the whole length, as Redis counts it, though others may hold the same bytes.
    pub(super) fn mirror_output(&self) {
        let handle = &self.session.handle;
        handle
            .output_bytes
            .store(self.output.len(), Ordering::Relaxed);
        handle.output_pieces.store(
            self.output.piece_count() + usize::from(self.output.has_kept()),
            Ordering::Relaxed,
        );
        handle.count_held();
    }

    /// Whether more replies come as soon as its command has its keyspaces: they leave with those that are there already.
    /// Not for subscribers and tracking clients, which may rely on the order of messages and replies; nor when there is much to
    /// send.
    pub(super) fn has_more_output_soon(&self) -> bool {
        matches!(self.phase, Phase::Queued)
            && self.output.len() < limits::TURN_REPLY_BYTES_MAX
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

    /// A command is over: CLIENT CACHING was for it alone, unless it is itself one about the client or within MULTI.
    pub(super) fn end_caching(&mut self, row: &Row) {
        let session = &mut self.session;
        if session.caching.exception
            && !session.transaction.active
            && !row.full_name.starts_with("client|")
        {
            session.caching.exception = false;
        }
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
        self.phase.is_ready()
            && self.kept.is_none()
            && self.output.is_empty()
            && !self.session.listens()
            && !self.session.transaction.active
            && self.session.transaction.watched.is_empty()
            && !self.session.monitoring
            && !self.session.closing
            && !self.ended
    }
}

/// EXEC of a transaction, which the shard runs itself. By its name: a flag would have one bearer and one reader.
pub(super) fn is_exec(client: &Client, row: &Row) -> bool {
    client.session.transaction.active && row.command.name == "exec"
}

/// A reply is there: sent, or not, as CLIENT REPLY has it.
pub(super) fn finish_reply(client: &mut Client, reply: &mut Reply, mark: Mark) {
    match client.session.reply_mode {
        ReplyMode::On => {}
        ReplyMode::Off | ReplyMode::SkipNext => reply.truncate(mark),
        ReplyMode::Skip => {
            reply.truncate(mark);
            client.session.reply_mode = ReplyMode::On;
        }
    }
}
