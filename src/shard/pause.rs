//! CLIENT PAUSE, and the end of the process: which commands they hold, and until when.

use std::sync::atomic::Ordering;

use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;

use super::client::{Client, is_exec};
use super::state::Shard;

impl Shard {
    /// Until when clients are held, Unix ms: by CLIENT PAUSE, or because all was saved and the process is about to end.
    pub(super) fn paused_until_ms(&self) -> u64 {
        if self.shared.ending.load(Ordering::Acquire) {
            return u64::MAX;
        }
        self.shared.paused_until_ms.load(Ordering::Acquire)
    }

    /// Whether clients are held.
    pub(super) fn is_paused(&self) -> bool {
        self.paused_until_ms() > self.now_ms
    }

    /// Whether CLIENT PAUSE holds this command, or this EXEC. Source: Redis' CLIENT PAUSE; WRITE holds writes and what may
    /// replicate.
    pub(super) fn is_paused_for(&self, client: &Client, row: &Row) -> bool {
        if !is_exec(client, row) {
            return self.pauses(row);
        }
        let table = commands();
        let mut queue = client.session.transaction.queue.iter();
        self.pauses(row) || queue.any(|queued| self.pauses(table.row(queued.command)))
    }

    /// Whether CLIENT PAUSE holds this one command.
    pub(super) fn pauses(&self, row: &Row) -> bool {
        if !self.is_paused() || row.command.flags.has(Flags::WHILE_PAUSED) {
            return false;
        }
        let asked_until = self.shared.paused_until_ms.load(Ordering::Acquire);
        let writes_only = self.shared.pause_writes_only.load(Ordering::Acquire);
        if asked_until > self.now_ms && !writes_only {
            return true;
        }
        row.command.flags.has(Flags::WRITE) || row.command.flags.has(Flags::MAY_REPLICATE)
    }
}
