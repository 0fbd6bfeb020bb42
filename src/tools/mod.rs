//! Tools: clients of a server, started by a subcommand.
//!
//! ```text
//! ping      one question, one exit code: container health checks
//! reclaim   gives pending entries of dead consumers to others: cron
//! import    copies what another running server holds
//! check     looks through the files of a log, repairs them
//! demo      producer, worker processes, collector and the reclaimer on one queue
//! ```
//!
//! Invariants: a tool speaks to a server over a socket only, with the blocking `redis` client (`ping`: raw), and
//! so works against any server that speaks the protocol; `check` reads files while no server runs. A tool knows nothing of the
//! engine. It prints
//! through a writer and reports with an exit code. What goes wrong is one sentence on standard error, in one form:
//! `millrace: cannot <do what> <to what>: <why>; <what to do>`.
//!
//! Deliberately not here: parsing of the command line (`cli`).

use std::io::Write;

pub mod check;
pub(crate) mod connect;
pub mod demo;
pub mod import;
pub mod ping;
mod raw;
mod reason;
pub mod reclaim;
mod tls;

/// An error with its causes as one sentence: what could not be done, to what, and why.
fn described(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let server_error = cause.downcast_ref::<redis::RedisError>();
        let text = match (server_error, cause.downcast_ref::<std::io::Error>()) {
            (Some(error), _) => reason::of(error),
            (None, Some(error)) => reason::of_system(error),
            (None, None) => cause.to_string(),
        };
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
        if server_error.is_some() {
            // Its own causes are in the reason.
            break;
        }
    }
    line
}

/// Whether the error is that nobody reads what is printed any more (`| head -1`), which ends a tool without a word.
fn nobody_reads(error: &anyhow::Error) -> bool {
    let from_server = |cause: &(dyn std::error::Error + 'static)| cause.is::<redis::RedisError>();
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    !error.chain().any(from_server) && error.chain().any(closed)
}

/// Writes one line for a person to standard error; a closed standard error is no reason to stop.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "millrace: {line}");
}
