//! Clients that hold too much memory together (`maxmemory-clients`): the largest are closed until the rest is below the limit.
//!
//! They go by classes of size, each twice as large as the one before; within a class those that came first. Source: "Client
//! eviction" of Redis. CLIENT NO-EVICT keeps a client, whatever it holds; what it holds counts.
//! While those that stay hold too much by themselves, nobody is looked for: what the others hold is known as a sum.

use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::command::connection::list::describe;

use super::mailbox::Message;
use super::state::Shard;

/// Time between two lines in the log about clients that hold too much and may not go, ms.
const STUCK_LINE_MS: u64 = 60_000;

impl Shard {
    /// Closes clients when all together hold too much.
    #[inline]
    pub(super) fn limit_clients(&mut self) {
        let max = self.limits.clients_max;
        if max > 0 && self.shared.clients.held().bytes() >= max {
            if self.shared.clients.held().has_who_may_go(max) {
                self.evict_clients(max);
            }
            self.tell_of_stuck(max);
        }
    }

    #[cold]
    fn evict_clients(&mut self, max: u64) {
        // All clients are looked at: not with keyspaces in hand that others want.
        self.put_back();
        let shared = std::sync::Arc::clone(&self.shared);
        let held = shared.clients.held();
        // Somebody else is choosing already.
        let Ok(_choosing) = held.choosing.try_lock() else {
            return;
        };
        if held.bytes() < max {
            return;
        }
        let mut all = shared.clients.all();
        all.retain(|client| !client.has_flag(ClientFlag::NO_EVICT));
        // Of one class those that came first stay first. Each size is read once: it changes meanwhile.
        all.sort_by_cached_key(|client| std::cmp::Reverse(client.counted_bytes().checked_ilog2()));
        for client in all {
            if held.bytes() < max {
                return;
            }
            let line = describe(shared.commands, &client, self.now_ms, 0);
            if client.kill() {
                client.leave();
                tracing::info!("Evicting client: {line}");
                let evicted = &shared.observations.memory.evicted_clients;
                evicted.fetch_add(1, Ordering::Relaxed);
                self.post.send(client.shard(), Message::Poke(client.id));
            }
        }
    }

    /// Those that stay hold too much by themselves.
    fn tell_of_stuck(&mut self, max: u64) {
        let held = self.shared.clients.held();
        let is_stuck = held.bytes() >= max && !held.has_who_may_go(max);
        if is_stuck && self.now_ms >= self.crowd_told_ms + STUCK_LINE_MS {
            self.crowd_told_ms = self.now_ms;
            tracing::warn!(
                "Clients that may not be closed (NO-EVICT) hold more than maxmemory-clients"
            );
        }
    }
}
