//! A Lua 5.1 state: who owns it, how much memory it may take, on which stack it runs.
//!
//! ```text
//! host (a shard)                 coroutine, on a stack of its own
//!   Lua::resume(Answer) ───────► run ─► lua_pcall ─► script ─► native (native.rs) ─┐
//!        ▲                                                                          │
//!        └──────────────── Request ◄──── Runtime::ask ◄────────────────────────────┘
//! ```
//! The host borrows nothing to the script: whatever a script wants of it is a [`Request`], and the script stands still until the
//! [`Answer`]. So the host may put a script aside that takes too long, and go on with other work.
//!
//! This folder is the only place of the project with unsafe code: calls to the C library, made safe by these rules.
//! - A Lua error is a `longjmp`. It must not cross a Rust frame that owns something. Therefore no Rust code calls what raises but in
//!   [`native`], from a frame that owns nothing. Calls that only fail for want of memory are made while [`Runtime::strict`] is off:
//!   then the allocator never refuses. It refuses inside of `lua_pcall`, where only C frames are jumped over.
//! - No stack index is used unchecked ([`stack::Stack`]).
//! - The state and its runtime have one thread; neither is `Send`.
//!
//! Source: the reference manual of Lua 5.1, section 3.

pub(super) mod native;
pub(super) mod stack;

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use mlua_sys::lua51 as ffi;

use crate::limits;
use crate::resp::Protocol;
use crate::resp::arguments::{Args, ArgumentRange};
use crate::resp::reply::Reply;
use crate::script::library::functions::Registered;
use crate::script::pattern::Matcher;

use stack::Stack;

/// What a script wants of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The command in [`Exchange::args`] is to run; its reply goes to [`Exchange::reply`].
    Call,
    /// Whether the user may run the command in [`Exchange::args`].
    MayCall,
    /// The text in [`Exchange::args`] is for the log of the server, with this level: 0 debug to 3 warning.
    Log(u8),
    /// It has run for a while; whether it may go on.
    Tick,
    /// It has ended. `true`: its result is on top of the stack; `false`: the error is.
    Done(bool),
}

/// What the host says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Call the function on the stack, under so many arguments.
    Run(c_int),
    /// Done as asked.
    Go,
    /// No, to [`Request::MayCall`].
    No,
    /// End with an error of this text.
    Stop(&'static str),
    /// The state is about to be closed.
    Close,
}

/// What goes from one side to the other.
#[derive(Debug)]
pub(crate) struct Exchange {
    bytes: Vec<u8>,
    ranges: Vec<ArgumentRange>,
    /// The reply to a command, as RESP. An error: the script gets it as one.
    pub(crate) reply: Reply,
}

impl Exchange {
    /// The command to run, or the text to log.
    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges)
    }

    /// The command, and where its reply goes.
    pub(crate) fn call(&mut self) -> (Args<'_>, &mut Reply) {
        (Args::new(&self.bytes, &self.ranges), &mut self.reply)
    }

    /// Begins a command.
    pub(super) fn clear(&mut self) {
        if self.bytes.capacity() > limits::SCRIPT_EXCHANGE_BYTES_KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.ranges.clear();
    }

    /// The next argument.
    pub(super) fn push(&mut self, argument: &[u8]) {
        self.ranges.push(ArgumentRange {
            start: self.bytes.len() as u32,
            len: argument.len() as u32,
        });
        self.bytes.extend_from_slice(argument);
    }

    /// Bytes of all arguments so far.
    pub(super) fn byte_count(&self) -> usize {
        self.bytes.len()
    }
}

type Yields = Yielder<Answer, Request>;

/// What belongs to a state and is reached from everywhere in it.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Bytes that the state has allocated.
    used: Cell<usize>,
    /// How many it may have.
    limit: Cell<usize>,
    /// Bytes that were in use when all garbage was collected last for want of memory.
    collected_at: Cell<usize>,
    /// Whether the allocator refuses what passes the limit.
    strict: Cell<bool>,
    /// The other end of the coroutine; null until it runs.
    yielder: Cell<*const Yields>,
    /// Why the script that runs is to end.
    stopped: Cell<Option<&'static str>>,
    /// The protocol in which the script gets its replies (redis.setresp).
    pub(super) protocol: Cell<Protocol>,
    /// Where the effects of its commands go (redis.set_repl).
    pub(super) replicate: Cell<i32>,
    /// Coroutines begun.
    pub(super) coroutines: Cell<u32>,
    /// Bytes allocated since the host was asked last, and hooks.
    allocated: Cell<usize>,
    hooks: Cell<i32>,
    /// A function of a library runs, not a script of EVAL.
    pub(super) in_library: Cell<bool>,
    /// What searches for patterns.
    pub(super) matcher: RefCell<Matcher>,
    /// The state of `math.random`.
    pub(super) random: Cell<u64>,
    /// The functions that a library has registered so far, while it is loaded.
    pub(super) registered: RefCell<Option<Vec<Registered>>>,
    pub(super) exchange: Rc<RefCell<Exchange>>,
}

