//! Metrics of memory and its limit.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{Observations, allocator, process};
use super::families::Families;

pub(super) fn add(families: &mut Families, seen: &Observations) {
    let memory = process::memory();
    let facts = &seen.memory;
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let used = allocator::allocated().used;
    let (max, uncounted) = (load(&facts.max), load(&facts.uncounted));
    for (name, help, bytes) in [
        (
            "millrace_memory_used_bytes",
            "Memory the allocator has given out",
            used,
        ),
        (
            "millrace_memory_resident_bytes",
            "Resident memory",
            memory.resident,
        ),
        (
            "millrace_memory_resident_peak_bytes",
            "Most memory that was resident",
            memory.resident_peak,
        ),
        (
            "millrace_memory_limit_bytes",
            "Most memory that may be used (maxmemory); 0: no limit",
            max,
        ),
        (
            "millrace_memory_uncounted_bytes",
            "Memory that does not count towards the limit: the log's buffer, what a snapshot keeps",
            uncounted,
        ),
    ] {
        families.gauge(name, help, bytes as f64);
    }
    let counted = used.saturating_sub(uncounted);
    families.gauge(
        "millrace_memory_limit_used_ratio",
        "How much of the limit is used, 1 being all of it; 0 without a limit",
        if max == 0 {
            0.0
        } else {
            counted as f64 / max as f64
        },
    );
    for (name, help, count) in [
        (
            "millrace_keys_evicted_total",
            "Keys removed to make room (maxmemory-policy)",
            seen.sum(|shard| &shard.keyspace.evicted),
        ),
        (
            "millrace_clients_evicted_total",
            "Connections closed because clients took too much memory (maxmemory-clients)",
            load(&facts.evicted_clients),
        ),
        (
            "millrace_commands_refused_for_memory_total",
            "Commands refused because memory was used up (OOM)",
            load(&facts.refused),
        ),
    ] {
        families.counter(name, help, count as f64);
    }
}
