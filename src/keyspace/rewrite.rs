//! A key as the commands that make it: what a rewrite of a log holds, and DEBUG RELOAD replays.
//!
//! A stream needs care, since XCLAIM and XIDMPRECORD take no entry that is gone, though one may still be pending, or be known
//! as what a producer's message became:
//!
//! ```text
//! XADD …                       entries, and a placeholder for each that is referred to but gone, in ID order
//! XCFGSET, XIDMPRECORD         what is known of producers, where anything ever was
//! XGROUP CREATE, CREATECONSUMER, XCLAIM … FORCE, XNACK … FORCE
//! XTRIM MINID, XDEL            the placeholders go again: in front of the entries as trimmed, between them as deleted
//! XSETID                       last ID, entries ever added, highest ID deleted
//! XGROUP SETID … ENTRIESREAD   what groups have read, which is never more than was added
//! ```
//! XTRIM leaves the highest deleted ID alone, and an ID above it was never deleted, so it must lie in front.
//!
//! Lost are only the times at which consumers were seen, where blocks begin, since when messages of producers are known (it
//! begins anew), and how often they came again. The window of a stream that never knew any is written only when
//! XCFGSET chose it or it is not the one by default: other streams stay readable for servers that have no XCFGSET.
//!
//! Files hold values as they are, but not all of each ([`beyond_files`]): what is left are commands that 7.2 does not know, for a
//! key that is there.

use std::collections::BTreeSet;

use crate::data::hash::Hash;
use crate::data::list::List;
use crate::data::listpack::Element;
use crate::data::set::Set;
use crate::data::sorted_set::{ScoreText, SortedSet};
use crate::data::stream::{Group, Log, PendingEntry, Stream, StreamId, Window};
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;

/// Elements of one RPUSH, fields of one HSET, IDs of one XDEL.
const BATCH: usize = 64;

/// Who has released entries in a file where a group has no consumer.
const MADE_UP_OWNER: &[u8] = b"released";

/// A message of a producer, and the entry it is known to have become.
type KnownMessage<'a> = (&'a [u8], &'a [u8], StreamId);

/// Gives the effects that make the key of an entry, in order, for the database it is in.
pub(crate) fn rewrite(entry: &Entry, now_ms: u64, take: &mut dyn FnMut(&EffectWriter)) {
    let key = &*entry.key;
    match &entry.value {
        Value::String(string) => {
            let mut scratch = [0; 20];
            take(&command(|effect| {
                effect.arg("SET").arg(key).arg(string.bytes(&mut scratch));
            }));
        }
        Value::List(list) => rewrite_list(key, list, take),
        Value::Set(set) => rewrite_set(key, set, take),
        Value::Hash(hash) => rewrite_hash(key, hash, take),
        Value::SortedSet(set) => rewrite_sorted_set(key, set, take),
        Value::Stream(stream) => rewrite_stream(key, stream, now_ms, take),
    }
    if let Some(at) = entry.expiry() {
        take(&command(|effect| {
            effect.arg("PEXPIREAT").arg(key).integer(at as i64);
        }));
    }
}

/// Gives the effects that make of a value, as a file of Redis 7.2 holds it, the one that it was.
pub(crate) fn beyond_files(
    key: &[u8],
    value: &Value,
    now_ms: u64,
    take: &mut dyn FnMut(&EffectWriter),
) {
    match value {
        Value::Set(set) => rewrite_ends(key, SET_ENDS, set.ends(), take),
        Value::Hash(hash) => rewrite_ends(key, HASH_ENDS, hash.ends(), take),
        Value::Stream(stream) => {
            if has_window(stream) {
                take(&window_of(key, stream));
            }
            for record in stream.idempotency().records(now_ms) {
                take(&record_of(key, &record));
            }
            for (name, group) in stream.groups() {
                for entry in group.pending().released_in_order() {
                    take(&release_of(key, name, &entry));
                }
                if let Some(owner) = owner_of_released(group).filter(|owner| owner.is_made_up) {
                    take(&command(|effect| {
                        effect.arg("XGROUP").arg("DELCONSUMER").arg(key).arg(name);
                        effect.arg(owner.name);
                    }));
                }
            }
        }
        Value::String(_) | Value::List(_) | Value::SortedSet(_) => {}
    }
}

