//! The text of INFO, from facts that the caller has gathered.
//!
//! ```text
//! # Section\r\n name:value\r\n … \r\n # Section …
//! ```
//! Names and formats are those of Redis 7.2, because clients and exporters read them; what is Millrace's own starts
//! with `millrace_`. A field of something that does not exist here (evictions, replicas) has the value that Redis shows
//! when there is none; what exists but is not measured is left out.

mod counts;
mod memory;
mod persistence;

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;

use super::Observations;
use super::allocator::Allocated;
use super::process;
use super::sample::Totals;

/// A section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The process.
    Server,
    /// Connections.
    Clients,
    /// Memory.
    Memory,
    /// Files.
    Persistence,
    /// Counts of events.
    Stats,
    /// Replicas.
    Replication,
    /// Processor time.
    Cpu,
    /// Modules.
    Modules,
    /// By command.
    CommandStats,
    /// By error code.
    ErrorStats,
    /// Percentiles by command.
    LatencyStats,
    /// Cluster.
    Cluster,
    /// By database.
    Keyspace,
}

/// All sections with the names by which they are asked for, in the order of the text.
const SECTIONS: [(Section, &str); 13] = [
    (Section::Server, "server"),
    (Section::Clients, "clients"),
    (Section::Memory, "memory"),
    (Section::Persistence, "persistence"),
    (Section::Stats, "stats"),
    (Section::Replication, "replication"),
    (Section::Cpu, "cpu"),
    (Section::Modules, "modules"),
    (Section::CommandStats, "commandstats"),
    (Section::ErrorStats, "errorstats"),
    (Section::LatencyStats, "latencystats"),
    (Section::Cluster, "cluster"),
    (Section::Keyspace, "keyspace"),
];

/// The sections that the arguments of INFO ask for, each once, in the order of the text.
pub(crate) fn sections<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<Section> {
    let names: Vec<&[u8]> = names.collect();
    let asks = |wanted: &str| {
        names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    let all = asks("all") || asks("everything");
    let default = names.is_empty() || asks("default");
    SECTIONS
        .into_iter()
        .filter(|(section, name)| {
            let is_default = !matches!(section, Section::CommandStats | Section::LatencyStats);
            all || asks(name) || default && is_default
        })
        .map(|(section, _)| section)
        .collect()
}

/// Facts of the connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientFacts {
    /// Connected.
    pub(crate) connected: usize,
    /// Blocked in a command.
    pub(crate) blocked: usize,
    /// Keys that they wait for.
    pub(crate) blocking_keys: usize,
    /// Keys whose absence they wait to be told of.
    pub(crate) blocking_keys_on_absence: usize,
    /// That track keys (CLIENT TRACKING).
    pub(crate) tracking: usize,
    /// Keys that they have read.
    pub(crate) tracked_keys: usize,
    /// Readers of all those keys.
    pub(crate) tracked_items: usize,
    /// Prefixes that such clients listen to.
    pub(crate) tracked_prefixes: usize,
    /// With a subscription.
    pub(crate) pubsub: usize,
    /// With a watched key.
    pub(crate) watching: usize,
    /// Keys they watch.
    pub(crate) watched_keys: u64,
    /// Longest input that is not run yet, bytes.
    pub(crate) input_bytes_max: usize,
    /// Longest output that is not sent yet, bytes.
    pub(crate) output_bytes_max: usize,
    /// Of all buffers, bytes.
    pub(crate) buffer_bytes: usize,
}

/// Scripts and functions, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScriptFacts {
    /// Scripts that EVALSHA finds.
    pub(crate) cached: usize,
    /// Bytes that they take.
    pub(crate) cached_bytes: u64,
    /// Scripts forgotten to make room.
    pub(crate) evicted: u64,
    /// Libraries of functions.
    pub(crate) libraries: usize,
    /// Their functions.
    pub(crate) functions: usize,
    /// Bytes of their texts.
    pub(crate) library_bytes: u64,
}

