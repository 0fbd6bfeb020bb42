//! What is published comes after what listeners have sent before, also to other threads.
//!
//! ```text
//! client, connection A: SUBSCRIBE r      ─► thread 0, which has no core: outstanding
//! client, connection B: LPUSH queue job  ─► thread 1 ─► worker ─► PUBLISH r ─► thread 2: its client waits (Phase::Behind) …
//!                                           thread 0 reads, ends its round ─► CaughtUp ─► … and goes on
//! ```
//! A listener is a client that subscribes, or may. What it has sent is outstanding until it has taken effect: in its socket, or waiting
//! for its turn, as a SUBSCRIBE behind an UNSUBSCRIBE does, whose client is first sent what was published before.
//! A client that does not wait for the answer to its SUBSCRIBE may rely on it all the same, because a server with one thread does first what
//! comes first: so Celery waits for results.
//!
//! Bounds: a thread is waited for until it has caught up, at most for so many rounds of it (somebody may send without end) and so many
//! ms (it may be stuck; then nobody waits for it any more until it goes on).
//!
//! Not here: commands on data do not wait. Their keyspaces order them, and what several threads are for would be lost. Nor do scripts
//! that publish.

use std::sync::atomic::Ordering;

use crate::client::transaction::Queued;
use crate::command::row::Row;
use crate::command::table::commands;
use crate::ids::{ClientId, ShardSet};
use crate::limits;

use super::behind::Behind;
use super::client::{Client, is_exec};
use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// A client's turn begins.
    pub(super) fn begin_turn(&mut self) {
        let one_thread = self.shared.shard_count == 1;
        self.outstanding.none_before = one_thread && self.outstanding.listeners.is_empty();
    }

    /// Whether a command that has not waited may run. If not, its client waits, and goes on by itself.
    #[inline]
    pub(super) fn comes_in_order(&mut self, client: &mut Client, row: &Row) -> bool {
        self.outstanding.none_before || !publishes(client, row) || self.is_nothing_before(client)
    }

    fn is_nothing_before(&mut self, client: &mut Client) -> bool {
        // That takes time which is not the command's.
        self.lap_ns.set(None);
        let own = Some(client.id());
        let mut threads = self.threads_to_wait_for(own);
        if !threads.is_empty() {
            self.post.ask_to_tell(threads);
            // They may have caught up before they were asked.
            threads = self.threads_to_wait_for(own);
        }
        if threads.is_empty() {
            self.outstanding.none_before = true;
            return true;
        }
        let threads = threads.iter();
        let behind = Behind {
            client: client.id(),
            threads: threads.map(|at| (at, self.post.rounds(at))).collect(),
            until_ms: self.now_ms + limits::OUTSTANDING_WAIT_MS_MAX,
        };
        self.outstanding.behind.push(behind);
        client.phase = Phase::Behind;
        false
    }

    /// Lets those go on that have waited long enough. In every round of the thread.
    #[inline]
    pub(super) fn release_behind(&mut self) {
        if self.outstanding.has_behind() {
            self.release_some_behind();
        }
    }

    fn release_some_behind(&mut self) {
        self.refresh();
        let mut behind = std::mem::take(&mut self.outstanding.behind);
        let mut asked = ShardSet::EMPTY;
        for (at, _) in behind.iter().flat_map(|behind| &behind.threads) {
            asked.insert(*at);
        }
        self.post.ask_to_tell(asked);
        let threads = self.threads_to_wait_for(None);
        let is_over = |shard: &Self, behind: &mut Behind| {
            behind.threads.retain(|(at, rounds)| {
                let begun = shard.post.rounds(*at) - *rounds;
                threads.contains(*at) && begun < limits::OUTSTANDING_ROUNDS_MAX
            });
            behind.threads.is_empty() || shard.now_ms >= behind.until_ms
        };
        behind.retain_mut(|behind| {
            if !is_over(self, behind) {
                return true;
            }
            self.clients.release_behind(behind.client);
            for (at, _) in &behind.threads {
                let rounds = self.post.rounds(*at);
                self.outstanding.stuck.push((*at, rounds));
            }
            false
        });
        self.outstanding.behind = behind;
    }

    /// Threads that have something outstanding and go on. `own` is the client that runs.
    fn threads_to_wait_for(&mut self, own: Option<ClientId>) -> ShardSet {
        let mut threads = self.post.outstanding();
        if self.has_outstanding(own) {
            threads.insert(self.id);
        }
        let post = &self.post;
        let stuck = &mut self.outstanding.stuck;
        stuck.retain(|(at, rounds)| post.rounds(*at) == *rounds);
        stuck.iter().for_each(|(at, _)| threads.remove(*at));
        threads
    }

    /// Whether something that listeners here have sent waits for its turn. `own`, who runs, does not wait for itself.
    pub(crate) fn has_outstanding(&mut self, own: Option<ClientId>) -> bool {
        let Self {
            outstanding,
            clients,
            ..
        } = self;
        outstanding.listeners.retain(|id| {
            let Some(client) = clients.get_mut(*id) else {
                // It runs, or is gone.
                return Some(*id) == own;
            };
            client.is_outstanding = waits_for_its_turn(client);
            client.is_outstanding
        });
        outstanding.listeners.iter().any(|id| Some(*id) != own)
    }

    /// Notes of a client whether something it has sent waits for its turn, if it is a listener.
    pub(super) fn note_outstanding(&mut self, client: &mut Client) {
        if !client.is_outstanding && waits_for_its_turn(client) {
            client.is_outstanding = true;
            self.outstanding.listeners.push(client.id());
        }
    }

    /// Clients that have begun or ended subscriptions since this was asked last.
    pub(crate) fn take_changed_listeners(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.outstanding.changed)
    }

    /// Whether a client is a listener.
    pub(crate) fn is_listener(&self, id: ClientId) -> bool {
        let is_one = |client: &Client| client.session.subscriptions.any() || may_subscribe(client);
        self.clients.get(id).is_some_and(is_one)
    }
}

/// Whether a client may be about to subscribe: it has sent nothing yet, or its last command began or ended subscriptions, or is one of its
/// connection (HELLO, AUTH, CLIENT, PING …). Who works with data is none: its socket is full of what concerns no publication.
fn may_subscribe(client: &Client) -> bool {
    let command = client.session.handle.command.load(Ordering::Relaxed);
    let command = commands().rows().get(usize::from(command));
    command.is_none_or(|row| row.command.group == "connection" || row.subscribes())
}

/// Whether something that such a client has sent waits, and soon has its turn.
fn waits_for_its_turn(client: &Client) -> bool {
    let waits = match client.phase {
        Phase::Ready => client.has_turn_coming,
        Phase::Barrier { .. } => !client.input.is_empty(),
        _ => false,
    };
    waits && may_subscribe(client)
}

/// Whether a command publishes, by itself or as EXEC of one that does.
fn publishes(client: &Client, row: &Row) -> bool {
    let table = commands();
    let of_queue = |queued: &Queued| table.row(queued.command).publishes();
    row.publishes() || is_exec(client, row) && client.session.transaction.queue.iter().any(of_queue)
}
