//! ZUNION, ZINTER, ZDIFF, what stores them, and ZINTERCARD: several sorted sets, or sets, whose members count with score 1.
//!
//! ```text
//! sources, smallest first ──► found: pairs of score and member, each member once ──► stored, or sorted and replied
//! ```
//! Scores are added in the order of the sizes of their sets, as Redis does: it shows in the last digits of a sum.

use std::cmp::Ordering;

use hashbrown::HashMap;

use crate::command::args::{Cursor, is, non_negative, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::data::listpack::Element;
use crate::data::set::Set;
use crate::data::sorted_set::{SortedSet, parse_score};
use crate::keyspace::Space;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::replies::{Style, reply_found};
use super::store;

/// How sorted sets are combined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Combination {
    Union,
    Intersection,
    Difference,
}

/// What the score of a member becomes that several have.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Redis: infinities of both signs add up to 0.
    fn of(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => zero_unless_number(score + other),
            Self::Min if other < score => other,
            Self::Max if other > score => other,
            Self::Min | Self::Max => score,
        }
    }
}

/// Redis: what is not a number counts as 0.
fn zero_unless_number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A value whose members have scores.
#[derive(Clone, Copy)]
enum Scored<'s> {
    /// No such key.
    Nothing,
    SortedSet(&'s SortedSet),
    /// Each member with score 1.
    Set(&'s Set),
}

impl<'s> Scored<'s> {
    fn of(value: Option<&'s Value>) -> Result<Self, CommandError> {
        match value {
            None => Ok(Self::Nothing),
            Some(Value::SortedSet(set)) => Ok(Self::SortedSet(set)),
            Some(Value::Set(set)) => Ok(Self::Set(set)),
            Some(_) => Err(error::WRONG_TYPE),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::SortedSet(set) => set.len(),
            Self::Set(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::SortedSet(set) => set.score(member),
            Self::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = (Element<'s>, f64)> + 's> {
        match self {
            Self::Nothing => Box::new(std::iter::empty()),
            Self::SortedSet(set) => Box::new(set.iter()),
            Self::Set(set) => Box::new(set.iter().map(|member| (member, 1.0))),
        }
    }
}

/// A value with its weight.
#[derive(Clone, Copy)]
struct Source<'s> {
    values: Scored<'s>,
    weight: f64,
}

/// What a command asks for.
struct Request {
    combination: Combination,
    /// Where the keys begin, and how many there are.
    keys_at: usize,
    key_count: usize,
    /// None: all are 1.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// LIMIT of ZINTERCARD; 0: none.
    limit: u64,
}

/// Which options a command has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reply,
    Store,
    Count,
}

impl Request {
    /// Reads the arguments and looks the keys up: Redis finds a key of a wrong type before a wrong option.
    fn read(
        ctx: &mut Context<'_>,
        args: &Args<'_>,
        combination: Combination,
        purpose: Purpose,
    ) -> Result<Self, CommandError> {
        let count_at = if purpose == Purpose::Store { 2 } else { 1 };
        let keys_at = count_at + 1;
        let key_count = required_integer(args.at(count_at))?;
        if key_count < 1 {
            return Err(error::no_input_key(ctx.row.command.name));
        }
        let key_count = usize::try_from(key_count).unwrap_or(usize::MAX);
        if key_count > args.len() - keys_at {
            return Err(error::SYNTAX);
        }
        for key in args.from(keys_at).take(key_count) {
            Scored::of(ctx.space.read(key).map(|entry| &entry.value))?;
        }
        let mut request = Self {
            combination,
            keys_at,
            key_count,
            weights: Vec::new(),
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: 0,
        };
        request.read_options(args, purpose)?;
        Ok(request)
    }

    fn read_options(&mut self, args: &Args<'_>, purpose: Purpose) -> Result<(), CommandError> {
        let has_weights = self.combination != Combination::Difference && purpose != Purpose::Count;
        let mut rest = Cursor::new(args, self.keys_at + self.key_count);
        while rest.left() > 0 {
            if has_weights && rest.left() > self.key_count && rest.keyword("weights") {
                let weights = rest.by_ref().take(self.key_count);
                let weights = weights.map(|text| parse_score(text).ok_or(error::WEIGHT_NOT_FLOAT));
                self.weights = weights.collect::<Result<_, _>>()?;
            } else if has_weights && rest.left() >= 2 && rest.keyword("aggregate") {
                self.aggregate = match rest.value()? {
                    text if is(text, "sum") => Aggregate::Sum,
                    text if is(text, "min") => Aggregate::Min,
                    text if is(text, "max") => Aggregate::Max,
                    _ => return Err(error::SYNTAX),
                };
            } else if purpose == Purpose::Reply && rest.keyword("withscores") {
                self.with_scores = true;
            } else if purpose == Purpose::Count && rest.left() >= 2 && rest.keyword("limit") {
                let limit = non_negative(rest.value()?);
                self.limit = limit.map_err(|_| error::MEMBER_LIMIT_NEGATIVE)?;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(())
    }

    /// The values of the keys, which were looked up.
    fn sources<'s>(
        &self,
        space: &'s Space<'_>,
        args: &Args<'_>,
    ) -> Result<Vec<Source<'s>>, CommandError> {
        let keys = args.from(self.keys_at).take(self.key_count).enumerate();
        let sources = keys.map(|(index, key)| {
            Ok(Source {
                values: Scored::of(space.view(key).map(|entry| &entry.value))?,
                weight: self.weights.get(index).copied().unwrap_or(1.0),
            })
        });
        let mut sources = sources.collect::<Result<Vec<_>, CommandError>>()?;
        if self.combination != Combination::Difference {
            sources.sort_by_key(|source| source.values.len());
        }
        Ok(sources)
    }

    /// The members with their scores, in no order.
    fn found(&self, space: &Space<'_>, args: &Args<'_>) -> Result<Vec<Found>, CommandError> {
        let sources = self.sources(space, args)?;
        Ok(match self.combination {
            Combination::Union => united(&sources, self.aggregate),
            Combination::Intersection => intersected(&sources, self.aggregate).collect(),
            Combination::Difference => {
                let Some((first, others)) = sources.split_first() else {
                    return Ok(Vec::new());
                };
                let pairs = first.values.iter();
                let pairs = pairs.map(|(member, score)| (score, member.to_vec()));
                pairs.filter(|(_, member)| !has(others, member)).collect()
            }
        })
    }
}

/// Score and member.
type Found = (f64, Vec<u8>);

fn has(sources: &[Source<'_>], member: &[u8]) -> bool {
    let mut sources = sources.iter();
    sources.any(|source| source.values.score(member).is_some())
}

fn united(sources: &[Source<'_>], aggregate: Aggregate) -> Vec<Found> {
    let largest = sources.last().map_or(0, |source| source.values.len());
    let mut scores: HashMap<Vec<u8>, f64> = HashMap::with_capacity(largest);
    for source in sources {
        for (member, score) in source.values.iter() {
            let score = zero_unless_number(source.weight * score);
            let mut text = [0; 20];
            let member = member.as_bytes(&mut text);
            match scores.get_mut(member) {
                Some(known) => *known = aggregate.of(*known, score),
                None => {
                    scores.insert(member.to_vec(), score);
                }
            }
        }
    }
    let pairs = scores.into_iter();
    pairs.map(|(member, score)| (score, member)).collect()
}

/// The members that all sources have, which come smallest first.
fn intersected<'s>(
    sources: &'s [Source<'s>],
    aggregate: Aggregate,
) -> impl Iterator<Item = Found> + 's {
    let pairs = sources.first().map(|first| (first, first.values.iter()));
    let pairs = pairs.into_iter().flat_map(|(first, pairs)| {
        pairs.map(|(member, score)| (zero_unless_number(first.weight * score), member))
    });
    pairs.filter_map(move |(mut score, member)| {
        let member = member.to_vec();
        for source in &sources[1..] {
            let other = source.values.score(&member)? * source.weight;
            score = aggregate.of(score, other);
        }
        Some((score, member))
    })
}

pub(super) fn zunion(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply(ctx, args, Combination::Union)
}

pub(super) fn zinter(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply(ctx, args, Combination::Intersection)
}

pub(super) fn zdiff(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    reply(ctx, args, Combination::Difference)
}

fn reply(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    combination: Combination,
) -> Result<Outcome, CommandError> {
    let request = Request::read(ctx, args, combination, Purpose::Reply)?;
    let mut found = request.found(&ctx.space, args)?;
    found.sort_unstable_by(|(score, member), (other, another)| {
        let scores = score.partial_cmp(other).unwrap_or(Ordering::Equal);
        scores.then_with(|| member.cmp(another))
    });
    let style = Style::of(ctx.reply, request.with_scores);
    reply_found(ctx.reply, found, style);
    Ok(Outcome::Done)
}

pub(super) fn zunionstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    combine_and_store(ctx, args, Combination::Union)
}

pub(super) fn zinterstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    combine_and_store(ctx, args, Combination::Intersection)
}

pub(super) fn zdiffstore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    combine_and_store(ctx, args, Combination::Difference)
}

fn combine_and_store(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    combination: Combination,
) -> Result<Outcome, CommandError> {
    let request = Request::read(ctx, args, combination, Purpose::Store)?;
    let found = request.found(&ctx.space, args)?;
    let event = match combination {
        Combination::Union => "zunionstore",
        Combination::Intersection => "zinterstore",
        Combination::Difference => "zdiffstore",
    };
    let found = SortedSet::of(found, &ctx.settings.zset_limits);
    store(ctx, args, args.at(1), found, event);
    Ok(Outcome::Done)
}

pub(super) fn zintercard(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let request = Request::read(ctx, args, Combination::Intersection, Purpose::Count)?;
    let sources = request.sources(&ctx.space, args)?;
    let limit = match request.limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let found = intersected(&sources, request.aggregate);
    ctx.reply.count(found.take(limit).count());
    Ok(Outcome::Done)
}
