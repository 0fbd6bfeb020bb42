//! The basic functions that are ours: those that work raw on tables, load code, or collect garbage.
//!
//! The others are Lua's own. Absent: what reads files, prints, or reaches around the guards (`dofile`, `loadfile`, `print`, `getfenv`,
//! `setfenv`, `newproxy`, `module`, `require`).
//!
//! Source: section 5.1 of the manual of Lua 5.1; what Redis changed in it.

use std::ffi::{CString, c_int};

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack};

use super::check::{any, bad, integer, mistyped, table, text};
use super::guard::{check_open, is_guard, push_contents};

/// Adds them to the globals on top of the stack.
pub(super) fn install(stack: &mut Stack<'_>) {
    for absent in [
        "dofile", "loadfile", "print", "getfenv", "setfenv", "newproxy", "module", "require",
    ] {
        stack.push_nil();
        stack.raw_set_name(-2, absent);
    }
    stack.push_native(pcall);
    stack.raw_set_name(-2, "pcall");
    stack.push_native(xpcall);
    stack.raw_set_name(-2, "xpcall");
    stack.push_native(next);
    stack.raw_set_name(-2, "next");
    stack.raw_get_name(-1, "next");
    stack.push_native_with(pairs);
    stack.raw_set_name(-2, "pairs");
    stack.push_native(rawget);
    stack.raw_set_name(-2, "rawget");
    stack.push_native(rawset);
    stack.raw_set_name(-2, "rawset");
    stack.push_native(getmetatable);
    stack.raw_set_name(-2, "getmetatable");
    stack.push_native(setmetatable);
    stack.raw_set_name(-2, "setmetatable");
    stack.push_native(unpack);
    stack.raw_set_name(-2, "unpack");
    stack.push_native(loadstring);
    stack.raw_set_name(-2, "loadstring");
    stack.push_native(load);
    stack.raw_set_name(-2, "load");
    stack.raw_get_name(-1, "collectgarbage");
    stack.push_native_with(collectgarbage);
    stack.raw_set_name(-2, "collectgarbage");
}

/// Replaces the functions in the table on top, which is `coroutine`.
pub(super) fn install_coroutines(stack: &mut Stack<'_>) {
    stack.raw_get_name(-1, "create");
    stack.push_native_with(begin_coroutine);
    stack.raw_set_name(-2, "create");
    stack.raw_get_name(-1, "wrap");
    stack.push_native_with(begin_coroutine);
    stack.raw_set_name(-2, "wrap");
}

/// Each coroutine counts its own instructions, from 0: a script of many short ones would never come to a tick.
fn begin_coroutine(stack: &mut Stack<'_>) -> Native {
    if stack.kind(1) != Kind::Function {
        return bad(stack, 1, "Lua function expected");
    }
    let begun = &stack.runtime().coroutines;
    begun.set(begun.get().wrapping_add(1));
    if begun.get().is_multiple_of(64) {
        stack.tick()?;
    }
    stack.push_captured();
    stack.push_copy(1);
    if stack.call(1, 1).is_err() {
        let text = stack.bytes(-1).unwrap_or_default().to_vec();
        return stack.error_here(&text);
    }
    Ok(1)
}

/// Redis: an error table with a text in `err` becomes this text.
fn pcall(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() == 0 {
        stack.push_boolean(false);
        stack.push_bytes(b"attempt to call a boolean value");
        return Ok(2);
    }
    let count = stack.argument_count();
    stack.ensure(count + 4)?;
    for index in 1..=count {
        stack.push_copy(index);
    }
    let below = stack.top() - count;
    if stack.call(count - 1, -1).is_ok() {
        stack.ensure(1)?;
        stack.push_boolean(true);
        stack.insert(below + 1);
        return Ok(stack.top() - below);
    }
    if stack.kind(-1) == Kind::Table {
        stack.raw_get_name(-1, "err");
        if matches!(stack.kind(-1), Kind::String | Kind::Number) {
            stack.remove(-2);
        } else {
            stack.pop(1);
        }
    }
    stack.push_boolean(false);
    stack.insert(-2);
    Ok(2)
}

