//! When keys end: set, lifted, asked for.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::expiry_option::Unit;
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::resp::arguments::Args;

use super::remove_as_expired;

/// NX, XX, GT and LT, any of which may come twice.
#[derive(Clone, Copy, Debug, Default)]
struct ExpireOptions {
    without: bool,
    with: bool,
    greater: bool,
    less: bool,
}

impl ExpireOptions {
    fn read(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        for option in args.from(3) {
            match option {
                _ if args::is(option, "NX") => options.without = true,
                _ if args::is(option, "XX") => options.with = true,
                _ if args::is(option, "GT") => options.greater = true,
                _ if args::is(option, "LT") => options.less = true,
                _ => return Err(error::unsupported_option(option)),
            }
        }
        if options.without && (options.with || options.greater || options.less) {
            return Err(error::EXPIRE_NX_WITH_OTHERS);
        }
        if options.greater && options.less {
            return Err(error::EXPIRE_GT_AND_LT);
        }
        Ok(options)
    }

    /// Whether an expiry at `new_ms` may replace the present one. A key without one counts as ending last of all.
    fn allow(&self, present_ms: Option<u64>, new_ms: i64) -> bool {
        match present_ms.map(|at| at as i64) {
            None => !self.with && !self.greater,
            Some(present) => {
                !self.without
                    && (!self.greater || new_ms > present)
                    && (!self.less || new_ms < present)
            }
        }
    }
}

pub(super) fn expire(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    expire_at(ctx, args, now_ms, Unit::Seconds)
}

pub(super) fn pexpire(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    expire_at(ctx, args, now_ms, Unit::Milliseconds)
}

pub(super) fn expireat(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, 0, Unit::Seconds)
}

pub(super) fn pexpireat(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, 0, Unit::Milliseconds)
}

/// `base_ms`: what the time in the arguments is counted from, Unix ms.
fn expire_at(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let options = ExpireOptions::read(args)?;
    let number = args::required_integer(args.at(2))?;
    let at_ms = unit
        .to_ms(number)
        .and_then(|ms| ms.checked_add(base_ms as i64))
        .ok_or_else(|| error::invalid_expire_time(&ctx.row.full_name))?;
    let now_ms = ctx.now_ms() as i64;
    let mut handle = ctx.space.write(args.at(1));
    if !handle.exists() || !options.allow(handle.expiry(), at_ms) {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    if at_ms <= now_ms && !handle.is_replaying() {
        remove_as_expired(&mut handle, ctx.settings.lazyfree.expire);
    } else {
        set_expiry(&mut handle, at_ms.max(0) as u64);
    }
    ctx.reply.integer(1);
    Ok(Outcome::Done)
}

/// Lets a key that exists end at `at_ms`, with its reports.
pub(in crate::command) fn set_expiry(handle: &mut KeyHandle<'_>, at_ms: u64) {
    let key = handle.key();
    handle.set_expiry(Some(at_ms));
    handle.effect(|effect| {
        effect.arg("PEXPIREAT").arg(key).integer(at_ms as i64);
    });
    handle.touched();
    handle.event(EventClass::GENERIC, "expire");
}

/// Lets a key live on, with its reports; false when it had no end.
pub(in crate::command) fn lift_expiry(handle: &mut KeyHandle<'_>) -> bool {
    if handle.expiry().is_none() {
        return false;
    }
    let key = handle.key();
    handle.set_expiry(None);
    handle.effect(|effect| {
        effect.arg("PERSIST").arg(key);
    });
    handle.touched();
    handle.event(EventClass::GENERIC, "persist");
    true
}

pub(super) fn persist(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let lifted = lift_expiry(&mut ctx.space.write(args.at(1)));
    ctx.reply.integer(i64::from(lifted));
    Ok(Outcome::Done)
}

pub(super) fn ttl(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    tell(ctx, args, now_ms, Unit::Seconds)
}

pub(super) fn pttl(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    tell(ctx, args, now_ms, Unit::Milliseconds)
}

pub(super) fn expiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    tell(ctx, args, 0, Unit::Seconds)
}

pub(super) fn pexpiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    tell(ctx, args, 0, Unit::Milliseconds)
}

/// Replies the expiry counted from `base_ms`; -1 without one, -2 without key.
fn tell(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let reply = match ctx
        .space
        .look(args.at(1))
        .map(crate::keyspace::table::Entry::expiry)
    {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let ms = at.saturating_sub(base_ms);
            match unit {
                // Redis: to the nearest second.
                Unit::Seconds => ((ms + 500) / 1000) as i64,
                Unit::Milliseconds => ms as i64,
            }
        }
    };
    ctx.reply.integer(reply);
    Ok(Outcome::Done)
}
