//! `cjson.encode`: values to JSON.
//!
//! ```text
//!            first key 1            keys are not 1, 2, 3 …, or an error
//! table ─┬─► Guess: an array, ──────────────────────────────────────────► all again from the start, exact:
//!        │   written while walked                                           Array: walked to see what it is, then written
//!        └─► Object: written while walked (any key that is no number)       Object: the same
//! ```
//! Redis walks an array twice, first to see that it is one. Nearly all tables whose first key is 1 are arrays, so they are written at
//! once; where that was wrong, or an error would have to be raised, the whole value is written again as Redis does it.
//! Tables that are under way lie on the stack of Lua, each with its key, as in Redis: nothing here recurses.

use std::cell::Cell;
use std::ffi::c_int;

use crate::limits::SCRIPT_EXCHANGE_BYTES_KEPT;
use crate::script::library::check::bad;
use crate::script::library::guard::{is_guard, push_contents};
use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Stack, Value};

use super::number::write_number;
use super::{BYTES_PER_TICK, DEFAULT, Invalid, SLOTS_MAX, Settings, VALUES_PER_TICK};

/// A table that is being written.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Its place on the stack; above it lie its key, and what is above that.
    Object(c_int),
    /// An array as far as it has been walked, and the index that comes next.
    Guess(c_int, i32),
    /// An array: its place, the next index and the last.
    Array(c_int, i64, i32),
}

/// Why the writing ends early.
enum Stop {
    /// It must be written exactly.
    Again,
    /// The error is on top of the stack.
    Raise(Raise),
}

impl From<Raise> for Stop {
    fn from(raise: Raise) -> Self {
        Self::Raise(raise)
    }
}

/// What the next call writes to: kept, so that most calls allocate nothing.
#[derive(Debug, Default)]
struct Buffers {
    out: Vec<u8>,
    frames: Vec<Frame>,
}

thread_local! {
    static BUFFERS: Cell<Buffers> = const { Cell::new(Buffers { out: Vec::new(), frames: Vec::new() }) };
}

pub(super) fn encode(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() != 1 {
        return bad(stack, 1, "expected 1 argument");
    }
    let settings = Settings::captured(stack);
    // Taken out: while this script stands still, another one may be run.
    let mut writer = Writer {
        buffers: BUFFERS.take(),
        settings,
        is_exact: false,
        values_left: VALUES_PER_TICK,
        bytes_next: BYTES_PER_TICK,
    };
    let result = writer.write(stack);
    let result = result.and_then(|()| {
        let out = &writer.buffers.out;
        if out.len() > BYTES_PER_TICK {
            stack.reserve(out.len())?;
        }
        stack.push_bytes(out);
        Ok(1)
    });
    if writer.buffers.out.capacity() <= SCRIPT_EXCHANGE_BYTES_KEPT {
        writer.buffers.out.clear();
        writer.buffers.frames.clear();
        BUFFERS.set(writer.buffers);
    }
    result
}

struct Writer {
    buffers: Buffers,
    settings: Settings,
    /// Arrays are walked before they are written, and errors are raised.
    is_exact: bool,
    values_left: usize,
    bytes_next: usize,
}

impl Writer {
    fn write(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        match self.write_root(stack) {
            Ok(()) => Ok(()),
            Err(Stop::Raise(raise)) => Err(raise),
            Err(Stop::Again) => {
                let above = stack.top() - 1;
                stack.pop(above);
                self.buffers.out.clear();
                self.buffers.frames.clear();
                self.is_exact = true;
                match self.write_root(stack) {
                    Ok(()) => Ok(()),
                    Err(Stop::Raise(raise)) => Err(raise),
                    Err(Stop::Again) => unreachable!("nothing is guessed"),
                }
            }
        }
    }

