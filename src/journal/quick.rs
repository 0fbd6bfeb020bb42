//! Whether the disk is so quick that whoever writes to the log syncs it too.
//!
//! Handing a sync to another thread costs two wake-ups. Meanwhile the shard runs the next few commands, which then need a sync of their
//! own: each sync serves half as many replies. Where the disk is quick, the shard that has written waits for it itself, as Redis does,
//! and finds more requests when it is back. Where it is slow, clients that need no disk must not wait for it. A disk that has stalled
//! is trusted again only after many quick syncs: each stall stops all clients of the shard that meets it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::limits;

/// How long syncs take, and how many are under way.
#[derive(Debug)]
pub(super) struct QuickSync {
    /// Mean of the last syncs, ns: the latest counts an eighth.
    mean_ns: AtomicU64,
    /// So many quick syncs more must follow the last that was very slow.
    on_trial: AtomicU32,
    running: AtomicU32,
}

impl Default for QuickSync {
    /// Nothing is known of the disk: it counts as slow.
    fn default() -> Self {
        Self {
            mean_ns: AtomicU64::new(limits::LOG_SYNC_SLOW_NS),
            on_trial: AtomicU32::new(0),
            running: AtomicU32::new(0),
        }
    }
}

impl QuickSync {
    /// Whether who writes is to sync.
    #[inline]
    pub(super) fn is_quick(&self) -> bool {
        self.mean_ns.load(Ordering::Relaxed) < limits::LOG_SYNC_QUICK_NS
            && self.on_trial.load(Ordering::Relaxed) == 0
    }

    /// A sync took so long, ns. Two at once may count as one.
    pub(super) fn note(&self, took_ns: u64) {
        let trial = match self.on_trial.load(Ordering::Relaxed) {
            _ if took_ns >= limits::LOG_SYNC_SLOW_NS => limits::LOG_SYNCS_ON_TRIAL,
            left => left.saturating_sub(1),
        };
        self.on_trial.store(trial, Ordering::Relaxed);
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

    /// One has ended; whether none is under way any more. Who waits for it is to be told.
    pub(super) fn end(&self) -> bool {
        self.running.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK_NS: u64 = limits::LOG_SYNC_QUICK_NS / 2;

    fn noted(sync: &QuickSync, took_ns: u64, count: u32) -> bool {
        (0..count).for_each(|_| sync.note(took_ns));
        sync.is_quick()
    }

    #[test]
    fn a_disk_is_quick_while_its_syncs_are_on_average() {
        let sync = QuickSync::default();
        assert!(!sync.is_quick());
        assert!(!noted(&sync, QUICK_NS, 8));
        assert!(noted(&sync, QUICK_NS, 64));
        assert!(noted(&sync, 2 * limits::LOG_SYNC_QUICK_NS, 1));
        assert!(!noted(&sync, 2 * limits::LOG_SYNC_QUICK_NS, 8));
        assert!(noted(&sync, QUICK_NS, 16));
    }

    #[test]
    fn a_disk_that_has_stalled_is_on_trial() {
        let sync = QuickSync::default();
        assert!(noted(&sync, QUICK_NS, 64));
        assert!(!noted(&sync, u64::MAX, 1));
        assert!(!noted(&sync, 0, limits::LOG_SYNCS_ON_TRIAL - 1));
        assert!(noted(&sync, 0, 1));
    }

    #[test]
    fn a_sync_alone_begins_only_where_none_is_under_way() {
        let sync = QuickSync::default();
        sync.begin();
        sync.begin();
        assert!(!sync.begin_alone());
        assert!(!sync.end());
        assert!(!sync.begin_alone());
        assert!(sync.end());
        assert!(sync.begin_alone());
        assert!(!sync.begin_alone());
    }
}
