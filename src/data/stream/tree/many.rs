//! Putting many records in and taking many out in one walk, each node met once.
//!
//! ```text
//!   keys       a b c d e f g h                    ascending
//!   children   [ a b │ │ c d e f │ │ g h ]        each gets its share, the last one first: what a child
//!                                                 becomes (several, none) moves no child still to be met
//! ```

use std::sync::Arc;

use super::{
    Child, INNER_MAX, LEAF_MAX, Node, Record, Summary, Tree, child_for, join_around, shrink,
    summary_of,
};
use crate::data::steps;

impl<R: Record> Tree<R> {
    /// Adds records whose keys ascend and are not in the tree. O(log n) to start and for each gap between them that others
    /// fill, O(1) for each besides.
    pub(in crate::data::stream) fn insert_each(&mut self, records: &[R]) {
        debug_assert!(records.is_sorted_by(|a, b| a.key() < b.key()));
        let mut level = match (self.root.take(), records) {
            (root, []) => {
                self.root = root;
                return;
            }
            (Some(mut root), records) => {
                let mut level = root.insert_each(records);
                level.insert(0, root);
                level
            }
            (None, records) => {
                let (first, rest) = records.split_at(1);
                let mut root = Child::leaf(first.to_vec());
                let mut level = if rest.is_empty() {
                    Vec::new()
                } else {
                    root.append_to_leaf(rest)
                };
                level.insert(0, root);
                level
            }
        };
        while level.len() > 1 {
            let above = split(&mut level, INNER_MAX, true);
            let all = std::iter::once(level).chain(above);
            level = all.map(Child::inner).collect();
        }
        self.root = level.pop();
    }

    /// Takes out the records with these keys, which ascend; those that are not there are passed over. Costs as
    /// [`Tree::insert_each`].
    pub(in crate::data::stream) fn remove_each(&mut self, keys: &[R::Key]) {
        debug_assert!(keys.is_sorted());
        if let Some(root) = &mut self.root {
            root.remove_each(keys);
        }
        self.drop_needless_levels();
    }
}

impl<R: Record> Child<R> {
    /// Gives the right neighbours that this node needs beside it then. There is at least one record.
    fn insert_each(&mut self, records: &[R]) -> Vec<Child<R>> {
        steps::count(1);
        self.first = self.first.min(records[0].key());
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(own) => {
                if own.last().is_some_and(|last| last.key() < records[0].key()) {
                    return self.append_to_leaf(records);
                }
                merge(own, records);
                let right = split(own, LEAF_MAX, false);
                self.count = own.len();
                self.summary = summary_of(own, R::summary);
                right.into_iter().map(Child::leaf).collect()
            }
            Node::Inner(children) => {
                let mut rest = records;
                let mut at_end = true;
                while let Some(last) = rest.last() {
                    let at = child_for(children, last.key());
                    let first = children[at].first;
                    let start = match at {
                        0 => 0,
                        _ => rest.partition_point(|record| record.key() < first),
                    };
                    let (before, here) = rest.split_at(start);
                    let new = children[at].insert_each(here);
                    at_end &= at + 1 == children.len() || new.is_empty();
                    children.splice(at + 1..at + 1, new);
                    rest = before;
                }
                let right = split(children, INNER_MAX, at_end);
                self.count = children.iter().map(|child| child.count).sum();
                self.summary = summary_of(children, Child::summary);
                right.into_iter().map(Child::inner).collect()
            }
        }
    }

    /// Fills a leaf up with records behind its own; gives what further leaves it takes.
    fn append_to_leaf(&mut self, records: &[R]) -> Vec<Child<R>> {
        let Node::Leaf(own) = Arc::make_mut(&mut self.node) else {
            unreachable!("called for a leaf");
        };
        let (here, rest) = records.split_at(records.len().min(LEAF_MAX - own.len()));
        append(own, here);
        self.count = own.len();
        self.summary = self.summary.join(summary_of(here, R::summary));
        let leaves = rest.chunks(LEAF_MAX).map(|leaf| {
            let mut records = Vec::new();
            append(&mut records, leaf);
            Child::leaf(records)
        });
        leaves.collect()
    }

    fn remove_each(&mut self, keys: &[R::Key]) {
        steps::count(1);
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => {
                take_out(records, keys);
                self.count = records.len();
                self.summary = summary_of(records, R::summary);
                shrink(records);
            }
            Node::Inner(children) => {
                let mut rest = keys;
                while let Some(last) = rest.last()
                    && !children.is_empty()
                {
                    let at = child_for(children, *last);
                    let first = children[at].first;
                    let start = match at {
                        0 => 0,
                        _ => rest.partition_point(|key| *key < first),
                    };
                    let (before, here) = rest.split_at(start);
                    children[at].remove_each(here);
                    join_around(children, at);
                    rest = before;
                }
                self.count = children.iter().map(|child| child.count).sum();
                self.summary = summary_of(children, Child::summary);
                shrink(children);
            }
        }
    }
}

/// Appends to a leaf that has place for it. Its room is a power of two, as if they had come one by one: that fits the
/// largest leaf, and what is given back fits the next.
fn append<R: Record>(own: &mut Vec<R>, records: &[R]) {
    let needed = own.len() + records.len();
    if needed > own.capacity() {
        own.reserve_exact(needed.next_power_of_two() - own.len());
    }
    own.extend_from_slice(records);
}

