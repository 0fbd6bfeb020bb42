//! An ordered tree of small records that can be counted, ranked and searched by what is told of whole subtrees.
//!
//! ```text
//!              ┌ first │ count │ summary ┐ … one child each          up to INNER_MAX children
//!   inner node └────┬────────────────────┘
//!                   ▼
//!   leaf       [ record record record … ]                            up to LEAF_MAX records, by key
//! ```
//!
//! A B+ tree. Each child carries the number of records below it and their [`Summary`], so that ranks and "the next
//! record of which this may hold" cost O(log n), and the records in another order than that of their keys are found best
//! first (`walk`). Nodes are shared (`Arc`) between clones and copied when one side writes: a clone is O(1).
//!
//! Invariants: records of a leaf and children of a node ascend by key; `first` is not above any key
//! of its subtree and above every key of the subtrees before it; `count` and `summary` are exact;
//! no node but an empty tree's is empty.
//!
//! Ascending insertion fills leaves completely (a split at the end opens a fresh leaf); removal
//! joins neighbours that fit into one node. It does not balance beyond that: leaves of a
//! shrinking tree are on average at least half full.

mod change;
mod cut;
mod many;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::data::steps;

pub(super) use change::Sweep;

/// Records of a leaf.
const LEAF_MAX: usize = 64;
/// Children of an inner node.
const INNER_MAX: usize = 32;
/// Allocations of at most this many records are not shrunk.
const SHRINK_ABOVE: usize = 8;

/// What is told of several records in one value. Joining is associative, commutative and idempotent (a minimum, say).
pub(super) trait Summary: Copy + PartialEq {
    /// That of no record.
    const NONE: Self;
    /// That of the records of both.
    fn join(self, other: Self) -> Self;
}

impl Summary for () {
    const NONE: Self = ();
    fn join(self, (): ()) -> Self {}
}

/// What a tree holds.
pub(super) trait Record: Copy {
    /// What orders the records.
    type Key: Copy + Ord;
    /// What is told of a whole subtree.
    type Summary: Summary;
    /// The key of this record.
    fn key(&self) -> Self::Key;
    /// What is told of this one.
    fn summary(&self) -> Self::Summary;
}

#[derive(Clone)]
pub(super) enum Node<R: Record> {
    Leaf(Vec<R>),
    Inner(Vec<Child<R>>),
}

/// A subtree. Invariant: see the module's head.
#[derive(Clone)]
pub(super) struct Child<R: Record> {
    pub(super) first: R::Key,
    count: usize,
    pub(super) summary: R::Summary,
    pub(super) node: Arc<Node<R>>,
}

/// The tree. See the module's head.
#[derive(Clone)]
pub(super) struct Tree<R: Record> {
    root: Option<Child<R>>,
}

impl<R: Record> Default for Tree<R> {
    fn default() -> Self {
        Tree { root: None }
    }
}

impl<R: Record> Child<R> {
    fn leaf(records: Vec<R>) -> Self {
        Child {
            first: records[0].key(),
            count: records.len(),
            summary: summary_of(&records, R::summary),
            node: Arc::new(Node::Leaf(records)),
        }
    }

    fn inner(children: Vec<Child<R>>) -> Self {
        Child {
            first: children[0].first,
            count: children.iter().map(|c| c.count).sum(),
            summary: summary_of(&children, Child::summary),
            node: Arc::new(Node::Inner(children)),
        }
    }

