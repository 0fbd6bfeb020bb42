//! What is known of the limit on memory: how much of it is used, what was done about it, which shard is to give how much.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::counters::ShardCounters;

/// Time between two lines in the log about refused commands, ms.
const REFUSAL_LINE_MS: u64 = 60_000;
/// How long no command must have been refused before the log says that they are served again, ms.
const SERVED_AGAIN_MS: u64 = 5_000;

/// How much of the limit is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// Not much.
    Low,
    /// 80 % and more.
    High,
    /// 95 % and more.
    Critical,
}

impl Pressure {
    /// The next one, given the one before: once high it is so until 5 % less is used.
    fn follow(self, used: u64, max: u64) -> Self {
        let is_beyond =
            |percent: u64| u128::from(used) * 100 >= u128::from(max) * u128::from(percent);
        let from = |level: Self, percent: u64| {
            let percent = if self >= level { percent - 5 } else { percent };
            is_beyond(percent)
        };
        if from(Self::Critical, 95) {
            Self::Critical
        } else if from(Self::High, 80) {
            Self::High
        } else {
            Self::Low
        }
    }
}

/// Turns of each shard in which what is told of evicted keys is sent: the one that began before, and the next.
const TURNS_OF_TELLING: u64 = 2;
/// For so long at most, ns: a shard may sleep, or have a long command.
const TELLING_NS_MAX: u64 = 10_000_000;

/// Until when clients are being told of evicted keys.
#[derive(Debug, Default)]
struct Telling {
    /// Monotonic.
    until_ns: u64,
    /// Of each shard, the turn that ends it.
    turns: Vec<u64>,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct MemoryFacts {
    /// `maxmemory`, bytes; 0: no limit.
    pub(crate) max: AtomicU64,
    /// Bytes that do not count: what the log has not written, what a snapshot keeps.
    pub(crate) uncounted: AtomicU64,
    /// Bytes of the log that are not written.
    pub(crate) log_buffer: AtomicU64,
    /// Connections closed for `maxmemory-clients`.
    pub(crate) evicted_clients: AtomicU64,
    /// Commands refused for want of memory.
    pub(crate) refused: AtomicU64,
    /// Bytes that each shard still has to give up: its part of what was too much.
    pub(crate) debts: Vec<AtomicI64>,
    /// Since when the limit is exceeded, Unix ms; 0: it is not.
    exceeded_since_ms: AtomicU64,
    telling: Mutex<Telling>,
    /// For how long it was before, ms.
    exceeded_ms_before: AtomicU64,
    refusal_told_ms: AtomicU64,
    /// When the last command was refused, Unix ms.
    refused_ms: AtomicU64,
    /// It was told that commands are refused, and not that they are served again.
    is_refusing: AtomicBool,
    /// It was told that whole queues may go.
    queues_told: AtomicBool,
    pressure: AtomicU8,
}

impl MemoryFacts {
    /// Nothing is known.
    pub(crate) fn new(shard_count: usize) -> Self {
        Self {
            max: AtomicU64::new(0),
            uncounted: AtomicU64::new(0),
            log_buffer: AtomicU64::new(0),
            evicted_clients: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            debts: (0..shard_count).map(|_| AtomicI64::new(0)).collect(),
            exceeded_since_ms: AtomicU64::new(0),
            telling: Mutex::default(),
            exceeded_ms_before: AtomicU64::new(0),
            refusal_told_ms: AtomicU64::new(0),
            refused_ms: AtomicU64::new(0),
            is_refusing: AtomicBool::new(false),
            queues_told: AtomicBool::new(false),
            pressure: AtomicU8::new(Pressure::Low as u8),
        }
    }

