//! From files to a server that can serve: what is there is loaded, the log goes on with it, shards get their keyspaces.
//!
//! ```text
//! open ─► run: load, begin the log ─► serve: keyspaces into their berths, a saver that is to be given its turns
//! ```
//! A crash at any moment leaves files with which it begins again. Not here: threads (`data.rs`; a simulation has none: `stepped.rs`).

#![allow(
    clippy::vec_box,
    reason = "a keyspace stays where it is: hands and berths pass its box on"
)]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::DefaultHashBuilder;
use tracing::{info, warn};

use crate::command::context::Shared;
use crate::config::Settings;
use crate::ids::ShardId;
use crate::journal::dump::{Dump, Head};
use crate::journal::files::Files;
use crate::journal::log::Log;
use crate::journal::manifest::BaseFormat;
use crate::journal::storage::{CrashPoint, Storage};
use crate::keyspace::Keyspace;
use crate::shard::Shard;
use crate::shard::dumps::{LoadFailure, owner_of_temporary, rdb_options};
use crate::shard::journal::follow_settings;
use crate::shard::load::Loader;
use crate::shard::mailbox::{Message, Post};

use super::load::{self, Loaded};
use super::process;
use super::saver::inbox::{Asker, Inbox};
use super::saver::surroundings::Surroundings;
use super::saver::{self, Worker};

/// What loads, and what follows it.
pub(super) struct Recovery {
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    settings: Arc<Settings>,
    pub(super) log: Arc<Log>,
    files: Files,
}

impl Recovery {
    /// Looks what is there; loads nothing.
    ///
    /// # Errors
    /// Those of the storage; a manifest that makes no sense.
    pub(super) fn open(
        shared: &Arc<Shared>,
        storage: Arc<dyn Storage>,
        log_fill_bytes: u64,
    ) -> io::Result<Self> {
        let settings = shared.settings.read();
        let settings = Arc::clone(&settings.unwrap_or_else(std::sync::PoisonError::into_inner));
        let facts = Arc::clone(&shared.observations.persistence);
        let log = Arc::new(Log::new(shared.shard_count, facts));
        let (directory, name) = saver::names(&settings);
        remove_leftovers(&*storage)?;
        let shards = shared.shard_count;
        let mut files = Files::open(Arc::clone(&storage), &directory, &name, shards)?;
        files.set_fill(log_fill_bytes);
        let log_stands = settings.persistence.append_only && files.is_there();
        let facts = &shared.observations.persistence;
        facts.log_stands.store(log_stands, Ordering::Release);
        follow_settings(&log, &settings);
        log.set_storage(&storage);
        Ok(Self {
            shared: Arc::clone(shared),
            storage,
            settings,
            log,
            files,
        })
    }

    /// Bytes of the files that are to be loaded.
    pub(super) fn bytes(&self) -> u64 {
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

    /// Loads, and begins the log. Times are asked of `now`, Unix ms.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub(super) fn run(&mut self, now: &dyn Fn() -> u64) -> Result<Vec<Box<Keyspace>>, LoadFailure> {
        let hasher = DefaultHashBuilder::default();
        let shards = (0..self.shared.shard_count).map(|number| ShardId(number as u16));
        let keyspaces = shards.map(|id| Shard::keyspace(id, &self.shared, hasher.clone()));
        let begun_ms = now();
        let settings = Arc::clone(&self.settings);
        let wants_log = settings.persistence.append_only;
        if !wants_log && self.files.is_there() {
            warn!(
                "There is an append only file in {}, which is not read: appendonly is no",
                settings.persistence.append_dirname.display()
            );
        }
        let mut loader =
            Loader::with_threads(&self.shared, &settings, begun_ms, keyspaces.collect());
        // What the process before this one has renamed and not synced is what is loaded: it must not go back any more.
        let synced = self.storage.sync_dir(Path::new(""));
        synced.map_err(|error| LoadFailure::of(&settings.dir, &error))?;
        let facts = &self.shared.observations.persistence;
        let files = wants_log.then_some(&mut self.files);
        let loaded = load::load(&mut loader, &*self.storage, files, &settings, facts)?;
        let finished = loader.finish();
        let keyspaces = finished.map_err(|error| LoadFailure::new(error.to_string()))?;
        let took_ms = now().saturating_sub(begun_ms);
        let seconds = format!("{}.{:03} seconds", took_ms / 1000, took_ms % 1000);
        match loaded {
            Loaded::Nothing => {}
            Loaded::Dump => info!("DB loaded from disk: {seconds}"),
            Loaded::Log(_) => info!("DB loaded from append only file: {seconds}"),
        }
        if wants_log {
            let begun = self.begin_log(loaded, &keyspaces, now());
            let directory = settings.dir.join(&settings.persistence.append_dirname);
            begun.map_err(|error| LoadFailure::of_log(&directory, &error))?;
        }
        let reached = self.storage.reach(CrashPoint::AfterReplay);
        reached.map_err(|error| LoadFailure::new(error.to_string()))?;
        Ok(keyspaces)
    }

