//! The sorted set family.
//!
//! ```text
//! add.rs     ZADD ZINCRBY                        remove.rs  ZREM ZREMRANGEBY…
//! read.rs    ZCARD ZSCORE ZRANK ZCOUNT ZSCAN …   chance.rs  ZRANDMEMBER
//! range.rs   ZRANGE and its kin, ZRANGESTORE     query.rs   their arguments
//! pop.rs     ZPOPMIN ZMPOP, BZPOPMIN BZMPOP      combine.rs ZUNION ZINTER ZDIFF, what stores them
//! transfer.rs ZMOVE ZMOVEMEMBER, BZMOVE          interval.rs ranges of scores and members
//! replies.rs members with their scores
//! ```
//! Invariants: a sorted set that becomes empty is removed in the same command. Effects are the commands as they came, which
//! depend on nothing but what is stored, with three exceptions: of those that pop from one of several keys it is ZPOPMIN or ZPOPMAX;
//! of ranges of members where scores differ it is the members by name; of moves it is ZADD and ZREM, which older servers know.

mod add;
mod chance;
mod combine;
mod interval;
mod pop;
mod query;
mod range;
mod read;
mod remove;
mod replies;
#[cfg(test)]
mod tests;
mod transfer;
#[cfg(test)]
mod transfer_tests;

use crate::data::sorted_set::{ScoreText, SortedSet};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::context::Context;
use super::element;
use super::error::{self, CommandError};
use super::spec::{Command, Flags, Handler, KeyFlags, KeySpec};

pub(crate) use add::{AddOptions, add_pairs};

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const READ_ONE: &[KeySpec] = &[KeySpec::one(READ, 1)];
const READ_COUNTED: &[KeySpec] = &[KeySpec::counted(READ, 1)];
const OVERWRITE: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);
const STORE_COUNTED: &[KeySpec] = &[KeySpec::one(OVERWRITE, 1), KeySpec::counted(READ, 2)];
const TAKES: KeyFlags = KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE);
const REMOVE_ONE: &[KeySpec] = &[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)];
const MOVE: &[KeySpec] = &[
    KeySpec::one(TAKES, 1),
    KeySpec::one(KeyFlags::RW.and(KeyFlags::INSERT).and(KeyFlags::UPDATE), 2),
];
const FAST_READ: &[Flags] = &[Flags::READONLY, Flags::FAST];
const SLOW_READ: &[Flags] = &[Flags::READONLY];
const STORES: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLE_KEYS];
const COMBINES: &[Flags] = &[Flags::READONLY, Flags::MOVABLE_KEYS];
const RANDOM: &[&str] = &["nondeterministic_output"];
const GROUP: &str = "sorted-set";
const LOG: &str = "O(log(N)) for N members.";
const MOVES: &str =
    "O(log(N)+K*(log(N)+log(M))) for K members moved from a sorted set of N to one of M.";
const RANGE: &str = "O(log(N)+M) for M of N members.";

const fn row(name: &'static str, syntax: &'static str, handler: Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["sortedset"])
}

