//! The order of what happens to several keyspaces in one hand.
//!
//! A command may change keys of several keyspaces: LMOVE pushes in one, then pops in the other. What it leaves in each
//! (effects, events, ready keys) is numbered, so that whoever collects it can put it together as it happened.
//!
//! Invariant: numbers are compared only among what one thread made between two collections; they mean nothing beyond.

use std::cell::Cell;

thread_local! {
    static LAST: Cell<u64> = const { Cell::new(0) };
    static GROUP: Cell<u64> = const { Cell::new(0) };
}

/// The next number of this thread.
pub(super) fn next() -> u64 {
    LAST.with(|last| {
        last.set(last.get() + 1);
        last.get()
    })
}

/// The number of what belongs together: a command, a transaction.
#[inline]
pub(super) fn group() -> u64 {
    GROUP.get()
}

/// What follows belongs to a group that was begun before; gives the one of this moment.
pub(super) fn change_group(group: u64) -> u64 {
    GROUP.replace(group)
}

/// What follows belongs to the next group.
#[inline]
pub(super) fn close_group() {
    GROUP.set(GROUP.get() + 1);
}
