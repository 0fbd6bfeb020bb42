//! Counters and records of what the server does, fed by others; renderers of them.
//!
//! Hot counters are per shard and written by that shard alone: a reader sums them up.

pub mod counters;
pub mod effects;

use counters::ShardCounters;

/// Everything that is counted or recorded.
#[derive(Debug)]
pub struct Observations {
    /// By shard.
    pub shards: Vec<ShardCounters>,
}

impl Observations {
    /// Nothing counted yet.
    pub fn new(shard_count: usize, row_count: usize) -> Self {
        Self {
            shards: (0..shard_count)
                .map(|_| ShardCounters::new(row_count))
                .collect(),
        }
    }
}
