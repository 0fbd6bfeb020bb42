//! A dump, or the beginning of a base, into keyspaces; and all keyspaces in hand through a dump and back (DEBUG RELOAD).

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tracing::{error, info, warn};

use crate::command::context::ReloadOptions;
use crate::command::keyspace::dump::version_of;
use crate::config::Settings;
use crate::journal::dump::{Dump, Head};
use crate::journal::storage::disk::DiskStorage;
use crate::journal::storage::{ReadSeek, Storage};
use crate::keyspace::Keyspace;
use crate::limits::LOAD_TOLD_EVERY_MS;
use crate::observe::allocator;
use crate::observe::persistence::Persistence;
use crate::rdb;
use crate::rdb::read::{Item, ReadError, Reader, Trouble};
use crate::script::libraries::Libraries;

use super::clock::unix_ms;
use super::load::{LoadError, Loader};
use super::state::Shard;

/// Why nothing can be loaded from a file: one line for the log.
#[derive(Debug)]
pub(crate) struct LoadFailure {
    text: String,
    /// Whether data was being read; else the log cannot be written.
    is_about_data: bool,
}

impl LoadFailure {
    /// About what is loaded.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            is_about_data: true,
        }
    }

    /// About a file that is loaded.
    pub(crate) fn of(path: &Path, error: &dyn fmt::Display) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    /// The log in this directory cannot be written, or its file: nothing is wrong with the data.
    pub(crate) fn of_log(path: &Path, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull => ": make room on the disk, then start again",
            _ => "",
        };
        let text = error.to_string();
        let reason = text.split(" (os error").next().unwrap_or_default();
        let path = path.display();
        Self {
            text: format!("cannot write the append only file in {path}: {reason}{advice}"),
            is_about_data: false,
        }
    }

    /// The line with which a start ends.
    pub(crate) fn fatal(&self) -> String {
        match self.is_about_data {
            true => format!("Fatal error loading the DB: {}", self.text),
            false => self.text.clone(),
        }
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A dump, or the beginning of a base.
pub(crate) struct Source<'s> {
    /// Where it is.
    pub(crate) path: &'s Path,
    /// Whether a log goes on with it.
    pub(crate) is_base: bool,
    /// The settings.
    pub(crate) settings: &'s Settings,
    /// What is told of it.
    pub(crate) facts: &'s Persistence,
}

impl Source<'_> {
    /// Loads it; gives where it ends in the file.
    ///
    /// # Errors
    /// When it cannot be read to its end, or holds what cannot be loaded.
    pub(crate) fn load_dump(
        &self,
        loader: &mut Loader<'_>,
        file: &mut dyn ReadSeek,
    ) -> Result<u64, LoadFailure> {
        let fail = |error: &dyn fmt::Display| LoadFailure::of(self.path, error);
        let result = self.read_items(loader, file);
        // What threads have found wrong lies before the place up to which was read.
        let settled = loader.settle();
        settled.map_err(|error| fail(&with_advice_for_entry(&error)))?;
        let (offset, expired) = result.map_err(|error| fail(&*error))?;
        let facts = self.facts;
        facts.loaded_expired_keys.store(expired, Ordering::Relaxed);
        let keys = facts.loaded_keys.load(Ordering::Relaxed);
        let empty = match facts.loaded_empty_keys.load(Ordering::Relaxed) {
            0 => String::new(),
            count => format!(", empty keys skipped: {count}"),
        };
        info!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}{empty}.");
        Ok(offset)
    }

    /// Gives where the dump ends in the file, and how many keys of it have ended.
    fn read_items(
        &self,
        loader: &mut Loader<'_>,
        file: &mut dyn ReadSeek,
    ) -> Result<(u64, u64), Box<dyn fmt::Display>> {
        let counted = Counted::new(file, self.facts);
        let looks_at_checksum = self.settings.persistence.checksum
            && !self.facts.skips_checksums.load(Ordering::Relaxed);
        let reader = Reader::new(counted, looks_at_checksum);
        let mut reader = reader.map_err(|error| boxed(with_advice(&error)))?;
        let now_ms = loader.now_ms();
        let mut expired = 0u64;
        let delay = self.settings.persistence.key_load_delay;
        self.facts.loaded_keys.store(0, Ordering::Relaxed);
        self.facts.loaded_empty_keys.store(0, Ordering::Relaxed);
        loop {
            let item = reader.next_item();
            let item = item.map_err(|error| boxed(with_advice(&error)))?;
            let Some(item) = item else { break };
            match item {
                Item::Select(number) => loader.select(number).map_err(boxed)?,
                // What a log says about a key that has ended comes after it.
                Item::Entry(raw)
                    if !self.is_base && raw.expire_ms.is_some_and(|at| at < now_ms) =>
                {
                    expired += 1;
                }
                Item::Entry(raw) => {
                    let placed = loader.entry(&raw);
                    placed.map_err(|error| boxed(with_advice_for_entry(&error)))?;
                    if !delay.is_zero() {
                        std::thread::sleep(delay);
                    }
                }
                Item::Aux { name, value } if name == b"redis-ver" => info!(
                    "Loading RDB version {}, written by version {}",
                    reader.version(),
                    String::from_utf8_lossy(&value)
                ),
                Item::Aux { .. } | Item::Resize => {}
                Item::Functions(text) => loader.library(&text).map_err(boxed)?,
                Item::ModuleAux(name) => warn!(
                    "{}: what the module {name} has written is passed over",
                    self.path.display()
                ),
            }
        }
        Ok((reader.offset(), expired))
    }
}

