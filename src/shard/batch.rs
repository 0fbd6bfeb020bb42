//! Batches: a run of commands whose keys all live on one other shard travels as one message, and so does its answer.
//!
//! ```text
//! pending  [LPUSH q1][LLEN q1][GET k][...]      q1 on shard 2, k on shard 1
//!           └── batch to shard 2 ──┘ then the next run
//! ```
//! The target stops at the first command that waits, needs more shards or exceeds the cap; the rest comes back unexecuted
//! simply by staying in `pending`. A pipeline that alternates between shards is run under a loan instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::session::ReplyMode;
use crate::command::spec::{Flags, Scope};
use crate::command::table;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::Space;
use crate::limits;
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::{Mark, Reply};

use super::Shard;
use super::admission::Work;
use super::admit::admit;
use super::client::{Client, Phase};
use super::execute::{Aftermath, Call, Env, Ran, detached};
use super::finish::finish_reply;
use super::mailbox::{
    Batch, BatchCommand, BatchDone, BatchStop, BatchTransaction, Message, SessionFacts,
};
use super::route::shards_of;
use super::session_loop::{Flow, is_exec, is_http};
use super::transaction::{QueuedCall, TransactionCall};

impl Shard {
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
        let in_transaction = is_exec(client, row);
        let mut shards = if in_transaction {
            self.transaction_shards(client)
        } else {
            let shards = shards_of(row, &args, shard_count);
            self.narrow(row, &args, shards, client)
        };
        shards = shards.union(std::mem::take(&mut client.needs));
        self.note_split(client, shards);
        if shards == ShardSet::one(self.id) {
            self.queue_here(client);
            return Flow::Stop;
        }
        match shards.first() {
            Some(target) if shards.len() == 1 => {
                if in_transaction {
                    if self.send_transaction(client, row.id, target) {
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

    /// The client's turn comes again behind those who wait for the keyspace: and, if it is told of things, behind what it
    /// is told in the mailbox.
    fn queue_here(&mut self, client: &mut Client) {
        client.phase = Phase::Queued;
        if self.must_hear_first(client) {
            self.listeners_waiting += 1;
            self.post.send(self.id, Message::Heard(client.id()));
        } else {
            self.admission.push(Work::LocalRun(client.id()));
        }
    }

    /// All that was sent before the client's command has been delivered.
    pub(super) fn heard(&mut self, id: ClientId) {
        self.listeners_waiting = self.listeners_waiting.saturating_sub(1);
        self.mail_is_behind = false;
        self.admission.push(Work::LocalRun(id));
    }

    /// The shard of a command that can be in the middle of a batch: nothing about it depends on the connection.
    pub(super) fn batchable(&self, client: &Client, args: &Args<'_>) -> Option<(u16, ShardId)> {
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
    pub(super) fn mixed_window(&self, client: &Client) -> Option<ShardSet> {
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
    pub(super) fn send_batch(&mut self, client: &mut Client, target: ShardId) {
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
            if commands.len() >= limits::TURN_COMMANDS_MAX || goes_alone(client, &commands) {
                break;
            }
        }
        let table = table::commands();
        for command in &commands {
            let row = table.row(command.row);
            self.remember_watch(client, row, &command.request.args());
        }
        self.post_batch(client, target, commands, None);
        client.phase = Phase::Batch { transaction: false };
    }

    /// Sends a whole EXEC to the one shard it concerns; false when a command of it needs the client at hand.
    pub(super) fn send_transaction(
        &mut self,
        client: &mut Client,
        exec: u16,
        target: ShardId,
    ) -> bool {
        let table = table::commands();
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
        let transaction = BatchTransaction {
            row: exec,
            watched: session.transaction.watched.clone(),
        };
        self.post_batch(client, target, commands, Some(transaction));
        client.phase = Phase::Batch { transaction: true };
        true
    }

    pub(super) fn post_batch(
        &mut self,
        client: &mut Client,
        target: ShardId,
        commands: Vec<BatchCommand>,
        transaction: Option<BatchTransaction>,
    ) {
        let session = &client.session;
        let facts = SessionFacts {
            handle: Arc::clone(&session.handle),
            db: session.db,
            protocol: session.protocol,
            no_touch: session.no_touch,
            caching: session.caching.exception,
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
        let client = batch.facts.handle.id;
        let mut ran = self.with_own(ShardSet::one(self.id), |shard, env, space| {
            match &batch.transaction {
                Some(transaction) => shard.run_transaction_of(env, space, &batch, transaction),
                None => shard.run_commands_of(env, space, &batch),
            }
        });
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.batches.add(1);
        debug_assert!(
            ran.after.actions.is_empty(),
            "a command that travels asks nothing of its shard"
        );
        let outgoing = ran.after.outgoing.iter_mut();
        outgoing.for_each(|outgoing| outgoing.caused_by(Some(client)));
        self.dispatch(ran.after, None);
        self.tell_broadcasts();
        let done = BatchDone {
            client,
            reply: ran.reply,
            executed: ran.executed,
            stop: ran.stop,
            now_ms: self.now_ms,
        };
        self.post
            .send(batch.from, Message::BatchDone(Box::new(done)));
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
            if let Some(exec) = client.pending.front() {
                self.feed_monitors_exec(&client.session, queue, done.reply.bytes(), &exec.args());
            }
            client.session.transaction.clear();
            client.session.mirror();
        }
        for _ in 0..done.executed {
            client.session.caching.exception = false;
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
            self.append_whole_reply(&mut client, done.reply);
        }
        self.release_behind_reply(&mut client);
        match done.stop {
            Some(BatchStop::Waits(blocked)) => self.block(&mut client, blocked),
            Some(BatchStop::Needs(shards)) => {
                client.needs = shards;
                self.plan(&mut client);
            }
            Some(BatchStop::Paused) => self.hold_paused(&mut client),
            None => self.consider_departure(&client),
        }
        let ready = matches!(client.phase, Phase::Ready);
        self.put(client);
        if ready {
            self.run_client(id, &[]);
        } else {
            self.leave_if_ended(id);
        }
    }

    /// Appends a reply that was made elsewhere or held back, unless the client asked for none.
    pub(super) fn append_reply(&mut self, client: &mut Client, bytes: &[u8]) {
        let mut reply = Reply::new(client.session.protocol);
        reply.raw(bytes);
        self.append_whole_reply(client, reply);
    }

    /// The same, with all its parts.
    fn append_whole_reply(&mut self, client: &mut Client, mut reply: Reply) {
        finish_reply(client, &mut reply, Mark::START);
        client.output.take(&mut reply);
        let now_ms = self.now_ms;
        client
            .session
            .handle
            .active_ms
            .store(now_ms, Ordering::Relaxed);
        self.release_behind_reply(client);
    }

    /// The client holds back no reply any more: what waited for it follows.
    pub(super) fn release_behind_reply(&mut self, client: &mut Client) {
        for message in std::mem::take(&mut client.behind_reply) {
            client.send(&message);
        }
        client.mirror_output();
        if !client.output.is_empty() {
            self.dirty.push(client.id());
        }
    }
}

/// Whether nothing may follow the last of these commands in its batch. A subscriber's own messages come between its replies:
/// one reply at a time; so do a tracking client's, who causes them by writes. CLIENT CACHING is for one command.
fn goes_alone(client: &Client, commands: &[BatchCommand]) -> bool {
    let session = &client.session;
    let writes = |command: &BatchCommand| {
        let row = table::commands().row(command.row);
        row.command.flags.has(Flags::WRITE)
    };
    session.subscriptions.any()
        || session.caching.exception
        || session.handle.is_told_of_keys() && commands.last().is_some_and(writes)
}

/// What became of a batch.
struct RanBatch {
    reply: Reply,
    after: Aftermath,
    /// Commands at its head that are done with; the rest did not run. A transaction is one.
    executed: usize,
    stop: Option<BatchStop>,
}

impl RanBatch {
    fn of(batch: &Batch, slices: bool) -> Self {
        let mut reply = Reply::new(batch.facts.protocol);
        reply.set_slices(slices);
        Self {
            reply,
            after: Aftermath::default(),
            executed: 0,
            stop: None,
        }
    }
}

impl Shard {
    fn run_transaction_of(
        &self,
        env: &Env<'_>,
        space: &mut Space<'_>,
        batch: &Batch,
        transaction: &BatchTransaction,
    ) -> RanBatch {
        let mut ran = RanBatch::of(batch, self.slices_replies());
        let mut session = detached(&batch.facts);
        let table = table::commands();
        let queued = batch.commands.iter().map(|command| QueuedCall {
            row: table.row(command.row),
            args: command.request.args(),
        });
        let commands: Vec<QueuedCall<'_>> = queued.collect();
        if batch.facts.handle.is_killed() {
            return ran;
        }
        if commands.iter().any(|command| self.pauses(command.row)) {
            ran.stop = Some(BatchStop::Paused);
            return ran;
        }
        let call = TransactionCall {
            row: table.row(transaction.row),
            commands: &commands,
            watched: &transaction.watched,
            flag: batch.facts.watch_flag.as_deref(),
        };
        match env.run_transaction(space, &mut session, &mut ran.reply, &call, &mut ran.after) {
            Ran::Needs(shards) => ran.stop = Some(BatchStop::Needs(shards)),
            Ran::Done | Ran::Waits(_) => ran.executed = 1,
        }
        ran
    }

    /// Up to the first command that waits, is held by a pause, needs other keyspaces too, or ends the turn.
    fn run_commands_of(&self, env: &Env<'_>, space: &mut Space<'_>, batch: &Batch) -> RanBatch {
        let mut ran = RanBatch::of(batch, self.slices_replies());
        let mut budget = self.budget();
        let mut session = detached(&batch.facts);
        let table = table::commands();
        for command in &batch.commands {
            if batch.facts.handle.is_killed() {
                // Its socket is closed already: whoever saw that connects again and must not be overtaken.
                break;
            }
            let row = table.row(command.row);
            if self.pauses(row) {
                ran.stop = Some(BatchStop::Paused);
                break;
            }
            let args = command.request.args();
            let call = Call::that_may_wait(row, &args);
            match env.run(space, &mut session, &mut ran.reply, &call, &mut ran.after) {
                Ran::Done => ran.executed += 1,
                Ran::Waits(blocked) => {
                    ran.executed += 1;
                    ran.stop = Some(BatchStop::Waits(blocked));
                }
                Ran::Needs(shards) => ran.stop = Some(BatchStop::Needs(shards)),
            }
            if ran.stop.is_some() || self.is_over(&mut budget, &ran.reply) {
                break;
            }
        }
        ran
    }
}
