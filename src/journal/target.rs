//! The file at the end of the log: writes with their commits, and the fill ahead of them.
//!
//! ```text
//! synced ≤ offset ≤ filled_to          offsets in the file
//! what counts │ fill … end mark        (annotation.rs)
//! what counts │ end mark               a finished file: what is before the mark was synced before the mark was written
//! ```
//! Not here: what is written when, and what follows a failure (`log.rs`).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

use super::annotation;
use super::storage::{CrashPoint, Points, StorageFile, write_all_at};
use crate::limits;

/// A line of fill and the end mark.
const ROOM_BEHIND: u64 = 2 * annotation::ALIGNMENT;

/// When what was written is synced (`appendfsync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncPolicy {
    /// Before anybody hears of it.
    Always,
    /// Once a second.
    EverySecond,
    /// When the system does.
    No,
}

/// A file that remembers that a sync of it has failed: what was written since the last that did not may be lost, whatever a later
/// one says. (Linux tells of an error once, and believes the bytes to be on disk from then on.) So it is synced by one at a time,
/// and never again after a failure.
struct SyncedFile {
    file: Box<dyn StorageFile>,
    turn: Mutex<()>,
    has_failed: AtomicBool,
}

impl SyncedFile {
    fn sync(&self) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_failed.load(Ordering::Acquire) {
            return Err(io::Error::from_raw_os_error(Errno::IO.raw_os_error()));
        }
        let result = self.file.sync_data();
        if result.is_err() {
            self.has_failed.store(true, Ordering::Release);
        }
        result
    }
}

/// The file. See the module's head.
pub(crate) struct Target {
    file: Arc<SyncedFile>,
    pub(super) points: Points,
    /// In all checksums of the file.
    pub(super) salt: u32,
    /// Where the next byte goes.
    pub(super) offset: u64,
    /// Up to where it is known to be on disk.
    pub(super) synced_offset: u64,
    /// Up to where there are bytes: fill behind `offset`, an end mark last.
    pub(super) filled_to: u64,
    /// Up to where they are on disk, so that something may be written over them.
    pub(super) safe_to: u64,
    /// Bytes that are filled at once.
    fill_bytes: u64,
    /// Bytes that are wanted ahead: as many, or more once a writer has needed room that was not filled.
    fill_bytes_wanted: u64,
    /// There was no room to fill ahead: it is not tried again before a writer needs it.
    is_short_of_room: bool,
    /// Fill is being lengthened, and not as long as wanted yet.
    is_filling: bool,
    /// Nothing more goes into it.
    pub(super) is_finished: bool,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({} of {})", self.offset, self.filled_to)
    }
}

