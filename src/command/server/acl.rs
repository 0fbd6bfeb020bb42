//! ACL: users, what they may, and who tried what they may not.
//!
//! Here: the rows, and what needs no users. `users.rs` makes, shows and deletes them · `log.rs` is ACL LOG.

use std::fmt::Write;

use crate::command::args;
use crate::command::error::{self, CommandError};
use crate::command::permission::check_rules;
use crate::command::spec::CATEGORIES;
use crate::command::{Command, Context, Flags, Outcome};
use crate::limits;
use crate::resp::arguments::{Args, Request};

mod log;
mod users;

const FLAGS: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The row.
pub(crate) static COMMANDS: &[Command] = &[Command::new("acl", "", super::unreachable_container)
    .arity(-2)
    .docs(
        "6.0.0",
        "server",
        "Depends on the subcommand.",
        "Container of the commands about users and what they may.",
    )
    .subcommands(&[
        Command::new("cat", "[category]", categories)
            .arity(-2)
            .flags(FLAGS)
            .docs(
                "6.0.0",
                "server",
                "O(N) for N commands.",
                "Lists the categories, or the commands of one.",
            ),
        Command::new("dryrun", "username command [arg [arg ...]]", dry_run)
            .arity(-4)
            .flags(ADMIN)
            .docs(
                "7.0.0",
                "server",
                "O(1)",
                "Says whether a user might run a command.",
            ),
        Command::new("genpass", "[bits]", generate_password)
            .arity(-2)
            .flags(FLAGS)
            .docs("6.0.0", "server", "O(1)", "Makes a random password."),
        Command::new("deluser", "username [username ...]", users::delete)
            .arity(-3)
            .flags(ADMIN)
            .docs(
                "6.0.0",
                "server",
                "O(1) amortized time considering the typical user.",
                "Deletes users, and closes their connections.",
            ),
        Command::new("getuser", "username", users::show)
            .arity(3)
            .flags(ADMIN)
            .docs("6.0.0", "server", "O(1)", "Replies what a user may."),
        Command::new("list", "", users::list)
            .arity(2)
            .flags(ADMIN)
            .docs("6.0.0", "server", "O(1)", "Replies the users as rules."),
        Command::new("load", "", users::load)
            .arity(2)
            .flags(ADMIN)
            .docs(
                "6.0.0",
                "server",
                "O(N). Where N is the number of configured users.",
                "Makes the users those of the ACL file.",
            ),
        Command::new("log", "operation:<[count] | RESET>", log::log)
            .arity(-2)
            .flags(ADMIN)
            .docs(
                "6.0.0",
                "server",
                "O(N) with N being the number of entries shown.",
                "Replies what users tried and may not, or forgets it.",
            ),
        Command::new("save", "", users::save)
            .arity(2)
            .flags(ADMIN)
            .docs(
                "6.0.0",
                "server",
                "O(N). Where N is the number of configured users.",
                "Writes the users to the ACL file.",
            ),
        Command::new("setuser", "username [rule [rule ...]]", users::set)
            .arity(-3)
            .flags(ADMIN)
            .docs(
                "6.0.0",
                "server",
                "O(N). Where N is the number of rules provided.",
                "Makes a user, or changes what it may.",
            ),
        Command::new("users", "", users::names)
            .arity(2)
            .flags(ADMIN)
            .docs("6.0.0", "server", "O(1)", "Lists the users."),
        Command::new("whoami", "", who_am_i)
            .arity(2)
            .flags(FLAGS)
            .docs(
                "6.0.0",
                "server",
                "O(1)",
                "Replies the user of the connection.",
            ),
        Command::new("help", "", help)
            .arity(2)
            .flags(&[Flags::LOADING, Flags::STALE])
            .docs("6.0.0", "server", "O(1)", "Describes the subcommands."),
    ])];

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn categories(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match args.get(2) {
        None => {
            ctx.reply.array(CATEGORIES.len());
            for category in CATEGORIES {
                ctx.reply.bulk(category.as_bytes());
            }
        }
        Some(_) if args.len() > 3 => return Err(error::wrong_subcommand("acl", args.at(1))),
        Some(name) => {
            let category = CATEGORIES
                .into_iter()
                .find(|category| args::is(name, category))
                .ok_or_else(|| error::unknown_category(name))?;
            let members: Vec<_> = ctx
                .shared
                .commands
                .told()
                .filter(|row| row.command.has_category(category))
                .collect();
            ctx.reply.array(members.len());
            for row in members {
                ctx.reply.bulk(row.full_name.as_bytes());
            }
        }
    }
    Ok(Outcome::Done)
}

fn dry_run(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let user = ctx.shared.users.get(args.at(2));
    let user = user.ok_or_else(|| error::user_not_found(args.at(2)))?;
    let table = ctx.shared.commands;
    let Some(mut row) = table.find_called(args.at(3)) else {
        return Err(error::command_not_found(args.at(3)));
    };
    if row.is_container()
        && !row.is_one_command()
        && let Some(name) = args.get(4)
    {
        row = table
            .find_subcommand(row, name)
            .ok_or_else(|| error::command_not_found(args.at(3)))?;
    }
    let request = Request::from_arguments(args.from(3));
    let command = request.args();
    if !row.command.accepts(command.len()) && !row.command.accepts_own_word(&command) {
        return Err(error::wrong_arity(&row.full_name));
    }
    match check_rules(&user.rules(), row, &command) {
        Ok(()) => ctx.reply.ok(),
        Err(denied) => {
            let text = error::denied_in_full(user.name(), row, &command, denied);
            ctx.reply.bulk(&text);
        }
    }
    Ok(Outcome::Done)
}

fn generate_password(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() > 3 {
        return Err(error::wrong_subcommand("acl", args.at(1)));
    }
    let bits = args.get(2).map_or(Ok(256), args::required_integer)?;
    let bits = usize::try_from(bits)
        .ok()
        .filter(|bits| (1..=limits::GENERATED_PASSWORD_BITS_MAX).contains(bits))
        .ok_or(error::GENPASS_BITS)?;
    let mut bytes = vec![0; bits.div_ceil(8)];
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .ok()
        .filter(|filled| *filled == bytes.len())
        .ok_or(error::NO_RANDOM)?;
    let mut text = hexadecimal(&bytes);
    text.truncate(bits.div_ceil(4));
    ctx.reply.bulk(text.as_bytes());
    Ok(Outcome::Done)
}

fn who_am_i(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    match &ctx.session.login {
        Some(login) => ctx.reply.bulk(login.user().name()),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAT [<category>]",
        "    The categories, or the commands of one.",
        "DELUSER <username> [<username> ...]",
        "    Deletes users, and closes their connections.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Whether the user might run the command.",
        "GENPASS [<bits>]",
        "    A random password in hexadecimal (default: 256 bits).",
        "GETUSER <username>",
        "    What the user may.",
        "LIST",
        "    The users as rules.",
        "LOAD",
        "    Makes the users those of the ACL file.",
        "LOG [<count> | RESET]",
        "    What users tried and may not; or forgets it.",
        "SAVE",
        "    Writes the users to the ACL file.",
        "SETUSER <username> [<rule> ...]",
        "    Makes a user, or changes what it may.",
        "USERS",
        "    The names of the users.",
        "WHOAMI",
        "    The user of this connection.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
