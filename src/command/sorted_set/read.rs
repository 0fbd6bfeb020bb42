//! ZCARD, ZSCORE, ZMSCORE, ZCOUNT, ZLEXCOUNT, ZRANK, ZREVRANK, ZSCAN: what a sorted set holds.

use crate::command::args::is;
use crate::command::context::{Context, Outcome};
use crate::command::element_scan::ElementScan;
use crate::command::error::{self, CommandError};
use crate::data::sorted_set::{ScoreText, SortedSet};
use crate::resp::arguments::Args;

use super::replies::write_score;
use super::{End, interval, set_of};

pub(super) fn zcard(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply.count(set.map_or(0, SortedSet::len));
    Ok(Outcome::Done)
}

pub(super) fn zscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    match set.and_then(|set| set.score(args.at(2))) {
        Some(score) => write_score(ctx.reply, score),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

pub(super) fn zmscore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_score(ctx.reply, score),
            None => ctx.reply.null(),
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn zcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let range = interval::scores(args.at(2), args.at(3))?;
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply
        .count(set.map_or(0, |set| set.ranks_by_score(&range).len()));
    Ok(Outcome::Done)
}

pub(super) fn zlexcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let range = interval::members(args.at(2), args.at(3))?;
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply
        .count(set.map_or(0, |set| set.ranks_by_member(&range).len()));
    Ok(Outcome::Done)
}

pub(super) fn zrank(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    rank(ctx, args, End::Min)
}

pub(super) fn zrevrank(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    rank(ctx, args, End::Max)
}

/// The rank counted from an end.
fn rank(ctx: &mut Context<'_>, args: &Args<'_>, from: End) -> Result<Outcome, CommandError> {
    let with_score = match args.len() {
        3 => false,
        4 if is(args.at(3), "withscore") => true,
        4 => return Err(error::SYNTAX),
        _ => return Err(error::wrong_arity(ctx.row.command.name)),
    };
    let set = set_of(ctx.space.read(args.at(1)))?;
    let found = set.and_then(|set| {
        let (rank, score) = set.rank(args.at(2))?;
        Some(match from {
            End::Min => (rank, score),
            End::Max => (set.len() - 1 - rank, score),
        })
    });
    match found {
        None if with_score => ctx.reply.null_array(),
        None => ctx.reply.null(),
        Some((rank, score)) => {
            if with_score {
                ctx.reply.array(2);
            }
            ctx.reply.count(rank);
            if with_score {
                write_score(ctx.reply, score);
            }
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn zscan(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let cursor = ElementScan::cursor(args)?;
    let Some(set) = set_of(ctx.space.read(args.at(1)))? else {
        ElementScan::reply_nothing(ctx.reply);
        return Ok(Outcome::Done);
    };
    let scan = ElementScan::read(args)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, scan.count(), &mut |member, score| {
        if scan.wants(member.as_bytes(&mut [0; 20])) {
            found.push((member.to_vec(), score));
        }
    });
    ElementScan::reply_head(ctx.reply, next, 2 * found.len());
    // Redis: scores as texts in both versions, and of a large set with all their digits.
    let is_small = set.encoding() == "listpack";
    for (member, score) in found {
        let score = if is_small {
            ScoreText::new(score)
        } else {
            ScoreText::with_all_digits(score)
        };
        ctx.reply.bulk(&member);
        ctx.reply.bulk(score.bytes());
    }
    Ok(Outcome::Done)
}
