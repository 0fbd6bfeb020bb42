//! What is run: which server, how it writes, how often and how long.
//!
//! Environment (scripts/crash.sh sets it):
//! - `SERVER`: `millrace` (the default), or `redis` for redis-server in its place.
//! - `MILLRACE_CRASH_ROUNDS`, `MILLRACE_CRASH_SECONDS` (the longest that a round writes), `MILLRACE_CRASH_MODE` (`always`,
//!   `everysec`, `no`, `rdb`), `MILLRACE_CRASH_SHARDS` (else it changes from start to start), `MILLRACE_CRASH_KEEP` (where the
//!   directory of a failed run is kept).
//! - `MILLRACE_CRASH_POINTS`, a file with names of points in place of those of `CrashPoint`; `MILLRACE_CRASH_VISITS`, how often each.
//! - `MILLRACE_CRASH_LOADS_IN_REDIS=1`: millrace writes what redis-server 7.0 reads, and it is tried.
//! - `MILLRACE_SEED`: where random choices begin.

use std::time::Duration;

use super::support::random::number_from_environment;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one under test.
    Millrace,
    /// redis-server, to test the harness.
    Redis,
}

/// How it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A log, synced before a reply.
    Always,
    /// A log, synced every second.
    Everysec,
    /// A log that the system syncs.
    No,
    /// Snapshots alone: what survives is a past state, nothing newer than the last is owed.
    Rdb,
}

/// A campaign of rounds on one directory.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Which server.
    pub(crate) kind: Kind,
    /// How it writes.
    pub(crate) mode: Mode,
    /// How many shards; changing when `None`.
    pub(crate) shards: Option<usize>,
    /// Whether redis-server is to load a copy now and then.
    pub(crate) loads_in_redis: bool,
    /// Whether nothing is rewritten, so that the log has all that was done.
    pub(crate) is_calm: bool,
    /// How many rounds.
    pub(crate) rounds: u64,
    /// How long a round writes at most.
    pub(crate) time: Duration,
    /// Where the random choices begin.
    pub(crate) seed: u64,
}

fn word(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|word| !word.is_empty())
}

/// The server that the environment names.
pub(crate) fn kind() -> Kind {
    match word("SERVER").as_deref() {
        None | Some("millrace") => Kind::Millrace,
        Some("redis") => Kind::Redis,
        Some(other) => panic!("SERVER={other} is neither millrace nor redis"),
    }
}

/// The mode that the environment names.
pub(crate) fn mode() -> Mode {
    match word("MILLRACE_CRASH_MODE").as_deref() {
        None | Some("always") => Mode::Always,
        Some("everysec") => Mode::Everysec,
        Some("no") => Mode::No,
        Some("rdb") => Mode::Rdb,
        Some(other) => panic!("MILLRACE_CRASH_MODE={other} is no mode"),
    }
}

/// How often each named point is visited.
pub(crate) fn visits() -> u64 {
    number_from_environment("MILLRACE_CRASH_VISITS", 1).max(1)
}

impl Plan {
    /// A short campaign as the test suite runs it.
    pub(crate) fn short(mode: Mode, rounds: u64) -> Self {
        Self {
            kind: kind(),
            mode,
            shards: None,
            loads_in_redis: mode == Mode::Everysec,
            is_calm: false,
            rounds,
            time: Duration::from_millis(700),
            seed: number_from_environment("MILLRACE_SEED", 1),
        }
    }

    /// Whether a kill may lose what is acknowledged: redis-server with everysec puts a write off for up to two seconds while a
    /// sync is running, and acknowledges it ("postpone" in its flush). So only of what is left is judged that it is a past state.
    pub(crate) fn may_lose_acknowledged(&self) -> bool {
        self.kind == Kind::Redis && self.mode == Mode::Everysec
    }

    /// What the environment asks for, else a few rounds with a log that nobody syncs.
    pub(crate) fn from_environment() -> Self {
        let Some(rounds) = word("MILLRACE_CRASH_ROUNDS") else {
            return Self::short(Mode::No, 4);
        };
        let seconds = word("MILLRACE_CRASH_SECONDS").unwrap_or_else(|| "2".to_owned());
        Self {
            rounds: rounds.parse().unwrap(),
            shards: word("MILLRACE_CRASH_SHARDS").map(|count| count.parse().unwrap()),
            loads_in_redis: word("MILLRACE_CRASH_LOADS_IN_REDIS").is_some(),
            time: Duration::from_secs_f64(seconds.parse().unwrap()),
            ..Self::short(mode(), 0)
        }
    }
}
