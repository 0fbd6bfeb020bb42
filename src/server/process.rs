//! The process itself: detaching, its number in a file, open files, working directory, its supervisor.
//!
//! Detaching without fork, which threads and safe Rust forbid: the process starts itself again and waits.
//!
//! ```text
//! parent (terminal) ── starts itself, MILLRACE_DETACHED=<own pid> ──► child: setsid, starts as usual
//!    reads child's stderr until it ends                                  │
//!    text: prints it, ends with the child's code ◄── fails ──────────────┤
//!    nothing: ends with 0                        ◄── ready: stderr becomes /dev/null
//! ```
//!
//! Invariant: a start that fails is seen where it was started, detached or not.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tracing::{info, warn};

use super::error::{StartError, reason_of};
use crate::config::{Settings, Supervision};
use crate::limits::{METRICS_CONNECTIONS_MAX, RESERVED_FILE_COUNT};

const DETACHED: &str = "MILLRACE_DETACHED";
/// Where a detached process notes its number if nothing else is said.
const PIDFILE_DEFAULT: &str = "/var/run/millrace.pid";

/// Whether this process is one that `detach` started.
#[must_use]
pub(crate) fn is_detached() -> bool {
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    parent.is_some() && std::env::var(DETACHED).ok() == parent
}

/// Whether the settings ask for a process of its own: a supervised one must stay its supervisor's child.
#[must_use]
pub(crate) fn wants_to_detach(settings: &Settings) -> bool {
    settings.daemonize && supervisor(settings) == Supervision::No
}

/// Starts this program again in the background with the same words and `stdin`, waits until it serves or fails.
/// Returns the exit code for this process.
///
/// # Errors
/// The program could not be started again.
pub(crate) fn detach(stdin: &[u8]) -> Result<u8, StartError> {
    let failed = |error: std::io::Error| StartError::Detach(reason_of(error));
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(DETACHED, std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        // A child that ends without reading it says why on its stderr.
        let _ = pipe.write_all(stdin);
    }
    let mut text = Vec::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_end(&mut text).map_err(failed)?;
    }
    match child.try_wait().map_err(failed)? {
        // Its stderr ended because it serves: nothing more to wait for.
        None if text.is_empty() => Ok(0),
        _ => {
            let _ = std::io::stderr().write_all(&text);
            let status = child.wait().map_err(failed)?;
            Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1))
        }
    }
}

/// Whether another process with this number is running.
pub(crate) fn is_running_beside(number: u32) -> bool {
    let other = i32::try_from(number).ok().and_then(Pid::from_raw);
    let found = other.map(rustix::process::test_kill_process);
    let is_there = matches!(found, Some(Ok(()) | Err(rustix::io::Errno::PERM)));
    is_there && number != std::process::id()
}

/// In the process that `detach` started: leaves the terminal's session.
pub(crate) fn leave_session() {
    // Fails only for a group leader, which a fresh child is not.
    let _ = rustix::process::setsid();
}

/// In the process that `detach` started, when it serves: lets the parent end.
pub(crate) fn release_parent() {
    match std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
    {
        Ok(null) => {
            let _ = rustix::stdio::dup2_stdin(&null);
            let _ = rustix::stdio::dup2_stderr(&null);
        }
        Err(error) => warn!("Cannot open /dev/null: {}", reason_of(error)),
    }
}

/// Enters the working directory.
///
/// # Errors
/// It cannot be entered.
pub(crate) fn enter_directory(path: &Path) -> Result<(), StartError> {
    std::env::set_current_dir(path)
        .map_err(|error| StartError::Directory(path.to_path_buf(), reason_of(error)))
}

/// Allows as many open files as `maxclients` need, and connections for metrics if there is a port for them, within what
/// the system grants. Returns how many clients can be served: fewer than asked for is logged.
///
/// # Errors
/// Not one client could be served.
pub(crate) fn allow_open_files(settings: &Settings) -> Result<usize, StartError> {
    let maxclients = settings.maxclients;
    let needed = maxclients as u64 + RESERVED_FILE_COUNT;
    let wanted = if settings.metrics.port == 0 {
        needed
    } else {
        needed + METRICS_CONNECTIONS_MAX as u64
    };
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let Some(now) = limit.current.filter(|now| *now < wanted) else {
        return Ok(maxclients);
    };
    let allowed = raise_open_files(limit, now, wanted);
    if allowed >= needed {
        if allowed > now {
            info!(
                "Increased maximum number of open files to {allowed} (it was originally set to {now})."
            );
        }
        return Ok(maxclients);
    }
    if allowed <= RESERVED_FILE_COUNT {
        return Err(StartError::OpenFiles { allowed, needed });
    }
    let served = usize::try_from(allowed - RESERVED_FILE_COUNT).unwrap_or(maxclients);
    warn!(
        "You requested maxclients of {maxclients} requiring at least {needed} open files, but only {allowed} are \
         allowed: maxclients has been reduced to {served}. Raise 'ulimit -n' to serve more."
    );
    Ok(served)
}

