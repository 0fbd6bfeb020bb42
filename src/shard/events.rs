//! Events of sockets and time, as the driver (`thread`, or the simulation) hands them in; and what the driver asks of a shard.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::context::Shared;
use crate::ids::{ClientId, ShardId};
use crate::limits;

use super::client::Client;
use super::mailbox::Message;
use super::phase::{Happening, Reaction};
use super::state::Shard;

/// Everything that can wake a shard.
#[derive(Debug)]
pub enum Event<'e> {
    /// Bytes of a client.
    Input(ClientId, &'e [u8]),
    /// A client's input ended.
    End(ClientId),
    /// A client's connection broke or its socket is gone.
    Lost(ClientId),
    /// A message of a shard (or of the listener).
    Message(Message),
    /// Time passed.
    Tick,
}

impl Shard {
    /// Bytes of a client.
    pub(super) fn input(&mut self, id: ClientId, bytes: &[u8]) {
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.reads.add(1);
        counters.net_in.add(bytes.len() as u64);
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        client.session.handle.count_read(bytes.len());
        if client.is_sent_copy {
            self.clients.put(client);
            return;
        }
        if client.input.is_empty() {
            client.unauthenticated_reply_bytes = 0;
        }
        if client.is_ready() && client.kept.is_none() {
            if client.session.listens() {
                self.clients.put(client);
                self.run_client(id, bytes);
            } else {
                self.run_taken(client, bytes);
            }
        } else {
            client.input.keep(bytes, &mut self.spare_inputs);
            client
                .session
                .handle
                .query_bytes
                .store(client.input.len(), Ordering::Relaxed);
            client.session.handle.count_held();
            self.note_outstanding(&mut client);
            self.clients.put(client);
            self.check_query_limit(id);
        }
    }

    /// A client's input ended. What it sent before runs and is answered, as far as it does not have to wait.
    pub(super) fn end_of_input(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.ended = true;
        if client.phase.on(Happening::End) == Reaction::Run {
            self.run_client(id, &[]);
        } else {
            self.leave_if_ended(id);
        }
    }

    /// Takes in an event.
    pub fn handle(&mut self, event: Event<'_>) {
        self.refresh();
        match event {
            Event::Input(client, bytes) => self.input(client, bytes),
            Event::End(client) => self.end_of_input(client),
            Event::Lost(client) => self.disconnect(client),
            Event::Message(message) => self.deliver(message),
            Event::Tick => self.tick(),
        }
        self.put_back();
    }

    /// Wakes the threads that something was sent to since the last time: to be called before this one sleeps.
    pub fn ring_others(&self) {
        self.post.ring();
    }

    /// Whether it has offered keyspaces to other threads since the last call: who shares the core with one of them lets it run,
    /// or the offer is for what this thread will have again by then.
    pub(crate) fn take_offered(&mut self) -> bool {
        self.hands.take_offered()
    }

    /// Whether clients have output that nobody was told of yet.
    pub(crate) fn has_output(&self) -> bool {
        self.clients.has_news()
    }

    /// Monotonic time at which a turn of the loop begins, for [`Shard::end_round`], ns.
    pub(crate) fn begin_round(&self) -> u64 {
        self.clock.nanoseconds()
    }

    /// Notes how long the turn took that began then, and what waits at its end: so many messages in the mailbox, and work
    /// in the queue.
    pub(crate) fn end_round(&self, begun_ns: u64, messages: usize) {
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.turns.add(1);
        let took_ns = self.clock.nanoseconds().saturating_sub(begun_ns);
        counters.turn_nanoseconds.add(took_ns);
        counters.mailbox.set(messages as u64);
        counters.queued.set(self.hands.lines().len() as u64);
    }

