//! The work of a round: jobs whose keyspaces are free, then the clients that can go on.
//!
//! ```text
//! command ──► reach its set ─┬─► runs in the client's turn (window.rs)
//!                            └─► Job::Client in line ─┐
//! time ─────► Job::Alarms, Housekeeping, Expire ──────┼──► each set that is due is tried, its jobs run
//! waits' ends ► Job::Forget, metrics ► Job::Describe ─┘
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::ids::{ClientId, ShardSet};
use crate::keyspace::InHand;
use crate::keyspace::wait::Waiter;
use crate::limits;

use super::env::Aftermath;
use super::job::Job;
use super::mailbox::Message;
use super::phase::{Happening, Phase, Reaction};
use super::state::Shard;

impl Shard {
    /// What is done with the keyspace some times a second.
    pub(super) fn keep_house(&mut self) {
        let id = self.id;
        self.with_hand(|env, space| {
            let Some(keyspace) = space.of_shard(id) else {
                return;
            };
            let shown = &keyspace.counters().databases;
            for (db, shown) in (0..keyspace.database_count()).zip(shown) {
                let average_ms = keyspace.database(db).average_ttl_ms(env.now_ms);
                shown.average_ttl_ms.set(average_ms);
            }
            let stream_count = keyspace.stream_count() as u64;
            keyspace.counters().streams.set(stream_count);
            keyspace.end_producers(env.now_ms);
            keyspace.sweep_watchers();
        });
        if self.shared.tracking.client_count() > 0 {
            self.limit_tracked();
        }
        self.expire();
        self.evict_in_time();
    }

    fn may_expire(&self) -> bool {
        self.shared.active_expire.load(Ordering::Acquire)
            && !self.shared.cron_paused.load(Ordering::Acquire)
            && !self.is_paused()
            && !self.log.is_in_trouble()
    }

    /// One round of expiry; comes back to the end of the line when there is more.
    pub(super) fn expire(&mut self) {
        if !self.may_expire() {
            return;
        }
        let mut after = Aftermath::default();
        let id = self.id;
        let count = self.with_hand(|env, space| {
            let Some(keyspace) = space.of_shard(id) else {
                return 0;
            };
            if keyspace.next_expiry_ms().is_none_or(|at| at >= env.now_ms) {
                return 0;
            }
            env.expire(keyspace, limits::EXPIRIES_PER_ROUND_MAX, &mut after)
        });
        self.dispatch(after, None);
        if count == limits::EXPIRIES_PER_ROUND_MAX {
            self.queue_own(Job::Expire);
        }
    }

    /// Tries to take the sets that jobs wait for, and runs the jobs for which it gets them. Jobs that come meanwhile run next time.
    pub(super) fn run_lines(&mut self) {
        if self.hands.lines().is_empty() {
            return;
        }
        for (shards, count) in self.hands.lines().due(self.clock.nanoseconds()) {
            for _ in 0..count.min(limits::JOBS_PER_ROUND_MAX) {
                if !self.run_next(shards) {
                    break;
                }
            }
            self.hands.tidy(shards);
        }
    }

    /// Runs the first job in line for a set; false when the set is not free.
    fn run_next(&mut self, shards: ShardSet) -> bool {
        if let Some(Job::Client(id)) = self.hands.first_in_line(shards)
            && self.clients.listens(*id)
        {
            // Before the keyspaces are taken, so that nobody waits for them while a long mailbox is delivered.
            self.hear();
        }
        let now_ns = self.clock.nanoseconds();
        let mut offers = ShardSet::EMPTY;
        let offer = |thread| offers.insert(thread);
        let job = self.hands.reach_in_line(shards, now_ns, offer);
        for thread in offers.iter() {
            self.post.send(thread, Message::Offer);
        }
        let Some(job) = job else {
            self.put_back();
            return false;
        };
        if matches!(job, Job::Client(_)) {
            let counters = &self.shared.observations.shards[self.id.index()];
            counters.windows.add(1);
        }
        self.prepare_hand();
        self.run_job(job);
        self.put_back();
        true
    }

