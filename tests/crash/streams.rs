//! Streams with their groups as the twin knows them. Every entry has the one field `f`.
//!
//! How many entries a group has read is known exactly as long as nothing was deleted, and nothing trimmed before the group had
//! read it; then it is forgotten, since servers estimate it differently.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Item, Keys, Run, Value, bulk, integer, number, ok};
use super::support::Frame;

/// The ID of an entry.
pub(crate) type Id = (u64, u64);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Who has it.
    pub(crate) consumer: String,
    /// How often it was delivered.
    pub(crate) deliveries: i64,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// The last ID it has delivered.
    pub(crate) last: Id,
    /// How many entries it has read, where that is known.
    pub(crate) read: Option<i64>,
    /// By ID.
    pub(crate) pending: BTreeMap<Id, Pending>,
    /// By name.
    pub(crate) consumers: BTreeSet<String>,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Values by ID.
    pub(crate) entries: BTreeMap<Id, String>,
    /// The last ID it has given out.
    pub(crate) last: Id,
    /// The highest ID that was deleted.
    pub(crate) max_deleted: Id,
    /// How many entries it ever had.
    pub(crate) added: i64,
    /// By name.
    pub(crate) groups: BTreeMap<String, Group>,
    /// What idempotent producers have added. A server is asked about it by trying again.
    pub(crate) produced: BTreeMap<(String, String), Id>,
}

/// An ID from its text; one number alone has the sequence 0.
pub(crate) fn id(text: &str) -> Id {
    let (time, sequence) = text.split_once('-').unwrap_or((text, "0"));
    let part = |part: &str| {
        part.parse()
            .unwrap_or_else(|_| panic!("not an ID: {text:?}"))
    };
    (part(time), part(sequence))
}

/// An ID as text.
pub(crate) fn shown(id: Id) -> String {
    format!("{}-{}", id.0, id.1)
}

fn entry((id, value): (&Id, &String)) -> Frame {
    Frame::Array(vec![
        bulk(&shown(*id)),
        Frame::Array(vec![bulk("f"), bulk(value)]),
    ])
}

fn no_group() -> Frame {
    Frame::Error(b"NOGROUP".to_vec())
}

fn stream<'a>(keys: &'a mut Keys, key: &str) -> &'a mut Stream {
    let new = || Item::new(Value::Stream(Stream::default()));
    match &mut keys.entry(key.to_owned()).or_insert_with(new).value {
        Value::Stream(stream) => stream,
        other => panic!("{key} is no stream: {other:?}"),
    }
}

impl Stream {
    fn add(&mut self, id: Id, value: &str) -> Frame {
        if id <= self.last {
            return Frame::Error(b"ERR the ID is not above the last".to_vec());
        }
        self.entries.insert(id, value.to_owned());
        self.last = id;
        self.added += 1;
        bulk(&shown(id))
    }

    fn delete(&mut self, ids: &[&str]) -> usize {
        let mut gone = 0;
        for one in ids.iter().map(|text| id(text)) {
            if self.entries.remove(&one).is_some() {
                gone += 1;
                self.max_deleted = self.max_deleted.max(one);
                self.groups.values_mut().for_each(|group| group.read = None);
            }
        }
        gone
    }

    fn trim(&mut self, length: usize) -> usize {
        let before = self.entries.len();
        while self.entries.len() > length {
            let (gone, _) = self.entries.pop_first().unwrap();
            for group in self.groups.values_mut().filter(|group| group.last < gone) {
                group.read = None;
            }
        }
        before - self.entries.len()
    }

    fn create_group(&mut self, name: &str, is_counted: bool) -> Frame {
        if self.groups.contains_key(name) {
            return Frame::Error(b"BUSYGROUP".to_vec());
        }
        let is_whole = is_counted && usize::try_from(self.added) == Ok(self.entries.len());
        let group = Group {
            read: is_whole.then_some(0),
            ..Group::default()
        };
        self.groups.insert(name.to_owned(), group);
        ok()
    }

    fn read(&mut self, key: &str, name: &str, consumer: &str, count: &str) -> Frame {
        let Some(group) = self.groups.get_mut(name) else {
            return no_group();
        };
        let behind = (
            std::ops::Bound::Excluded(group.last),
            std::ops::Bound::Unbounded,
        );
        let count = usize::try_from(number(count)).unwrap();
        let mut entries = Vec::new();
        for (id, value) in self.entries.range(behind).take(count) {
            entries.push(entry((id, value)));
            let pending = Pending {
                consumer: consumer.to_owned(),
                deliveries: 1,
            };
            group.pending.insert(*id, pending);
            group.last = *id;
            group.read = group.read.map(|read| read + 1);
            group.consumers.insert(consumer.to_owned());
        }
        match entries.is_empty() {
            true => Frame::NullArray,
            false => Frame::Array(vec![Frame::Array(vec![bulk(key), Frame::Array(entries)])]),
        }
    }

