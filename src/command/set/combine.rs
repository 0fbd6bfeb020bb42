//! SINTER, SUNION, SDIFF, what stores them, and what counts them: several sets.
//!
//! The form of what is stored follows Redis 7.2: an intersection has the form of the smallest set, or is one of integers; a union
//! or difference begins as one of integers.

use crate::command::args::{Cursor, integer, non_negative};
use crate::command::context::{Context, Outcome};
use crate::command::element::{self, reply_element};
use crate::command::error::{self, CommandError};
use crate::data::hyperloglog::{Registers, Trace};
use crate::data::listpack::Element;
use crate::data::set::{Set, SetLimits};
use crate::keyspace::Space;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::read::reply_all;
use super::{limits, set_of};

/// How sets are combined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Combination {
    Intersection,
    Union,
    Difference,
}

impl Combination {
    fn stored_event(self) -> &'static str {
        match self {
            Self::Intersection => "sinterstore",
            Self::Union => "sunionstore",
            Self::Difference => "sdiffstore",
        }
    }
}

pub(super) fn sinter(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    look_up(ctx, args, 1, args.len() - 1)?;
    let sets = Sets::of(&ctx.space, args, 1, args.len() - 1);
    let members: Vec<Element<'_>> = match sets.intersected() {
        Some(members) => members.collect(),
        None => Vec::new(),
    };
    ctx.reply.set(members.len());
    for member in members {
        reply_element(ctx.reply, member);
    }
    Ok(Outcome::Done)
}

pub(super) fn sunion(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply_combined(ctx, args, Combination::Union)
}

pub(super) fn sdiff(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply_combined(ctx, args, Combination::Difference)
}

fn reply_combined(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    combination: Combination,
) -> Result<Outcome, CommandError> {
    let limits = limits(ctx);
    look_up(ctx, args, 1, args.len() - 1)?;
    let combined = Sets::of(&ctx.space, args, 1, args.len() - 1).combined(combination, &limits);
    reply_all(ctx.reply, &combined);
    Ok(Outcome::Done)
}

pub(super) fn sinterstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    store(ctx, args, Combination::Intersection)
}

pub(super) fn sunionstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    store(ctx, args, Combination::Union)
}

pub(super) fn sdiffstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    store(ctx, args, Combination::Difference)
}

fn store(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    combination: Combination,
) -> Result<Outcome, CommandError> {
    let limits = limits(ctx);
    look_up(ctx, args, 2, args.len() - 2)?;
    let combined = Sets::of(&ctx.space, args, 2, args.len() - 2).combined(combination, &limits);
    let count = combined.len();
    let mut handle = ctx.space.write(args.at(1));
    let made = (count > 0).then_some(Value::Set(combined));
    let event = combination.stored_event();
    if element::store(&mut handle, made, EventClass::SET, event) {
        handle.effect(|effect| {
            effect.args(args.iter());
        });
    }
    ctx.reply.count(count);
    Ok(Outcome::Done)
}

pub(super) fn sintercard(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    count(ctx, args, Combination::Intersection)
}

pub(super) fn sunioncard(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    count(ctx, args, Combination::Union)
}

pub(super) fn sdiffcard(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    count(ctx, args, Combination::Difference)
}

/// Counts the members of a combination, up to LIMIT; APPROX, of a union, estimates them.
fn count(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    combination: Combination,
) -> Result<Outcome, CommandError> {
    let count = integer(args.at(1)).filter(|count| *count > 0);
    let count = count.ok_or(error::NUMKEYS_NOT_POSITIVE)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > args.len() - 2 {
        return Err(error::NUMKEYS_TOO_MANY);
    }
    let (mut limit, mut is_estimate) = (0, false);
    let mut rest = Cursor::new(args, 2 + count);
    while rest.left() > 0 {
        if combination == Combination::Union && rest.keyword("APPROX") {
            is_estimate = true;
        } else if rest.left() < 2 || !rest.keyword("LIMIT") {
            return Err(error::SYNTAX);
        } else {
            limit = non_negative(rest.value()?).map_err(|_| error::MEMBER_LIMIT_NEGATIVE)?;
        }
    }
    look_up(ctx, args, 2, count)?;
    let sets = Sets::of(&ctx.space, args, 2, count);
    let limit = match limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let found = match combination {
        Combination::Intersection => sets
            .intersected()
            .map_or(0, |members| members.take(limit).count()),
        Combination::Union if is_estimate => sets.estimated_union().min(limit),
        Combination::Union => sets.count_union(limit),
        Combination::Difference => sets.left_over().take(limit).count(),
    };
    ctx.reply.count(found);
    Ok(Outcome::Done)
}

/// Looks the keys up, in order, and their types.
fn look_up(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    from: usize,
    count: usize,
) -> Result<(), CommandError> {
    for key in args.from(from).take(count) {
        set_of(ctx.space.read(key))?;
    }
    Ok(())
}

