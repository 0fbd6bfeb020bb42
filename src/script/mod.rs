//! Scripts: Lua as Redis' scripts know it.
//!
//! ```text
//! engine.rs    the scripts of one thread: compile, start, go on
//! library/     what scripts find: redis, cjson, cmsgpack, struct, bit; what is ours of Lua's own libraries; guards
//! convert.rs   replies to values and back
//! pattern.rs   patterns of Lua's strings
//! number.rs    numbers as texts
//! flags.rs     the first line of a script, flags
//! thread.rs    what one thread has of them: the engine, and what it has compiled
//! analysis.rs  which keys a script can touch
//! busy.rs      scripts that run for too long
//! cache.rs     which scripts there are, for all threads
//! libraries.rs which libraries of functions there are, for all threads
//! lua/         the state and its stack: the only unsafe code
//! ```
//! It does not know commands, keyspaces, clients, clock or log: what a script wants of them, its host does (`Step::Wants`).

pub(crate) mod analysis;
pub(crate) mod busy;
pub(crate) mod cache;
pub(crate) mod engine;
pub(crate) mod flags;
pub(crate) mod libraries;
pub(crate) mod library;
#[allow(
    unsafe_code,
    reason = "calls to the C library of Lua; its head says by which rules they are safe"
)]
pub(crate) mod lua;

pub(crate) mod thread;

mod convert;
mod number;
mod pattern;

#[cfg(test)]
mod tests;
