//! The journal's files: what they look like, how they are written so that a crash leaves a prefix, and how they are read.
//!
//! ```text
//! appendonlydir/
//!   appendonly.aof.manifest        which files count, in which order        manifest.rs
//!   appendonly.aof.1.base.rdb      everything up to a cut
//!   appendonly.aof.1.incr.aof      what came after it: commands, marks      format.rs, annotation.rs, own.rs, scan.rs
//!   …incr.aof.cut-8272             what recovery took off                 cut.rs
//! storage                          a directory, real or simulated           storage.rs, storage/
//! ```
//!
//! Invariants: Redis 7.0 and Valkey 7.2 can start on every file written here; recovery cuts and never skips; what it keeps is
//! what was written, in order, from the beginning.
//!
//! `log.rs` is the log while the server runs, `target.rs` the file at its end, `files.rs` the steps from one set of files to the next,
//! `buffer.rs` what it has not written, `slow.rs` what happens beside a sync that takes long.
//!
//! Deliberately not here: threads, clocks, sockets. Who writes when is for the engine.

pub mod annotation;
mod buffer;
pub mod cut;
pub(crate) mod dump;
pub(crate) mod files;
pub mod format;
pub mod log;
pub mod manifest;
pub mod own;
mod quick;
pub mod scan;
mod slow;
pub mod snapshot;
pub mod storage;
pub mod target;
