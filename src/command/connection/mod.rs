//! Commands about the connection itself: protocol, password, database, names, and the other clients.
//!
//! ```text
//! login.rs    AUTH, HELLO, RESET          client.rs  CLIENT: what concerns the caller alone
//! list.rs     CLIENT LIST and INFO        kill.rs    CLIENT KILL and UNBLOCK: what concerns others
//! tracking.rs CLIENT TRACKING and its kin
//! ```
//! Others are reached by their handle in the registry and a poke of their shard; no handler here touches a socket.

pub(crate) mod client;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod login;
mod tracking;

use crate::resp::arguments::Args;

use super::args;
use super::context::{Context, Outcome};
use super::error::{self, CommandError};
use super::spec::{Command, Flags};

/// Flags of what may be said before AUTH.
const BEFORE_AUTH: &[Flags] = &[
    Flags::NOSCRIPT,
    Flags::LOADING,
    Flags::STALE,
    Flags::FAST,
    Flags::NO_AUTH,
    Flags::ALLOW_BUSY,
];

/// Flags of what ends a transaction or a subscriber's mode, and so runs within them.
const ANY_TIME: &[Flags] = &[Flags::RUNS_IN_MULTI, Flags::WHILE_SUBSCRIBED];

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("ping", "[message]", ping)
        .arity(-1)
        .flags(&[Flags::FAST, Flags::WHILE_SUBSCRIBED])
        .categories(&["connection"])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs(
            "1.0.0",
            "connection",
            "O(1)",
            "Answers PONG, or the message.",
        ),
    Command::new("echo", "message", echo)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
        .categories(&["connection"])
        .docs("1.0.0", "connection", "O(1)", "Answers the message."),
    Command::new("auth", "[username@6.0.0] password", login::auth)
        .arity(-2)
        .flags(BEFORE_AUTH)
        .categories(&["connection"])
        .docs(
            "1.0.0",
            "connection",
            "O(N) for N passwords of the user.",
            "Says who is at the other end.",
        ),
    Command::new(
        "hello",
        "[arguments:<protover [AUTH username password] [SETNAME clientname]>]",
        login::hello,
    )
    .arity(-1)
    .flags(BEFORE_AUTH)
    .categories(&["connection"])
    .docs(
        "6.0.0",
        "connection",
        "O(1)",
        "Chooses the version of the protocol and tells about server and connection.",
    ),
    Command::new("quit", "", quit)
        .arity(-1)
        .flags(BEFORE_AUTH)
        .flags(ANY_TIME)
        .categories(&["connection"])
        .docs("1.0.0", "connection", "O(1)", "Closes the connection.")
        .deprecated("7.2.0", "just closing the connection"),
    Command::new("reset", "", login::reset)
        .arity(1)
        .flags(BEFORE_AUTH)
        .flags(ANY_TIME)
        .categories(&["connection"])
        .docs(
            "6.2.0",
            "connection",
            "O(1)",
            "Makes the connection as it was when it was new.",
        ),
    Command::new("select", "index", select)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
        .categories(&["connection"])
        .docs("1.0.0", "connection", "O(1)", "Changes the database."),
    Command::new("client", "", client::unreachable_container)
        .arity(-2)
        .docs(
            "2.4.0",
            "connection",
            "Depends on the subcommand.",
            "Container of the commands about client connections.",
        )
        .subcommands(client::SUBCOMMANDS),
];

/// Redis: in RESP2's subscribed mode the answer has the shape of a message.
fn ping(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() > 2 {
        return Err(error::wrong_arity(&ctx.row.full_name));
    }
    if ctx.session.in_subscribed_mode() {
        ctx.reply.array(2);
        ctx.reply.bulk(b"pong");
        ctx.reply.bulk(args.at(1));
    } else if let Some(message) = args.get(1) {
        ctx.reply.bulk(message);
    } else {
        ctx.reply.simple("PONG");
    }
    Ok(Outcome::Done)
}

fn echo(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.bulk(args.at(1));
    Ok(Outcome::Done)
}

fn quit(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.ok();
    ctx.session.closing = true;
    Ok(Outcome::Done)
}

fn select(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let index = args::required_integer(args.at(1))?;
    let index = i32::try_from(index).map_err(|_| error::NOT_INT32)?;
    let db = usize::try_from(index)
        .ok()
        .filter(|db| *db < ctx.settings.databases)
        .ok_or(error::DB_INDEX)?;
    ctx.session.select(db);
    ctx.reply.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests;
