//! GEOPOS, GEODIST, GEOHASH.

use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::sorted_set::set_of;
use crate::data::geo::Place;
use crate::data::sorted_set::SortedSet;
use crate::resp::arguments::Args;

use super::{reply_distance, reply_place, unit};

/// Where a member is.
pub(super) fn place_of(set: &SortedSet, member: &[u8]) -> Option<Place> {
    set.score(member).map(Place::of_score)
}

pub(super) fn geopos(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    let is_resp3 = ctx.reply.is_resp3();
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        match set.and_then(|set| place_of(set, member)) {
            Some(place) => reply_place(ctx.reply, place, is_resp3),
            None => ctx.reply.null_array(),
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn geohash(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let set = set_of(ctx.space.read(args.at(1)))?;
    ctx.reply.array(args.len() - 2);
    for member in args.from(2) {
        match set.and_then(|set| place_of(set, member)) {
            Some(place) => ctx.reply.bulk(&place.geohash()),
            None => ctx.reply.null(),
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn geodist(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let metres = match args.len() {
        4 => 1.0,
        5 => unit(args.at(4))?,
        _ => return Err(error::SYNTAX),
    };
    let set = set_of(ctx.space.read(args.at(1)))?;
    let place = |at| set.and_then(|set| place_of(set, args.at(at)));
    match place(2).zip(place(3)) {
        Some((from, to)) => reply_distance(ctx.reply, from.distance(to) / metres),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}
