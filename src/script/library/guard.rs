//! Tables that scripts read and do not change.
//!
//! ```text
//! what a script has            metatable                          the contents
//! redis ─► { } (empty) ──────► __index ─────────────────────────► { call = …, pcall = … }
//!                              __newindex: raises
//!                              __metatable ─► what getmetatable gives for the globals: such a table too
//!                              <mark> = true
//! ```
//! Stock Lua has no read-only tables. Reading goes through `__index`, at nearly no cost; every assignment finds an empty table and
//! raises; what works raw (`rawset`, `rawget`, `next`, `pairs`, `setmetatable`, `table.insert`) is ours and knows the mark.

use std::ffi::c_int;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack};

/// What Redis says when a script changes such a table.
pub(super) const READ_ONLY: &[u8] = b"Attempt to modify a readonly table";

/// The key of a guard's metatable by which it is known; no script can make a string of it that it could set, since metatables of
/// guards are out of reach.
const MARK: &str = "\0guard";

/// As [`guard`], of the globals: they have a metatable that scripts see.
pub(super) fn guard_globals(stack: &mut Stack<'_>) {
    guard(stack);
    stack.push_metatable(-1);
    push_shown_metatable(stack);
    stack.raw_set_name(-2, "__metatable");
    stack.pop(1);
}

/// Replaces the table on top by a guard of it.
pub(super) fn guard(stack: &mut Stack<'_>) {
    stack.push_table(0, 0);
    stack.push_table(0, 4);
    // contents, guard, metatable
    stack.push_copy(-3);
    stack.raw_set_name(-2, "__index");
    stack.push_native(refuse_here);
    stack.raw_set_name(-2, "__newindex");
    stack.push_boolean(true);
    stack.raw_set_name(-2, MARK);
    stack.set_metatable(-2);
    stack.remove(-2);
}

/// Pushes what `getmetatable` gives for the globals: a table that cannot be changed either, and leads nowhere.
fn push_shown_metatable(stack: &mut Stack<'_>) {
    stack.push_table(0, 0);
    guard(stack);
}

/// As Lua raises it for an assignment: with the place.
fn refuse_here(stack: &mut Stack<'_>) -> Native {
    stack.error_here(READ_ONLY)
}

/// Whether a value is a guard.
pub(super) fn is_guard(stack: &mut Stack<'_>, index: c_int) -> bool {
    if stack.kind(index) != Kind::Table || !stack.push_metatable(index) {
        return false;
    }
    stack.raw_get_name(-1, MARK);
    let is_guard = stack.truth(-1);
    stack.pop(2);
    is_guard
}

/// Pushes what a guard guards; of any other table, the table.
pub(super) fn push_contents(stack: &mut Stack<'_>, index: c_int) {
    if is_guard(stack, index) {
        stack.push_metatable(index);
        stack.raw_get_name(-1, "__index");
        stack.remove(-2);
    } else {
        stack.push_copy(index);
    }
}

/// As a native raises it: without a place.
///
/// # Errors
///
/// The value is a guard.
pub(super) fn check_open(stack: &mut Stack<'_>, index: c_int) -> Result<(), Raise> {
    if is_guard(stack, index) {
        return stack.error(READ_ONLY);
    }
    Ok(())
}
