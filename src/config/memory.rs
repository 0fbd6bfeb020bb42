//! How much memory may be used, and what happens beyond that.

/// A limit on memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SizeLimit {
    /// There is none.
    None,
    /// Bytes.
    Bytes(u64),
    /// Hundredths of something else.
    Percent(u64),
}

impl SizeLimit {
    /// The limit, bytes; 0 for none. `whole`: of what a share is meant, bytes.
    pub(crate) fn bytes(self, whole: impl FnOnce() -> u64) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => {
                let share = u128::from(whole()) * u128::from(percent) / 100;
                u64::try_from(share).unwrap_or(u64::MAX)
            }
        }
    }
}

/// The settings about memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemorySettings {
    /// `maxmemory`; a share is one of the machine's memory.
    pub(crate) max: SizeLimit,
    /// `maxmemory-policy`, by name.
    pub(crate) policy: String,
    /// `maxmemory-samples`
    pub(crate) samples: usize,
    /// `maxmemory-eviction-tenacity`
    pub(crate) tenacity: u32,
    /// `maxmemory-clients`; a share is one of `maxmemory`.
    pub(crate) clients_max: SizeLimit,
}

impl MemorySettings {
    /// How long one command may evict keys, ns; `None`: as long as it takes. Source: redis.conf at this setting: 0 is nothing, 10 is 0.5
    /// ms, and above each step is 15 % more.
    pub(crate) fn eviction_ns(&self) -> Option<u64> {
        match self.tenacity {
            steps @ 0..=10 => Some(50_000 * u64::from(steps)),
            steps @ 11..=99 => {
                let microseconds = 500.0 * 1.15_f64.powi(steps as i32 - 10);
                Some((microseconds * 1000.0) as u64)
            }
            _ => None,
        }
    }
}
