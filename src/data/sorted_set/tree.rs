//! The order of a large sorted set: a B+tree that counts.
//!
//! ```text
//!            ┌ count 412 │ from (7, "")  count 388 │ from (9, "b")  count 395 ┐   inner node
//!            ▼           ▼                         ▼
//!          leaf        leaf                      leaf                            entries by (score, member)
//! ```
//! A child's beginning is the shortest place that is above all in front of it and not above its first entry: mostly the score
//! alone. The beginning of the first child is not looked at. Counts make ranks and ranges O(log n).
//!
//! Nodes are shared by clones; a change copies those on its path that somebody else has too. Rising (and falling) scores
//! fill leaves whole, since the last (first) leaf is not halved when it overflows at its end.
//!
//! Invariants: no leaf is empty but the only one, a root is no inner node with one child. A leaf of several entries has at most
//! twice [`LEAF_BYTES_MAX`]; a member too long for that is alone.

use std::ops::Range;
use std::sync::Arc;

use super::edge::Edge;
use super::leaf::{ENTRY_BYTES, Leaf};

/// Bytes from which on a leaf is cut in two.
const LEAF_BYTES_MAX: usize = 4096;
/// Children from which on an inner node is cut in two.
const CHILDREN_MAX: usize = 96;

/// See the module's head.
#[derive(Clone)]
pub(super) struct Tree {
    root: Node,
    len: usize,
    leaf_count: usize,
}

#[derive(Clone)]
enum Node {
    Leaf(Arc<Leaf>),
    Inner(Arc<Inner>),
}

/// What is known of the children, each in a list of its own: a search reads few bytes.
#[derive(Clone, Default)]
struct Inner {
    /// Beginnings: their scores …
    scores: Vec<f64>,
    /// … and members.
    members: Vec<Box<[u8]>>,
    /// Entries below each child.
    counts: Vec<usize>,
    children: Vec<Node>,
}

/// A node that belongs behind another, with its beginning.
struct Sibling {
    score: f64,
    member: Box<[u8]>,
    count: usize,
    node: Node,
}

/// Where a node lies among those of its depth.
#[derive(Clone, Copy)]
struct Place {
    is_first: bool,
    is_last: bool,
}

/// What is to be removed.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// So many entries from a rank on, as far as they lie in one leaf.
    Run { rank: usize, count: usize },
    /// One entry.
    Entry { score: f64, member: &'a [u8] },
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            root: Node::Leaf(Arc::default()),
            len: 0,
            leaf_count: 1,
        }
    }
}

impl Tree {
    /// How many entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many leaves.
    pub(super) fn leaf_count(&self) -> usize {
        self.leaf_count
    }

    /// Bytes on the heap. O(leaves).
    pub(super) fn heap_bytes(&self) -> usize {
        self.root.heap_bytes()
    }

    /// Adds an entry that is not there. O(log n).
    pub(super) fn insert(&mut self, score: f64, member: &[u8]) {
        let place = Place {
            is_first: true,
            is_last: true,
        };
        let siblings = self.root.insert(score, member, place, &mut self.leaf_count);
        self.len += 1;
        if siblings.is_empty() {
            return;
        }
        let behind: usize = siblings.iter().map(|sibling| sibling.count).sum();
        let old = std::mem::replace(&mut self.root, Node::Leaf(Arc::default()));
        let mut inner = Inner::default();
        inner.push(Sibling {
            score: f64::NEG_INFINITY,
            member: Box::default(),
            count: self.len - behind,
            node: old,
        });
        siblings.into_iter().for_each(|sibling| inner.push(sibling));
        self.root = Node::Inner(Arc::new(inner));
    }

    /// Removes an entry; false when it is not there. O(log n).
    pub(super) fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        self.remove_target(Target::Entry { score, member }) > 0
    }

    /// Removes entries from a rank on, `count` at most and as many as one leaf holds; gives how many. O(log n).
    pub(super) fn remove_run(&mut self, rank: usize, count: usize) -> usize {
        self.remove_target(Target::Run { rank, count })
    }

    fn remove_target(&mut self, target: Target<'_>) -> usize {
        let removed = self.root.remove(target, &mut self.leaf_count);
        self.len -= removed;
        while let Node::Inner(inner) = &mut self.root {
            match inner.children.len() {
                0 => {
                    self.root = Node::Leaf(Arc::default());
                    self.leaf_count = 1;
                }
                1 => self.root = inner.children[0].clone(),
                _ => break,
            }
        }
        removed
    }

    /// How many entries lie in front of an edge. O(log n).
    pub(super) fn before(&self, edge: &Edge<'_>) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => return rank + leaf.before(edge),
                Node::Inner(inner) => {
                    let child = inner.route(edge);
                    rank += inner.counts[..child].iter().sum::<usize>();
                    node = &inner.children[child];
                }
            }
        }
    }

    /// The leaf of a rank, and where in it. O(log n).
    fn locate(&self, mut rank: usize) -> (&Leaf, usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, rank),
                Node::Inner(inner) => {
                    let child = inner.child_of(&mut rank);
                    node = &inner.children[child];
                }
            }
        }
    }

    /// The entry of a rank, which there is. O(log n).
    pub(super) fn at(&self, rank: usize) -> (f64, &[u8]) {
        let (leaf, index) = self.locate(rank);
        (leaf.score(index), leaf.member(index))
    }

    /// Entries of these ranks, from both ends.
    pub(super) fn range(&self, ranks: Range<usize>) -> Entries<'_> {
        let ranks = ranks.start..ranks.end.min(self.len);
        Entries {
            tree: self,
            front: Run::default(),
            back: Run::default(),
            ranks,
        }
    }
}

