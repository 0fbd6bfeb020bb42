//! What a shard looks at again when something comes: the clock, the settings, and what they mean to its keyspace.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Settings;
use crate::keyspace::KeyspacePolicy;
use crate::keyspace::access::AccessPolicy;
use crate::keyspace::event::EventClass;

use super::Shard;

impl Shard {
    /// Reads the clock, and the settings when they have changed.
    pub(super) fn refresh(&mut self) {
        self.rise();
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
            // A lower limit holds before the next command.
            self.limit_tracked();
            self.apply_policy();
        }
        if let Some(keyspace) = &mut self.keyspace {
            keyspace.policy.paused_until_ms = self.shared.paused_until_ms.load(Ordering::Acquire);
        }
        self.apply_recording();
    }

    /// What the settings and CLIENT PAUSE mean to a keyspace in hand.
    pub(super) fn policy(&self) -> KeyspacePolicy {
        KeyspacePolicy {
            notify: EventClass(self.settings.notify_keyspace_events),
            unlink_expired: self.settings.lazyfree.expire,
            access: access_policy(&self.settings),
            paused_until_ms: self.shared.paused_until_ms.load(Ordering::Acquire),
        }
    }

    pub(super) fn apply_policy(&mut self) {
        let policy = self.policy();
        if let Some(keyspace) = &mut self.keyspace {
            keyspace.policy = policy;
        }
    }

    pub(super) fn apply_recording(&mut self) {
        let recording = self.shared.effects.is_recording();
        if let Some(keyspace) = &mut self.keyspace
            && keyspace.effects.is_recording() != recording
        {
            keyspace.effects.set_recording(recording);
        }
    }
}

/// What is noted of the use of keys.
fn access_policy(settings: &Settings) -> AccessPolicy {
    if settings.maxmemory_policy.ends_with("-lfu") {
        AccessPolicy::Frequency {
            log_factor: settings.lfu_log_factor,
            decay_minutes: settings.lfu_decay_minutes,
        }
    } else {
        AccessPolicy::Recency
    }
}
