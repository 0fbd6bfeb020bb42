//! LLEN, LINDEX, LRANGE, LPOS: what a list holds.
//!
//! Handlers that change nothing. Indexes below zero count from the end.

use std::sync::Arc;

use bytes::Bytes;

use crate::command::args::{is, non_negative, required_integer, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::data::list::{List, Share, SharedElement};
use crate::data::listpack::{Element, parse_integer};
use crate::limits::SHARED_BULK_BYTES_MIN;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::{list_of, span};

pub(super) fn llen(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let list = list_of(ctx.space.read(args.at(1)).map(|entry| &entry.value))?;
    ctx.reply.count(list.map_or(0, List::len));
    Ok(Outcome::Done)
}

/// Redis looks the key up before it reads the index.
pub(super) fn lindex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let Some(list) = list_of(ctx.space.read(args.at(1)).map(|entry| &entry.value))? else {
        ctx.reply.null();
        return Ok(Outcome::Done);
    };
    let index = required_integer(args.at(2))?;
    match absolute(index, list.len()).and_then(|index| list.get(index)) {
        Some(element) => reply_element(ctx.reply, element),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

/// The index from the front, when a negative one is not before it.
pub(super) fn absolute(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(len as i64)?
    } else {
        index
    };
    usize::try_from(index).ok()
}

pub(super) fn lrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let start = required_integer(args.at(2))?;
    let stop = required_integer(args.at(3))?;
    let Some(list) = list_of(ctx.space.read(args.at(1)).map(|entry| &entry.value))? else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let (start, count) = span(start, stop, list.len());
    ctx.reply.array(count);
    let end = ctx.reply.slice_end();
    for (index, element) in list.range(start, count).enumerate() {
        let is_long =
            matches!(element, Element::Bytes(bytes) if bytes.len() >= SHARED_BULK_BYTES_MIN);
        if ctx.reply.len() >= end || is_long && end != usize::MAX {
            let rest = list.share(start + index, count - index);
            ctx.reply.rest(Box::new(Rest(rest)));
            break;
        }
        reply_element(ctx.reply, element);
    }
    Ok(Outcome::Done)
}

/// What LRANGE gives behind its first elements.
struct Rest(Share);

impl Elements for Rest {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        self.0.read(|element| {
            match element {
                SharedElement::Packed(element) => reply_element(reply, element),
                SharedElement::Alone(bytes) => {
                    let share = || Bytes::from_owner(Arc::clone(bytes));
                    reply.bulk_shared(bytes, share);
                }
            }
            reply.len() >= end
        });
    }

    fn left(&self) -> usize {
        self.0.left()
    }
}

/// What LPOS looks for.
struct Search {
    /// Which match is the first to count, from 1.
    rank: u64,
    backward: bool,
    /// `None`: the reply is one index; 0: all matches.
    count: Option<u64>,
    /// Elements to look at, 0: all.
    looked_at_max: u64,
}

impl Search {
    fn read(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut search = Search {
            rank: 1,
            backward: false,
            count: None,
            looked_at_max: 0,
        };
        let mut options = args.from(3);
        while let Some(option) = options.next() {
            let value = options.next().ok_or(error::SYNTAX)?;
            if is(option, "rank") {
                let rank = symmetric_integer(value)?;
                if rank == 0 {
                    return Err(error::LPOS_RANK_ZERO);
                }
                search.rank = rank.unsigned_abs();
                search.backward = rank < 0;
            } else if is(option, "count") {
                search.count = Some(non_negative(value).map_err(|_| error::LPOS_COUNT_NEGATIVE)?);
            } else if is(option, "maxlen") {
                search.looked_at_max =
                    non_negative(value).map_err(|_| error::LPOS_MAXLEN_NEGATIVE)?;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(search)
    }

    /// Calls `found` with the index of each match wanted, in the order of the search.
    fn run<'l>(
        &self,
        elements: impl Iterator<Item = Element<'l>>,
        wanted: Element<'_>,
        mut found: impl FnMut(usize),
    ) {
        let looked_at_max = match self.looked_at_max {
            0 => usize::MAX,
            max => usize::try_from(max).unwrap_or(usize::MAX),
        };
        let wanted_count = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        let skipped = usize::try_from(self.rank - 1).unwrap_or(usize::MAX);
        let matches = elements
            .take(looked_at_max)
            .enumerate()
            .filter(|(_, element)| *element == wanted);
        matches
            .skip(skipped)
            .take(wanted_count)
            .for_each(|(index, _)| found(index));
    }
}

pub(super) fn lpos(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let search = Search::read(args)?;
    let wanted = args.at(2);
    let wanted = parse_integer(wanted).map_or(Element::Bytes(wanted), Element::Int);
    let Some(list) = list_of(ctx.space.read(args.at(1)).map(|entry| &entry.value))? else {
        reply_indexes(ctx.reply, &search, &[]);
        return Ok(Outcome::Done);
    };
    let mut indexes = Vec::new();
    if search.backward {
        let last = list.len().saturating_sub(1);
        search.run(list.iter_back(), wanted, |index| indexes.push(last - index));
    } else {
        search.run(list.iter(), wanted, |index| indexes.push(index));
    }
    reply_indexes(ctx.reply, &search, &indexes);
    Ok(Outcome::Done)
}

fn reply_indexes(reply: &mut Reply, search: &Search, indexes: &[usize]) {
    match (search.count, indexes.first()) {
        (None, Some(index)) => reply.count(*index),
        (None, None) => reply.null(),
        (Some(_), _) => {
            reply.array(indexes.len());
            indexes.iter().for_each(|index| reply.count(*index));
        }
    }
}
