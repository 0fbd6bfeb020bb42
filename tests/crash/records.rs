//! Hashes, sets and sorted sets as the twin knows them.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Item, Keys, Value, bulk, forget_empty, integer, number};
use super::support::Frame;

fn hash<'a>(keys: &'a mut Keys, key: &str) -> &'a mut BTreeMap<String, String> {
    let new = || Item::new(Value::Hash(BTreeMap::new()));
    match &mut keys.entry(key.to_owned()).or_insert_with(new).value {
        Value::Hash(fields) => fields,
        other => panic!("{key} is no hash: {other:?}"),
    }
}

fn members<'a>(keys: &'a mut Keys, key: &str) -> &'a mut BTreeSet<String> {
    let new = || Item::new(Value::Set(BTreeSet::new()));
    match &mut keys.entry(key.to_owned()).or_insert_with(new).value {
        Value::Set(members) => members,
        other => panic!("{key} is no set: {other:?}"),
    }
}

fn scores<'a>(keys: &'a mut Keys, key: &str) -> &'a mut BTreeMap<String, i64> {
    let new = || Item::new(Value::Sorted(BTreeMap::new()));
    match &mut keys.entry(key.to_owned()).or_insert_with(new).value {
        Value::Sorted(scores) => scores,
        other => panic!("{key} is no sorted set: {other:?}"),
    }
}

fn pop_least(keys: &mut Keys, key: &str) -> Option<(String, i64)> {
    let scores = scores(keys, key);
    let least = scores
        .iter()
        .min_by_key(|(member, score)| (**score, *member));
    let least = least.map(|(member, score)| (member.clone(), *score));
    if let Some((member, _)) = &least {
        scores.remove(member);
    }
    forget_empty(keys, key);
    least
}

fn hashes(keys: &mut Keys, all: &[&str]) -> Option<Frame> {
    let reply = match all {
        ["HSET", key, pairs @ ..] => {
            let fields = hash(keys, key);
            let before = fields.len();
            for pair in pairs.chunks(2) {
                fields.insert(pair[0].to_owned(), pair[1].to_owned());
            }
            integer(fields.len() - before)
        }
        ["HINCRBY", key, field, by] => {
            let value = hash(keys, key).entry((*field).to_owned());
            let value = value.or_insert_with(|| "0".to_owned());
            let sum = number(value) + number(by);
            *value = sum.to_string();
            Frame::Integer(sum)
        }
        ["HDEL", key, some @ ..] => {
            let fields = hash(keys, key);
            let gone = some.iter().filter(|field| fields.remove(**field).is_some());
            let gone = gone.count();
            forget_empty(keys, key);
            integer(gone)
        }
        _ => return None,
    };
    Some(reply)
}

fn sets(keys: &mut Keys, all: &[&str]) -> Option<Frame> {
    let reply = match all {
        ["SADD", key, some @ ..] => {
            let set = members(keys, key);
            let new = some
                .iter()
                .filter(|member| set.insert((**member).to_owned()));
            integer(new.count())
        }
        ["SREM", key, some @ ..] => {
            let set = members(keys, key);
            let gone = some.iter().filter(|member| set.remove(**member)).count();
            forget_empty(keys, key);
            integer(gone)
        }
        ["SMOVE", from, to, member] => {
            let is_there = members(keys, from).remove(*member);
            if is_there {
                members(keys, to).insert((*member).to_owned());
            }
            forget_empty(keys, from);
            integer(usize::from(is_there))
        }
        _ => return None,
    };
    Some(reply)
}

fn sorted(keys: &mut Keys, all: &[&str]) -> Option<Frame> {
    let reply = match all {
        ["ZADD", key, score, member] => {
            let before = scores(keys, key).insert((*member).to_owned(), number(score));
            integer(usize::from(before.is_none()))
        }
        ["ZINCRBY", key, by, member] => {
            let score = scores(keys, key).entry((*member).to_owned()).or_insert(0);
            *score += number(by);
            bulk(&score.to_string())
        }
        ["ZREM", key, member] => {
            let gone = scores(keys, key).remove(*member);
            forget_empty(keys, key);
            integer(usize::from(gone.is_some()))
        }
        ["ZPOPMIN", key] => {
            let least = pop_least(keys, key);
            let pair = least.map(|(member, score)| [bulk(&member), bulk(&score.to_string())]);
            Frame::Array(pair.into_iter().flatten().collect())
        }
        ["BZPOPMIN", some @ .., _] => {
            let found = some
                .iter()
                .find_map(|key| pop_least(keys, key).map(|least| (*key, least)));
            match found {
                Some((key, (member, score))) => {
                    Frame::Array(vec![bulk(key), bulk(&member), bulk(&score.to_string())])
                }
                None => Frame::NullArray,
            }
        }
        _ => return None,
    };
    Some(reply)
}

/// Runs a command on hashes, sets or sorted sets; `None` when it is none.
pub(crate) fn apply(keys: &mut Keys, all: &[&str]) -> Option<Frame> {
    hashes(keys, all)
        .or_else(|| sets(keys, all))
        .or_else(|| sorted(keys, all))
}
