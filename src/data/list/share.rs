//! A share of a part of a list: what it was when the share was taken, whatever becomes of the list.
//!
//! Sealed chunks are shared, those at the ends copied. Chunks that were read are given back one by one.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Body, List, Node};
use crate::data::listpack::Element;

/// Elements of a list, to be read in order. See the module's head.
pub(crate) struct Share {
    nodes: VecDeque<Node>,
    /// Where the next element lies in the first chunk.
    at: usize,
    left: usize,
}

/// One element.
#[derive(Clone, Copy)]
pub(crate) enum SharedElement<'s> {
    /// In a chunk with others.
    Packed(Element<'s>),
    /// Alone, and as large as that.
    Alone(&'s Arc<[u8]>),
}

impl List {
    /// A share of up to `count` elements from index `start` on. O(chunks).
    #[must_use]
    pub(crate) fn share(&self, start: usize, count: usize) -> Share {
        let left = count.min(self.len().saturating_sub(start));
        let Some((node, index)) = self.locate(start).filter(|_| left > 0) else {
            return Share {
                nodes: VecDeque::new(),
                at: 0,
                left: 0,
            };
        };
        let mut nodes = VecDeque::new();
        match &self.body {
            Body::Small(packed) => nodes.push_back(Node::Open(packed.clone())),
            Body::Large(chunks) => {
                let mut covered = 0;
                for node in chunks.nodes.range(node..chunks.nodes.len()) {
                    if covered >= index + left {
                        break;
                    }
                    covered += node.count();
                    nodes.push_back(node.clone());
                }
            }
        }
        let first = nodes.front().and_then(Node::packed);
        let at = first.map_or(0, |packed| packed.seek(index));
        Share { nodes, at, left }
    }
}

impl Share {
    /// Elements not read yet.
    #[must_use]
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Reads elements until `take` says that it is enough, or there are no more.
    pub(crate) fn read(&mut self, mut take: impl FnMut(SharedElement<'_>) -> bool) {
        while self.left > 0
            && let Some(node) = self.nodes.front()
        {
            let mut enough = false;
            let is_read = match node {
                Node::Open(_) | Node::Sealed(_) => {
                    let Some(packed) = node.packed() else { return };
                    while self.left > 0 && !enough && self.at < packed.end() {
                        let (element, next) = packed.read(self.at);
                        (self.at, self.left) = (next, self.left - 1);
                        enough = take(SharedElement::Packed(element));
                    }
                    self.at == packed.end()
                }
                Node::Alone(bytes) => {
                    self.left -= 1;
                    enough = take(SharedElement::Alone(bytes));
                    true
                }
            };
            if is_read {
                self.nodes.pop_front();
                let next = self.nodes.front().and_then(Node::packed);
                self.at = next.map_or(0, |packed| packed.first());
            }
            if enough {
                return;
            }
        }
    }
}
