//! Listening sockets: opened from the settings, given out as std sockets.
//!
//! `bind` is a list; an address after `-` may be missing on this machine, `*` is every IPv4 address and
//! `::*` every IPv6 one (each family has its own socket). Port 0 means no TCP. The unix socket's file is
//! replaced when it is a socket or an empty file, and removed when the listener is dropped.
//!
//! Invariant: `open` gives all sockets or none.
//! Deliberately not here: tasks (accept.rs), shards, what a connection may do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tracing::warn;

use super::error::{StartError, reason_of};
use crate::config::Settings;

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) enum Listener {
    /// An address and port.
    Tcp(std::net::TcpListener),
    /// An address and port where TLS is spoken.
    Tls(std::net::TcpListener),
    /// A path.
    Unix(UnixListener),
}

/// A unix listener whose file goes when it goes.
#[derive(Debug)]
pub(crate) struct UnixListener {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
}

impl UnixListener {
    /// The listener itself.
    #[must_use]
    pub(crate) fn listener(&self) -> &std::os::unix::net::UnixListener {
        &self.listener
    }

    /// Its path, absolute.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens all sockets that the settings name, non-blocking.
///
/// # Errors
/// An address that is taken or not allowed; none of the addresses exists.
pub(crate) fn open_all(settings: &Settings) -> Result<Vec<Listener>, StartError> {
    let mut listeners = open_tcp(settings)?;
    if let Some(path) = &settings.unixsocket {
        listeners.push(open_unix(path, settings)?);
    }
    Ok(listeners)
}

/// Opens the TCP sockets alone, those for TLS too: what CONFIG SET of port, tls-port and bind replaces.
///
/// # Errors
/// As [`open_all`].
pub(crate) fn open_tcp(settings: &Settings) -> Result<Vec<Listener>, StartError> {
    let plain = open_port(settings, settings.port, "--port or --bind")?;
    let tls = open_port(settings, settings.tls.port, "--tls-port or --bind")?;
    let plain = plain.into_iter().map(Listener::Tcp);
    Ok(plain.chain(tls.into_iter().map(Listener::Tls)).collect())
}

/// Opens the sockets of the metrics, on the same addresses.
///
/// # Errors
/// As [`open_all`].
pub(crate) fn open_metrics(settings: &Settings) -> Result<Vec<std::net::TcpListener>, StartError> {
    open_port(settings, settings.metrics.port, "--metrics-port")
}

/// Opens a port on every address; none for port 0. `options`: what to change when that fails.
fn open_port(
    settings: &Settings,
    port: u16,
    options: &'static str,
) -> Result<Vec<std::net::TcpListener>, StartError> {
    if port == 0 {
        return Ok(Vec::new());
    }
    let mut listeners = Vec::new();
    for word in &settings.bind {
        let (address, optional) = match word.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (word.as_str(), false),
        };
        match open_address(address, port, settings.tcp_backlog) {
            Ok(found) => listeners.extend(found),
            Err(error) if may_be_skipped(&error, optional) => {}
            Err(error) => {
                let address = format!("{address}:{port}");
                return Err(StartError::Listen(address, reason_of(error), options));
            }
        }
    }
    if listeners.is_empty() && !settings.bind.is_empty() {
        return Err(StartError::NoAddress(settings.bind.join(" ")));
    }
    Ok(listeners)
}

/// A protocol that this machine lacks is never an error; a missing address is none after `-`.
fn may_be_skipped(error: &std::io::Error, optional: bool) -> bool {
    let lacking = [
        Errno::AFNOSUPPORT,
        Errno::PFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::SOCKTNOSUPPORT,
        Errno::NOPROTOOPT,
    ];
    let code = error.raw_os_error();
    lacking
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
        || optional && code == Some(Errno::ADDRNOTAVAIL.raw_os_error())
}

fn open_address(
    name: &str,
    port: u16,
    backlog: i32,
) -> std::io::Result<Option<std::net::TcpListener>> {
    let address = match name {
        "*" => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        "::*" => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
        _ => match (name, port).to_socket_addrs()?.next() {
            Some(address) => address,
            None => return Ok(None),
        },
    };
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket(family)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // The IPv4 addresses have a socket of their own.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(Some(std::net::TcpListener::from(socket)))
}

fn socket(family: AddressFamily) -> std::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(
        family,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn open_unix(path: &Path, settings: &Settings) -> Result<Listener, StartError> {
    let open = || -> std::io::Result<Listener> {
        make_room(path)?;
        let socket = socket(AddressFamily::UNIX)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        let path = std::path::absolute(path)?;
        let listener = UnixListener {
            listener: socket.into(),
            path,
        };
        if settings.unixsocketperm != 0 {
            let mode = std::fs::Permissions::from_mode(settings.unixsocketperm);
            std::fs::set_permissions(&listener.path, mode)?;
        }
        rustix::net::listen(&listener.listener, settings.tcp_backlog)?;
        Ok(Listener::Unix(listener))
    };
    open().map_err(|error| {
        let socket = format!("unix socket {}", path.display());
        StartError::Listen(socket, reason_of(error), "--unixsocket")
    })
}

/// Removes what stands where a unix socket is to be and holds nothing: a socket left behind by an earlier server, or
/// an empty file, as test harnesses make one to reserve the name. (Redis removes any file.)
fn make_room(path: &Path) -> std::io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    let is_empty_file = found.is_file() && found.len() == 0;
    if found.file_type().is_socket() || is_empty_file {
        return std::fs::remove_file(path);
    }
    Err(std::io::Error::other("it exists and is no socket"))
}

