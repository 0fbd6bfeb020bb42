//! Reads back everything that a server holds.
//!
//! A key that ends while it is read is left out, as if it had ended before.

use std::collections::BTreeMap;

use super::model::{Ends, Item, Keys, Value};
use super::streams::{Group, Pending, Stream, id};
use super::support::client::encode;
use super::support::{Client, Frame};

/// The databases that are used: the writers' one, and two that are swapped, flushed and moved about in.
pub(crate) const DATABASES: [u32; 3] = [0, 9, 10];
/// Requests that are sent before their replies are read.
const PIECE: usize = 200;

/// What a server holds: keys by database.
pub(crate) type Observed = BTreeMap<u32, Keys>;

fn all_of(client: &mut Client, requests: &[Vec<String>]) -> Vec<Frame> {
    let mut replies = Vec::new();
    for piece in requests.chunks(PIECE) {
        let mut bytes = Vec::new();
        piece.iter().for_each(|request| encode(request, &mut bytes));
        client.send_raw(&bytes);
        replies.extend(piece.iter().map(|_| client.reply()));
    }
    replies
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn read_command(key: &str, kind: &str) -> Vec<String> {
    words(&match kind {
        "string" => format!("GET {key}"),
        "list" => format!("LRANGE {key} 0 -1"),
        "hash" => format!("HGETALL {key}"),
        "set" => format!("SMEMBERS {key}"),
        "zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
        "stream" => format!("XINFO STREAM {key} FULL COUNT 0"),
        _ => format!("EXISTS {key}"),
    })
}

fn texts(reply: &Frame) -> impl Iterator<Item = String> + '_ {
    reply.items().iter().map(Frame::text)
}

fn pairs(reply: &Frame) -> impl Iterator<Item = (String, String)> + '_ {
    let pair = |pair: &[Frame]| (pair[0].text(), pair[1].text());
    reply.items().chunks(2).map(pair)
}

fn field<'a>(reply: &'a Frame, name: &str) -> &'a Frame {
    reply
        .field(name)
        .unwrap_or_else(|| panic!("no {name} in {reply}"))
}

fn group(reply: &Frame) -> Group {
    let pending = field(reply, "pending").items().iter().map(|pending| {
        let [id_, consumer, _, deliveries] = pending.items() else {
            panic!("no pending entry: {pending}");
        };
        let pending = Pending {
            consumer: consumer.text(),
            deliveries: deliveries.integer(),
        };
        (id(&id_.text()), pending)
    });
    let consumers = field(reply, "consumers").items().iter();
    let read = field(reply, "entries-read");
    Group {
        last: id(&field(reply, "last-delivered-id").text()),
        read: (!read.is_null()).then(|| read.integer()),
        pending: pending.collect(),
        consumers: consumers
            .map(|consumer| field(consumer, "name").text())
            .collect(),
    }
}

fn stream(reply: &Frame) -> Stream {
    let entries = field(reply, "entries").items().iter().map(|entry| {
        let [id_, fields] = entry.items() else {
            panic!("no entry: {entry}");
        };
        (id(&id_.text()), fields.items()[1].text())
    });
    let groups = field(reply, "groups").items().iter();
    Stream {
        entries: entries.collect(),
        last: id(&field(reply, "last-generated-id").text()),
        max_deleted: id(&field(reply, "max-deleted-entry-id").text()),
        added: field(reply, "entries-added").integer(),
        groups: groups
            .map(|one| (field(one, "name").text(), group(one)))
            .collect(),
        produced: BTreeMap::new(),
    }
}

fn value(kind: &str, reply: &Frame) -> Option<Value> {
    let is_gone = reply.is_null() || reply.is_error();
    if is_gone || (kind != "stream" && kind != "string" && reply.items().is_empty()) {
        return None;
    }
    let score = |(member, score): (String, String)| (member, score.parse().unwrap());
    Some(match kind {
        "string" => Value::Text(reply.text()),
        "list" => Value::List(texts(reply).collect()),
        "hash" => Value::Hash(pairs(reply).collect()),
        "set" => Value::Set(texts(reply).collect()),
        "zset" => Value::Sorted(pairs(reply).map(score).collect()),
        "stream" => Value::Stream(stream(reply)),
        _ => return None,
    })
}

fn keys(client: &mut Client) -> Keys {
    let names: Vec<String> = texts(&client.run("KEYS *")).collect();
    let about: Vec<_> = names
        .iter()
        .flat_map(|key| ["TYPE", "PEXPIRETIME"].map(|command| words(&format!("{command} {key}"))))
        .collect();
    let about = all_of(client, &about);
    let reads: Vec<_> = names
        .iter()
        .zip(about.chunks(2))
        .map(|(key, about)| read_command(key, &about[0].text()))
        .collect();
    let replies = all_of(client, &reads);
    let mut keys = Keys::new();
    for ((key, about), reply) in names.iter().zip(about.chunks(2)).zip(&replies) {
        let Some(value) = value(&about[0].text(), reply) else {
            continue;
        };
        let time = about[1].integer();
        let ends = (time >= 0).then_some(Ends {
            low: time,
            high: time,
        });
        keys.insert(key.clone(), Item { value, ends });
    }
    keys
}

/// Everything that a server holds.
pub(crate) fn everything(client: &mut Client) -> Observed {
    let mut observed = Observed::new();
    for database in DATABASES {
        client.run(&format!("SELECT {database}"));
        observed.insert(database, keys(client));
    }
    observed
}
