//! `math.random`: the same numbers in every run of the server.
//!
//! Redis: the generator of `lrand48`, from its own beginning. It goes on from script to script; only `math.randomseed` sets it.

use crate::script::lua::native::Native;
use crate::script::lua::stack::Stack;

use super::check::{bad, integer, number};

/// Source: drand48(3).
const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;
const LOW_SEED: u64 = 0x330E;
const MAX: u64 = 0x7FFF_FFFF;

/// Replaces the functions in the table on top.
pub(super) fn install(stack: &mut Stack<'_>) {
    stack.push_native(random);
    stack.raw_set_name(-2, "random");
    stack.push_native(randomseed);
    stack.raw_set_name(-2, "randomseed");
}

/// The state of a generator that nobody has seeded. Source: drand48(3).
pub(crate) const UNSEEDED: u64 = 0x1234_ABCD_330E;

/// The state for a seed.
fn seeded(seed: i64) -> u64 {
    ((seed as u64 & 0xFFFF_FFFF) << 16) | LOW_SEED
}

fn random(stack: &mut Stack<'_>) -> Native {
    let state = &stack.runtime().random;
    let next = state.get().wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & MASK;
    state.set(next);
    let fraction = ((next >> 17) % MAX) as f64 / MAX as f64;
    let (low, high) = match stack.argument_count() {
        0 => {
            stack.push_number(fraction);
            return Ok(1);
        }
        1 => (1, integer(stack, 1)?),
        2 => (integer(stack, 1)?, integer(stack, 2)?),
        _ => return stack.error_here(b"wrong number of arguments"),
    };
    if low > high {
        let index = stack.argument_count();
        return bad(stack, index, "interval is empty");
    }
    // As C's int has it.
    let width = f64::from((high as i32).wrapping_sub(low as i32).wrapping_add(1));
    stack.push_number((fraction * width).floor() + low as f64);
    Ok(1)
}

fn randomseed(stack: &mut Stack<'_>) -> Native {
    let seed = number(stack, 1)?;
    stack.runtime().random.set(seeded(seed as i64));
    Ok(0)
}
