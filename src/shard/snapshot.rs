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

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::InHand;
use crate::keyspace::snapshot::{CutCounts, Progress, SnapshotEntry};
use crate::limits;

use super::env::Aftermath;
use super::job::Job;
use super::mailbox::Message;
use super::state::Shard;

/// What the saver gets.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The cut is made.
    Begun(Begun),
    /// Keys, of one shard.
    Entries(Vec<SnapshotEntry>),
    /// A shard has given all it had.
    Done(ShardId),
}

/// The moment of a snapshot.
#[derive(Debug)]
pub(crate) struct Begun {
    /// When, Unix ms.
    pub(crate) now_ms: u64,
    /// Changes counted by then.
    pub(crate) changes: u64,
    /// Position of the log.
    pub(crate) position: u64,
    /// What each database has, over all shards.
    pub(crate) counts: Vec<CutCounts>,
}

/// One snapshot.
#[derive(Debug)]
pub struct Run {
    pieces: Mutex<Sender<Piece>>,
    /// Effects behind the cut go to the next file of the log.
    cuts_log: bool,
    /// Nobody writes after the cut: the process is to end.
    is_last: bool,
    is_aborted: AtomicBool,
    /// Entries that the saver has not encoded.
    under_way: AtomicUsize,
    /// By shard: it has stopped until there is room.
    has_stopped: Vec<AtomicBool>,
    /// By shard: it has given all it had, or has ended its walk before.
    is_over: Vec<AtomicBool>,
}

impl Run {
    /// A snapshot of so many shards whose pieces go there.
    pub(crate) fn new(
        shard_count: usize,
        pieces: Sender<Piece>,
        cuts_log: bool,
        is_last: bool,
    ) -> Self {
        Self {
            pieces: Mutex::new(pieces),
            cuts_log,
            is_last,
            is_aborted: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            has_stopped: (0..shard_count).map(|_| AtomicBool::new(false)).collect(),
            is_over: (0..shard_count).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// The shards end it at their next step.
    pub(crate) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Release);
    }

    fn send(&self, piece: Piece) {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        // When the saver has given up nobody needs it.
        let _ = pieces.send(piece);
    }

    /// So many entries have been encoded. Gives the shards that are to go on.
    pub(crate) fn encoded(&self, count: usize) -> ShardSet {
        let left = self.under_way.fetch_sub(count, Ordering::SeqCst) - count;
        let mut shards = ShardSet::EMPTY;
        if left <= limits::SNAPSHOT_ENTRIES_UNDER_WAY_MAX / 2 {
            for (number, has_stopped) in self.has_stopped.iter().enumerate() {
                if has_stopped.load(Ordering::SeqCst) && has_stopped.swap(false, Ordering::SeqCst) {
                    shards.insert(ShardId(number as u16));
                }
            }
        }
        shards
    }

    /// Whether a shard may give more; else it is told when it may.
    fn has_room(&self, shard: ShardId) -> bool {
        let is_full =
            || self.under_way.load(Ordering::SeqCst) > limits::SNAPSHOT_ENTRIES_UNDER_WAY_MAX;
        if !is_full() {
            return true;
        }
        let has_stopped = &self.has_stopped[shard.index()];
        has_stopped.store(true, Ordering::SeqCst);
        // The saver may have made room before it saw that.
        !is_full() && has_stopped.swap(false, Ordering::SeqCst)
    }
}

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
        self.queue_own(Job::Step(run));
    }

    /// One step of the walk, with the keyspace of this shard in hand.
    pub(super) fn step_snapshot(&mut self, run: &Arc<Run>) {
        let (id, mut after) = (self.id, Aftermath::default());
        let is_aborted = run.is_aborted.load(Ordering::Acquire);
        let is_over = &run.is_over[id.index()];
        if is_over.load(Ordering::Acquire) || !is_aborted && !run.has_room(id) {
            return;
        }
        let begun_ns = self.clock.nanoseconds();
        let mut entries = Vec::new();
        let progress = self.with_hand(|env, space| {
            let Some(keyspace) = space.of_shard(id) else {
                return Progress::Done;
            };
            let mut progress = Progress::Done;
            if is_aborted {
                keyspace.abort_snapshot();
            } else {
                loop {
                    progress = keyspace.step_snapshot(limits::SNAPSHOT_STEP_COST, &mut entries);
                    let took_ns = env.clock.nanoseconds() - begun_ns;
                    if progress == Progress::Done || took_ns >= limits::SNAPSHOT_STEP_NS {
                        break;
                    }
                }
            }
            let retained = keyspace.snapshot_bytes() as u64;
            env.collect(space, &mut after);
            let facts = &env.shared.observations.persistence;
            let most = &facts.saving_retained_bytes;
            most.fetch_max(retained, Ordering::Relaxed);
            progress
        });
        let took_ns = self.clock.nanoseconds() - begun_ns;
        let facts = &self.shared.observations.persistence;
        facts.longest_step_ns.fetch_max(took_ns, Ordering::Relaxed);
        run.under_way.fetch_add(entries.len(), Ordering::SeqCst);
        run.send(Piece::Entries(entries));
        match progress {
            Progress::Done => {
                is_over.store(true, Ordering::Release);
                run.send(Piece::Done(id));
            }
            Progress::Going => self.queue_step(Arc::clone(run)),
        }
        self.dispatch(after, None);
    }
}