    fn claim(&mut self, name: &str, consumer: &str, ids: &[&str]) -> Frame {
        let Some(group) = self.groups.get_mut(name) else {
            return no_group();
        };
        let mut entries = Vec::new();
        for one in ids.iter().map(|text| id(text)) {
            let Some(pending) = group.pending.get_mut(&one) else {
                continue;
            };
            let Some(value) = self.entries.get(&one) else {
                group.pending.remove(&one);
                continue;
            };
            pending.consumer = consumer.to_owned();
            pending.deliveries += 1;
            entries.push(entry((&one, value)));
        }
        Frame::Array(entries)
    }

    fn claim_from(&mut self, name: &str, consumer: &str, start: &str, count: &str) -> Frame {
        let Some(group) = self.groups.get_mut(name) else {
            return no_group();
        };
        let count = usize::try_from(number(count)).unwrap();
        let looked: Vec<Id> = group
            .pending
            .range(id(start)..)
            .map(|(id, _)| *id)
            .collect();
        let (mut entries, mut deleted) = (Vec::new(), Vec::new());
        for one in looked.iter().take(count) {
            let Some(value) = self.entries.get(one) else {
                group.pending.remove(one);
                deleted.push(bulk(&shown(*one)));
                continue;
            };
            let pending = group.pending.get_mut(one).unwrap();
            pending.consumer = consumer.to_owned();
            pending.deliveries += 1;
            entries.push(entry((one, value)));
        }
        let next = looked.get(count).copied().unwrap_or_default();
        Frame::Array(vec![
            bulk(&shown(next)),
            Frame::Array(entries),
            Frame::Array(deleted),
        ])
    }

    fn group(&mut self, words: &[&str]) -> Option<Frame> {
        let reply = match words {
            ["DESTROY", name] => integer(usize::from(self.groups.remove(*name).is_some())),
            ["CREATECONSUMER", name, consumer] => match self.groups.get_mut(*name) {
                Some(group) => integer(usize::from(group.consumers.insert((*consumer).to_owned()))),
                None => no_group(),
            },
            ["DELCONSUMER", name, consumer] => match self.groups.get_mut(*name) {
                Some(group) => {
                    let before = group.pending.len();
                    group
                        .pending
                        .retain(|_, pending| pending.consumer != *consumer);
                    group.consumers.remove(*consumer);
                    integer(before - group.pending.len())
                }
                None => no_group(),
            },
            _ => return None,
        };
        Some(reply)
    }
}

fn new_entry(stream: &mut Stream, key: &str, wanted: &str, value: &str, run: &Run<'_>) -> Frame {
    let new = match wanted {
        "*" => (run.new_id)(key, stream.last),
        explicit => id(explicit),
    };
    stream.add(new, value)
}

/// Runs a command on streams; `None` when it is none.
pub(crate) fn apply(keys: &mut Keys, all: &[&str], run: &Run<'_>) -> Option<Frame> {
    if !all[0].starts_with('X') {
        return None;
    }
    let key = match all {
        ["XGROUP", _, key, ..] => key,
        ["XREADGROUP", .., key, ">"] => key,
        [_, key, ..] => key,
        _ => return None,
    };
    let stream = stream(keys, key);
    let reply = match all {
        ["XADD", _, "IDMP", producer, message, "*", "f", value] => {
            let name = ((*producer).to_owned(), (*message).to_owned());
            if let Some(first) = stream.produced.get(&name) {
                return Some(bulk(&shown(*first)));
            }
            let reply = new_entry(stream, key, "*", value, run);
            if !reply.is_error() {
                stream.produced.insert(name, stream.last);
            }
            reply
        }
        ["XADD", _, wanted, "f", value] => new_entry(stream, key, wanted, value, run),
        ["XCFGSET", ..] => ok(),
        ["XDEL", _, ids @ ..] => integer(stream.delete(ids)),
        ["XTRIM", _, "MAXLEN", length] => {
            integer(stream.trim(usize::try_from(number(length)).unwrap()))
        }
        ["XGROUP", "CREATE", _, name, "0", "MKSTREAM", read @ ..] => {
            stream.create_group(name, !read.is_empty())
        }
        ["XGROUP", verb, _, rest @ ..] => stream.group(&[&[*verb], rest].concat())?,
        [
            "XREADGROUP",
            "GROUP",
            name,
            consumer,
            "COUNT",
            count,
            "STREAMS",
            _,
            ">",
        ] => stream.read(key, name, consumer, count),
        ["XACK", _, name, ids @ ..] => {
            let Some(group) = stream.groups.get_mut(*name) else {
                return Some(Frame::Integer(0));
            };
            let gone = ids
                .iter()
                .filter(|text| group.pending.remove(&id(text)).is_some());
            integer(gone.count())
        }
        ["XCLAIM", _, name, consumer, "0", ids @ ..] => stream.claim(name, consumer, ids),
        ["XAUTOCLAIM", _, name, consumer, "0", start, "COUNT", count] => {
            stream.claim_from(name, consumer, start, count)
        }
        _ => return None,
    };
    Some(reply)
}
