//! Sorted sets as the sequential model knows them: members added and popped, by who waits too.

use std::collections::BTreeMap;

use super::{Random, bulk};

/// Keys of sorted sets, on different shards; no other command names them.
pub(super) const KEYS: &[&str] = &["z1", "z2", "z3", "z4"];

/// Words of a command on sorted sets.
pub(super) fn words(random: &mut Random, timeout: &[u8]) -> Vec<Vec<u8>> {
    let [key, other] = [(); 2].map(|()| KEYS[random.below(KEYS.len())]);
    let timeout = String::from_utf8_lossy(timeout);
    let end = if random.one_in(2) { "MIN" } else { "MAX" };
    let (score, member) = (random.below(9), random.below(5));
    let line = match random.below(12) {
        0..4 => format!("ZADD {key} {score} m{member}"),
        4 => format!("ZADD {key} {score} m{member} {member} m9"),
        5 => format!("ZPOP{end} {key}"),
        6 => format!("ZCARD {key}"),
        7 => format!("ZREM {key} m{member}"),
        8 | 9 => format!("BZPOP{end} {key} {other} {timeout}"),
        _ => format!(
            "BZMPOP {timeout} 2 {key} {other} {end} COUNT {}",
            1 + random.below(3)
        ),
    };
    line.split(' ')
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

/// The keys of a command that waits; `None` for another one.
pub(super) fn keys_of(words: &[Vec<u8>]) -> Option<&[Vec<u8>]> {
    match &words[0][..] {
        b"BZPOPMIN" | b"BZPOPMAX" => Some(&words[1..words.len() - 1]),
        b"BZMPOP" => Some(&words[3..5]),
        _ => None,
    }
}

/// All sorted sets: members by name, with their scores.
#[derive(Default)]
pub(super) struct SortedSets(BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, u64>>);

/// What a command came to.
pub(super) struct Ran {
    /// `None`: it would wait.
    pub(super) reply: Option<Vec<u8>>,
    /// The key is new: those who wait for it are to try again.
    pub(super) ready: bool,
}

fn head(sign: char, count: usize) -> Vec<u8> {
    format!("{sign}{count}\r\n").into_bytes()
}

impl SortedSets {
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn run(&mut self, words: &[Vec<u8>]) -> Ran {
        let key = &words[1];
        let mut ready = false;
        let reply = match &words[0][..] {
            b"ZADD" => {
                ready = !self.0.contains_key(key);
                let set = self.0.entry(key.clone()).or_default();
                let new = words[2..].chunks(2).filter(|pair| {
                    let score = String::from_utf8_lossy(&pair[0]).parse().expect("a score");
                    set.insert(pair[1].clone(), score).is_none()
                });
                head(':', new.count())
            }
            b"ZCARD" => head(':', self.0.get(key).map_or(0, BTreeMap::len)),
            b"ZREM" => {
                let set = self.0.entry(key.clone()).or_default();
                let is_removed = set.remove(&words[2]).is_some();
                self.0.retain(|_, set| !set.is_empty());
                head(':', usize::from(is_removed))
            }
            b"ZPOPMIN" | b"ZPOPMAX" => {
                let taken = self.take(key, words[0] == b"ZPOPMAX", 1);
                let mut reply = head('*', 2 * taken.len());
                for (member, score) in taken {
                    reply.extend([bulk(&member), bulk(score.to_string().as_bytes())].concat());
                }
                reply
            }
            _ => {
                return Ran {
                    reply: self.wait(words),
                    ready,
                };
            }
        };
        Ran {
            reply: Some(reply),
            ready,
        }
    }

    fn wait(&mut self, words: &[Vec<u8>]) -> Option<Vec<u8>> {
        let keys = keys_of(words)?;
        let key = keys.iter().find(|key| self.contains(key))?.clone();
        if words[0] == b"BZMPOP" {
            let count = String::from_utf8_lossy(&words[7]).parse().expect("a count");
            let taken = self.take(&key, words[5] == b"MAX", count);
            let mut reply = [head('*', 2), bulk(&key), head('*', taken.len())].concat();
            for (member, score) in taken {
                reply.extend(head('*', 2));
                reply.extend([bulk(&member), bulk(score.to_string().as_bytes())].concat());
            }
            return Some(reply);
        }
        let (member, score) = self.take(&key, words[0] == b"BZPOPMAX", 1).pop()?;
        let score = score.to_string();
        Some(
            [
                head('*', 3),
                bulk(&key),
                bulk(&member),
                bulk(score.as_bytes()),
            ]
            .concat(),
        )
    }

    /// Takes so many members out from one end.
    fn take(&mut self, key: &[u8], from_last: bool, count: usize) -> Vec<(Vec<u8>, u64)> {
        let Some(set) = self.0.get_mut(key) else {
            return Vec::new();
        };
        let mut order: Vec<(u64, Vec<u8>)> = set
            .iter()
            .map(|(member, score)| (*score, member.clone()))
            .collect();
        order.sort();
        if from_last {
            order.reverse();
        }
        order.truncate(count);
        for (_, member) in &order {
            set.remove(member);
        }
        self.0.retain(|_, set| !set.is_empty());
        order
            .into_iter()
            .map(|(score, member)| (member, score))
            .collect()
    }
}
