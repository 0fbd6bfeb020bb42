//! DEBUG: what tests and demonstrations need to reach inside. Refused unless `enable-debug-command` allows it.
//!
//! ```text
//! effects.rs  EFFECTS: what writes did, to compare and replay      values.rs  OBJECT, LISTPACK, QUICKLIST, DIGEST
//! protocol.rs PROTOCOL: a reply of each type                       mod.rs     the rows, time, settings, reload
//! steps.rs    STREAM-STEPS, only with the feature `steps`
//! ```
//! To clients DEBUG is one command, as in Redis ([`Flags::ONE_COMMAND`]): what fits none of its rows runs the container's.

mod effects;
mod protocol;
#[cfg(any(test, feature = "steps"))]
mod steps;
#[cfg(test)]
mod tests;
mod values;

use std::sync::atomic::Ordering;

use crate::command::args;
use crate::command::context::ReloadOptions;
use crate::command::error::{self, CommandError};
use crate::command::spec::{KeyFlags, KeySpec, Scope};
use crate::command::{Command, Context, Flags, Outcome, ShardAction};
use crate::data::extended::double_at_start;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

const FLAGS: &[Flags] = &[
    Flags::ADMIN,
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::PROTECTED,
];
/// Most bytes of an element that is kept packed. Source: Redis' limit of the same setting.
const PACKED_BYTES_MAX: u64 = 1 << 32;

const fn row(
    name: &'static str,
    syntax: &'static str,
    handler: crate::command::spec::Handler,
    arity: i32,
    summary: &'static str,
) -> Command {
    Command::new(name, syntax, handler)
        .arity(arity)
        .flags(FLAGS)
        .docs("1.0.0", "server", "Depends on the subcommand.", summary)
}

const KEY: &[KeySpec] = &[KeySpec::one(KeyFlags::RO, 2)];
const KEYS: &[KeySpec] = &[KeySpec::range(KeyFlags::RO, 2, -1, 1)];

/// The row.
pub(crate) static COMMANDS: &[Command] = &[row(
    "debug",
    "",
    unknown,
    -2,
    "Holds the commands for tests of the server.",
)
.flags(&[Flags::ONE_COMMAND, Flags::SYSTEM])
.subcommands(&[
    row(
        "change-repl-id",
        "",
        accepted,
        2,
        "Accepted: there are no replicas.",
    ),
    row(
        "digest",
        "",
        values::digest,
        2,
        "Tells a digest of all keys.",
    )
    .scope(Scope::AllShards),
    row(
        "digest-value",
        "key [key ...]",
        values::digest_value,
        -2,
        "Tells digests of values.",
    )
    .keys(KEYS),
    row(
        "effects",
        "<ON | OFF | GET | SUPPRESS name | REPLAY on|off>",
        effects::effects,
        -3,
        "Records what writes do, as the commands that repeat it.",
    )
    .scope(Scope::AllShards),
    row("error", "message", reply_error, 3, "Replies an error."),
    row(
        "listpack",
        "key",
        values::listpack,
        3,
        "Logs the elements of a small list.",
    )
    .keys(KEY),
    row(
        "loadaof",
        "",
        load_log,
        2,
        "Loads the append-only file again; rebuilds all keys from their effects where there is none.",
    )
    .scope(Scope::AllShards),
    row("log", "message", log, 3, "Writes to the log."),
    row(
        "object",
        "key [FAST]",
        values::object,
        -3,
        "Tells how a value is kept.",
    )
    .keys(KEY),
    row(
        "pause-cron",
        "<0 | 1>",
        pause_cron,
        3,
        "Stops what runs periodically.",
    ),
    row(
        "populate",
        "count [prefix [size]]",
        populate,
        -3,
        "Makes keys.",
    )
    .scope(Scope::AllShards),
    row(
        "protocol",
        "type",
        protocol::protocol,
        3,
        "Replies a value of a type.",
    ),
    row(
        "quicklist",
        "key [level]",
        values::quicklist,
        -3,
        "Logs the chunks of a large list.",
    )
    .keys(KEY),
    row(
        "quicklist-packed-threshold",
        "size",
        packed_threshold,
        3,
        "Sets from which size on an element is kept alone.",
    ),
    row(
        "reload",
        "[option [option ...]]",
        reload,
        -2,
        "Rebuilds all keys from their effects.",
    )
    .scope(Scope::AllShards),
    row(
        "set-active-expire",
        "<0 | 1>",
        active_expire,
        3,
        "Whether keys expire unasked.",
    ),
    row(
        "set-disable-deny-scripts",
        "<0 | 1>",
        scripts_may_all,
        3,
        "Whether scripts may run commands that they may not run otherwise.",
    ),
    row(
        "set-skip-checksum-validation",
        "<0 | 1>",
        skip_checksums,
        3,
        "Whether RESTORE and dumps pass over wrong checksums.",
    ),
    row(
        "sleep",
        "seconds",
        sleep,
        3,
        "Stops the shard of the connection.",
    ),
    #[cfg(any(test, feature = "steps"))]
    row(
        "stream-steps",
        "key [RESET]",
        steps::stream_steps,
        -3,
        "Tells how many nodes and records streams have looked at.",
    )
    .keys(KEY),
    row(
        "stringmatch-len",
        "length pattern",
        string_match,
        4,
        "Matches a long text with a pattern.",
    ),
    row(
        "panic",
        "",
        crash,
        2,
        "Ends the process as a defect would: what is not saved is lost.",
    ),
    row("help", "", help, 2, "Describes the subcommands."),
])];