/// Who has the released entries of a group in a file: there somebody must.
#[derive(Clone, Copy)]
pub(crate) struct ReleasedOwner<'g> {
    /// The consumer.
    pub(crate) name: &'g [u8],
    /// Whether it is none of the group.
    pub(crate) is_made_up: bool,
}

/// Who has the released entries of a group in a file; `None` when there are none.
pub(crate) fn owner_of_released(group: &Group) -> Option<ReleasedOwner<'_>> {
    if group.pending().released_count() == 0 {
        return None;
    }
    let first = group.consumers().next();
    Some(ReleasedOwner {
        name: first.map_or(MADE_UP_OWNER, |(_, consumer)| consumer.name()),
        is_made_up: first.is_none(),
    })
}

fn command(write: impl FnOnce(&mut EffectWriter)) -> EffectWriter {
    let mut effect = EffectWriter::default();
    write(&mut effect);
    effect
}

fn rewrite_list(key: &[u8], list: &List, take: &mut dyn FnMut(&EffectWriter)) {
    let mut elements = list.iter().peekable();
    while elements.peek().is_some() {
        take(&command(|effect| {
            effect.arg("RPUSH").arg(key);
            for element in elements.by_ref().take(BATCH) {
                effect.arg(element.as_bytes(&mut [0; 20]));
            }
        }));
    }
}

fn rewrite_set(key: &[u8], set: &Set, take: &mut dyn FnMut(&EffectWriter)) {
    let mut members = set.iter().peekable();
    while members.peek().is_some() {
        take(&command(|effect| {
            effect.arg("SADD").arg(key);
            for member in members.by_ref().take(BATCH) {
                effect.arg(member.as_bytes(&mut [0; 20]));
            }
        }));
    }
    rewrite_ends(key, SET_ENDS, set.ends(), take);
}

fn rewrite_hash(key: &[u8], hash: &Hash, take: &mut dyn FnMut(&EffectWriter)) {
    let mut fields = hash.iter().peekable();
    while fields.peek().is_some() {
        take(&command(|effect| {
            effect.arg("HSET").arg(key);
            for (field, value) in fields.by_ref().take(BATCH) {
                effect.arg(field.as_bytes(&mut [0; 20]));
                effect.arg(value.as_bytes(&mut [0; 20]));
            }
        }));
    }
    rewrite_ends(key, HASH_ENDS, hash.ends(), take);
}

/// The command that lets members end, and its word in front of them; the same of fields.
const SET_ENDS: [&str; 2] = ["SPEXPIREAT", "MEMBERS"];
const HASH_ENDS: [&str; 2] = ["HPEXPIREAT", "FIELDS"];

/// `words`: the command that lets elements end, and its word in front of them.
fn rewrite_ends<'a>(
    key: &[u8],
    words: [&str; 2],
    ends: impl Iterator<Item = (u64, Element<'a>)>,
    take: &mut dyn FnMut(&EffectWriter),
) {
    for (ms, element) in ends {
        take(&command(|effect| {
            effect.arg(words[0]).arg(key).integer(ms as i64);
            effect.arg(words[1]).arg("1");
            effect.arg(element.as_bytes(&mut [0; 20]));
        }));
    }
}

fn rewrite_sorted_set(key: &[u8], set: &SortedSet, take: &mut dyn FnMut(&EffectWriter)) {
    let mut pairs = set.iter().peekable();
    while pairs.peek().is_some() {
        take(&command(|effect| {
            effect.arg("ZADD").arg(key);
            for (member, score) in pairs.by_ref().take(BATCH) {
                effect.arg(ScoreText::new(score).bytes());
                effect.arg(member.as_bytes(&mut [0; 20]));
            }
        }));
    }
}

