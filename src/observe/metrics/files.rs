//! Metrics of files: the log, dumps, the load at the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::families::Families;
use crate::observe::persistence::Persistence;

fn number(of: &AtomicU64) -> f64 {
    of.load(Ordering::Relaxed) as f64
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

pub(super) fn add(families: &mut Families, files: &Persistence) {
    let gauges = [
        (
            "millrace_loading",
            "Whether the data are being loaded",
            truth(files.is_loading()),
        ),
        (
            "millrace_aof_enabled",
            "Whether every change is logged",
            truth(files.log_is_on()),
        ),
        (
            "millrace_aof_size_bytes",
            "Size of the append-only log",
            files.log_bytes() as f64,
        ),
        (
            "millrace_aof_unsynced_bytes",
            "Bytes of the log that may not be on disk yet",
            number(&files.log_unsynced_bytes),
        ),
        (
            "millrace_aof_failing",
            "Whether the log could not be written or synced the last time: writes are refused",
            truth(number(&files.log_write_error) + number(&files.log_sync_error) > 0.0),
        ),
        (
            "millrace_last_save_timestamp_seconds",
            "When the last dump was written, in seconds since 1970",
            number(&files.dumped_ms) / 1000.0,
        ),
        (
            "millrace_last_save_failing",
            "Whether the last attempt to write a dump has failed",
            truth(files.dump_failed.load(Ordering::Relaxed)),
        ),
        (
            "millrace_snapshot_step_seconds_max",
            "Longest time that a shard has worked at once for a dump or a rewrite of the log",
            number(&files.longest_step_ns) / 1e9,
        ),
    ];
    for (name, help, value) in gauges {
        families.gauge(name, help, value);
    }
    families.counter(
        "millrace_aof_syncs_total",
        "Syncs of the log",
        number(&files.log_syncs),
    );
}
