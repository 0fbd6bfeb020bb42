//! `struct` 0.2, as Redis has it: values in bytes of a fixed form.
//!
//! ```text
//! >  <  ![n]          big or little endian, alignment
//! b B h H l L T i[n] I[n]    integers        f d   floats
//! s c[n]              strings: up to a zero byte, of n bytes (c0: of the number before it)        x    a byte of padding
//! ```
//! Source: its documentation, <http://www.inf.puc-rio.br/~roberto/struct/>.

use std::ffi::c_int;

use smallvec::SmallVec;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack, Value};

use super::check::{bad, bad_bytes, integer_or, mistyped, text};

/// Longest integer, in bytes.
const INTEGER_BYTES_MAX: usize = 32;
/// What `!` without a number means.
const ALIGNMENT: usize = 8;
/// Stack slots of one native in stock Lua.
const SLOTS_MAX: c_int = 8_000;
/// So many bytes are taken without asking whether there is memory.
const RESERVED: usize = 1 << 20;
/// Results after which the host is asked whether the script may go on.
const OPTIONS_PER_TICK: usize = 10_000;

/// Pushes a table with the functions.
pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 3);
    stack.push_native(pack);
    stack.raw_set_name(-2, "pack");
    stack.push_native(unpack);
    stack.raw_set_name(-2, "unpack");
    stack.push_native(size);
    stack.raw_set_name(-2, "size");
}

/// A format that is being read.
struct Format<'f> {
    rest: &'f [u8],
    is_big: bool,
    align: usize,
    options_left: usize,
}

impl<'f> Format<'f> {
    /// As C reads it: up to the first zero byte.
    fn new(text: &'f [u8]) -> Self {
        Self {
            rest: text.split(|byte| *byte == 0).next().unwrap_or_default(),
            is_big: cfg!(target_endian = "big"),
            align: 1,
            options_left: OPTIONS_PER_TICK,
        }
    }

    /// The next option, its size, and how many bytes of padding it needs at a position.
    fn next(
        &mut self,
        stack: &mut Stack<'_>,
        position: usize,
    ) -> Result<Option<(u8, usize, usize)>, Raise> {
        let Some((option, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        self.options_left -= 1;
        if self.options_left == 0 {
            self.options_left = OPTIONS_PER_TICK;
            stack.tick()?;
        }
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(stack, 1)?,
            b'i' | b'I' => {
                let size = self.number(stack, 4)?;
                if size > INTEGER_BYTES_MAX {
                    let text =
                        format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
                    return stack.error_here(text.as_bytes());
                }
                size
            }
            _ => 0,
        };
        let padding = if size == 0 || *option == b'c' {
            0
        } else {
            let align = size.min(self.align);
            align.wrapping_sub(position & (align - 1)) & (align - 1)
        };
        Ok(Some((*option, size, padding)))
    }

    /// A number in the format, which must fit an int of C.
    fn number(&mut self, stack: &mut Stack<'_>, default: usize) -> Result<usize, Raise> {
        let mut digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit());
        let count = digits.clone().count();
        if count == 0 {
            return Ok(default);
        }
        let number = digits.try_fold(0i32, |number, digit| {
            number.checked_mul(10)?.checked_add((digit - b'0').into())
        });
        self.rest = self.rest.get(count..).unwrap_or_default();
        match number {
            Some(number) => Ok(number as usize),
            None => stack.error_here(b"integral size overflow"),
        }
    }

    /// An option that is no value.
    fn control(&mut self, stack: &mut Stack<'_>, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.is_big = true,
            b'<' => self.is_big = false,
            b'!' => {
                let align = self.number(stack, ALIGNMENT)?;
                if !align.is_power_of_two() {
                    let text = format!("alignment {align} is not a power of 2");
                    return stack.error_here(text.as_bytes());
                }
                self.align = align;
            }
            _ => {
                let text = [b"invalid format option '", [option].as_slice(), b"'"].concat();
                return bad_bytes(stack, 1, &text);
            }
        }
        Ok(())
    }

    /// Bytes as the format orders them.
    fn order<const N: usize>(&self, mut little: [u8; N]) -> [u8; N] {
        if self.is_big {
            little.reverse();
        }
        little
    }
}