/// Puts the records of a leaf and others in one order.
fn merge<R: Record>(own: &mut Vec<R>, records: &[R]) {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return;
    };
    let at = own.partition_point(|record| record.key() < first.key());
    let together = own.get(at).is_none_or(|next| last.key() < next.key());
    own.splice(at..at, records.iter().copied());
    if !together {
        // Two ascending runs behind `at`: what this sort is quick with.
        own[at..].sort_by_key(R::key);
    }
}

/// Takes the records with these keys out of a leaf.
fn take_out<R: Record>(records: &mut Vec<R>, keys: &[R::Key]) {
    let Some(first) = keys.first() else { return };
    let start = records.partition_point(|record| record.key() < *first);
    let pairs = records[start..].iter().zip(keys);
    let together = pairs.take_while(|(r, key)| r.key() == **key).count();
    records.drain(start..start + together);
    let mut rest = keys[together..].iter().peekable();
    if rest.peek().is_some() {
        records.retain(|record| {
            while rest.next_if(|key| **key < record.key()).is_some() {}
            rest.peek().is_none_or(|key| **key != record.key())
        });
    }
}

/// Leaves no more than `max` of the items; gives the others in pieces of the same kind. What was added at the end leaves
/// no gaps; else all pieces are about as long.
fn split<T>(items: &mut Vec<T>, max: usize, at_end: bool) -> Vec<Vec<T>> {
    let mut right = Vec::new();
    if items.len() <= max {
        return right;
    }
    let size = match at_end {
        true => max,
        false => items.len().div_ceil(items.len().div_ceil(max)),
    };
    while items.len() > size {
        right.push(items.split_off((items.len() - 1) / size * size));
    }
    items.shrink_to(max);
    right.reverse();
    right
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Pair(u32, u32);

    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Lowest(u32);

    impl Summary for Lowest {
        const NONE: Self = Self(u32::MAX);
        fn join(self, other: Self) -> Self {
            Self(self.0.min(other.0))
        }
    }

    impl Record for Pair {
        type Key = u32;
        type Summary = Lowest;
        fn key(&self) -> u32 {
            self.0
        }
        fn summary(&self) -> Lowest {
            Lowest(self.1)
        }
    }

    /// The invariants of the tree's head; gives the level.
    fn check(child: &Child<Pair>, is_root: bool) -> usize {
        match &*child.node {
            Node::Leaf(records) => {
                assert!(records.len() <= LEAF_MAX && !records.is_empty());
                assert!(child.first <= records[0].0);
                assert!(records.is_sorted_by(|a, b| a.0 < b.0));
                assert_eq!(child.count, records.len());
                assert_eq!(child.summary, summary_of(records, Pair::summary));
                0
            }
            Node::Inner(children) => {
                assert!(children.len() <= INNER_MAX && !children.is_empty());
                assert!(!is_root || children.len() > 1, "no needless level");
                assert!(child.first <= children[0].first);
                for (left, right) in children.iter().zip(&children[1..]) {
                    let last = Tree {
                        root: Some(left.clone()),
                    };
                    assert!(last.last().is_some_and(|last| last.0 < right.first));
                }
                assert_eq!(child.count, children.iter().map(|c| c.count).sum::<usize>());
                assert_eq!(child.summary, summary_of(children, |c| c.summary));
                let levels: Vec<usize> = children.iter().map(|c| check(c, false)).collect();
                assert!(levels.iter().all(|level| *level == levels[0]));
                levels[0] + 1
            }
        }
    }

    #[derive(Clone, Debug)]
    struct Step {
        inserts: bool,
        from: u32,
        stride: u32,
        count: u32,
    }

    fn step() -> impl Strategy<Value = Step> {
        let count = prop_oneof![1..20u32, 50..300u32, 2000..5000u32];
        (any::<bool>(), 0..20_000u32, 1..8u32, count).prop_map(|(inserts, from, stride, count)| {
            Step {
                inserts,
                from,
                stride,
                count,
            }
        })
    }

    proptest! {
        #![proptest_config(crate::property::cases(24))]

        #[test]
        fn many_at_once_are_as_one_by_one(steps in prop::collection::vec(step(), 1..20)) {
            let mut tree: Tree<Pair> = Tree::default();
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for Step { inserts, from, stride, count } in steps {
                let clone = tree.clone();
                let before: Vec<Pair> = clone.iter().copied().collect();
                let keys: Vec<u32> = (0..count).map(|n| from + n * stride).collect();
                if inserts {
                    let new = keys.iter().filter(|key| !model.contains_key(key));
                    let new: Vec<Pair> = new.map(|key| Pair(*key, key % 1009)).collect();
                    tree.insert_each(&new);
                    model.extend(new.iter().map(|pair| (pair.0, pair.1)));
                } else {
                    tree.remove_each(&keys);
                    keys.iter().for_each(|key| { model.remove(key); });
                }
                if let Some(root) = &tree.root {
                    check(root, true);
                }
                let now: Vec<(u32, u32)> = tree.iter().map(|pair| (pair.0, pair.1)).collect();
                prop_assert_eq!(&now, &model.iter().map(|(a, b)| (*a, *b)).collect::<Vec<_>>());
                prop_assert_eq!(clone.iter().copied().collect::<Vec<_>>(), before);
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_nodes() {
        let mut tree: Tree<Pair> = Tree::default();
        for start in (0..10_000).step_by(100) {
            let records: Vec<Pair> = (start..start + 100).map(|n| Pair(n, n)).collect();
            tree.insert_each(&records);
        }
        let leaf_bytes = 10_000 * size_of::<Pair>();
        assert!(
            tree.heap_bytes() < leaf_bytes * 3 / 2,
            "{}",
            tree.heap_bytes()
        );
    }
}
