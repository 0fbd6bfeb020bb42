//! CLIENT: what concerns the calling connection alone, and CLIENT PAUSE.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::client::registry::ClientFlag;
use crate::client::session::ReplyMode;
use crate::command::args::{self, is};
use crate::command::error::{self, CommandError};
use crate::command::spec::EXTENDED;
use crate::command::{Command, Context, Flags, Outcome, ShardAction};
use crate::resp::arguments::Args;

use super::{kill, list, tracking};

const FLAGS: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const SESSION: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const CONNECTION: &[&str] = &["connection"];
const CHANGING: &[&str] = &["nondeterministic_output"];
const EVERYWHERE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The rows of CLIENT's subcommands.
pub(super) static SUBCOMMANDS: &[Command] = &[
    Command::new("caching", "mode:<YES | NO>", tracking::caching)
        .arity(3)
        .flags(SESSION)
        .categories(CONNECTION)
        .docs(
            "6.0.0",
            "connection",
            "O(1)",
            "Says whether the keys of the next command are tracked.",
        ),
    Command::new("getname", "", get_name)
        .arity(2)
        .flags(FLAGS)
        .categories(CONNECTION)
        .docs(
            "2.6.9",
            "connection",
            "O(1)",
            "Answers the name of the connection.",
        ),
    Command::new("getredir", "", tracking::get_redirection)
        .arity(2)
        .flags(FLAGS)
        .categories(CONNECTION)
        .docs(
            "6.0.0",
            "connection",
            "O(1)",
            "Answers the client that gets the invalidations.",
        ),
    Command::new("help", "", help)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE])
        .categories(CONNECTION)
        .docs("5.0.0", "connection", "O(1)", "Describes the subcommands."),
    Command::new("id", "", id)
        .arity(2)
        .flags(FLAGS)
        .categories(CONNECTION)
        .docs(
            "5.0.0",
            "connection",
            "O(1)",
            "Answers the number of the connection.",
        ),
    Command::new("info", "", list::info)
        .arity(2)
        .own_word(EXTENDED)
        .flags(FLAGS)
        .categories(CONNECTION)
        .tips(CHANGING)
        .docs("6.2.0", "connection", "O(1)", "Tells about the connection."),
    Command::new("kill", kill::KILL_SYNTAX, kill::kill)
        .arity(-3)
        .flags(ADMIN)
        .categories(CONNECTION)
        .docs(
            "2.4.0",
            "connection",
            "O(N) for N connections.",
            "Closes connections of others.",
        ),
    Command::new(
        "list",
        "[TYPE client-type@5.0.0:<NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id@6.2.0 [client-id ...]]",
        list::list,
    )
    .arity(-2)
    .flags(ADMIN)
    .categories(CONNECTION)
    .tips(CHANGING)
    .docs(
        "2.4.0",
        "connection",
        "O(N) for N connections.",
        "Tells about all connections.",
    ),
    Command::new("no-evict", "enabled:<ON | OFF>", no_evict)
        .arity(3)
        .flags(&[
            Flags::ADMIN,
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
        ])
        .categories(CONNECTION)
        .docs(
            "7.0.0",
            "connection",
            "O(1)",
            "Says whether the connection may be closed to save memory.",
        ),
    Command::new("no-touch", "enabled:<ON | OFF>", no_touch)
        .arity(3)
        .flags(SESSION)
        .categories(CONNECTION)
        .docs(
            "7.2.0",
            "connection",
            "O(1)",
            "Says whether the connection's commands count as use of their keys.",
        ),
    Command::new("pause", "timeout [mode@6.2.0:<WRITE | ALL>]", pause)
        .arity(-3)
        .flags(ADMIN)
        .categories(CONNECTION)
        .docs(
            "3.0.0",
            "connection",
            "O(1)",
            "Makes commands wait for a time.",
        ),
    Command::new("reply", "action:<ON | OFF | SKIP>", reply)
        .arity(3)
        .flags(SESSION)
        .categories(CONNECTION)
        .docs("3.2.0", "connection", "O(1)", "Says which replies are sent."),
    Command::new(
        "setinfo",
        "attr:<LIB-NAME libname | LIB-VER libver>",
        set_info,
    )
    .arity(4)
    .flags(SESSION)
    .categories(CONNECTION)
    .tips(EVERYWHERE)
    .docs(
        "7.2.0",
        "connection",
        "O(1)",
        "Tells the library that made the connection.",
    ),
    Command::new("setname", "connection-name", set_name)
        .arity(3)
        .flags(SESSION)
        .categories(CONNECTION)
        .tips(EVERYWHERE)
        .docs("2.6.9", "connection", "O(1)", "Names the connection."),
    Command::new(
        "tracking",
        "status:<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
        tracking::tracking,
    )
    .arity(-3)
    .flags(SESSION)
    .categories(CONNECTION)
    .docs(
        "6.0.0",
        "connection",
        "O(1)",
        "Turns client-side caching on or off.",
    ),
    Command::new("trackinginfo", "", tracking::tracking_info)
        .arity(2)
        .flags(FLAGS)
        .categories(CONNECTION)
        .docs(
            "6.2.0",
            "connection",
            "O(1)",
            "Tells about the connection's client-side caching.",
        ),
    Command::new("unblock", "client-id [unblock-type:<TIMEOUT | ERROR>]", kill::unblock)
        .arity(-3)
        .flags(ADMIN)
        .categories(CONNECTION)
        .docs(
            "5.0.0",
            "connection",
            "O(1)",
            "Ends the wait of another connection.",
        ),
    Command::new("unpause", "", unpause)
        .arity(2)
        .flags(ADMIN)
        .flags(&[Flags::WHILE_PAUSED])
        .categories(CONNECTION)
        .docs(
            "6.2.0",
            "connection",
            "O(N) for N held connections.",
            "Ends a pause.",
        ),
];

