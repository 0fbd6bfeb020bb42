//! Counters with one writer at a time and any number of readers.
//!
//! Level 0: every room may use them. Here is what a keyspace counts: it changes hands, whoever holds it writes, and INFO reads
//! without asking for it. What a shard counts is in `observe/counters.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer: no locked instruction is needed to add.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the writer may.
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Sets; only the writer may, or a reset.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Facts of one database of one keyspace.
#[derive(Debug, Default)]
pub(crate) struct DatabaseCounters {
    /// Keys.
    pub(crate) keys: Counter,
    /// Keys that will expire.
    pub(crate) expiring: Counter,
    /// Average time to live of those, ms, as of the last round of expiry.
    pub(crate) average_ttl_ms: Counter,
}

/// What a keyspace counts. The writer is whoever holds the keyspace.
#[derive(Debug, Default)]
pub(crate) struct KeyspaceCounters {
    /// By database.
    pub(crate) databases: Vec<DatabaseCounters>,
    /// Lookups that found their key (`keyspace_hits`).
    pub(crate) hits: Counter,
    /// Lookups that did not (`keyspace_misses`).
    pub(crate) misses: Counter,
    /// Keys removed because their time had come (`expired_keys`).
    pub(crate) expired: Counter,
    /// Keys removed to make room (`evicted_keys`).
    pub(crate) evicted: Counter,
    /// Fields of hashes and members of sets removed because their time had come (`expired_subkeys`).
    pub(crate) expired_elements: Counter,
    /// Changes since the process started (`rdb_changes_since_last_save`).
    pub(crate) dirty: Counter,
    /// Keys that are streams, as of the last round.
    pub(crate) streams: Counter,
    /// Bytes that are kept only for the saver of a snapshot: of values that have changed or gone since.
    pub(crate) snapshot_bytes: AtomicU64,
    /// Bytes of evicted values that another thread frees.
    pub(crate) being_freed: AtomicU64,
}

impl KeyspaceCounters {
    /// All zero, for so many databases.
    #[must_use]
    pub(crate) fn new(database_count: usize) -> Self {
        Self {
            databases: (0..database_count)
                .map(|_| DatabaseCounters::default())
                .collect(),
            ..Self::default()
        }
    }

    /// CONFIG RESETSTAT: back to zero what counts events. A writer that adds at this moment may undo it for that counter.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.hits,
            &self.misses,
            &self.expired,
            &self.evicted,
            &self.expired_elements,
        ] {
            counter.set(0);
        }
    }
}
