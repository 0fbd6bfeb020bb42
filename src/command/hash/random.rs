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

use std::borrow::Borrow;

use crate::command::args::{is, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::command::random::Random;
use crate::command::sample::{self, Choices, Pass, Pool};
use crate::data::hash::{Hash, Share};
use crate::data::listpack::Element;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::hash_of;

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
    let per_field = if with_values && !form.nested { 2 } else { 1 };
    let wanted = sample::wanted(count, hash.len());
    ctx.reply.array(wanted.saturating_mul(per_field));
    sample::write_chosen(ctx.reply, &Fields { hash, form }, count);
    Ok(Outcome::Done)
}

/// Fields to choose from, of a hash or of what it was.
struct Fields<H> {
    hash: H,
    form: Form,
}

impl<H: Borrow<Hash>> Choices for Fields<H> {
    fn write_any(
        &self,
        random: &mut Random,
        is_wanted: &mut dyn FnMut(&[u8]) -> bool,
        reply: &mut Reply,
    ) -> bool {
        let found = self.hash.borrow().random(&mut || random.next());
        let found = found.filter(|(field, _)| is_wanted(field.as_bytes(&mut [0; 20])));
        if let Some((field, value)) = found {
            self.form.write(reply, field, value);
        }
        found.is_some()
    }
}

impl Pool for Fields<&Hash> {
    type Kept = Fields<Hash>;
    type Passed = PassedFields;

    fn len(&self) -> usize {
        self.hash.len()
    }

    fn is_large(&self) -> bool {
        matches!(self.hash, Hash::Large(_))
    }

    fn keep(&self) -> Fields<Hash> {
        Fields {
            hash: self.hash.to_choose_from(),
            form: self.form,
        }
    }

    fn pass(&self) -> PassedFields {
        PassedFields {
            share: self.hash.share(),
            form: self.form,
        }
    }
}

struct PassedFields {
    share: Share,
    form: Form,
}

impl Pass for PassedFields {
    fn next(&mut self, mut reply: Option<&mut Reply>) {
        let form = self.form;
        self.share.read(|field, value| {
            if let Some(reply) = reply.as_deref_mut() {
                form.write(reply, field, value);
            }
            true
        });
    }
}
