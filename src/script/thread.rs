//! What one thread has of the scripts: its state of Lua, and what it has compiled.
//!
//! The state is made with the first script: a thread without scripts has none.

use std::ffi::c_int;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::REDIS_VERSION;
use crate::limits;

use super::cache::{Script, Sha};
use super::engine::{Engine, Step};
use super::flags::{ScriptFlags, of_library};
use super::libraries::{Function, Libraries, Library, LibraryRegistry};
use super::lua::{Answer, Request};

/// A library that is loaded, with the slots of its functions.
#[derive(Debug)]
struct Loaded {
    library: Arc<Library>,
    functions: Vec<(Function, c_int)>,
}

/// See the head of the module.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    engine: Option<Box<Engine>>,
    bytes_max: Option<usize>,
    thread: u16,
    compiled: HashMap<Sha, (Arc<Script>, c_int)>,
    /// See [`ScriptCache::flushes`](super::cache::ScriptCache::flushes).
    flushes: u64,
    /// The libraries that are loaded, with the slots of their functions.
    libraries: Vec<Loaded>,
    /// Functions and their slots by their names in lower case, and as of which version of the registry.
    functions: HashMap<Vec<u8>, (Function, c_int)>,
    functions_version: u64,
    /// What scripts have said for the log: level and text.
    pub(crate) logged: Vec<(u8, Vec<u8>)>,
    /// The script that was looked at last, and whether its keys are declared: it is added to the cache when it runs.
    pub(crate) looked_at: Option<(Sha, bool)>,
    /// When the log was told last of a script that has used all memory, ns.
    told_of_memory_ns: Option<u64>,
}

impl Scripts {
    /// The state. There is one as soon as something was compiled.
    pub(crate) fn engine(&mut self) -> &mut Engine {
        let engine = self.engine.as_deref_mut();
        engine.expect("what is to run was compiled")
    }

    /// Makes the state, if there is none.
    ///
    /// # Errors
    ///
    /// The system gives no memory for it: the text for the client.
    fn make_engine(&mut self) -> Result<&mut Engine, Vec<u8>> {
        if self.engine.is_none() {
            let bytes_max = self.bytes_max.unwrap_or(limits::LUA_BYTES_DEFAULT);
            let engine = Engine::new(REDIS_VERSION, bytes_max).map_err(|error| {
                tracing::warn!("No memory for the stack of scripts: {error}");
                format!("no memory for the stack of scripts: {error}").into_bytes()
            })?;
            engine.vary_random(self.thread);
            self.engine = Some(Box::new(engine));
        }
        Ok(self.engine())
    }

    /// Whether the log is to be told of a script that has used all memory: at most once a second.
    pub(crate) fn tells_of_memory(&mut self, now_ns: u64) -> bool {
        let told_ns = self.told_of_memory_ns;
        let tells = told_ns.is_none_or(|told_ns| now_ns.saturating_sub(told_ns) >= 1_000_000_000);
        if tells {
            self.told_of_memory_ns = Some(now_ns);
        }
        tells
    }

    /// Of which thread they are: scripts of two threads do not get the same random numbers.
    pub(crate) fn of_thread(number: u16) -> Self {
        Self {
            thread: number,
            ..Self::default()
        }
    }

    /// Memory that the state may take, bytes.
    pub(crate) fn set_bytes_max(&mut self, bytes: usize) {
        self.bytes_max = Some(bytes);
        if let Some(engine) = &self.engine {
            engine.set_bytes_max(bytes);
        }
    }

