//! Streams with one group as the sequential model knows them: additions, reads that wait, acknowledgements, releases.
//!
//! No time is in it: CLAIM asks for more idle time than there is, so it takes released entries alone.

use std::collections::BTreeMap;

use super::{Random, bulk};

/// Keys of streams, on different shards; no other command names them.
pub(super) const KEYS: &[&str] = &["x1", "x2", "x3"];

/// Words of a command on streams. `number` is that of the newest entry anywhere.
pub(super) fn words(random: &mut Random, number: &mut u64, timeout: &[u8]) -> Vec<Vec<u8>> {
    let key = KEYS[random.below(KEYS.len())];
    let recent = |random: &mut Random, number: u64| number.saturating_sub(random.below(9) as u64);
    let line = match random.below(20) {
        0..6 => {
            *number += 1;
            format!("XADD {key} {number}-0 f v{number}")
        }
        6..14 => {
            let claim = if random.one_in(2) {
                "CLAIM 999999999999999 "
            } else {
                ""
            };
            let (keys, ids) = match random.below(3) {
                0 => ("x1 x2 x3".to_owned(), "> > >"),
                1 => (format!("{key} x2"), "> >"),
                _ => (key.to_owned(), ">"),
            };
            let seconds: f64 = String::from_utf8_lossy(timeout).parse().unwrap_or(0.0);
            format!(
                "XREADGROUP GROUP g c COUNT {} {claim}BLOCK {} STREAMS {keys} {ids}",
                1 + random.below(3),
                (seconds * 1000.0).round()
            )
        }
        14 => format!("XACK {key} g {}-0", recent(random, *number)),
        15..18 => format!("XNACK {key} g FAIL IDS 1 {}-0", recent(random, *number)),
        18 if random.one_in(6) => format!("XGROUP DESTROY {key} g"),
        _ => format!("XGROUP CREATE {key} g 0 MKSTREAM"),
    };
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// A group: how far it has read, what is pending with how many deliveries, what was released, in order.
#[derive(Clone, Default)]
struct Group {
    position: u64,
    pending: BTreeMap<u64, u64>,
    released: Vec<u64>,
}

#[derive(Clone, Default)]
struct Stream {
    /// The entries' numbers, ascending: their IDs, and in their values.
    entries: Vec<u64>,
    group: Option<Group>,
}

/// All streams.
#[derive(Clone, Default)]
pub(super) struct Streams(BTreeMap<Vec<u8>, Stream>);

/// What a command on streams came to.
pub(super) struct Ran {
    /// `None`: it would wait.
    pub(super) reply: Option<Vec<u8>>,
    /// Those who wait for the key are to try again.
    pub(super) ready: bool,
}

fn integer(value: usize) -> Vec<u8> {
    format!(":{value}\r\n").into_bytes()
}

fn number(id: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(id);
    text.trim_end_matches("-0").parse().expect("an ID")
}

fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

/// `[id, [f, v]]`, with CLAIM also idle time and deliveries.
fn entry(number: u64, claim: Option<(i64, u64)>) -> Vec<u8> {
    let parts = if claim.is_some() { 4 } else { 2 };
    let mut reply = format!("*{parts}\r\n").into_bytes();
    reply.extend(bulk(format!("{number}-0").as_bytes()));
    reply.extend(b"*2\r\n$1\r\nf\r\n");
    reply.extend(bulk(format!("v{number}").as_bytes()));
    if let Some((idle, deliveries)) = claim {
        reply.extend(format!(":{idle}\r\n:{deliveries}\r\n").into_bytes());
    }
    reply
}

/// The keys of a read.
pub(super) fn keys_of(words: &[Vec<u8>]) -> &[Vec<u8>] {
    let start = words
        .iter()
        .position(|word| word == b"STREAMS")
        .map_or(0, |at| at + 1);
    &words[start..start + (words.len() - start) / 2]
}

impl Streams {
    /// A stream as commands that read tell of it: entries; of its group the position, and each pending entry with its deliveries and
    /// whether it was released. `None`: there is no such key.
    pub(super) fn shown(&self, key: &[u8]) -> Option<String> {
        use std::fmt::Write;
        let Stream { entries, group } = self.0.get(key)?;
        let mut text = format!("{entries:?}");
        if let Some(group) = group {
            let _ = write!(text, " to {}:", group.position);
            for (number, deliveries) in &group.pending {
                let is_released = group.released.contains(number);
                let _ = write!(text, " {number}/{deliveries}/{is_released}");
            }
        }
        Some(text)
    }

    /// What no command tells without a change: the order of released entries.
    pub(super) fn hidden(&self, key: &[u8]) -> &[u64] {
        let group = self.0.get(key).and_then(|stream| stream.group.as_ref());
        group.map_or(&[], |group| &group.released)
    }

    pub(super) fn run(&mut self, words: &[Vec<u8>]) -> Ran {
        let (mut ready, key) = (false, words[1].clone());
        let shown = String::from_utf8_lossy(&key);
        let reply = match &words[0][..] {
            b"XREADGROUP" => {
                return Ran {
                    reply: self.read(words),
                    ready,
                };
            }
            b"XADD" => {
                let stream = self.0.entry(key).or_default();
                let number = number(&words[2]);
                if stream.entries.last().is_some_and(|last| *last >= number) {
                    error(
                        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
                    )
                } else {
                    stream.entries.push(number);
                    ready = true;
                    bulk(&words[2])
                }
            }
            b"XGROUP" => {
                let stream = self.0.get_mut(&words[2]);
                if words[1] == b"CREATE" {
                    let group = &mut self.0.entry(words[2].clone()).or_default().group;
                    if group.is_some() {
                        error("BUSYGROUP Consumer Group name already exists")
                    } else {
                        *group = Some(Group::default());
                        b"+OK\r\n".to_vec()
                    }
                } else if let Some(stream) = stream {
                    ready = stream.group.take().is_some();
                    integer(usize::from(ready))
                } else {
                    error(
                        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                         MKSTREAM option to create an empty stream automatically.",
                    )
                }
            }
            _ => match self
                .0
                .get_mut(&key)
                .and_then(|stream| stream.group.as_mut())
            {
                None if words[0] == b"XACK" => integer(0),
                None => error(&format!(
                    "NOGROUP No such key '{shown}' or consumer group 'g'"
                )),
                Some(group) => {
                    let number = number(words.last().expect("an ID"));
                    let was = group.pending.contains_key(&number);
                    group.released.retain(|other| *other != number);
                    if words[0] == b"XACK" {
                        group.pending.remove(&number);
                    } else if was {
                        group.released.push(number);
                        ready = true;
                    }
                    integer(usize::from(was))
                }
            },
        };
        Ran {
            reply: Some(reply),
            ready,
        }
    }

    fn read(&mut self, words: &[Vec<u8>]) -> Option<Vec<u8>> {
        let count: usize = String::from_utf8_lossy(&words[5]).parse().expect("COUNT");
        let claims = words.iter().any(|word| word == b"CLAIM");
        let keys = keys_of(words);
        for key in keys {
            if self.0.get(key).is_none_or(|stream| stream.group.is_none()) {
                return Some(error(&format!(
                    "NOGROUP No such key '{}' or consumer group 'g' in XREADGROUP with GROUP option",
                    String::from_utf8_lossy(key)
                )));
            }
        }
        let mut streams = Vec::new();
        for key in keys {
            let Some(Stream {
                entries,
                group: Some(group),
            }) = self.0.get_mut(key)
            else {
                continue;
            };
            let mut given = Vec::new();
            while claims && given.len() < count && !group.released.is_empty() {
                let number = group.released.remove(0);
                let deliveries = group.pending.entry(number).or_default();
                given.push(entry(number, Some((-1, *deliveries))));
                *deliveries += 1;
            }
            let (position, left) = (group.position, count - given.len());
            let new: Vec<u64> = entries
                .iter()
                .copied()
                .filter(|n| *n > position)
                .take(left)
                .collect();
            for number in new {
                group.position = number;
                group.released.retain(|other| *other != number);
                group.pending.insert(number, 1);
                given.push(entry(number, claims.then_some((0, 0))));
            }
            if !given.is_empty() {
                let mut stream = b"*2\r\n".to_vec();
                stream.extend(bulk(key));
                stream.extend(format!("*{}\r\n", given.len()).into_bytes());
                given.into_iter().for_each(|entry| stream.extend(entry));
                streams.push(stream);
            }
        }
        if streams.is_empty() {
            return None;
        }
        let mut reply = format!("*{}\r\n", streams.len()).into_bytes();
        streams.into_iter().for_each(|stream| reply.extend(stream));
        Some(reply)
    }
}
