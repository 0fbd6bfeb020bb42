//! Boot and shutdown: from a command line to running shards, and back.
//!
//! ```text
//! boot.rs     the steps from first word to exit code
//! startup.rs  the steps before the shards        listen.rs   listening sockets
//! process.rs  detaching, limits, supervisor      accept.rs   tasks that accept
//! logging.rs  the log                            signals.rs  SIGTERM, SIGINT
//! calendar.rs days to dates and back
//! apply.rs    CONFIG SET outside the shards      error.rs    why it did not start
//! control.rs  the acceptor's thread, and how the shards reach it
//! tls.rs      certificates, keys, ciphers        handshakes.rs  the thread that agrees on them with clients
//! metrics.rs  HTTP for Prometheus
//! shards.rs   the engine: shared facts, mailboxes, a thread per shard
//! door.rs      which accepted sockets become clients
//! disposal.rs the thread that frees what takes long to free
//! migrate.rs  sends keys to other servers (MIGRATE)
//! ```
//!
//! Deliberately not here: commands, keyspaces, connections once they are accepted.

pub(crate) mod accept;
pub(crate) mod apply;
pub(crate) mod boot;
mod calendar;
pub(crate) mod control;
mod data;
mod disposal;
mod door;
pub(crate) mod error;
mod handshakes;
pub(crate) mod listen;
mod load;
pub(crate) mod logging;
pub(crate) mod metrics;
mod migrate;
pub(crate) mod process;
mod recovery;
mod saver;
pub mod shards;
pub(crate) mod signals;
pub(crate) mod startup;
pub mod stepped;
pub(crate) mod tls;
mod users;
mod watchdog;

pub use metrics::probe as metrics_probe;

use std::process::ExitCode;

use crate::shard::clock::unix_ms;

/// Runs the server with the words that `redis-server` would be given, until it ends.
pub fn run<A: AsRef<[u8]>>(words: &[A]) -> ExitCode {
    boot::run(words, unix_ms, shards::start)
}
