//! The section about memory, and the counts of what went to make room.

use std::sync::atomic::Ordering;

use super::super::Observations;
use super::super::{allocator, process};
use super::{Facts, Text, human};

/// Memory of scripts. Functions run in the same state as scripts of EVAL: it is counted for those.
fn scripts(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    let about = &facts.scripts;
    let states = seen.sum(|shard| &shard.lua_bytes);
    let caches = about.cached_bytes + about.library_bytes;
    text.field("used_memory_lua", states);
    text.field("used_memory_vm_eval", states);
    text.field("used_memory_lua_human", human(states));
    text.field("used_memory_scripts_eval", about.cached_bytes);
    text.field("number_of_cached_scripts", about.cached);
    text.field("number_of_functions", about.functions);
    text.field("number_of_libraries", about.libraries);
    text.field("used_memory_vm_functions", 0);
    text.bytes("used_memory_vm_total", states);
    text.field("used_memory_functions", about.library_bytes);
    text.bytes("used_memory_scripts", caches);
}

pub(super) fn render(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    let memory = process::memory();
    let heap = facts.heap;
    let (used, peak) = (heap.used, heap.peak);
    let about = &facts.scripts;
    let of_scripts = seen.sum(|shard| &shard.lua_bytes) + about.cached_bytes + about.library_bytes;
    let overhead = facts.clients.buffer_bytes as u64 + of_scripts;
    let dataset = used.saturating_sub(overhead);
    text.section("Memory");
    text.bytes("used_memory", used);
    text.bytes("used_memory_rss", memory.resident);
    text.bytes("used_memory_peak", peak);
    text.field(
        "used_memory_peak_perc",
        format_args!("{:.2}%", 100.0 * used as f64 / peak as f64),
    );
    text.field("used_memory_overhead", overhead);
    text.field("used_memory_startup", heap.at_start);
    text.field("used_memory_dataset", dataset);
    text.field(
        "used_memory_dataset_perc",
        format_args!("{:.2}%", 100.0 * dataset as f64 / used as f64),
    );
    text.field("allocator_allocated", used);
    text.field("allocator_active", heap.active);
    text.field("allocator_resident", heap.resident);
    text.bytes("total_system_memory", memory.system);
    scripts(text, facts, seen);
    text.bytes("maxmemory", seen.memory.max.load(Ordering::Relaxed));
    text.field("maxmemory_policy", facts.maxmemory_policy);
    for (name, whole, part) in [
        ("allocator_frag", heap.active, used),
        ("allocator_rss", heap.resident, heap.active),
        ("rss_overhead", memory.resident, heap.resident),
        ("mem_fragmentation", memory.resident, used),
    ] {
        let ratio = whole as f64 / part as f64;
        text.field(&format!("{name}_ratio"), format_args!("{ratio:.2}"));
        text.field(&format!("{name}_bytes"), whole as i64 - part as i64);
    }
    let uncounted = seen.memory.uncounted.load(Ordering::Relaxed);
    text.field("mem_not_counted_for_evict", uncounted);
    text.fields(&[
        ("mem_replication_backlog", "0"),
        ("mem_total_replication_buffers", "0"),
        ("mem_clients_slaves", "0"),
    ]);
    text.field("mem_clients_normal", facts.clients.buffer_bytes);
    text.field("mem_cluster_links", 0);
    let log_buffer = seen.memory.log_buffer.load(Ordering::Relaxed);
    text.field("mem_aof_buffer", log_buffer);
    text.field("mem_allocator", allocator::name());
    text.field("active_defrag_running", 0);
    let (pending, freed) = (&seen.lazy_free_pending, &seen.lazy_freed);
    text.field("lazyfree_pending_objects", pending.load(Ordering::Relaxed));
    text.field("lazyfreed_objects", freed.load(Ordering::Relaxed));
    limit(text, used.saturating_sub(uncounted), seen);
}

/// How much of the limit is used. Redis has no such fields.
fn limit(text: &mut Text, counted: u64, seen: &Observations) {
    let max = seen.memory.max.load(Ordering::Relaxed);
    let percent = if max == 0 {
        0.0
    } else {
        100.0 * counted as f64 / max as f64
    };
    text.field(
        "millrace_maxmemory_used_perc",
        format_args!("{percent:.2}%"),
    );
    let refused = seen.memory.refused.load(Ordering::Relaxed);
    text.field("millrace_oom_refused_commands", refused);
}

/// What went to make room, in the section of counts.
pub(super) fn evictions(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    text.field("evicted_keys", seen.sum(|shard| &shard.keyspace.evicted));
    let clients = seen.memory.evicted_clients.load(Ordering::Relaxed);
    text.field("evicted_clients", clients);
    text.field("evicted_scripts", facts.scripts.evicted);
    let (total_ms, current_ms) = seen.memory.exceeded_ms(facts.now_ms);
    text.field("total_eviction_exceeded_time", total_ms);
    text.field("current_eviction_exceeded_time", current_ms);
}
