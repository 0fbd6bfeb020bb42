//! Keyspaces are taken and put back. One way for the commands of clients and for all other jobs.
//!
//! Invariant: what is in hand is put back before other keyspaces are taken; the thread whose ticket is next is told, and woken,
//! at once.

use std::sync::Arc;

use crate::ids::{ShardSet, shard_of};
use crate::keyspace::Space;
use crate::keyspace::wait::Waiter;
use crate::limits;

use super::env::Env;
use super::job::Job;
use super::mailbox::Message;
use super::state::Shard;

impl Shard {
    /// Takes a waiter out of the wait tables of these shards, as soon as they are free.
    pub(super) fn forget_at(&mut self, shards: ShardSet, waiter: &Arc<Waiter>) {
        for shard in shards.iter().map(ShardSet::one) {
            let waiter = Arc::clone(waiter);
            match self.hands.last_in_line(shard) {
                Some(Job::Forget(waiters)) if waiters.len() < limits::WAITERS_FORGOTTEN_AT_ONCE => {
                    waiters.push(waiter);
                }
                _ => self.hands.wait_in_line(shard, Job::Forget(vec![waiter])),
            }
        }
    }

    /// Takes a waiter out of the wait tables of all its keys.
    pub(super) fn forget_everywhere(&mut self, waiter: &Arc<Waiter>) {
        let mut shards = ShardSet::EMPTY;
        for key in &waiter.keys {
            shards.insert(shard_of(key, self.shared.shard_count));
        }
        self.forget_at(shards, waiter);
    }

    /// Takes a set of keyspaces, if all of them are free now; puts back what was in hand.
    #[inline(always)]
    pub(super) fn reach(&mut self, shards: ShardSet) -> bool {
        self.put_back();
        let now_ns = self
            .lap_ns
            .get()
            .unwrap_or_else(|| self.clock.nanoseconds());
        let counters = &self.shared.observations.shards[self.id.index()];
        if !self.hands.reach(shards, now_ns) {
            counters.tickets.add(1);
            return false;
        }
        counters.windows.add(1);
        self.prepare_hand();
        true
    }

    /// Puts back what is in hand; the work on it is finished. Then wakes the threads to which something was sent.
    pub(super) fn put_back(&mut self) {
        if !self.hands.shards().is_empty() {
            self.log_effects();
            self.tell_broadcasts();
            let post = &self.post;
            self.hands.put_back(|thread, alarm_ms| {
                post.send(thread, alarm_ms.map_or(Message::Offer, Message::Alarm));
            });
        }
        if self.post.ring() {
            // That was not the time of the next command.
            self.lap_ns.set(None);
        }
    }

    /// Works with the keyspaces in hand.
    pub(super) fn with_hand<R>(&mut self, work: impl FnOnce(&Env<'_>, &mut Space<'_>) -> R) -> R {
        let shard_count = self.shared.shard_count;
        let (mut env, hands) = self.env_and_hands();
        let hand = hands.hand_mut();
        env.now_ms = hand.advance(env.now_ms);
        let now_ms = env.now_ms;
        let mut space = hand.space(shard_count);
        space.now_ms = now_ms;
        let result = work(&env, &mut space);
        self.now_ms = now_ms;
        result
    }
}
