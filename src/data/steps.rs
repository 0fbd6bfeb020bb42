//! How many nodes and records the structures have looked at, for tests of cost. Counted only in tests and with the feature
//! `steps`, by thread; elsewhere counting is nothing.

#[cfg(any(test, feature = "steps"))]
use std::cell::Cell;

#[cfg(any(test, feature = "steps"))]
thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// So many nodes or records were looked at.
#[inline]
pub(crate) fn count(steps: u64) {
    #[cfg(any(test, feature = "steps"))]
    STEPS.set(STEPS.get() + steps);
    #[cfg(not(any(test, feature = "steps")))]
    let _ = steps;
}

/// What this thread has counted so far.
#[cfg(any(test, feature = "steps"))]
pub(crate) fn seen() -> u64 {
    STEPS.get()
}

/// What this thread has counted so far; it counts from 0 then.
#[cfg(any(test, feature = "steps"))]
pub(crate) fn take() -> u64 {
    STEPS.take()
}
