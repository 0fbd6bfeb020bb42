//! SORT, SORT_RO: the elements of a list, set or sorted set in order, and what other keys say of each.
//!
//! ```text
//! elements ── BY pattern ──► what to compare ── order, LIMIT ──► GET patterns ──► reply, or a list at STORE
//! ```
//! A pattern names a key for each element, `*` being the element; behind `->` a field of a hash. Which keys that are only the
//! run finds: such a command holds all shards (`Scope::KeysAndPatterns`).

use std::cmp::Ordering;
use std::ops::Range;

use crate::data::extended::parse_double;
use crate::data::list::{End, List};
use crate::keyspace::Space;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::args::{Cursor, required_integer};
use super::context::{Context, Outcome};
use super::element;
use super::error::{self, CommandError};
use super::list::limits as list_limits;
use super::permission;
use super::spec::{Command, Flags, KeyFlags, KeySpec, Scope};

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const PATTERNS: KeySpec = KeySpec::unknown(
    READ,
    "Which keys BY and GET name depends on the elements.",
    None,
);
const DESTINATION: KeySpec = KeySpec::unknown(
    KeyFlags::OW.and(KeyFlags::UPDATE),
    "STORE may stand anywhere among the options.",
    Some("store"),
);
const CATEGORIES: &[&str] = &["set", "sortedset", "list", "dangerous"];

/// The family's rows.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("sort", "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [order:<ASC | DESC>] [sorting=ALPHA] [STORE destination]", sort)
        .arity(-2).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLE_KEYS]).categories(CATEGORIES)
        .keys(&[KeySpec::one(READ, 1), PATTERNS, DESTINATION]).scope(Scope::KeysAndPatterns)
        .docs("1.0.0", "generic", "O(N+M*log(M)) for N elements of which M are returned.", "Sorts the elements of a list, set or sorted set; may store them."),
    Command::new("sort_ro", "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [order:<ASC | DESC>] [sorting=ALPHA]", sort_ro)
        .arity(-2).flags(&[Flags::READONLY, Flags::MOVABLE_KEYS]).categories(CATEGORIES)
        .keys(&[KeySpec::one(READ, 1), PATTERNS]).scope(Scope::KeysAndPatterns)
        .docs("7.0.0", "generic", "O(N+M*log(M)) for N elements of which M are returned.", "Sorts the elements of a list, set or sorted set."),
];

/// What is asked for.
#[derive(Default)]
struct Sorting<'a> {
    descending: bool,
    alpha: bool,
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    /// Elements to skip, and how many to give (negative: all).
    limit: Option<(i64, i64)>,
    store: Option<&'a [u8]>,
}

