//! The supervisor's watchdog (`WatchdogSec=` of a unit of systemd): a process that does not say in time that it is alive is ended and
//! started again.
//!
//! ```text
//! acceptor's thread, four times in the period: has every shard's thread turned since? ─► yes: WATCHDOG=1
//!                                                                                    └─► no: a line in the log, nothing sent
//! ```
//! A thread turns ten times a second when it has nothing to do, while data are loaded and while a dump is written; a busy script
//! gives its thread turns too. So a thread that stands still for the whole period stands in a single command, or is lost.

use std::time::Duration;

use tracing::warn;

use super::process;

/// Questions in the supervisor's period: the first that is answered well in time is enough.
const QUESTIONS: u32 = 4;

/// Tells the supervisor that the server is alive, without end. `stalled` gives a shard whose thread has not turned since it was asked
/// last.
pub(crate) async fn watch(period: Duration, mut stalled: impl FnMut() -> Option<usize>) {
    let step = (period / QUESTIONS).max(Duration::from_millis(1));
    let mut told = false;
    loop {
        tokio::time::sleep(step).await;
        let Some(shard) = stalled() else {
            told = false;
            process::tell_supervisor_alive();
            continue;
        };
        if !std::mem::replace(&mut told, true) {
            warn!(
                "The thread of shard {shard} has stood still for {step:?}: a command takes long, or it is stuck. \
                 Without a turn in {period:?} the supervisor restarts the server."
            );
        }
    }
}
