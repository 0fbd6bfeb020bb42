//! SPOP, SRANDMEMBER: members by chance.

use std::borrow::Borrow;

use crate::command::args::{non_negative, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::command::random::Random;
use crate::command::sample::{self, Choices, Pass, Pool};
use crate::data::ends::EndingElements;
use crate::data::members::MembersShare;
use crate::data::set::{Set, SetLimits};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

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
        let end = set.end_of(&member);
        set.remove(&member);
        (member, end)
    };
    let left = set.len() - count;
    if left * MADE_ANEW_FROM > count {
        return (0..count).map(|_| pick(set).0).collect();
    }
    let mut kept = match set.is_of_integers() {
        true => Set::of_integers(),
        false => Set::small(),
    };
    for _ in 0..left {
        let (member, end) = pick(set);
        kept.add(&member, limits);
        if end.is_some() {
            kept.set_end(&member, end);
        }
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
    let wanted = sample::wanted(count, set.len());
    ctx.reply.array(wanted);
    if count >= 0 && wanted == set.len() {
        reply_members(ctx.reply, set);
    } else {
        sample::write_chosen(ctx.reply, &Members(set), count);
    }
    Ok(Outcome::Done)
}

/// Members to choose from, of a set or of what it was.
struct Members<S>(S);

impl<S: Borrow<Set>> Choices for Members<S> {
    fn write_any(
        &self,
        random: &mut Random,
        is_wanted: &mut dyn FnMut(&[u8]) -> bool,
        reply: &mut Reply,
    ) -> bool {
        let found = self.0.borrow().random(&mut || random.next());
        let found = found.filter(|member| is_wanted(member.as_bytes(&mut [0; 20])));
        if let Some(member) = found {
            reply_element(reply, member);
        }
        found.is_some()
    }
}

impl Pool for Members<&Set> {
    type Kept = Members<Set>;
    type Passed = PassedMembers;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_large(&self) -> bool {
        self.0.is_large()
    }

    fn keep(&self) -> Members<Set> {
        Members(self.0.to_choose_from())
    }

    fn pass(&self) -> PassedMembers {
        match self.0.share() {
            Some(share) => PassedMembers::Shared(share),
            None => {
                let members: Vec<Vec<u8>> = self.0.iter().map(|member| member.to_vec()).collect();
                PassedMembers::Copied(members.into_iter())
            }
        }
    }
}

enum PassedMembers {
    Shared(MembersShare),
    /// Of a set that is not large.
    Copied(std::vec::IntoIter<Vec<u8>>),
}

impl Pass for PassedMembers {
    fn next(&mut self, mut reply: Option<&mut Reply>) {
        let mut write = |member: &[u8]| {
            if let Some(reply) = reply.as_deref_mut() {
                reply.bulk(member);
            }
        };
        match self {
            Self::Shared(share) => share.read(&mut |member, _| {
                write(member);
                true
            }),
            Self::Copied(members) => members.next().iter().for_each(|member| write(member)),
        }
    }
}
