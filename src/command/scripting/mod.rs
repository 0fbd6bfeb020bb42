//! EVAL, FCALL and their like: the rows. Each is run by the shard, which runs the commands of the script too (`shard/scripts.rs`).
//!
//! `declared.rs` which keys a script can touch · `cached.rs` SCRIPT · `functions.rs` FUNCTION.

mod cached;
pub(crate) mod declared;
mod functions;

use crate::resp::arguments::Args;
use crate::script::busy::NotKilled;

use super::args::integer;
use super::context::{Context, Outcome};
use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec, Scope};

const ANY: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE);
const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const KEYS: &[KeySpec] = &[KeySpec::counted(ANY, 2)];
const KEYS_NOTED: &[KeySpec] = &[KeySpec::counted(ANY, 2)
    .noted("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")];
const KEYS_READ_NOTED: &[KeySpec] = &[KeySpec::counted(READ, 2)
    .noted("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")];
const KEYS_READ: &[KeySpec] = &[KeySpec::counted(READ, 2)];

const BOTH: &[Flags] = &[
    Flags::NOSCRIPT,
    Flags::STALE,
    Flags::SKIP_MONITOR,
    Flags::MAY_REPLICATE,
    Flags::NO_MANDATORY_KEYS,
    Flags::MOVABLE_KEYS,
];
const READS: &[Flags] = &[
    Flags::READONLY,
    Flags::NOSCRIPT,
    Flags::STALE,
    Flags::SKIP_MONITOR,
    Flags::NO_MANDATORY_KEYS,
    Flags::MOVABLE_KEYS,
];

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row("eval", "script numkeys [key [key ...]] [arg [arg ...]]")
        .flags(BOTH)
        .keys(KEYS_NOTED)
        .scope(Scope::Script)
        .docs(
            "2.6.0",
            "scripting",
            "Depends on the script.",
            "Runs a script in Lua.",
        ),
    row("evalsha", "sha1 numkeys [key [key ...]] [arg [arg ...]]")
        .flags(BOTH)
        .keys(KEYS)
        .scope(Scope::Script)
        .docs(
            "2.6.0",
            "scripting",
            "Depends on the script.",
            "Runs a script that the server knows by its SHA1.",
        ),
    row("evalsha_ro", "sha1 numkeys [key [key ...]] [arg [arg ...]]")
        .flags(READS)
        .keys(KEYS_READ)
        .scope(Scope::Script)
        .docs(
            "7.0.0",
            "scripting",
            "Depends on the script.",
            "Runs a script that the server knows by its SHA1, and that only reads.",
        ),
    row("eval_ro", "script numkeys [key [key ...]] [arg [arg ...]]")
        .flags(READS)
        .keys(KEYS_READ_NOTED)
        .scope(Scope::Script)
        .docs(
            "7.0.0",
            "scripting",
            "Depends on the script.",
            "Runs a script in Lua that only reads.",
        ),
    row("fcall", "function numkeys [key [key ...]] [arg [arg ...]]")
        .flags(BOTH)
        .keys(KEYS_NOTED)
        .scope(Scope::Script)
        .docs(
            "7.0.0",
            "scripting",
            "Depends on the function.",
            "Calls a function of a library.",
        ),
    row(
        "fcall_ro",
        "function numkeys [key [key ...]] [arg [arg ...]]",
    )
    .flags(READS)
    .keys(KEYS_READ_NOTED)
    .scope(Scope::Script)
    .docs(
        "7.0.0",
        "scripting",
        "Depends on the function.",
        "Calls a function of a library that only reads.",
    ),
    cached::COMMAND,
    functions::COMMAND,
];

const fn row(name: &'static str, syntax: &'static str) -> Command {
    Command::new(name, syntax, run_by_the_shard)
        .arity(-3)
        .categories(&["scripting"])
}

/// Never called where there is a shard.
fn run_by_the_shard(_: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::SCRIPT_NOT_HERE)
}

/// How a command names its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its text.
    Text,
    /// By its SHA1.
    Sha,
    /// As a function.
    Function,
}

/// How a command of the family names its script, and whether that may only read.
pub(crate) fn naming(command: &Command) -> (Named, bool) {
    match command.name {
        "eval" => (Named::Text, false),
        "eval_ro" => (Named::Text, true),
        "evalsha" => (Named::Sha, false),
        "evalsha_ro" => (Named::Sha, true),
        "fcall" => (Named::Function, false),
        _ => (Named::Function, true),
    }
}

/// How many of the arguments from the third on are keys.
///
/// # Errors
///
/// That is no number, or more than there are.
pub(crate) fn key_count(named: Named, args: &Args<'_>) -> Result<usize, CommandError> {
    let count = integer(args.at(2)).ok_or(match named {
        Named::Function => error::BAD_NUMBER_OF_KEYS,
        Named::Text | Named::Sha => error::NOT_INTEGER,
    })?;
    let count = usize::try_from(count).map_err(|_| error::NEGATIVE_NUMBER_OF_KEYS)?;
    if count > args.len() - 3 {
        return Err(error::MORE_KEYS_THAN_ARGUMENTS);
    }
    Ok(count)
}

/// A container never runs: its arity asks for a subcommand.
fn container(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand(ctx.row.command.name, args.at(1)))
}

/// SCRIPT KILL and FUNCTION KILL.
fn kill_busy(ctx: &mut Context<'_>, functions: bool) -> Result<Outcome, CommandError> {
    let killed = ctx.shared.busy_scripts.kill(functions);
    killed.map_err(|why| match why {
        NotKilled::NotBusy => error::NOT_BUSY,
        NotKilled::HasWritten => error::UNKILLABLE,
        NotKilled::IsFunction => error::BUSY_FUNCTION,
        NotKilled::IsScript => error::BUSY_SCRIPT,
    })?;
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// ASYNC or SYNC at the end of a FLUSH, which is done at once either way.
fn check_flush_mode(
    args: &Args<'_>,
    too_many: CommandError,
    wrong: CommandError,
) -> Result<(), CommandError> {
    match args.get(2) {
        _ if args.len() > 3 => Err(too_many),
        Some(mode) if !super::args::is(mode, "ASYNC") && !super::args::is(mode, "SYNC") => {
            Err(wrong)
        }
        _ => Ok(()),
    }
}
