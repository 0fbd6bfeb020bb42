//! ZADD, ZINCRBY, and what GEOADD does after it has made scores of places.

use crate::command::args::Cursor;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::data::listpack::PackLimits;
use crate::data::sorted_set::{Put, ScoreText, SortedSet, parse_score};
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::{KeyHandle, Report};
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;
use crate::resp::arguments::Args;

use super::replies::write_score;
use super::{set_in, set_in_mut};

/// The options in front of the scores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AddOptions {
    /// NX: only members that are not there.
    pub(crate) only_new: bool,
    /// XX: only members that are there.
    pub(crate) only_existing: bool,
    /// GT: only to higher scores.
    only_up: bool,
    /// LT: only to lower scores.
    only_down: bool,
    /// CH: changed scores count too.
    pub(crate) counts_updates: bool,
    /// INCR: the score is added to the one there is.
    increments: bool,
}

impl AddOptions {
    /// The options, and where the scores begin.
    fn read(args: &Args<'_>, increments: bool) -> Result<(Self, usize), CommandError> {
        let mut options = Self {
            increments,
            ..Self::default()
        };
        let mut rest = Cursor::new(args, 2);
        loop {
            let option = if rest.keyword("nx") {
                &mut options.only_new
            } else if rest.keyword("xx") {
                &mut options.only_existing
            } else if rest.keyword("ch") {
                &mut options.counts_updates
            } else if rest.keyword("incr") {
                &mut options.increments
            } else if rest.keyword("gt") {
                &mut options.only_up
            } else if rest.keyword("lt") {
                &mut options.only_down
            } else {
                break;
            };
            *option = true;
        }
        let left = rest.left();
        if left == 0 || !left.is_multiple_of(2) {
            return Err(error::SYNTAX);
        }
        if options.only_new && options.only_existing {
            return Err(error::ZADD_NX_AND_XX);
        }
        let comparisons = usize::from(options.only_up) + usize::from(options.only_down);
        if comparisons + usize::from(options.only_new && comparisons > 0) > 1 {
            return Err(error::ZADD_GT_LT_NX);
        }
        if options.increments && left > 2 {
            return Err(error::ZADD_INCR_PAIRS);
        }
        Ok((options, rest.position()))
    }

    /// The score that a member gets; `None`: nothing is to be done.
    fn decide(&self, old: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(old) = old else {
            return Ok((!self.only_existing).then_some(score));
        };
        if self.only_new {
            return Ok(None);
        }
        let score = if self.increments { old + score } else { score };
        if score.is_nan() {
            return Err(error::SCORE_NOT_A_NUMBER);
        }
        let is_barred = self.only_down && score >= old || self.only_up && score <= old;
        Ok((!is_barred).then_some(score))
    }
}

/// What came of a ZADD.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    added: usize,
    updated: usize,
    /// The set has become large.
    enlarged: bool,
    /// The score that the last member has now, unless nothing was to be done.
    score: Option<f64>,
}

impl Report for Tally {
    fn is_change(&self) -> bool {
        self.added + self.updated > 0 || self.enlarged
    }
}

pub(super) fn zadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args, false)
}

pub(super) fn zincrby(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args, true)
}

fn add(ctx: &mut Context<'_>, args: &Args<'_>, increments: bool) -> Result<Outcome, CommandError> {
    let (options, from) = AddOptions::read(args, increments)?;
    // All of them before the first is added.
    let texts = args.from(from).step_by(2);
    let pairs = texts.zip(args.from(from + 1).step_by(2));
    let pairs = pairs.map(|(score, member)| {
        let score = parse_score(score).ok_or(error::NOT_FLOAT)?;
        Ok((score, member))
    });
    let pairs = pairs.collect::<Result<Vec<(f64, &[u8])>, CommandError>>()?;
    add_pairs(ctx, args.at(1), &options, &pairs, |effect| {
        effect.args(args.iter());
    })
}

