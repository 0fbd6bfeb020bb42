//! Ends set, lifted, asked for.
//!
//! Replies have a number for each element: -2 without such an element or key, and what the command says of one.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::expiry_option::Unit;
use crate::data::ends::END_MS_MAX;
use crate::resp::arguments::Args;

use super::{Elements, elements_in, report_lifted, report_removed, report_set};

/// No such element, or no such key.
const NO_ELEMENT: i64 = -2;
/// The element does not end.
const NO_END: i64 = -1;

/// NX, XX, GT, LT: at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    WithoutEnd,
    WithEnd,
    Later,
    Earlier,
}

impl Condition {
    fn named(word: &[u8]) -> Option<Self> {
        [
            ("NX", Self::WithoutEnd),
            ("XX", Self::WithEnd),
            ("GT", Self::Later),
            ("LT", Self::Earlier),
        ]
        .into_iter()
        .find(|(name, _)| args::is(word, name))
        .map(|(_, condition)| condition)
    }

    /// Whether an end at `new_ms` may replace the present one. An element without one counts as ending last of all.
    fn allows(self, present_ms: Option<u64>, new_ms: u64) -> bool {
        match self {
            Self::Always => true,
            Self::WithoutEnd => present_ms.is_none(),
            Self::WithEnd => present_ms.is_some(),
            Self::Later => present_ms.is_some_and(|present| new_ms > present),
            Self::Earlier => present_ms.is_none_or(|present| new_ms < present),
        }
    }
}

/// The elements of `FIELDS count field …`, which stands from argument `at` to the end.
fn elements<'a, E: Elements>(
    args: &Args<'a>,
    at: usize,
) -> Result<impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a, E>, CommandError> {
    if !args::is(args.at(at), E::KIND.word) {
        return Err(E::KIND.word_missing);
    }
    let count = args::integer(args.at(at + 1))
        .filter(|count| *count > 0)
        .ok_or(E::KIND.count_not_positive)?;
    let elements = args.from(at + 2);
    if usize::try_from(count) != Ok(elements.len()) {
        return Err(E::KIND.count_mismatch);
    }
    Ok(elements)
}

/// HEXPIRE, SEXPIRE.
pub(crate) fn expire<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    expire_at::<E>(ctx, args, now_ms, Unit::Seconds)
}

/// HPEXPIRE, SPEXPIRE.
pub(crate) fn pexpire<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    expire_at::<E>(ctx, args, now_ms, Unit::Milliseconds)
}

/// HEXPIREAT, SEXPIREAT.
pub(crate) fn expireat<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    expire_at::<E>(ctx, args, 0, Unit::Seconds)
}

/// HPEXPIREAT, SPEXPIREAT.
pub(crate) fn pexpireat<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    expire_at::<E>(ctx, args, 0, Unit::Milliseconds)
}

/// The time of argument 2 in Unix ms, counted from `base_ms`.
fn requested_ms(
    ctx: &Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<u64, CommandError> {
    let number = args::required_integer(args.at(2))?;
    if number < 0 {
        return Err(error::ELEMENT_TIME_NEGATIVE);
    }
    unit.to_ms(number)
        .and_then(|ms| (ms as u64).checked_add(base_ms))
        .filter(|ms| *ms <= END_MS_MAX)
        .ok_or_else(|| error::invalid_expire_time(&ctx.row.full_name))
}

/// `base_ms`: what the time in the arguments is counted from, Unix ms.
fn expire_at<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let at_ms = requested_ms(ctx, args, base_ms, unit)?;
    let condition = Condition::named(args.at(3));
    let elements = elements::<E>(args, if condition.is_some() { 4 } else { 3 })?;
    let condition = condition.unwrap_or(Condition::Always);
    let now_ms = ctx.now_ms();
    let mut handle = ctx.space.write(args.at(1));
    elements_in::<E>(handle.value())?;
    // A replay sets what has passed since: the elements' removal follows. Zero is no time.
    let has_passed = at_ms <= now_ms && (!handle.is_replaying() || at_ms == 0);
    let (mut set, mut removed): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    ctx.reply.array(elements.len());
    let reply = &mut *ctx.reply;
    handle.change(|value| {
        let Some(value) = value.and_then(E::of_mut) else {
            elements.for_each(|_| reply.integer(NO_ELEMENT));
            return 0;
        };
        for element in elements {
            if !value.has(element) {
                reply.integer(NO_ELEMENT);
            } else if !condition.allows(value.end_of(element), at_ms) {
                reply.integer(0);
            } else if has_passed {
                value.remove(element);
                removed.push(element);
                reply.integer(2);
            } else {
                value.set_end(element, Some(at_ms));
                set.push(element);
                reply.integer(1);
            }
        }
        set.len() + removed.len()
    });
    report_set::<E>(&mut handle, at_ms, &set);
    report_removed::<E>(&mut handle, &removed);
    if set.len() + removed.len() > 0 {
        handle.touched();
    }
    Ok(Outcome::Done)
}

/// HPERSIST, SPERSIST.
pub(crate) fn persist<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let elements = elements::<E>(args, 2)?;
    let mut handle = ctx.space.write(args.at(1));
    elements_in::<E>(handle.value())?;
    let mut lifted: Vec<&[u8]> = Vec::new();
    ctx.reply.array(elements.len());
    let reply = &mut *ctx.reply;
    handle.change(|value| {
        let Some(value) = value.and_then(E::of_mut) else {
            elements.for_each(|_| reply.integer(NO_ELEMENT));
            return 0;
        };
        for element in elements {
            if !value.has(element) {
                reply.integer(NO_ELEMENT);
            } else if value.end_of(element).is_none() {
                reply.integer(NO_END);
            } else {
                value.set_end(element, None);
                lifted.push(element);
                reply.integer(1);
            }
        }
        lifted.len()
    });
    report_lifted::<E>(&mut handle, &lifted);
    if !lifted.is_empty() {
        handle.touched();
    }
    Ok(Outcome::Done)
}

/// HTTL, STTL.
pub(crate) fn ttl<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    tell::<E>(ctx, args, now_ms, Unit::Seconds)
}

/// HPTTL, SPTTL.
pub(crate) fn pttl<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    tell::<E>(ctx, args, now_ms, Unit::Milliseconds)
}

/// HEXPIRETIME, SEXPIRETIME.
pub(crate) fn expiretime<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    tell::<E>(ctx, args, 0, Unit::Seconds)
}

/// HPEXPIRETIME, SPEXPIRETIME.
pub(crate) fn pexpiretime<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    tell::<E>(ctx, args, 0, Unit::Milliseconds)
}

/// Replies the ends counted from `base_ms`.
fn tell<E: Elements>(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let elements = elements::<E>(args, 2)?;
    let entry = ctx.space.read(args.at(1));
    let value = elements_in::<E>(entry.map(|entry| &entry.value))?;
    ctx.reply.array(elements.len());
    for element in elements {
        let value = value.filter(|value| value.has(element));
        ctx.reply
            .integer(match value.map(|value| value.end_of(element)) {
                None => NO_ELEMENT,
                Some(None) => NO_END,
                Some(Some(at)) => {
                    let ms = at.saturating_sub(base_ms);
                    match unit {
                        // Not to the nearest as TTL: an element is there for some of its last second.
                        Unit::Seconds => ms.div_ceil(1000) as i64,
                        Unit::Milliseconds => ms as i64,
                    }
                }
            });
    }
    Ok(Outcome::Done)
}
