//! What a shard looks at again when something comes: the clock, the settings, and what they mean to its keyspace.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Settings;
use crate::ids::ShardSet;
use crate::keyspace::KeyspacePolicy;
use crate::keyspace::access::AccessPolicy;
use crate::keyspace::event::EventClass;
use crate::observe::meter;

use super::headroom::MemoryLimits;
use super::job::Job;
use super::journal::follow_settings;
use super::state::Shard;

impl Shard {
    /// Reads the clock, and the settings when they have changed.
    pub(super) fn refresh(&mut self) {
        self.lap_ns.set(None);
        self.now_ms = self.now_ms.max(self.clock.now_ms());
        if self.shared.settings_version.load(Ordering::Acquire) != self.settings_version {
            self.settings_version = self.shared.settings_version.load(Ordering::Acquire);
            self.settings = Arc::clone(
                &self
                    .shared
                    .settings
                    .read()
                    .unwrap_or_else(std::sync::PoisonError::into_inner),
            );
            follow_settings(&self.log, &self.settings);
            self.follow_limits();
            let mut scripts = self.scripts.borrow_mut();
            scripts.set_bytes_max(self.settings.lua_bytes_max);
            drop(scripts);
            if self.shared.tracking.client_count() > 0 {
                self.queue_own(Job::LimitTracked);
            }
        }
        self.hands.set_policy(self.current_policy());
    }

    fn follow_limits(&mut self) {
        self.limits = MemoryLimits::of(&self.settings);
        let facts = &self.shared.observations.memory;
        facts.max.store(self.limits.max, Ordering::Relaxed);
        meter::set_limit(self.limits.max, self.shared.shard_count);
        if self.limits.max > 0 {
            // Nobody has told what was taken while there was no limit.
            meter::correct();
            self.queue_own(Job::Evict(self.id));
        }
        let is_limited = self.limits.clients_max > 0;
        self.shared.clients.held().set_limited(is_limited);
        if is_limited {
            for client in self.clients.iter() {
                client.session.handle.count_held();
            }
        }
    }

    /// What the settings and CLIENT PAUSE mean to a keyspace in hand.
    fn current_policy(&self) -> KeyspacePolicy {
        KeyspacePolicy {
            notify: EventClass(self.settings.notify_keyspace_events),
            unlink_expired: self.settings.lazyfree.expire,
            access: access_policy(&self.settings),
            paused_until_ms: match self.log.is_in_trouble() {
                // What only looks removes no key whose removal cannot be logged.
                true => u64::MAX,
                false => self.paused_until_ms(),
            },
        }
    }

    /// A job that works with this shard's keyspace waits in line, once.
    pub(super) fn queue_own(&mut self, job: Job) {
        let kind = std::mem::discriminant(&job);
        let is_same = |other: &Job| std::mem::discriminant(other) == kind;
        if !self.hands.lines().any(is_same) {
            self.hands.wait_in_line(ShardSet::one(self.id), job);
        }
    }

    /// Gives the keyspaces in hand the settings of this moment.
    pub(super) fn prepare_hand(&mut self) {
        self.is_recording = self.log.is_on() || self.shared.effects.is_recording();
        self.hands.prepare(self.is_recording);
    }
}

/// What is noted of the use of keys.
fn access_policy(settings: &Settings) -> AccessPolicy {
    if settings.memory.policy.ends_with("-lfu") {
        AccessPolicy::Frequency {
            log_factor: settings.lfu_log_factor,
            decay_minutes: settings.lfu_decay_minutes,
        }
    } else {
        AccessPolicy::Recency
    }
}