fn rewrite_stream(key: &[u8], stream: &Stream, now_ms: u64, take: &mut dyn FnMut(&EffectWriter)) {
    let log = stream.log();
    let records: Vec<_> = stream.idempotency().records(now_ms).collect();
    let gone = referred_to_but_gone(stream, &records);
    rewrite_entries(key, log, &gone, take);
    rewrite_producers(key, stream, &records, &gone, take);
    for (name, group) in stream.groups() {
        rewrite_group(key, name, group, take);
    }
    remove_placeholders(key, log, &gone, take);
    take(&command(|effect| {
        effect
            .arg("XSETID")
            .arg(key)
            .arg(log.last_id().text().as_bytes());
        effect
            .arg("ENTRIESADDED")
            .integer(log.entries_added() as i64);
        effect
            .arg("MAXDELETEDID")
            .arg(log.max_deleted_id().text().as_bytes());
    }));
    for (name, group) in stream.groups() {
        if group.entries_read.is_some() {
            take(&command(|effect| write_position(effect, key, name, group)));
        }
    }
}

fn write_position(effect: &mut EffectWriter, key: &[u8], name: &[u8], group: &Group) {
    effect.arg("XGROUP").arg("SETID").arg(key).arg(name);
    effect.arg(group.last_delivered.text().as_bytes());
    let read = group.entries_read.map_or(-1, |read| read as i64);
    effect.arg("ENTRIESREAD").integer(read);
}

