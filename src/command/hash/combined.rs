//! HGETEX, HSETEX, HGETDEL: fields read or set, and ended or removed with it.
//!
//! Source: their pages, of Redis 8.0. Effects are those of the parts: `HSET`, `HPEXPIREAT`, `HPERSIST`, `HDEL`.

use crate::command::args::{self, Cursor};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::expiry_option::RequestedExpiry;
use crate::data::hash::{Hash, OldEnd};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::expiry::{report_lifted, report_removed, report_set};
use super::{hash_of, hash_to_set, reply_value};

/// Which fields must be there for any to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// FNX: none.
    None,
    /// FXX: all.
    All,
}

/// The arguments, in any order.
#[derive(Default)]
struct Request<'a> {
    presence: Option<Presence>,
    expiry: Option<RequestedExpiry<'a>>,
    /// PERSIST of HGETEX, KEEPTTL of HSETEX.
    other_end: bool,
    /// Fields, or fields and values in turn.
    texts: Vec<&'a [u8]>,
}

/// What of it a command has.
struct Grammar {
    /// FNX and FXX.
    has_presence: bool,
    /// The word for no time.
    other_end: Option<&'static str>,
    /// Of two times.
    two_times: CommandError,
    /// Texts of a field: itself, and its value.
    step: usize,
}

impl<'a> Request<'a> {
    fn read(args: &Args<'a>, grammar: &Grammar) -> Result<Self, CommandError> {
        let mut request = Self::default();
        let mut rest = Cursor::new(args, 2);
        while rest.left() > 0 {
            let presence = if grammar.has_presence && rest.keyword("FNX") {
                Some(Presence::None)
            } else if grammar.has_presence && rest.keyword("FXX") {
                Some(Presence::All)
            } else {
                None
            };
            if presence.is_some() {
                if request.presence.is_some() {
                    return Err(error::FIELD_CONDITIONS);
                }
                request.presence = presence;
                continue;
            }
            let has_time = request.expiry.is_some() || request.other_end;
            if grammar.other_end.is_some_and(|word| rest.keyword(word)) {
                request.other_end = true;
            } else if let Some(expiry) = RequestedExpiry::read_next(&mut rest) {
                request.expiry = Some(expiry);
            } else if request.texts.is_empty() && rest.keyword("FIELDS") {
                request.read_fields(&mut rest, grammar.step)?;
                continue;
            } else if request.texts.is_empty() {
                return Err(error::FIELDS_MISSING);
            } else {
                return Err(error::NUMFIELDS_MISMATCH);
            }
            if has_time {
                return Err(grammar.two_times.clone());
            }
        }
        if request.texts.is_empty() {
            return Err(error::FIELDS_MISSING);
        }
        Ok(request)
    }

    fn read_fields(&mut self, rest: &mut Cursor<'a, '_>, step: usize) -> Result<(), CommandError> {
        let count = args::integer(rest.value()?).filter(|count| *count > 0);
        let count = count.ok_or(error::NUMFIELDS_NOT_POSITIVE)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count.saturating_mul(step) > rest.left() {
            return Err(error::NUMFIELDS_MISMATCH);
        }
        self.texts = rest.by_ref().take(count * step).collect();
        Ok(())
    }

    /// The time asked for, Unix ms.
    fn at_ms(&self, ctx: &Context<'_>) -> Result<Option<u64>, CommandError> {
        let name = &ctx.row.full_name;
        let now_ms = ctx.now_ms();
        let at_ms = |expiry: &RequestedExpiry<'_>| expiry.at_ms(now_ms, name);
        self.expiry.as_ref().map(at_ms).transpose()
    }
}

/// Whether fields that end then are gone at once: a replay leaves their removal to the effect that follows.
fn has_passed(handle: &KeyHandle<'_>, at_ms: u64, now_ms: u64) -> bool {
    at_ms <= now_ms && !handle.is_replaying()
}

/// Takes fields out that are there.
fn remove_all<'a>(hash: &mut Hash, fields: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut removed = fields.to_vec();
    removed.retain(|field| hash.remove(field));
    removed
}

pub(super) fn hgetdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        has_presence: false,
        other_end: None,
        two_times: error::SYNTAX,
        step: 1,
    };
    let request = Request::read(args, &grammar)?;
    if request.expiry.is_some() {
        return Err(error::FIELDS_MISSING);
    }
    reply_values(ctx, args.at(1), &request.texts)?;
    let mut handle = ctx.space.write(args.at(1));
    let mut removed = Vec::new();
    handle.change(|value| {
        if let Some(Value::Hash(hash)) = value {
            removed = remove_all(hash, &request.texts);
        }
        removed.len()
    });
    report_removed(&mut handle, &removed);
    if !removed.is_empty() {
        handle.touched();
    }
    Ok(Outcome::Done)
}

