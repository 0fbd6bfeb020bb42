//! ZMOVE, BZMOVE, ZMOVEMEMBER: members with their scores from one sorted set to another, in one step.
//!
//! ```text
//! source  a 1  b 2  c 3        MIN COUNT 2        MAX COUNT 2        BYSCORE (1 3       MEMBERS 3 c x a
//! destination  b 9             a 1  b 2           b 2  c 3           b 2  c 3           a 1  c 3  b 9
//! reply                        [a 1] [b 2]        [c 3] [b 2]        [b 2] [c 3]        [c 3] [a 1]
//! ```
//! What is moved keeps its score, also where the destination had another. Nothing to move, or one key for both: the null array,
//! for which BZMOVE waits only where the source may still come.
//!
//! The effects are commands that older servers know: the members are added, then removed (events come in this order too, as
//! LMOVE's do). Source: the command pages of ZMOVE, BZMOVE and ZMOVEMEMBER.

use std::collections::HashSet;

use crate::command::args::{Cursor, integer, timeout_seconds};
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::error::{self, CommandError};
use crate::data::sorted_set::{ScoreRange, SortedSet};
use crate::keyspace::KeyHandle;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::limits::PUSH_EFFECT_ELEMENTS_MAX;
use crate::resp::arguments::Args;

use super::add::put_moved;
use super::remove::remove_members;
use super::replies::{Style, Told, reply_found};
use super::{End, interval, remove_ranks, set_in};

/// Members that leave a sorted set, with their scores.
type Moved = Vec<(f64, Vec<u8>)>;

/// Where the members are that ZMOVE and BZMOVE take.
enum Which {
    At(End),
    In(ScoreRange),
}

/// What ZMOVE and BZMOVE are asked to do.
struct Move {
    which: Which,
    /// How many at most; `None`: one at an end, all in a range.
    count: Option<usize>,
}

impl Move {
    /// Reads from argument 3 on where the members are (MIN, MAX or, if it may be one, a range) and, behind so many arguments
    /// `between`, the options.
    fn read(args: &Args<'_>, may_be_range: bool, between: usize) -> Result<Self, CommandError> {
        let mut rest = Cursor::new(args, 3);
        let which = if rest.keyword("min") {
            Which::At(End::Min)
        } else if rest.keyword("max") {
            Which::At(End::Max)
        } else if may_be_range && rest.keyword("byscore") {
            Which::In(interval::scores(rest.value()?, rest.value()?)?)
        } else {
            return Err(error::SYNTAX);
        };
        let mut options = Cursor::new(args, rest.position() + between);
        let mut count = None;
        if options.left() > 0 {
            if !options.keyword("count") {
                return Err(error::SYNTAX);
            }
            let number = integer(options.value()?).filter(|number| *number > 0);
            let number = number.ok_or(error::POP_COUNT_NOT_POSITIVE)?;
            count = Some(usize::try_from(number).unwrap_or(usize::MAX));
        }
        if options.left() > 0 {
            return Err(error::SYNTAX);
        }
        Ok(Move { which, count })
    }

    /// The members it takes, as they are told.
    fn told(&self, set: &SortedSet) -> Told {
        match &self.which {
            Which::At(end) => end.told(set, self.count.unwrap_or(1)),
            Which::In(range) => {
                let mut ranks = set.ranks_by_score(range);
                let count = self.count.unwrap_or(usize::MAX).min(ranks.len());
                ranks.end = ranks.start + count;
                Told {
                    ranks,
                    is_backward: false,
                }
            }
        }
    }

    /// What the source calls the removal.
    fn event(&self) -> &'static str {
        match self.which {
            Which::At(end) => end.pop_event(),
            Which::In(_) => "zrem",
        }
    }

    /// Moves the members and replies them; false when there is none, and nothing is replied.
    fn attempt(&self, ctx: &mut Context<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
        if !are_two_sets(ctx, args)? {
            return Ok(false);
        }
        let handle = ctx.space.write(args.at(1));
        let Some(set) = set_in(handle.value())? else {
            return Ok(false);
        };
        let told = self.told(set);
        let mut moved = Moved::with_capacity(told.ranks.len());
        told.for_each(set, |member, score| moved.push((score, member.to_vec())));
        drop(handle);
        finish(ctx, args, moved, |source, _| {
            remove_ranks(source, told.ranks, self.event())
        })
    }
}

