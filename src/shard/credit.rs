//! Byte credits between shards: who publishes more than is delivered is not read until there is room again.

use crate::ids::ShardId;

use super::client::Client;
use super::mailbox::Message;
use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// A client goes on, unless too much of what this shard has published is undelivered: then it is held for credit.
    pub(super) fn go_on_within_credit(&mut self, client: &mut Client) {
        if self.subscribers.are_over_credit() {
            self.clients.throttle(client);
        } else {
            client.phase = Phase::Ready;
            self.clients.queue(client);
        }
    }

    /// Publications were delivered: publishers go on when all targets have room again.
    pub(super) fn credit(&mut self, from: ShardId, bytes: usize) {
        if self.subscribers.delivered(from, bytes) {
            self.clients.release_throttled();
        }
    }

    /// Bytes that a shard has sent were delivered here.
    pub(super) fn give_credit(&mut self, from: ShardId, bytes: usize) {
        if from == self.id {
            self.credit(from, bytes);
        } else {
            self.post.send(
                from,
                Message::Credit {
                    from: self.id,
                    bytes,
                },
            );
        }
    }
}
