//! The server from its first word to its exit code, as a list of steps.
//!
//! ```text
//! prepare (startup.rs) ─► engine starts its shards ─► serve (control.rs): accept until signal or SHUTDOWN
//!                                                        └─► engine stops: replies under way are sent ─► exit 0
//! ```
//!
//! The engine is passed in: this room opens and closes the house, it does not know who lives there.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::accept::Take;
use super::control::{self, Control, End};
use super::error::{StartError, reason_of};
use super::logging::{self, Clock};
use super::metrics::{self, Source};
use super::signals::EndSignal;
use super::startup::{Prepared, Start, prepare};
use super::{process, watchdog};
use crate::config::{ConfigError, LogLevel};

/// The shards, as the boot sees them.
pub(crate) struct Engine {
    /// Takes accepted sockets, on this thread; must not wait for a shard.
    pub(crate) take: Take,
    /// Asks for the end, which comes when all is saved that is to be saved; or it does not come, and the log says why.
    pub(crate) ask_end: Box<dyn Fn(EndSignal)>,
    /// Ends the shards: returns when the replies under way are sent, the threads have ended and the log is on disk.
    pub(crate) stop: Box<dyn FnOnce(End)>,
    /// What the shards tell of themselves.
    pub(crate) metrics: Source,
    /// Gives a shard whose thread has not turned since this was asked last.
    pub(crate) stalled: Box<dyn FnMut() -> Option<usize>>,
}

/// Runs a server with the words after the program's name; returns when it has ended. `clock` gives Unix ms,
/// `start` starts the shards before the first socket is accepted.
pub(crate) fn run<A: AsRef<[u8]>>(
    words: &[A],
    clock: Clock,
    start: impl FnOnce(&Prepared, Control) -> Result<Engine, StartError>,
) -> ExitCode {
    match boot(words, clock, start) {
        Ok(code) => code,
        Err(error) => {
            tell_log(&error, clock);
            // Nobody to tell if standard error is closed; the exit code remains.
            let _ = writeln!(std::io::stderr().lock(), "millrace: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Puts the reason into the log file too, if there is one: that is where one looks for a server that somebody else
/// starts. An error in the configuration comes before the log is open, but mostly behind the line that names it.
fn tell_log(error: &StartError, clock: Clock) {
    if let StartError::Configuration(ConfigError {
        logfile: Some(path),
        ..
    }) = error
    {
        // A log that cannot be opened is not the reason to tell now.
        let _ = logging::start(Some(path), LogLevel::Notice, clock);
    }
    // A log on standard output says it too when somebody keeps it: who reads it later does not have standard error.
    let is_kept = matches!(error, StartError::Data(_)) && !std::io::stdout().is_terminal();
    if logging::has_file() || is_kept {
        tracing::error!("Exiting: {error}");
    }
}

fn boot<A: AsRef<[u8]>>(
    words: &[A],
    clock: Clock,
    start: impl FnOnce(&Prepared, Control) -> Result<Engine, StartError>,
) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(reason_of(error)))?;
    let entered = runtime.enter();
    let (prepared, doors) = match prepare(words, clock)? {
        Start::Serve(prepared, doors) => (prepared, doors),
        Start::End(code) => return Ok(ExitCode::from(code)),
    };
    drop(entered);
    let (control, requests) = control::channel();
    // Kept to the end: without any Control left, serving ends.
    let kept = control.clone();
    let engine = start(&prepared, control)?;
    let tasks = tokio::task::LocalSet::new();
    metrics::start(doors.metrics, engine.metrics, doors.terms.clone(), &tasks)?;
    if let Some(period) = process::watchdog_period(&prepared.settings) {
        tasks.spawn_local(watchdog::watch(period, engine.stalled));
    }
    let ready = || prepared.announce_ready();
    let (listeners, signals) = ((doors.listeners, doors.terms), doors.signals);
    let settings = &prepared.settings;
    let (take, ask_end) = (engine.take, engine.ask_end);
    let serving = control::serve(listeners, settings, take, requests, signals, ready, ask_end);
    let end = tasks.block_on(&runtime, serving)?;
    drop(kept);
    // Its watchdog hears nothing more.
    process::tell_supervisor_stopping(&prepared.settings);
    (engine.stop)(end);
    prepared.announce_end();
    Ok(ExitCode::SUCCESS)
}
