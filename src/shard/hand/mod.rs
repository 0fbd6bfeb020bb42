//! Hands: how work gets its keyspaces. One way for commands, EXEC, timers and whatever else works with keys.
//!
//! ```text
//!  job ── which keyspaces? ──► reach ─┬─► hand ──► runs ──► put back: offers and earlier alarms go to other threads
//!                                     └─► line (one for each set of keyspaces, one ticket) ──► offer ──► reach
//! ```
//! `berths.rs` where keyspaces lie · `line.rs` the jobs of this thread that wait.
//!
//! Invariants: what is in the hand is put back before its thread looks at its sockets, sleeps or takes another set; the work on
//! it is finished by then. With one shard nothing is shared: its keyspace is taken without a lock.

pub mod berths;
mod line;

use std::sync::Arc;

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::{Keyspace, KeyspacePolicy, Space};
use crate::limits;

use super::clock::Clock;
use super::job::Job;
use super::mailbox::Post;

use berths::Taken;
use line::Lines;

/// Keyspaces in hand, by shard. They must be put back: a half-changed keyspace must not go on serving.
#[derive(Debug, Default)]
pub(super) struct Hand {
    keyspaces: Taken<Box<Keyspace>>,
    shards: ShardSet,
    /// Commands that ran with it.
    pub(super) commands: u32,
    /// When it was taken, ns.
    taken_ns: u64,
}

impl Hand {
    /// Which keyspaces these are.
    pub(super) fn shards(&self) -> ShardSet {
        self.shards
    }

    /// What a command reaches.
    pub(super) fn space(&mut self, shard_count: usize) -> Space<'_> {
        match &mut *self.keyspaces {
            [] => Space::none(shard_count),
            [one] => Space::one(one, shard_count),
            many => Space::many(many, shard_count),
        }
    }

    pub(super) fn keyspaces_mut(&mut self) -> &mut [Box<Keyspace>] {
        &mut self.keyspaces
    }

    /// Whether an element of any value of a database, or of all, has ended.
    #[inline]
    pub(super) fn elements_have_ended(&self, db: Option<usize>, now_ms: u64) -> bool {
        let mut keyspaces = self.keyspaces.iter();
        keyspaces.any(|keyspace| keyspace.elements_have_ended(db, now_ms))
    }

    /// The time of a command: no keyspace in hand has seen a later one. They have seen this one from now on.
    pub(super) fn advance(&mut self, now_ms: u64) -> u64 {
        let seen = self.keyspaces.iter().map(|keyspace| keyspace.now_ms);
        let now_ms = seen.fold(now_ms, u64::max);
        for keyspace in &mut self.keyspaces {
            if keyspace.now_ms != now_ms {
                keyspace.now_ms = now_ms;
            }
        }
        now_ms
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        if !self.keyspaces.is_empty() {
            // Nobody may go on with what is half changed, and nobody would find it.
            std::process::abort();
        }
    }
}

/// What a thread has in hand, and which of its jobs wait.
pub(super) struct Hands {
    id: ShardId,
    shard_count: usize,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    /// The only keyspace, when there is one shard, and it is not in the hand.
    only: Option<Box<Keyspace>>,
    hand: Hand,
    lines: Lines<Job>,
    /// When the keyspace of this shard must be looked at, Unix ms.
    alarm_ms: u64,
    /// What the settings and CLIENT PAUSE mean to keyspaces in hand.
    policy: KeyspacePolicy,
    /// Whether it has offered keyspaces to other threads.
    has_offered: bool,
    /// How often it looks for a keyspace that is in another hand before it waits in line.
    spins: u32,
}

impl Hands {
    /// With the keyspace of this shard put into its berth.
    pub(super) fn new(
        keyspace: Box<Keyspace>,
        shard_count: usize,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let id = keyspace.shard();
        post.berths().put(id, keyspace, u64::MAX, true, || 0);
        let mut hands = Self::without_keyspace(id, shard_count, post, clock);
        hands.fetch_only();
        hands
    }

