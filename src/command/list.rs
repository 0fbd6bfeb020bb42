//! The list family: queues, and the commands that wait for an element.
//!
//! Rows here; handlers by what they do: `read`, `write` (one list), `blocking` (the first of several lists, now or when
//! there is one), `transfer` (from one list to another), `several` (more than one element from one list to another).
//!
//! Invariants: a list that becomes empty is removed in the same command; a command that adds calls
//! [`List::before_adding`] once with all it adds, one that removes calls [`List::after_removing`] once, so that encodings are Redis'.
//! A blocking command leaves as effect the plain one it came down to (BLPOP: LPOP). Not here: waiting itself.

mod blocking;
mod read;
mod several;
mod transfer;
mod write;

use std::sync::atomic::Ordering;

use crate::data::list::{End, List, ListLimits};
use crate::keyspace::KeyHandle;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::reply::Reply;

use super::context::Context;
use super::element::reply_element;
use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec};

const READS: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const ADDS: KeyFlags = KeyFlags::RW.and(KeyFlags::INSERT);
const TAKES: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const REMOVES: KeyFlags = KeyFlags::RW.and(KeyFlags::DELETE);
const CHANGES: KeyFlags = KeyFlags::RW.and(KeyFlags::UPDATE);
static MOVE: [KeySpec; 2] = [KeySpec::one(TAKES, 1), KeySpec::one(ADDS, 2)];