    /// Puts the record in; gives the record it replaces, or a new right neighbour.
    fn insert(&mut self, record: R) -> (Option<R>, Option<Child<R>>) {
        steps::count(1);
        let key = record.key();
        self.first = self.first.min(key);
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => match search(records, key) {
                Ok(at) => {
                    let old = std::mem::replace(&mut records[at], record);
                    self.summary = summary_after(records, at, self.summary, R::summary);
                    (Some(old), None)
                }
                Err(at) if records.len() < LEAF_MAX => {
                    records.insert(at, record);
                    self.count += 1;
                    self.summary = self.summary.join(record.summary());
                    (None, None)
                }
                Err(at) => {
                    let right = split_full(records, at, record);
                    self.count = records.len();
                    self.summary = summary_of(records, R::summary);
                    (None, Some(Child::leaf(right)))
                }
            },
            Node::Inner(children) => {
                let at = child_for(children, key);
                let (replaced, split) = children[at].insert(record);
                let right = split.and_then(|new| {
                    if children.len() < INNER_MAX {
                        children.insert(at + 1, new);
                        return None;
                    }
                    Some(Child::inner(split_full(children, at + 1, new)))
                });
                match (&replaced, &right) {
                    (None, None) => {
                        self.count += 1;
                        self.summary = self.summary.join(record.summary());
                    }
                    (Some(_), None) => {
                        self.summary = summary_after(children, at, self.summary, Child::summary);
                    }
                    (_, Some(_)) => {
                        self.count = children.iter().map(|c| c.count).sum();
                        self.summary = summary_of(children, Child::summary);
                    }
                }
                (replaced, right)
            }
        }
    }

    fn remove(&mut self, key: R::Key) -> Option<R> {
        steps::count(1);
        let removed = match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => {
                let at = search(records, key).ok()?;
                let removed = records.remove(at);
                self.summary = summary_after(records, at, self.summary, R::summary);
                shrink(records);
                removed
            }
            Node::Inner(children) => {
                let at = child_for(children, key);
                let removed = children[at].remove(key)?;
                join_around(children, at);
                self.summary = summary_after(children, at, self.summary, Child::summary);
                shrink(children);
                removed
            }
        };
        self.count -= 1;
        Some(removed)
    }

    fn update(&mut self, key: R::Key, change: impl FnOnce(&mut R)) -> Option<R> {
        steps::count(1);
        match Arc::make_mut(&mut self.node) {
            Node::Leaf(records) => {
                let at = search(records, key).ok()?;
                let before = records[at];
                change(&mut records[at]);
                self.summary = summary_after(records, at, self.summary, R::summary);
                Some(before)
            }
            Node::Inner(children) => {
                let at = child_for(children, key);
                let before = children[at].update(key, change)?;
                self.summary = summary_after(children, at, self.summary, Child::summary);
                Some(before)
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        // The Arc's two counts precede the node.
        let shell = 2 * size_of::<usize>() + size_of::<Node<R>>();
        shell
            + match &*self.node {
                Node::Leaf(records) => records.capacity() * size_of::<R>(),
                Node::Inner(children) => {
                    children.capacity() * size_of::<Child<R>>()
                        + children.iter().map(Child::heap_bytes).sum::<usize>()
                }
            }
    }
}

impl<R: Record> Tree<R> {
    /// Number of records. O(1).
    pub(super) fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.count)
    }

    /// Adds a record, or replaces the one with its key, which is returned. O(log n).
    pub(super) fn insert(&mut self, record: R) -> Option<R> {
        let Some(root) = &mut self.root else {
            self.root = Some(Child::leaf(vec![record]));
            return None;
        };
        let (replaced, split) = root.insert(record);
        if let Some(right) = split
            && let Some(left) = self.root.take()
        {
            self.root = Some(Child::inner(vec![left, right]));
        }
        replaced
    }

    /// Takes a record out. O(log n).
    pub(super) fn remove(&mut self, key: R::Key) -> Option<R> {
        let root = self.root.as_mut()?;
        let removed = root.remove(key)?;
        self.drop_needless_levels();
        Some(removed)
    }

    /// After a removal: no root without a record, and none with a single child.
    fn drop_needless_levels(&mut self) {
        let Some(root) = &mut self.root else { return };
        if root.count == 0 {
            self.root = None;
            return;
        }
        while let Node::Inner(children) = &*root.node
            && let [only] = children.as_slice()
        {
            *root = only.clone();
        }
    }

    /// Changes a record in place (not its key); gives it as it was. O(log n).
    pub(super) fn update(&mut self, key: R::Key, change: impl FnOnce(&mut R)) -> Option<R> {
        self.root.as_mut()?.update(key, change)
    }

    /// The record with this key. O(log n).
    pub(super) fn get(&self, key: R::Key) -> Option<&R> {
        let mut node = &*self.root.as_ref()?.node;
        loop {
            steps::count(1);
            match node {
                Node::Leaf(records) => return search(records, key).ok().map(|at| &records[at]),
                Node::Inner(children) => node = &children[child_for(children, key)].node,
            }
        }
    }

    /// The record with the highest key. O(log n).
    pub(super) fn last(&self) -> Option<&R> {
        let mut node = &*self.root.as_ref()?.node;
        loop {
            steps::count(1);
            match node {
                Node::Leaf(records) => return records.last(),
                Node::Inner(children) => node = &children.last()?.node,
            }
        }
    }

    /// How many records have a key below this one. O(log n).
    pub(super) fn rank(&self, key: R::Key) -> usize {
        let Some(root) = &self.root else { return 0 };
        let mut node = &*root.node;
        let mut before = 0;
        loop {
            steps::count(1);
            match node {
                Node::Leaf(records) => {
                    return before + records.partition_point(|r| r.key() < key);
                }
                Node::Inner(children) => {
                    let at = child_for(children, key);
                    before += children[..at].iter().map(|c| c.count).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The record that has `rank` records before it. O(log n).
    pub(super) fn at_rank(&self, rank: usize) -> Option<&R> {
        let root = self.root.as_ref()?;
        let mut rank = rank;
        let mut node = &*root.node;
        loop {
            steps::count(1);
            match node {
                Node::Leaf(records) => return records.get(rank),
                Node::Inner(children) => {
                    let child = children.iter().find(|child| {
                        let here = rank < child.count;
                        if !here {
                            rank -= child.count;
                        }
                        here
                    })?;
                    node = &child.node;
                }
            }
        }
    }

    /// The first record from `from` on for whose summary `holds`. It must hold for every summary that contains
    /// one for which it holds, and for none that contains no such. O(log n).
    pub(super) fn next_where(
        &self,
        from: R::Key,
        holds: &impl Fn(R::Summary) -> bool,
    ) -> Option<&R> {
        let root = self.root.as_ref()?;
        search_where(&root.node, from, holds)
    }

    /// The tree as one subtree, for walks of other modules; `None` when it is empty.
    pub(super) fn root(&self) -> Option<&Child<R>> {
        self.root.as_ref()
    }

    /// What is told of all records. O(1).
    pub(super) fn summary(&self) -> R::Summary {
        self.root.as_ref().map_or(R::Summary::NONE, Child::summary)
    }

    /// The records from `from` on, ascending. O(log n) to start, amortised O(1) each.
    pub(super) fn iter_from(&self, from: R::Key) -> Iter<'_, R> {
        let mut iter = Iter {
            path: SmallVec::new(),
            leaf: [].iter(),
        };
        let Some(root) = &self.root else { return iter };
        let mut node = &*root.node;
        loop {
            steps::count(1);
            match node {
                Node::Leaf(records) => {
                    iter.leaf = records[records.partition_point(|r| r.key() < from)..].iter();
                    return iter;
                }
                Node::Inner(children) => {
                    let at = child_for(children, from);
                    iter.path.push(children[at + 1..].iter());
                    node = &children[at].node;
                }
            }
        }
    }

    /// The records, ascending.
    pub(super) fn iter(&self) -> Iter<'_, R> {
        let mut iter = Iter {
            path: SmallVec::new(),
            leaf: [].iter(),
        };
        if let Some(root) = &self.root {
            iter.descend(root);
        }
        iter
    }

    /// Bytes of all nodes, also those shared with clones.
    pub(super) fn heap_bytes(&self) -> usize {
        self.root.as_ref().map_or(0, Child::heap_bytes)
    }
}

/// The records of a tree in order.
pub(super) struct Iter<'a, R: Record> {
    /// What is left of the inner nodes above the leaf, the root first.
    path: SmallVec<[std::slice::Iter<'a, Child<R>>; 6]>,
    leaf: std::slice::Iter<'a, R>,
}

impl<'a, R: Record> Iter<'a, R> {
    fn descend(&mut self, child: &'a Child<R>) {
        let mut node = &*child.node;
        loop {
            match node {
                Node::Leaf(records) => {
                    self.leaf = records.iter();
                    return;
                }
                Node::Inner(children) => {
                    let mut rest = children.iter();
                    let Some(first) = rest.next() else { return };
                    self.path.push(rest);
                    node = &first.node;
                }
            }
        }
    }
}

impl<'a, R: Record> Iterator for Iter<'a, R> {
    type Item = &'a R;

    fn next(&mut self) -> Option<&'a R> {
        loop {
            if let Some(record) = self.leaf.next() {
                steps::count(1);
                return Some(record);
            }
            let next = loop {
                match self.path.last_mut()?.next() {
                    Some(child) => break child,
                    None => {
                        self.path.pop();
                    }
                }
            };
            self.descend(next);
        }
    }
}

