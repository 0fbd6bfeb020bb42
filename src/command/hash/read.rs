//! What a hash holds.
//!
//! Handlers that change nothing. What gives all of a large hash is encoded as it leaves, from a share of it.

use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::element_scan::ElementScan;
use crate::command::error::CommandError;
use crate::data::hash::{Hash, Share};
use crate::data::listpack::Element;
use crate::limits::REPLY_SLICE_BYTES;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::{hash_of, reply_value};

pub(super) fn hget(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    reply_value(ctx.reply, hash, args.at(2));
    Ok(Outcome::Done)
}

pub(super) fn hmget(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    ctx.reply.array(args.len() - 2);
    for field in args.from(2) {
        reply_value(ctx.reply, hash, field);
    }
    Ok(Outcome::Done)
}

pub(super) fn hlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    ctx.reply.count(hash.map_or(0, Hash::len));
    Ok(Outcome::Done)
}

pub(super) fn hexists(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    let exists = hash.is_some_and(|hash| hash.contains(args.at(2)));
    ctx.reply.integer(i64::from(exists));
    Ok(Outcome::Done)
}

pub(super) fn hstrlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    let value = hash.and_then(|hash| hash.get(args.at(2)));
    let len = value.map_or(0, |value| value.as_bytes(&mut [0; 20]).len());
    ctx.reply.count(len);
    Ok(Outcome::Done)
}

/// What is given of each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    Field,
    Value,
    Both,
}

impl Parts {
    fn write(self, reply: &mut Reply, field: Element<'_>, value: Element<'_>) {
        if self != Self::Value {
            reply_element(reply, field);
        }
        if self != Self::Field {
            reply_element(reply, value);
        }
    }
}

pub(super) fn hgetall(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    all(ctx, args, Parts::Both)
}

pub(super) fn hkeys(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    all(ctx, args, Parts::Field)
}

pub(super) fn hvals(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    all(ctx, args, Parts::Value)
}

fn all(ctx: &mut Context<'_>, args: &Args<'_>, parts: Parts) -> Result<Outcome, CommandError> {
    let hash = hash_of(ctx.space.read(args.at(1)))?;
    let len = hash.map_or(0, Hash::len);
    match parts {
        Parts::Both => ctx.reply.map(len),
        Parts::Field | Parts::Value => ctx.reply.array(len),
    }
    let Some(hash) = hash else {
        return Ok(Outcome::Done);
    };
    let is_long = matches!(hash, Hash::Large(_)) || hash.heap_bytes() > REPLY_SLICE_BYTES;
    if ctx.reply.slices() && is_long {
        let share = hash.share();
        ctx.reply.rest(Box::new(Rest { share, parts }));
    } else {
        hash.iter()
            .for_each(|(field, value)| parts.write(ctx.reply, field, value));
    }
    Ok(Outcome::Done)
}

/// All fields of a hash.
struct Rest {
    share: Share,
    parts: Parts,
}

impl Elements for Rest {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        self.share.read(|field, value| {
            self.parts.write(reply, field, value);
            reply.len() >= end
        });
    }

    fn left(&self) -> usize {
        self.share.left()
    }
}

pub(super) fn hscan(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let cursor = ElementScan::cursor(args)?;
    let Some(hash) = hash_of(ctx.space.read(args.at(1)))? else {
        ElementScan::reply_nothing(ctx.reply);
        return Ok(Outcome::Done);
    };
    let options = ElementScan::read(args)?;
    let (parts, part_count) = if options.no_values {
        (Parts::Field, 1)
    } else {
        (Parts::Both, 2)
    };
    let (mut found, mut count) = (Reply::new(ctx.reply.protocol()), 0);
    let next = hash.scan(cursor, options.count(), &mut |field, value| {
        if options.wants(field.as_bytes(&mut [0; 20])) {
            parts.write(&mut found, field, value);
            count += part_count;
        }
    });
    ElementScan::reply_head(ctx.reply, next, count);
    ctx.reply.append(found.take());
    Ok(Outcome::Done)
}
