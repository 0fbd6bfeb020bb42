//! A share of members of a sorted set: what they were when it was taken, whatever becomes of the set.
//!
//! Of a large set it shares the nodes of the order, of a small one it has a copy.

use std::ops::Range;

use crate::data::listpack::{Element, Listpack};

use super::tree::Tree;
use super::{Body, SortedSet, small};

/// Members, to be read in order. See the module's head.
pub(crate) struct Share {
    body: SharedBody,
    ranks: Range<usize>,
    is_backward: bool,
}

enum SharedBody {
    Small(Listpack),
    Large(Tree),
}

impl SortedSet {
    /// A share of the members of these ranks, from the last to the first if so wanted. O(1) of a large set.
    #[must_use]
    pub(crate) fn share(&self, ranks: Range<usize>, is_backward: bool) -> Share {
        let body = match &self.0 {
            Body::Small(pack) => SharedBody::Small(pack.clone()),
            Body::Large(large) => SharedBody::Large(large.order.clone()),
        };
        let end = ranks.end.min(self.len());
        Share {
            body,
            ranks: ranks.start.min(end)..end,
            is_backward,
        }
    }
}

impl Share {
    /// Members not read yet.
    #[must_use]
    pub(crate) fn left(&self) -> usize {
        self.ranks.len()
    }

    /// Reads members until `take` says that it is enough, or there are no more.
    pub(crate) fn read(&mut self, mut take: impl FnMut(Element<'_>, f64) -> bool) {
        let ranks = self.ranks.clone();
        let read = match &self.body {
            SharedBody::Small(pack) => {
                let pairs = small::range(pack, ranks);
                take_some(pairs, self.is_backward, |(member, score)| {
                    take(member, score)
                })
            }
            SharedBody::Large(tree) => {
                let entries = tree.range(ranks);
                take_some(entries, self.is_backward, |(score, member)| {
                    take(Element::Bytes(member), score)
                })
            }
        };
        if self.is_backward {
            self.ranks.end -= read;
        } else {
            self.ranks.start += read;
        }
    }
}

/// Gives items until it is enough; how many.
fn take_some<I: DoubleEndedIterator>(
    mut items: I,
    is_backward: bool,
    mut take: impl FnMut(I::Item) -> bool,
) -> usize {
    let mut read = 0;
    loop {
        let item = if is_backward {
            items.next_back()
        } else {
            items.next()
        };
        let Some(item) = item else { return read };
        read += 1;
        if take(item) {
            return read;
        }
    }
}
