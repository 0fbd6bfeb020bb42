//! ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX.

use std::ops::Range;

use crate::command::args::required_integer;
use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::data::sorted_set::SortedSet;
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::resp::arguments::Args;

use super::{interval, remove_ranks, set_in, set_in_mut};

pub(super) fn zrem(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    if set_in(handle.value())?.is_none() {
        ctx.reply.count(0);
        return Ok(Outcome::Done);
    }
    let removed = remove_members(&mut handle, args.from(2))?;
    ctx.reply.count(removed);
    if removed > 0 {
        handle.effect_of(removed, |effect| {
            effect.args(args.iter());
        });
    }
    Ok(Outcome::Done)
}

/// Takes members out of a sorted set and tells of it; gives how many there were. The last of them take the key along. The effect
/// is the caller's.
pub(super) fn remove_members<'m>(
    handle: &mut KeyHandle<'_>,
    members: impl Iterator<Item = &'m [u8]>,
) -> Result<usize, CommandError> {
    let removed = handle.change(|value| {
        let set = set_in_mut(value)?;
        Ok::<_, CommandError>(members.filter(|member| set.remove(member)).count())
    })?;
    if removed == 0 {
        return Ok(0);
    }
    let is_empty = set_in(handle.value())?.is_some_and(SortedSet::is_empty);
    if is_empty {
        handle.remove();
    }
    handle.event(EventClass::SORTED_SET, "zrem");
    if is_empty {
        handle.event(EventClass::GENERIC, "del");
    }
    handle.touched();
    Ok(removed)
}

pub(super) fn zremrangebyrank(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let (start, stop) = (required_integer(args.at(2))?, required_integer(args.at(3))?);
    remove(ctx, args, "zremrangebyrank", |set| {
        interval::ranks(start, stop, set.len())
    })
}

pub(super) fn zremrangebyscore(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let range = interval::scores(args.at(2), args.at(3))?;
    remove(ctx, args, "zremrangebyscore", |set| {
        set.ranks_by_score(&range)
    })
}

pub(super) fn zremrangebylex(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let range = interval::members(args.at(2), args.at(3))?;
    remove(ctx, args, "zremrangebylex", |set| {
        set.ranks_by_member(&range)
    })
}

fn remove(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    event: &'static str,
    which: impl FnOnce(&SortedSet) -> Range<usize>,
) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    let set = set_in(handle.value())?;
    let ranks = set.map_or(0..0, which);
    let removed = ranks.len();
    ctx.reply.count(removed);
    if removed == 0 {
        return Ok(Outcome::Done);
    }
    // Where scores differ, which members lie between two is for the form of the set to say: a replay may have another.
    let by_name = event == "zremrangebylex" && set.is_some_and(|set| !set.has_one_score());
    let named: Vec<Vec<u8>> = match set.filter(|_| by_name) {
        Some(set) => {
            let members = set.range(ranks.clone());
            members.map(|(member, _)| member.to_vec()).collect()
        }
        None => Vec::new(),
    };
    remove_ranks(&mut handle, ranks, event)?;
    handle.effect_of(removed, |effect| {
        if by_name {
            effect.arg("ZREM").arg(args.at(1));
            effect.args(named.iter().map(|member| &**member));
        } else {
            effect.args(args.iter());
        }
    });
    Ok(Outcome::Done)
}
