//! Waits and their ends: served, timed out, unblocked, gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::Unblock;
use crate::command::context::Execution;
use crate::command::error;
use crate::command::table::commands;
use crate::ids::ClientId;
use crate::keyspace::wait::Waiter;
use crate::resp::reply::{Mark, Reply};

use super::client::{Client, finish_reply};
use super::env::Call;
use super::mailbox::Message;
use super::phase::{Blocked, Happening, Phase, Reaction};
use super::state::Shard;

impl Shard {
    /// The client's command waits from now on; its waiter is registered already.
    pub(super) fn block(&mut self, client: &mut Client, blocked: Box<Blocked>) {
        if let Some(at) = blocked.deadline_ms {
            self.clients.set_deadline(client.id(), at);
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
        self.clients
            .clear_deadline(client.id(), blocked.deadline_ms);
        client.session.handle.set_wait(None);
        Some(blocked)
    }

    /// A waiter was served: the reply goes to its client, which goes on.
    pub(super) fn unblock(&mut self, waiter: &Arc<Waiter>, reply: &[u8]) {
        let Some(mut client) = self.clients.take(waiter.client) else {
            return;
        };
        let same = matches!(&client.phase, Phase::Blocked(blocked) if Arc::ptr_eq(&blocked.waiter, waiter));
        if same {
            self.end_block(&mut client);
            self.append_reply(&mut client, reply);
            // Who always waits again has no other moment between two commands.
            self.consider_departure(&client);
            self.clients.queue(&mut client);
        } else {
            // Only who wins the waiter's claim ends its wait: what was popped for a client that is still there reaches it.
            let leaves = client.ended || client.session.closing;
            debug_assert!(leaves, "a reply for a client that does not wait for it");
            if !leaves {
                tracing::error!("client id={} was served and did not wait", client.id().0);
            }
        }
        self.clients.put(client);
    }

    /// Ends a wait that nobody served, if it is not too late.
    fn give_up(&mut self, id: ClientId, how: Unblock) {
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        if let Some(blocked) = self.end_block(&mut client) {
            let args = blocked.waiter.request.args();
            let row = commands().find_either(args.at(0));
            self.append_end_of_wait(&mut client, how, &blocked.null);
            self.witness_cancelled(&blocked.waiter);
            if let Some(row) = row {
                // A blocked command counts as called when it is over, once. Its waiting is not its time.
                let call = Call {
                    row,
                    args: &args,
                    may_block: true,
                    in_script: false,
                    resumed: true,
                    as_sent: blocked.waiter.as_sent.as_deref(),
                };
                let error = (how == Unblock::Error).then_some(error::UNBLOCKED);
                self.env().record(&client.session, &call, 0, error.as_ref());
            }
            self.forget_everywhere(&blocked.waiter);
            self.clients.queue(&mut client);
        }
        self.clients.put(client);
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
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        match std::mem::replace(&mut client.phase, Phase::Ready) {
            Phase::Waiting { deadline_ms, reply } => {
                self.clients.clear_deadline(id, deadline_ms);
                if let Some(position) = client.waits_for_sync {
                    self.clients.stop_awaiting_sync(id, position);
                }
                let handle = &client.session.handle;
                handle.set_wait(None);
                let row = handle.command.load(Ordering::Relaxed);
                let row = commands().row(row);
                if how == Unblock::Error {
                    self.env().record_late_failure(row, &error::UNBLOCKED);
                }
                let reply = self.synced_reply(&mut client).unwrap_or(reply);
                self.append_end_of_wait(&mut client, how, &reply);
                self.clients.queue(&mut client);
            }
            other => client.phase = other,
        }
        self.clients.put(client);
    }

    /// A deadline passed.
    pub(super) fn timed_out(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.phase.on(Happening::Deadline) != Reaction::EndWait {
            return;
        }
        // When it was served already its reply is on its way.
        if matches!(client.phase, Phase::Delayed { .. }) {
            self.end_delay(id);
            return;
        }
        let is_over = match &client.phase {
            Phase::Blocked(blocked) => blocked.waiter.claim().cancel(),
            _ => client.session.handle.stop_waiting_for_replicas(),
        };
        if is_over {
            self.end_wait(id, Unblock::Timeout);
        }
    }

    /// The reply to a failed login comes later.
    pub(super) fn delay_reply(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        let delay_ms = std::mem::take(&mut client.session.login_delay_ms);
        if !client.is_ready() || client.session.closing {
            return;
        }
        let until_ms = self.now_ms + delay_ms;
        self.clients.set_deadline(client.id(), until_ms);
        client.phase = Phase::Delayed {
            until_ms,
            reply: reply.split_off(mark),
        };
    }

    fn end_delay(&mut self, id: ClientId) {
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        if let Phase::Delayed {
            until_ms,
            mut reply,
        } = std::mem::replace(&mut client.phase, Phase::Ready)
        {
            self.clients.clear_deadline(id, Some(until_ms));
            client.output.take(&mut reply);
            self.release_behind_reply(&mut client);
            self.clients.queue(&mut client);
        }
        self.clients.put(client);
    }

    /// Ends a wait that nobody served.
    pub(super) fn end_wait(&mut self, id: ClientId, how: Unblock) {
        // Each does nothing in the phase of the other.
        self.give_up(id, how);
        self.end_waiting(id, how);
    }

    /// A client is gone: its wait ends, its deadlines go.
    pub(super) fn leave_wait(&mut self, client: &mut Client) {
        if let Phase::Waiting { deadline_ms, .. } = client.phase {
            self.clients.clear_deadline(client.id(), deadline_ms);
        }
        if let Phase::Delayed { until_ms, .. } = client.phase {
            self.clients.clear_deadline(client.id(), Some(until_ms));
        }
        if let Some(position) = client.waits_for_sync.take() {
            self.clients.stop_awaiting_sync(client.id(), position);
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

    /// Appends a reply that was held back, unless the client asked for none.
    pub(super) fn append_reply(&mut self, client: &mut Client, bytes: &[u8]) {
        let mut reply = Reply::new(client.session.protocol);
        reply.raw(bytes);
        finish_reply(client, &mut reply, Mark::START);
        client.output.take(&mut reply);
        self.hold_for_all(client);
        // Who was served may have written.
        client.wrote_to = client.held_for;
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
            client.send(&message, self.log.end());
        }
        client.mirror_output();
        if !client.output.is_empty() {
            self.clients.note_output(client.id());
        }
    }
}