fn search<R: Record>(records: &[R], key: R::Key) -> Result<usize, usize> {
    // Ascending work (deliveries, claims) nearly always goes to the end.
    match records.last() {
        Some(last) if last.key() < key => Err(records.len()),
        _ => records.binary_search_by(|r| r.key().cmp(&key)),
    }
}

/// Which child's subtree the key belongs to.
fn child_for<R: Record>(children: &[Child<R>], key: R::Key) -> usize {
    match children.last() {
        Some(last) if last.first <= key => children.len() - 1,
        _ => children
            .partition_point(|c| c.first <= key)
            .saturating_sub(1),
    }
}

impl<R: Record> Child<R> {
    fn summary(&self) -> R::Summary {
        self.summary
    }
}

/// The summary after the item at `at` was changed or went, when it was `before` till then. Looks at the items
/// behind `at` first: entries delivered together stand together, so the same summary is usually met at once.
fn summary_after<T, S: Summary>(items: &[T], at: usize, before: S, summary: impl Fn(&T) -> S) -> S {
    let (front, back) = items.split_at(at.min(items.len()));
    let mut found = S::NONE;
    for item in back.iter().chain(front) {
        found = found.join(summary(item));
        if found == before {
            // All but the changed item, the first one looked at, is in `before` already.
            break;
        }
    }
    found
}

