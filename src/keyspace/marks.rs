//! Which entries of a segment a snapshot need not look at any more: it has them, or they came after its cut.
//!
//! ```text
//! round 7   | 1 0 1 1 0 … |     one bit for each place
//! ```
//! Each snapshot is a round with a number of its own. Marks of an earlier round mean nothing, so a snapshot begins, and ends before
//! its time, without a look at any entry.

use super::segment::SEGMENT_ENTRIES_MAX;

const WORDS: usize = SEGMENT_ENTRIES_MAX.div_ceil(64);

/// Marks of one round. See the module's head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    bits: [u64; WORDS],
    /// Which round they are of; none: 0.
    round: u32,
}

impl Marks {
    /// The latest round in which an entry was marked here.
    #[inline]
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// Whether the entry at this place was marked in this round.
    #[inline]
    pub(super) fn has(&self, place: usize, round: u32) -> bool {
        self.round == round && self.bits[place / 64] >> (place % 64) & 1 == 1
    }

    /// Marks the entry at this place; marks of other rounds go.
    #[inline]
    pub(super) fn set(&mut self, place: usize, round: u32) {
        if self.round != round {
            *self = Self {
                bits: [0; WORDS],
                round,
            };
        }
        self.bits[place / 64] |= 1 << (place % 64);
    }

    /// The entry at `place` goes, the last one takes its place.
    #[inline]
    pub(super) fn replace_by_last(&mut self, place: usize, last: usize) {
        let bit = self.bits[last / 64] >> (last % 64) & 1;
        self.bits[last / 64] &= !(1 << (last % 64));
        if place != last {
            self.bits[place / 64] &= !(1 << (place % 64));
            self.bits[place / 64] |= bit << (place % 64);
        }
    }
}
