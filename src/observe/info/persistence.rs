//! The section about files.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Facts, Text};
use crate::observe::Observations;
use crate::observe::persistence::{Persistence, Saving};

fn number(of: &AtomicU64) -> u64 {
    of.load(Ordering::Relaxed)
}

fn flag(of: &AtomicBool) -> u8 {
    u8::from(of.load(Ordering::Relaxed))
}

fn status(failed: bool) -> &'static str {
    if failed { "err" } else { "ok" }
}

/// Seconds since something began that is under way; -1 when it is not.
fn seconds(is_under_way: bool, since_ms: u64, now_ms: u64) -> i64 {
    match is_under_way {
        true => (now_ms.saturating_sub(since_ms) / 1000) as i64,
        false => -1,
    }
}

pub(super) fn render(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    let files = &*seen.persistence;
    text.section("Persistence");
    text.field("loading", u8::from(files.is_loading()));
    text.fields(&[("async_loading", "0")]);
    text.field("millrace_durability", facts.durability);
    text.field(
        "millrace_snapshot_step_max_usec",
        number(&files.longest_step_ns) / 1000,
    );
    let retained = match files.saving() {
        Saving::Nothing => 0,
        _ => number(&files.saving_retained_bytes),
    };
    text.field("current_cow_peak", retained);
    text.field("current_cow_size", retained);
    text.fields(&[("current_cow_size_age", "0")]);
    let (keys, total) = (number(&files.saving_keys), number(&files.saving_keys_total));
    let is_saving = files.saving() != Saving::Nothing;
    let (keys, total) = if is_saving { (keys, total) } else { (0, 0) };
    let percent = if total == 0 {
        0.0
    } else {
        100.0 * keys as f64 / total as f64
    };
    text.field("current_fork_perc", format!("{percent:.2}"));
    text.field("current_save_keys_processed", keys);
    text.field("current_save_keys_total", total);
    dumps(text, facts, seen);
    log(text, facts, files);
    text.fields(&[
        ("module_fork_in_progress", "0"),
        ("module_fork_last_cow_size", "0"),
    ]);
    if files.log_is_on() {
        log_that_is_on(text, files);
    }
    if files.is_loading() {
        load_under_way(text, facts, files);
    }
}

fn dumps(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    let files = &*seen.persistence;
    let changes = seen.sum(|shard| &shard.keyspace.dirty);
    let changes = changes.saturating_sub(number(&files.dumped_changes));
    let is_dumping = files.saving() == Saving::Dump;
    let since_ms = number(&files.saving_since_ms);
    text.field("rdb_changes_since_last_save", changes);
    text.field("rdb_bgsave_in_progress", u8::from(is_dumping));
    text.field("rdb_last_save_time", number(&files.dumped_ms) / 1000);
    let failed = files.dump_failed.load(Ordering::Relaxed);
    text.field("rdb_last_bgsave_status", status(failed));
    text.field(
        "rdb_last_bgsave_time_sec",
        files.dump_took_s.load(Ordering::Relaxed),
    );
    text.field(
        "rdb_current_bgsave_time_sec",
        seconds(is_dumping, since_ms, facts.now_ms),
    );
    text.field("rdb_saves", number(&files.dumps));
    text.fields(&[("rdb_last_cow_size", "0")]);
    text.field(
        "rdb_last_load_keys_expired",
        number(&files.loaded_expired_keys),
    );
    text.field("rdb_last_load_keys_loaded", number(&files.loaded_keys));
}

fn log(text: &mut Text, facts: &Facts<'_>, files: &Persistence) {
    let is_rewriting = files.saving() == Saving::Base;
    let since_ms = number(&files.saving_since_ms);
    text.field("aof_enabled", u8::from(files.log_is_on()));
    text.field("aof_rewrite_in_progress", u8::from(is_rewriting));
    text.field("aof_rewrite_scheduled", flag(&files.rewrite_scheduled));
    text.field(
        "aof_last_rewrite_time_sec",
        files.rewrite_took_s.load(Ordering::Relaxed),
    );
    text.field(
        "aof_current_rewrite_time_sec",
        seconds(is_rewriting, since_ms, facts.now_ms),
    );
    let failed = files.rewrite_failed.load(Ordering::Relaxed);
    text.field("aof_last_bgrewrite_status", status(failed));
    text.field("aof_rewrites", number(&files.rewrites));
    text.field(
        "aof_rewrites_consecutive_failures",
        number(&files.rewrites_failed_in_a_row),
    );
    // Redis: a sync that failed counts as a write that did.
    let failed = number(&files.log_write_error) != 0 || number(&files.log_sync_error) != 0;
    text.field("aof_last_write_status", status(failed));
    text.fields(&[("aof_last_cow_size", "0")]);
}

fn log_that_is_on(text: &mut Text, files: &Persistence) {
    text.field("aof_current_size", files.log_bytes());
    text.field("aof_base_size", number(&files.log_base_bytes));
    text.field("aof_pending_rewrite", 0);
    text.field("aof_buffer_length", number(&files.log_unwritten_bytes));
    text.field("aof_pending_bio_fsync", flag(&files.log_syncing));
    text.field("aof_delayed_fsync", number(&files.log_syncs_delayed));
}

fn load_under_way(text: &mut Text, facts: &Facts<'_>, files: &Persistence) {
    let since_ms = number(&files.loading_since_ms);
    let (total, loaded) = (
        number(&files.loading_total_bytes),
        number(&files.loading_bytes),
    );
    let elapsed_ms = facts.now_ms.saturating_sub(since_ms).max(1);
    let percent = if total == 0 {
        0.0
    } else {
        100.0 * loaded as f64 / total as f64
    };
    let left_ms = (total.saturating_sub(loaded)) * elapsed_ms / loaded.max(1);
    text.field("loading_start_time", since_ms / 1000);
    text.field("loading_total_bytes", total);
    text.fields(&[("loading_rdb_used_mem", "0")]);
    text.field("loading_loaded_bytes", loaded);
    text.field("loading_loaded_perc", format!("{percent:.2}"));
    text.field("loading_eta_seconds", left_ms / 1000);
}
