//! `table`: what writes raw must not write into a guard, and what runs long must let the host look.
//!
//! Source: section 5.5 of the manual of Lua 5.1.

use std::ffi::c_int;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack};

use super::check::{integer, table};
use super::guard::check_open;

/// Longer lists without a function of order are sorted here: Lua's own sort would not let anybody look at the time, and an order that is made
/// for it takes the square of it.
const SORTED_BY_LUA_MAX: usize = 10_000;
/// What Lua's sort says where it was called; from here it does not see the script.
const INVALID_ORDER: &[u8] = b"invalid order function for sorting";
/// The host may look after so many elements.
const TICK_EVERY: usize = 10_000;

/// Replaces the functions in the table on top.
pub(super) fn install(stack: &mut Stack<'_>) {
    stack.push_native(insert);
    stack.raw_set_name(-2, "insert");
    stack.push_native(remove);
    stack.raw_set_name(-2, "remove");
    stack.raw_get_name(-1, "sort");
    stack.push_native_with(sort);
    stack.raw_set_name(-2, "sort");
}

fn border(stack: &mut Stack<'_>) -> Result<c_int, Raise> {
    match c_int::try_from(stack.length(1)) {
        Ok(len) if len < c_int::MAX => Ok(len),
        _ => stack.error_here(b"table is too long"),
    }
}

fn insert(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    check_open(stack, 1)?;
    let end = border(stack)? + 1;
    let at = match stack.argument_count() {
        2 => end,
        3 => {
            let at = integer(stack, 2)?;
            let Ok(at) = c_int::try_from(at) else {
                return stack.error_here(b"position is out of range");
            };
            // Lua: a place behind the end is as far as the list goes then.
            for (moved, from) in (at..end).rev().enumerate() {
                stack.raw_get_index(1, from);
                stack.raw_set_index(1, from + 1);
                tick_at(stack, moved)?;
            }
            at
        }
        _ => return stack.error_here(b"wrong number of arguments to 'insert'"),
    };
    // A table doubles.
    let len = usize::try_from(end).unwrap_or(0);
    stack.reserve(if len.is_power_of_two() { 40 * len } else { 40 })?;
    let value = stack.argument_count();
    stack.push_copy(value);
    stack.raw_set_index(1, at);
    Ok(0)
}

/// Lets the host look once in a while.
fn tick_at(stack: &mut Stack<'_>, done: usize) -> Result<(), Raise> {
    if done % TICK_EVERY == TICK_EVERY - 1 {
        stack.tick()?;
    }
    Ok(())
}

fn remove(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    let end = border(stack)?;
    let at = super::check::integer_or(stack, 2, end.into())?;
    let Some(at) = c_int::try_from(at).ok().filter(|at| (1..=end).contains(at)) else {
        return Ok(0);
    };
    stack.raw_get_index(1, at);
    for (moved, from) in (at + 1..=end).enumerate() {
        stack.raw_get_index(1, from);
        stack.raw_set_index(1, from - 1);
        tick_at(stack, moved)?;
    }
    stack.push_nil();
    stack.raw_set_index(1, end);
    Ok(1)
}

fn sort(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    let has_order = !matches!(stack.kind(2), Kind::None | Kind::Nil);
    if stack.length(1) > SORTED_BY_LUA_MAX {
        if !has_order && sort_numbers(stack)? {
            return Ok(0);
        }
        if !has_order && sort_texts(stack)? {
            return Ok(0);
        }
        if has_order && stack.is_native(2) {
            return stack.error_here(INVALID_ORDER);
        }
    }
    let count = stack.argument_count().min(2);
    stack.push_captured();
    for index in 1..=count {
        stack.push_copy(index);
    }
    if stack.call(count, 0).is_err() {
        let is_order = stack.bytes(-1) == Some(INVALID_ORDER);
        return if is_order {
            stack.error_here(INVALID_ORDER)
        } else {
            stack.raise()
        };
    }
    Ok(0)
}

/// Sorts a list of numbers only; false, and nothing done, for any other.
fn sort_numbers(stack: &mut Stack<'_>) -> Result<bool, Raise> {
    let len = border(stack)?;
    stack.reserve(usize::try_from(len).unwrap_or_default() * size_of::<f64>())?;
    let mut numbers = Vec::new();
    for index in 1..=len {
        stack.raw_get_index(1, index);
        let is_number = stack.kind(-1) == Kind::Number;
        let number = stack.number(-1).unwrap_or_default();
        stack.pop(1);
        if !is_number || number.is_nan() {
            return Ok(false);
        }
        numbers.push(number);
        tick_at(stack, numbers.len())?;
    }
    numbers.sort_unstable_by(f64::total_cmp);
    for (index, number) in (1..).zip(&numbers) {
        stack.push_number(*number);
        stack.raw_set_index(1, index);
    }
    stack.tick()?;
    Ok(true)
}

/// As [`sort_numbers`], of texts.
fn sort_texts(stack: &mut Stack<'_>) -> Result<bool, Raise> {
    let len = border(stack)?;
    let mut texts: Vec<Box<[u8]>> = Vec::new();
    let mut bytes = 0;
    for index in 1..=len {
        stack.raw_get_index(1, index);
        if stack.kind(-1) != Kind::String {
            stack.pop(1);
            return Ok(false);
        }
        let text = stack.bytes(-1).unwrap_or_default();
        bytes += text.len() + size_of::<Box<[u8]>>();
        texts.push(text.into());
        stack.pop(1);
        stack.reserve(bytes)?;
        tick_at(stack, texts.len())?;
    }
    texts.sort_unstable();
    for (index, text) in (1..).zip(&texts) {
        stack.push_bytes(text);
        stack.raw_set_index(1, index);
        tick_at(stack, texts.len())?;
    }
    stack.tick()?;
    Ok(true)
}
