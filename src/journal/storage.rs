//! A directory as the journal needs it: files, names, and a promise about what survives.
//!
//! ```text
//!                    written            synced
//! bytes of a file    write_at           sync_data
//! names              create, rename …   sync_dir of the directory they are in
//! ```
//! What is written survives the end of the process, what is synced that of the machine. [`disk`] is the real one, [`memory`]
//! one that loses what was not synced and fails on demand.
//!
//! Paths are relative to one base directory. Nothing here retries: an interrupted or short call is the caller's.

pub mod disk;
pub mod memory;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It must not exist.
    New,
    /// It is created, or emptied when it exists.
    Emptied,
    /// It must exist and keeps its bytes.
    Existing,
}

/// A file open for reading.
pub trait ReadSeek: io::Read + io::Seek + Send {}

impl<T: io::Read + io::Seek + Send> ReadSeek for T {}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the directory.
    pub name: OsString,
    /// Whether it is a directory itself.
    pub is_directory: bool,
    /// Bytes of a file.
    pub bytes: u64,
}

/// A lock on a directory, given back when it is dropped.
pub trait DirectoryLock: Send + Sync + std::fmt::Debug {}

/// Files under one directory. See the module's head.
pub trait Storage: Send + Sync {
    /// Opens a file for writing.
    ///
    /// # Errors
    /// Those of the system; `AlreadyExists` and `NotFound` as `how` says.
    fn open_write(&self, path: &Path, how: Opening) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file for reading from its beginning.
    ///
    /// # Errors
    /// Those of the system.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Bytes of a file, or `None` when nothing has this name. A directory has 0.
    ///
    /// # Errors
    /// Those of the system, except that it does not exist.
    fn size(&self, path: &Path) -> io::Result<Option<u64>>;

    /// What is in a directory, by name. The base directory is the empty path.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>>;

    /// Makes a directory; one that is there is no error.
    ///
    /// # Errors
    /// Those of the system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive the machine. The base directory is the empty path.
    ///
    /// # Errors
    /// Those of the system. After one the names may or may not survive.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;

    /// Takes the lock of a directory, which only one process at a time has.
    ///
    /// # Errors
    /// `WouldBlock` when another has it, with a sentence that names the directory and the process; else those of the system.
    fn lock_dir(&self, directory: &Path) -> io::Result<Box<dyn DirectoryLock>>;

    /// Called at each named point. A test, or a script that sets `MILLRACE_CRASH_AT`, lets the process end here.
    ///
    /// # Errors
    /// The simulated machine is off.
    fn reach(&self, point: CrashPoint) -> io::Result<()>;

    /// Whether [`Storage::reach`] does anything, at whatever point.
    fn minds_points(&self) -> bool;
}

/// The named points for who comes by them very often: one branch where nobody minds.
#[derive(Clone, Default)]
pub(crate) struct Points(Option<Arc<dyn Storage>>);

impl Points {
    /// Those of a storage.
    pub(crate) fn of(storage: &Arc<dyn Storage>) -> Self {
        Self(storage.minds_points().then(|| Arc::clone(storage)))
    }

    /// As [`Storage::reach`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub(crate) fn reach(&self, point: CrashPoint) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(storage) => storage.reach(point),
        }
    }
}

/// A file open for writing.
#[allow(clippy::len_without_is_empty, reason = "a size, not a collection")]
pub trait StorageFile: Send + Sync {
    /// Writes at an offset and says how many bytes it took, which may be fewer. A gap before the offset reads as zeros.
    ///
    /// # Errors
    /// Those of the system; after one, any of the bytes may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes all bytes written before survive the machine, with as much of the size as is needed to read them.
    ///
    /// # Errors
    /// Those of the system. After one, what was written since the last success may be lost even if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// Those of the system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Its size, bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn len(&self) -> io::Result<u64>;
}

