//! Waits and their ends: served, timed out, unblocked, gone. Also CLIENT PAUSE, WAIT and barriers, which hold a client too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientFlag, Unblock};
use crate::command::context::Execution;
use crate::command::error;
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::ids::{ClientId, ShardSet, shard_of};
use crate::keyspace::wait::Waiter;
use crate::resp::reply::{Mark, Reply};

use super::Shard;
use super::admission::Work;
use super::client::{Client, Phase};
use super::execute::Call;
use super::mailbox::{BatchStop, Blocked, Message};
use super::session_loop::is_exec;

impl Shard {
    /// The client's command waits from now on; its waiter is registered already.
    pub(super) fn block(&mut self, client: &mut Client, blocked: Box<Blocked>) {
        if let Some(at) = blocked.deadline_ms {
            self.deadlines.insert((at, client.id()));
        }
        client.phase = Phase::Blocked(blocked);
        // CLIENT UNBLOCK may have won before this shard knew of the wait.
        if client.session.handle.is_killed()
            || matches!(&client.phase, Phase::Blocked(blocked) if !blocked.waiter.is_waiting())
        {
            self.post.send(self.id, Message::Poke(client.id()));
        }
    }

    fn end_block(&mut self, client: &mut Client) -> Option<Box<Blocked>> {
        if !matches!(client.phase, Phase::Blocked(_)) {
            return None;
        }
        let Phase::Blocked(blocked) = std::mem::replace(&mut client.phase, Phase::Ready) else {
            return None;
        };
        if let Some(at) = blocked.deadline_ms {
            self.deadlines.remove(&(at, client.id()));
        }
        client.session.handle.set_wait(None);
        Some(blocked)
    }

    /// A waiter was served: the reply goes to its client, which goes on.
    pub(super) fn unblock(&mut self, waiter: &Arc<Waiter>, reply: &[u8]) {
        let Some(mut client) = self.take(waiter.client) else {
            return;
        };
        let same = matches!(&client.phase, Phase::Blocked(blocked) if Arc::ptr_eq(&blocked.waiter, waiter));
        if same {
            self.end_block(&mut client);
            self.append_reply(&mut client, reply);
            // Who always waits again has no other moment between two commands.
            self.consider_departure(&client);
            self.turns.queue(&mut client);
        }
        self.put(client);
    }

    /// Ends a wait that nobody served, if it is not too late.
    fn give_up(&mut self, id: ClientId, how: Unblock) {
        let Some(mut client) = self.take(id) else {
            return;
        };
        if let Some(blocked) = self.end_block(&mut client) {
            let args = blocked.waiter.request.args();
            let row = commands().find(args.at(0));
            self.append_end_of_wait(&mut client, how, &blocked.null);
            self.witness_cancelled(&blocked.waiter);
            if let Some(row) = row {
                // A blocked command counts as called when it is over, once. Its waiting is not its time.
                let call = Call {
                    row,
                    args: &args,
                    may_block: true,
                    resumed: true,
                    as_sent: blocked.waiter.as_sent.as_deref(),
                };
                let error = (how == Unblock::Error).then_some(error::UNBLOCKED);
                self.env().record(&client.session, &call, 0, error.as_ref());
            }
            self.forget_everywhere(&blocked.waiter);
            self.turns.queue(&mut client);
        }
        self.put(client);
    }

    /// The reply to a command that waited in vain; `timed_out`: when its time is over, or was made to be.
    fn append_end_of_wait(&mut self, client: &mut Client, how: Unblock, timed_out: &[u8]) {
        match how {
            Unblock::Timeout => self.append_reply(client, timed_out),
            Unblock::Error => {
                let text = error::UNBLOCKED;
                let mut reply = Reply::new(client.session.protocol);
                reply.error(text.bytes());
                self.append_reply(client, reply.bytes());
            }
        }
    }

    /// Ends a WAIT.
    fn end_waiting(&mut self, id: ClientId, how: Unblock) {
        let Some(mut client) = self.take(id) else {
            return;
        };
        match std::mem::replace(&mut client.phase, Phase::Ready) {
            Phase::Waiting { deadline_ms, reply } => {
                if let Some(at) = deadline_ms {
                    self.deadlines.remove(&(at, id));
                }
                let handle = &client.session.handle;
                handle.set_wait(None);
                let row = handle.command.load(Ordering::Relaxed);
                let row = commands().row(row);
                if how == Unblock::Error {
                    self.env().record_late_failure(row, &error::UNBLOCKED);
                }
                self.append_end_of_wait(&mut client, how, &reply);
                self.turns.queue(&mut client);
            }
            other => client.phase = other,
        }
        self.put(client);
    }

