//! LPUSH RPUSH LPUSHX RPUSHX LINSERT LSET LPOP RPOP LTRIM LREM: changes of one list.

use crate::command::args::{is, non_negative, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::data::list::{End, List, ListLimits, Side};
use crate::keyspace::discard::{PARTS_MIN, Part};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::{KeyHandle, Report};
use crate::resp::arguments::Args;

use super::read::absolute;
use super::{
    finish_removal, limits, list_in_mut, list_of, list_of_mut, pop_event, push_event,
    reply_from_end, span, take_from_end,
};

pub(super) fn lpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    push(ctx, args, End::Front, true)
}

pub(super) fn rpush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    push(ctx, args, End::Back, true)
}

pub(super) fn lpushx(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    push(ctx, args, End::Front, false)
}

pub(super) fn rpushx(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    push(ctx, args, End::Back, false)
}

fn push(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    end: End,
    creates: bool,
) -> Result<Outcome, CommandError> {
    let limits = limits(ctx);
    let mut handle = ctx.space.write(args.at(1));
    if list_of(handle.value())?.is_none() {
        if !creates {
            ctx.reply.count(0);
            return Ok(Outcome::Done);
        }
        handle.insert(Value::List(List::new()));
    }
    let list = list_of_mut(&mut handle)?;
    let elements = args.from(2);
    list.before_adding(
        elements.clone().map(<[u8]>::len).sum(),
        elements.len(),
        &limits,
    );
    for element in elements {
        list.push(end, element, &limits);
    }
    let len = list.len();
    ctx.reply.count(len);
    handle.grown(len);
    handle.touched();
    handle.event(EventClass::LIST, push_event(end));
    handle.effect_of(args.len() - 2, |effect| {
        effect.args(args.iter());
    });
    Ok(Outcome::Done)
}

/// What a command did that may find no element to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Altered {
    Elements,
    /// Redis has made the encoding larger though no element changed.
    Encoding,
    Nothing,
}

impl Altered {
    fn of(list: &List, elements: bool, encoding_before: &'static str) -> Self {
        if elements {
            Self::Elements
        } else if list.encoding() != encoding_before {
            Self::Encoding
        } else {
            Self::Nothing
        }
    }

    /// Ends a command that changed no element. Where the encoding changed, the command itself is the effect: replayed, it
    /// does the same.
    fn finish(self, handle: &mut KeyHandle<'_>, args: &Args<'_>) {
        if self.is_change() {
            handle.effect(|effect| {
                effect.args(args.iter());
            });
        }
    }
}

impl Report for Altered {
    fn is_change(&self) -> bool {
        *self != Self::Nothing
    }
}

pub(super) fn linsert(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let side = match args.at(2) {
        side if is(side, "before") => Side::Before,
        side if is(side, "after") => Side::After,
        _ => return Err(error::SYNTAX),
    };
    let limits = limits(ctx);
    let (pivot, element) = (args.at(3), args.at(4));
    let mut handle = ctx.space.write(args.at(1));
    let Some(list) = list_of(handle.value())? else {
        ctx.reply.count(0);
        return Ok(Outcome::Done);
    };
    let encoding = list.encoding();
    let altered = handle.change(|value| -> Result<Altered, CommandError> {
        let list = list_in_mut(value)?;
        list.before_adding(element.len(), 1, &limits);
        let inserted = list.insert(side, pivot, element, &limits);
        Ok(Altered::of(list, inserted, encoding))
    })?;
    if altered != Altered::Elements {
        ctx.reply.integer(-1);
        altered.finish(&mut handle, args);
        return Ok(Outcome::Done);
    }
    let len = list_of(handle.value())?.map_or(0, List::len);
    ctx.reply.count(len);
    handle.grown(len);
    handle.touched();
    handle.event(EventClass::LIST, "linsert");
    handle.effect(|effect| {
        effect.args(args.iter());
    });
    Ok(Outcome::Done)
}

