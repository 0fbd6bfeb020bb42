//! ZRANDMEMBER: members by chance.

use std::collections::HashSet;

use crate::command::args::{is, symmetric_integer};
use crate::command::context::{Context, Outcome};
use crate::command::element::reply_element;
use crate::command::error::{self, CommandError};
use crate::command::random::Random;
use crate::data::sorted_set::SortedSet;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::replies::{Style, Told, reply_range};
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
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        // The same member may come more than once: as many as were asked for, made while they are sent.
        style.open(ctx.reply, wanted);
        ctx.reply.rest(Box::new(Picks {
            set: set.clone(),
            random: Random::new(),
            style,
            left: wanted,
        }));
    } else if wanted >= set.len() {
        let told = Told {
            ranks: 0..set.len(),
            is_backward: false,
        };
        reply_range(ctx.reply, set, told, style);
    } else {
        distinct(ctx.reply, set, wanted, style);
    }
    Ok(Outcome::Done)
}

/// Replies so many members, each once.
fn distinct(reply: &mut Reply, set: &SortedSet, wanted: usize, style: Style) {
    let mut random = Random::new();
    style.open(reply, wanted);
    let mut write = |rank: usize| {
        if let Some((member, score)) = set.at(rank) {
            style.write(reply, member, score);
        }
    };
    if wanted * 3 > set.len() {
        // Nearly all of them: the first places of a shuffle.
        let mut ranks: Vec<usize> = (0..set.len()).collect();
        for at in 0..wanted {
            let other = at + random.below(ranks.len() - at);
            ranks.swap(at, other);
            write(ranks[at]);
        }
        return;
    }
    let mut seen = HashSet::new();
    while seen.len() < wanted {
        let rank = random.below(set.len());
        if seen.insert(rank) {
            write(rank);
        }
    }
}

/// Members by chance that were not sent yet, of the set as it was.
struct Picks {
    set: SortedSet,
    random: Random,
    style: Style,
    left: usize,
}

impl Elements for Picks {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        while self.left > 0 {
            let rank = self.random.below(self.set.len());
            if let Some((member, score)) = self.set.at(rank) {
                self.style.write(reply, member, score);
            }
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
