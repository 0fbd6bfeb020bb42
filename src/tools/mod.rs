//! Tools: clients of a server, started by a subcommand.
//!
//! ```text
//! ping      one question, one exit code: container health checks
//! reclaim   hands pending entries of dead consumers to the living: cron
//! demo      producer, worker processes, collector and the reclaimer on one queue
//! ```
//!
//! Invariants: a tool speaks to a server over a socket only, with the blocking `redis` client, and
//! so works against any server that speaks the protocol; it knows nothing of the engine. It prints
//! through a writer and reports with an exit code.
//!
//! Deliberately not here: parsing of the command line (`cli`).

use std::io::Write;

pub mod connect;
pub mod demo;
pub mod ping;
pub mod reclaim;

/// Writes one line for a person to standard error; a closed standard error is no reason to stop.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "millrace: {line}");
}
