//! ZRANGE, ZREVRANGE, ZRANGEBYSCORE, ZREVRANGEBYSCORE, ZRANGEBYLEX, ZREVRANGEBYLEX, ZRANGESTORE.

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::data::sorted_set::SortedSet;
use crate::resp::arguments::Args;

use super::query::{By, Grammar, Query};
use super::replies::{Style, reply_range};
use super::{set_of, store, store_by_name};

pub(super) fn zrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply(ctx, args, None, None)
}

pub(super) fn zrevrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply(ctx, args, Some(By::Rank), Some(true))
}

pub(super) fn zrangebyscore(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    reply(ctx, args, Some(By::Score), Some(false))
}

pub(super) fn zrevrangebyscore(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    reply(ctx, args, Some(By::Score), Some(true))
}

pub(super) fn zrangebylex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply(ctx, args, Some(By::Lex), Some(false))
}

pub(super) fn zrevrangebylex(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    reply(ctx, args, Some(By::Lex), Some(true))
}

fn reply(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    by: Option<By>,
    is_backward: Option<bool>,
) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        key_at: 1,
        by,
        is_backward,
        has_scores: true,
    };
    let query = Query::read(args, grammar)?;
    match set_of(ctx.space.read(args.at(1)))? {
        Some(set) => {
            let style = Style::of(ctx.reply, query.with_scores);
            reply_range(ctx.reply, set, query.of(set), style);
        }
        None => ctx.reply.array(0),
    }
    Ok(Outcome::Done)
}

pub(super) fn zrangestore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        key_at: 2,
        by: None,
        is_backward: None,
        has_scores: false,
    };
    let query = Query::read(args, grammar)?;
    let limits = ctx.settings.zset_limits;
    let mut stored = SortedSet::for_members(0, 0, &limits);
    let mut by_name = false;
    if let Some(set) = set_of(ctx.space.read(args.at(2)))? {
        // As ZREMRANGEBYLEX.
        by_name = query.is_of_members() && !set.has_one_score();
        let told = query.of(set);
        // Redis: how many there are is known beforehand of ranks only. A small set forgets the sign of a zero.
        if query.is_of_ranks() {
            stored = SortedSet::for_members(told.ranks.len(), 0, &limits);
        }
        told.for_each(set, |member, score| {
            stored.put(member.as_bytes(&mut [0; 20]), &limits, |_| Some(score));
        });
    }
    if by_name {
        store_by_name(ctx, args.at(1), stored, "zrangestore");
    } else {
        store(ctx, args, args.at(1), stored, "zrangestore");
    }
    Ok(Outcome::Done)
}
