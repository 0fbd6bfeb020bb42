//! The arguments of one request: borrowed while it runs where it was read, owned when it waits.
//!
//! ```text
//! buffer   *3\r\n$4\r\nXLEN\r\n$1\r\ns\r\n
//! ranges              ^^^^        ^          start and length of each argument
//! ```

use bytes::Bytes;
use smallvec::SmallVec;

/// Where an argument lies in the buffer of its request. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentRange {
    /// Offset of the first byte.
    pub(crate) start: u32,
    /// Length.
    pub(crate) len: u32,
}

/// The arguments of a request, the command's name first.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buffer: &'a [u8],
    ranges: &'a [ArgumentRange],
}

impl<'a> Args<'a> {
    /// Arguments that lie at `ranges` of `buffer`.
    pub(crate) const fn new(buffer: &'a [u8], ranges: &'a [ArgumentRange]) -> Self {
        Self { buffer, ranges }
    }

    /// How many, the name included.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Argument `index`; empty when there is none, which the arity check rules out for the required ones.
    pub(crate) fn at(&self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    /// Argument `index`, if there.
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let range = self.ranges.get(index)?;
        self.buffer
            .get(range.start as usize..range.start as usize + range.len as usize)
    }

    /// The arguments from `index` on.
    pub(crate) fn from(
        &self,
        index: usize,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let buffer = self.buffer;
        let ranges = self.ranges.get(index..).unwrap_or_default();
        ranges.iter().map(move |range| {
            buffer
                .get(range.start as usize..range.start as usize + range.len as usize)
                .unwrap_or_default()
        })
    }

    /// All arguments.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        self.from(0)
    }

    /// Bytes of all arguments together.
    pub(crate) fn byte_count(&self) -> usize {
        self.ranges.iter().map(|range| range.len as usize).sum()
    }

    /// Appends the bytes of all arguments, in one piece, and where they lie in it. Arguments lie in their order in a buffer.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>, ranges: &mut Vec<ArgumentRange>) {
        let (Some(first), Some(last)) = (self.ranges.first(), self.ranges.last()) else {
            return;
        };
        let end = last.start as usize + last.len as usize;
        let piece = self.buffer.get(first.start as usize..end);
        bytes.extend_from_slice(piece.unwrap_or_default());
        ranges.extend(self.ranges.iter().map(|range| ArgumentRange {
            start: range.start - first.start,
            len: range.len,
        }));
    }

    /// An owned copy.
    pub(crate) fn to_request(self) -> Request {
        Request::from_arguments(self.iter())
    }
}

impl std::fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(String::from_utf8_lossy))
            .finish()
    }
}

/// A request that owns its bytes: in a MULTI queue, in a wait table, kept by its connection. Cloning shares the bytes.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Bytes,
    ranges: SmallVec<[ArgumentRange; 6]>,
}

impl Request {
    /// Copies arguments together.
    pub(crate) fn from_arguments<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut bytes = Vec::new();
        let mut ranges = SmallVec::new();
        for argument in arguments {
            ranges.push(ArgumentRange {
                start: bytes.len() as u32,
                len: argument.len() as u32,
            });
            bytes.extend_from_slice(argument);
        }
        Self {
            bytes: bytes.into(),
            ranges,
        }
    }

    /// Its arguments.
    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges)
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.args().fmt(f)
    }
}