    /// Bytes that the state takes.
    pub(crate) fn used_bytes(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.used_bytes())
    }

    /// A script that this thread has compiled, and that is in the cache.
    pub(crate) fn compiled(&self, sha: &Sha) -> Option<(&Arc<Script>, c_int)> {
        let (script, slot) = self.compiled.get(sha)?;
        (!script.is_gone()).then_some((script, *slot))
    }

    /// Compiles a script; its slot.
    ///
    /// # Errors
    ///
    /// It is no Lua: the text for the client.
    pub(crate) fn compile(&mut self, script: &Arc<Script>) -> Result<c_int, Vec<u8>> {
        self.forget_gone();
        let slot = self.make_engine()?.compile(script.code())?;
        self.compiled.insert(script.sha, (Arc::clone(script), slot));
        Ok(slot)
    }

    /// Whether a text is Lua.
    ///
    /// # Errors
    ///
    /// It is not: the text for the client.
    pub(crate) fn check(&mut self, code: &[u8]) -> Result<(), Vec<u8>> {
        let slot = self.make_engine()?.compile(code)?;
        self.engine().forget(slot);
        Ok(())
    }

    /// Follows SCRIPT FLUSH.
    pub(crate) fn follow(&mut self, flushes: u64) {
        if std::mem::replace(&mut self.flushes, flushes) == flushes {
            return;
        }
        self.forget_gone();
        if let Some(engine) = &mut self.engine {
            engine.renew();
        }
    }

    fn forget_gone(&mut self) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        self.compiled.retain(|_, (script, slot)| {
            if script.is_gone() {
                engine.forget(*slot);
            }
            !script.is_gone()
        });
        if self.compiled.len() < self.compiled.capacity() / 4 {
            self.compiled.shrink_to(2 * self.compiled.len());
        }
    }

    /// Loads a library to see what is in it. What it has said for the log is in [`Scripts::logged`].
    ///
    /// # Errors
    ///
    /// It cannot be loaded: the text for the client.
    pub(crate) fn library(&mut self, text: &[u8]) -> Result<Library, Vec<u8>> {
        let head = of_library(text).map_err(String::into_bytes)?;
        let functions = self.register(head.code)?;
        for (_, slot) in &functions {
            self.engine().forget(*slot);
        }
        if functions.is_empty() {
            return Err(b"No functions registered".to_vec());
        }
        Ok(Library {
            name: head.name,
            text: text.to_vec(),
            functions: functions
                .into_iter()
                .map(|(function, _)| function)
                .collect(),
        })
    }

    /// Runs the code of a library; its functions and their slots.
    fn register(&mut self, code: &[u8]) -> Result<Vec<(Function, c_int)>, Vec<u8>> {
        let prefix = |start: &str, text: &[u8]| [start.as_bytes(), text].concat();
        let started = self.make_engine()?.start_library(code);
        let mut step = started.map_err(|text| prefix("Error compiling function: ", &text))?;
        let mut ticks = 0;
        let error = loop {
            match step {
                Step::Wants(request) => {
                    let answer = match request {
                        Request::Log(level) => {
                            let exchange = self.engine().exchange();
                            let text = exchange.borrow().args().at(0).to_vec();
                            self.logged.push((level, text));
                            Answer::Go
                        }
                        Request::Tick if ticks == limits::LIBRARY_TICKS_MAX => {
                            Answer::Stop("FUNCTION LOAD timeout")
                        }
                        Request::Tick => {
                            ticks += 1;
                            Answer::Go
                        }
                        _ => Answer::No,
                    };
                    step = self.engine().go_on(answer);
                }
                Step::Returned => {
                    self.engine().drop_result();
                    break None;
                }
                Step::Failed(error) => break Some(error),
            }
        };
        let registered = self.engine().take_registered();
        let slots = registered.into_iter().map(|function| {
            let flags = function
                .flags
                .iter()
                .filter_map(|name| ScriptFlags::of_function(name));
            let about = Function {
                name: function.name,
                description: function.description,
                flags: flags.fold(ScriptFlags::default(), ScriptFlags::and),
            };
            (about, function.slot)
        });
        let functions: Vec<(Function, c_int)> = slots.collect();
        let Some(error) = error else {
            return Ok(functions);
        };
        for (_, slot) in functions {
            self.engine().forget(slot);
        }
        Err(prefix("Error registering functions: ", &error.text))
    }

    /// A function and its slot; loads the libraries when others have changed them. None: there is none of this name.
    ///
    /// # Errors
    ///
    /// A library does not load here, as it did when it came: the text for the client.
    pub(crate) fn function(
        &mut self,
        name: &[u8],
        registry: &LibraryRegistry,
    ) -> Result<Option<(&Function, c_int)>, Vec<u8>> {
        let version = registry.version();
        if self.functions_version != version {
            self.load_all(&registry.now())?;
            self.functions_version = version;
        }
        let found = self.functions.get(&name.to_ascii_lowercase());
        Ok(found.map(|(function, slot)| (function, *slot)))
    }

    /// Loads what is new, and forgets what is gone. A library that stays keeps what it has remembered in its variables.
    fn load_all(&mut self, libraries: &Libraries) -> Result<(), Vec<u8>> {
        let stays = |library: &Arc<Library>| {
            let mut now = libraries.list().iter();
            now.any(|other| Arc::ptr_eq(other, library))
        };
        for loaded in std::mem::take(&mut self.libraries) {
            if stays(&loaded.library) {
                self.libraries.push(loaded);
                continue;
            }
            for (_, slot) in loaded.functions {
                self.engine().forget(slot);
            }
        }
        for library in libraries.list() {
            let mut known = self.libraries.iter();
            if known.any(|loaded| Arc::ptr_eq(&loaded.library, library)) {
                continue;
            }
            let head = of_library(&library.text).map_err(String::into_bytes)?;
            let functions = self.register(head.code)?;
            self.libraries.push(Loaded {
                library: Arc::clone(library),
                functions,
            });
        }
        self.functions.clear();
        for (function, slot) in self.libraries.iter().flat_map(|loaded| &loaded.functions) {
            let name = function.name.to_ascii_lowercase();
            self.functions.insert(name, (function.clone(), *slot));
        }
        Ok(())
    }
}
