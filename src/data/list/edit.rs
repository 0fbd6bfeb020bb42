//! Changes in the middle of a list: replace, insert, remove, and what that does to the chunks.
//!
//! The rules of splitting and merging are Redis' (the quicklist of 7.2), because they decide when a list is small again.
//! After each change the chunks touched are sealed unless they are at an end.

use super::chunk::Packed;
use super::{Body, Chunks, List, ListLimits, Node};
use crate::data::listpack::{Element, Entry, parse_integer};

/// Which side of a pivot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In front of it.
    Before,
    /// Behind it.
    After,
}

/// A byte string as the element it would be stored as: comparing is then cheap.
fn element(bytes: &[u8]) -> Element<'_> {
    parse_integer(bytes).map_or(Element::Bytes(bytes), Element::Int)
}

impl List {
    /// Replaces the element with this index; false when there is none. O(chunks).
    /// See [`List::before_adding`] and [`List::after_removing`].
    pub fn set(&mut self, index: usize, bytes: &[u8], limits: &ListLimits) -> bool {
        let Some((node, offset)) = self.locate(index) else {
            return false;
        };
        match &mut self.body {
            Body::Small(packed) => packed.replace(packed.seek(offset), &Entry::new(bytes)),
            Body::Large(chunks) => chunks.replace(node, offset, bytes, limits),
        }
        true
    }

    /// Puts an element beside the first one equal to `pivot`; false when there is none. O(n).
    /// See [`List::before_adding`].
    pub fn insert(&mut self, side: Side, pivot: &[u8], bytes: &[u8], limits: &ListLimits) -> bool {
        let pivot = element(pivot);
        let Some(index) = self.iter().position(|element| element == pivot) else {
            return false;
        };
        let Some((node, offset)) = self.locate(index) else {
            return false;
        };
        match &mut self.body {
            Body::Small(packed) => {
                let at = packed.seek(offset + usize::from(side == Side::After));
                packed.insert(at, &Entry::new(bytes));
            }
            Body::Large(chunks) => chunks.insert(node, offset, side, bytes, limits),
        }
        true
    }

    /// Removes up to `limit` elements equal to `bytes`, the first or with `from_back` the last ones; returns how many. O(n).
    /// See [`List::after_removing`].
    pub fn remove(&mut self, bytes: &[u8], limit: usize, from_back: bool) -> usize {
        let wanted = element(bytes);
        match &mut self.body {
            Body::Small(packed) if !packed.contains(wanted) => 0,
            Body::Small(packed) => packed.remove_equal(wanted, limit, from_back),
            Body::Large(chunks) => chunks.remove_equal(wanted, limit, from_back),
        }
    }

    /// Removes up to `count` elements from index `start` on; returns how many. O(chunks).
    /// See [`List::after_removing`].
    pub fn remove_range(&mut self, start: usize, count: usize) -> usize {
        let count = count.min(self.len().saturating_sub(start));
        let Some((node, offset)) = self.locate(start) else {
            return 0;
        };
        if count == 0 {
            return 0;
        }
        match &mut self.body {
            Body::Small(packed) => packed.remove_range(offset, count),
            Body::Large(chunks) => chunks.remove_range(node, offset, count),
        }
        count
    }
}

impl Chunks {
    /// Seals the chunks of `range` that are not at an end.
    fn seal_inner(&mut self, range: std::ops::RangeInclusive<usize>) {
        let last = self.nodes.len().saturating_sub(1);
        for node in (*range.start()).max(1)..=*range.end() {
            if node >= last {
                break;
            }
            if matches!(self.nodes[node], Node::Open(_)) {
                self.nodes[node].seal();
            }
        }
    }

    fn open(&mut self, node: usize) -> &mut Packed {
        match self.nodes[node].open() {
            Some(packed) => packed,
            None => unreachable!("an element alone was taken for a packed chunk"),
        }
    }

    fn accepts(&self, node: Option<usize>, limits: ListLimits, bytes: &[u8]) -> bool {
        node.and_then(|node| self.nodes.get(node))
            .is_some_and(|node| node.accepts(limits, bytes.len()))
    }

    fn replace(&mut self, node: usize, offset: usize, bytes: &[u8], limits: &ListLimits) {
        let large = self.limits(limits).is_large(bytes.len());
        match &self.nodes[node] {
            Node::Alone(_) if large => self.nodes[node] = Node::new(bytes, true),
            Node::Alone(_) => {
                self.insert(node, offset, Side::After, bytes, limits);
                self.nodes.remove(node);
                self.len -= 1;
                self.seal_inner(node.saturating_sub(1)..=node + 1);
            }
            Node::Open(_) | Node::Sealed(_) if large => {
                self.replace_by_large(node, offset, bytes, limits)
            }
            Node::Open(_) | Node::Sealed(_) => {
                let packed = self.open(node);
                packed.replace(packed.seek(offset), &Entry::new(bytes));
                self.seal_inner(node..=node);
            }
        }
    }

    /// The element of a packed chunk gives way to one that is alone, between the parts of the chunk.
    fn replace_by_large(&mut self, node: usize, offset: usize, bytes: &[u8], limits: &ListLimits) {
        let packed = self.open(node);
        let behind = packed.split_off(offset + 1);
        packed.pop_back();
        let nothing_before = packed.count() == 0;
        if behind.count() > 0 {
            self.nodes.insert(node + 1, Node::Open(behind));
        }
        self.nodes.insert(node + 1, Node::new(bytes, true));
        if nothing_before {
            self.nodes.remove(node);
            self.seal_inner(node..=node + 1);
        } else {
            self.merge_around(node + 1, limits);
        }
    }