/// What is told besides the [`Observations`].
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    /// Unix time, ms.
    pub(crate) now_ms: u64,
    /// Memory before any of this was gathered.
    pub(crate) heap: Allocated,
    /// Unix time when the process started, ms.
    pub(crate) started_ms: u64,
    /// Identity of the run.
    pub(crate) run_id: &'a str,
    /// Port.
    pub(crate) tcp_port: u16,
    /// Port for TLS.
    pub(crate) tls_port: u16,
    /// Addresses listened on.
    pub(crate) bind: &'a [String],
    /// Unix socket listened on.
    pub(crate) unix_socket: Option<String>,
    /// Rounds a second.
    pub(crate) hz: u32,
    /// Path of the configuration file.
    pub(crate) config_file: String,
    /// Most connections.
    pub(crate) maxclients: usize,
    /// Eviction policy.
    pub(crate) maxmemory_policy: &'a str,
    /// What survives the end of the process, in a word.
    pub(crate) durability: &'a str,
    /// Percentiles of `latencystats`.
    pub(crate) percentiles: &'a [f64],
    /// Whether `latencystats` has anything.
    pub(crate) latency_tracking: bool,
    /// Connections.
    pub(crate) clients: ClientFacts,
    /// Scripts and functions.
    pub(crate) scripts: ScriptFacts,
    /// Channels, patterns, shard channels.
    pub(crate) channels: [usize; 3],
    /// Full names of the rows of the command table.
    pub(crate) commands: Vec<&'a str>,
}

/// Collects `name:value` lines.
struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        let _ = write!(self.0, "# {name}\r\n");
    }

    fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Fields that are what they are when there is no such thing.
    fn fields(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.field(name, value);
        }
    }

    /// A size and its form for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }
}

/// A size for people, as Redis writes it: `512B`, `1.00K`, `23.54G`.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let exponent = (bytes.ilog2() / 10).min(6);
    let value = bytes as f64 / 1024f64.powi(exponent as i32);
    format!("{value:.2}{}", UNITS[exponent as usize - 1])
}

/// The text of the sections.
pub(crate) fn render(sections: &[Section], facts: &Facts<'_>, seen: &Observations) -> String {
    let mut text = Text(String::new());
    for section in sections {
        match section {
            Section::Server => server(&mut text, facts, seen),
            Section::Clients => clients(&mut text, facts),
            Section::Memory => memory::render(&mut text, facts, seen),
            Section::Persistence => persistence::render(&mut text, facts, seen),
            Section::Stats => stats(&mut text, facts, seen),
            Section::Replication => replication(&mut text, facts),
            Section::Cpu => cpu(&mut text),
            Section::Modules => text.section("Modules"),
            Section::CommandStats => counts::command_stats(&mut text, facts, seen),
            Section::ErrorStats => counts::error_stats(&mut text, seen),
            Section::LatencyStats => counts::latency_stats(&mut text, facts, seen),
            Section::Cluster => {
                text.section("Cluster");
                text.field("cluster_enabled", 0);
            }
            Section::Keyspace => counts::keyspace(&mut text, seen),
        }
    }
    text.0
}

fn server(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    let uptime_s = facts.now_ms.saturating_sub(facts.started_ms) / 1000;
    text.section("Server");
    text.field("redis_version", crate::REDIS_VERSION);
    text.field("server_name", "millrace");
    text.field("millrace_version", env!("CARGO_PKG_VERSION"));
    text.field("millrace_shards", seen.shards.len());
    text.fields(&[
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", "0"),
        ("redis_build_id", "0"),
        ("redis_mode", "standalone"),
    ]);
    text.field("os", process::operating_system());
    text.field("arch_bits", usize::BITS);
    text.field("monotonic_clock", "POSIX clock_gettime");
    text.field("multiplexing_api", "epoll");
    // Not built with it, as Redis says it.
    text.fields(&[("atomicvar_api", "c11-builtin"), ("gcc_version", "0.0.0")]);
    text.field("process_id", std::process::id());
    text.field("process_supervised", "no");
    text.field("run_id", facts.run_id);
    let is_tls_alone = facts.tcp_port == 0;
    text.field(
        "tcp_port",
        if is_tls_alone {
            facts.tls_port
        } else {
            facts.tcp_port
        },
    );
    text.field("server_time_usec", facts.now_ms * 1000);
    text.field("uptime_in_seconds", uptime_s);
    text.field("uptime_in_days", uptime_s / 86_400);
    text.field("hz", facts.hz);
    text.field("configured_hz", facts.hz);
    text.field("lru_clock", (facts.now_ms / 1000) & 0xff_ffff);
    text.field("executable", process::executable());
    text.field("config_file", &facts.config_file);
    text.field("io_threads_active", 0);
    let mut listeners = Vec::new();
    let binds = facts.bind.iter().map(|bind| format!(",bind={bind}"));
    let binds: String = binds.collect();
    for (name, port) in [("tcp", facts.tcp_port), ("tls", facts.tls_port)] {
        if port > 0 {
            listeners.push(format!("name={name}{binds},port={port}"));
        }
    }
    if let Some(path) = &facts.unix_socket {
        listeners.push(format!("name=unix,bind={path}"));
    }
    for (index, listener) in listeners.into_iter().enumerate() {
        text.field(&format!("listener{index}"), listener);
    }
}

