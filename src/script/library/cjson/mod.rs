//! `cjson` 2.1.0: JSON to values and back.
//!
//! ```text
//! cjson ─► encode, decode …  each captures ─► { settings }   one for the table; cjson.new() makes both anew
//!                                               [1] = nil: as at the start, else a string (`Settings::to_bytes`)
//! ```
//! Settings outlive the script that makes them, as in Redis.
//!
//! Source: the manual of lua-cjson 2.1.0; RFC 4627.

mod decode;
mod encode;
mod number;

pub(super) use decode::reserve_growth;

use std::ffi::c_int;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack, Value};

use super::check::{bad, bad_bytes, integer, text};

/// Values after which the host is asked whether the script may go on.
const VALUES_PER_TICK: usize = 10_000;
/// Bytes after which it is.
const BYTES_PER_TICK: usize = 1 << 20;
/// Stack slots of one native in stock Lua: how deep values nest when the limits of depth are set higher.
const SLOTS_MAX: c_int = 8_000;

/// What numbers that JSON does not have become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invalid {
    /// An error.
    Refused,
    /// `nan`, `inf`, `-inf`.
    Written,
    /// `null`.
    Null,
}

/// What a script sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    encode_depth_max: i32,
    decode_depth_max: i32,
    /// An array is sparse when its last index is more than so many times its elements …
    sparse_ratio: i32,
    /// … and more than this.
    sparse_safe: i32,
    /// A sparse array becomes an object; else it is an error.
    sparse_convert: bool,
    /// Digits of a number.
    precision: u8,
    encode_invalid: Invalid,
    decode_invalid: bool,
    /// Means nothing here: the buffer is kept always.
    keep_buffer: bool,
}

const DEFAULT: Settings = Settings {
    encode_depth_max: 1000,
    decode_depth_max: 1000,
    sparse_ratio: 2,
    sparse_safe: 10,
    sparse_convert: false,
    precision: 14,
    encode_invalid: Invalid::Refused,
    decode_invalid: true,
    keep_buffer: true,
};

/// Length of [`Settings::to_bytes`].
const SETTINGS_LEN: usize = 21;

impl Settings {
    fn to_bytes(self) -> [u8; SETTINGS_LEN] {
        let mut bytes = [0; SETTINGS_LEN];
        let numbers = [
            self.encode_depth_max,
            self.decode_depth_max,
            self.sparse_ratio,
            self.sparse_safe,
        ];
        let flags = [
            self.sparse_convert.into(),
            self.precision,
            self.encode_invalid as u8,
            self.decode_invalid.into(),
            self.keep_buffer.into(),
        ];
        let all = numbers.into_iter().flat_map(i32::to_le_bytes).chain(flags);
        for (slot, byte) in bytes.iter_mut().zip(all) {
            *slot = byte;
        }
        bytes
    }

    fn from_bytes(bytes: [u8; SETTINGS_LEN]) -> Self {
        let mut numbers = bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| i32::from_le_bytes(*bytes));
        let mut number = || numbers.next().unwrap_or_default();
        let [.., convert, precision, encode_invalid, decode_invalid, keep] = bytes;
        Self {
            encode_depth_max: number(),
            decode_depth_max: number(),
            sparse_ratio: number(),
            sparse_safe: number(),
            sparse_convert: convert != 0,
            precision,
            encode_invalid: match encode_invalid {
                0 => Invalid::Refused,
                1 => Invalid::Written,
                _ => Invalid::Null,
            },
            decode_invalid: decode_invalid != 0,
            keep_buffer: keep != 0,
        }
    }

    /// Those that the running native has captured.
    fn captured(stack: &mut Stack<'_>) -> Self {
        stack.push_captured();
        stack.raw_get_index(-1, 1);
        let settings = match stack.value(-1) {
            Value::Bytes(bytes) => bytes.try_into().map_or(DEFAULT, Self::from_bytes),
            _ => DEFAULT,
        };
        stack.pop(2);
        settings
    }

    fn capture(self, stack: &mut Stack<'_>) {
        stack.push_captured();
        if self == DEFAULT {
            stack.push_nil();
        } else {
            stack.push_bytes(&self.to_bytes());
        }
        stack.raw_set_index(-2, 1);
        stack.pop(1);
    }
}

/// Pushes a table with the functions and constants, and settings of its own.
pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 0);
    stack.push_table(1, 0);
    add(stack, "encode", encode::encode);
    add(stack, "decode", decode::decode);
    add(stack, "encode_sparse_array", encode_sparse_array);
    add(stack, "encode_max_depth", encode_max_depth);
    add(stack, "decode_max_depth", decode_max_depth);
    add(stack, "encode_number_precision", encode_number_precision);
    add(stack, "encode_keep_buffer", encode_keep_buffer);
    add(stack, "encode_invalid_numbers", encode_invalid_numbers);
    add(stack, "decode_invalid_numbers", decode_invalid_numbers);
    add(stack, "new", new);
    stack.pop(1);
    stack.push_null();
    stack.raw_set_name(-2, "null");
    stack.push_bytes(b"cjson");
    stack.raw_set_name(-2, "_NAME");
    stack.push_bytes(b"2.1.0");
    stack.raw_set_name(-2, "_VERSION");
}

