//! COMMAND: what the table of commands says of itself.
//!
//! ```text
//! details.rs  one entry of COMMAND and COMMAND INFO      syntax.rs  the notation of a row's syntax, parsed
//! docs.rs     one entry of COMMAND DOCS                  mod.rs     the subcommands
//! ```
//! Everything is read from the rows; only what cannot follow from one is written here.

mod details;
mod docs;
mod syntax;
#[cfg(test)]
mod tests;

use crate::command::args::is;
use crate::command::error::{self, CommandError};
use crate::command::row::{CommandTable, Row};
use crate::command::spec::KeyFlags;
use crate::command::{Command, Context, Flags, Outcome};
use crate::pubsub::pattern::{self, Case};
use crate::resp::arguments::Args;

const FLAGS: &[Flags] = &[Flags::LOADING, Flags::STALE];
const TIPS: &[&str] = &["nondeterministic_output_order"];

/// The row.
pub(crate) static COMMANDS: &[Command] = &[Command::new("command", "", all)
    .arity(-1)
    .flags(FLAGS)
    .categories(&["connection"])
    .tips(TIPS)
    .docs(
        "2.8.13",
        "server",
        "O(N) for N commands.",
        "Tells the facts of all commands.",
    )
    .subcommands(&[
        subcommand("count", "", count).arity(2).docs(
            "2.8.13",
            "server",
            "O(1)",
            "Counts the commands.",
        ),
        subcommand("docs", "[command-name [command-name ...]]", docs::docs)
            .arity(-2)
            .tips(TIPS)
            .docs(
                "7.0.0",
                "server",
                "O(N) for N commands.",
                "Tells the documentation of commands.",
            ),
        subcommand("getkeys", "command [arg [arg ...]]", keys)
            .arity(-3)
            .docs(
                "2.8.13",
                "server",
                "O(N) for N arguments.",
                "Finds the keys in a command.",
            ),
        subcommand("getkeysandflags", "command [arg [arg ...]]", keys_and_flags)
            .arity(-3)
            .docs(
                "7.0.0",
                "server",
                "O(N) for N arguments.",
                "Finds the keys in a command, and what it does with each.",
            ),
        subcommand("info", "[command-name [command-name ...]]", info)
            .arity(-2)
            .tips(TIPS)
            .docs(
                "2.8.13",
                "server",
                "O(N) for N commands.",
                "Tells the facts of commands.",
            ),
        subcommand(
            "list",
            "[FILTERBY filterby:<MODULE module-name | ACLCAT category | PATTERN pattern>]",
            list,
        )
        .arity(-2)
        .tips(TIPS)
        .docs(
            "7.0.0",
            "server",
            "O(N) for N commands.",
            "Lists the names of the commands.",
        ),
        subcommand("help", "", help).arity(2).docs(
            "5.0.0",
            "server",
            "O(1)",
            "Describes the subcommands.",
        ),
    ])];

const fn subcommand(
    name: &'static str,
    syntax: &'static str,
    handler: crate::command::spec::Handler,
) -> Command {
    Command::new(name, syntax, handler)
        .flags(FLAGS)
        .categories(&["connection"])
}