    fn write_root(&mut self, stack: &mut Stack<'_>) -> Result<(), Stop> {
        if !self.write_scalar(stack, 1)? {
            let mut is_entered = self.enter(stack, 1)?;
            while let Some(frame) = self.buffers.frames.pop() {
                is_entered = match frame {
                    Frame::Object(table) => self.write_object(stack, table, is_entered)?,
                    Frame::Guess(table, next) => {
                        self.write_guess(stack, table, next, is_entered)?
                    }
                    Frame::Array(table, next, last) => {
                        self.write_array(stack, table, next, last)?
                    }
                };
            }
        }
        Ok(())
    }

    /// An error that Redis raises with its place.
    fn fail<T>(&self, stack: &mut Stack<'_>, text: &str) -> Result<T, Stop> {
        if !self.is_exact {
            return Err(Stop::Again);
        }
        Err(Stop::Raise(match stack.error_here::<T>(text.as_bytes()) {
            Ok(_) => unreachable!("an error is one"),
            Err(raise) => raise,
        }))
    }

    fn refuse<T>(&self, stack: &mut Stack<'_>, index: c_int, why: &str) -> Result<T, Stop> {
        let kind = stack.kind(index).name();
        self.fail(stack, &format!("Cannot serialise {kind}: {why}"))
    }

    /// Lets the host look at the time, when it is time.
    fn tick(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        self.values_left -= 1;
        if self.values_left == 0 || self.buffers.out.len() >= self.bytes_next {
            self.values_left = VALUES_PER_TICK;
            self.bytes_next = self.buffers.out.len() + BYTES_PER_TICK;
            stack.reserve(self.bytes_next)?;
            stack.tick()?;
        }
        Ok(())
    }

    /// Begins a table: decides what it is. Its first key and value are on the stack then (true), or only its key, which is nil.
    fn enter(&mut self, stack: &mut Stack<'_>, table: c_int) -> Result<bool, Stop> {
        let depth = self.buffers.frames.len() as i32 + 1;
        let is_deep = depth > self.settings.encode_depth_max || stack.top() + 3 > SLOTS_MAX;
        if is_deep || (!self.is_exact && depth > DEFAULT.encode_depth_max) {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return self.fail(stack, &text);
        }
        // A key, its value, and what is said about them.
        stack.ensure(2)?;
        let table = contents(stack, table)?;
        if self.is_exact {
            return match self.array_length(stack, table)? {
                Some(last) => {
                    self.buffers.out.push(b'[');
                    self.buffers.frames.push(Frame::Array(table, 1, last));
                    Ok(false)
                }
                None => {
                    self.buffers.out.push(b'{');
                    self.buffers.frames.push(Frame::Object(table));
                    stack.push_nil();
                    Ok(false)
                }
            };
        }
        stack.push_nil();
        if !stack.step(table) {
            // An object without a key: the walk begins, and ends.
            self.buffers.out.push(b'{');
            self.buffers.frames.push(Frame::Object(table));
            stack.push_nil();
            return Ok(false);
        }
        match stack.value(-2) {
            Value::Number(1.0) => {
                self.buffers.out.push(b'[');
                self.buffers.frames.push(Frame::Guess(table, 1));
            }
            Value::Number(_) => return Err(Stop::Again),
            _ => {
                self.buffers.out.push(b'{');
                self.buffers.frames.push(Frame::Object(table));
            }
        }
        Ok(true)
    }

    /// The last index when the table is an array that is not empty.
    fn array_length(&mut self, stack: &mut Stack<'_>, table: c_int) -> Result<Option<i32>, Stop> {
        let mut last = 0i32;
        let mut count = 0i32;
        stack.push_nil();
        while stack.step(table) {
            self.tick(stack)?;
            match stack.value(-2) {
                Value::Number(index) if index >= 1.0 && index.floor() == index => {
                    if index > f64::from(last) {
                        last = cut_to_int(index);
                    }
                    count = count.wrapping_add(1);
                    stack.pop(1);
                }
                _ => {
                    stack.pop(2);
                    return Ok(None);
                }
            }
        }
        let ratio = self.settings.sparse_ratio;
        let is_sparse = last > count.wrapping_mul(ratio) && last > self.settings.sparse_safe;
        if ratio > 0 && is_sparse {
            if !self.settings.sparse_convert {
                // Redis: names the type of what is on top, which is the table.
                return self.fail(stack, "Cannot serialise table: excessively sparse array");
            }
            return Ok(None);
        }
        Ok((last > 0).then_some(last))
    }

