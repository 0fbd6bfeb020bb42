//! `cmsgpack` 0.4.0: values to MessagePack and back.
//!
//! Source: the specification of MessagePack; the README of lua-cmsgpack.

mod pack;
mod unpack;

use std::ffi::c_int;

use crate::script::lua::stack::Stack;

use pack::pack;
use unpack::{unpack, unpack_limit, unpack_one};

/// Values after which the host is asked whether the script may go on.
const VALUES_PER_TICK: usize = 10_000;
/// Bytes after which it is.
const BYTES_PER_TICK: usize = 1 << 20;
/// Stack slots of one native in stock Lua.
const SLOTS_MAX: c_int = 8_000;

const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;

/// Pushes a table with the functions and constants.
pub(super) fn push(stack: &mut Stack<'_>) {
    stack.push_table(0, 0);
    stack.push_native(pack);
    stack.raw_set_name(-2, "pack");
    stack.push_native(unpack);
    stack.raw_set_name(-2, "unpack");
    stack.push_native(unpack_one);
    stack.raw_set_name(-2, "unpack_one");
    stack.push_native(unpack_limit);
    stack.raw_set_name(-2, "unpack_limit");
    for (name, value) in [
        ("_NAME", "cmsgpack"),
        ("_VERSION", "lua-cmsgpack 0.4.0"),
        ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
        ("_DESCRIPTION", "MessagePack C implementation for Lua"),
    ] {
        stack.push_bytes(value.as_bytes());
        stack.raw_set_name(-2, name);
    }
}
