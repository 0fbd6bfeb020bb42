//! The stack of a Lua state, as the host or a native sees it: checked indices, raw access only.
//!
//! ```text
//!  1 … base        the arguments of a native: they stay until it returns, so bytes of strings among them may be kept that long
//!  base + 1 … top  what the native pushed
//! ```
//! Nothing here calls a metamethod or raises: values are read and set raw, functions are called protected.

mod calls;
mod read;
mod tables;

pub(crate) use calls::Library;

use std::cell::Cell;
use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr;

use mlua_sys::lua51 as ffi;

use super::Runtime;
use super::native::{self, Native, Raise};

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No value.
    None,
    /// nil
    Nil,
    /// true and false
    Boolean,
    /// A bare pointer: cjson.null.
    LightUserdata,
    /// A double.
    Number,
    /// Bytes.
    String,
    /// A table.
    Table,
    /// A function, Lua's or native.
    Function,
    /// An object of C.
    Userdata,
    /// A coroutine.
    Thread,
}

impl Kind {
    /// As Lua's `type` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::LightUserdata | Self::Userdata => "userdata",
            Self::Number => "number",
            Self::String => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Thread => "thread",
        }
    }
}

/// A value as Rust sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'s> {
    /// nil
    Nil,
    /// true and false
    Boolean(bool),
    /// A double.
    Number(f64),
    /// A string, while the stack is borrowed.
    Bytes(&'s [u8]),
    /// The null pointer: cjson.null.
    Null,
    /// A table.
    Table,
    /// What has no value for Rust.
    Other,
}

/// Where an error came from.
#[derive(Debug)]
pub(crate) struct Place {
    /// The chunk: `@user_script`; `=[C]` for a native.
    pub(crate) source: String,
    /// The line, -1 for a native.
    pub(crate) line: c_int,
    /// Whether it is in a native.
    pub(crate) is_native: bool,
}

/// See the head of the module.
pub(crate) struct Stack<'a> {
    state: *mut ffi::lua_State,
    runtime: &'a Runtime,
    /// What is below must not be removed.
    base: c_int,
    /// Bytes of an argument were given out for longer than a borrow.
    is_pinned: Cell<bool>,
    /// The state is somebody's: not `Send`.
    owner: PhantomData<*mut ()>,
}

impl<'a> Stack<'a> {
    /// The stack of a state.
    ///
    /// # Safety
    ///
    /// The state lives for `'a`, and nothing else works with it meanwhile but what is called through this stack.
    pub(super) unsafe fn new(state: *mut ffi::lua_State, runtime: &'a Runtime) -> Self {
        // SAFETY: the state lives.
        let base = unsafe { ffi::lua_gettop(state) };
        Self {
            state,
            runtime,
            base,
            is_pinned: Cell::new(false),
            owner: PhantomData,
        }
    }

    /// As the host sees it: only so many values at the bottom stay.
    #[must_use]
    pub(super) fn above(self, base: c_int) -> Self {
        Self { base, ..self }
    }

