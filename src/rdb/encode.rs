//! A value to bytes: as Redis writes it.

use std::io::{self, Write};

use super::Version;
use super::out::Out;
use super::types;
use crate::data::hash::Hash;
use crate::data::list::{Chunk, List};
use crate::data::listpack::{HEADER_BYTES, Listpack};
use crate::data::set::Set;
use crate::data::sorted_set::SortedSet;
use crate::data::stream::{Group, Stream, StreamId};
use crate::keyspace::rewrite::owner_of_released;
use crate::keyspace::value::{StringValue, Value};

/// How a list says what a chunk is.
const CHUNK_ALONE: u64 = 1;
const CHUNK_PACKED: u64 = 2;
/// The widest count that the header of a listpack holds.
const COUNT_MAX: usize = 0xFFFE;

/// How a value is to be written.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) version: Version,
    /// Whether fields of hashes are written with their ends, as Redis 7.4 does.
    pub(super) ends_of_fields: bool,
}

/// The type under which a value is written.
pub(super) fn type_of(value: &Value, form: Form) -> u8 {
    match value {
        Value::String(_) => types::STRING,
        Value::List(_) => types::LIST_QUICKLIST_2,
        Value::Set(set) => match set.without_ends() {
            Set::Integers(_) => types::SET_INTSET,
            Set::Small(_) if form.version >= Version::V11 => types::SET_LISTPACK,
            Set::Small(_) | Set::Large(_) | Set::WithEnds(_) => types::SET,
        },
        Value::Hash(hash) => {
            let with_ends = form.ends_of_fields && hash.ends().next().is_some();
            match (hash, with_ends) {
                (Hash::Large(_), true) => types::HASH_TIMED,
                (Hash::Large(_), false) => types::HASH,
                (Hash::Timed(_), true) => types::HASH_TIMED_LISTPACK,
                (Hash::Timed(_) | Hash::Small(_), _) => types::HASH_LISTPACK,
            }
        }
        Value::SortedSet(set) if set.pack().is_some() => types::ZSET_LISTPACK,
        Value::SortedSet(_) => types::ZSET_2,
        Value::Stream(_) if form.version >= Version::V11 => types::STREAM_3,
        Value::Stream(_) => types::STREAM_2,
    }
}

/// Writes a value of the type that [`type_of`] gives.
pub(super) fn write<W: Write>(out: &mut Out<W>, value: &Value, form: Form) -> io::Result<()> {
    match value {
        Value::String(StringValue::Integer(value)) => out.integer(*value),
        Value::String(string) => out.string(string.text_bytes().unwrap_or_default()),
        Value::List(list) => write_list(out, list),
        Value::Set(set) => write_set(out, set.without_ends(), form),
        Value::Hash(hash) => match type_of(value, form) {
            types::HASH_TIMED => write_ending_hash(out, hash),
            types::HASH_TIMED_LISTPACK => write_ending_pack(out, hash),
            _ => write_hash(out, hash),
        },
        Value::SortedSet(set) => write_sorted_set(out, set),
        Value::Stream(stream) => write_stream(out, stream, form),
    }
}

fn write_list<W: Write>(out: &mut Out<W>, list: &List) -> io::Result<()> {
    let chunks = list.chunks();
    out.length(chunks.len() as u64)?;
    for chunk in chunks {
        match chunk {
            Chunk::Alone(text) => {
                out.length(CHUNK_ALONE)?;
                out.string(text)?;
            }
            Chunk::Packed { entries, count } => {
                out.length(CHUNK_PACKED)?;
                let mut pack = Vec::with_capacity(HEADER_BYTES + entries.len() + 1);
                let total = HEADER_BYTES + entries.len() + 1;
                let count = if count > COUNT_MAX {
                    COUNT_MAX + 1
                } else {
                    count
                };
                pack.extend_from_slice(&(total as u32).to_le_bytes());
                pack.extend_from_slice(&(count as u16).to_le_bytes());
                pack.extend_from_slice(entries);
                pack.push(0xFF);
                out.string(&pack)?;
            }
        }
    }
    Ok(())
}

fn write_set<W: Write>(out: &mut Out<W>, set: &Set, form: Form) -> io::Result<()> {
    match set {
        Set::Integers(integers) => {
            let (width, bytes) = integers.parts();
            let mut whole = Vec::with_capacity(8 + bytes.len());
            whole.extend_from_slice(&(width as u32).to_le_bytes());
            whole.extend_from_slice(&(integers.len() as u32).to_le_bytes());
            whole.extend_from_slice(bytes);
            out.string(&whole)
        }
        Set::Small(pack) if form.version >= Version::V11 => out.string(pack.bytes()),
        Set::Small(_) | Set::Large(_) | Set::WithEnds(_) => {
            out.length(set.len() as u64)?;
            set.iter().try_for_each(|member| out.element(member))
        }
    }
}

fn write_hash<W: Write>(out: &mut Out<W>, hash: &Hash) -> io::Result<()> {
    match hash {
        Hash::Small(pack) => out.string(pack.bytes()),
        Hash::Timed(_) => {
            let mut pack = Listpack::new();
            for (field, value) in hash.iter() {
                pack.push_back(field.as_bytes(&mut [0; 20]));
                pack.push_back(value.as_bytes(&mut [0; 20]));
            }
            out.string(pack.bytes())
        }
        Hash::Large(_) => {
            out.length(hash.len() as u64)?;
            for (field, value) in hash.iter() {
                out.element(field)?;
                out.element(value)?;
            }
            Ok(())
        }
    }
}

