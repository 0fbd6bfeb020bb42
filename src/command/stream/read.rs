//! Commands that read entries by their IDs: XLEN XRANGE XREVRANGE.

use crate::command::args::{is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::resp::arguments::Args;

use super::interval::{Direction, Interval};
use super::{interval_end, interval_start, stream_of};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xlen", "key", xlen)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RO, 1)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(1)",
            "Tells how many entries a stream has.",
        ),
    Command::new("xrange", "key start end [COUNT count]", xrange)
        .arity(-4)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(log N + M) for M entries returned",
            "Gives the entries between two IDs in ascending order.",
        ),
    Command::new("xrevrange", "key end start [COUNT count]", xrevrange)
        .arity(-4)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(log N + M) for M entries returned",
            "Gives the entries between two IDs in descending order.",
        ),
];

/// XLEN key
fn xlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let stream = stream_of(ctx.space.read(args.at(1)))?;
    ctx.reply
        .integer(stream.map_or(0, |s| s.log().len().cast_signed()));
    Ok(Outcome::Done)
}

/// XRANGE key start end [COUNT count]
fn xrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    range(ctx, args, Direction::Ascending)
}

/// XREVRANGE key end start [COUNT count]
fn xrevrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    range(ctx, args, Direction::Descending)
}

fn range(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    direction: Direction,
) -> Result<Outcome, CommandError> {
    let (first, second) = (args.at(2), args.at(3));
    let (start, end) = match direction {
        Direction::Ascending => (interval_start(first)?, interval_end(second)?),
        Direction::Descending => (interval_start(second)?, interval_end(first)?),
    };
    let mut count = None;
    let mut at = 4;
    while at < args.len() {
        if !is(args.at(at), "COUNT") || at + 1 >= args.len() {
            return Err(error::SYNTAX);
        }
        // Redis: a COUNT of 0 or less gives a null array.
        count = Some(usize::try_from(required_integer(args.at(at + 1))?).unwrap_or(0));
        at += 2;
    }
    let Some(stream) = stream_of(ctx.space.read(args.at(1)))? else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let log = stream.log();
    let interval = Interval {
        start,
        end,
        direction,
    };
    match count {
        Some(0) => ctx.reply.null_array(),
        count => {
            interval.reply(ctx.reply, log, count.unwrap_or(usize::MAX));
        }
    }
    Ok(Outcome::Done)
}
