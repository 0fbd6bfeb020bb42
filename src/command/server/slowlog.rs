//! SLOWLOG: what [`crate::observe::slowlog`] keeps.

use crate::command::args;
use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome};
use crate::resp::arguments::Args;

const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::LOADING, Flags::STALE];
/// Entries replied when no count is given.
const COUNT_DEFAULT: usize = 10;

/// The row.
pub(crate) static COMMANDS: &[Command] =
    &[Command::new("slowlog", "", super::unreachable_container)
        .arity(-2)
        .docs(
            "2.2.12",
            "server",
            "Depends on the subcommand.",
            "Container of the commands about slow commands.",
        )
        .subcommands(&[
            Command::new("get", "[count]", get)
                .arity(-2)
                .flags(FLAGS)
                .tips(&["request_policy:all_nodes", "nondeterministic_output"])
                .docs(
                    "2.2.12",
                    "server",
                    "O(N) for N entries replied.",
                    "Replies the latest slow commands.",
                ),
            Command::new("len", "", len)
                .arity(2)
                .flags(FLAGS)
                .tips(&[
                    "request_policy:all_nodes",
                    "response_policy:agg_sum",
                    "nondeterministic_output",
                ])
                .docs(
                    "2.2.12",
                    "server",
                    "O(1)",
                    "Counts the slow commands that are kept.",
                ),
            Command::new("reset", "", reset)
                .arity(2)
                .flags(FLAGS)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .docs(
                    "2.2.12",
                    "server",
                    "O(N) for N entries kept.",
                    "Forgets the slow commands.",
                ),
            Command::new("help", "", help)
                .arity(2)
                .flags(&[Flags::LOADING, Flags::STALE])
                .docs("6.2.0", "server", "O(1)", "Describes the subcommands."),
        ])];

fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() > 3 {
        return Err(error::wrong_subcommand("slowlog", args.at(1)));
    }
    let count = match args.get(2) {
        None => COUNT_DEFAULT,
        Some(count) => match args::integer(count) {
            Some(-1) => usize::MAX,
            Some(count) => usize::try_from(count).map_err(|_| error::SLOWLOG_COUNT)?,
            None => return Err(error::SLOWLOG_COUNT),
        },
    };
    let entries = ctx.shared.observations.slowlog.newest(count);
    ctx.reply.array(entries.len());
    for entry in entries {
        ctx.reply.array(6);
        ctx.reply.integer(entry.id as i64);
        ctx.reply.integer(entry.at_s as i64);
        ctx.reply.integer(entry.duration_us as i64);
        ctx.reply.array(entry.arguments.len());
        for argument in &entry.arguments {
            ctx.reply.bulk(argument);
        }
        ctx.reply.bulk(entry.address.as_bytes());
        ctx.reply.bulk(&entry.name);
    }
    Ok(Outcome::Done)
}

fn len(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.count(ctx.shared.observations.slowlog.len());
    Ok(Outcome::Done)
}

fn reset(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.shared.observations.slowlog.clear();
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    The latest slow commands (default: 10, -1: all), each as number, Unix time, microseconds,",
        "    arguments, address and name of the client.",
        "LEN",
        "    How many are kept.",
        "RESET",
        "    Forget them.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
