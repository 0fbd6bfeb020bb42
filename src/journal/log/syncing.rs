//! What the thread does that syncs: it fills ahead, waits for the disk, and moves the mark.

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

    /// What there is to sync. Others write meanwhile.
    ///
    /// # Errors
    /// There is nothing to do: whether all is on disk.
    pub fn begin_sync(&self) -> Result<Syncing, bool> {
        self.fill_ahead();
        let mut writing = lock(&self.writing);
        let position = self.written();
        let Some(target) = &mut writing.target else {
            return Err(true);
        };
        if target.has_failed() {
            return Err(false);
        }
        if position == self.synced() && target.is_synced() {
            return Err(true);
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
        self.facts.log_syncing.store(false, Ordering::Relaxed);
        self.slow_sync.end();
        self.facts.log_syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            let writing = lock(&self.writing);
            // What concerns a file that was given up meanwhile concerns nobody.
            let is_its = |target: &Target| target.is_of(syncing);
            if writing.target.as_ref().is_some_and(is_its) {
                self.facts.note_sync_error(&error);
            }
            drop(writing);
            self.wake_waiting();
            return false;
        }
        let mut writing = lock(&self.writing);
        if let Some(target) = &mut writing.target {
            target.finish_sync(syncing);
        }
        drop(writing);
        if self.limit.load(Ordering::Acquire) == u64::MAX {
            self.facts.log_sync_error.store(0, Ordering::Release);
        }
        self.synced.fetch_max(syncing.position, Ordering::AcqRel);
        self.note_unsynced();
        self.wake_waiting();
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