/// As the argument checks of Redis' `pack` see it: what is not given is nil.
fn check_given(stack: &mut Stack<'_>, index: c_int, expected: &str) -> Result<(), Raise> {
    if stack.kind(index) == Kind::None {
        return bad(stack, index, &format!("{expected} expected, got nil"));
    }
    Ok(())
}

fn number(stack: &mut Stack<'_>, index: c_int) -> Result<f64, Raise> {
    if let Some(Value::Number(number)) = stack.argument(index) {
        return Ok(number);
    }
    check_given(stack, index, "number")?;
    match stack.number(index) {
        Some(number) => Ok(number),
        None => mistyped(stack, index, "number"),
    }
}

fn pack(stack: &mut Stack<'_>) -> Native {
    let mut format = Format::new(text(stack, 1)?);
    let mut out = SmallVec::<[u8; 64]>::new();
    let mut argument = 2;
    let mut reserved = RESERVED;
    while let Some((option, size, padding)) = format.next(stack, out.len())? {
        if padding > 0 {
            out.extend(std::iter::repeat_n(0, padding));
        }
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = number(stack, argument)?;
                push_integer(&mut out, number, size, format.is_big);
                argument += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let number = number(stack, argument)? as f32;
                out.extend_from_slice(&format.order(number.to_le_bytes()));
                argument += 1;
            }
            b'd' => {
                let number = number(stack, argument)?;
                out.extend_from_slice(&format.order(number.to_le_bytes()));
                argument += 1;
            }
            b'c' | b's' => {
                check_given(stack, argument, "string")?;
                let text = text(stack, argument)?;
                argument += 1;
                let len = if size == 0 { text.len() } else { size };
                let Some(text) = text.get(..len) else {
                    // Redis: names the argument that follows.
                    return bad(stack, argument, "string too short");
                };
                if text.len() > RESERVED {
                    stack.reserve(out.len() + text.len())?;
                }
                out.extend_from_slice(text);
                if option == b's' {
                    out.push(0);
                }
            }
            _ => format.control(stack, option)?,
        }
        if out.len() > reserved {
            reserved = out.len() * 2;
            stack.reserve(reserved)?;
        }
    }
    if out.len() > RESERVED {
        stack.reserve(out.len())?;
    }
    stack.push_bytes(&out);
    Ok(1)
}

/// A number as C casts it to 64 bits: signed when it is negative, else unsigned; what does not fit is what x86 makes of it.
fn integer_bits(number: f64) -> u64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if number.is_nan() {
        1 << 63
    } else if number < 0.0 {
        // Below -2^63 it is -2^63, as a cast in Rust gives it.
        (number as i64).cast_unsigned()
    } else if number < 2.0 * TWO_TO_63 {
        number as u64
    } else {
        0
    }
}

fn push_integer(out: &mut SmallVec<[u8; 64]>, number: f64, size: usize, is_big: bool) {
    let value = integer_bits(number);
    let zeros = size.saturating_sub(8);
    let len = size - zeros;
    // Redis: beyond 64 bits there are zeros, also for a negative number.
    if is_big {
        out.extend(std::iter::repeat_n(0, zeros));
        let bytes = value.to_be_bytes();
        out.extend_from_slice(bytes.get(8 - len..).unwrap_or_default());
    } else {
        let bytes = value.to_le_bytes();
        out.extend_from_slice(bytes.get(..len).unwrap_or_default());
        out.extend(std::iter::repeat_n(0, zeros));
    }
}

fn read_integer(bytes: &[u8], is_big: bool, is_signed: bool) -> f64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let mut value = if is_big {
        bytes.iter().fold(0, add)
    } else {
        bytes.iter().rev().fold(0, add)
    };
    if !is_signed {
        return value as f64;
    }
    // As x86 shifts: by the number of bits cut to six, also where it is longer than 64.
    let mask = u64::MAX.wrapping_shl((bytes.len() as u32 * 8).wrapping_sub(1));
    if value & mask != 0 {
        value |= mask;
    }
    value.cast_signed() as f64
}

