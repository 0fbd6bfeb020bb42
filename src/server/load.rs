//! The start with data: which files are loaded, and with which the log goes on.
//!
//! ```text
//! appendonly yes ─┬─ a manifest: base, incremental files ──► the last one is cut at what counts, and written on
//!                 └─ none: dump, if there is one ──► it becomes the base of a new log
//! appendonly no ──── dump, if there is one
//! ```
//! Redis starts empty where `appendonly yes` finds no log, and later overwrites the dump. Here the dump is loaded and becomes the base.
//! Files that are damaged end the start with the file, the place, and what to do.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::Ordering;

use tracing::warn;

use crate::config::Settings;
use crate::journal::files::Files;
use crate::journal::manifest::{LogFile, Manifest};
use crate::journal::scan::{Replay, Tail, Verdict, is_snapshot, verify};
use crate::journal::storage::{ReadSeek, Storage};
use crate::observe::persistence::Persistence;
use crate::shard::dumps::{Counted, LoadFailure, Source};
use crate::shard::load::Loader;

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
        claimed.map_err(|error| LoadFailure::of(&directory, &error))?;
        if files.is_there() {
            return load_log(loader, files, settings, facts);
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

/// Loads a dump, or the beginning of a base; gives where it ends.
fn load_snapshot(
    source: &Source<'_>,
    loader: &mut Loader<'_>,
    file: &mut dyn ReadSeek,
) -> Result<u64, LoadFailure> {
    source.load_dump(loader, file).map_err(|failure| {
        let path = source.path.display();
        LoadFailure(format!(
            "{failure}. 'millrace check {path}' says whether it is damaged: then take it from a backup"
        ))
    })
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
        let whole_path = settings.dir.join(&path);
        match files.storage().size(&path) {
            Ok(Some(size)) => total += size,
            Ok(None) => {
                let text = format!(
                    "the manifest names {} : No such file or directory. Restore it from a backup",
                    whole_path.display()
                );
                return Err(LoadFailure::of(&whole_path, &text));
            }
            Err(error) => return Err(LoadFailure::of(&whole_path, &error)),
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
    let path = settings.dir.join(files.path(file));
    let fail = |error: &dyn fmt::Display| LoadFailure::of(&path, error);
    let io = |error: io::Error| LoadFailure::of(&path, &error);
    let mut opened = files.storage().open_read(&files.path(file)).map_err(io)?;
    let mut start = 0;
    let first = first_bytes(&mut *opened).map_err(io)?;
    if is_snapshot(&first) {
        let source = Source {
            path: &path,
            is_base: true,
            settings,
            facts,
        };
        start = load_snapshot(&source, loader, &mut *opened)?;
    } else if first.is_empty() && files.is_base(file) {
        look_at_empty_base(files, file, settings)?;
    }
    let mut verdict = verify(&mut *opened, start).map_err(io)?;
    if !is_last {
        verdict = verdict.before_others();
    }
    let is_lost = files.is_base(file) && is_lost_as_base(&verdict, &first, is_last);
    let refused = if is_lost {
        let tail = &verdict.tail;
        let text = "Bad file format reading the append only file: it is the base, without which the rest is nothing";
        Some(format!("{tail}. {text}. Take it from a backup"))
    } else {
        refusal(&verdict.tail, is_last, settings)
    };
    if let Some(text) = refused {
        return Err(fail(&text));
    }
    if verdict.tail != Tail::Clean {
        warn!(
            "{}: {}; {} bytes are cut off, {} bytes count",
            path.display(),
            verdict.tail,
            verdict.tail_bytes(),
            verdict.valid_bytes
        );
    }
    opened.seek(SeekFrom::Start(start)).map_err(io)?;
    let counted = Counted::new(&mut *opened, facts);
    let mut replay = Replay::new(counted, start, verdict.valid_bytes);
    while let Some(item) = replay.read().map_err(io)? {
        let result = loader.command(&item.arguments());
        result.map_err(|error| fail(&format!("at byte {}: {error}", replay.position())))?;
    }
    if !is_last {
        return Ok(0);
    }
    // One with a torn end is no longer the last when the next file is there.
    if files.is_base(file) && verdict.tail == Tail::Clean {
        return Ok(verdict.valid_bytes);
    }
    files.cut(file, &verdict).map_err(io)
}

/// Why a file with such an end is not loaded, and what to do. Looked at is the whole log: a file cut by itself would leave those behind it.
fn refusal(tail: &Tail, is_last: bool, settings: &Settings) -> Option<String> {
    let log = settings.dir.join(&settings.persistence.append_dirname);
    let log = log.display();
    match tail {
        Tail::Clean => None,
        Tail::Damaged { .. } => Some(format!(
            "{tail}. Bad file format reading the append only file: take it from a backup, or look with 'millrace check {log}' and cut it there with --fix",
        )),
        Tail::Torn { .. } if !is_last => Some(format!(
            "{tail}, and other files follow it: take it from a backup, or look with 'millrace check {log}' and cut it there with --fix",
        )),
        Tail::Torn { .. } if !settings.persistence.load_truncated => Some(format!(
            "{tail}. Unexpected end of file reading the append only file: set aof-load-truncated yes, or cut it with 'millrace check --fix {log}'",
        )),
        Tail::Torn { .. } => None,
    }
}

/// Whether a base that has such an end can be neither loaded nor repaired. It was whole and synced before it was listed, unless it is the log
/// of a Redis before 7, whose end may be torn.
fn is_lost_as_base(verdict: &Verdict, first: &[u8], is_last: bool) -> bool {
    // Notes alone are nothing.
    let is_torn = matches!(verdict.tail, Tail::Torn { .. });
    let has_something =
        verdict.commands > 0 || is_snapshot(first) || is_torn && first.starts_with(b"*");
    verdict.tail != Tail::Clean && !(is_last && has_something)
}

/// A snapshot without a byte is none. A Redis loads it as one without keys, so where no server of ours has written the manifest the start
/// goes on, but not in silence.
fn look_at_empty_base(
    files: &Files,
    file: &LogFile,
    settings: &Settings,
) -> Result<(), LoadFailure> {
    if Path::new(&file.name).extension() != Some(OsStr::new("rdb")) {
        return Ok(());
    }
    let path = settings.dir.join(files.path(file));
    let text = "damaged at offset 0: it is empty, and a snapshot never is, even one without keys";
    let directory = &settings.persistence.append_dirname;
    let name = settings.persistence.append_filename.as_os_str();
    let manifest = Manifest::read(&**files.storage(), directory, name);
    let manifest = manifest.map_err(|error| LoadFailure::of(&path, &error))?;
    if manifest.is_some_and(|manifest| manifest.shards.is_some()) {
        let text = format!("{text}. Take it from a backup");
        return Err(LoadFailure::of(&path, &text));
    }
    warn!(
        "{}: {text}. Redis starts without it, and so does this server; if there was something in it, take it from a backup",
        path.display()
    );
    Ok(())
}

/// As many bytes as tell what a file is, or as few as it has.
fn first_bytes(file: &mut dyn ReadSeek) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    (&mut *file).take(5).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(first)
}
