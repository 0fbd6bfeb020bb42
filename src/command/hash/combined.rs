//! HGETEX, HSETEX, HGETDEL: fields read or set, and ended or removed with it.
//!
//! Source: their pages, of Redis 8.0. Effects are those of the parts: `HSET`, `HPEXPIREAT`, `HPERSIST`, `HDEL`.

use crate::command::context::{Context, Outcome};
use crate::command::element_expiry::{
    Elements, Grammar, Request, has_passed, remove_all, repeat_ends, report_lifted, report_removed,
    report_set,
};
use crate::command::error::{self, CommandError};
use crate::data::hash::{Hash, OldEnd};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::{hash_of, hash_to_set, reply_value};

pub(super) fn hgetdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        presence: None,
        other_end: None,
        two_times: error::SYNTAX,
        step: 1,
        kind: Hash::KIND,
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
    report_removed::<Hash>(&mut handle, &removed);
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
        presence: None,
        other_end: Some("PERSIST"),
        two_times: error::HGETEX_TIMES,
        step: 1,
        kind: Hash::KIND,
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
    report_set::<Hash>(&mut handle, at_ms.unwrap_or(0), &set);
    report_lifted::<Hash>(&mut handle, &lifted);
    report_removed::<Hash>(&mut handle, &removed);
    if set.len() + lifted.len() + removed.len() > 0 {
        handle.touched();
    }
    Ok(Outcome::Done)
}

pub(super) fn hsetex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        presence: Some((["FNX", "FXX"], error::FIELD_CONDITIONS)),
        other_end: Some("KEEPTTL"),
        two_times: error::HSETEX_TIMES,
        step: 2,
        kind: Hash::KIND,
    };
    let request = Request::read(args, &grammar)?;
    let (at_ms, now_ms, limits) = (request.at_ms(ctx)?, ctx.now_ms(), ctx.settings.hash_limits);
    let mut handle = ctx.space.write(args.at(1));
    let hash = hash_of(handle.entry())?;
    let fields: Vec<&[u8]> = request.texts.iter().copied().step_by(2).collect();
    let are_there = fields
        .iter()
        .map(|field| hash.is_some_and(|hash| hash.contains(field)));
    let may_set = request
        .presence
        .is_none_or(|presence| presence.allows(are_there));
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
        report_set::<Hash>(&mut handle, at, &fields);
    }
    report_removed::<Hash>(&mut handle, &removed);
    handle.touched();
    Ok(Outcome::Done)
}

/// Tells of fields that were set. `kept`: those that end as before, since HSET alone would let them stay.
fn report_fields(handle: &mut KeyHandle<'_>, texts: &[&[u8]], kept: &[(u64, &[u8])]) {
    let key = handle.key();
    handle.effect_of(texts.len() / 2, |effect| {
        effect.arg("HSET").arg(key).args(texts.iter().copied());
    });
    repeat_ends::<Hash>(handle, kept);
    handle.event(EventClass::HASH, "hset");
}
