//! The metrics as Prometheus reads them, from facts that the caller has gathered.
//!
//! ```text
//! # HELP name what it is
//! # TYPE name counter | gauge | histogram
//! name{label="value"} number
//! ```
//! Names follow Prometheus' rules: base units (seconds, bytes), `_total` on what only grows, one prefix. What INFO tells too has
//! the same value there. What CONFIG RESETSTAT sets back to zero is zero here too, which Prometheus takes for a restart.

mod families;
mod files;
mod memory;
mod streams;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricType};

use crate::counters::Counter;

use super::Observations;
use super::counters::{CommandCounters, ShardCounters};
use super::latency::LatencySum;
use super::process;
use families::{Families, labels};
pub(crate) use streams::{GroupFacts, StreamFacts, StreamListing};

/// Connections of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShardClients {
    /// Connected.
    pub(crate) connected: usize,
    /// Blocked in a command.
    pub(crate) blocked: usize,
    /// With a subscription.
    pub(crate) pubsub: usize,
    /// Read and not yet run, bytes.
    pub(crate) input_bytes: usize,
    /// Not yet sent, bytes: what several wait for counts for each.
    pub(crate) output_bytes: usize,
}

/// What is told besides the [`Observations`].
#[derive(Debug, Default)]
pub(crate) struct MetricsFacts<'a> {
    /// Unix time when the process started, ms.
    pub(crate) started_ms: u64,
    /// Most connections.
    pub(crate) maxclients: usize,
    /// Connections by shard.
    pub(crate) clients: Vec<ShardClients>,
    /// Channels, patterns, shard channels.
    pub(crate) channels: [usize; 3],
    /// Full names of the rows of the command table.
    pub(crate) commands: Vec<&'a str>,
    /// Whether latencies are counted.
    pub(crate) latency_tracking: bool,
    /// Streams.
    pub(crate) streams: StreamListing,
}

/// Where the buckets of a latency end: powers of four from 1 µs to 1 s, as powers of two of ns.
const LATENCY_BOUNDS_NS: [u64; 11] = {
    let mut bounds = [0; 11];
    let mut at = 0;
    while at < 11 {
        bounds[at] = 1 << (10 + 2 * at);
        at += 1;
    }
    bounds
};

/// The text of all metrics.
pub(crate) fn render(facts: &MetricsFacts<'_>, seen: &Observations) -> String {
    let mut families = Families::default();
    server(&mut families, facts, seen);
    memory::add(&mut families, seen);
    clients(&mut families, facts, seen);
    databases(&mut families, seen);
    commands(&mut families, facts, seen);
    shards(&mut families, seen);
    subscriptions(&mut families, facts);
    files::add(&mut families, &seen.persistence);
    streams::add(&mut families, &facts.streams);
    // It refuses only a family that is not one, which would be a mistake of ours: then there is nothing to tell.
    TextEncoder::new()
        .encode_to_string(families.all())
        .unwrap_or_default()
}

fn server(families: &mut Families, facts: &MetricsFacts<'_>, seen: &Observations) {
    let versions = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("redis_version", crate::REDIS_VERSION),
    ];
    families.gauges(
        "millrace_build_info",
        "The version of the server, and of the Redis it follows",
        [(labels(&versions), 1.0)],
    );
    families.gauge(
        "millrace_start_time_seconds",
        "When the process started, in seconds since 1970",
        facts.started_ms as f64 / 1000.0,
    );
    families.gauge(
        "millrace_shards",
        "Shards, each a thread with its part of the keys",
        seen.shards.len() as f64,
    );
    let [own, _] = process::processor_time();
    let by_mode = [("user", own.user), ("system", own.system)];
    families.counters(
        "millrace_cpu_seconds_total",
        "Processor time of the process",
        by_mode.map(|(mode, seconds)| (labels(&[("mode", mode)]), seconds)),
    );
    let errors = seen.errors.all().into_iter();
    families.counters(
        "millrace_errors_total",
        "Error replies by their code",
        errors.map(|(code, count)| {
            let code = String::from_utf8_lossy(&code).into_owned();
            (labels(&[("code", &code)]), count as f64)
        }),
    );
}

/// A gauge of each shard's connections: name, help, which.
type OfClients = (&'static str, &'static str, fn(&ShardClients) -> usize);

