//! From the command line to open sockets: what happens before the first shard runs, as a list of steps.
//!
//! ```text
//! prepare: configuration → detach? → directory → log → open files → users → TLS → signals → sockets → pidfile
//!    … the shards start, accepting starts …
//! Prepared::announce_ready: supervisor, parent, log
//! drop: pidfile gone
//! ```
//!
//! Deliberately not here: shards, and what they do with a socket.

use std::io::{self, Read};
use std::sync::Arc;

use tracing::info;

use super::error::StartError;
use super::listen::{self, Listener};
use super::logging::{self, Clock};
use super::process::{self, Pidfile};
use super::signals::Signals;
use super::tls::{self, TermsInForce};
use super::users;
use crate::acl::Users;
use crate::command::table::commands;
use crate::config::{ConfigError, Configuration, Notice, Settings};
use crate::observe::allocator;
use crate::shard::clock::unix_ms;

/// What the words of a command line led to.
pub(crate) enum Start {
    /// This process serves what comes through the doors.
    Serve(Box<Prepared>, Doors),
    /// Another process serves, or failed to: end with this exit code.
    End(u8),
}

/// Everything a server has before its shards.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// As loaded, `maxclients` fitted to the system's limit.
    pub(crate) configuration: Configuration,
    /// Its acting values.
    pub(crate) settings: Settings,
    /// The users it starts with.
    pub(super) users: Arc<Users>,
    pidfile: Option<Pidfile>,
}

/// What the world reaches a server through.
#[derive(Debug)]
pub(crate) struct Doors {
    /// Open, nothing accepted yet.
    pub(crate) listeners: Vec<Listener>,
    /// On which terms TLS is spoken.
    pub(crate) terms: TermsInForce,
    /// Those for the metrics.
    pub(crate) metrics: Vec<std::net::TcpListener>,
    /// Taken over before a socket listens: whoever can connect can ask for the end.
    pub(crate) signals: Signals,
}

/// Takes the first steps. `words` follow the program's name. Call inside a runtime.
///
/// # Errors
/// The first step that fails, as one line to print.
pub(crate) fn prepare<A: AsRef<[u8]>>(words: &[A], clock: Clock) -> Result<Start, StartError> {
    let mut stdin = Recorded {
        source: io::stdin().lock(),
        seen: Vec::new(),
    };
    let mut configuration = Configuration::load(words, &mut stdin)?;
    let mut settings = configuration.settings();
    if process::wants_to_detach(&settings) {
        if !process::is_detached() {
            return process::detach(&stdin.seen).map(Start::End);
        }
        process::leave_session();
    }
    process::enter_directory(&settings.dir)?;
    logging::start(settings.logfile.as_deref(), settings.loglevel, clock)?;
    tell_start(&configuration, &settings);
    allocator::begin();
    allocator::give_back_in_background(settings.jemalloc_bg_thread);
    let served = process::allow_open_files(&settings)?;
    if served < settings.maxclients {
        configuration = configuration.with_maxclients(served);
        settings = configuration.settings();
    }
    rename_commands(&configuration)?;
    let users = users::at_start(&configuration, &settings)?;
    configuration.forget_users();
    let terms = tls::terms(&settings.tls).map_err(|error| StartError::Tls(error.to_string()))?;
    if let Some(terms) = &terms {
        terms.tell(&settings.tls, unix_ms());
    }
    let signals = Signals::new()?;
    let listeners = listen::open_all(&settings)?;
    if listeners.is_empty() {
        return Err(StartError::NoListener);
    }
    let metrics = listen::open_metrics(&settings)?;
    let pidfile = Pidfile::write(&settings);
    let prepared = Prepared {
        configuration,
        settings,
        users: Arc::new(users),
        pidfile,
    };
    let doors = Doors {
        listeners,
        terms: TermsInForce::new(terms),
        metrics,
        signals,
    };
    Ok(Start::Serve(Box::new(prepared), doors))
}

fn rename_commands(configuration: &Configuration) -> Result<(), StartError> {
    let lines = configuration.renames();
    let pairs = lines.iter().filter_map(|line| match &line.words[..] {
        [from, to] => Some((&from[..], &to[..])),
        _ => None,
    });
    commands().rename(pairs).map_err(|(number, reason)| {
        StartError::Configuration(ConfigError {
            reason: reason.to_owned(),
            ..lines[number].origin.clone()
        })
    })
}

fn tell_start(configuration: &Configuration, settings: &Settings) {
    let version = env!("CARGO_PKG_VERSION");
    let process = std::process::id();
    info!(
        "millrace version={version}, pid={process}, shards={}, starting",
        settings.shards
    );
    match configuration.file() {
        Some(file) => info!("Configuration loaded from {}", file.display()),
        None => info!("No configuration file: defaults and the command line apply"),
    }
    tell(configuration.notices());
}

/// Puts notices into the log.
pub(crate) fn tell(notices: Vec<Notice>) {
    for notice in notices {
        match notice {
            Notice::Ignored(text) => info!("{text}"),
        }
    }
}

impl Prepared {
    /// The server serves: says so to whoever waits for it.
    pub(crate) fn announce_ready(&self) {
        if self.settings.port != 0 {
            info!("Running mode=standalone, port={}.", self.settings.port);
        }
        if self.settings.tls.port != 0 {
            info!("TLS is spoken on port {}.", self.settings.tls.port);
        }
        if let Some(path) = &self.settings.unixsocket {
            info!(
                "The server is now ready to accept connections at {}",
                path.display()
            );
        }
        if self.settings.metrics.port != 0 {
            let scheme = if self.settings.tls.metrics {
                "https"
            } else {
                "http"
            };
            info!(
                "Metrics are at {scheme} port {}, /metrics",
                self.settings.metrics.port
            );
        }
        allocator::note_start();
        info!("Ready to accept connections");
        process::tell_supervisor_ready(&self.settings);
        if process::is_detached() {
            process::release_parent();
        }
    }

    /// The server ends: says so, removes the pidfile.
    pub(crate) fn announce_end(mut self) {
        self.pidfile = None;
        info!("millrace is now ready to exit, bye bye...");
    }
}

/// Passes reads through and keeps what was read: a detached process must be given it again.
struct Recorded<R> {
    source: R,
    seen: Vec<u8>,
}

impl<R: Read> Read for Recorded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.seen.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}
