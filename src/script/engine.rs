//! The scripts of one thread: compiled, called, their results written as replies.
//!
//! ```text
//! compile ─► slot ─► start(slot, KEYS, ARGV) ─► Step::Wants(request) ─► the host does it ─► go_on ─► … ─► Step::Returned | Failed
//! ```
//! Which scripts there are is known to all threads (`cache.rs`, `libraries.rs`); each compiles what it is asked to run.

use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::io;
use std::rc::Rc;

use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::convert::{until_nul, write_result};
use super::library::functions::{Registered, set_globals};
use super::library::{COMPILED, GLOBALS, LIBRARY, install, random, renew};
use super::lua::stack::{Kind, Stack};
use super::lua::{Answer, Exchange, Lua, Request};

/// `redis.REPL_NONE`: effects of commands go nowhere.
pub(crate) const REPLICATE_NONE: i32 = 0;
/// `redis.REPL_AOF`: to the log.
pub(crate) const REPLICATE_AOF: i32 = 1;
/// `redis.REPL_REPLICA`: to replicas.
pub(crate) const REPLICATE_REPLICA: i32 = 2;
/// `redis.REPL_ALL`: to both.
pub(crate) const REPLICATE_ALL: i32 = REPLICATE_AOF | REPLICATE_REPLICA;

/// A step of the collector after so many scripts, as in Redis.
const COLLECT_EVERY: u32 = 50;

/// What a script does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// It wants something of the host: [`Engine::go_on`] with the answer.
    Wants(Request),
    /// It has ended; [`Engine::write_result`].
    Returned,
    /// It has failed.
    Failed(ScriptError),
}

/// How a script failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScriptError {
    /// The text, its code first.
    pub(crate) text: Vec<u8>,
    /// Chunk and line, when they are known: `@user_script`, `1`.
    pub(crate) place: Option<(Vec<u8>, Vec<u8>)>,
    /// It is that of a command, which has been counted already.
    pub(crate) is_counted: bool,
}

/// See the head of the module.
#[derive(Debug)]
pub(crate) struct Engine {
    lua: Lua,
    run_count: u32,
}

impl Engine {
    /// With the libraries that scripts find. `version`: what the server says it is. `bytes_max`: memory for all scripts together.
    ///
    /// # Errors
    ///
    /// The system gives no memory for it.
    pub(crate) fn new(version: &str, bytes_max: usize) -> io::Result<Self> {
        let mut lua = Lua::new(bytes_max)?;
        install(&mut lua.stack(), version);
        lua.keep();
        lua.runtime().random.set(random::UNSEEDED);
        Ok(Self { lua, run_count: 0 })
    }

    /// Random numbers of its own for each thread; those of the first (0) are Redis'.
    pub(crate) fn vary_random(&self, thread: u16) {
        let random = &self.lua.runtime().random;
        random.set(random.get() ^ u64::from(thread) << 24);
    }

    /// Compiles a script of EVAL; its slot.
    ///
    /// # Errors
    ///
    /// It is no Lua; the text for the client.
    pub(crate) fn compile(&mut self, code: &[u8]) -> Result<c_int, Vec<u8>> {
        let mut stack = self.lua.stack();
        load(&mut stack, code, c"@user_script")?;
        Ok(keep_function(&mut stack, COMPILED))
    }

    /// Forgets a function.
    pub(crate) fn forget(&mut self, slot: c_int) {
        forget_function(&mut self.lua.stack(), slot);
    }

    /// Begins a script of EVAL.
    pub(crate) fn start<'a>(
        &mut self,
        slot: c_int,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Step {
        self.prepare(false);
        let mut stack = self.lua.stack();
        push_list(&mut stack, keys);
        stack.raw_set_name(GLOBALS, "KEYS");
        push_list(&mut stack, arguments);
        stack.raw_set_name(GLOBALS, "ARGV");
        stack.raw_get_index(COMPILED, slot);
        self.go_on(Answer::Run(0))
    }

    /// Begins a function of a library.
    pub(crate) fn start_function<'a>(
        &mut self,
        slot: c_int,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Step {
        self.prepare(true);
        let mut stack = self.lua.stack();
        set_globals(&mut stack, false);
        stack.raw_get_index(COMPILED, slot);
        push_list(&mut stack, keys);
        push_list(&mut stack, arguments);
        self.go_on(Answer::Run(2))
    }

    /// Begins the code of a library; its functions are there ([`Engine::take_registered`]) when it has returned.
    ///
    /// # Errors
    ///
    /// It is no Lua; the text for the client.
    pub(crate) fn start_library(&mut self, code: &[u8]) -> Result<Step, Vec<u8>> {
        self.prepare(true);
        let mut stack = self.lua.stack();
        set_globals(&mut stack, true);
        load(&mut stack, code, c"@user_function")?;
        stack.push_copy(LIBRARY);
        stack.set_environment(-2);
        *self.lua.runtime().registered.borrow_mut() = Some(Vec::new());
        Ok(self.go_on(Answer::Run(0)))
    }

    /// The functions that a library has registered; the library is loaded.
    pub(crate) fn take_registered(&mut self) -> Vec<Registered> {
        let registered = self.lua.runtime().registered.borrow_mut().take();
        registered.unwrap_or_default()
    }

