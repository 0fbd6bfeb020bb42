//! Signals: SIGTERM and SIGINT ask for the end, a second one demands it, SIGHUP is ignored.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::{StartError, reason_of};

/// Which signal asked for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl EndSignal {
    /// Its name.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            EndSignal::Interrupt => "SIGINT",
            EndSignal::Terminate => "SIGTERM",
        }
    }
}

/// The signals that a server listens to.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Held so that the default action, the end, does not apply.
    _hangup: Signal,
}

impl Signals {
    /// Takes the signals over. Call inside a runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> Result<Signals, StartError> {
        let take = |kind| signal(kind).map_err(|error| StartError::Runtime(reason_of(error)));
        Ok(Signals {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            _hangup: take(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal that asks for the end. Cancelling loses none.
    pub(crate) async fn next(&mut self) -> EndSignal {
        tokio::select! {
            _ = self.interrupt.recv() => EndSignal::Interrupt,
            _ = self.terminate.recv() => EndSignal::Terminate,
        }
    }
}
