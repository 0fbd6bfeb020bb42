//! Rates: how much a few counters grow a second, over the last rounds.
//!
//! One shard takes a sample each round; the rate is the mean of the last [`SAMPLES`], as Redis shows it.

use std::sync::{Mutex, PoisonError};

use super::counters::ShardCounters;

/// Samples of which the mean is taken.
const SAMPLES: usize = 16;
/// Least time between two samples, ms.
const PERIOD_MS: u64 = 100;

/// What grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Commands run.
    pub(crate) commands: u64,
    /// Bytes read.
    pub(crate) net_in: u64,
    /// Bytes sent.
    pub(crate) net_out: u64,
    /// Turns of the shards' loops.
    pub(crate) turns: u64,
    /// Time those took, µs.
    pub(crate) turns_us: u64,
}

impl Totals {
    /// Of all shards.
    pub(crate) fn of(shards: &[ShardCounters]) -> Self {
        shards.iter().fold(Self::default(), |sum, shard| Self {
            commands: sum.commands + shard.processed.get(),
            net_in: sum.net_in + shard.net_in.get(),
            net_out: sum.net_out + shard.net_out.get(),
            turns: sum.turns + shard.turns.get(),
            turns_us: sum.turns_us + shard.turn_nanoseconds.get() / 1000,
        })
    }

    /// Growth a second since `earlier`; a counter that was reset counts as not grown.
    fn rate_since(self, earlier: Self, elapsed_ms: u64) -> Self {
        let rate = |now: u64, then: u64| now.saturating_sub(then) * 1000 / elapsed_ms.max(1);
        Self {
            commands: rate(self.commands, earlier.commands),
            net_in: rate(self.net_in, earlier.net_in),
            net_out: rate(self.net_out, earlier.net_out),
            turns: rate(self.turns, earlier.turns),
            turns_us: rate(self.turns_us, earlier.turns_us),
        }
    }
}

#[derive(Debug, Default)]
struct Samples {
    last_ms: u64,
    last: Totals,
    rates: [Totals; SAMPLES],
    next: usize,
}

/// The samples.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<Samples>);

impl Sampler {
    /// Takes a sample unless the last one is fresh.
    pub(crate) fn take(&self, now_ms: u64, shards: &[ShardCounters]) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_ms = now_ms.saturating_sub(samples.last_ms);
        if elapsed_ms < PERIOD_MS {
            return;
        }
        let totals = Totals::of(shards);
        if samples.last_ms > 0 {
            let next = samples.next;
            samples.rates[next] = totals.rate_since(samples.last, elapsed_ms);
            samples.next = (next + 1) % SAMPLES;
        }
        samples.last_ms = now_ms;
        samples.last = totals;
    }

    /// The mean growth a second.
    pub(crate) fn rates(&self) -> Totals {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mean =
            |of: fn(&Totals) -> u64| samples.rates.iter().map(of).sum::<u64>() / SAMPLES as u64;
        Totals {
            commands: mean(|rate| rate.commands),
            net_in: mean(|rate| rate.net_in),
            net_out: mean(|rate| rate.net_out),
            turns: mean(|rate| rate.turns),
            turns_us: mean(|rate| rate.turns_us),
        }
    }

    pub(super) fn reset(&self) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.rates = [Totals::default(); SAMPLES];
        samples.last = Totals::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_becomes_its_rate() {
        let shards = [ShardCounters::new(0, 1), ShardCounters::new(0, 1)];
        let sampler = Sampler::default();
        for round in 0..=SAMPLES as u64 {
            sampler.take(1000 + round * 100, &shards);
            shards[0].processed.add(20);
            shards[1].processed.add(30);
        }
        assert_eq!(sampler.rates().commands, 500);
        // Too early for another.
        sampler.take(1000 + SAMPLES as u64 * 100 + 1, &shards);
        assert_eq!(sampler.rates().commands, 500);
        sampler.reset();
        assert_eq!(sampler.rates(), Totals::default());
    }
}
