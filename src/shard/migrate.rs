//! Moving a connection to where its keys are.
//!
//! After some batches in a row to one other shard it moves there; each move doubles how many it takes for the next, and
//! that decays over seconds. Only between commands with everything sent and nothing that ties it to its shard. How busy
//! the other shard is does not matter: its keyspace is needed for every command anyway, and two shards that work with one
//! keyspace get less done than one.
//!
//! A client that works with the keyspaces of all shards, turn after turn, keeps all others from theirs wherever it is: such
//! clients gather at the first shard, where they pass the keyspaces to each other without a word and in the same caches.
//! That is for two shards only. Measured, 50 connections, pipelines of 16 SET to random keys: 1.07 instead of 1.44 µs of CPU for each.

use crate::ids::{ClientId, ShardId, ShardSet};
use crate::limits;

use super::Shard;
use super::client::{Client, Phase};
use super::mailbox::Message;

/// Where clients gather that need the keyspaces of all shards …
const MIXED_HOME: ShardId = ShardId(0);
/// … where there are so many shards: with more of them one shard would do the work of too many.
const MIXED_SHARDS: usize = 2;

impl Shard {
    /// Notes whether a client's turn took the keyspaces of all shards; one whose turns do so time and again leaves for where
    /// the others of its kind are.
    pub(super) fn mix(&mut self, client: &mut Client, has_all: bool) {
        if self.shared.shard_count != MIXED_SHARDS {
            return;
        }
        let goes_on = !client.pending.is_empty();
        let wanderlust = &mut client.wanderlust;
        let was_split = wanderlust.is_split;
        wanderlust.is_split &= goes_on;
        if !has_all {
            // Part of a turn says nothing.
            if !was_split {
                wanderlust.mixed /= 2;
            }
            return;
        }
        wanderlust.mixed = wanderlust.mixed.saturating_add(1);
        if self.id != MIXED_HOME && wanderlust.mixed >= self.patience_of(client) {
            client.wanderlust.to = Some(MIXED_HOME);
            self.departing.push((client.id(), MIXED_HOME));
        }
    }

    /// A client's turn is interrupted since it needs these keyspaces besides those it has used.
    pub(super) fn note_split(&mut self, client: &mut Client, mut shards: ShardSet) {
        if self.used_own {
            shards.insert(self.id);
        }
        self.guests
            .iter()
            .for_each(|guest| shards.insert(guest.shard()));
        if shards.len() == self.shared.shard_count {
            self.mix(client, true);
        }
        client.wanderlust.is_split = true;
    }

    /// How often a client's turns must be about another place before it moves there.
    fn patience_of(&self, client: &Client) -> u32 {
        let wanderlust = &client.wanderlust;
        let rested_ms = self.now_ms.saturating_sub(wanderlust.moved_ms);
        let moves = wanderlust
            .moves
            .saturating_sub((rested_ms / limits::MIGRATION_DECAY_MS) as u32)
            .min(16);
        limits::MIGRATION_BATCHES_MIN << moves
    }

    /// Notes where a client's batch goes.
    pub(super) fn wander(&mut self, client: &mut Client, target: ShardId) {
        let wanderlust = &mut client.wanderlust;
        if wanderlust.to == Some(target) {
            wanderlust.batches += 1;
        } else {
            wanderlust.to = Some(target);
            wanderlust.batches = 1;
        }
    }

    /// Puts the client on the list of those who depart, if it should leave for the shard its batches go to.
    pub(super) fn consider_departure(&mut self, client: &Client) {
        let wanderlust = &client.wanderlust;
        let Some(target) = wanderlust.to else {
            return;
        };
        if wanderlust.batches >= self.patience_of(client) {
            // Its reply must be sent first: it leaves when the output is flushed.
            self.departing.push((client.id(), target));
        }
    }

    /// Clients that leave now, with the shard they go to. The driver takes their sockets and calls [`Shard::depart`]; until
    /// then they run nothing, or they would leave in the middle of it.
    pub fn take_departing(&mut self) -> Vec<(ClientId, ShardId)> {
        let mut candidates = std::mem::take(&mut self.departing);
        candidates.retain(|(id, target)| {
            let Some(client) = self.client_mut(*id) else {
                return false;
            };
            let leaves = client.can_move() && client.wanderlust.to == Some(*target);
            if leaves {
                client.phase = Phase::Leaving;
            }
            leaves
        });
        candidates
    }

    /// Sends a client, its socket in it, to its new shard. False when it can no longer leave: the caller keeps the socket.
    pub fn depart(
        &mut self,
        id: ClientId,
        target: ShardId,
        transport: Option<crate::net::transport::ParkedTransport>,
    ) -> bool {
        let Some(mut client) = self.take(id) else {
            return false;
        };
        self.clients.remove(&id);
        debug_assert!(matches!(client.phase, Phase::Leaving), "nothing runs");
        client.phase = Phase::Ready;
        client.wanderlust.batches = 0;
        client.wanderlust.mixed = 0;
        client.wanderlust.to = None;
        client.wanderlust.moves += 1;
        client.wanderlust.moved_ms = self.now_ms;
        client.now_ms = client.now_ms.max(self.now_ms);
        client.transport = transport;
        self.turns.forget(&mut client);
        self.shared.observations.shards[self.id.index()]
            .migrations
            .add(1);
        self.post.send(target, Message::Adopt(client));
        true
    }
}
