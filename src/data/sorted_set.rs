//! The sorted set: members ordered by score, then by bytes.
//!
//! ```text
//! small   listpack of member, score, member, score … in order, as Redis stores them
//! large   scores of members: a hash table (member ─► 8 bytes)   order: a B+tree with counts (tree.rs)
//! ```
//! A small set becomes a large one when it passes its limits and is no smaller one again, but for results of commands that
//! store a whole set ([`SortedSet::of`]). Both parts of a large set are shared by clones piece by piece.
//!
//! A small set stores whole scores as integers: there, -0 becomes 0, as in Redis.
//! Source: the `zset-max-listpack-*` settings and OBJECT ENCODING of Redis.

mod digits;
mod edge;
mod leaf;
mod score;
mod share;
mod small;
#[cfg(test)]
mod tests;
mod tree;

use std::cmp::Ordering;
use std::ops::Range;

use super::listpack::{Element, Listpack, PackLimits};
use super::members::Members;

pub(crate) use edge::{LexEnd, LexRange, ScoreRange};
pub(crate) use score::{ScoreText, parse_range_score, parse_score};
pub(crate) use share::Share;

use edge::Edge;
use tree::Tree;

/// See the module's head.
#[derive(Clone, Debug)]
pub(crate) struct SortedSet(Body);

#[derive(Clone)]
enum Body {
    Small(Listpack),
    Large(Box<Large>),
}

/// See the module's head.
#[derive(Clone, Default)]
struct Large {
    scores: Members,
    order: Tree,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Small(pack) => pack.fmt(f),
            Self::Large(large) => f
                .debug_list()
                .entries(large.order.range(0..usize::MAX))
                .finish(),
        }
    }
}

/// What came of [`SortedSet::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The member is new.
    Added,
    /// Its score is another.
    Updated,
    /// Nothing changed.
    Unchanged,
}

impl Large {
    fn score(&self, member: &[u8]) -> Option<f64> {
        let bytes = self.scores.get(member)?;
        bytes.first_chunk().map(|bytes| f64::from_le_bytes(*bytes))
    }

    /// Adds a member; false when it was there, and then it is there twice.
    fn add(&mut self, member: &[u8], score: f64) -> bool {
        let is_new = self.scores.set(member, &[&score.to_le_bytes()]);
        self.order.insert(score, member);
        is_new
    }
}

impl SortedSet {
    /// An empty one, for so many members to come of which the first has so many bytes.
    #[must_use]
    pub(crate) fn for_members(count: usize, member_bytes: usize, limits: &PackLimits) -> Self {
        Self(
            if count <= limits.entry_count_max && member_bytes <= limits.text_bytes_max {
                Body::Small(Listpack::new())
            } else {
                Body::Large(Box::default())
            },
        )
    }

    /// A set of members with their scores, each once. O(n log n).
    #[must_use]
    pub(crate) fn of(pairs: Vec<(f64, Vec<u8>)>, limits: &PackLimits) -> Self {
        Self::build(pairs, limits).0
    }

    /// A set of members with their scores; `None` when one is there twice. O(n log n).
    #[must_use]
    pub(crate) fn of_foreign(pairs: Vec<(f64, Vec<u8>)>, limits: &PackLimits) -> Option<Self> {
        let (set, all_new) = Self::build(pairs, limits);
        let distinct = match &set.0 {
            Body::Small(pack) => pack.is_distinct(2),
            Body::Large(_) => all_new,
        };
        distinct.then_some(set)
    }

    /// The set, and whether no member of a large one was there twice.
    fn build(mut pairs: Vec<(f64, Vec<u8>)>, limits: &PackLimits) -> (Self, bool) {
        pairs.sort_unstable_by(|(score, member), (other, another)| {
            // Never not a number; 0 and -0 are the same.
            let scores = score.partial_cmp(other).unwrap_or(Ordering::Equal);
            scores.then_with(|| member.cmp(another))
        });
        let longest = pairs.iter().map(|(_, member)| member.len()).max();
        let mut set = Self::for_members(pairs.len(), longest.unwrap_or(0), limits);
        let mut all_new = true;
        for (score, member) in &pairs {
            if matches!(&set.0, Body::Small(pack) if !pack.has_room_for(member.len())) {
                set.enlarge();
            }
            match &mut set.0 {
                Body::Small(pack) => small::push(pack, *score, member),
                Body::Large(large) => all_new &= large.add(member, *score),
            }
        }
        (set, all_new)
    }

    /// A set of members and scores by turns, as others wrote them; large when there are more than a pack may have. `None` when
    /// something is no score. Each member is there once.
    #[must_use]
    pub(crate) fn of_pack(pack: Listpack, limits: &PackLimits) -> Option<Self> {
        let is_ordered = small::is_ordered(&pack)?;
        if !is_ordered {
            let pairs = small::pairs(&pack).map(|(member, score)| (score, member.to_vec()));
            return Some(Self::of(pairs.collect(), limits));
        }
        let mut set = Self(Body::Small(pack));
        if set.len() > limits.entry_count_max {
            set.enlarge();
        }
        Some(set)
    }

