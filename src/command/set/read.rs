//! SCARD, SISMEMBER, SMISMEMBER, SMEMBERS, SSCAN: what a set holds.

use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::element_scan::ElementScan;
use crate::command::error::CommandError;
use crate::data::members::MembersShare;
use crate::data::set::Set;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::set_of;

pub(super) fn scard(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply.count(set.map_or(0, Set::len));
    Ok(Outcome::Done)
}

pub(super) fn sismember(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    let is_member = set.is_some_and(|set| set.contains(args.at(2)));
    ctx.reply.count(usize::from(is_member));
    Ok(Outcome::Done)
}

pub(super) fn smismember(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        let is_member = set.is_some_and(|set| set.contains(member));
        ctx.reply.count(usize::from(is_member));
    }
    Ok(Outcome::Done)
}

pub(super) fn smembers(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match set_of(ctx.space.read(args.at(1)))? {
        Some(set) => reply_all(ctx.reply, set),
        None => ctx.reply.set(0),
    }
    Ok(Outcome::Done)
}

/// All members; those of a large set leave in slices.
pub(super) fn reply_all(reply: &mut Reply, set: &Set) {
    reply.set(set.len());
    reply_members(reply, set);
}

/// The members behind the head of a reply.
pub(super) fn reply_members(reply: &mut Reply, set: &Set) {
    match set.share() {
        Some(share) if reply.slice_end() != usize::MAX && !set.is_empty() => {
            let left = set.len();
            reply.rest(Box::new(Rest { share, left }));
        }
        _ => set.iter().for_each(|member| reply_element(reply, member)),
    }
}

/// Members that were not sent yet.
struct Rest {
    share: MembersShare,
    left: usize,
}

impl Elements for Rest {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let left = &mut self.left;
        self.share.read(&mut |member, _| {
            reply.bulk(member);
            *left -= 1;
            reply.len() >= end
        });
    }

    fn left(&self) -> usize {
        self.left
    }
}

pub(super) fn sscan(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let cursor = ElementScan::cursor(args)?;
    let Some(set) = set_of(ctx.space.read(args.at(1)))? else {
        ElementScan::reply_nothing(ctx.reply);
        return Ok(Outcome::Done);
    };
    let scan = ElementScan::read(args)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, scan.count(), &mut |member| {
        let member = member.to_vec();
        if scan.wants(&member) {
            found.push(member);
        }
    });
    ElementScan::reply_head(ctx.reply, next, found.len());
    for member in found {
        ctx.reply.bulk(&member);
    }
    Ok(Outcome::Done)
}
