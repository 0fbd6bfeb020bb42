//! The clock: the only place that reads the time. A simulation brings its own.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Where a shard's time comes from.
pub trait Clock {
    /// Unix time, ms.
    fn now_ms(&self) -> u64;

    /// Monotonic time since some moment, ns.
    fn nanoseconds(&self) -> u64;

    /// Time that this thread has worked since some moment, ns: not when others had the core.
    fn thread_nanoseconds(&self) -> u64 {
        self.nanoseconds()
    }

    /// Stops the thread, ms (DEBUG SLEEP).
    fn sleep(&self, ms: u64);
}

/// Unix time, ms.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        unix_ms()
    }

    fn nanoseconds(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn thread_nanoseconds(&self) -> u64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    fn sleep(&self, ms: u64) {
        std::thread::sleep(std::time::Duration::from_millis(ms));
    }
}