/// A leaf that is being read, and the rank of its first entry.
#[derive(Clone, Copy, Default)]
struct Run<'t> {
    leaf: Option<&'t Leaf>,
    first: usize,
}

impl<'t> Run<'t> {
    /// The entry of a rank, if this leaf has it.
    fn get(&self, rank: usize) -> Option<(f64, &'t [u8])> {
        let leaf = self.leaf?;
        let index = rank.checked_sub(self.first)?;
        (index < leaf.len()).then(|| (leaf.score(index), leaf.member(index)))
    }

    /// The entry of a rank, and from here on its leaf.
    fn read(&mut self, tree: &'t Tree, rank: usize) -> (f64, &'t [u8]) {
        if let Some(entry) = self.get(rank) {
            return entry;
        }
        let (leaf, index) = tree.locate(rank);
        *self = Self {
            leaf: Some(leaf),
            first: rank - index,
        };
        (leaf.score(index), leaf.member(index))
    }
}

/// Entries in order. Amortised O(1) each.
#[derive(Clone)]
pub(crate) struct Entries<'t> {
    tree: &'t Tree,
    front: Run<'t>,
    back: Run<'t>,
    ranks: Range<usize>,
}

impl<'t> Iterator for Entries<'t> {
    type Item = (f64, &'t [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next()?;
        Some(self.front.read(self.tree, rank))
    }
}

impl DoubleEndedIterator for Entries<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next_back()?;
        Some(self.back.read(self.tree, rank))
    }
}

impl Node {
    fn heap_bytes(&self) -> usize {
        match self {
            // Two counters in front of what an Arc holds.
            Self::Leaf(leaf) => 2 * size_of::<usize>() + size_of::<Leaf>() + leaf.heap_bytes(),
            Self::Inner(inner) => {
                let members = inner.members.iter().map(|member| member.len());
                2 * size_of::<usize>()
                    + size_of::<Inner>()
                    + inner.scores.capacity() * size_of::<f64>()
                    + inner.members.capacity() * size_of::<Box<[u8]>>()
                    + inner.counts.capacity() * size_of::<usize>()
                    + inner.children.capacity() * size_of::<Node>()
                    + members.sum::<usize>()
                    + inner.children.iter().map(Self::heap_bytes).sum::<usize>()
            }
        }
    }

    /// Adds an entry; gives what no longer has room in this node.
    fn insert(
        &mut self,
        score: f64,
        member: &[u8],
        place: Place,
        leaf_count: &mut usize,
    ) -> Vec<Sibling> {
        match self {
            Self::Leaf(leaf) => {
                let siblings = insert_into_leaf(Arc::make_mut(leaf), score, member, place);
                *leaf_count += siblings.len();
                siblings
            }
            Self::Inner(inner) => {
                let inner = Arc::make_mut(inner);
                let child = inner.route(&Edge::After(score, member));
                let is_last = place.is_last && child + 1 == inner.children.len();
                let below = Place {
                    is_first: place.is_first && child == 0,
                    is_last,
                };
                let siblings = inner.children[child].insert(score, member, below, leaf_count);
                inner.counts[child] += 1;
                for (offset, sibling) in siblings.into_iter().enumerate() {
                    inner.counts[child] -= sibling.count;
                    inner.insert(child + 1 + offset, sibling);
                }
                inner.overflow(is_last)
            }
        }
    }

