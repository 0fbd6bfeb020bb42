//! How much memory is too much, by the settings and what is counted; and how many keys may go. Who makes room is in room.rs.

use std::sync::atomic::Ordering;

use crate::client::session::Session;
use crate::command::context::Shared;
use crate::config::Settings;
use crate::keyspace::evict::EvictionPolicy;
use crate::observe::{meter, process};
use crate::script::flags::ScriptFlags;

/// What the settings say about memory, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemoryLimits {
    /// `maxmemory`, bytes; 0: none.
    pub(super) max: u64,
    /// `maxmemory-policy`; `None`: noeviction.
    pub(super) policy: Option<EvictionPolicy>,
    /// `maxmemory-clients`, bytes; 0: none.
    pub(super) clients_max: u64,
}

/// Least of `maxmemory-clients`, bytes. Redis: with less nobody could say a word to the server any more.
const CLIENTS_BYTES_MIN: u64 = 128 * 1024;

impl MemoryLimits {
    /// Of what must run: files that are loaded.
    pub(super) const NONE: Self = Self {
        max: 0,
        policy: None,
        clients_max: 0,
    };

    pub(super) fn of(settings: &Settings) -> Self {
        let memory = &settings.memory;
        let max = memory.max.bytes(process::memory_available);
        // A share of no limit is none.
        let clients_max = match memory.clients_max.bytes(|| max) {
            0 => 0,
            bytes => bytes.max(CLIENTS_BYTES_MIN),
        };
        Self {
            max,
            policy: EvictionPolicy::named(&memory.policy),
            clients_max,
        }
    }
}

/// How much room there is for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Enough.
    Enough,
    /// Keys were evicted.
    Made,
    /// None, and no key may go.
    None,
}

/// How many keys may go, by shard. O(databases of all shards).
pub(super) fn evictable(shared: &Shared, policy: EvictionPolicy) -> Vec<u64> {
    let shards = shared.observations.shards.iter();
    let of_shard = shards.map(|shard| {
        let databases = shard.keyspace.databases.iter();
        let counts = databases.map(|database| match policy.volatile {
            true => database.expiring.get(),
            false => database.keys.get(),
        });
        counts.sum()
    });
    of_shard.collect()
}

/// Whether too much is used and no key may go.
pub(super) fn is_out_of_memory(shared: &Shared, limits: &MemoryLimits, now_ns: u64) -> bool {
    if over(shared, limits, now_ns) == 0 {
        return false;
    }
    let can_evict = |policy| evictable(shared, policy).iter().any(|count| *count > 0);
    !limits.policy.is_some_and(can_evict)
}

/// Bytes that do not count as used; notes them for who asks.
pub(super) fn uncounted(shared: &Shared) -> u64 {
    let facts = &shared.observations.memory;
    let shards = shared.observations.shards.iter();
    let elsewhere = shards.map(|shard| {
        let keyspace = &shard.keyspace;
        let kept = keyspace.snapshot_bytes.load(Ordering::Relaxed);
        kept + keyspace.being_freed.load(Ordering::Relaxed)
    });
    let uncounted = facts.log_buffer.load(Ordering::Relaxed) + elsewhere.sum::<u64>();
    facts.uncounted.store(uncounted, Ordering::Relaxed);
    uncounted
}

/// Bytes that are too much.
pub(super) fn over(shared: &Shared, limits: &MemoryLimits, now_ns: u64) -> u64 {
    if limits.max == 0 || meter::used() <= limits.max {
        return 0;
    }
    let uncounted = uncounted(shared);
    let counted = meter::used_now(now_ns).saturating_sub(uncounted);
    counted.saturating_sub(limits.max)
}

/// Whether there was no room when the command began in which a script runs.
pub(super) fn began_without_room(limits: &MemoryLimits, session: &Session) -> bool {
    session.out_of_memory && limits.max > 0
}

/// Whether a script may run without room.
pub(super) fn runs_without_room(flags: ScriptFlags) -> bool {
    flags.has(ScriptFlags::ALLOW_OOM) || flags.has(ScriptFlags::NO_WRITES)
}
