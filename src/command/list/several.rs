//! LMOVEM, BLMOVEM: several elements from one list to another, in one step.
//!
//! ```text
//! source  a b c d        LEFT RIGHT        RIGHT LEFT        LEFT LEFT OBO     LEFT LEFT BULK
//! COUNT 3, target  x     x a b c           b c d x           c b a x           a b c x
//! ```
//! The elements taken are a block in the order of the list; one by one, between equal ends, turns it round. The reply is the
//! block as it lies in the destination. Source and destination may be the same list.
//!
//! The effects are commands that older servers know: a push of the block, then a pop of as many (events come in this order
//! too, as LMOVE's do). A block of one is a LMOVE. Source: the command pages of LMOVEM and BLMOVEM.

use crate::command::args::{Cursor, integer, timeout_seconds};
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::error::{self, CommandError};
use crate::data::list::{End, List, ListLimits};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;
use crate::resp::arguments::Args;

use super::transfer::Move;
use super::{finish_removal, limits, list_of, list_of_mut, pop_event, push_event, take_from_end};

/// How many elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HowMany {
    /// As many as there are, up to so many.
    UpTo(usize),
    /// So many or none.
    Exactly(usize),
}

/// What LMOVEM and BLMOVEM are asked to do.
#[derive(Clone, Copy)]
struct SeveralMoves {
    ends: Move,
    how_many: HowMany,
    /// Whether the block lies the other way round in the destination.
    turns: bool,
}

impl SeveralMoves {
    /// Reads both ends, and the options from argument `options_at` on.
    fn read(args: &Args<'_>, options_at: usize) -> Result<Self, CommandError> {
        let ends = Move::read(args)?;
        let mut options = Cursor::new(args, options_at);
        if options.left() == 0 {
            return Ok(SeveralMoves {
                ends,
                how_many: HowMany::UpTo(1),
                turns: false,
            });
        }
        let is_exact = options.keyword("exactly");
        if !is_exact && !options.keyword("count") {
            return Err(error::SYNTAX);
        }
        let count = integer(options.value()?).filter(|count| *count > 0);
        let count = count.ok_or(error::NOT_POSITIVE)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let one_by_one = options.keyword("obo");
        if (!one_by_one && !options.keyword("bulk")) || options.left() > 0 {
            return Err(error::SYNTAX);
        }
        Ok(SeveralMoves {
            ends,
            how_many: if is_exact {
                HowMany::Exactly(count)
            } else {
                HowMany::UpTo(count)
            },
            turns: one_by_one && ends.from == ends.to,
        })
    }

    /// Moves the elements and replies them; false when there are not enough, and nothing is replied.
    fn attempt(self, ctx: &mut Context<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
        let (source, destination) = (args.at(1), args.at(2));
        let len = list_of(ctx.space.write(source).value())?.map_or(0, List::len);
        let count = match self.how_many {
            HowMany::UpTo(count) => count.min(len),
            HowMany::Exactly(count) if count <= len => count,
            HowMany::Exactly(_) => 0,
        };
        if count == 0 {
            return Ok(false);
        }
        if count == 1 {
            let effect: [&[u8]; 5] = [b"LMOVE", source, destination, args.at(3), args.at(4)];
            let mark = ctx.reply.mark();
            ctx.reply.array(1);
            let moved = self.ends.attempt(ctx, args, &effect);
            if !matches!(moved, Ok(true)) {
                ctx.reply.truncate(mark);
            }
            return moved;
        }
        let start = match self.ends.from {
            End::Front => 0,
            End::Back => len - count,
        };
        let handle = ctx.space.write(source);
        let elements = list_of(handle.value())?.map(|list| list.range(start, count));
        let elements = elements.into_iter().flatten();
        let mut block: Vec<Vec<u8>> = elements.map(|element| element.to_vec()).collect();
        if self.turns {
            block.reverse();
        }
        drop(handle);
        list_of(ctx.space.write(destination).value())?;
        let limits = limits(ctx);
        if source == destination && self.ends.from == self.ends.to {
            put_back(
                &mut ctx.space.write(source),
                self.ends.from,
                &block,
                len,
                &limits,
            )?;
        } else {
            let mut handle = ctx.space.write(destination);
            add_block(&mut handle, self.ends.to, &block, &limits)?;
            handle.event(EventClass::LIST, push_event(self.ends.to));
            drop(handle);
            let mut handle = ctx.space.write(source);
            pop_block(&mut handle, self.ends.from, count, &limits)?;
        }
        ctx.reply.array(count);
        block.iter().for_each(|element| ctx.reply.bulk(element));
        Ok(true)
    }
}

