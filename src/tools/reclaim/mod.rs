//! `millrace reclaim`: gives pending entries of dead consumers to other consumers, from cron.
//!
//! ```text
//! mod        connect, one pass or one after the other, print, exit code
//! pass       the order of steps over streams and pages
//! plan       who is alive, who gets what                       (pure)
//! too_often  dead letter and delete, with what makes them safe
//! group      the commands, a method each
//! report     table and JSON
//! ```
//!
//! Invariants: exit code 0 when the pass was made (also when no consumer is alive and entries stay), 1
//! when the server could not be reached or a command failed, 2 (clap) for a senseless command
//! line. Being killed at any point loses nothing: each change is one atomic request.
//!
//! Deliberately not here: processing entries. A worker finds what it was handed by reading its own
//! pending entries (`XREADGROUP … 0`), and only that counts as a delivery.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use redis::Connection;

use super::{complain, connect, described, nobody_reads};
use crate::cli::ReclaimArguments;

mod group;
mod pass;
mod plan;
mod report;
mod too_often;

pub(crate) use pass::Reclaimer;

/// Runs the subcommand.
#[must_use]
pub fn run(arguments: &ReclaimArguments) -> ExitCode {
    let all_done = match arguments.every {
        None => connect_to(arguments)
            .and_then(|mut connection| {
                pass_and_print(&mut Reclaimer::new(arguments), &mut connection, arguments)
            })
            .unwrap_or_else(complained),
        // Ends by a signal, or when nobody listens to its reports.
        Some(every) => repeat(arguments, every).unwrap_or_else(complained),
    };
    if all_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Says what went wrong; true if it was only that nobody reads the reports any more.
fn complained(error: anyhow::Error) -> bool {
    if nobody_reads(&error) {
        return true;
    }
    complain(&described(&error));
    false
}

fn connect_to(arguments: &ReclaimArguments) -> anyhow::Result<Connection> {
    let server = &arguments.server;
    connect::connect(&connect::client(server.url.as_deref(), &server.tls)?)
}

/// Makes one pass and prints it; whether everything worked. An error is one of printing.
fn pass_and_print(
    reclaimer: &mut Reclaimer,
    connection: &mut Connection,
    arguments: &ReclaimArguments,
) -> anyhow::Result<bool> {
    let report = reclaimer.pass(connection);
    for error in report.errors() {
        complain(error);
    }
    let all_done = report.errors().next().is_none();
    if arguments.quiet && all_done && !report.changed_something() {
        return Ok(true);
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        report.write_json(&mut out)
    } else {
        report.write_table(&mut out)
    }
    .and_then(|()| out.flush())
    .context("cannot print the report")?;
    Ok(all_done)
}

/// Passes at fixed intervals. A server that cannot be reached at first ends it, for that is most
/// likely a wrong address; later failures are reported and the next pass tries anew.
fn repeat(arguments: &ReclaimArguments, every: std::time::Duration) -> anyhow::Result<bool> {
    let mut reclaimer = Reclaimer::new(arguments);
    let mut connection = Some(connect_to(arguments)?);
    loop {
        let started = Instant::now();
        if connection.is_none() {
            connection = connect_to(arguments).map_err(complained).ok();
        }
        if let Some(open) = &mut connection
            && !pass_and_print(&mut reclaimer, open, arguments)?
        {
            // Which error it was matters little once per pass: a fresh connection is cheap.
            connection = None;
        }
        std::thread::sleep(every.saturating_sub(started.elapsed()));
    }
}