    /// A connection that has just been accepted, ready to be sent to its shard when it has its socket ([`Client::set_transport`]). None when the
    /// user whose certificate it has shown has as many connections as it may.
    pub fn accept(
        shared: &Shared,
        origin: ClientOrigin,
        shard: ShardId,
        now_ms: u64,
    ) -> Option<Box<Client>> {
        let (user, limit) = (origin.user.clone(), origin.connections_of_user_max);
        let handle = Arc::new(ClientHandle::new(
            shared.clients.next_id(),
            origin,
            shard,
            now_ms,
        ));
        shared.clients.insert(Arc::clone(&handle));
        let mut session = Session::new(handle, false);
        match user {
            Some(user) if !session.log_in(&user, limit) => {
                let beyond_limit = &shared.observations.logins_beyond_limit;
                beyond_limit.note_user(user.name());
                shared.clients.remove(session.id());
                return None;
            }
            Some(_) => {}
            None => session.begin_as(shared.users.default()),
        }
        if session.closing {
            // It is closed where it arrives.
            session.handle.kill();
        }
        Some(Box::new(Client::new(session)))
    }

    /// Whether clients have come whose sockets are to be registered.
    pub(crate) fn has_arrived(&self) -> bool {
        self.clients.has_arrived()
    }

    /// Clients that have come since the last call, for the driver.
    pub(crate) fn take_arrived(&mut self) -> Vec<ClientId> {
        self.clients.take_arrived()
    }

    /// The socket of a client that has come.
    pub(crate) fn take_transport(
        &mut self,
        id: ClientId,
    ) -> Option<crate::net::transport::ParkedTransport> {
        self.clients.get_mut(id)?.take_transport()
    }

    /// Whether a client should be read from now. One that has whole requests left is not, so what it has sent and nobody
    /// has looked at is bounded: the rest waits in its socket. Only a request that is incomplete may be longer.
    pub fn wants_input(&self, id: ClientId) -> bool {
        let Some(client) = self.clients.get(id) else {
            return false;
        };
        if client.ended || self.is_stopping() {
            return false;
        }
        if client.is_sent_copy {
            return true;
        }
        if client.session.closing || client.has_turn_coming {
            return false;
        }
        let allowed = self.kept_input_bytes_max();
        if client.is_behind_with_reading() {
            return client.session.authenticated
                && client.input.len() < allowed.min(limits::INPUT_BYTES_WHILE_UNREAD_MAX);
        }
        match client.phase.on(Happening::Input) {
            Reaction::Run => true,
            Reaction::KeepWaiting => {
                client.input.len() < allowed.min(limits::INPUT_BYTES_WHILE_WAITING_MAX)
            }
            Reaction::KeepBusy => client.input.len() < limits::INPUT_BYTES_WHILE_BUSY_MAX,
            _ => false,
        }
    }

    /// Input that is kept and not cut off: well below what `client-query-buffer-limit` allows.
    fn kept_input_bytes_max(&self) -> usize {
        let allowed = usize::try_from(self.settings.client_query_buffer_bytes_max / 2);
        allowed.unwrap_or(usize::MAX)
    }

    /// Whether a client waits and is not read meanwhile, so that the end of its input is not seen by reading.
    pub(crate) fn waits_unread(&self, id: ClientId) -> bool {
        let Some(client) = self.clients.get(id) else {
            return false;
        };
        client.phase.is_a_wait() && !client.ended && !self.wants_input(id)
    }

    /// Whether a client that waits should be read a little, though it has sent much: towards the end of its input.
    pub(crate) fn wants_a_little_input(&self, id: ClientId) -> bool {
        let Some(client) = self.clients.get(id) else {
            return false;
        };
        let most = limits::INPUT_BYTES_TO_REACH_THE_END_MAX.min(self.kept_input_bytes_max());
        let is_over = client.ended || client.session.closing || self.is_stopping();
        client.phase.is_a_wait() && !is_over && client.input.len() < most
    }

    /// Whether nothing is in hand and no work waits.
    pub fn is_idle(&self) -> bool {
        self.hands.shards().is_empty()
            && self.hands.lines().is_empty()
            && self.clients.turn_count() == 0
            && !self.outstanding.has_behind()
    }
}
