//! All registers, 6 bits each.
//!
//! ```text
//! byte     0         1         2            four registers in three bytes, from the lowest bits on
//! bits     11000000  22221111  33333322
//! ```

use super::{REGISTER_COUNT, Trace};

/// Bits of a register.
const BITS: usize = 6;
const MASK: u32 = (1 << BITS) - 1;
/// All registers, bytes.
pub(super) const BYTES: usize = REGISTER_COUNT * BITS / 8;
const _: () = assert!(REGISTER_COUNT.is_multiple_of(4));

fn word_of(bytes: [u8; 3]) -> u32 {
    let [low, middle, high] = bytes.map(u32::from);
    low | middle << 8 | high << 16
}

/// Calls `take` with the number of each register, in order.
pub(super) fn for_each(registers: &[u8], mut take: impl FnMut(u8)) {
    for bytes in registers.as_chunks::<3>().0 {
        let word = word_of(*bytes);
        for at in 0..4 {
            take((word >> (at * BITS) & MASK) as u8);
        }
    }
}

/// Raises a register; false when its number is as high already.
pub(super) fn raise(registers: &mut [u8], trace: Trace) -> bool {
    let bytes = &mut registers.as_chunks_mut::<3>().0[trace.register / 4];
    let shift = trace.register % 4 * BITS;
    let word = word_of(*bytes);
    let is_higher = u32::from(trace.number) > word >> shift & MASK;
    if is_higher {
        let word = word & !(MASK << shift) | u32::from(trace.number) << shift;
        let [low, middle, high, _] = word.to_le_bytes();
        *bytes = [low, middle, high];
    }
    is_higher
}