    /// The pack of a small set.
    #[must_use]
    pub(crate) fn pack(&self) -> Option<&Listpack> {
        match &self.0 {
            Body::Small(pack) => Some(pack),
            Body::Large(_) => None,
        }
    }

    /// How many.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Body::Small(pack) => pack.len() / 2,
            Body::Large(large) => large.order.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING replies.
    #[must_use]
    pub(crate) fn encoding(&self) -> &'static str {
        match self.0 {
            Body::Small(_) => "listpack",
            Body::Large(_) => "skiplist",
        }
    }

    /// How many pieces of memory it is made of.
    #[must_use]
    pub(crate) fn part_count(&self) -> usize {
        match &self.0 {
            Body::Small(_) => 1,
            Body::Large(large) => large.order.leaf_count() + large.scores.part_count(),
        }
    }

    /// Bytes on the heap. O(pieces).
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Body::Small(pack) => pack.heap_bytes(),
            Body::Large(large) => {
                size_of::<Large>() + large.order.heap_bytes() + large.scores.heap_bytes()
            }
        }
    }

    /// As [`SortedSet::heap_bytes`], about. O(1).
    #[must_use]
    pub(crate) fn estimated_bytes(&self) -> usize {
        match &self.0 {
            Body::Small(pack) => pack.heap_bytes(),
            // In order and by name: both have each member and its score.
            Body::Large(large) => 2 * large.scores.estimated_bytes(),
        }
    }

    /// The score of a member.
    #[must_use]
    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Body::Small(pack) => small::find(pack, member).map(|(_, score)| score),
            Body::Large(large) => large.score(member),
        }
    }

    /// How many members lie in front of this one, and its score.
    #[must_use]
    pub(crate) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Body::Small(pack) => small::rank(pack, member),
            Body::Large(large) => {
                let score = large.score(member)?;
                Some((large.order.before(&Edge::Before(score, member)), score))
            }
        }
    }

    /// Becomes large when it is to take so many members at once. Redis: whether or not they are there already.
    pub(crate) fn before_adding(&mut self, count: usize, limits: &PackLimits) {
        if count > limits.entry_count_max {
            self.enlarge();
        }
    }

    /// Gives a member the score that `decide` makes of the one it has; `None`: nothing is to change. O(log n).
    pub(crate) fn put(
        &mut self,
        member: &[u8],
        limits: &PackLimits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Put {
        if let Body::Small(pack) = &mut self.0 {
            let old = small::find(pack, member);
            let Some(score) = decide(old.map(|(_, score)| score)) else {
                return Put::Unchanged;
            };
            let is_full = pack.len() / 2 >= limits.entry_count_max
                || member.len() > limits.text_bytes_max
                || !pack.has_room_for(member.len());
            match old {
                Some((_, old)) if old == score => return Put::Unchanged,
                // The text of the new score may be longer than that of the old one.
                Some((at, _)) if pack.has_room_for(0) => {
                    pack.remove(at, 2);
                    small::insert(pack, score, member);
                    return Put::Updated;
                }
                None if !is_full => {
                    small::insert(pack, score, member);
                    return Put::Added;
                }
                None => {
                    self.enlarge().add(member, score);
                    return Put::Added;
                }
                Some((_, old)) => {
                    let large = self.enlarge();
                    large.order.remove(old, member);
                    large.add(member, score);
                    return Put::Updated;
                }
            }
        }
        let large = self.enlarge();
        let old = large.score(member);
        let Some(score) = decide(old) else {
            return Put::Unchanged;
        };
        match old {
            Some(old) if old == score => return Put::Unchanged,
            Some(old) => large.order.remove(old, member),
            None => false,
        };
        large.add(member, score);
        if old.is_some() {
            Put::Updated
        } else {
            Put::Added
        }
    }

    /// The large form, which it takes when it is not in it.
    fn enlarge(&mut self) -> &mut Large {
        if let Body::Small(pack) = &self.0 {
            let mut large = Box::<Large>::default();
            let mut text = Default::default();
            for (member, score) in small::pairs(pack) {
                large.add(member.as_bytes(&mut text), score);
            }
            self.0 = Body::Large(large);
        }
        match &mut self.0 {
            Body::Large(large) => large,
            Body::Small(_) => unreachable!("made large above"),
        }
    }

    /// Removes a member; false when it is not there. O(log n).
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Body::Small(pack) => match small::find(pack, member) {
                Some((at, _)) => {
                    pack.remove(at, 2);
                    true
                }
                None => false,
            },
            Body::Large(large) => match large.score(member) {
                Some(score) => {
                    large.scores.remove(member);
                    large.order.remove(score, member)
                }
                None => false,
            },
        }
    }

    /// Removes the members of these ranks, as far as there are any. O(log n) for each leaf of them.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>) {
        let ranks = ranks.start..ranks.end.min(self.len());
        if ranks.is_empty() {
            return;
        }
        match &mut self.0 {
            Body::Small(pack) => pack.remove(pack.seek(2 * ranks.start), 2 * ranks.len()),
            Body::Large(large) => {
                let Large { scores, order } = &mut **large;
                for (_, member) in order.range(ranks.clone()) {
                    scores.remove(member);
                }
                let mut left = ranks.len();
                while left > 0 {
                    left -= order.remove_run(ranks.start, left);
                }
            }
        }
    }

    /// Whether all members have the same score: what ranges of members are meant for.
    #[must_use]
    pub(crate) fn has_one_score(&self) -> bool {
        let last = self.len().saturating_sub(1);
        match self.at(0).zip(self.at(last)) {
            Some(((_, first), (_, last))) => first == last,
            None => true,
        }
    }

    /// The ranks of the members whose scores are in a range. O(log n).
    #[must_use]
    pub(crate) fn ranks_by_score(&self, range: &ScoreRange) -> Range<usize> {
        let [min, max] = range.edges();
        match &self.0 {
            Body::Small(pack) => {
                let before = |edge: Edge<'_>| small::before(pack, &edge);
                let start = min.map_or(0, before);
                start..max.map_or(self.len(), before).max(start)
            }
            Body::Large(large) => {
                let before = |edge: Edge<'_>| large.order.before(&edge);
                let start = min.map_or(0, before);
                start..max.map_or(self.len(), before).max(start)
            }
        }
    }

    /// The ranks of the members in a range of members. O(log n). It means something where all scores are the same.
    #[must_use]
    pub(crate) fn ranks_by_member(&self, range: &LexRange<'_>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        match &self.0 {
            Body::Small(pack) => small::ranks_by_member(pack, range),
            Body::Large(large) => {
                let [min, max] = range.edges();
                let before = |edge: Edge<'_>| large.order.before(&edge);
                let start = min.map_or(0, before);
                start..max.map_or(self.len(), before).max(start)
            }
        }
    }

    /// As [`SortedSet::ranks_by_member`], from the end: what a search backwards finds.
    #[must_use]
    pub(crate) fn ranks_by_member_back(&self, range: &LexRange<'_>) -> Range<usize> {
        match &self.0 {
            Body::Small(_) if range.is_empty() => 0..0,
            Body::Small(pack) => small::ranks_by_member_back(pack, range),
            Body::Large(_) => self.ranks_by_member(range),
        }
    }

    /// Members of these ranks with their scores, from both ends. O(log n), then amortised O(1) each.
    #[must_use]
    pub(crate) fn range(&self, ranks: Range<usize>) -> Pairs<'_> {
        let ranks = ranks.start..ranks.end.min(self.len());
        match &self.0 {
            Body::Small(pack) => Pairs::Small(small::range(pack, ranks)),
            Body::Large(large) => Pairs::Large(large.order.range(ranks)),
        }
    }

    /// All members with their scores.
    #[must_use]
    pub(crate) fn iter(&self) -> Pairs<'_> {
        self.range(0..self.len())
    }

    /// The member of a rank and its score, if there is one. O(log n).
    #[must_use]
    pub(crate) fn at(&self, rank: usize) -> Option<(Element<'_>, f64)> {
        if rank >= self.len() {
            return None;
        }
        match &self.0 {
            Body::Small(pack) => small::range(pack, rank..rank + 1).next(),
            Body::Large(large) => {
                let (score, member) = large.order.at(rank);
                Some((Element::Bytes(member), score))
            }
        }
    }

    /// A walk in steps over all members: those that are there throughout are given. A cursor of 0 begins it and says the end.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        take: &mut dyn FnMut(Element<'_>, f64),
    ) -> u64 {
        match &self.0 {
            Body::Small(pack) => {
                small::pairs(pack).for_each(|(member, score)| take(member, score));
                0
            }
            Body::Large(large) => large.scores.scan(cursor, count, &mut |member, score| {
                if let Some(score) = score.first_chunk() {
                    take(Element::Bytes(member), f64::from_le_bytes(*score));
                }
            }),
        }
    }
}

/// Members in order with their scores.
#[derive(Clone)]
pub(crate) enum Pairs<'s> {
    /// See [`small`].
    Small(small::Pairs<'s>),
    /// See [`tree`].
    Large(tree::Entries<'s>),
}

impl<'s> Iterator for Pairs<'s> {
    type Item = (Element<'s>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Small(pairs) => pairs.next(),
            Self::Large(entries) => {
                let (score, member) = entries.next()?;
                Some((Element::Bytes(member), score))
            }
        }
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Small(pairs) => pairs.next_back(),
            Self::Large(entries) => {
                let (score, member) = entries.next_back()?;
                Some((Element::Bytes(member), score))
            }
        }
    }
}