fn clients(text: &mut Text, facts: &Facts<'_>) {
    let clients = &facts.clients;
    text.section("Clients");
    text.field("connected_clients", clients.connected);
    text.field("cluster_connections", 0);
    text.field("maxclients", facts.maxclients);
    text.field("client_recent_max_input_buffer", clients.input_bytes_max);
    text.field("client_recent_max_output_buffer", clients.output_bytes_max);
    text.field("blocked_clients", clients.blocked);
    text.field("tracking_clients", clients.tracking);
    text.field("pubsub_clients", clients.pubsub);
    text.field("watching_clients", clients.watching);
    text.field("clients_in_timeout_table", 0);
    text.field("total_watched_keys", clients.watched_keys);
    text.field("total_blocking_keys", clients.blocking_keys);
    text.field(
        "total_blocking_keys_on_nokey",
        clients.blocking_keys_on_absence,
    );
}

/// Statistics of what does not exist here.
const ABSENT_STATS: &[(&str, &str)] = &[
    ("latest_fork_usec", "0"),
    ("total_forks", "0"),
    ("migrate_cached_sockets", "0"),
    ("slave_expires_tracked_keys", "0"),
    ("active_defrag_hits", "0"),
    ("active_defrag_misses", "0"),
    ("active_defrag_key_hits", "0"),
    ("active_defrag_key_misses", "0"),
    ("total_active_defrag_time", "0"),
    ("current_active_defrag_time", "0"),
];

