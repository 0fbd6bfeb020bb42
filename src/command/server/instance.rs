//! What the server is and does as a whole: TIME, ROLE, WAIT, MONITOR and their like.
//!
//! There are no replicas yet: who asks for them is told so.

use crate::command::args::{self, Cursor, is};
use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome, ShardAction};
use crate::resp::arguments::Args;

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const REPLICATION: &[Flags] = &[
    Flags::ADMIN,
    Flags::NOSCRIPT,
    Flags::STALE,
    Flags::NO_ASYNC_LOADING,
];
const FACT: &[Flags] = &[Flags::LOADING, Flags::STALE, Flags::FAST];
const WAITING: &[&str] = &["request_policy:all_shards", "response_policy:agg_min"];

/// The rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new(
        "failover",
        "[TO target:<host port [FORCE]>] [ABORT] [TIMEOUT milliseconds]",
        failover,
    )
    .arity(-1)
    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::STALE])
    .docs("6.2.0", "server", "O(1)", "Hands over to a replica."),
    Command::new("lolwut", "[VERSION version]", lolwut)
        .arity(-1)
        .flags(&[Flags::READONLY, Flags::FAST])
        .docs("5.0.0", "server", "O(1)", "Replies the version."),
    Command::new("monitor", "", monitor)
        .arity(1)
        .flags(ADMIN)
        .docs(
            "1.0.0",
            "server",
            "O(1)",
            "Shows every command the server runs.",
        ),
    Command::new(
        "replicaof",
        "args:<host-port:<host port> | no-one:<NO ONE>>",
        replica_of,
    )
    .arity(3)
    .flags(REPLICATION)
    .docs("5.0.0", "server", "O(1)", "Makes the server a replica."),
    Command::new("role", "", role)
        .arity(1)
        .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST])
        .categories(&["admin", "dangerous"])
        .docs("2.8.12", "server", "O(1)", "Replies primary or replica."),
    Command::new(
        "slaveof",
        "args:<host-port:<host port> | no-one:<NO ONE>>",
        replica_of,
    )
    .arity(3)
    .flags(REPLICATION)
    .docs("1.0.0", "server", "O(1)", "Makes the server a replica.")
    .deprecated("5.0.0", "`REPLICAOF`"),
    Command::new("time", "", time)
        .arity(1)
        .flags(FACT)
        .tips(&["nondeterministic_output"])
        .docs("2.6.0", "server", "O(1)", "Replies the server's time."),
    Command::new("wait", "numreplicas timeout", wait)
        .arity(3)
        .categories(&["connection"])
        .tips(WAITING)
        .docs(
            "3.0.0",
            "generic",
            "O(1)",
            "Waits until replicas have what this connection wrote.",
        ),
    Command::new("waitaof", "numlocal numreplicas timeout", wait_aof)
        .arity(4)
        .flags(&[Flags::NOSCRIPT])
        .categories(&["connection"])
        .tips(WAITING)
        .docs(
            "7.2.0",
            "generic",
            "O(1)",
            "Waits until what this connection wrote is on disk.",
        ),
];

/// The time of the turn, so in whole milliseconds.
fn time(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms() as i64;
    ctx.reply.array(2);
    ctx.reply.bulk_integer(now_ms / 1000);
    ctx.reply.bulk_integer(now_ms % 1000 * 1000);
    Ok(Outcome::Done)
}

fn role(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.integer(0);
    ctx.reply.array(0);
    Ok(Outcome::Done)
}

fn lolwut(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() >= 3 && is(args.at(1), "version") {
        args::required_integer(args.at(2))?;
    }
    let text = format!("Redis ver. {}\n", crate::REDIS_VERSION);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// Redis: a second MONITOR is not answered.
fn monitor(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !ctx.may_block {
        return Err(error::MONITOR_IN_MULTI);
    }
    if ctx.session.monitoring {
        return Ok(Outcome::Done);
    }
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Monitor))
}

/// There are no replicas to wait for: the answer is known, and comes when the time is over.
fn wait(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let wanted = args::required_integer(args.at(1))?;
    let now_ms = ctx.now_ms();
    let deadline_ms = args::timeout_milliseconds(args.at(2), now_ms)?;
    ctx.reply.integer(0);
    Ok(wait_until(ctx, wanted > 0, deadline_ms))
}

fn wait_until(ctx: &Context<'_>, wanted: bool, deadline_ms: Option<u64>) -> Outcome {
    if wanted && ctx.may_block {
        let left_ms = deadline_ms.map_or(0, |at| at - ctx.now_ms());
        Outcome::Ask(ShardAction::WaitForReplicas(left_ms))
    } else {
        Outcome::Done
    }
}

fn wait_aof(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let local = args::integer(args.at(1)).ok_or(error::NOT_INTEGER)?;
    if !(0..=1).contains(&local) {
        return Err(error::NOT_ZERO_OR_ONE);
    }
    let replicas = args::non_negative(args.at(2))?;
    let now_ms = ctx.now_ms();
    let deadline_ms = args::timeout_milliseconds(args.at(3), now_ms)?;
    if local == 1 {
        if !ctx.shared.observations.persistence.log_is_on() {
            return Err(error::WAITAOF_WITHOUT_FILE);
        }
        if ctx.may_block {
            let ms = deadline_ms.map_or(0, |at| at - now_ms);
            return Ok(Outcome::Ask(ShardAction::WaitForSync {
                ms,
                replicas: replicas > 0,
            }));
        }
    }
    ctx.reply.array(2);
    ctx.reply.integer(0);
    ctx.reply.integer(0);
    Ok(wait_until(ctx, replicas > 0, deadline_ms))
}

fn replica_of(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if is(args.at(1), "no") && is(args.at(2), "one") {
        ctx.reply.ok();
        return Ok(Outcome::Done);
    }
    match args::integer(args.at(2)) {
        Some(0..=65535) => Err(error::REPLICATION_UNSUPPORTED),
        _ => Err(error::INVALID_MASTER_PORT),
    }
}

fn failover(_ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut options = Cursor::new(args, 1);
    if args.len() == 2 && options.keyword("ABORT") {
        return Err(error::NO_FAILOVER);
    }
    // Each once.
    let (mut to, mut timeout, mut force) = (false, false, false);
    while options.left() > 0 {
        if !timeout && options.left() >= 2 && options.keyword("TIMEOUT") {
            if args::required_integer(options.value()?)? <= 0 {
                return Err(error::FAILOVER_TIMEOUT);
            }
            timeout = true;
        } else if !to && options.left() >= 3 && options.keyword("TO") {
            options.value()?;
            args::required_integer(options.value()?)?;
            to = true;
        } else if !force && options.keyword("FORCE") {
            force = true;
        } else {
            return Err(error::SYNTAX);
        }
    }
    Err(error::FAILOVER_WITHOUT_REPLICAS)
}
