//! From how often each number is in the registers to about how many elements there were. Source: O. Ertl, arXiv:1702.01284,
//! algorithm 6. The steps and their order are those of Redis, so that the last digit of a count is the same.

use super::{COUNTED_BITS, REGISTER_COUNT};

/// 1 / (2 ln 2), which the paper calls alpha of infinity.
const ALPHA: f64 = 0.721_347_520_444_481_7;
/// Numbers that a stored register can have; elements leave 51 at most.
const NUMBERS: usize = 64;

/// How many registers have each number.
pub(super) struct Histogram([u64; NUMBERS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; NUMBERS])
    }
}

impl Histogram {
    /// So many registers more have this number.
    pub(super) fn add(&mut self, number: u8, registers: usize) {
        self.0[usize::from(number) % NUMBERS] += registers as u64;
    }

    /// About how many elements were added. What no elements can have left, and makes the estimate too large for a signed
    /// integer, gives 2^63, as it does in Redis.
    pub(super) fn estimate(&self) -> u64 {
        const BITS: usize = COUNTED_BITS as usize;
        let count = REGISTER_COUNT as f64;
        let mut sum = count * tau((count - self.0[BITS + 1] as f64) / count);
        for registers in self.0[1..=BITS].iter().rev() {
            sum += *registers as f64;
            sum *= 0.5;
        }
        sum += count * sigma(self.0[0] as f64 / count);
        let estimate = (ALPHA * count * count / sum).round();
        if estimate < i64::MAX as f64 {
            estimate as u64
        } else {
            1 << 63
        }
    }
}

/// How much the registers without an element count.
fn sigma(share: f64) -> f64 {
    if share == 1. {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1., share);
    loop {
        power *= power;
        let before = sum;
        sum += power * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// How much the registers that can count no further count.
fn tau(share: f64) -> f64 {
    if share == 0. || share == 1. {
        return 0.;
    }
    let (mut root, mut factor, mut sum) = (share, 1., 1. - share);
    loop {
        root = root.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1. - root) * (1. - root) * factor;
        if sum == before {
            return sum / 3.;
        }
    }
}