const fn row(command: Command) -> Command {
    command.categories(&["list"])
}

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row(
        Command::new("blmove", "source destination wherefrom:<LEFT | RIGHT> whereto:<LEFT | RIGHT> timeout", transfer::blmove)
            .arity(6)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
            .keys(&MOVE)
            .docs("6.2.0", "list", "O(1)", "Moves an element from an end of one list to an end of another and returns it; waits for one when there is none."),
    ),
    row(
        Command::new("blmovem", "source destination wherefrom:<LEFT | RIGHT> whereto:<LEFT | RIGHT> timeout [how-many:<selector:<COUNT count | EXACTLY exactly> ordering:<OBO | BULK>>]", several::blmovem)
            .arity(-6)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
            .keys(&MOVE)
            .docs("8.10.0", "list", "O(N) for N elements moved.", "Moves several elements from an end of one list to an end of another and returns them; waits until there are enough."),
    ),
    row(
        Command::new("blmpop", "timeout numkeys key [key ...] where:<LEFT | RIGHT> [COUNT count]", blocking::blmpop)
            .arity(-5)
            .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLE_KEYS])
            .keys(&[KeySpec::counted(TAKES, 2)])
            .docs("7.0.0", "list", "O(N+M) for N keys and M elements returned.", "Takes elements from the first of several lists that has any; waits for one when none has."),
    ),
    row(
        Command::new("blpop", "key [key ...] timeout", blocking::blpop)
            .arity(-3)
            .flags(&[Flags::WRITE, Flags::BLOCKING])
            .keys(&[KeySpec::range(TAKES, 1, -2, 1)])
            .docs("2.0.0", "list", "O(N) for N keys.", "Takes the first element of the first list that has one; waits for one when none has."),
    ),
    row(
        Command::new("brpop", "key [key ...] timeout", blocking::brpop)
            .arity(-3)
            .flags(&[Flags::WRITE, Flags::BLOCKING])
            .keys(&[KeySpec::range(TAKES, 1, -2, 1)])
            .docs("2.0.0", "list", "O(N) for N keys.", "Takes the last element of the first list that has one; waits for one when none has."),
    ),
    row(
        Command::new("brpoplpush", "source destination timeout", transfer::brpoplpush)
            .arity(4)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
            .keys(&MOVE)
            .docs("2.2.0", "list", "O(1)", "Moves the last element of a list to the front of another and returns it; waits for one when there is none.")
            .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    ),
    row(
        Command::new("lindex", "key index", read::lindex)
            .arity(3)
            .flags(&[Flags::READONLY])
            .keys(&[KeySpec::one(READS, 1)])
            .docs("1.0.0", "list", "O(N) for the distance from the nearer end, counted in chunks.", "Returns the element at an index."),
    ),
    row(
        Command::new("linsert", "key where:<BEFORE | AFTER> pivot element", write::linsert)
            .arity(5)
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .keys(&[KeySpec::one(ADDS, 1)])
            .docs("2.2.0", "list", "O(N) for the distance from the front to the pivot.", "Puts an element before or after the first one equal to the pivot."),
    ),
    row(
        Command::new("llen", "key", read::llen)
            .arity(2)
            .flags(&[Flags::READONLY, Flags::FAST])
            .keys(&[KeySpec::one(KeyFlags::RO, 1)])
            .docs("1.0.0", "list", "O(1)", "Returns the number of elements."),
    ),
    row(
        Command::new("lmove", "source destination wherefrom:<LEFT | RIGHT> whereto:<LEFT | RIGHT>", transfer::lmove)
            .arity(5)
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .keys(&MOVE)
            .docs("6.2.0", "list", "O(1)", "Moves an element from an end of one list to an end of another and returns it."),
    ),
    row(
        Command::new("lmovem", "source destination wherefrom:<LEFT | RIGHT> whereto:<LEFT | RIGHT> [how-many:<selector:<COUNT count | EXACTLY exactly> ordering:<OBO | BULK>>]", several::lmovem)
            .arity(-5)
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .keys(&MOVE)
            .docs("8.10.0", "list", "O(N) for N elements moved.", "Moves several elements from an end of one list to an end of another and returns them."),
    ),
    row(
        Command::new("lmpop", "numkeys key [key ...] where:<LEFT | RIGHT> [COUNT count]", blocking::lmpop)
            .arity(-4)
            .flags(&[Flags::WRITE, Flags::MOVABLE_KEYS])
            .keys(&[KeySpec::counted(TAKES, 1)])
            .docs("7.0.0", "list", "O(N+M) for N keys and M elements returned.", "Takes elements from the first of several lists that has any."),
    ),
    row(
        Command::new("lpop", "key [count@6.2.0]", write::lpop)
            .arity(-2)
            .flags(&[Flags::WRITE, Flags::FAST])
            .keys(&[KeySpec::one(TAKES, 1)])
            .docs("1.0.0", "list", "O(N) for N elements returned.", "Takes elements from the front of a list."),
    ),
    row(
        Command::new("lpos", "key element [RANK rank] [COUNT num-matches] [MAXLEN len]", read::lpos)
            .arity(-3)
            .flags(&[Flags::READONLY])
            .keys(&[KeySpec::one(READS, 1)])
            .docs("6.0.6", "list", "O(N) for N elements looked at.", "Returns the indexes at which an element is found."),
    ),
    row(
        Command::new("lpush", "key element [element ...]", write::lpush)
            .arity(-3)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .keys(&[KeySpec::one(ADDS, 1)])
            .docs("1.0.0", "list", "O(1) for each element.", "Adds elements at the front of a list, made when there is none."),
    ),
    row(
        Command::new("lpushx", "key element [element ...]", write::lpushx)
            .arity(-3)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .keys(&[KeySpec::one(ADDS, 1)])
            .docs("2.2.0", "list", "O(1) for each element.", "Adds elements at the front of a list that exists."),
    ),
    row(
        Command::new("lrange", "key start stop", read::lrange)
            .arity(4)
            .flags(&[Flags::READONLY])
            .keys(&[KeySpec::one(READS, 1)])
            .docs("1.0.0", "list", "O(S+N) for S chunks before the start and N elements returned.", "Returns the elements between two indexes."),
    ),
    row(
        Command::new("lrem", "key count element", write::lrem)
            .arity(4)
            .flags(&[Flags::WRITE])
            .keys(&[KeySpec::one(REMOVES, 1)])
            .docs("1.0.0", "list", "O(N+M) for N elements of the list and M removed.", "Removes elements equal to one given."),
    ),
    row(
        Command::new("lset", "key index element", write::lset)
            .arity(4)
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .keys(&[KeySpec::one(CHANGES, 1)])
            .docs("1.0.0", "list", "O(N) for the distance from the nearer end, counted in chunks.", "Replaces the element at an index."),
    ),
    row(
        Command::new("ltrim", "key start stop", write::ltrim)
            .arity(4)
            .flags(&[Flags::WRITE])
            .keys(&[KeySpec::one(REMOVES, 1)])
            .docs("1.0.0", "list", "O(N) for N chunks removed.", "Removes all elements but those between two indexes."),
    ),
    row(
        Command::new("rpop", "key [count@6.2.0]", write::rpop)
            .arity(-2)
            .flags(&[Flags::WRITE, Flags::FAST])
            .keys(&[KeySpec::one(TAKES, 1)])
            .docs("1.0.0", "list", "O(N) for N elements returned.", "Takes elements from the back of a list."),
    ),
    row(
        Command::new("rpoplpush", "source destination", transfer::rpoplpush)
            .arity(3)
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .keys(&MOVE)
            .docs("1.2.0", "list", "O(1)", "Moves the last element of a list to the front of another and returns it.")
            .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    ),
    row(
        Command::new("rpush", "key element [element ...]", write::rpush)
            .arity(-3)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .keys(&[KeySpec::one(ADDS, 1)])
            .docs("1.0.0", "list", "O(1) for each element.", "Adds elements at the back of a list, made when there is none."),
    ),
    row(
        Command::new("rpushx", "key element [element ...]", write::rpushx)
            .arity(-3)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .keys(&[KeySpec::one(ADDS, 1)])
            .docs("2.2.0", "list", "O(1) for each element.", "Adds elements at the back of a list that exists."),
    ),
];

