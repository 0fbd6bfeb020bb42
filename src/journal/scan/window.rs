//! A file as a window that moves over it: pieces that fit a processor's cache, more only for an entry that is larger.

use std::io::{self, Read};

use super::entry::{self, Entry, Kind};
use crate::resp::arguments::ArgumentRange;

/// Bytes read at once.
const PIECE_BYTES: usize = 128 * 1024;

/// Part of a file in memory, and the entry at its beginning.
pub(super) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Passed, and not yet given to [`Window::passed`].
    held: usize,
    /// Not yet passed.
    start: usize,
    end: usize,
    /// Where `start` is in the file.
    offset: u64,
    is_at_end: bool,
    /// Where the arguments of the last command are, from `start` on.
    pub(super) ranges: Vec<ArgumentRange>,
}

/// What [`Window::entry`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An entry of so many bytes.
    Whole(Kind, usize),
    /// The end of the file.
    Nothing,
    /// The file ends within an entry.
    Incomplete,
    /// The offset of the first byte that fits nowhere, and why.
    Broken(u64, &'static str),
}

impl<R: Read> Window<R> {
    /// A reader that stands at `offset` of its file.
    pub(super) fn new(reader: R, offset: u64) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            held: 0,
            start: 0,
            end: 0,
            offset,
            is_at_end: false,
            ranges: Vec::new(),
        }
    }

    /// Where in the file the entry to come begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are here, from the entry to come on.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Passes so many of them.
    #[inline]
    pub(super) fn pass(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    /// The bytes passed since the last call.
    #[inline]
    pub(super) fn passed(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.held, self.start);
        self.buffer.get(from..self.start).unwrap_or_default()
    }

    /// How many [`Window::passed`] would give.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.start - self.held
    }

    /// The next entry.
    #[inline]
    pub(super) fn entry(&mut self) -> io::Result<Found> {
        loop {
            let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
            match entry::read(bytes, self.offset, self.is_at_end, &mut self.ranges) {
                Entry::Whole(kind, len) => return Ok(Found::Whole(kind, len)),
                Entry::Broken(at, reason) => {
                    return Ok(Found::Broken(self.offset + at as u64, reason));
                }
                Entry::Incomplete if self.is_at_end && bytes.is_empty() => {
                    return Ok(Found::Nothing);
                }
                Entry::Incomplete if self.is_at_end => return Ok(Found::Incomplete),
                Entry::Incomplete => self.more()?,
            }
        }
    }

    /// Passes everything up to the next line that begins as a command does, but for the byte that is here; false: there is none.
    pub(super) fn pass_to_command(&mut self) -> io::Result<bool> {
        self.pass_one()?;
        loop {
            let bytes = self.bytes();
            let line_end = bytes.iter().position(|byte| *byte == b'\n');
            let Some(line_end) = line_end else {
                self.pass(self.bytes().len());
                self.passed();
                if self.is_at_end {
                    return Ok(false);
                }
                self.more()?;
                continue;
            };
            self.pass(line_end + 1);
            self.passed();
            if self.bytes().is_empty() && !self.is_at_end {
                self.more()?;
            }
            if self.bytes().first() == Some(&b'*') {
                return Ok(true);
            }
        }
    }

    fn pass_one(&mut self) -> io::Result<()> {
        if self.bytes().is_empty() && !self.is_at_end {
            self.more()?;
        }
        self.pass(self.bytes().len().min(1));
        Ok(())
    }

    /// Reads on behind what is here.
    pub(super) fn more(&mut self) -> io::Result<()> {
        if self.held > 0 {
            self.buffer.copy_within(self.held..self.end, 0);
            self.start -= self.held;
            self.end -= self.held;
            self.held = 0;
        }
        if self.end == self.buffer.len() {
            // Doubling: an entry that is not whole is read again from its beginning.
            let len = (2 * self.end).max(PIECE_BYTES);
            self.buffer.resize(len, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.reader.read(room) {
                Ok(0) => self.is_at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}
