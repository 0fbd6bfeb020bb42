//! The steps from one set of files to the next, each so that a crash at any moment leaves a set that starts.
//!
//! ```text
//! begin       base of what was loaded, incremental file, manifest
//! resume      the last incremental file is cut at what counts, and written on
//! next        after a cut: the file before it whole and synced ─► new incremental file ─► manifest ─► it is written to
//! new base    written under another name ─► its name ─► manifest, with what it covers as history ─► that is deleted, unless it is kept
//! ```
//! Order on disk: file, name, manifest. Who makes a base, and what is in it, is for the saver.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::cut;
use super::log::Log;
use super::manifest::{self, BaseFormat, LogFile, Manifest, Prepared};
use super::scan::{self, Tail, Verdict};
use super::storage::{CrashPoint, DirectoryLock, Opening, Points, Storage, StorageFile};
use super::target::Target;
use crate::limits;

/// The files of a log.
pub(crate) struct Files {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    manifest: Manifest,
    /// Whether the manifest stands on disk.
    is_listed: bool,
    lock: Option<Box<dyn DirectoryLock>>,
    /// An incremental file with nothing in it that the manifest on disk perhaps lists: putting the manifest there has failed.
    in_doubt: Option<LogFile>,
    /// The next incremental file, made before it is needed.
    ready: Option<NextFile>,
    /// Bytes that are filled ahead at the end of an incremental file.
    fill_bytes: u64,
    /// Whether files that nothing needs any more stay (`aof-disable-auto-gc`), when it was last asked.
    keeps_history: bool,
}

/// An incremental file with nothing in it, and the manifest that lists it under another name.
struct NextFile {
    file: LogFile,
    target: Target,
    manifest: Manifest,
    /// None where no manifest is to list it before a base stands.
    prepared: Option<Prepared>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("directory", &self.directory)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Files {
    /// Those in a directory, if there are any. `filename`: what their names begin with.
    ///
    /// # Errors
    /// Those of the storage; `InvalidData` for a manifest that makes no sense.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        directory: &Path,
        filename: &Path,
        shard_count: usize,
    ) -> io::Result<Self> {
        let name = OsString::from(filename.as_os_str());
        let found = match storage.size(directory)? {
            Some(_) => match Manifest::read(&*storage, directory, &name) {
                // A file of that name: no log is there, and who wants one is told when it is claimed.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
                read => read?,
            },
            None => None,
        };
        let is_listed = found.is_some();
        let mut manifest = found.unwrap_or_else(|| Manifest::new(&name));
        manifest.shards = Some(shard_count);
        Ok(Self {
            storage,
            directory: directory.to_owned(),
            manifest,
            is_listed,
            lock: None,
            in_doubt: None,
            ready: None,
            fill_bytes: limits::LOG_FILL_BYTES,
            keeps_history: false,
        })
    }

    /// As many bytes as that are filled ahead at the end of the log, a multiple of 16.
    pub(crate) fn set_fill(&mut self, bytes: u64) {
        self.fill_bytes = bytes;
    }

    /// Makes the directory if it is missing, locks it, and takes over the log of a Redis before 7.
    ///
    /// # Errors
    /// Those of the storage; `WouldBlock` when another server uses the directory.
    pub(crate) fn claim(&mut self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let (storage, directory) = (&*self.storage, self.directory.as_path());
        if storage.size(directory)?.is_none() {
            storage.create_dir(directory)?;
            storage.sync_dir(Path::new(""))?;
        } else {
            // The process before this one may have ended between a rename and this.
            storage.sync_dir(directory)?;
        }
        let lock = storage.lock_dir(directory)?;
        // Who had the lock before may have changed it since it was read.
        if let Some(found) = Manifest::read(storage, directory, &self.manifest.filename)? {
            let shards = self.manifest.shards;
            self.manifest = Manifest { shards, ..found };
            self.is_listed = true;
        }
        self.remove_temporaries()?;
        if !self.is_listed {
            self.keep_unlisted()?;
        }
        let (storage, directory) = (&*self.storage, self.directory.as_path());
        let name = self.manifest.filename.clone();
        if let Some(upgraded) = manifest::upgrade(storage, directory, &name)? {
            let shards = self.manifest.shards;
            let taken = self.manifest.taken;
            self.manifest = Manifest {
                shards,
                taken,
                ..upgraded
            };
            self.is_listed = true;
        }
        // Until here it can be tried again.
        self.lock = Some(lock);
        Ok(())
    }

    /// Removes what processes that were killed had not finished. Nobody else writes here: the directory is locked.
    fn remove_temporaries(&self) -> io::Result<()> {
        for entry in self.storage.list(&self.directory)? {
            let name = entry.name.to_string_lossy();
            let is_base = name.starts_with("temp-rewriteaof-") && name.ends_with(".aof");
            let is_manifest = name.starts_with("temp-") && name.ends_with(".manifest");
            let is_cut = name.ends_with(cut::TEMPORARY);
            if !entry.is_directory && (is_base || is_manifest || is_cut) {
                self.storage.remove(&self.directory.join(&entry.name))?;
            }
        }
        Ok(())
    }

