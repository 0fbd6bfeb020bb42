//! What clients are owed: who has output, what of it is sent next, and what follows when it was sent.
//!
//! A shard writes to no socket: its driver gets the next bytes and tells how many of them it sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::ids::ClientId;
use crate::keyspace::discard::{Discarded, Part};
use crate::net::buffers::Output;
pub use crate::net::buffers::Written;

use super::state::Shard;

/// What came of sending.
#[derive(Debug)]
pub enum Sent {
    /// There was nothing to send.
    Nothing,
    /// All there was; the client stays, and nothing is left to do about it.
    All,
    /// So many bytes; perhaps that was all, and the client is to be closed.
    Some(usize),
    /// There is no room in the socket.
    Blocked,
    /// Nothing.
    Failed(io::Error),
}

impl Shard {
    /// Clients with output to send (or to be closed once it is sent) since the last call. What that output acknowledges has
    /// been told to caches. Who has more unsent than is allowed is closed. Who will soon have more is sent it all at once:
    /// what ends its waiting lists it again.
    pub fn take_dirty(&mut self) -> Vec<ClientId> {
        self.limit_clients();
        self.tell_broadcasts();
        self.write_log();
        self.release_held();
        let mut dirty = self.clients.take_dirty();
        let limit = &self.settings.output_limit_normal;
        if limit.hard_bytes > 0 || limit.soft_bytes > 0 {
            dirty.iter().for_each(|id| self.check_output_limit(*id));
        }
        if self.shared.shard_count > 1 && !self.is_stopping() {
            let (settings, mut long) = (Arc::clone(&self.settings), Vec::new());
            dirty.retain(|id| {
                let Some(client) = self.clients.get_mut(*id) else {
                    return true;
                };
                // By replies that were held back.
                if client.has_much_to_send(&settings) {
                    long.push(*id);
                }
                !client.has_more_output_soon()
            });
            long.into_iter().for_each(|id| self.check_output_limit(id));
        }
        dirty
    }

    /// Gives a spent list of dirty clients back, to save its allocation.
    pub(crate) fn reuse_dirty(&mut self, list: Vec<ClientId>) {
        self.clients.reuse_dirty(list);
    }

    /// Whether there are sockets to be dropped.
    pub(crate) fn has_closed(&self) -> bool {
        self.clients.has_closed()
    }

    /// Clients whose sockets are to be dropped; then [`Self::sockets_are_closed`].
    pub fn take_closed(&mut self) -> Vec<ClientId> {
        self.clients.take_closed()
    }

    /// Whether all that a client is owed was sent.
    pub(crate) fn is_sent(&self, id: ClientId) -> bool {
        match self.clients.get(id) {
            Some(client) => client.output.is_empty(),
            _ => true,
        }
    }

    /// A client has had its share of this turn: the rest of its output is sent in the next.
    pub(crate) fn send_on(&mut self, id: ClientId) {
        self.clients.note_output(id);
    }

    /// Has the next of what a client is owed sent: `write` gets it as bytes and gives how many it sent, or keeps until there is room, or
    /// `None` when there was nothing.
    pub fn send(
        &mut self,
        id: ClientId,
        write: impl FnOnce(&Output) -> Option<io::Result<Written>>,
    ) -> Sent {
        // Looked up once: this is done for every reply.
        let Some(client) = self.clients.get_mut(id) else {
            return Sent::Nothing;
        };
        if client.output.is_empty() {
            return Sent::Nothing;
        }
        let held_for = client.held_for;
        if held_for > self.mark && self.is_held(id) {
            return Sent::Nothing;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return Sent::Nothing;
        };
        if let Err(error) = client.output.prepare() {
            tracing::warn!(
                "Closing client id={}: its copy of the data cannot be read: {error}",
                id.0
            );
            return Sent::Failed(io::Error::other(error));
        }
        let written = match write(&client.output) {
            None => return Sent::Nothing,
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Blocked,
            Some(Err(error)) => return Sent::Failed(error),
            Some(Ok(written)) => written,
        };
        let count = written.sent;
        let was_behind = client.is_behind_with_reading();
        client.output.note(written, &mut self.spare_outputs);
        client.forget_soft_limit(&self.settings);
        let goes_on = was_behind && !client.is_behind_with_reading();
        let spent = client.output.take_spent();
        client.mirror_output();
        let rests = client.output.is_empty() && !client.session.closing;
        let handle = &client.session.handle;
        handle.count_sent(count);
        if count > 0 {
            handle.active_ms.store(self.now_ms, Ordering::Relaxed);
        }
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.writes.add(1);
        counters.net_out.add(count as u64);
        if goes_on {
            self.clients.give_turn(id);
        }
        if let Some(spent) = spent
            && let Some(disposal) = self.shared.disposal.get()
        {
            disposal.free(vec![Discarded::Part(Part::new(spent))]);
        }
        match (written.kept, rests) {
            (0, true) => Sent::All,
            (0, false) => Sent::Some(count),
            _ => Sent::Blocked,
        }
    }

    /// A client may not be sent much more: its keys are worn out (TLS 1.2). It is closed behind the replies that are there. While a
    /// command of it runs or is about to it is let be: it is asked again for when the reply to that is sent.
    pub(crate) fn retire(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id)
            && !client.session.closing
            && client.kept.is_none()
            && (client.phase.is_ready() || client.phase.is_a_wait())
        {
            client.session.closing = true;
            client.session.handle.set_flag(ClientFlag::CLOSING, true);
            tracing::warn!(
                "Closing client id={} addr={}: its TLS 1.2 connection has sent as many records as its keys may encrypt. TLS 1.3 \
                 and the ciphers with CHACHA20 have no such end.",
                id.0,
                client.session.handle.address
            );
        }
    }

    /// Whether a client is to be closed now that its output is sent.
    pub(crate) fn should_close(&self, id: ClientId) -> bool {
        match self.clients.get(id) {
            Some(client) => {
                client.output.is_empty() && client.session.closing && !client.phase.holds_a_reply()
            }
            _ => true,
        }
    }
}
