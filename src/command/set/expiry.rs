//! SADDEX: members added, that end or not.
//!
//! Source: its page, of Redis 8.12, which was read without its replies: they are those of HSETEX. Effects are those of the parts:
//! `SADD`, `SPEXPIREAT`, `SPERSIST`, `SREM`.

use crate::command::context::{Context, Outcome};
use crate::command::element_expiry::{
    Elements, Grammar, Kind, Request, Told, has_passed, remove_all, report_lifted, report_removed,
    report_set,
};
use crate::command::error::{self, CommandError};
use crate::data::ends::EndingElements;
use crate::data::set::Set;
use crate::keyspace::Report;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::write::add;
use super::{limits, set_in};

impl Elements for Set {
    const KIND: Kind = Kind {
        word: "MEMBERS",
        word_missing: error::MEMBERS_MISSING,
        count_not_positive: error::NUMMEMBERS_NOT_POSITIVE,
        count_mismatch: error::NUMMEMBERS_MISMATCH,
        class: EventClass::SET,
        set: Told {
            command: "SPEXPIREAT",
            event: "sexpire",
        },
        lifted: Told {
            command: "SPERSIST",
            event: "spersist",
        },
        removed: Told {
            command: "SREM",
            event: "srem",
        },
    };

    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }
}

pub(super) fn saddex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let grammar = Grammar {
        presence: Some((["MNX", "MXX"], error::MEMBER_CONDITIONS)),
        other_end: Some("KEEPTTL"),
        two_times: error::HSETEX_TIMES,
        step: 1,
        kind: Set::KIND,
    };
    let request = Request::read(args, &grammar)?;
    let (at_ms, now_ms, limits) = (request.at_ms(ctx)?, ctx.now_ms(), limits(ctx));
    let members = &request.texts;
    let mut handle = ctx.space.write(args.at(1));
    let set = set_in(handle.value())?;
    let are_there = members
        .iter()
        .map(|member| set.is_some_and(|set| set.contains(member)));
    let may_add = request
        .presence
        .is_none_or(|presence| presence.allows(are_there));
    ctx.reply.integer(i64::from(may_add));
    if !may_add {
        return Ok(Outcome::Done);
    }
    let passed = at_ms.is_some_and(|at| has_passed(&handle, at, now_ms));
    let added = add(&mut handle, members.iter().copied(), &limits);
    if added.is_change() {
        let key = handle.key();
        handle.effect_of(added.count, |effect| {
            effect.arg("SADD").arg(key).args(members.iter().copied());
        });
    }
    let (mut ended, mut lifted, mut removed) = (0, Vec::new(), Vec::new());
    handle.change(|value| {
        let Some(set) = value.and_then(Set::of_mut) else {
            return 0;
        };
        if passed {
            removed = remove_all(set, members);
        } else if at_ms.is_some() {
            members.iter().for_each(|member| set.set_end(member, at_ms));
            ended = members.len();
        } else if !request.other_end {
            for member in members.iter().copied() {
                if set.end_of(member).is_some() {
                    set.set_end(member, None);
                    lifted.push(member);
                }
            }
        }
        ended + lifted.len() + removed.len()
    });
    if let Some(at) = at_ms.filter(|_| !passed) {
        report_set::<Set>(&mut handle, at, members);
    }
    report_lifted::<Set>(&mut handle, &lifted);
    report_removed::<Set>(&mut handle, &removed);
    if added.count + ended + lifted.len() + removed.len() > 0 {
        handle.touched();
    }
    Ok(Outcome::Done)
}
