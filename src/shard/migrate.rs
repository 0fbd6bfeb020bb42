//! Moving a connection to where its keys are.
//!
//! A client moves to the thread of the shard that most of its windows are about: that thread has its cache lines, nobody else
//! takes that keyspace, and who waits for a key is on the thread of those who push to it: to wake another thread costs more
//! than a command. Each move doubles how long it takes until the next, and that decays over seconds. Only between commands,
//! with everything sent and nothing that ties it to its thread.
//!
//! Measured on two cores, 2 shards, CPU for each against moving only who has long or contended windows: one queue, a command at
//! a time, 3.7 instead of 4.6 µs; hand-over by BRPOP 31 instead of 36 µs (8 shards: 43).

use crate::ids::{ClientId, ShardId, ShardSet};
use crate::limits;

use super::Shard;
use super::client::Client;
use super::mailbox::Message;
use super::phase::Phase;

/// What a client's windows were about lately.
#[derive(Debug, Default)]
pub(super) struct Habits {
    /// The set that most of them were about …
    shards: ShardSet,
    /// … and by how much: a window about another set counts twice, so it is at least two thirds of them.
    score: u32,
    /// Windows since that is so.
    windows: u32,
    moves: u32,
    moved_ms: u64,
}

impl Habits {
    /// Notes a window.
    pub(super) fn window(&mut self, shards: ShardSet) {
        if shards == self.shards {
            self.score = (self.score + 1).min(SCORE_MAX);
        } else if self.score < 2 {
            self.shards = shards;
            self.score = 1;
            self.windows = 0;
        } else {
            self.score -= 2;
        }
        self.windows = self.windows.saturating_add(1);
    }

    /// Where it is best placed: the lowest shard of the set that nearly all its windows are about.
    fn place(&self) -> Option<ShardId> {
        self.shards.first().filter(|_| self.score >= SCORE_MIN)
    }

    fn moved(&mut self, now_ms: u64) {
        *self = Self {
            moves: self.moves + 1,
            moved_ms: now_ms,
            ..Self::default()
        };
    }
}

/// By how much most windows must be about one set.
const SCORE_MIN: u32 = 6;
/// What was long ago is forgotten.
const SCORE_MAX: u32 = 16;

impl Shard {
    /// How often a client's turns must be about another place before it moves there.
    fn patience_of(&self, client: &Client) -> u32 {
        let habits = &client.habits;
        let rested_ms = self.now_ms.saturating_sub(habits.moved_ms);
        let moves = habits
            .moves
            .saturating_sub((rested_ms / limits::MIGRATION_DECAY_MS) as u32)
            .min(16);
        limits::MIGRATION_WINDOWS_MIN << moves
    }

    /// Puts the client on the list of those who depart, if it should leave for where its windows are.
    pub(super) fn consider_departure(&mut self, client: &Client) {
        let Some(target) = client.habits.place() else {
            return;
        };
        if target != self.id && client.habits.windows >= self.patience_of(client) {
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
            let leaves = client.can_move() && client.habits.place() == Some(*target);
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
        client.habits.moved(self.now_ms);
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