    fn insert(
        &mut self,
        node: usize,
        offset: usize,
        side: Side,
        bytes: &[u8],
        limits: &ListLimits,
    ) {
        let rules = self.limits(limits);
        self.len += 1;
        let after = side == Side::After;
        let at_edge = if after {
            offset + 1 == self.nodes[node].count()
        } else {
            offset == 0
        };
        let neighbour = if after {
            Some(node + 1)
        } else {
            node.checked_sub(1)
        };
        let beside = node + usize::from(after);
        if rules.is_large(bytes.len()) {
            if !at_edge {
                let behind = self.open(node).split_off(offset + usize::from(after));
                self.nodes.insert(node + 1, Node::Open(behind));
                self.nodes.insert(node + 1, Node::new(bytes, true));
            } else {
                self.nodes.insert(beside, Node::new(bytes, true));
            }
            self.seal_inner(node.saturating_sub(1)..=node + 2);
        } else if self.accepts(Some(node), rules, bytes) {
            let packed = self.open(node);
            packed.insert(packed.seek(offset + usize::from(after)), &Entry::new(bytes));
            self.seal_inner(node..=node);
        } else if at_edge
            && self.accepts(neighbour, rules, bytes)
            && let Some(neighbour) = neighbour
        {
            let packed = self.open(neighbour);
            if after {
                packed.push_front(&Entry::new(bytes));
            } else {
                packed.push_back(&Entry::new(bytes));
            }
            self.seal_inner(neighbour..=neighbour);
        } else if at_edge {
            self.nodes.insert(beside, Node::new(bytes, false));
            self.seal_inner(node.saturating_sub(1)..=node + 1);
        } else {
            self.split_and_insert(node, offset, after, bytes, limits);
        }
    }

    /// A full chunk is divided at the pivot; the element joins the part that the pivot is not in.
    fn split_and_insert(
        &mut self,
        node: usize,
        offset: usize,
        after: bool,
        bytes: &[u8],
        limits: &ListLimits,
    ) {
        let packed = self.open(node);
        let mut behind = packed.split_off(offset + usize::from(after));
        let entry = Entry::new(bytes);
        if after {
            behind.push_front(&entry);
        } else {
            packed.push_back(&entry);
        }
        self.nodes.insert(node + 1, Node::Open(behind));
        // Redis merges around the part with the pivot.
        self.merge_around(node + usize::from(!after), limits);
    }

    /// Merges, where the limit allows: the two chunks in front of `center`, the two behind it, then it with those beside it.
    fn merge_around(&mut self, center: usize, limits: &ListLimits) {
        let mut center = center;
        self.merge(center + 1, limits);
        if center >= 2 && self.merge(center - 2, limits) {
            center -= 1;
        }
        if center >= 1 && self.merge(center - 1, limits) {
            center -= 1;
        }
        self.merge(center, limits);
        self.seal_inner(center.saturating_sub(2)..=center + 2);
    }

    /// Merges a chunk with the one behind it; false when there is none or they are too large together.
    fn merge(&mut self, node: usize, limits: &ListLimits) -> bool {
        let rules = self.limits(limits);
        let packed = |node: usize| self.nodes.get(node).and_then(Node::packed);
        let (Some(first), Some(second)) = (packed(node), packed(node + 1)) else {
            return false;
        };
        let bytes =
            first.listpack_bytes() + second.listpack_bytes() - Packed::default().listpack_bytes();
        if rules.exceeded_by(bytes, first.count() + second.count()) {
            return false;
        }
        if let Some(second) = self.nodes.remove(node + 1)
            && let Some(second) = second.packed()
        {
            self.open(node).append(second);
        }
        true
    }

    fn remove_equal(&mut self, wanted: Element<'_>, limit: usize, from_back: bool) -> usize {
        let mut removed = 0;
        let mut node = if from_back { self.nodes.len() } else { 0 };
        while removed < limit {
            if from_back {
                match node.checked_sub(1) {
                    Some(before) => node = before,
                    None => break,
                }
            } else if node >= self.nodes.len() {
                break;
            }
            let here = match &self.nodes[node] {
                Node::Alone(bytes) => usize::from(Element::Bytes(bytes) == wanted),
                chunk if chunk.packed().is_some_and(|packed| packed.contains(wanted)) => {
                    let packed = self.open(node);
                    packed.remove_equal(wanted, limit - removed, from_back)
                }
                Node::Open(_) | Node::Sealed(_) => 0,
            };
            removed += here;
            let alone = matches!(self.nodes[node], Node::Alone(_));
            if here > 0 && (alone || self.nodes[node].count() == 0) {
                self.nodes.remove(node);
            } else {
                self.seal_inner(node..=node);
                node += usize::from(!from_back);
            }
        }
        self.len -= removed;
        removed
    }

    fn remove_range(&mut self, node: usize, offset: usize, count: usize) {
        self.len -= count;
        let (mut left, mut first_whole) = (count, node);
        let here = self.nodes[node].count();
        if offset > 0 || left < here {
            let gone = left.min(here - offset);
            self.open(node).remove_range(offset, gone);
            left -= gone;
            first_whole += 1;
        }
        let mut end = first_whole;
        while left > 0 && self.nodes[end].count() <= left {
            left -= self.nodes[end].count();
            end += 1;
        }
        if left > 0 {
            self.open(end).remove_range(0, left);
        }
        self.nodes.remove_range(first_whole..end);
        self.seal_inner(node.saturating_sub(1)..=first_whole + 1);
    }
}
