//! Fields set and removed.

use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::data::hash::OldEnd;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::{hash_of, hash_to_set};

pub(super) fn hset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let created = set_fields(ctx, args)?;
    ctx.reply.count(created);
    Ok(Outcome::Done)
}

pub(super) fn hmset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    set_fields(ctx, args)?;
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Sets the pairs from argument 2 on; how many fields are new.
fn set_fields(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<usize, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(error::wrong_arity(&ctx.row.full_name));
    }
    let (key, limits) = (args.at(1), ctx.settings.hash_limits);
    let mut handle = ctx.space.write(key);
    hash_of(handle.entry())?;
    let hash = hash_to_set(&mut handle)?;
    hash.before_setting(args.from(2), &limits);
    let pairs = args.from(2).step_by(2).zip(args.from(3).step_by(2));
    let count = pairs.len();
    let mut created = 0;
    for (field, value) in pairs {
        created += usize::from(hash.set(field, value, OldEnd::Lift, &limits));
    }
    handle.effect_of(count, |effect| {
        effect.arg("HSET").args(args.from(1));
    });
    handle.touched();
    handle.event(EventClass::HASH, "hset");
    Ok(created)
}

pub(super) fn hsetnx(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, field, limits) = (args.at(1), args.at(2), ctx.settings.hash_limits);
    let mut handle = ctx.space.write(key);
    if hash_of(handle.entry())?.is_some_and(|hash| hash.contains(field)) {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    let hash = hash_to_set(&mut handle)?;
    hash.before_setting(args.from(2), &limits);
    hash.set(field, args.at(3), OldEnd::Lift, &limits);
    handle.effect(|effect| {
        effect.arg("HSET").args(args.from(1));
    });
    handle.touched();
    handle.event(EventClass::HASH, "hset");
    ctx.reply.integer(1);
    Ok(Outcome::Done)
}

pub(super) fn hdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    hash_of(handle.entry())?;
    let mut is_empty = false;
    let removed = handle.change(|value| {
        let Some(Value::Hash(hash)) = value else {
            return 0;
        };
        let removed = args.from(2).filter(|field| hash.remove(field)).count();
        is_empty = hash.is_empty();
        removed
    });
    if removed > 0 {
        handle.touched();
        handle.event(EventClass::HASH, "hdel");
        if is_empty {
            handle.remove();
            handle.event(EventClass::GENERIC, "del");
        }
        handle.effect_of(removed, |effect| {
            effect.arg("HDEL").args(args.from(1));
        });
    }
    ctx.reply.count(removed);
    Ok(Outcome::Done)
}
