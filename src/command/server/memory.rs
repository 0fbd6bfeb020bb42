//! MEMORY: what keys take.

use std::sync::atomic::Ordering;

use crate::command::args::{self, Cursor, is};
use crate::command::error::{self, CommandError};
use crate::command::spec::{KeyFlags, KeySpec};
use crate::command::{Command, Context, Flags, Outcome};
use crate::keyspace::table::Entry;
use crate::observe::{allocator, process};
use crate::resp::arguments::Args;

use super::info::script_facts;

const TIPS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

/// The row.
pub(crate) static COMMANDS: &[Command] =
    &[Command::new("memory", "", super::unreachable_container)
        .arity(-2)
        .docs(
            "4.0.0",
            "server",
            "Depends on the subcommand.",
            "Container of the commands about memory.",
        )
        .subcommands(&[
            Command::new("doctor", "", doctor).arity(2).tips(TIPS).docs(
                "4.0.0",
                "server",
                "O(1)",
                "Tells of problems with memory.",
            ),
            Command::new("malloc-stats", "", malloc_stats)
                .arity(2)
                .tips(TIPS)
                .docs("4.0.0", "server", "O(1)", "Tells what the allocator knows."),
            Command::new("purge", "", purge)
                .arity(2)
                .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
                .docs("4.0.0", "server", "O(1)", "Gives unused memory back."),
            Command::new("stats", "", stats).arity(2).tips(TIPS).docs(
                "4.0.0",
                "server",
                "O(N) for N connections.",
                "Tells where memory is.",
            ),
            Command::new("usage", "key [SAMPLES count]", usage)
                .arity(-3)
                .flags(&[Flags::READONLY])
                .keys(&[KeySpec::one(KeyFlags::RO, 2)])
                .docs(
                    "4.0.0",
                    "server",
                    "O(N) for N parts of the value.",
                    "Estimates the memory of a key with its value.",
                ),
            Command::new("help", "", help)
                .arity(2)
                .flags(&[Flags::LOADING, Flags::STALE])
                .docs("4.0.0", "server", "O(1)", "Describes the subcommands."),
        ])];

/// SAMPLES is checked and not needed: sizes are kept, not sampled.
fn usage(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut cursor = Cursor::new(args, 3);
    while let Some(option) = cursor.next() {
        let is_count = is(option, "samples");
        let value = cursor.value()?;
        if !is_count || args::required_integer(value)? < 0 {
            return Err(error::SYNTAX);
        }
    }
    let bytes = ctx.space.peek(args.at(2)).map(Entry::bytes);
    match bytes {
        Some(bytes) => ctx.reply.count(bytes),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

/// A fact of MEMORY STATS.
enum Fact {
    Bytes(u64),
    Ratio(f64),
}

/// What takes memory, in Redis' names and order. What does not exist here is 0.
fn facts(ctx: &Context<'_>, key_count: u64) -> [(&'static str, Fact); 27] {
    use Fact::{Bytes, Ratio};
    let buffers = |client: &std::sync::Arc<crate::client::registry::ClientHandle>| {
        client.query_bytes.load(Ordering::Relaxed)
            + client.output_bytes.load(Ordering::Relaxed)
            + client.multi_bytes.load(Ordering::Relaxed)
    };
    let clients: usize = ctx.shared.clients.all().iter().map(buffers).sum();
    let clients = clients as u64;
    let memory = process::memory();
    let heap = allocator::allocated();
    let (used, peak) = (heap.used, heap.peak);
    let scripts = script_facts(ctx.shared);
    let states = ctx.shared.observations.sum(|shard| &shard.lua_bytes);
    let lua = states + scripts.cached_bytes;
    let overhead = clients + lua + scripts.library_bytes;
    let dataset = used.saturating_sub(overhead);
    let share = |part: u64, whole: u64| part as f64 * 100.0 / whole as f64;
    let ratio = |whole: u64, part: u64| Ratio(whole as f64 / part as f64);
    let beyond = |whole: u64, part: u64| Bytes(whole.wrapping_sub(part));
    [
        ("peak.allocated", Bytes(peak)),
        ("total.allocated", Bytes(used)),
        ("startup.allocated", Bytes(heap.at_start)),
        ("replication.backlog", Bytes(0)),
        ("clients.slaves", Bytes(0)),
        ("clients.normal", Bytes(clients)),
        ("cluster.links", Bytes(0)),
        ("aof.buffer", Bytes(0)),
        ("lua.caches", Bytes(lua)),
        ("functions.caches", Bytes(scripts.library_bytes)),
        ("overhead.total", Bytes(overhead)),
        ("keys.count", Bytes(key_count)),
        (
            "keys.bytes-per-key",
            Bytes(used.checked_div(key_count).unwrap_or(0)),
        ),
        ("dataset.bytes", Bytes(dataset)),
        ("dataset.percentage", Ratio(share(dataset, used))),
        ("peak.percentage", Ratio(share(used, peak))),
        ("allocator.allocated", Bytes(used)),
        ("allocator.active", Bytes(heap.active)),
        ("allocator.resident", Bytes(heap.resident)),
        ("allocator-fragmentation.ratio", ratio(heap.active, used)),
        ("allocator-fragmentation.bytes", beyond(heap.active, used)),
        ("allocator-rss.ratio", ratio(heap.resident, heap.active)),
        ("allocator-rss.bytes", beyond(heap.resident, heap.active)),
        ("rss-overhead.ratio", ratio(memory.resident, heap.resident)),
        ("rss-overhead.bytes", beyond(memory.resident, heap.resident)),
        ("fragmentation", ratio(memory.resident, used)),
        ("fragmentation.bytes", beyond(memory.resident, used)),
    ]
}

fn stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let shards = &ctx.shared.observations.shards;
    let keys_of = |db: usize| -> u64 {
        let databases = shards
            .iter()
            .filter_map(|shard| shard.keyspace.databases.get(db));
        databases.map(|database| database.keys.get()).sum()
    };
    let filled: Vec<usize> = (0..ctx.settings.databases)
        .filter(|db| keys_of(*db) > 0)
        .collect();
    let key_count = filled.iter().map(|db| keys_of(*db)).sum();
    let facts = facts(ctx, key_count);
    ctx.reply.map(facts.len() + filled.len());
    for (name, fact) in facts {
        if name == "overhead.total" {
            // What the tables take is part of their entries.
            for db in &filled {
                ctx.reply.bulk(format!("db.{db}").as_bytes());
                ctx.reply.map(3);
                for table in ["main", "expires", "slot-to-keys"] {
                    ctx.reply
                        .bulk(format!("overhead.hashtable.{table}").as_bytes());
                    ctx.reply.integer(0);
                }
            }
        }
        ctx.reply.bulk(name.as_bytes());
        match fact {
            Fact::Bytes(bytes) => ctx.reply.integer(bytes as i64),
            Fact::Ratio(ratio) => ctx.reply.double(ratio),
        }
    }
    Ok(Outcome::Done)
}

fn doctor(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let text = "There is no diagnosis of memory. INFO memory has the facts, MEMORY USAGE those of a key.\n";
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn malloc_stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.verbatim("txt", &allocator::report());
    Ok(Outcome::Done)
}

fn purge(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    allocator::give_back_now();
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Problems with memory, in words.",
        "MALLOC-STATS",
        "    What the allocator knows.",
        "PURGE",
        "    Give unused memory back.",
        "STATS",
        "    Where memory is.",
        "USAGE <key> [SAMPLES <count>]",
        "    An estimate of the bytes of a key with its value.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