/// Bytes of the data at a position.
fn piece<'d>(
    stack: &mut Stack<'_>,
    data: &'d [u8],
    position: usize,
    size: usize,
) -> Result<&'d [u8], Raise> {
    let end = position.checked_add(size);
    match end.and_then(|end| data.get(position..end)) {
        Some(piece) => Ok(piece),
        None => bad(stack, 2, "data string too short"),
    }
}

/// The number on top of the stack becomes the size of what follows.
fn size_before(stack: &mut Stack<'_>, count: c_int) -> Result<usize, Raise> {
    let number = if count == 0 { None } else { stack.number(-1) };
    match number {
        Some(number) => {
            stack.pop(1);
            Ok(integer_bits(number) as usize)
        }
        None => stack.error_here(b"format 'c0' needs a previous size"),
    }
}

fn unpack(stack: &mut Stack<'_>) -> Native {
    let mut format = Format::new(text(stack, 1)?);
    let data = text(stack, 2)?;
    let offset = integer_or(stack, 3, 1)?;
    if offset == 0 {
        return bad(stack, 3, "offset must be 1 or greater");
    }
    let mut position = (offset as usize).wrapping_sub(1);
    let mut count = 0;
    let mut granted = 0;
    while let Some((option, size, padding)) = format.next(stack, position)? {
        position = position.wrapping_add(padding);
        let bytes = piece(stack, data, position, size)?;
        let slots = stack.argument_count() + count;
        if slots + 2 > SLOTS_MAX {
            return stack.error_here(b"stack overflow (too many results)");
        }
        if slots >= granted {
            let more = (SLOTS_MAX - 2 - slots).clamp(1, 16);
            stack.ensure(more)?;
            granted = slots + more;
        }
        let mut taken = size;
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let is_signed = option.is_ascii_lowercase();
                stack.push_number(read_integer(bytes, format.is_big, is_signed));
                count += 1;
            }
            b'x' => {}
            b'f' => {
                let bytes = bytes.try_into().unwrap_or_default();
                stack.push_number(f32::from_le_bytes(format.order(bytes)).into());
                count += 1;
            }
            b'd' => {
                let bytes = bytes.try_into().unwrap_or_default();
                stack.push_number(f64::from_le_bytes(format.order(bytes)));
                count += 1;
            }
            b'c' => {
                if size == 0 {
                    taken = size_before(stack, count)?;
                    count -= 1;
                }
                let bytes = piece(stack, data, position, taken)?;
                stack.reserve(bytes.len())?;
                stack.push_bytes(bytes);
                count += 1;
            }
            b's' => {
                let rest = data.get(position..).unwrap_or_default();
                let Some(len) = rest.iter().position(|byte| *byte == 0) else {
                    return stack.error_here(b"unfinished string in data");
                };
                taken = len + 1;
                stack.reserve(len)?;
                stack.push_bytes(rest.get(..len).unwrap_or_default());
                count += 1;
            }
            _ => format.control(stack, option)?,
        }
        position = position.wrapping_add(taken);
    }
    stack.push_number((position as i64).wrapping_add(1) as f64);
    Ok(count + 1)
}

fn size(stack: &mut Stack<'_>) -> Native {
    let mut format = Format::new(text(stack, 1)?);
    let mut position = 0usize;
    while let Some((option, size, padding)) = format.next(stack, position)? {
        position = position.wrapping_add(padding);
        if option == b's' {
            return bad(stack, 1, "option 's' has no fixed size");
        }
        if option == b'c' && size == 0 {
            return bad(stack, 1, "option 'c0' has no fixed size");
        }
        if !option.is_ascii_alphanumeric() {
            format.control(stack, option)?;
        }
        position = position.wrapping_add(size);
    }
    stack.push_number(position as f64);
    Ok(1)
}
