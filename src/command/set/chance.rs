//! SPOP, SRANDMEMBER: members by chance.

use std::collections::BTreeSet;

use crate::command::args::{non_negative, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::command::random::Random;
use crate::data::set::{Set, SetLimits};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::read::{reply_all, reply_members};
use super::{finish_removal, limits, set_in, set_of};

/// A set that loses this many times more members than it keeps is made anew of those it keeps, in Redis: that shows in its
/// encoding.
const MADE_ANEW_FROM: usize = 5;

pub(super) fn spop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match args.len() {
        2 => pop_one(ctx, args.at(1)),
        3 => pop_several(ctx, args.at(1), non_negative(args.at(2))?),
        _ => Err(error::SYNTAX),
    }
}

fn pop_one(ctx: &mut Context<'_>, key: &[u8]) -> Result<Outcome, CommandError> {
    let mut random = Random::new();
    let mut handle = ctx.space.write(key);
    if set_in(handle.value())?.is_none() {
        ctx.reply.null();
        return Ok(Outcome::Done);
    }
    let member = handle.change(|value| match value {
        Some(Value::Set(set)) => {
            let member = set.random(&mut || random.next())?.to_vec();
            set.remove(&member);
            Some(member)
        }
        _ => None,
    });
    let Some(member) = member else {
        ctx.reply.null();
        return Ok(Outcome::Done);
    };
    finish_removal(&mut handle, "spop");
    handle.effect(|effect| {
        effect.arg("SREM").arg(key).arg(&*member);
    });
    ctx.reply.bulk(&member);
    Ok(Outcome::Done)
}

fn pop_several(ctx: &mut Context<'_>, key: &[u8], count: u64) -> Result<Outcome, CommandError> {
    let limits = limits(ctx);
    let unlinks = ctx.settings.lazyfree.server_del;
    let mut handle = ctx.space.write(key);
    let Some(set) = set_in(handle.value())? else {
        ctx.reply.set(0);
        return Ok(Outcome::Done);
    };
    let size = set.len();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 0 {
        ctx.reply.set(0);
        return Ok(Outcome::Done);
    }
    if count >= size {
        reply_all(ctx.reply, set);
        handle.event(EventClass::SET, "spop");
        handle.remove();
        handle.event(EventClass::GENERIC, "del");
        handle.touched();
        handle.effect_of(size, |effect| {
            effect.arg(if unlinks { "UNLINK" } else { "DEL" }).arg(key);
        });
        return Ok(Outcome::Done);
    }
    handle.event(EventClass::SET, "spop");
    let taken = handle.change(|value| match value {
        Some(Value::Set(set)) => Some(take(set, count, &limits)),
        _ => None,
    });
    let taken = taken.unwrap_or_default();
    handle.touched();
    for batch in taken.chunks(PUSH_EFFECT_ELEMENTS_MAX) {
        handle.effect_of(batch.len(), |effect| {
            effect.arg("SREM").arg(key);
            batch.iter().for_each(|member| {
                effect.arg(&**member);
            });
        });
    }
    ctx.reply.set(taken.len());
    taken.iter().for_each(|member| ctx.reply.bulk(member));
    Ok(Outcome::Done)
}

/// Takes so many members out of a set that has more.
fn take(set: &mut Set, count: usize, limits: &SetLimits) -> Vec<Vec<u8>> {
    let mut random = Random::new();
    let mut pick = |set: &mut Set| {
        let member = set
            .random(&mut || random.next())
            .map(|member| member.to_vec());
        let member = member.unwrap_or_else(|| unreachable!("the set has more members"));
        set.remove(&member);
        member
    };
    let left = set.len() - count;
    if left * MADE_ANEW_FROM > count {
        return (0..count).map(|_| pick(set)).collect();
    }
    let mut kept = match set {
        Set::Integers(_) => Set::of_integers(),
        Set::Small(_) | Set::Large(_) => Set::small(),
    };
    for _ in 0..left {
        kept.add(&pick(set), limits);
    }
    let old = std::mem::replace(set, kept);
    old.iter().map(|member| member.to_vec()).collect()
}

pub(super) fn srandmember(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match args.len() {
        2 => {
            let mut random = Random::new();
            let set = set_of(ctx.space.read(args.at(1)))?;
            match set.and_then(|set| set.random(&mut || random.next())) {
                Some(member) => reply_element(ctx.reply, member),
                None => ctx.reply.null(),
            }
            Ok(Outcome::Done)
        }
        3 => several(ctx, args),
        _ => Err(error::SYNTAX),
    }
}

fn several(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let count = symmetric_integer(args.at(2))?;
    let Some(set) = set_of(ctx.space.read(args.at(1)))? else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        // The same member may come more than once: as many as were asked for, made while they are sent.
        ctx.reply.array(wanted);
        ctx.reply.rest(Box::new(Picks {
            set: set.clone(),
            random: Random::new(),
            left: wanted,
        }));
    } else if wanted >= set.len() {
        ctx.reply.array(set.len());
        reply_members(ctx.reply, set);
    } else {
        distinct(ctx.reply, set, wanted);
    }
    Ok(Outcome::Done)
}

/// Replies so many members, each once.
fn distinct(reply: &mut Reply, set: &Set, wanted: usize) {
    let mut random = Random::new();
    reply.array(wanted);
    if wanted * 3 > set.len() {
        // Nearly all of them: the first places of a shuffle.
        let mut members: Vec<_> = set.iter().collect();
        for at in 0..wanted {
            let other = at + random.below(members.len() - at);
            members.swap(at, other);
            reply_element(reply, members[at]);
        }
        return;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < wanted {
        if let Some(member) = set.random(&mut || random.next())
            && seen.insert(member.to_vec())
        {
            reply_element(reply, member);
        }
    }
}

/// Members by chance that were not sent yet, of the set as it was.
struct Picks {
    set: Set,
    random: Random,
    left: usize,
}

impl Elements for Picks {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        while self.left > 0 {
            let random = &mut self.random;
            if let Some(member) = self.set.random(&mut || random.next()) {
                reply_element(reply, member);
            }
            self.left -= 1;
            if reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.left
    }
}
