//! Eviction: keys go until no more memory is used than allowed, from each shard by what it holds.
//!
//! ```text
//! too much ─► shared out (observe/memory.rs): what each shard has to give up
//!             ├─ keyspaces in hand ───────────► evicted from now
//!             ├─ others that are free now ────► taken one by one, evicted from, put back
//!             └─ others ──────────────────────► Job::Evict in their line
//! ```
//! The command that found that there is too much does not wait for the others' parts, nor for its own beyond the time it may
//! take (`maxmemory-eviction-tenacity`): the rest is a job. No more than one shard is taken for it at a time.
//!
//! What is freed is measured around the removal of the key alone: what telling of it takes (effects, events, notices) is not set
//! against it, or telling would make more keys go. For the same reason nothing more is found to be too much before the clients that
//! were told have been sent it.

use std::sync::atomic::Ordering;

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::InHand;
use crate::keyspace::evict::{Choice, EvictionPolicy};
use crate::observe::meter;
use crate::pubsub::registry::ChannelKind;

use super::env::{Aftermath, Env};
use super::headroom::{MemoryLimits, Room, evictable, over};
use super::job::Job;
use super::state::Shard;

/// Keys that go before the clock is looked at.
const KEYS_PER_LOOK: usize = 16;
/// What one key must have freed for a look after it alone, bytes.
const LOOK_BYTES: i64 = 64 * 1024;
/// The longest wait for memory that is being freed, ns.
const WAIT_NS_MAX: u64 = 500_000;

impl Shard {
    /// Whether keys may go at all now. What cannot be logged is not done.
    pub(super) fn may_evict(&self) -> bool {
        !self.shared.observations.persistence.is_loading()
            && !self.shared.busy_scripts.any()
            && !self.is_paused()
            && !self.log.is_in_trouble()
    }

    /// Evicts for a command; see the module's head.
    pub(super) fn evict_for_command(&mut self, policy: EvictionPolicy, holds: bool) -> Room {
        let begun_ns = self.clock.nanoseconds();
        let weights = evictable(&self.shared, policy);
        if weights.iter().all(|count| *count == 0) {
            // Not with keyspaces in hand that others want.
            return if holds {
                Room::None
            } else {
                self.put_back();
                self.wait_for_room(begun_ns)
            };
        }
        let limit_ns = self.settings.memory.eviction_ns();
        let deadline_ns = limit_ns.map_or(u64::MAX, |ns| begun_ns.saturating_add(ns));
        self.forgive(&weights);
        if !self.is_telling(begun_ns) {
            let too_much = over(&self.shared, &self.limits, begun_ns);
            let facts = &self.shared.observations.memory;
            facts.share_out(too_much, &weights);
        }
        // Not measured again: who is told of keys that went takes memory for a moment, and more keys would go for that.
        let count = self.evict_everywhere(policy, holds, deadline_ns);
        self.queue_evictions();
        self.lap_ns.set(None);
        if count > 0 { Room::Made } else { Room::Enough }
    }

    /// No key may go any more. What went is perhaps being freed; for a moment that is worth waiting for. Source: Redis does too.
    fn wait_for_room(&self, begun_ns: u64) -> Room {
        let observed = &self.shared.observations;
        let limit_ns = self.settings.memory.eviction_ns();
        let limit_ns = limit_ns.unwrap_or(WAIT_NS_MAX).min(WAIT_NS_MAX);
        while observed.lazy_free_pending.load(Ordering::Relaxed) > 0 {
            let now_ns = self.clock.nanoseconds();
            if now_ns.saturating_sub(begun_ns) >= limit_ns {
                break;
            }
            meter::correct();
            if over(&self.shared, &self.limits, now_ns) == 0 {
                return Room::Enough;
            }
            std::thread::yield_now();
        }
        Room::None
    }

    /// Shards without keys that may go owe nothing.
    fn forgive(&self, weights: &[u64]) {
        let facts = &self.shared.observations.memory;
        for (debt, weight) in facts.debts.iter().zip(weights) {
            if *weight == 0 {
                debt.store(0, Ordering::Relaxed);
            }
        }
    }

    fn debt(&self, shard: ShardId) -> i64 {
        let facts = &self.shared.observations.memory;
        facts.debts[shard.index()].load(Ordering::Relaxed)
    }

    /// Evicts what shards owe: those in hand, and if that may be put back those that are free. Gives how many keys went.
    fn evict_everywhere(&mut self, policy: EvictionPolicy, holds: bool, deadline_ns: u64) -> usize {
        let mut count = self.evict_in_hand(policy, deadline_ns);
        if holds {
            return count;
        }
        let in_hand = self.hands.shards();
        for shard in ShardSet::all(self.shared.shard_count).iter() {
            if in_hand.contains(shard) || self.debt(shard) <= 0 {
                continue;
            }
            if self.clock.nanoseconds() >= deadline_ns {
                break;
            }
            self.lap_ns.set(None);
            if self.reach(ShardSet::one(shard)) {
                count += self.evict_in_hand(policy, deadline_ns);
            }
        }
        count
    }

