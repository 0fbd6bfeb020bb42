//! What clients are owed: who has output, what of it is sent next, and what follows when it was sent.
//!
//! A shard writes to no socket: whoever drives it asks for the next bytes and tells how many of them it sent.

use std::sync::atomic::Ordering;

use crate::ids::ClientId;
use crate::keyspace::discard::{Discarded, Part};
use crate::net::buffers::Output;

use super::Shard;

impl Shard {
    /// Clients with output to send (or to be closed once it is sent) since the last call. What their replies acknowledge
    /// is in the counters that INFO shows; who has more unsent than is allowed is closed. Who will soon have more is sent
    /// it all at once: what ends its waiting lists it again.
    pub fn take_dirty(&mut self) -> Vec<ClientId> {
        let mut dirty = std::mem::take(&mut self.dirty);
        if !dirty.is_empty() {
            self.publish_own_counters();
        }
        let limit = &self.settings.output_limit_normal;
        if limit.hard_bytes > 0 || limit.soft_bytes > 0 {
            dirty.iter().for_each(|id| self.check_output_limit(*id));
        }
        if self.shared.shard_count > 1 && !self.stopping {
            dirty.retain(|id| {
                let client = self.client_mut(*id);
                !client.is_some_and(|client| client.has_more_output_soon())
            });
        }
        dirty
    }

    /// Gives a spent list of dirty clients back, to save its allocation.
    pub fn reuse_dirty(&mut self, mut list: Vec<ClientId>) {
        list.clear();
        if self.dirty.is_empty() {
            self.dirty = list;
        }
    }

    /// Clients whose sockets are to be dropped.
    pub fn take_closed(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.closed)
    }

    /// The unsent output of a client that is here, the next of it as bytes.
    pub fn output(&mut self, id: ClientId) -> Option<&Output> {
        let client = self.client_mut(id)?;
        client.output.prepare();
        Some(&client.output)
    }

    /// Whether all that a client is owed was sent.
    pub fn is_sent(&self, id: ClientId) -> bool {
        match self.clients.get(&id) {
            Some(Some(client)) => client.output.is_empty(),
            _ => true,
        }
    }

    /// A client has had its share of this turn: the rest of its output is sent in the next.
    pub fn send_on(&mut self, id: ClientId) {
        self.dirty.push(id);
    }

    /// So many bytes of a client's output were sent; true when nothing is left to do about it: all is sent, and it stays.
    pub fn sent(&mut self, id: ClientId, count: usize) -> bool {
        let now_ms = self.now_ms;
        let (pubsub, normal) = (
            self.settings.output_limit_pubsub.soft_bytes,
            self.settings.output_limit_normal.soft_bytes,
        );
        if let Some(client) = self.client_mut(id) {
            let was_behind = client.is_behind_with_reading();
            client.output.consume(count);
            if client.over_soft_limit_ms.is_some() {
                let subscribes = client.session.subscriptions.any();
                let soft_bytes = if subscribes { pubsub } else { normal };
                if client.output.len() as u64 <= soft_bytes {
                    // Its time above the limit is over: the next one begins anew.
                    client.over_soft_limit_ms = None;
                }
            }
            let goes_on = was_behind && !client.is_behind_with_reading();
            let spent = client.output.take_spent();
            client.mirror_output();
            let rests = client.output.is_empty() && !client.session.closing;
            let handle = &client.session.handle;
            handle.count_sent(count);
            handle.active_ms.store(now_ms, Ordering::Relaxed);
            let counters = &self.shared.observations.shards[self.id.index()];
            counters.writes.add(1);
            counters.net_out.add(count as u64);
            if goes_on {
                self.runnable.push_back(id);
            }
            if !spent.is_empty()
                && let Some(disposal) = self.shared.disposal.get()
            {
                disposal.free(vec![Discarded::Part(Part::new(spent))]);
            }
            return rests;
        }
        false
    }

    /// Whether a client is to be closed now that its output is sent.
    pub fn should_close(&self, id: ClientId) -> bool {
        match self.clients.get(&id) {
            Some(Some(client)) => {
                client.output.is_empty() && client.session.closing && !client.phase.holds_a_reply()
            }
            _ => true,
        }
    }

    /// The process ends. Replies that were to wait for others leave now: the shard they come from may be gone first.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        let waiting = self.clients.iter().filter_map(|(id, client)| {
            let client = client.as_ref()?;
            (!client.output.is_empty()).then_some(*id)
        });
        self.dirty.extend(waiting);
    }
}
