//! What the thread does without a request: dumps that save points ask for, rewrites of a log that has grown, what was put off.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{error, info};

use crate::config::Settings;
use crate::observe::persistence::Saving;

use super::surroundings::Surroundings;
use super::{Occasion, RETRY_MS, Worker};

impl<S: Surroundings> Worker<S> {
    /// Does what is due without a request.
    pub(super) fn look(&mut self) {
        if self.facts().is_loading() || self.shared.stopping.load(Ordering::Acquire) {
            return;
        }
        let (settings, now_ms) = (self.settings(), self.around.now_ms());
        if self.log.is_cut() {
            // The process was to end, and could not.
            if let Err(error) = self.files.next(&self.log) {
                self.log.note_no_file(&error);
            }
        }
        let keeps_history = settings.persistence.keeps_history;
        self.files.follow_history(keeps_history);
        if self.log.is_on() && self.log.has_failed() && self.files.is_there() {
            error!("A sync of the append only file has failed: it is written anew from memory");
            self.files.begin_anew();
            // Also where bases have failed before, and the log was whole.
            self.rewrites_again_ms = self.rewrites_again_ms.min(now_ms + RETRY_MS);
        }
        let may_rewrite = now_ms >= self.rewrites_again_ms;
        if may_rewrite {
            // It is in the log, and tried again.
            let _ = self.follow_settings();
        }
        let facts = self.facts();
        let is_scheduled = |what: &AtomicBool| what.load(Ordering::Acquire);
        let wants_base = is_scheduled(&facts.rewrite_scheduled)
            || self.log.is_on() && self.log_has_grown(&settings);
        if may_rewrite && wants_base {
            // What a client has begun meanwhile comes first.
            if facts.begin(Saving::Base, now_ms) {
                facts.rewrite_scheduled.store(false, Ordering::Release);
                // It is in the log.
                let _ = self.base();
            }
        } else if (is_scheduled(&facts.dump_scheduled) || self.is_save_due(&settings, now_ms))
            && facts.begin(Saving::Dump, now_ms)
        {
            facts.dump_scheduled.store(false, Ordering::Release);
            // As above.
            let _ = self.dump(Occasion::Background);
        }
    }

    fn changes(&self) -> u64 {
        let dirty = self.shared.observations.sum(|shard| &shard.keyspace.dirty);
        dirty.saturating_sub(self.facts().dumped_changes.load(Ordering::Relaxed))
    }

    fn is_save_due(&self, settings: &Settings, now_ms: u64) -> bool {
        let facts = self.facts();
        let changes = self.changes();
        let since_ms = now_ms.saturating_sub(facts.dumped_ms.load(Ordering::Relaxed));
        let tried_ms = now_ms.saturating_sub(facts.dump_tried_ms.load(Ordering::Relaxed));
        if facts.dump_failed.load(Ordering::Relaxed) && tried_ms < RETRY_MS {
            return false;
        }
        let mut points = settings.persistence.save_points.iter();
        points.any(|point| {
            let seconds = u64::try_from(point.seconds).unwrap_or(0);
            let wanted = u64::try_from(point.changes).unwrap_or(0);
            let is_due = changes >= wanted && since_ms > seconds * 1000;
            if is_due {
                info!("{wanted} changes in {seconds} seconds. Saving...");
            }
            is_due
        })
    }

    fn log_has_grown(&self, settings: &Settings) -> bool {
        let percentage = settings.persistence.rewrite_percentage;
        let bytes = self.facts().log_bytes();
        if percentage == 0 || bytes <= settings.persistence.rewrite_bytes_min {
            return false;
        }
        let base = self.facts().log_base_bytes.load(Ordering::Relaxed).max(1);
        let growth = (bytes * 100 / base).saturating_sub(100);
        if growth >= percentage {
            info!("Starting automatic rewriting of AOF on {growth}% growth");
        }
        growth >= percentage
    }
}

/// When a base is tried again after so many failures before this one, ms. Source: Redis waits from the third on, 1 minute, 2, 4 … 60;
/// but it makes a new file each time, so here the first two wait too.
/// `holds_writes`: no write is accepted before it stands, so nobody is to wait for it as long.
pub(super) fn retry_after_ms(failures_before: u64, holds_writes: bool) -> u64 {
    match failures_before {
        0 | 1 => RETRY_MS,
        _ if holds_writes => 60_000,
        count => 60_000 * (1 << (count - 2).min(6)).min(60),
    }
}
