//! Counters and records of what the server does, fed by others; renderers of them.
//!
//! Hot counters are per shard and written by that shard alone: a reader sums them up.

pub(crate) mod allocator;
pub(crate) mod counters;
pub(crate) mod effects;
pub(crate) mod errors;
pub(crate) mod info;
pub(crate) mod latency;
pub(crate) mod logins;
pub(crate) mod memory;
pub(crate) mod meter;
pub(crate) mod metrics;
pub(crate) mod monitor;
pub(crate) mod persistence;
pub(crate) mod process;
pub(crate) mod sample;
pub(crate) mod slowlog;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::Counter;

use counters::ShardCounters;
use errors::ErrorCounters;
use latency::LatencyEvents;
use logins::RefusedLogins;
use memory::MemoryFacts;
use persistence::Persistence;
use sample::Sampler;
use slowlog::SlowLog;

/// Commands that were denied to their users, by what denied them.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    /// The command itself.
    pub(crate) commands: AtomicU64,
    /// A key.
    pub(crate) keys: AtomicU64,
    /// A channel.
    pub(crate) channels: AtomicU64,
}

/// Everything that is counted or recorded.
#[derive(Debug)]
pub(crate) struct Observations {
    /// By shard.
    pub(crate) shards: Vec<ShardCounters>,
    /// Connections accepted.
    pub(crate) connections: AtomicU64,
    /// Connections refused: maxclients, protected mode.
    pub(crate) rejected_connections: AtomicU64,
    /// Objects that wait to be freed by the thread that does so.
    pub(crate) lazy_free_pending: AtomicU64,
    /// Objects it has freed.
    pub(crate) lazy_freed: AtomicU64,
    /// SLOWLOG.
    pub(crate) slowlog: SlowLog,
    /// LATENCY, but for its histograms.
    pub(crate) latency: LatencyEvents,
    /// Error replies by code.
    pub(crate) errors: ErrorCounters,
    /// What users were not allowed to do.
    pub(crate) denials: Denials,
    /// Wrong passwords, by address.
    pub(crate) failed_logins: RefusedLogins,
    /// Logins beyond `maxclients-per-user`, by user.
    pub(crate) logins_beyond_limit: RefusedLogins,
    /// Rates.
    pub(crate) sampler: Sampler,
    /// The limit on memory.
    pub(crate) memory: MemoryFacts,
    /// Files.
    pub(crate) persistence: Arc<Persistence>,
}

impl Observations {
    /// Nothing counted yet.
    pub(crate) fn new(
        shard_count: usize,
        row_count: usize,
        database_count: usize,
        now_ms: u64,
    ) -> Self {
        Self {
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            lazy_free_pending: AtomicU64::new(0),
            lazy_freed: AtomicU64::new(0),
            slowlog: SlowLog::default(),
            latency: LatencyEvents::default(),
            errors: ErrorCounters::default(),
            denials: Denials::default(),
            failed_logins: RefusedLogins::default(),
            logins_beyond_limit: RefusedLogins::default(),
            sampler: Sampler::default(),
            memory: MemoryFacts::new(shard_count),
            persistence: Arc::new(Persistence::new(now_ms)),
            shards: (0..shard_count)
                .map(|_| ShardCounters::new(row_count, database_count))
                .collect(),
        }
    }

    /// A counter over all shards.
    pub(crate) fn sum(&self, of: impl Fn(&ShardCounters) -> &Counter) -> u64 {
        self.shards.iter().map(|shard| of(shard).get()).sum()
    }

    /// CONFIG RESETSTAT: back to zero what counts events; what describes the present (keys, blocked clients) stays,
    /// and so do failed logins, as in Redis.
    pub(crate) fn reset(&self) {
        for shard in &self.shards {
            shard.reset();
        }
        self.connections.store(0, Ordering::Relaxed);
        self.rejected_connections.store(0, Ordering::Relaxed);
        self.lazy_freed.store(0, Ordering::Relaxed);
        self.errors.reset();
        self.sampler.reset();
        self.memory.reset();
    }
}