    fn begin_log(
        &mut self,
        loaded: Loaded,
        keyspaces: &[Box<Keyspace>],
        now_ms: u64,
    ) -> io::Result<()> {
        if let Loaded::Log(end) = loaded {
            self.files.resume(&self.log, end)?;
        } else {
            if loaded == Loaded::Dump {
                info!("The dump becomes the base of the append only file");
            }
            let options = rdb_options(&self.settings);
            let rdb_base = self.settings.persistence.rdb_base;
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
        self.files
            .delete_history(self.settings.persistence.keeps_history);
        let facts = &self.shared.observations.persistence;
        facts.log_stands.store(true, Ordering::Release);
        let earlier = self.files.earlier_bytes()?;
        facts.log_earlier_bytes.store(earlier, Ordering::Relaxed);
        // As Redis: nobody knows how long the log was when its base was written. A rewrite may come early, but not never.
        let base = self.files.base_bytes()?;
        facts.log_base_bytes.store(base, Ordering::Relaxed);
        Ok(())
    }

    /// Puts the keyspaces where the shards take them; gives the saver.
    pub(super) fn serve<S: Surroundings>(
        self,
        keyspaces: Vec<Box<Keyspace>>,
        post: Arc<dyn Post + Send + Sync>,
        around: S,
    ) -> Worker<S> {
        let facts = &self.shared.observations.persistence;
        let changes = self.shared.observations.sum(|shard| &shard.keyspace.dirty);
        facts.dumped_changes.store(changes, Ordering::Relaxed);
        for keyspace in keyspaces {
            let shard = keyspace.shard();
            // Its thread looks at it at once.
            post.berths().put(shard, keyspace, 0, true, || 0);
        }
        facts.loading.store(false, Ordering::Release);
        for number in 0..self.shared.shard_count {
            let shard = ShardId(number as u16);
            post.post(shard, Message::Loaded);
            post.post(shard, Message::Alarm(0));
        }
        let inbox = Arc::new(Inbox::default());
        // The one place that sets it.
        let asker = Asker {
            inbox: Arc::clone(&inbox),
            facts: Arc::clone(facts),
        };
        let _ = self.shared.saver.set(Box::new(asker));
        Worker::new(self.shared, post, (self.log, self.files), inbox, around)
    }
}

/// The shards have ended: what they have logged is written and synced.
pub(super) fn end(storage: &dyn Storage, log: &Log) {
    // What cannot be told any more is in the log, which is on disk.
    let _ = storage.reach(CrashPoint::BeforeLastSync);
    if log.is_on() {
        info!("Calling fsync() on the AOF file.");
    }
    if let Err(error) = log.end_log() {
        tracing::error!("The end of the append only file could not be written: {error}");
    }
    let _ = storage.reach(CrashPoint::AfterLastSync);
}

/// Removes dumps that killed processes had not finished: they would fill the disk one after the other.
fn remove_leftovers(storage: &dyn Storage) -> io::Result<()> {
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
