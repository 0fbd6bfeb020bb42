//! Walking over a list, from either side.
//!
//! A position is a chunk and an offset in it; each entry is decoded once.

use super::chunk::Packed;
use super::{Body, List, Node};
use crate::data::listpack::Element;

/// What a list has at a place in the row of its chunks.
#[derive(Clone, Copy)]
enum View<'a> {
    Packed(&'a Packed),
    Alone(&'a [u8]),
}

impl List {
    fn view(&self, node: usize) -> Option<View<'_>> {
        match &self.body {
            Body::Small(packed) => (node == 0).then_some(View::Packed(packed)),
            Body::Large(chunks) => chunks.nodes.get(node).map(|node| match node {
                Node::Open(packed) => View::Packed(packed),
                Node::Sealed(packed) => View::Packed(packed),
                Node::Alone(bytes) => View::Alone(bytes),
            }),
        }
    }

    fn view_count(&self) -> usize {
        match &self.body {
            Body::Small(_) => 1,
            Body::Large(chunks) => chunks.nodes.len(),
        }
    }

    /// Chunk and index in it of the element with this index, looked for from the nearer end.
    pub(super) fn locate(&self, index: usize) -> Option<(usize, usize)> {
        let len = self.len();
        if index >= len {
            return None;
        }
        let Body::Large(chunks) = &self.body else {
            return Some((0, index));
        };
        if index <= len / 2 {
            let mut left = index;
            for (node, chunk) in chunks.nodes.iter().enumerate() {
                if left < chunk.count() {
                    return Some((node, left));
                }
                left -= chunk.count();
            }
        } else {
            let mut left = len - index;
            let mut node = chunks.nodes.len();
            for chunk in chunks.nodes.iter().rev() {
                node -= 1;
                if left <= chunk.count() {
                    return Some((node, chunk.count() - left));
                }
                left -= chunk.count();
            }
        }
        None
    }
}

/// Elements towards the back.
#[derive(Clone)]
pub struct Forward<'a> {
    list: &'a List,
    view: Option<View<'a>>,
    node: usize,
    at: usize,
    left: usize,
}

impl<'a> Forward<'a> {
    pub(super) fn new(list: &'a List, start: usize, count: usize) -> Self {
        let left = count.min(list.len().saturating_sub(start));
        let (node, offset) = list.locate(start).unwrap_or_default();
        let view = list.view(node);
        let at = match view {
            Some(View::Packed(packed)) => packed.seek(offset),
            Some(View::Alone(_)) | None => 0,
        };
        Forward {
            list,
            view,
            node,
            at,
            left,
        }
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        loop {
            match self.view? {
                View::Packed(packed) if self.at < packed.end() => {
                    let (element, next) = packed.read(self.at);
                    self.at = next;
                    return Some(element);
                }
                View::Alone(bytes) if self.at == 0 => {
                    self.at = 1;
                    return Some(Element::Bytes(bytes));
                }
                View::Packed(_) | View::Alone(_) => {}
            }
            self.node += 1;
            self.view = self.list.view(self.node);
            self.at = match self.view {
                Some(View::Packed(packed)) => packed.first(),
                Some(View::Alone(_)) | None => 0,
            };
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Forward<'_> {}

/// Elements towards the front.
#[derive(Clone)]
pub struct Backward<'a> {
    list: &'a List,
    /// Chunks not yet begun, of those in front of the one at hand.
    nodes_left: usize,
    view: Option<View<'a>>,
    /// End of what is left of the chunk at hand.
    end: usize,
}

impl<'a> Backward<'a> {
    pub(super) fn new(list: &'a List) -> Self {
        Backward {
            list,
            nodes_left: list.view_count(),
            view: None,
            end: 0,
        }
    }
}

impl<'a> Iterator for Backward<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            match self.view {
                Some(View::Packed(packed)) if self.end > packed.first() => {
                    let (element, at) = packed.read_back(self.end);
                    self.end = at;
                    return Some(element);
                }
                Some(View::Alone(bytes)) if self.end == 1 => {
                    self.end = 0;
                    return Some(Element::Bytes(bytes));
                }
                _ => {}
            }
            self.nodes_left = self.nodes_left.checked_sub(1)?;
            self.view = self.list.view(self.nodes_left);
            self.end = match self.view {
                Some(View::Packed(packed)) => packed.end(),
                Some(View::Alone(_)) | None => 1,
            };
        }
    }
}
