//! EXEC, and commands that run with keyspaces of several shards in hand.

use crate::command::context::ShardAction;
use crate::command::error;
use crate::command::row::Row;
use crate::command::table::commands;
use crate::ids::ShardSet;
use crate::keyspace::{Keyspace, Space};
use crate::resp::arguments::Args;
use crate::resp::reply::{Mark, Reply};

use super::Shard;
use super::admit::admit;
use super::client::{Client, Phase};
use super::execute::{Aftermath, Call, Env, Ran};
use super::finish::finish_reply;
use super::route::shards_of;
use super::session_loop::{Budget, Flow, is_exec};
use super::transaction::{QueuedCall, TransactionCall};

impl Shard {
    /// EXEC: here, as a batch of its own, or with a loan.
    pub(super) fn step_exec(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
        admitted: bool,
        mark: Mark,
    ) -> Flow {
        let transaction = &client.session.transaction;
        if transaction.aborted {
            client.session.transaction.clear();
            client.session.mirror();
            self.feed_monitors_exec(&client.session, &[], &[], args);
            self.record_failure(client, row, args, &error::EXEC_ABORTED);
            reply.error(error::EXEC_ABORTED.bytes());
            finish_reply(client, reply, mark);
            return Flow::Next;
        }
        let shards = self
            .transaction_shards(client)
            .union(std::mem::take(&mut client.needs));
        if !self.can_run_here(client, shards, admitted) {
            if self.gather(client, shards, self.is_free(admitted)) {
                return self.run_gathered(client, reply, row, args, shards, mark);
            }
            client.put_off(shards);
            return Flow::Defer;
        }
        let mut after = Aftermath::default();
        let ran = self.with_own(shards, |shard, env, space| {
            shard.exec_in(
                env,
                space,
                client,
                reply,
                &Call::that_may_wait(row, args),
                &mut after,
            )
        });
        if !matches!(ran, Ran::Needs(_)) {
            client.session.caching.exception = false;
        }
        self.count(client);
        self.finish(client, reply, ran, after, mark)
    }

    /// The keyspaces of all queued commands and watched keys.
    pub(super) fn transaction_shards(&self, client: &Client) -> ShardSet {
        let table = commands();
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
        exec: &Call<'_>,
        after: &mut Aftermath,
    ) -> Ran {
        let transaction = std::mem::take(&mut client.session.transaction);
        let table = commands();
        let commands: Vec<QueuedCall<'_>> = transaction
            .queue
            .iter()
            .map(|queued| QueuedCall {
                row: table.row(queued.command),
                args: queued.request.args(),
            })
            .collect();
        let call = TransactionCall {
            row: exec.row,
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
            self.feed_monitors_exec(
                &client.session,
                &transaction.queue,
                reply.since(mark),
                exec.args,
            );
            client.session.mirror();
        }
        ran
    }

    /// Runs the head of `pending`, and what is behind it as far as the loan reaches, with several keyspaces in hand.
    pub(super) fn run_borrowed(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        keyspaces: &mut [Box<Keyspace>],
        in_hand: ShardSet,
        budget: &mut Budget,
    ) -> Flow {
        let mut first = true;
        let now_ms = latest(keyspaces, self.now_ms.max(client.now_ms));
        // What the client does next is not earlier, wherever its keys are.
        self.now_ms = now_ms;
        while matches!(client.phase, Phase::Ready) && !client.session.closing {
            let Some(request) = client.pending.front().cloned() else {
                return Flow::Next;
            };
            if !first && self.is_over(budget, reply) {
                return Flow::Defer;
            }
            let args = request.args();
            let Some(row) = self.next_in_hand(client, &args, first, in_hand) else {
                return Flow::Next;
            };
            if self.is_paused_for(client, row) {
                self.hold_paused(client);
                return Flow::Stop;
            }
            first = false;
            for keyspace in keyspaces.iter_mut() {
                keyspace.now_ms = now_ms;
            }
            let mark = reply.mark();
            let (ran, after) = self.run_with(keyspaces, now_ms, client, reply, row, &args);
            self.count(client);
            if !matches!(ran, Ran::Needs(_)) {
                client.pending.pop_front();
                self.end_caching(client, row);
            }
            match self.finish(client, reply, ran, after, mark) {
                Flow::Next => {}
                flow => return flow,
            }
        }
        Flow::Stop
    }

