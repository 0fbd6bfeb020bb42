//! The primitives under the two small protocols that threads work out among themselves: the berths of keyspaces and the claim
//! of a waiter. A test puts those of a model checker in their place (`tests/interleavings.rs`).

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread::yield_now;
