//! Replies that wait until other threads have seen what they tell of.
//!
//! ```text
//! CONFIG SET, MONITOR, KILL … ──Barrier──► each thread: settings, pause, what follows from them ──BarrierSeen──► reply
//! ```
//! What follows from a KILL is that connections end: the killer's program may use one again that it still finds open, and its command
//! would be lost. Not so where the killed client has a script that is busy, or is on its way to another thread: it ends behind that.

use crate::ids::{ClientId, ShardId, ShardSet};
use crate::resp::reply::{Mark, Reply};

use super::client::Client;
use super::job::Job;
use super::mailbox::Message;
use super::phase::Phase;
use super::state::Shard;

impl Shard {
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
            match self.shared.clients.shard_of(*id) {
                Some(shard) => {
                    self.post.send(shard, Message::Poke(*id));
                    shards.insert(shard);
                }
                // Its thread has seen it before, and may be about to close its socket.
                None => shards = ShardSet::all(self.shared.shard_count),
            }
        }
        self.hold_until_seen(own, reply, mark, shards);
    }

    /// Holds the reply back until no shard has the socket of a client that has left the registry: the killer of one that somebody else
    /// has killed finds nobody, and no open connection either.
    pub(super) fn hold_until_gone(&mut self, own: &mut Client, reply: &mut Reply, mark: Mark) {
        self.hold_until_seen(own, reply, mark, ShardSet::all(self.shared.shard_count));
    }

    /// Another thread's client waits until this one has seen the shared facts, and has done what follows from them.
    pub(super) fn pass_barrier(&mut self, from: ShardId, client: ClientId) {
        self.refresh();
        self.clients.release_paused(self.now_ms);
        if self.hands.lines().any(Job::follows_from_settings) {
            let own = ShardSet::one(self.id);
            self.hands.wait_in_line(own, Job::Answer { from, client });
        } else {
            self.answer_barrier(from, client);
        }
    }

    /// Answers a barrier of a client: at once, or behind the closing of the sockets of who is gone.
    pub(super) fn answer_barrier(&mut self, from: ShardId, client: ClientId) {
        if self.clients.has_closed() {
            self.answers_behind_closed.push((from, client));
        } else {
            self.post.send(from, Message::BarrierSeen(client));
        }
    }

    /// The sockets of all who were gone are closed: answers the barriers that came before that.
    pub fn sockets_are_closed(&mut self) {
        for (from, client) in std::mem::take(&mut self.answers_behind_closed) {
            self.post.send(from, Message::BarrierSeen(client));
        }
    }

    /// Holds the reply back until every shard has seen the shared facts, and done what follows from them.
    pub(super) fn raise_barrier(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        self.settings_version = u64::MAX;
        self.refresh();
        self.clients.release_paused(self.now_ms);
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

    /// What a client has asked to be saved is saved; or it is not, and this is its reply.
    pub(super) fn saved(&mut self, id: ClientId, error: Option<Vec<u8>>) {
        if let (Some(error), Some(client)) = (error, self.clients.get_mut(id))
            && let Phase::Barrier { reply, .. } = &mut client.phase
        {
            reply.clear();
            reply.raw(&error);
        }
        self.barrier_seen(id);
    }

    /// Holds the reply back until another thread has done what the client has asked for.
    pub(super) fn hold_until_done(&mut self, client: &mut Client, reply: &mut Reply, mark: Mark) {
        hold_for(client, reply, mark, 1);
    }

    /// One more shard has seen the shared facts.
    pub(super) fn barrier_seen(&mut self, id: ClientId) {
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        if let Phase::Barrier { missing, reply } = &mut client.phase {
            *missing -= 1;
            if *missing == 0 {
                client.output.take(reply);
                client.held_for = client.held_for.max(self.log.end());
                self.release_behind_reply(&mut client);
                self.go_on_within_credit(&mut client);
            }
        }
        self.clients.put(client);
    }
}

/// Holds the reply of a client back for so many more answers.
fn hold_for(client: &mut Client, reply: &mut Reply, mark: Mark, answers: usize) {
    if let Phase::Barrier { missing, .. } = &mut client.phase {
        *missing += answers;
        return;
    }
    debug_assert!(!client.phase.holds_a_reply(), "it would be lost");
    client.phase = Phase::Barrier {
        missing: answers,
        reply: reply.split_off(mark),
    };
}
