//! ACL for the one user there is: `default`, who may do everything.
//!
//! Users cannot be made or changed yet: those subcommands have no row. The categories are derived from the rows.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::command::args;
use crate::command::connection::login::DEFAULT_USER;
use crate::command::error::{self, CommandError};
use crate::command::spec::CATEGORIES;
use crate::command::{Command, Context, Flags, Outcome};
use crate::limits;
use crate::resp::arguments::Args;

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
        Command::new("getuser", "username", user)
            .arity(3)
            .flags(ADMIN)
            .docs("6.0.0", "server", "O(1)", "Replies what a user may."),
        Command::new("list", "", list).arity(2).flags(ADMIN).docs(
            "6.0.0",
            "server",
            "O(1)",
            "Replies the users as rules.",
        ),
        Command::new("users", "", users).arity(2).flags(ADMIN).docs(
            "6.0.0",
            "server",
            "O(1)",
            "Lists the users.",
        ),
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

/// The password of the user, as Redis shows one: its SHA-256 in hexadecimal.
fn password_digest(ctx: &Context<'_>) -> Option<String> {
    let password = ctx.settings.requirepass.as_ref()?;
    Some(hexadecimal(&Sha256::digest(password)))
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
    if args.at(2) != DEFAULT_USER {
        return Err(error::user_not_found(args.at(2)));
    }
    let table = ctx.shared.commands;
    let Some(mut row) = table.find(args.at(3)) else {
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
    if !row.command.accepts(args.len() - 3) {
        return Err(error::wrong_arity(&row.full_name));
    }
    ctx.reply.ok();
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

fn user(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.at(2) != DEFAULT_USER {
        ctx.reply.null();
        return Ok(Outcome::Done);
    }
    let password = password_digest(ctx);
    let reply = &mut *ctx.reply;
    reply.map(6);
    reply.bulk(b"flags");
    let flags: &[&[u8]] = if password.is_some() {
        &[b"on", b"sanitize-payload"]
    } else {
        &[b"on", b"nopass", b"sanitize-payload"]
    };
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag));
    reply.bulk(b"passwords");
    reply.array(password.iter().len());
    if let Some(digest) = password {
        reply.bulk(digest.as_bytes());
    }
    for (name, rule) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        reply.bulk(name.as_bytes());
        reply.bulk(rule.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(Outcome::Done)
}

fn list(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let password = match password_digest(ctx) {
        Some(digest) => format!("sanitize-payload #{digest}"),
        None => "nopass sanitize-payload".to_owned(),
    };
    let rules = format!("user default on {password} ~* &* +@all");
    ctx.reply.array(1);
    ctx.reply.bulk(rules.as_bytes());
    Ok(Outcome::Done)
}

fn users(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.array(1);
    ctx.reply.bulk(DEFAULT_USER);
    Ok(Outcome::Done)
}

fn who_am_i(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.bulk(DEFAULT_USER);
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAT [<category>]",
        "    The categories, or the commands of one.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Whether the user might run the command.",
        "GENPASS [<bits>]",
        "    A random password in hexadecimal (default: 256 bits).",
        "GETUSER <username>",
        "    What the user may.",
        "LIST",
        "    The users as rules.",
        "USERS",
        "    The names of the users.",
        "WHOAMI",
        "    The user of this connection.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}