/// Replies the values of fields; without a hash they are null.
fn reply_values(ctx: &mut Context<'_>, key: &[u8], fields: &[&[u8]]) -> Result<(), CommandError> {
    let hash = hash_of(ctx.space.read(key))?;
    ctx.reply.array(fields.len());
    for field in fields {
        reply_value(ctx.reply, hash, field);
    }
    Ok(())
}

pub(super) fn hgetex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        has_presence: false,
        other_end: Some("PERSIST"),
        two_times: error::HGETEX_TIMES,
        step: 1,
    };
    let request = Request::read(args, &grammar)?;
    let (at_ms, now_ms) = (request.at_ms(ctx)?, ctx.now_ms());
    reply_values(ctx, args.at(1), &request.texts)?;
    let mut handle = ctx.space.write(args.at(1));
    let passed = at_ms.is_some_and(|at| has_passed(&handle, at, now_ms));
    let (mut set, mut lifted, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    handle.change(|value| {
        let Some(Value::Hash(hash)) = value else {
            return 0;
        };
        if passed {
            removed = remove_all(hash, &request.texts);
            return removed.len();
        }
        for field in &request.texts {
            if !hash.contains(field) {
                continue;
            }
            if at_ms.is_some() {
                hash.set_end(field, at_ms);
                set.push(*field);
            } else if request.other_end && hash.end_of(field).is_some() {
                hash.set_end(field, None);
                lifted.push(*field);
            }
        }
        set.len() + lifted.len()
    });
    report_set(&mut handle, at_ms.unwrap_or(0), &set);
    report_lifted(&mut handle, &lifted);
    report_removed(&mut handle, &removed);
    if set.len() + lifted.len() + removed.len() > 0 {
        handle.touched();
    }
    Ok(Outcome::Done)
}

pub(super) fn hsetex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        has_presence: true,
        other_end: Some("KEEPTTL"),
        two_times: error::HSETEX_TIMES,
        step: 2,
    };
    let request = Request::read(args, &grammar)?;
    let (at_ms, now_ms, limits) = (request.at_ms(ctx)?, ctx.now_ms(), ctx.settings.hash_limits);
    let mut handle = ctx.space.write(args.at(1));
    let hash = hash_of(handle.entry())?;
    let fields: Vec<&[u8]> = request.texts.iter().copied().step_by(2).collect();
    let mut are_there = fields
        .iter()
        .map(|field| hash.is_some_and(|hash| hash.contains(field)));
    let may_set = match request.presence {
        None => true,
        Some(Presence::None) => !are_there.any(|is_there| is_there),
        Some(Presence::All) => are_there.all(|is_there| is_there),
    };
    ctx.reply.integer(i64::from(may_set));
    if !may_set {
        return Ok(Outcome::Done);
    }
    let passed = at_ms.is_some_and(|at| has_passed(&handle, at, now_ms));
    let hash = hash_to_set(&mut handle)?;
    hash.before_setting(request.texts.iter().copied(), &limits);
    let old_end = match request.other_end {
        true => OldEnd::Keep,
        false => OldEnd::Lift,
    };
    let mut kept = Vec::new();
    for pair in request.texts.chunks_exact(2) {
        hash.set(pair[0], pair[1], old_end, &limits);
        if passed {
            continue;
        }
        if at_ms.is_some() {
            hash.set_end(pair[0], at_ms);
        } else if let Some(end) = hash.end_of(pair[0]) {
            kept.push((end, pair[0]));
        }
    }
    report_fields(&mut handle, &request.texts, &kept);
    let mut removed = Vec::new();
    if passed {
        handle.change(|value| {
            if let Some(Value::Hash(hash)) = value {
                removed = remove_all(hash, &fields);
            }
            removed.len()
        });
    } else if let Some(at) = at_ms {
        report_set(&mut handle, at, &fields);
    }
    report_removed(&mut handle, &removed);
    handle.touched();
    Ok(Outcome::Done)
}

/// Tells of fields that were set. `kept`: those that end as before, since HSET alone would let them stay.
fn report_fields(handle: &mut KeyHandle<'_>, texts: &[&[u8]], kept: &[(u64, &[u8])]) {
    let key = handle.key();
    handle.effect_of(texts.len() / 2, |effect| {
        effect.arg("HSET").arg(key).args(texts.iter().copied());
    });
    for (end, field) in kept {
        handle.effect_of(0, |effect| {
            effect.arg("HPEXPIREAT").arg(key).integer(*end as i64);
            effect.arg("FIELDS").integer(1).arg(field);
        });
    }
    handle.event(EventClass::HASH, "hset");
}
