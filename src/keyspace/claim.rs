//! Who ends a wait: whoever serves it, or its timeout, UNBLOCK, KILL or the end of its connection. Exactly one of them does.
//!
//! ```text
//!   WAITING ──take────► CLAIMED ──serve──► SERVED
//!      ▲  │                │
//!      │  └──cancel────────┼─────────────► CANCELLED
//!      └─────release───────┘
//! ```
//! Nothing here knows of clients. `tests/interleavings.rs` runs this file under a model checker.

use crate::sync::{AtomicU8, Ordering, yield_now};

const WAITING: u8 = 0;
const CLAIMED: u8 = 1;
const SERVED: u8 = 2;
const CANCELLED: u8 = 3;

/// The state of a wait.
#[derive(Debug)]
pub(crate) struct Claim(AtomicU8);

impl Claim {
    /// A wait that has begun.
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(WAITING))
    }

    /// Whether it goes on: nobody has served or cancelled it.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), WAITING | CLAIMED)
    }

    /// Takes it to be served; false when it was cancelled or served before. [`Claim::serve`] or [`Claim::release`] must follow in
    /// the same synchronous step. Whoever meets a claim waits its step out: what has become ready here may be what that other
    /// one, who looks at other keys, did not find.
    pub(crate) fn take(&self) -> bool {
        self.leave_waiting(CLAIMED)
    }

    /// What was claimed got its reply.
    pub(crate) fn serve(&self) {
        let done = self.step(CLAIMED, SERVED);
        debug_assert!(done, "only who is claimed is served");
    }

    /// What was claimed got nothing: it waits on.
    pub(crate) fn release(&self) {
        let done = self.step(CLAIMED, WAITING);
        debug_assert!(done, "only who is claimed can be put back");
    }

    /// Ends the wait without serving; false when it was served or cancelled before.
    pub(crate) fn cancel(&self) -> bool {
        self.leave_waiting(CANCELLED)
    }

    fn step(&self, from: u8, to: u8) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let step = self.0.compare_exchange(from, to, success, failure);
        step.is_ok()
    }

    /// Goes from WAITING to `state`, past the claims of others; false when it was cancelled or served before.
    fn leave_waiting(&self, state: u8) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        loop {
            match self.0.compare_exchange(WAITING, state, success, failure) {
                Ok(_) => return true,
                Err(CLAIMED) => yield_now(),
                Err(_) => return false,
            }
        }
    }
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}
