//! `cmsgpack.unpack`: MessagePack to values.
//!
//! Tables that are under way lie on the stack of Lua, a frame for each on the heap: nothing recurses. They grow value by value, so that
//! the order of their keys is that of Redis.

use std::ffi::c_int;

use smallvec::SmallVec;

use crate::script::library::check::{integer, integer_or, text};
use crate::script::library::cjson::reserve_growth;
use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Stack, Value};

use super::{BYTES_PER_TICK, FALSE, NIL, SLOTS_MAX, TRUE, VALUES_PER_TICK};

/// A table that has begun.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// The index of its next element, and how many follow.
    List(i32, u32),
    /// How many keys it has, how many have not come yet, and whether the value of the last key is the next.
    Map(u32, u32, bool),
}

/// Why the reading ends early.
enum Wrong {
    /// The text ends too early.
    Missing,
    /// It is no MessagePack, or a kind of value that lua-cmsgpack does not know.
    Format,
    /// The error is on top of the stack.
    Raise(Raise),
}

impl From<Raise> for Wrong {
    fn from(raise: Raise) -> Self {
        Self::Raise(raise)
    }
}

struct Reader<'t> {
    rest: &'t [u8],
    frames: SmallVec<[Frame; 8]>,
    /// Slots of the stack that Redis would have in use.
    slots: c_int,
    /// Slots that only we have in use: arguments that Redis removes, and the place of a result.
    above: c_int,
    /// So many slots of the stack may be used.
    granted: c_int,
    values_left: usize,
    bytes_left: usize,
}

