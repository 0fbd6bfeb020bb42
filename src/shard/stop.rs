//! The end of the process, as each shard goes through it.
//!
//! ```text
//! Stop ─► nothing is read, no turn begins ─► barriers and jobs under way end ─► replies are sent ─► drained
//!                                                                                       (for a moment)       │
//!                                         leaves its loop ◄── Drained, to everybody ◄── the last of all shards
//! ```
//! Invariant: no shard leaves its loop before all have drained. Until then each answers what the others have asked it, so
//! no barrier is left without its answer. Drained comes by mail: what was sent before is delivered before.
//!
//! What it does not do: wait for a client that does not read, or for one that waits (BLPOP, KEYS over very many).

use std::sync::atomic::Ordering;

use crate::ids::ShardId;
use crate::limits;

use super::job::Job;
use super::mailbox::Message;
use super::phase::Phase;
use super::state::{Shard, Stop};

impl Shard {
    /// Ends the process: tells its owner; without one (in a simulation) the shards tell each other.
    pub(super) fn shut_down(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        match self.shared.process.get() {
            Some(process) => process.stop(),
            None => self.tell_all(|| Message::Stop),
        }
    }

    fn tell_all(&self, message: impl Fn() -> Message) {
        for number in 0..self.shared.shard_count {
            self.post.send(ShardId(number as u16), message());
        }
    }

    /// The process ends. Replies that were to wait for others leave now.
    pub(super) fn stop(&mut self) {
        if self.stop.is_some() {
            return;
        }
        self.stop = Some(Stop {
            deadline_ms: self.now_ms + limits::LAST_REPLIES_MS,
            has_drained: false,
            have_all_drained: false,
        });
        self.clients.keep_all();
        self.abandon_busy();
        // Nobody's command begins any more, and timers are over. Who waits for an answer of this shard gets it.
        let post = &self.post;
        let jobs = self.hands.clear(|thread| post.send(thread, Message::Offer));
        for job in jobs {
            if let Job::Answer { from, client } = job {
                post.send(from, Message::BarrierSeen(client));
            }
        }
        self.clients.note_all_output();
    }

    /// No shard has anything left to do.
    pub(super) fn all_have_drained(&mut self) {
        if let Some(stop) = &mut self.stop {
            stop.have_all_drained = true;
        }
    }

    /// When the shard is to look again whether it may leave, Unix ms.
    pub(super) fn stop_deadline_ms(&self) -> Option<u64> {
        self.stop.map(|stop| stop.deadline_ms)
    }

    /// Tells the others once this shard has nothing left to do. True when it may leave its loop, since all have.
    pub fn drain(&mut self) -> bool {
        let Some(stop) = self.stop else {
            return false;
        };
        let gives_up = self.now_ms >= stop.deadline_ms;
        if self.has_work_under_way() || !gives_up && self.has_unsent_output() {
            return false;
        }
        if !stop.has_drained {
            self.stop = Some(Stop {
                has_drained: true,
                ..stop
            });
            let drained = self.shared.drained_shards.fetch_add(1, Ordering::AcqRel) + 1;
            if drained == self.shared.shard_count {
                self.tell_all(|| Message::Drained);
            }
        }
        stop.have_all_drained
    }

    /// Whether another shard waits for this one, or this one for another.
    fn has_work_under_way(&self) -> bool {
        let is_asking = |phase: &Phase| matches!(phase, Phase::Barrier { .. });
        let mut clients = self.clients.iter();
        !self.hands.lines().is_empty() || clients.any(|client| is_asking(&client.phase))
    }

    fn has_unsent_output(&self) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|client| !client.output.is_empty())
    }
}
