//! CLIENT PAUSE: which commands it holds, and until when.

use std::sync::atomic::Ordering;

use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;

use super::client::{Client, is_exec};
use super::state::Shard;

impl Shard {
    /// Whether CLIENT PAUSE is on.
    pub(super) fn is_paused(&self) -> bool {
        self.shared.paused_until_ms.load(Ordering::Acquire) > self.now_ms
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
        let until = self.shared.paused_until_ms.load(Ordering::Acquire);
        if until <= self.now_ms {
            return false;
        }
        if row.command.flags.has(Flags::WHILE_PAUSED) {
            return false;
        }
        if !self.shared.pause_writes_only.load(Ordering::Acquire) {
            return true;
        }
        row.command.flags.has(Flags::WRITE) || row.command.flags.has(Flags::MAY_REPLICATE)
    }
}
