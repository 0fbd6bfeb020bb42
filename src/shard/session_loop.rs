//! One client's turn: parse → admit → route → run, until its input is used up, something makes it wait, or its turn ends.
//!
//! ```text
//! input ──parse──► admit (unknown, arity, NOAUTH …) ──► MULTI queue
//!                                                  └──► route ─┬─ none, own shard ──► run here, at once
//!                                                              ├─ one other ───────► batch, with the commands behind it
//!                                                              └─ several ─────────► loan
//! ```
//! Commands of one connection take effect in the order sent: a client waits for its batch or loan before it goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::client::session::{ReplyMode, Session};
use crate::command::context::ShardAction;
use crate::command::error;
use crate::command::spec::{Flags, Scope};
use crate::command::table::{CommandTable, Row};
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::Space;
use crate::limits;
use crate::resp::arguments::{Args, ArgumentRange, Request};
use crate::resp::reply::{Mark, Reply};
use crate::resp::request::{RequestLimits, RequestParser, UnauthenticatedLimits};

use super::Shard;
use super::admission::Work;
use super::client::{Client, Phase};
use super::execute::{Aftermath, Call, Env, QueuedCall, Ran, TransactionCall, admit, detached};
use super::mailbox::{Batch, BatchCommand, BatchDone, BatchStop, Message, SessionFacts};
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
struct Budget {
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

