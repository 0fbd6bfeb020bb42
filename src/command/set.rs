//! The set family.
//!
//! Rows here; handlers by what they do: `write` (one set), `read`, `chance` (members by chance), `combine` (several sets), `expiry`
//! (SADDEX; SEXPIRE and its kin are with those of hashes, in `element_expiry`).
//!
//! Invariants: a set that becomes empty is removed in the same command; what chance has chosen is in the effects by name
//! (SPOP: SREM or DEL).

mod chance;
mod combine;
mod expiry;
#[cfg(test)]
mod expiry_tests;
mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::data::set::{Set, SetLimits};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;

use super::context::Context;
use super::element_expiry;
use super::error::CommandError;
use super::spec::{Command, Flags, Handler, KeyFlags, KeySpec};

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const READ_ONE: &[KeySpec] = &[KeySpec::one(READ, 1)];
const LOOK_ONE: &[KeySpec] = &[KeySpec::one(KeyFlags::RO, 1)];
const UPDATE: &[KeySpec] = &[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)];
const READ_MANY: &[KeySpec] = &[KeySpec::range(READ, 1, -1, 1)];
const STORE: &[KeySpec] = &[
    KeySpec::one(KeyFlags::OW.and(KeyFlags::UPDATE), 1),
    KeySpec::range(READ, 2, -1, 1),
];
// Redis says of SINTERSTORE alone that it reads what it replaces.
const STORE_INTERSECTION: &[KeySpec] = &[
    KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1),
    KeySpec::range(READ, 2, -1, 1),
];
const TAKES: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const ADDS: KeyFlags = KeyFlags::RW.and(KeyFlags::INSERT);
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const RANDOM: &[&str] = &["nondeterministic_output"];

const fn row(name: &'static str, syntax: &'static str, handler: Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["set"])
}

