//! Numbers by chance: for RANDOMKEY, SPOP and their kind. Not for secrets.

use std::hash::{BuildHasher as _, RandomState};

/// Splitmix64, seeded anew for each command. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators".
pub(crate) struct Random(u64);

impl Random {
    /// Another sequence each time.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// The next number, any of 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, each as likely as any other; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        crate::data::members::below(self.next(), bound)
    }
}
