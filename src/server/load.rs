//! The start with data: which files are loaded, and with which the log goes on.
//!
//! ```text
//! appendonly yes ─┬─ a manifest: base, incremental files ──► the last one is cut at what counts, and written on
//!                 └─ none: dump, if there is one ──► it becomes the base of a new log
//! appendonly no ──── dump, if there is one
//! ```
//! Redis starts empty where `appendonly yes` finds no log, and later overwrites the dump. Here the dump is loaded and becomes the base.
//! Files that are damaged end the start with the file, the place, and what to do.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{info, warn};

use crate::command::keyspace::dump::limits_of;
use crate::config::Settings;
use crate::journal::files::Files;
use crate::journal::manifest::LogFile;
use crate::journal::scan::{Replay, Tail, is_snapshot, verify};
use crate::journal::storage::{ReadSeek, Storage};
use crate::observe::persistence::Persistence;
use crate::rdb::read::{Item, Reader};
use crate::shard::load::Loader;

/// Why nothing is served: one line for the log.
#[derive(Debug)]
pub(super) struct LoadFailure(pub(super) String);

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// Nothing: there was no file.
    Nothing,
    /// A dump.
    Dump,
    /// A log, which goes on at this offset of its last file.
    Log(u64),
}

/// Loads what is there. `files`: those of the log, when there is to be one.
pub(super) fn load(
    loader: &mut Loader<'_>,
    storage: &dyn Storage,
    files: Option<&mut Files>,
    settings: &Settings,
    facts: &Persistence,
) -> Result<Loaded, LoadFailure> {
    if let Some(files) = files {
        let claimed = files.claim();
        claimed.map_err(|error| failure(&settings.persistence.append_dirname, &error))?;
        if files.is_there() {
            return load_log(loader, files, settings, facts);
        }
    }
    let path = Path::new(&settings.persistence.dump_filename);
    let size = storage.size(path).map_err(|error| failure(path, &error))?;
    let Some(size) = size else {
        return Ok(Loaded::Nothing);
    };
    facts.loading_total_bytes.store(size, Ordering::Relaxed);
    let source = Source {
        path,
        is_base: false,
        settings,
        facts,
    };
    let file = storage.open_read(path);
    let mut file = file.map_err(|error| failure(path, &error))?;
    source.load_dump(loader, &mut *file)?;
    Ok(Loaded::Dump)
}

fn failure(path: &Path, error: &dyn fmt::Display) -> LoadFailure {
    LoadFailure(format!("{}: {error}", path.display()))
}

fn load_log(
    loader: &mut Loader<'_>,
    files: &Files,
    settings: &Settings,
    facts: &Persistence,
) -> Result<Loaded, LoadFailure> {
    let to_load = files.to_load();
    let mut total = 0;
    for file in &to_load {
        let path = files.path(file);
        match files.storage().size(&path) {
            Ok(Some(size)) => total += size,
            Ok(None) => {
                let text =
                    "the manifest names this file, and it is not there: restore it from a backup";
                return Err(failure(&path, &text));
            }
            Err(error) => return Err(failure(&path, &error)),
        }
    }
    facts.loading_total_bytes.store(total, Ordering::Relaxed);
    let mut end = 0;
    for (number, file) in to_load.iter().enumerate() {
        let is_last = number + 1 == to_load.len();
        end = load_file(loader, files, file, is_last, settings, facts)?;
    }
    Ok(Loaded::Log(end))
}

/// Loads one file of a log; gives where it goes on.
fn load_file(
    loader: &mut Loader<'_>,
    files: &Files,
    file: &LogFile,
    is_last: bool,
    settings: &Settings,
    facts: &Persistence,
) -> Result<u64, LoadFailure> {
    let path = files.path(file);
    let fail = |error: &dyn fmt::Display| failure(&path, error);
    let io = |error: io::Error| failure(&path, &error);
    let mut opened = files.storage().open_read(&path).map_err(io)?;
    let mut start = 0;
    if begins_with_snapshot(&mut *opened).map_err(io)? {
        let source = Source {
            path: &path,
            is_base: true,
            settings,
            facts,
        };
        start = source.load_dump(loader, &mut *opened)?;
    }
    let verdict = verify(&mut *opened, start).map_err(io)?;
    match &verdict.tail {
        Tail::Clean => {}
        Tail::Damaged { .. } => {
            let text = format!(
                "{}. Take the file from a backup, or look with 'millrace check {}' and cut it there with --fix",
                verdict.tail,
                path.display()
            );
            return Err(fail(&text));
        }
        Tail::Torn { .. } if !is_last => {
            let text = format!("{}, and other files follow it", verdict.tail);
            return Err(fail(&text));
        }
        Tail::Torn { .. } if !settings.persistence.load_truncated => {
            let text = format!(
                "{}. Unexpected end of file reading the append only file: set aof-load-truncated yes, or cut it with 'millrace check --fix {}'",
                verdict.tail,
                path.display()
            );
            return Err(fail(&text));
        }
        Tail::Torn { .. } => warn!(
            "{}: {}; {} bytes are cut off, {} bytes count",
            path.display(),
            verdict.tail,
            verdict.tail_bytes(),
            verdict.valid_bytes
        ),
    }
    opened.seek(SeekFrom::Start(start)).map_err(io)?;
    let counted = Counted {
        inner: &mut *opened,
        bytes: &facts.loading_bytes,
    };
    let mut replay = Replay::new(counted, start, verdict.valid_bytes);
    while let Some(item) = replay.next_item().map_err(io)? {
        let result = loader.command(&item.arguments());
        result.map_err(|error| fail(&error))?;
    }
    if !is_last {
        return Ok(0);
    }
    if files.is_base(file) {
        return Ok(verdict.valid_bytes);
    }
    files.cut(file, &verdict).map_err(io)
}

fn begins_with_snapshot(file: &mut dyn ReadSeek) -> io::Result<bool> {
    let mut first = Vec::new();
    (&mut *file).take(5).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(is_snapshot(&first) || first.starts_with(b"VALKE"))
}

/// A dump, or the beginning of a base.
struct Source<'s> {
    path: &'s Path,
    is_base: bool,
    settings: &'s Settings,
    facts: &'s Persistence,
}

impl Source<'_> {
    /// Gives where it ends in the file.
    fn load_dump(
        &self,
        loader: &mut Loader<'_>,
        file: &mut dyn ReadSeek,
    ) -> Result<u64, LoadFailure> {
        let fail = |error: &dyn fmt::Display| failure(self.path, error);
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
                Item::Aux { .. } | Item::Resize { .. } => {}
                Item::Functions(_) => warn!(
                    "{}: a library of functions is passed over: there are no functions yet",
                    self.path.display()
                ),
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
struct Counted<'c> {
    inner: &'c mut dyn ReadSeek,
    bytes: &'c AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Where a dump of this name is for a moment.
pub(super) fn temporary_dump() -> PathBuf {
    PathBuf::from(format!("temp-{}.rdb", std::process::id()))
}
