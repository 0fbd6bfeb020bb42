//! MODULE: there are none, and none can be loaded. Whoever may try (`enable-module-command`) gets the errors of Redis for a file that is
//! no module and for a name that is not loaded; the log says why.

use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome};
use crate::resp::arguments::Args;

const LOADING: &[Flags] = &[
    Flags::ADMIN,
    Flags::NOSCRIPT,
    Flags::NO_ASYNC_LOADING,
    Flags::PROTECTED,
];

/// The row.
pub(crate) static COMMANDS: &[Command] =
    &[Command::new("module", "", super::unreachable_container)
        .arity(-2)
        .docs(
            "4.0.0",
            "server",
            "Depends on the subcommand.",
            "Container of the commands about modules.",
        )
        .subcommands(&[
            Command::new("list", "", list)
                .arity(2)
                .flags(&[Flags::ADMIN, Flags::NOSCRIPT])
                .tips(&["nondeterministic_output_order"])
                .docs("4.0.0", "server", "O(1)", "Lists the modules."),
            Command::new("load", "path [arg [arg ...]]", load)
                .arity(-3)
                .flags(LOADING)
                .docs("4.0.0", "server", "O(1)", "Loads a module."),
            Command::new(
                "loadex",
                "path [CONFIG configs:<name value> [CONFIG name value ...]] [ARGS args [args ...]]",
                load,
            )
            .arity(-3)
            .flags(LOADING)
            .docs(
                "7.0.0",
                "server",
                "O(1)",
                "Loads a module with its parameters.",
            ),
            Command::new("unload", "name", unload)
                .arity(3)
                .flags(LOADING)
                .docs("4.0.0", "server", "O(1)", "Unloads a module."),
            Command::new("help", "", help)
                .arity(2)
                .flags(&[Flags::LOADING, Flags::STALE])
                .docs("5.0.0", "server", "O(1)", "Describes the subcommands."),
        ])];

fn list(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.array(0);
    Ok(Outcome::Done)
}

fn load(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    tracing::warn!("A module was not loaded: this server has no modules.");
    Err(error::MODULE_NOT_LOADED)
}

fn unload(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::NO_SUCH_MODULE)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LIST",
        "    The loaded modules: none.",
        "LOAD <path> [<arg> ...]",
        "    Refused: this server loads no modules.",
        "LOADEX <path> [CONFIG <name> <value> [...]] [ARGS ...]",
        "    Refused: this server loads no modules.",
        "UNLOAD <name>",
        "    Refused: there is none.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
