//! When fields end: set, lifted, asked for.
//!
//! Replies have a number for each field: -2 without such a field, and what the command says of one. Source: the pages of HEXPIRE, HTTL,
//! HPERSIST of Redis 7.4. A time that is set is `HPEXPIREAT` as effect, one that has passed `HDEL`.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::hash_of;

/// No such field, or no such key.
const NO_FIELD: i64 = -2;
/// The field does not end.
const NO_END: i64 = -1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

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

    /// Whether an end at `new_ms` may replace the present one. A field without one counts as ending last of all.
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

/// The fields of `FIELDS count field …`, which stands from argument `at` to the end.
fn fields<'a>(
    args: &Args<'a>,
    at: usize,
) -> Result<impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a>, CommandError> {
    if !args::is(args.at(at), "FIELDS") {
        return Err(error::FIELDS_MISSING);
    }
    let count = args::integer(args.at(at + 1))
        .filter(|count| *count > 0)
        .ok_or(error::NUMFIELDS_NOT_POSITIVE)?;
    let fields = args.from(at + 2);
    if usize::try_from(count) != Ok(fields.len()) {
        return Err(error::NUMFIELDS_MISMATCH);
    }
    Ok(fields)
}

pub(super) fn hexpire(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    expire_at(ctx, args, now_ms, Unit::Seconds)
}

pub(super) fn hpexpire(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    expire_at(ctx, args, now_ms, Unit::Milliseconds)
}

pub(super) fn hexpireat(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, 0, Unit::Seconds)
}

pub(super) fn hpexpireat(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, 0, Unit::Milliseconds)
}

