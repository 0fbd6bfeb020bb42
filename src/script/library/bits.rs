//! `bit`: BitOp 1.0.2, operations on 32 bits.
//!
//! Source: its documentation, <https://bitop.luajit.org/api.html>.

use std::ffi::c_int;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Stack, Value};

use super::check::number;

/// Pushes a table with the functions.
pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 12);
    add(stack, "tobit", |stack| unary(stack, |bits| bits));
    add(stack, "bnot", |stack| unary(stack, |bits| !bits));
    add(stack, "band", |stack| {
        fold(stack, |left, right| left & right)
    });
    add(stack, "bor", |stack| {
        fold(stack, |left, right| left | right)
    });
    add(stack, "bxor", |stack| {
        fold(stack, |left, right| left ^ right)
    });
    add(stack, "lshift", |stack| shift(stack, |bits, by| bits << by));
    add(stack, "rshift", |stack| shift(stack, |bits, by| bits >> by));
    add(stack, "arshift", |stack| {
        shift(stack, |bits, by| (bits.cast_signed() >> by).cast_unsigned())
    });
    add(stack, "rol", |stack| shift(stack, u32::rotate_left));
    add(stack, "ror", |stack| shift(stack, u32::rotate_right));
    add(stack, "bswap", |stack| unary(stack, u32::swap_bytes));
    add(stack, "tohex", tohex);
}

fn add<F>(stack: &mut Stack<'_>, name: &str, native: F)
where
    F: Fn(&mut Stack<'_>) -> Native + Copy + 'static,
{
    stack.push_native(native);
    stack.raw_set_name(-2, name);
}

/// An argument as 32 bits: rounded to even, and cut.
///
/// Where 1.5 * 2^52 is added, the lowest bits of the double are those of the integer; so it also is for what is no integer.
fn bits(stack: &mut Stack<'_>, index: c_int) -> Result<u32, Raise> {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let number = match stack.argument(index) {
        Some(Value::Number(number)) => number,
        _ => number(stack, index)?,
    };
    Ok((number + SHIFT).to_bits() as u32)
}

fn push_bits(stack: &mut Stack<'_>, bits: u32) -> Native {
    stack.push_number(bits.cast_signed().into());
    Ok(1)
}

fn unary(stack: &mut Stack<'_>, of: impl Fn(u32) -> u32) -> Native {
    let value = bits(stack, 1)?;
    push_bits(stack, of(value))
}

fn fold(stack: &mut Stack<'_>, of: impl Fn(u32, u32) -> u32) -> Native {
    let mut value = bits(stack, 1)?;
    // From the last one, as BitOp: of several wrong arguments it names the last.
    for index in (2..=stack.argument_count()).rev() {
        value = of(value, bits(stack, index)?);
    }
    push_bits(stack, value)
}

fn shift(stack: &mut Stack<'_>, of: impl Fn(u32, u32) -> u32) -> Native {
    let value = bits(stack, 1)?;
    let by = bits(stack, 2)? & 31;
    push_bits(stack, of(value, by))
}

fn tohex(stack: &mut Stack<'_>) -> Native {
    let value = bits(stack, 1)?;
    let count = if stack.argument_count() < 2 {
        8
    } else {
        bits(stack, 2)?.cast_signed()
    };
    let text = if count < 0 {
        format!("{value:08X}")
    } else {
        format!("{value:08x}")
    };
    let count = count.unsigned_abs().min(8) as usize;
    stack.push_bytes(text.as_bytes().get(8 - count..).unwrap_or_default());
    Ok(1)
}
