//! The arguments of ZRANGE and its kin: which members, in which order.

use std::ops::Range;

use crate::command::args::{Cursor, required_integer};
use crate::command::error::{self, CommandError};
use crate::data::sorted_set::{LexRange, ScoreRange, SortedSet};
use crate::resp::arguments::Args;

use super::interval;
use super::replies::Told;

/// What a range is a range of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Lex,
}

/// Which options a command has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grammar {
    /// Where the key is, with the ends of the range behind it.
    pub(super) key_at: usize,
    /// `None`: options say.
    pub(super) by: Option<By>,
    /// `None`: an option says.
    pub(super) is_backward: Option<bool>,
    /// Whether scores may be asked for.
    pub(super) has_scores: bool,
}

#[derive(Debug)]
enum Ends<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

/// Which members are wanted.
#[derive(Debug)]
pub(super) struct Query<'a> {
    ends: Ends<'a>,
    is_backward: bool,
    offset: i64,
    /// Below zero: all.
    limit: i64,
    /// Whether scores are wanted.
    pub(super) with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads options, then what may not go together, then the ends: Redis' order.
    ///
    /// # Errors
    /// What Redis says of each of them.
    pub(super) fn read(args: &Args<'a>, grammar: Grammar) -> Result<Self, CommandError> {
        let (mut by, mut is_backward) = (grammar.by, grammar.is_backward);
        let (mut offset, mut limit, mut with_scores) = (0, -1, false);
        let mut options = Cursor::new(args, grammar.key_at + 3);
        while options.left() > 0 {
            if grammar.has_scores && options.keyword("withscores") {
                with_scores = true;
            } else if options.left() >= 3 && options.keyword("limit") {
                offset = required_integer(options.value()?)?;
                limit = required_integer(options.value()?)?;
            } else if is_backward.is_none() && options.keyword("rev") {
                is_backward = Some(true);
            } else if by.is_none() && options.keyword("bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && options.keyword("byscore") {
                by = Some(By::Score);
            } else {
                return Err(error::SYNTAX);
            }
        }
        let (by, is_backward) = (by.unwrap_or(By::Rank), is_backward.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(error::LIMIT_OF_RANKS);
        }
        if with_scores && by == By::Lex {
            return Err(error::SCORES_OF_LEX);
        }
        let (first, second) = (args.at(grammar.key_at + 1), args.at(grammar.key_at + 2));
        let (min, max) = if is_backward {
            (second, first)
        } else {
            (first, second)
        };
        let ends = match by {
            By::Rank => Ends::Rank(required_integer(first)?, required_integer(second)?),
            By::Score => Ends::Score(interval::scores(min, max)?),
            By::Lex => Ends::Lex(interval::members(min, max)?),
        };
        Ok(Self {
            ends,
            is_backward,
            offset,
            limit,
            with_scores,
        })
    }

    /// Whether it is ranks that are named.
    pub(super) fn is_of_ranks(&self) -> bool {
        matches!(self.ends, Ends::Rank(..))
    }

    /// Whether it is a range of members.
    pub(super) fn is_of_members(&self) -> bool {
        matches!(self.ends, Ends::Lex(..))
    }

    /// Their ranks in a set.
    pub(super) fn of(&self, set: &SortedSet) -> Told {
        let len = set.len();
        let ranks = match &self.ends {
            Ends::Rank(start, stop) => {
                let ranks = interval::ranks(*start, *stop, len);
                if self.is_backward && !ranks.is_empty() {
                    len - ranks.end..len - ranks.start
                } else {
                    ranks
                }
            }
            Ends::Score(range) => self.limited(set.ranks_by_score(range)),
            Ends::Lex(range) if self.is_backward => self.limited(set.ranks_by_member_back(range)),
            Ends::Lex(range) => self.limited(set.ranks_by_member(range)),
        };
        Told {
            ranks,
            is_backward: self.is_backward,
        }
    }

    /// What LIMIT leaves of a range. Redis: an offset below zero leaves nothing, a count below zero everything.
    fn limited(&self, ranks: Range<usize>) -> Range<usize> {
        let Ok(offset) = usize::try_from(self.offset) else {
            return 0..0;
        };
        let offset = offset.min(ranks.len());
        let count = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let count = count.min(ranks.len() - offset);
        if self.is_backward {
            let end = ranks.end - offset;
            end - count..end
        } else {
            let start = ranks.start + offset;
            start..start + count
        }
    }
}
