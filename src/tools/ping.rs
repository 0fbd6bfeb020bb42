//! `millrace ping`: asks a server whether it serves, for container health checks.
//!
//! Healthy is the reply PONG within the time limit and nothing else: a server that loads its data
//! (LOADING), is held up by a script (BUSY) or wants a password that was not given (NOAUTH) is
//! reported with its own words and exit code 1.
//!
//! Deliberately not here: retrying. Docker and its like do that, with their own patience.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;

use super::{complain, connect, described};
use crate::cli::PingArguments;

/// Runs the subcommand: exit code 0 when the server answered PONG, else 1.
#[must_use]
pub fn run(arguments: &PingArguments) -> ExitCode {
    match ping(arguments) {
        Ok(()) => {
            if !arguments.quiet {
                let _ = writeln!(std::io::stdout().lock(), "PONG");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if !arguments.quiet {
                complain(&described(&error));
            }
            ExitCode::FAILURE
        }
    }
}

fn ping(arguments: &PingArguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let client = connect::client(arguments.server.url.as_deref())?;
    let mut connection = connect::connect_within(&client, arguments.timeout, arguments.timeout)?;
    let left = arguments.timeout.saturating_sub(started.elapsed());
    if left.is_zero() {
        bail!("{} did not answer in time", connect::address(&client));
    }
    connection.set_read_timeout(Some(left))?;
    let reply: String = redis::cmd("PING").query(&mut connection)?;
    if reply != "PONG" {
        bail!(
            "{} answered {reply:?} instead of PONG",
            connect::address(&client)
        );
    }
    Ok(())
}
