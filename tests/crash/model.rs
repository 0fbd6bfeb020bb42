//! What the keys of one writer must hold: a naive twin of the server, one connection at a time.
//!
//! Only commands that the writers send are known, on text, with whole numbers as scores. A command gives the reply that the server
//! must have given, or `None` where only the server knows it. Keys that several writers share (`shared:…`) are not in it: their
//! laws are in queues.rs, groups.rs and transfers.rs.
//!
//! lists.rs, records.rs and streams.rs have the values; this file has the databases, strings and ends of keys.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::streams::{Id, Stream};
use super::support::Frame;

/// A command.
pub(crate) type Words = Vec<String>;
/// The keys of a database.
pub(crate) type Keys = BTreeMap<String, Item>;

/// Keys that start so belong to no single writer.
pub(crate) const SHARED: &str = "shared:";

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string.
    Text(String),
    /// A list, from left to right.
    List(VecDeque<String>),
    /// Values by field.
    Hash(BTreeMap<String, String>),
    /// Members.
    Set(BTreeSet<String>),
    /// Scores by member.
    Sorted(BTreeMap<String, i64>),
    /// A stream with its groups.
    Stream(Stream),
}

/// When a key ends, Unix milliseconds. From a time that the server has counted from its own clock only bounds are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Not before.
    pub(crate) low: i64,
    /// Not after.
    pub(crate) high: i64,
}

/// A key's value and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// What it holds.
    pub(crate) value: Value,
    /// When it ends.
    pub(crate) ends: Option<Ends>,
}

impl Item {
    /// A key that does not end.
    pub(crate) fn new(value: Value) -> Self {
        Self { value, ends: None }
    }
}

/// What the twin has to be told of one run of a command.
pub(crate) struct Run<'a> {
    /// When it was sent, Unix milliseconds.
    pub(crate) sent_ms: i64,
    /// When its reply was there, or the server dead.
    pub(crate) answered_ms: i64,
    /// The ID that a stream gave to a new entry, from its key and last ID.
    pub(crate) new_id: &'a dyn Fn(&str, Id) -> Id,
}

/// The databases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// By number.
    pub(crate) databases: BTreeMap<u32, Keys>,
    /// The database of the connection.
    pub(crate) selected: u32,
}

pub(crate) fn ok() -> Frame {
    Frame::Simple(b"OK".to_vec())
}

pub(crate) fn bulk(text: &str) -> Frame {
    Frame::Bulk(text.as_bytes().to_vec())
}

pub(crate) fn integer(count: usize) -> Frame {
    Frame::Integer(i64::try_from(count).unwrap())
}

/// The integer in a word.
pub(crate) fn number(word: &str) -> i64 {
    word.parse()
        .unwrap_or_else(|_| panic!("not a number: {word}"))
}

impl Model {
    /// Runs a command.
    pub(crate) fn apply(&mut self, words: &[String], run: &Run<'_>) -> Option<Frame> {
        let all: Vec<&str> = words.iter().map(String::as_str).collect();
        if all.iter().any(|word| word.starts_with(SHARED)) {
            return None;
        }
        if all[0] == "SELECT" {
            self.selected = all[1].parse().unwrap();
            return Some(ok());
        }
        if let Some(reply) = self.between(&all) {
            return Some(reply);
        }
        let keys = self.databases.entry(self.selected).or_default();
        let reply = strings(keys, &all, run)
            .or_else(|| super::lists::apply(keys, &all))
            .or_else(|| super::records::apply(keys, &all))
            .or_else(|| super::streams::apply(keys, &all, run))
            .unwrap_or_else(|| panic!("the model does not know {all:?}"));
        // Of a key that ends soon nobody knows whether it is still there.
        (!all.iter().any(|word| word.contains("volatile"))).then_some(reply)
    }

    /// Commands on whole databases and between them.
    fn between(&mut self, all: &[&str]) -> Option<Frame> {
        let here = self.selected;
        match all {
            ["FLUSHDB"] => {
                self.databases.remove(&here);
            }
            ["SWAPDB", one, other] => {
                let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
                let first = self.databases.remove(&one).unwrap_or_default();
                let second = self.databases.remove(&other).unwrap_or_default();
                self.databases.insert(one, second);
                self.databases.insert(other, first);
            }
            ["MOVE", key, to] => {
                let to = to.parse().unwrap();
                let is_taken = self.databases.entry(to).or_default().contains_key(*key);
                let from = self.databases.entry(here).or_default();
                if is_taken || !from.contains_key(*key) {
                    return Some(Frame::Integer(0));
                }
                let item = from.remove(*key).unwrap();
                self.databases
                    .entry(to)
                    .or_default()
                    .insert((*key).to_owned(), item);
                return Some(Frame::Integer(1));
            }
            ["COPY", from, into, "DB", to, "REPLACE"] => {
                let item = self.databases.entry(here).or_default().get(*from).cloned();
                let Some(item) = item else {
                    return Some(Frame::Integer(0));
                };
                let keys = self.databases.entry(to.parse().unwrap()).or_default();
                keys.insert((*into).to_owned(), item);
                return Some(Frame::Integer(1));
            }
            _ => return None,
        }
        Some(ok())
    }
}