/// How many connections for metrics there may be: those there are open files for. A few are within the reserve.
pub(crate) fn metrics_connections_max(maxclients: usize) -> usize {
    let within_reserve = RESERVED_FILE_COUNT / 2;
    let allowed = rustix::process::getrlimit(Resource::Nofile).current;
    let spare = allowed.map_or(u64::MAX, |allowed| {
        allowed.saturating_sub(maxclients as u64 + within_reserve)
    });
    usize::try_from(spare.max(within_reserve))
        .unwrap_or(usize::MAX)
        .min(METRICS_CONNECTIONS_MAX)
}

/// Raises the limit of open files from `now` to `wanted`, or as near as the system lets it; gives what it is then.
fn raise_open_files(limit: Rlimit, now: u64, wanted: u64) -> u64 {
    // Privileged processes may go beyond the hard limit; others up to it.
    let beyond = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum.map(|hard| hard.max(wanted)),
    };
    let up_to = Rlimit {
        current: Some(limit.maximum.map_or(wanted, |hard| hard.min(wanted))),
        maximum: limit.maximum,
    };
    let raised = [beyond, up_to]
        .into_iter()
        .find(|wanted| rustix::process::setrlimit(Resource::Nofile, *wanted).is_ok());
    raised
        .and_then(|limit| limit.current)
        .unwrap_or(now)
        .max(now)
}

/// The file with the process' number; removed when dropped.
#[derive(Debug)]
pub(crate) struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes it if the settings ask for one or the process is detached. A failure is logged, as in Redis.
    #[must_use]
    pub(crate) fn write(settings: &Settings) -> Option<Pidfile> {
        let path = match &settings.pidfile {
            Some(path) => path.clone(),
            None if is_detached() => PathBuf::from(PIDFILE_DEFAULT),
            None => return None,
        };
        // `dir` may change while running; the file to remove stays this one.
        let path = std::path::absolute(&path).unwrap_or(path);
        match std::fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(Pidfile(path)),
            Err(error) => {
                warn!(
                    "Failed to write PID file {}: {}",
                    path.display(),
                    reason_of(error)
                );
                None
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Who supervises, after looking at the environment for `auto`.
fn supervisor(settings: &Settings) -> Supervision {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match settings.supervised {
        Supervision::Auto if has("UPSTART_JOB") => Supervision::Upstart,
        Supervision::Auto if has("NOTIFY_SOCKET") => Supervision::Systemd,
        Supervision::Auto => Supervision::No,
        other => other,
    }
}

/// Tells the supervisor that connections are accepted.
pub(crate) fn tell_supervisor_ready(settings: &Settings) {
    match supervisor(settings) {
        Supervision::No | Supervision::Auto => {}
        Supervision::Systemd => {
            tell_systemd(b"STATUS=Ready to accept connections\nREADY=1\n");
        }
        // upstart waits for the process to stop itself, then lets it go on.
        Supervision::Upstart => match Pid::from_raw(std::process::id().cast_signed()) {
            Some(own) if std::env::var_os("UPSTART_JOB").is_some() => {
                info!("supervised by upstart, will stop to signal readiness");
                let _ = rustix::process::kill_process(own, Signal::STOP);
            }
            _ => warn!("upstart supervision requested, but UPSTART_JOB not found!"),
        },
    }
}

/// In which time the supervisor wants to hear that the server is alive, if it does.
pub(crate) fn watchdog_period(settings: &Settings) -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let asked = supervisor(settings) == Supervision::Systemd && is_ours;
    let microseconds = number("WATCHDOG_USEC").filter(|period| asked && *period > 0)?;
    Some(Duration::from_micros(microseconds))
}

/// Tells the supervisor's watchdog that the server is alive.
pub(crate) fn tell_supervisor_alive() {
    tell_systemd(b"WATCHDOG=1\n");
}

/// Tells the supervisor that the server ends.
pub(crate) fn tell_supervisor_stopping(settings: &Settings) {
    if supervisor(settings) == Supervision::Systemd {
        tell_systemd(b"STATUS=Shutting down\nSTOPPING=1\n");
    }
}

fn tell_systemd(message: &[u8]) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        warn!("systemd supervision requested or auto-detected, but NOTIFY_SOCKET not found!");
        return;
    };
    // A leading @ stands for the NUL of an abstract name.
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(message, &address));
    if let Err(error) = sent {
        warn!("Can't send notification to systemd: {}", reason_of(error));
    }
}