/// The rows that are no subcommands.
fn commands(table: &'static CommandTable) -> impl Iterator<Item = &'static Row> + Clone {
    table
        .told()
        .filter(|row| row.parent.is_none() && table.is_offered(row))
}

/// The subcommands of a row that clients are told of.
fn subcommands(table: &'static CommandTable, row: &Row) -> impl Iterator<Item = &'static Row> {
    let is_one = row.is_one_command();
    row.subcommand_ids()
        .filter(move |_| !is_one)
        .map(|id| table.row(id))
}

fn all(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let table = ctx.shared.commands;
    ctx.reply.array(commands(table).count());
    for row in commands(table) {
        details::write(ctx.reply, table, row);
    }
    Ok(Outcome::Done)
}

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() == 2 {
        return all(ctx, args);
    }
    ctx.reply.array(args.len() - 2);
    for name in args.from(2) {
        let table = ctx.shared.commands;
        match table.find_told(name) {
            Some(row) => details::write(ctx.reply, table, row),
            None => ctx.reply.null(),
        }
    }
    Ok(Outcome::Done)
}

fn count(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.count(commands(ctx.shared.commands).count());
    Ok(Outcome::Done)
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let rows: Vec<&Row> = match args.len() {
        2 => ctx.shared.commands.told().collect(),
        5 if is(args.at(2), "filterby") => filtered(ctx.shared.commands, args.at(3), args.at(4))?,
        _ => return Err(error::SYNTAX),
    };
    ctx.reply.array(rows.len());
    for row in rows {
        ctx.reply.bulk(row.full_name.as_bytes());
    }
    Ok(Outcome::Done)
}

/// Rows, subcommands too, that pass a filter.
fn filtered(
    table: &'static CommandTable,
    filter: &[u8],
    value: &[u8],
) -> Result<Vec<&'static Row>, CommandError> {
    let rows = table.told().filter(|row| table.is_offered(row));
    if is(filter, "module") {
        // There are no modules.
        Ok(Vec::new())
    } else if is(filter, "aclcat") {
        let category = value.to_ascii_lowercase();
        let category = std::str::from_utf8(&category).unwrap_or_default();
        Ok(rows
            .filter(|row| row.command.has_category(category))
            .collect())
    } else if is(filter, "pattern") {
        let matches =
            |row: &&Row| pattern::matches(value, row.full_name.as_bytes(), Case::Insensitive);
        Ok(rows.filter(matches).collect())
    } else {
        Err(error::SYNTAX)
    }
}

/// The keys of the command that stands from the third argument on, with what it does to each.
fn found_keys<'a>(
    table: &'static CommandTable,
    args: &Args<'a>,
) -> Result<Vec<(&'a [u8], KeyFlags)>, CommandError> {
    let inner: Vec<&[u8]> = args.from(2).collect();
    let request = crate::resp::arguments::Request::from_arguments(inner.iter().copied());
    let mut row = table.find_called(inner[0]).ok_or(error::INVALID_COMMAND)?;
    let has_subcommands = row.is_container() && !row.is_one_command();
    if let (true, Some(name)) = (has_subcommands, inner.get(1)) {
        row = table
            .find_subcommand(row, name)
            .ok_or(error::INVALID_COMMAND)?;
    }
    let specs = row.command.keys.iter();
    let specs = specs.filter(|spec| !spec.flags.has(KeyFlags::NOT_KEY));
    if specs.clone().next().is_none() {
        return Err(error::NO_KEY_ARGUMENTS);
    }
    if !row.command.accepts(inner.len()) {
        return Err(error::WRONG_ARGUMENT_COUNT);
    }
    let mut found = Vec::new();
    let mut fits = true;
    for spec in specs {
        let flags = match row.command.variable_key_flags {
            Some(flags) if spec.flags.has(KeyFlags::VARIABLE) => flags(&request.args()),
            _ => spec.flags,
        };
        fits &= spec.for_each(&request.args(), |at| found.push((inner[at], flags)));
    }
    if !fits && !row.command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(error::INVALID_ARGUMENTS);
    }
    Ok(found)
}

fn keys(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let found = found_keys(ctx.shared.commands, args)?;
    ctx.reply.array(found.len());
    for (key, _) in found {
        ctx.reply.bulk(key);
    }
    Ok(Outcome::Done)
}

fn keys_and_flags(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let found = found_keys(ctx.shared.commands, args)?;
    ctx.reply.array(found.len());
    for (key, flags) in found {
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        details::names(ctx.reply, flags.names());
    }
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    The facts of all commands.",
        "COUNT",
        "    How many commands there are.",
        "DOCS [<command-name> ...]",
        "    The documentation of commands, of all when none is named.",
        "GETKEYS <full-command>",
        "    The keys in a command.",
        "GETKEYSANDFLAGS <full-command>",
        "    The keys in a command, and what it does with each.",
        "INFO [<command-name> ...]",
        "    The facts of commands, of all when none is named.",
        "LIST [FILTERBY MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>]",
        "    The names of the commands.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
