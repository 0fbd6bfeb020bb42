//! A file that is sent as it is: a copy of all data, for who has asked for one.
//!
//! It is read when there is room for it, a piece at a time: however slow its reader, and however many there are, memory has one piece
//! for each. Nothing else writes to it, and it has no name any more: it is gone when nobody sends it.

use std::fmt;
use std::io::{self, Read};

use crate::limits::STORED_PIECE_BYTES;

/// What is left of it.
pub struct Stored {
    file: Box<dyn Read + Send>,
    bytes_left: u64,
}

impl Stored {
    /// So many bytes of a file, from where it stands.
    pub(crate) fn new(file: Box<dyn Read + Send>, bytes: u64) -> Self {
        Self {
            file,
            bytes_left: bytes,
        }
    }

    /// Bytes not given yet.
    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_left
    }

    /// Whether all was given.
    pub(super) fn is_over(&self) -> bool {
        self.bytes_left == 0
    }

    /// The next piece; empty when all was given.
    ///
    /// # Errors
    /// Those of the system; `UnexpectedEof` when the file is shorter than was said.
    pub(super) fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.bytes_left).unwrap_or(usize::MAX);
        let mut piece = vec![0; left.min(STORED_PIECE_BYTES)];
        self.file.read_exact(&mut piece)?;
        self.bytes_left -= piece.len() as u64;
        Ok(piece)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Stored");
        shown.field("bytes_left", &self.bytes_left);
        shown.finish_non_exhaustive()
    }
}
