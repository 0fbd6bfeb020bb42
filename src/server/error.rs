//! Why a server did not start: one line that says what and what to do.

use std::fmt;
use std::path::PathBuf;

use crate::config::ConfigError;

/// What stopped the start. `Display` gives one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StartError {
    /// A directive.
    Configuration(ConfigError),
    /// An address that cannot be listened on, why, and the options that name it.
    Listen(String, String, &'static str),
    /// No port, and no path of a unix socket, is set.
    NoListener,
    /// `bind` names addresses, and none of them exists here.
    NoAddress(String),
    /// The working directory cannot be entered.
    Directory(PathBuf, String),
    /// The log file cannot be opened.
    LogFile(PathBuf, String),
    /// Too few open files are allowed to serve even one client.
    OpenFiles {
        /// Allowed now.
        allowed: u64,
        /// Needed for the configured clients.
        needed: u64,
    },
    /// The process could not detach.
    Detach(String),
    /// The files with the data cannot be used: the whole line.
    Data(String),
    /// The users cannot be made: the whole line.
    Users(String),
    /// TLS cannot be spoken: the whole line.
    Tls(String),
    /// A thread or runtime of the server could not be made.
    Runtime(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Configuration(error) => write!(f, "{error}"),
            StartError::Listen(address, reason, options) => {
                write!(
                    f,
                    "cannot listen on {address}: {reason}: choose another {options}"
                )
            }
            StartError::NoListener => write!(
                f,
                "configured to not listen anywhere: set --port, --tls-port or --unixsocket"
            ),
            StartError::NoAddress(list) => {
                write!(
                    f,
                    "cannot listen: no address of 'bind {list}' exists on this machine"
                )
            }
            StartError::Directory(path, reason) => {
                write!(
                    f,
                    "cannot change to directory {}: {reason}: choose another --dir",
                    path.display()
                )
            }
            StartError::LogFile(path, reason) => {
                write!(
                    f,
                    "cannot open log file {}: {reason}: choose another --logfile",
                    path.display()
                )
            }
            StartError::OpenFiles { allowed, needed } => write!(
                f,
                "only {allowed} open files are allowed, too few to serve a client: raise 'ulimit -n' to {needed}"
            ),
            StartError::Detach(reason) => {
                write!(
                    f,
                    "cannot run detached: {reason}: start with --daemonize no"
                )
            }
            StartError::Data(reason) | StartError::Users(reason) | StartError::Tls(reason) => {
                f.write_str(reason)
            }
            StartError::Runtime(reason) => write!(f, "cannot start: {reason}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        StartError::Configuration(error)
    }
}

/// What the system says, without the number that std appends.
pub(crate) fn reason_of(error: impl Into<std::io::Error>) -> String {
    let text = error.into().to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