    /// Removes entries; gives how many.
    fn remove(&mut self, target: Target<'_>, leaf_count: &mut usize) -> usize {
        match self {
            Self::Leaf(leaf) => {
                let (index, count) = match target {
                    Target::Run { rank, count } => (rank, count.min(leaf.len() - rank)),
                    Target::Entry { score, member } => {
                        let index = leaf.before(&Edge::Before(score, member));
                        let is_there = index < leaf.len()
                            && leaf.score(index) == score
                            && leaf.member(index) == member;
                        (index, usize::from(is_there))
                    }
                };
                if count > 0 {
                    Arc::make_mut(leaf).remove(index, count);
                }
                count
            }
            Self::Inner(inner) => {
                let inner = Arc::make_mut(inner);
                let (child, target) = match target {
                    Target::Run { mut rank, count } => {
                        let child = inner.child_of(&mut rank);
                        (child, Target::Run { rank, count })
                    }
                    Target::Entry { score, member } => {
                        (inner.route(&Edge::After(score, member)), target)
                    }
                };
                let removed = inner.children[child].remove(target, leaf_count);
                inner.counts[child] -= removed;
                inner.mend(child, leaf_count);
                removed
            }
        }
    }

    /// Whether it has so little in it that it should join another.
    fn is_small(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.bytes_len() < LEAF_BYTES_MAX / 4,
            Self::Inner(inner) => inner.children.len() < CHILDREN_MAX / 4,
        }
    }

    /// Whether what is in both has room in one, far from where it would be cut again.
    fn may_join(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(left), Self::Leaf(right)) => {
                left.bytes_len() + right.bytes_len() <= LEAF_BYTES_MAX * 3 / 4
            }
            (Self::Inner(left), Self::Inner(right)) => {
                left.children.len() + right.children.len() <= CHILDREN_MAX * 3 / 4
            }
            _ => false,
        }
    }

    /// Takes over what is in the node behind it, whose beginning is known.
    fn join(&mut self, right: Sibling) {
        match (self, right.node) {
            (Self::Leaf(left), Node::Leaf(right)) => Arc::make_mut(left).append(&right, 0),
            (Self::Inner(left), Node::Inner(mut node)) => {
                let (left, node) = (Arc::make_mut(left), Arc::make_mut(&mut node));
                if let Some(score) = node.scores.first_mut() {
                    *score = right.score;
                    node.members[0] = right.member;
                }
                left.scores.append(&mut node.scores);
                left.members.append(&mut node.members);
                left.counts.append(&mut node.counts);
                left.children.append(&mut node.children);
            }
            _ => unreachable!("all leaves have the same depth"),
        }
    }
}

impl Inner {
    fn push(&mut self, sibling: Sibling) {
        self.insert(self.children.len(), sibling);
    }

    fn insert(&mut self, at: usize, sibling: Sibling) {
        self.scores.insert(at, sibling.score);
        self.members.insert(at, sibling.member);
        self.counts.insert(at, sibling.count);
        self.children.insert(at, sibling.node);
    }

    fn remove(&mut self, at: usize) -> Sibling {
        Sibling {
            score: self.scores.remove(at),
            member: self.members.remove(at),
            count: self.counts.remove(at),
            node: self.children.remove(at),
        }
    }

