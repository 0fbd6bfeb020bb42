//! A dump, or the beginning of a base, into keyspaces; and all keyspaces in hand through a dump and back (DEBUG RELOAD).

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{error, info, warn};

use crate::command::context::ReloadOptions;
use crate::command::keyspace::dump::{limits_of, version_of};
use crate::config::Settings;
use crate::journal::dump::{Dump, Head};
use crate::journal::storage::disk::DiskStorage;
use crate::journal::storage::{ReadSeek, Storage};
use crate::keyspace::Keyspace;
use crate::observe::allocator;
use crate::observe::persistence::Persistence;
use crate::rdb;
use crate::rdb::read::{Item, Reader};

use super::load::Loader;
use super::state::Shard;

/// Why nothing can be loaded from a file: one line for the log.
#[derive(Debug)]
pub(crate) struct LoadFailure(pub(crate) String);

impl LoadFailure {
    /// About a file.
    pub(crate) fn of(path: &Path, error: &dyn fmt::Display) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        let counted = Counted {
            inner: file,
            bytes: &self.facts.loading_bytes,
        };
        let reader = BufReader::with_capacity(1 << 20, counted);
        let mut reader = Reader::new(reader, self.settings.persistence.checksum)
            .map_err(|error| fail(&error))?;
        let limits = limits_of(self.settings, 0);
        let now_ms = loader.now_ms();
        let (mut keys, mut expired) = (0u64, 0u64);
        while let Some(item) = reader.next_item().map_err(|error| fail(&error))? {
            match item {
                Item::Select(number) => loader.select(number).map_err(|error| fail(&error))?,
                Item::Entry(raw) => {
                    // What a log says about a key that has ended comes after it.
                    if !self.is_base && raw.expire_ms.is_some_and(|at| at < now_ms) {
                        expired += 1;
                        continue;
                    }
                    let value = match raw.decode(&limits, now_ms) {
                        Err(error) if error.is_empty_value() => continue,
                        value => value.map_err(|error| fail(&error))?,
                    };
                    if !loader.entry(raw.key, value, raw.expire_ms) {
                        let text = format!("the key \"{}\" is there twice", raw.key.escape_ascii());
                        return Err(fail(&text));
                    }
                    keys += 1;
                    self.facts.loaded_keys.store(keys, Ordering::Relaxed);
                }
                Item::Aux { name, value } if name == b"redis-ver" => info!(
                    "Loading RDB version {}, written by version {}",
                    reader.version(),
                    String::from_utf8_lossy(&value)
                ),
                Item::Aux { .. } | Item::Resize => {}
                Item::Functions(library) => self.facts.keep_library(library),
                Item::ModuleAux(name) => warn!(
                    "{}: what the module {name} has written is passed over",
                    self.path.display()
                ),
            }
        }
        self.facts
            .loaded_expired_keys
            .store(expired, Ordering::Relaxed);
        info!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}.");
        Ok(reader.offset())
    }
}

/// Counts what is read.
pub(crate) struct Counted<'c> {
    /// From where.
    pub(crate) inner: &'c mut dyn ReadSeek,
    /// How many.
    pub(crate) bytes: &'c AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Where a dump of this name is for a moment.
pub(crate) fn temporary_dump() -> PathBuf {
    PathBuf::from(format!("temp-{}.rdb", std::process::id()))
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
        if options.flushes {
            keyspaces.iter_mut().for_each(|keyspace| keyspace.clear());
        }
        let loaded = self.load_in_hand(&storage, keyspaces, options.merges);
        loaded.map_err(|failure| {
            error!("{failure}");
            "ERR Error trying to load the RDB dump, check server logs."
        })
    }

    fn save_in_hand(&self, storage: &dyn Storage, keyspaces: &[Box<Keyspace>]) -> io::Result<()> {
        let temporary = temporary_dump();
        let head = Head {
            version: crate::REDIS_VERSION,
            time_s: self.now_ms / 1000,
            memory_bytes: allocator::allocated().used,
            is_base: false,
            counts: Vec::new(),
            libraries: self.shared.observations.persistence.libraries(),
        };
        let options = Some(rdb_options(&self.settings));
        let mut dump = Dump::create(storage, &temporary, options, head)?;
        for keyspace in keyspaces {
            dump.all(keyspace, self.now_ms)?;
        }
        dump.finish(storage)?;
        storage.rename(&temporary, &self.settings.persistence.dumpsname)?;
        storage.sync_dir(Path::new(""))
    }

    fn load_in_hand(
        &self,
        storage: &dyn Storage,
        keyspaces: &mut [Box<Keyspace>],
        merges: bool,
    ) -> Result<(), LoadFailure> {
        let path = &self.settings.persistence.dumpsname;
        let opened = storage.open_read(path);
        let mut file = opened.map_err(|error| LoadFailure::of(path, &error))?;
        let settings = std::sync::Arc::clone(&self.settings);
        let mut loader = Loader::new(&self.shared, settings, &*self.clock, keyspaces);
        loader.merges = merges;
        let source = Source {
            path,
            is_base: false,
            settings: &self.settings,
            facts: &self.shared.observations.persistence,
        };
        let loaded = source.load_dump(&mut loader, &mut *file);
        loader.finish();
        loaded.map(drop)
    }
}
