//! How long things took: a histogram for each command, and the latest events over a threshold (LATENCY).
//!
//! ```text
//! histogram   16 buckets for each power of two of nanoseconds up to 1 s: a value is known to 6 %
//! events      by name, the last 160 seconds that had one, each with its longest
//! ```
//! A histogram is written by its shard alone and read by anybody; the events are behind a lock that only a slow one takes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::counters::Counter;
use crate::limits;

/// Buckets for each power of two, as a power of two.
const FINENESS: u32 = 4;
/// Buckets for each power of two.
const PER_OCTAVE: usize = 1 << FINENESS;
/// The longest that is told apart, ns. Redis: what took longer counts as 1 s.
const NANOSECONDS_MAX: u64 = 1_000_000_000;
/// Buckets in all: the last holds [`NANOSECONDS_MAX`].
const BUCKETS: usize = (30 - FINENESS as usize + 1) * PER_OCTAVE;
/// The first bucket of LATENCY HISTOGRAM ends here, ns.
const FIRST_STEP_NS: u64 = 1024;

fn bucket_of(nanoseconds: u64) -> usize {
    let value = nanoseconds.min(NANOSECONDS_MAX);
    if value < PER_OCTAVE as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - FINENESS;
    (shift as usize + 1) * PER_OCTAVE + (value >> shift) as usize % PER_OCTAVE
}

/// The lowest value of a bucket, ns.
fn floor_of(bucket: usize) -> u64 {
    if bucket < PER_OCTAVE {
        return bucket as u64;
    }
    let shift = bucket / PER_OCTAVE - 1;
    ((PER_OCTAVE + bucket % PER_OCTAVE) as u64) << shift
}

/// How often a command took how long, on one shard.
#[derive(Debug)]
pub(crate) struct LatencyHistogram {
    buckets: [Counter; BUCKETS],
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl LatencyHistogram {
    /// Counts one run; only the owning thread may.
    pub(crate) fn record(&self, nanoseconds: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(nanoseconds)) {
            bucket.add(1);
        }
    }

    pub(super) fn reset(&self) {
        for bucket in &self.buckets {
            bucket.set(0);
        }
    }
}

/// Histograms of several shards together.
#[derive(Clone, Debug)]
pub(crate) struct LatencySum {
    counts: Vec<u64>,
}

impl Default for LatencySum {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
        }
    }
}

impl LatencySum {
    /// Adds a shard's.
    pub(crate) fn add(&mut self, histogram: &LatencyHistogram) {
        for (sum, bucket) in self.counts.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
    }

    /// Runs in all.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time, ns, within which `percentile` of 100 runs ended, as the end of its bucket; 0 when there was none.
    pub(crate) fn percentile(&self, percentile: f64) -> u64 {
        let wanted = (percentile / 100.0 * self.total() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return floor_of(bucket + 1) - 1;
            }
        }
        0
    }

    /// How many runs were shorter than each of these times, ns: ascending powers of two from 16 on, where buckets begin.
    pub(crate) fn below(&self, bounds_ns: &[u64]) -> Vec<u64> {
        let (mut bucket, mut seen) = (0, 0);
        let mut counts = Vec::with_capacity(bounds_ns.len());
        for bound_ns in bounds_ns {
            while bucket < BUCKETS && floor_of(bucket) < *bound_ns {
                seen += self.counts.get(bucket).copied().unwrap_or(0);
                bucket += 1;
            }
            counts.push(seen);
        }
        counts
    }

    /// Cumulative counts by powers of two of microseconds, only those steps that add something: `(µs, runs)`. The labels
    /// are those of Redis, whose buckets end 1/128 above the power.
    pub(crate) fn steps(&self) -> Vec<(u64, u64)> {
        let mut steps = Vec::new();
        let (mut bucket, mut seen, mut end) = (0, 0, FIRST_STEP_NS);
        while bucket < BUCKETS {
            let before = seen;
            while bucket < BUCKETS && floor_of(bucket) < end {
                seen += self.counts.get(bucket).copied().unwrap_or(0);
                bucket += 1;
            }
            if seen > before {
                steps.push(((end + end / 128 - 1) / 1000, seen));
            }
            end *= 2;
        }
        steps
    }
}