    fn run_job(&mut self, job: Job) {
        // The time before it does not count as its own.
        self.lap_ns.set(None);
        match job {
            Job::Client(client) => self.resume(client),
            Job::Alarms => self.ring(),
            Job::Housekeeping => self.keep_house(),
            Job::Expire => self.expire(),
            Job::Evict(_) => self.go_on_evicting(),
            Job::LimitTracked => self.limit_tracked(),
            Job::Answer { from, client } => self.answer_barrier(from, client),
            Job::Forget(waiters) => self.forget_in_hand(&waiters),
            Job::Remove(done) => self.remove_migrated(&done),
            Job::Cut(run) => self.cut(&run),
            Job::Step(run) => self.step_snapshot(&run),
            Job::Describe(query) => {
                for keyspace in self.hands.hand_mut().keyspaces_mut() {
                    query.answer_from(keyspace, self.now_ms);
                }
            }
        }
    }

    fn forget_in_hand(&mut self, waiters: &[Arc<Waiter>]) {
        let shard_count = self.shared.shard_count;
        let mut space = self.hands.hand_mut().space(shard_count);
        for waiter in waiters {
            for key in &waiter.keys {
                if space.holds(key) {
                    space.of(key).waits_mut(waiter.db).forget(key, waiter);
                }
            }
        }
    }

    /// A client whose command was kept goes on; its keyspaces are in hand. A subscriber or tracking client first receives what
    /// was sent until then.
    pub(super) fn resume(&mut self, id: ClientId) {
        if self.clients.listens(id) {
            self.hear();
            // Settings may have come.
            self.prepare_hand();
        }
        let Some(mut client) = self.clients.take(id) else {
            return;
        };
        if client.phase.on(Happening::Hand) != Reaction::Run {
            self.clients.put(client);
            return;
        }
        client.phase = Phase::Ready;
        self.run_taken(client, &[]);
    }

    /// Lets blocked clients look at the keys whose alarms are due, and goes on with walks.
    pub(super) fn ring(&mut self) {
        let mut after = Aftermath::default();
        let (id, now_ms) = (self.id, self.now_ms);
        let is_paused = self.is_paused();
        let mut walked = None;
        self.with_hand(|env, space| {
            let Some(keyspace) = space.of_shard(id) else {
                return;
            };
            walked = keyspace.step_walk(limits::WALKED_PER_TURN_MAX);
            let is_due = keyspace.next_alarm_ms().is_some_and(|at| at <= now_ms);
            if is_due && !is_paused {
                env.ring(keyspace, limits::ALARMS_PER_ROUND_MAX, &mut after);
            }
        });
        if let Some(walked) = walked {
            let home = walked.home;
            self.post.send(home, Message::Walked(Box::new(walked)));
        }
        self.dispatch(after, None);
    }

    /// Tries for what jobs wait for, and gives runnable clients a turn; true when work is left that can be done now.
    pub fn work(&mut self) -> bool {
        self.release_behind();
        let has_jobs = !self.hands.lines().is_empty();
        if !has_jobs && !self.has_work() {
            // No look at the clock for nothing.
            return false;
        }
        self.refresh();
        if std::mem::take(&mut self.has_busy_news) {
            self.tell_of_busy_script();
        }
        self.run_lines();
        self.go_on_with_busy();
        let turn_count = if self.is_stopping() {
            0
        } else {
            self.clients.turn_count().min(limits::TURNS_PER_ROUND_MAX)
        };
        for _ in 0..turn_count {
            let Some(id) = self.clients.next_turn() else {
                break;
            };
            self.run_client(id, &[]);
        }
        self.post.ring();
        self.has_work()
    }

    /// Whether work is left that can be done now. A job with a ticket is none: its thread gets an offer, or tries again in time.
    pub fn has_work(&self) -> bool {
        let has_turns = self.clients.turn_count() > 0 && !self.is_stopping();
        let has_script = self.busy.is_some() || self.has_busy_news;
        let looks_again = self.outstanding.waits_for(self.id);
        has_turns || has_script || looks_again || self.hands.lines().any_called()
    }

    /// Forgets tracked keys when there are too many: the limit is lower now, or other shards have too many too.
    pub(super) fn limit_tracked(&mut self) {
        let mut after = Aftermath::default();
        self.with_hand(|env, space| {
            for keyspace in space.keyspaces_mut() {
                env.limit_tracked(keyspace);
            }
            env.collect(space, &mut after);
        });
        self.dispatch(after, None);
    }
}
