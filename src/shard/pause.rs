//! CLIENT PAUSE: which commands it holds, and until when.

use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;

use super::client::{Client, is_exec};
use super::phase::Phase;
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

    /// Keeps a client until the pause is over. Redis: it counts as blocked.
    pub(super) fn hold_paused(&mut self, client: &mut Client) {
        client.phase = Phase::Paused;
        client.session.handle.set_flag(ClientFlag::PAUSED, true);
        self.paused.push(client.id());
    }

    /// Lets held clients go on when the pause is over or changed.
    pub(super) fn release_paused(&mut self) {
        let now_ms = self.now_ms;
        for id in std::mem::take(&mut self.paused) {
            if let Some(Some(client)) = self.clients.get_mut(&id)
                && matches!(client.phase, Phase::Paused)
            {
                client.phase = Phase::Ready;
                let handle = &client.session.handle;
                handle.set_flag(ClientFlag::PAUSED, false);
                handle.active_ms.store(now_ms, Ordering::Relaxed);
                self.turns.queue(client);
            }
        }
    }
}
