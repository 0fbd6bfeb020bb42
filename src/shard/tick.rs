//! Time: deadlines of blocked clients, rounds of the jobs that come with it, idle clients, the end of a pause.

use std::sync::atomic::Ordering;

use crate::limits;
use crate::observe::allocator;

use super::job::Job;
use super::phase::{Happening, Reaction};
use super::state::Shard;

impl Shard {
    /// When the next thing is due, Unix ms.
    pub fn next_wake_ms(&self) -> u64 {
        let deadline = self.clients.next_deadline_ms();
        let alarm = self.next_alarm_ms();
        let has_jobs = !self.hands.lines().is_empty();
        let retry = if has_jobs {
            self.now_ms + limits::TICKET_RETRY_MS
        } else {
            u64::MAX
        };
        let stop = self.stop_deadline_ms().unwrap_or(u64::MAX);
        let due = deadline.min(alarm).min(self.next_round_ms);
        due.min(stop).min(retry).min(self.outstanding.next_end_ms())
    }

    /// When this shard's keyspace must be looked at, Unix ms. Blocked clients do not look at keys before the end of CLIENT
    /// PAUSE, since they write; a walk goes on at once.
    pub(super) fn next_alarm_ms(&self) -> u64 {
        match self.hands.alarm_ms() {
            0 => 0,
            alarm_ms => alarm_ms.max(self.paused_until_ms()),
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        if self.is_stopping() {
            return;
        }
        while let Some(id) = self.clients.pop_overdue(self.now_ms) {
            self.timed_out(id);
        }
        if self.next_alarm_ms() <= self.now_ms {
            self.queue_own(Job::Alarms);
        }
        if self.now_ms < self.next_round_ms {
            return;
        }
        let period_ms = (1000 / u64::from(self.settings.hz.clamp(1, 500))).max(1);
        self.next_round_ms = self.now_ms + period_ms;
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.clients.set(self.clients.len() as u64);
        if self.id.index() == 0 {
            let observations = &self.shared.observations;
            observations.sampler.take(self.now_ms, &observations.shards);
            // The peak that INFO tells is that of these samples.
            self.watch_memory();
            self.tell_of_refused_logins();
        }
        if !self.is_paused() {
            self.clients.release_paused(self.now_ms);
        }
        // While data are loaded there is no keyspace to look after: to ask for it again and again would keep a core from loading.
        if !self.shared.observations.persistence.is_loading() {
            self.queue_own(Job::Housekeeping);
        }
        self.follow_script_flush();
        allocator::give_back_when_quiet(self.clock.nanoseconds() / 1_000_000);
        self.close_held_too_long();
        self.close_stalled_copies();
        self.close_idle();
    }

    fn tell_of_refused_logins(&self) {
        let observations = &self.shared.observations;
        for (address, count) in observations.failed_logins.take_due(self.now_ms) {
            tracing::warn!("Failed logins from {address}: {count} (told of once a minute)");
        }
        for (user, count) in observations.logins_beyond_limit.take_due(self.now_ms) {
            tracing::warn!(
                "Logins refused since user {user:?} has as many connections as maxclients-per-user allows: {count} (told of once a minute)"
            );
        }
    }

    /// SCRIPT FLUSH gives memory back also where no script runs again.
    fn follow_script_flush(&self) {
        if self.busy.is_some() {
            return;
        }
        let mut scripts = self.scripts.borrow_mut();
        scripts.follow(self.shared.scripts.flushes());
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.lua_bytes.set(scripts.used_bytes() as u64);
    }

    /// Closes clients that take nothing more of a copy of the data (SYNC): it keeps its room on the disk.
    fn close_stalled_copies(&mut self) {
        let since_ms = self.now_ms.saturating_sub(limits::COPY_PATIENCE_MS);
        for id in self.clients.inactive_copies(since_ms) {
            tracing::warn!(
                "Closing client id={}: it takes nothing more of its copy of the data",
                id.0
            );
            self.disconnect(id);
        }
    }

    /// Closes clients that were idle too long (`timeout`) or whose output stays over the soft limit.
    fn close_idle(&mut self) {
        let timeout_ms = self.settings.timeout_s * 1000;
        let now_ms = self.now_ms;
        let soft_limited = self.settings.output_limit_pubsub.soft_bytes > 0
            || self.settings.output_limit_normal.soft_bytes > 0;
        if timeout_ms == 0 && !soft_limited {
            return;
        }
        let mut idle = Vec::new();
        let mut loaded = Vec::new();
        for client in self.clients.iter() {
            if !client.output.is_empty() {
                loaded.push(client.id());
            }
            let active_ms = client.session.handle.active_ms.load(Ordering::Relaxed);
            let exempt = client.phase.on(Happening::Idle) != Reaction::Close
                || client.session.subscriptions.any()
                || client.session.monitoring;
            if timeout_ms > 0 && !exempt && now_ms.saturating_sub(active_ms) > timeout_ms {
                idle.push(client.id());
            }
        }
        for id in loaded {
            self.check_output_limit(id);
        }
        for id in idle {
            tracing::debug!("Closing idle client id={}", id.0);
            self.disconnect(id);
        }
    }
}