/// What LATENCY knows of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LatencyEvent {
    /// Second (Unix) and longest of that second, ms; oldest first.
    pub(crate) samples: VecDeque<(u64, u64)>,
    /// The longest since the event was reset, ms.
    pub(crate) max_ms: u64,
}

/// The events by name.
#[derive(Debug, Default)]
pub(crate) struct LatencyEvents {
    events: Mutex<BTreeMap<&'static str, LatencyEvent>>,
}

impl LatencyEvents {
    fn events(&self) -> MutexGuard<'_, BTreeMap<&'static str, LatencyEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an event has ended after so long, if that is at least `latency-monitor-threshold` (0: never).
    pub(crate) fn note(&self, name: &'static str, now_ms: u64, took_ns: u64, threshold_ms: u64) {
        let took_ms = took_ns / 1_000_000;
        if threshold_ms > 0 && took_ms >= threshold_ms {
            self.add(name, now_ms / 1000, took_ms);
        }
    }

    fn add(&self, name: &'static str, at_s: u64, took_ms: u64) {
        let mut events = self.events();
        let event = events.entry(name).or_default();
        event.max_ms = event.max_ms.max(took_ms);
        match event.samples.back_mut() {
            Some((second, longest_ms)) if *second == at_s => *longest_ms = took_ms.max(*longest_ms),
            _ => {
                if event.samples.len() == limits::LATENCY_SAMPLES_MAX {
                    event.samples.pop_front();
                }
                event.samples.push_back((at_s, took_ms));
            }
        }
    }

    /// All events.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, LatencyEvent> {
        self.events().clone()
    }

    /// One event.
    pub(crate) fn get(&self, name: &[u8]) -> Option<(&'static str, LatencyEvent)> {
        self.events()
            .iter()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(known, event)| (*known, event.clone()))
    }

    /// Forgets all events; gives how many.
    pub(crate) fn clear(&self) -> usize {
        let mut events = self.events();
        let count = events.len();
        events.clear();
        count
    }

    /// Forgets one event; whether there was one.
    pub(crate) fn remove(&self, name: &[u8]) -> bool {
        let mut events = self.events();
        let before = events.len();
        events.retain(|known, _| known.as_bytes() != name);
        events.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_hold_their_floor() {
        for bucket in 0..BUCKETS {
            if floor_of(bucket) <= NANOSECONDS_MAX {
                assert_eq!(bucket_of(floor_of(bucket)), bucket);
            }
            assert!(floor_of(bucket) < floor_of(bucket + 1));
        }
        assert!(bucket_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn steps_are_cumulative_and_labelled_as_redis_labels_them() {
        let histogram = LatencyHistogram::default();
        for nanoseconds in [100, 900, 1500, 3000, 20_000, 40_000, 5_000_000_000] {
            histogram.record(nanoseconds);
        }
        let mut sum = LatencySum::default();
        sum.add(&histogram);
        assert_eq!(sum.total(), 7);
        let expected = [(1, 2), (2, 3), (4, 4), (33, 5), (66, 6), (1_082_130, 7)];
        assert_eq!(sum.steps(), expected);
        assert!((900..=1000).contains(&sum.percentile(25.0)));
        let bounds = [64, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 30];
        assert_eq!(
            sum.below(&bounds),
            [0, 2, 4, 4, 6, 7 - 1 + u64::from(NANOSECONDS_MAX < 1 << 30)]
        );
    }

    #[test]
    fn one_sample_a_second_and_the_longest_counts() {
        let events = LatencyEvents::default();
        events.add("command", 10, 5);
        events.add("command", 10, 3);
        events.add("command", 11, 4);
        let (_, event) = events.get(b"command").unwrap_or_default();
        assert_eq!(event.samples, [(10, 5), (11, 4)]);
        assert_eq!(event.max_ms, 5);
        for second in 0..400 {
            events.add("command", 100 + second, 1);
        }
        let (_, event) = events.get(b"command").unwrap_or_default();
        assert_eq!(event.samples.len(), limits::LATENCY_SAMPLES_MAX);
        assert!(events.remove(b"command") && !events.remove(b"command"));
    }
}
