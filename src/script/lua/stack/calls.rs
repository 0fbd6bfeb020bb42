//! Calls, code, errors, and where they are.

use std::ffi::{CStr, c_int};

use mlua_sys::lua51 as ffi;

use super::super::Request;
use super::super::native::Raise;
use super::{Place, Stack};

impl<'a> Stack<'a> {
    /// Calls a function with so many arguments above it, and replaces them by its results.
    ///
    /// # Errors
    ///
    /// It failed; the error took their place.
    pub(crate) fn call(&mut self, arguments: c_int, results: c_int) -> Result<(), Raise> {
        self.call_with(arguments, results, 0)
    }

    /// As [`Stack::call`]; the function at `handler` gets an error where it is raised, and gives what takes its place.
    ///
    /// # Errors
    ///
    /// See there.
    pub(crate) fn call_with(
        &mut self,
        arguments: c_int,
        results: c_int,
        handler: c_int,
    ) -> Result<(), Raise> {
        self.check_removable(arguments + 1);
        assert!(
            handler >= 0 && handler < self.top() - arguments,
            "a handler"
        );
        let was_strict = self.runtime.strict.replace(true);
        // SAFETY: there is a value to call and so many arguments.
        let status = unsafe { ffi::lua_pcall(self.state, arguments, results, handler) };
        self.runtime.strict.set(was_strict);
        if status == ffi::LUA_OK {
            Ok(())
        } else {
            Err(Raise(()))
        }
    }

    /// Opens one of Lua's libraries: its functions are globals of the state then.
    pub(crate) fn open(&mut self, library: Library) {
        let open = match library {
            Library::Base => ffi::luaopen_base,
            Library::Table => ffi::luaopen_table,
            Library::String => ffi::luaopen_string,
            Library::Math => ffi::luaopen_math,
        };
        // SAFETY: there is room; it does not raise while the allocator is not strict.
        unsafe { ffi::lua_pushcclosure(self.state, open, 0) };
        if self.call(0, 0).is_err() {
            unreachable!("a library of Lua opens");
        }
    }

    /// Compiles a text and pushes its function. `name`: as in error messages, with `@` or `=` before it. It becomes a string on the
    /// stack first, so that it stays while the text is read.
    ///
    /// # Errors
    ///
    /// It is no Lua; the error is on top.
    pub(crate) fn load(&mut self, text: &[u8], name: &CStr) -> Result<(), Raise> {
        if text.first() == Some(&0x1b) {
            // Compiled code can do anything: it is not checked. Behind a blank it is a text with a strange character.
            return self.load(b" \x1b", name);
        }
        self.push_bytes(name.to_bytes());
        let was_strict = self.runtime.strict.replace(true);
        // SAFETY: text and name are read during the call only; it is protected.
        let status = unsafe {
            ffi::luaL_loadbuffer(self.state, text.as_ptr().cast(), text.len(), name.as_ptr())
        };
        self.runtime.strict.set(was_strict);
        self.remove(-2);
        if status == ffi::LUA_OK {
            Ok(())
        } else {
            Err(Raise(()))
        }
    }

    /// What the native has pushed may have taken all the room; it is not needed any more then.
    fn make_room_for_error(&mut self) {
        // SAFETY: the state lives; it answers whether there is room, and does not raise while the allocator is not strict.
        if unsafe { ffi::lua_checkstack(self.state, 1) } == 0 {
            self.pop(self.top() - self.base);
        }
    }

    /// Pushes a text as an error.
    ///
    /// # Errors
    ///
    /// Always.
    pub(crate) fn error<T>(&mut self, text: &[u8]) -> Result<T, Raise> {
        self.make_room_for_error();
        self.push_bytes(text);
        Err(Raise(()))
    }

    /// Raises the value on top.
    ///
    /// # Errors
    ///
    /// Always.
    pub(crate) fn raise<T>(&mut self) -> Result<T, Raise> {
        self.check_removable(1);
        Err(Raise(()))
    }

    /// As [`Stack::error`], with the place in the script before it, as Lua's own functions do.
    ///
    /// # Errors
    ///
    /// Always.
    pub(crate) fn error_here<T>(&mut self, text: &[u8]) -> Result<T, Raise> {
        let mut message = self.place_of(1);
        message.extend_from_slice(text);
        self.error(&message)
    }

    /// Where the function at a level is, as errors begin: `user_script:1: `; nothing for a native. 0 is the native itself.
    fn place_of(&mut self, level: c_int) -> Vec<u8> {
        self.make_room_for_error();
        // SAFETY: there is room; it does not raise while the allocator is not strict.
        unsafe { ffi::luaL_where(self.state, level) };
        let place = self.bytes(-1).unwrap_or_default().to_vec();
        self.pop(1);
        place
    }

    /// Where the function at a level is. 0 is the native itself, 1 who called it.
    pub(crate) fn place(&mut self, level: c_int) -> Option<Place> {
        let mut about = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: it fills `about` when there is such a level.
        if unsafe { ffi::lua_getstack(self.state, level, about.as_mut_ptr()) } == 0 {
            return None;
        }
        // SAFETY: it was filled by lua_getstack; these fields need no room on the stack.
        unsafe { ffi::lua_getinfo(self.state, c"Sl".as_ptr(), about.as_mut_ptr()) };
        // SAFETY: zeroes are a value of it, and it was filled.
        let about = unsafe { about.assume_init() };
        // SAFETY: it points to a string of the function, which is on the stack.
        let source = unsafe { CStr::from_ptr(about.source) };
        // SAFETY: it points to a constant.
        let what = unsafe { CStr::from_ptr(about.what) };
        Some(Place {
            source: source.to_string_lossy().into_owned(),
            line: about.currentline,
            is_native: what == c"C",
        })
    }

    /// The name by which the running native was called, as far as it is known.
    pub(crate) fn called_as(&mut self) -> Option<String> {
        let mut about = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: it fills `about` when there is such a level.
        if unsafe { ffi::lua_getstack(self.state, 0, about.as_mut_ptr()) } == 0 {
            return None;
        }
        // SAFETY: it was filled by lua_getstack; the field needs no room on the stack.
        unsafe { ffi::lua_getinfo(self.state, c"n".as_ptr(), about.as_mut_ptr()) };
        // SAFETY: zeroes are a value of it, and it was filled.
        let about = unsafe { about.assume_init() };
        if about.name.is_null() {
            return None;
        }
        // SAFETY: it points to a string of the calling function, which is on the stack.
        let name = unsafe { CStr::from_ptr(about.name) };
        Some(name.to_string_lossy().into_owned())
    }

    /// To be called in long work: lets the host look whether the script may go on.
    ///
    /// # Errors
    ///
    /// The script is to end.
    pub(crate) fn tick(&mut self) -> Result<(), Raise> {
        match self.runtime.ask(Request::Tick) {
            Ok(_) => Ok(()),
            Err(why) => self.error(why.as_bytes()),
        }
    }

    /// Whether so many bytes more fit into the memory of the state.
    ///
    /// # Errors
    ///
    /// They do not.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Raise> {
        if self.runtime.used.get().saturating_add(bytes) > self.runtime.limit.get() {
            return self.error(b"not enough memory");
        }
        Ok(())
    }
}

/// A library of Lua's own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Library {
    /// The basic functions, and `coroutine`.
    Base,
    /// `table`
    Table,
    /// `string`
    String,
    /// `math`
    Math,
}
