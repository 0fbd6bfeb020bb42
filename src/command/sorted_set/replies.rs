//! Members with their scores, as replies have them.
//!
//! ```text
//! Members   a b            Flat (RESP2)   a "1" b "2"            Nested (RESP3)   [a 1.0] [b 2.0]
//!                          Pairs (RESP2)  [a "1"] [b "2"]
//! ```
//! Many of them leave in slices: what they were when the command ran.

use std::ops::Range;

use crate::command::element::reply_element;
use crate::data::listpack::Element;
use crate::data::sorted_set::{ScoreText, Share, SortedSet};
use crate::resp::reply::Reply;
use crate::resp::rest::Elements;

/// How members are told with or without their scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Members alone.
    Members,
    /// Member, score, member, score …
    Flat,
    /// Arrays of two.
    Nested,
    /// Arrays of two, the score as a text.
    Pairs,
}

impl Style {
    /// What a protocol version has for scores, if they are wanted.
    pub(super) fn of(reply: &Reply, with_scores: bool) -> Self {
        match (with_scores, reply.is_resp3()) {
            (false, _) => Self::Members,
            (true, false) => Self::Flat,
            (true, true) => Self::Nested,
        }
    }

    /// Arrays of two in either version, as ZMPOP has them.
    pub(super) fn of_pairs(reply: &Reply) -> Self {
        if reply.is_resp3() {
            Self::Nested
        } else {
            Self::Pairs
        }
    }

    /// Opens an array of so many members.
    pub(super) fn open(self, reply: &mut Reply, count: usize) {
        reply.array(match self {
            Self::Members | Self::Nested | Self::Pairs => count,
            Self::Flat => 2 * count,
        });
    }

    /// One member. The same in both protocol versions, since a style belongs to one.
    pub(super) fn write(self, reply: &mut Reply, member: Element<'_>, score: f64) {
        match self {
            Self::Members => reply_element(reply, member),
            Self::Flat | Self::Pairs => {
                if self == Self::Pairs {
                    reply.array(2);
                }
                reply_element(reply, member);
                reply.bulk(ScoreText::new(score).bytes());
            }
            Self::Nested => {
                reply.array(2);
                reply_element(reply, member);
                reply.raw(b",");
                reply.raw(ScoreText::new(score).bytes());
                reply.raw(b"\r\n");
            }
        }
    }
}

/// A score, in the version of the reply.
pub(super) fn write_score(reply: &mut Reply, score: f64) {
    reply.double_text(ScoreText::new(score).bytes());
}

/// Members that are told in order, from the last to the first if so wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) ranks: Range<usize>,
    pub(super) is_backward: bool,
}

impl Told {
    /// Gives them in their order.
    pub(super) fn for_each(&self, set: &SortedSet, mut take: impl FnMut(Element<'_>, f64)) {
        let pairs = set.range(self.ranks.clone());
        if self.is_backward {
            pairs.rev().for_each(|(member, score)| take(member, score));
        } else {
            pairs.for_each(|(member, score)| take(member, score));
        }
    }
}

/// Replies the members of these ranks; many of them leave in slices.
pub(super) fn reply_range(reply: &mut Reply, set: &SortedSet, told: Told, style: Style) {
    let Told { ranks, is_backward } = told;
    style.open(reply, ranks.len());
    let end = reply.slice_end();
    let mut pairs = set.range(ranks.clone());
    let mut count = 0;
    loop {
        let pair = if is_backward {
            pairs.next_back()
        } else {
            pairs.next()
        };
        let Some((member, score)) = pair else { return };
        style.write(reply, member, score);
        count += 1;
        if reply.len() >= end && count < ranks.len() {
            break;
        }
    }
    let left = if is_backward {
        ranks.start..ranks.end - count
    } else {
        ranks.start + count..ranks.end
    };
    let share = set.share(left, is_backward);
    reply.rest(Box::new(Rest { share, style }));
}

/// What is behind the first slice of a range.
struct Rest {
    share: Share,
    style: Style,
}

impl Elements for Rest {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        let style = self.style;
        self.share.read(|member, score| {
            style.write(reply, member, score);
            reply.len() >= end
        });
    }

    fn left(&self) -> usize {
        self.share.left()
    }
}

/// Replies members that no key has.
pub(super) fn reply_found(reply: &mut Reply, found: Vec<(f64, Vec<u8>)>, style: Style) {
    style.open(reply, found.len());
    if !found.is_empty() {
        let pairs = found.into_iter();
        reply.rest(Box::new(Found { pairs, style }));
    }
}

struct Found {
    pairs: std::vec::IntoIter<(f64, Vec<u8>)>,
    style: Style,
}

impl Elements for Found {
    fn write_next(&mut self, reply: &mut Reply, end: usize) {
        for (score, member) in self.pairs.by_ref() {
            self.style.write(reply, Element::Bytes(&member), score);
            if reply.len() >= end {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.pairs.len()
    }
}
