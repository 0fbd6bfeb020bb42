//! Moving a connection to where its keys are.
//!
//! A client moves to the thread of the shard that most of its windows are about: that thread has its cache lines, nobody else
//! takes that keyspace, and who waits for a key is on the thread of those who push to it: to wake another thread costs more
//! than a command. Each move doubles how long it takes until the next, and that decays over seconds. Only between commands,
//! with everything sent and nothing that ties it to its thread.
//!
//! Measured on two cores, 2 shards, CPU for each against moving only who has long or contended windows: one queue, a command at
//! a time, 3.7 instead of 4.6 µs; hand-over by BRPOP 31 instead of 36 µs (8 shards: 43).

use crate::ids::{ClientId, ShardId};

use super::client::Client;
use super::mailbox::Message;
use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// Puts the client on the list of those who depart, if it should leave for where its windows are.
    pub(super) fn consider_departure(&mut self, client: &Client) {
        let Some(target) = client.habits.place() else {
            return;
        };
        if target != self.id && client.habits.suffice(self.now_ms) {
            // Its reply must be sent first: it leaves when the output is flushed.
            self.clients.send_off(client.id(), target);
        }
    }

    /// Whether clients may be about to leave for another shard.
    pub(crate) fn has_departing(&self) -> bool {
        self.clients.has_departing()
    }

    /// Clients that leave now, with the shard they go to. The driver takes their sockets and calls [`Shard::depart`]; until
    /// then they run nothing, or they would leave in the middle of it.
    pub fn take_departing(&mut self) -> Vec<(ClientId, ShardId)> {
        self.clients.take_departing()
    }

    /// Sends a client, its socket in it, to its new shard. False when it can no longer leave: the caller keeps the socket.
    pub fn depart(
        &mut self,
        id: ClientId,
        target: ShardId,
        transport: Option<crate::net::transport::ParkedTransport>,
    ) -> bool {
        let Some(mut client) = self.clients.depart(id) else {
            return false;
        };
        debug_assert!(matches!(client.phase, Phase::Leaving), "nothing runs");
        client.phase = Phase::Ready;
        client.habits.moved(self.now_ms);
        client.now_ms = client.now_ms.max(self.now_ms);
        client.transport = transport;
        self.shared.observations.shards[self.id.index()]
            .migrations
            .add(1);
        self.post.send(target, Message::Adopt(client));
        true
    }
}