    fn budget(&self) -> Budget {
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

    fn is_over(&self, budget: &mut Budget, reply: &Reply) -> bool {
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
        if client.session.transaction.active && !runs_inside_multi(row) {
            self.queue(client, reply, row, args);
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
    fn narrow(&self, row: &Row, args: &Args<'_>, shards: ShardSet, client: &Client) -> ShardSet {
        if row.command.scope == Scope::Cursor && self.shared.shard_count > 1 {
            crate::command::keyspace::shards_for_cursor(args, &self.shared, client.session.db)
        } else {
            shards
        }
    }

    /// Whether a command that needs these keyspaces can run now, here.
    fn can_run_here(&self, shards: ShardSet, admitted: bool) -> bool {
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

    fn count(&self, client: &Client) {
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
    fn finish(
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

    /// EXEC: here, as a batch of its own, or with a loan.
    fn step_exec(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        admitted: bool,
        mark: Mark,
    ) -> Flow {
        let transaction = &client.session.transaction;
        if transaction.aborted {
            client.session.transaction.clear();
            client.session.mirror();
            self.feed_monitors_exec(&client.session, &[], &[]);
            self.shared
                .observations
                .errors
                .add(error::EXEC_ABORTED.bytes());
            reply.error(error::EXEC_ABORTED.bytes());
            finish_reply(client, reply, mark);
            return Flow::Next;
        }
        let shards = self
            .transaction_shards(client)
            .union(std::mem::take(&mut client.needs));
        if !self.can_run_here(shards, admitted) {
            client.needs = if shards.len() > 1 {
                shards
            } else {
                ShardSet::EMPTY
            };
            return Flow::Defer;
        }
        let mut after = Aftermath::default();
        let mut keyspace = if shards.is_empty() {
            None
        } else {
            self.keyspace.take()
        };
        let ran = {
            let now_ms = keyspace
                .as_ref()
                .map_or(self.now_ms, |keyspace| self.now_ms.max(keyspace.now_ms));
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
            self.exec_in(&env, &mut space, client, reply, &mut after)
        };
        if keyspace.is_some() {
            self.keyspace = keyspace;
        }
        self.count(client);
        self.finish(client, reply, ran, after, mark)
    }

    /// The keyspaces of all queued commands and watched keys.
    pub(super) fn transaction_shards(&self, client: &Client) -> ShardSet {
        let table = CommandTable::get();
        let shard_count = self.shared.shard_count;
        let mut shards = ShardSet::EMPTY;
        for queued in &client.session.transaction.queue {
            shards = shards.union(shards_of(
                table.row(queued.command),
                &queued.request.args(),
                shard_count,
            ));
        }
        for (_, key) in &client.session.transaction.watched {
            shards.insert(crate::ids::shard_of(key, shard_count));
        }
        shards
    }

    /// Runs the client's transaction with the keyspaces in hand, and ends it.
    pub(super) fn exec_in(
        &self,
        env: &Env<'_>,
        space: &mut Space<'_>,
        client: &mut Client,
        reply: &mut Reply,
        after: &mut Aftermath,
    ) -> Ran {
        let transaction = std::mem::take(&mut client.session.transaction);
        let table = CommandTable::get();
        let commands: Vec<QueuedCall<'_>> = transaction
            .queue
            .iter()
            .map(|queued| QueuedCall {
                row: table.row(queued.command),
                args: queued.request.args(),
            })
            .collect();
        let call = TransactionCall {
            commands: &commands,
            watched: &transaction.watched,
            flag: transaction.flag.as_deref(),
        };
        let mark = reply.mark();
        let ran = env.run_transaction(space, &mut client.session, reply, &call, after);
        if let Ran::Needs(_) = &ran {
            drop(commands);
            client.session.transaction = transaction;
        } else {
            self.feed_monitors_exec(&client.session, &transaction.queue, reply.since(mark));
            client.session.mirror();
        }
        ran
    }

    /// What happens to the commands in `pending`: a batch to one other shard, a loan, or a place in the queue here.
    pub(super) fn plan(&mut self, client: &mut Client) -> Flow {
        let Some(front) = client.pending.front().cloned() else {
            return Flow::Next;
        };
        let shard_count = self.shared.shard_count;
        let args = front.args();
        let Ok(row) = admit(&client.session, &self.settings, &args) else {
            return Flow::Next;
        };
        let in_transaction = row.command.name == "exec" && client.session.transaction.active;
        let mut shards = if in_transaction {
            self.transaction_shards(client)
        } else {
            let shards = shards_of(row, &args, shard_count);
            self.narrow(row, &args, shards, client)
        };
        shards = shards.union(std::mem::take(&mut client.needs));
        if shards == ShardSet::one(self.id) {
            client.phase = Phase::Queued;
            self.admission.push(Work::LocalRun(client.id()));
            return Flow::Stop;
        }
        match shards.first() {
            Some(target) if shards.len() == 1 => {
                if in_transaction {
                    if self.send_transaction(client, target) {
                        return Flow::Stop;
                    }
                } else if row.command.scope == Scope::Keys {
                    if let Some(window) = self.mixed_window(client) {
                        shards = window;
                    } else {
                        self.send_batch(client, target);
                        return Flow::Stop;
                    }
                }
            }
            _ => {}
        }
        client.phase = Phase::Loan;
        self.ask_loan(client.id(), shards);
        Flow::Stop
    }

    /// The shard of a command that can be in the middle of a batch: nothing about it depends on the connection.
    fn batchable(&self, client: &Client, args: &Args<'_>) -> Option<(u16, ShardId)> {
        if client.session.transaction.active
            || client.session.reply_mode != ReplyMode::On
            || is_http(args)
        {
            return None;
        }
        let row = admit(&client.session, &self.settings, args).ok()?;
        if row.command.scope != Scope::Keys
            || row.command.flags.has(Flags::SESSION)
            || self.is_paused_for(client, row)
        {
            return None;
        }
        let shards = shards_of(row, args, self.shared.shard_count);
        if shards.len() == 1 {
            Some((row.id, shards.first()?))
        } else {
            None
        }
    }

    /// A pipeline that alternates between shards is run with all of them in hand: more than 4 runs of under 4 commands.
    fn mixed_window(&self, client: &Client) -> Option<ShardSet> {
        if client.pending.len() <= limits::MIXED_RUNS_MIN {
            return None;
        }
        let (mut runs, mut commands, mut last, mut shards) = (0, 0, None, ShardSet::EMPTY);
        for request in &client.pending {
            let Some((_, shard)) = self.batchable(client, &request.args()) else {
                break;
            };
            runs += usize::from(last != Some(shard));
            last = Some(shard);
            commands += 1;
            shards.insert(shard);
        }
        (runs > limits::MIXED_RUNS_MIN && commands < limits::MIXED_RUN_COMMANDS_MAX * runs)
            .then_some(shards)
    }

    /// Sends the run of commands for `target` at the head of `pending`.
    fn send_batch(&mut self, client: &mut Client, target: ShardId) {
        let mut commands = Vec::new();
        let requests: &VecDeque<Request> = &client.pending;
        for request in requests {
            let args = request.args();
            match self.batchable(client, &args) {
                Some((row, shard)) if shard == target => commands.push(BatchCommand {
                    row,
                    request: request.clone(),
                }),
                _ if commands.is_empty() => {
                    // The first one may change the session (WATCH) or have its reply skipped: it travels alone.
                    let Ok(row) = admit(&client.session, &self.settings, &args) else {
                        break;
                    };
                    commands.push(BatchCommand {
                        row: row.id,
                        request: request.clone(),
                    });
                    break;
                }
                _ => break,
            }
            if commands.len() >= limits::TURN_COMMANDS_MAX {
                break;
            }
        }
        let table = CommandTable::get();
        for command in &commands {
            let row = table.row(command.row);
            self.remember_watch(client, row, &command.request.args());
        }
        self.post_batch(client, target, commands, None);
        client.phase = Phase::Batch { transaction: false };
    }

    /// Sends a whole EXEC to the one shard it concerns; false when a command of it needs the client at hand.
    fn send_transaction(&mut self, client: &mut Client, target: ShardId) -> bool {
        let table = CommandTable::get();
        let session = &client.session;
        let travels = |command: u16| {
            let command = table.row(command).command;
            command.scope == Scope::Keys && !command.flags.has(Flags::SESSION)
        };
        if !session
            .transaction
            .queue
            .iter()
            .all(|queued| travels(queued.command))
        {
            return false;
        }
        let commands: Vec<BatchCommand> = session
            .transaction
            .queue
            .iter()
            .map(|queued| BatchCommand {
                row: queued.command,
                request: queued.request.clone(),
            })
            .collect();
        let watched = session.transaction.watched.clone();
        self.post_batch(client, target, commands, Some(watched));
        client.phase = Phase::Batch { transaction: true };
        true
    }

    fn post_batch(
        &mut self,
        client: &mut Client,
        target: ShardId,
        commands: Vec<BatchCommand>,
        transaction: Option<Vec<(usize, Box<[u8]>)>>,
    ) {
        let session = &client.session;
        let facts = SessionFacts {
            handle: Arc::clone(&session.handle),
            db: session.db,
            protocol: session.protocol,
            no_touch: session.no_touch,
            watch_flag: session.transaction.flag.clone(),
        };
        self.wander(client, target);
        let now_ms = self.now_ms;
        let batch = Batch {
            from: self.id,
            facts,
            commands,
            transaction,
            now_ms,
        };
        self.post.send(target, Message::Batch(Box::new(batch)));
    }

    /// Runs a batch of another shard's client.
    pub(super) fn run_batch(&mut self, batch: Batch) {
        let Batch {
            from,
            facts,
            commands,
            transaction,
            now_ms,
        } = batch;
        let client = facts.handle.id;
        let mut session = detached(&facts);
        let mut reply = Reply::new(facts.protocol);
        let mut after = Aftermath::default();
        let mut executed = 0;
        let mut stop = None;
        let Some(mut keyspace) = self.keyspace.take() else {
            return;
        };
        {
            let now_ms = self.now_ms.max(now_ms).max(keyspace.now_ms);
            keyspace.now_ms = now_ms;
            let mut space = Space::one(&mut keyspace, self.shared.shard_count);
            let env = Env {
                now_ms,
                ..self.env()
            };
            let table = CommandTable::get();
            if let Some(watched) = &transaction {
                let calls: Vec<QueuedCall<'_>> = commands
                    .iter()
                    .map(|command| QueuedCall {
                        row: table.row(command.row),
                        args: command.request.args(),
                    })
                    .collect();
                let call = TransactionCall {
                    commands: &calls,
                    watched,
                    flag: facts.watch_flag.as_deref(),
                };
                match env.run_transaction(&mut space, &mut session, &mut reply, &call, &mut after) {
                    Ran::Needs(shards) => stop = Some(BatchStop::Needs(shards)),
                    Ran::Done | Ran::Waits(_) => executed = 1,
                }
            } else {
                for command in &commands {
                    let args = command.request.args();
                    let call = Call {
                        row: table.row(command.row),
                        args: &args,
                        may_block: true,
                        resumed: false,
                    };
                    match env.run(&mut space, &mut session, &mut reply, &call, &mut after) {
                        Ran::Done => executed += 1,
                        Ran::Waits(blocked) => {
                            executed += 1;
                            stop = Some(BatchStop::Waits(blocked));
                        }
                        Ran::Needs(shards) => stop = Some(BatchStop::Needs(shards)),
                    }
                    if stop.is_some() || reply.len() > limits::TURN_REPLY_BYTES_MAX {
                        break;
                    }
                }
            }
        }
        self.keyspace = Some(keyspace);
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.processed.add(executed as u64);
        counters.batches.add(1);
        debug_assert!(
            after.actions.is_empty(),
            "a command that travels asks nothing of its shard"
        );
        self.publish_counters();
        self.dispatch(after, None);
        let done = BatchDone {
            client,
            reply: reply.take(),
            executed,
            stop,
            now_ms: self.now_ms,
        };
        self.post.send(from, Message::BatchDone(Box::new(done)));
    }

    /// The answer to a batch: the client goes on behind what was executed.
    pub(super) fn batch_done(&mut self, done: BatchDone) {
        self.now_ms = self.now_ms.max(done.now_ms);
        let Some(mut client) = self.take(done.client) else {
            self.abandon(done.stop);
            return;
        };
        let Phase::Batch { transaction, .. } = client.phase else {
            debug_assert!(false, "the answer to a batch that was not sent");
            self.put(client);
            return;
        };
        client.phase = Phase::Ready;
        if transaction && done.executed > 0 {
            let queue = &client.session.transaction.queue;
            self.feed_monitors_exec(&client.session, queue, &done.reply);
            client.session.transaction.clear();
            client.session.mirror();
        }
        for _ in 0..done.executed {
            if let Some(request) = client.pending.pop_front()
                && !transaction
            {
                self.feed_monitors_of_batch(&client.session, &request);
            }
        }
        let handle = &client.session.handle;
        handle.commands.store(
            handle.commands.load(Ordering::Relaxed) + done.executed as u64,
            Ordering::Relaxed,
        );
        let id = client.id();
        if done.executed > 0 {
            self.append_reply(&mut client, &done.reply);
        }
        match done.stop {
            Some(BatchStop::Waits(blocked)) => self.block(&mut client, blocked),
            Some(BatchStop::Needs(shards)) => {
                client.needs = shards;
                self.plan(&mut client);
            }
            None => {
                if self.should_depart(&client) {
                    self.put(client);
                    return;
                }
            }
        }
        let ready = matches!(client.phase, Phase::Ready);
        self.put(client);
        if ready {
            self.run_client(id, &[]);
        }
    }

    /// Appends a reply that was made elsewhere, unless the client asked for none.
    pub(super) fn append_reply(&mut self, client: &mut Client, bytes: &[u8]) {
        let mut reply = Reply::new(client.session.protocol);
        let mark = reply.mark();
        reply.raw(bytes);
        finish_reply(client, &mut reply, mark);
        client.output.append(reply.bytes());
        client
            .session
            .handle
            .output_bytes
            .store(client.output.len(), Ordering::Relaxed);
        if !client.output.is_empty() {
            self.dirty.push(client.id());
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
            ShardAction::Poke(clients) => self.poke(&clients, client),
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

    /// Runs the head of `pending`, and what is behind it as far as the loan reaches, with several keyspaces in hand.
    pub(super) fn run_borrowed(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        keyspaces: &mut [Box<crate::keyspace::Keyspace>],
        in_hand: ShardSet,
    ) -> Flow {
        let mut budget = self.budget();
        let mut first = true;
        let now_ms = keyspaces
            .iter()
            .fold(self.now_ms.max(client.now_ms), |now, keyspace| {
                now.max(keyspace.now_ms)
            });
        while matches!(client.phase, Phase::Ready) && !client.session.closing {
            let Some(request) = client.pending.front().cloned() else {
                return Flow::Next;
            };
            if !first && self.is_over(&mut budget, reply) {
                return Flow::Defer;
            }
            let args = request.args();
            let mark = reply.mark();
            let Ok(row) = admit(&client.session, &self.settings, &args) else {
                return Flow::Next;
            };
            let in_transaction = row.command.name == "exec" && client.session.transaction.active;
            if !first && (client.session.transaction.active || self.is_paused_for(client, row)) {
                return Flow::Next;
            }
            let shards = if in_transaction {
                self.transaction_shards(client)
            } else {
                let shards = shards_of(row, &args, self.shared.shard_count);
                self.narrow(row, &args, shards, client)
            };
            if !in_hand.covers(shards) || (!first && shards.is_empty()) {
                return Flow::Next;
            }
            first = false;
            for keyspace in keyspaces.iter_mut() {
                keyspace.now_ms = now_ms;
            }
            let mut after = Aftermath::default();
            let ran = {
                let env = Env {
                    now_ms,
                    ..self.env()
                };
                let mut space = Space::many(keyspaces, self.shared.shard_count);
                if in_transaction {
                    self.exec_in(&env, &mut space, client, reply, &mut after)
                } else {
                    self.remember_watch(client, row, &args);
                    let call = Call {
                        row,
                        args: &args,
                        may_block: true,
                        resumed: false,
                    };
                    let ran = env.run(&mut space, &mut client.session, reply, &call, &mut after);
                    if !matches!(ran, Ran::Needs(_)) {
                        self.feed_monitors(&client.session, &args, row);
                    }
                    ran
                }
            };
            self.count(client);
            if let Some(at) = after
                .actions
                .iter()
                .position(|action| matches!(action, ShardAction::Reload))
            {
                after.actions.swap_remove(at);
                self.reload(keyspaces);
            }
            if !matches!(ran, Ran::Needs(_)) {
                client.pending.pop_front();
            }
            match self.finish(client, reply, ran, after, mark) {
                Flow::Next => {}
                flow => return flow,
            }
        }
        Flow::Stop
    }
}

/// A reply is there: sent, or not, as CLIENT REPLY has it.
fn finish_reply(client: &mut Client, reply: &mut Reply, mark: Mark) {
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
fn is_http(args: &Args<'_>) -> bool {
    let name = args.at(0);
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