    /// Notes whether more is used than allowed. `now_ms`: Unix ms.
    pub(crate) fn note_exceeded(&self, is_exceeded: bool, now_ms: u64) {
        let since_ms = self.exceeded_since_ms.load(Ordering::Relaxed);
        if is_exceeded == (since_ms != 0) {
            return;
        }
        let next = if is_exceeded { now_ms.max(1) } else { 0 };
        let swapped = self.exceeded_since_ms.compare_exchange(
            since_ms,
            next,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if swapped.is_ok() && !is_exceeded {
            let elapsed_ms = now_ms.saturating_sub(since_ms);
            self.exceeded_ms_before
                .fetch_add(elapsed_ms, Ordering::Relaxed);
        }
    }

    /// For how long the limit has been exceeded in all, and this time, ms.
    pub(crate) fn exceeded_ms(&self, now_ms: u64) -> (u64, u64) {
        let before_ms = self.exceeded_ms_before.load(Ordering::Relaxed);
        let current_ms = match self.exceeded_since_ms.load(Ordering::Relaxed) {
            0 => 0,
            since_ms => now_ms.saturating_sub(since_ms),
        };
        (before_ms + current_ms, current_ms)
    }

    /// A command was refused; whether the log is to tell, which it does once a minute.
    pub(crate) fn note_refusal(&self, now_ms: u64) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.refused_ms.store(now_ms, Ordering::Relaxed);
        let told_ms = self.refusal_told_ms.load(Ordering::Relaxed);
        if told_ms != 0 && now_ms.saturating_sub(told_ms) < REFUSAL_LINE_MS {
            return false;
        }
        let swapped = self.refusal_told_ms.compare_exchange(
            told_ms,
            now_ms,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if swapped.is_ok() {
            self.is_refusing.store(true, Ordering::Relaxed);
        }
        swapped.is_ok()
    }

    /// Whether the log is to tell that commands are served again: it has told that they are refused, none was for some time, and no
    /// more is used than allowed. The next that is refused is told of at once.
    pub(crate) fn ends_refusals(&self, is_exceeded: bool, now_ms: u64) -> bool {
        let quiet_ms = now_ms.saturating_sub(self.refused_ms.load(Ordering::Relaxed));
        if is_exceeded || quiet_ms < SERVED_AGAIN_MS {
            return false;
        }
        let ends = self.is_refusing.swap(false, Ordering::Relaxed);
        if ends {
            self.refusal_told_ms.store(0, Ordering::Relaxed);
        }
        ends
    }

    /// So much is used; gives how much that is of the limit when it has become more than it was.
    pub(crate) fn follow(&self, used: u64, max: u64) -> Option<Pressure> {
        let before = match self.pressure.load(Ordering::Relaxed) {
            0 => Pressure::Low,
            1 => Pressure::High,
            _ => Pressure::Critical,
        };
        let now = if max == 0 {
            Pressure::Low
        } else {
            before.follow(used, max)
        };
        self.pressure.store(now as u8, Ordering::Relaxed);
        (now > before).then_some(now)
    }

    /// Whether the log is to tell that whole queues may go, which it does once for as long as they may.
    pub(crate) fn tells_of_queues(&self, may_go: bool) -> bool {
        let was_told = self.queues_told.swap(may_go, Ordering::Relaxed);
        may_go && !was_told
    }

    /// Bytes that shards still have to give up.
    pub(crate) fn outstanding(&self) -> i64 {
        let debts = self.debts.iter().map(|debt| debt.load(Ordering::Relaxed));
        debts.map(|debt| debt.max(0)).sum()
    }

    /// Nothing is too much any more: nobody owes anything.
    pub(crate) fn forget_debts(&self) {
        for debt in &self.debts {
            if debt.load(Ordering::Relaxed) != 0 {
                debt.store(0, Ordering::Relaxed);
            }
        }
    }

    /// A shard has given up so much: its debt is less, and never a credit, which would make the others pay the next time.
    pub(crate) fn pay(&self, shard: usize, freed: i64) {
        let paid = |debt: i64| Some(debt.saturating_sub(freed).max(0));
        let result = self.debts[shard].fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
        debug_assert!(result.is_ok(), "it always gives a value");
    }

    /// Clients are told of keys that have just been evicted.
    pub(crate) fn begin_telling(&self, shards: &[ShardCounters], now_ns: u64) {
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        telling.until_ns = now_ns.saturating_add(TELLING_NS_MAX);
        telling.turns.clear();
        let turns = shards
            .iter()
            .map(|shard| shard.turns.get() + TURNS_OF_TELLING);
        telling.turns.extend(turns);
    }

    /// Whether that may not be sent yet. It takes memory until then, which must not make more keys go.
    pub(crate) fn is_telling(&self, shards: &[ShardCounters], now_ns: u64) -> bool {
        let telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turns = telling.turns.iter().zip(shards);
        now_ns < telling.until_ns && turns.any(|(turn, shard)| shard.turns.get() < *turn)
    }

    /// Shares out what is too much among the shards by what each holds, but for what they have to give up already.
    pub(crate) fn share_out(&self, over: u64, weights: &[u64]) {
        let over = i64::try_from(over).unwrap_or(i64::MAX);
        let owed = self.outstanding();
        let rounding = self.debts.len() as i64;
        if owed > over.saturating_add(rounding) {
            // Much of it is settled otherwise: by trims, by a higher limit.
            for debt in &self.debts {
                let of = i128::from(debt.load(Ordering::Relaxed).max(0));
                let part = of * i128::from(over) / i128::from(owed);
                debt.store(i64::try_from(part).unwrap_or(i64::MAX), Ordering::Relaxed);
            }
        }
        let more = over - self.outstanding();
        let total: u64 = weights.iter().sum();
        if more <= 0 || total == 0 {
            return;
        }
        for (debt, weight) in self.debts.iter().zip(weights) {
            let part = i128::from(more) * i128::from(*weight) / i128::from(total);
            // Not all that is too much may be lost by rounding.
            let part = i64::try_from(part).unwrap_or(i64::MAX) + i64::from(*weight > 0);
            debt.fetch_add(part, Ordering::Relaxed);
        }
    }

    /// CONFIG RESETSTAT.
    pub(super) fn reset(&self) {
        self.evicted_clients.store(0, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
        self.exceeded_ms_before.store(0, Ordering::Relaxed);
        self.exceeded_since_ms.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_is_told_once_and_again_after_it_fell() {
        let facts = MemoryFacts::new(1);
        let told: Vec<_> = [79, 80, 94, 79, 95, 90, 95, 89, 95, 74, 79, 81, 20, 99]
            .map(|used| facts.follow(used, 100))
            .into();
        let (high, critical) = (Some(Pressure::High), Some(Pressure::Critical));
        #[rustfmt::skip]
        assert_eq!(
            told,
            [None, high, None, None, critical, None, None, None, critical, None, None, high, None, critical]
        );
        assert_eq!(facts.follow(u64::MAX, 0), None);
    }

    #[test]
    fn it_is_told_once_that_commands_are_served_again() {
        let facts = MemoryFacts::new(1);
        assert!(!facts.ends_refusals(false, 1), "none was refused");
        assert!(facts.note_refusal(10));
        assert!(!facts.note_refusal(20));
        let quiet = 20 + SERVED_AGAIN_MS;
        assert!(!facts.ends_refusals(false, quiet - 1), "it was just now");
        assert!(!facts.ends_refusals(true, quiet), "too much is used");
        assert!(facts.ends_refusals(false, quiet));
        assert!(!facts.ends_refusals(false, quiet));
        assert!(facts.note_refusal(quiet + 1), "at once");
    }

    #[test]
    fn what_is_too_much_is_shared_out_once() {
        let facts = MemoryFacts::new(3);
        facts.share_out(1000, &[100, 0, 300]);
        let debts = || -> Vec<i64> {
            let debts = facts.debts.iter();
            debts.map(|debt| debt.load(Ordering::Relaxed)).collect()
        };
        assert_eq!(debts(), [251, 0, 751]);
        facts.share_out(1000, &[100, 0, 300]);
        assert_eq!(debts(), [251, 0, 751]);
        facts.debts[2].fetch_sub(751, Ordering::Relaxed);
        facts.share_out(651, &[100, 0, 300]);
        assert_eq!(debts(), [352, 0, 301]);
        // Most of it was settled otherwise.
        facts.share_out(1, &[0, 0, 0]);
        assert_eq!(debts(), [0, 0, 0]);
        facts.share_out(100, &[1, 0, 0]);
        facts.pay(0, 1000);
        assert_eq!(debts(), [0, 0, 0], "no credit");
        facts.share_out(100, &[1, 0, 0]);
        facts.forget_debts();
        assert_eq!(debts(), [0, 0, 0]);
    }

    #[test]
    fn the_time_beyond_the_limit_adds_up() {
        let facts = MemoryFacts::new(1);
        facts.note_exceeded(false, 5);
        facts.note_exceeded(true, 10);
        facts.note_exceeded(true, 12);
        assert_eq!(facts.exceeded_ms(13), (3, 3));
        facts.note_exceeded(false, 15);
        facts.note_exceeded(true, 30);
        assert_eq!(facts.exceeded_ms(32), (7, 2));
    }

    #[test]
    fn a_refusal_is_told_of_once_a_minute() {
        let facts = MemoryFacts::new(1);
        let told = [1_000, 2_000, 60_999, 61_000, 61_001].map(|now_ms| facts.note_refusal(now_ms));
        assert_eq!(told, [true, false, false, true, false]);
    }
}
