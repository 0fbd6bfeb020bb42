//! Tables: raw access, walks, metatables.

use std::ffi::c_int;

use mlua_sys::lua51 as ffi;

use super::super::native::Raise;
use super::{Kind, Stack};

impl<'a> Stack<'a> {
    /// The place of a table, when the top is known and so many values on top are to be taken.
    fn table_below(&self, index: c_int, top: c_int, taken: c_int) -> c_int {
        let slot = if index < 0 { top + 1 + index } else { index };
        let below = top - taken;
        assert!(
            below >= self.base && slot >= 1 && slot <= below,
            "no table at {index} of {top}"
        );
        // SAFETY: the index is checked.
        let kind = unsafe { ffi::lua_type(self.state, slot) };
        assert_eq!(kind, ffi::LUA_TTABLE, "a table at {index}");
        slot
    }

    fn table(&self, index: c_int) -> c_int {
        let slot = self.slot(index);
        // SAFETY: the index is checked.
        let kind = unsafe { ffi::lua_type(self.state, slot) };
        assert_eq!(kind, ffi::LUA_TTABLE, "a table at {index}");
        slot
    }

    /// Replaces the key on top of the stack by its value in a table.
    pub(crate) fn raw_get(&mut self, table: c_int) {
        let table = self.table(table);
        self.check_removable(1);
        // SAFETY: there is a table and a key.
        unsafe { ffi::lua_rawget_(self.state, table) };
    }

    /// Replaces the key on top of the stack by its value in a table, as `t[k]` does: with metamethods.
    ///
    /// # Errors
    ///
    /// A metamethod has raised.
    pub(crate) fn get(&mut self, table: c_int) -> Result<(), Raise> {
        unsafe extern "C-unwind" fn get(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: it is called with a table and a key.
            unsafe { ffi::lua_gettable_(state, 1) };
            1
        }
        let table = self.table(table);
        if !self.push_metatable(table) {
            self.raw_get(table);
            return Ok(());
        }
        self.pop(1);
        // SAFETY: there is room, see `ensure`.
        unsafe { ffi::lua_pushcclosure(self.state, get, 0) };
        self.insert(-2);
        self.push_copy(table);
        self.insert(-2);
        self.call(2, 1)
    }

    /// Pushes an element of a list.
    pub(crate) fn raw_get_index(&mut self, table: c_int, index: c_int) {
        self.make_room();
        let table = self.table(table);
        // SAFETY: there is a table, and room.
        unsafe { ffi::lua_rawgeti_(self.state, table, index) };
    }

    /// Pushes the value of a name.
    pub(crate) fn raw_get_name(&mut self, table: c_int, name: &str) {
        let table = self.table(table);
        self.push_bytes(name.as_bytes());
        self.raw_get(table);
    }

    /// Sets the key below the top to the value on top; takes both. The key is neither nil nor NaN.
    pub(crate) fn raw_set(&mut self, table: c_int) {
        assert!(self.try_raw_set(table), "a key is a value");
    }

    /// As [`Stack::raw_set`]; false when the key is nil or NaN: then nothing is set or taken.
    pub(crate) fn try_raw_set(&mut self, table: c_int) -> bool {
        let top = self.top();
        let table = self.table_below(table, top, 2);
        // SAFETY: there are at least two values.
        match unsafe { ffi::lua_type(self.state, top - 1) } {
            ffi::LUA_TNIL => return false,
            // SAFETY: there are at least two values.
            ffi::LUA_TNUMBER if unsafe { ffi::lua_tonumber(self.state, top - 1) }.is_nan() => {
                return false;
            }
            _ => {}
        }
        // SAFETY: there is a table, a valid key and a value; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_rawset(self.state, table) };
        true
    }

    /// Sets an element of a list to the value on top; takes it.
    pub(crate) fn raw_set_index(&mut self, table: c_int, index: c_int) {
        let top = self.top();
        let table = self.table_below(table, top, 1);
        // SAFETY: there is a table and a value; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_rawseti_(self.state, table, index) };
    }

    /// Sets a name to the value on top; takes it.
    pub(crate) fn raw_set_name(&mut self, table: c_int, name: &str) {
        let table = self.table(table);
        self.check_removable(1);
        self.push_bytes(name.as_bytes());
        self.insert(-2);
        // SAFETY: there is a table, a string and a value; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_rawset(self.state, table) };
    }

    /// Replaces the key on top by the next key and its value; false (and nothing in its place) after the last.
    ///
    /// # Errors
    ///
    /// The key is none of the table.
    pub(crate) fn next(&mut self, table: c_int) -> Result<bool, Raise> {
        unsafe extern "C-unwind" fn next(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: it is called with a table and a key.
            match unsafe { ffi::lua_next(state, 1) } {
                0 => 0,
                _ => 2,
            }
        }
        let table = self.table(table);
        self.check_removable(1);
        let below = self.top() - 1;
        // SAFETY: there is room, see `ensure`.
        unsafe { ffi::lua_pushcclosure(self.state, next, 0) };
        self.insert(-2);
        self.push_copy(table);
        self.insert(-2);
        self.call(2, ffi::LUA_MULTRET)?;
        Ok(self.top() > below)
    }

    /// As [`Stack::next`], for a walk from nil over a table that does not change meanwhile: that cannot fail.
    pub(crate) fn step(&mut self, table: c_int) -> bool {
        self.make_room();
        let top = self.top();
        let table = self.table_below(table, top, 1);
        // SAFETY: there is a table; the key is nil or came from it, since it has not changed.
        unsafe { ffi::lua_next(self.state, table) != 0 }
    }

    /// Pushes the metatable of a value; false when there is none.
    pub(crate) fn push_metatable(&mut self, index: c_int) -> bool {
        self.make_room();
        // SAFETY: the index is checked, there is room.
        unsafe { ffi::lua_getmetatable(self.state, self.slot(index)) != 0 }
    }

    /// Makes the table, or nil, on top the metatable of a value; takes it.
    pub(crate) fn set_metatable(&mut self, index: c_int) {
        let slot = self.slot(index);
        self.check_removable(1);
        assert!(matches!(self.kind(-1), Kind::Table | Kind::Nil), "a table");
        // SAFETY: there is a value, and a table or nil.
        unsafe { ffi::lua_setmetatable(self.state, slot) };
    }

    /// Makes the table on top the environment of a function; takes it.
    pub(crate) fn set_environment(&mut self, index: c_int) {
        let slot = self.slot(index);
        self.check_removable(1);
        assert_eq!(self.kind(-1), Kind::Table, "an environment is a table");
        // SAFETY: there is a value and a table.
        unsafe { ffi::lua_setfenv(self.state, slot) };
    }
}
