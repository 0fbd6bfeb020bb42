//! The list: a deque of packed chunks.
//!
//! ```text
//! small  (`listpack`)   one chunk, in place
//! large  (`quicklist`)  | open | sealed | sealed | alone | … | open |
//! ```
//! A chunk holds entries in the listpack encoding up to `list-max-listpack-size`. Chunks at the ends are open: they have
//! room and are changed in place. Chunks between them are sealed: without spare room and behind an `Arc`, so that
//! a clone of a long list shares them (deque.rs), and a later change copies one chunk. An element too large for a chunk is alone.
//!
//! Where chunks are split and merged, and when a list changes between the two forms, follows Redis 7.2 exactly, because
//! OBJECT ENCODING shows it: a small list becomes large before it would exceed the limit ([`List::before_adding`]), a large one
//! becomes small when a single chunk at half of the limit is left ([`List::after_removing`]).
//!
//! Invariants: no chunk is empty; `len` is the sum of the chunks; chunks that are neither first nor last are sealed.
//! Not here: names of commands, negative indexes, timeouts.

mod chunk;
mod edit;
mod foreign;
mod iter;
mod share;

use std::sync::Arc;

use super::deque::SharedDeque;
use super::estimate;
use super::listpack::{Element, Entry};
use chunk::Packed;
pub use edit::Side;
pub(crate) use foreign::{Assembly, Chunk};
pub(crate) use iter::{Backward, Forward};
pub(crate) use share::{Share, SharedElement};

/// Largest packed chunk when `list-max-listpack-size` counts entries, bytes.
const SAFE_CHUNK_BYTES_MAX: usize = 8192;
/// What Redis assumes an entry takes besides its text, bytes.
const ENTRY_OVERHEAD_BYTES: usize = 8;

/// The settings that shape a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// `list-max-listpack-size`: -1 to -5 for chunks of 4, 8, 16, 32, 64 KB, else entries in a chunk.
    pub chunk_limit: i32,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD: from this size on an element is alone, bytes; 0: when it is larger than a chunk.
    pub packed_bytes_max: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        ListLimits {
            chunk_limit: -2,
            packed_bytes_max: 0,
        }
    }
}

/// The size limit in bytes, or the limit in entries.
#[derive(Clone, Copy)]
enum ChunkLimit {
    Bytes(usize),
    Entries(usize),
}

impl ListLimits {
    fn chunk(self) -> ChunkLimit {
        match self.chunk_limit {
            0 => ChunkLimit::Entries(1),
            count @ 1.. => ChunkLimit::Entries(count as usize),
            level => ChunkLimit::Bytes(4096 << (-1 - level.max(-5))),
        }
    }

    fn exceeded_by(self, listpack_bytes: usize, count: usize) -> bool {
        match self.chunk() {
            ChunkLimit::Bytes(max) => listpack_bytes > max,
            ChunkLimit::Entries(max) => listpack_bytes > SAFE_CHUNK_BYTES_MAX || count > max,
        }
    }

    /// Whether an element of this many bytes is alone in its chunk.
    fn is_large(self, bytes: usize) -> bool {
        if self.packed_bytes_max != 0 {
            return bytes >= self.packed_bytes_max;
        }
        match self.chunk() {
            ChunkLimit::Bytes(max) => bytes > max,
            ChunkLimit::Entries(_) => bytes > SAFE_CHUNK_BYTES_MAX,
        }
    }
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Left, index 0.
    Front,
    /// Right.
    Back,
}

/// One chunk of a large list.
#[derive(Clone)]
enum Node {
    /// At an end of the list, or just changed.
    Open(Packed),
    /// Between the ends.
    Sealed(Arc<Packed>),
    /// An element too large for a chunk.
    Alone(Arc<[u8]>),
}

impl Node {
    fn new(bytes: &[u8], large: bool) -> Self {
        if large {
            Node::Alone(bytes.into())
        } else {
            Node::Open(Packed::one(&Entry::new(bytes)))
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Node::Open(packed) => packed.heap_bytes(),
            Node::Sealed(packed) => {
                size_of::<Packed>() + 2 * size_of::<usize>() + packed.heap_bytes()
            }
            Node::Alone(bytes) => 2 * size_of::<usize>() + bytes.len(),
        }
    }

    #[inline]
    fn packed(&self) -> Option<&Packed> {
        match self {
            Node::Open(packed) => Some(packed),
            Node::Sealed(packed) => Some(packed),
            Node::Alone(_) => None,
        }
    }