    /// What belongs to the state.
    pub(crate) fn runtime(&self) -> &'a Runtime {
        self.runtime
    }

    /// How many values are on it.
    pub(crate) fn top(&self) -> c_int {
        // SAFETY: the state lives.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// What is on the stack now stays until the native returns, as its arguments do.
    pub(crate) fn keep(&mut self) {
        self.base = self.top();
    }

    /// How many arguments the native has.
    pub(crate) fn argument_count(&self) -> c_int {
        self.base
    }

    /// A valid index, counted from the bottom.
    fn slot(&self, index: c_int) -> c_int {
        let top = self.top();
        let slot = if index < 0 { top + 1 + index } else { index };
        assert!(slot >= 1 && slot <= top, "no value at {index} of {top}");
        slot
    }

    /// Room for the next value: natives ask for it ([`Stack::ensure`]) where what they push depends on a script.
    fn make_room(&mut self) {
        assert!(self.has_room(1), "no room on the stack");
    }

    /// Makes room for so many values more; false when there is none.
    pub(crate) fn has_room(&mut self, count: c_int) -> bool {
        // SAFETY: the state lives; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_checkstack(self.state, count) != 0 }
    }

    /// Makes room for so many values more. A native has room for 20.
    ///
    /// # Errors
    ///
    /// There is no room for so many.
    pub(crate) fn ensure(&mut self, count: c_int) -> Result<(), Raise> {
        // One more, for the error.
        if !self.has_room(count + 1) {
            return self.error(b"stack overflow");
        }
        Ok(())
    }

    /// Removes the arguments, to have their room. Not when their bytes were given out ([`Stack::argument_bytes`]).
    pub(crate) fn forget_arguments(&mut self) {
        assert!(!self.is_pinned.get(), "bytes of the arguments are in use");
        self.base = 0;
        // SAFETY: an empty stack is one.
        unsafe { ffi::lua_settop(self.state, 0) };
    }

    /// Pushes nil.
    pub(crate) fn push_nil(&mut self) {
        self.make_room();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnil(self.state) };
    }

    /// Pushes true or false.
    pub(crate) fn push_boolean(&mut self, value: bool) {
        self.make_room();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushboolean(self.state, value.into()) };
    }

    /// Pushes a number.
    pub(crate) fn push_number(&mut self, value: f64) {
        self.make_room();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnumber(self.state, value) };
    }

    /// Pushes a string.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.make_room();
        // SAFETY: there is room; the bytes are copied; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_pushlstring_(self.state, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Pushes the null pointer: cjson.null.
    pub(crate) fn push_null(&mut self) {
        self.make_room();
        // SAFETY: there is room.
        unsafe { ffi::lua_pushlightuserdata(self.state, ptr::null_mut()) };
    }

    /// Pushes a value that is on the stack.
    pub(crate) fn push_copy(&mut self, index: c_int) {
        self.make_room();
        // SAFETY: the index is checked, there is room.
        unsafe { ffi::lua_pushvalue(self.state, self.slot(index)) };
    }

    /// Pushes a table with room for so many elements of a list, and so many others.
    pub(crate) fn push_table(&mut self, list: usize, others: usize) {
        self.make_room();
        let few = |count: usize| count.min(1 << 24) as c_int;
        // SAFETY: there is room; it does not raise while the allocator is not strict, since the numbers are below Lua's limit.
        unsafe { ffi::lua_createtable(self.state, few(list), few(others)) };
    }

    /// Pushes a function of ours, which captures nothing.
    pub(crate) fn push_native<F>(&mut self, native: F)
    where
        F: Fn(&mut Stack<'_>) -> Native + Copy + 'static,
    {
        self.make_room();
        // SAFETY: there is room; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_pushcclosure(self.state, native::function(native), 0) };
    }

    /// Pushes a function of ours that finds the value on top of the stack as [`Stack::push_captured`]; takes it.
    pub(crate) fn push_native_with<F>(&mut self, native: F)
    where
        F: Fn(&mut Stack<'_>) -> Native + Copy + 'static,
    {
        self.check_removable(1);
        // SAFETY: there is a value to take; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_pushcclosure(self.state, native::function(native), 1) };
    }

    /// Pushes what the running native was made with. To be called in a native that was made by [`Stack::push_native_with`].
    pub(crate) fn push_captured(&mut self) {
        self.make_room();
        // SAFETY: an upvalue that is not there reads as nil.
        unsafe { ffi::lua_pushvalue(self.state, ffi::lua_upvalueindex(1)) };
    }

    /// Pushes the globals of the state.
    pub(crate) fn push_globals(&mut self) {
        self.make_room();
        // SAFETY: the pseudo-index is always valid.
        unsafe { ffi::lua_pushvalue(self.state, ffi::LUA_GLOBALSINDEX) };
    }

    /// Makes the table on top of the stack the globals of the state; takes it.
    pub(crate) fn set_globals(&mut self) {
        self.check_removable(1);
        assert_eq!(self.kind(-1), Kind::Table, "globals are a table");
        // SAFETY: there is a table to take.
        unsafe { ffi::lua_replace(self.state, ffi::LUA_GLOBALSINDEX) };
    }

    /// Pushes the registry: a table that scripts do not reach.
    pub(crate) fn push_registry(&mut self) {
        self.make_room();
        // SAFETY: the pseudo-index is always valid.
        unsafe { ffi::lua_pushvalue(self.state, ffi::LUA_REGISTRYINDEX) };
    }

    fn check_removable(&self, count: c_int) {
        assert!(self.top() - count >= self.base, "arguments stay");
    }

    /// Removes so many values from the top.
    pub(crate) fn pop(&mut self, count: c_int) {
        self.check_removable(count);
        // SAFETY: there are so many.
        unsafe { ffi::lua_settop(self.state, -count - 1) };
    }

    /// Removes a value; those above move down.
    pub(crate) fn remove(&mut self, index: c_int) {
        let slot = self.slot(index);
        assert!(slot > self.base, "arguments stay");
        // SAFETY: the index is checked.
        unsafe { ffi::lua_remove(self.state, slot) };
    }

    /// Puts the value on top into the place of another; takes it.
    pub(crate) fn replace(&mut self, index: c_int) {
        let slot = self.slot(index);
        self.check_removable(1);
        assert!(slot > self.base, "arguments stay");
        // SAFETY: the index is checked.
        unsafe { ffi::lua_replace(self.state, slot) };
    }

    /// Moves the value on top to a place further down; those above it move up.
    pub(crate) fn insert(&mut self, index: c_int) {
        let slot = self.slot(index);
        assert!(slot > self.base, "arguments stay");
        // SAFETY: the index is checked.
        unsafe { ffi::lua_insert(self.state, slot) };
    }
}