const OF_CLIENTS: &[OfClients] = &[
    ("millrace_clients_connected", "Connections", |of| {
        of.connected
    }),
    (
        "millrace_clients_blocked",
        "Connections that wait in a blocking command",
        |of| of.blocked,
    ),
    (
        "millrace_clients_subscribed",
        "Connections with a subscription",
        |of| of.pubsub,
    ),
    (
        "millrace_clients_input_bytes",
        "Bytes read and not yet run",
        |of| of.input_bytes,
    ),
    (
        "millrace_clients_output_bytes",
        "Bytes not yet sent; what several connections wait for counts for each",
        |of| of.output_bytes,
    ),
];
fn clients(families: &mut Families, facts: &MetricsFacts<'_>, seen: &Observations) {
    for (name, help, of) in OF_CLIENTS {
        let by_shard = facts.clients.iter().map(|clients| of(clients) as f64);
        families.gauges(name, help, of_shards(by_shard));
    }
    families.gauge(
        "millrace_clients_max",
        "Most connections that are accepted",
        facts.maxclients as f64,
    );
    let load = |counter: &std::sync::atomic::AtomicU64| {
        counter.load(std::sync::atomic::Ordering::Relaxed) as f64
    };
    families.counter(
        "millrace_connections_accepted_total",
        "Connections accepted",
        load(&seen.connections),
    );
    families.counter(
        "millrace_connections_rejected_total",
        "Connections turned away: too many, or protected mode",
        load(&seen.rejected_connections),
    );
}

/// A value for each shard, labelled by its number.
fn of_shards(values: impl Iterator<Item = f64>) -> impl Iterator<Item = (Vec<LabelPair>, f64)> {
    values
        .enumerate()
        .map(|(shard, value)| (labels(&[("shard", &shard.to_string())]), value))
}

fn sum(seen: &Observations, of: fn(&ShardCounters) -> &Counter) -> f64 {
    seen.sum(of) as f64
}

fn databases(families: &mut Families, seen: &Observations) {
    let count = seen
        .shards
        .first()
        .map_or(0, |shard| shard.keyspace.databases.len());
    let (mut keys, mut expiring) = (Vec::new(), Vec::new());
    for db in 0..count {
        let of_db = seen
            .shards
            .iter()
            .filter_map(|shard| shard.keyspace.databases.get(db));
        let (held, ending) = of_db.fold((0, 0), |(held, ending), counters| {
            (held + counters.keys.get(), ending + counters.expiring.get())
        });
        // As in INFO: a database with nothing in it is not told of; but the first is there from the start.
        if held > 0 || db == 0 {
            let of_db = || labels(&[("db", &db.to_string())]);
            keys.push((of_db(), held as f64));
            expiring.push((of_db(), ending as f64));
        }
    }
    families.gauges("millrace_keys", "Keys", keys);
    families.gauges(
        "millrace_keys_expiring",
        "Keys that have an expiry",
        expiring,
    );
    families.counter(
        "millrace_keys_expired_total",
        "Keys removed because their time had come",
        sum(seen, |shard| &shard.keyspace.expired),
    );
    families.counter(
        "millrace_elements_expired_total",
        "Fields of hashes and members of sets removed because their time had come",
        sum(seen, |shard| &shard.keyspace.expired_elements),
    );
    families.counter(
        "millrace_keyspace_hits_total",
        "Lookups that found their key",
        sum(seen, |shard| &shard.keyspace.hits),
    );
    families.counter(
        "millrace_keyspace_misses_total",
        "Lookups that did not find their key",
        sum(seen, |shard| &shard.keyspace.misses),
    );
    families.counter(
        "millrace_changes_total",
        "Changes of keys",
        sum(seen, |shard| &shard.keyspace.dirty),
    );
}