impl Runtime {
    /// Asks the host and waits for its answer.
    ///
    /// # Errors
    ///
    /// The text with which the script is to end.
    pub(super) fn ask(&self, request: Request) -> Result<bool, &'static str> {
        if let Some(why) = self.stopped.get() {
            return Err(why);
        }
        let yielder = NonNull::new(self.yielder.get().cast_mut());
        let Some(yielder) = yielder else {
            // Outside of the coroutine: what is loaded while the server starts is short.
            return Ok(true);
        };
        // SAFETY: it is set by the coroutine when it begins and lives as long as its stack; only code that runs on this stack, on
        // the one thread of the state, comes here with a yielder.
        let yielder = unsafe { yielder.as_ref() };
        match yielder.suspend(request) {
            Answer::Stop(why) => {
                self.stopped.set(Some(why));
                Err(why)
            }
            answer => Ok(answer != Answer::No),
        }
    }

    /// Whether the script that runs is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get().is_some()
    }

    /// The runtime of a state.
    ///
    /// # Safety
    ///
    /// The state was made by [`Lua::new`], and lives for `'a`.
    unsafe fn of<'a>(state: *mut ffi::lua_State) -> &'a Self {
        let mut runtime: *mut c_void = ptr::null_mut();
        // SAFETY: the state lives, as the caller promises.
        unsafe { ffi::lua_getallocf(state, &raw mut runtime) };
        // SAFETY: Lua::new gave the address of its runtime with the allocator; Lua keeps it as long as the state.
        unsafe { &*runtime.cast::<Self>() }
    }
}

/// The allocator of a state. Source: `lua_Alloc` in the manual.
unsafe extern "C" fn allocate(
    runtime: *mut c_void,
    block: *mut c_void,
    old_size: usize,
    new_size: usize,
) -> *mut c_void {
    const ALIGN: usize = 8;
    // SAFETY: it is the address that Lua::new gave; the runtime outlives the state.
    let runtime = unsafe { &*runtime.cast::<Runtime>() };
    let used = runtime.used.get() - old_size + new_size;
    if new_size > old_size && runtime.strict.get() && used > runtime.limit.get() {
        return ptr::null_mut();
    }
    let (Ok(old), Ok(new)) = (
        Layout::from_size_align(old_size, ALIGN),
        Layout::from_size_align(new_size, ALIGN),
    ) else {
        return ptr::null_mut();
    };
    runtime.used.set(used);
    let grown = new_size.saturating_sub(old_size);
    runtime
        .allocated
        .set(runtime.allocated.get().saturating_add(grown));
    let block = block.cast::<u8>();
    let moved = if new_size == 0 {
        if old_size > 0 {
            // SAFETY: Lua gives a block back once, with the size it was allocated with.
            unsafe { std::alloc::dealloc(block, old) };
        }
        return ptr::null_mut();
    } else if old_size == 0 {
        // SAFETY: the size is not zero.
        unsafe { std::alloc::alloc(new) }
    } else {
        // SAFETY: the block has this size, the new one is not zero.
        unsafe { std::alloc::realloc(block, old, new_size) }
    };
    if moved.is_null() {
        std::alloc::handle_alloc_error(new);
    }
    moved.cast()
}

/// A Lua state with the stack on which its scripts run.
pub(crate) struct Lua {
    state: *mut ffi::lua_State,
    runtime: Rc<Runtime>,
    coroutine: Coroutine<Answer, Request, (), DefaultStack>,
    /// Whether a script stands still on the coroutine.
    is_running: bool,
    /// How many values at the bottom of its stack stay there.
    kept: c_int,
}