/// The sets of a command, in order; `None`: no such key.
struct Sets<'s>(Vec<Option<&'s Set>>);

impl<'s> Sets<'s> {
    /// Of keys that were looked up.
    fn of(space: &'s Space<'_>, args: &Args<'_>, from: usize, count: usize) -> Self {
        let keys = args.from(from).take(count);
        Self(
            keys.map(|key| match space.view(key).map(|entry| &entry.value) {
                Some(Value::Set(set)) => Some(set),
                _ => None,
            })
            .collect(),
        )
    }

    /// The sets from the smallest on; `None` when one of them is empty.
    fn by_size(&self) -> Option<Vec<&'s Set>> {
        let mut sets: Vec<&Set> = self.0.iter().copied().collect::<Option<_>>()?;
        sets.sort_by_key(|set| set.len());
        Some(sets)
    }

    /// The members that all have, in the order of the smallest; `None` when there can be none.
    fn intersected(&self) -> Option<impl Iterator<Item = Element<'s>>> {
        let sets = self.by_size()?;
        let first = *sets.first()?;
        Some(first.iter().filter(move |member| {
            let others = sets.iter().skip(1);
            others
                .filter(|set| !std::ptr::eq(**set, first))
                .all(|set| set.has_member(*member))
        }))
    }

    /// The members of the first that no other has, in its order.
    fn left_over(&self) -> impl Iterator<Item = Element<'s>> {
        let (first, others) = match self.0.split_first() {
            Some((first, others)) => (*first, others.iter().flatten().copied().collect()),
            None => (None, Vec::new()),
        };
        let members = first.into_iter().flat_map(Set::iter);
        members.filter(move |member| !others.iter().any(|set| set.has_member(*member)))
    }

    /// How many members any has, up to a limit: those of each set that no one before it has.
    fn count_union(&self, limit: usize) -> usize {
        let sets: Vec<&Set> = self.0.iter().flatten().copied().collect();
        let of_each = sets.iter().enumerate().flat_map(|(at, set)| {
            let before = &sets[..at];
            let is_new =
                move |member: &Element<'_>| !before.iter().any(|set| set.has_member(*member));
            set.iter().filter(is_new)
        });
        of_each.take(limit).count()
    }

    /// About how many members any has: to 0.81 %.
    fn estimated_union(&self) -> usize {
        let mut registers = Registers::default();
        for member in self.0.iter().flatten().flat_map(|set| set.iter()) {
            registers.add(Trace::of(member.as_bytes(&mut [0; 20])));
        }
        usize::try_from(registers.count()).unwrap_or(usize::MAX)
    }

    fn combined(&self, combination: Combination, limits: &SetLimits) -> Set {
        match combination {
            Combination::Intersection => self.intersection(limits),
            Combination::Union => self.union(limits),
            Combination::Difference => self.difference(limits),
        }
    }

    fn intersection(&self, limits: &SetLimits) -> Set {
        let smallest = self.by_size().and_then(|sets| sets.first().copied());
        let mut result = match smallest {
            Some(set) if set.is_of_integers() => Set::of_integers(),
            _ => Set::small(),
        };
        for member in self.intersected().into_iter().flatten() {
            result.add(member.as_bytes(&mut [0; 20]), limits);
        }
        result.with_integers_as_such(limits)
    }

    fn union(&self, limits: &SetLimits) -> Set {
        let mut result = Set::of_integers();
        for member in self.0.iter().flatten().flat_map(|set| set.iter()) {
            result.add(member.as_bytes(&mut [0; 20]), limits);
        }
        result
    }

    fn difference(&self, limits: &SetLimits) -> Set {
        let mut result = Set::of_integers();
        let Some((Some(first), others)) = self.0.split_first() else {
            return result;
        };
        let others: Vec<&Set> = others.iter().flatten().copied().collect();
        if others.iter().any(|set| std::ptr::eq(*set, *first)) {
            return result;
        }
        // Redis: whichever is less work, with some favour for the first way. The order of a small result shows which it was.
        let one_by_one = first.len() * (others.len() + 1) / 2;
        let all = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
        if one_by_one <= all {
            let mut others = others;
            others.sort_by_key(|set| std::cmp::Reverse(set.len()));
            let left = first
                .iter()
                .filter(|member| !others.iter().any(|set| set.has_member(*member)));
            for member in left {
                result.add(member.as_bytes(&mut [0; 20]), limits);
            }
            return result;
        }
        for member in first.iter() {
            result.add(member.as_bytes(&mut [0; 20]), limits);
        }
        for member in others.iter().flat_map(|set| set.iter()) {
            result.remove(member.as_bytes(&mut [0; 20]));
        }
        result
    }
}