/// Puts a block where it is taken from, turned or not. The list is never empty in between: the key would end, and with it its
/// expiry.
fn put_back(
    handle: &mut KeyHandle<'_>,
    end: End,
    block: &[Vec<u8>],
    len: usize,
    limits: &ListLimits,
) -> Result<(), CommandError> {
    handle.event(EventClass::LIST, push_event(end));
    if block.len() < len {
        pop_block(handle, end, block.len(), limits)?;
        return add_block(handle, end, block, limits);
    }
    // All of it: the block comes to the other end, where after the pop it is the list.
    let other = match end {
        End::Front => End::Back,
        End::Back => End::Front,
    };
    add_block(handle, other, block, limits)?;
    pop_block(handle, end, block.len(), limits)
}

/// Adds a block at an end, where it lies in its own order. The event is the caller's.
fn add_block(
    handle: &mut KeyHandle<'_>,
    end: End,
    block: &[Vec<u8>],
    limits: &ListLimits,
) -> Result<(), CommandError> {
    if !handle.exists() {
        handle.insert(Value::List(List::new()));
    }
    let mut left = block;
    while !left.is_empty() {
        let count = left.len().min(PUSH_EFFECT_ELEMENTS_MAX);
        let part: &[Vec<u8>];
        (part, left) = match end {
            End::Back => left.split_at(count),
            End::Front => {
                let (rest, part) = left.split_at(left.len() - count);
                (part, rest)
            }
        };
        add_part(handle, end, part, limits)?;
    }
    let len = list_of(handle.value())?.map_or(0, List::len);
    handle.grown(len);
    handle.touched();
    Ok(())
}

/// Adds so many elements as one effect names.
fn add_part(
    handle: &mut KeyHandle<'_>,
    end: End,
    part: &[Vec<u8>],
    limits: &ListLimits,
) -> Result<(), CommandError> {
    let in_turn: Vec<&[u8]> = match end {
        End::Back => part.iter().map(Vec::as_slice).collect(),
        End::Front => part.iter().rev().map(Vec::as_slice).collect(),
    };
    let list = list_of_mut(handle)?;
    let bytes = in_turn.iter().map(|element| element.len()).sum();
    list.before_adding(bytes, in_turn.len(), limits);
    for element in &in_turn {
        list.push(end, element, limits);
    }
    let key = handle.key();
    handle.effect(|effect| {
        let name = push_event(end).to_ascii_uppercase();
        effect.arg(name).arg(key).args(in_turn);
    });
    Ok(())
}

fn pop_block(
    handle: &mut KeyHandle<'_>,
    end: End,
    count: usize,
    limits: &ListLimits,
) -> Result<(), CommandError> {
    let key = handle.key();
    take_from_end(list_of_mut(handle)?, end, count);
    finish_removal(handle, limits, pop_event(end), count, |effect| {
        let name = pop_event(end).to_ascii_uppercase();
        effect.arg(name).arg(key).integer(count as i64);
    })
}

pub(super) fn lmovem(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let moves = SeveralMoves::read(args, 5)?;
    if !moves.attempt(ctx, args)? {
        match moves.how_many {
            HowMany::Exactly(_) => ctx.reply.null_array(),
            HowMany::UpTo(_) => ctx.reply.array(0),
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn blmovem(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let moves = SeveralMoves::read(args, 6)?;
    let deadline_ms = timeout_seconds(args.at(5), ctx.now_ms())?;
    if moves.attempt(ctx, args)? {
        return Ok(Outcome::Done);
    }
    ctx.reply.null_array();
    Ok(Outcome::Wait(Box::new(WaitFor {
        class: WaitClass::Alone,
        alarms: Vec::new(),
        kind: match moves.how_many {
            HowMany::Exactly(count) => WaitKind::ListOf(count),
            HowMany::UpTo(_) => WaitKind::List,
        },
        keys: vec![args.at(1).into()],
        deadline_ms,
        request: args.to_request(),
        as_sent: None,
        destinations: vec![args.at(2).into()],
    })))
}
