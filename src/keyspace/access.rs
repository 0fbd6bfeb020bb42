//! When a key was last used, or how often: one number of an entry, as the policy of `maxmemory-policy` wants it.
//!
//! ```text
//! LRU   seconds since 1970, 24 bits
//! LFU   minutes since 1970, 16 bits │ counter, 8 bits
//! ```
//! The counter is logarithmic: the more it shows, the less likely one more use makes it grow, and it loses one for every
//! `lfu-decay-time` minutes without use. Source: "Key eviction" of Redis. As there, what was noted under one policy means
//! little under another until the key is used again; and under LRU a key that was not used for 194 days seems to be used.

/// The counter of a new key: as if it had been used, so that it is not the first to go.
const COUNTER_AT_FIRST: u32 = 5;
const COUNTER_MAX: u32 = 255;
const MINUTES: u32 = 0xffff;
const SECONDS: u32 = 0xff_ffff;
/// A time that is so little ahead, seconds, is one of a clock that went back, not one of 193 days ago.
const AHEAD_S_MAX: u32 = 24 * 60 * 60;

/// What `maxmemory-policy` wants to know of the use of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum AccessPolicy {
    /// When it was.
    #[default]
    Recency,
    /// How often it was.
    Frequency {
        /// `lfu-log-factor`
        log_factor: u32,
        /// `lfu-decay-time`
        decay_minutes: u32,
    },
}

/// The use of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Access(u32);

fn minutes(now_ms: u64) -> u32 {
    (now_ms / 60_000) as u32 & MINUTES
}

fn seconds(now_ms: u64) -> u32 {
    (now_ms / 1000) as u32 & SECONDS
}

impl Access {
    /// What [`Access::bits`] gave.
    pub(super) fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Of a key that is made now.
    pub(crate) fn new(policy: AccessPolicy, now_ms: u64) -> Self {
        Self::of_bits(match policy {
            AccessPolicy::Recency => seconds(now_ms),
            AccessPolicy::Frequency { .. } => minutes(now_ms) << 8 | COUNTER_AT_FIRST,
        })
    }

    /// The key is used. `chance`: a number without pattern.
    pub(crate) fn again(self, policy: AccessPolicy, now_ms: u64, chance: u32) -> Self {
        let AccessPolicy::Frequency { log_factor, .. } = policy else {
            return Self::new(policy, now_ms);
        };
        let counter = self.frequency(policy, now_ms);
        let above = u64::from(counter.saturating_sub(COUNTER_AT_FIRST));
        // Grows with a probability of 1 / (above · factor + 1).
        let odds = above * u64::from(log_factor) + 1;
        let grows = counter < COUNTER_MAX && u64::from(chance) * odds <= u64::from(u32::MAX);
        Self::of_bits(minutes(now_ms) << 8 | (counter + u32::from(grows)))
    }

    /// Another value under the same key. Redis: under LFU the count stays, under LRU the key is as if new.
    pub(crate) fn replaced(self, policy: AccessPolicy, now_ms: u64) -> Self {
        match policy {
            AccessPolicy::Recency => Self::new(policy, now_ms),
            AccessPolicy::Frequency { .. } => self,
        }
    }

    /// Of a key that was not used for so many seconds, under LRU.
    pub(crate) fn with_idle(self, policy: AccessPolicy, idle_s: u64, now_ms: u64) -> Self {
        match policy {
            AccessPolicy::Recency => Self::of_bits(
                seconds(now_ms).wrapping_sub(idle_s.min(SECONDS.into()) as u32) & SECONDS,
            ),
            AccessPolicy::Frequency { .. } => self,
        }
    }

    /// Of a key with this counter, under LFU.
    pub(crate) fn with_frequency(self, policy: AccessPolicy, counter: u8, now_ms: u64) -> Self {
        match policy {
            AccessPolicy::Recency => self,
            AccessPolicy::Frequency { .. } => {
                Self::of_bits(minutes(now_ms) << 8 | u32::from(counter))
            }
        }
    }

    /// For how many seconds the key was not used, under LRU.
    pub(crate) fn idle_s(self, now_ms: u64) -> u64 {
        let idle_s = seconds(now_ms).wrapping_sub(self.bits()) & SECONDS;
        if idle_s > SECONDS - AHEAD_S_MAX {
            return 0;
        }
        idle_s.into()
    }

    /// The counter as it has decayed until now, under LFU.
    pub(crate) fn frequency(self, policy: AccessPolicy, now_ms: u64) -> u32 {
        let counter = self.bits() & COUNTER_MAX;
        let AccessPolicy::Frequency { decay_minutes, .. } = policy else {
            return counter;
        };
        let elapsed = minutes(now_ms).wrapping_sub(self.bits() >> 8) & MINUTES;
        counter.saturating_sub(elapsed.checked_div(decay_minutes).unwrap_or(0))
    }

    /// The 24 bits that DEBUG OBJECT shows.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LFU: AccessPolicy = AccessPolicy::Frequency {
        log_factor: 10,
        decay_minutes: 1,
    };

    #[test]
    fn recency_is_the_time_of_the_last_use() {
        let access = Access::new(AccessPolicy::Recency, 5_000);
        assert_eq!(access.idle_s(9_999), 4);
        assert_eq!(
            access.again(AccessPolicy::Recency, 9_000, 0).idle_s(9_999),
            0
        );
        assert_eq!(access.idle_s(1_000), 0);
        // The seconds wrap around in between.
        let before_ms = 1000 * 0x6_00ff_ff00;
        let access = Access::new(AccessPolicy::Recency, before_ms);
        assert_eq!(access.idle_s(before_ms + 1_000_000), 1000);
    }

    #[test]
    fn frequency_grows_slower_the_more_there_is_and_decays() {
        let mut access = Access::new(LFU, 0);
        assert_eq!(access.frequency(LFU, 0), 5);
        // The first one always counts, however unlucky.
        access = access.again(LFU, 0, u32::MAX);
        assert_eq!(access.frequency(LFU, 0), 6);
        access = access.again(LFU, 0, u32::MAX);
        assert_eq!(access.frequency(LFU, 0), 6);
        for _ in 0..1000 {
            access = access.again(LFU, 0, 0);
        }
        assert_eq!(access.frequency(LFU, 0), 255);
        assert_eq!(access.frequency(LFU, 60_000 * 55), 200);
        assert_eq!(
            access
                .again(LFU, 60_000 * 255, 0)
                .frequency(LFU, 60_000 * 255),
            1
        );
        assert_eq!(access.replaced(LFU, 60_000).frequency(LFU, 0), 255);
        let never = AccessPolicy::Frequency {
            log_factor: 0,
            decay_minutes: 0,
        };
        assert_eq!(access.frequency(never, 60_000 * 9_000), 255);
    }
}