    /// Evicts from the keyspaces in hand what they owe. Gives how many keys went.
    pub(super) fn evict_in_hand(&mut self, policy: EvictionPolicy, deadline_ns: u64) -> usize {
        if self.hands.shards().is_empty() {
            return 0;
        }
        let choice = Choice {
            policy,
            samples: self.settings.memory.samples,
        };
        let limits = self.limits;
        let mut after = Aftermath::default();
        let count = self.with_hand(|env, space| {
            let facts = &env.shared.observations.memory;
            let unlink = env.settings.lazyfree.eviction;
            let mut count = 0;
            let mut is_over = false;
            for keyspace in space.keyspaces_mut() {
                if is_over {
                    break;
                }
                let shard = keyspace.shard().index();
                let debt = &facts.debts[keyspace.shard().index()];
                while debt.load(Ordering::Relaxed) > 0 {
                    let Some(victim) = keyspace.victim(choice) else {
                        debt.store(0, Ordering::Relaxed);
                        break;
                    };
                    let freed = keyspace.drop_victim(&victim, meter::net);
                    facts.pay(shard, freed);
                    keyspace.tell_evicted(&victim, unlink);
                    count += 1;
                    let is_time = count % KEYS_PER_LOOK == 0 || freed >= LOOK_BYTES;
                    if is_time && is_enough(env, &limits, deadline_ns) {
                        is_over = true;
                        break;
                    }
                }
            }
            if count > 0 {
                env.collect(space, &mut after);
                env.log(space, "evict");
                env.serve(space, &mut after);
            }
            count
        });
        let has_subscribers = |kind| self.shared.channels.name_count(kind) > 0;
        let is_heard = self.shared.tracking.client_count() > 0
            || after.publishes()
                && (has_subscribers(ChannelKind::Channel) || has_subscribers(ChannelKind::Pattern));
        if is_heard {
            let observed = &self.shared.observations;
            let now_ns = self.clock.nanoseconds();
            observed.memory.begin_telling(&observed.shards, now_ns);
        }
        self.dispatch(after, None);
        count
    }

    fn is_telling(&self, now_ns: u64) -> bool {
        let observed = &self.shared.observations;
        observed.memory.is_telling(&observed.shards, now_ns)
    }

    /// What shards still owe is a job in their lines.
    pub(super) fn queue_evictions(&mut self) {
        for shard in ShardSet::all(self.shared.shard_count).iter() {
            let is_queued = |job: &Job| matches!(job, Job::Evict(other) if *other == shard);
            if self.debt(shard) > 0 && !self.hands.lines().any(is_queued) {
                self.hands
                    .wait_in_line(ShardSet::one(shard), Job::Evict(shard));
            }
        }
    }

    /// Goes on with what a shard owes, which is in hand.
    pub(super) fn go_on_evicting(&mut self) {
        let Some(policy) = self.limits.policy else {
            return;
        };
        let now_ns = self.clock.nanoseconds();
        if !self.may_evict() {
            return;
        }
        if over(&self.shared, &self.limits, now_ns) == 0 {
            self.shared.observations.memory.forget_debts();
            return;
        }
        let weights = evictable(&self.shared, policy);
        self.forgive(&weights);
        if !self.is_telling(now_ns) {
            let too_much = over(&self.shared, &self.limits, now_ns);
            let facts = &self.shared.observations.memory;
            facts.share_out(too_much, &weights);
        }
        let limit_ns = self.settings.memory.eviction_ns().unwrap_or(500_000);
        self.evict_in_hand(policy, now_ns.saturating_add(limit_ns));
        if weights.iter().any(|count| *count > 0) {
            self.queue_evictions();
        }
    }

    /// Evicts though no command asks for room: a limit was lowered, clients have taken more.
    pub(super) fn evict_in_time(&mut self) {
        let now_ns = self.clock.nanoseconds();
        if self.limits.policy.is_some()
            && over(&self.shared, &self.limits, now_ns) > 0
            && !self.is_telling(now_ns)
        {
            self.queue_own(Job::Evict(self.id));
        }
    }
}

/// Whether enough has gone, or the time is over.
fn is_enough(env: &Env<'_>, limits: &MemoryLimits, deadline_ns: u64) -> bool {
    let now_ns = env.clock.nanoseconds();
    now_ns >= deadline_ns || over(env.shared, limits, now_ns) == 0
}
