//! What is published comes after what others sent earlier, also to other threads.
//!
//! ```text
//! client, connection A: SUBSCRIBE r          ─► thread 0, which has no core
//! client, connection B: LPUSH queue job      ─► thread 1 ─► worker ─► PUBLISH r ─► thread 2: is anything unread? waits for thread 0
//! ```
//! Also on one thread a SUBSCRIBE may wait: behind an UNSUBSCRIBE, whose client goes on when it was sent all that was published before.
//!
//! A client that does not wait for the answer to its SUBSCRIBE may still rely on it, because a server with one thread reads what come
//! first first: Celery waits for results so. Asked once for what was read in one piece; the wait ends when the other threads have read
//! what they had then, and at the latest after [`limits::EARLIER_WAIT_NS_MAX`].
//!
//! Only what is published waits, by itself or in an EXEC: commands on data are ordered by their keyspaces, and would lose what several
//! threads are for. Scripts do not wait.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::client::transaction::Queued;
use crate::command::row::Row;
use crate::command::table::commands;
use crate::ids::{ClientId, ShardId};
use crate::limits;

use super::client::{Client, is_exec};
use super::phase::Phase;
use super::state::Shard;

/// What a command waits for.
#[derive(Debug)]
pub(super) struct Earlier {
    /// Threads that had something unread, and how many rounds they had begun by then.
    threads: SmallVec<[(ShardId, u64); 4]>,
    /// When the wait ends, ns.
    until_ns: u64,
}

impl Shard {
    /// Whether a command may run as far as what others sent earlier is concerned. If not, it is to be tried again in the next round.
    pub(super) fn has_heard_of_earlier(&mut self, client: &mut Client, row: &Row) -> bool {
        if self.has_heard || !publishes(client, row) {
            return true;
        }
        let mut unheard = self.post.unheard();
        if self.has_unheard(Some(client.id())) {
            unheard.insert(self.id);
        }
        let now_ns = self.clock.nanoseconds();
        self.lap_ns.set(None);
        let waits = match &mut client.earlier {
            _ if unheard.is_empty() => false,
            None => {
                let begun = unheard
                    .iter()
                    .map(|thread| (thread, self.post.rounds(thread)));
                client.earlier = Some(Box::new(Earlier {
                    threads: begun.collect(),
                    until_ns: now_ns + limits::EARLIER_WAIT_NS_MAX,
                }));
                true
            }
            Some(earlier) => {
                let post = &self.post;
                earlier.threads.retain(|(thread, rounds)| {
                    let rounds = post.rounds(*thread) - *rounds;
                    unheard.contains(*thread) && rounds < limits::EARLIER_ROUNDS_MAX
                });
                !earlier.threads.is_empty() && now_ns < earlier.until_ns
            }
        };
        if !waits {
            self.has_heard = true;
            client.earlier = None;
        }
        !waits
    }

    /// Whether something that was read here from who subscribes, or may, has not taken effect yet: an UNSUBSCRIBE keeps its client until
    /// it was told of what was published before. `but` is not looked at.
    pub(crate) fn has_unheard(&mut self, but: Option<ClientId>) -> bool {
        if self.unheard.is_empty() {
            return false;
        }
        let clients = &self.clients;
        self.unheard
            .retain(|id| Some(*id) == but || clients.get(*id).is_some_and(waits_for_its_turn));
        self.unheard.iter().any(|id| Some(*id) != but)
    }

    /// Notes of a client that something it has sent waits, if it subscribes or may.
    pub(super) fn note_unheard(&mut self, client: &Client) {
        if waits_for_its_turn(client) && !self.unheard.contains(&client.id()) {
            self.unheard.push(client.id());
        }
    }

    /// Whether nothing can have come earlier that a command of this turn has to wait for.
    pub(super) fn hears_all(&self) -> bool {
        self.shared.shard_count == 1 && self.unheard.is_empty()
    }

    /// Clients that have subscribed, or whose subscriptions have ended, since this was asked last.
    pub(crate) fn take_new_subscribers(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.new_subscribers)
    }

    /// Whether a client subscribes, or may.
    pub(crate) fn may_subscribe(&self, id: ClientId) -> bool {
        self.clients.get(id).is_some_and(may_subscribe)
    }
}

/// Whether something that such a client has sent waits, and soon has its turn.
fn waits_for_its_turn(client: &Client) -> bool {
    let waits = match client.phase {
        Phase::Ready => client.has_turn_coming,
        Phase::Barrier { .. } => !client.input.is_empty(),
        _ => false,
    };
    waits && is_at_its_connection(client)
}

/// Whether a client subscribes, or may: its last command began or ended subscriptions, or is one of its connection.
fn may_subscribe(client: &Client) -> bool {
    client.session.subscriptions.any() || is_at_its_connection(client)
}

/// Whether the last command of a client, if any, began or ended subscriptions, or is one of its connection.
fn is_at_its_connection(client: &Client) -> bool {
    let command = client.session.handle.command.load(Ordering::Relaxed);
    let command = commands().rows().get(usize::from(command));
    command.is_none_or(|row| row.command.group == "connection" || row.subscribes())
}

/// Whether a command publishes, by itself or as EXEC of one that does.
fn publishes(client: &Client, row: &Row) -> bool {
    let table = commands();
    let of_queue = |queued: &Queued| table.row(queued.command).publishes();
    row.publishes() || is_exec(client, row) && client.session.transaction.queue.iter().any(of_queue)
}
