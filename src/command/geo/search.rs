//! GEOSEARCH, GEOSEARCHSTORE, GEORADIUS, GEORADIUSBYMEMBER and what only reads of them.
//!
//! ```text
//! area ─► cells ─► ranges of scores ─► members within the area ─► nearest first? COUNT? ─► reply in slices, or stored
//! ```

use std::cmp::Ordering;
use std::ops::Bound;

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::command::sorted_set::{set_of, store};
use crate::data::geo::{Area, Place};
use crate::data::sorted_set::{ScoreRange, SortedSet};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

use super::request::{Kind, Request, Told};
use super::{reply_distance, reply_place};

pub(super) fn georadius(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    search(ctx, args, Kind::Around { may_store: true })
}

pub(super) fn georadius_ro(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    search(ctx, args, Kind::Around { may_store: false })
}

pub(super) fn georadiusbymember(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    search(ctx, args, Kind::AroundMember { may_store: true })
}

pub(super) fn georadiusbymember_ro(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    search(ctx, args, Kind::AroundMember { may_store: false })
}

pub(super) fn geosearch(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    search(ctx, args, Kind::Search)
}

pub(super) fn geosearchstore(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    search(ctx, args, Kind::SearchAndStore)
}

/// A member in the area.
struct Hit {
    member: Vec<u8>,
    score: f64,
    place: Place,
    /// From the middle, m.
    distance: f64,
}

fn search(ctx: &mut Context<'_>, args: &Args<'_>, kind: Kind) -> Result<Outcome, CommandError> {
    let source = args.at(if kind == Kind::SearchAndStore { 2 } else { 1 });
    let set = set_of(ctx.space.read(source))?;
    let request = Request::read(args, kind, set)?;
    let hits = match set.zip(request.area()) {
        Some((set, area)) => hits(set, &area, &request),
        None => Vec::new(),
    };
    match request.destination {
        Some(destination) => {
            let event = match kind {
                Kind::SearchAndStore | Kind::Search => "geosearchstore",
                Kind::Around { .. } | Kind::AroundMember { .. } => "georadiusstore",
            };
            let pair = |hit: Hit| match request.stores_distances {
                true => (hit.distance / request.metres, hit.member),
                false => (hit.score, hit.member),
            };
            let pairs = hits.into_iter().map(pair).collect();
            let found = SortedSet::of(pairs, &ctx.settings.zset_limits);
            store(ctx, args, destination, found, event);
        }
        None => reply(ctx.reply, hits, &request),
    }
    Ok(Outcome::Done)
}

/// The members in an area, as they are asked for.
fn hits(set: &SortedSet, area: &Area, request: &Request<'_>) -> Vec<Hit> {
    let enough = match request.count {
        Some(count) if request.any => count,
        _ => usize::MAX,
    };
    let mut hits = Vec::new();
    for cell in area.cells() {
        if hits.len() >= enough {
            break;
        }
        let scores = cell.scores();
        let ranks = set.ranks_by_score(&ScoreRange {
            min: Bound::Included(scores.start),
            max: Bound::Excluded(scores.end),
        });
        let found = set.range(ranks).filter_map(|(member, score)| {
            let place = Place::of_score(score);
            let distance = area.distance_within(place)?;
            Some(Hit {
                member: member.to_vec(),
                score,
                place,
                distance,
            })
        });
        hits.extend(found.take(enough - hits.len()));
    }
    // Redis: of so many the nearest, unless it is any of them.
    let is_nearest_first = request.count.is_some() && !request.any;
    let is_descending = request.is_descending.or(is_nearest_first.then_some(false));
    let count = request.count.unwrap_or(usize::MAX);
    if let Some(is_descending) = is_descending {
        let by_distance = |hit: &Hit, other: &Hit| {
            let order = hit.distance.partial_cmp(&other.distance);
            let order = order.unwrap_or(Ordering::Equal);
            if is_descending {
                order.reverse()
            } else {
                order
            }
        };
        if count < hits.len() {
            // Of those that are as far the same ones each time; Redis has no order of them either.
            let by_place = |hit: &Hit, other: &Hit| {
                by_distance(hit, other).then_with(|| hit.member.cmp(&other.member))
            };
            hits.select_nth_unstable_by(count, by_place);
            hits.truncate(count);
        }
        hits.sort_by(by_distance);
    }
    hits.truncate(count);
    hits
}

fn reply(reply: &mut Reply, hits: Vec<Hit>, request: &Request<'_>) {
    let is_resp3 = reply.is_resp3();
    reply.array(hits.len());
    if !hits.is_empty() {
        reply.rest(Box::new(Found {
            hits: hits.into_iter(),
            told: request.told,
            metres: request.metres,
            is_resp3,
        }));
    }
}

/// Members that are still to be told.
struct Found {
    hits: std::vec::IntoIter<Hit>,
    told: Told,
    metres: f64,
    is_resp3: bool,
}

impl Elements for Found {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let told = self.told;
        for hit in self.hits.by_ref() {
            if told.count() > 0 {
                reply.array(1 + told.count());
            }
            reply.bulk(&hit.member);
            if told.distance {
                reply_distance(reply, hit.distance / self.metres);
            }
            if told.score {
                reply.integer(hit.score as i64);
            }
            if told.place {
                reply_place(reply, hit.place, self.is_resp3);
            }
            if reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.hits.len()
    }
}
