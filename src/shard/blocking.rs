//! Waits and their ends: served, timed out, unblocked, gone. Also CLIENT PAUSE, WAIT and barriers, which hold a client too.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientFlag, Unblock};
use crate::command::context::Execution;
use crate::command::error;
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::wait::Waiter;
use crate::resp::reply::{Mark, Reply};

use super::Shard;
use super::client::Client;
use super::execute::Call;
use super::finish::finish_reply;
use super::job::Job;
use super::mailbox::Message;
use super::phase::{Happening, Phase, Reaction};
use super::turn::is_exec;

/// What a blocked client must know of its wait.
#[derive(Debug)]
pub(super) struct Blocked {
    /// The waiter, registered.
    pub(super) waiter: Arc<Waiter>,
    /// When the wait ends, Unix ms.
    pub(super) deadline_ms: Option<u64>,
    /// The reply to a timeout.
    pub(super) null: Vec<u8>,
}

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
        } else {
            // Only who wins the waiter's claim ends its wait: what was popped for a client that is still there reaches it.
            let leaves = client.ended || client.session.closing;
            debug_assert!(leaves, "a reply for a client that does not wait for it");
            if !leaves {
                tracing::error!("client id={} was served and did not wait", client.id().0);
            }
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

    /// A deadline passed.
    pub(super) fn timed_out(&mut self, id: ClientId) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        if client.phase.on(Happening::Deadline) != Reaction::EndWait {
            return;
        }
        // When it was served already its reply is on its way.
        let is_over = match &client.phase {
            Phase::Blocked(blocked) => blocked.waiter.claim().cancel(),
            _ => client.session.handle.stop_waiting_for_replicas(),
        };
        if is_over {
            self.end_wait(id, Unblock::Timeout);
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
        if client.phase.on(Happening::Unblock) == Reaction::EndWait
            && let Some(how) = client.session.handle.take_unblocked()
        {
            self.end_wait(id, how);
        }
    }

    /// Ends a wait that nobody served.
    fn end_wait(&mut self, id: ClientId, how: Unblock) {
        // Each does nothing in the phase of the other.
        self.give_up(id, how);
        self.end_waiting(id, how);
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
        let cancelled =
            matches!(&client.phase, Phase::Blocked(blocked) if blocked.waiter.claim().cancel());
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

    /// Another thread's client waits until this one has seen the shared facts, and has done what follows from them.
    pub(super) fn pass_barrier(&mut self, from: ShardId, client: ClientId) {
        self.refresh();
        self.release_paused();
        if self.hands.lines().any(Job::follows_from_settings) {
            let own = ShardSet::one(self.id);
            self.hands.wait_in_line(own, Job::Answer { from, client });
        } else {
            self.post.send(from, Message::BarrierSeen(client));
        }
    }

    /// Holds the reply back until every shard has seen the shared facts, and done what follows from them.
    pub(super) fn raise_barrier(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        self.settings_version = u64::MAX;
        self.refresh();
        self.release_paused();
        // What is in hand was taken before.
        self.prepare_hand();
        let mut shards = ShardSet::all(self.shared.shard_count);
        if !self.hands.lines().any(Job::follows_from_settings) {
            shards.remove(self.id);
        }
        self.hold_until_seen(client, reply, mark, shards);
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

impl Shard {
    /// Appends a reply that was held back, unless the client asked for none.
    pub(super) fn append_reply(&mut self, client: &mut Client, bytes: &[u8]) {
        let mut reply = Reply::new(client.session.protocol);
        reply.raw(bytes);
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
