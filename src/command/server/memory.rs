//! MEMORY: what keys take.
//!
//! There is no cache of our own to purge and the allocator tells nothing; those subcommands answer so.

use std::sync::atomic::Ordering;

use crate::command::args::{self, Cursor, is};
use crate::command::error::{self, CommandError};
use crate::command::spec::{KeyFlags, KeySpec};
use crate::command::{Command, Context, Flags, Outcome};
use crate::keyspace::Keyspace;
use crate::resp::arguments::Args;

const TIPS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

/// The row.
pub static COMMANDS: &[Command] = &[Command::new("memory", "", super::unreachable_container)
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
    let bytes = ctx.space.peek(args.at(2)).map(Keyspace::entry_bytes);
    match bytes {
        Some(bytes) => ctx.reply.count(bytes),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

fn stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let client_bytes: usize = ctx
        .shared
        .clients
        .all()
        .iter()
        .map(|client| {
            client.query_bytes.load(Ordering::Relaxed)
                + client.output_bytes.load(Ordering::Relaxed)
                + client.multi_bytes.load(Ordering::Relaxed)
        })
        .sum();
    let shards = &ctx.shared.observations.shards;
    let databases = shards.iter().flat_map(|shard| &shard.databases);
    let key_count: u64 = databases.map(|database| database.keys.get()).sum();
    let facts = [
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", client_bytes as i64),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("keys.count", key_count as i64),
    ];
    ctx.reply.map(facts.len());
    for (name, value) in facts {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.integer(value);
    }
    Ok(Outcome::Done)
}

fn doctor(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let text = "There is no diagnosis of memory. INFO memory has the facts, MEMORY USAGE those of a key.\n";
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn malloc_stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let text = "Stats not supported for the current allocator";
    ctx.reply.bulk(text.as_bytes());
    Ok(Outcome::Done)
}

fn purge(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
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
