//! The string family.
//!
//! ```text
//! read.rs    GET MGET STRLEN GETRANGE SUBSTR DIGEST     number.rs     INCR … INCRBYFLOAT
//! write.rs   SET and its kin, MSET, APPEND, SETRANGE    lcs.rs        LCS
//! condition.rs  NX, XX, IFEQ …: what must be true of a key
//! ```
//! Effects are canonical: whatever sets a whole value is `SET key value [PXAT ms | KEEPTTL]`, one per key, so that each
//! lies in the order of its own keyspace.

mod condition;
mod lcs;
mod number;
mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::keyspace::KeyHandle;
use crate::keyspace::table::Entry;
use crate::keyspace::value::{EMBEDDED_BYTES_MAX, StringValue, Value};
use crate::resp::reply::Reply;

use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec};

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const UPDATE: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE);
const READ_ONE: &[KeySpec] = &[KeySpec::one(READ, 1)];
const UPDATE_ONE: &[KeySpec] = &[KeySpec::one(UPDATE, 1)];
const OVERWRITE_ONE: &[KeySpec] = &[KeySpec::one(KeyFlags::OW.and(KeyFlags::UPDATE), 1)];
const INSERT_ONE: &[KeySpec] = &[KeySpec::one(KeyFlags::OW.and(KeyFlags::INSERT), 1)];

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row("get", "key", read::get).arity(2).flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("1.0.0", "string", "O(1)", "Gives the string of a key."),
    row("set", "key value [condition@2.6.12:<NX | XX | IFEQ ifeq-value@8.4.0 | IFNE ifne-value@8.4.0 | IFDEQ ifdeq-digest@8.4.0 | \
         IFDNE ifdne-digest@8.4.0>] [GET@6.2.0] [expiration:<EX seconds@2.6.12 | PX milliseconds@2.6.12 | \
         EXAT unix-time-seconds@6.2.0 | PXAT unix-time-milliseconds@6.2.0 | KEEPTTL@6.0.0>]", write::set)
        .arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(UPDATE.and(KeyFlags::VARIABLE), 1)]).variable_key_flags(write::set_key_flags)
        .docs("1.0.0", "string", "O(1)", "Sets a key to a string, whatever it held; on a condition or for a time if asked."),
    row("delex", "key [condition:<IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest>]", write::delex)
        .arity(-2).flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RM.and(KeyFlags::DELETE).and(KeyFlags::VARIABLE), 1)]).variable_key_flags(write::delex_key_flags)
        .docs("8.4.0", "string", "O(1), O(N) for a digest of N bytes.", "Removes a key if its string, or the digest of it, is or is not the one named."),
    row("digest", "key", read::digest).arity(2).flags(&[Flags::READONLY, Flags::FAST]).keys(READ_ONE)
        .docs("8.4.0", "string", "O(N) for N bytes.", "Gives the XXH3 digest of a string, in hexadecimal."),
    row("msetex", "numkeys data:<key value> ... [condition:<NX | XX>] [expiration:<EX seconds | PX milliseconds | EXAT unix-time-seconds | \
         PXAT unix-time-milliseconds | KEEPTTL>]", write::msetex)
        .arity(-4).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLE_KEYS])
        .keys(&[KeySpec::counted_every(KeyFlags::OW.and(KeyFlags::UPDATE), 1, 2)])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .docs("8.4.0", "string", "O(N) for N keys.", "Sets several keys at once, all for the same time, on a condition if asked."),
    row("getdel", "key", write::getdel).arity(2).flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE), 1)])
        .docs("6.2.0", "string", "O(1)", "Gives the string of a key and removes the key."),
    row("getex", "key [expiration:<EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST>]", write::getex)
        .arity(-2).flags(&[Flags::WRITE, Flags::FAST]).keys(UPDATE_ONE)
        .docs("6.2.0", "string", "O(1)", "Gives the string of a key and sets or lifts its expiry."),
    row("mget", "key [key ...]", read::mget).arity(-2).flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::range(READ, 1, -1, 1)])
        .tips(&["request_policy:multi_shard"])
        .docs("1.0.0", "string", "O(N) for N keys.", "Gives the strings of several keys."),
    row("mset", "data:<key value> ...", write::mset).arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::range(KeyFlags::OW.and(KeyFlags::UPDATE), 1, -1, 2)])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .docs("1.0.1", "string", "O(N) for N keys.", "Sets several keys at once."),
    row("msetnx", "data:<key value> ...", write::msetnx).arity(-3).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::range(KeyFlags::OW.and(KeyFlags::INSERT), 1, -1, 2)])
        .docs("1.0.1", "string", "O(N) for N keys.", "Sets several keys at once, unless one of them exists."),
    row("incr", "key", number::incr).arity(2).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE_ONE)
        .docs("1.0.0", "string", "O(1)", "Adds 1 to the integer of a key; a missing key counts as 0."),
    row("decr", "key", number::decr).arity(2).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE_ONE)
        .docs("1.0.0", "string", "O(1)", "Takes 1 from the integer of a key; a missing key counts as 0."),
    row("incrby", "key increment", number::incrby).arity(3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE_ONE)
        .docs("1.0.0", "string", "O(1)", "Adds to the integer of a key; a missing key counts as 0."),
    row("decrby", "key decrement", number::decrby).arity(3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE_ONE)
        .docs("1.0.0", "string", "O(1)", "Takes from the integer of a key; a missing key counts as 0."),
    row("incrbyfloat", "key increment", number::incrbyfloat).arity(3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE_ONE)
        .docs("2.6.0", "string", "O(1)", "Adds to the number of a key, with decimals; a missing key counts as 0."),
    row("append", "key value", write::append).arity(3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::INSERT), 1)])
        .docs("2.0.0", "string", "O(1) amortised, for values that are small beside the room already taken.", "Puts bytes at the end of a string; a missing key is created."),
    row("strlen", "key", read::strlen).arity(2).flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RO, 1)])
        .docs("2.2.0", "string", "O(1)", "Gives the length of a string in bytes."),
    row("getrange", "key start end", read::getrange).arity(4).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("2.4.0", "string", "O(N) for N bytes returned.", "Gives a part of a string."),
    row("substr", "key start end", read::getrange).arity(4).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("1.0.0", "string", "O(N) for N bytes returned.", "Gives a part of a string.")
        .deprecated("2.0.0", "`GETRANGE`"),
    row("setrange", "key offset value", write::setrange).arity(4).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .docs("2.2.0", "string", "O(N) for N bytes written, and for the zeros before them.", "Writes bytes over a part of a string, from an offset on."),
    row("setnx", "key value", write::setnx).arity(3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(INSERT_ONE)
        .docs("1.0.0", "string", "O(1)", "Sets a key unless it exists.")
        .deprecated("2.6.12", "`SET` with the `NX` argument"),
    row("setex", "key seconds value", write::setex).arity(4).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(OVERWRITE_ONE)
        .docs("2.0.0", "string", "O(1)", "Sets a key for a number of seconds.")
        .deprecated("2.6.12", "`SET` with the `EX` argument"),
    row("psetex", "key milliseconds value", write::psetex).arity(4).flags(&[Flags::WRITE, Flags::DENYOOM]).keys(OVERWRITE_ONE)
        .docs("2.6.0", "string", "O(1)", "Sets a key for a number of milliseconds.")
        .deprecated("2.6.12", "`SET` with the `PX` argument"),
    row("getset", "key value", write::getset).arity(3).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(UPDATE_ONE)
        .docs("1.0.0", "string", "O(1)", "Sets a key and gives what it held.")
        .deprecated("6.2.0", "`SET` with the `!GET` argument"),
    row("lcs", "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", lcs::lcs).arity(-3).flags(&[Flags::READONLY])
        .keys(&[KeySpec::range(READ, 1, 2, 1)])
        .docs("7.0.0", "string", "O(N*M) for strings of N and M bytes.", "Finds the longest common subsequence of two strings."),
];

