//! `millrace ping`: asks a server whether it serves, for container health checks.
//!
//! Healthy is the reply PONG within the time limit and nothing else: a server that loads its data
//! (LOADING), is held up by a script (BUSY) or wants a password that was not given (NOAUTH) is
//! not: a sentence says so, and the exit code is 1.
//!
//! Deliberately not here: retrying. Docker and its like do that, with their own patience.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;

use super::{complain, connect, described, reason};
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
        bail!(
            "{} does not serve: the server did not answer in time",
            connect::address(&client)
        );
    }
    connection.set_read_timeout(Some(left))?;
    let reply: String = redis::cmd("PING").query(&mut connection).map_err(|error| {
        if reason::is_login_refused(&error) {
            connect::failed(&client, error)
        } else {
            let text = format!("{} does not serve", connect::address(&client));
            anyhow::Error::new(error).context(text)
        }
    })?;
    if reply != "PONG" {
        bail!(
            "{} does not serve: it answered {reply:?} instead of PONG",
            connect::address(&client)
        );
    }
    Ok(())
}
