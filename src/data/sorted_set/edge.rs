//! A place between entries of the order, and the ranges that clients name.

use std::ops::Bound;

/// A place in the order. Members alone are meant for sets in which all have the same score.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edge<'a> {
    /// In front of all entries with this score.
    BeforeScore(f64),
    /// Behind all entries with this score.
    AfterScore(f64),
    /// In front of this entry.
    Before(f64, &'a [u8]),
    /// Behind this entry.
    After(f64, &'a [u8]),
    /// In front of this member, whatever the scores.
    BeforeMember(&'a [u8]),
    /// Behind this member, whatever the scores.
    AfterMember(&'a [u8]),
}

impl Edge<'_> {
    /// Whether it lies behind an entry.
    #[inline]
    pub(super) fn is_behind<'m>(&self, score: f64, member: impl FnOnce() -> &'m [u8]) -> bool {
        match *self {
            Self::BeforeScore(edge) => score < edge,
            Self::AfterScore(edge) => score <= edge,
            Self::Before(edge, text) => score < edge || score == edge && member() < text,
            Self::After(edge, text) => score < edge || score == edge && member() <= text,
            Self::BeforeMember(text) => member() < text,
            Self::AfterMember(text) => member() <= text,
        }
    }
}

/// Scores between two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScoreRange {
    /// The lower end.
    pub(crate) min: Bound<f64>,
    /// The upper end.
    pub(crate) max: Bound<f64>,
}

impl ScoreRange {
    /// The places at its ends.
    pub(super) fn edges(&self) -> [Option<Edge<'static>>; 2] {
        let min = match self.min {
            Bound::Included(score) => Some(Edge::BeforeScore(score)),
            Bound::Excluded(score) => Some(Edge::AfterScore(score)),
            Bound::Unbounded => None,
        };
        let max = match self.max {
            Bound::Included(score) => Some(Edge::AfterScore(score)),
            Bound::Excluded(score) => Some(Edge::BeforeScore(score)),
            Bound::Unbounded => None,
        };
        [min, max]
    }
}

/// An end of a range of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LexEnd<'a> {
    /// `-`: in front of every member.
    First,
    /// `+`: behind every member.
    Last,
    /// `[member`
    Included(&'a [u8]),
    /// `(member`
    Excluded(&'a [u8]),
}

/// Members between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LexRange<'a> {
    /// The lower end.
    pub(crate) min: LexEnd<'a>,
    /// The upper end.
    pub(crate) max: LexEnd<'a>,
}

impl<'a> LexRange<'a> {
    /// Whether a member is not below the lower end.
    pub(super) fn reaches(&self, member: &[u8]) -> bool {
        match self.min {
            LexEnd::First => true,
            LexEnd::Last => false,
            LexEnd::Included(min) => member >= min,
            LexEnd::Excluded(min) => member > min,
        }
    }

    /// Whether a member is not above the upper end.
    pub(super) fn allows(&self, member: &[u8]) -> bool {
        match self.max {
            LexEnd::First => false,
            LexEnd::Last => true,
            LexEnd::Included(max) => member <= max,
            LexEnd::Excluded(max) => member < max,
        }
    }

    /// Whether its ends leave nothing between them. Redis: told by the ends alone.
    pub(super) fn is_empty(&self) -> bool {
        match (self.min, self.max) {
            (LexEnd::Last, _) | (_, LexEnd::First) => true,
            (LexEnd::First, _) | (_, LexEnd::Last) => false,
            (LexEnd::Included(min), LexEnd::Included(max)) => min > max,
            (
                LexEnd::Included(min) | LexEnd::Excluded(min),
                LexEnd::Included(max) | LexEnd::Excluded(max),
            ) => min >= max,
        }
    }

    /// The places at its ends; `None` for an end of the set.
    pub(super) fn edges(&self) -> [Option<Edge<'a>>; 2] {
        let min = match self.min {
            LexEnd::First | LexEnd::Last => None,
            LexEnd::Included(member) => Some(Edge::BeforeMember(member)),
            LexEnd::Excluded(member) => Some(Edge::AfterMember(member)),
        };
        let max = match self.max {
            LexEnd::First | LexEnd::Last => None,
            LexEnd::Included(member) => Some(Edge::AfterMember(member)),
            LexEnd::Excluded(member) => Some(Edge::BeforeMember(member)),
        };
        [min, max]
    }
}
