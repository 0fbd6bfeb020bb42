//! One client's turn: parse → admit → run, until its input is used up, something makes it wait, or its turn ends.
//!
//! ```text
//! input ──parse──► admit (unknown, arity, NOAUTH …) ─┬─► MULTI queue
//!                                                    └─► attempt (window.rs) ─► runs, or is kept until it can
//! ```
//! Commands of one connection take effect in the order sent: what is behind a command that is kept is not looked at.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::client::session::ReplyMode;
use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::ids::ClientId;
use crate::limits;
use crate::net::buffers::Output;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::Shard;
use super::admit::admit;
use super::client::Client;
use super::execute::Env;
use super::finish::finish_reply;
use super::hand::Hands;
use super::route::shards_of;
use super::window::Attempt;

/// What a command did to its client's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The command is done with; the next one.
    Next,
    /// The command is done with, or will be; nothing more for now: the client's phase says why.
    Stop,
    /// The turn is over, though more could run: the client has another.
    Defer,
}

/// The limits of a turn.
pub(super) struct Budget {
    commands: usize,
    deadline_ns: u64,
}

impl Shard {
    pub(super) fn budget(&self) -> Budget {
        let now_ns = self.clock.nanoseconds();
        self.lap_ns.set(Some(now_ns));
        Budget {
            commands: limits::TURN_COMMANDS_MAX,
            deadline_ns: now_ns + limits::TURN_US_MAX * 1000,
        }
    }

    /// Gives a client a turn, with bytes that have just come. Also when it comes back to Ready.
    pub(super) fn run_client(&mut self, id: ClientId, fresh: &[u8]) {
        if self.listens(id) {
            // What others did before it is told before its replies.
            self.hear();
        }
        if let Some(client) = self.take(id) {
            self.run_taken(client, fresh);
        }
    }

    /// As [`Shard::run_client`], with the client in hand. Its kept command runs first; its keyspaces may be in hand already.
    pub(super) fn run_taken(&mut self, mut client: Box<Client>, fresh: &[u8]) {
        let id = client.id();
        if client.session.handle.is_killed() {
            self.put(client);
            self.disconnect(id);
            return;
        }
        if self.is_stopping() {
            self.put(client);
            return;
        }
        if client.is_behind_with_reading() || !client.is_ready() {
            // What it has sent waits until it has read: [`Shard::send`] gives it its turn.
            client.input.append(fresh, &mut self.spare_inputs);
            self.put(client);
            self.check_query_limit(id);
            return;
        }
        client
            .session
            .handle
            .active_ms
            .store(self.now_ms, Ordering::Relaxed);
        let mut reply = self.begin_reply(&client);
        let mut budget = self.budget();
        let mut flow = self.run_kept(&mut client, &mut reply);
        if flow == Flow::Next {
            flow = self.run_input(&mut client, &mut reply, &mut budget, fresh);
        } else {
            client.input.append(fresh, &mut self.spare_inputs);
        }
        self.end_turn(client, reply, flow);
    }

    /// The shard's buffer for replies, empty, as this client gets them.
    fn begin_reply(&mut self, client: &Client) -> Reply {
        let mut reply = std::mem::take(&mut self.reply);
        reply.clear();
        reply.set_protocol(client.session.protocol);
        reply.set_slices(self.slices_replies());
        reply
    }

    /// Whether long replies are encoded as they leave. A witness sees them whole.
    fn slices_replies(&self) -> bool {
        self.shared.witness.get().is_none()
    }

    /// Puts the client back with its replies; it gets another turn when it could go on.
    fn end_turn(&mut self, mut client: Box<Client>, mut reply: Reply, flow: Flow) {
        let id = client.id();
        self.put_back();
        self.consider_departure(&client);
        if !reply.is_empty() {
            client.output.equip(&mut self.spare_outputs);
            if !client.session.authenticated {
                client.unauthenticated_reply_bytes += reply.len();
            }
            client.output.take(&mut reply);
        }
        if reply.capacity() <= limits::REPLY_BYTES_KEPT {
            self.reply = reply;
        }
        client
            .session
            .handle
            .query_bytes
            .store(client.input.len(), Ordering::Relaxed);
        client.mirror_output();
        client.now_ms = self.now_ms;
        let more = flow == Flow::Defer && client.is_ready() && !client.session.closing;
        if more {
            self.turns.queue(&mut client);
        } else if client.ended && client.is_ready() {
            // Nothing is left to run: it goes when its replies are sent.
            client.session.closing = true;
        }
        if client.session.closing {
            // Before its last reply leaves: who hears of that counts it as gone.
            client.session.handle.set_flag(ClientFlag::CLOSING, true);
        }
        if !client.output.is_empty() || client.session.closing {
            self.dirty.push(id);
        }
        let exceeds = client.unparsed_bytes() as u64 > self.settings.client_query_buffer_bytes_max;
        let ended = client.ended;
        let has_much = client.has_much_to_send(&self.settings);
        self.put(client);
        if has_much {
            self.check_output_limit(id);
        }
        if exceeds {
            self.check_query_limit(id);
        }
        if ended {
            self.leave_if_ended(id);
        }
    }

