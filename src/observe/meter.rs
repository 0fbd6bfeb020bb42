//! How much memory is used, asked before each command: a sum that every thread adds to, set right from time to time.
//!
//! ```text
//! sum ◄── what a thread has taken and given back since it last told (the allocator counts that for each thread)
//!     ◄── the allocator's own count, a few times a second and whenever the sum decides something
//! ```
//! A thread tells when somebody asks on it. What a thread that never asks takes and gives back (it frees big values, it saves)
//! is in the sum when that is set right.
//!
//! What a thread tells of after another has set the sum right may be in it already, and would be twice. So the sum has rounds,
//! one for each time that it was set right: what is told in the round in which the thread told last is exact, and of what is not only
//! little is told, less still near the limit. More sets the sum right.
//!
//! Invariant: nothing here is asked while no limit is set.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};

use super::allocator;

/// Bytes, as far as threads have told.
static SUM: AtomicI64 = AtomicI64::new(0);
/// When that was set right last, ns.
static CORRECTED_NS: AtomicU64 = AtomicU64::new(0);

/// How often it was begun to set that right.
static ROUND: AtomicU64 = AtomicU64::new(0);
/// From so much on the limit is near, bytes.
static NEAR_FROM: AtomicI64 = AtomicI64::new(i64::MAX);

/// Changes of less are kept for later: threads do not write to one place for each command.
const TOLD_BYTES_MIN: i64 = 1024;
/// The most that a thread tells of what may be in the sum already, bytes; and near the limit.
const DOUBTFUL_BYTES_MAX: i64 = 1 << 20;
/// See above. Many commands take less.
const DOUBTFUL_NEAR_BYTES_MAX: i64 = 64 * 1024;
/// For how long the sum is trusted where it decides something, ns.
const TRUSTED_NS: u64 = 5_000_000;

thread_local! {
    static OWN: Own = Own::new();
}

/// What the allocator counts of a thread.
struct Own {
    counts: Option<(ThreadLocal<u64>, ThreadLocal<u64>)>,
    told: Cell<i64>,
    /// The round in which it told last.
    round: Cell<u64>,
}

impl Own {
    fn new() -> Self {
        let counts = allocatedp::read().ok().zip(deallocatedp::read().ok());
        let own = Self {
            counts,
            told: Cell::new(0),
            round: Cell::new(0),
        };
        // What it has taken so far is in the allocator's count.
        own.told.set(own.net());
        own.round.set(ROUND.load(Ordering::Acquire));
        own
    }

    #[inline]
    fn net(&self) -> i64 {
        let net = |(taken, given): (ThreadLocal<u64>, ThreadLocal<u64>)| {
            taken.get().wrapping_sub(given.get()) as i64
        };
        self.counts.map_or(0, net)
    }
}

/// Bytes that this thread has taken and not given back; below zero when others took them.
pub(crate) fn net() -> i64 {
    OWN.with(Own::net)
}

/// There is a limit of so many bytes, which so many threads use up; 0: none.
pub(crate) fn set_limit(max: u64, thread_count: usize) {
    let doubtful = DOUBTFUL_BYTES_MAX.saturating_mul(thread_count as i64 + 1);
    let from = match i64::try_from(max) {
        Ok(0) | Err(_) => i64::MAX,
        Ok(max) => max.saturating_sub(doubtful),
    };
    NEAR_FROM.store(from, Ordering::Relaxed);
}

/// Bytes in use, about.
pub(crate) fn used() -> u64 {
    OWN.with(|own| {
        let change = own.net() - own.told.get();
        if change.abs() < TOLD_BYTES_MIN {
            let sum = SUM.load(Ordering::Relaxed) + change;
            return u64::try_from(sum).unwrap_or(0);
        }
        let round = ROUND.load(Ordering::Acquire);
        if round != own.round.get() {
            if is_doubtful(change, SUM.load(Ordering::Relaxed)) {
                return correct();
            }
            own.round.set(round);
        }
        own.told.set(own.told.get() + change);
        let sum = SUM.fetch_add(change, Ordering::Relaxed) + change;
        u64::try_from(sum).unwrap_or(0)
    })
}

/// Whether a change that may be in the sum already is too much to add.
fn is_doubtful(change: i64, sum: i64) -> bool {
    let is_near = sum >= NEAR_FROM.load(Ordering::Relaxed);
    let most = if is_near {
        DOUBTFUL_NEAR_BYTES_MAX
    } else {
        DOUBTFUL_BYTES_MAX
    };
    change.abs() > most
}

/// As [`used`], where something is decided by it: set right unless that was a moment ago. `now_ns`: monotonic.
pub(crate) fn used_now(now_ns: u64) -> u64 {
    let corrected_ns = CORRECTED_NS.load(Ordering::Relaxed);
    if corrected_ns != 0 && now_ns.saturating_sub(corrected_ns) < TRUSTED_NS {
        return used();
    }
    CORRECTED_NS.store(now_ns, Ordering::Relaxed);
    correct()
}

/// Sets the sum right; gives it. Microseconds: not for each command.
pub(crate) fn correct() -> u64 {
    OWN.with(|own| {
        own.round.set(ROUND.fetch_add(1, Ordering::AcqRel) + 1);
        let used = allocator::allocated().used;
        SUM.store(i64::try_from(used).unwrap_or(i64::MAX), Ordering::Relaxed);
        own.told.set(own.net());
        used
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_told_in_doubt_near_the_limit() {
        set_limit(100 << 20, 2);
        let near = 97 << 20;
        let doubtful = [
            (-64 << 10, near),
            ((64 << 10) + 1, near),
            (1 << 20, near - 1),
        ];
        let doubtful = doubtful.map(|(change, sum)| is_doubtful(change, sum));
        assert_eq!(doubtful, [false, true, false]);
        assert!(is_doubtful(-(1 << 20) - 1, 0));
        set_limit(0, 2);
        assert!(!is_doubtful(1 << 20, near));
    }
}
