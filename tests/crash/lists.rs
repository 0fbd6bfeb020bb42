//! Lists as the twin knows them.
//!
//! A command that waits finds what there is or, since nobody else pushes, nothing until its time is over.

use std::collections::VecDeque;

use super::model::{Item, Keys, Value, bulk, forget_empty, integer, number, ok};
use super::support::Frame;

fn list<'a>(keys: &'a mut Keys, key: &str) -> &'a mut VecDeque<String> {
    let new = || Item::new(Value::List(VecDeque::new()));
    match &mut keys.entry(key.to_owned()).or_insert_with(new).value {
        Value::List(list) => list,
        other => panic!("{key} is no list: {other:?}"),
    }
}

fn push(keys: &mut Keys, key: &str, side: &str, element: &str) -> usize {
    let list = list(keys, key);
    match side {
        "LEFT" => list.push_front(element.to_owned()),
        _ => list.push_back(element.to_owned()),
    }
    list.len()
}

fn pop(keys: &mut Keys, key: &str, side: &str) -> Option<String> {
    let list = list(keys, key);
    let element = match side {
        "LEFT" => list.pop_front(),
        _ => list.pop_back(),
    };
    forget_empty(keys, key);
    element
}

fn element_or(element: Option<String>, nothing: Frame) -> Frame {
    element.map_or(nothing, |element| bulk(&element))
}

fn moved(keys: &mut Keys, [from, to]: [&str; 2], [out, into]: [&str; 2]) -> Option<String> {
    let element = pop(keys, from, out)?;
    push(keys, to, into, &element);
    Some(element)
}

/// The first of the keys that has an element, and the element.
fn popped(keys: &mut Keys, some: &[&str], side: &str) -> Frame {
    for key in some {
        if let Some(element) = pop(keys, key, side) {
            return Frame::Array(vec![bulk(key), bulk(&element)]);
        }
    }
    Frame::NullArray
}

/// Runs a command on lists; `None` when it is none.
pub(crate) fn apply(keys: &mut Keys, all: &[&str]) -> Option<Frame> {
    let reply = match all {
        ["LPUSH", key, some @ ..] => {
            let lengths = some.iter().map(|element| push(keys, key, "LEFT", element));
            integer(lengths.last().unwrap())
        }
        ["RPUSH", key, some @ ..] => {
            let lengths = some.iter().map(|element| push(keys, key, "RIGHT", element));
            integer(lengths.last().unwrap())
        }
        ["LPOP", key] => element_or(pop(keys, key, "LEFT"), Frame::NullBulk),
        ["RPOP", key] => element_or(pop(keys, key, "RIGHT"), Frame::NullBulk),
        ["RPOP", key, count] => {
            let count = 0..number(count);
            let some: Vec<Frame> = count
                .map_while(|_| pop(keys, key, "RIGHT"))
                .map(|element| bulk(&element))
                .collect();
            match some.is_empty() {
                true => Frame::NullArray,
                false => Frame::Array(some),
            }
        }
        ["LMOVE", from, to, out, into] => {
            element_or(moved(keys, [from, to], [out, into]), Frame::NullBulk)
        }
        ["BLMOVE", from, to, out, into, _] => {
            element_or(moved(keys, [from, to], [out, into]), Frame::NullBulk)
        }
        ["BLPOP", some @ .., _] => popped(keys, some, "LEFT"),
        ["BRPOP", some @ .., _] => popped(keys, some, "RIGHT"),
        ["LTRIM", key, "0", last] => {
            let count = usize::try_from(number(last)).unwrap() + 1;
            list(keys, key).truncate(count);
            forget_empty(keys, key);
            ok()
        }
        ["LREM", key, "0", element] => {
            let list = list(keys, key);
            let before = list.len();
            list.retain(|other| other != element);
            let gone = before - list.len();
            forget_empty(keys, key);
            integer(gone)
        }
        _ => return None,
    };
    Some(reply)
}
