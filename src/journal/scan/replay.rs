//! The commands of a file whose valid prefix is known, one after the other.

use std::io::{self, Read};

use super::super::own;
use super::entry::Kind;
use super::window::{Found, Window};
use crate::resp::arguments::{Args, ArgumentRange};

/// A command of a log.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// As Redis has it.
    Command {
        /// Its arguments, the name first.
        arguments: Args<'a>,
        /// Its bytes in the file.
        bytes: &'a [u8],
    },
    /// One that Redis does not know.
    Own(Args<'a>),
}

impl<'a> Item<'a> {
    /// The arguments, the name first.
    #[must_use]
    pub fn arguments(&self) -> Args<'a> {
        match self {
            Item::Command { arguments, .. } | Item::Own(arguments) => *arguments,
        }
    }
}

/// Goes over the commands of a valid prefix. SELECT, MULTI and EXEC are among them; marks and other lines are not. Checksums are not looked
/// at again.
pub struct Replay<R> {
    window: Window<R>,
    end: u64,
    /// Bytes of the entry given out last.
    given: usize,
    own_bytes: Vec<u8>,
    own_ends: Vec<usize>,
    own_ranges: Vec<ArgumentRange>,
}

impl<R: Read> Replay<R> {
    /// From a reader that stands at offset `start`, where commands begin, up to `end`, the length of the valid prefix.
    pub fn new(reader: R, start: u64, end: u64) -> Self {
        Self {
            window: Window::new(reader, start),
            end,
            given: 0,
            own_bytes: Vec::new(),
            own_ends: Vec::new(),
            own_ranges: Vec::new(),
        }
    }

    /// Offset of the command given out last, or of the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.window.offset()
    }

    /// The next command; `None` at the end of the valid prefix. Memory: nothing is allocated for a command that is in the buffer.
    ///
    /// # Errors
    /// Those of the reader; `InvalidData` when the file is not what was verified.
    pub fn read(&mut self) -> io::Result<Option<Item<'_>>> {
        self.window.pass(std::mem::take(&mut self.given));
        loop {
            self.window.passed();
            if self.window.offset() >= self.end {
                return Ok(None);
            }
            let changed = || {
                let text = "the log changed between its check and its replay";
                io::Error::new(io::ErrorKind::InvalidData, text)
            };
            let Found::Whole(kind, len) = self.window.entry()? else {
                return Err(changed());
            };
            match kind {
                Kind::Command => {
                    self.given = len;
                    let bytes = self.window.bytes();
                    return Ok(Some(Item::Command {
                        arguments: Args::new(bytes, &self.window.ranges),
                        bytes: bytes.get(..len).unwrap_or_default(),
                    }));
                }
                Kind::Own => {
                    self.given = len;
                    self.read_own(len).ok_or_else(changed)?;
                    return Ok(Some(Item::Own(Args::new(
                        &self.own_bytes,
                        &self.own_ranges,
                    ))));
                }
                Kind::Reserved => return Err(changed()),
                Kind::Commit(_) | Kind::Begin(_) | Kind::End | Kind::Fill | Kind::Note => {
                    self.window.pass(len);
                }
            }
        }
    }

    fn read_own(&mut self, len: usize) -> Option<()> {
        self.own_bytes.clear();
        self.own_ends.clear();
        self.own_ranges.clear();
        let lines = self.window.bytes().get(..len)?;
        own::decode(lines, &mut self.own_bytes, &mut self.own_ends)?;
        let mut start = 0;
        for end in &self.own_ends {
            let len = u32::try_from(end - start).ok()?;
            let start = u32::try_from(std::mem::replace(&mut start, *end)).ok()?;
            self.own_ranges.push(ArgumentRange { start, len });
        }
        Some(())
    }
}
