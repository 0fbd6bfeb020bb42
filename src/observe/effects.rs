//! The effects of all shards in one FIFO, while somebody records them (DEBUG EFFECTS).
//!
//! It stands beside the append-only log, in the same order: each hand hands its effects on before the reply and before any
//! message that follows from them, so they can be replayed in it. A transaction is contiguous.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One effect: its database and its command in RESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Database.
    pub(crate) db: usize,
    /// The command in RESP.
    pub(crate) command: Vec<u8>,
}

/// The FIFO.
#[derive(Debug, Default)]
pub(crate) struct EffectLog {
    recording: AtomicBool,
    suppressing: AtomicBool,
    effects: Mutex<Vec<Effect>>,
    suppressed: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EffectLog {
    /// Whether effects are recorded; keyspaces read it once per turn.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Acquire)
    }

    /// Starts with an empty log, or stops.
    pub(crate) fn set_recording(&self, recording: bool) {
        lock(&self.effects).clear();
        self.suppress(None);
        self.recording.store(recording, Ordering::Release);
    }

    /// Drops the effects that one command causes, to show that a comparison notices. `full_name` as `xgroup|create`.
    pub(crate) fn suppress(&self, full_name: Option<String>) {
        self.suppressing
            .store(full_name.is_some(), Ordering::Release);
        *lock(&self.suppressed) = full_name;
    }

    /// Whether the effects of a command are dropped. `cause` is its full name.
    #[inline]
    pub(crate) fn suppresses(&self, cause: &str) -> bool {
        self.suppressing.load(Ordering::Acquire) && lock(&self.suppressed).as_deref() == Some(cause)
    }

    /// Appends the effects of one hand, in order and contiguous.
    pub(crate) fn append(&self, effects: impl Iterator<Item = Effect>) {
        lock(&self.effects).extend(effects);
    }

    /// Takes everything recorded so far.
    pub(crate) fn take(&self) -> Vec<Effect> {
        std::mem::take(&mut *lock(&self.effects))
    }
}
