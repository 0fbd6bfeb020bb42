//! Reads a log's file: how much of it counts, and what that is.
//!
//! ```text
//! theirs: a Redis wrote it                     ours: counts with a commit behind it
//!   commands count one by one ── #b ─────────►   commands, own lines ── #c ──► counted, and again
//!                             ◄───── fill #e ──
//!
//! verdict   valid prefix ────────────────►│ tail
//!   clean    …#c                          │ nothing, or fill
//!   torn     …#c                          │ what a power cut, a kill or a full disk left of the last writes: to be cut
//!                                         │ nothing, not even fill: somebody has cut the file short
//!   damaged  …#c                          │ what was there before and has changed: refused
//! ```
//! The valid prefix ends outside of a transaction. Damage is what a later commit proves to have been on disk (`annotation.rs`); for the
//! commands of a Redis, what cannot be the end of a file that was appended to. Recovery cuts and never skips.
//!
//! Memory: 128 KB, or twice the largest command. A declared length reserves nothing.
//!
//! Deliberately not here: snapshots. A base or an old log may begin with one ([`is_snapshot`]); whoever has read it goes on behind it
//! with the same functions.

mod entry;
mod proof;
mod replay;
mod verdict;
mod verify;
mod window;

use std::io::{self, Read, Seek, SeekFrom};

use super::own;
use crate::resp::arguments::Args;

pub use replay::{Item, Replay};
pub use verdict::{Proof, Tail, Verdict};
pub use verify::verify;

/// Beginnings of commands that turn out to be none, after which [`count_commands`] gives up: a file can be made of them.
const FALSE_BEGINNINGS_MAX: u32 = 100_000;

/// Commands that can be read from an offset on, each given to `each` with its arguments; gives how many there are. Where a byte makes no
/// sense, it goes on at the next line that begins as a command.
///
/// # Errors
/// Those of the reader, and of `each`.
pub fn commands_from<R: Read + Seek>(
    mut reader: R,
    from: u64,
    mut each: impl FnMut(&[&[u8]]) -> io::Result<()>,
) -> io::Result<u64> {
    reader.seek(SeekFrom::Start(from))?;
    let mut window = window::Window::new(reader, from);
    let (mut count, mut false_beginnings) = (0, 0);
    loop {
        match window.entry()? {
            window::Found::Whole(kind, len) => {
                let bytes = window.bytes();
                if kind == entry::Kind::Command {
                    count += 1;
                    let arguments: Vec<&[u8]> = Args::new(bytes, &window.ranges).iter().collect();
                    each(&arguments)?;
                } else if kind == entry::Kind::Own {
                    count += 1;
                    let (mut words, mut ends) = (Vec::new(), Vec::new());
                    let lines = bytes.get(..len).unwrap_or_default();
                    if own::decode(lines, &mut words, &mut ends).is_some() {
                        each(&own::words(&words, &ends))?;
                    }
                }
                window.pass(len);
            }
            window::Found::Nothing => return Ok(count),
            window::Found::Incomplete | window::Found::Broken(..) => {
                false_beginnings += 1;
                if false_beginnings == FALSE_BEGINNINGS_MAX || !window.pass_to_command()? {
                    return Ok(count);
                }
            }
        }
        window.passed();
    }
}

/// Whether a file that begins with these bytes begins with a snapshot: five bytes are enough to know.
#[must_use]
pub fn is_snapshot(first: &[u8]) -> bool {
    first.starts_with(b"REDIS") || first.starts_with(b"VALKE")
}

#[cfg(test)]
mod tests;
