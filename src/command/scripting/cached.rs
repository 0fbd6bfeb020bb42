//! SCRIPT: the scripts that the server knows.

use crate::command::args::is;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags};
use crate::resp::arguments::Args;
use crate::script::cache::{sha_from_hex, sha_of};
use crate::script::library::hex;

use super::container;
use super::declared::keys_are_declared;

const NOSCRIPT: &[Flags] = &[Flags::NOSCRIPT];

/// The container.
pub(super) const COMMAND: Command = Command::new("script", "", container)
    .arity(-2)
    .docs(
        "2.6.0",
        "scripting",
        "Depends on the subcommand.",
        "Container of the commands for scripts.",
    )
    .subcommands(SUBCOMMANDS);

static SUBCOMMANDS: &[Command] = &[
    row("debug", "mode:<YES | SYNC | NO>", debug)
        .arity(3)
        .flags(NOSCRIPT)
        .docs(
            "3.2.0",
            "scripting",
            "O(1)",
            "Debugging of scripts: there is none.",
        ),
    row("exists", "sha1 [sha1 ...]", exists)
        .arity(-3)
        .flags(NOSCRIPT)
        .tips(&[
            "request_policy:all_shards",
            "response_policy:agg_logical_and",
        ])
        .docs(
            "2.6.0",
            "scripting",
            "O(N) for N scripts.",
            "Tells which scripts the server knows.",
        ),
    row("flush", "[flush-type:<ASYNC | SYNC>]", flush)
        .arity(-2)
        .flags(NOSCRIPT)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs(
            "2.6.0",
            "scripting",
            "O(N) for N scripts.",
            "Forgets all scripts.",
        ),
    row("help", "", help)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE])
        .docs("5.0.0", "scripting", "O(1)", "Explains the subcommands."),
    row("kill", "", kill)
        .arity(2)
        .flags(&[Flags::NOSCRIPT, Flags::ALLOW_BUSY])
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .docs(
            "2.6.0",
            "scripting",
            "O(1)",
            "Ends the script that runs for too long.",
        ),
    row("load", "script", load)
        .arity(3)
        .flags(&[Flags::NOSCRIPT, Flags::STALE])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs(
            "2.6.0",
            "scripting",
            "O(N) for N bytes.",
            "Has the server know a script; replies its SHA1.",
        ),
    row("show", "sha1", show).arity(3).flags(NOSCRIPT).docs(
        "8.0.0",
        "scripting",
        "O(1)",
        "Shows the text of a script.",
    ),
];

const fn row(
    name: &'static str,
    syntax: &'static str,
    handler: crate::command::spec::Handler,
) -> Command {
    Command::new(name, syntax, handler).categories(&["scripting"])
}

fn debug(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match args.at(2) {
        mode if is(mode, "NO") => {
            ctx.session.wants_debugger = false;
            ctx.reply.ok();
        }
        mode if is(mode, "YES") || is(mode, "SYNC") => {
            ctx.session.wants_debugger = true;
            return Err(error::SCRIPT_DEBUGGER);
        }
        _ => return Err(error::SCRIPT_DEBUG_MODE),
    }
    Ok(Outcome::Done)
}

fn exists(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.array(args.len() - 2);
    for name in args.from(2) {
        let is_known = sha_from_hex(name).is_some_and(|sha| ctx.shared.scripts.has(&sha));
        ctx.reply.integer(is_known.into());
    }
    Ok(Outcome::Done)
}

fn flush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    super::check_flush_mode(args, error::SCRIPT_FLUSH_MODE, error::SCRIPT_FLUSH_MODE)?;
    ctx.shared.scripts.clear();
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn kill(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    super::kill_busy(ctx, false)
}

fn load(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let text = args.at(2);
    let sha = sha_of(text);
    let (_, code) = crate::script::flags::of_script(text).map_err(error::script_failed)?;
    if !ctx.shared.scripts.has(&sha) {
        let checked = ctx.scripts.borrow_mut().check(code);
        checked.map_err(|text| error::does_not_compile(&text))?;
    }
    let has_many = ctx.shared.shard_count > 1;
    let declares = |code: &[u8]| has_many && keys_are_declared(code);
    let added = ctx.shared.scripts.add(sha, text, true, declares);
    added.map_err(error::script_failed)?;
    ctx.reply.bulk(hex(&sha).as_bytes());
    Ok(Outcome::Done)
}

fn show(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let script = sha_from_hex(args.at(2)).and_then(|sha| ctx.shared.scripts.get(&sha));
    let script = script.ok_or(error::NO_SCRIPT)?;
    ctx.reply.bulk(&script.text);
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
        "SHOW <sha1>",
        "    The text of a script in the scripts cache.",
        "HELP",
        "    Print this help.",
    ]);
    Ok(Outcome::Done)
}
