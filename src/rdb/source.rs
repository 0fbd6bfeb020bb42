//! Bytes that are still to be read, with their checksum.
//!
//! ```text
//! buffer   | done … | kept … | at … | not yet looked at … |
//! ```
//! The buffer grows with what arrives, by a factor at most: never by a length that was only declared.

#![deny(clippy::indexing_slicing)]

use std::io::{ErrorKind, Read};

use crc_fast::{CrcAlgorithm, Digest};

use super::bytes::{Length, first_of_length, integer_bytes, length_of};
use super::encodings;
use super::read::Trouble;

/// What is read at once, bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// See the module's head.
pub(super) struct Source<R> {
    read: R,
    buffer: Vec<u8>,
    at: usize,
    kept: Option<usize>,
    /// Where the buffer begins in the input.
    base: u64,
    sum: Option<Digest>,
    summed: usize,
}

impl<R: Read> Source<R> {
    pub(super) fn new(read: R, checksum: bool) -> Self {
        Self {
            read,
            buffer: Vec::new(),
            at: 0,
            kept: None,
            base: 0,
            sum: checksum.then(|| Digest::new(CrcAlgorithm::Crc64Redis)),
            summed: 0,
        }
    }

    /// How many bytes were read so far.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Keeps what comes from here on.
    pub(super) fn keep(&mut self) {
        self.kept = Some(self.at);
    }

    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// How much is kept.
    pub(super) fn kept_len(&self) -> usize {
        self.at - self.kept.unwrap_or(self.at)
    }

    /// Part of what is kept.
    pub(super) fn kept(&self, range: std::ops::Range<usize>) -> &[u8] {
        let kept = self.kept.unwrap_or(self.at);
        let range = kept + range.start..kept + range.end;
        self.buffer.get(range).unwrap_or_default()
    }

    /// Goes back to where so much was kept.
    pub(super) fn go_back(&mut self, kept_len: usize) {
        if let Some(kept) = self.kept {
            self.at = kept + kept_len;
        }
    }

    /// The checksum of what was read; `None` when none is made.
    pub(super) fn checksum(&mut self) -> Option<u64> {
        let sum = self.sum.as_mut()?;
        sum.update(self.buffer.get(self.summed..self.at).unwrap_or_default());
        self.summed = self.at;
        Some(sum.finalize())
    }

    /// Sees to it that so many bytes are at hand.
    #[inline]
    fn need(&mut self, count: u64) -> Result<usize, Trouble> {
        let count = usize::try_from(count).map_err(|_| Trouble::EndsEarly)?;
        if self.buffer.len() - self.at < count {
            self.fill(count)?;
        }
        Ok(count)
    }

    #[cold]
    fn fill(&mut self, count: usize) -> Result<(), Trouble> {
        let done = self.kept.unwrap_or(self.at).min(self.at);
        if done > 0 {
            if let Some(sum) = &mut self.sum
                && self.summed < done
            {
                sum.update(self.buffer.get(self.summed..done).unwrap_or_default());
                self.summed = done;
            }
            self.buffer.drain(..done);
            self.base += done as u64;
            self.at -= done;
            self.summed = self.summed.saturating_sub(done);
            self.kept = self.kept.map(|_| 0);
        }
        while self.buffer.len() - self.at < count {
            let have = self.buffer.len();
            self.buffer.resize(have + have.max(PIECE_BYTES), 0);
            let room = self.buffer.get_mut(have..).unwrap_or_default();
            let read = self.read.read(room);
            self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(Trouble::EndsEarly),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Io(error)),
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Trouble> {
        self.take(1)
            .map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    #[inline]
    pub(super) fn take(&mut self, count: u64) -> Result<&[u8], Trouble> {
        let count = self.need(count)?;
        let from = self.at;
        self.at += count;
        Ok(self.buffer.get(from..self.at).unwrap_or_default())
    }

    pub(super) fn skip(&mut self, count: u64) -> Result<(), Trouble> {
        let mut left = count;
        // What is not kept need not be at hand at once.
        while self.kept.is_none() && left > PIECE_BYTES as u64 {
            self.take(PIECE_BYTES as u64)?;
            left -= PIECE_BYTES as u64;
        }
        self.take(left).map(|_| ())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        let bytes = self.take(N as u64)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    #[inline]
    pub(super) fn length_or_encoding(&mut self) -> Result<Length, Trouble> {
        let first = self.byte()?;
        Ok(match first_of_length(first) {
            Err(length) => length,
            Ok(count) => Length::Plain(length_of(first, self.take(count as u64)?)),
        })
    }

    #[inline]
    pub(super) fn length(&mut self) -> Result<u64, Trouble> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(Trouble::Corrupt("a malformed length")),
        }
    }

    /// Passes over a string.
    #[inline]
    pub(super) fn skip_string(&mut self) -> Result<(), Trouble> {
        match self.length_or_encoding()? {
            Length::Plain(length) => self.skip(length),
            Length::Encoded(encodings::LZF) => {
                let compressed = self.length()?;
                self.length()?;
                self.skip(compressed)
            }
            Length::Encoded(encoding) => {
                let count = integer_bytes(encoding);
                let count = count.ok_or(Trouble::Corrupt("an unknown string encoding"))?;
                self.skip(count as u64)
            }
        }
    }
}
