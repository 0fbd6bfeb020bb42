//! When elements end, fields of hashes and members of sets: what the two families have in common.
//!
//! ```text
//! handlers   HEXPIRE and SEXPIRE with their kin, HTTL, HPERSIST …   (times.rs; rows name the family by a type)
//! request    [FNX | FXX] [EX …] FIELDS count field …              (request.rs; HGETEX, HSETEX, HGETDEL, SADDEX)
//! reports    what a log, WATCH and notifications are told          (here)
//! ```
//! Source: the pages of HEXPIRE (7.4), HSETEX (8.0), SEXPIRE, SADDEX (8.12).

mod request;
mod times;

pub(crate) use request::{Grammar, Request};
pub(crate) use times::{
    expire, expireat, expiretime, persist, pexpire, pexpireat, pexpiretime, pttl, ttl,
};

use super::error::{self, CommandError};
use crate::data::ends::EndingElements;
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;

/// How a change is told: to a log as a command, to listeners as an event.
pub(crate) struct Told {
    /// The command.
    pub(crate) command: &'static str,
    /// The event's name.
    pub(crate) event: &'static str,
}

/// What a family calls things.
pub(crate) struct Kind {
    /// The word in front of the elements.
    pub(crate) word: &'static str,
    /// The error when it is missing.
    pub(crate) word_missing: CommandError,
    /// The error when the number of elements is no number above 0.
    pub(crate) count_not_positive: CommandError,
    /// The error when more or fewer elements follow than that number.
    pub(crate) count_mismatch: CommandError,
    /// The class of its events.
    pub(crate) class: EventClass,
    /// Elements were given an end.
    pub(crate) set: Told,
    /// Elements do not end any more.
    pub(crate) lifted: Told,
    /// Elements were taken out.
    pub(crate) removed: Told,
}

/// Values of a family.
pub(crate) trait Elements: EndingElements + Sized {
    /// What the family calls things.
    const KIND: Kind;

    /// The value, if it is of this family.
    fn of(value: &Value) -> Option<&Self>;

    /// As [`Elements::of`], to change it.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
}

/// The value of a key; `None` without key.
///
/// # Errors
/// WRONGTYPE, when it is of another family.
#[inline]
pub(crate) fn elements_in<E: Elements>(value: Option<&Value>) -> Result<Option<&E>, CommandError> {
    match value {
        None => Ok(None),
        Some(value) => E::of(value).map(Some).ok_or(error::WRONG_TYPE),
    }
}

/// Whether elements that end then are gone at once: a replay leaves their removal to the effect that follows.
pub(crate) fn has_passed(handle: &KeyHandle<'_>, at_ms: u64, now_ms: u64) -> bool {
    at_ms <= now_ms && !handle.is_replaying()
}

/// Takes elements out that are there.
pub(crate) fn remove_all<'a>(
    value: &mut impl EndingElements,
    elements: &[&'a [u8]],
) -> Vec<&'a [u8]> {
    let mut removed = elements.to_vec();
    removed.retain(|element| value.remove(element));
    removed
}

/// Tells of elements that end then, Unix ms. Like the others here, it leaves [`KeyHandle::touched`] to the caller.
pub(crate) fn report_set<E: Elements>(handle: &mut KeyHandle<'_>, at_ms: u64, set: &[&[u8]]) {
    if set.is_empty() {
        return;
    }
    write_end::<E>(handle, set.len(), at_ms, set);
    handle.event(E::KIND.class, E::KIND.set.event);
}

/// The effect of elements that end then, which stands for so many changes.
fn write_end<E: Elements>(handle: &mut KeyHandle<'_>, changes: usize, at_ms: u64, set: &[&[u8]]) {
    let key = handle.key();
    handle.elements_end();
    handle.effect_of(changes, |effect| {
        effect.arg(E::KIND.set.command).arg(key);
        effect.integer(at_ms as i64);
        effect.arg(E::KIND.word).integer(set.len() as i64);
        effect.args(set.iter().copied());
    });
}

/// Repeats the ends of elements that were set again and end as before: the effect of setting them lifts their ends.
pub(crate) fn repeat_ends<E: Elements>(handle: &mut KeyHandle<'_>, ends: &[(u64, &[u8])]) {
    for (at_ms, element) in ends {
        write_end::<E>(handle, 0, *at_ms, &[*element]);
    }
}

/// Tells of elements that do not end any more.
pub(crate) fn report_lifted<E: Elements>(handle: &mut KeyHandle<'_>, lifted: &[&[u8]]) {
    if lifted.is_empty() {
        return;
    }
    let key = handle.key();
    handle.elements_end();
    handle.effect_of(lifted.len(), |effect| {
        effect.arg(E::KIND.lifted.command).arg(key);
        effect.arg(E::KIND.word).integer(lifted.len() as i64);
        effect.args(lifted.iter().copied());
    });
    handle.event(E::KIND.class, E::KIND.lifted.event);
}

/// Tells of elements that were taken out: their time had passed when it was set, or HGETDEL gave them away.
pub(crate) fn report_removed<E: Elements>(handle: &mut KeyHandle<'_>, removed: &[&[u8]]) {
    if removed.is_empty() {
        return;
    }
    let key = handle.key();
    handle.elements_end();
    handle.event(E::KIND.class, E::KIND.removed.event);
    let is_empty = handle.value().and_then(E::of).is_some_and(E::is_empty);
    if is_empty {
        handle.remove();
        handle.event(EventClass::GENERIC, "del");
    }
    handle.effect_of(removed.len(), |effect| {
        effect.arg(E::KIND.removed.command).arg(key);
        effect.args(removed.iter().copied());
    });
}