/// The handler of a script is not called for the error that ends the script: that is raised from the hook, and while the hook runs no
/// other is called, so nothing would end a handler that does not end by itself.
fn xpcall(stack: &mut Stack<'_>) -> Native {
    any(stack, 2)?;
    stack.push_copy(2);
    stack.push_native_with(call_handler);
    let handler = stack.top();
    stack.push_copy(1);
    let is_done = stack.call_with(0, -1, handler).is_ok();
    stack.ensure(1)?;
    stack.push_boolean(is_done);
    stack.insert(handler + 1);
    Ok(stack.top() - handler)
}

fn call_handler(stack: &mut Stack<'_>) -> Native {
    stack.push_copy(1);
    if stack.runtime().is_stopped() {
        return Ok(1);
    }
    stack.push_captured();
    stack.insert(-2);
    if stack.call(1, 1).is_err() {
        stack.pop(1);
        stack.push_bytes(b"error in error handling");
    }
    Ok(1)
}

fn next(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    push_contents(stack, 1);
    if stack.argument_count() > 1 {
        stack.push_copy(2);
    } else {
        stack.push_nil();
    }
    if stack.next(-2)? {
        return Ok(2);
    }
    stack.push_nil();
    Ok(1)
}

/// Lua's own `next` walks tables that are no guards: it is faster.
fn pairs(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    stack.push_captured();
    stack.push_copy(1);
    stack.push_nil();
    Ok(3)
}

fn rawget(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    any(stack, 2)?;
    push_contents(stack, 1);
    stack.push_copy(2);
    stack.raw_get(-2);
    Ok(1)
}

fn rawset(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    any(stack, 2)?;
    any(stack, 3)?;
    check_open(stack, 1)?;
    match stack.kind(2) {
        Kind::Nil => return stack.error_here(b"table index is nil"),
        Kind::Number if stack.number(2).is_some_and(f64::is_nan) => {
            return stack.error_here(b"table index is NaN");
        }
        _ => {}
    }
    stack.reserve(40)?;
    stack.push_copy(2);
    stack.push_copy(3);
    stack.raw_set(1);
    stack.push_copy(1);
    Ok(1)
}

/// Whether the value has a metatable with a field; pushes the field then.
fn push_meta_field(stack: &mut Stack<'_>, index: c_int, name: &str) -> bool {
    if !stack.push_metatable(index) {
        return false;
    }
    stack.raw_get_name(-1, name);
    stack.remove(-2);
    if stack.kind(-1) == Kind::Nil {
        stack.pop(1);
        return false;
    }
    true
}

fn getmetatable(stack: &mut Stack<'_>) -> Native {
    any(stack, 1)?;
    let is_guard = is_guard(stack, 1);
    if !push_meta_field(stack, 1, "__metatable") && (is_guard || !stack.push_metatable(1)) {
        stack.push_nil();
    }
    Ok(1)
}

fn setmetatable(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    if !matches!(stack.kind(2), Kind::Nil | Kind::Table) {
        return bad(stack, 2, "nil or table expected");
    }
    check_open(stack, 1)?;
    if push_meta_field(stack, 1, "__metatable") {
        return stack.error_here(b"cannot change a protected metatable");
    }
    // A guard as a metatable is an empty one: its contents must not be had with getmetatable, and they have no metamethods.
    stack.push_copy(2);
    stack.set_metatable(1);
    stack.push_copy(1);
    Ok(1)
}

fn unpack(stack: &mut Stack<'_>) -> Native {
    table(stack, 1)?;
    let first = super::check::integer_or(stack, 2, 1)?;
    let last = match stack.kind(3) {
        Kind::None | Kind::Nil => i64::try_from(stack.length(1)).unwrap_or(i64::MAX),
        _ => integer(stack, 3)?,
    };
    if first > last {
        return Ok(0);
    }
    let count = last.saturating_sub(first).saturating_add(1);
    let (Ok(from), Ok(to)) = (c_int::try_from(first), c_int::try_from(last)) else {
        return stack.error_here(b"too many results to unpack");
    };
    if !c_int::try_from(count).is_ok_and(|count| stack.has_room(count)) {
        return stack.error_here(b"too many results to unpack");
    }
    for index in from..=to {
        stack.raw_get_index(1, index);
    }
    Ok(count as c_int)
}