fn commands(families: &mut Families, facts: &MetricsFacts<'_>, seen: &Observations) {
    let of = |row: usize, counter: fn(&CommandCounters) -> &Counter| -> u64 {
        let shards = seen.shards.iter();
        shards
            .filter_map(|shard| shard.commands.get(row))
            .map(|command| counter(command).get())
            .sum()
    };
    let (mut calls, mut failed, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    let mut latencies = Vec::new();
    for (row, name) in facts.commands.iter().enumerate() {
        let counts = [
            of(row, |command| &command.calls),
            of(row, |command| &command.failed),
            of(row, |command| &command.rejected),
        ];
        if counts == [0; 3] {
            continue;
        }
        let named = || labels(&[("command", name)]);
        calls.push((named(), counts[0] as f64));
        failed.push((named(), counts[1] as f64));
        rejected.push((named(), counts[2] as f64));
        let seconds = of(row, |command| &command.nanoseconds) as f64 / 1e9;
        let histogram = latency(seen, row, seconds).filter(|_| facts.latency_tracking);
        latencies.extend(histogram.map(|histogram| {
            let mut metric = Metric::from_label(named());
            metric.set_histogram(histogram);
            metric
        }));
    }
    families.counters("millrace_command_calls_total", "Commands run", calls);
    families.counters(
        "millrace_command_failed_total",
        "Commands that ran and replied an error",
        failed,
    );
    families.counters(
        "millrace_command_rejected_total",
        "Commands refused before they ran",
        rejected,
    );
    families.add(
        MetricType::HISTOGRAM,
        "millrace_command_duration_seconds",
        "How long commands took (latency-tracking)",
        latencies,
    );
}

/// The latencies of a row on all shards; `None` when there are none.
fn latency(seen: &Observations, row: usize, seconds: f64) -> Option<Histogram> {
    let mut sum = LatencySum::default();
    let shards = seen.shards.iter();
    for command in shards.filter_map(|shard| shard.commands.get(row)) {
        command.latency.get().into_iter().for_each(|of| sum.add(of));
    }
    let count = sum.total();
    if count == 0 {
        return None;
    }
    let mut histogram = Histogram::default();
    histogram.set_sample_count(count);
    histogram.set_sample_sum(seconds);
    let ends = LATENCY_BOUNDS_NS.iter().zip(sum.below(&LATENCY_BOUNDS_NS));
    let buckets = ends.map(|(bound_ns, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound_ns as f64 / 1e9);
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    Some(histogram)
}

/// A family of one counter of each shard: name, help, which.
type OfShards = (&'static str, &'static str, fn(&ShardCounters) -> &Counter);

const COUNTED_BY_SHARD: &[OfShards] = &[
    (
        "millrace_shard_commands_total",
        "Commands run by a shard",
        |shard| &shard.processed,
    ),
    (
        "millrace_shard_windows_total",
        "Times the thread of a shard took keyspaces for commands",
        |shard| &shard.windows,
    ),
    (
        "millrace_shard_tickets_total",
        "Times they were in another hand, and the job waited in line",
        |shard| &shard.tickets,
    ),
    (
        "millrace_shard_migrations_total",
        "Connections that moved to another shard",
        |shard| &shard.migrations,
    ),
    (
        "millrace_scripts_with_some_shards_total",
        "Scripts that ran with the keyspaces of their KEYS",
        |shard| &shard.scripts_with_some,
    ),
    (
        "millrace_scripts_with_all_shards_total",
        "Scripts that ran with all keyspaces, since not every key of theirs is certain to be one of KEYS",
        |shard| &shard.scripts_with_all,
    ),
    (
        "millrace_network_received_bytes_total",
        "Bytes read from clients",
        |shard| &shard.net_in,
    ),
    (
        "millrace_network_sent_bytes_total",
        "Bytes sent to clients",
        |shard| &shard.net_out,
    ),
    (
        "millrace_publications_total",
        "Messages published that had a subscriber, notifications among them",
        |shard| &shard.publications,
    ),
    (
        "millrace_deliveries_total",
        "Messages handed to a subscriber's output",
        |shard| &shard.deliveries,
    ),
    (
        "millrace_output_limit_disconnections_total",
        "Connections closed because they did not read (client-output-buffer-limit)",
        |shard| &shard.output_limit_disconnections,
    ),
];

fn shards(families: &mut Families, seen: &Observations) {
    for (name, help, of) in COUNTED_BY_SHARD {
        let by_shard = seen.shards.iter().map(|shard| of(shard).get() as f64);
        families.counters(name, help, of_shards(by_shard));
    }
    for (name, help, of) in [
        (
            "millrace_shard_mailbox_messages",
            "Messages of other shards that waited at the end of a shard's turn",
            (|shard| &shard.mailbox) as fn(&ShardCounters) -> &Counter,
        ),
        (
            "millrace_shard_waiting_jobs",
            "Jobs of a shard, commands among them, that waited for keyspaces at the end of its turn",
            |shard| &shard.queued,
        ),
    ] {
        let by_shard = seen.shards.iter().map(|shard| of(shard).get() as f64);
        families.gauges(name, help, of_shards(by_shard));
    }
    let times = process::shard_times(seen.shards.len());
    families.counters(
        "millrace_shard_busy_seconds_total",
        "Time in which a shard's thread ran or waited for a quick disk: its rate is how busy it is",
        of_shards(times.iter().map(|time| time.running)),
    );
    families.counters(
        "millrace_shard_waiting_seconds_total",
        "Time in which a shard's thread could have run and had no processor",
        of_shards(times.iter().map(|time| time.waiting)),
    );
}

fn subscriptions(families: &mut Families, facts: &MetricsFacts<'_>) {
    let kinds = ["channel", "pattern", "shard_channel"].into_iter();
    families.gauges(
        "millrace_subscribed_names",
        "Channels and patterns that somebody is subscribed to",
        kinds
            .zip(facts.channels)
            .map(|(kind, count)| (labels(&[("kind", kind)]), count as f64)),
    );
}
