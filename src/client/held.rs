//! How much memory clients hold: of each what it was when it was last looked at, and the sum of that.
//!
//! It is kept only while a limit is set (`maxmemory-clients`); each client costs a look at that. Buffers count with what is in
//! them, names and keys with a fixed sum.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What a channel, a pattern, a prefix or a watched key is taken to hold, bytes.
pub(crate) const NAME_BYTES: usize = 64;

/// Of all clients.
#[derive(Debug, Default)]
pub(crate) struct HeldByAll {
    is_limited: AtomicBool,
    bytes: AtomicI64,
    /// Of them those of clients that stay whatever they hold.
    protected_bytes: AtomicI64,
    /// Held by who chooses the clients that go: one at a time.
    pub(crate) choosing: Mutex<()>,
}

impl HeldByAll {
    /// Bytes, as far as clients were looked at since there was a limit.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Whether they hold so much, and among them is one that may go. O(1): asked before each command, and for as long as those that
    /// stay hold too much.
    pub(crate) fn has_who_may_go(&self, max: u64) -> bool {
        let bytes = self.bytes();
        bytes >= max && self.protected_bytes.load(Ordering::Relaxed) < bytes as i64
    }

    /// There is a limit, or none.
    pub(crate) fn set_limited(&self, is_limited: bool) {
        self.is_limited.store(is_limited, Ordering::Relaxed);
    }
}

/// Of one client.
#[derive(Debug, Default)]
pub(super) struct Held {
    of_all: OnceLock<Arc<HeldByAll>>,
    counted_bytes: AtomicUsize,
    /// What of it is in the sum of those that stay.
    protected_bytes: AtomicUsize,
}

impl Held {
    /// The client has come: what it holds is part of this sum.
    pub(super) fn join(&self, of_all: &Arc<HeldByAll>) {
        // It comes once.
        let _ = self.of_all.set(Arc::clone(of_all));
    }

    /// It holds so much now; whether it stays whatever that is.
    #[inline]
    pub(super) fn count(&self, count: impl FnOnce() -> (usize, bool)) {
        if let Some(of_all) = self.of_all.get()
            && of_all.is_limited.load(Ordering::Relaxed)
        {
            let (bytes, is_protected) = count();
            self.set(of_all, bytes, is_protected);
        }
    }

    /// It is gone, or as good as gone.
    pub(super) fn leave(&self) {
        if let Some(of_all) = self.of_all.get() {
            self.set(of_all, 0, false);
        }
    }

    fn set(&self, of_all: &HeldByAll, bytes: usize, is_protected: bool) {
        let set = |own: &AtomicUsize, all: &AtomicI64, bytes: usize| {
            let before = own.swap(bytes, Ordering::Relaxed);
            let change = bytes as i64 - before as i64;
            if change != 0 {
                all.fetch_add(change, Ordering::Relaxed);
            }
        };
        let protected_bytes = if is_protected { bytes } else { 0 };
        set(
            &self.protected_bytes,
            &of_all.protected_bytes,
            protected_bytes,
        );
        set(&self.counted_bytes, &of_all.bytes, bytes);
    }

    /// What was counted.
    pub(super) fn bytes(&self) -> usize {
        self.counted_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_who_is_there() {
        let all = Arc::new(HeldByAll::default());
        let clients: [Held; 3] = std::array::from_fn(|_| Held::default());
        clients.iter().for_each(|client| client.join(&all));
        clients[0].count(|| unreachable!("nobody asks"));
        all.set_limited(true);
        for (client, bytes) in clients.iter().zip([100, 20, 3]) {
            client.count(|| (bytes, false));
        }
        clients[1].count(|| (10, false));
        assert_eq!((all.bytes(), clients[0].bytes()), (113, 100));
        clients[0].leave();
        clients[0].leave();
        assert_eq!(all.bytes(), 13);
    }

    #[test]
    fn nobody_is_chosen_while_all_that_is_held_is_held_by_those_that_stay() {
        let all = Arc::new(HeldByAll::default());
        all.set_limited(true);
        let clients: [Held; 2] = std::array::from_fn(|_| Held::default());
        clients.iter().for_each(|client| client.join(&all));
        clients[0].count(|| (100, true));
        assert!(!all.has_who_may_go(50));
        clients[1].count(|| (1, false));
        assert!(all.has_who_may_go(50) && !all.has_who_may_go(102));
        clients[1].leave();
        assert!(!all.has_who_may_go(50));
        clients[0].count(|| (100, false));
        assert!(all.has_who_may_go(100));
        clients[0].leave();
        assert_eq!((all.bytes(), all.has_who_may_go(0)), (0, false));
    }
}
