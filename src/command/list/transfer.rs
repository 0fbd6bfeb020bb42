//! LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH: an element from one list to another, in one step.
//!
//! Source and destination may be the same list (a rotation) or lie in two keyspaces, both in hand. Redis pushes before it
//! finishes the pop, so the events are `rpush` then `lpop`; the effect is one command.

use crate::command::args::timeout_seconds;
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::error::CommandError;
use crate::data::list::{End, List};
use crate::data::listpack::Element;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::resp::arguments::Args;

use super::{end, limits, list_of, list_of_mut, pop_event, push_event};

/// Where from and where to.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub(super) from: End,
    pub(super) to: End,
}

const RPOPLPUSH: Move = Move {
    from: End::Back,
    to: End::Front,
};

impl Move {
    pub(super) fn read(args: &Args<'_>) -> Result<Self, CommandError> {
        Ok(Move {
            from: end(args.at(3))?,
            to: end(args.at(4))?,
        })
    }

    /// Moves an element and replies it; false when there is no source, and nothing is replied.
    /// `effect` is the command to report, without timeout.
    pub(super) fn attempt(
        self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        effect: &[&[u8]],
    ) -> Result<bool, CommandError> {
        let (source, destination) = (args.at(1), args.at(2));
        if list_of(ctx.space.write(source).value())?.is_none() {
            return Ok(false);
        }
        list_of(ctx.space.write(destination).value())?;
        let limits = limits(ctx);

        let mut handle = ctx.space.write(source);
        let list = list_of_mut(&mut handle)?;
        let in_chunks = list.encoding() == "quicklist";
        let element = list.peek(self.from).map(|element| {
            let is_integer = matches!(element, Element::Int(_));
            (is_integer && in_chunks, element.to_vec())
        });
        list.pop(self.from);
        handle.covered();
        drop(handle);
        // Only a value of a very old file could hold an empty list; Redis replies null then too.
        let Some((is_uncounted, element)) = element else {
            return Ok(false);
        };

        let mut handle = ctx.space.write(destination);
        if !handle.exists() {
            handle.insert(Value::List(List::new()));
        }
        let list = list_of_mut(&mut handle)?;
        // Redis does not count the text of an integer out of a quicklist; out of a listpack it does.
        list.before_adding(if is_uncounted { 0 } else { element.len() }, 1, &limits);
        list.push(self.to, &element, &limits);
        let len = list.len();
        handle.grown(len);
        handle.touched();
        handle.event(EventClass::LIST, push_event(self.to));
        handle.effect(|writer| {
            writer.args(effect.iter().copied());
        });
        drop(handle);
        ctx.reply.bulk(&element);

        let mut handle = ctx.space.write(source);
        handle.event(EventClass::LIST, pop_event(self.from));
        let list: &mut List = list_of_mut(&mut handle)?;
        if list.is_empty() {
            handle.remove();
            handle.event(EventClass::GENERIC, "del");
        } else {
            list.after_removing(&limits);
        }
        handle.touched();
        handle.covered();
        Ok(true)
    }

    fn attempt_or_wait(
        self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        effect: &[&[u8]],
        timeout: &[u8],
    ) -> Result<Outcome, CommandError> {
        let deadline_ms = timeout_seconds(timeout, ctx.now_ms())?;
        if self.attempt(ctx, args, effect)? {
            return Ok(Outcome::Done);
        }
        // Redis: the null array after a timeout, the plain null where it may not wait.
        if ctx.may_block {
            ctx.reply.null_array();
        } else {
            ctx.reply.null();
        }
        Ok(Outcome::Wait(Box::new(WaitFor {
            kind: WaitKind::List,
            class: WaitClass::Alone,
            keys: vec![args.at(1).into()],
            deadline_ms,
            request: args.to_request(),
            as_sent: None,
            destinations: vec![args.at(2).into()],
            alarms: Vec::new(),
        })))
    }
}

pub(super) fn lmove(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let effect = [args.at(0), args.at(1), args.at(2), args.at(3), args.at(4)];
    if !Move::read(args)?.attempt(ctx, args, &effect)? {
        ctx.reply.null();
    }
    Ok(Outcome::Done)
}

pub(super) fn rpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !RPOPLPUSH.attempt(ctx, args, &[args.at(0), args.at(1), args.at(2)])? {
        ctx.reply.null();
    }
    Ok(Outcome::Done)
}

pub(super) fn blmove(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let effect: [&[u8]; 5] = [b"LMOVE", args.at(1), args.at(2), args.at(3), args.at(4)];
    Move::read(args)?.attempt_or_wait(ctx, args, &effect, args.at(5))
}

pub(super) fn brpoplpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    RPOPLPUSH.attempt_or_wait(
        ctx,
        args,
        &[b"RPOPLPUSH", args.at(1), args.at(2)],
        args.at(3),
    )
}