/// What is wrong with a snapshot, and what to do.
fn with_advice(error: &ReadError) -> String {
    let advice = match error.trouble {
        Trouble::Io(_) => return error.to_string(),
        Trouble::Header(_) | Trouble::Unknown(_) => {
            "The file is damaged there, or written by a server that has more than this one: take it from a backup, or save it there in an older \
             version"
        }
        Trouble::EndsEarly | Trouble::Corrupt(_) | Trouble::Checksum { .. } | Trouble::Value(_) => {
            "The file is damaged there: take it from a backup"
        }
    };
    format!("{error}. {advice}")
}

fn with_advice_for_entry(error: &LoadError) -> String {
    match error {
        LoadError::Entry(_) => {
            format!("{error}. The file is damaged there: take it from a backup")
        }
        LoadError::Unknown(_)
        | LoadError::Database(_)
        | LoadError::Discard
        | LoadError::Library(_)
        | LoadError::Thread(_) => error.to_string(),
    }
}

fn boxed(error: impl fmt::Display + 'static) -> Box<dyn fmt::Display> {
    Box::new(error)
}

/// Counts what is read, and tells of it now and then.
pub(crate) struct Counted<'c> {
    inner: &'c mut dyn ReadSeek,
    facts: &'c Persistence,
    told_ms: u64,
}

impl<'c> Counted<'c> {
    /// Counts in `facts`.
    pub(crate) fn new(inner: &'c mut dyn ReadSeek, facts: &'c Persistence) -> Self {
        Self {
            inner,
            facts,
            told_ms: unix_ms(),
        }
    }

    fn tell(&mut self, loaded: u64) {
        let now_ms = unix_ms();
        if now_ms.saturating_sub(self.told_ms) < LOAD_TOLD_EVERY_MS {
            return;
        }
        self.told_ms = now_ms;
        let total = self.facts.loading_total_bytes.load(Ordering::Relaxed);
        if let Some(percent) = (100 * loaded).checked_div(total) {
            let megabytes = |bytes: u64| bytes / (1024 * 1024);
            let (loaded, total) = (megabytes(loaded), megabytes(total));
            info!("Loading: {percent} %, {loaded} of {total} MB");
        }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)? as u64;
        let before = self.facts.loading_bytes.fetch_add(count, Ordering::Relaxed);
        self.tell(before + count);
        Ok(count as usize)
    }
}

/// Where a dump of this name is for a moment.
pub(crate) fn temporary_dump() -> PathBuf {
    PathBuf::from(format!("temp-{}.rdb", std::process::id()))
}

/// The same for DEBUG RELOAD, beside which another dump may be under way.
fn temporary_reload() -> PathBuf {
    PathBuf::from(format!("temp-{}.reload.rdb", std::process::id()))
}

/// The same for a copy that a client has asked for (SYNC): it has a name only while it is written.
pub(crate) fn temporary_copy() -> PathBuf {
    PathBuf::from(format!("temp-{}.copy.rdb", std::process::id()))
}