const fn row(name: &'static str, syntax: &'static str, handler: super::spec::Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["string"])
}

/// The string of an entry; `None` without entry.
pub(crate) fn string_of(entry: Option<&Entry>) -> Result<Option<&StringValue>, CommandError> {
    match entry.map(|entry| &entry.value) {
        None => Ok(None),
        Some(Value::String(string)) => Ok(Some(string)),
        Some(_) => Err(error::WRONG_TYPE),
    }
}

/// Makes the string of a key `raw`. Redis: so is every string that a command may write to, whether it does or not. That is no
/// change to count or to tell of, but a replay must repeat it.
pub(crate) fn make_raw(handle: &mut KeyHandle<'_>) {
    let was_made = handle.change(|value| {
        if let Some(Value::String(string)) = value
            && string.encoding() != "raw"
        {
            string.bytes_mut(0);
            return true;
        }
        false
    });
    if was_made {
        let key = handle.key();
        handle.effect_of(0, |effect| {
            effect.arg("APPEND").arg(key).arg("");
        });
    }
}

/// Reports that a key was set to these bytes as `raw`, which counts as so many changes. SET alone would make few bytes `embstr`
/// or `int`.
pub(crate) fn effect_of_raw(
    handle: &mut KeyHandle<'_>,
    changes: usize,
    bytes: &[u8],
    keeps_expiry: bool,
) {
    let key = handle.key();
    handle.effect_of(changes, |effect| {
        effect.arg("SET").arg(key).arg(bytes);
        if keeps_expiry {
            effect.arg("KEEPTTL");
        }
    });
    if bytes.len() <= EMBEDDED_BYTES_MAX {
        handle.effect_of(0, |effect| {
            effect.arg("APPEND").arg(key).arg("");
        });
    }
}

/// A string as a reply.
fn write_string(reply: &mut Reply, string: &StringValue) {
    match string {
        StringValue::Integer(value) => reply.bulk_integer(*value),
        StringValue::Large(large) => reply.bulk_shared(large.as_ref(), || large.share()),
        StringValue::Short { .. } | StringValue::Fixed(_) | StringValue::Growing { .. } => {
            reply.bulk(string.bytes(&mut [0; 20]));
        }
    }
}

/// A string or the null of a missing one.
fn write_string_or_null(reply: &mut Reply, string: Option<&StringValue>) {
    match string {
        Some(string) => write_string(reply, string),
        None => reply.null(),
    }
}
