//! The slow log: the last commands that took long, newest first.
//!
//! One ring for the process, behind a lock that only a slow command takes. Long requests are kept cut, as Redis cuts them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::limits;

/// One slow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowEntry {
    /// Unique while the process runs, rising.
    pub(crate) id: u64,
    /// When it ran, Unix seconds.
    pub(crate) at_s: u64,
    /// How long it took, µs.
    pub(crate) duration_us: u64,
    /// What it was, cut.
    pub(crate) arguments: Vec<Bytes>,
    /// Who sent it.
    pub(crate) address: String,
    /// CLIENT SETNAME.
    pub(crate) name: Bytes,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<SlowEntry>,
    next_id: u64,
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    ring: Mutex<Ring>,
}

/// The arguments as the log keeps them: at most 32 of at most 128 bytes, the rest told by its number.
pub(crate) fn cut<'a>(arguments: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Bytes> {
    let (count_max, bytes_max) = (
        limits::SLOWLOG_ARGUMENTS_MAX,
        limits::SLOWLOG_ARGUMENT_BYTES_MAX,
    );
    let count = arguments.len();
    let kept = if count > count_max {
        count_max - 1
    } else {
        count
    };
    // All in one allocation: two hundred thousand entries took 3.7 KB each with one for every argument.
    let mut text = Vec::new();
    let mut ends: SmallVec<[usize; limits::SLOWLOG_ARGUMENTS_MAX]> = SmallVec::new();
    for argument in arguments.take(kept) {
        match argument.get(..bytes_max) {
            Some(start) if argument.len() > bytes_max => {
                text.extend_from_slice(start);
                let more = argument.len() - bytes_max;
                text.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
            }
            _ => text.extend_from_slice(argument),
        }
        ends.push(text.len());
    }
    if count > kept {
        let more = count - kept;
        text.extend_from_slice(format!("... ({more} more arguments)").as_bytes());
        ends.push(text.len());
    }
    let text = Bytes::from(text.into_boxed_slice());
    let mut start = 0;
    let pieces = ends.iter().map(|end| {
        let piece = text.slice(start..*end);
        start = *end;
        piece
    });
    pieces.collect()
}

impl SlowLog {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry (its `id` is given here); the oldest go when there are more than `len_max`.
    pub(crate) fn add(&self, mut entry: SlowEntry, len_max: usize) {
        let mut ring = self.ring();
        entry.id = ring.next_id;
        ring.next_id += 1;
        ring.entries.push_front(entry);
        ring.entries.truncate(len_max);
    }

    /// The newest entries, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<SlowEntry> {
        self.ring().entries.iter().take(count).cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ring().entries.len()
    }

    /// Forgets all; ids go on.
    pub(crate) fn clear(&self) {
        self.ring().entries.clear();
    }
}
