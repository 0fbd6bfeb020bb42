//! The files of a log into keyspaces: at the start, and into those in hand (DEBUG LOADAOF).
//!
//! Files that are damaged are refused with the file, the place, and what to do. Nothing is written here: where a file ends in what does
//! not count, whoever goes on with it cuts it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{error, info, warn};

use crate::config::Settings;
use crate::journal::files::Files;
use crate::journal::manifest::{LogFile, Manifest};
use crate::journal::scan::{Replay, Tail, Verdict, is_snapshot, verify};
use crate::journal::storage::ReadSeek;
use crate::keyspace::Keyspace;
use crate::observe::persistence::Persistence;
use crate::script::libraries::Libraries;

use super::clock::unix_ms;
use super::dumps::{Counted, LoadFailure, Source};
use super::load::Loader;
use super::state::Shard;

impl Shard {
    /// Loads the log that stands, which has all that is in the keyspaces in hand, and drops what they have (DEBUG LOADAOF). When it
    /// cannot be loaded they stay as they are. (A Redis has lost its data then.)
    ///
    /// # Errors
    /// What could not be done is in the log; the text for the client.
    pub(super) fn reload_log(&self, keyspaces: &mut [Box<Keyspace>]) -> Result<(), &'static str> {
        let mut twins: Vec<_> = keyspaces.iter().map(|one| Box::new(one.twin())).collect();
        // What the log says of libraries begins with none.
        let libraries = self.shared.libraries.now();
        self.shared.set_libraries(Libraries::default());
        self.load_log_into(&mut twins).map_err(|failure| {
            self.shared.set_libraries(Libraries::clone(&libraries));
            error!("The append only file is not loaded again: {failure}");
            "ERR Error trying to load the AOF files, check server logs."
        })?;
        for (keyspace, twin) in keyspaces.iter_mut().zip(&mut twins) {
            keyspace.take_databases(twin);
        }
        info!("Append Only File loaded by DEBUG LOADAOF");
        Ok(())
    }

    fn load_log_into(&self, keyspaces: &mut [Box<Keyspace>]) -> Result<(), LoadFailure> {
        self.log.write();
        if self.log.written() < self.log.end() {
            return Err(LoadFailure::new("it could not be written to its end"));
        }
        let persistence = &self.settings.persistence;
        let directory = Path::new(&persistence.append_dirname);
        let filename = Path::new(&persistence.append_filename);
        let count = self.shared.shard_count;
        let files = self.log.storage().map(|storage| {
            let files = Files::open(Arc::clone(storage), directory, filename, count);
            files.map_err(|error| LoadFailure::of(directory, &error))
        });
        let files = files.transpose()?.filter(Files::is_there);
        let files = files.ok_or_else(|| LoadFailure::new("its manifest is missing"))?;
        let facts = &self.shared.observations.persistence;
        facts.loading_bytes.store(0, Ordering::Relaxed);
        facts.loading_since_ms.store(unix_ms(), Ordering::Relaxed);
        let now_ms = self.clock.now_ms();
        let mut loader = Loader::in_hand(&self.shared, &self.settings, now_ms, keyspaces, false);
        load_log(&mut loader, &files, &self.settings, facts)?;
        let finished = loader.finish();
        finished.map_err(|error| LoadFailure::new(error.to_string()))?;
        Ok(())
    }
}

/// Loads a dump, or the beginning of a base; gives where it ends.
///
/// # Errors
/// When it cannot be read to its end, or holds what cannot be loaded.
pub(crate) fn load_snapshot(
    source: &Source<'_>,
    loader: &mut Loader<'_>,
    file: &mut dyn ReadSeek,
) -> Result<u64, LoadFailure> {
    source.load_dump(loader, file)
}

/// Loads all files of a log; gives the last of them, and how much of it counts.
///
/// # Errors
/// Files that are missing or damaged, and what in them cannot be loaded.
pub(crate) fn load_log(
    loader: &mut Loader<'_>,
    files: &Files,
    settings: &Settings,
    facts: &Persistence,
) -> Result<Option<(LogFile, Verdict)>, LoadFailure> {
    let to_load = files.to_load();
    let mut total = 0;
    for file in &to_load {
        let path = files.path(file);
        let whole_path = settings.dir.join(&path);
        match files.storage().size(&path) {
            Ok(Some(size)) => total += size,
            Ok(None) => {
                return Err(LoadFailure::new(format!(
                    "{} is missing: No such file or directory. The manifest names it: take it from a backup",
                    whole_path.display()
                )));
            }
            Err(error) => return Err(LoadFailure::of(&whole_path, &error)),
        }
    }
    facts.loading_total_bytes.store(total, Ordering::Relaxed);
    let (count, mut last) = (to_load.len(), None);
    for (number, file) in to_load.into_iter().enumerate() {
        let is_last = number + 1 == count;
        let verdict = load_file(loader, files, &file, is_last, settings, facts)?;
        last = Some((file, verdict));
    }
    Ok(last)
}

/// Loads one file of a log.
fn load_file(
    loader: &mut Loader<'_>,
    files: &Files,
    file: &LogFile,
    is_last: bool,
    settings: &Settings,
    facts: &Persistence,
) -> Result<Verdict, LoadFailure> {
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
    } else if verdict.bytes == 0
        && !files.is_base(file)
        && is_manifest_ours(files, &path, settings)?
    {
        verdict = verdict.emptied();
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
    if verdict.tail != Tail::Clean && verdict.tail_bytes() == 0 {
        warn!(
            "{}: {}. The start goes on without it",
            path.display(),
            verdict.tail
        );
    } else if verdict.tail != Tail::Clean {
        warn!(
            "{}: {}; {} bytes do not count, {} bytes do",
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
    Ok(verdict)
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
            "{tail}. Unexpected end of file reading the append only file: set aof-load-truncated yes, or repair it with 'millrace check --fix {log}'",
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
    if is_manifest_ours(files, &path, settings)? {
        let text = format!("{text}. Take it from a backup");
        return Err(LoadFailure::of(&path, &text));
    }
    warn!(
        "{}: {text}. Redis starts without it, and so does this server; if there was something in it, take it from a backup",
        path.display()
    );
    Ok(())
}

/// Whether a server of ours has written the manifest as it stands on disk. It lists a file only when that is begun and synced; a Redis lists
/// one that is empty.
fn is_manifest_ours(files: &Files, path: &Path, settings: &Settings) -> Result<bool, LoadFailure> {
    let directory = &settings.persistence.append_dirname;
    let name = settings.persistence.append_filename.as_os_str();
    let manifest = Manifest::read(&**files.storage(), directory, name);
    let manifest = manifest.map_err(|error| LoadFailure::of(path, &error))?;
    Ok(manifest.is_some_and(|manifest| manifest.shards.is_some()))
}

/// As many bytes as tell what a file is, or as few as it has.
fn first_bytes(file: &mut dyn ReadSeek) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    (&mut *file).take(5).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(first)
}
