//! Strings read, as a whole or in part.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

use super::{condition, string_of, write_string, write_string_or_null};

pub(super) fn get(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let string = string_of(ctx.space.read(args.at(1)))?;
    write_string_or_null(ctx.reply, string);
    Ok(Outcome::Done)
}

pub(super) fn mget(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.array(args.len() - 1);
    for key in args.from(1) {
        match ctx.space.read(key).map(|entry| &entry.value) {
            Some(Value::String(string)) => write_string(ctx.reply, string),
            Some(_) | None => ctx.reply.null(),
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn strlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let string = string_of(ctx.space.read(args.at(1)))?;
    ctx.reply.count(string.map_or(0, StringValue::len));
    Ok(Outcome::Done)
}

pub(super) fn digest(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match string_of(ctx.space.read(args.at(1)))? {
        Some(string) => ctx.reply.bulk(condition::digest(string).as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

/// GETRANGE and SUBSTR.
pub(super) fn getrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let start = args::required_integer(args.at(2))?;
    let end = args::required_integer(args.at(3))?;
    let mut scratch = [0; 20];
    let string = string_of(ctx.space.read(args.at(1)))?;
    let part = match string {
        Some(string) => part_of(string.bytes(&mut scratch), start, end),
        None => &[],
    };
    match string {
        Some(StringValue::Large(large)) => {
            let share = || large.share().slice_ref(part);
            ctx.reply.bulk_shared(part, share);
        }
        _ => ctx.reply.bulk(part),
    }
    Ok(Outcome::Done)
}

/// Bytes `start` to `end`, both included; negative from the end.
fn part_of(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    // Redis: the order of negative indexes counts before they are clamped, so -1..-100 is empty, not the first byte.
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let len = bytes.len() as i64;
    let from_end = |index: i64| {
        if index < 0 {
            (len + index).max(0)
        } else {
            index
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end {
        return &[];
    }
    bytes.get(start as usize..=end as usize).unwrap_or_default()
}
