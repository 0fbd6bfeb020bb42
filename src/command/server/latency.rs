//! LATENCY: what [`crate::observe::latency`] keeps.

use std::fmt::Write;

use crate::command::error::{self, CommandError};
use crate::command::row::{CommandTable, Row};
use crate::command::{Command, Context, Flags, Outcome};
use crate::observe::latency::{LatencyEvent, LatencySum};
use crate::resp::arguments::Args;

const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const READING: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_nodes",
    "response_policy:special",
];

/// The row.
pub(crate) static COMMANDS: &[Command] =
    &[Command::new("latency", "", super::unreachable_container)
        .arity(-2)
        .docs(
            "2.8.13",
            "server",
            "Depends on the subcommand.",
            "Container of the commands about how long things took.",
        )
        .subcommands(&[
            Command::new("doctor", "", doctor)
                .arity(2)
                .flags(FLAGS)
                .tips(READING)
                .docs("2.8.13", "server", "O(1)", "Puts the events into words."),
            Command::new("graph", "event", graph)
                .arity(3)
                .flags(FLAGS)
                .tips(READING)
                .docs("2.8.13", "server", "O(1)", "Draws the times of an event."),
            Command::new("histogram", "[command [command ...]]", histogram)
                .arity(-2)
                .flags(FLAGS)
                .tips(READING)
                .docs(
                    "7.0.0",
                    "server",
                    "O(N) for N commands that have run.",
                    "Replies how often commands took how long.",
                ),
            Command::new("history", "event", history)
                .arity(3)
                .flags(FLAGS)
                .tips(READING)
                .docs("2.8.13", "server", "O(1)", "Replies the times of an event."),
            Command::new("latest", "", latest)
                .arity(2)
                .flags(FLAGS)
                .tips(READING)
                .docs(
                    "2.8.13",
                    "server",
                    "O(1)",
                    "Replies the latest time of each event.",
                ),
            Command::new("reset", "[event [event ...]]", reset)
                .arity(-2)
                .flags(FLAGS)
                .tips(&["request_policy:all_nodes", "response_policy:agg_sum"])
                .docs("2.8.13", "server", "O(1)", "Forgets events."),
            Command::new("help", "", help)
                .arity(2)
                .flags(&[Flags::LOADING, Flags::STALE])
                .docs("2.8.13", "server", "O(1)", "Describes the subcommands."),
        ])];

fn latest(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let events = ctx.shared.observations.latency.all();
    ctx.reply.array(events.len());
    for (name, event) in events {
        let (at_s, took_ms) = event.samples.back().copied().unwrap_or_default();
        ctx.reply.array(4);
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.integer(at_s as i64);
        ctx.reply.integer(took_ms as i64);
        ctx.reply.integer(event.max_ms as i64);
    }
    Ok(Outcome::Done)
}

fn history(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let event = ctx.shared.observations.latency.get(args.at(2));
    let samples = event.map(|(_, event)| event.samples).unwrap_or_default();
    ctx.reply.array(samples.len());
    for (at_s, took_ms) in samples {
        ctx.reply.array(2);
        ctx.reply.integer(at_s as i64);
        ctx.reply.integer(took_ms as i64);
    }
    Ok(Outcome::Done)
}

fn reset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let latency = &ctx.shared.observations.latency;
    let count = if args.len() == 2 {
        latency.clear()
    } else {
        args.from(2).filter(|name| latency.remove(name)).count()
    };
    ctx.reply.count(count);
    Ok(Outcome::Done)
}

/// A command's histogram over all shards, if it has run.
fn sum_of(ctx: &Context<'_>, row: &Row) -> Option<LatencySum> {
    let mut sum = LatencySum::default();
    for shard in &ctx.shared.observations.shards {
        let counters = shard.commands.get(usize::from(row.counted_as));
        if let Some(histogram) = counters.and_then(|counters| counters.latency.get()) {
            sum.add(histogram);
        }
    }
    (sum.total() > 0).then_some(sum)
}

/// The rows named, containers with their subcommands; a name that is no command is passed over. All rows for no name.
fn rows_named(table: &'static CommandTable, args: &Args<'_>) -> Vec<&'static Row> {
    if args.len() == 2 {
        return table.told().collect();
    }
    let mut rows = Vec::new();
    for row in args.from(2).filter_map(|name| table.find_told(name)) {
        rows.push(row);
        if !row.is_one_command() {
            rows.extend(row.subcommand_ids().map(|id| table.row(id)));
        }
    }
    rows
}

