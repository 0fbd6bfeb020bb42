//! Lists to and from files: chunk by chunk, as Redis' quicklists have them.

use std::sync::Arc;

use super::chunk::Packed;
use super::{Body, Chunks, List, ListLimits, Node};
use crate::data::listpack::{CorruptListpack, Listpack};

/// One chunk of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk<'l> {
    /// The entries of a listpack, without its header and terminator.
    Packed {
        /// They.
        entries: &'l [u8],
        /// How many.
        count: usize,
    },
    /// An element too large for a chunk with others.
    Alone(&'l [u8]),
}

impl List {
    /// The chunks of the list, in order; a small list is one.
    pub(crate) fn chunks(&self) -> Box<dyn ExactSizeIterator<Item = Chunk<'_>> + '_> {
        fn packed(packed: &Packed) -> Chunk<'_> {
            Chunk::Packed {
                entries: packed.entries(),
                count: packed.count(),
            }
        }
        match &self.body {
            Body::Small(only) => Box::new(std::iter::once(packed(only))),
            Body::Large(chunks) => {
                let chunks = chunks.nodes.iter().map(|node| match node {
                    Node::Open(chunk) => packed(chunk),
                    Node::Sealed(chunk) => packed(chunk),
                    Node::Alone(bytes) => Chunk::Alone(bytes),
                });
                Box::new(chunks.collect::<Vec<_>>().into_iter())
            }
        }
    }
}

/// Puts a list together from chunks as files have them.
#[derive(Default)]
pub(crate) struct Assembly {
    nodes: std::collections::VecDeque<Node>,
    len: usize,
}

impl Assembly {
    /// Adds a listpack; an empty one is nothing.
    ///
    /// # Errors
    /// [`CorruptListpack`] when it is none.
    pub(crate) fn add_listpack(&mut self, bytes: &[u8]) -> Result<(), CorruptListpack> {
        let pack = Listpack::from_bytes(bytes.to_vec())?;
        let count = pack.len();
        if count > 0 {
            self.seal_last();
            let chunk = Packed::of_listpack(pack.bytes(), count);
            self.nodes.push_back(Node::Open(chunk));
            self.len += count;
        }
        Ok(())
    }

    /// Adds an element that is a chunk by itself.
    pub(crate) fn add_alone(&mut self, bytes: &[u8]) {
        self.seal_last();
        self.nodes.push_back(Node::Alone(Arc::from(bytes)));
        self.len += 1;
    }

    /// What was the last chunk lies between others, unless it is the first.
    fn seal_last(&mut self) {
        if self.nodes.len() > 1
            && let Some(last) = self.nodes.back_mut()
        {
            last.seal();
        }
    }

    /// The list. Redis: one chunk that is not too large makes a small one.
    pub(crate) fn finish(mut self, limits: &ListLimits) -> List {
        if self.nodes.len() <= 1 {
            match self.nodes.pop_front() {
                None => return List::new(),
                Some(Node::Open(packed))
                    if !limits.exceeded_by(packed.listpack_bytes(), packed.count()) =>
                {
                    return List {
                        body: Body::Small(packed),
                    };
                }
                Some(node) => self.nodes.push_back(node),
            }
        }
        List {
            body: Body::Large(Box::new(Chunks {
                nodes: self.nodes.into_iter().collect(),
                len: self.len,
                chunk_limit: limits.chunk_limit,
            })),
        }
    }
}
