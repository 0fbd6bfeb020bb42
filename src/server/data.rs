//! Data and files at start and end: who loads, who saves, who syncs the log.
//!
//! ```text
//! start: storage ─► load (here when it is little, else on a thread, with -LOADING meanwhile) ─► keyspaces into their berths
//!                └► threads: saver, log-sync
//! end:   the log is written and synced
//! ```

#![allow(
    clippy::vec_box,
    reason = "a keyspace stays where it is: hands and berths pass its box on"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::DefaultHashBuilder;
use tracing::{error, info};

use crate::command::context::Shared;
use crate::config::{AppendFsync, Settings};
use crate::ids::ShardId;
use crate::journal::dump::{Dump, Head};
use crate::journal::files::Files;
use crate::journal::log::Log;
use crate::journal::manifest::BaseFormat;
use crate::journal::storage::disk::DiskStorage;
use crate::journal::storage::{CrashPoint, Storage};
use crate::keyspace::Keyspace;
use crate::shard::Shard;
use crate::shard::clock::{Clock, SystemClock, unix_ms};
use crate::shard::dumps::{LoadFailure, owner_of_temporary, rdb_options};
use crate::shard::journal::follow_settings;
use crate::shard::load::Loader;
use crate::shard::mailbox::{Message, Post};
use crate::shard::thread::Mailboxes;

use super::control::Control;
use super::error::{StartError, reason_of};
use super::load::{self, Loaded};
use super::process;
use super::saver::{self, Asker, Inbox, Worker};

/// Files of at most so many bytes are loaded before anybody can connect.
const LOADED_AT_ONCE_BYTES: u64 = 1024 * 1024;

/// What is left to do at the end.
pub(super) struct Data {
    pub(super) log: Arc<Log>,
    storage: Arc<dyn Storage>,
}

/// What loads, and what follows it.
struct Start {
    shared: Arc<Shared>,
    mailboxes: Arc<Mailboxes>,
    clock: Arc<SystemClock>,
    control: Control,
    storage: Arc<dyn Storage>,
    settings: Arc<Settings>,
    log: Arc<Log>,
    files: Files,
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Data(error.to_string())
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
        let settings = shared.settings.read();
        let settings = Arc::clone(&settings.unwrap_or_else(std::sync::PoisonError::into_inner));
        let storage: Arc<dyn Storage> = Arc::new(DiskStorage::new(&settings.dir).map_err(failed)?);
        let facts = Arc::clone(&shared.observations.persistence);
        let log = Arc::new(Log::new(shared.shard_count, facts));
        let (directory, name) = saver::names(&settings);
        remove_leftovers(&*storage).map_err(failed)?;
        let files = Files::open(Arc::clone(&storage), &directory, &name, shared.shard_count);
        let start = Start {
            shared: Arc::clone(shared),
            mailboxes: Arc::clone(mailboxes),
            clock: Arc::clone(clock),
            control,
            storage: Arc::clone(&storage),
            log: Arc::clone(&log),
            files: files.map_err(failed)?,
            settings,
        };
        follow_settings(&log, &start.settings);
        let post = Arc::clone(mailboxes);
        log.set_wake(move |shard| post.post(ShardId(shard as u16), Message::LogMoved));
        let (syncing, sharing, watch) = (Arc::clone(&log), Arc::clone(shared), Arc::clone(clock));
        spawn("log-sync", move || {
            syncing.run_sync(|log| sync_timed(log, &sharing, &*watch));
        })?;
        if start.bytes() <= LOADED_AT_ONCE_BYTES {
            start.run().map_err(failed)?;
        } else {
            let facts = &shared.observations.persistence;
            facts.loading_since_ms.store(unix_ms(), Ordering::Relaxed);
            facts.loading.store(true, Ordering::Release);
            spawn("loader", move || {
                if let Err(failure) = start.run() {
                    error!("Exiting: Fatal error loading the DB: {failure}");
                    std::process::exit(1);
                }
            })?;
        }
        Ok(Self { log, storage })
    }

    /// The shards have ended: what they have logged is written and synced.
    pub(super) fn end(self) {
        // What cannot be told any more is in the log, which is on disk.
        let _ = self.storage.reach(CrashPoint::BeforeLastSync);
        if self.log.is_on() {
            info!("Calling fsync() on the AOF file.");
        }
        if let Err(error) = self.log.end_log() {
            error!("The end of the append only file could not be written: {error}");
        }
        let _ = self.storage.reach(CrashPoint::AfterLastSync);
        self.log.end_sync();
    }
}

/// Syncs the log; as in Redis, one that replies wait for and that takes long is noted for LATENCY.
fn sync_timed(log: &Log, shared: &Shared, clock: &dyn Clock) {
    let begun_ns = clock.nanoseconds();
    log.sync();
    let settings = shared.settings.read();
    let settings = settings.unwrap_or_else(std::sync::PoisonError::into_inner);
    if settings.persistence.append_fsync == AppendFsync::Always {
        let took_ns = clock.nanoseconds() - begun_ns;
        let latency = &shared.observations.latency;
        let threshold_ms = settings.latency_monitor_threshold_ms;
        latency.note("aof-fsync-always", clock.now_ms(), took_ns, threshold_ms);
    }
}

