//! What a stream tells about itself: XINFO.
//!
//! Clients read these maps strictly and refuse a field they do not know. So the replies have the fields of Redis 7.2, and more
//! only on request or where something newer was used:
//!
//! ```text
//! idmp-*, pids-*, iids-*    of a stream that has used IDMP or XCFGSET
//! nacked-count              of a group while it has released entries
//! our own                   with the word EXTENDED at the end, which also brings those above in any case
//! ```

use crate::command::args::{is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, EXTENDED, Flags, KeyFlags, KeySpec};
use crate::data::stream::{Group, Idempotency, Log, Stream, StreamId};
use crate::keyspace::Space;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::{reply_entries, reply_entry, reply_id, stream_of};

pub(super) const COMMANDS: &[Command] = &[Command::new("xinfo", "", container)
    .arity(-2)
    .subcommands(SUBCOMMANDS)
    .docs(
        "5.0.0",
        "stream",
        "Depends on the subcommand",
        "Commands that describe streams.",
    )];

static SUBCOMMANDS: &[Command] = &[
    Command::new("consumers", "key group", consumers)
        .arity(4)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 2)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs(
            "5.0.0",
            "stream",
            "O(N) for N consumers",
            "Describes the consumers of a group.",
        ),
    Command::new("groups", "key", groups)
        .arity(3)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 2)])
        .own_word(EXTENDED)
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(N) for N groups",
            "Describes the consumer groups of a stream.",
        ),
    Command::new("help", "", help)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(1)", "Lists the subcommands."),
    Command::new("stream", "key [full-block:<FULL [COUNT count]>]", stream)
        .arity(-3)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 2)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(N) for N blocks of the stream",
            "Describes a stream; with FULL also its entries, groups and consumers.",
        ),
];

/// Entries of each list in XINFO STREAM FULL by default.
const FULL_COUNT: usize = 10;

fn container(_: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand("xinfo", args.at(1)))
}

fn help(ctx: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        "HELP",
        "    Print this help.",
    ]);
    Ok(Outcome::Done)
}

fn existing<'s>(space: &'s mut Space<'_>, key: &[u8]) -> Result<&'s Stream, CommandError> {
    stream_of(space.read(key))?.ok_or(error::NO_SUCH_KEY)
}

fn field(reply: &mut Reply, name: &str) {
    reply.bulk(name.as_bytes());
}

fn number(reply: &mut Reply, name: &str, value: u64) {
    field(reply, name);
    reply.integer(value.cast_signed());
}

fn id(reply: &mut Reply, name: &str, value: StreamId) {
    field(reply, name);
    reply_id(reply, value);
}

fn optional(reply: &mut Reply, name: &str, value: Option<i64>) {
    field(reply, name);
    match value {
        Some(value) => reply.integer(value),
        None => reply.null(),
    }
}

/// XINFO CONSUMERS key group
fn consumers(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name, now_ms) = (args.at(2), args.at(3), ctx.now_ms());
    let group = existing(&mut ctx.space, key)?.group(name);
    let group = group.ok_or_else(|| error::no_such_group(key, name))?;
    let since = |ms: u64| now_ms.cast_signed().wrapping_sub(ms.cast_signed());
    ctx.reply.array(group.consumer_count());
    for (index, consumer) in group.consumers() {
        ctx.reply.map(4);
        field(ctx.reply, "name");
        ctx.reply.bulk(consumer.name());
        number(ctx.reply, "pending", group.pending().len_of(index) as u64);
        field(ctx.reply, "idle");
        ctx.reply.integer(since(consumer.seen_ms).max(0));
        field(ctx.reply, "inactive");
        ctx.reply.integer(consumer.active_ms.map_or(-1, since));
    }
    Ok(Outcome::Done)
}

/// XINFO GROUPS key [EXTENDED]
fn groups(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (now_ms, extended) = (ctx.now_ms(), args.len() > 3);
    let stream = existing(&mut ctx.space, args.at(2))?;
    ctx.reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        ctx.reply
            .map(6 + if extended { PROGRESS_FIELDS } else { 0 });
        field(ctx.reply, "name");
        ctx.reply.bulk(name);
        number(ctx.reply, "consumers", group.consumer_count() as u64);
        number(ctx.reply, "pending", group.pending().len() as u64);
        reply_position(ctx.reply, group, stream.log());
        if extended {
            reply_progress(ctx.reply, group, stream.log(), now_ms);
        }
    }
    Ok(Outcome::Done)
}

/// What [`reply_progress`] adds to a group.
const PROGRESS_FIELDS: usize = 3;

/// What Redis does not tell of a group, behind what it does: how many entries of the stream it has still to read, always
/// known; since when the entry is pending that was delivered longest ago; how old the next one to read is by its ID.
/// O(blocks behind the group's position + entries of a block).
fn reply_progress(reply: &mut Reply, group: &Group, log: &Log, now_ms: u64) {
    number(reply, "lag-exact", log.live_after(group.last_delivered));
    let age = |ms: u64| now_ms.saturating_sub(ms).cast_signed();
    let oldest_ms = group.pending().oldest_delivery_ms();
    optional(reply, "oldest-pending-ms", oldest_ms.map(age));
    let first = group.first_undelivered(log);
    optional(reply, "oldest-undelivered-ms", first.map(|id| age(id.ms)));
}

fn reply_position(reply: &mut Reply, group: &Group, log: &Log) {
    id(reply, "last-delivered-id", group.last_delivered);
    optional(
        reply,
        "entries-read",
        group.entries_read.map(u64::cast_signed),
    );
    optional(reply, "lag", group.lag(log));
}

