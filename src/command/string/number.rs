//! Strings that count.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::data::extended::Extended;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

use super::string_of;

pub(super) fn incr(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args, 1)
}

pub(super) fn decr(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args, -1)
}

pub(super) fn incrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args, args::required_integer(args.at(2))?)
}

pub(super) fn decrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let decrement = args::required_integer(args.at(2))?;
    let increment = decrement.checked_neg().ok_or(error::DECREMENT_OVERFLOW)?;
    add(ctx, args, increment)
}

fn add(ctx: &mut Context<'_>, args: &Args<'_>, increment: i64) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    let value = match string_of(handle.entry())? {
        None => 0,
        Some(StringValue::Integer(value)) => *value,
        Some(string) => args::required_integer(string.bytes(&mut [0; 20]))?,
    };
    let sum = value
        .checked_add(increment)
        .ok_or(error::INCREMENT_OVERFLOW)?;
    handle.insert(Value::String(StringValue::Integer(sum)));
    handle.effect(|effect| {
        effect.args(args.iter());
    });
    handle.touched();
    handle.event(EventClass::STRING, "incrby");
    drop(handle);
    ctx.reply.integer(sum);
    Ok(Outcome::Done)
}

pub(super) fn incrbyfloat(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    let value = match string_of(handle.entry())? {
        None => Extended::ZERO,
        Some(string) => Extended::parse(string.bytes(&mut [0; 20])).ok_or(error::NOT_FLOAT)?,
    };
    let increment = Extended::parse(args.at(2)).ok_or(error::NOT_FLOAT)?;
    let sum = value
        .checked_add(increment)
        .ok_or(error::INCREMENT_NOT_FINITE)?;
    let text = sum.text().into_bytes();
    // Redis: the result stays text (`embstr`) even when it looks like an integer.
    handle.insert(Value::String(StringValue::text(&text)));
    handle.effect(|effect| {
        effect.arg("SET").arg(args.at(1)).arg(&text).arg("KEEPTTL");
    });
    handle.touched();
    handle.event(EventClass::STRING, "incrbyfloat");
    drop(handle);
    ctx.reply.bulk(&text);
    Ok(Outcome::Done)
}
