//! What has been appended to the log and not written, in the form of its files.

use super::{format, own};
use crate::keyspace::effect::Effect;

/// What has been appended and not written.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    /// Position of the first of them.
    pub(super) begin: u64,
    /// The database that the last command in the file is about.
    pub(super) db: Option<usize>,
    /// What comes from here on belongs to the next file.
    pub(super) cut: Option<u64>,
    /// The last time that was noted, Unix s (`aof-timestamp-enabled`).
    pub(super) noted_s: u64,
}

impl Buffer {
    pub(super) fn select(&mut self, db: usize) {
        if self.db != Some(db) {
            self.db = Some(db);
            format::select(db, &mut self.bytes);
        }
    }

    pub(super) fn push(&mut self, effect: &Effect<'_>) {
        self.select(effect.db);
        if effect.is_own {
            own::encode_command(effect.command, &mut self.bytes);
        } else {
            self.bytes.extend_from_slice(effect.command);
        }
    }

    pub(super) fn note_time(&mut self, now_s: u64) {
        if now_s > self.noted_s {
            self.noted_s = now_s;
            self.bytes
                .extend_from_slice(format!("#TS:{now_s}\r\n").as_bytes());
        }
    }

    /// Moves what belongs to the present file behind `into`, what could not be written before; gives the position behind it.
    pub(super) fn give(&mut self, into: &mut Vec<u8>) -> u64 {
        let cut = self.cut.unwrap_or(u64::MAX);
        let available = usize::try_from(cut.saturating_sub(self.begin)).unwrap_or(usize::MAX);
        if available >= self.bytes.len() && into.is_empty() {
            std::mem::swap(&mut self.bytes, into);
            self.begin += into.len() as u64;
        } else {
            let count = available.min(self.bytes.len());
            into.extend(self.bytes.drain(..count));
            self.begin += count as u64;
        }
        self.begin
    }
}
