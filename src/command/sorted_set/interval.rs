//! Ranges of scores, of members, of ranks, as arguments.

use std::ops::{Bound, Range};

use crate::command::error::{self, CommandError};
use crate::data::sorted_set::{LexEnd, LexRange, ScoreRange, parse_range_score};

/// `1`, `(1`, `-inf` …
///
/// # Errors
/// `ERR min or max is not a float`.
pub(super) fn scores(min: &[u8], max: &[u8]) -> Result<ScoreRange, CommandError> {
    let end = |text: &[u8]| match text {
        [b'(', text @ ..] => parse_range_score(text).map(Bound::Excluded),
        text => parse_range_score(text).map(Bound::Included),
    };
    match (end(min), end(max)) {
        (Some(min), Some(max)) => Ok(ScoreRange { min, max }),
        _ => Err(error::SCORE_RANGE),
    }
}

/// `[a`, `(a`, `-`, `+`.
///
/// # Errors
/// `ERR min or max not valid string range item`.
pub(super) fn members<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, CommandError> {
    let end = |text: &'a [u8]| match text {
        // Redis: what follows a NUL is not looked at.
        [b'-'] | [b'-', 0, ..] => Some(LexEnd::First),
        [b'+'] | [b'+', 0, ..] => Some(LexEnd::Last),
        [b'[', member @ ..] => Some(LexEnd::Included(member)),
        [b'(', member @ ..] => Some(LexEnd::Excluded(member)),
        _ => None,
    };
    match (end(min), end(max)) {
        (Some(min), Some(max)) => Ok(LexRange { min, max }),
        _ => Err(error::LEX_RANGE),
    }
}

/// Ranks of which the negative count from the end. Redis' rule for ZRANGE and ZREMRANGEBYRANK.
pub(super) fn ranks(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |rank: i64| {
        if rank < 0 {
            rank.saturating_add(len)
        } else {
            rank
        }
    };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop || start >= len {
        return 0..0;
    }
    start as usize..stop as usize + 1
}