fn summary_of<T, S: Summary>(items: &[T], summary: impl Fn(&T) -> S) -> S {
    items
        .iter()
        .fold(S::NONE, |all, item| all.join(summary(item)))
}

/// Puts `item` at `at` into a node that is full; gives the right half. At the very end the left
/// node stays full and the right one starts with the item alone: ascending keys leave no gaps.
fn split_full<T>(items: &mut Vec<T>, at: usize, item: T) -> Vec<T> {
    if at == items.len() {
        return vec![item];
    }
    let half = items.len() / 2;
    let mut right = items.split_off(half);
    if at <= half {
        items.insert(at, item);
    } else {
        right.insert(at - half, item);
    }
    right
}

/// After a removal below child `at`: drops it when empty, joins it with a neighbour when both fit.
fn join_around<R: Record>(children: &mut Vec<Child<R>>, at: usize) {
    let child = &children[at];
    if child.count == 0 {
        children.remove(at);
        return;
    }
    let length = child.node_length();
    if length > child.node_max() / 2 {
        return;
    }
    let fits =
        |other: Option<&Child<R>>| other.is_some_and(|o| o.node_length() + length <= o.node_max());
    let left = if fits(children.get(at + 1)) {
        at
    } else if at > 0 && fits(children.get(at - 1)) {
        at - 1
    } else {
        return;
    };
    let right = children.remove(left + 1);
    children[left].absorb(right);
}

impl<R: Record> Child<R> {
    fn node_length(&self) -> usize {
        match &*self.node {
            Node::Leaf(records) => records.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn node_max(&self) -> usize {
        match &*self.node {
            Node::Leaf(_) => LEAF_MAX,
            Node::Inner(_) => INNER_MAX,
        }
    }

    /// Takes over all of its right neighbour, a node of the same level.
    fn absorb(&mut self, right: Child<R>) {
        match (Arc::make_mut(&mut self.node), &*right.node) {
            (Node::Leaf(records), Node::Leaf(more)) => records.extend_from_slice(more),
            (Node::Inner(children), Node::Inner(more)) => children.extend_from_slice(more),
            _ => unreachable!("neighbours are nodes of one level"),
        }
        self.count += right.count;
        self.summary = self.summary.join(right.summary);
    }
}

/// Gives memory back when a node uses at most a quarter of it.
fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > SHRINK_ABOVE && items.len() * 4 <= items.capacity() {
        items.shrink_to(items.len() * 2);
    }
}

fn search_where<'a, R: Record>(
    node: &'a Node<R>,
    from: R::Key,
    holds: &impl Fn(R::Summary) -> bool,
) -> Option<&'a R> {
    steps::count(1);
    match node {
        Node::Leaf(records) => {
            let start = records.partition_point(|r| r.key() < from);
            records[start..].iter().find(|r| holds(r.summary()))
        }
        // Only the first of these subtrees can hold such a record and yet none from `from` on.
        Node::Inner(children) => children[child_for(children, from)..]
            .iter()
            .filter(|c| holds(c.summary))
            .find_map(|c| search_where(&c.node, from, holds)),
    }
}
