//! One snapshot as the saver and all shards see it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use crate::ids::{ShardId, ShardSet};
use crate::keyspace::snapshot::{Batch, CutCounts};
use crate::limits;

/// What the saver gets.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The cut is made.
    Begun(Begun),
    /// Keys, of one shard.
    Entries(Batch),
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
    pub(super) cuts_log: bool,
    /// Nobody writes after the cut: the process is to end.
    pub(super) is_last: bool,
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

    /// Whether it is not wanted any more.
    pub(super) fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Acquire)
    }

    /// Whether a shard has given all it had, or has ended its walk before.
    pub(super) fn is_over(&self, shard: ShardId) -> bool {
        self.is_over[shard.index()].load(Ordering::Acquire)
    }

    /// A shard gives keys.
    pub(super) fn give(&self, batch: Batch) {
        let count = batch.entries.len();
        self.under_way.fetch_add(count, Ordering::SeqCst);
        self.send(Piece::Entries(batch));
    }

    /// A shard has given all it had.
    pub(super) fn end(&self, shard: ShardId) {
        self.is_over[shard.index()].store(true, Ordering::Release);
        self.send(Piece::Done(shard));
    }

    /// Tells the saver.
    pub(super) fn send(&self, piece: Piece) {
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
    pub(super) fn has_room(&self, shard: ShardId) -> bool {
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
