//! ZRANDMEMBER: members by chance.

use std::borrow::Borrow;

use crate::command::args::{is, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::command::random::Random;
use crate::command::sample::{self, Choices, Pass, Pool};
use crate::data::sorted_set::{Share, SortedSet};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::replies::Style;
use super::set_of;

pub(super) fn zrandmember(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() == 2 {
        let set = set_of(ctx.space.read(args.at(1)))?;
        let chosen = set.and_then(|set| set.at(Random::new().below(set.len())));
        match chosen {
            Some((member, _)) => reply_element(ctx.reply, member),
            None => ctx.reply.null(),
        }
        return Ok(Outcome::Done);
    }
    let count = symmetric_integer(args.at(2))?;
    let with_scores = match args.len() {
        3 => false,
        4 if is(args.at(3), "withscores") => true,
        _ => return Err(error::SYNTAX),
    };
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(error::OUT_OF_RANGE);
    }
    let style = Style::of(ctx.reply, with_scores);
    let Some(set) = set_of(ctx.space.read(args.at(1)))?.filter(|_| count != 0) else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let wanted = sample::wanted(count, set.len());
    style.open(ctx.reply, wanted);
    sample::write_chosen(ctx.reply, &Members { set, style }, count);
    Ok(Outcome::Done)
}

/// Members to choose from, of a sorted set or of what it was; told apart by their ranks.
struct Members<S> {
    set: S,
    style: Style,
}

impl<S: Borrow<SortedSet>> Choices for Members<S> {
    fn write_any(
        &self,
        random: &mut Random,
        is_wanted: &mut dyn FnMut(&[u8]) -> bool,
        reply: &mut Reply,
    ) -> bool {
        let set = self.set.borrow();
        let rank = random.below(set.len());
        let found = set.at(rank).filter(|_| is_wanted(&rank.to_le_bytes()));
        if let Some((member, score)) = found {
            self.style.write(reply, member, score);
        }
        found.is_some()
    }
}

impl Pool for Members<&SortedSet> {
    type Kept = Members<SortedSet>;
    type Passed = PassedMembers;

    fn len(&self) -> usize {
        self.set.len()
    }

    fn is_large(&self) -> bool {
        self.set.encoding() == "skiplist"
    }

    fn keep(&self) -> Members<SortedSet> {
        Members {
            set: self.set.clone(),
            style: self.style,
        }
    }

    fn pass(&self) -> PassedMembers {
        PassedMembers {
            share: self.set.share(0..self.set.len(), false),
            style: self.style,
        }
    }
}

struct PassedMembers {
    share: Share,
    style: Style,
}

impl Pass for PassedMembers {
    fn next(&mut self, mut reply: Option<&mut Reply>) {
        let style = self.style;
        self.share.read(|member, score| {
            if let Some(reply) = reply.as_deref_mut() {
                style.write(reply, member, score);
            }
            true
        });
    }
}
