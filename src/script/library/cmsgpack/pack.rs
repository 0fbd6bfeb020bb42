//! `cmsgpack.pack`: values to MessagePack.
//!
//! A table is written while it is walked: one whose first key is 1 as a list, which it nearly always is, any other as a map, whose
//! length is put before it when it is known. Where the keys turn out not to be 1, 2, 3 …, it is written again.

use std::cell::Cell;
use std::ffi::c_int;

use crate::limits::SCRIPT_EXCHANGE_BYTES_KEPT;
use crate::script::library::check::bad;
use crate::script::library::guard::{is_guard, push_contents};
use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Stack, Value};

use super::{BYTES_PER_TICK, FALSE, NIL, SLOTS_MAX, TRUE, VALUES_PER_TICK};

/// Tables nested deeper become nil.
const DEPTH_MAX: u32 = 16;

thread_local! {
    /// What the next call writes to: kept, so that most calls allocate nothing.
    static OUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) fn pack(stack: &mut Stack<'_>) -> Native {
    let count = stack.argument_count();
    if count == 0 {
        return bad(stack, 0, "MessagePack pack needs input.");
    }
    if count * 2 > SLOTS_MAX {
        return bad(stack, 0, "Too many arguments for MessagePack pack.");
    }
    // Each level takes a key, its value, and a copy of the key.
    stack.ensure(4 * DEPTH_MAX as c_int + 8)?;
    // Taken out: while this script stands still, another one may be run.
    let mut writer = Writer {
        out: OUT.take(),
        is_exact: false,
        values_left: VALUES_PER_TICK,
        bytes_next: BYTES_PER_TICK,
    };
    let result = writer.write_all(stack, count);
    if writer.out.capacity() <= SCRIPT_EXCHANGE_BYTES_KEPT {
        writer.out.clear();
        OUT.set(writer.out);
    }
    result
}

struct Writer {
    out: Vec<u8>,
    /// A table with a first key 1 was no list: from now on such tables are walked before they are written, since what is written in
    /// vain at each depth would be written again and again.
    is_exact: bool,
    values_left: usize,
    bytes_next: usize,
}

impl Writer {
    fn write_all(&mut self, stack: &mut Stack<'_>, count: c_int) -> Native {
        for index in 1..=count {
            self.write(stack, index, 0)?;
        }
        if self.out.len() > BYTES_PER_TICK {
            stack.reserve(self.out.len())?;
        }
        stack.push_bytes(&self.out);
        Ok(1)
    }

    /// Lets the host look at the time, when it is time.
    fn tick(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        self.values_left -= 1;
        if self.values_left == 0 || self.out.len() >= self.bytes_next {
            self.values_left = VALUES_PER_TICK;
            self.bytes_next = self.out.len() + BYTES_PER_TICK;
            stack.reserve(self.bytes_next)?;
            stack.tick()?;
        }
        Ok(())
    }

    fn write(&mut self, stack: &mut Stack<'_>, index: c_int, depth: u32) -> Result<(), Raise> {
        self.tick(stack)?;
        match stack.value(index) {
            Value::Bytes(text) => {
                let len = text.len();
                if len < BYTES_PER_TICK {
                    self.write_string(text);
                    return Ok(());
                }
                stack.reserve(self.out.len() + len)?;
                if let Value::Bytes(text) = stack.value(index) {
                    self.write_string(text);
                }
            }
            Value::Number(number) => self.write_number(number),
            Value::Boolean(value) => self.out.push(if value { TRUE } else { FALSE }),
            Value::Table if depth < DEPTH_MAX => {
                let slot = if index < 0 {
                    stack.top() + 1 + index
                } else {
                    index
                };
                return self.write_table(stack, slot, depth);
            }
            Value::Table | Value::Nil | Value::Null | Value::Other => self.out.push(NIL),
        }
        Ok(())
    }

    fn write_string(&mut self, text: &[u8]) {
        let len = text.len();
        match len {
            0..=31 => self.out.push(0xa0 | len as u8),
            32..=0xff => self.out.extend_from_slice(&[0xd9, len as u8]),
            0x100..=0xffff => self.head(0xda, (len as u16).to_be_bytes()),
            _ => self.head(0xdb, (len as u32).to_be_bytes()),
        }
        self.out.extend_from_slice(text);
    }

    fn head<const N: usize>(&mut self, kind: u8, bytes: [u8; N]) {
        self.out.push(kind);
        self.out.extend_from_slice(&bytes);
    }

    fn write_number(&mut self, number: f64) {
        let integer = number as i64;
        // 2^63 is cut to what is one less, which as a double is the same.
        if integer as f64 == number && integer != i64::MAX {
            self.write_integer(integer);
            return;
        }
        let short = number as f32;
        if f64::from(short) == number {
            self.head(0xca, short.to_be_bytes());
        } else {
            self.head(0xcb, number.to_be_bytes());
        }
    }

