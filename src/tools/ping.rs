//! `millrace ping`: asks a server whether it serves, for container health checks.
//!
//! Healthy is the reply PONG within the time limit and nothing else: a server that loads its data
//! (LOADING), is held up by a script (BUSY) or wants a password that was not given (NOAUTH) is
//! not: a sentence says so, and the exit code is 1. It is asked over a raw socket (`raw.rs`): what is at that address
//! may be anything, and a health check runs every few seconds.
//!
//! Deliberately not here: retrying. Docker and its like do that, with their own patience.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use redis::{ErrorKind, RedisError, RedisResult};
use rustls::ClientConfig;

use super::raw::{Connection, Reply};
use super::{complain, connect, described, reason, tls};
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
    let deadline = Instant::now() + arguments.timeout;
    let server = &arguments.server;
    let client = connect::client(server.url.as_deref(), &server.tls)?;
    let tls = tls::config(client.get_connection_info().addr(), &server.tls)?;
    let mut connection =
        log_in(&client, tls, deadline).map_err(|error| connect::failed(&client, error))?;
    let does_not_serve = || format!("{} does not serve", connect::address(&client));
    let reply = connection.call(&["PING"]).map_err(|error| {
        if reason::is_login_refused(&error) || reason::code_of(&error).is_none() {
            connect::failed(&client, error)
        } else {
            anyhow::Error::new(error).context(does_not_serve())
        }
    })?;
    match reply {
        Reply::Text(text) if text == "PONG" => Ok(()),
        Reply::Text(text) => bail!("{}: it answered {text:?} instead of PONG", does_not_serve()),
        Reply::Other => bail!("{}: {}", does_not_serve(), reason::NO_SERVER),
    }
}

/// Connects, with the user, the password and the database of the address.
fn log_in(
    client: &redis::Client,
    tls: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> RedisResult<Connection> {
    let info = client.get_connection_info();
    let settings = info.redis_settings();
    let mut connection = Connection::connect(info.addr(), tls, deadline)?;
    let (user, password) = (settings.username(), settings.password());
    if settings.protocol().supports_resp3() {
        let mut hello = vec!["HELLO", "3"];
        if let Some(password) = password {
            hello.extend(["AUTH", user.unwrap_or("default"), password]);
        }
        connection.expect_resp3();
        connection.call(&hello)?;
    } else if let Some(password) = password {
        authenticate(&mut connection, user, password)?;
    }
    if settings.db() != 0 {
        connection.call(&["SELECT", &settings.db().to_string()])?;
    }
    Ok(connection)
}

/// AUTH. A server before Redis 6 knows no users.
fn authenticate(
    connection: &mut Connection,
    user: Option<&str>,
    password: &str,
) -> RedisResult<()> {
    let result = match user {
        Some(user) => connection.call(&["AUTH", user, password]),
        None => connection.call(&["AUTH", password]),
    };
    let knows_no_users = |error: &RedisError| {
        let text = "wrong number of arguments for 'auth' command";
        error.detail().is_some_and(|detail| detail.contains(text))
    };
    match result {
        Ok(_) => Ok(()),
        Err(error) if user.is_some() && knows_no_users(&error) => {
            authenticate(connection, None, password)
        }
        Err(error) if reason::code_of(&error).is_some() => {
            let text = "Password authentication failed";
            Err((ErrorKind::AuthenticationFailed, text).into())
        }
        Err(error) => Err(error),
    }
}
