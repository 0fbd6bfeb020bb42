//! The readers on bytes from strangers, for fuzzing: what is accepted must be a value like any other.

use super::payload::{dump, restore};
use super::read::{Item, Reader};
use super::{Limits, Version, decode};
use crate::data::list::ListLimits;
use crate::data::listpack::PackLimits;
use crate::data::set::{Set, SetLimits};
use crate::data::stream::Window;
use crate::keyspace::access::{Access, AccessPolicy};
use crate::keyspace::rewrite::rewrite;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;

/// When all of this happens, Unix ms.
const NOW_MS: u64 = 1_700_000_000_000;

/// Small ones, so that few elements make every form.
pub(crate) fn limits() -> Limits {
    let pack = PackLimits {
        entry_count_max: 8,
        text_bytes_max: 30,
    };
    Limits {
        list: ListLimits {
            chunk_limit: 4,
            packed_bytes_max: 100,
        },
        set: SetLimits {
            integer_count_max: 6,
            pack,
        },
        hash: pack,
        sorted_set: pack,
        window: Window::default(),
    }
}

/// What a value is, whatever its form: the commands that make it, or its elements, if they have no order.
pub(crate) fn facts(value: &Value) -> Vec<Vec<u8>> {
    let mut facts: Vec<Vec<u8>> = match value {
        Value::Set(set) => {
            let ends = set
                .ends()
                .map(|(ms, member)| of_parts(&[&ms.to_be_bytes(), &member.to_vec()]));
            set_members(set).chain(ends).collect()
        }
        Value::Hash(hash) => {
            let ends = hash
                .ends()
                .map(|(ms, field)| of_parts(&[&ms.to_be_bytes(), &field.to_vec()]));
            let fields = hash.iter();
            let fields =
                fields.map(|(field, value)| of_parts(&[&field.to_vec(), b"=", &value.to_vec()]));
            fields.chain(ends).collect()
        }
        Value::String(_) | Value::List(_) | Value::SortedSet(_) | Value::Stream(_) => {
            return commands(value);
        }
    };
    facts.sort_unstable();
    facts
}

fn set_members(set: &Set) -> impl Iterator<Item = Vec<u8>> {
    set.iter().map(|member| member.to_vec())
}

/// Parts with their lengths: others give other bytes.
fn of_parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut whole = Vec::new();
    for part in parts {
        whole.extend_from_slice(&part.len().to_be_bytes());
        whole.extend_from_slice(part);
    }
    whole
}

fn commands(value: &Value) -> Vec<Vec<u8>> {
    let access = Access::new(AccessPolicy::Recency, NOW_MS);
    let entry = Entry::new(b"key", value.clone(), access);
    let mut commands = Vec::new();
    rewrite(&entry, NOW_MS, &mut |effect| {
        let mut command = Vec::new();
        effect.encode(&mut command);
        commands.push(command);
    });
    if let Value::Stream(stream) = value {
        for (name, group) in stream.groups() {
            for (_, consumer) in group.consumers() {
                let times = format!("{} {:?}", consumer.seen_ms, consumer.active_ms);
                commands.push(of_parts(&[name, consumer.name(), times.as_bytes()]));
            }
        }
    }
    commands
}

/// Decodes bytes as a value of a type; whether they are one.
///
/// # Panics
/// When what was accepted is not the same after DUMP and RESTORE.
pub fn value(type_code: u8, bytes: &[u8]) -> bool {
    let Ok(value) = decode(type_code, bytes, &limits()) else {
        return false;
    };
    let payload = dump(b"key", &value, Version::V11, true, NOW_MS);
    let again = restore(&payload, &limits(), NOW_MS).expect("what is written can be read");
    assert_eq!(facts(&again), facts(&value), "it is the same value");
    true
}

/// Reads bytes as a file, values and all, without regard to its checksum; how many values there were before something was wrong.
///
/// # Panics
/// As [`value`].
pub fn file(bytes: &[u8]) -> usize {
    let mut count = 0;
    let Ok(mut reader) = Reader::new(bytes, false) else {
        return 0;
    };
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Entry(raw) = item {
            let _ = raw.decode(&limits(), NOW_MS);
            count += usize::from(value(raw.type_code, raw.bytes));
        }
    }
    count
}
