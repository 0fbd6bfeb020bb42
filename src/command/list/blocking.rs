//! LMPOP, BLPOP, BRPOP, BLMPOP: elements of the first list that has any, now or later.
//!
//! A blocking command first tries all its keys in their order; only then it waits. When it runs again for a key that has
//! become ready it does the same over the keys in hand, so an earlier key that became ready meanwhile wins, as in Redis 7.2.

use crate::command::args::{counted_pop, timeout_seconds};
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::element::reply_element;
use crate::command::error::CommandError;
use crate::data::list::End;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::resp::arguments::Args;

use super::{
    finish_removal, limits, list_of, list_of_mut, pop_event, reply_from_end, take_from_end,
};

/// Which keys to try, and what to take.
struct Pop<K> {
    keys: K,
    end: End,
    /// `None`: one element as a bulk string; else up to so many as an array.
    count: Option<usize>,
}

impl<'a, K: Iterator<Item = &'a [u8]> + Clone> Pop<K> {
    fn new(keys: K, end: End, count: Option<usize>) -> Self {
        Pop { keys, end, count }
    }

    /// Takes from the first key that has a list; false when none has, and nothing is replied.
    fn attempt(&self, ctx: &mut Context<'_>) -> Result<bool, CommandError> {
        let limits = limits(ctx);
        for key in self.keys.clone() {
            if ctx.resumed && !ctx.space.holds(key) {
                continue;
            }
            let mut handle = ctx.space.write(key);
            let Some(list) = list_of(handle.value())? else {
                continue;
            };
            let len = list.len();
            ctx.reply.array(2);
            ctx.reply.bulk(key);
            match (self.count, list.peek(self.end)) {
                (None, Some(element)) => reply_element(ctx.reply, element),
                (count, _) => reply_from_end(ctx.reply, list, self.end, count.unwrap_or(1)),
            }
            let taken = self.count.map_or(1, |count| count.min(len));
            take_from_end(list_of_mut(&mut handle)?, self.end, taken);
            finish_removal(&mut handle, &limits, pop_event(self.end), taken, |effect| {
                effect
                    .arg(pop_event(self.end).to_ascii_uppercase())
                    .arg(key);
                if self.count.is_some() {
                    effect.integer(taken as i64);
                }
            })?;
            return Ok(true);
        }
        Ok(false)
    }

    fn attempt_or_wait(
        &self,
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        timeout: &[u8],
    ) -> Result<Outcome, CommandError> {
        let deadline_ms = timeout_seconds(timeout, ctx.now_ms())?;
        if self.attempt(ctx)? {
            return Ok(Outcome::Done);
        }
        ctx.reply.null_array();
        Ok(Outcome::Wait(Box::new(WaitFor {
            kind: WaitKind::List,
            class: WaitClass::Alone,
            keys: self.keys.clone().map(Into::into).collect(),
            deadline_ms,
            request: args.to_request(),
            as_sent: None,
            destinations: Vec::new(),
            alarms: Vec::new(),
        })))
    }
}

pub(super) fn blpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop_one(ctx, args, End::Front)
}

pub(super) fn brpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop_one(ctx, args, End::Back)
}

fn pop_one(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> Result<Outcome, CommandError> {
    let last = args.len() - 1;
    let keys = args.from(1).take(last - 1);
    Pop::new(keys, end, None).attempt_or_wait(ctx, args, args.at(last))
}

/// The keys, the end and the count that stand from argument `at` on.
fn read_keys(args: &Args<'_>, at: usize) -> Result<(usize, End, usize), CommandError> {
    let pop = counted_pop(args, at, ["left", "right"])?;
    Ok((pop.key_count, [End::Front, End::Back][pop.end], pop.count))
}

pub(super) fn lmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key_count, end, count) = read_keys(args, 1)?;
    let keys = args.from(2).take(key_count);
    if !Pop::new(keys, end, Some(count)).attempt(ctx)? {
        ctx.reply.null_array();
    }
    Ok(Outcome::Done)
}

pub(super) fn blmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key_count, end, count) = read_keys(args, 2)?;
    let keys = args.from(3).take(key_count);
    Pop::new(keys, end, Some(count)).attempt_or_wait(ctx, args, args.at(1))
}
