//! Snapshots as the shards take part in them: one cut with all keyspaces in hand, then a walk of each shard in short steps.
//!
//! ```text
//! saver ──Cut──► shard 0 ── all keyspaces in hand: marks, the log's cut ──Begun──► saver
//!                   └──Walk──► every shard ── a step, a step … between the windows of clients ──Entries … Done──► saver
//!                                   ◄──Walk── there is room again
//! ```
//! What is handed out are shares; the saver's thread encodes them. It takes them slower than shards give them, so a shard
//! stops when much is under way, and is told when there is room.
//!
//! Invariant: the effects of everything before the cut are in the log before it. Not here: files (`server/saver.rs`), how a keyspace
//! walks (`keyspace/snapshot.rs`).

pub(crate) mod run;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::ids::ShardSet;
use crate::keyspace::InHand;
use crate::keyspace::snapshot::{CutCounts, Progress};
use crate::limits;

use super::env::Aftermath;
use super::job::Job;
use super::mailbox::Message;
use super::state::Shard;
use run::{Begun, Piece, Run};

impl Shard {
    /// A snapshot is wanted: its cut is made when all keyspaces are free.
    pub(super) fn queue_cut(&mut self, run: Arc<Run>) {
        let all = ShardSet::all(self.shared.shard_count);
        self.hands.wait_in_line(all, Job::Cut(run));
    }

    /// Makes the cut, with all keyspaces in hand.
    pub(super) fn cut(&mut self, run: &Arc<Run>) {
        self.log_effects();
        let (mut counts, mut changes): (Vec<CutCounts>, u64) = (Vec::new(), 0);
        self.with_hand(|_, space| {
            for keyspace in space.keyspaces_mut() {
                let own = keyspace.begin_snapshot();
                counts.resize(own.len(), CutCounts::default());
                for (sum, own) in counts.iter_mut().zip(own) {
                    sum.keys += own.keys;
                    sum.expiring += own.expiring;
                }
                changes += keyspace.counters().dirty.get();
            }
        });
        if run.cuts_log {
            self.log.cut();
            self.refresh();
            self.prepare_hand();
        }
        if run.is_last {
            self.shared.ending.store(true, Ordering::Release);
        }
        run.send(Piece::Begun(Begun {
            now_ms: self.now_ms,
            changes,
            position: self.log.end(),
            counts,
        }));
        for shard in ShardSet::all(self.shared.shard_count).iter() {
            self.post.send(shard, Message::Walk(Arc::clone(run)));
        }
    }

    /// This shard goes on with its walk.
    pub(super) fn queue_step(&mut self, run: Arc<Run>) {
        // A step of an earlier snapshot may be in line still: it does nothing, and must not keep this one out.
        let is_same = |job: &Job| matches!(job, Job::Step(other) if Arc::ptr_eq(other, &run));
        if !self.hands.lines().any(is_same) {
            let own = ShardSet::one(self.id);
            self.hands.wait_in_line(own, Job::Step(run));
        }
    }

    fn commands_run(&self) -> u64 {
        let of_shard = &self.shared.observations.shards[self.id.index()];
        of_shard.processed.get()
    }

    /// How long a step that begins now may take, ns.
    fn step_ns(&self, run: &Run, now_ns: u64) -> u64 {
        let (ended_ns, commands) = self.step_ended;
        // Nobody waits for it, or will.
        if run.is_last || commands == self.commands_run() {
            return limits::SNAPSHOT_STEP_NS;
        }
        let part_ns = now_ns.saturating_sub(ended_ns) / limits::SNAPSHOT_STEP_PART;
        part_ns.clamp(limits::SNAPSHOT_STEP_SHORT_NS, limits::SNAPSHOT_STEP_NS)
    }

    /// One step of the walk, with the keyspace of this shard in hand.
    pub(super) fn step_snapshot(&mut self, run: &Arc<Run>) {
        let (id, mut after) = (self.id, Aftermath::default());
        let is_aborted = run.is_aborted();
        if run.is_over(id) || !is_aborted && !run.has_room(id) {
            return;
        }
        let (begun_ns, worked_ns) = (self.clock.nanoseconds(), self.clock.thread_nanoseconds());
        let may_take_ns = self.step_ns(run, begun_ns);
        let (progress, batch) = self.with_hand(|env, space| {
            let Some(keyspace) = space.of_shard(id) else {
                return (Progress::Done, None);
            };
            let (mut progress, mut entries) = (Progress::Done, Vec::new());
            if is_aborted {
                keyspace.abort_snapshot();
            } else {
                loop {
                    progress = keyspace.step_snapshot(limits::SNAPSHOT_STEP_COST, &mut entries);
                    let took_ns = env.clock.nanoseconds() - begun_ns;
                    if progress == Progress::Done || took_ns >= may_take_ns {
                        break;
                    }
                }
            }
            let batch = keyspace.hand_out(entries);
            let retained = keyspace.snapshot_bytes() as u64;
            env.collect(space, &mut after);
            let facts = &env.shared.observations.persistence;
            let most = &facts.saving_retained_bytes;
            most.fetch_max(retained, Ordering::Relaxed);
            (progress, Some(batch))
        });
        self.step_ended = (self.clock.nanoseconds(), self.commands_run());
        let took_ns = self.clock.thread_nanoseconds() - worked_ns;
        let facts = &self.shared.observations.persistence;
        facts.longest_step_ns.fetch_max(took_ns, Ordering::Relaxed);
        if let Some(batch) = batch {
            run.give(batch);
        }
        match progress {
            Progress::Done => run.end(id),
            Progress::Going => self.queue_step(Arc::clone(run)),
        }
        self.dispatch(after, None);
    }
}