/// Adds a function that captures the settings on top of the stack to the table below them.
fn add<F>(stack: &mut Stack<'_>, name: &str, native: F)
where
    F: Fn(&mut Stack<'_>) -> Native + Copy + 'static,
{
    stack.push_copy(-1);
    stack.push_native_with(native);
    stack.raw_set_name(-3, name);
}

fn new(stack: &mut Stack<'_>) -> Native {
    stack.reserve(4096)?;
    push(stack);
    Ok(1)
}

/// No more arguments than so many.
fn at_most(stack: &mut Stack<'_>, count: c_int) -> Result<(), Raise> {
    if stack.argument_count() > count {
        return bad(stack, count + 1, "found too many arguments");
    }
    Ok(())
}

fn is_absent(stack: &Stack<'_>, index: c_int) -> bool {
    matches!(stack.kind(index), Kind::None | Kind::Nil)
}

/// Sets a number that is given, within bounds.
fn set_number(
    stack: &mut Stack<'_>,
    index: c_int,
    setting: &mut i32,
    (low, high): (i32, i32),
) -> Result<(), Raise> {
    if is_absent(stack, index) {
        return Ok(());
    }
    // As C cuts it to an int.
    let number = integer(stack, index)? as i32;
    if !(low..=high).contains(&number) {
        let text = format!("expected integer between {low} and {high}");
        return bad(stack, 1, &text);
    }
    *setting = number;
    Ok(())
}

/// Sets what is one of several words, or for the first two a boolean.
fn set_word(
    stack: &mut Stack<'_>,
    index: c_int,
    setting: &mut usize,
    words: &[&str],
) -> Result<(), Raise> {
    if is_absent(stack, index) {
        return Ok(());
    }
    if stack.kind(index) == Kind::Boolean {
        *setting = stack.truth(index).into();
        return Ok(());
    }
    let word = text(stack, index)?;
    // As C reads it: up to the first zero byte.
    let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
    match words.iter().position(|name| name.as_bytes() == word) {
        Some(place) => *setting = place,
        None => {
            let text = [b"invalid option '", word, b"'"].concat();
            return bad_bytes(stack, index, &text);
        }
    }
    Ok(())
}

fn set_flag(stack: &mut Stack<'_>, index: c_int, setting: &mut bool) -> Result<(), Raise> {
    let mut place = usize::from(*setting);
    set_word(stack, index, &mut place, &["off", "on"])?;
    *setting = place == 1;
    Ok(())
}

fn encode_sparse_array(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 3)?;
    let mut settings = Settings::captured(stack);
    let changed = change_sparse(stack, &mut settings);
    // Redis: what comes before a wrong argument is set.
    settings.capture(stack);
    changed?;
    stack.push_boolean(settings.sparse_convert);
    stack.push_number(settings.sparse_ratio.into());
    stack.push_number(settings.sparse_safe.into());
    Ok(3)
}

fn change_sparse(stack: &mut Stack<'_>, settings: &mut Settings) -> Result<(), Raise> {
    set_flag(stack, 1, &mut settings.sparse_convert)?;
    set_number(stack, 2, &mut settings.sparse_ratio, (0, i32::MAX))?;
    set_number(stack, 3, &mut settings.sparse_safe, (0, i32::MAX))
}

fn encode_max_depth(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 1)?;
    let mut settings = Settings::captured(stack);
    set_number(stack, 1, &mut settings.encode_depth_max, (1, i32::MAX))?;
    settings.capture(stack);
    stack.push_number(settings.encode_depth_max.into());
    Ok(1)
}

fn decode_max_depth(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 1)?;
    let mut settings = Settings::captured(stack);
    set_number(stack, 1, &mut settings.decode_depth_max, (1, i32::MAX))?;
    settings.capture(stack);
    stack.push_number(settings.decode_depth_max.into());
    Ok(1)
}

fn encode_number_precision(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 1)?;
    let mut settings = Settings::captured(stack);
    let mut precision = settings.precision.into();
    set_number(stack, 1, &mut precision, (1, 14))?;
    settings.precision = precision as u8;
    settings.capture(stack);
    stack.push_number(precision.into());
    Ok(1)
}

fn encode_keep_buffer(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 1)?;
    let mut settings = Settings::captured(stack);
    set_flag(stack, 1, &mut settings.keep_buffer)?;
    settings.capture(stack);
    stack.push_boolean(settings.keep_buffer);
    Ok(1)
}

fn encode_invalid_numbers(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 1)?;
    let mut settings = Settings::captured(stack);
    let mut place = settings.encode_invalid as usize;
    set_word(stack, 1, &mut place, &["off", "on", "null"])?;
    settings.encode_invalid = match place {
        0 => Invalid::Refused,
        1 => Invalid::Written,
        _ => Invalid::Null,
    };
    settings.capture(stack);
    match settings.encode_invalid {
        Invalid::Null => stack.push_bytes(b"null"),
        other => stack.push_boolean(other == Invalid::Written),
    }
    Ok(1)
}

fn decode_invalid_numbers(stack: &mut Stack<'_>) -> Native {
    at_most(stack, 1)?;
    let mut settings = Settings::captured(stack);
    set_flag(stack, 1, &mut settings.decode_invalid)?;
    settings.capture(stack);
    stack.push_boolean(settings.decode_invalid);
    Ok(1)
}