    /// Runs one command with keyspaces of shards at rest in hand, and this shard's own if it is among them.
    pub(super) fn run_gathered(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
        shards: ShardSet,
        mark: Mark,
    ) -> Flow {
        client.has_tried_again = false;
        self.visited = shards.first().filter(|_| shards.len() == 1);
        let mut in_hand = std::mem::take(&mut self.guests);
        if shards.contains(self.id) {
            in_hand.extend(self.keyspace.take());
            self.used_own = true;
        }
        in_hand.sort_unstable_by_key(|keyspace| keyspace.shard());
        let now_ms = latest(&in_hand, self.now_ms.max(client.now_ms));
        // What the client does next is not earlier, wherever its keys are.
        self.now_ms = now_ms;
        for keyspace in &mut in_hand {
            keyspace.now_ms = now_ms;
        }
        let (ran, after) = self.run_with(&mut in_hand, now_ms, client, reply, row, args);
        let own = in_hand.iter().position(|one| one.shard() == self.id);
        if let Some(at) = own {
            self.keyspace = Some(in_hand.remove(at));
        }
        self.guests = in_hand;
        self.count(client);
        if !matches!(ran, Ran::Needs(_)) {
            self.end_caching(client, row);
        }
        self.finish(client, reply, ran, after, mark)
    }

    /// The row of a command that can run with these keyspaces in hand: the `first`, for which they were borrowed, and what
    /// is behind it while nothing else has to decide about it.
    fn next_in_hand(
        &self,
        client: &Client,
        args: &Args<'_>,
        first: bool,
        in_hand: ShardSet,
    ) -> Option<&'static Row> {
        let row = admit(&client.session, &self.settings, args).ok()?;
        if !first && client.session.transaction.active {
            return None;
        }
        let shards = if is_exec(client, row) {
            self.transaction_shards(client)
        } else {
            let shards = shards_of(row, args, self.shared.shard_count);
            self.narrow(row, args, shards, client)
        };
        (in_hand.covers(shards) && (first || !shards.is_empty())).then_some(row)
    }

    /// One command, or EXEC, with several keyspaces in hand.
    fn run_with(
        &mut self,
        keyspaces: &mut [Box<Keyspace>],
        now_ms: u64,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
    ) -> (Ran, Aftermath) {
        let mut after = Aftermath::default();
        let env = Env {
            now_ms,
            ..self.env()
        };
        let shard_count = self.shared.shard_count;
        let mut space = match &mut *keyspaces {
            [one] => Space::one(one, shard_count),
            many => Space::many(many, shard_count),
        };
        let ran = if is_exec(client, row) {
            let exec = Call::that_may_wait(row, args);
            self.exec_in(&env, &mut space, client, reply, &exec, &mut after)
        } else {
            self.remember_watch(client, row, args);
            let call = Call::that_may_wait(row, args);
            let ran = env.run(&mut space, &mut client.session, reply, &call, &mut after);
            if !matches!(ran, Ran::Needs(_)) {
                self.feed_monitors(&client.session, args, row);
            }
            ran
        };
        let is_reload = |action: &ShardAction| matches!(action, ShardAction::Reload);
        if let Some(at) = after.actions.iter().position(is_reload) {
            after.actions.swap_remove(at);
            self.reload(keyspaces);
            self.lap_ns.set(None);
        }
        (ran, after)
    }
}

/// The time of a command: no keyspace in hand has seen a later one.
#[allow(
    clippy::vec_box,
    reason = "a keyspace changes hands by moving its box, not its contents"
)]
fn latest(keyspaces: &[Box<Keyspace>], now_ms: u64) -> u64 {
    let seen = keyspaces.iter().map(|keyspace| keyspace.now_ms);
    seen.fold(now_ms, u64::max)
}
