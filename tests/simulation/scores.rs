//! Sorted sets as the sequential model knows them: members added, popped and moved, by who waits too.

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
    let (low, count) = (random.below(9), 1 + random.below(3));
    let line = match random.below(18) {
        0..4 => format!("ZADD {key} {score} m{member}"),
        4 => format!("ZADD {key} {score} m{member} {member} m9"),
        5 => format!("ZPOP{end} {key}"),
        6 => format!("ZCARD {key}"),
        7 => format!("ZREM {key} m{member}"),
        8 => format!("ZRANGE {key} 0 -1"),
        9 => format!("ZMOVE {key} {other} {end} COUNT {count}"),
        10 => format!(
            "ZMOVE {key} {other} BYSCORE {low} {} COUNT {count}",
            low + 4
        ),
        11..14 => format!("BZMOVE {key} {other} {end} {timeout} COUNT {count}"),
        14 | 15 => format!("BZPOP{end} {key} {other} {timeout}"),
        _ => format!("BZMPOP {timeout} 2 {key} {other} {end} COUNT {count}"),
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
        b"BZMOVE" => Some(&words[1..2]),
        _ => None,
    }
}

/// All sorted sets: members by name, with their scores.
#[derive(Clone, Default)]
pub(super) struct SortedSets(BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, u64>>);

/// What a command came to.
pub(super) struct Ran {
    /// `None`: it would wait.
    pub(super) reply: Option<Vec<u8>>,
    /// The key that is new: those who wait for it are to try again.
    pub(super) ready: Option<Vec<u8>>,
}

fn head(sign: char, count: usize) -> Vec<u8> {
    format!("{sign}{count}\r\n").into_bytes()
}

/// Members with their scores, as arrays of two.
fn pairs(taken: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut reply = head('*', taken.len());
    for (member, score) in taken {
        reply.extend(head('*', 2));
        reply.extend([bulk(member), bulk(score.to_string().as_bytes())].concat());
    }
    reply
}

impl SortedSets {
    /// The members of a key in order, with their scores.
    pub(super) fn shown(&self, key: &[u8]) -> Vec<String> {
        let order = self.order(key).into_iter();
        let shown = order.flat_map(|(score, member)| {
            [
                String::from_utf8_lossy(&member).into_owned(),
                score.to_string(),
            ]
        });
        shown.collect()
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn run(&mut self, words: &[Vec<u8>]) -> Ran {
        let key = &words[1];
        let mut ready = None;
        let reply = match &words[0][..] {
            b"ZADD" => {
                ready = (!self.contains(key)).then(|| key.clone());
                let set = self.0.entry(key.clone()).or_default();
                let new = words[2..].chunks(2).filter(|pair| {
                    let score = String::from_utf8_lossy(&pair[0]).parse().expect("a score");
                    set.insert(pair[1].clone(), score).is_none()
                });
                head(':', new.count())
            }
            b"ZMOVE" | b"BZMOVE" => {
                ready = (!self.contains(&words[2])).then(|| words[2].clone());
                let reply = self.pass_on(words);
                if reply.is_none() {
                    ready = None;
                }
                let may_wait = words[0] == b"BZMOVE" && key != &words[2];
                if reply.is_none() && may_wait {
                    return Ran { reply, ready };
                }
                reply.unwrap_or_else(|| b"*-1\r\n".to_vec())
            }
            b"ZRANGE" => {
                let order = self.order(key);
                let members = order.iter().map(|(_, member)| bulk(member));
                [head('*', order.len()), members.collect::<Vec<_>>().concat()].concat()
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
            return Some([head('*', 2), bulk(&key), pairs(&taken)].concat());
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

    /// ZMOVE and BZMOVE: nothing is lost on the way, nothing is at both places; `None` when there is nothing to move.
    fn pass_on(&mut self, words: &[Vec<u8>]) -> Option<Vec<u8>> {
        let number = |word: &Vec<u8>| String::from_utf8_lossy(word).parse::<u64>().expect("one");
        let (source, destination) = (&words[1], &words[2]);
        let count = number(words.last()?) as usize;
        if source == destination {
            return None;
        }
        let taken = if words[3] == b"BYSCORE" {
            let range = number(&words[4])..=number(&words[5]);
            let mut order = self.order(source);
            order.retain(|(score, _)| range.contains(score));
            order.truncate(count);
            self.remove(source, order)
        } else {
            self.take(source, words[3] == b"MAX", count)
        };
        if taken.is_empty() {
            return None;
        }
        let set = self.0.entry(destination.clone()).or_default();
        set.extend(taken.iter().cloned());
        Some(pairs(&taken))
    }

    /// The members of a key in order.
    fn order(&self, key: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let set = self.0.get(key).into_iter().flatten();
        let mut order: Vec<_> = set
            .map(|(member, score)| (*score, member.clone()))
            .collect();
        order.sort();
        order
    }

    /// Takes so many members out from one end.
    fn take(&mut self, key: &[u8], from_last: bool, count: usize) -> Vec<(Vec<u8>, u64)> {
        let mut order = self.order(key);
        if from_last {
            order.reverse();
        }
        order.truncate(count);
        self.remove(key, order)
    }

    /// Takes these members out.
    fn remove(&mut self, key: &[u8], order: Vec<(u64, Vec<u8>)>) -> Vec<(Vec<u8>, u64)> {
        if let Some(set) = self.0.get_mut(key) {
            set.retain(|member, _| !order.iter().any(|(_, other)| other == member));
        }
        self.0.retain(|_, set| !set.is_empty());
        order
            .into_iter()
            .map(|(score, member)| (member, score))
            .collect()
    }
}
