//! The hash family: fields with values.
//!
//! ```text
//! read.rs    HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HSCAN      random.rs  HRANDFIELD
//! write.rs   HSET HMSET HSETNX HDEL                                       number.rs  HINCRBY HINCRBYFLOAT
//! combined.rs  HGETEX HSETEX HGETDEL            ../element_expiry  HEXPIRE and its kin, HPERSIST, HTTL and its kin
//! ```
//! Invariants: a hash that becomes empty is removed in the same command; a command that sets fields calls
//! [`Hash::before_setting`] once with all of them, so that encodings are Redis'. Whatever sets fields to texts is `HSET` as effect.

mod combined;
#[cfg(test)]
mod combined_tests;
#[cfg(test)]
mod expiry_tests;
mod number;
mod random;
mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::data::hash::Hash;
use crate::data::listpack::Element;
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;
use crate::resp::reply::Reply;

use super::element::reply_element;
use super::element_expiry::{self, Elements, Kind, Told};
use super::error::{self, CommandError};
use super::spec::{Command, Flags, Handler, KeyFlags, KeySpec};

const READ: &[KeySpec] = &[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)];
const LOOK: &[KeySpec] = &[KeySpec::one(KeyFlags::RO, 1)];
const UPDATE: &[KeySpec] = &[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)];
const INSERT: &[KeySpec] = &[KeySpec::one(KeyFlags::RW.and(KeyFlags::INSERT), 1)];
const COUNT: &[KeySpec] = &[KeySpec::one(
    KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE),
    1,
)];
const DELETE: &[KeySpec] = &[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)];
const WRITES: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::FAST];
const READS_FAST: &[Flags] = &[Flags::READONLY, Flags::FAST];
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row("hset", "key data:<field value> ...", write::hset)
        .arity(-4)
        .flags(WRITES)
        .keys(UPDATE)
        .docs(
            "2.0.0",
            "hash",
            "O(1) for each field.",
            "Sets fields of a hash, made when there is none.",
        ),
    row("hmset", "key data:<field value> ...", write::hmset)
        .arity(-4)
        .flags(WRITES)
        .keys(UPDATE)
        .docs(
            "2.0.0",
            "hash",
            "O(N) for N fields.",
            "Sets fields of a hash, made when there is none.",
        )
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
    row("hsetnx", "key field value", write::hsetnx)
        .arity(4)
        .flags(WRITES)
        .keys(INSERT)
        .docs(
            "2.0.0",
            "hash",
            "O(1)",
            "Sets a field of a hash unless it has one of that name.",
        ),
    row("hget", "key field", read::hget)
        .arity(3)
        .flags(READS_FAST)
        .keys(READ)
        .docs("2.0.0", "hash", "O(1)", "Gives the value of a field."),
    row("hmget", "key field [field ...]", read::hmget)
        .arity(-3)
        .flags(READS_FAST)
        .keys(READ)
        .docs(
            "2.0.0",
            "hash",
            "O(N) for N fields asked for.",
            "Gives the values of several fields.",
        ),
    row("hgetall", "key", read::hgetall)
        .arity(2)
        .flags(&[Flags::READONLY])
        .keys(READ)
        .tips(ANY_ORDER)
        .docs(
            "2.0.0",
            "hash",
            "O(N) for N fields.",
            "Gives all fields with their values.",
        ),
    row("hkeys", "key", read::hkeys)
        .arity(2)
        .flags(&[Flags::READONLY])
        .keys(READ)
        .tips(ANY_ORDER)
        .docs("2.0.0", "hash", "O(N) for N fields.", "Gives all fields."),
    row("hvals", "key", read::hvals)
        .arity(2)
        .flags(&[Flags::READONLY])
        .keys(READ)
        .tips(ANY_ORDER)
        .docs(
            "2.0.0",
            "hash",
            "O(N) for N fields.",
            "Gives the values of all fields.",
        ),
    row("hlen", "key", read::hlen)
        .arity(2)
        .flags(READS_FAST)
        .keys(LOOK)
        .docs("2.0.0", "hash", "O(1)", "Gives the number of fields."),
    row("hexists", "key field", read::hexists)
        .arity(3)
        .flags(READS_FAST)
        .keys(LOOK)
        .docs("2.0.0", "hash", "O(1)", "Says whether a hash has a field."),
    row("hdel", "key field [field ...]", write::hdel)
        .arity(-3)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(DELETE)
        .docs(
            "2.0.0",
            "hash",
            "O(N) for N fields named.",
            "Removes fields; without any left the hash goes too.",
        ),
    row("hstrlen", "key field", read::hstrlen)
        .arity(3)
        .flags(READS_FAST)
        .keys(LOOK)
        .docs(
            "3.2.0",
            "hash",
            "O(1)",
            "Gives the length of a field's value in bytes.",
        ),
    row("hincrby", "key field increment", number::hincrby)
        .arity(4)
        .flags(WRITES)
        .keys(COUNT)
        .docs(
            "2.0.0",
            "hash",
            "O(1)",
            "Adds to the integer of a field; a missing field counts as 0.",
        ),
    row("hincrbyfloat", "key field increment", number::hincrbyfloat)
        .arity(4)
        .flags(WRITES)
        .keys(COUNT)
        .docs(
            "2.6.0",
            "hash",
            "O(1)",
            "Adds to the number of a field, with decimals; a missing field counts as 0.",
        ),
    row(
        "hrandfield",
        "key [options:<count [WITHVALUES]>]",
        random::hrandfield,
    )
    .arity(-2)
    .flags(&[Flags::READONLY])
    .keys(READ)
    .tips(ANY_OUTPUT)
    .docs(
        "6.2.0",
        "hash",
        "O(N) for N fields returned.",
        "Gives fields chosen by chance.",
    ),
    row(
        "hscan",
        "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        read::hscan,
    )
    .arity(-3)
    .flags(&[Flags::READONLY])
    .keys(READ)
    .tips(ANY_OUTPUT)
    .docs(
        "2.8.0",
        "hash",
        "O(1) for each call, O(N) for a whole walk over N fields.",
        "Walks over the fields, some at each call.",
    ),
    row("hexpire", "key seconds [condition:<NX | XX | GT | LT>] fields:<FIELDS numfields field [field ...]>", element_expiry::expire::<Hash>).arity(-6).flags(WRITES).keys(UPDATE)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Lets fields end after a number of seconds."),
    row("hpexpire", "key milliseconds [condition:<NX | XX | GT | LT>] fields:<FIELDS numfields field [field ...]>", element_expiry::pexpire::<Hash>).arity(-6).flags(WRITES).keys(UPDATE)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Lets fields end after a number of milliseconds."),
    row("hexpireat", "key unix-time-seconds [condition:<NX | XX | GT | LT>] fields:<FIELDS numfields field [field ...]>", element_expiry::expireat::<Hash>).arity(-6).flags(WRITES).keys(UPDATE)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Lets fields end at a time, in seconds."),
    row("hpexpireat", "key unix-time-milliseconds [condition:<NX | XX | GT | LT>] fields:<FIELDS numfields field [field ...]>", element_expiry::pexpireat::<Hash>).arity(-6).flags(WRITES).keys(UPDATE)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Lets fields end at a time, in milliseconds."),
    row("hgetdel", "key fields:<FIELDS numfields field [field ...]>", combined::hgetdel).arity(-5).flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE), 1)])
        .docs("8.0.0", "hash", "O(N) for N fields.", "Gives the values of fields and removes them."),
    row("hgetex", "key [expiration:<EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST>] \
         fields:<FIELDS numfields field [field ...]>", combined::hgetex)
        .arity(-5).flags(&[Flags::WRITE, Flags::FAST]).keys(COUNT)
        .docs("8.0.0", "hash", "O(N) for N fields.", "Gives the values of fields; lets them end, or not any more."),
    row("hsetex", "key [condition:<FNX | FXX>] [expiration:<EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | \
         KEEPTTL>] fields:<FIELDS numfields data:<field value> ...>", combined::hsetex)
        .arity(-6).flags(WRITES).keys(UPDATE)
        .docs("8.0.0", "hash", "O(N) for N fields.", "Sets fields; lets them end; on a condition if asked."),
    row("hpersist", "key fields:<FIELDS numfields field [field ...]>", element_expiry::persist::<Hash>).arity(-5).flags(&[Flags::WRITE, Flags::FAST]).keys(UPDATE)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Lets fields not end any more."),
    row("httl", "key fields:<FIELDS numfields field [field ...]>", element_expiry::ttl::<Hash>).arity(-5).flags(READS_FAST).keys(READ)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Gives how long fields have left, in seconds."),
    row("hpttl", "key fields:<FIELDS numfields field [field ...]>", element_expiry::pttl::<Hash>).arity(-5).flags(READS_FAST).keys(READ)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Gives how long fields have left, in milliseconds."),
    row("hexpiretime", "key fields:<FIELDS numfields field [field ...]>", element_expiry::expiretime::<Hash>).arity(-5).flags(READS_FAST).keys(READ)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Gives when fields end, in seconds."),
    row("hpexpiretime", "key fields:<FIELDS numfields field [field ...]>", element_expiry::pexpiretime::<Hash>).arity(-5).flags(READS_FAST).keys(READ)
        .docs("7.4.0", "hash", "O(N) for N fields.", "Gives when fields end, in milliseconds."),
];