fn histogram(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let found: Vec<_> = rows_named(ctx.shared.commands, args)
        .into_iter()
        .filter_map(|row| Some((row, sum_of(ctx, row)?)))
        .collect();
    ctx.reply.map(found.len());
    for (row, sum) in found {
        let steps = sum.steps();
        ctx.reply.bulk(row.full_name.as_bytes());
        ctx.reply.map(2);
        ctx.reply.bulk(b"calls");
        ctx.reply.integer(sum.total() as i64);
        ctx.reply.bulk(b"histogram_usec");
        ctx.reply.map(steps.len());
        for (microseconds, count) in steps {
            ctx.reply.integer(microseconds as i64);
            ctx.reply.integer(count as i64);
        }
    }
    Ok(Outcome::Done)
}

/// Columns of a graph, and its rows.
const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: usize = 4;
/// Within a row of the graph a value may end at the bottom, the middle or the top.
const GRAPH_ENDS: [char; 3] = ['_', 'o', '#'];

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// Bars with their age written downwards below them, 80 to a band.
fn draw(name: &str, event: &LatencyEvent, now_s: u64) -> String {
    let times = event.samples.iter().map(|(_, took_ms)| *took_ms);
    let (high, low) = (times.clone().max().unwrap_or(0), times.min().unwrap_or(0));
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.max_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    let levels = (GRAPH_ROWS * GRAPH_ENDS.len()) as u64;
    let samples: Vec<_> = event.samples.iter().copied().collect();
    for (number, band) in samples.chunks(GRAPH_COLUMNS).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let range = (high - low).max(1);
        let heights: Vec<usize> = band
            .iter()
            .map(|(_, took_ms)| ((took_ms - low) * levels / range).min(levels - 1) as usize)
            .collect();
        for row in (0..GRAPH_ROWS).rev() {
            let base = row * GRAPH_ENDS.len();
            text.extend(heights.iter().map(|height| match height.checked_sub(base) {
                None => ' ',
                Some(above) => GRAPH_ENDS.get(above).copied().unwrap_or('|'),
            }));
            text.push('\n');
        }
        // Redis: the line between bars and ages is blank, not empty.
        text.push_str(&" ".repeat(band.len()));
        text.push('\n');
        let ages: Vec<Vec<char>> = band
            .iter()
            .map(|(at_s, _)| age(now_s.saturating_sub(*at_s)).chars().collect())
            .collect();
        let depth = ages.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..depth {
            text.extend(ages.iter().map(|age| age.get(line).copied().unwrap_or(' ')));
            text.push('\n');
        }
    }
    text
}

fn graph(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (name, event) = ctx
        .shared
        .observations
        .latency
        .get(args.at(2))
        .ok_or_else(|| error::no_latency_samples(args.at(2)))?;
    let text = draw(name, &event, ctx.now_ms() / 1000);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn doctor(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut text = String::new();
    let events = ctx.shared.observations.latency.all();
    if ctx.settings.latency_monitor_threshold_ms == 0 && events.is_empty() {
        text.push_str(
            "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n",
        );
    } else if events.is_empty() {
        text.push_str("Nothing has taken longer than the threshold.\n");
    }
    for (name, event) in events {
        let count = event.samples.len().max(1) as u64;
        let sum_ms: u64 = event.samples.iter().map(|(_, took_ms)| took_ms).sum();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name}: {count} seconds with a slow one, {} ms on average, {} ms at worst. SLOWLOG GET shows the commands.",
            sum_ms / count,
            event.max_ms
        );
    }
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    The events in words.",
        "GRAPH <event>",
        "    The times of an event as a drawing.",
        "HISTOGRAM [<command> ...]",
        "    How often commands took how long: cumulative counts by microseconds.",
        "HISTORY <event>",
        "    The times of an event: Unix time and milliseconds.",
        "LATEST",
        "    Each event: name, Unix time, milliseconds, longest.",
        "RESET [<event> ...]",
        "    Forget events (default: all).",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_has_bars_and_ages() {
        let mut event = LatencyEvent::default();
        event.samples.extend([(10, 100), (60, 150), (95, 200)]);
        event.max_ms = 300;
        let text = draw("command", &event, 100);
        let mut lines = text.lines();
        let title = "command - high 200 ms, low 100 ms (all time high 300 ms)";
        assert_eq!(lines.next(), Some(title));
        assert_eq!(lines.next(), Some("-".repeat(80).as_str()));
        let rest: Vec<&str> = lines.collect();
        assert_eq!(
            rest,
            ["  #", " _|", " ||", "_||", "   ", "145", "m0s", " s "]
        );
    }
}