    /// Without a keyspace: that of this shard is loaded elsewhere, and will lie in its berth.
    pub(super) fn without_keyspace(
        id: ShardId,
        shard_count: usize,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // Where threads share cores the holder may not be running: then looking only keeps it from running.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            id,
            shard_count,
            post,
            clock,
            only: None,
            hand: Hand::default(),
            lines: Lines::new(),
            alarm_ms: u64::MAX,
            policy: KeyspacePolicy::default(),
            has_offered: false,
            spins: if shard_count > cores {
                limits::SPINS_SHARING_CORES
            } else {
                limits::SPINS_MAX
            },
        }
    }

    /// The only keyspace lies in its berth, where it was put when it was loaded: with one shard it is taken from there once.
    pub(super) fn fetch_only(&mut self) {
        if self.shard_count == 1 && self.only.is_none() {
            let taken = self.post.berths().take(ShardSet::all(1), 0);
            self.only = taken.and_then(|mut taken| taken.pop());
        }
    }

    /// Which keyspaces are in hand.
    pub(super) fn shards(&self) -> ShardSet {
        self.hand.shards
    }

    /// What is in hand, to work with beside other parts of the shard.
    pub(super) fn hand_mut(&mut self) -> &mut Hand {
        &mut self.hand
    }

    /// Gives the hand away for some work; [`Hands::resume`] brings it back.
    pub(super) fn lend(&mut self) -> Hand {
        std::mem::take(&mut self.hand)
    }

    /// The work is done.
    pub(super) fn resume(&mut self, hand: Hand) {
        debug_assert!(self.hand.keyspaces.is_empty(), "two hands");
        let _ = std::mem::replace(&mut self.hand, hand);
    }

    /// The settings of this moment, for what is taken from now on.
    pub(super) fn set_policy(&mut self, policy: KeyspacePolicy) {
        self.policy = policy;
    }

    /// Gives the keyspaces in hand the settings of this moment.
    pub(super) fn prepare(&mut self, is_recording: bool) {
        for keyspace in &mut self.hand.keyspaces {
            // Written only when it differs: the thread that had it last has this cache line.
            if keyspace.policy != self.policy {
                keyspace.policy = self.policy;
            }
            if keyspace.effects.is_recording() != is_recording {
                keyspace.effects.set_recording(is_recording);
            }
        }
    }

    /// Whether it has offered keyspaces to other threads since the last call.
    pub(super) fn take_offered(&mut self) -> bool {
        std::mem::take(&mut self.has_offered)
    }

    /// Whether others wait for what is in hand, and it has been long enough in this one.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        if self.shard_count == 1 || self.hand.shards.is_empty() {
            return false;
        }
        let held_ns = now_ns.saturating_sub(self.hand.taken_ns);
        let is_long = self.hand.commands >= limits::WANTED_HAND_COMMANDS_MAX
            || held_ns >= limits::WANTED_HAND_NS_MAX;
        is_long && self.post.berths().are_wanted(self.hand.shards)
    }

    /// Takes the set; the hand is empty. False when not all of it is free.
    #[inline]
    pub(super) fn reach(&mut self, shards: ShardSet, now_ns: u64) -> bool {
        debug_assert!(self.hand.keyspaces.is_empty(), "one hand at a time");
        let taken = if self.shard_count == 1 {
            self.only.take().map(|only| {
                let mut taken = Taken::new();
                taken.push(only);
                taken
            })
        } else if self.awaits(shards) {
            self.post.berths().take(shards, now_ns)
        } else {
            None
        };
        self.hold(shards, taken, now_ns)
    }

    /// Tries to take the set for the first job in line; the hand is empty. Gives the job when it has the set in hand. `offer` gets
    /// the threads that are to try instead.
    pub(super) fn reach_in_line(
        &mut self,
        shards: ShardSet,
        now_ns: u64,
        offer: impl FnMut(ShardId),
    ) -> Option<Job> {
        if self.shard_count == 1 {
            let is_there = self.reach(shards, now_ns);
            let line = self.lines.get_mut(shards)?;
            if is_there {
                return line.won();
            }
            // It is being loaded. Nobody offers it: the thread looks again after a while, and sleeps meanwhile.
            let berths = self.post.berths();
            line.ticket(now_ns, |shards| berths.ticket(self.id, shards));
            line.lost();
            return None;
        }
        self.awaits(shards);
        let berths = self.post.berths();
        let line = self.lines.get_mut(shards)?;
        let ticket = line.ticket(now_ns, |shards| berths.ticket(self.id, shards));
        let taken = berths.claim(&ticket, line.is_old(now_ns), now_ns, offer);
        let job = if taken.is_some() {
            line.won()
        } else {
            line.lost();
            None
        };
        self.hold(shards, taken, now_ns);
        job
    }

    fn hold(
        &mut self,
        shards: ShardSet,
        taken: Option<Taken<Box<Keyspace>>>,
        taken_ns: u64,
    ) -> bool {
        let Some(keyspaces) = taken else {
            return false;
        };
        let hand = Hand {
            keyspaces,
            shards,
            commands: 0,
            taken_ns,
        };
        self.resume(hand);
        true
    }

    /// Puts back what is in hand. `tell` gets a thread and `None` when it is offered something, or the time by which it must look at
    /// its keyspace.
    pub(super) fn put_back(&mut self, mut tell: impl FnMut(ShardId, Option<u64>)) {
        let mut hand = self.lend();
        hand.shards = ShardSet::EMPTY;
        for keyspace in hand.keyspaces.drain(..) {
            debug_assert!(keyspace.is_settled(), "put back with work undone");
            let shard = keyspace.shard();
            let alarm_ms = alarm_of(&keyspace);
            let is_own = shard == self.id;
            if is_own {
                self.alarm_ms = alarm_ms;
            }
            if self.shard_count == 1 {
                self.only = Some(keyspace);
                continue;
            }
            let berths = self.post.berths();
            let now_ns = || self.clock.nanoseconds();
            let put = berths.put(shard, keyspace, alarm_ms, is_own, now_ns);
            if put.is_early {
                tell(shard, Some(alarm_ms));
            }
            if let Some(thread) = put.offer {
                self.has_offered = true;
                tell(thread, None);
            }
        }
    }

    /// Another thread has put this shard's keyspace back: it must be looked at by then, Unix ms.
    pub(super) fn arm(&mut self, alarm_ms: u64) {
        self.alarm_ms = self.alarm_ms.min(alarm_ms);
    }

    /// When this shard's keyspace must be looked at, Unix ms.
    pub(super) fn alarm_ms(&self) -> u64 {
        self.alarm_ms
    }

    /// The jobs that wait.
    pub(super) fn lines(&self) -> &Lines<Job> {
        &self.lines
    }

    /// A job waits for its turn with these keyspaces.
    pub(super) fn wait_in_line(&mut self, shards: ShardSet, job: Job) {
        self.lines.push(shards, job);
    }

    /// The job whose turn with these keyspaces is next.
    pub(super) fn first_in_line(&self, shards: ShardSet) -> Option<&Job> {
        self.lines.first(shards)
    }

    /// The job that came last for these keyspaces.
    pub(super) fn last_in_line(&mut self, shards: ShardSet) -> Option<&mut Job> {
        self.lines.last_mut(shards)
    }

    /// Forgets a line when nobody is in it.
    pub(super) fn tidy(&mut self, shards: ShardSet) {
        self.lines.tidy(shards);
    }

    /// Ends all lines of this thread; gives the jobs that waited. `offer` gets the threads that are to try instead.
    pub(super) fn clear(&mut self, mut offer: impl FnMut(ShardId)) -> Vec<Job> {
        let now_ns = self.clock.nanoseconds();
        let (tickets, jobs) = self.lines.clear();
        for ticket in tickets {
            self.post.berths().withdraw(&ticket, now_ns, &mut offer);
        }
        jobs
    }

    /// Waits a moment for the holder: mostly it runs a few commands, which takes less time than coming back later.
    fn awaits(&self, shards: ShardSet) -> bool {
        let berths = self.post.berths();
        if berths.seem_free(shards) {
            return true;
        }
        let begun_ns = self.clock.nanoseconds();
        for spin in 1..=self.spins {
            std::hint::spin_loop();
            if berths.seem_free(shards) {
                return true;
            }
            let is_time_to_look = spin % 8 == 0;
            if is_time_to_look && self.clock.nanoseconds() > begun_ns + limits::SPIN_NS_MAX {
                break;
            }
        }
        false
    }
}

/// When somebody must look at a keyspace, Unix ms. A walk goes on at once.
fn alarm_of(keyspace: &Keyspace) -> u64 {
    if keyspace.walk_count() > 0 {
        return 0;
    }
    keyspace.next_alarm_ms().unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands")
            .field("id", &self.id)
            .field("shards", &self.hand.shards)
            .finish_non_exhaustive()
    }
}
