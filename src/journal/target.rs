//! The file at the end of the log: writes with their commits, and the fill ahead of them.
//!
//! ```text
//! synced ≤ offset ≤ filled_to          offsets in the file
//! what counts │ fill … end mark        (annotation.rs)
//! ```
//! Not here: what is written when, and what follows a failure (`log.rs`).

use std::io;
use std::sync::Arc;

use super::annotation::{self, RangeChecksum};
use super::storage::{CrashPoint, Points, StorageFile, write_all_at};
use crate::limits;

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

/// The file. See the module's head.
pub(crate) struct Target {
    pub(super) file: Arc<dyn StorageFile>,
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
    /// Nothing more goes into it.
    pub(super) is_finished: bool,
    /// A sync of it has failed: what was written since the last that did not may be lost, whatever a later one says.
    pub(super) is_failed: bool,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({} of {})", self.offset, self.filled_to)
    }
}

impl Target {
    /// A file, to be written from `start` on: what is before it counts and is on disk, nothing is behind it. `salt` is another for
    /// each call.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn begin(
        file: Box<dyn StorageFile>,
        points: Points,
        start: u64,
        salt: u32,
    ) -> io::Result<Self> {
        let mut bytes = Vec::new();
        annotation::begin(salt, start, &mut bytes);
        let offset = start + bytes.len() as u64;
        let filled_to = offset + limits::LOG_FILL_BYTES;
        annotation::fill(salt, offset, filled_to, &mut bytes);
        write_all_at(&*file, start, &bytes)?;
        file.sync_data()?;
        Ok(Self {
            file: file.into(),
            points,
            salt,
            offset,
            synced_offset: offset,
            filled_to,
            safe_to: filled_to,
            is_finished: false,
            is_failed: false,
        })
    }

    /// Writes the bytes and their commit. On an error nothing counts as written, and `bytes` is as before.
    pub(super) fn write(&mut self, bytes: &mut Vec<u8>, policy: SyncPolicy) -> io::Result<()> {
        let len = bytes.len();
        let mut range = RangeChecksum::new(self.salt);
        range.extend(bytes);
        annotation::commit(range, self.offset + len as u64, self.synced_offset, bytes);
        let result = self.write_marked(bytes, policy);
        if result.is_err() {
            bytes.truncate(len);
        }
        result
    }

    fn write_marked(&mut self, bytes: &[u8], policy: SyncPolicy) -> io::Result<()> {
        let end = self.offset + bytes.len() as u64;
        let room = |to: u64| end + annotation::ALIGNMENT <= to;
        if !room(self.filled_to) {
            self.fill(end)?;
        }
        if policy != SyncPolicy::Always {
            // After a power cut the end of the file may be missing, with what was not promised.
            self.safe_to = self.filled_to;
        } else if !room(self.safe_to) {
            self.file.sync_data()?;
            self.safe_to = self.filled_to;
        }
        write_all_at(&*self.file, self.offset, bytes)?;
        self.points.reach(CrashPoint::AfterLogWrite)?;
        self.offset = end;
        Ok(())
    }

    /// Fills ahead when there is little left.
    pub(super) fn fill_in_time(&mut self) -> io::Result<()> {
        if self.is_finished || self.filled_to - self.offset >= limits::LOG_FILL_BYTES / 2 {
            return Ok(());
        }
        self.fill(self.offset)
    }

    /// Puts fill and an end mark behind what is filled, beyond `end`.
    fn fill(&mut self, end: u64) -> io::Result<()> {
        let old_mark = self.filled_to - annotation::ALIGNMENT;
        let new_end = end.max(old_mark).next_multiple_of(annotation::ALIGNMENT);
        let new_end = new_end + limits::LOG_FILL_BYTES;
        let mut fill = Vec::new();
        annotation::fill(self.salt, old_mark, new_end, &mut fill);
        write_all_at(&*self.file, old_mark, &fill)?;
        self.points.reach(CrashPoint::AfterLogFill)?;
        self.filled_to = new_end;
        Ok(())
    }
}