    /// Takes a cancelled waiter out of the wait tables of all its keys.
    fn forget_everywhere(&mut self, waiter: &Arc<Waiter>) {
        let mut shards = ShardSet::EMPTY;
        for key in &waiter.keys {
            shards.insert(shard_of(key, self.shared.shard_count));
        }
        self.forget_at(shards, waiter);
    }

    pub(super) fn forget_at(&mut self, shards: ShardSet, waiter: &Arc<Waiter>) {
        for shard in shards.iter() {
            if shard == self.id && self.keyspace.is_some() {
                self.forget(waiter);
            } else {
                self.post.send(shard, Message::Forget(Arc::clone(waiter)));
            }
        }
    }

    /// Takes a waiter out of this shard's wait tables; when the keyspace is lent, as soon as it is back.
    pub(super) fn forget(&mut self, waiter: &Arc<Waiter>) {
        let (id, shard_count) = (self.id, self.shared.shard_count);
        let Some(keyspace) = &mut self.keyspace else {
            self.admission.push(Work::Forget(Arc::clone(waiter)));
            return;
        };
        for key in waiter
            .keys
            .iter()
            .filter(|key| shard_of(key, shard_count) == id)
        {
            keyspace.waits_mut(waiter.db).forget(key, waiter);
        }
    }