impl<'t> Reader<'t> {
    fn new(rest: &'t [u8], slots: c_int, above: c_int) -> Self {
        Self {
            rest,
            frames: SmallVec::new(),
            slots,
            above,
            granted: 0,
            values_left: VALUES_PER_TICK,
            bytes_left: rest.len().saturating_sub(BYTES_PER_TICK),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'t [u8], Wrong> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(Wrong::Missing);
        };
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(Wrong::Missing);
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// Makes room for a value, and lets the host look at the time when it is time.
    fn tick(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        if self.slots + 1 > SLOTS_MAX {
            return stack.error_here(
                b"stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            );
        }
        // What Redis has on its stack is at least what we have: it puts the indices of elements there too.
        if self.slots + self.above >= self.granted {
            let top = stack.top();
            let more = (SLOTS_MAX - 1 - top).clamp(0, 32);
            stack.ensure(more)?;
            self.granted = top + more + 1;
        }
        self.values_left -= 1;
        if self.values_left == 0 || self.rest.len() < self.bytes_left {
            self.values_left = VALUES_PER_TICK;
            self.bytes_left = self.rest.len().saturating_sub(BYTES_PER_TICK);
            stack.reserve(BYTES_PER_TICK)?;
            stack.tick()?;
        }
        Ok(())
    }

    /// Pushes one value with all that is in it.
    fn push(&mut self, stack: &mut Stack<'_>) -> Result<(), Wrong> {
        loop {
            let is_begun = self.push_next(stack)?;
            if !is_begun && self.place_value(stack)? {
                return Ok(());
            }
        }
    }

    /// Pushes a value; true: a table that is not empty, whose first value comes next.
    fn push_next(&mut self, stack: &mut Stack<'_>) -> Result<bool, Wrong> {
        let [kind] = self.take_array()?;
        self.tick(stack)?;
        match kind {
            0..=0x7f => stack.push_number(kind.into()),
            0x80..=0x8f => return self.begin_map(stack, (kind & 15).into()),
            0x90..=0x9f => return self.begin_list(stack, (kind & 15).into()),
            0xa0..=0xbf => self.push_text(stack, (kind & 31).into())?,
            NIL => stack.push_nil(),
            FALSE => stack.push_boolean(false),
            TRUE => stack.push_boolean(true),
            0xca => stack.push_number(f32::from_be_bytes(self.take_array()?).into()),
            0xcb => stack.push_number(f64::from_be_bytes(self.take_array()?)),
            0xcc => stack.push_number(u8::from_be_bytes(self.take_array()?).into()),
            0xcd => stack.push_number(u16::from_be_bytes(self.take_array()?).into()),
            0xce => stack.push_number(u32::from_be_bytes(self.take_array()?).into()),
            // Redis: also the unsigned one becomes signed.
            0xcf | 0xd3 => stack.push_number(i64::from_be_bytes(self.take_array()?) as f64),
            0xd0 => stack.push_number(i8::from_be_bytes(self.take_array()?).into()),
            0xd1 => stack.push_number(i16::from_be_bytes(self.take_array()?).into()),
            0xd2 => stack.push_number(i32::from_be_bytes(self.take_array()?).into()),
            0xd9..=0xdb => {
                let len = self.length(kind - 0xd9)?;
                self.push_text(stack, len)?;
            }
            0xdc | 0xdd => {
                let len = self.length(kind - 0xdb)?;
                return self.begin_list(stack, len);
            }
            0xde | 0xdf => {
                let len = self.length(kind - 0xdd)?;
                return self.begin_map(stack, len);
            }
            0xe0..=0xff => stack.push_number(kind.cast_signed().into()),
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => return Err(Wrong::Format),
        }
        Ok(false)
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, size: u8) -> Result<u32, Wrong> {
        Ok(match size {
            0 => u8::from_be_bytes(self.take_array()?).into(),
            1 => u16::from_be_bytes(self.take_array()?).into(),
            _ => u32::from_be_bytes(self.take_array()?),
        })
    }

    fn push_text(&mut self, stack: &mut Stack<'_>, len: u32) -> Result<(), Wrong> {
        let text = self.take(len as usize)?;
        if text.len() >= BYTES_PER_TICK {
            stack.reserve(text.len())?;
        }
        stack.push_bytes(text);
        Ok(())
    }

    fn begin_list(&mut self, stack: &mut Stack<'_>, len: u32) -> Result<bool, Wrong> {
        stack.push_table(0, 0);
        if self.slots + 2 > SLOTS_MAX {
            stack.error_here::<()>(b"stack overflow (in function mp_decode_to_lua_array)")?;
        }
        if len == 0 {
            return Ok(false);
        }
        // The table, and the index of the element.
        self.slots += 2;
        self.frames.push(Frame::List(1, len));
        Ok(true)
    }

    fn begin_map(&mut self, stack: &mut Stack<'_>, len: u32) -> Result<bool, Wrong> {
        stack.push_table(0, 0);
        if len == 0 {
            return Ok(false);
        }
        self.slots += 1;
        self.frames.push(Frame::Map(0, len, false));
        Ok(true)
    }

    /// Puts the value on top where it belongs, and so on with the tables that end there. True: it is the one that was asked for.
    fn place_value(&mut self, stack: &mut Stack<'_>) -> Result<bool, Raise> {
        loop {
            match self.frames.last_mut() {
                None => return Ok(true),
                Some(Frame::List(index, left)) => {
                    reserve_growth(stack, *index as u32)?;
                    stack.raw_set_index(-2, *index);
                    *index = index.wrapping_add(1);
                    *left -= 1;
                    if *left > 0 {
                        return Ok(false);
                    }
                    self.slots -= 2;
                }
                Some(Frame::Map(_, _, has_key @ false)) => {
                    *has_key = true;
                    self.slots += 1;
                    return Ok(false);
                }
                Some(Frame::Map(count, left, has_key)) => {
                    *has_key = false;
                    *count = count.wrapping_add(1);
                    *left -= 1;
                    let left = *left;
                    reserve_growth(stack, *count)?;
                    self.slots -= 1;
                    if !stack.try_raw_set(-3) {
                        let is_nil = matches!(stack.value(-2), Value::Nil);
                        let name: &[u8] = if is_nil { b"nil" } else { b"NaN" };
                        return stack.error(&[b"table index is ", name].concat());
                    }
                    if left > 0 {
                        return Ok(false);
                    }
                    self.slots -= 1;
                }
            }
            self.frames.pop();
        }
    }
}

/// Pushes up to so many values from a place in the first argument on; without both, all of them.
/// `slots`: how many arguments Redis leaves on the stack.
fn unpack_from(stack: &mut Stack<'_>, limit: i32, offset: i32, slots: c_int) -> Native {
    let text = text(stack, 1)?;
    let len = text.len();
    if offset < 0 || limit < 0 {
        let len = len as i32;
        let error =
            format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return stack.error_here(error.as_bytes());
    }
    let Some(rest) = text.get(offset as usize..) else {
        let len = len as i32;
        let error = format!("Start offset {offset} greater than input length {len}.");
        return stack.error_here(error.as_bytes());
    };
    let is_all = limit == 0 && offset == 0;
    let limit = if is_all { i32::MAX } else { limit };
    if !is_all {
        // The place where the next call begins comes first: known at the end.
        stack.push_nil();
    }
    let place = stack.top();
    let mut reader = Reader::new(rest, slots, place - slots);
    let mut count = 0;
    while !reader.rest.is_empty() && count < limit {
        match reader.push(stack) {
            Ok(()) => {}
            Err(Wrong::Missing) => return stack.error_here(b"Missing bytes in input."),
            Err(Wrong::Format) => return stack.error_here(b"Bad data format in input."),
            Err(Wrong::Raise(raise)) => return Err(raise),
        }
        reader.slots += 1;
        count += 1;
    }
    if is_all {
        return Ok(count);
    }
    if reader.slots + 1 > SLOTS_MAX {
        return stack.error_here(b"stack overflow (in function mp_unpack_full)");
    }
    let left = reader.rest.len();
    let next = if left == 0 { -1.0 } else { (len - left) as f64 };
    stack.push_number(next);
    stack.insert(place);
    stack.remove(place + 1);
    Ok(count + 1)
}

pub(super) fn unpack(stack: &mut Stack<'_>) -> Native {
    unpack_from(stack, 0, 0, stack.argument_count())
}

pub(super) fn unpack_one(stack: &mut Stack<'_>) -> Native {
    // As C cuts it to an int.
    let offset = integer_or(stack, 2, 0)? as i32;
    unpack_from(stack, 1, offset, 1)
}

pub(super) fn unpack_limit(stack: &mut Stack<'_>) -> Native {
    let limit = integer(stack, 2)? as i32;
    let offset = integer_or(stack, 3, 0)? as i32;
    unpack_from(stack, limit, offset, 1)
}
