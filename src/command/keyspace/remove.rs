//! Keys removed: one by one, or a database at once.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::resp::arguments::Args;

pub(super) fn del(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    remove_each(ctx, args, "DEL")
}

pub(super) fn unlink(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    remove_each(ctx, args, "UNLINK")
}

fn remove_each(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    effect: &'static str,
) -> Result<Outcome, CommandError> {
    let mut count = 0;
    for key in args.from(1) {
        let mut handle = ctx.space.write(key);
        if handle.exists() {
            remove(&mut handle, effect);
            count += 1;
        }
    }
    ctx.reply.integer(count);
    Ok(Outcome::Done)
}

pub(super) fn remove(handle: &mut KeyHandle<'_>, effect: &'static str) {
    let key = handle.key();
    handle.remove();
    handle.effect(|writer| {
        writer.arg(effect).arg(key);
    });
    handle.touched();
    handle.event(EventClass::GENERIC, "del");
}

/// Removes a key that was given an expiry in the past. Redis: the event is `del`, not `expired`, since the client did it;
/// `unlink` is `lazyfree-lazy-expire`.
pub(in crate::command) fn remove_as_expired(handle: &mut KeyHandle<'_>, unlink: bool) {
    remove(handle, if unlink { "UNLINK" } else { "DEL" });
}

/// Refuses all but nothing, ASYNC or SYNC; both are the same here.
fn check_flush_options(args: &Args<'_>) -> Result<(), CommandError> {
    let known = match args.len() {
        1 => true,
        2 => args::is(args.at(1), "ASYNC") || args::is(args.at(1), "SYNC"),
        _ => false,
    };
    known.then_some(()).ok_or(error::SYNTAX)
}

pub(super) fn flushdb(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    check_flush_options(args)?;
    ctx.space.flush(|effect| {
        effect.arg("FLUSHDB");
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}

pub(super) fn flushall(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    check_flush_options(args)?;
    ctx.space.flush_all(|effect| {
        effect.arg("FLUSHALL");
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}
