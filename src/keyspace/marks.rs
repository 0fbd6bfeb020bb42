//! Which entries of a segment a snapshot need not look at any more: it has them, or they came after its cut.
//!
//! ```text
//! round 7   | 1 0 1 1 0 … |     one bit for each place
//! ```
//! Each snapshot is a round with a number of its own. Marks of an earlier round mean nothing, so a snapshot begins, and ends before
//! its time, without a look at any entry.

use super::segment::SEGMENT_ENTRIES_MAX;

const WORDS: usize = SEGMENT_ENTRIES_MAX.div_ceil(64);

/// Marks of one round. See the module's head. They are kept elsewhere, and only where a snapshot has been: a segment stays small.
#[derive(Debug, Default)]
pub(super) struct Marks(Option<Box<OfRound>>);

#[derive(Debug, Default)]
struct OfRound {
    bits: [u64; WORDS],
    /// Which round they are of.
    round: u32,
}

impl Marks {
    /// The latest round in which an entry was marked here; 0 when none was.
    #[inline]
    pub(super) fn round(&self) -> u32 {
        self.0.as_ref().map_or(0, |marks| marks.round)
    }

    /// Whether the entry at this place was marked in this round.
    #[inline]
    pub(super) fn has(&self, place: usize, round: u32) -> bool {
        let is_set = |marks: &OfRound| marks.bits[place / 64] >> (place % 64) & 1 == 1;
        (self.0.as_ref()).is_some_and(|marks| marks.round == round && is_set(marks))
    }

    /// Marks the entry at this place; marks of other rounds go.
    #[inline]
    pub(super) fn set(&mut self, place: usize, round: u32) {
        let marks = self.0.get_or_insert_default();
        if marks.round != round {
            **marks = OfRound {
                bits: [0; WORDS],
                round,
            };
        }
        marks.bits[place / 64] |= 1 << (place % 64);
    }

    /// The entry at `place` goes, the last one takes its place.
    #[inline]
    pub(super) fn replace_by_last(&mut self, place: usize, last: usize) {
        let Some(marks) = &mut self.0 else {
            return;
        };
        let bit = marks.bits[last / 64] >> (last % 64) & 1;
        marks.bits[last / 64] &= !(1 << (last % 64));
        if place != last {
            marks.bits[place / 64] &= !(1 << (place % 64));
            marks.bits[place / 64] |= bit << (place % 64);
        }
    }
}
