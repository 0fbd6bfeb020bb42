//! The stream family.
//!
//! ```text
//! write.rs    XADD XTRIM XSETID               read.rs     XLEN XRANGE XREVRANGE
//! delete.rs   XDEL XDELEX XACKDEL             options.rs  of XADD, XTRIM, XDELEX, XACKDEL
//! consume.rs  XREAD XREADGROUP                consume/    their grammar, and how a group's entries are handed out
//! group.rs    XGROUP XACK                     pending.rs  XPENDING XCLAIM XAUTOCLAIM
//! release.rs  XNACK                           info.rs     XINFO
//! idempotency.rs  XCFGSET XIDMPRECORD
//! ```
//! Here: what the parts share: IDs and intervals as arguments, entries as replies, the effects of a delivery.
//!
//! What a write hands on (`effect`) is what Redis propagates, made so that repeating it gives the same stream:
//! XADD with its final ID; a `~` trim as the exact one it came to; what a reference policy took as XDEL and XACK; a
//! producer's message as XIDMPRECORD behind its entry; a delivery to a consumer as XCLAIM … FORCE JUSTID
//! LASTID and the group's position as XGROUP SETID … ENTRIESREAD. Beyond Redis, reading one's history again (it
//! counts a delivery) and a consumer created by a read or claim that gave nothing are handed on too.

mod consume;
mod delete;
mod group;
mod idempotency;
mod info;
mod interval;
mod options;
mod pending;
mod read;
mod release;
mod write;

#[cfg(test)]
mod tests;

use crate::data::stream::{ConsumerIndex, Delivery, Entry, Group, Stream, StreamId};
use crate::keyspace::KeyHandle;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::table::Entry as KeyEntry;
use crate::keyspace::value::Value;
use crate::resp::reply::Reply;

use super::element::reply_element;
use super::error::{self, CommandError};
use super::spec::Command;

/// The rows of each part of the family.
pub(crate) static COMMANDS: &[&[Command]] = &[
    write::COMMANDS,
    delete::COMMANDS,
    idempotency::COMMANDS,
    read::COMMANDS,
    consume::COMMANDS,
    group::COMMANDS,
    pending::COMMANDS,
    release::COMMANDS,
    info::COMMANDS,
];

/// The stream of a key; `None` without the key.
fn stream_of(entry: Option<&KeyEntry>) -> Result<Option<&Stream>, CommandError> {
    stream_in(entry.map(|entry| &entry.value))
}

fn stream_in(value: Option<&Value>) -> Result<Option<&Stream>, CommandError> {
    match value {
        None => Ok(None),
        Some(Value::Stream(stream)) => Ok(Some(stream)),
        Some(_) => Err(error::WRONG_TYPE),
    }
}

/// The stream of a key to change; a report is due from here on.
fn stream_mut<'h>(handle: &'h mut KeyHandle<'_>) -> Option<&'h mut Stream> {
    stream_in_mut(handle.value_mut())
}

fn stream_in_mut(value: Option<&mut Value>) -> Option<&mut Stream> {
    match value {
        Some(Value::Stream(stream)) => Some(stream),
        _ => None,
    }
}

/// An argument as Redis sees it where it treats one as a C string: up to the first zero byte.
fn c_string(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    &text[..end]
}

/// An ID; a missing sequence is 0.
fn strict_id(text: &[u8]) -> Result<StreamId, CommandError> {
    StreamId::parse(text, 0).map_err(|_| error::INVALID_STREAM_ID)
}

/// An ID, `-` or `+`.
fn loose_id(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match c_string(text) {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => StreamId::parse(text, missing_seq).map_err(|_| error::INVALID_STREAM_ID),
    }
}

/// The lower end of an interval; `(` excludes the ID itself.
fn interval_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            strict_id(id)?.successor().ok_or(error::INVALID_START_ID)
        }
        _ => loose_id(text, 0),
    }
}

/// The upper end of an interval; `(` excludes the ID itself.
fn interval_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => StreamId::parse(id, u64::MAX)
            .map_err(|_| error::INVALID_STREAM_ID)?
            .predecessor()
            .ok_or(error::INVALID_END_ID),
        _ => loose_id(text, u64::MAX),
    }
}

fn reply_id(reply: &mut Reply, id: StreamId) {
    reply.bulk(id.text().as_bytes());
}

/// `[id, [field, value, …]]`
fn reply_entry(reply: &mut Reply, entry: &Entry<'_>) {
    reply.array(2);
    reply_entry_parts(reply, entry);
}

