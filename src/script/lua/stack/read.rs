//! Reading values.

use std::ffi::c_int;

use mlua_sys::lua51 as ffi;

use super::{Kind, Stack, Value};

impl<'a> Stack<'a> {
    /// The type of a value.
    pub(crate) fn kind(&self, index: c_int) -> Kind {
        if index > self.top() {
            return Kind::None;
        }
        // SAFETY: the index is checked.
        match unsafe { ffi::lua_type(self.state, self.slot(index)) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    /// An argument, and what it is, at once; None when it is not given.
    pub(crate) fn argument(&self, index: c_int) -> Option<Value<'_>> {
        // SAFETY: arguments are never removed.
        (1..=self.base)
            .contains(&index)
            .then(|| unsafe { self.value_at(index) })
    }

    /// A value, and what it is, at once. Unlike [`Stack::bytes`] it leaves numbers what they are.
    pub(crate) fn value(&self, index: c_int) -> Value<'_> {
        let slot = self.slot(index);
        // SAFETY: the index is checked.
        unsafe { self.value_at(slot) }
    }

    /// # Safety
    ///
    /// There is a value at `slot`.
    unsafe fn value_at(&self, slot: c_int) -> Value<'_> {
        // SAFETY: as promised.
        match unsafe { ffi::lua_type(self.state, slot) } {
            ffi::LUA_TNIL => Value::Nil,
            ffi::LUA_TBOOLEAN => {
                // SAFETY: the index is checked.
                let value = unsafe { ffi::lua_toboolean(self.state, slot) };
                Value::Boolean(value != 0)
            }
            // SAFETY: the index is checked.
            ffi::LUA_TNUMBER => Value::Number(unsafe { ffi::lua_tonumber(self.state, slot) }),
            // SAFETY: the index is checked. Who gets the bytes borrows the stack, from which nothing is removed meanwhile.
            ffi::LUA_TSTRING => Value::Bytes(unsafe { self.bytes_at(slot) }.unwrap_or_default()),
            ffi::LUA_TLIGHTUSERDATA => {
                // SAFETY: the index is checked.
                let pointer = unsafe { ffi::lua_touserdata(self.state, slot) };
                if pointer.is_null() {
                    Value::Null
                } else {
                    Value::Other
                }
            }
            ffi::LUA_TTABLE => Value::Table,
            _ => Value::Other,
        }
    }

    /// Whether a value is a function of C or ours.
    pub(crate) fn is_native(&self, index: c_int) -> bool {
        // SAFETY: the index is checked.
        unsafe { ffi::lua_iscfunction(self.state, self.slot(index)) != 0 }
    }

    /// Whether a value is neither nil nor false.
    pub(crate) fn truth(&self, index: c_int) -> bool {
        // SAFETY: the index is checked.
        unsafe { ffi::lua_toboolean(self.state, self.slot(index)) != 0 }
    }

    /// A number, or what a string says as one.
    pub(crate) fn number(&self, index: c_int) -> Option<f64> {
        if index > self.top() {
            return None;
        }
        let slot = self.slot(index);
        // SAFETY: the index is checked.
        if unsafe { ffi::lua_isnumber(self.state, slot) } == 0 {
            return None;
        }
        // SAFETY: the index is checked.
        Some(unsafe { ffi::lua_tonumber(self.state, slot) })
    }

    /// The bytes of a string; a number becomes one where it lies (so not for a key while a table is walked).
    pub(crate) fn bytes(&self, index: c_int) -> Option<&[u8]> {
        if index > self.top() {
            return None;
        }
        let slot = self.slot(index);
        // SAFETY: the index is checked. Who gets the bytes borrows the stack, from which nothing is removed meanwhile.
        unsafe { self.bytes_at(slot) }
    }

    /// The bytes of an argument that is a string or a number. They stay until the native returns.
    pub(crate) fn argument_bytes(&self, index: c_int) -> Option<&'a [u8]> {
        if index > self.base {
            return None;
        }
        let slot = self.slot(index);
        self.is_pinned.set(true);
        // SAFETY: the index is checked; arguments are not removed once they are pinned.
        unsafe { self.bytes_at(slot) }
    }

    /// # Safety
    ///
    /// There is a value at `slot`, and it stays there for `'b`.
    unsafe fn bytes_at<'b>(&self, slot: c_int) -> Option<&'b [u8]> {
        let mut len = 0;
        // SAFETY: as promised; it does not raise while the allocator is not strict.
        let bytes = unsafe { ffi::lua_tolstring(self.state, slot, &raw mut len) };
        if bytes.is_null() {
            return None;
        }
        // SAFETY: a string of Lua does not change and stays as long as it is on the stack.
        Some(unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) })
    }

    /// Length of a string, border of a table.
    pub(crate) fn length(&self, index: c_int) -> usize {
        // SAFETY: the index is checked.
        unsafe { ffi::lua_objlen(self.state, self.slot(index)) }
    }

    /// The address of a table, function, coroutine or userdata; 0 for others.
    pub(crate) fn address(&self, index: c_int) -> usize {
        // SAFETY: the index is checked.
        unsafe { ffi::lua_topointer(self.state, self.slot(index)) as usize }
    }
}
