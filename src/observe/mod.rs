//! Counters and records of what the server does, fed by others; renderers of them.
//!
//! Hot counters are per shard and written by that shard alone: a reader sums them up.

pub mod counters;
pub mod effects;
pub mod errors;
pub mod info;
pub mod latency;
pub mod logins;
pub mod metrics;
pub mod monitor;
pub mod process;
pub mod sample;
pub mod slowlog;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::Counter;

use counters::ShardCounters;
use errors::ErrorCounters;
use latency::LatencyEvents;
use logins::FailedLogins;
use sample::Sampler;
use slowlog::SlowLog;

/// Everything that is counted or recorded.
#[derive(Debug)]
pub struct Observations {
    /// By shard.
    pub shards: Vec<ShardCounters>,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused: maxclients, protected mode.
    pub rejected_connections: AtomicU64,
    /// Objects that wait to be freed by the thread that does so.
    pub lazy_free_pending: AtomicU64,
    /// Objects it has freed.
    pub lazy_freed: AtomicU64,
    /// SLOWLOG.
    pub slowlog: SlowLog,
    /// LATENCY, but for its histograms.
    pub latency: LatencyEvents,
    /// Error replies by code.
    pub errors: ErrorCounters,
    /// Wrong passwords.
    pub failed_logins: FailedLogins,
    /// Rates.
    pub sampler: Sampler,
}

impl Observations {
    /// Nothing counted yet.
    pub fn new(shard_count: usize, row_count: usize, database_count: usize) -> Self {
        Self {
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            lazy_free_pending: AtomicU64::new(0),
            lazy_freed: AtomicU64::new(0),
            slowlog: SlowLog::default(),
            latency: LatencyEvents::default(),
            errors: ErrorCounters::default(),
            failed_logins: FailedLogins::default(),
            sampler: Sampler::default(),
            shards: (0..shard_count)
                .map(|_| ShardCounters::new(row_count, database_count))
                .collect(),
        }
    }

    /// A counter over all shards.
    pub fn sum(&self, of: impl Fn(&ShardCounters) -> &Counter) -> u64 {
        self.shards.iter().map(|shard| of(shard).get()).sum()
    }

    /// CONFIG RESETSTAT: back to zero what counts events; what describes the present (keys, blocked clients) stays,
    /// and so do failed logins, as in Redis.
    pub fn reset(&self) {
        for shard in &self.shards {
            shard.reset();
        }
        self.connections.store(0, Ordering::Relaxed);
        self.rejected_connections.store(0, Ordering::Relaxed);
        self.lazy_freed.store(0, Ordering::Relaxed);
        self.errors.reset();
        self.sampler.reset();
    }
}