/// No such subcommand, or not with so many arguments.
fn unknown(_ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::wrong_subcommand("debug", args.at(1)))
}

fn accepted(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// A number as C's `atoi` reads it: 0 for what is none.
fn switch(argument: &[u8]) -> bool {
    args::integer(argument).is_some_and(|value| value != 0)
}

fn active_expire(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let on = switch(args.at(2));
    ctx.shared.active_expire.store(on, Ordering::Release);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn scripts_may_all(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let may = switch(args.at(2));
    ctx.shared.scripts_may_all.store(may, Ordering::Relaxed);
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn skip_checksums(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let skips = switch(args.at(2));
    let facts = &ctx.shared.observations.persistence;
    facts.skips_checksums.store(skips, Ordering::Release);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn pause_cron(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let paused = switch(args.at(2));
    ctx.shared.cron_paused.store(paused, Ordering::Release);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn sleep(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let seconds = double_at_start(args.at(2)).max(0.0);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Sleep((seconds * 1000.0) as u64)))
}

/// For the test of the last words: which command ran, where.
fn crash(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    panic!("DEBUG PANIC was called")
}

fn reply_error(_ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(CommandError::text(args.at(2)))
}

fn log(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// A size with a unit: `512`, `10b`, `1kb`, `5mb`.
fn memory_bytes(argument: &[u8]) -> Option<u64> {
    let end = argument
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(argument.len());
    let (digits, unit) = argument.split_at(end);
    let unit = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.checked_mul(unit)
}

fn packed_threshold(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let bytes = memory_bytes(args.at(2))
        .filter(|bytes| *bytes < PACKED_BYTES_MAX)
        .ok_or(error::PACKED_THRESHOLD)?;
    let threshold = &ctx.shared.list_packed_threshold;
    threshold.store(bytes as usize, Ordering::Release);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn string_match(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let length = args::non_negative(args.at(2))?.min(crate::limits::BULK_BYTES_MAX as u64);
    let text = vec![b'a'; length as usize];
    let case = crate::pubsub::pattern::Case::Sensitive;
    let matches = crate::pubsub::pattern::matches(args.at(3), &text, case);
    ctx.reply.integer(i64::from(matches));
    Ok(Outcome::Done)
}

fn reload(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut options = ReloadOptions {
        saves: true,
        flushes: true,
        merges: false,
    };
    for option in args.from(2) {
        if args::is(option, "nosave") {
            options.saves = false;
        } else if args::is(option, "noflush") {
            options.flushes = false;
        } else if args::is(option, "merge") {
            options.merges = true;
        } else {
            return Err(error::RELOAD_OPTION);
        }
    }
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::ReloadDump(options)))
}

fn load_log(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Reload))
}

/// Keys `prefix:0` … with the value `value:0` …, cut or filled with zero bytes to a size. Keys that exist stay.
fn populate(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let count = args::non_negative(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map(args::non_negative).transpose()?;
    if args.len() > 5 {
        return Err(error::wrong_subcommand("debug", args.at(1)));
    }
    for number in 0..count {
        let key = [prefix, format!(":{number}").as_bytes()].concat();
        let mut value = format!("value:{number}").into_bytes();
        if let Some(size) = size.filter(|size| *size > 0) {
            value.resize(size as usize, 0);
        }
        let mut handle = ctx.space.write(&key);
        if handle.exists() {
            continue;
        }
        handle.insert(Value::String(StringValue::new(&value)));
        handle.effect(|effect| {
            effect.arg("SET").arg(&key).arg(&value);
        });
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANGE-REPL-ID",
        "    Accepted: there are no replicas.",
        "DIGEST",
        "    A digest of all keys, their databases and expiries.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    A digest of each value.",
        "EFFECTS ON|OFF|GET|SUPPRESS <command>|REPLAY ON|OFF",
        "    Records what writes do, as the commands that repeat it. GET replies and forgets",
        "    them: database and command. SUPPRESS drops those of one command, '' of none.",
        "    While REPLAY is on nothing expires: what was recorded can be sent again as it was.",
        "ERROR <message>",
        "    An error with this text.",
        "LISTPACK <key>",
        "    Logs the elements of a list in its small form.",
        "LOADAOF",
        "    Drops all keys and loads the append-only file; without one it rebuilds them in memory.",
        "LOG <message>",
        "    Writes to the log.",
        "OBJECT <key> [FAST]",
        "    How a value is kept.",
        "PAUSE-CRON <0|1>",
        "    Stops what runs periodically, or lets it run.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Makes keys <prefix>:<number>.",
        "PROTOCOL <type>",
        "    A value of a type: string, integer, double, bignum, null, array, set, map, attrib,",
        "    push, verbatim, true, false.",
        "QUICKLIST <key> [<0|1>]",
        "    Logs the chunks of a list in its large form.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    From which size on an element is kept alone; 0 for the default.",
        "RELOAD",
        "    Writes every key as the commands that make it, drops all, runs them. In memory",
        "    until there are files.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Whether keys expire unasked.",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    Whether scripts may run commands that they may not run otherwise.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Whether RESTORE and dumps pass over wrong checksums.",
        "SLEEP <seconds>",
        "    Stops the shard of this connection.",
        #[cfg(any(test, feature = "steps"))]
        "STREAM-STEPS <key> [RESET]",
        #[cfg(any(test, feature = "steps"))]
        "    How many nodes and records the groups of all streams on the key's shard have looked at",
        #[cfg(any(test, feature = "steps"))]
        "    so far; RESET counts from 0.",
        "STRINGMATCH-LEN <length> <pattern>",
        "    Whether a pattern matches a text of so many 'a'.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
