//! The disk of a simulation as the saver and the log see it: any call may be the last, others work between the calls.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use millrace::journal::storage::memory::MemoryStorage;
use millrace::journal::storage::{
    CrashPoint, DirectoryLock, Entry, Opening, ReadSeek, Storage, StorageFile,
};
use millrace::server::stepped::Surroundings;

use super::disk::let_others_work;
use super::*;

/// A disk that stops at some call, and lets the others work between calls of the saver.
#[derive(Clone)]
pub(crate) struct SteppedStorage {
    pub(crate) disk: MemoryStorage,
    /// Calls that are still answered.
    pub(crate) calls_left: Arc<AtomicI64>,
    /// Writes to the log and syncs of it that have failed.
    pub(crate) failures: Arc<AtomicU64>,
}

impl SteppedStorage {
    pub(crate) fn new(disk: MemoryStorage, calls_left: i64) -> Self {
        let calls_left = Arc::new(AtomicI64::new(calls_left));
        Self {
            disk,
            calls_left,
            failures: Arc::default(),
        }
    }

    /// A call, which may be the last: by its number it is done or not.
    fn call<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let left = self.calls_left.fetch_sub(1, Ordering::Relaxed);
        if left == 1 {
            self.disk.switch_off();
        }
        let result = call();
        if left == 0 {
            self.disk.switch_off();
        }
        let error = result.as_ref().err();
        seeds::tell(|| match error {
            None => format!("  {what}"),
            Some(error) => format!("  {what}: {error}"),
        });
        result
    }

    fn turn<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let_others_work(3);
        self.call(what, call)
    }
}

impl Storage for SteppedStorage {
    fn open_write(&self, path: &Path, how: Opening) -> io::Result<Box<dyn StorageFile>> {
        let file = self.turn(format_args!("open {} {how:?}", path.display()), || {
            self.disk.open_write(path, how)
        })?;
        let storage = self.clone();
        let name = path.display().to_string();
        Ok(Box::new(SteppedFile {
            storage,
            name,
            file,
        }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        self.turn(format_args!("read {}", path.display()), || {
            self.disk.open_read(path)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = format_args!("rename {} {}", from.display(), to.display());
        self.turn(what, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.turn(format_args!("remove {}", path.display()), || {
            self.disk.remove(path)
        })
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        self.turn(format_args!("size {}", path.display()), || {
            self.disk.size(path)
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.turn(format_args!("list {}", directory.display()), || {
            self.disk.list(directory)
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.turn(format_args!("create_dir {}", path.display()), || {
            self.disk.create_dir(path)
        })
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.turn(format_args!("sync_dir {}", directory.display()), || {
            self.disk.sync_dir(directory)
        })
    }

    fn lock_dir(&self, directory: &Path) -> io::Result<Box<dyn DirectoryLock>> {
        self.turn(format_args!("lock_dir {}", directory.display()), || {
            self.disk.lock_dir(directory)
        })
    }

    fn reach(&self, point: CrashPoint) -> io::Result<()> {
        // There a lock of the log is held.
        if !matches!(point, CrashPoint::AfterLogWrite | CrashPoint::AfterLogFill) {
            let_others_work(3);
        }
        seeds::tell(|| format!("  {point:?}"));
        self.disk.reach(point)
    }

    fn minds_points(&self) -> bool {
        true
    }
}

struct SteppedFile {
    storage: SteppedStorage,
    name: String,
    file: Box<dyn StorageFile>,
}

impl SteppedFile {
    fn call<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let result = self.storage.call(what, call);
        if result.is_err() && self.name.contains(".incr.") {
            self.storage.failures.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

impl StorageFile for SteppedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let what = format_args!("write {} {offset} +{}", self.name, bytes.len());
        self.call(what, || self.file.write_at(offset, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        let what = format_args!("sync {}", self.name);
        self.call(what, || self.file.sync_data())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let what = format_args!("cut {} at {bytes}", self.name);
        self.call(what, || self.file.set_len(bytes))
    }

    fn len(&self) -> io::Result<u64> {
        let what = format_args!("length {}", self.name);
        self.call(what, || self.file.len())
    }
}

/// The saver's surroundings: one disk, the clock of the simulation, the others.
pub(crate) struct Around {
    pub(crate) storage: SteppedStorage,
    pub(crate) clock: Arc<SimulatedClock>,
}

impl Surroundings for Around {
    fn storage(&self, _: &Path) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.storage.clone()))
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn patience(&self) -> Duration {
        let_others_work(20);
        Duration::ZERO
    }
}