/// How XINFO STREAM FULL answers.
#[derive(Clone, Copy)]
struct Full {
    /// Entries of each list, at most; 0: all.
    count: usize,
    extended: bool,
    now_ms: u64,
}

/// XINFO STREAM key [FULL [COUNT count]] [EXTENDED]
fn stream(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, now_ms) = (args.at(2), ctx.now_ms());
    let stream = existing(&mut ctx.space, key)?;
    let wrong = || error::wrong_subcommand("xinfo", args.at(1));
    let extended = args.len() > 3 && is(args.at(args.len() - 1), EXTENDED);
    let full = match args.len() - usize::from(extended) {
        3 => None,
        4 if is(args.at(3), "FULL") => Some(FULL_COUNT),
        6 if is(args.at(3), "FULL") && is(args.at(4), "COUNT") => {
            Some(usize::try_from(required_integer(args.at(5))?).unwrap_or(FULL_COUNT))
        }
        _ => return Err(wrong()),
    };
    let tables = Some(stream.idempotency()).filter(|tables| extended || tables.is_used());
    let (reply, log) = (&mut *ctx.reply, stream.log());
    reply.map(if full.is_some() { 9 } else { 10 } + tables.map_or(0, |_| IDEMPOTENCY_FIELDS));
    number(reply, "length", log.len());
    number(reply, "radix-tree-keys", log.block_count() as u64);
    number(reply, "radix-tree-nodes", log.radix_node_count() as u64);
    id(reply, "last-generated-id", log.last_id());
    id(reply, "max-deleted-entry-id", log.max_deleted_id());
    number(reply, "entries-added", log.entries_added());
    id(reply, "recorded-first-entry-id", log.first_id());
    if let Some(tables) = tables {
        reply_idempotency(reply, tables, now_ms);
    }
    if let Some(count) = full {
        let full = Full {
            count,
            extended,
            now_ms,
        };
        reply_full(reply, stream, full);
        return Ok(Outcome::Done);
    }
    number(reply, "groups", stream.group_count() as u64);
    for (name, entry) in [("first-entry", log.first()), ("last-entry", log.last())] {
        field(reply, name);
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
    Ok(Outcome::Done)
}

/// What [`reply_idempotency`] adds to a stream.
const IDEMPOTENCY_FIELDS: usize = 6;

fn reply_idempotency(reply: &mut Reply, tables: &Idempotency, now_ms: u64) {
    let (window, tracked) = (tables.window(), tables.tracked(now_ms));
    number(reply, "idmp-duration", window.duration_s.into());
    number(reply, "idmp-maxsize", window.size_max.into());
    number(reply, "pids-tracked", tracked.producers as u64);
    number(reply, "iids-tracked", tracked.messages as u64);
    number(reply, "iids-added", tables.added());
    number(reply, "iids-duplicates", tables.duplicates());
}

fn reply_full(reply: &mut Reply, stream: &Stream, full: Full) {
    field(reply, "entries");
    let entries = stream.log().range(StreamId::MIN, StreamId::MAX);
    reply_entries(reply, entries, full.count);
    field(reply, "groups");
    reply.array(stream.group_count());
    for (name, group) in stream.groups() {
        reply_full_group(reply, name, group, stream.log(), full);
    }
}

fn reply_full_group(reply: &mut Reply, name: &[u8], group: &Group, log: &Log, full: Full) {
    let pending = group.pending();
    let most = if full.count == 0 {
        usize::MAX
    } else {
        full.count
    };
    let released = Some(pending.released_count()).filter(|count| full.extended || *count > 0);
    let more = if full.extended { PROGRESS_FIELDS } else { 0 };
    reply.map(7 + more + usize::from(released.is_some()));
    field(reply, "name");
    reply.bulk(name);
    reply_position(reply, group, log);
    number(reply, "pel-count", pending.len() as u64);
    if let Some(count) = released {
        number(reply, "nacked-count", count as u64);
    }
    field(reply, "pending");
    reply.array(pending.len().min(most));
    for entry in pending.iter_from(StreamId::MIN).take(most) {
        reply.array(4);
        reply_id(reply, entry.id);
        reply.bulk(group.owner_name(&entry.delivery));
        reply.integer(entry.delivery.delivered_ms.cast_signed());
        reply.integer(entry.delivery.delivery_count.cast_signed());
    }
    reply_full_consumers(reply, group, most);
    if full.extended {
        reply_progress(reply, group, log, full.now_ms);
    }
}

fn reply_full_consumers(reply: &mut Reply, group: &Group, most: usize) {
    let pending = group.pending();
    field(reply, "consumers");
    reply.array(group.consumer_count());
    for (index, consumer) in group.consumers() {
        reply.map(5);
        field(reply, "name");
        reply.bulk(consumer.name());
        number(reply, "seen-time", consumer.seen_ms);
        field(reply, "active-time");
        reply.integer(consumer.active_ms.map_or(-1, u64::cast_signed));
        number(reply, "pel-count", pending.len_of(index) as u64);
        field(reply, "pending");
        reply.array(pending.len_of(index).min(most));
        for entry in pending.iter_of(index, StreamId::MIN).take(most) {
            reply.array(3);
            reply_id(reply, entry.id);
            reply.integer(entry.delivery.delivered_ms.cast_signed());
            reply.integer(entry.delivery.delivery_count.cast_signed());
        }
    }
}
