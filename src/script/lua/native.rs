//! Rust functions that scripts call, and the hook that looks at the time: the frames over which errors jump.
//!
//! ```text
//! Lua ─► trampoline (owns nothing) ─► Rust function ─► Ok(results) | Err(Raise): the error is on top of the stack
//!                 └── lua_error, when everything of Rust is gone ◄───────────┘
//! ```

use std::ffi::c_int;
use std::ptr::NonNull;

use mlua_sys::lua51 as ffi;

use crate::limits;

use super::stack::Stack;
use super::{Request, Runtime};

/// After so many instructions a script is looked at: whether it has done enough for the host to be asked if it may go on. Few of them may
/// take long, when they work with large strings.
pub(super) const HOOK_EVERY: c_int = 200;
/// So often it was looked at when the host is asked.
const HOOKS_PER_TICK: i32 = 50;

/// The value on top of the stack is raised as an error.
#[derive(Debug)]
pub(crate) struct Raise(pub(super) ());

impl Raise {
    /// The error is on top of the stack already.
    pub(crate) fn of_top() -> Self {
        Self(())
    }
}

/// How many results are on top of the stack; or an error is.
pub(crate) type Native = Result<c_int, Raise>;

/// The C function of a Rust function. It must not own or capture anything: its type is all there is of it.
pub(super) fn function<F>(_: F) -> ffi::lua_CFunction
where
    F: Fn(&mut Stack<'_>) -> Native + Copy + 'static,
{
    const { assert!(size_of::<F>() == 0, "a native captures nothing") };
    trampoline::<F>
}

unsafe extern "C-unwind" fn trampoline<F>(state: *mut ffi::lua_State) -> c_int
where
    F: Fn(&mut Stack<'_>) -> Native + Copy + 'static,
{
    // SAFETY: Lua calls with a state that lives during the call.
    let runtime = unsafe { Runtime::of(state) };
    // SAFETY: a type without size has nothing that could be read, and `function` was given a value of it.
    let native = unsafe { NonNull::<F>::dangling().as_ref() };
    let was_strict = runtime.strict.replace(false);
    // SAFETY: Lua has made room for the call; nobody else uses its stack.
    let result = native(&mut unsafe { Stack::new(state, runtime) });
    runtime.strict.set(was_strict);
    match result {
        Ok(count) => count,
        // SAFETY: the error is on top of the stack, and no frame from here to Lua owns anything.
        Err(Raise(())) => unsafe { ffi::lua_error(state) },
    }
}

/// Called every so many instructions.
pub(super) unsafe extern "C-unwind" fn hook(
    state: *mut ffi::lua_State,
    _event: *mut ffi::lua_Debug,
) {
    // SAFETY: Lua calls with a state that lives during the call.
    let runtime = unsafe { Runtime::of(state) };
    let hooks = runtime.hooks.get() + 1;
    runtime.hooks.set(hooks);
    let is_little =
        hooks < HOOKS_PER_TICK && runtime.allocated.get() < limits::SCRIPT_BYTES_PER_TICK;
    if is_little && runtime.stopped.get().is_none() {
        return;
    }
    runtime.hooks.set(0);
    runtime.allocated.set(0);
    let was_strict = runtime.strict.replace(false);
    let is_over = tick(state, runtime);
    runtime.strict.set(was_strict);
    if is_over {
        // SAFETY: the error is on top of the stack, and no frame from here to Lua owns anything.
        unsafe { ffi::lua_error(state) };
    }
}

/// Whether the script must end; the error is on top of the stack then.
fn tick(state: *mut ffi::lua_State, runtime: &Runtime) -> bool {
    if runtime.stopped.get().is_none() {
        collect_before_it_is_tight(state, runtime);
        if runtime.ask(Request::Tick).is_ok() {
            return false;
        }
    }
    // From now on each line raises: no pcall of the script holds it for longer than a line.
    // SAFETY: the state lives; hooks may be set from everywhere.
    unsafe { ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT, 1) };
    // SAFETY: Lua has made room for the hook; nobody else uses its stack.
    let mut stack = unsafe { Stack::new(state, runtime) };
    stack.push_bytes(runtime.stopped.get().unwrap_or_default().as_bytes());
    true
}

/// Lua 5.1 does not collect when an allocation fails. So that garbage does not count as what is in use, all is collected when three
/// quarters of the memory are taken, and again when a sixteenth more is.
fn collect_before_it_is_tight(state: *mut ffi::lua_State, runtime: &Runtime) {
    let (used, limit) = (runtime.used.get(), runtime.limit.get());
    if used > limit / 4 * 3 && used > runtime.collected_at.get() + limit / 16 {
        // SAFETY: the state lives; there are no finalizers that could raise.
        unsafe { ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0) };
        runtime.collected_at.set(runtime.used.get());
    }
}
