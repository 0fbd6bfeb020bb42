//! Keys removed: one by one, or a database at once.

use std::sync::atomic::Ordering;

use crate::command::args;
use crate::command::context::{Context, Outcome, Save, ShardAction};
use crate::command::error::{self, CommandError};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::observe::persistence::Saving;
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
    Ok(forget_dump(ctx))
}

/// Redis: a dump that is being written is given up, and where there are save points another one is written, so that no restart
/// brings back what was dropped. It is written before the reply; behind a transaction or a rewrite of the log it follows.
fn forget_dump(ctx: &Context<'_>) -> Outcome {
    let facts = &ctx.shared.observations.persistence;
    let (saving, has_points) = (
        facts.saving(),
        !ctx.settings.persistence.save_points.is_empty(),
    );
    // Not while files are loaded.
    if ctx.shared.saver.get().is_none() || !has_points && saving != Saving::Dump {
        return Outcome::Done;
    }
    if ctx.may_block && saving != Saving::Base {
        return Outcome::Ask(ShardAction::Save(Save::Flushed));
    }
    facts.dump_scheduled.store(has_points, Ordering::Release);
    Outcome::Done
}
