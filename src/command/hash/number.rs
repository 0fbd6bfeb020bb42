//! Fields that count.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::data::extended::Extended;
use crate::data::hash::OldEnd;
use crate::keyspace::event::EventClass;
use crate::resp::arguments::Args;
use crate::resp::reply::format_integer;

use super::{hash_of, hash_to_set};

pub(super) fn hincrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let increment = args::required_integer(args.at(3))?;
    let (field, limits) = (args.at(2), ctx.settings.hash_limits);
    let mut handle = ctx.space.write(args.at(1));
    let value = match hash_of(handle.entry())?.and_then(|hash| hash.get(field)) {
        None => 0,
        Some(value) => value.as_integer().ok_or(error::HASH_VALUE_NOT_INTEGER)?,
    };
    let sum = value
        .checked_add(increment)
        .ok_or(error::INCREMENT_OVERFLOW)?;
    let mut digits = [0; 20];
    let text = format_integer(sum, &mut digits);
    hash_to_set(&mut handle)?.set(field, text, OldEnd::Keep, &limits);
    handle.effect(|effect| {
        effect.args(args.iter());
    });
    handle.touched();
    handle.event(EventClass::HASH, "hincrby");
    drop(handle);
    ctx.reply.integer(sum);
    Ok(Outcome::Done)
}

pub(super) fn hincrbyfloat(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let increment = Extended::parse(args.at(3)).ok_or(error::NOT_FLOAT)?;
    if increment.checked_add(Extended::ZERO).is_none() {
        return Err(error::INCREMENT_INFINITE);
    }
    let (field, limits) = (args.at(2), ctx.settings.hash_limits);
    let mut handle = ctx.space.write(args.at(1));
    let value = match hash_of(handle.entry())?.and_then(|hash| hash.get(field)) {
        None => Extended::ZERO,
        Some(value) => {
            let mut digits = [0; 20];
            Extended::parse(value.as_bytes(&mut digits)).ok_or(error::HASH_VALUE_NOT_FLOAT)?
        }
    };
    let sum = value
        .checked_add(increment)
        .ok_or(error::INCREMENT_NOT_FINITE)?;
    let text = sum.text().into_bytes();
    let hash = hash_to_set(&mut handle)?;
    hash.set(field, &text, OldEnd::Keep, &limits);
    let ends_ms = hash.end_of(field);
    handle.effect(|effect| {
        effect.arg("HSET").arg(args.at(1)).arg(field).arg(&text);
    });
    if let Some(ms) = ends_ms {
        // The HSET of a replay lifts it.
        handle.effect_of(0, |effect| {
            effect.arg("HPEXPIREAT").arg(args.at(1)).integer(ms as i64);
            effect.arg("FIELDS").arg("1").arg(field);
        });
    }
    handle.touched();
    handle.event(EventClass::HASH, "hincrbyfloat");
    drop(handle);
    ctx.reply.bulk(&text);
    Ok(Outcome::Done)
}