/// Adds members with their scores, at least one, and replies what came of it.
pub(crate) fn add_pairs(
    ctx: &mut Context<'_>,
    key: &[u8],
    options: &AddOptions,
    pairs: &[(f64, &[u8])],
    effect: impl FnOnce(&mut EffectWriter),
) -> Result<Outcome, CommandError> {
    let limits = ctx.settings.zset_limits;
    let mut handle = ctx.space.write(key);
    let tally = put_all(&mut handle, pairs, options, &limits)?;
    match (options.increments, tally.score) {
        (true, Some(score)) => write_score(ctx.reply, score),
        (true, None) => ctx.reply.null(),
        (false, _) if options.counts_updates => ctx.reply.count(tally.added + tally.updated),
        (false, _) => ctx.reply.count(tally.added),
    }
    if tally.added + tally.updated > 0 {
        handle.touched();
        let event = if options.increments { "zincr" } else { "zadd" };
        handle.event(EventClass::SORTED_SET, event);
    }
    if tally.is_change() {
        // Where only the form changed, the command replayed does the same.
        let changes = (tally.added + tally.updated).max(1);
        handle.effect_of(changes, effect);
    }
    Ok(Outcome::Done)
}

/// Gives members these scores, whatever they had, and tells of it. The effects are several ZADDs where one would name too many.
pub(super) fn put_moved(
    handle: &mut KeyHandle<'_>,
    moved: &[(f64, Vec<u8>)],
    limits: &PackLimits,
) -> Result<(), CommandError> {
    let (key, options) = (handle.key(), AddOptions::default());
    let mut is_changed = false;
    for part in moved.chunks(PUSH_EFFECT_ELEMENTS_MAX / 2) {
        let pairs: Vec<(f64, &[u8])> = part
            .iter()
            .map(|(score, member)| (*score, member.as_slice()))
            .collect();
        let tally = put_all(handle, &pairs, &options, limits)?;
        let changes = tally.added + tally.updated;
        is_changed |= changes > 0;
        if tally.is_change() {
            handle.effect_of(changes.max(1), |effect| {
                effect.arg("ZADD").arg(key);
                for (score, member) in pairs {
                    effect.arg(ScoreText::new(score).bytes()).arg(member);
                }
            });
        }
    }
    if is_changed {
        handle.touched();
        handle.event(EventClass::SORTED_SET, "zadd");
    }
    Ok(())
}

/// Adds them to the sorted set of a key, which is made when there is none. Events and effects are the caller's.
fn put_all(
    handle: &mut KeyHandle<'_>,
    pairs: &[(f64, &[u8])],
    options: &AddOptions,
    limits: &PackLimits,
) -> Result<Tally, CommandError> {
    if set_in(handle.value())?.is_none() {
        if options.only_existing {
            return Ok(Tally::default());
        }
        let first = pairs.first().map_or(0, |(_, member)| member.len());
        let set = SortedSet::for_members(pairs.len(), first, limits);
        handle.insert(Value::SortedSet(set));
    }
    handle.change(|value| {
        let set = set_in_mut(value)?;
        add_all(set, pairs, options, limits)
    })
}

fn add_all(
    set: &mut SortedSet,
    pairs: &[(f64, &[u8])],
    options: &AddOptions,
    limits: &PackLimits,
) -> Result<Tally, CommandError> {
    let encoding = set.encoding();
    let mut tally = Tally::default();
    set.before_adding(pairs.len(), limits);
    for (score, member) in pairs {
        let mut decided = Ok(None);
        let put = set.put(member, limits, |old| {
            decided = options.decide(old, *score);
            decided.clone().ok().flatten()
        });
        tally.score = decided?;
        tally.added += usize::from(put == Put::Added);
        tally.updated += usize::from(put == Put::Updated);
    }
    tally.enlarged = set.encoding() != encoding;
    Ok(tally)
}
