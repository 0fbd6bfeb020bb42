//! How much memory is used, asked before each command: a sum that every thread adds to, set right from time to time.
//!
//! ```text
//! sum ◄── what a thread has taken and given back since it last told (the allocator counts that for each thread)
//!     ◄── the allocator's own count, a few times a second and whenever the sum decides something
//! ```
//! A thread tells when somebody asks on it. What a thread that never asks takes and gives back (it frees big values, it saves)
//! is in the sum when that is set right.
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

/// Changes of less are kept for later: threads do not write to one place for each command.
const TOLD_BYTES_MIN: i64 = 1024;
/// A change of more sets the sum right. It may have been in the allocator's count, of which the sum was made meanwhile by
/// another thread, and would be in it twice.
const TOLD_BYTES_MAX: i64 = 1 << 20;
/// For how long the sum is trusted where it decides something, ns.
const TRUSTED_NS: u64 = 5_000_000;

thread_local! {
    static OWN: Own = Own::new();
}

/// What the allocator counts of a thread.
struct Own {
    counts: Option<(ThreadLocal<u64>, ThreadLocal<u64>)>,
    told: Cell<i64>,
}

impl Own {
    fn new() -> Self {
        let counts = allocatedp::read().ok().zip(deallocatedp::read().ok());
        let own = Self {
            counts,
            told: Cell::new(0),
        };
        // What it has taken so far is in the allocator's count.
        own.told.set(own.net());
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

/// Bytes in use, about.
pub(crate) fn used() -> u64 {
    OWN.with(|own| {
        let change = own.net() - own.told.get();
        if change.abs() < TOLD_BYTES_MIN {
            let sum = SUM.load(Ordering::Relaxed) + change;
            return u64::try_from(sum).unwrap_or(0);
        }
        if change.abs() > TOLD_BYTES_MAX {
            return correct();
        }
        own.told.set(own.told.get() + change);
        let sum = SUM.fetch_add(change, Ordering::Relaxed) + change;
        u64::try_from(sum).unwrap_or(0)
    })
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
        let used = allocator::allocated().used;
        SUM.store(i64::try_from(used).unwrap_or(i64::MAX), Ordering::Relaxed);
        own.told.set(own.net());
        used
    })
}