/// The ID and the fields of an entry, as parts of an array that is begun.
fn reply_entry_parts(reply: &mut Reply, entry: &Entry<'_>) {
    reply_id(reply, entry.id);
    let fields = entry.fields.clone();
    reply.array(2 * fields.len());
    for (name, value) in fields {
        reply_element(reply, name);
        reply_element(reply, value);
    }
}

/// `[entry, …]`, at most `count` of them when above 0; gives how many.
fn reply_entries<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = Entry<'a>>,
    count: usize,
) -> usize {
    let open = OpenCollection::array(reply, count);
    let mut written = 0;
    for entry in entries {
        reply_entry(reply, &entry);
        written += 1;
        if written == count {
            break;
        }
    }
    open.close(reply, written);
    written
}

/// An array or map in a reply whose length is known only when it is complete. Its header is written with a
/// guess; a wrong guess costs moving what was written meanwhile.
struct OpenCollection {
    at: usize,
    end: usize,
    sigil: u8,
    guess: usize,
}

impl OpenCollection {
    fn array(reply: &mut Reply, guess: usize) -> Self {
        let at = reply.position();
        reply.array(guess);
        Self {
            at,
            end: reply.position(),
            sigil: b'*',
            guess,
        }
    }

    /// A map in RESP3, in RESP2 an array of pairs that are arrays.
    fn map_of_pairs(reply: &mut Reply, guess: usize) -> Self {
        if !reply.is_resp3() {
            return Self::array(reply, guess);
        }
        let at = reply.position();
        reply.map(guess);
        Self {
            at,
            end: reply.position(),
            sigil: b'%',
            guess,
        }
    }

    fn close(self, reply: &mut Reply, count: usize) {
        if count == self.guess {
            return;
        }
        let mut header = vec![self.sigil];
        header.extend_from_slice(count.to_string().as_bytes());
        header.extend_from_slice(b"\r\n");
        reply.replace(self.at..self.end, &header);
    }
}

/// What a delivery or claim did to entries of a group, as Redis propagates it.
struct ClaimEffect<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    ids: &'a [StreamId],
    delivered_ms: u64,
    delivery_count: u64,
    /// The group's position afterwards.
    last_id: StreamId,
}

impl ClaimEffect<'_> {
    fn write(&self, effect: &mut EffectWriter) {
        effect
            .arg("XCLAIM")
            .arg(self.key)
            .arg(self.group)
            .arg(self.consumer)
            .arg("0");
        for id in self.ids {
            effect.arg(id.text().as_bytes());
        }
        effect.arg("TIME").integer(self.delivered_ms.cast_signed());
        effect
            .arg("RETRYCOUNT")
            .integer(self.delivery_count.cast_signed());
        effect
            .arg("FORCE")
            .arg("JUSTID")
            .arg("LASTID")
            .arg(self.last_id.text().as_bytes());
    }
}

/// How long a pending entry has been idle, as replies tell it: -1 when it was released.
fn shown_idle_ms(delivery: &Delivery, now_ms: u64) -> i64 {
    if delivery.is_released() {
        return -1;
    }
    delivery.idle_ms(now_ms).max(0)
}

/// The group's position as Redis propagates it.
fn write_group_position(
    effect: &mut EffectWriter,
    key: &[u8],
    group: &[u8],
    last_id: StreamId,
    entries_read: Option<u64>,
) {
    effect
        .arg("XGROUP")
        .arg("SETID")
        .arg(key)
        .arg(group)
        .arg(last_id.text().as_bytes());
    effect
        .arg("ENTRIESREAD")
        .integer(entries_read.map_or(-1, u64::cast_signed));
}

/// A consumer that came into being by being named.
fn write_consumer_creation(effect: &mut EffectWriter, key: &[u8], group: &[u8], consumer: &[u8]) {
    effect
        .arg("XGROUP")
        .arg("CREATECONSUMER")
        .arg(key)
        .arg(group)
        .arg(consumer);
}

/// The consumer a read or claim names, created when there is none; and whether it was. It counts as seen.
fn named_consumer(group: &mut Group, name: &[u8], now_ms: u64) -> Option<(ConsumerIndex, bool)> {
    let found = group.find_consumer(name);
    let consumer = found.or_else(|| group.create_consumer(name, now_ms))?;
    group.consumer_mut(consumer).seen_ms = now_ms;
    Some((consumer, found.is_none()))
}

/// Tells of a consumer that came into being by being named.
fn report_consumer(handle: &mut KeyHandle<'_>, group: &[u8], consumer: &[u8]) {
    let key = handle.key();
    handle.event(EventClass::STREAM, "xgroup-createconsumer");
    handle.effect(|effect| write_consumer_creation(effect, key, group, consumer));
}