    /// The child in which an edge lies: the last one that begins in front of it.
    fn route(&self, edge: &Edge<'_>) -> usize {
        let (mut low, mut high) = (1, self.children.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if edge.is_behind(self.scores[middle], || &self.members[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - 1
    }

    /// The child of a rank, which becomes the rank in it.
    fn child_of(&self, rank: &mut usize) -> usize {
        let last = self.children.len() - 1;
        for (child, count) in self.counts[..last].iter().enumerate() {
            if *rank < *count {
                return child;
            }
            *rank -= count;
        }
        last
    }

    /// What no longer has room in it.
    fn overflow(&mut self, is_last: bool) -> Vec<Sibling> {
        let len = self.children.len();
        if len <= CHILDREN_MAX {
            return Vec::new();
        }
        // At the end of rising scores nothing more comes in front.
        let at = if is_last { len - 1 } else { len / 2 };
        let mut right = Self {
            scores: self.scores.split_off(at),
            members: self.members.split_off(at),
            counts: self.counts.split_off(at),
            children: self.children.split_off(at),
        };
        vec![Sibling {
            score: right.scores[0],
            member: std::mem::take(&mut right.members[0]),
            count: right.counts.iter().sum(),
            node: Node::Inner(Arc::new(right)),
        }]
    }

    /// After a removal from a child: it goes when it is empty, and joins a neighbour when it is small.
    fn mend(&mut self, child: usize, leaf_count: &mut usize) {
        let is_leaf = matches!(self.children[child], Node::Leaf(_));
        if self.counts[child] == 0 {
            self.remove(child);
            *leaf_count -= usize::from(is_leaf);
            return;
        }
        if !self.children[child].is_small() {
            return;
        }
        let neighbours = [child.checked_sub(1), Some(child)];
        for left in neighbours.into_iter().flatten() {
            let Some([first, second]) = self.children.get(left..left + 2) else {
                continue;
            };
            if first.may_join(second) {
                let right = self.remove(left + 1);
                self.counts[left] += right.count;
                self.children[left].join(right);
                *leaf_count -= usize::from(is_leaf);
                return;
            }
        }
    }
}

/// Adds an entry to a leaf; gives the leaves behind it when it was too full.
fn insert_into_leaf(leaf: &mut Leaf, score: f64, member: &[u8], place: Place) -> Vec<Sibling> {
    let index = leaf.before(&Edge::Before(score, member));
    let bytes = ENTRY_BYTES + member.len();
    if leaf.len() == 0 || leaf.bytes_len() + bytes <= LEAF_BYTES_MAX {
        leaf.insert(index, score, member);
        return Vec::new();
    }
    let is_long = bytes > LEAF_BYTES_MAX / 2;
    let is_alone = leaf.len() == 1 && leaf.bytes_len() > LEAF_BYTES_MAX / 2;
    let is_at_end = place.is_last && index == leaf.len() || place.is_first && index == 0;
    let mut parts = Vec::with_capacity(3);
    if is_long || is_alone || is_at_end {
        let right = leaf.split_off(index);
        parts = vec![std::mem::take(leaf), Leaf::of(score, member), right];
        parts.retain(|part| part.len() > 0);
    } else {
        let middle = leaf.middle();
        let mut right = leaf.split_off(middle);
        if index <= middle {
            leaf.insert(index, score, member);
        } else {
            right.insert(index - middle, score, member);
        }
        parts.extend([std::mem::take(leaf), right]);
    }
    let mut siblings = Vec::with_capacity(parts.len() - 1);
    for pair in parts.windows(2) {
        siblings.push(beginning(&pair[0], &pair[1]));
    }
    let mut parts = parts.into_iter();
    *leaf = parts.next().unwrap_or_default();
    let nodes = parts.map(|part| (part.len(), Node::Leaf(Arc::new(part))));
    let siblings = siblings.into_iter().zip(nodes);
    siblings
        .map(|((score, member), (count, node))| Sibling {
            score,
            member,
            count,
            node,
        })
        .collect()
}

/// The shortest beginning of `right` that is above all of `left`.
fn beginning(left: &Leaf, right: &Leaf) -> (f64, Box<[u8]>) {
    let (score, member) = (right.score(0), right.member(0));
    let last = left.len() - 1;
    if left.score(last) < score {
        return (score, Box::default());
    }
    let before = left.member(last);
    let same = before.iter().zip(member).take_while(|(a, b)| a == b);
    let len = (same.count() + 1).min(member.len());
    (score, member[..len].into())
}

#[cfg(test)]
impl Tree {
    /// Panics where an invariant does not hold.
    pub(super) fn check(&self) {
        let leaves = self.root.check(None, None);
        assert_eq!(self.root.len(), self.len);
        assert_eq!(leaves, self.leaf_count);
        if let Node::Inner(inner) = &self.root {
            assert!(inner.children.len() > 1, "a root with one child");
        }
    }
}

#[cfg(test)]
impl Node {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Inner(inner) => inner.children.iter().map(Self::len).sum(),
        }
    }

    /// Looks at everything between two beginnings; gives how many leaves there are.
    fn check(&self, from: Option<(f64, &[u8])>, to: Option<(f64, &[u8])>) -> usize {
        let inner = match self {
            Self::Leaf(leaf) => {
                let is_long = leaf.bytes_len() > 2 * LEAF_BYTES_MAX;
                assert!(leaf.len() == 1 || !is_long, "too much in a leaf");
                let entries: Vec<_> = (0..leaf.len())
                    .map(|index| (leaf.score(index), leaf.member(index)))
                    .collect();
                assert!(entries.is_sorted());
                let is_inside = |entry: &(f64, &[u8])| {
                    from.is_none_or(|from| from <= *entry) && to.is_none_or(|to| *entry < to)
                };
                assert!(entries.iter().all(is_inside), "an entry out of place");
                return 1;
            }
            Self::Inner(inner) => inner,
        };
        let children = inner.children.len();
        let lists = [inner.scores.len(), inner.members.len(), inner.counts.len()];
        assert_eq!(lists, [children; 3]);
        let begins = |child: usize| Some((inner.scores[child], &*inner.members[child]));
        let mut leaves = 0;
        for child in 0..children {
            assert!(inner.counts[child] > 0, "an empty child");
            assert_eq!(inner.counts[child], inner.children[child].len());
            let from = if child == 0 { from } else { begins(child) };
            let to = if child + 1 == children {
                to
            } else {
                begins(child + 1)
            };
            leaves += inner.children[child].check(from, to);
        }
        leaves
    }
}