    /// Goes on with an object. With `has_pair` its next key and value are on the stack; else its last key is. The same for the table
    /// whose turn is next is what it answers.
    fn write_object(
        &mut self,
        stack: &mut Stack<'_>,
        table: c_int,
        mut has_pair: bool,
    ) -> Result<bool, Stop> {
        while has_pair || stack.step(table) {
            has_pair = false;
            self.tick(stack)?;
            match stack.value(-2) {
                Value::Bytes(key) => {
                    write_string_start(&mut self.buffers.out, key);
                    if key.len() > STRING_START_MAX {
                        self.write_string_rest(stack, -2)?;
                    }
                    self.buffers.out.extend_from_slice(b"\":");
                }
                Value::Number(number) => {
                    self.buffers.out.push(b'"');
                    self.write_number(stack, -2, number)?;
                    self.buffers.out.extend_from_slice(b"\":");
                }
                _ => return self.refuse(stack, -2, "table key must be a number or string"),
            }
            if !self.write_scalar(stack, -1)? {
                self.buffers.frames.push(Frame::Object(table));
                let top = stack.top();
                return self.enter(stack, top);
            }
            stack.pop(1);
            self.buffers.out.push(b',');
        }
        self.close(stack, table, b'}');
        Ok(false)
    }

    fn write_guess(
        &mut self,
        stack: &mut Stack<'_>,
        table: c_int,
        mut next: i32,
        mut has_pair: bool,
    ) -> Result<bool, Stop> {
        while has_pair || stack.step(table) {
            has_pair = false;
            self.tick(stack)?;
            match stack.value(-2) {
                Value::Number(index) if index == f64::from(next) => next = next.wrapping_add(1),
                _ => return Err(Stop::Again),
            }
            if !self.write_scalar(stack, -1)? {
                self.buffers.frames.push(Frame::Guess(table, next));
                let top = stack.top();
                return self.enter(stack, top);
            }
            stack.pop(1);
            self.buffers.out.push(b',');
        }
        self.close(stack, table, b']');
        Ok(false)
    }

    fn write_array(
        &mut self,
        stack: &mut Stack<'_>,
        table: c_int,
        next: i64,
        last: i32,
    ) -> Result<bool, Stop> {
        for index in next..=last.into() {
            self.tick(stack)?;
            stack.raw_get_index(table, index as c_int);
            if !self.write_scalar(stack, -1)? {
                self.buffers
                    .frames
                    .push(Frame::Array(table, index + 1, last));
                let top = stack.top();
                return self.enter(stack, top);
            }
            stack.pop(1);
            self.buffers.out.push(b',');
        }
        self.close(stack, table, b']');
        Ok(false)
    }

    /// Ends a table, and takes it from the stack when it is a value of another one.
    fn close(&mut self, stack: &mut Stack<'_>, table: c_int, end: u8) {
        let out = &mut self.buffers.out;
        match out.last_mut() {
            Some(last @ b',') => *last = end,
            _ => out.push(end),
        }
        if table > 1 && !self.buffers.frames.is_empty() {
            stack.pop(1);
            out.push(b',');
        }
    }

    /// Writes a value that is no table; false when it is one.
    fn write_scalar(&mut self, stack: &mut Stack<'_>, index: c_int) -> Result<bool, Stop> {
        let out = &mut self.buffers.out;
        match stack.value(index) {
            Value::Bytes(text) => {
                write_string_start(out, text);
                if text.len() > STRING_START_MAX {
                    self.write_string_rest(stack, index)?;
                }
                self.buffers.out.push(b'"');
            }
            Value::Number(number) => self.write_number(stack, index, number)?,
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Nil | Value::Null => out.extend_from_slice(b"null"),
            Value::Table => return Ok(false),
            Value::Other => return self.refuse(stack, index, "type not supported"),
        }
        Ok(true)
    }

