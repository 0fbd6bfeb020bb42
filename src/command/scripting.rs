//! What can be said truthfully of functions while none can be loaded: there are none, and to drop them all is done at once.

use crate::resp::arguments::Args;

use super::args::{Cursor, is};
use super::context::{Context, Outcome};
use super::error::{self, CommandError};
use super::spec::{Command, Flags};

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[Command::new("function", "", container)
    .arity(-2)
    .docs(
        "7.0.0",
        "scripting",
        "Depends on the subcommand.",
        "Container of the commands for functions.",
    )
    .subcommands(&[
        Command::new("flush", "[flush-type:<ASYNC | SYNC>]", flush)
            .arity(-2)
            .flags(&[Flags::WRITE, Flags::NOSCRIPT])
            .categories(&["scripting"])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .docs(
                "7.0.0",
                "scripting",
                "O(1)",
                "Drops all libraries of functions.",
            ),
        Command::new(
            "list",
            "[LIBRARYNAME library-name-pattern] [WITHCODE]",
            list,
        )
        .arity(-2)
        .flags(&[Flags::NOSCRIPT])
        .categories(&["scripting"])
        .tips(&["nondeterministic_output_order"])
        .docs(
            "7.0.0",
            "scripting",
            "O(1)",
            "Lists the libraries of functions.",
        ),
        Command::new("help", "", help)
            .arity(2)
            .flags(&[Flags::LOADING, Flags::STALE])
            .categories(&["scripting"])
            .docs("7.0.0", "scripting", "O(1)", "Describes the subcommands."),
    ])];

fn flush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match args.get(2) {
        _ if args.len() > 3 => return Err(error::wrong_subcommand("function", args.at(1))),
        Some(mode) if !is(mode, "ASYNC") && !is(mode, "SYNC") => {
            return Err(error::FUNCTION_FLUSH_MODE);
        }
        _ => ctx.reply.ok(),
    }
    Ok(Outcome::Done)
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (mut pattern, mut with_code) = (None, false);
    let mut options = Cursor::new(args, 2);
    while options.left() > 0 {
        if !with_code && options.keyword("WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && options.keyword("LIBRARYNAME") {
            pattern = Some(options.next().ok_or(error::LIBRARY_NAME_MISSING)?);
        } else {
            let argument = options.peek().unwrap_or_default();
            return Err(error::unknown_function_list_argument(argument));
        }
    }
    ctx.reply.array(0);
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "FLUSH [ASYNC|SYNC]",
        "    Drop all libraries: there are none.",
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "    The libraries: none.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}

/// A container never runs: its arity asks for a subcommand.
fn container(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand(ctx.row.command.name, args.at(1)))
}
