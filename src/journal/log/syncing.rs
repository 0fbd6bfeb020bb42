//! What the thread does that syncs: it fills ahead, waits for the disk, and moves the mark. And how a shard syncs by itself.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::target::{SyncPolicy, Syncing, Target};
use super::{Log, Wanted, lock};
use crate::limits;
use crate::observe::persistence::Saving;

impl Log {
    /// Syncs what has been written, now. True when all of it is on disk.
    pub fn sync(&self) -> bool {
        match self.begin_sync() {
            Ok(syncing) => {
                let result = syncing.run();
                self.finish_sync(&syncing, result)
            }
            Err(is_synced) => is_synced,
        }
    }

    /// What there is to sync. Others write meanwhile. [`Log::finish_sync`] must follow.
    ///
    /// # Errors
    /// There is nothing to do: whether all is on disk.
    pub fn begin_sync(&self) -> Result<Syncing, bool> {
        self.fill_ahead();
        self.quick_sync.begin();
        self.begin_sync_of_written()
    }

    /// The same for a shard that has written and waits for the disk itself; nothing where somebody syncs: the shard is woken when that
    /// has ended.
    pub(crate) fn begin_own_sync(&self, shard: usize) -> Option<Syncing> {
        if self.synced() >= self.written() {
            return None;
        }
        if !self.quick_sync.begin_alone() {
            self.wait(shard);
            // It may have ended before the shard was noted.
            if !self.quick_sync.begin_alone() {
                return None;
            }
        }
        self.begin_sync_of_written().ok()
    }

    /// Whether the thread that syncs was asked for something before its next period; a simulation does it instead.
    pub fn take_wanted(&self) -> bool {
        let mut wanted = lock(&self.wanted);
        let is_due = self.is_due(&wanted);
        (wanted.written, wanted.filled) = (false, false);
        is_due
    }

    /// Whether whoever writes is to sync too: replies wait for it, and the disk is quick.
    #[inline]
    pub(crate) fn is_synced_by_writers(&self) -> bool {
        self.policy() == SyncPolicy::Always && self.quick_sync.is_quick()
    }

    /// Waits for a sync that has begun, and finishes it; gives how long it took by this clock, ns.
    pub(crate) fn run_to_end(&self, syncing: &Syncing, nanoseconds: impl Fn() -> u64) -> u64 {
        let begun_ns = nanoseconds();
        let result = syncing.run();
        let took_ns = nanoseconds() - begun_ns;
        if !syncing.has_fill() {
            self.note_sync_took(took_ns);
        }
        self.finish_sync(syncing, result);
        took_ns
    }

    /// How long a sync has taken, ns. Before [`Log::finish_sync`].
    pub fn note_sync_took(&self, took_ns: u64) {
        self.quick_sync.note(took_ns);
    }

    fn begin_sync_of_written(&self) -> Result<Syncing, bool> {
        // Nobody is to be told: no mark moves, and what was written since has its own word to whoever syncs.
        let nothing = |is_synced| {
            self.quick_sync.end();
            Err(is_synced)
        };
        let mut writing = lock(&self.writing);
        let position = self.written();
        let Some(target) = &mut writing.target else {
            return nothing(true);
        };
        if target.has_failed() {
            return nothing(false);
        }
        if position == self.synced() && target.is_synced() {
            return nothing(true);
        }
        self.facts.log_syncing.store(true, Ordering::Relaxed);
        self.slow_sync.begin();
        Ok(target.begin_sync(position))
    }

    /// Fills ahead in parts: between two of them others write.
    fn fill_ahead(&self) {
        for _ in 0..=limits::LOG_FILL_GROWTH {
            let mut writing = lock(&self.writing);
            let Some(target) = writing
                .target
                .as_mut()
                .filter(|target| !target.has_failed())
            else {
                return;
            };
            // When it fails, who writes will see.
            if !target.fill_in_time().unwrap_or(false) {
                return;
            }
            drop(writing);
            // Whoever waits for the lock gets it only while nobody asks for it at once again.
            std::thread::sleep(limits::LOG_FILL_PAUSE);
        }
    }

    /// What has come of a sync. True when all that it was for is on disk.
    pub fn finish_sync(&self, syncing: &Syncing, result: io::Result<()>) -> bool {
        let is_synced = self.finish(syncing, result);
        if self.quick_sync.end() {
            self.facts.log_syncing.store(false, Ordering::Relaxed);
            self.slow_sync.end();
        }
        // Who wrote meanwhile is among them, and syncs, or has it synced.
        self.wake_waiting();
        is_synced
    }

    fn finish(&self, syncing: &Syncing, result: io::Result<()>) -> bool {
        self.facts.log_syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            let writing = lock(&self.writing);
            // What concerns a file that was given up meanwhile concerns nobody.
            let is_its = |target: &Target| target.is_of(syncing);
            if writing.target.as_ref().is_some_and(is_its) {
                self.facts.note_sync_error(&error);
            }
            return false;
        }
        let mut writing = lock(&self.writing);
        let mut has_failed = false;
        if let Some(target) = &mut writing.target {
            target.finish_sync(syncing);
            // Another sync of it, beside this one.
            has_failed = target.has_failed();
        }
        if !has_failed && self.limit.load(Ordering::Acquire) == u64::MAX {
            self.facts.log_sync_error.store(0, Ordering::Release);
        }
        drop(writing);
        self.synced.fetch_max(syncing.position, Ordering::AcqRel);
        self.note_unsynced();
        true
    }

    /// The thread that syncs: returns when the log ends. `sync` calls [`Log::sync`].
    pub(crate) fn run_sync(&self, sync: impl Fn(&Self)) {
        loop {
            let fills;
            {
                let mut wanted = lock(&self.wanted);
                while !wanted.ended && !self.is_due(&wanted) {
                    let is_in_trouble = self.facts.log_write_error.load(Ordering::Relaxed) != 0;
                    let period_ms = match is_in_trouble {
                        true => limits::LOG_RETRY_PERIOD_MS,
                        false => limits::LOG_SYNC_PERIOD_MS,
                    };
                    let period = Duration::from_millis(period_ms);
                    let (guard, timeout) = self
                        .something_written
                        .wait_timeout(wanted, period)
                        .unwrap_or_else(PoisonError::into_inner);
                    wanted = guard;
                    if timeout.timed_out() {
                        break;
                    }
                }
                if wanted.ended {
                    return;
                }
                wanted.written = false;
                fills = std::mem::take(&mut wanted.filled);
            }
            // Also what nobody waits for is written in time, and what could not be written is tried again.
            self.write();
            if fills || !self.rests() {
                sync(self);
            }
        }
    }

    /// Whether it is not synced at present, except where somebody asks for it.
    pub fn rests(&self) -> bool {
        match self.policy() {
            SyncPolicy::Always => false,
            SyncPolicy::EverySecond => {
                self.rests_while_saving.load(Ordering::Relaxed)
                    && self.facts.saving() != Saving::Nothing
            }
            SyncPolicy::No => true,
        }
    }

    fn is_due(&self, wanted: &Wanted) -> bool {
        wanted.filled || wanted.written && self.policy() == SyncPolicy::Always
    }

    /// Ends the thread that syncs.
    pub(crate) fn end_sync(&self) {
        lock(&self.wanted).ended = true;
        self.something_written.notify_all();
    }
}