    pub(super) fn is_over(&self, budget: &mut Budget, reply: &Reply) -> bool {
        // As of the end of the command before: what came since is its own parsing.
        let lap_ns = self.lap_ns.get();
        if budget.commands == 0
            || reply.len() > limits::TURN_REPLY_BYTES_MAX
            || self.hands.is_due(lap_ns)
        {
            return true;
        }
        budget.commands -= 1;
        lap_ns.is_some_and(|now_ns| now_ns > budget.deadline_ns)
    }

    pub(super) fn env(&self) -> Env<'_> {
        Env {
            shared: &self.shared,
            settings: &self.settings,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
            lap_ns: &self.lap_ns,
        }
    }

    /// What a run reads, and what it works with.
    pub(super) fn env_and_hands(&mut self) -> (Env<'_>, &mut Hands) {
        let env = Env {
            shared: &self.shared,
            settings: &self.settings,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
            lap_ns: &self.lap_ns,
        };
        (env, &mut self.hands)
    }

    /// One command of the input: checked, and then queued by MULTI, or run, or kept until it can be.
    pub(super) fn step(&mut self, client: &mut Client, reply: &mut Reply, args: &Args<'_>) -> Flow {
        if client.session.handle.is_killed() {
            client.session.closing = true;
            return Flow::Stop;
        }
        if client.session.reply_mode == ReplyMode::SkipNext {
            client.session.reply_mode = ReplyMode::Skip;
        }
        let mark = reply.mark();
        let row = match admit(&client.session, &self.settings, args) {
            Ok(row) => row,
            Err(_) if is_http(args) => return abort_http(client, reply),
            Err(error) => {
                self.reject(client, reply, args, &error);
                finish_reply(client, reply, mark);
                return Flow::Next;
            }
        };
        client
            .session
            .handle
            .command
            .store(row.id, Ordering::Relaxed);
        if client.session.transaction.active && self.takes_in_multi(client, reply, row, args) {
            finish_reply(client, reply, mark);
            return Flow::Next;
        }
        let attempt = Attempt {
            row,
            args,
            shards: self.shards_for(client, row, args),
            owned: None,
        };
        self.attempt(client, reply, attempt)
    }

    /// Answers a command that may not run. EXEC's transaction ends with it, and what was watched for it.
    fn reject(
        &self,
        client: &mut Client,
        reply: &mut Reply,
        args: &Args<'_>,
        error: &CommandError,
    ) {
        let mut error = Cow::Borrowed(error);
        if args.at(0).eq_ignore_ascii_case(b"exec") {
            client.session.transaction.clear();
            client.session.mirror();
            error = Cow::Owned(error::exec_discarded(&error));
        }
        if client.session.transaction.active {
            client.session.transaction.aborted = true;
        }
        let table = commands();
        let container = table.find(args.at(0));
        let row = container.and_then(|container| {
            let named = args.get(1).filter(|_| container.is_container());
            let part = named.map(|name| table.find_subcommand(container, name));
            match part {
                // Redis: an unknown subcommand is an unknown command; its container is not charged with it.
                Some(None) if !container.is_one_command() => None,
                part => part.flatten().or(Some(container)),
            }
        });
        self.env().record_refusal(row, &error);
        if let Some(row) = row.or(container) {
            self.end_caching(client, row);
        } else if !client.session.transaction.active {
            client.session.caching.exception = false;
        }
        reply.error(error.bytes());
    }

    /// Queues a command between MULTI and EXEC, or refuses WATCH there.
    /// False for those that run at once.
    fn takes_in_multi(
        &self,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
    ) -> bool {
        if !row.command.flags.has(Flags::RUNS_IN_MULTI) {
            self.queue(client, reply, row, args);
            return true;
        }
        if is_watch(row) {
            self.record_failure(client, row, args, &error::WATCH_IN_MULTI);
            reply.error(error::WATCH_IN_MULTI.bytes());
            return true;
        }
        false
    }

    fn queue(&self, client: &mut Client, reply: &mut Reply, row: &'static Row, args: &Args<'_>) {
        if row.command.flags.has(Flags::NO_MULTI) {
            self.reject(client, reply, args, &error::NOT_IN_TRANSACTION);
            return;
        }
        client
            .session
            .transaction
            .enqueue(crate::client::transaction::Queued {
                command: row.id,
                shards: shards_of(row, args, self.shared.shard_count),
                request: args.to_request(),
            });
        client.session.mirror();
        reply.simple("QUEUED");
    }
}

/// EXEC of a transaction, which the shard runs itself. By its name: a flag would have one bearer and one reader.
pub(super) fn is_exec(client: &Client, row: &Row) -> bool {
    client.session.transaction.active && row.command.name == "exec"
}

/// WATCH, of which the shard of the connection keeps its own list; by its name as EXEC.
pub(super) fn is_watch(row: &Row) -> bool {
    row.command.name == "watch"
}

/// Ends a connection whose requests look like those of a browser that was made to talk to us.
fn abort_http(client: &mut Client, reply: &mut Reply) -> Flow {
    tracing::warn!(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Millrace. \
        This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your instance. Connection from {} aborted.",
        client.session.handle.address
    );
    // Not a word: neither to this nor to what came before it.
    reply.clear();
    client.output = Output::default();
    client.session.closing = true;
    Flow::Stop
}

/// Whether a request looks like that of a browser that was made to talk to us.
pub(super) fn is_http(args: &Args<'_>) -> bool {
    let name = args.at(0);
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
