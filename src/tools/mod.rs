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

/// An error with its causes in one line.
///
/// `{:#}` says some causes twice: an error of the client contains the text of its own cause.
fn described(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

/// Writes one line for a person to standard error; a closed standard error is no reason to stop.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "millrace: {line}");
}