/// Prepares an accepted TCP socket: no delay, and keepalive probes after `keepalive_s` idle seconds (0: none).
/// What the system refuses is logged: the connection works without.
pub(crate) fn prepare_accepted(socket: &std::net::TcpStream, keepalive_s: u32) {
    let prepare = || -> rustix::io::Result<()> {
        sockopt::set_tcp_nodelay(socket, true)?;
        if keepalive_s > 0 {
            // As in Redis: a dead peer is found within twice the time, by three probes a third apart.
            let seconds = |count: u32| Duration::from_secs(u64::from(count));
            sockopt::set_socket_keepalive(socket, true)?;
            sockopt::set_tcp_keepidle(socket, seconds(keepalive_s))?;
            sockopt::set_tcp_keepintvl(socket, seconds((keepalive_s / 3).max(1)))?;
            sockopt::set_tcp_keepcnt(socket, 3)?;
        }
        Ok(())
    };
    if let Err(error) = prepare() {
        warn!(
            "Cannot set options of a client's socket: {}",
            reason_of(error)
        );
    }
}

/// Whether protected mode turns away a client: it is not on this machine and needs no password. `is_open` tells whether it needs none.
/// `peer` is `None` on the unix socket.
#[must_use]
pub(crate) fn is_turned_away(
    settings: &Settings,
    is_open: impl FnOnce() -> bool,
    peer: Option<SocketAddr>,
) -> bool {
    settings.protected_mode
        && peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback())
        && is_open()
}

/// What a client that protected mode turns away reads, with line end.
pub(crate) const PROTECTED_MODE_REPLY: &str = "-DENIED This server is in protected mode: no password is set for \
the default user, so only connections to 127.0.0.1, ::1 or a unix socket are accepted. To connect from \
elsewhere, do one of: 1) set a password with 'requirepass' or 'CONFIG SET requirepass', 2) from this \
machine, switch the mode off with 'CONFIG SET protected-mode no', if nobody else can reach the server, \
3) start it with '--protected-mode no' or bind it to chosen addresses behind a firewall.\r\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::Configuration;

    fn settings(words: &[&str]) -> Settings {
        Configuration::load(words, &mut std::io::empty())
            .unwrap()
            .settings()
    }

    fn free_port() -> String {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap().port().to_string()
    }

    #[test]
    fn a_taken_port_names_the_address() {
        let port = free_port();
        let settings = settings(&["--port", &port, "--bind", "127.0.0.1"]);
        let held = open_all(&settings).unwrap();
        assert_eq!(held.len(), 1);
        let error = open_all(&settings).unwrap_err().to_string();
        assert!(error.starts_with(&format!(
            "cannot listen on 127.0.0.1:{port}: Address already in use"
        )));
    }

    #[test]
    fn an_address_after_a_dash_may_be_missing() {
        let port = free_port();
        let open = |words: &[&str]| {
            let words = [&["--port", &port, "--bind"], words].concat();
            open_all(&settings(&words)).map(|listeners| listeners.len())
        };
        assert_eq!(open(&["127.0.0.1", "-192.0.2.1"]), Ok(1));
        assert!(open(&["127.0.0.1", "192.0.2.1"]).is_err());
        assert!(matches!(
            open(&["-192.0.2.1"]),
            Err(StartError::NoAddress(_))
        ));
        assert_eq!(open(&[""]), Ok(0));
    }

    #[test]
    fn port_zero_is_no_tcp_and_the_unix_socket_has_its_mode_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let text = path.to_str().unwrap();
        let settings = settings(&[
            "--port",
            "0",
            "--unixsocket",
            text,
            "--unixsocketperm",
            "700",
        ]);
        let listeners = open_all(&settings).unwrap();
        assert!(matches!(listeners[..], [Listener::Unix(_)]));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(listeners);
        assert!(!path.exists());
        std::fs::write(&path, "not a socket").unwrap();
        let error = open_all(&settings).unwrap_err().to_string();
        assert!(error.contains("it exists and is no socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
    }

    #[test]
    fn protected_mode_turns_away_strangers_without_password() {
        let near = Some("127.0.0.1:1".parse().unwrap());
        let far = Some("192.0.2.1:1".parse().unwrap());
        let (open, closed) = (|| true, || false);
        assert!(is_turned_away(&settings(&[]), open, far));
        assert!(!is_turned_away(&settings(&[]), open, near));
        assert!(!is_turned_away(&settings(&[]), open, None));
        assert!(!is_turned_away(&settings(&[]), closed, far));
        let unprotected = settings(&["--protected-mode", "no"]);
        assert!(!is_turned_away(&unprotected, open, far));
    }
}
