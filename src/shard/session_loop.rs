//! One client's turn: parse → admit → route → run, until its input is used up, something makes it wait, or its turn ends.
//!
//! ```text
//! input ──parse──► admit (unknown, arity, NOAUTH …) ──► MULTI queue
//!                                                  └──► route ─┬─ none, own shard ──► run here, at once
//!                                                              ├─ one other ───────► batch, with the commands behind it
//!                                                              └─ several ─────────► loan
//! ```
//! Commands of one connection take effect in the order sent: a client waits for its batch or loan before it goes on.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::client::session::{ReplyMode, Session};
use crate::command::context::ShardAction;
use crate::command::error;
use crate::command::spec::{Flags, Scope};
use crate::command::table::{CommandTable, Row};
use crate::ids::{ClientId, ShardSet};
use crate::keyspace::Space;
use crate::limits;
use crate::resp::arguments::{Args, ArgumentRange, Request};
use crate::resp::reply::{Mark, Reply};
use crate::resp::request::{RequestLimits, RequestParser, UnauthenticatedLimits};

use super::Shard;
use super::client::{Client, Phase};
use super::execute::{Aftermath, Call, Env, Ran, admit};
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
    /// Bytes of a client.
    pub(super) fn input(&mut self, id: ClientId, bytes: &[u8]) {
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.net_in.add(bytes.len() as u64);
        let Some(client) = self.client_mut(id) else {
            return;
        };
        client
            .session
            .handle
            .net_in
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if matches!(client.phase, Phase::Ready) && client.pending.is_empty() {
            self.run_client(id, bytes);
        } else {
            client.input.append(bytes);
            client
                .session
                .handle
                .query_bytes
                .store(client.input.len(), Ordering::Relaxed);
            self.check_query_limit(id);
        }
    }

    fn check_query_limit(&mut self, id: ClientId) {
        let limit = self.settings.client_query_buffer_bytes_max;
        let Some(client) = self.client_mut(id) else {
            return;
        };
        if client.input.len() as u64 > limit {
            tracing::warn!(
                "Closing client that reached max query buffer length: id={}",
                id.0
            );
            self.disconnect(id);
        }
    }

    /// A client's input ended: it is gone, as Redis sees it.
    pub(super) fn end_of_input(&mut self, id: ClientId) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        client.ended = true;
        // Commands that are read but under way elsewhere still take effect; their replies go nowhere.
        self.disconnect(id);
    }

    pub(super) fn request_limits(&self, session: &Session) -> RequestLimits {
        RequestLimits {
            bulk_bytes_max: usize::try_from(self.settings.proto_max_bulk_bytes)
                .unwrap_or(limits::BULK_BYTES_MAX),
            argument_count_max: limits::ARGUMENT_COUNT_MAX,
            line_bytes_max: limits::INLINE_BYTES_MAX,
            unauthenticated: (!session.authenticated).then_some(UnauthenticatedLimits {
                argument_count_max: limits::UNAUTHENTICATED_ARGUMENT_COUNT_MAX,
                bulk_bytes_max: limits::UNAUTHENTICATED_BULK_BYTES_MAX,
            }),
        }
    }

    pub(super) fn budget(&self) -> Budget {
        Budget {
            commands: limits::TURN_COMMANDS_MAX,
            deadline_ns: self.clock.nanoseconds() + limits::TURN_US_MAX * 1000,
        }
    }

    /// Gives a client a turn, with bytes that have just come. Also when it comes back to Ready.
    pub(super) fn run_client(&mut self, id: ClientId, fresh: &[u8]) {
        let Some(mut client) = self.take(id) else {
            return;
        };
        if client.session.handle.is_killed() {
            self.put(client);
            self.disconnect(id);
            return;
        }
        client
            .session
            .handle
            .active_ms
            .store(self.now_ms, Ordering::Relaxed);
        let mut reply = std::mem::take(&mut self.reply);
        reply.clear();
        reply.set_protocol(client.session.protocol);
        let mut budget = self.budget();
        let mut flow = self.run_pending(&mut client, &mut reply, &mut budget, false);
        if flow == Flow::Next {
            flow = self.run_input(&mut client, &mut reply, &mut budget, fresh);
        } else {
            client.input.append(fresh);
        }
        self.end_turn(client, reply, flow);
    }

    /// A local run that waited in the admission queue: its first command now runs whatever else waits.
    pub(super) fn resume_admitted(&mut self, id: ClientId) {
        let Some(mut client) = self.take(id) else {
            return;
        };
        if !matches!(client.phase, Phase::Queued) {
            self.put(client);
            return;
        }
        client.phase = Phase::Ready;
        let mut reply = std::mem::take(&mut self.reply);
        reply.clear();
        reply.set_protocol(client.session.protocol);
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
        if !reply.is_empty() {
            client.output.append(reply.bytes());
            reply.clear();
        }
        self.reply = reply;
        client
            .session
            .handle
            .query_bytes
            .store(client.input.len(), Ordering::Relaxed);
        client
            .session
            .handle
            .output_bytes
            .store(client.output.len(), Ordering::Relaxed);
        client.now_ms = self.now_ms;
        let more = flow != Flow::Stop
            && matches!(client.phase, Phase::Ready)
            && !client.session.closing
            && (!client.pending.is_empty() || !client.input.is_empty() && flow == Flow::Defer);
        if more {
            self.runnable.push_back(id);
        }
        if !client.output.is_empty() || client.session.closing {
            self.dirty.push(id);
        }
        self.put(client);
        self.check_query_limit(id);
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
        budget.commands % 8 == 7 && self.clock.nanoseconds() > budget.deadline_ns
    }

    /// Parses and runs a client's input: `fresh` behind what was left.
    fn run_input(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        budget: &mut Budget,
        fresh: &[u8],
    ) -> Flow {
        let mut parser = std::mem::take(&mut client.parser);
        let left = std::mem::take(&mut client.input);
        let flow;
        if left.is_empty() {
            let used;
            (flow, used) = self.run_bytes(client, reply, budget, &mut parser, fresh);
            client.input.append(fresh.get(used..).unwrap_or_default());
        } else {
            let mut input = left;
            input.append(fresh);
            let used;
            (flow, used) = self.run_bytes(client, reply, budget, &mut parser, input.unparsed());
            input.consume(used);
            client.input = input;
        }
        client.parser = parser;
        flow
    }

    /// Runs the whole requests at the start of `bytes`; gives how many bytes they took.
    fn run_bytes(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        budget: &mut Budget,
        parser: &mut RequestParser,
        bytes: &[u8],
    ) -> (Flow, usize) {
        let mut at = 0;
        let mut limits = self.request_limits(&client.session);
        while matches!(client.phase, Phase::Ready) && !client.session.closing {
            if self.is_over(budget, reply) {
                return (Flow::Defer, at);
            }
            let rest = bytes.get(at..).unwrap_or_default();
            match parser.parse(rest, &limits) {
                Ok(None) => return (Flow::Next, at),
                Ok(Some(used)) => {
                    if !parser.ranges().is_empty() {
                        match self.step(client, reply, &parser.arguments(rest), false, false) {
                            Flow::Next => {}
                            Flow::Stop => return (Flow::Stop, at + used),
                            Flow::Defer => {
                                let used = self.parse_ahead(client, parser, rest, used);
                                let flow = self.plan(client);
                                return (flow, at + used);
                            }
                        }
                    }
                    at += used;
                }
                Err(error) => {
                    let mut text = b"ERR ".to_vec();
                    error.write_to(&mut text);
                    self.shared.observations.errors.add(&text);
                    reply.error(&text);
                    client.session.closing = true;
                    return (Flow::Stop, bytes.len());
                }
            }
            if limits.unauthenticated.is_some() {
                limits = self.request_limits(&client.session);
            }
        }
        (Flow::Stop, at)
    }

    /// Copies the request that was just parsed, and whole ones behind it, to `pending`; gives the bytes they took.
    fn parse_ahead(
        &mut self,
        client: &mut Client,
        parser: &mut RequestParser,
        rest: &[u8],
        first: usize,
    ) -> usize {
        let limits = self.request_limits(&client.session);
        let mut found: Vec<(usize, SmallVec<[ArgumentRange; 6]>)> = Vec::new();
        if parser.is_inline() {
            client
                .pending
                .push_back(parser.arguments(rest).to_request());
            return first;
        }
        found.push((0, SmallVec::from_slice(parser.ranges())));
        let mut end = first;
        while found.len() < limits::TURN_COMMANDS_MAX && end < limits::BATCH_BYTES_MAX {
            let Some(next) = rest.get(end..).filter(|next| next.first() == Some(&b'*')) else {
                break;
            };
            match parser.parse(next, &limits) {
                Ok(Some(used)) => {
                    if !parser.ranges().is_empty() {
                        found.push((end, SmallVec::from_slice(parser.ranges())));
                    }
                    end += used;
                }
                // Incomplete, or an error to be told when its turn comes: parsed again from its first byte.
                Ok(None) | Err(_) => {
                    *parser = RequestParser::new();
                    break;
                }
            }
        }
        let chunk = Bytes::copy_from_slice(rest.get(..end).unwrap_or_default());
        for (start, ranges) in found {
            client
                .pending
                .push_back(Request::shared(chunk.slice(start..), &ranges));
        }
        end
    }

    pub(super) fn env(&self) -> Env<'_> {
        Env {
            shared: &self.shared,
            settings: &self.settings,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
        }
    }

    /// One command. `owned`: it is at the head of `pending`. `admitted`: it need not queue for the keyspace.
    fn step(
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
        if is_http(args) {
            tracing::warn!(
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Millrace. \
                This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your instance. Connection from {} aborted.",
                client.session.handle.address
            );
            client.session.closing = true;
            return Flow::Stop;
        }
        if client.session.reply_mode == ReplyMode::SkipNext {
            client.session.reply_mode = ReplyMode::Skip;
        }
        let mark = reply.mark();
        let row = match admit(&client.session, &self.settings, args) {
            Ok(row) => row,
            Err(error) => {
                self.reject(client, reply, args, error.bytes());
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
        if row.command.name == "exec" && client.session.transaction.active {
            return self.step_exec(client, reply, admitted, mark);
        }
        let shards = shards_of(row, args, self.shared.shard_count);
        let shards = self.narrow(row, args, shards, client);
        let shards = shards.union(std::mem::take(&mut client.needs));
        if !self.can_run_here(shards, admitted) {
            client.needs = if shards.len() > 1 {
                shards
            } else {
                ShardSet::EMPTY
            };
            return Flow::Defer;
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
    pub(super) fn can_run_here(&self, shards: ShardSet, admitted: bool) -> bool {
        shards.is_empty()
            || (shards == ShardSet::one(self.id)
                && self.keyspace.is_some()
                && (admitted || self.admission.is_empty()))
    }

    fn reject(&self, client: &mut Client, reply: &mut Reply, args: &Args<'_>, text: &[u8]) {
        if client.session.transaction.active {
            client.session.transaction.aborted = true;
        }
        self.shared.observations.errors.add(text);
        let table = CommandTable::get();
        if let Some(container) = table.find(args.at(0)) {
            let named = args.get(1).filter(|_| container.is_container());
            let row = named
                .and_then(|name| table.find_subcommand(container, name))
                .unwrap_or(container);
            self.shared.observations.shards[self.id.index()].commands[usize::from(row.id)]
                .rejected
                .add(1);
        }
        reply.error(text);
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
        if !runs_inside_multi(row) {
            self.queue(client, reply, row, args);
            return true;
        }
        if row.command.name == "watch" {
            reply.error(error::WATCH_IN_MULTI.bytes());
            return true;
        }
        false
    }

    fn queue(&self, client: &mut Client, reply: &mut Reply, row: &'static Row, args: &Args<'_>) {
        if row.command.flags.has(Flags::NO_MULTI) {
            self.reject(client, reply, args, error::NOT_IN_TRANSACTION.bytes());
            return;
        }
        client
            .session
            .transaction
            .queue
            .push(crate::client::transaction::Queued {
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
        self.remember_watch(client, row, args);
        if row.command.name == "info" {
            self.publish_counters();
        }
        let mut after = Aftermath::default();
        let mut keyspace = if shards.is_empty() {
            None
        } else {
            self.keyspace.take()
        };
        let now_ms = keyspace
            .as_ref()
            .map_or(self.now_ms, |keyspace| self.now_ms.max(keyspace.now_ms));
        let ran = {
            let mut space = match &mut keyspace {
                Some(keyspace) => {
                    keyspace.now_ms = now_ms;
                    Space::one(keyspace, self.shared.shard_count)
                }
                None => Space::none(self.shared.shard_count),
            };
            let env = Env {
                now_ms,
                ..self.env()
            };
            let call = Call {
                row,
                args,
                may_block: true,
                resumed: false,
            };
            env.run(&mut space, &mut client.session, reply, &call, &mut after)
        };
        if keyspace.is_some() {
            self.keyspace = keyspace;
        }
        if !matches!(ran, Ran::Needs(_)) {
            self.feed_monitors(&client.session, args, row);
        }
        self.count(client);
        self.finish(client, reply, ran, after, mark)
    }

    pub(super) fn count(&self, client: &Client) {
        self.shared.observations.shards[self.id.index()]
            .processed
            .add(1);
        client.session.handle.commands.store(
            client.session.handle.commands.load(Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
    }

    /// The client's own list of watched keys: WATCH itself may run on another shard.
    pub(super) fn remember_watch(&self, client: &mut Client, row: &Row, args: &Args<'_>) {
        if row.command.name == "watch" {
            let session = &mut client.session;
            session.transaction.flag.get_or_insert_default();
            session
                .transaction
                .watched
                .extend(args.from(1).map(|key| (session.db, Box::from(key))));
            session.mirror();
        }
    }

    /// Dispatches what a command left to do, and puts the client into the phase that follows.
    pub(super) fn finish(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        ran: Ran,
        mut after: Aftermath,
        mark: Mark,
    ) -> Flow {
        let mut actions = std::mem::take(&mut after.actions);
        // Before the publications of the same EXEC, so that its client receives them.
        self.begin_subscriptions(client.id(), &mut actions);
        if !after.is_empty() {
            self.dispatch(after, Some(client));
        }
        match ran {
            Ran::Done => {}
            Ran::Waits(blocked) => {
                self.block(client, blocked);
                return Flow::Stop;
            }
            Ran::Needs(shards) => {
                reply.truncate(mark);
                client.needs = shards;
                return Flow::Defer;
            }
        }
        // What (un)subscribing confirms is pushed: it is sent whatever CLIENT REPLY says.
        let pushes = |action: &ShardAction| matches!(action, ShardAction::Subscriptions(_));
        if !actions.iter().any(pushes) {
            finish_reply(client, reply, mark);
        }
        let mut flow = Flow::Next;
        for action in actions {
            flow = self.carry_out(client, reply, action, mark);
        }
        if matches!(client.phase, Phase::Ready) {
            flow
        } else {
            Flow::Stop
        }
    }

    /// Carries out what a handler asked for.
    fn carry_out(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        action: ShardAction,
        mark: Mark,
    ) -> Flow {
        match action {
            ShardAction::Subscriptions(changes) => self.change_subscriptions(client.id(), changes),
            ShardAction::Publish { .. } => debug_assert!(false, "published with the aftermath"),
            ShardAction::Barrier => self.raise_barrier(client, reply, mark),
            ShardAction::Poke(clients) => self.poke(&clients, client, reply, mark),
            ShardAction::Sleep(_) => self.refresh(),
            ShardAction::WaitForReplicas(ms) => {
                let held = reply.since(mark).to_vec();
                reply.truncate(mark);
                let deadline_ms = (ms > 0).then(|| self.now_ms + ms);
                if let Some(at) = deadline_ms {
                    self.deadlines.insert((at, client.id()));
                }
                client.phase = Phase::Waiting {
                    deadline_ms,
                    reply: held,
                };
            }
            ShardAction::Monitor => {
                self.shared.monitor_count.fetch_add(1, Ordering::AcqRel);
                self.subscribers.monitors.push(client.id());
                client.session.monitoring = true;
                client.session.mirror();
                self.raise_barrier(client, reply, mark);
            }
            ShardAction::StopMonitoring(changes) => {
                self.shared.monitor_count.fetch_sub(1, Ordering::AcqRel);
                self.subscribers
                    .monitors
                    .retain(|monitor| *monitor != client.id());
                self.change_subscriptions(client.id(), changes);
            }
            ShardAction::Shutdown => self.shut_down(),
            // With several shards it was carried out under the loan; a single one has its keyspace at home.
            ShardAction::Reload => {
                if let Some(mut keyspace) = self.keyspace.take() {
                    self.reload(std::slice::from_mut(&mut keyspace));
                    self.keyspace = Some(keyspace);
                }
            }
        }
        if matches!(client.phase, Phase::Ready) {
            Flow::Next
        } else {
            Flow::Stop
        }
    }
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

/// Commands that run at once between MULTI and EXEC. Source: Redis' `processCommand`.
fn runs_inside_multi(row: &Row) -> bool {
    matches!(
        row.command.name,
        "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
    ) && row.parent.is_none()
}

/// Whether a request looks like that of a browser that was made to talk to us.
pub(super) fn is_http(args: &Args<'_>) -> bool {
    let name = args.at(0);
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