impl Target {
    /// A file, to be written from `start` on: what is before it counts and is on disk, nothing is behind it. `salt` is another for
    /// each call. `fill_bytes`, a multiple of 16, is how much is filled ahead at once.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn begin(
        file: Box<dyn StorageFile>,
        points: Points,
        start: u64,
        salt: u32,
        fill_bytes: u64,
    ) -> io::Result<Self> {
        let mut bytes = Vec::new();
        annotation::begin(salt, start, &mut bytes);
        let offset = start + bytes.len() as u64;
        let begun = bytes.len();
        let mut filled_to = offset + fill_bytes;
        annotation::fill(salt, offset, filled_to, &mut bytes);
        match write_all_at(&*file, start, &bytes) {
            Err(error) if is_full(&error) => {
                // A server starts also on a full disk, and refuses writes.
                file.set_len(start)?;
                bytes.truncate(begun);
                filled_to = offset + ROOM_BEHIND;
                annotation::fill(salt, offset, filled_to, &mut bytes);
                write_all_at(&*file, start, &bytes)?;
            }
            written => written?,
        }
        file.sync_data()?;
        Ok(Self {
            file: Arc::new(SyncedFile {
                file,
                turn: Mutex::default(),
                has_failed: AtomicBool::new(false),
            }),
            points,
            salt,
            offset,
            synced_offset: offset,
            filled_to,
            safe_to: filled_to,
            fill_bytes,
            fill_bytes_wanted: fill_bytes,
            is_short_of_room: false,
            is_filling: false,
            is_finished: false,
        })
    }

    /// Writes the bytes and their commit. On an error nothing counts as written, and `bytes` is as before.
    pub(super) fn write(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let len = bytes.len();
        annotation::seal(self.salt, self.offset, self.synced_offset, bytes);
        let result = self.write_marked(bytes);
        if result.is_err() {
            bytes.truncate(len);
        }
        result
    }

    fn write_marked(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.offset + bytes.len() as u64;
        // The end mark, and a line of fill before it: without one it would say that all is synced.
        let room = |to: u64| end + ROOM_BEHIND <= to;
        if !room(self.filled_to) {
            self.fill_more(end)?;
        }
        if !room(self.safe_to) {
            // Whatever the policy: the old end mark could be found behind a power cut, with commands behind it that seem to be a
            // Redis'. It is done beside the writing where there is time: [`Target::wants_fill`].
            self.file.sync()?;
            self.safe_to = self.filled_to;
            self.synced_offset = self.offset;
        }
        write_all_at(&*self.file.file, self.offset, bytes)?;
        self.points.reach(CrashPoint::AfterLogWrite)?;
        self.offset = end;
        Ok(())
    }

    /// Whether there is little left of what is filled ahead: it should be filled and synced.
    pub(super) fn wants_fill(&self) -> bool {
        let ahead = self.safe_to.saturating_sub(self.offset);
        !self.is_finished && !self.is_short_of_room && ahead < self.fill_bytes_wanted / 2
    }

    /// Fills a part ahead when there is little left; whether more is to follow.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn fill_in_time(&mut self) -> io::Result<bool> {
        if self.is_finished || self.is_short_of_room {
            return Ok(false);
        }
        let ahead = self.filled_to - self.offset;
        self.is_filling |= ahead < self.fill_bytes_wanted / 2;
        self.is_filling &= ahead < self.fill_bytes_wanted;
        if self.is_filling {
            let filled = self.fill(self.offset, self.fill_bytes);
            self.is_filling &= filled.is_ok();
            self.is_short_of_room |= filled.as_ref().is_err_and(is_full);
            filled?;
        }
        Ok(self.is_filling)
    }

    /// Fills for a writer who needs room now and has to wait for it; from now on more is filled in time. On a full disk he gets as much
    /// as he needs.
    fn fill_more(&mut self, end: u64) -> io::Result<()> {
        let filled = self.fill(end, self.fill_bytes);
        self.is_short_of_room = filled.as_ref().is_err_and(is_full);
        if self.is_short_of_room {
            return self.fill(end, ROOM_BEHIND);
        }
        self.fill_bytes_wanted = limits::LOG_FILL_GROWTH * self.fill_bytes;
        filled
    }

    /// Puts so many bytes of fill and an end mark behind what is filled, beyond `end`.
    fn fill(&mut self, end: u64, bytes: u64) -> io::Result<()> {
        let old_mark = self.filled_to - annotation::ALIGNMENT;
        let new_end = end.max(old_mark).next_multiple_of(annotation::ALIGNMENT);
        let new_end = new_end + bytes;
        let mut fill = Vec::new();
        annotation::fill(self.salt, old_mark, new_end, &mut fill);
        let file = &*self.file.file;
        if let Err(error) = write_all_at(file, old_mark, &fill) {
            // What it took of a full disk is given back; the old mark may be written over.
            file.set_len(self.filled_to)?;
            write_all_at(file, old_mark, &annotation::end_line(self.salt))?;
            return Err(error);
        }
        self.points.reach(CrashPoint::AfterLogFill)?;
        self.filled_to = new_end;
        Ok(())
    }

    /// Begins a sync of what is there. Up to `position` the log is written.
    pub(super) fn begin_sync(&self, position: u64) -> Syncing {
        Syncing {
            file: Arc::clone(&self.file),
            points: self.points.clone(),
            position,
            offset: self.offset,
            filled_to: self.filled_to,
            has_fill: self.filled_to > self.safe_to,
        }
    }

    /// Whether all of it is on disk, also what is filled ahead.
    pub(super) fn is_synced(&self) -> bool {
        self.synced_offset == self.offset && self.safe_to == self.filled_to
    }

    /// Whether a sync of the file has failed, so that it must be replaced.
    pub(super) fn has_failed(&self) -> bool {
        self.file.has_failed.load(Ordering::Acquire)
    }

    /// Whether a sync is one of this file.
    pub(super) fn is_of(&self, syncing: &Syncing) -> bool {
        Arc::ptr_eq(&self.file, &syncing.file)
    }

    /// Nothing more goes into the file: gives what ends it. [`Ending::run`] does it; others need not wait for the disk.
    pub(super) fn finish(&mut self) -> Ending {
        self.is_finished = true;
        // What is behind goes; it may be that more is written, when the next file cannot be made.
        self.filled_to = self.offset + annotation::ALIGNMENT;
        self.safe_to = self.filled_to;
        Ending {
            file: Arc::clone(&self.file),
            offset: self.offset,
            mark: annotation::end_line(self.salt),
        }
    }

    /// A sync was successful, of this file or of another one.
    pub(super) fn finish_sync(&mut self, syncing: &Syncing) {
        if self.is_of(syncing) {
            self.synced_offset = self.synced_offset.max(syncing.offset);
            // When the file was finished meanwhile, fill is gone.
            let safe_to = syncing.filled_to.min(self.filled_to);
            self.safe_to = self.safe_to.max(safe_to);
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StorageFull
}

/// The end of a file.
pub(super) struct Ending {
    file: Arc<SyncedFile>,
    offset: u64,
    mark: [u8; annotation::ALIGNMENT as usize],
}

impl Ending {
    /// Puts the end mark there and syncs the file.
    pub(super) fn run(&self) -> io::Result<()> {
        let file = &*self.file.file;
        self.file.sync()?;
        // A Redis may append to it.
        write_all_at(file, self.offset, &self.mark)?;
        file.set_len(self.offset + annotation::ALIGNMENT)?;
        self.file.sync()
    }
}

/// A sync that has begun.
#[must_use = "Log::finish_sync must follow"]
pub struct Syncing {
    file: Arc<SyncedFile>,
    points: Points,
    /// What is written up to here will be on disk.
    pub(super) position: u64,
    /// The same in the file.
    offset: u64,
    filled_to: u64,
    /// Fill is among it.
    has_fill: bool,
}

impl std::fmt::Debug for Syncing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Syncing(to {})", self.position)
    }
}

impl Syncing {
    /// Whether fill is among it: that takes longer than what clients have written.
    pub(super) fn has_fill(&self) -> bool {
        self.has_fill
    }

    /// Waits for the disk.
    ///
    /// # Errors
    /// Those of the file.
    pub fn run(&self) -> io::Result<()> {
        self.points.reach(CrashPoint::BeforeLogSync)?;
        self.file.sync()?;
        self.points.reach(CrashPoint::AfterLogSync)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
