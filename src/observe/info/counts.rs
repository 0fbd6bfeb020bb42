//! The sections that are lists: by command, by error code, by database.

use crate::counters::Counter;

use super::super::Observations;
use super::super::counters::CommandCounters;
use super::super::latency::LatencySum;
use super::super::sample::Totals;
use super::{Facts, Text};

pub(super) fn command_stats(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    text.section("Commandstats");
    for (row, name) in facts.commands.iter().enumerate() {
        let of = |counter: fn(&CommandCounters) -> &Counter| -> u64 {
            let shards = seen.shards.iter();
            shards
                .filter_map(|shard| shard.commands.get(row))
                .map(|command| counter(command).get())
                .sum()
        };
        let (calls, rejected, failed) = (
            of(|row| &row.calls),
            of(|row| &row.rejected),
            of(|row| &row.failed),
        );
        if calls + rejected + failed == 0 {
            continue;
        }
        let usec = of(|row| &row.nanoseconds) / 1000;
        let per_call = if calls == 0 {
            0.0
        } else {
            usec as f64 / calls as f64
        };
        text.field(
            &format!("cmdstat_{name}"),
            format_args!(
                "calls={calls},usec={usec},usec_per_call={per_call:.2},rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    }
}

pub(super) fn error_stats(text: &mut Text, seen: &Observations) {
    text.section("Errorstats");
    for (code, count) in seen.errors.all() {
        // A colon would end the name: Redis writes an underscore too.
        let code = String::from_utf8_lossy(&code).replace(':', "_");
        text.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latency_stats(text: &mut Text, facts: &Facts<'_>, seen: &Observations) {
    text.section("Latencystats");
    if !facts.latency_tracking {
        return;
    }
    for (row, name) in facts.commands.iter().enumerate() {
        let mut latency = LatencySum::default();
        let commands = seen
            .shards
            .iter()
            .filter_map(|shard| shard.commands.get(row));
        for histogram in commands.filter_map(|command| command.latency.get()) {
            latency.add(histogram);
        }
        if latency.total() == 0 {
            continue;
        }
        let shown: Vec<String> = facts
            .percentiles
            .iter()
            .map(|percentile| {
                let microseconds = latency.percentile(*percentile) as f64 / 1000.0;
                format!("p{percentile}={microseconds:.3}")
            })
            .collect();
        text.field(&format!("latency_percentiles_usec_{name}"), shown.join(","));
    }
}

/// The shards' loops, all together.
pub(super) fn event_loop(text: &mut Text, seen: &Observations) {
    let totals = Totals::of(&seen.shards);
    let rates = seen.sampler.rates();
    text.field("eventloop_cycles", totals.turns);
    text.field("eventloop_duration_sum", totals.turns_us);
    let commands = seen.shards.iter().flat_map(|shard| &shard.commands);
    let commands_ns: u64 = commands.map(|command| command.nanoseconds.get()).sum();
    text.field("eventloop_duration_cmd_sum", commands_ns / 1000);
    text.field("instantaneous_eventloop_cycles_per_sec", rates.turns);
    text.field(
        "instantaneous_eventloop_duration_usec",
        rates.turns_us / rates.turns.max(1),
    );
}

pub(super) fn keyspace(text: &mut Text, seen: &Observations) {
    text.section("Keyspace");
    let database_count = seen
        .shards
        .first()
        .map_or(0, |shard| shard.keyspace.databases.len());
    for db in 0..database_count {
        let (mut keys, mut expiring, mut ttl_ms) = (0, 0, 0u128);
        for database in seen
            .shards
            .iter()
            .filter_map(|shard| shard.keyspace.databases.get(db))
        {
            keys += database.keys.get();
            expiring += database.expiring.get();
            ttl_ms +=
                u128::from(database.expiring.get()) * u128::from(database.average_ttl_ms.get());
        }
        if keys > 0 {
            let average_ms = ttl_ms.checked_div(u128::from(expiring)).unwrap_or(0);
            text.field(
                &format!("db{db}"),
                format_args!("keys={keys},expires={expiring},avg_ttl={average_ms}"),
            );
        }
    }
}