impl Lua {
    /// An empty state: no libraries, no globals.
    ///
    /// # Errors
    ///
    /// The system gives no memory for the stack of scripts.
    pub(crate) fn new(bytes_max: usize) -> io::Result<Self> {
        let stack = DefaultStack::new(limits::SCRIPT_STACK_BYTES)?;
        let runtime = Rc::new(Runtime {
            used: Cell::new(0),
            limit: Cell::new(bytes_max),
            collected_at: Cell::new(0),
            strict: Cell::new(false),
            yielder: Cell::new(ptr::null()),
            stopped: Cell::new(None),
            protocol: Cell::new(Protocol::Resp2),
            replicate: Cell::new(0),
            coroutines: Cell::new(0),
            allocated: Cell::new(0),
            hooks: Cell::new(0),
            in_library: Cell::new(false),
            matcher: RefCell::new(Matcher::new()),
            random: Cell::new(0),
            registered: RefCell::new(None),
            exchange: Rc::new(RefCell::new(Exchange {
                bytes: Vec::new(),
                ranges: Vec::new(),
                reply: Reply::new(Protocol::Resp2),
            })),
        });
        let user_data = Rc::as_ptr(&runtime).cast_mut().cast::<c_void>();
        // SAFETY: the allocator follows the contract of lua_Alloc; its user data lives as long as the state.
        let state = unsafe { ffi::lua_newstate(allocate, user_data) };
        assert!(!state.is_null(), "no memory for a Lua state");
        let coroutine = Self::coroutine(stack, state, Rc::clone(&runtime));
        Ok(Self {
            state,
            runtime,
            coroutine,
            is_running: false,
            kept: 0,
        })
    }

    fn coroutine(
        stack: DefaultStack,
        state: *mut ffi::lua_State,
        runtime: Rc<Runtime>,
    ) -> Coroutine<Answer, Request, (), DefaultStack> {
        Coroutine::with_stack(stack, move |yielder, first| {
            runtime.yielder.set(yielder);
            let mut answer = first;
            while let Answer::Run(count) = answer {
                runtime.strict.set(true);
                // SAFETY: the host has put a function and so many arguments on the stack of the state, whose first value is the
                // error handler, and does nothing with the state until this asks or ends.
                let status = unsafe { ffi::lua_pcall(state, count, 1, 1) };
                runtime.strict.set(false);
                answer = yielder.suspend(Request::Done(status == ffi::LUA_OK));
            }
        })
    }

    /// The stack of the state, for the host. Not while a script stands still.
    pub(crate) fn stack(&mut self) -> Stack<'_> {
        assert!(!self.is_running, "the state belongs to the script");
        // SAFETY: the state lives as long as self, which the stack borrows; nothing else uses it meanwhile.
        let stack = unsafe { Stack::new(self.state, &self.runtime) };
        stack.above(self.kept)
    }

    /// What is on the stack now stays there.
    pub(crate) fn keep(&mut self) {
        self.kept = self.stack().top();
    }

    /// Goes on with the script, or begins one ([`Answer::Run`]).
    pub(crate) fn resume(&mut self, answer: Answer) -> Request {
        if let Answer::Run(_) = answer {
            self.runtime.stopped.set(None);
            self.runtime.collected_at.set(0);
            self.hook(native::HOOK_EVERY);
        }
        self.is_running = true;
        match self.coroutine.resume(answer) {
            CoroutineResult::Yield(request) => {
                self.is_running = !matches!(request, Request::Done(_));
                request
            }
            CoroutineResult::Return(()) => unreachable!("it returns when the state is closed"),
        }
    }

    /// What the script and its host exchange.
    pub(crate) fn exchange(&self) -> Rc<RefCell<Exchange>> {
        Rc::clone(&self.runtime.exchange)
    }

    /// What belongs to the state.
    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Bytes that the state takes.
    pub(crate) fn used_bytes(&self) -> usize {
        self.runtime.used.get()
    }

    /// Bytes that it may take.
    pub(crate) fn bytes_max(&self) -> usize {
        self.runtime.limit.get()
    }

    /// Bytes that it may take.
    pub(crate) fn set_bytes_max(&self, bytes: usize) {
        self.runtime.limit.set(bytes);
    }

    /// Frees what is not reachable any more: a step, or all.
    pub(crate) fn collect(&mut self, all: bool) {
        let what = if all {
            ffi::LUA_GCCOLLECT
        } else {
            ffi::LUA_GCSTEP
        };
        assert!(!self.is_running, "the state belongs to the script");
        // SAFETY: the state lives; there are no finalizers that could raise.
        unsafe { ffi::lua_gc(self.state, what, 0) };
    }

    fn hook(&self, count: c_int) {
        // SAFETY: the state lives; the hook may be called from any code that runs in it.
        unsafe { ffi::lua_sethook(self.state, Some(native::hook), ffi::LUA_MASKCOUNT, count) };
    }
}

impl Drop for Lua {
    fn drop(&mut self) {
        if self.is_running {
            // The process ends with a script on its stack: its frames are C's, nobody can unwind them.
            // SAFETY: the stack is not used any more; what its frames own leaks with the state.
            unsafe { self.coroutine.force_reset() };
            return;
        }
        if self.coroutine.started() {
            self.coroutine.resume(Answer::Close);
        }
        // SAFETY: nothing uses the state any more.
        unsafe { ffi::lua_close(self.state) };
    }
}

impl std::fmt::Debug for Lua {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lua")
            .field("used_bytes", &self.used_bytes())
            .finish_non_exhaustive()
    }
}
