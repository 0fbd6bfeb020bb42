//! Sessions of clients that may come again: for so long, and so many at most.

use std::sync::Arc;

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use crate::limits::TLS_SESSIONS_MAX;
use crate::shard::clock::unix_ms;

/// Length of the time before a session.
const STAMP_BYTES: usize = 8;

/// Sessions, each behind the time at which it was kept.
#[derive(Debug)]
pub(super) struct Sessions {
    cache: Arc<ServerSessionMemoryCache>,
    timeout_ms: u64,
    now_ms: fn() -> u64,
}

impl Sessions {
    /// Room for so many, each for so long; 0 seconds: 300, as OpenSSL has it.
    pub(super) fn new(count: usize, timeout_s: u64) -> Self {
        let timeout_s = if timeout_s == 0 { 300 } else { timeout_s };
        Self {
            cache: ServerSessionMemoryCache::new(count.min(TLS_SESSIONS_MAX)),
            timeout_ms: timeout_s * 1000,
            now_ms: unix_ms,
        }
    }

    /// What was kept, if it is not too old.
    fn fresh(&self, kept: Vec<u8>) -> Option<Vec<u8>> {
        let (stamp, session) = kept.split_at_checked(STAMP_BYTES)?;
        let kept_ms = u64::from_le_bytes(stamp.try_into().ok()?);
        let age_ms = (self.now_ms)().saturating_sub(kept_ms);
        (age_ms < self.timeout_ms).then(|| session.to_vec())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let stamp = (self.now_ms)().to_le_bytes();
        self.cache.put(key, [&stamp[..], &value].concat())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache.get(key).and_then(|kept| self.fresh(kept))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache.take(key).and_then(|kept| self.fresh(kept))
    }

    fn can_cache(&self) -> bool {
        true
    }
}
