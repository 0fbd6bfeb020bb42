//! The small form: a listpack of member and score by turns, in order. All searches are O(bytes of the pack).

use std::ops::Range;

use crate::data::listpack::{Element, Iter, Listpack};

use super::edge::{Edge, LexRange};
use super::score::ScoreText;

/// Whether members and scores lie in order; `None` when something is no score.
pub(super) fn is_ordered(pack: &Listpack) -> Option<bool> {
    let mut elements = pack.iter();
    let mut last: Option<(f64, Element<'_>)> = None;
    let (mut text, mut other) = (Default::default(), Default::default());
    let mut is_ordered = true;
    while let Some(member) = elements.next() {
        let score = match elements.next()? {
            Element::Int(value) => value as f64,
            Element::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        };
        if score.is_nan() {
            return None;
        }
        if let Some((before, member_before)) = last {
            is_ordered &= before < score
                || before == score
                    && member_before.as_bytes(&mut other) < member.as_bytes(&mut text);
        }
        last = Some((score, member));
    }
    Some(is_ordered)
}

/// What an element stands for as a score.
fn score_of(element: Element<'_>) -> f64 {
    match element {
        Element::Int(value) => value as f64,
        Element::Bytes(text) => {
            let text = std::str::from_utf8(text).ok();
            text.and_then(|text| text.parse().ok()).unwrap_or(0.0)
        }
    }
}

/// Members with their scores, from both ends.
#[derive(Clone)]
pub(crate) struct Pairs<'p> {
    elements: Iter<'p>,
    left: usize,
}

impl<'p> Iterator for Pairs<'p> {
    type Item = (Element<'p>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let member = self.elements.next()?;
        Some((member, score_of(self.elements.next()?)))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let score = self.elements.next_back()?;
        Some((self.elements.next_back()?, score_of(score)))
    }
}

/// All of them.
pub(super) fn pairs(pack: &Listpack) -> Pairs<'_> {
    Pairs {
        elements: pack.iter(),
        left: pack.len() / 2,
    }
}

/// Those of these ranks, which there are.
pub(super) fn range(pack: &Listpack, ranks: Range<usize>) -> Pairs<'_> {
    let (from, to) = (pack.seek(2 * ranks.start), pack.seek(2 * ranks.end));
    Pairs {
        elements: pack.iter_between(from, to),
        left: ranks.len(),
    }
}

/// Where a member lies, and its score.
pub(super) fn find(pack: &Listpack, member: &[u8]) -> Option<(usize, f64)> {
    let at = pack.find(member, 2)?;
    Some((at, score_of(pack.at(pack.next(at)))))
}

/// How many members lie in front of this one, and its score.
pub(super) fn rank(pack: &Listpack, member: &[u8]) -> Option<(usize, f64)> {
    let mut pairs = pairs(pack).enumerate();
    let (rank, (_, score)) = pairs.find(|(_, (other, _))| *other == *member)?;
    Some((rank, score))
}

/// How many members lie in front of an edge.
pub(super) fn before(pack: &Listpack, edge: &Edge<'_>) -> usize {
    let mut text = Default::default();
    let is_before = |(member, score): &(Element<'_>, f64)| {
        edge.is_behind(*score, || member.as_bytes(&mut text))
    };
    pairs(pack).take_while(is_before).count()
}

/// Puts a member that is not there in its place.
pub(super) fn insert(pack: &mut Listpack, score: f64, member: &[u8]) {
    let edge = Edge::Before(score, member);
    let mut text = Default::default();
    let (mut at, end) = (pack.first(), pack.end());
    while at < end {
        let score_at = pack.next(at);
        let other = score_of(pack.at(score_at));
        if !edge.is_behind(other, || pack.at(at).as_bytes(&mut text)) {
            break;
        }
        at = pack.next(score_at);
    }
    put(pack, at, score, member);
}

/// Appends a member that belongs behind all others.
pub(super) fn push(pack: &mut Listpack, score: f64, member: &[u8]) {
    put(pack, pack.end(), score, member);
}

fn put(pack: &mut Listpack, at: usize, score: f64, member: &[u8]) {
    // A whole score is stored as an integer, which has no sign of zero.
    let score = ScoreText::new(if score == 0.0 { 0.0 } else { score });
    pack.insert(at, &[member, score.bytes()]);
}

/// The ranks of members in a range. Redis: if the ends of the set let some be in it, from the first that reaches it on up to
/// one that is beyond it, whatever their scores.
pub(super) fn ranks_by_member(pack: &Listpack, range: &LexRange<'_>) -> Range<usize> {
    if !may_have(pack, range) {
        return 0..0;
    }
    let mut text = Default::default();
    let mut in_front = pairs(pack);
    let start = in_front.position(|(member, _)| range.reaches(member.as_bytes(&mut text)));
    let Some(start) = start else { return 0..0 };
    let mut text = Default::default();
    let inside = pairs(pack).skip(start);
    let count = inside.take_while(|(member, _)| range.allows(member.as_bytes(&mut text)));
    start..start + count.count()
}

/// As [`ranks_by_member`], from the end on.
pub(super) fn ranks_by_member_back(pack: &Listpack, range: &LexRange<'_>) -> Range<usize> {
    if !may_have(pack, range) {
        return 0..0;
    }
    let mut text = Default::default();
    let mut behind = pairs(pack).rev();
    let last = behind.position(|(member, _)| range.allows(member.as_bytes(&mut text)));
    let Some(last) = last else { return 0..0 };
    let end = pack.len() / 2 - last;
    let mut text = Default::default();
    let inside = pairs(pack).rev().skip(last);
    let count = inside.take_while(|(member, _)| range.reaches(member.as_bytes(&mut text)));
    end - count.count()..end
}

/// Whether the last member is not below a range and the first not above it.
fn may_have(pack: &Listpack, range: &LexRange<'_>) -> bool {
    let mut text = Default::default();
    let reaches = pairs(pack)
        .next_back()
        .is_some_and(|(member, _)| range.reaches(member.as_bytes(&mut text)));
    let mut text = Default::default();
    let first = pairs(pack).next();
    reaches && first.is_some_and(|(member, _)| range.allows(member.as_bytes(&mut text)))
}
