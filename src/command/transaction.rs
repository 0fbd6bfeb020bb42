//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! Queueing and the run of a whole EXEC are the executor's (`shard/transaction.rs`): it knows which keyspaces are in hand.

use crate::resp::arguments::Args;

use super::context::{Context, Outcome};
use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec};

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("multi", "", multi)
        .arity(1)
        .flags(&[
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::FAST,
            Flags::ALLOW_BUSY,
            Flags::RUNS_IN_MULTI,
        ])
        .categories(&["transaction"])
        .docs(
            "1.2.0",
            "transactions",
            "O(1)",
            "Opens a transaction: the commands that follow are queued.",
        ),
    Command::new("exec", "", exec)
        .arity(1)
        .flags(&[
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::SKIP_SLOWLOG,
            Flags::RUNS_IN_MULTI,
        ])
        .categories(&["transaction"])
        .docs(
            "1.2.0",
            "transactions",
            "Depends on the queued commands.",
            "Runs every queued command of the transaction.",
        ),
    Command::new("discard", "", discard)
        .arity(1)
        .flags(&[
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::FAST,
            Flags::ALLOW_BUSY,
            Flags::RUNS_IN_MULTI,
        ])
        .categories(&["transaction"])
        .docs(
            "2.0.0",
            "transactions",
            "O(N) for N queued commands.",
            "Throws the queued commands of the transaction away.",
        ),
    Command::new("watch", "key [key ...]", watch)
        .arity(-2)
        .flags(&[
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::FAST,
            Flags::ALLOW_BUSY,
            Flags::RUNS_IN_MULTI,
        ])
        .keys(&[KeySpec::range(KeyFlags::RO, 1, -1, 1)])
        .categories(&["transaction"])
        .docs(
            "2.2.0",
            "transactions",
            "O(1) for each key.",
            "Makes the next EXEC depend on these keys staying as they are.",
        ),
    Command::new("unwatch", "", unwatch)
        .arity(1)
        .flags(&[
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::FAST,
            Flags::ALLOW_BUSY,
        ])
        .categories(&["transaction"])
        .docs("2.2.0", "transactions", "O(1)", "Forgets all watched keys."),
];

fn multi(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    if ctx.session.transaction.active {
        return Err(error::NESTED_MULTI);
    }
    ctx.session.transaction.active = true;
    ctx.session.mirror();
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Only reached outside MULTI: the executor runs a transaction itself.
fn exec(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::EXEC_WITHOUT_MULTI)
}

fn discard(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !ctx.session.transaction.active {
        return Err(error::DISCARD_WITHOUT_MULTI);
    }
    ctx.session.transaction.clear();
    ctx.session.mirror();
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Registers the watcher where the keys live. The client's own list of keys is kept by the executor, since this may run
/// on another shard.
fn watch(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if ctx.session.transaction.active {
        return Err(error::WATCH_IN_MULTI);
    }
    let flag = ctx.session.transaction.flag.get_or_insert_default();
    for key in args.from(1) {
        ctx.space.watch(key, flag);
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn unwatch(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.session.transaction.unwatch();
    ctx.session.mirror();
    ctx.reply.ok();
    Ok(Outcome::Done)
}
