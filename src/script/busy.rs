//! Scripts that run for too long, and hold what others wait for. For all threads.
//!
//! Source: SCRIPT KILL, FUNCTION KILL, FUNCTION STATS; `busy-reply-threshold`.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::ShardSet;

/// A script that runs for too long.
#[derive(Debug)]
pub(crate) struct BusyScript {
    /// The keyspaces that it holds.
    pub(crate) shards: ShardSet,
    /// The name of a function; of a script of EVAL, its SHA1.
    pub(crate) name: Vec<u8>,
    /// Whether it is a function.
    pub(crate) is_function: bool,
    /// The command that called it.
    pub(crate) command: Vec<Vec<u8>>,
    /// Since when it runs, Unix ms.
    pub(crate) since_ms: u64,
    /// [`RUNS`], [`HAS_WRITTEN`] or [`KILLED`]: one excludes the other.
    state: AtomicU8,
}

const RUNS: u8 = 0;
const HAS_WRITTEN: u8 = 1;
const KILLED: u8 = 2;

impl BusyScript {
    /// One that was found to be busy.
    pub(crate) fn new(
        shards: ShardSet,
        name: Vec<u8>,
        is_function: bool,
        command: Vec<Vec<u8>>,
        since_ms: u64,
    ) -> Self {
        Self {
            shards,
            name,
            is_function,
            command,
            since_ms,
            state: AtomicU8::new(RUNS),
        }
    }

    /// Whether it is to end.
    pub(crate) fn is_killed(&self) -> bool {
        self.state.load(Ordering::Acquire) == KILLED
    }

    /// It calls a command that writes, and cannot be killed from now on; false when it was killed before.
    pub(crate) fn begin_write(&self) -> bool {
        self.change(HAS_WRITTEN)
    }

    /// Whether it is in this state now.
    fn change(&self, state: u8) -> bool {
        let changed = self
            .state
            .compare_exchange(RUNS, state, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok() || changed == Err(state)
    }
}

/// Why no script was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotKilled {
    /// None is busy.
    NotBusy,
    /// It has written.
    HasWritten,
    /// It is a function, and SCRIPT KILL does not end those.
    IsFunction,
    /// It is none, and FUNCTION KILL ends only those.
    IsScript,
}

/// See the head of the module.
#[derive(Debug, Default)]
pub(crate) struct BusyScripts {
    list: Mutex<Vec<Arc<BusyScript>>>,
    count: AtomicUsize,
}

impl BusyScripts {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<BusyScript>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is any. A load.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// One more.
    pub(crate) fn add(&self, script: Arc<BusyScript>) {
        let mut list = self.lock();
        list.push(script);
        self.count.store(list.len(), Ordering::Release);
    }

    /// It has ended.
    pub(crate) fn remove(&self, script: &Arc<BusyScript>) {
        let mut list = self.lock();
        list.retain(|other| !Arc::ptr_eq(other, script));
        self.count.store(list.len(), Ordering::Release);
    }

    /// One that holds some of these keyspaces.
    pub(crate) fn holder(&self, shards: ShardSet) -> Option<Arc<BusyScript>> {
        let list = self.lock();
        let mut holders = list.iter();
        holders
            .find(|script| script.shards.intersects(shards))
            .cloned()
    }

    /// A function that is busy.
    pub(crate) fn function(&self) -> Option<Arc<BusyScript>> {
        let list = self.lock();
        list.iter().find(|script| script.is_function).cloned()
    }

    /// Has all scripts end that may be ended: functions, or those of EVAL.
    ///
    /// # Errors
    ///
    /// There is none of them.
    pub(crate) fn kill(&self, functions: bool) -> Result<(), NotKilled> {
        let list = self.lock();
        let mut outcome = Err(NotKilled::NotBusy);
        for script in list.iter() {
            let has_written = script.state.load(Ordering::Acquire) == HAS_WRITTEN;
            let refusal = if has_written {
                NotKilled::HasWritten
            } else if script.is_function && !functions {
                NotKilled::IsFunction
            } else if !script.is_function && functions {
                NotKilled::IsScript
            } else if script.change(KILLED) {
                outcome = Ok(());
                continue;
            } else {
                NotKilled::HasWritten
            };
            if outcome == Err(NotKilled::NotBusy) {
                outcome = Err(refusal);
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    #[test]
    fn a_kill_ends_what_has_not_written_and_is_of_its_kind() {
        let scripts = BusyScripts::default();
        assert_eq!(scripts.kill(false), Err(NotKilled::NotBusy));
        let shards = ShardSet::one(ShardId(1));
        let busy = |is_function| {
            let script = BusyScript::new(shards, Vec::new(), is_function, Vec::new(), 0);
            let script = Arc::new(script);
            scripts.add(Arc::clone(&script));
            script
        };
        let script = busy(false);
        assert_eq!(scripts.kill(true), Err(NotKilled::IsScript));
        assert!(script.begin_write());
        assert_eq!(scripts.kill(false), Err(NotKilled::HasWritten));
        let function = busy(true);
        assert_eq!(scripts.kill(true), Ok(()));
        assert!(function.is_killed() && !script.is_killed());
        assert!(!function.begin_write());
        assert!(scripts.holder(shards).is_some());
        assert!(scripts.holder(ShardSet::one(ShardId(0))).is_none());
        scripts.remove(&script);
        scripts.remove(&function);
        assert!(!scripts.any());
    }
}