    /// The chunk to change, not sealed any more; copied when a clone of the list shares it.
    #[inline]
    fn open(&mut self) -> Option<&mut Packed> {
        if let Node::Sealed(shared) = self {
            let packed = Arc::unwrap_or_clone(std::mem::take(shared));
            *self = Node::Open(packed);
        }
        match self {
            Node::Open(packed) => Some(packed),
            Node::Sealed(_) | Node::Alone(_) => None,
        }
    }

    fn seal(&mut self) {
        if let Node::Open(packed) = self {
            let mut packed = std::mem::take(packed);
            packed.shrink();
            *self = Node::Sealed(Arc::new(packed));
        }
    }

    fn count(&self) -> usize {
        self.packed().map_or(1, Packed::count)
    }

    fn accepts(&self, limits: ListLimits, bytes: usize) -> bool {
        self.packed().is_some_and(|packed| {
            !limits.is_large(bytes)
                && !limits.exceeded_by(
                    packed.listpack_bytes() + bytes + ENTRY_OVERHEAD_BYTES,
                    packed.count() + 1,
                )
        })
    }
}

/// A list in its large form.
#[derive(Clone)]
struct Chunks {
    nodes: SharedDeque<Node>,
    len: usize,
    /// `list-max-listpack-size` when the list became large: Redis goes on with it.
    chunk_limit: i32,
}

#[derive(Clone)]
enum Body {
    Small(Packed),
    Large(Box<Chunks>),
}

/// A list of byte strings. See the module's head.
#[derive(Clone)]
pub struct List {
    body: Body,
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl List {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        List {
            body: Body::Small(Packed::default()),
        }
    }

    /// Number of elements. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.body {
            Body::Small(packed) => packed.count(),
            Body::Large(chunks) => chunks.len,
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING replies: `listpack` or `quicklist`.
    #[must_use]
    pub(crate) fn encoding(&self) -> &'static str {
        match &self.body {
            Body::Small(_) => "listpack",
            Body::Large(_) => "quicklist",
        }
    }

    /// Bytes on the heap, shared chunks included. O(chunks).
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.body {
            Body::Small(packed) => packed.heap_bytes(),
            Body::Large(chunks) => {
                let nodes = chunks.nodes.iter().map(Node::heap_bytes);
                size_of::<Chunks>() + chunks.nodes.heap_bytes() + nodes.sum::<usize>()
            }
        }
    }

    /// As [`List::heap_bytes`], about. O(1).
    #[must_use]
    pub(crate) fn estimated_bytes(&self) -> usize {
        match &self.body {
            Body::Small(packed) => packed.heap_bytes(),
            Body::Large(chunks) => {
                let nodes = &chunks.nodes;
                let bytes_of = |at| nodes.get(at).map_or(0, Node::heap_bytes);
                nodes.heap_bytes() + estimate::sum_of(nodes.len(), bytes_of)
            }
        }
    }

    /// How many chunks a large list has, 0 for a small one (DEBUG OBJECT, `ql_nodes`).
    #[must_use]
    pub(crate) fn chunk_count(&self) -> usize {
        match &self.body {
            Body::Small(_) => 0,
            Body::Large(chunks) => chunks.nodes.len(),
        }
    }

    /// To be called before elements are added or one is replaced: makes a small list large when `count` elements of
    /// `bytes` in all would exceed the limit. One call for all elements of a command, as Redis decides.
    pub fn before_adding(&mut self, bytes: usize, count: usize, limits: &ListLimits) {
        if let Body::Small(packed) = &mut self.body
            && limits.exceeded_by(packed.listpack_bytes() + bytes, packed.count() + count)
        {
            let len = packed.count();
            let mut nodes = SharedDeque::default();
            if len > 0 {
                nodes.push_back(Node::Open(std::mem::take(packed)));
            }
            self.body = Body::Large(Box::new(Chunks {
                nodes,
                len,
                chunk_limit: limits.chunk_limit,
            }));
        }
    }

    /// To be called after elements were removed or one was replaced: makes a large list small when it has come down to
    /// half of the limit, so that a list at the limit does not change back and forth.
    pub fn after_removing(&mut self, limits: &ListLimits) {
        let Body::Large(chunks) = &mut self.body else {
            return;
        };
        if chunks.nodes.len() != 1 {
            return;
        }
        let Some(packed) = chunks.nodes.front_mut().and_then(Node::open) else {
            return;
        };
        let above = match limits.chunk() {
            ChunkLimit::Bytes(max) => packed.listpack_bytes() > max / 2,
            ChunkLimit::Entries(max) => packed.count() > max / 2,
        };
        if !above {
            self.body = Body::Small(std::mem::take(packed));
        }
    }

    /// Adds an element at an end. O(length of the element) amortised. See [`List::before_adding`].
    #[inline]
    pub fn push(&mut self, end: End, bytes: &[u8], limits: &ListLimits) {
        match &mut self.body {
            Body::Small(packed) if packed.count() == 0 && packed.heap_bytes() == 0 => {
                *packed = Packed::one(&Entry::new(bytes));
            }
            Body::Small(packed) => match end {
                End::Front => packed.push_front(&Entry::new(bytes)),
                End::Back => packed.push_back(&Entry::new(bytes)),
            },
            Body::Large(chunks) => chunks.push(end, bytes, limits),
        }
    }

    /// The element at an end.
    #[must_use]
    #[inline]
    pub fn peek(&self, end: End) -> Option<Element<'_>> {
        let packed = match &self.body {
            Body::Small(packed) => packed,
            Body::Large(chunks) => match chunks.node_at(end)? {
                Node::Open(packed) => packed,
                Node::Sealed(packed) => packed,
                Node::Alone(bytes) => return Some(Element::Bytes(bytes)),
            },
        };
        if packed.count() == 0 {
            return None;
        }
        Some(match end {
            End::Front => packed.read(packed.first()).0,
            End::Back => packed.read_back(packed.end()).0,
        })
    }

    /// Removes the element at an end; false when there is none. O(1) amortised. See [`List::after_removing`].
    #[inline]
    pub fn pop(&mut self, end: End) -> bool {
        let packed = match &mut self.body {
            Body::Large(chunks) => return chunks.pop(end),
            Body::Small(packed) => packed,
        };
        if packed.count() == 0 {
            return false;
        }
        match end {
            End::Front => packed.pop_front(),
            End::Back => packed.pop_back(),
        }
        true
    }

    /// The element with this index. O(chunks), from the nearer end.
    #[must_use]
    pub(crate) fn get(&self, index: usize) -> Option<Element<'_>> {
        self.range(index, 1).next()
    }

    /// All elements from the front.
    #[must_use]
    pub fn iter(&self) -> Forward<'_> {
        self.range(0, usize::MAX)
    }

    /// Up to `count` elements from index `start` on.
    #[must_use]
    pub(crate) fn range(&self, start: usize, count: usize) -> Forward<'_> {
        Forward::new(self, start, count)
    }

    /// All elements from the back.
    #[must_use]
    pub fn iter_back(&self) -> Backward<'_> {
        Backward::new(self)
    }
}