/// The time of argument 2 in Unix ms, counted from `base_ms`.
fn requested_ms(
    ctx: &Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<u64, CommandError> {
    let number = args::required_integer(args.at(2))?;
    let number = u64::try_from(number).map_err(|_| error::FIELD_TIME_NEGATIVE)?;
    let ms = match unit {
        Unit::Seconds => number.checked_mul(1000),
        Unit::Milliseconds => Some(number),
    };
    ms.and_then(|ms| ms.checked_add(base_ms))
        .filter(|ms| i64::try_from(*ms).is_ok())
        .ok_or_else(|| error::invalid_expire_time(&ctx.row.full_name))
}

/// `base_ms`: what the time in the arguments is counted from, Unix ms.
fn expire_at(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let at_ms = requested_ms(ctx, args, base_ms, unit)?;
    let condition = Condition::named(args.at(3));
    let fields = fields(args, if condition.is_some() { 4 } else { 3 })?;
    let condition = condition.unwrap_or(Condition::Always);
    let now_ms = ctx.now_ms();
    let mut handle = ctx.space.write(args.at(1));
    hash_of(handle.entry())?;
    // A replay sets what has passed since: the fields' removal follows. Zero is no time.
    let has_passed = at_ms <= now_ms && (!handle.is_replaying() || at_ms == 0);
    let (mut set, mut removed): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    ctx.reply.array(fields.len());
    let reply = &mut *ctx.reply;
    handle.change(|value| {
        let hash = match value {
            Some(Value::Hash(hash)) => Some(hash),
            _ => None,
        };
        let Some(hash) = hash else {
            fields.for_each(|_| reply.integer(NO_FIELD));
            return 0;
        };
        for field in fields {
            if !hash.contains(field) {
                reply.integer(NO_FIELD);
            } else if !condition.allows(hash.end_of(field), at_ms) {
                reply.integer(0);
            } else if has_passed {
                hash.remove(field);
                removed.push(field);
                reply.integer(2);
            } else {
                hash.set_end(field, Some(at_ms));
                set.push(field);
                reply.integer(1);
            }
        }
        set.len() + removed.len()
    });
    report_set(&mut handle, at_ms, &set);
    report_removed(&mut handle, &removed);
    if set.len() + removed.len() > 0 {
        handle.touched();
    }
    Ok(Outcome::Done)
}

/// Tells of fields that end now. The handle must be told that it was touched by the caller, as in [`report_removed`].
pub(super) fn report_set(handle: &mut KeyHandle<'_>, at_ms: u64, set: &[&[u8]]) {
    if set.is_empty() {
        return;
    }
    let key = handle.key();
    handle.fields_end();
    handle.effect_of(set.len(), |effect| {
        effect.arg("HPEXPIREAT").arg(key).integer(at_ms as i64);
        effect.arg("FIELDS").integer(set.len() as i64);
        effect.args(set.iter().copied());
    });
    handle.event(EventClass::HASH, "hexpire");
}

/// Tells of fields that were taken out: their time had passed when it was set, or HGETDEL gave them away.
pub(super) fn report_removed(handle: &mut KeyHandle<'_>, removed: &[&[u8]]) {
    if removed.is_empty() {
        return;
    }
    let key = handle.key();
    handle.fields_end();
    handle.event(EventClass::HASH, "hdel");
    if matches!(handle.value(), Some(Value::Hash(hash)) if hash.is_empty()) {
        handle.remove();
        handle.event(EventClass::GENERIC, "del");
    }
    handle.effect_of(removed.len(), |effect| {
        effect.arg("HDEL").arg(key).args(removed.iter().copied());
    });
}

pub(super) fn hpersist(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let fields = fields(args, 2)?;
    let mut handle = ctx.space.write(args.at(1));
    hash_of(handle.entry())?;
    let mut lifted: Vec<&[u8]> = Vec::new();
    ctx.reply.array(fields.len());
    let reply = &mut *ctx.reply;
    handle.change(|value| {
        let Some(Value::Hash(hash)) = value else {
            fields.for_each(|_| reply.integer(NO_FIELD));
            return 0;
        };
        for field in fields {
            if !hash.contains(field) {
                reply.integer(NO_FIELD);
            } else if hash.end_of(field).is_none() {
                reply.integer(NO_END);
            } else {
                hash.set_end(field, None);
                lifted.push(field);
                reply.integer(1);
            }
        }
        lifted.len()
    });
    report_lifted(&mut handle, &lifted);
    if !lifted.is_empty() {
        handle.touched();
    }
    Ok(Outcome::Done)
}

/// Tells of fields that do not end any more.
pub(super) fn report_lifted(handle: &mut KeyHandle<'_>, lifted: &[&[u8]]) {
    if lifted.is_empty() {
        return;
    }
    let key = handle.key();
    handle.fields_end();
    handle.effect_of(lifted.len(), |effect| {
        effect.arg("HPERSIST").arg(key).arg("FIELDS");
        effect.integer(lifted.len() as i64);
        effect.args(lifted.iter().copied());
    });
    handle.event(EventClass::HASH, "hpersist");
}

pub(super) fn httl(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    tell(ctx, args, now_ms, Unit::Seconds)
}

pub(super) fn hpttl(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    tell(ctx, args, now_ms, Unit::Milliseconds)
}

pub(super) fn hexpiretime(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    tell(ctx, args, 0, Unit::Seconds)
}

pub(super) fn hpexpiretime(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    tell(ctx, args, 0, Unit::Milliseconds)
}

/// Replies the ends counted from `base_ms`.
fn tell(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    base_ms: u64,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let fields = fields(args, 2)?;
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    ctx.reply.array(fields.len());
    for field in fields {
        let hash = hash.filter(|hash| hash.contains(field));
        ctx.reply
            .integer(match hash.map(|hash| hash.end_of(field)) {
                None => NO_FIELD,
                Some(None) => NO_END,
                Some(Some(at)) => {
                    let ms = at.saturating_sub(base_ms);
                    match unit {
                        // Not to the nearest as TTL: a field is there for some of its last second.
                        Unit::Seconds => ms.div_ceil(1000) as i64,
                        Unit::Milliseconds => ms as i64,
                    }
                }
            });
    }
    Ok(Outcome::Done)
}
