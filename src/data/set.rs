//! The set: members without order.

/// See the module's head.
#[derive(Clone, Debug)]
pub(crate) enum Set {}

impl Set {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        match *self {}
    }

    /// What OBJECT ENCODING replies.
    pub(crate) fn encoding(&self) -> &'static str {
        match *self {}
    }

    /// How many pieces of memory it is made of.
    pub(crate) fn part_count(&self) -> usize {
        match *self {}
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match *self {}
    }
}
