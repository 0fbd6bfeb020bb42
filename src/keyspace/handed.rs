//! What is kept only for the saver of a snapshot, in bytes: it counts as used for nobody, since no key that goes would give it back.
//!
//! ```text
//! a key changes before it was given ─► its share: Kept, until the saver has dropped it
//! a key was given and is evicted ────► its value lives on in the saver's hands: owed by what was handed out last, until that is dropped
//! ```
//! The saver takes things in the order in which they were handed out, so when the last is gone the one before is gone too. Here are
//! only sums; the shares themselves are in snapshot.rs.
//!
//! Invariant: what is added to the counter is taken away once, whichever thread drops it last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::KeyspaceCounters;

/// In the place of what is owed: it was dropped.
const DROPPED: u64 = u64::MAX;

/// Bytes that do not count as used until this is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes: u64,
    counters: Arc<KeyspaceCounters>,
}

impl Kept {
    pub(super) fn new(bytes: usize, counters: &Arc<KeyspaceCounters>) -> Self {
        let bytes = bytes as u64;
        counters.snapshot_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self {
            bytes,
            counters: Arc::clone(counters),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let all = &self.counters.snapshot_bytes;
        all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Keys that a keyspace has handed out at once, as it knows of them afterwards.
#[derive(Debug)]
pub(crate) struct HandedOut {
    owed: AtomicU64,
    counters: Arc<KeyspaceCounters>,
}

impl HandedOut {
    pub(super) fn new(counters: &Arc<KeyspaceCounters>) -> Self {
        Self {
            owed: AtomicU64::new(0),
            counters: Arc::clone(counters),
        }
    }

    /// Whether the saver still has it.
    pub(crate) fn is_held(&self) -> bool {
        self.owed.load(Ordering::Relaxed) != DROPPED
    }

    /// So many bytes of a key that has gone lie in the saver's hands. Gives them, or 0 if it has dropped all by now.
    pub(crate) fn owe(&self, bytes: u64) -> u64 {
        // Before they are owed, and seen so: whoever takes them away must find them.
        let all = &self.counters.snapshot_bytes;
        all.fetch_add(bytes, Ordering::Relaxed);
        let more = |owed: u64| (owed != DROPPED).then(|| owed + bytes);
        let owed = &self.owed;
        match owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => bytes,
            Err(_) => {
                all.fetch_sub(bytes, Ordering::Relaxed);
                0
            }
        }
    }
}

/// Goes with what was handed out, and is dropped behind it.
#[derive(Debug)]
pub(crate) struct InSaversHands(pub(super) Arc<HandedOut>);

impl Drop for InSaversHands {
    fn drop(&mut self) {
        let owed = self.0.owed.swap(DROPPED, Ordering::AcqRel);
        let all = &self.0.counters.snapshot_bytes;
        all.fetch_sub(owed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_taken_away_once() {
        let counters = Arc::new(KeyspaceCounters::new(1));
        let bytes = || counters.snapshot_bytes.load(Ordering::Relaxed);
        let kept = Kept::new(100, &counters);
        let handed = Arc::new(HandedOut::new(&counters));
        let in_hands = InSaversHands(Arc::clone(&handed));
        assert_eq!((handed.owe(10), handed.owe(1)), (10, 1));
        assert_eq!((bytes(), handed.is_held()), (111, true));
        drop(in_hands);
        assert_eq!((bytes(), handed.is_held()), (100, false));
        assert_eq!((handed.owe(10), bytes()), (0, 100));
        drop(kept);
        assert_eq!(bytes(), 0);
    }
}
