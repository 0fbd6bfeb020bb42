//! SADD, SREM, SMOVE: changes of sets by name.

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::data::set::{Set, SetLimits};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::{KeyHandle, Report};
use crate::resp::arguments::Args;

use super::{finish_removal, limits, set_in};

/// What SADD did to a set.
#[derive(Clone, Copy, Default)]
pub(super) struct Added {
    pub(super) count: usize,
    /// Redis changes the form for so many arguments also when all are members already. The command itself is the effect
    /// then: replayed, it does the same.
    is_encoded_anew: bool,
}

impl Report for Added {
    fn is_change(&self) -> bool {
        self.count > 0 || self.is_encoded_anew
    }
}

pub(super) fn sadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let limits = limits(ctx);
    let mut handle = ctx.space.write(args.at(1));
    set_in(handle.value())?;
    let added = add(&mut handle, args.from(2), &limits);
    if added.count > 0 {
        handle.touched();
    }
    if added.is_change() {
        handle.effect_of(added.count, |effect| {
            effect.args(args.iter());
        });
    }
    ctx.reply.count(added.count);
    Ok(Outcome::Done)
}

/// Adds members, to a new set where there is no key, and tells of it by the event; effect and touch are the caller's.
pub(super) fn add<'a>(
    handle: &mut KeyHandle<'_>,
    mut members: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    limits: &SetLimits,
) -> Added {
    let count = members.len();
    if !handle.exists() {
        let first = members.clone().next().unwrap_or_default();
        handle.insert(Value::Set(Set::for_member(first, count, limits)));
    }
    let added = handle.change(|value| match value {
        Some(Value::Set(set)) => {
            let before = set.encoding();
            set.before_adding(count, limits);
            Added {
                count: members
                    .by_ref()
                    .filter(|member| set.add(member, limits))
                    .count(),
                is_encoded_anew: set.encoding() != before,
            }
        }
        _ => Added::default(),
    });
    if added.count > 0 {
        handle.event(EventClass::SET, "sadd");
    }
    added
}

pub(super) fn srem(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    if set_in(handle.value())?.is_none() {
        ctx.reply.count(0);
        return Ok(Outcome::Done);
    }
    let removed = handle.change(|value| match value {
        Some(Value::Set(set)) => args.from(2).filter(|member| set.remove(member)).count(),
        _ => 0,
    });
    if removed > 0 {
        finish_removal(&mut handle, "srem");
        handle.effect_of(removed, |effect| {
            effect.args(args.iter());
        });
    }
    ctx.reply.count(removed);
    Ok(Outcome::Done)
}

/// Redis: one change, and one more when the destination did not have the member.
pub(super) fn smove(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (source, destination, member) = (args.at(1), args.at(2), args.at(3));
    let limits = limits(ctx);
    let has_source = ctx.space.write(source).exists();
    // Redis looks both up before it looks at types.
    let has_destination = ctx.space.write(destination).exists();
    if !has_source {
        ctx.reply.count(0);
        return Ok(Outcome::Done);
    }
    let is_member =
        set_in(ctx.space.write(source).value())?.is_some_and(|set| set.contains(member));
    set_in(ctx.space.write(destination).value())?;
    if source == destination || !is_member {
        ctx.reply.count(usize::from(is_member));
        return Ok(Outcome::Done);
    }
    let mut handle = ctx.space.write(source);
    if let Some(Value::Set(set)) = handle.value_mut() {
        set.remove(member);
    }
    finish_removal(&mut handle, "srem");
    handle.covered();
    drop(handle);

    let mut handle = ctx.space.write(destination);
    if !has_destination {
        handle.insert(Value::Set(Set::for_member(member, 1, &limits)));
    }
    let is_new = handle.change(|value| match value {
        Some(Value::Set(set)) => set.add(member, &limits),
        _ => false,
    });
    if is_new {
        handle.touched();
        handle.event(EventClass::SET, "sadd");
    }
    handle.effect_of(1 + usize::from(is_new), |effect| {
        effect.args(args.iter());
    });
    ctx.reply.count(1);
    Ok(Outcome::Done)
}