/// Writes all of it, however many calls it takes; goes on when interrupted.
///
/// # Errors
/// Those of the system; `WriteZero` when a call takes nothing.
pub fn write_all_at(file: &dyn StorageFile, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(offset, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                offset += count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A moment at which a crash is worth a test, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrashPoint {
    /// The temporary manifest is written and synced.
    BeforeManifestRename,
    /// The manifest has its name, the directory is not synced.
    AfterManifestRename,
    /// The manifest survives the machine.
    AfterManifestSync,
    /// A new incremental file is there and synced, but not in the manifest.
    AfterIncrementalCreated,
    /// Commands are in the log's file, their replies not sent.
    AfterLogWrite,
    /// The log is about to be synced.
    BeforeLogSync,
    /// The log is synced, those who wait for it do not know yet.
    AfterLogSync,
    /// The log's file has been lengthened ahead of what is written.
    AfterLogFill,
    /// A snapshot's cut is made: epoch, position, new incremental file.
    AfterCut,
    /// A snapshot is half written.
    DuringSnapshot,
    /// A snapshot is written and synced under its temporary name.
    BeforeSnapshotRename,
    /// It has its name, the directory is not synced.
    AfterSnapshotRename,
    /// A new base is written and synced under its temporary name.
    BeforeBaseRename,
    /// It has its name and is not in the manifest.
    AfterBaseRename,
    /// The manifest lists files as history, all are there.
    BeforeDeleteHistory,
    /// The first of them is gone.
    DuringDeleteHistory,
    /// All are gone, the manifest still lists them.
    AfterDeleteHistory,
    /// A log of one file is listed in a new manifest and not yet moved.
    BeforeUpgradeRename,
    /// It is moved, the directories are not synced.
    AfterUpgradeRename,
    /// Recovery knows that it has to cut a tail.
    BeforeTailCut,
    /// It is cut.
    AfterTailCut,
    /// Everything is loaded, nobody is served.
    AfterReplay,
    /// Shutdown has ended the connections, the log is not synced.
    BeforeLastSync,
    /// It is synced, files are still open.
    AfterLastSync,
}

impl CrashPoint {
    /// All of them.
    pub const ALL: [CrashPoint; 24] = [
        CrashPoint::BeforeManifestRename,
        CrashPoint::AfterManifestRename,
        CrashPoint::AfterManifestSync,
        CrashPoint::AfterIncrementalCreated,
        CrashPoint::AfterLogWrite,
        CrashPoint::BeforeLogSync,
        CrashPoint::AfterLogSync,
        CrashPoint::AfterLogFill,
        CrashPoint::AfterCut,
        CrashPoint::DuringSnapshot,
        CrashPoint::BeforeSnapshotRename,
        CrashPoint::AfterSnapshotRename,
        CrashPoint::BeforeBaseRename,
        CrashPoint::AfterBaseRename,
        CrashPoint::BeforeDeleteHistory,
        CrashPoint::DuringDeleteHistory,
        CrashPoint::AfterDeleteHistory,
        CrashPoint::BeforeUpgradeRename,
        CrashPoint::AfterUpgradeRename,
        CrashPoint::BeforeTailCut,
        CrashPoint::AfterTailCut,
        CrashPoint::AfterReplay,
        CrashPoint::BeforeLastSync,
        CrashPoint::AfterLastSync,
    ];

    /// Its name in `MILLRACE_CRASH_AT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CrashPoint::BeforeManifestRename => "before-manifest-rename",
            CrashPoint::AfterManifestRename => "after-manifest-rename",
            CrashPoint::AfterManifestSync => "after-manifest-sync",
            CrashPoint::AfterIncrementalCreated => "after-incremental-created",
            CrashPoint::AfterLogWrite => "after-log-write",
            CrashPoint::BeforeLogSync => "before-log-sync",
            CrashPoint::AfterLogSync => "after-log-sync",
            CrashPoint::AfterLogFill => "after-log-fill",
            CrashPoint::AfterCut => "after-cut",
            CrashPoint::DuringSnapshot => "during-snapshot",
            CrashPoint::BeforeSnapshotRename => "before-snapshot-rename",
            CrashPoint::AfterSnapshotRename => "after-snapshot-rename",
            CrashPoint::BeforeBaseRename => "before-base-rename",
            CrashPoint::AfterBaseRename => "after-base-rename",
            CrashPoint::BeforeDeleteHistory => "before-delete-history",
            CrashPoint::DuringDeleteHistory => "during-delete-history",
            CrashPoint::AfterDeleteHistory => "after-delete-history",
            CrashPoint::BeforeUpgradeRename => "before-upgrade-rename",
            CrashPoint::AfterUpgradeRename => "after-upgrade-rename",
            CrashPoint::BeforeTailCut => "before-tail-cut",
            CrashPoint::AfterTailCut => "after-tail-cut",
            CrashPoint::AfterReplay => "after-replay",
            CrashPoint::BeforeLastSync => "before-last-sync",
            CrashPoint::AfterLastSync => "after-last-sync",
        }
    }

    /// The point of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<CrashPoint> {
        CrashPoint::ALL
            .into_iter()
            .find(|point| point.name() == name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_point_is_found_by_its_name() {
        for point in CrashPoint::ALL {
            assert_eq!(CrashPoint::named(point.name()), Some(point));
        }
        assert_eq!(CrashPoint::named("before-lunch"), None);
    }
}