const fn row(name: &'static str, syntax: &'static str, handler: Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["hash"])
}

impl Elements for Hash {
    const KIND: Kind = Kind {
        word: "FIELDS",
        word_missing: error::FIELDS_MISSING,
        count_not_positive: error::NUMFIELDS_NOT_POSITIVE,
        count_mismatch: error::NUMFIELDS_MISMATCH,
        class: EventClass::HASH,
        set: Told {
            command: "HPEXPIREAT",
            event: "hexpire",
        },
        lifted: Told {
            command: "HPERSIST",
            event: "hpersist",
        },
        removed: Told {
            command: "HDEL",
            event: "hdel",
        },
    };

    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }
}

/// The hash of an entry; `None` without entry.
fn hash_of(entry: Option<&Entry>) -> Result<Option<&Hash>, CommandError> {
    element_expiry::elements_in(entry.map(|entry| &entry.value))
}

/// The hash of a key, made when there is none, to change it; a report is due from here on.
fn hash_to_set<'h>(handle: &'h mut KeyHandle<'_>) -> Result<&'h mut Hash, CommandError> {
    let value = if handle.exists() {
        handle.value_mut()
    } else {
        Some(handle.insert(Value::Hash(Hash::new())))
    };
    match value {
        Some(Value::Hash(hash)) => Ok(hash),
        _ => Err(error::WRONG_TYPE),
    }
}

/// The value of a field, or the null of a missing one.
fn reply_value(reply: &mut Reply, hash: Option<&Hash>, field: &[u8]) {
    match hash.and_then(|hash| Some((hash, hash.get(field)?))) {
        Some((hash, Element::Bytes(value))) => {
            let share = || {
                hash.share_of(field)
                    .unwrap_or_else(|| value.to_vec().into())
            };
            reply.bulk_shared(value, share);
        }
        Some((_, value)) => reply_element(reply, value),
        None => reply.null(),
    }
}
