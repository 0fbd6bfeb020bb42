//! HRANDFIELD: fields chosen by chance.
//!
//! ```text
//! count < 0                           so many choices, each from all fields        as the reply leaves
//! count > 0, few of a large hash      choices until so many differ                 at once
//! count > 0, else                     one pass that takes each field with the      as the reply leaves
//!                                     chance that is right for what is left
//! ```
//! A client may ask for more choices than it will ever read, so they are made as they are sent. Source of the pass: Knuth,
//! "The Art of Computer Programming", volume 2, 3.4.2, algorithm S.

use std::collections::HashSet;

use crate::command::args::{is, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::command::random::Random;
use crate::data::hash::{Hash, Share};
use crate::data::listpack::Element;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::hash_of;

/// So many different fields are remembered while others are chosen, at most, and only of a hash this many times as large. More are
/// chosen in one pass over all fields.
const CHOICES_MAX: usize = 100_000;
const CHOICES_SHARE: usize = 3;

/// How a chosen field is written.
#[derive(Clone, Copy)]
struct Form {
    with_values: bool,
    /// RESP3: each pair is an array.
    nested: bool,
}

impl Form {
    fn write(self, reply: &mut Reply, field: Element<'_>, value: Element<'_>) {
        if self.with_values && self.nested {
            reply.array(2);
        }
        reply_element(reply, field);
        if self.with_values {
            reply_element(reply, value);
        }
    }
}

/// Redis: the lowest number there is is out of range, and with values also what is more than half of the highest.
pub(super) fn hrandfield(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let Some(count) = args.get(2) else {
        let hash = hash_of(ctx.space.read(args.at(1)))?;
        let mut random = Random::new();
        match hash.and_then(|hash| hash.random(&mut || random.next())) {
            Some((field, _)) => reply_element(ctx.reply, field),
            None => ctx.reply.null(),
        }
        return Ok(Outcome::Done);
    };
    let count = symmetric_integer(count)?;
    let with_values = match args.len() {
        3 => false,
        4 if is(args.at(3), "WITHVALUES") => true,
        _ => return Err(error::SYNTAX),
    };
    if with_values && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(error::OUT_OF_RANGE);
    }
    let Some(hash) = hash_of(ctx.space.read(args.at(1)))?.filter(|_| count != 0) else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let form = Form {
        with_values,
        nested: ctx.reply.is_resp3(),
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let wanted = if count < 0 {
        wanted
    } else {
        wanted.min(hash.len())
    };
    let per_field = if with_values && !form.nested { 2 } else { 1 };
    ctx.reply.array(wanted.saturating_mul(per_field));
    if count < 0 {
        ctx.reply.rest(Box::new(Choices {
            hash: hash.to_choose_from(),
            left: wanted,
            random: Random::new(),
            form,
        }));
    } else if matches!(hash, Hash::Large(_))
        && wanted <= CHOICES_MAX
        && wanted.saturating_mul(CHOICES_SHARE) <= hash.len()
    {
        ctx.reply.rest(Box::new(Different {
            hash: hash.to_choose_from(),
            chosen: HashSet::new(),
            left: wanted,
            random: Random::new(),
            form,
        }));
    } else {
        ctx.reply.rest(Box::new(Sample {
            ahead: hash.len(),
            share: hash.share(),
            left: wanted,
            random: Random::new(),
            form,
        }));
    }
    Ok(Outcome::Done)
}

/// Choices of different fields, far fewer than there are: one that was chosen before is passed over.
struct Different {
    hash: Hash,
    chosen: HashSet<Vec<u8>>,
    left: usize,
    random: Random,
    form: Form,
}

impl Elements for Different {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let mut chance = || self.random.next();
        while self.left > 0 {
            let Some((field, value)) = self.hash.random(&mut chance) else {
                return;
            };
            if !self.chosen.insert(field.to_vec()) {
                continue;
            }
            self.form.write(reply, field, value);
            self.left -= 1;
            if reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.left
    }
}

/// Choices from all fields.
struct Choices {
    hash: Hash,
    left: usize,
    random: Random,
    form: Form,
}

impl Elements for Choices {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let mut chance = || self.random.next();
        while self.left > 0 {
            let Some((field, value)) = self.hash.random(&mut chance) else {
                return;
            };
            self.form.write(reply, field, value);
            self.left -= 1;
            if reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.left
    }
}

/// A part of the fields, in their order.
struct Sample {
    share: Share,
    /// Fields not looked at yet.
    ahead: usize,
    left: usize,
    random: Random,
    form: Form,
}

impl Elements for Sample {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let (ahead, left) = (&mut self.ahead, &mut self.left);
        let (random, form) = (&mut self.random, self.form);
        self.share.read(|field, value| {
            let is_chosen = random.below(*ahead) < *left;
            *ahead = ahead.saturating_sub(1);
            if is_chosen {
                form.write(reply, field, value);
                *left -= 1;
            }
            *left == 0 || is_chosen && reply.len() >= end
        });
    }

    fn left(&self) -> usize {
        self.left
    }
}