fn stats(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    let totals = Totals::of(&seen.shards);
    let rates = seen.sampler.rates();
    text.section("Stats");
    text.field(
        "total_connections_received",
        seen.connections.load(Ordering::Relaxed),
    );
    text.field("total_commands_processed", totals.commands);
    text.field("instantaneous_ops_per_sec", rates.commands);
    text.field("total_net_input_bytes", totals.net_in);
    text.field("total_net_output_bytes", totals.net_out);
    text.fields(&[
        ("total_net_repl_input_bytes", "0"),
        ("total_net_repl_output_bytes", "0"),
    ]);
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    text.field("instantaneous_input_kbps", kilobytes(rates.net_in));
    text.field("instantaneous_output_kbps", kilobytes(rates.net_out));
    text.fields(&[
        ("instantaneous_input_repl_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
    ]);
    text.field(
        "rejected_connections",
        seen.rejected_connections.load(Ordering::Relaxed),
    );
    text.fields(&[
        ("sync_full", "0"),
        ("sync_partial_ok", "0"),
        ("sync_partial_err", "0"),
    ]);
    text.field("expired_keys", seen.sum(|shard| &shard.keyspace.expired));
    let elements = seen.sum(|shard| &shard.keyspace.expired_elements);
    text.field("expired_subkeys", elements);
    text.fields(&[
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", "0"),
        ("expire_cycle_cpu_milliseconds", "0"),
    ]);
    memory::evictions(text, facts, seen);
    text.field("keyspace_hits", seen.sum(|shard| &shard.keyspace.hits));
    text.field("keyspace_misses", seen.sum(|shard| &shard.keyspace.misses));
    text.field("pubsub_channels", facts.channels[0]);
    text.field("pubsub_patterns", facts.channels[1]);
    text.field("pubsubshard_channels", facts.channels[2]);
    text.fields(ABSENT_STATS);
    rest_of_stats(text, facts, seen);
}

fn rest_of_stats(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    text.field("tracking_total_keys", facts.clients.tracked_keys);
    text.field("tracking_total_items", facts.clients.tracked_items);
    text.field("tracking_total_prefixes", facts.clients.tracked_prefixes);
    text.field("unexpected_error_replies", 0);
    let errors: u64 = seen.errors.all().iter().map(|(_, count)| count).sum();
    text.field("total_error_replies", errors);
    text.field("dump_payload_sanitizations", 0);
    text.field("total_reads_processed", seen.sum(|shard| &shard.reads));
    text.field("total_writes_processed", seen.sum(|shard| &shard.writes));
    text.fields(&[
        ("io_threaded_reads_processed", "0"),
        ("io_threaded_writes_processed", "0"),
        ("reply_buffer_shrinks", "0"),
        ("reply_buffer_expands", "0"),
    ]);
    counts::event_loop(text, seen);
    text.field(
        "client_output_buffer_limit_disconnections",
        seen.sum(|shard| &shard.output_limit_disconnections),
    );
    text.field("acl_access_denied_auth", seen.failed_logins.count());
    let denials = &seen.denials;
    text.field(
        "acl_access_denied_cmd",
        denials.commands.load(Ordering::Relaxed),
    );
    text.field(
        "acl_access_denied_key",
        denials.keys.load(Ordering::Relaxed),
    );
    text.field(
        "acl_access_denied_channel",
        denials.channels.load(Ordering::Relaxed),
    );
    own_stats(text, seen);
}

/// What only we count.
fn own_stats(text: &mut Text, seen: &Observations) {
    text.field("millrace_windows", seen.sum(|shard| &shard.windows));
    text.field("millrace_tickets", seen.sum(|shard| &shard.tickets));
    text.field("millrace_migrations", seen.sum(|shard| &shard.migrations));
    text.field(
        "millrace_scripts_with_some_shards",
        seen.sum(|shard| &shard.scripts_with_some),
    );
    text.field(
        "millrace_scripts_with_all_shards",
        seen.sum(|shard| &shard.scripts_with_all),
    );
    text.field("millrace_wakeups", seen.sum(|shard| &shard.wakeups));
    text.field(
        "millrace_attempts_in_vain",
        seen.sum(|shard| &shard.attempts_in_vain),
    );
}

fn replication(text: &mut Text, facts: &Facts<'_>) {
    text.section("Replication");
    text.fields(&[
        ("role", "master"),
        ("connected_slaves", "0"),
        ("master_failover_state", "no-failover"),
        ("master_replid", facts.run_id),
        ("master_replid2", "0000000000000000000000000000000000000000"),
        ("master_repl_offset", "0"),
        ("second_repl_offset", "-1"),
        ("repl_backlog_active", "0"),
        ("repl_backlog_size", "1048576"),
        ("repl_backlog_first_byte_offset", "0"),
        ("repl_backlog_histlen", "0"),
    ]);
}

fn cpu(text: &mut Text) {
    let [own, children] = process::processor_time();
    let main = process::main_thread_time();
    text.section("CPU");
    let mut seconds = |name: &str, value: f64| text.field(name, format_args!("{value:.6}"));
    seconds("used_cpu_sys", own.system);
    seconds("used_cpu_user", own.user);
    seconds("used_cpu_sys_children", children.system);
    seconds("used_cpu_user_children", children.user);
    seconds("used_cpu_sys_main_thread", main.system);
    seconds("used_cpu_user_main_thread", main.user);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        let shown = [0, 1023, 1024, 1_070_128, 25_276_502_016].map(human);
        assert_eq!(shown, ["0B", "1023B", "1.00K", "1.02M", "23.54G"]);
    }

    #[test]
    fn sections_by_name_each_once() {
        let ask = |names: &[&'static str]| sections(names.iter().map(|name| name.as_bytes()));
        assert_eq!(
            ask(&["KEYSPACE", "cpu", "keyspace"]),
            [Section::Cpu, Section::Keyspace]
        );
        assert_eq!(ask(&["nosuch"]), []);
        assert_eq!(ask(&[]).len(), 11);
        assert_eq!(ask(&["default", "commandstats"]).len(), 12);
        assert_eq!(ask(&["all"]).len(), 13);
        assert_eq!(ask(&["everything"]).len(), 13);
    }

    #[test]
    fn keyspaces_of_shards_are_summed() {
        let seen = Observations::new(2, 0, 16, 0);
        for (shard, ttl_ms) in seen.shards.iter().zip([100, 300]) {
            let database = &shard.keyspace.databases[3];
            database.keys.set(5);
            database.expiring.set(2);
            database.average_ttl_ms.set(ttl_ms);
        }
        let text = render(&[Section::Keyspace], &Facts::default(), &seen);
        assert_eq!(text, "# Keyspace\r\ndb3:keys=10,expires=4,avg_ttl=200\r\n");
    }

    #[test]
    fn a_write_and_a_sync_of_the_log_that_failed_are_told_alike() {
        let seen = Observations::new(1, 0, 16, 0);
        let files = &*seen.persistence;
        let status = || {
            let text = render(&[Section::Persistence], &Facts::default(), &seen);
            let line = text.lines().find(|line| line.starts_with("aof_last_write"));
            line.unwrap_or_default().to_owned()
        };
        for error in [&files.log_write_error, &files.log_sync_error] {
            assert_eq!(status(), "aof_last_write_status:ok");
            error.store(28, Ordering::Relaxed);
            assert_eq!(status(), "aof_last_write_status:err");
            error.store(0, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_empty_line_between_sections() {
        let seen = Observations::new(1, 0, 16, 0);
        seen.errors.add(b"ERR no");
        seen.errors.add(b"WRONGTYPE no");
        seen.errors.add(b"ERR no again");
        let text = render(
            &[Section::Modules, Section::ErrorStats],
            &Facts::default(),
            &seen,
        );
        assert_eq!(
            text,
            "# Modules\r\n\r\n# Errorstats\r\nerrorstat_ERR:count=2\r\nerrorstat_WRONGTYPE:count=1\r\n"
        );
    }
}
