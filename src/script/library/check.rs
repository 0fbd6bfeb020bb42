//! Arguments of natives, and the errors about them in Lua's words.
//!
//! Source: `luaL_argerror`, `luaL_checkstring` … in the manual of Lua 5.1.

use std::ffi::c_int;

use crate::script::convert::to_integer;
use crate::script::lua::native::Raise;
use crate::script::lua::stack::{Kind, Stack};

/// `bad argument #1 to 'rep' (…)`.
///
/// # Errors
///
/// Always.
pub(super) fn bad<T>(stack: &mut Stack<'_>, index: c_int, text: &str) -> Result<T, Raise> {
    bad_bytes(stack, index, text.as_bytes())
}

/// As [`bad`], with a text that has bytes of the script in it.
///
/// # Errors
///
/// Always.
pub(super) fn bad_bytes<T>(stack: &mut Stack<'_>, index: c_int, text: &[u8]) -> Result<T, Raise> {
    let name = stack.called_as().unwrap_or_else(|| "?".into());
    let start = format!("bad argument #{index} to '{name}' (");
    stack.error_here(&[start.as_bytes(), text, b")"].concat())
}

/// `… (string expected, got nil)`.
///
/// # Errors
///
/// Always.
pub(super) fn mistyped<T>(stack: &mut Stack<'_>, index: c_int, expected: &str) -> Result<T, Raise> {
    let got = stack.kind(index).name();
    bad(stack, index, &format!("{expected} expected, got {got}"))
}

/// A string, or a number as one.
///
/// # Errors
///
/// It is neither.
pub(super) fn text<'a>(stack: &mut Stack<'a>, index: c_int) -> Result<&'a [u8], Raise> {
    match stack.argument_bytes(index) {
        Some(bytes) => Ok(bytes),
        None => mistyped(stack, index, "string"),
    }
}

/// A number, or a string that says one.
///
/// # Errors
///
/// It is neither.
pub(super) fn number(stack: &mut Stack<'_>, index: c_int) -> Result<f64, Raise> {
    match stack.number(index) {
        Some(number) => Ok(number),
        None => mistyped(stack, index, "number"),
    }
}

/// A number as an integer.
///
/// # Errors
///
/// It is none.
pub(super) fn integer(stack: &mut Stack<'_>, index: c_int) -> Result<i64, Raise> {
    Ok(to_integer(number(stack, index)?))
}

/// As [`integer`]; `default` when it is absent or nil.
///
/// # Errors
///
/// It is something else.
pub(super) fn integer_or(stack: &mut Stack<'_>, index: c_int, default: i64) -> Result<i64, Raise> {
    if matches!(stack.kind(index), Kind::None | Kind::Nil) {
        return Ok(default);
    }
    integer(stack, index)
}

/// A table.
///
/// # Errors
///
/// It is none.
pub(super) fn table(stack: &mut Stack<'_>, index: c_int) -> Result<(), Raise> {
    match stack.kind(index) {
        Kind::Table => Ok(()),
        _ => mistyped(stack, index, "table"),
    }
}

/// Any value.
///
/// # Errors
///
/// There is none.
pub(super) fn any(stack: &mut Stack<'_>, index: c_int) -> Result<(), Raise> {
    match stack.kind(index) {
        Kind::None => bad(stack, index, "value expected"),
        _ => Ok(()),
    }
}
