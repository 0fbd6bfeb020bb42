//! GEOADD: a ZADD whose scores stand for places.

use crate::command::args::Cursor;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::sorted_set::{AddOptions, add_pairs};
use crate::resp::arguments::Args;

use super::place;

pub(super) fn geoadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut options = AddOptions::default();
    let mut rest = Cursor::new(args, 2);
    loop {
        let option = if rest.keyword("nx") {
            &mut options.only_new
        } else if rest.keyword("xx") {
            &mut options.only_existing
        } else if rest.keyword("ch") {
            &mut options.counts_updates
        } else {
            break;
        };
        *option = true;
    }
    if !rest.left().is_multiple_of(3) || options.only_new && options.only_existing {
        return Err(error::SYNTAX);
    }
    let mut pairs = Vec::with_capacity(rest.left() / 3);
    while rest.left() > 0 {
        let (longitude, latitude) = (rest.value()?, rest.value()?);
        pairs.push((place(longitude, latitude)?.score(), rest.value()?));
    }
    if pairs.is_empty() {
        return Err(error::SYNTAX);
    }
    let first_place = args.len() - 3 * pairs.len();
    add_pairs(ctx, args.at(1), &options, &pairs, |effect| {
        effect.args(
            [&b"ZADD"[..]]
                .into_iter()
                .chain((1..first_place).map(|at| args.at(at))),
        );
        for (score, member) in &pairs {
            effect.arg(format!("{score}").as_bytes());
            effect.arg(member);
        }
    })
}
