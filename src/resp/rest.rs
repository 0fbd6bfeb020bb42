//! Parts of a long reply that are not bytes of its own: bytes that others hold too, and elements encoded when they leave.
//!
//! ```text
//! reply   own bytes │ shared value │ own bytes │ rest: elements, by a share of what they lie in │ own bytes
//!                                                └─► encoded slice by slice, as the socket takes them
//! ```
//! So a command that gives a hundred thousand elements costs its shard no more than the first of them at once, and who
//! does not read them holds the share, not their text. The share is what they were when the command ran.
//!
//! The length of a rest is an estimate by those of its elements that are encoded: only limits and statistics ask for it.

use std::fmt;

use bytes::Bytes;

use crate::limits::REPLY_SLICE_BYTES;

use super::Protocol;
use super::reply::Reply;

/// A rest does not say that it is longer, bytes: whatever limit there is has been passed.
const ESTIMATE_MAX: usize = 1 << 40;

/// Elements at the end of a container whose head is written. Both protocol versions write them the same.
pub(crate) trait Elements: Send {
    /// Writes the next elements: at least one, then as many as it takes for the reply to be `end` long, or all.
    fn write_next(&mut self, reply: &mut Reply, end: usize);

    /// How many are left.
    fn left(&self) -> usize;
}

/// Elements of a reply that are not encoded yet: at least one.
pub(crate) struct Rest {
    elements: Box<dyn Elements>,
    /// Of those encoded: bytes, and how many.
    encoded: (u64, u64),
}

impl Rest {
    /// Encodes the first slice at the end of `reply`; `None` when nothing is left then.
    pub(super) fn begin(elements: Box<dyn Elements>, reply: &mut Reply) -> Option<Self> {
        let mut rest = Self {
            elements,
            encoded: (0, 0),
        };
        rest.encode(reply);
        (!rest.is_over()).then_some(rest)
    }

    /// The next slice.
    pub(crate) fn next_slice(&mut self) -> Vec<Piece> {
        let mut reply = Reply::new(Protocol::default());
        reply.set_slices(true);
        reply.reserve(REPLY_SLICE_BYTES + REPLY_SLICE_BYTES / 4);
        self.encode(&mut reply);
        reply.take_pieces()
    }

    fn encode(&mut self, reply: &mut Reply) {
        let (from, left) = (reply.len(), self.elements.left());
        self.elements.write_next(reply, from + REPLY_SLICE_BYTES);
        let written = left - self.elements.left();
        debug_assert!(written > 0, "a slice without an element");
        self.encoded.0 += (reply.len() - from) as u64;
        self.encoded.1 += written as u64;
    }

    /// Whether all is encoded.
    pub(crate) fn is_over(&self) -> bool {
        self.elements.left() == 0
    }

    /// How long it will be, bytes; above 0 as long as something is left.
    pub(crate) fn estimated_bytes(&self) -> usize {
        let (bytes, count) = self.encoded;
        let left = self.elements.left();
        let estimate = left.saturating_mul((bytes / count.max(1)).max(1) as usize);
        // Far from what a sum of many could not hold.
        estimate.min(ESTIMATE_MAX)
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({} elements)", self.elements.left())
    }
}

/// A part of a reply, in its order.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Bytes, its own or also somebody else's.
    Bytes(Bytes),
    /// See [`Rest`].
    Rest(Rest),
}

impl Piece {
    /// How long it is, or will be.
    pub(crate) fn estimated_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Rest(rest) => rest.estimated_bytes(),
        }
    }
}
