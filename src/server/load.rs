//! The start with data: which files are loaded, and with which the log goes on.
//!
//! ```text
//! appendonly yes ─┬─ a manifest: base, incremental files ──► the last one is cut at what counts, and written on
//!                 └─ none: dump, if there is one ──► it becomes the base of a new log
//! appendonly no ──── dump, if there is one
//! ```
//! Redis starts empty where `appendonly yes` finds no log, and later overwrites the dump. Here the dump is loaded and becomes the base.
//! Files that are damaged end the start (`shard/logs.rs`).

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::config::Settings;
use crate::journal::files::Files;
use crate::journal::manifest::LogFile;
use crate::journal::scan::{Tail, Verdict};
use crate::journal::storage::Storage;
use crate::observe::persistence::Persistence;
use crate::shard::dumps::{LoadFailure, Source};
use crate::shard::load::Loader;
use crate::shard::logs::{load_log, load_snapshot};

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
        let directory = settings.dir.join(&settings.persistence.append_dirname);
        claimed.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => LoadFailure::of_log(&directory, &error),
            _ => LoadFailure::of(&directory, &error),
        })?;
        if files.is_there() {
            return load_log(loader, files, settings, facts)
                .and_then(|last| end_of(files, last, settings));
        }
    }
    let path = Path::new(&settings.persistence.dump_filename);
    // Whoever reads of it may be in another directory.
    let whole_path = settings.dir.join(path);
    let fail = |error: io::Error| LoadFailure::of(&whole_path, &error);
    let size = storage.size(path).map_err(fail)?;
    let Some(size) = size else {
        return Ok(Loaded::Nothing);
    };
    facts.loading_total_bytes.store(size, Ordering::Relaxed);
    let source = Source {
        path: &whole_path,
        is_base: false,
        settings,
        facts,
    };
    let mut file = storage.open_read(path).map_err(fail)?;
    load_snapshot(&source, loader, &mut *file)?;
    Ok(Loaded::Dump)
}

/// Where the log goes on in its last file, which is cut at what counts.
fn end_of(
    files: &Files,
    last: Option<(LogFile, Verdict)>,
    settings: &Settings,
) -> Result<Loaded, LoadFailure> {
    let Some((file, verdict)) = last else {
        return Ok(Loaded::Log(0));
    };
    // One with a torn end is no longer the last when the next file is there.
    if files.is_base(&file) && verdict.tail == Tail::Clean {
        return Ok(Loaded::Log(verdict.valid_bytes));
    }
    let path = settings.dir.join(files.path(&file));
    let cut = files.cut(&file, &verdict);
    cut.map(Loaded::Log)
        .map_err(|error| LoadFailure::of_log(&path, &error))
}
