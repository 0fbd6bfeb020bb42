//! One client's turn: its kept command, then its input, until that is used up, something makes it wait, or its turn ends.
//!
//! Commands of one connection take effect in the order sent: what is behind a command that is kept is not looked at.

use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::ids::ClientId;
use crate::limits;
use crate::resp::reply::Reply;

use super::client::Client;
use super::finish::Flow;
use super::state::Shard;

impl Shard {
    /// Gives a client a turn, with bytes that have just come. Also when it comes back to Ready.
    pub(super) fn run_client(&mut self, id: ClientId, fresh: &[u8]) {
        if self.clients.listens(id) {
            // What others did before it is told before its replies.
            self.hear();
        }
        if let Some(client) = self.clients.take(id) {
            self.run_taken(client, fresh);
        }
    }

    /// As [`Shard::run_client`], with the client in hand. Its kept command runs first; its keyspaces may be in hand already.
    pub(super) fn run_taken(&mut self, mut client: Box<Client>, fresh: &[u8]) {
        let id = client.id();
        if client.session.handle.is_killed() {
            self.clients.put(client);
            self.disconnect(id);
            return;
        }
        if self.is_stopping() {
            self.clients.put(client);
            return;
        }
        if client.is_behind_with_reading() || !client.is_ready() {
            // What it has sent waits until it has read: [`Shard::send`] gives it its turn.
            client.input.keep(fresh, &mut self.spare_inputs);
            client.mirror_input();
            self.note_outstanding(&mut client);
            self.clients.put(client);
            self.check_query_limit(id);
            return;
        }
        client
            .session
            .handle
            .active_ms
            .store(self.now_ms, Ordering::Relaxed);
        (self.revealed, self.wrote_to) = (0, 0);
        self.begin_turn();
        let mut reply = self.begin_reply(&client);
        let mut budget = self.budget();
        let mut flow = self.run_kept(&mut client, &mut reply);
        if flow == Flow::Next {
            flow = self.run_input(&mut client, &mut reply, &mut budget, fresh);
        } else {
            client.input.keep(fresh, &mut self.spare_inputs);
        }
        self.end_turn(client, reply, flow);
    }

    /// The shard's buffer for replies, empty, as this client gets them.
    fn begin_reply(&mut self, client: &Client) -> Reply {
        let mut reply = std::mem::take(&mut self.reply);
        reply.clear();
        reply.set_protocol(client.session.protocol);
        reply.set_slices(self.slices_replies());
        reply
    }

    /// Whether long replies are encoded as they leave. A witness sees them whole.
    fn slices_replies(&self) -> bool {
        self.shared.witness.get().is_none()
    }

    /// Puts the client back with its replies; it gets another turn when it could go on.
    #[inline(always)]
    pub(super) fn end_turn(&mut self, mut client: Box<Client>, mut reply: Reply, flow: Flow) {
        let id = client.id();
        self.put_back();
        self.consider_departure(&client);
        if !reply.is_empty() {
            client.output.equip(&mut self.spare_outputs);
            if !client.session.authenticated {
                client.unauthenticated_reply_bytes += reply.len();
            }
            client.output.take(&mut reply);
            client.held_for = client.held_for.max(self.revealed);
        }
        // Also of one that asked for no replies: what it publishes later waits for it.
        client.wrote_to = client.wrote_to.max(self.wrote_to);
        if reply.capacity() <= limits::REPLY_BYTES_KEPT {
            self.reply = reply;
        }
        client.mirror_input();
        client.mirror_output();
        client.now_ms = self.now_ms;
        let more = flow == Flow::Defer && client.is_ready() && !client.session.closing;
        if more {
            self.clients.queue(&mut client);
        } else if client.ended && client.is_ready() {
            // Nothing is left to run: it goes when its replies are sent.
            client.session.closing = true;
        }
        if client.session.closing {
            // Before its last reply leaves: another client that has seen the effect of that reply counts this one as gone.
            client.session.handle.set_flag(ClientFlag::CLOSING, true);
        }
        if !client.output.is_empty() || client.session.closing {
            self.clients.note_output(id);
        }
        let exceeds = client.unparsed_bytes() as u64 > self.settings.client_query_buffer_bytes_max;
        let ended = client.ended;
        if flow != Flow::Next {
            self.note_outstanding(&mut client);
        }
        let has_much = client.has_much_to_send(&self.settings);
        self.clients.put(client);
        if has_much {
            self.check_output_limit(id);
        }
        if exceeds {
            self.check_query_limit(id);
        }
        if ended {
            self.leave_if_ended(id);
        }
    }
}
