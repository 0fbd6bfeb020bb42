//! A stream from bytes.
//!
//! ```text
//! blocks: count │ { master ID, 16 bytes │ listpack } …
//! length │ last ID │ from version 2: first ID, highest deleted ID, entries ever added
//! groups: count │ { name │ last delivered ID │ from version 2: entries read
//!         pending: count │ { ID 16 bytes │ delivered ms 8 │ deliveries } …
//!         consumers: count │ { name │ seen ms 8 │ version 3: active ms 8 │ pending: count │ { ID 16 bytes } … } … } …
//! ```

#![deny(clippy::indexing_slicing)]

use super::bytes::Cursor;
use super::read::stream_id;
use super::{Flaw, Limits, types};
use crate::data::stream::{
    Assembly, CorruptStream, Counters, DELIVERY_COUNT_MAX, Delivery, Group, PendingEntry, Stream,
    StreamId,
};

fn flaw(corrupt: CorruptStream) -> Flaw {
    Flaw::Corrupt(match corrupt {
        CorruptStream::Block => "Stream listpack integrity check failed",
        CorruptStream::Length => "a stream that has other entries than it counts",
        CorruptStream::LastId => "an entry behind the last ID of its stream",
        CorruptStream::Group => "a group is there twice",
    })
}

/// Decodes the stream at the cursor.
pub(super) fn decode(
    cursor: &mut Cursor<'_>,
    type_code: u8,
    limits: &Limits,
) -> Result<Stream, Flaw> {
    let mut assembly = Assembly::default();
    for _ in 0..cursor.length()? {
        let mut master = cursor.text()?;
        let master = master.bytes().try_into();
        let master = master.map_err(|_| Flaw::Corrupt("a block of a stream without its ID"))?;
        let mut block = cursor.text()?;
        assembly
            .add_block(StreamId::from_be_bytes(master), block.bytes())
            .map_err(flaw)?;
    }
    let mut counters = Counters {
        length: cursor.length()?,
        last_id: stream_id(cursor)?,
        max_deleted_id: StreamId::MIN,
        entries_added: None,
    };
    if type_code != types::STREAM {
        // What the first entry is can be seen.
        stream_id(cursor)?;
        counters.max_deleted_id = stream_id(cursor)?;
        counters.entries_added = Some(cursor.length()?);
    }
    let mut stream = assembly.finish(&counters, limits.window).map_err(flaw)?;
    for _ in 0..cursor.length()? {
        let name = cursor.text()?.into_vec();
        let group = group(cursor, type_code, &stream)?;
        stream.restore_group(&name, group).map_err(flaw)?;
    }
    Ok(stream)
}

fn group(cursor: &mut Cursor<'_>, type_code: u8, stream: &Stream) -> Result<Group, Flaw> {
    let last_delivered = stream_id(cursor)?;
    let entries_read = match type_code {
        types::STREAM => stream.log().count_up_to(last_delivered),
        // All bits set: unknown.
        _ => Some(cursor.length()?).filter(|read| *read != u64::MAX),
    };
    let mut group = Group::new(last_delivered, entries_read);
    let mut pending = Vec::new();
    for _ in 0..cursor.length()? {
        let entry = PendingEntry {
            id: StreamId::from_be_bytes(cursor.array()?),
            delivery: Delivery {
                consumer: None,
                delivered_ms: cursor.time()?,
                delivery_count: cursor.length()?.min(DELIVERY_COUNT_MAX),
            },
        };
        let last: Option<&PendingEntry> = pending.last();
        if last.is_some_and(|last| last.id >= entry.id) {
            return Err(Flaw::Corrupt("pending entries are not in order"));
        }
        pending.push(entry);
    }
    consumers(cursor, type_code, &mut group, &mut pending)?;
    if pending.iter().any(|entry| entry.delivery.is_released()) {
        return Err(Flaw::Corrupt("a pending entry that no consumer has"));
    }
    group.pending_mut().restore(&pending);
    Ok(group)
}

fn consumers(
    cursor: &mut Cursor<'_>,
    type_code: u8,
    group: &mut Group,
    pending: &mut [PendingEntry],
) -> Result<(), Flaw> {
    for _ in 0..cursor.length()? {
        let name = cursor.text()?.into_vec();
        let seen_ms = cursor.time()?;
        let active_ms = match type_code {
            types::STREAM_3 => u64::try_from(i64::from_le_bytes(cursor.array()?)).ok(),
            // What Redis takes for it: it has been seen, so it may have been given something.
            _ => Some(seen_ms),
        };
        let consumer = group
            .create_consumer(&name, seen_ms)
            .ok_or(Flaw::Corrupt("Duplicate stream consumer detected"))?;
        group.consumer_mut(consumer).active_ms = active_ms;
        let mut from = 0;
        for _ in 0..cursor.length()? {
            let id = StreamId::from_be_bytes(cursor.array()?);
            let entry = find(pending, &mut from, id);
            match entry {
                Some(entry) if entry.delivery.is_released() => {
                    entry.delivery.consumer = Some(consumer);
                }
                Some(_) => return Err(Flaw::Corrupt("an entry that two consumers have")),
                None => {
                    return Err(Flaw::Corrupt("an entry of a consumer that is not pending"));
                }
            }
        }
    }
    Ok(())
}

/// The pending entry with an ID: one that often lies a little behind the one found before.
fn find<'p>(
    pending: &'p mut [PendingEntry],
    from: &mut usize,
    id: StreamId,
) -> Option<&'p mut PendingEntry> {
    const NEAR: usize = 8;
    let near = pending.iter().skip(*from).take(NEAR);
    let at = match near.clone().position(|entry| entry.id == id) {
        Some(behind) => *from + behind,
        None => pending.binary_search_by_key(&id, |entry| entry.id).ok()?,
    };
    *from = at + 1;
    pending.get_mut(at)
}
