//! Finding and reaching the server that a tool works on.
//!
//! The address comes from `--url`, else from `MILLRACE_URL`, else it is the local default; a
//! password that the address lacks comes from `MILLRACE_PASSWORD`, else `REDISCLI_AUTH`.
//!
//! Invariants: connecting and each reply are bounded in time, so a tool started by cron cannot
//! pile up behind a server that hangs; no error text contains the password.
//!
//! Deliberately not here: reconnecting, which each tool decides for itself.

use std::time::Duration;

use anyhow::bail;
use redis::IntoConnectionInfo;

use super::{reason, tls};
use crate::cli::{self, TlsArguments};

/// How long reaching the server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reply may take; above any BLOCK that the tools use.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The server to work on: `--url`, else `MILLRACE_URL`, else the local default, and the password.
///
/// # Errors
/// The address is not one that the client can use, or a file of the options for TLS.
pub(crate) fn client(url: Option<&str>, tls: &TlsArguments) -> anyhow::Result<redis::Client> {
    let url = self::url(url);
    let client = client_of(&url, &["MILLRACE_PASSWORD", "REDISCLI_AUTH"], tls)?;
    if !tls.is_empty() && !is_tls(&client) {
        bail!(
            "cannot speak TLS with {}: --cacert, --cert, --key and --insecure are for an address that begins with rediss://",
            address(&client)
        );
    }
    Ok(client)
}

/// The address: that of an option, else `MILLRACE_URL`, else the local default.
pub(crate) fn url(option: Option<&str>) -> String {
    option
        .map(str::to_owned)
        .or_else(|| from_environment("MILLRACE_URL"))
        .unwrap_or_else(|| cli::DEFAULT_URL.to_owned())
}

/// Whether TLS is spoken with the server.
pub(crate) fn is_tls(client: &redis::Client) -> bool {
    let address = client.get_connection_info().addr();
    matches!(address, redis::ConnectionAddr::TcpTls { .. })
}

/// The server of an address; a password that it lacks is looked for in the variables of the environment, in this order.
///
/// # Errors
/// The address is not one that the client can use, or a file of the options for TLS.
pub(crate) fn client_of(
    url: &str,
    password_names: &[&str],
    tls: &TlsArguments,
) -> anyhow::Result<redis::Client> {
    let mut info = without_password(url, url.into_connection_info())?;
    if info.redis_settings().password().is_none() {
        let password = password_names
            .iter()
            .find_map(|name| from_environment(name));
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
    }
    tls::client(info, tls)
}

/// A variable of the environment; one that is empty counts as none.
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Connects to the server with the tools' time limits.
///
/// # Errors
/// The server cannot be reached, or refuses the password or the database.
pub(crate) fn connect(client: &redis::Client) -> anyhow::Result<redis::Connection> {
    let mut connection = connect_within(client, CONNECT_TIMEOUT, REPLY_TIMEOUT)?;
    // A server that wants a password says so to the first command only.
    match redis::cmd("PING").exec(&mut connection) {
        Err(error) if reason::is_login_refused(&error) || !is_answer(&error) => {
            Err(failed(client, error))
        }
        Ok(()) | Err(_) => Ok(connection),
    }
}

/// Whether the server answered at all.
fn is_answer(error: &redis::RedisError) -> bool {
    reason::code_of(error).is_some()
}

/// The error of a connection that cannot be used: not reached, or not let in.
pub(crate) fn failed(client: &redis::Client, error: redis::RedisError) -> anyhow::Error {
    let what = if reason::is_login_refused(&error) {
        "cannot log in to"
    } else {
        "cannot connect to"
    };
    let text = format!("{what} {}", address(client));
    anyhow::Error::new(error).context(text)
}

/// Connects to the server with limits of the caller's.
///
/// # Errors
/// The server cannot be reached in time, or refuses the password or the database.
pub(crate) fn connect_within(
    client: &redis::Client,
    connect_timeout: Duration,
    reply_timeout: Duration,
) -> anyhow::Result<redis::Connection> {
    let connection = client
        .get_connection_with_timeout(connect_timeout)
        .map_err(|error| failed(client, error))?;
    connection.set_read_timeout(Some(reply_timeout))?;
    connection.set_write_timeout(Some(reply_timeout))?;
    Ok(connection)
}

/// The address for messages, without user and password.
#[must_use]
pub(crate) fn address(client: &redis::Client) -> String {
    client.get_connection_info().addr().to_string()
}

/// Says which address cannot be used, but not what stands before the host.
fn without_password<T>(url: &str, result: redis::RedisResult<T>) -> anyhow::Result<T> {
    // What the client says of it ("did not parse") adds nothing.
    result.map_err(|_| {
        let shown = match (url.find("://"), url.rfind('@')) {
            (Some(scheme_end), Some(at)) if at > scheme_end => {
                format!(
                    "{}…{}",
                    url.get(..scheme_end + 3).unwrap_or(""),
                    url.get(at..).unwrap_or("")
                )
            }
            _ => url.to_owned(),
        };
        anyhow::anyhow!(
            "cannot use '{shown}' as the address of a server: it has the form redis://host:port, for TLS rediss://host:port"
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_error_about_the_address_hides_the_password() {
        let error = format!(
            "{:#}",
            client(Some("http://me:secret@host:1"), &TlsArguments::default()).unwrap_err()
        );
        assert!(error.contains("http://…@host:1"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn addresses_are_urls_of_tcp_and_unix_sockets() {
        assert_eq!(
            address(&client(Some("redis://u:p@localhost:7/3"), &TlsArguments::default()).unwrap()),
            "localhost:7"
        );
        assert!(client(Some("unix:///tmp/socket"), &TlsArguments::default()).is_ok());
        assert!(client(Some("localhost:6379"), &TlsArguments::default()).is_err());
    }
}
