//! A directory in memory that knows what would survive, and fails on demand: the same seed, the same losses.
//!
//! ```text
//! file    durable bytes   + writes since the last sync, in order      ─► what a reader sees
//! names   durable names   + creates, renames, removes since sync_dir  ─► what a reader sees
//!
//! kill()       the process ends: everything written stays, and is still not synced
//! crash(seed)  the machine ends: of the writes since the last sync any 512-byte sectors survive, with or without the size they
//!              gave the file; of the names of each directory the first so many changes
//! ```
//! As on Linux, a failed sync forgets which bytes it had to write: a part of them survives, and a later sync that succeeds says nothing
//! about the rest. Syncing a file does not sync its name.
//!
//! One simplification: a file moved between directories disappears from the old one only when it survives in the new one. File
//! systems that lose it altogether do not exist outside of the wording of the standard.

mod faults;
mod loss;
mod names;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use faults::{Call, Fault};
use faults::{Cut, Faults};
use loss::{Change, Contents};
use names::Names;

use super::{CrashPoint, DirectoryLock, Entry, Opening, ReadSeek, Storage, StorageFile};

/// A directory in memory. Clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<FileId, Contents>,
    next_file: u64,
    names: Names,
    locked: Vec<PathBuf>,
    faults: Faults,
    /// Bytes that fit in all files together.
    capacity: Option<u64>,
    /// Where it stops: the point, and how often it is still passed.
    stop_at: Option<(CrashPoint, u64)>,
    reached: Vec<CrashPoint>,
    is_off: bool,
}

/// Which file a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId(u64);

impl MemoryStorage {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state when a call of a kind may go on: the machine is on and no fault is due.
    fn called(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.expect_on()?;
        match state.faults.next(call) {
            None | Some(Cut::After(_)) => Ok(state),
            Some(Cut::Error(error)) => Err(error),
        }
    }

    /// The directory as the next process finds it after this one was killed: all that was written, synced or not. Locks are free,
    /// no fault is planned.
    #[must_use]
    pub fn kill(&self) -> MemoryStorage {
        let mut state = self.state().clone();
        state.begin_again();
        MemoryStorage {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The directory after the machine lost its power: see the module's head. This one stays as it is, so that one moment can be
    /// tried with many seeds.
    #[must_use]
    pub fn crash(&self, seed: u64) -> MemoryStorage {
        let mut state = self.state().clone();
        let mut random = loss::Random::new(seed);
        state.names.lose(&mut random);
        let kept = state.names.files();
        state.files.retain(|file, _| kept.contains(file));
        for contents in state.files.values_mut() {
            contents.lose(&mut random);
        }
        state.begin_again();
        MemoryStorage {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Plans a fault for the `nth` call of a kind from now on, 1 being the next.
    pub fn plan(&self, call: Call, nth: u64, fault: Fault) {
        self.state().faults.plan(call, nth, fault);
    }

    /// Calls of a kind so far.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.state().faults.calls(call)
    }

    /// How many bytes fit, all files together; a write that does not fit is short, or fails with "No space left on device".
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Switches the machine off when it reaches a point for the `nth` time from now on: all calls fail from then on.
    pub fn stop_at(&self, point: CrashPoint, nth: u64) {
        self.state().stop_at = Some((point, nth));
    }

    /// Switches the machine off now.
    pub fn switch_off(&self) {
        self.state().is_off = true;
    }

    /// Whether it is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// The points reached so far.
    #[must_use]
    pub fn reached(&self) -> Vec<CrashPoint> {
        self.state().reached.clone()
    }

    /// The bytes of a file as a reader sees them, for tests.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.names.file(path)?;
        Some(state.files.get(&file)?.current.clone())
    }

    /// Puts a file there, synced with its name, for tests.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.new_file();
        state.files.insert(file, Contents::synced(bytes));
        state.names.put(path, file);
    }
}

impl State {
    fn expect_on(&self) -> io::Result<()> {
        if self.is_off {
            return Err(io::Error::other("the simulated machine is off"));
        }
        Ok(())
    }

    fn begin_again(&mut self) {
        self.locked.clear();
        self.faults = Faults::default();
        self.capacity = None;
        self.stop_at = None;
        self.reached.clear();
        self.is_off = false;
    }

    fn new_file(&mut self) -> FileId {
        self.next_file += 1;
        FileId(self.next_file)
    }

    fn bytes_in_use(&self) -> u64 {
        let named = self.names.files();
        let sizes = self.files.iter().filter(|(file, _)| named.contains(file));
        sizes
            .map(|(_, contents)| contents.current.len() as u64)
            .sum()
    }

