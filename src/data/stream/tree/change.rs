//! Changing many records of a tree in place in one walk, each node met once.
//!
//! ```text
//!   children   [ … │ changed │ nothing to change │ changed │ … ]
//!                  goes down    not looked into     goes down       then one summary for the node
//! ```
//! Keys do not change, so the tree keeps its shape.

use std::sync::Arc;

use super::{Child, Node, Record, Tree, child_for, summary_of};
use crate::data::steps;

/// Which records to change, and how.
pub(in crate::data::stream) struct Sweep<R: Record, H, C> {
    /// From this key on.
    pub(in crate::data::stream) from: R::Key,
    /// Below this key, when given.
    pub(in crate::data::stream) end: Option<R::Key>,
    /// So many, at most.
    pub(in crate::data::stream) most: usize,
    /// For whose summary it holds, as in [`Tree::next_where`].
    pub(in crate::data::stream) holds: H,
    /// The change; not of the key.
    pub(in crate::data::stream) change: C,
}

impl<R: Record> Tree<R> {
    /// Changes the records that a sweep is about, in the order of their keys. O(log n) to start and for each gap between
    /// them, O(1) for each of them but for the nodes that are left in the middle.
    pub(in crate::data::stream) fn change_where<H, C>(&mut self, mut sweep: Sweep<R, H, C>)
    where
        H: Fn(R::Summary) -> bool,
        C: FnMut(&mut R),
    {
        if let Some(root) = &mut self.root {
            root.change_where(&mut sweep);
        }
    }

    /// Changes the records with these keys, which ascend; those that are not there are passed over. Costs as
    /// [`Tree::change_where`].
    pub(in crate::data::stream) fn change_each(
        &mut self,
        keys: &[R::Key],
        mut change: impl FnMut(&mut R),
    ) {
        debug_assert!(keys.is_sorted());
        if let Some(root) = &mut self.root {
            root.change_each(keys, &mut change);
        }
    }
}

impl<R: Record> Child<R> {
    fn change_where<H, C>(&mut self, sweep: &mut Sweep<R, H, C>)
    where
        H: Fn(R::Summary) -> bool,
        C: FnMut(&mut R),
    {
        steps::count(1);
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => {
                let start = records.partition_point(|record| record.key() < sweep.from);
                for record in &mut records[start..] {
                    if sweep.most == 0 || sweep.end.is_some_and(|end| record.key() >= end) {
                        break;
                    }
                    if (sweep.holds)(record.summary()) {
                        (sweep.change)(record);
                        sweep.most -= 1;
                    }
                }
                self.summary = summary_of(records, R::summary);
            }
            Node::Inner(children) => {
                let start = child_for(children, sweep.from);
                for child in &mut children[start..] {
                    if sweep.most == 0 || sweep.end.is_some_and(|end| child.first >= end) {
                        break;
                    }
                    if (sweep.holds)(child.summary) {
                        child.change_where(sweep);
                    }
                }
                self.summary = summary_of(children, Child::summary);
            }
        }
    }

    fn change_each(&mut self, keys: &[R::Key], change: &mut impl FnMut(&mut R)) {
        steps::count(1);
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => {
                let mut keys = keys.iter().peekable();
                let start = keys.peek().map_or(0, |first| {
                    records.partition_point(|record| record.key() < **first)
                });
                for record in &mut records[start..] {
                    let key = record.key();
                    while keys.next_if(|wanted| **wanted < key).is_some() {}
                    match keys.peek() {
                        Some(wanted) if **wanted == key => change(record),
                        Some(_) => {}
                        None => break,
                    }
                }
                self.summary = summary_of(records, R::summary);
            }
            Node::Inner(children) => {
                let mut rest = keys;
                while let Some(first) = rest.first() {
                    let at = child_for(children, *first);
                    let here = children.get(at + 1).map_or(rest.len(), |next| {
                        rest.partition_point(|key| *key < next.first)
                    });
                    let (below, behind) = rest.split_at(here);
                    children[at].change_each(below, change);
                    rest = behind;
                }
                self.summary = summary_of(children, Child::summary);
            }
        }
    }
}