    /// What each run begins with; `in_library`: it is one of a library, not of EVAL.
    fn prepare(&mut self, in_library: bool) {
        let runtime = self.lua.runtime();
        runtime.in_library.set(in_library);
        runtime.protocol.set(Protocol::Resp2);
        runtime.replicate.set(REPLICATE_ALL);
        self.run_count += 1;
        if self.run_count >= COLLECT_EVERY {
            self.run_count = 0;
            self.lua.collect(false);
        }
    }

    /// Goes on with a script that wanted something.
    pub(crate) fn go_on(&mut self, answer: Answer) -> Step {
        match self.lua.resume(answer) {
            Request::Done(true) => Step::Returned,
            Request::Done(false) => {
                let error = take_error(&mut self.lua.stack());
                self.free_much();
                Step::Failed(error)
            }
            request => Step::Wants(request),
        }
    }

    /// A script that has used much of the memory must not leave it to the next one: Lua collects only as fast as it allocates.
    fn free_much(&mut self) {
        let (mut used, max) = (self.lua.used_bytes(), self.lua.bytes_max());
        while used > max / 4 {
            self.lua.collect(true);
            let now = self.lua.used_bytes();
            // Its buffer for joined strings is halved each time.
            if now >= used {
                break;
            }
            used = now;
        }
    }

    /// Writes what the script has returned, and forgets it. The errors in it.
    pub(crate) fn write_result(&mut self, reply: &mut Reply) -> Vec<ScriptError> {
        let errors = write_result(&mut self.lua.stack(), reply);
        self.free_much();
        errors
    }

    /// Forgets what the script has returned.
    pub(crate) fn drop_result(&mut self) {
        self.lua.stack().pop(1);
    }

    /// What the script that stands still wants, and where the reply goes.
    pub(crate) fn exchange(&self) -> Rc<RefCell<Exchange>> {
        self.lua.exchange()
    }

    /// Where the effects of the script's commands go: [`REPLICATE_ALL`] …
    pub(crate) fn replicates(&self) -> i32 {
        self.lua.runtime().replicate.get()
    }

    /// Bytes that all scripts take.
    pub(crate) fn used_bytes(&self) -> usize {
        self.lua.used_bytes()
    }

    /// Bytes that they may take.
    pub(crate) fn set_bytes_max(&self, bytes: usize) {
        self.lua.set_bytes_max(bytes);
    }

    /// As it was at the beginning, but for functions of libraries (SCRIPT FLUSH): what scripts have set is forgotten, and all that is not
    /// used any more is freed.
    pub(crate) fn renew(&mut self) {
        renew(&mut self.lua.stack());
        self.lua.collect(true);
    }
}

/// Pushes the function of a text; else gives the text of the error.
fn load(stack: &mut Stack<'_>, code: &[u8], name: &CStr) -> Result<(), Vec<u8>> {
    if stack.load(code, name).is_ok() {
        return Ok(());
    }
    let text = stack.bytes(-1).unwrap_or_default().to_vec();
    stack.pop(1);
    Err(text)
}

/// Keeps the function on top of the stack in a list of functions, and takes it; its slot.
///
/// The first element of the list is the first free slot, each of which has the next; 0 is none.
pub(super) fn keep_function(stack: &mut Stack<'_>, list: c_int) -> c_int {
    stack.raw_get_index(list, 1);
    let free = stack.number(-1).unwrap_or_default() as c_int;
    stack.pop(1);
    let slot = if free == 0 {
        stack.length(list) as c_int + 1
    } else {
        stack.raw_get_index(list, free);
        stack.raw_set_index(list, 1);
        free
    };
    stack.raw_set_index(list, slot);
    slot
}

fn forget_function(stack: &mut Stack<'_>, slot: c_int) {
    stack.raw_get_index(COMPILED, 1);
    stack.raw_set_index(COMPILED, slot);
    stack.push_number(slot.into());
    stack.raw_set_index(COMPILED, 1);
}

fn push_list<'a>(stack: &mut Stack<'_>, elements: impl ExactSizeIterator<Item = &'a [u8]>) {
    stack.push_table(elements.len(), 0);
    for (index, element) in (1..).zip(elements) {
        stack.push_bytes(element);
        stack.raw_set_index(-2, index);
    }
}

/// The error on top of the stack; takes it.
fn take_error(stack: &mut Stack<'_>) -> ScriptError {
    let mut error = ScriptError::default();
    if stack.kind(-1) == Kind::Table {
        let field = |stack: &mut Stack<'_>, name: &str| {
            stack.raw_get_name(-1, name);
            let text = stack.bytes(-1).map(<[u8]>::to_vec);
            stack.pop(1);
            text
        };
        let text = field(stack, "err");
        error.text = text.unwrap_or_else(|| b"ERR unknown error".to_vec());
        error.place = field(stack, "source").zip(field(stack, "line"));
        stack.raw_get_name(-1, "ignore_error_stats_update");
        error.is_counted = stack.truth(-1);
        stack.pop(1);
    } else {
        // Out of memory, or an error while there was one: nobody knows where.
        error.text = b"ERR ".to_vec();
        error
            .text
            .extend_from_slice(stack.bytes(-1).unwrap_or_default());
    }
    stack.pop(1);
    // Redis: these are C strings, so a NUL ends them.
    let cut = |text: &mut Vec<u8>| text.truncate(until_nul(text).len());
    cut(&mut error.text);
    if let Some((source, _)) = &mut error.place {
        cut(source);
    }
    error
}
