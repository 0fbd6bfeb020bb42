//! The effects of all shards in one FIFO, while somebody records them (DEBUG EFFECTS).
//!
//! It is the place where a log will stand: each keyspace hands its effects on before the reply and before any message
//! that follows from them, so the order here is one in which they can be replayed. A transaction is contiguous.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// One effect: its database and its command in RESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Database.
    pub(crate) db: usize,
    /// The command in RESP.
    pub(crate) command: Vec<u8>,
}

#[derive(Debug, Default)]
struct Log {
    effects: Vec<Effect>,
    suppressed: Option<String>,
}

/// The FIFO.
#[derive(Debug, Default)]
pub(crate) struct EffectLog {
    recording: AtomicBool,
    log: Mutex<Log>,
}

impl EffectLog {
    /// Whether effects are recorded; keyspaces read it once per turn.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Acquire)
    }

    /// Starts with an empty log, or stops.
    pub(crate) fn set_recording(&self, recording: bool) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.effects.clear();
        log.suppressed = None;
        self.recording.store(recording, Ordering::Release);
    }

    /// Drops the effects that one command causes, to show that a comparison notices. `full_name` as `xgroup|create`.
    pub(crate) fn suppress(&self, full_name: Option<String>) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .suppressed = full_name;
    }

    /// Appends the effects of one command, in order and contiguous. `cause` is the command's full name.
    pub(crate) fn append(&self, cause: &str, effects: Vec<Effect>) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.suppressed.as_deref() != Some(cause) {
            log.effects.extend(effects);
        }
    }

    /// Takes everything recorded so far.
    pub(crate) fn take(&self) -> Vec<Effect> {
        std::mem::take(
            &mut self
                .log
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .effects,
        )
    }
}
