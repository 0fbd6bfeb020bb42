//! Data and files at start and end: who loads, who saves, who syncs the log.
//!
//! ```text
//! start: storage ─► recovery (here when it is little, else on a thread, with -LOADING meanwhile)
//!                └► threads: saver, log-sync
//! end:   the log is written and synced
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::error;

use crate::command::context::Shared;
use crate::config::AppendFsync;
use crate::ids::ShardId;
use crate::journal::log::Log;
use crate::journal::storage::Storage;
use crate::journal::storage::disk::DiskStorage;
use crate::limits;
use crate::shard::clock::{Clock, SystemClock, unix_ms};
use crate::shard::dumps::LoadFailure;
use crate::shard::mailbox::{Message, Post};
use crate::shard::mailboxes::Mailboxes;

use super::control::Control;
use super::error::{StartError, reason_of};
use super::recovery::{self, Recovery};
use super::saver::surroundings::Machine;

/// Files of at most so many bytes are loaded before anybody can connect.
const LOADED_AT_ONCE_BYTES: u64 = 1024 * 1024;

/// What is left to do at the end.
pub(super) struct Data {
    pub(super) log: Arc<Log>,
    storage: Arc<dyn Storage>,
}

/// What loads, and who waits for it.
struct Start {
    recovery: Recovery,
    mailboxes: Arc<Mailboxes>,
    clock: Arc<SystemClock>,
    control: Control,
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Data(format!("Fatal error loading the DB: {error}"))
}

impl Data {
    /// Loads what is there, or begins to.
    ///
    /// # Errors
    /// Files that cannot be used; threads that cannot be started.
    pub(super) fn start(
        shared: &Arc<Shared>,
        mailboxes: &Arc<Mailboxes>,
        clock: &Arc<SystemClock>,
        control: Control,
    ) -> Result<Self, StartError> {
        let directory = {
            let settings = shared.settings.read();
            let settings = settings.unwrap_or_else(std::sync::PoisonError::into_inner);
            settings.dir.clone()
        };
        let storage: Arc<dyn Storage> = Arc::new(DiskStorage::new(directory).map_err(failed)?);
        let recovery = Recovery::open(shared, Arc::clone(&storage), limits::LOG_FILL_BYTES);
        let start = Start {
            recovery: recovery.map_err(failed)?,
            mailboxes: Arc::clone(mailboxes),
            clock: Arc::clone(clock),
            control,
        };
        let log = Arc::clone(&start.recovery.log);
        let post = Arc::clone(mailboxes);
        log.set_wake(move |shard| post.post(ShardId(shard as u16), Message::LogMoved));
        let (syncing, sharing, watch) = (Arc::clone(&log), Arc::clone(shared), Arc::clone(clock));
        spawn("log-sync", move || {
            syncing.run_sync(|log| sync_timed(log, &sharing, &*watch));
        })?;
        if start.recovery.bytes() <= LOADED_AT_ONCE_BYTES {
            let run = start.run();
            run.map_err(|failure| StartError::Data(failure.fatal()))?;
        } else {
            let facts = &shared.observations.persistence;
            facts.loading_since_ms.store(unix_ms(), Ordering::Relaxed);
            facts.loading.store(true, Ordering::Release);
            spawn("loader", move || {
                if let Err(failure) = start.run() {
                    error!("Exiting: {}", failure.fatal());
                    std::process::exit(1);
                }
            })?;
        }
        Ok(Self { log, storage })
    }

    /// The shards have ended: what they have logged is written and synced.
    pub(super) fn end(self) {
        recovery::end(&*self.storage, &self.log);
        self.log.end_sync();
    }
}

/// Syncs the log; as in Redis, one that replies wait for and that takes long is noted for LATENCY.
fn sync_timed(log: &Log, shared: &Shared, clock: &dyn Clock) {
    let Ok(sync) = log.begin_sync() else {
        return;
    };
    let took_ns = log.run_to_end(&sync, || clock.nanoseconds());
    let settings = shared.settings.read();
    let settings = settings.unwrap_or_else(std::sync::PoisonError::into_inner);
    if settings.persistence.append_fsync == AppendFsync::Always {
        let latency = &shared.observations.latency;
        let threshold_ms = settings.latency_monitor_threshold_ms;
        latency.note("aof-fsync-always", clock.now_ms(), took_ns, threshold_ms);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(run).map(drop);
    spawned.map_err(|error| StartError::Runtime(reason_of(error)))
}

impl Start {
    /// Loads, begins the log, lets the shards have their keyspaces, and starts the saver.
    fn run(mut self) -> Result<(), LoadFailure> {
        let clock = self.clock;
        let keyspaces = self.recovery.run(&|| clock.now_ms())?;
        let mut worker = self.recovery.serve(keyspaces, self.mailboxes, Machine);
        let control = self.control;
        control.ready();
        let run = move || {
            while !worker.turn() {}
            control.stop();
            loop {
                worker.turn_away();
            }
        };
        spawn("saver", run).map_err(|error| LoadFailure::new(error.to_string()))
    }
}