    fn write_integer(&mut self, integer: i64) {
        match integer {
            -32..=0x7f => self.out.push(integer as u8),
            0x80..=0xff => self.out.extend_from_slice(&[0xcc, integer as u8]),
            0x100..=0xffff => self.head(0xcd, (integer as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.head(0xce, (integer as u32).to_be_bytes()),
            0x1_0000_0000.. => self.head(0xcf, integer.to_be_bytes()),
            -0x80..=-33 => self.out.extend_from_slice(&[0xd0, integer as u8]),
            -0x8000..=-0x81 => self.head(0xd1, (integer as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.head(0xd2, (integer as i32).to_be_bytes()),
            _ => self.head(0xd3, integer.to_be_bytes()),
        }
    }

    fn write_table(&mut self, stack: &mut Stack<'_>, slot: c_int, depth: u32) -> Result<(), Raise> {
        let mut table = slot;
        if stack.push_metatable(slot) {
            stack.pop(1);
            if is_guard(stack, slot) {
                push_contents(stack, slot);
                table = stack.top();
            }
        }
        stack.push_nil();
        if !stack.step(table) {
            self.out.push(0x90);
        } else if !matches!(stack.value(-2), Value::Number(_)) {
            self.write_map(stack, table, depth)?;
        } else if self.is_exact {
            stack.pop(2);
            self.write_numbered(stack, table, depth)?;
        } else if !self.write_list(stack, table, depth)? {
            self.is_exact = true;
            self.write_numbered(stack, table, depth)?;
        }
        if table != slot {
            stack.pop(1);
        }
        Ok(())
    }

    /// Writes a table whose keys come as 1, 2, 3 …; its first key and value are on the stack. False: it is not so, nothing is written.
    fn write_list(
        &mut self,
        stack: &mut Stack<'_>,
        table: c_int,
        depth: u32,
    ) -> Result<bool, Raise> {
        let start = self.out.len();
        let len = stack.length(table);
        self.write_list_head(len);
        let mut next = 1;
        loop {
            match stack.value(-2) {
                Value::Number(index) if index == next as f64 => next += 1,
                _ => {
                    stack.pop(2);
                    self.out.truncate(start);
                    return Ok(false);
                }
            }
            self.write(stack, -1, depth + 1)?;
            stack.pop(1);
            if !stack.step(table) {
                break;
            }
        }
        if next == len + 1 {
            return Ok(true);
        }
        self.out.truncate(start);
        Ok(false)
    }

    /// Writes a table whose first key is a number, but which may be a map all the same.
    fn write_numbered(
        &mut self,
        stack: &mut Stack<'_>,
        table: c_int,
        depth: u32,
    ) -> Result<(), Raise> {
        if self.is_list(stack, table)? {
            let len = stack.length(table);
            return self.write_elements(stack, table, len, depth);
        }
        stack.push_nil();
        if stack.step(table) {
            self.write_map(stack, table, depth)?;
        }
        Ok(())
    }

    /// Whether the keys are 1 to the number of elements.
    fn is_list(&mut self, stack: &mut Stack<'_>, table: c_int) -> Result<bool, Raise> {
        let mut last = 0;
        let mut count = 0;
        stack.push_nil();
        while stack.step(table) {
            self.tick(stack)?;
            match stack.value(-2) {
                Value::Number(index) if index > 0.0 && f64::from(index as i32) == index => {
                    last = last.max(index as i32);
                    count += 1;
                    stack.pop(1);
                }
                _ => {
                    stack.pop(2);
                    return Ok(false);
                }
            }
        }
        Ok(last == count)
    }

    fn write_list_head(&mut self, len: usize) {
        match len {
            0..=15 => self.out.push(0x90 | len as u8),
            16..=0xffff => self.head(0xdc, (len as u16).to_be_bytes()),
            _ => self.head(0xdd, (len as u32).to_be_bytes()),
        }
    }

    fn write_elements(
        &mut self,
        stack: &mut Stack<'_>,
        table: c_int,
        len: usize,
        depth: u32,
    ) -> Result<(), Raise> {
        self.write_list_head(len);
        for index in 1..=len {
            stack.raw_get_index(table, index as c_int);
            self.write(stack, -1, depth + 1)?;
            stack.pop(1);
        }
        Ok(())
    }

    /// Writes a table as a map; its first key and value are on the stack.
    fn write_map(&mut self, stack: &mut Stack<'_>, table: c_int, depth: u32) -> Result<(), Raise> {
        let start = self.out.len();
        self.out.push(0);
        let mut len = 0usize;
        loop {
            len += 1;
            self.write(stack, -2, depth + 1)?;
            self.write(stack, -1, depth + 1)?;
            stack.pop(1);
            if !stack.step(table) {
                break;
            }
        }
        match len {
            0..=15 => self.put_head(start, &[0x80 | len as u8]),
            16..=0xffff => {
                let [high, low] = (len as u16).to_be_bytes();
                self.put_head(start, &[0xde, high, low]);
            }
            _ => {
                let [a, b, c, d] = (len as u32).to_be_bytes();
                self.put_head(start, &[0xdf, a, b, c, d]);
            }
        }
        Ok(())
    }

    /// Replaces the byte that was left for the head of a table.
    fn put_head(&mut self, start: usize, head: &[u8]) {
        self.out.splice(start..=start, head.iter().copied());
    }
}
