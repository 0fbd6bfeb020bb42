//! One client's turn: parse → admit → route → run, until its input is used up, something makes it wait, or its turn ends.
//!
//! ```text
//! input ──parse──► admit (unknown, arity, NOAUTH …) ──► MULTI queue
//!                                                  └──► route ─┬─ none, own shard ──► run here, at once
//!                                                              ├─ one other ───────► batch, with the commands behind it
//!                                                              └─ several ─────────► loan
//! ```
//! Commands of one connection take effect in the order sent: a client waits for its batch or loan before it goes on.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::client::session::ReplyMode;
use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::spec::{Flags, Scope};
use crate::command::table::commands;
use crate::ids::{ClientId, ShardSet};
use crate::keyspace::Space;
use crate::limits;
use crate::net::buffers::Output;
use crate::resp::arguments::Args;
use crate::resp::reply::{Mark, Reply};

use super::Shard;
use super::admit::admit;
use super::client::{Client, Phase};
use super::execute::{Aftermath, Call, Env, Ran};
use super::finish::finish_reply;
use super::route::shards_of;

/// What a command did to its client's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The command is done with; the next one.
    Next,
    /// The command is done with, or will be; nothing more for now: the client's phase says why.
    Stop,
    /// The command did not run: it goes to `pending`, with what is behind it.
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
        if let Some(client) = self.take(id) {
            self.run_taken(client, fresh);
        }
    }

    /// As [`Shard::run_client`], with the client in hand.
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
        if client.is_behind_with_reading() {
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
        let mut flow = self.run_pending(&mut client, &mut reply, &mut budget, false);
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
    pub(super) fn slices_replies(&self) -> bool {
        self.shared.witness.get().is_none()
    }

    /// A local run that waited in the admission queue: its first command now runs whatever else waits.
    pub(super) fn resume_admitted(&mut self, id: ClientId) {
        let Some(mut client) = self.take(id) else {
            return;
        };
        if !matches!(client.phase, Phase::Queued) || self.is_stopping() {
            self.put(client);
            return;
        }
        client.phase = Phase::Ready;
        let mut reply = self.begin_reply(&client);
        let mut budget = self.budget();
        let flow = self.run_pending(&mut client, &mut reply, &mut budget, true);
        // What was read meanwhile has not been looked at.
        let flow = if flow == Flow::Next {
            Flow::Defer
        } else {
            flow
        };
        self.end_turn(client, reply, flow);
    }

    /// Puts the client back with its replies; it gets another turn when it could go on.
    fn end_turn(&mut self, mut client: Box<Client>, mut reply: Reply, flow: Flow) {
        let id = client.id();
        self.put_guests_back(&mut client);
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
        let more = flow != Flow::Stop
            && matches!(client.phase, Phase::Ready)
            && !client.session.closing
            && (!client.pending.is_empty() || !client.input.is_empty() && flow == Flow::Defer);
        if more {
            self.turns.queue(&mut client);
        } else if client.ended && matches!(client.phase, Phase::Ready) {
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
        self.rest();
    }

    /// Runs what is parsed already. `admitted`: the first command runs here though others wait for the keyspace.
    fn run_pending(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        budget: &mut Budget,
        mut admitted: bool,
    ) -> Flow {
        while matches!(client.phase, Phase::Ready) && !client.session.closing {
            let Some(request) = client.pending.front().cloned() else {
                return Flow::Next;
            };
            if self.is_over(budget, reply) {
                return Flow::Defer;
            }
            let flow = self.step(client, reply, &request.args(), true, admitted);
            admitted = false;
            match flow {
                Flow::Next => {
                    client.pending.pop_front();
                }
                Flow::Stop => {
                    // The command ran and made the client wait.
                    client.pending.pop_front();
                    return Flow::Stop;
                }
                Flow::Defer if matches!(client.phase, Phase::Ready) => match self.plan(client) {
                    Flow::Stop => return Flow::Stop,
                    Flow::Next | Flow::Defer => return Flow::Defer,
                },
                Flow::Defer => return Flow::Stop,
            }
        }
        Flow::Stop
    }

    pub(super) fn is_over(&self, budget: &mut Budget, reply: &Reply) -> bool {
        if budget.commands == 0 || reply.len() > limits::TURN_REPLY_BYTES_MAX {
            return true;
        }
        budget.commands -= 1;
        // As of the end of the command before: what came since is its own parsing.
        self.lap_ns
            .get()
            .is_some_and(|now_ns| now_ns > budget.deadline_ns)
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

    /// One command. `owned`: it is at the head of `pending`. `admitted`: it need not queue for the keyspace.
    pub(super) fn step(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        args: &Args<'_>,
        owned: bool,
        admitted: bool,
    ) -> Flow {
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
        if self.is_paused_for(client, row) {
            self.hold_paused(client);
            if !owned {
                client.pending.push_back(args.to_request());
                return Flow::Stop;
            }
            return Flow::Defer;
        }
        if is_exec(client, row) {
            return self.step_exec(client, reply, row, args, admitted, mark);
        }
        let shards = shards_of(row, args, self.shared.shard_count);
        let shards = self.narrow(row, args, shards, client);
        let shards = shards.union(std::mem::take(&mut client.needs));
        if !self.can_run_here(client, shards, admitted) {
            if self.gather(client, shards, self.is_free(admitted)) {
                return self.run_gathered(client, reply, row, args, shards, mark);
            }
            client.put_off(shards);
            return Flow::Defer;
        }
        if row.command.flags.has(Flags::PROTECTED) {
            // DEBUG SLEEP: other shards do not sleep with this one.
            self.put_guests_back(client);
        }
        self.run_here(client, reply, row, args, shards, mark)
    }

    /// SCAN needs only the keyspaces that fill its count.
    pub(super) fn narrow(
        &self,
        row: &Row,
        args: &Args<'_>,
        shards: ShardSet,
        client: &Client,
    ) -> ShardSet {
        if row.command.scope == Scope::Cursor && self.shared.shard_count > 1 {
            crate::command::keyspace::shards_for_cursor(args, &self.shared, client.session.db)
        } else {
            shards
        }
    }

    /// Whether a command that needs these keyspaces can run now, here.
    pub(super) fn can_run_here(&self, client: &Client, shards: ShardSet, admitted: bool) -> bool {
        let is_own = || shards == ShardSet::one(self.id) && self.is_free(admitted);
        shards.is_empty() || is_own() && !self.must_hear_first(client)
    }

    /// Whether others have worked with this shard's keyspace, and what they tell this client of it may be undelivered.
    pub(super) fn must_hear_first(&self, client: &Client) -> bool {
        self.mail_is_behind && client.session.listens()
    }

    /// Whether this shard's keyspace is at hand and nobody waits for it.
    pub(super) fn is_free(&self, admitted: bool) -> bool {
        self.keyspace.is_some() && (admitted || self.admission.is_empty())
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

    /// Queues a command between MULTI and EXEC, or refuses WATCH there: where its keys are, nobody knows of the MULTI.
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
                request: args.to_request(),
            });
        client.session.mirror();
        reply.simple("QUEUED");
    }

    /// Runs one command where the client is: no keys, or keys of this shard, the keyspace being home.
    fn run_here(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
        shards: ShardSet,
        mark: Mark,
    ) -> Flow {
        client.wanderlust.batches = 0;
        self.visited = None;
        self.used_own |= !shards.is_empty();
        self.remember_watch(client, row, args);
        let mut after = Aftermath::default();
        let call = Call::that_may_wait(row, args);
        let session = &mut client.session;
        let ran = self.with_own(shards, |_, env, space| {
            env.run(space, session, reply, &call, &mut after)
        });
        if !matches!(ran, Ran::Needs(_)) {
            self.feed_monitors(&client.session, args, row);
            self.end_caching(client, row);
        }
        self.count(client);
        self.finish(client, reply, ran, after, mark)
    }

    /// Works with the keyspace of this shard in hand, or with none when `shards` is empty.
    pub(super) fn with_own<R>(
        &mut self,
        shards: ShardSet,
        work: impl FnOnce(&Self, &Env<'_>, &mut Space<'_>) -> R,
    ) -> R {
        let shard_count = self.shared.shard_count;
        let mut keyspace = if shards.is_empty() {
            None
        } else {
            self.keyspace.take()
        };
        let mut env = self.env();
        let done = match &mut keyspace {
            Some(keyspace) => {
                env.now_ms = env.now_ms.max(keyspace.now_ms);
                keyspace.now_ms = env.now_ms;
                work(self, &env, &mut Space::one(keyspace, shard_count))
            }
            None => work(self, &env, &mut Space::none(shard_count)),
        };
        if keyspace.is_some() {
            self.keyspace = keyspace;
        }
        done
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