/// The bounds of an end that is counted from the server's clock.
fn ends_after(run: &Run<'_>, wait_ms: &str) -> Option<Ends> {
    let wait_ms = number(wait_ms);
    // The server's clock is the same one, but it may have looked at it a little before.
    Some(Ends {
        low: run.sent_ms + wait_ms - 50,
        high: run.answered_ms + wait_ms + 50,
    })
}

fn ends_at(time: &str) -> Option<Ends> {
    let time = number(time);
    Some(Ends {
        low: time,
        high: time,
    })
}

fn set(keys: &mut Keys, key: &str, value: &str, ends: Option<Ends>) -> Frame {
    let value = Value::Text(value.to_owned());
    keys.insert(key.to_owned(), Item { value, ends });
    ok()
}

/// Changes the end of a key: how many there are of it.
fn expire(keys: &mut Keys, key: &str, ends: Option<Ends>) -> Frame {
    let item = keys.get_mut(key);
    integer(item.map_or(0, |item| {
        item.ends = ends;
        1
    }))
}

fn text<'a>(keys: &'a mut Keys, key: &str, empty: &str) -> &'a mut String {
    let new = || Item::new(Value::Text(empty.to_owned()));
    match &mut keys.entry(key.to_owned()).or_insert_with(new).value {
        Value::Text(text) => text,
        other => panic!("{key} is no string: {other:?}"),
    }
}

/// Strings, ends and keys as such.
fn strings(keys: &mut Keys, all: &[&str], run: &Run<'_>) -> Option<Frame> {
    let reply = match all {
        ["SET", key, value] => set(keys, key, value, None),
        ["SET", key, value, "PX", wait] => set(keys, key, value, ends_after(run, wait)),
        ["SET", key, value, "PXAT", time] => set(keys, key, value, ends_at(time)),
        ["SET", key, value, "KEEPTTL"] => {
            let ends = keys.get(*key).and_then(|item| item.ends);
            set(keys, key, value, ends)
        }
        ["PEXPIRE", key, wait] => expire(keys, key, ends_after(run, wait)),
        ["PEXPIREAT", key, time] => expire(keys, key, ends_at(time)),
        ["PERSIST", key] => match keys.get_mut(*key) {
            Some(item) => integer(usize::from(item.ends.take().is_some())),
            None => Frame::Integer(0),
        },
        ["INCRBY", key, by] => {
            let text = text(keys, key, "0");
            let sum = number(text) + number(by);
            *text = sum.to_string();
            Frame::Integer(sum)
        }
        ["APPEND", key, more] => {
            let text = text(keys, key, "");
            text.push_str(more);
            integer(text.len())
        }
        ["GETDEL", key] => match keys.remove(*key) {
            Some(Item {
                value: Value::Text(text),
                ..
            }) => bulk(&text),
            _ => Frame::NullBulk,
        },
        ["DEL", some @ ..] => {
            let gone = some.iter().filter(|key| keys.remove(**key).is_some());
            integer(gone.count())
        }
        ["RENAME", from, to] => match keys.remove(*from) {
            Some(item) => {
                keys.insert((*to).to_owned(), item);
                ok()
            }
            None => Frame::Error(b"ERR no such key".to_vec()),
        },
        _ => return None,
    };
    Some(reply)
}

/// Takes empty values out: a key does not outlive its last element, only a stream does.
pub(crate) fn forget_empty(keys: &mut Keys, key: &str) {
    let is_empty = keys.get(key).is_some_and(|item| match &item.value {
        Value::List(list) => list.is_empty(),
        Value::Hash(fields) => fields.is_empty(),
        Value::Set(members) => members.is_empty(),
        Value::Sorted(scores) => scores.is_empty(),
        Value::Text(_) | Value::Stream(_) => false,
    });
    if is_empty {
        keys.remove(key);
    }
}