    fn write_number(
        &mut self,
        stack: &mut Stack<'_>,
        index: c_int,
        number: f64,
    ) -> Result<(), Stop> {
        let out = &mut self.buffers.out;
        if !number.is_finite() {
            match self.settings.encode_invalid {
                Invalid::Refused => return self.refuse(stack, index, "must not be NaN or Inf"),
                Invalid::Written if number.is_nan() => {
                    out.extend_from_slice(b"nan");
                    return Ok(());
                }
                Invalid::Written => {}
                Invalid::Null => {
                    out.extend_from_slice(b"null");
                    return Ok(());
                }
            }
        }
        write_number(out, number, self.settings.precision);
        Ok(())
    }

    /// What [`write_string_start`] has left of a long string.
    fn write_string_rest(&mut self, stack: &mut Stack<'_>, index: c_int) -> Result<(), Stop> {
        let mut at = STRING_START_MAX;
        loop {
            let Value::Bytes(text) = stack.value(index) else {
                return Ok(());
            };
            let rest = text.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let piece = rest.get(..STRING_START_MAX).unwrap_or(rest);
            write_escaped(&mut self.buffers.out, piece);
            at += piece.len();
            self.tick(stack)?;
        }
    }
}

/// The contents of a table that is a guard, in its place; any other table is left where it is. Answers its place.
fn contents(stack: &mut Stack<'_>, table: c_int) -> Result<c_int, Raise> {
    if !stack.push_metatable(table) {
        return Ok(table);
    }
    stack.pop(1);
    if !is_guard(stack, table) {
        return Ok(table);
    }
    push_contents(stack, table);
    if table > 1 {
        stack.remove(table);
    } else {
        stack.ensure(2)?;
    }
    Ok(stack.top())
}

/// As C's cast from a double to an int does on x86.
fn cut_to_int(number: f64) -> i32 {
    if number < 2_147_483_648.0 {
        number as i32
    } else {
        i32::MIN
    }
}

/// So much of a string is written at once.
const STRING_START_MAX: usize = 64 * 1024;

/// The quote, and the string as far as it is written at once.
fn write_string_start(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    write_escaped(out, text.get(..STRING_START_MAX).unwrap_or(text));
}

/// What stands for a byte: 0 itself, `u` its number, else the letter behind a backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 32 {
        table[byte] = b'u';
        byte += 1;
    }
    table[127] = b'u';
    table[8] = b'b';
    table[9] = b't';
    table[10] = b'n';
    table[12] = b'f';
    table[13] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table
};

fn escape(byte: u8) -> u8 {
    ESCAPES.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Runs of bytes that stand for themselves are copied at once.
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    while let Some(at) = first_escaped(rest) {
        let (run, tail) = rest.split_at(at);
        out.extend_from_slice(run);
        let Some((byte, tail)) = tail.split_first() else {
            return;
        };
        match escape(*byte) {
            b'u' => {
                let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
}

fn first_escaped(text: &[u8]) -> Option<usize> {
    let needs = |byte: &u8| *byte < 32 || matches!(*byte, b'"' | b'\\' | b'/' | 127);
    let (blocks, rest) = text.as_chunks::<16>();
    for (index, block) in blocks.iter().enumerate() {
        // Without a branch for each byte: 16 are looked at together.
        if block.iter().fold(false, |any, byte| any | needs(byte)) {
            let at = block.iter().position(needs);
            return at.map(|at| index * 16 + at);
        }
    }
    let at = rest.iter().position(|byte| escape(*byte) != 0)?;
    Some(blocks.len() * 16 + at)
}