/// Names and library facts: printable ASCII without blanks. Source: CLIENT SETNAME of Redis.
pub(super) fn is_printable_word(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

pub(super) fn on_or_off(argument: &[u8]) -> Result<bool, CommandError> {
    if is(argument, "on") {
        Ok(true)
    } else if is(argument, "off") {
        Ok(false)
    } else {
        Err(error::SYNTAX)
    }
}

fn id(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.integer(ctx.session.id().0 as i64);
    Ok(Outcome::Done)
}

fn get_name(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let names = ctx.session.handle.names();
    if names.name.is_empty() {
        ctx.reply.null();
    } else {
        ctx.reply.bulk(&names.name);
    }
    Ok(Outcome::Done)
}

fn set_name(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !is_printable_word(args.at(2)) {
        return Err(error::CLIENT_NAME);
    }
    let name = Bytes::copy_from_slice(args.at(2));
    ctx.session.handle.set_names(|names| names.name = name);
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn set_info(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (option, value) = (args.at(2), args.at(3));
    let is_name = is(option, "lib-name");
    if !is_name && !is(option, "lib-ver") {
        return Err(error::unrecognized_option(option));
    }
    if !is_printable_word(value) {
        return Err(error::client_fact(option));
    }
    let value = Bytes::copy_from_slice(value);
    ctx.session.handle.set_names(|names| {
        if is_name {
            names.lib_name = value;
        } else {
            names.lib_ver = value;
        }
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn reply(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mode = args.at(2);
    if is(mode, "on") {
        ctx.session.reply_mode = ReplyMode::On;
        ctx.reply.ok();
    } else if is(mode, "off") {
        ctx.session.reply_mode = ReplyMode::Off;
    } else if is(mode, "skip") {
        // Redis: SKIP after OFF leaves replies off.
        if ctx.session.reply_mode != ReplyMode::Off {
            ctx.session.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(error::SYNTAX);
    }
    Ok(Outcome::Done)
}

fn no_evict(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let on = on_or_off(args.at(2))?;
    ctx.session.handle.set_flag(ClientFlag::NO_EVICT, on);
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn no_touch(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.session.no_touch = on_or_off(args.at(2))?;
    ctx.session.mirror();
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Redis: a second pause never shortens the first, nor does WRITE weaken ALL while it lasts.
fn pause(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() > 4 {
        return Err(error::wrong_subcommand("client", args.at(1)));
    }
    let writes_only = match args.get(3) {
        Some(mode) if is(mode, "write") => true,
        Some(mode) if !is(mode, "all") => return Err(error::PAUSE_MODE),
        _ => false,
    };
    let now_ms = ctx.now_ms();
    let until_ms = args::timeout_milliseconds(args.at(2), now_ms)?.unwrap_or(now_ms);
    let shared = ctx.shared;
    let until_before_ms = shared.paused_until_ms.load(Ordering::Acquire);
    let holds_all = until_before_ms > now_ms && !shared.pause_writes_only.load(Ordering::Acquire);
    shared
        .pause_writes_only
        .store(writes_only && !holds_all, Ordering::Release);
    shared.paused_until_ms.fetch_max(until_ms, Ordering::AcqRel);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn unpause(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.shared.paused_until_ms.store(0, Ordering::Release);
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CACHING (YES|NO)",
        "    Whether the keys of the next command are tracked, in OPTIN and OPTOUT modes.",
        "GETNAME",
        "    The name of this connection.",
        "GETREDIR",
        "    The client that gets this connection's invalidations.",
        "ID",
        "    The number of this connection.",
        "INFO",
        "    Facts of this connection.",
        "KILL <ip:port>",
        "    Close the connection that comes from there.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Close all connections that fit every option:",
        "    ADDR (<ip:port>|<unixsocket>:0), LADDR (<ip:port>|<unixsocket>:0), ID <client-id>,",
        "    TYPE (NORMAL|MASTER|REPLICA|PUBSUB), USER <username>, MAXAGE <seconds>,",
        "    SKIPME (YES|NO): whether this connection stays (default: yes).",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)|ID <client-id> [<client-id> ...]]",
        "    Facts of all connections, or of some.",
        "NO-EVICT (ON|OFF)",
        "    Whether this connection is spared when memory is short.",
        "NO-TOUCH (ON|OFF)",
        "    Whether this connection's commands leave the age of keys alone.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold all commands, or those that write, for so many milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Which replies are sent to this connection.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Tell the client library of this connection.",
        "SETNAME <name>",
        "    Name this connection.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
        "    Turn client-side caching on or off.",
        "TRACKINGINFO",
        "    The state of client-side caching of this connection.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    End the wait of a blocked connection.",
        "UNPAUSE",
        "    End a pause.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}

/// A container never runs: its arity asks for a subcommand.
pub(super) fn unreachable_container(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand(ctx.row.command.name, args.at(1)))
}
