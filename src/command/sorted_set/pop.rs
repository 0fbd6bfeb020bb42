//! ZPOPMIN, ZPOPMAX, ZMPOP, BZPOPMIN, BZPOPMAX, BZMPOP: members from an end, now or later.
//!
//! A blocking command first tries all its keys in their order; only then it waits. When it runs again for a key that has
//! become ready it does the same over the keys in hand.

use crate::command::args::{counted_pop, non_negative, timeout_seconds};
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::data::listpack::Element;
use crate::data::sorted_set::SortedSet;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::replies::{Style, Told, reply_range, write_score};
use super::{End, remove_ranks, set_in};

impl End {
    /// The name of a pop at it, as event; its upper case is the command.
    pub(super) fn pop_event(self) -> &'static str {
        match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        }
    }

    /// The members that a pop takes.
    pub(super) fn told(self, set: &SortedSet, count: usize) -> Told {
        let len = set.len();
        let count = count.min(len);
        match self {
            Self::Min => Told {
                ranks: 0..count,
                is_backward: false,
            },
            Self::Max => Told {
                ranks: len - count..len,
                is_backward: true,
            },
        }
    }
}

/// A member and its score side by side.
fn write_pair(reply: &mut Reply, member: Element<'_>, score: f64) {
    reply_element(reply, member);
    write_score(reply, score);
}

pub(super) fn zpopmin(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop(ctx, args, End::Min)
}

pub(super) fn zpopmax(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop(ctx, args, End::Max)
}

fn pop(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> Result<Outcome, CommandError> {
    if args.len() > 3 {
        return Err(error::SYNTAX);
    }
    let count = args.get(2).map(non_negative).transpose()?;
    let mut handle = ctx.space.write(args.at(1));
    let wanted = count.map_or(1, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let Some(set) = set_in(handle.value())?.filter(|_| wanted > 0) else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let told = end.told(set, wanted);
    let removed = told.ranks.len();
    match count {
        None => {
            ctx.reply.array(2);
            told.for_each(set, |member, score| {
                write_pair(ctx.reply, member, score);
            });
        }
        Some(_) => {
            let style = Style::of(ctx.reply, true);
            reply_range(ctx.reply, set, told.clone(), style);
        }
    }
    remove_ranks(&mut handle, told.ranks, end.pop_event())?;
    handle.effect_of(removed, |effect| {
        effect.args(args.iter());
    });
    Ok(Outcome::Done)
}

/// Which keys to try, and what to take.
struct Pop<K> {
    keys: K,
    end: End,
    /// `None`: one member beside its key; else up to so many as an array.
    count: Option<usize>,
}

impl<'a, K: Iterator<Item = &'a [u8]> + Clone> Pop<K> {
    /// Takes from the first key that has a sorted set; false when none has, and nothing is replied.
    fn attempt(&self, ctx: &mut Context<'_>) -> Result<bool, CommandError> {
        for key in self.keys.clone() {
            if ctx.resumed && !ctx.space.holds(key) {
                continue;
            }
            let mut handle = ctx.space.write(key);
            let Some(set) = set_in(handle.value())? else {
                continue;
            };
            let told = self.end.told(set, self.count.unwrap_or(1));
            let removed = told.ranks.len();
            ctx.reply.array(if self.count.is_some() { 2 } else { 3 });
            ctx.reply.bulk(key);
            if self.count.is_some() {
                ctx.reply.array(removed);
            }
            told.for_each(set, |member, score| {
                if self.count.is_some() {
                    ctx.reply.array(2);
                }
                write_pair(ctx.reply, member, score);
            });
            remove_ranks(&mut handle, told.ranks, self.end.pop_event())?;
            handle.effect_of(removed, |effect| {
                effect
                    .arg(self.end.pop_event().to_ascii_uppercase())
                    .arg(key);
                if self.count.is_some() {
                    effect.integer(removed as i64);
                }
            });
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
            kind: WaitKind::SortedSet,
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

pub(super) fn bzpopmin(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop_one(ctx, args, End::Min)
}

pub(super) fn bzpopmax(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    pop_one(ctx, args, End::Max)
}

fn pop_one(ctx: &mut Context<'_>, args: &Args<'_>, end: End) -> Result<Outcome, CommandError> {
    let last = args.len() - 1;
    let pop = Pop {
        keys: args.from(1).take(last - 1),
        end,
        count: None,
    };
    pop.attempt_or_wait(ctx, args, args.at(last))
}

/// The keys, the end and the count that stand from argument `at` on.
fn read_keys(args: &Args<'_>, at: usize) -> Result<(usize, End, usize), CommandError> {
    let pop = counted_pop(args, at, ["min", "max"])?;
    Ok((pop.key_count, [End::Min, End::Max][pop.end], pop.count))
}

pub(super) fn zmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key_count, end, count) = read_keys(args, 1)?;
    let pop = Pop {
        keys: args.from(2).take(key_count),
        end,
        count: Some(count),
    };
    if !pop.attempt(ctx)? {
        ctx.reply.null_array();
    }
    Ok(Outcome::Done)
}

pub(super) fn bzmpop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key_count, end, count) = read_keys(args, 2)?;
    let pop = Pop {
        keys: args.from(3).take(key_count),
        end,
        count: Some(count),
    };
    pop.attempt_or_wait(ctx, args, args.at(1))
}
