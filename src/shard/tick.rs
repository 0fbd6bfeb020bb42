//! Time: deadlines of blocked clients, expiry, idle clients, output over its soft limit, the end of a pause.

use std::sync::atomic::Ordering;

use crate::ids::ShardSet;
use crate::limits;

use super::Shard;
use super::admission::Work;
use super::client::Phase;
use super::execute::Aftermath;

impl Shard {
    /// When the next thing is due, Unix ms.
    pub fn next_wake_ms(&self) -> u64 {
        let deadline = self.deadlines.first().map_or(u64::MAX, |(at, _)| *at);
        let alarm = self.next_alarm_ms().unwrap_or(u64::MAX);
        let stop = self.stop_deadline_ms().unwrap_or(u64::MAX);
        deadline.min(alarm).min(self.next_round_ms).min(stop)
    }

    /// When blocked clients are to look at keys again, Unix ms; not before the end of CLIENT PAUSE, since they write.
    fn next_alarm_ms(&self) -> Option<u64> {
        let alarm_ms = self.keyspace.as_ref()?.next_alarm_ms()?;
        Some(alarm_ms.max(self.shared.paused_until_ms.load(Ordering::Acquire)))
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        if self.is_stopping() {
            return;
        }
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > self.now_ms {
                break;
            }
            self.deadlines.pop_first();
            self.timed_out(id);
        }
        if self.next_alarm_ms().is_some_and(|at| at <= self.now_ms) {
            self.admission.push(Work::Ring);
        }
        if self.now_ms < self.next_round_ms {
            return;
        }
        let period_ms = (1000 / u64::from(self.settings.hz.clamp(1, 500))).max(1);
        self.next_round_ms = self.now_ms + period_ms;
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.clients.set(self.clients.len() as u64);
        if let Some(keyspace) = &self.keyspace {
            let shown = &keyspace.counters().databases;
            for (db, shown) in (0..keyspace.database_count()).zip(shown) {
                let average_ms = keyspace.database(db).average_ttl_ms(self.now_ms);
                shown.average_ttl_ms.set(average_ms);
            }
        }
        if self.id.index() == 0 {
            let observations = &self.shared.observations;
            observations.sampler.take(self.now_ms, &observations.shards);
            for (address, count) in observations.failed_logins.take_due(self.now_ms) {
                tracing::warn!("Failed logins from {address}: {count} (told of once a minute)");
            }
        }
        if self.shared.paused_until_ms.load(Ordering::Acquire) <= self.now_ms {
            self.release_paused();
        }
        if self.may_expire() {
            self.admission.push(Work::Expire);
        }
        if let Some(keyspace) = &mut self.keyspace {
            keyspace.end_producers(self.now_ms);
            keyspace.sweep_watchers();
        }
        self.limit_tracked();
        self.close_idle();
    }

    fn may_expire(&self) -> bool {
        self.shared.active_expire.load(Ordering::Acquire)
            && !self.shared.cron_paused.load(Ordering::Acquire)
            && self.shared.paused_until_ms.load(Ordering::Acquire) <= self.now_ms
            && self
                .keyspace
                .as_ref()
                .is_none_or(|keyspace| keyspace.next_expiry_ms().is_some_and(|at| at < self.now_ms))
    }

    /// One round of expiry; comes back to the end of the queue when there is more.
    pub(super) fn expire(&mut self) {
        if !self.may_expire() {
            return;
        }
        let Some(mut keyspace) = self.keyspace.take() else {
            return;
        };
        keyspace.now_ms = keyspace.now_ms.max(self.now_ms);
        let mut after = Aftermath::default();
        let count = self
            .env()
            .expire(&mut keyspace, limits::EXPIRIES_PER_ROUND_MAX, &mut after);
        self.keyspace = Some(keyspace);
        self.dispatch(after, None);
        if count == limits::EXPIRIES_PER_ROUND_MAX {
            self.admission.push(Work::Expire);
        }
    }

    /// Lets blocked clients look at the keys whose alarms are due; comes back to the end of the queue when there are more.
    pub(super) fn ring(&mut self) {
        if self.next_alarm_ms().is_none_or(|at| at > self.now_ms) {
            return;
        }
        let mut after = Aftermath::default();
        let more = self.with_own(ShardSet::one(self.id), |_, env, space| {
            let ring = |keyspace| env.ring(keyspace, limits::ALARMS_PER_ROUND_MAX, &mut after);
            space.keyspaces_mut().any(ring)
        });
        self.dispatch(after, None);
        if more {
            self.admission.push(Work::Ring);
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
        for (id, client) in &self.clients {
            let Some(client) = client else { continue };
            if !client.output.is_empty() {
                loaded.push(*id);
            }
            let active_ms = client.session.handle.active_ms.load(Ordering::Relaxed);
            let exempt = !matches!(client.phase, Phase::Ready)
                || client.session.subscriptions.any()
                || client.session.monitoring;
            if timeout_ms > 0 && !exempt && now_ms.saturating_sub(active_ms) > timeout_ms {
                idle.push(*id);
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
