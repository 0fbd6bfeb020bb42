//! Taking a whole range of records out of a tree at once.
//!
//! ```text
//!   children   [ … │ first of the range │ whole │ whole │ … │ last of the range │ … ]
//!                     goes down           go as they are      goes down
//! ```
//! Only the two edges of the range are walked down; what they leave is joined with a neighbour where both fit.

use std::sync::Arc;

use super::{Child, Node, Record, Tree, child_for, join_around, shrink, summary_of};
use crate::data::steps;

impl<R: Record> Tree<R> {
    /// Takes out the records of `start..=end`; gives them, ascending. O(log n + number of them).
    pub(in crate::data::stream) fn remove_range(&mut self, start: R::Key, end: R::Key) -> Vec<R> {
        let mut taken = Vec::new();
        let first = self.iter_from(start).next();
        if first.is_none_or(|record| record.key() > end) {
            return taken;
        }
        if let Some(root) = &mut self.root {
            root.remove_range(start, end, &mut taken);
        }
        self.drop_needless_levels();
        taken
    }
}

impl<R: Record> Child<R> {
    fn remove_range(&mut self, start: R::Key, end: R::Key, taken: &mut Vec<R>) {
        steps::count(1);
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => {
                let from = records.partition_point(|record| record.key() < start);
                let to = records.partition_point(|record| record.key() <= end);
                taken.extend(records.drain(from..to));
                self.count = records.len();
                self.summary = summary_of(records, R::summary);
                shrink(records);
            }
            Node::Inner(children) => {
                let (from, to) = (child_for(children, start), child_for(children, end));
                children[from].remove_range(start, end, taken);
                if from < to {
                    for whole in children.drain(from + 1..to) {
                        whole.append_to(taken);
                    }
                    children[from + 1].remove_range(start, end, taken);
                }
                children.retain(|child| child.count > 0);
                for edge in [from + 1, from] {
                    if edge < children.len() {
                        join_around(children, edge);
                    }
                }
                self.count = children.iter().map(|child| child.count).sum();
                self.summary = summary_of(children, Child::summary);
                shrink(children);
            }
        }
    }

    /// Gives all records, ascending.
    fn append_to(&self, taken: &mut Vec<R>) {
        steps::count(1);
        match &*self.node {
            Node::Leaf(records) => taken.extend_from_slice(records),
            Node::Inner(children) => children.iter().for_each(|child| child.append_to(taken)),
        }
    }
}
