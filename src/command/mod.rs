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

pub mod args;
pub mod connection;
pub mod context;
pub mod error;
pub mod keyspace;
pub mod list;
#[cfg(test)]
mod long_replies;
pub mod metrics;
pub mod pubsub;
pub mod redact;
pub mod row;
pub mod scripting;
pub mod server;
pub mod spec;
pub mod stream;
pub mod string;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod transaction;

pub use context::{Context, Outcome, ShardAction, Shared, WaitFor};
pub use error::CommandError;
pub use spec::{Command, Flags, KeySpec, Scope};