/// The IDs that some group has pending, or that a message is known to have become, and the log no longer has.
fn referred_to_but_gone(stream: &Stream, records: &[KnownMessage<'_>]) -> BTreeSet<StreamId> {
    let log = stream.log();
    let pending = stream
        .groups()
        .flat_map(|(_, group)| group.pending().iter_from(StreamId::MIN))
        .map(|entry| entry.id);
    let recorded = records.iter().map(|(_, _, id)| *id);
    let recorded = recorded.filter(|id| may_have_a_placeholder(log, *id));
    pending
        .chain(recorded)
        .filter(|id| !log.surely_keeps(*id) && !log.contains(*id))
        .collect()
}

/// Whether a placeholder at this ID could be taken out again without a trace. It could not be where XSETID has gone back
/// behind a deletion; a message that became such an entry is not known any more after a rewrite.
fn may_have_a_placeholder(log: &Log, id: StreamId) -> bool {
    log.is_empty() || id < log.first_id() || id <= log.max_deleted_id()
}

fn rewrite_producers(
    key: &[u8],
    stream: &Stream,
    records: &[KnownMessage<'_>],
    gone: &BTreeSet<StreamId>,
    take: &mut dyn FnMut(&EffectWriter),
) {
    if !has_window(stream) {
        return;
    }
    take(&window_of(key, stream));
    for record in records {
        if gone.contains(&record.2) || stream.log().contains(record.2) {
            take(&record_of(key, record));
        }
    }
}

/// Whether there is something to say of producers.
fn has_window(stream: &Stream) -> bool {
    let tables = stream.idempotency();
    tables.is_used() || tables.window() != Window::default()
}

fn window_of(key: &[u8], stream: &Stream) -> EffectWriter {
    let window = stream.idempotency().window();
    command(|effect| {
        effect.arg("XCFGSET").arg(key);
        effect
            .arg("IDMP-DURATION")
            .integer(window.duration_s.into());
        effect.arg("IDMP-MAXSIZE").integer(window.size_max.into());
    })
}

fn record_of(key: &[u8], (producer, message, id): &KnownMessage<'_>) -> EffectWriter {
    command(|effect| {
        effect.arg("XIDMPRECORD").arg(key).arg(producer);
        effect.arg(message).arg(id.text().as_bytes());
    })
}

fn release_of(key: &[u8], group: &[u8], entry: &PendingEntry) -> EffectWriter {
    command(|effect| {
        effect.arg("XNACK").arg(key).arg(group).arg("FAIL");
        effect.arg("IDS").arg("1").arg(entry.id.text().as_bytes());
        effect
            .arg("RETRYCOUNT")
            .integer(entry.delivery.delivery_count as i64);
        effect.arg("FORCE");
    })
}

fn rewrite_entries(
    key: &[u8],
    log: &Log,
    gone: &BTreeSet<StreamId>,
    take: &mut dyn FnMut(&EffectWriter),
) {
    let mut gone = gone.iter().copied().peekable();
    let placeholder = |id: StreamId, take: &mut dyn FnMut(&EffectWriter)| {
        take(&command(|effect| {
            effect
                .arg("XADD")
                .arg(key)
                .arg(id.text().as_bytes())
                .arg("x")
                .arg("y");
        }));
    };
    if log.is_empty() && gone.peek().is_none() {
        // An entry that goes at once: nothing else makes an empty stream whatever its last ID.
        take(&command(|effect| {
            effect.arg("XADD").arg(key).arg("MAXLEN").arg("0");
            effect.arg("0-1").arg("x").arg("y");
        }));
        return;
    }
    for entry in log.range(StreamId::MIN, StreamId::MAX) {
        while let Some(id) = gone.next_if(|id| *id < entry.id) {
            placeholder(id, take);
        }
        take(&command(|effect| {
            effect.arg("XADD").arg(key).arg(entry.id.text().as_bytes());
            for (name, value) in entry.fields {
                effect.arg(name.as_bytes(&mut [0; 20]));
                effect.arg(value.as_bytes(&mut [0; 20]));
            }
        }));
    }
    for id in gone {
        placeholder(id, take);
    }
}

fn rewrite_group(key: &[u8], name: &[u8], group: &Group, take: &mut dyn FnMut(&EffectWriter)) {
    take(&command(|effect| {
        effect.arg("XGROUP").arg("CREATE").arg(key).arg(name);
        effect.arg(group.last_delivered.text().as_bytes());
    }));
    for (_, consumer) in group.consumers() {
        take(&command(|effect| {
            effect
                .arg("XGROUP")
                .arg("CREATECONSUMER")
                .arg(key)
                .arg(name);
            effect.arg(consumer.name());
        }));
    }
    for entry in group.pending().iter_from(StreamId::MIN) {
        let delivery = entry.delivery;
        if delivery.is_released() {
            continue;
        }
        take(&command(|effect| {
            effect.arg("XCLAIM").arg(key).arg(name);
            effect.arg(group.owner_name(&delivery));
            effect.arg("0").arg(entry.id.text().as_bytes());
            effect.arg("TIME").integer(delivery.delivered_ms as i64);
            effect
                .arg("RETRYCOUNT")
                .integer(delivery.delivery_count as i64);
            effect.arg("JUSTID").arg("FORCE");
        }));
    }
    // In the order of the queue: it is that in which they are handed out again.
    for entry in group.pending().released_in_order() {
        take(&release_of(key, name, &entry));
    }
}

fn remove_placeholders(
    key: &[u8],
    log: &Log,
    gone: &BTreeSet<StreamId>,
    take: &mut dyn FnMut(&EffectWriter),
) {
    let in_front = |id: &StreamId| log.is_empty() || *id < log.first_id();
    if gone.first().is_some_and(in_front) {
        take(&command(|effect| {
            effect.arg("XTRIM").arg(key);
            if log.is_empty() {
                effect.arg("MAXLEN").arg("0");
            } else {
                effect.arg("MINID").arg(log.first_id().text().as_bytes());
            }
        }));
    }
    let between: Vec<StreamId> = gone.iter().copied().filter(|id| !in_front(id)).collect();
    for ids in between.chunks(BATCH) {
        take(&command(|effect| {
            effect.arg("XDEL").arg(key);
            for id in ids {
                effect.arg(id.text().as_bytes());
            }
        }));
    }
}
