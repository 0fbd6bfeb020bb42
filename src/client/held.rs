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
    /// Held by who chooses the clients that go: one at a time.
    pub(crate) choosing: Mutex<()>,
}

impl HeldByAll {
    /// Bytes, as far as clients were looked at since there was a limit.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0)
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
}

impl Held {
    /// The client has come: what it holds is part of this sum.
    pub(super) fn join(&self, of_all: &Arc<HeldByAll>) {
        // It comes once.
        let _ = self.of_all.set(Arc::clone(of_all));
    }

    /// It holds so much now.
    #[inline]
    pub(super) fn count(&self, bytes: impl FnOnce() -> usize) {
        if let Some(of_all) = self.of_all.get()
            && of_all.is_limited.load(Ordering::Relaxed)
        {
            self.set(of_all, bytes());
        }
    }

    /// It is gone, or as good as gone.
    pub(super) fn leave(&self) {
        if let Some(of_all) = self.of_all.get() {
            self.set(of_all, 0);
        }
    }

    fn set(&self, of_all: &HeldByAll, bytes: usize) {
        let before = self.counted_bytes.swap(bytes, Ordering::Relaxed);
        let change = bytes as i64 - before as i64;
        if change != 0 {
            of_all.bytes.fetch_add(change, Ordering::Relaxed);
        }
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
            client.count(|| bytes);
        }
        clients[1].count(|| 10);
        assert_eq!((all.bytes(), clients[0].bytes()), (113, 100));
        clients[0].leave();
        clients[0].leave();
        assert_eq!(all.bytes(), 13);
    }
}