impl Chunks {
    fn limits(&self, limits: &ListLimits) -> ListLimits {
        ListLimits {
            chunk_limit: self.chunk_limit,
            ..*limits
        }
    }

    fn node_at(&self, end: End) -> Option<&Node> {
        match end {
            End::Front => self.nodes.front(),
            End::Back => self.nodes.back(),
        }
    }

    #[inline]
    fn push(&mut self, end: End, bytes: &[u8], limits: &ListLimits) {
        let limits = self.limits(limits);
        self.len += 1;
        let outer = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        };
        if let Some(outer) = outer
            && outer.accepts(limits, bytes.len())
            && let Some(packed) = outer.open()
        {
            let entry = Entry::new(bytes);
            match end {
                End::Front => packed.push_front(&entry),
                End::Back => packed.push_back(&entry),
            }
            return;
        }
        let node = Node::new(bytes, limits.is_large(bytes.len()));
        let last = self.nodes.len();
        match end {
            End::Front => self.nodes.push_front(node),
            End::Back => self.nodes.push_back(node),
        }
        // What was the outer chunk now lies between, unless it is the only other one.
        if last > 1 {
            let inner = if end == End::Front { 1 } else { last - 1 };
            self.nodes[inner].seal();
        }
    }

    #[inline]
    fn pop(&mut self, end: End) -> bool {
        let outer = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        };
        let Some(outer) = outer else { return false };
        self.len -= 1;
        if outer.count() > 1
            && let Some(packed) = outer.open()
        {
            match end {
                End::Front => packed.pop_front(),
                End::Back => packed.pop_back(),
            }
            return true;
        }
        match end {
            End::Front => drop(self.nodes.pop_front()),
            End::Back => drop(self.nodes.pop_back()),
        }
        true
    }
}

#[cfg(test)]
mod tests;
