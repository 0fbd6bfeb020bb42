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
//!   damaged  …#c                          │ what was there before and has changed: refused
//! ```
//! The valid prefix ends outside of a transaction. Damage is what a later commit proves to have been on disk (`annotation.rs`); for the
//! commands of a Redis, what cannot be the end of a file that was appended to. Recovery cuts and never skips.
//!
//! Memory: a megabyte, or twice the largest command. A declared length reserves nothing.
//!
//! Deliberately not here: snapshots. A base or an old log may begin with one ([`is_snapshot`]); whoever has read it goes on behind it
//! with the same functions.

mod entry;
mod proof;
mod replay;
mod verdict;
mod verify;
mod window;

pub use replay::{Item, Replay};
pub use verdict::{Proof, Tail, Verdict};
pub use verify::verify;

/// Whether a file that begins with these bytes begins with a snapshot: five bytes are enough to know.
#[must_use]
pub fn is_snapshot(first: &[u8]) -> bool {
    first.starts_with(b"REDIS")
}

#[cfg(test)]
mod tests;