/// When the first field ends.
fn first_end_ms(hash: &Hash) -> u64 {
    hash.ends().map(|(ms, _)| ms).min().unwrap_or(0)
}

/// Ends are written as what they are above the first, plus one: 0 for a field that does not end.
fn write_ending_hash<W: Write>(out: &mut Out<W>, hash: &Hash) -> io::Result<()> {
    let first_ms = first_end_ms(hash);
    out.time(first_ms as i64)?;
    out.length(hash.len() as u64)?;
    for (field, value) in hash.iter() {
        let end_ms = hash.end_of(field.as_bytes(&mut [0; 20]));
        out.length(end_ms.map_or(0, |ms| ms - first_ms + 1))?;
        out.element(field)?;
        out.element(value)?;
    }
    Ok(())
}

/// Fields in the order of their ends, those that do not end behind all others: Redis relies on that.
fn write_ending_pack<W: Write>(out: &mut Out<W>, hash: &Hash) -> io::Result<()> {
    out.time(first_end_ms(hash) as i64)?;
    let mut fields: Vec<_> = hash
        .iter()
        .map(|(field, value)| {
            let end_ms = hash.end_of(field.as_bytes(&mut [0; 20]));
            (end_ms.unwrap_or(u64::MAX), field, value)
        })
        .collect();
    fields.sort_by_key(|(end_ms, ..)| *end_ms);
    let mut pack = Listpack::new();
    for (end_ms, field, value) in fields {
        let end_ms = if end_ms == u64::MAX { 0 } else { end_ms };
        pack.push_back(field.as_bytes(&mut [0; 20]));
        pack.push_back(value.as_bytes(&mut [0; 20]));
        pack.push_back(end_ms.to_string().as_bytes());
    }
    out.string(pack.bytes())
}

fn write_sorted_set<W: Write>(out: &mut Out<W>, set: &SortedSet) -> io::Result<()> {
    if let Some(pack) = set.pack() {
        return out.string(pack.bytes());
    }
    out.length(set.len() as u64)?;
    // From the greatest down: a reader that puts each in front of the others looks for no place.
    for (member, score) in set.iter().rev() {
        out.element(member)?;
        out.raw(&score.to_le_bytes())?;
    }
    Ok(())
}

fn write_id<W: Write>(out: &mut Out<W>, id: StreamId) -> io::Result<()> {
    out.length(id.ms)?;
    out.length(id.seq)
}

fn write_stream<W: Write>(out: &mut Out<W>, stream: &Stream, form: Form) -> io::Result<()> {
    let log = stream.log();
    out.length(log.block_count() as u64)?;
    for (master, block) in log.blocks() {
        out.text(&master.to_be_bytes())?;
        out.string(block)?;
    }
    out.length(log.len())?;
    write_id(out, log.last_id())?;
    write_id(out, log.first_id())?;
    write_id(out, log.max_deleted_id())?;
    out.length(log.entries_added())?;
    out.length(stream.group_count() as u64)?;
    for (name, group) in stream.groups() {
        out.string(name)?;
        write_group(out, group, form)?;
    }
    Ok(())
}

fn write_group<W: Write>(out: &mut Out<W>, group: &Group, form: Form) -> io::Result<()> {
    write_id(out, group.last_delivered)?;
    out.length(group.entries_read.unwrap_or(u64::MAX))?;
    let pending = group.pending();
    out.length(pending.len() as u64)?;
    for entry in pending.iter_from(StreamId::MIN) {
        out.raw(&entry.id.to_be_bytes())?;
        out.time(entry.delivery.delivered_ms as i64)?;
        out.length(entry.delivery.delivery_count)?;
    }
    // Redis knows no entry that nobody has.
    let owner = owner_of_released(group);
    let released: Vec<StreamId> = match owner {
        None => Vec::new(),
        Some(_) => {
            let all = pending.iter_from(StreamId::MIN);
            let released = all.filter(|entry| entry.delivery.is_released());
            released.map(|entry| entry.id).collect()
        }
    };
    let made_up = owner.filter(|owner| owner.is_made_up);
    let consumer_count = group.consumer_count() + usize::from(made_up.is_some());
    out.length(consumer_count as u64)?;
    for (index, consumer) in group.consumers() {
        out.string(consumer.name())?;
        out.time(consumer.seen_ms as i64)?;
        if form.version >= Version::V11 {
            out.time(consumer.active_ms.map_or(-1, |ms| ms as i64))?;
        }
        let has_released = owner.is_some_and(|owner| owner.name == consumer.name());
        if has_released {
            let mut ids: Vec<StreamId> = pending.ids_of(index, StreamId::MIN).collect();
            ids.extend_from_slice(&released);
            ids.sort_unstable();
            write_ids(out, ids.len(), ids.into_iter())?;
        } else {
            let ids = pending.ids_of(index, StreamId::MIN);
            write_ids(out, pending.len_of(index), ids)?;
        }
    }
    if let Some(owner) = made_up {
        out.string(owner.name)?;
        out.time(0)?;
        if form.version >= Version::V11 {
            out.time(-1)?;
        }
        write_ids(out, released.len(), released.into_iter())?;
    }
    Ok(())
}

fn write_ids<W: Write>(
    out: &mut Out<W>,
    count: usize,
    ids: impl Iterator<Item = StreamId>,
) -> io::Result<()> {
    out.length(count as u64)?;
    for id in ids {
        out.raw(&id.to_be_bytes())?;
    }
    Ok(())
}