pub(super) fn lset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let limits = limits(ctx);
    let element = args.at(3);
    let mut handle = ctx.space.write(args.at(1));
    let list = list_of(handle.value())?.ok_or(error::NO_SUCH_KEY)?;
    let index = absolute(required_integer(args.at(2))?, list.len());
    let encoding = list.encoding();
    let altered = handle.change(|value| -> Result<Altered, CommandError> {
        let list = list_in_mut(value)?;
        list.before_adding(element.len(), 1, &limits);
        let is_set = index.is_some_and(|index| list.set(index, element, &limits));
        if is_set {
            list.after_removing(&limits);
        }
        Ok(Altered::of(list, is_set, encoding))
    })?;
    if altered != Altered::Elements {
        altered.finish(&mut handle, args);
        return Err(error::INDEX_OUT_OF_RANGE);
    }
    ctx.reply.ok();
    handle.touched();
    handle.event(EventClass::LIST, "lset");
    handle.effect(|effect| {
        effect.args(args.iter());
    });
    Ok(Outcome::Done)
}

pub(super) fn lpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop(ctx, args, End::Front)
}

pub(super) fn rpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop(ctx, args, End::Back)
}

fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> Result<Outcome, CommandError> {
    if args.len() > 3 {
        return Err(error::wrong_arity(pop_event(end)));
    }
    let count = args.get(2).map(non_negative).transpose()?;
    let limits = limits(ctx);
    let mut handle = ctx.space.write(args.at(1));
    let Some(list) = list_of(handle.value())? else {
        match count {
            None => ctx.reply.null(),
            Some(_) => ctx.reply.null_array(),
        }
        return Ok(Outcome::Done);
    };
    let count = match count {
        None => {
            match list.peek(end) {
                Some(element) => reply_element(ctx.reply, element),
                None => ctx.reply.null(),
            }
            1
        }
        Some(count) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            reply_from_end(ctx.reply, list, end, count);
            count
        }
    };
    let removed = count.min(list.len());
    if count > 0 {
        take_from_end(list_of_mut(&mut handle)?, end, count);
        finish_removal(&mut handle, &limits, pop_event(end), removed, |effect| {
            effect.args(args.iter());
        })?;
    }
    Ok(Outcome::Done)
}

pub(super) fn ltrim(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let start = required_integer(args.at(2))?;
    let stop = required_integer(args.at(3))?;
    let limits = limits(ctx);
    let mut handle = ctx.space.write(args.at(1));
    ctx.reply.ok();
    let Some(list) = list_of(handle.value())? else {
        return Ok(Outcome::Done);
    };
    let (len, encoding) = (list.len(), list.encoding());
    let (start, count) = span(start, stop, len);
    let mut gone = None;
    let altered = handle.change(|value| -> Result<Altered, CommandError> {
        let list = list_in_mut(value)?;
        // What goes is freed elsewhere when it is much: there, the share is the last to hold it.
        gone = (list.chunk_count() > PARTS_MIN)
            .then(|| [list.share(0, start), list.share(start + count, len)]);
        list.remove_range(start + count, len);
        list.remove_range(0, start);
        if count == len {
            list.after_removing(&limits);
        }
        Ok(Altered::of(list, count < len, encoding))
    })?;
    if altered == Altered::Elements {
        if let Some(gone) = gone {
            handle.discard(Part::new(gone));
        }
        return finish_removal(&mut handle, &limits, "ltrim", len - count, |effect| {
            effect.args(args.iter());
        })
        .map(|()| Outcome::Done);
    }
    // Redis: a trim that removes nothing still counts as a modification and sends its event.
    handle.event(EventClass::LIST, "ltrim");
    handle.touched();
    altered.finish(&mut handle, args);
    Ok(Outcome::Done)
}

pub(super) fn lrem(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let count = required_integer(args.at(2))?;
    let limits = limits(ctx);
    let mut handle = ctx.space.write(args.at(1));
    if list_of(handle.value())?.is_none() {
        ctx.reply.count(0);
        return Ok(Outcome::Done);
    }
    let limit = match count {
        0 => usize::MAX,
        count => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let removed = remove(&mut handle, args, &limits, limit, count < 0)?;
    ctx.reply.count(removed);
    Ok(Outcome::Done)
}

fn remove(
    handle: &mut KeyHandle<'_>,
    args: &Args<'_>,
    limits: &ListLimits,
    limit: usize,
    from_back: bool,
) -> Result<usize, CommandError> {
    let removed = handle.change(|value| {
        let list = list_in_mut(value)?;
        Ok::<_, CommandError>(list.remove(args.at(3), limit, from_back))
    })?;
    if removed > 0 {
        finish_removal(handle, limits, "lrem", removed, |effect| {
            effect.args(args.iter());
        })?;
    }
    Ok(removed)
}