    /// Files of a log without a manifest: it was lost, or a process ended before it had written the first. Nobody can know, so they are
    /// neither read nor written over.
    fn keep_unlisted(&mut self) -> io::Result<()> {
        for entry in self.storage.list(&self.directory)? {
            let path = self.directory.join(&entry.name);
            let Some(sequence) = self.manifest.sequence_of(&entry.name) else {
                continue;
            };
            if entry.bytes == 0 || !has_commands(&*self.storage, &path)? {
                continue;
            }
            warn!(
                "{}: there is no manifest that lists it, so it is not read, and it is kept. If the manifest was lost, end the server and put \
                 it back from a backup",
                path.display()
            );
            self.manifest.taken = self.manifest.taken.max(sequence);
        }
        Ok(())
    }

    /// Whether there is a log.
    pub(crate) fn is_there(&self) -> bool {
        self.is_listed
    }

    /// Base and incremental files, in the order in which they are read.
    pub(crate) fn to_load(&self) -> Vec<LogFile> {
        self.manifest.files().cloned().collect()
    }

    /// Whether a file of [`Files::to_load`] is the base.
    pub(crate) fn is_base(&self, file: &LogFile) -> bool {
        self.manifest.base.as_ref() == Some(file)
    }

    /// The path of a file for [`Storage`].
    pub(crate) fn path(&self, file: &LogFile) -> PathBuf {
        self.directory.join(&file.name)
    }

    /// Where a base is written before it has its name.
    pub(crate) fn temporary(&self) -> PathBuf {
        let name = format!("temp-rewriteaof-{}.aof", std::process::id());
        self.directory.join(name)
    }

