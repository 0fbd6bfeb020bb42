//! The commands: one row, one handler, one test each.
//!
//! ```text
//! spec.rs     the type of a row             table.rs    all rows, lookup by name
//! args.rs     typed arguments               error.rs    every text a client can read
//! context.rs  what a handler may touch      <family>.rs rows (COMMANDS, at the top) and handlers
//! ```
//! A handler is synchronous and does no I/O. It reads arguments, changes keys through [`crate::keyspace::KeyHandle`],
//! writes its reply, and answers with an [`Outcome`]: done, wait for a key, or an action that the shard carries out.
//! Blocking, subscribing, publishing, closing, sleeping are such answers; so MULTI, replay of effects, simulation and
//! tests run the same handler.

pub(crate) mod args;
pub(crate) mod bitmap;
pub(crate) mod connection;
pub mod context;
pub(crate) mod element;
mod element_expiry;
pub(crate) mod element_scan;
pub(crate) mod error;
pub(crate) mod expiry_option;
pub(crate) mod geo;
pub(crate) mod hash;
pub(crate) mod hyperloglog;
pub(crate) mod key_spec;
pub(crate) mod keyspace;
pub(crate) mod list;
#[cfg(test)]
mod long_replies;
pub(crate) mod metrics;
pub(crate) mod permission;
pub mod probe;
pub(crate) mod pubsub;
pub(crate) mod random;
pub(crate) mod redact;
pub(crate) mod row;
pub(crate) mod sample;
pub(crate) mod scripting;
pub(crate) mod server;
pub(crate) mod set;
pub(crate) mod sort;
pub(crate) mod sorted_set;
pub(crate) mod spec;
pub(crate) mod stream;
pub(crate) mod string;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod transaction;

pub(crate) use context::{Context, Outcome, ShardAction, Shared};
pub(crate) use spec::{Command, Flags};