/// Whether members may go from the one key to the other: there is a source, and it is not the destination.
///
/// # Errors
/// When there is a source, and it or the destination is no sorted set.
fn are_two_sets(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
    let (source, destination) = (args.at(1), args.at(2));
    if set_in(ctx.space.write(source).value())?.is_none() {
        return Ok(false);
    }
    set_in(ctx.space.write(destination).value())?;
    Ok(source != destination)
}

/// Adds these members to the destination, lets `remove` take them out of the source, and replies them; false when there is none,
/// and nothing is replied.
fn finish(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    moved: Moved,
    remove: impl FnOnce(&mut KeyHandle<'_>, &Moved) -> Result<(), CommandError>,
) -> Result<bool, CommandError> {
    if moved.is_empty() {
        return Ok(false);
    }
    let (source, limits) = (args.at(1), ctx.settings.zset_limits);
    put_moved(&mut ctx.space.write(args.at(2)), &moved, &limits)?;
    let mut handle = ctx.space.write(source);
    remove(&mut handle, &moved)?;
    for part in moved.chunks(PUSH_EFFECT_ELEMENTS_MAX) {
        handle.effect_of(part.len(), |effect| {
            effect.arg("ZREM").arg(source);
            effect.args(part.iter().map(|(_, member)| member.as_slice()));
        });
    }
    drop(handle);
    let style = Style::of_pairs(ctx.reply);
    reply_found(ctx.reply, moved, style);
    Ok(true)
}

pub(super) fn zmove(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !Move::read(args, true, 0)?.attempt(ctx, args)? {
        ctx.reply.null_array();
    }
    Ok(Outcome::Done)
}

pub(super) fn bzmove(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let wanted = Move::read(args, false, 1)?;
    let deadline_ms = timeout_seconds(args.at(4), ctx.now_ms())?;
    if wanted.attempt(ctx, args)? {
        return Ok(Outcome::Done);
    }
    ctx.reply.null_array();
    // Redis: it does not wait for members that would come to where they are.
    if args.at(1) == args.at(2) {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Wait(Box::new(WaitFor {
        kind: WaitKind::SortedSet,
        class: WaitClass::Alone,
        keys: vec![args.at(1).into()],
        deadline_ms,
        request: args.to_request(),
        as_sent: None,
        destinations: vec![args.at(2).into()],
        alarms: Vec::new(),
    })))
}

/// Which of the members asked for ZMOVEMEMBER moves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Any,
    /// NX: those that the destination does not have.
    Absent,
    /// XX: those that it has.
    Present,
}

impl Condition {
    fn holds(self, destination: Option<&SortedSet>, member: &[u8]) -> bool {
        let is_there = || destination.is_some_and(|set| set.score(member).is_some());
        match self {
            Self::Any => true,
            Self::Absent => !is_there(),
            Self::Present => is_there(),
        }
    }
}

/// The condition and the members of `[NX | XX] MEMBERS num-members member [member ...]`, from argument 3 to the end.
fn read_members<'a>(args: &Args<'a>) -> Result<(Condition, Vec<&'a [u8]>), CommandError> {
    let mut rest = Cursor::new(args, 3);
    let condition = if rest.keyword("nx") {
        Condition::Absent
    } else if rest.keyword("xx") {
        Condition::Present
    } else {
        Condition::Any
    };
    if !rest.keyword("members") {
        return Err(error::SYNTAX);
    }
    let count = integer(rest.value()?).filter(|count| *count > 0);
    let count = count.ok_or(error::NUM_MEMBERS_NOT_POSITIVE)?;
    if usize::try_from(count) != Ok(rest.left()) {
        return Err(error::NUM_MEMBERS_MISMATCH);
    }
    Ok((condition, rest.collect()))
}

pub(super) fn zmovemember(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (condition, mut members) = read_members(args)?;
    let mut moved = Moved::new();
    if are_two_sets(ctx, args)? {
        let handle = ctx.space.write(args.at(2));
        let destination = set_in(handle.value())?;
        members.retain(|member| condition.holds(destination, member));
        drop(handle);
        let handle = ctx.space.write(args.at(1));
        let source = set_in(handle.value())?;
        let mut seen = HashSet::with_capacity(members.len());
        members.retain(|member| seen.insert(*member));
        let scores = members.iter().filter_map(|member| {
            let score = source.and_then(|set| set.score(member))?;
            Some((score, member.to_vec()))
        });
        moved.extend(scores);
    }
    let is_moved = finish(ctx, args, moved, |source, moved| {
        let members = moved.iter().map(|(_, member)| member.as_slice());
        remove_members(source, members).map(|_| ())
    })?;
    if !is_moved {
        ctx.reply.null_array();
    }
    Ok(Outcome::Done)
}
