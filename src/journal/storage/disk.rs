//! The real directory.
//!
//! `MILLRACE_CRASH_AT=<point>[:n]` kills this process with SIGKILL when it reaches the point for the n-th time (the first, if
//! not said), so that a script can crash a real server at every one of them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, getpid, kill_process};

use super::{CrashPoint, DirectoryLock, Entry, Opening, ReadSeek, Storage, StorageFile};

/// A directory of the file system.
#[derive(Debug)]
pub struct DiskStorage {
    base: PathBuf,
    crash_at: Option<CrashPoint>,
    /// How often that point may still be passed.
    passes_left: AtomicU64,
}

impl DiskStorage {
    /// The directory `base`, which must exist before anything is opened in it.
    ///
    /// # Errors
    /// `InvalidInput` when the environment names a crash point that does not exist: a script must not believe that it tested it.
    pub fn new(base: impl Into<PathBuf>) -> io::Result<Self> {
        let setting = std::env::var("MILLRACE_CRASH_AT").ok();
        let crash_at = setting.as_deref().map(crash_setting).transpose()?;
        Ok(Self {
            base: base.into(),
            crash_at: crash_at.map(|(point, _)| point),
            passes_left: AtomicU64::new(crash_at.map_or(0, |(_, nth)| nth - 1)),
        })
    }

    /// The path of the base directory.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// `Path::join` with nothing gives a path that ends in a slash.
    fn at(&self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() {
            self.base.clone()
        } else {
            self.base.join(path)
        }
    }
}

/// Point and count of `point[:n]`.
fn crash_setting(setting: &str) -> io::Result<(CrashPoint, u64)> {
    let (name, nth) = setting.split_once(':').unwrap_or((setting, "1"));
    let nth = nth.parse().ok().filter(|nth| *nth > 0);
    CrashPoint::named(name).zip(nth).ok_or_else(|| {
        let known: Vec<&str> = CrashPoint::ALL.into_iter().map(CrashPoint::name).collect();
        let text = format!(
            "MILLRACE_CRASH_AT={setting}: not one of {}, with :n for the n-th time",
            known.join(", ")
        );
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// A file of the file system.
struct DiskFile(File);

impl StorageFile for DiskFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        // Not `File::sync_data`, which goes on when interrupted: the caller counts its calls.
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// An open directory with a lock on it, which ends when the directory is closed.
#[derive(Debug)]
struct DiskLock {
    _directory: File,
}

impl DirectoryLock for DiskLock {}

impl Storage for DiskStorage {
    fn open_write(&self, path: &Path, how: Opening) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.write(true);
        match how {
            Opening::New => options.create_new(true),
            Opening::Emptied => options.create(true).truncate(true),
            Opening::Existing => &mut options,
        };
        Ok(Box::new(DiskFile(options.open(self.at(path))?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(File::open(self.at(path))?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(self.at(path)) {
            Ok(found) if found.is_dir() => Ok(Some(0)),
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in fs::read_dir(self.at(directory))? {
            let found = found?;
            let about = match found.metadata() {
                Ok(about) => about,
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry {
                name: found.file_name(),
                is_directory: about.is_dir(),
                bytes: if about.is_dir() { 0 } else { about.len() },
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(self.at(path)) {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && self.at(path).is_dir() =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        File::open(self.at(directory))?.sync_all()
    }

    fn lock_dir(&self, directory: &Path) -> io::Result<Box<dyn DirectoryLock>> {
        let path = self.at(directory);
        let opened = File::open(&path)?;
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Box::new(DiskLock { _directory: opened })),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = holder(&opened)
                    .map_or_else(String::new, |process| format!(" (process {process})"));
                let text = format!(
                    "another server{holder} has its log in {}; stop it, or set another dir or appenddirname",
                    path.display()
                );
                Err(io::Error::new(io::ErrorKind::WouldBlock, text))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn minds_points(&self) -> bool {
        self.crash_at.is_some()
    }

    fn reach(&self, point: CrashPoint) -> io::Result<()> {
        if self.crash_at != Some(point) {
            return Ok(());
        }
        let passes = &self.passes_left;
        let passed = passes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        if passed.is_err() {
            kill_process(getpid(), Signal::KILL)?;
        }
        Ok(())
    }
}

/// The process that has the lock of an open directory, as far as the system says it.
///
/// A line of /proc/locks: `1: FLOCK  ADVISORY  WRITE 4711 00:2a:1234 0 EOF`.
fn holder(directory: &File) -> Option<u32> {
    let inode = directory.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let mut lines = locks.lines().map(str::split_whitespace);
    let process = lines.find_map(|mut words| {
        let is_flock = words.nth(1) == Some("FLOCK");
        let process = words.nth(2)?;
        let is_here = words.next()?.rsplit(':').next() == Some(&inode);
        (is_flock && is_here).then_some(process)
    })?;
    process.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::{Read, Seek, SeekFrom};

    use super::super::write_all_at;
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_listed() {
        let directory = tempfile::tempdir().unwrap();
        let storage = DiskStorage::new(directory.path()).unwrap();
        storage.create_dir(Path::new("d")).unwrap();
        storage.create_dir(Path::new("d")).unwrap();
        let path = Path::new("d/a");
        let file = storage.open_write(path, Opening::New).unwrap();
        write_all_at(&*file, 2, b"xyz").unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 5);
        file.set_len(4).unwrap();
        let again = storage.open_write(path, Opening::New);
        assert_eq!(again.err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        storage.rename(path, Path::new("d/b")).unwrap();
        storage.sync_dir(Path::new("d")).unwrap();
        storage.sync_dir(Path::new("")).unwrap();
        let mut read = storage.open_read(Path::new("d/b")).unwrap();
        read.seek(SeekFrom::Start(1)).unwrap();
        let mut bytes = Vec::new();
        read.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"\0xy");
        let names: Vec<(OsStringLike, bool, u64)> = storage
            .list(Path::new("d"))
            .unwrap()
            .into_iter()
            .map(|entry| (entry.name, entry.is_directory, entry.bytes))
            .collect();
        assert_eq!(names, [("b".into(), false, 4)]);
        assert_eq!(storage.size(path).unwrap(), None);
        storage.remove(Path::new("d/b")).unwrap();
        assert_eq!(storage.size(Path::new("d/b")).unwrap(), None);
    }

    type OsStringLike = std::ffi::OsString;

    #[test]
    fn a_directory_is_locked_once_and_the_refusal_says_by_whom() {
        let directory = tempfile::tempdir().unwrap();
        let storage = DiskStorage::new(directory.path()).unwrap();
        let lock = storage.lock_dir(Path::new("")).unwrap();
        let refused = storage.lock_dir(Path::new("")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        let text = refused.to_string();
        assert!(
            text.contains(&directory.path().display().to_string()),
            "{text}"
        );
        drop(lock);
        storage.lock_dir(Path::new("")).unwrap();
    }

    #[test]
    fn a_crash_setting_is_a_point_and_a_count() {
        assert_eq!(
            crash_setting("after-cut").unwrap(),
            (CrashPoint::AfterCut, 1)
        );
        assert_eq!(
            crash_setting("after-cut:3").unwrap(),
            (CrashPoint::AfterCut, 3)
        );
        for wrong in ["", "after", "after-cut:", "after-cut:0", "after-cut:x"] {
            assert!(
                crash_setting(wrong)
                    .unwrap_err()
                    .to_string()
                    .contains("after-cut")
            );
        }
    }
}