    /// Where they are.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Bytes of all files but the last.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn earlier_bytes(&self) -> io::Result<u64> {
        let mut files: Vec<&LogFile> = self.manifest.files().collect();
        if !self.manifest.incrementals.is_empty() {
            files.pop();
        }
        let sizes = files.into_iter().map(|file| {
            let size = self.storage.size(&self.path(file))?;
            Ok(size.unwrap_or(0))
        });
        sizes.sum()
    }

    /// Bytes of the base, 0 where there is none.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn base_bytes(&self) -> io::Result<u64> {
        let base = self.manifest.base.as_ref();
        let size = base.map(|base| self.storage.size(&self.path(base)));
        Ok(size.transpose()?.flatten().unwrap_or(0))
    }

    /// Cuts a file at what counts; what Redis needs at its end is put there. Gives where the next part begins.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn cut(&self, file: &LogFile, verdict: &Verdict) -> io::Result<u64> {
        let (storage, path) = (&*self.storage, self.path(file));
        if verdict.tail == Tail::Clean {
            // Nothing but fill.
            cut::end(storage, &path, verdict)?;
        } else if let Some(kept) = cut::cut(storage, &path, verdict)? {
            warn!("What is cut off is kept in {}", kept.display());
        }
        Ok(verdict.valid_bytes + verdict.seal.len() as u64)
    }

    /// Goes on with the last incremental file, from `start`, which is its end.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn resume(&mut self, log: &Log, start: u64) -> io::Result<()> {
        let Some(last) = self.manifest.incrementals.last() else {
            return self.next(log);
        };
        let file = self
            .storage
            .open_write(&self.path(last), Opening::Existing)?;
        log.begin_file(self.target(file, start)?);
        Ok(())
    }

    fn target(&self, file: Box<dyn StorageFile>, start: u64) -> io::Result<Target> {
        let points = Points::of(&self.storage);
        Target::begin(file, points, start, salt(), self.fill_bytes)
    }

    /// Begins the next incremental file, behind the cut of the log. What lies before the cut is on disk first.
    ///
    /// # Errors
    /// Those of the storage. What was appended stays in memory, and it can be tried again.
    pub(crate) fn next(&mut self, log: &Log) -> io::Result<()> {
        if self.is_listed {
            log.finish_file()?;
        } else {
            // There is none, or it is not to be trusted any more: the base that follows has all.
            log.abandon_file();
        }
        let mut ready = match self.ready.take() {
            Some(ready) => ready,
            None => self.make_next()?,
        };
        if self.is_listed {
            let (storage, directory) = (&*self.storage, &self.directory);
            let prepared = match ready.prepared.take() {
                Some(prepared) => prepared,
                None => ready.manifest.prepare(storage, directory)?,
            };
            if let Err(error) = prepared.put(storage) {
                // Perhaps it is listed: it stays as it is, and the next attempt has it.
                self.in_doubt = Some(ready.file.clone());
                self.ready = Some(ready);
                return Err(error);
            }
        }
        self.in_doubt = None;
        self.manifest = ready.manifest;
        log.begin_file(ready.target);
        Ok(())
    }

    /// Makes the next incremental file before there is a cut: behind one nothing can be written until it is there.
    ///
    /// # Errors
    /// Those of the storage. Nothing has changed.
    pub(crate) fn prepare_next(&mut self) -> io::Result<()> {
        if self.in_doubt.is_some() && self.ready.is_some() {
            // It is begun, and perhaps listed: to begin it anew would leave an empty one for a moment.
            return Ok(());
        }
        self.ready = None;
        let made = self.make_next();
        if made.is_err() && self.in_doubt.is_none() {
            // Perhaps it takes room on a full disk. It may not be there.
            let _ = self
                .storage
                .remove(&self.path(&self.manifest.next_incremental()));
        }
        self.ready = Some(made?);
        Ok(())
    }

    fn make_next(&self) -> io::Result<NextFile> {
        let storage = &*self.storage;
        let file = self.manifest.next_incremental();
        let opened = storage.open_write(&self.path(&file), Opening::Emptied)?;
        let target = self.target(opened, 0)?;
        storage.sync_dir(&self.directory)?;
        storage.reach(CrashPoint::AfterIncrementalCreated)?;
        let manifest = self.manifest.with_new_incremental();
        let prepared = (self.is_listed).then(|| manifest.prepare(storage, &self.directory));
        Ok(NextFile {
            file,
            target,
            manifest,
            prepared: prepared.transpose()?,
        })
    }

    /// The base that was written to [`Files::temporary`] and synced takes the place of all files before it, which are history.
    /// `goes_on`: the last incremental file is what comes after it; else the log is off, and it has all.
    ///
    /// # Errors
    /// Those of the storage. Until the manifest is written the old files count.
    pub(crate) fn install_base(&mut self, format: BaseFormat, goes_on: bool) -> io::Result<()> {
        let storage = &*self.storage;
        let base = self.manifest.next_base(format);
        storage.reach(CrashPoint::BeforeBaseRename)?;
        storage.rename(&self.temporary(), &self.path(&base))?;
        storage.sync_dir(&self.directory)?;
        storage.reach(CrashPoint::AfterBaseRename)?;
        let last = self.manifest.incrementals.last().filter(|_| goes_on);
        let covered_below = last.map_or(u64::MAX, |last| last.sequence);
        let manifest = self.manifest.with_new_base(format, covered_below);
        let prepared = match manifest.prepare(storage, &self.directory) {
            Ok(prepared) => prepared,
            Err(error) => {
                // It takes room, and the next one is another. It may be gone.
                let _ = storage.remove(&self.path(&base));
                return Err(error);
            }
        };
        if let Err(error) = prepared.put(storage) {
            // Perhaps it stands all the same: this base must not be written over by the next.
            self.manifest.history.push(base);
            return Err(error);
        }
        self.manifest = manifest;
        self.is_listed = true;
        Ok(())
    }

    /// Deletes what nothing needs any more, unless it is to be kept. What cannot be deleted is tried again after the next rewrite: the log
    /// is whole with it.
    pub(crate) fn delete_history(&mut self, keeps: bool) {
        self.keeps_history = keeps;
        if keeps {
            return;
        }
        if let Err(error) = self.try_to_delete_history() {
            warn!("An old file of the log cannot be deleted: {error}");
        }
    }

    /// Deletes what was kept, once it is not to be kept any more.
    pub(crate) fn follow_history(&mut self, keeps: bool) {
        // Without the lock, or while the manifest on disk is another, nothing may be written. It comes later.
        if self.keeps_history != keeps && self.lock.is_some() && self.is_listed {
            self.delete_history(keeps);
        }
    }

    fn try_to_delete_history(&mut self) -> io::Result<()> {
        if self.manifest.history.is_empty() {
            return Ok(());
        }
        let storage = &*self.storage;
        storage.reach(CrashPoint::BeforeDeleteHistory)?;
        // Bases last: who finds the files without their manifest sees from two bases that not all of them count.
        let mut history: Vec<&LogFile> = self.manifest.history.iter().collect();
        history.sort_by_key(|file| manifest::parts_of(&file.name).is_some_and(|parts| parts.2));
        for file in history {
            match storage.remove(&self.path(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => storage.reach(CrashPoint::DuringDeleteHistory)?,
            }
        }
        storage.reach(CrashPoint::AfterDeleteHistory)?;
        self.ready = None;
        let manifest = self.manifest.without_history();
        manifest.write(storage, &self.directory)?;
        self.manifest = manifest;
        Ok(())
    }

    /// The next file begins a new log, which counts from its base on: there was none, or it was switched off, or a sync of it has
    /// failed. Until the base stands the manifest on disk stays as it is.
    pub(crate) fn begin_anew(&mut self) {
        self.is_listed = false;
        self.ready = None;
        // What has nothing to do with the old log must not get a name that is perhaps in it.
        self.manifest.history.extend(self.in_doubt.take());
    }
}

/// Whether there is something in a file of a log.
///
/// # Errors
/// Those of the storage.
pub(crate) fn has_commands(storage: &dyn Storage, path: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    storage.open_read(path)?.take(5).read_to_end(&mut first)?;
    if scan::is_snapshot(&first) {
        return Ok(true);
    }
    let verdict = scan::verify(storage.open_read(path)?, 0)?;
    Ok(verdict.commands > 0 || verdict.tail != Tail::Clean)
}

/// A number that no other file has, and nobody can guess.
pub(super) fn salt() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}