/// A chunk's name as Lua takes it: up to the first zero byte.
fn chunk_name(name: &[u8]) -> CString {
    let end = name.iter().position(|byte| *byte == 0);
    CString::new(name.get(..end.unwrap_or(name.len())).unwrap_or_default()).unwrap_or_default()
}

/// The function, or nil and the error.
fn load_text(stack: &mut Stack<'_>, code: &[u8], name: &[u8]) -> Native {
    match stack.load(code, &chunk_name(name)) {
        Ok(()) => {
            if stack.runtime().in_library.get() {
                // Else it would have the globals of EVAL, with the KEYS and ARGV of somebody else.
                stack.push_registry();
                stack.raw_get_name(-1, super::LIBRARY_NAME);
                stack.remove(-2);
                stack.set_environment(-2);
            }
            Ok(1)
        }
        Err(_) => {
            stack.push_nil();
            stack.insert(-2);
            Ok(2)
        }
    }
}

fn loadstring(stack: &mut Stack<'_>) -> Native {
    let code = text(stack, 1)?;
    let name = match stack.kind(2) {
        Kind::None | Kind::Nil => code,
        _ => text(stack, 2)?,
    };
    load_text(stack, code, name)
}

/// The pieces are gathered before anything is read of them: no code of the script runs while its text is parsed.
fn load(stack: &mut Stack<'_>) -> Native {
    if stack.kind(1) != Kind::Function {
        return mistyped(stack, 1, "function");
    }
    let name = match stack.kind(2) {
        Kind::None | Kind::Nil => b"=(load)",
        _ => text(stack, 2)?,
    };
    let mut code = Vec::new();
    loop {
        stack.push_copy(1);
        if stack.call(0, 1).is_err() {
            // As in Lua: an error of the reader is one of the text.
            stack.push_nil();
            stack.insert(-2);
            return Ok(2);
        }
        match stack.kind(-1) {
            Kind::Nil => {
                stack.pop(1);
                break;
            }
            Kind::String if stack.length(-1) == 0 => {
                stack.pop(1);
                break;
            }
            Kind::String | Kind::Number => {
                let piece = stack.bytes(-1).unwrap_or_default();
                code.extend_from_slice(piece);
            }
            _ => {
                stack.push_nil();
                stack.push_bytes(b"reader function must return a string");
                return Ok(2);
            }
        }
        stack.pop(1);
        if code.first() == Some(&0x1b) {
            // It will not be read, however long it becomes.
            break;
        }
        if stack.reserve(code.len()).is_err() {
            return Err(raise_top());
        }
        stack.tick()?;
    }
    load_text(stack, &code, name)
}

/// The error that is on top already.
fn raise_top() -> Raise {
    Raise::of_top()
}

/// `count`, `collect` and `step` are Lua's; who stops the collector would stop it for all scripts that follow.
fn collectgarbage(stack: &mut Stack<'_>) -> Native {
    let what = match stack.kind(1) {
        Kind::None | Kind::Nil => b"collect".as_slice(),
        _ => text(stack, 1)?,
    };
    match what {
        b"collect" | b"count" | b"step" => {
            let count = stack.argument_count().min(2);
            stack.push_captured();
            for index in 1..=count {
                stack.push_copy(index);
            }
            stack.call(count, 1)?;
        }
        b"stop" | b"restart" => stack.push_number(0.0),
        b"setpause" | b"setstepmul" => stack.push_number(200.0),
        _ => {
            let text = format!("invalid option '{}'", String::from_utf8_lossy(what));
            return bad(stack, 1, &text);
        }
    }
    Ok(1)
}