/// The family's rows.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[Command] = &[
    row("bzmove", "source destination where:<MIN | MAX> timeout [COUNT count]", transfer::bzmove).arity(-5)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING]).keys(MOVE)
        .docs("8.12.0", GROUP, MOVES, "Moves the members with the lowest or highest scores from one sorted set to another and returns them; waits for one when there is none."),
    row("bzmpop", "timeout numkeys key [key ...] where:<MIN | MAX> [COUNT count]", pop::bzmpop).arity(-5)
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLE_KEYS]).keys(&[KeySpec::counted(TAKES, 2)])
        .docs("7.0.0", GROUP, "O(K)+O(M*log(N)) for K keys and M of N members.", "Takes members from the first of several sorted sets that has any; waits for one when none has."),
    row("bzpopmax", "key [key ...] timeout", pop::bzpopmax).arity(-3)
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::FAST]).keys(&[KeySpec::range(TAKES, 1, -2, 1)])
        .docs("5.0.0", GROUP, LOG, "Takes the member with the highest score of the first sorted set that has one; waits for one when none has."),
    row("bzpopmin", "key [key ...] timeout", pop::bzpopmin).arity(-3)
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::FAST]).keys(&[KeySpec::range(TAKES, 1, -2, 1)])
        .docs("5.0.0", GROUP, LOG, "Takes the member with the lowest score of the first sorted set that has one; waits for one when none has."),
    row("zadd", "key [condition@3.0.2:<NX | XX>] [comparison@6.2.0:<GT | LT>] [change=CH@3.0.2] [increment=INCR@3.0.2] data:<score member> ...", add::zadd).arity(-4)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST]).keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .docs("1.2.0", GROUP, "O(log(N)) for each member.", "Adds members to a sorted set, made when there is none, or gives them other scores."),
    row("zcard", "key", read::zcard).arity(2).flags(FAST_READ).keys(&[KeySpec::one(KeyFlags::RO, 1)])
        .docs("1.2.0", GROUP, "O(1)", "Returns the number of members."),
    row("zcount", "key min max", read::zcount).arity(4).flags(FAST_READ).keys(READ_ONE)
        .docs("2.0.0", GROUP, LOG, "Counts the members with scores in a range."),
    row("zdiff", "numkeys key [key ...] [WITHSCORES]", combine::zdiff).arity(-3).flags(COMBINES).keys(READ_COUNTED)
        .docs("6.2.0", GROUP, "O(L + (N-K)log(N)) for L members of all, N of the first and K of the result.", "Returns the members of the first sorted set that no other has."),
    row("zdiffstore", "destination numkeys key [key ...]", combine::zdiffstore).arity(-4).flags(STORES).keys(STORE_COUNTED)
        .docs("6.2.0", GROUP, "O(L + (N-K)log(N)) for L members of all, N of the first and K of the result.", "Stores the members of the first sorted set that no other has."),
    row("zincrby", "key increment member", add::zincrby).arity(4).flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE), 1)])
        .docs("1.2.0", GROUP, LOG, "Adds to the score of a member."),
    row("zinter", "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate:<SUM | MIN | MAX>] [WITHSCORES]", combine::zinter).arity(-3)
        .flags(COMBINES).keys(READ_COUNTED)
        .docs("6.2.0", GROUP, "O(N*K)+O(M*log(M)) for N members of the smallest of K and M of the result.", "Returns the members that all sorted sets have."),
    row("zintercard", "numkeys key [key ...] [LIMIT limit]", combine::zintercard).arity(-3).flags(COMBINES).keys(READ_COUNTED)
        .docs("7.0.0", GROUP, "O(N*K) for N members of the smallest of K.", "Counts the members that all sorted sets have."),
    row("zinterstore", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate:<SUM | MIN | MAX>]", combine::zinterstore).arity(-4)
        .flags(STORES).keys(STORE_COUNTED)
        .docs("2.0.0", GROUP, "O(N*K)+O(M*log(M)) for N members of the smallest of K and M of the result.", "Stores the members that all sorted sets have."),
    row("zlexcount", "key min max", read::zlexcount).arity(4).flags(FAST_READ).keys(READ_ONE)
        .docs("2.8.9", GROUP, LOG, "Counts the members between two, where all scores are the same."),
    row("zmove", "source destination where:<MIN | MAX | BYSCORE score-min score-max> [COUNT count]", transfer::zmove).arity(-4)
        .flags(&[Flags::WRITE, Flags::DENYOOM]).keys(MOVE)
        .docs("8.12.0", GROUP, MOVES, "Moves the members with the lowest or highest scores, or those with scores in a range, from one sorted set to another and returns them."),
    row("zmovemember", "source destination [condition:<NX | XX>] members:<MEMBERS num-members member [member ...]>", transfer::zmovemember).arity(-6)
        .flags(&[Flags::WRITE, Flags::DENYOOM]).keys(MOVE)
        .docs("8.12.0", GROUP, "O(K*(log(N)+log(M))) for K members moved from a sorted set of N to one of M.", "Moves members from one sorted set to another and returns them."),
    row("zmpop", "numkeys key [key ...] where:<MIN | MAX> [COUNT count]", pop::zmpop).arity(-4)
        .flags(&[Flags::WRITE, Flags::MOVABLE_KEYS]).keys(&[KeySpec::counted(TAKES, 1)])
        .docs("7.0.0", GROUP, "O(K)+O(M*log(N)) for K keys and M of N members.", "Takes members from the first of several sorted sets that has any."),
    row("zmscore", "key member [member ...]", read::zmscore).arity(-3).flags(FAST_READ).keys(READ_ONE)
        .docs("6.2.0", GROUP, "O(N) for N members asked for.", "Returns the scores of members."),
    row("zpopmax", "key [count]", pop::zpopmax).arity(-2).flags(&[Flags::WRITE, Flags::FAST]).keys(&[KeySpec::one(TAKES, 1)])
        .docs("5.0.0", GROUP, "O(log(N)*M) for M of N members.", "Takes the members with the highest scores."),
    row("zpopmin", "key [count]", pop::zpopmin).arity(-2).flags(&[Flags::WRITE, Flags::FAST]).keys(&[KeySpec::one(TAKES, 1)])
        .docs("5.0.0", GROUP, "O(log(N)*M) for M of N members.", "Takes the members with the lowest scores."),
    row("zrandmember", "key [options:<count [WITHSCORES]>]", chance::zrandmember).arity(-2).flags(SLOW_READ).keys(READ_ONE).tips(RANDOM)
        .docs("6.2.0", GROUP, "O(N) for N members returned, each found in O(log(M)) among M.", "Returns members by chance."),
    row("zrange", "key start stop [sortby@6.2.0:<BYSCORE | BYLEX>] [REV@6.2.0] [LIMIT limit@6.2.0:<offset count>] [WITHSCORES]", range::zrange).arity(-4)
        .flags(SLOW_READ).keys(READ_ONE)
        .docs("1.2.0", GROUP, RANGE, "Returns the members of a range of ranks, scores or members."),
    row("zrangebylex", "key min max [LIMIT limit:<offset count>]", range::zrangebylex).arity(-4).flags(SLOW_READ).keys(READ_ONE)
        .docs("2.8.9", GROUP, RANGE, "Returns the members between two, where all scores are the same.")
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    row("zrangebyscore", "key min max [WITHSCORES@2.0.0] [LIMIT limit:<offset count>]", range::zrangebyscore).arity(-4).flags(SLOW_READ).keys(READ_ONE)
        .docs("1.0.5", GROUP, RANGE, "Returns the members with scores in a range.")
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    row("zrangestore", "dst src min max [sortby:<BYSCORE | BYLEX>] [REV] [LIMIT limit:<offset count>]", range::zrangestore).arity(-5)
        .flags(&[Flags::WRITE, Flags::DENYOOM]).keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::one(READ, 2)])
        .docs("6.2.0", GROUP, RANGE, "Stores the members of a range of ranks, scores or members."),
    row("zrank", "key member [WITHSCORE]", read::zrank).arity(-3).flags(FAST_READ).keys(READ_ONE)
        .docs("2.0.0", GROUP, LOG, "Returns how many members are in front of one."),
    row("zrem", "key member [member ...]", remove::zrem).arity(-3).flags(&[Flags::WRITE, Flags::FAST]).keys(REMOVE_ONE)
        .docs("1.2.0", GROUP, "O(M*log(N)) for M of N members.", "Removes members."),
    row("zremrangebylex", "key min max", remove::zremrangebylex).arity(4).flags(&[Flags::WRITE]).keys(REMOVE_ONE)
        .docs("2.8.9", GROUP, RANGE, "Removes the members between two, where all scores are the same."),
    row("zremrangebyrank", "key start stop", remove::zremrangebyrank).arity(4).flags(&[Flags::WRITE]).keys(REMOVE_ONE)
        .docs("2.0.0", GROUP, RANGE, "Removes the members between two ranks."),
    row("zremrangebyscore", "key min max", remove::zremrangebyscore).arity(4).flags(&[Flags::WRITE]).keys(REMOVE_ONE)
        .docs("1.2.0", GROUP, RANGE, "Removes the members with scores in a range."),
    row("zrevrange", "key start stop [WITHSCORES]", range::zrevrange).arity(-4).flags(SLOW_READ).keys(READ_ONE)
        .docs("1.2.0", GROUP, RANGE, "Returns the members between two ranks, from the highest score down.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
    row("zrevrangebylex", "key max min [LIMIT limit:<offset count>]", range::zrevrangebylex).arity(-4).flags(SLOW_READ).keys(READ_ONE)
        .docs("2.8.9", GROUP, RANGE, "Returns the members between two from the last down, where all scores are the same.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    row("zrevrangebyscore", "key max min [WITHSCORES] [LIMIT limit:<offset count>]", range::zrevrangebyscore).arity(-4).flags(SLOW_READ).keys(READ_ONE)
        .docs("2.2.0", GROUP, RANGE, "Returns the members with scores in a range, from the highest down.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    row("zrevrank", "key member [WITHSCORE]", read::zrevrank).arity(-3).flags(FAST_READ).keys(READ_ONE)
        .docs("2.0.0", GROUP, LOG, "Returns how many members are behind one."),
    row("zscan", "key cursor [MATCH pattern] [COUNT count]", read::zscan).arity(-3).flags(SLOW_READ).keys(READ_ONE).tips(RANDOM)
        .docs("2.8.0", GROUP, "O(1) for each call.", "Goes through the members of a sorted set, step by step."),
    row("zscore", "key member", read::zscore).arity(3).flags(FAST_READ).keys(READ_ONE)
        .docs("1.2.0", GROUP, "O(1)", "Returns the score of a member."),
    row("zunion", "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate:<SUM | MIN | MAX>] [WITHSCORES]", combine::zunion).arity(-3)
        .flags(COMBINES).keys(READ_COUNTED)
        .docs("6.2.0", GROUP, "O(N)+O(M*log(M)) for N members of all and M of the result.", "Returns the members that any of the sorted sets has."),
    row("zunionstore", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate:<SUM | MIN | MAX>]", combine::zunionstore).arity(-4)
        .flags(STORES).keys(STORE_COUNTED)
        .docs("2.0.0", GROUP, "O(N)+O(M*log(M)) for N members of all and M of the result.", "Stores the members that any of the sorted sets has."),
];

/// An end of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

/// The sorted set of an entry; `None` without entry.
pub(crate) fn set_of(entry: Option<&Entry>) -> Result<Option<&SortedSet>, CommandError> {
    set_in(entry.map(|entry| &entry.value))
}

fn set_in(value: Option<&Value>) -> Result<Option<&SortedSet>, CommandError> {
    match value {
        None => Ok(None),
        Some(Value::SortedSet(set)) => Ok(Some(set)),
        Some(_) => Err(error::WRONG_TYPE),
    }
}

fn set_in_mut(value: Option<&mut Value>) -> Result<&mut SortedSet, CommandError> {
    match value {
        Some(Value::SortedSet(set)) => Ok(set),
        _ => Err(error::WRONG_TYPE),
    }
}

/// Takes the members of these ranks out and tells of it. The last of them take the key along, whole, so that it is freed as
/// such. The effect is the caller's.
fn remove_ranks(
    handle: &mut KeyHandle<'_>,
    ranks: std::ops::Range<usize>,
    event: &'static str,
) -> Result<(), CommandError> {
    let is_all = set_in(handle.value())?.is_some_and(|set| ranks.len() >= set.len());
    if is_all {
        handle.remove();
    } else {
        set_in_mut(handle.value_mut())?.remove_range(ranks);
    }
    handle.touched();
    handle.event(EventClass::SORTED_SET, event);
    if is_all {
        handle.event(EventClass::GENERIC, "del");
    }
    Ok(())
}

/// Stores what a command has found; nothing found removes the key. Replies how many members it has. `event`: what the command
/// calls it.
pub(crate) fn store(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    destination: &[u8],
    found: SortedSet,
    event: &'static str,
) {
    ctx.reply.count(found.len());
    let mut handle = ctx.space.write(destination);
    let made = (!found.is_empty()).then_some(Value::SortedSet(found));
    if element::store(&mut handle, made, EventClass::SORTED_SET, event) {
        handle.effect(|effect| {
            effect.args(args.iter());
        });
    }
}

/// As [`store`], where the command would not find the same again: its effect is the members by name.
fn store_by_name(ctx: &mut Context<'_>, key: &[u8], found: SortedSet, event: &'static str) {
    ctx.reply.count(found.len());
    let mut handle = ctx.space.write(key);
    let pairs: Vec<(Vec<u8>, ScoreText)> = found
        .iter()
        .map(|(member, score)| (member.to_vec(), ScoreText::new(score)))
        .collect();
    let made = (!found.is_empty()).then_some(Value::SortedSet(found));
    if element::store(&mut handle, made, EventClass::SORTED_SET, event) {
        handle.effect(|effect| {
            effect.arg("DEL").arg(key);
        });
        if !pairs.is_empty() {
            handle.effect_of(0, |effect| {
                effect.arg("ZADD").arg(key);
                for (member, score) in &pairs {
                    effect.arg(score.bytes()).arg(member);
                }
            });
        }
    }
}
