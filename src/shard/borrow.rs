//! EXEC, and commands that run with keyspaces of several shards in hand.

use crate::command::context::ShardAction;
use crate::command::error;
use crate::command::table::CommandTable;
use crate::ids::ShardSet;
use crate::keyspace::Space;
use crate::resp::reply::{Mark, Reply};

use super::Shard;
use super::client::{Client, Phase};
use super::execute::{Aftermath, Call, Env, QueuedCall, Ran, TransactionCall, admit};
use super::route::shards_of;
use super::session_loop::{Flow, finish_reply};

impl Shard {
    /// EXEC: here, as a batch of its own, or with a loan.
    pub(super) fn step_exec(
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
