//! Jobs: what asks for keyspaces. A client's command is one of them, none is a special case of another.
//!
//! ```text
//! command ──► reach its set ─┬─► runs in the client's turn (window.rs)
//!                            └─► Job::Client in line ─┐
//! time ─────► Job::Alarms, Housekeeping, Expire ──────┼──► work: each set that is waited for is tried, its jobs run
//! waits' ends ► Job::Forget, metrics ► Job::Describe ─┘
//! ```

use std::sync::Arc;

use crate::ids::{ClientId, ShardId, ShardSet, shard_of};
use crate::keyspace::Space;
use crate::keyspace::wait::Waiter;
use crate::limits;

use super::Shard;
use super::describe::StreamQuery;
use super::execute::{Aftermath, Env};
use super::mailbox::Message;
use super::phase::{Happening, Phase, Reaction};

/// Work that needs keyspaces.
#[derive(Debug)]
pub(super) enum Job {
    /// A client's command that was kept, and what it has sent after it.
    Client(ClientId),
    /// Blocked clients look at the keys whose alarms are due; walks go on.
    Alarms,
    /// A round of what is done some times a second.
    Housekeeping,
    /// Keys whose time has come are removed.
    Expire,
    /// A lower limit of tracked keys.
    LimitTracked,
    /// A barrier is answered when the jobs before it are done.
    Answer { from: ShardId, client: ClientId },
    /// Waiters leave the wait tables.
    Forget(Vec<Arc<Waiter>>),
    /// Tell of the streams.
    Describe(Box<StreamQuery>),
}

impl Job {
    /// Whether a changed setting is heeded only when it has run.
    pub(super) fn follows_from_settings(&self) -> bool {
        matches!(self, Self::LimitTracked)
    }
}

impl Shard {
    /// Tries for the sets that are waited for, and runs the jobs for which it gets them: not those that come meanwhile.
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

    /// Runs the first job in line for a set; false when the set is not to be had.
    fn run_next(&mut self, shards: ShardSet) -> bool {
        if let Some(Job::Client(id)) = self.hands.first_in_line(shards)
            && self.listens(*id)
        {
            // Nobody waits for a keyspace while much is told.
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
        self.shared.observations.shards[self.id.index()]
            .windows
            .add(1);
        self.prepare_hand();
        self.run_job(job);
        self.put_back();
        true
    }

    fn run_job(&mut self, job: Job) {
        match job {
            Job::Client(client) => self.resume(client),
            Job::Alarms => self.ring(),
            Job::Housekeeping => self.keep_house(),
            Job::Expire => self.expire(),
            Job::LimitTracked => self.limit_tracked(),
            Job::Answer { from, client } => self.post.send(from, Message::BarrierSeen(client)),
            Job::Forget(waiters) => self.forget_in_hand(&waiters),
            Job::Describe(query) => {
                for keyspace in self.hands.hand_mut().keyspaces_mut() {
                    query.answer_from(keyspace, self.now_ms);
                }
            }
        }
    }

    /// A job that works with this shard's keyspace waits in line, once.
    pub(super) fn queue_own(&mut self, job: Job) {
        let kind = std::mem::discriminant(&job);
        let is_same = |other: &Job| std::mem::discriminant(other) == kind;
        if !self.hands.lines().any(is_same) {
            self.hands.wait_in_line(ShardSet::one(self.id), job);
        }
    }

    /// Takes a waiter out of the wait tables of these shards, as soon as they are to be had.
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

    /// A client whose command was kept goes on; its keyspaces are in hand. Who is told of things is told first what was sent
    /// until then.
    fn resume(&mut self, id: ClientId) {
        if self.listens(id) {
            self.hear();
            // Settings may have come.
            self.prepare_hand();
        }
        let Some(mut client) = self.take(id) else {
            return;
        };
        if client.phase.on(Happening::Hand) != Reaction::Run {
            self.put(client);
            return;
        }
        client.phase = Phase::Ready;
        self.run_taken(client, &[]);
    }

    /// Whether a client is told of what others do.
    pub(super) fn listens(&self, id: ClientId) -> bool {
        self.client(id)
            .is_some_and(|client| client.session.listens())
    }

    /// Takes in all messages that have been sent so far.
    pub(super) fn hear(&mut self) {
        for _ in 0..self.post.receive() {
            let Some(message) = self.post.next() else {
                break;
            };
            self.deliver(message);
        }
    }

    /// Gives the keyspaces in hand the settings of this moment.
    pub(super) fn prepare_hand(&mut self) {
        let (policy, is_recording) = (self.policy, self.shared.effects.is_recording());
        for keyspace in self.hands.hand_mut().keyspaces_mut() {
            // Written only when it differs: the thread that had it last has this cache line.
            if keyspace.policy != policy {
                keyspace.policy = policy;
            }
            if keyspace.effects.is_recording() != is_recording {
                keyspace.effects.set_recording(is_recording);
            }
        }
    }

    /// Takes a set of keyspaces, if they are to be had now; what was in hand is put back.
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

    /// Puts back what is in hand, the work on it being finished; then the threads that something was sent to are woken.
    pub(super) fn put_back(&mut self) {
        if !self.hands.shards().is_empty() {
            self.tell_broadcasts();
            let (post, has_offered) = (&self.post, &mut self.has_offered);
            self.hands.put_back(|thread, alarm_ms| {
                *has_offered |= alarm_ms.is_none();
                post.send(thread, alarm_ms.map_or(Message::Offer, Message::Alarm));
            });
        }
        if self.post.ring() {
            // That was not the time of the next command.
            self.lap_ns.set(None);
        }
    }

    /// Works with the keyspaces in hand, which the job has asked for.
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

    /// Lets blocked clients look at the keys whose alarms are due, and goes on with walks.
    fn ring(&mut self) {
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
}