/// Removes dumps that killed processes had not finished: they would fill the disk one after the other.
fn remove_leftovers(storage: &dyn Storage) -> std::io::Result<()> {
    for entry in storage.list(Path::new(""))? {
        let process = owner_of_temporary(&entry.name);
        if process.is_some_and(|process| !process::is_running_beside(process)) {
            info!(
                "Removing {}: its process has ended",
                entry.name.to_string_lossy()
            );
            // Another server that starts here may have done it.
            let _ = storage.remove(Path::new(&entry.name));
        }
    }
    Ok(())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(run).map(drop);
    spawned.map_err(|error| StartError::Runtime(reason_of(error)))
}

impl Start {
    /// Bytes of the files that are to be loaded.
    fn bytes(&self) -> u64 {
        let persistence = &self.settings.persistence;
        let size = |path: &Path| self.storage.size(path).ok().flatten().unwrap_or(0);
        let old_log = size(&persistence.append_filename);
        let log: u64 = self
            .files
            .to_load()
            .iter()
            .map(|file| size(&self.files.path(file)))
            .sum();
        match persistence.append_only {
            true if log + old_log > 0 => log + old_log,
            _ => size(&persistence.dump_filename),
        }
    }

    /// Loads, begins the log, and lets the shards have their keyspaces.
    fn run(mut self) -> Result<(), LoadFailure> {
        let hasher = DefaultHashBuilder::default();
        let shards = (0..self.shared.shard_count).map(|number| ShardId(number as u16));
        let keyspaces = shards.map(|id| Shard::keyspace(id, &self.shared, hasher.clone()));
        let begun_ms = unix_ms();
        let settings = Arc::clone(&self.settings);
        let wants_log = settings.persistence.append_only;
        let now_ms = self.clock.now_ms();
        let mut loader = Loader::with_threads(&self.shared, &settings, now_ms, keyspaces.collect());
        let facts = &self.shared.observations.persistence;
        let files = wants_log.then_some(&mut self.files);
        let loaded = load::load(&mut loader, &*self.storage, files, &settings, facts)?;
        let finished = loader.finish();
        let keyspaces = finished.map_err(|error| LoadFailure(error.to_string()))?;
        let took_ms = unix_ms().saturating_sub(begun_ms);
        let seconds = format!("{}.{:03} seconds", took_ms / 1000, took_ms % 1000);
        match loaded {
            Loaded::Nothing => {}
            Loaded::Dump => info!("DB loaded from disk: {seconds}"),
            Loaded::Log(_) => info!("DB loaded from append only file: {seconds}"),
        }
        if wants_log {
            let begun = self.begin_log(loaded, &keyspaces);
            begun.map_err(|error| LoadFailure(format!("the append only file: {error}")))?;
        }
        let reached = self.storage.reach(CrashPoint::AfterReplay);
        reached.map_err(|error| LoadFailure(error.to_string()))?;
        self.serve(keyspaces)
    }

    fn begin_log(&mut self, loaded: Loaded, keyspaces: &[Box<Keyspace>]) -> std::io::Result<()> {
        if let Loaded::Log(end) = loaded {
            self.files.resume(&self.log, end)?;
            self.files.delete_history()?;
        } else {
            if loaded == Loaded::Dump {
                info!("The dump becomes the base of the append only file");
            }
            let options = rdb_options(&self.settings);
            let rdb_base = self.settings.persistence.rdb_base;
            let now_ms = unix_ms();
            let head = Head {
                version: crate::REDIS_VERSION,
                time_s: now_ms / 1000,
                memory_bytes: 0,
                is_base: true,
                notes_time: self.settings.persistence.notes_time,
                counts: Vec::new(),
                libraries: self.shared.observations.persistence.libraries(),
            };
            let path = self.files.temporary();
            let mut dump = Dump::create(&*self.storage, &path, rdb_base.then_some(options), head)?;
            for keyspace in keyspaces {
                dump.all(keyspace, now_ms)?;
            }
            dump.finish(&*self.storage)?;
            self.files.next(&self.log)?;
            let format = if rdb_base {
                BaseFormat::Rdb
            } else {
                BaseFormat::Commands
            };
            self.files.install_base(format, true)?;
        }
        let facts = &self.shared.observations.persistence;
        let earlier = self.files.earlier_bytes()?;
        facts.log_earlier_bytes.store(earlier, Ordering::Relaxed);
        facts
            .log_base_bytes
            .store(facts.log_bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Puts the keyspaces where the shards take them, and starts the saver.
    fn serve(self, keyspaces: Vec<Box<Keyspace>>) -> Result<(), LoadFailure> {
        let facts = &Arc::clone(&self.shared.observations.persistence);
        let changes = self.shared.observations.sum(|shard| &shard.keyspace.dirty);
        facts.dumped_changes.store(changes, Ordering::Relaxed);
        let berths = self.mailboxes.berths();
        for keyspace in keyspaces {
            let shard = keyspace.shard();
            // Its thread looks at it at once.
            berths.put(shard, keyspace, 0, true, || 0);
        }
        facts.loading.store(false, Ordering::Release);
        for number in 0..self.shared.shard_count {
            let shard = ShardId(number as u16);
            self.mailboxes.post(shard, Message::Loaded);
            self.mailboxes.post(shard, Message::Alarm(0));
        }
        let inbox = Arc::new(Inbox::default());
        // The one place that sets it.
        let asker = Asker {
            inbox: Arc::clone(&inbox),
            facts: Arc::clone(facts),
        };
        let _ = self.shared.saver.set(Box::new(asker));
        self.control.ready();
        let (files, post) = ((self.log, self.files), self.mailboxes);
        let worker = Worker::new(self.shared, post, files, inbox, self.control);
        spawn("saver", move || worker.run()).map_err(|error| LoadFailure(error.to_string()))
    }
}
