//! Clients whose output waits for the log, and those that wait for it themselves (WAITAOF).

use crate::client::registry::{Unblock, Wait};
use crate::limits;

use super::client::Client;
use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// Sends on what the log has reached, and ends waits for it. To be called in every round: whoever waits is noted before the
    /// log is asked again.
    pub(super) fn release_held(&mut self) {
        if !self.clients.has_held() {
            return;
        }
        self.log.wait(self.id.index());
        self.mark = self.log.mark();
        let (mark, in_trouble) = (self.mark, self.log.is_in_trouble());
        self.clients.release_held(mark, in_trouble);
        for id in self.clients.release_synced(self.log.durable()) {
            let Some(client) = self.clients.get(id) else {
                continue;
            };
            // CLIENT UNBLOCK may have come first: the poke is on its way.
            if client.session.handle.stop_waiting_for_replicas() {
                self.end_wait(id, Unblock::Timeout);
            }
        }
    }

    /// The client waits until what was written so far is on disk (WAITAOF): up to so many ms, 0 for ever. The answer is made when the
    /// wait ends.
    pub(super) fn wait_for_sync(&mut self, client: &mut Client, ms: u64, wants_replicas: bool) {
        let position = self.log.end();
        let deadline_ms = (ms > 0).then(|| self.now_ms + ms);
        if let Some(at) = deadline_ms {
            self.clients.set_deadline(client.id(), at);
        }
        client.session.handle.set_wait(Some(Wait::Replicas));
        client.waits_for_sync = Some(position);
        client.phase = Phase::Waiting {
            deadline_ms,
            reply: Vec::new(),
        };
        if !wants_replicas {
            self.clients.await_sync(client.id(), position);
        }
    }

    /// Closes clients whose replies wait for a log that cannot be written for too long: they know nothing of what they asked for.
    pub(super) fn close_held_too_long(&mut self) {
        if !self.clients.has_held() || !self.log.is_in_trouble() {
            return;
        }
        let since_ms = self.now_ms.saturating_sub(limits::LOG_PATIENCE_MS);
        for id in self.clients.held_since(since_ms) {
            tracing::warn!(
                "Closing client id={}: its reply waits for the append only file, which cannot be written",
                id.0
            );
            self.disconnect(id);
        }
    }
}