    fn contents(&mut self, file: FileId) -> io::Result<&mut Contents> {
        self.files
            .get_mut(&file)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A file open for writing.
struct MemoryFile {
    storage: MemoryStorage,
    file: FileId,
}

impl StorageFile for MemoryFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.storage.state();
        state.expect_on()?;
        let mut count = match state.faults.next(Call::Write) {
            None => bytes.len(),
            Some(Cut::After(most)) => bytes.len().min(most),
            Some(Cut::Error(error)) => return Err(error),
        };
        if let Some(capacity) = state.capacity {
            let room = capacity.saturating_sub(state.bytes_in_use());
            let size = state.contents(self.file)?.current.len() as u64;
            let fits = usize::try_from((size + room).saturating_sub(offset)).unwrap_or(usize::MAX);
            count = count.min(fits);
            if count == 0 && !bytes.is_empty() {
                return Err(io::Error::from_raw_os_error(
                    rustix::io::Errno::NOSPC.raw_os_error(),
                ));
            }
        }
        let bytes = bytes.get(..count).unwrap_or_default().to_vec();
        let contents = state.contents(self.file)?;
        contents.change(Change::Write { offset, bytes });
        Ok(count)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.storage.state();
        state.expect_on()?;
        let fault = state.faults.next(Call::SyncData);
        let seed = state.faults.calls(Call::SyncData);
        let contents = state.contents(self.file)?;
        match fault {
            None | Some(Cut::After(_)) => contents.sync(),
            // Interrupted before it began.
            Some(Cut::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {
                return Err(error);
            }
            Some(Cut::Error(error)) => {
                contents.fail_to_sync(&mut loss::Random::new(seed));
                return Err(error);
            }
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.storage.called(Call::SetLen)?;
        let contents = state.contents(self.file)?;
        contents.change(Change::SetLen(bytes));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.storage.state();
        state.expect_on()?;
        Ok(state.contents(self.file)?.current.len() as u64)
    }
}

/// A file open for reading: it sees what is written meanwhile.
struct MemoryReader {
    storage: MemoryStorage,
    file: FileId,
    position: u64,
}

impl Read for MemoryReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.storage.state();
        state.expect_on()?;
        let most = match state.faults.next(Call::Read) {
            None => buffer.len(),
            Some(Cut::After(most)) => buffer.len().min(most.max(1)),
            Some(Cut::Error(error)) => return Err(error),
        };
        let contents = state.contents(self.file)?;
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        let rest = contents.current.get(start..).unwrap_or_default();
        let count = most.min(rest.len());
        let (into, from) = (buffer.get_mut(..count), rest.get(..count));
        if let (Some(into), Some(from)) = (into, from) {
            into.copy_from_slice(from);
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for MemoryReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.storage.state().contents(self.file)?.current.len() as u64;
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => end.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A lock, given back on drop.
#[derive(Debug)]
struct MemoryLock {
    storage: MemoryStorage,
    directory: PathBuf,
}

impl DirectoryLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let locked = &mut self.storage.state().locked;
        locked.retain(|directory| *directory != self.directory);
    }
}

impl Storage for MemoryStorage {
    fn open_write(&self, path: &Path, how: Opening) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.called(Call::Open)?;
        let existing = state.names.file(path);
        let file = match (existing, how) {
            (Some(_), Opening::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Opening::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), _) => file,
            (None, _) => {
                let file = state.new_file();
                state.names.create(path, file)?;
                state.files.insert(file, Contents::default());
                file
            }
        };
        if how == Opening::Emptied && existing.is_some() {
            state.contents(file)?.change(Change::SetLen(0));
        }
        Ok(Box::new(MemoryFile {
            storage: self.clone(),
            file,
        }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        let state = self.called(Call::Open)?;
        let file = state.names.file(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryReader {
            storage: self.clone(),
            file,
            position: 0,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.called(Call::Rename)?.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.called(Call::Remove)?.names.remove(path)
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut state = self.called(Call::Look)?;
        match state.names.file(path) {
            Some(file) => Ok(Some(state.contents(file)?.current.len() as u64)),
            None => Ok(state.names.is_directory(path).then_some(0)),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.called(Call::Look)?;
        let mut entries = state.names.list(directory)?;
        for entry in &mut entries {
            if let Some(file) = state.names.file(&directory.join(&entry.name)) {
                entry.bytes = state.contents(file)?.current.len() as u64;
            }
        }
        Ok(entries)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.called(Call::CreateDir)?.names.create_directory(path)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        self.called(Call::SyncDir)?.names.sync(directory)
    }

    fn lock_dir(&self, directory: &Path) -> io::Result<Box<dyn DirectoryLock>> {
        let mut state = self.called(Call::Lock)?;
        if state.locked.iter().any(|locked| locked == directory) {
            let text = format!(
                "another server has its log in {}; stop it, or set another dir or appenddirname",
                directory.display()
            );
            return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
        }
        state.locked.push(directory.to_owned());
        Ok(Box::new(MemoryLock {
            storage: self.clone(),
            directory: directory.to_owned(),
        }))
    }

    fn minds_points(&self) -> bool {
        true
    }

    fn reach(&self, point: CrashPoint) -> io::Result<()> {
        let mut state = self.state();
        state.expect_on()?;
        state.reached.push(point);
        if let Some((stop, nth)) = state.stop_at
            && stop == point
        {
            state.stop_at = Some((stop, nth.saturating_sub(1)));
            state.is_off = nth <= 1;
        }
        state.expect_on()
    }
}

#[cfg(test)]
mod tests;