impl<'a> Sorting<'a> {
    /// `reads_all`: whether its user may read every key.
    fn read(args: &Args<'a>, may_store: bool, reads_all: bool) -> Result<Self, CommandError> {
        let mut sorting = Self::default();
        let mut rest = Cursor::new(args, 2);
        while rest.left() > 0 {
            let (has_one, has_two) = (rest.left() > 1, rest.left() > 2);
            if rest.keyword("ASC") {
                sorting.descending = false;
            } else if rest.keyword("DESC") {
                sorting.descending = true;
            } else if rest.keyword("ALPHA") {
                sorting.alpha = true;
            } else if has_two && rest.keyword("LIMIT") {
                let offset = required_integer(rest.value()?)?;
                sorting.limit = Some((offset, required_integer(rest.value()?)?));
            } else if may_store && has_one && rest.keyword("STORE") {
                sorting.store = Some(rest.value()?);
            } else if has_one && rest.keyword("BY") {
                let pattern = rest.value()?;
                if !reads_all && pattern.contains(&b'*') {
                    return Err(error::sort_option_denied(b"BY"));
                }
                sorting.by = Some(pattern);
            } else if has_one && rest.keyword("GET") {
                if !reads_all {
                    return Err(error::sort_option_denied(b"GET"));
                }
                sorting.get.push(rest.value()?);
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(sorting)
    }

    /// Which of so many elements are given.
    fn span(&self, count: usize) -> Range<usize> {
        let (offset, limit) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(offset.max(0))
            .unwrap_or(usize::MAX)
            .min(count);
        let end = match usize::try_from(limit) {
            Ok(limit) => start.saturating_add(limit).min(count),
            Err(_) => count,
        };
        start..end
    }
}

pub(super) fn sort(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    run(ctx, args, true)
}

pub(super) fn sort_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    run(ctx, args, false)
}

fn run(ctx: &mut Context<'_>, args: &Args<'_>, may_store: bool) -> Result<Outcome, CommandError> {
    let reads_all = permission::may_read_every_key(ctx.session, ctx.row, args);
    let mut sorting = Sorting::read(args, may_store, reads_all)?;
    let value = ctx.space.read(args.at(1)).map(|entry| &entry.value);
    let is_set = matches!(value, Some(Value::Set(_)));
    // BY something that is the same for all: no order. Redis: a set that is stored gets one, since it has none of its own.
    let mut is_sorted = sorting.by.is_none_or(|pattern| pattern.contains(&b'*'));
    if !is_sorted && is_set && (sorting.store.is_some() || ctx.in_script) {
        (is_sorted, sorting.alpha, sorting.by) = (true, true, None);
    }
    let chosen = if is_sorted {
        let elements = elements_of(value, |_| (0..usize::MAX, false))?;
        let mut elements = ordered(&mut ctx.space, elements, &sorting, is_set)?;
        let span = sorting.span(elements.len());
        elements.truncate(span.end);
        elements.split_off(span.start)
    } else {
        let is_backward = sorting.descending && !is_set;
        elements_of(value, |count| (sorting.span(count), is_backward))?
    };
    let chosen = &chosen[..];
    match sorting.store {
        Some(destination) => {
            let found = found(&mut ctx.space, chosen, &sorting.get);
            store(ctx, args, destination, found);
        }
        None if sorting.get.is_empty() => {
            ctx.reply.array(chosen.len());
            chosen.iter().for_each(|element| ctx.reply.bulk(element));
        }
        None => {
            ctx.reply.array(chosen.len() * sorting.get.len());
            for found in found(&mut ctx.space, chosen, &sorting.get) {
                match found {
                    Some(found) => ctx.reply.bulk(&found),
                    None => ctx.reply.null(),
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// Elements of a value, of so many those that `which` says: from the first on, or from the last one back.
fn elements_of(
    value: Option<&Value>,
    which: impl FnOnce(usize) -> (Range<usize>, bool),
) -> Result<Vec<Vec<u8>>, CommandError> {
    let count = match value {
        None => 0,
        Some(Value::List(list)) => list.len(),
        Some(Value::Set(set)) => set.len(),
        Some(Value::SortedSet(set)) => set.len(),
        Some(Value::String(_) | Value::Hash(_) | Value::Stream(_)) => {
            return Err(error::WRONG_TYPE);
        }
    };
    let (span, is_backward) = which(count);
    let span = match is_backward {
        true => count - span.end.min(count)..count - span.start.min(count),
        false => span.start.min(count)..span.end.min(count),
    };
    let mut elements: Vec<Vec<u8>> = match value {
        Some(Value::List(list)) => {
            let elements = list.range(span.start, span.len());
            elements.map(|element| element.to_vec()).collect()
        }
        Some(Value::Set(set)) => {
            let members = set.iter().skip(span.start).take(span.len());
            members.map(|member| member.to_vec()).collect()
        }
        Some(Value::SortedSet(set)) => {
            let members = set.range(span);
            members.map(|(member, _)| member.to_vec()).collect()
        }
        _ => Vec::new(),
    };
    if is_backward {
        elements.reverse();
    }
    Ok(elements)
}

/// What a text is to be sorted by, as `strtod` reads it: blanks may come before it, a NUL ends it, an empty one is zero. `None`: no
/// number, or one that a double cannot hold.
fn number(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let is_blank = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let start = text.iter().position(|byte| !is_blank(byte))?;
    parse_double(&text[start..]).filter(|value| !value.is_subnormal())
}

/// The elements in order. Redis: equal numbers are ordered by the elements themselves, so that the order is always the same;
/// with BY, an element of which nothing is known has the number 0, or comes first.
fn ordered(
    space: &mut Space<'_>,
    elements: Vec<Vec<u8>>,
    sorting: &Sorting<'_>,
    is_set: bool,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let turned = |order: Ordering| {
        if sorting.descending {
            order.reverse()
        } else {
            order
        }
    };
    if sorting.alpha {
        let Some(pattern) = sorting.by else {
            let mut elements = elements;
            elements.sort_by(|a, b| turned(a.cmp(b)));
            return Ok(elements);
        };
        let weights = elements
            .into_iter()
            .map(|element| (look_up(space, pattern, &element), element));
        let mut weighted: Vec<(Option<Vec<u8>>, Vec<u8>)> = weights.collect();
        // A set has no order of its own that a replay would repeat.
        let of_set = |x: &Vec<u8>, y: &Vec<u8>| if is_set { x.cmp(y) } else { Ordering::Equal };
        weighted.sort_by(|(a, x), (b, y)| turned(a.cmp(b).then_with(|| of_set(x, y))));
        return Ok(weighted.into_iter().map(|(_, element)| element).collect());
    }
    let mut weighted = Vec::with_capacity(elements.len());
    for element in elements {
        let number = match sorting.by {
            Some(pattern) => {
                let weight = look_up(space, pattern, &element);
                weight.map_or(Some(0.0), |weight| number(&weight))
            }
            None => number(&element),
        };
        weighted.push((number.ok_or(error::SORT_NOT_DOUBLE)?, element));
    }
    weighted.sort_by(|(a, x), (b, y)| {
        turned(
            a.partial_cmp(b)
                .unwrap_or(Ordering::Equal)
                .then_with(|| x.cmp(y)),
        )
    });
    Ok(weighted.into_iter().map(|(_, element)| element).collect())
}

/// What GET finds for each of the elements; the elements themselves without one.
fn found(space: &mut Space<'_>, chosen: &[Vec<u8>], get: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    if get.is_empty() {
        return chosen.iter().cloned().map(Some).collect();
    }
    let mut found = Vec::with_capacity(chosen.len() * get.len());
    for element in chosen {
        for pattern in get {
            found.push(if *pattern == b"#" {
                Some(element.clone())
            } else {
                look_up(space, pattern, element)
            });
        }
    }
    found
}

/// What a pattern finds for an element. One without a place for the element finds nothing.
fn look_up(space: &mut Space<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    let place = pattern.iter().position(|byte| *byte == b'*')?;
    let (before, behind) = (&pattern[..place], &pattern[place + 1..]);
    let arrow = behind.windows(2).position(|two| two == b"->");
    // Redis: an arrow at the end names no field; it is part of the key.
    let arrow = arrow.filter(|at| at + 2 < behind.len());
    let (behind, field) = match arrow {
        Some(at) => (&behind[..at], Some(&behind[at + 2..])),
        None => (behind, None),
    };
    let key = [before, element, behind].concat();
    match (space.read(&key).map(|entry| &entry.value)?, field) {
        (Value::String(string), None) => Some(string.bytes(&mut [0; 20]).to_vec()),
        (Value::Hash(hash), Some(field)) => hash.get(field).map(|value| value.to_vec()),
        _ => None,
    }
}

/// Puts what was found into a list at the destination; what was not found is an empty element.
fn store(ctx: &mut Context<'_>, args: &Args<'_>, destination: &[u8], found: Vec<Option<Vec<u8>>>) {
    let limits = list_limits(ctx);
    let count = found.len();
    ctx.reply.count(count);
    let mut handle = ctx.space.write(destination);
    let mut list = List::new();
    for element in found {
        let element = element.unwrap_or_default();
        list.before_adding(element.len(), 1, &limits);
        list.push(End::Back, &element, &limits);
    }
    let made = (count > 0).then_some(Value::List(list));
    if element::store(&mut handle, made, EventClass::LIST, "sortstore") {
        // Redis counts a change for each element, and one for a destination that goes.
        handle.effect_of(count.max(1), |effect| {
            effect.args(args.iter());
        });
    }
}

#[cfg(test)]
mod tests;