/// The family's rows.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[Command] = &[
    row("sadd", "key member [member ...]", write::sadd).arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(ADDS, 1)])
        .docs("1.0.0", "set", "O(1) for each member.", "Adds members to a set, made when there is none."),
    row("saddex", "key [condition:<MNX | MXX>] [expiration:<EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | \
         KEEPTTL>] members:<MEMBERS nummembers member [member ...]>", expiry::saddex).arity(-5)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE)
        .docs("8.12.0", "set", "O(N) for N members.", "Adds members; lets them end; on a condition if asked."),
    row("sexpire", "key seconds [condition:<NX | XX | GT | LT>] members:<MEMBERS nummembers member [member ...]>", element_expiry::expire::<Set>)
        .arity(-6).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE)
        .docs("8.12.0", "set", "O(N) for N members.", "Lets members end after a number of seconds."),
    row("spexpire", "key milliseconds [condition:<NX | XX | GT | LT>] members:<MEMBERS nummembers member [member ...]>", element_expiry::pexpire::<Set>)
        .arity(-6).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE)
        .docs("8.12.0", "set", "O(N) for N members.", "Lets members end after a number of milliseconds."),
    row("sexpireat", "key unix-time-seconds [condition:<NX | XX | GT | LT>] members:<MEMBERS nummembers member [member ...]>", element_expiry::expireat::<Set>)
        .arity(-6).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE)
        .docs("8.12.0", "set", "O(N) for N members.", "Lets members end at a time, in seconds."),
    row("spexpireat", "key unix-time-milliseconds [condition:<NX | XX | GT | LT>] members:<MEMBERS nummembers member [member ...]>", element_expiry::pexpireat::<Set>)
        .arity(-6).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE)
        .docs("8.12.0", "set", "O(N) for N members.", "Lets members end at a time, in milliseconds."),
    row("spersist", "key members:<MEMBERS nummembers member [member ...]>", element_expiry::persist::<Set>).arity(-5)
        .flags(&[Flags::WRITE, Flags::FAST]).keys(UPDATE)
        .docs("8.12.0", "set", "O(N) for N members.", "Lets members not end any more."),
    row("sttl", "key members:<MEMBERS nummembers member [member ...]>", element_expiry::ttl::<Set>).arity(-5)
        .flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("8.12.0", "set", "O(N) for N members.", "Gives how long members have left, in seconds."),
    row("spttl", "key members:<MEMBERS nummembers member [member ...]>", element_expiry::pttl::<Set>).arity(-5)
        .flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("8.12.0", "set", "O(N) for N members.", "Gives how long members have left, in milliseconds."),
    row("sexpiretime", "key members:<MEMBERS nummembers member [member ...]>", element_expiry::expiretime::<Set>).arity(-5)
        .flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("8.12.0", "set", "O(N) for N members.", "Gives when members end, in seconds."),
    row("spexpiretime", "key members:<MEMBERS nummembers member [member ...]>", element_expiry::pexpiretime::<Set>).arity(-5)
        .flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("8.12.0", "set", "O(N) for N members.", "Gives when members end, in milliseconds."),
    row("scard", "key", read::scard).arity(2).flags(&[Flags::READONLY, Flags::FAST]).keys(LOOK_ONE)
        .docs("1.0.0", "set", "O(1)", "Returns the number of members."),
    row("sdiff", "key [key ...]", combine::sdiff).arity(-2).flags(&[Flags::READONLY]).keys(READ_MANY).tips(UNORDERED)
        .docs("1.0.0", "set", "O(N) for N members of all sets.", "Returns the members of the first set that no other has."),
    row("sdiffstore", "destination key [key ...]", combine::sdiffstore).arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(STORE)
        .docs("1.0.0", "set", "O(N) for N members of all sets.", "Stores the members of the first set that no other has."),
    row("sdiffcard", "numkeys key [key ...] [LIMIT limit]", combine::sdiffcard).arity(-3)
        .flags(&[Flags::READONLY, Flags::MOVABLE_KEYS]).keys(&[KeySpec::counted(READ, 1)])
        .docs("8.10.0", "set", "O(N*M) for N members of the first of M sets.", "Counts the members of the first set that no other has."),
    row("sunioncard", "numkeys key [key ...] [APPROX] [LIMIT limit]", combine::sunioncard).arity(-3)
        .flags(&[Flags::READONLY, Flags::MOVABLE_KEYS]).keys(&[KeySpec::counted(READ, 1)])
        .docs("8.10.0", "set", "O(N*M) for N members of all of M sets, O(N) with APPROX.", "Counts the members that any of the sets has, or estimates them."),
    row("sinter", "key [key ...]", combine::sinter).arity(-2).flags(&[Flags::READONLY]).keys(READ_MANY).tips(UNORDERED)
        .docs("1.0.0", "set", "O(N*M) for N members of the smallest of M sets.", "Returns the members that all sets have."),
    row("sintercard", "numkeys key [key ...] [LIMIT limit]", combine::sintercard).arity(-3)
        .flags(&[Flags::READONLY, Flags::MOVABLE_KEYS]).keys(&[KeySpec::counted(READ, 1)])
        .docs("7.0.0", "set", "O(N*M) for N members of the smallest of M sets.", "Counts the members that all sets have."),
    row("sinterstore", "destination key [key ...]", combine::sinterstore).arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(STORE_INTERSECTION)
        .docs("1.0.0", "set", "O(N*M) for N members of the smallest of M sets.", "Stores the members that all sets have."),
    row("sismember", "key member", read::sismember).arity(3).flags(&[Flags::READONLY, Flags::FAST]).keys(LOOK_ONE)
        .docs("1.0.0", "set", "O(1)", "Tells whether a set has a member."),
    row("smembers", "key", read::smembers).arity(2).flags(&[Flags::READONLY]).keys(READ_ONE).tips(UNORDERED)
        .docs("1.0.0", "set", "O(N) for N members.", "Returns all members of a set."),
    row("smismember", "key member [member ...]", read::smismember).arity(-3).flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("6.2.0", "set", "O(N) for N members asked for.", "Tells which members a set has."),
    row("smove", "source destination member", write::smove).arity(4).flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(TAKES, 1), KeySpec::one(ADDS, 2)])
        .docs("1.0.0", "set", "O(1)", "Moves a member from one set to another."),
    row("spop", "key [count@3.2.0]", chance::spop).arity(-2).flags(&[Flags::WRITE, Flags::FAST]).keys(&[KeySpec::one(TAKES, 1)]).tips(RANDOM)
        .docs("1.0.0", "set", "O(1) without a count, else O(N) for N members.", "Takes members by chance."),
    row("srandmember", "key [count@2.6.0]", chance::srandmember).arity(-2).flags(&[Flags::READONLY]).keys(READ_ONE).tips(RANDOM)
        .docs("1.0.0", "set", "O(1) without a count, else O(N) for N members.", "Returns members by chance."),
    row("srem", "key member [member ...]", write::srem).arity(-3).flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
        .docs("1.0.0", "set", "O(N) for N members.", "Removes members from a set."),
    row("sscan", "key cursor [MATCH pattern] [COUNT count]", read::sscan).arity(-3).flags(&[Flags::READONLY]).keys(READ_ONE).tips(RANDOM)
        .docs("2.8.0", "set", "O(1) for each call.", "Goes through the members of a set, step by step."),
    row("sunion", "key [key ...]", combine::sunion).arity(-2).flags(&[Flags::READONLY]).keys(READ_MANY).tips(UNORDERED)
        .docs("1.0.0", "set", "O(N) for N members of all sets.", "Returns the members that any of the sets has."),
    row("sunionstore", "destination key [key ...]", combine::sunionstore).arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(STORE)
        .docs("1.0.0", "set", "O(N) for N members of all sets.", "Stores the members that any of the sets has."),
];

/// The settings that shape sets.
fn limits(ctx: &Context<'_>) -> SetLimits {
    SetLimits {
        integer_count_max: ctx.settings.set_max_intset_entries,
        pack: ctx.settings.set_limits,
    }
}

/// The set of an entry; `None` without entry.
fn set_of(entry: Option<&Entry>) -> Result<Option<&Set>, CommandError> {
    set_in(entry.map(|entry| &entry.value))
}

fn set_in(value: Option<&Value>) -> Result<Option<&Set>, CommandError> {
    element_expiry::elements_in(value)
}

/// Ends a command that took members out: the key goes with the last one. `event`: what the command calls it.
fn finish_removal(handle: &mut KeyHandle<'_>, event: &'static str) {
    let is_empty = matches!(handle.value(), Some(Value::Set(set)) if set.is_empty());
    if is_empty {
        handle.remove();
    }
    handle.touched();
    handle.event(EventClass::SET, event);
    if is_empty {
        handle.event(EventClass::GENERIC, "del");
    }
}
