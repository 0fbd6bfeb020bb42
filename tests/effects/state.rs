//! All that a server holds, in a form that can be compared: no clock readings, nothing that depends on a table's order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::{Client, Frame};

/// By database and key: its type, encoding, expiry and content, one line each.
pub(crate) type Canonical = BTreeMap<(usize, Vec<u8>), Vec<String>>;

/// Reads everything in the first `databases` databases.
pub(crate) fn canonical(client: &mut Client, databases: usize) -> Canonical {
    let mut state = Canonical::new();
    for db in 0..databases {
        client.call(&["SELECT", &db.to_string()]);
        for key in client.run("KEYS *").items() {
            let key = key.bytes();
            let mut ask = |words: &[&[u8]]| client.call(words);
            let kind = ask(&[b"TYPE", key]).text();
            let content = match kind.as_str() {
                "string" => ask(&[b"GET", key]),
                "list" => ask(&[b"LRANGE", key, b"0", b"-1"]),
                "set" => {
                    let mut members = ask(&[b"SMEMBERS", key]);
                    members.items_mut().sort_by_key(Frame::to_string);
                    members
                }
                "hash" => {
                    let pairs = ask(&[b"HGETALL", key]);
                    let mut fields: Vec<Frame> = pairs
                        .items()
                        .chunks(2)
                        .map(|pair| Frame::Array(pair.to_vec()))
                        .collect();
                    fields.sort_by_key(Frame::to_string);
                    Frame::Array(fields)
                }
                "zset" => ask(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
                "stream" => {
                    without_clocks(ask(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]))
                }
                other => panic!("a key of type {other}"),
            };
            let lines = vec![
                format!("type {kind}"),
                format!("encoding {}", ask(&[b"OBJECT", b"ENCODING", key])),
                format!("expires {}", ask(&[b"PEXPIRETIME", key])),
                // Also what no command shows: in which order released entries are handed out again.
                format!("digest {}", ask(&[b"DEBUG", b"DIGEST-VALUE", key])),
                format!("{content}"),
            ];
            state.insert((db, key.to_vec()), lines);
        }
    }
    client.run("SELECT 0");
    state
}

/// Waits until no key is left that expires within the hour.
pub(crate) fn until_expired(client: &mut Client, databases: usize) {
    for db in 0..databases {
        client.call(&["SELECT", &db.to_string()]);
        let ends_soon = |client: &mut Client| {
            let keys = client.run("KEYS *");
            let left_ms = |key: &Frame| client.call(&[b"PTTL", key.bytes()]).integer();
            keys.items()
                .iter()
                .map(left_ms)
                .any(|ms| (0..3_600_000).contains(&ms))
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while ends_soon(client) {
            assert!(Instant::now() < deadline, "keys do not expire");
        }
    }
    client.run("SELECT 0");
}

/// Leaves out when consumers were last seen, how often messages came again (neither goes to the log), and what is measured with the clock.
fn without_clocks(frame: Frame) -> Frame {
    without(
        frame,
        &[
            "seen-time",
            "active-time",
            "iids-duplicates",
            "oldest-pending-ms",
            "oldest-undelivered-ms",
        ],
    )
}

/// Leaves out fields by name, at any depth.
fn without(frame: Frame, names: &[&str]) -> Frame {
    let Frame::Array(items) = frame else {
        return frame;
    };
    let mut kept = Vec::new();
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        if matches!(&item, Frame::Bulk(name) if names.iter().any(|other| other.as_bytes() == name))
        {
            items.next();
        } else {
            kept.push(without(item, names));
        }
    }
    Frame::Array(kept)
}

/// What stays equal when every key is written anew: a list that has shrunk may become small again, a short string that was
/// appended to loses its spare room, and blocks of a stream with holes are packed.
pub(crate) fn rewritten(mut state: Canonical) -> Canonical {
    for lines in state.values_mut() {
        if lines[0] != "type stream" {
            lines.remove(1);
        }
        if lines[0] == "type stream" {
            let content = lines.pop().unwrap_or_default();
            let (start, rest) = content
                .split_once("\"radix-tree-keys\"")
                .unwrap_or((&content, ""));
            let rest = rest
                .split_once("\"last-generated-id\"")
                .map_or(rest, |(_, rest)| rest);
            // Messages that are not known any more are not counted either.
            let (known, rest) = rest.split_once("\"iids-added\"").unwrap_or((rest, ""));
            let rest = rest
                .split_once("\"entries\"")
                .map_or(rest, |(_, rest)| rest);
            lines.push(format!("{start}{known}{rest}"));
        }
    }
    state
}

/// The first key in which two states differ, with both sides.
pub(crate) fn first_difference(ours: &Canonical, theirs: &Canonical) -> Option<String> {
    let keys = ours.keys().chain(theirs.keys());
    keys.filter(|key| ours.get(*key) != theirs.get(*key))
        .map(|key| {
            format!(
                "db {} key {}\n  here:  {:?}\n  there: {:?}",
                key.0,
                String::from_utf8_lossy(&key.1),
                ours.get(key),
                theirs.get(key)
            )
        })
        .next()
}
