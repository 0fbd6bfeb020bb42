//! Sketches: about how many different elements were added to a key. What they are is in `data/hyperloglog.rs`.
//!
//! ```text
//! write.rs   PFADD PFMERGE        debug.rs   PFDEBUG PFSELFTEST
//! count.rs   PFCOUNT
//! ```
//! A sketch is a string, whose bytes clients may read and set. Effects are the commands themselves, but for PFMERGE, whose keys
//! may live in several keyspaces: its is the result. When a sketch becomes dense because it is longer than
//! `hll-sparse-max-bytes`, that is an effect of its own: where it is replayed the setting may be larger.

mod count;
mod debug;
#[cfg(test)]
mod tests;
mod write;

use crate::data::hyperloglog::{Corrupted, StoredSketch};
use crate::keyspace::KeyHandle;
use crate::keyspace::table::Entry;
use crate::keyspace::value::{StringValue, Value};

use super::error::{self, CommandError};
use super::spec::{Command, Flags, KeyFlags, KeySpec};
use super::string::string_of;

const READ_AND_CACHE: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS);

/// The family's rows.
pub(crate) static COMMANDS: &[Command] = &[
    row("pfadd", "key [element [element ...]]", write::pfadd).arity(-2)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::INSERT), 1)])
        .docs("2.8.9", "hyperloglog", "O(1) for each element.", "Adds elements to a sketch; a missing key is created."),
    row("pfcount", "key [key ...]", count::pfcount).arity(-2).flags(&[Flags::READONLY, Flags::MAY_REPLICATE])
        .keys(&[KeySpec::range(READ_AND_CACHE, 1, -1, 1)])
        .docs("2.8.9", "hyperloglog", "O(1) for one key, mostly from its cache; O(N) for N keys.",
            "Tells about how many different elements were added to one sketch, or to several together."),
    row("pfmerge", "destkey [sourcekey [sourcekey ...]]", write::pfmerge).arity(-2).flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[
            KeySpec::one(READ_AND_CACHE.and(KeyFlags::INSERT), 1),
            KeySpec::range(KeyFlags::RO.and(KeyFlags::ACCESS), 2, -1, 1),
        ])
        .docs("2.8.9", "hyperloglog", "O(N) for N keys.", "Adds all elements of some sketches to another; a missing key is created."),
    row("pfdebug", "subcommand key", debug::pfdebug).arity(3)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::ADMIN, Flags::SYSTEM])
        .keys(&[KeySpec::one(READ_AND_CACHE, 2)])
        .docs("2.8.9", "hyperloglog", "N/A", "Shows the registers and the encoding of a sketch, or makes it dense."),
    row("pfselftest", "", debug::pfselftest).flags(&[Flags::ADMIN, Flags::SYSTEM])
        .docs("2.8.9", "hyperloglog", "N/A", "Tests registers, encodings and the error of estimates."),
];

const fn row(name: &'static str, syntax: &'static str, handler: super::spec::Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["hyperloglog"])
}

/// The sketch of an entry; `None` without entry.
fn sketch_of(entry: Option<&Entry>) -> Result<Option<StoredSketch<'_>>, CommandError> {
    let Some(string) = string_of(entry)? else {
        return Ok(None);
    };
    let sketch = string.text_bytes().and_then(StoredSketch::of);
    sketch.map(Some).ok_or(error::NOT_SKETCH)
}

/// What a client is told of one.
fn corrupted(_: Corrupted) -> CommandError {
    error::SKETCH_CORRUPTED
}

/// Stores a sketch in the place of what the key had, whose expiry stays.
fn store(handle: &mut KeyHandle<'_>, sketch: Vec<u8>) {
    let value = StringValue::raw(sketch);
    match handle.value_mut() {
        Some(Value::String(string)) => *string = value,
        _ => {
            handle.insert(Value::String(value));
        }
    }
}

/// The effect of a sketch that became dense. That is part of a change which counts already.
fn effect_of_dense(handle: &mut KeyHandle<'_>, changes: usize) {
    let key = handle.key();
    handle.effect_of(changes, |effect| {
        effect.arg("PFDEBUG").arg("TODENSE").arg(key);
    });
}