/// The settings that shape lists.
pub(super) fn limits(ctx: &Context<'_>) -> ListLimits {
    ListLimits {
        chunk_limit: ctx.settings.list_max_listpack_size,
        packed_bytes_max: ctx.shared.list_packed_threshold.load(Ordering::Relaxed),
    }
}

/// The list of a value that may be missing.
fn list_of(value: Option<&Value>) -> Result<Option<&List>, CommandError> {
    match value {
        None => Ok(None),
        Some(Value::List(list)) => Ok(Some(list)),
        Some(_) => Err(error::WRONG_TYPE),
    }
}

/// The list of a key, to change it; a report is due from here on.
fn list_of_mut<'h>(handle: &'h mut KeyHandle<'_>) -> Result<&'h mut List, CommandError> {
    list_in_mut(handle.value_mut())
}

fn list_in_mut(value: Option<&mut Value>) -> Result<&mut List, CommandError> {
    match value {
        Some(Value::List(list)) => Ok(list),
        _ => Err(error::WRONG_TYPE),
    }
}

/// LEFT or RIGHT.
fn end(argument: &[u8]) -> Result<End, CommandError> {
    if argument.eq_ignore_ascii_case(b"left") {
        Ok(End::Front)
    } else if argument.eq_ignore_ascii_case(b"right") {
        Ok(End::Back)
    } else {
        Err(error::SYNTAX)
    }
}

/// The name of a pop at an end, as event; its upper case is the command.
fn pop_event(end: End) -> &'static str {
    match end {
        End::Front => "lpop",
        End::Back => "rpop",
    }
}

/// The name of a push at an end, as event.
fn push_event(end: End) -> &'static str {
    match end {
        End::Front => "lpush",
        End::Back => "rpush",
    }
}

/// Indexes of which the negative count from the end, as the first and the number of elements meant. Redis' rule for LRANGE and LTRIM.
fn span(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop || start >= len {
        return (0, 0);
    }
    (start as usize, (stop - start + 1) as usize)
}

/// Replies up to `count` elements from an end on.
fn reply_from_end(reply: &mut Reply, list: &List, end: End, count: usize) {
    reply.array(count.min(list.len()));
    match end {
        End::Front => list
            .range(0, count)
            .for_each(|element| reply_element(reply, element)),
        End::Back => list
            .iter_back()
            .take(count)
            .for_each(|element| reply_element(reply, element)),
    }
}

/// Removes up to `count` elements from an end.
fn take_from_end(list: &mut List, end: End, count: usize) {
    if count == 1 {
        list.pop(end);
        return;
    }
    let start = match end {
        End::Front => 0,
        End::Back => list.len().saturating_sub(count),
    };
    list.remove_range(start, count);
}

/// What follows the removal of elements: the event, the end of an empty key, the smaller encoding, the effect.
fn finish_removal(
    handle: &mut KeyHandle<'_>,
    limits: &ListLimits,
    event: &'static str,
    removed: usize,
    effect: impl FnOnce(&mut EffectWriter),
) -> Result<(), CommandError> {
    handle.event(EventClass::LIST, event);
    let list = list_of_mut(handle)?;
    if list.is_empty() {
        handle.remove();
        handle.event(EventClass::GENERIC, "del");
    } else {
        list.after_removing(limits);
    }
    handle.touched();
    handle.effect_of(removed, effect);
    Ok(())
}

#[cfg(test)]
mod tests;
