//! Whether the disk is so quick that whoever writes to the log syncs it too.
//!
//! To leave a sync to a thread of its own costs two wakes, and beside it the next few commands are run, whose sync is the next one: half
//! as many replies for each sync. Where a sync takes no longer than that costs, the shard that has written waits for the disk itself,
//! as Redis does, and finds more requests when it is back. Where one takes longer, clients that need no disk must not wait for it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::limits;

/// How long syncs take, and how many are under way.
#[derive(Debug)]
pub(super) struct QuickSync {
    /// Mean of the last syncs, ns: the latest counts an eighth.
    mean_ns: AtomicU64,
    running: AtomicU32,
}

impl Default for QuickSync {
    /// Nothing is known of the disk: it counts as slow.
    fn default() -> Self {
        Self {
            mean_ns: AtomicU64::new(limits::LOG_SYNC_SLOW_NS),
            running: AtomicU32::new(0),
        }
    }
}

impl QuickSync {
    /// Whether who writes is to sync.
    #[inline]
    pub(super) fn is_quick(&self) -> bool {
        self.mean_ns.load(Ordering::Relaxed) < limits::LOG_SYNC_QUICK_NS
    }

    /// A sync took so long, ns.
    pub(super) fn note(&self, took_ns: u64) {
        let mean_ns = self.mean_ns.load(Ordering::Relaxed);
        let took_ns = took_ns.min(limits::LOG_SYNC_SLOW_NS);
        let mean_ns = mean_ns - mean_ns / 8 + took_ns / 8;
        self.mean_ns.store(mean_ns, Ordering::Relaxed);
    }

    /// A sync begins, whoever else syncs.
    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    /// A sync begins, unless somebody syncs: then it is false.
    pub(super) fn begin_alone(&self) -> bool {
        let begun = (self.running).compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
        begun.is_ok()
    }

    /// It has ended. Who waits for it is to be told.
    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}