/// The process whose [`temporary_dump`], or other such file, has this name.
pub(crate) fn owner_of_temporary(name: &OsStr) -> Option<u32> {
    let number = name.to_str()?.strip_prefix("temp-")?;
    let number = number.strip_suffix(".rdb")?;
    let end = [".reload", ".copy"];
    let mut plain = end.iter().filter_map(|end| number.strip_suffix(end));
    plain.next().unwrap_or(number).parse().ok()
}

/// How the settings want files written.
pub(crate) fn rdb_options(settings: &Settings) -> rdb::Options {
    rdb::Options {
        version: version_of(settings),
        compress: settings.persistence.compression,
        checksum: settings.persistence.checksum,
    }
}

impl Shard {
    /// Writes all keyspaces in hand to the dump and loads it again (DEBUG RELOAD).
    ///
    /// # Errors
    /// What could not be done is in the log; the text for the client.
    pub(super) fn reload_dump(
        &self,
        keyspaces: &mut [Box<Keyspace>],
        options: ReloadOptions,
    ) -> Result<(), &'static str> {
        let storage = DiskStorage::new(&self.settings.dir).map_err(|_| "ERR")?;
        if options.saves
            && let Err(failure) = self.save_in_hand(&storage, keyspaces)
        {
            error!("Error saving DB on disk: {failure}");
            return Err("ERR");
        }
        let libraries = self.shared.libraries.now();
        if options.flushes {
            keyspaces.iter_mut().for_each(|keyspace| keyspace.clear());
            self.shared.set_libraries(Libraries::default());
        }
        let loaded = self.load_in_hand(&storage, keyspaces, options.merges);
        loaded.map_err(|failure| {
            error!("{failure}");
            self.shared.set_libraries(Libraries::clone(&libraries));
            "ERR Error trying to load the RDB dump, check server logs."
        })
    }

    fn save_in_hand(&self, storage: &dyn Storage, keyspaces: &[Box<Keyspace>]) -> io::Result<()> {
        let temporary = temporary_reload();
        let head = Head {
            version: crate::REDIS_VERSION,
            time_s: self.now_ms / 1000,
            memory_bytes: allocator::allocated().used,
            is_base: false,
            notes_time: false,
            counts: Vec::new(),
            libraries: self.shared.observations.persistence.libraries(),
        };
        let options = Some(rdb_options(&self.settings));
        let mut dump = Dump::create(storage, &temporary, options, head)?;
        for keyspace in keyspaces {
            dump.all(keyspace, self.now_ms)?;
        }
        dump.finish(storage)?;
        storage.rename(&temporary, &self.settings.persistence.dump_filename)?;
        storage.sync_dir(Path::new(""))?;
        let facts = &self.shared.observations.persistence;
        facts.dumped_ms.store(self.now_ms, Ordering::Relaxed);
        facts.dump_failed.store(false, Ordering::Release);
        self.note_all_saved();
        Ok(())
    }

    /// No change is left that a save point counts.
    pub(super) fn note_all_saved(&self) {
        let observations = &self.shared.observations;
        let changes = observations.sum(|shard| &shard.keyspace.dirty);
        let known = &observations.persistence.dumped_changes;
        known.store(changes, Ordering::Relaxed);
    }

    fn load_in_hand(
        &self,
        storage: &dyn Storage,
        keyspaces: &mut [Box<Keyspace>],
        merges: bool,
    ) -> Result<(), LoadFailure> {
        let path = &self.settings.persistence.dump_filename;
        let opened = storage.open_read(path);
        let mut file = opened.map_err(|error| LoadFailure::of(path, &error))?;
        let facts = &self.shared.observations.persistence;
        let size = storage.size(path).ok().flatten().unwrap_or(0);
        facts.loading_total_bytes.store(size, Ordering::Relaxed);
        facts.loading_bytes.store(0, Ordering::Relaxed);
        facts.loading_since_ms.store(unix_ms(), Ordering::Relaxed);
        let now_ms = self.clock.now_ms();
        let mut loader = Loader::in_hand(&self.shared, &self.settings, now_ms, keyspaces, merges);
        let source = Source {
            path,
            is_base: false,
            settings: &self.settings,
            facts,
        };
        let loaded = source.load_dump(&mut loader, &mut *file);
        // Nothing is left to do that could fail.
        let _ = loader.finish();
        loaded.map(drop)
    }
}