    /// A deadline passed.
    pub(super) fn timed_out(&mut self, id: ClientId) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        match &client.phase {
            // When it was served already its reply is on its way.
            Phase::Blocked(blocked) if blocked.waiter.cancel() => {
                self.give_up(id, Unblock::Timeout)
            }
            Phase::Waiting { .. } if client.session.handle.stop_waiting_for_replicas() => {
                self.end_waiting(id, Unblock::Timeout)
            }
            _ => {}
        }
    }

    /// Somebody changed the client's handle: CLIENT KILL, CLIENT UNBLOCK.
    pub(super) fn poked(&mut self, id: ClientId) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        if client.session.handle.is_killed() {
            self.disconnect(id);
            return;
        }
        match client.phase {
            Phase::Blocked(_) => {
                if let Some(how) = client.session.handle.take_unblocked() {
                    self.give_up(id, how);
                }
            }
            Phase::Waiting { .. } => {
                if let Some(how) = client.session.handle.take_unblocked() {
                    self.end_waiting(id, how);
                }
            }
            Phase::Ready
            | Phase::Queued
            | Phase::Batch { .. }
            | Phase::Loan
            | Phase::Barrier { .. }
            | Phase::Walking { .. }
            | Phase::Paused
            | Phase::Throttled
            | Phase::Leaving => {}
        }
    }

    /// Makes the shards of clients look at their handles, and holds the reply back until they have: a client that is
    /// told of a KILL finds no trace of the killed in what it sends next.
    pub(super) fn poke(
        &mut self,
        clients: &[ClientId],
        own: &mut Client,
        reply: &mut Reply,
        mark: Mark,
    ) {
        let mut shards = ShardSet::EMPTY;
        for id in clients.iter().filter(|id| **id != own.id()) {
            // One that is on its way between shards has neither wait nor subscription, and is closed where it arrives.
            if let Some(shard) = self.shared.clients.shard_of(*id) {
                self.post.send(shard, Message::Poke(*id));
                shards.insert(shard);
            }
        }
        self.hold_until_seen(own, reply, mark, shards);
    }

    /// A client is gone: its wait ends, its deadlines go.
    pub(super) fn leave_wait(&mut self, client: &mut Client) {
        if let Phase::Waiting {
            deadline_ms: Some(at),
            ..
        } = client.phase
        {
            self.deadlines.remove(&(at, client.id()));
        }
        // Cancelled before it leaves the registry: who no longer sees the client blocked can serve it no more.
        let cancelled = matches!(&client.phase, Phase::Blocked(blocked) if blocked.waiter.cancel());
        if let Some(blocked) = self.end_block(client) {
            if cancelled {
                self.witness_cancelled(&blocked.waiter);
            }
            self.forget_everywhere(&blocked.waiter);
        }
    }

    fn witness_cancelled(&self, waiter: &Waiter) {
        if let Some(witness) = self.shared.witness.get() {
            witness.saw(
                waiter.client,
                Execution::Cancelled,
                &waiter.request.args(),
                &[],
            );
        }
    }

    /// The client of a batch is gone: if the batch left a waiter, it waits for nobody.
    pub(super) fn abandon(&mut self, stop: Option<BatchStop>) {
        if let Some(BatchStop::Waits(blocked)) = stop {
            if blocked.waiter.cancel() {
                self.witness_cancelled(&blocked.waiter);
            }
            self.forget_everywhere(&blocked.waiter);
        }
    }

    /// Holds the reply back until every shard has seen the shared facts.
    pub(super) fn raise_barrier(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        self.refresh();
        self.settings_version = u64::MAX;
        self.refresh();
        self.release_paused();
        let mut others = ShardSet::all(self.shared.shard_count);
        others.remove(self.id);
        self.hold_until_seen(client, reply, mark, others);
    }

    /// Holds the reply back until these shards have taken in all messages sent to them so far. Within EXEC several
    /// commands may ask for it: the reply goes when the last has its answers.
    fn hold_until_seen(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        mark: Mark,
        shards: ShardSet,
    ) {
        let (from, id) = (self.id, client.id());
        let barriers: Vec<_> = shards
            .iter()
            .map(|shard| (shard, Message::Barrier { from, client: id }))
            .collect();
        if barriers.is_empty() {
            return;
        }
        hold_for(client, reply, mark, barriers.len());
        self.post.send_ordered(barriers);
    }

    /// A subscriber published: it gets its own messages behind the reply and before the reply to its next command. Or a
    /// subscription ends: it gets what was published until then before the reply, and nothing after it.
    pub(super) fn hold_until_told(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        hold_for(client, reply, mark, 1);
        self.post.send(self.id, Message::BarrierSeen(client.id()));
    }

    /// One more shard has seen the shared facts.
    pub(super) fn barrier_seen(&mut self, id: ClientId) {
        let Some(mut client) = self.take(id) else {
            return;
        };
        if let Phase::Barrier { missing, reply } = &mut client.phase {
            *missing -= 1;
            if *missing == 0 {
                client.output.take(reply);
                self.release_behind_reply(&mut client);
                self.go_on_within_credit(&mut client);
            }
        }
        self.put(client);
    }

    /// Whether CLIENT PAUSE holds this command, or this EXEC. Source: Redis' CLIENT PAUSE; WRITE holds writes and what may
    /// replicate.
    pub(super) fn is_paused_for(&self, client: &Client, row: &Row) -> bool {
        if !is_exec(client, row) {
            return self.pauses(row);
        }
        let table = commands();
        let mut queue = client.session.transaction.queue.iter();
        self.pauses(row) || queue.any(|queued| self.pauses(table.row(queued.command)))
    }

    /// Whether CLIENT PAUSE holds this one command.
    pub(super) fn pauses(&self, row: &Row) -> bool {
        let until = self.shared.paused_until_ms.load(Ordering::Acquire);
        if until <= self.now_ms {
            return false;
        }
        if row.command.flags.has(Flags::WHILE_PAUSED) {
            return false;
        }
        if !self.shared.pause_writes_only.load(Ordering::Acquire) {
            return true;
        }
        row.command.flags.has(Flags::WRITE) || row.command.flags.has(Flags::MAY_REPLICATE)
    }

    /// Keeps a client until the pause is over. Redis: it counts as blocked.
    pub(super) fn hold_paused(&mut self, client: &mut Client) {
        client.phase = Phase::Paused;
        client.session.handle.set_flag(ClientFlag::PAUSED, true);
        self.paused.push(client.id());
    }

    /// Lets held clients go on when the pause is over or changed.
    pub(super) fn release_paused(&mut self) {
        let now_ms = self.now_ms;
        for id in std::mem::take(&mut self.paused) {
            if let Some(Some(client)) = self.clients.get_mut(&id)
                && matches!(client.phase, Phase::Paused)
            {
                client.phase = Phase::Ready;
                let handle = &client.session.handle;
                handle.set_flag(ClientFlag::PAUSED, false);
                handle.active_ms.store(now_ms, Ordering::Relaxed);
                self.turns.queue(client);
            }
        }
    }
}

/// Holds the reply of a client back for so many more answers.
fn hold_for(client: &mut Client, reply: &mut Reply, mark: Mark, answers: usize) {
    if let Phase::Barrier { missing, .. } = &mut client.phase {
        *missing += answers;
        return;
    }
    client.phase = Phase::Barrier {
        missing: answers,
        reply: reply.split_off(mark),
    };
}
