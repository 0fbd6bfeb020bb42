//! What a script finds in its globals.
//!
//! ```text
//! globals (guard) ─► contents: assert … xpcall, coroutine, string, table, math   Lua's own, but for what is unsafe (base, text, lists)
//!                              redis, cjson, cmsgpack, struct, bit               ours
//!                              KEYS, ARGV                                        set before each run
//!                    └─ anything else: "Script attempted to access nonexistent global variable"
//! ```
//! Every table here is a guard (`guard.rs`).

pub(super) mod functions;

mod base;
mod bits;
mod check;
mod cjson;
mod cmsgpack;
#[cfg(test)]
mod codec_tests;
mod guard;
mod lists;
pub(super) mod random;
pub(super) mod redis;
mod structs;

pub(crate) use redis::hex;
mod text;

use super::lua::native::Native;
use super::lua::stack::{Kind, Library, Stack};

// Where the parts are on the stack of the state, which stay there. The first is the handler of errors.

/// A list of functions: what is compiled.
pub(super) const COMPILED: std::ffi::c_int = 2;
/// Its name in the registry, where natives find it.
pub(super) const COMPILED_NAME: &str = "compiled";
/// The name in the registry of the globals of libraries.
pub(super) const LIBRARY_NAME: &str = "library";
/// The contents of the globals.
pub(super) const GLOBALS: std::ffi::c_int = 3;
/// The globals of libraries of functions: a guard.
pub(super) const LIBRARY: std::ffi::c_int = 4;
/// Its contents while one is loaded.
pub(super) const WHILE_LOADED: std::ffi::c_int = 5;
/// Its contents when functions are called.
pub(super) const WHEN_CALLED: std::ffi::c_int = 6;

/// Fills an empty state. `version`: that of the server.
pub(super) fn install(stack: &mut Stack<'_>, version: &str) {
    for library in [
        Library::Base,
        Library::Table,
        Library::String,
        Library::Math,
    ] {
        stack.open(library);
    }
    stack.push_native(redis::on_error);
    push_compiled(stack);
    stack.push_globals();
    base::install(stack);
    for name in ["string", "table", "coroutine", "math"] {
        stack.raw_get_name(-1, name);
        match name {
            "string" => text::install(stack),
            "table" => lists::install(stack),
            "coroutine" => base::install_coroutines(stack),
            _ => random::install(stack),
        }
        stack.pop(1);
    }
    redis::push(stack, version);
    redis::add_of_eval(stack);
    stack.raw_set_name(-2, "redis");
    cjson::push(stack);
    stack.raw_set_name(-2, "cjson");
    cmsgpack::push(stack);
    stack.raw_set_name(-2, "cmsgpack");
    structs::push(stack);
    stack.raw_set_name(-2, "struct");
    bits::push(stack);
    stack.raw_set_name(-2, "bit");
    for name in [
        "string",
        "table",
        "math",
        "coroutine",
        "redis",
        "cjson",
        "cmsgpack",
        "struct",
        "bit",
    ] {
        stack.raw_get_name(-1, name);
        guard::guard(stack);
        stack.raw_set_name(-2, name);
    }
    guard_string_methods(stack);
    stack.push_native(redis::on_error);
    stack.raw_set_name(-2, "__redis__err__handler");
    refuse_unknown(stack);
    stack.push_copy(-1);
    guard::guard_globals(stack);
    stack.push_copy(-1);
    stack.raw_set_name(GLOBALS, "_G");
    stack.set_globals();
    functions::push_environments(stack, version);
}

/// Forgets what scripts have set in libraries: the settings of cjson.
pub(super) fn renew(stack: &mut Stack<'_>) {
    cjson::push(stack);
    guard::guard(stack);
    stack.raw_set_name(GLOBALS, "cjson");
}

fn push_compiled(stack: &mut Stack<'_>) {
    stack.push_table(64, 0);
    stack.push_number(0.0);
    stack.raw_set_index(-2, 1);
    stack.push_registry();
    stack.push_copy(-2);
    stack.raw_set_name(-2, COMPILED_NAME);
    stack.pop(1);
}

/// `("x"):rep(3)` finds the functions of `string`; what `getmetatable("")` gives cannot be changed.
fn guard_string_methods(stack: &mut Stack<'_>) {
    stack.push_table(0, 1);
    stack.raw_get_name(-2, "string");
    stack.raw_set_name(-2, "__index");
    guard::guard(stack);
    stack.push_bytes(b"");
    stack.push_metatable(-1);
    stack.push_copy(-3);
    stack.raw_set_name(-2, "__metatable");
    stack.pop(3);
}

/// Reading a global that is not there raises.
fn refuse_unknown(stack: &mut Stack<'_>) {
    stack.push_table(0, 1);
    stack.push_native(unknown_global);
    stack.raw_set_name(-2, "__index");
    stack.set_metatable(-2);
}

fn unknown_global(stack: &mut Stack<'_>) -> Native {
    if !matches!(stack.kind(2), Kind::String | Kind::Number) {
        let text = b"Second argument to luaProtectedTableError must be a string or number";
        return stack.error_here(text);
    }
    let mut text = b"Script attempted to access nonexistent global variable '".to_vec();
    text.extend_from_slice(stack.argument_bytes(2).unwrap_or_default());
    text.push(b'\'');
    stack.error_here(&text)
}
