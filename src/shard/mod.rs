//! The engine: one shard, a state machine without threads and sockets.
//!
//! ```text
//!   events in                                   ┌───────────────────────────┐            out
//!   input / end of file ──► client's turn ──►   │ admission queue → keyspace │  ──► output of clients (dirty)
//!   messages            ──► deliver       ──►   │ loans, waiters, timers     │  ──► messages (Post)
//!   time                ──► tick          ──►   └───────────────────────────┘  ──► closed, departing clients
//! ```
//! [`thread`] drives it with sockets and a clock, the simulation with lists and a seed. Everything a client is but its
//! socket lives here, so both run the same code.
//!
//! Files: `input` bytes to requests · `session_loop` a client's turn · `admit` whether a command may run · `batch` runs for
//! one other shard · `borrow` several keyspaces · `execute` one command, `transaction` EXEC · `finish` what follows it ·
//! `waiters` who is served by it · `lend` loans · `shelf` keyspaces between turns · `blocking` waits and their ends ·
//! `publish` publications and credits · `output` what is sent · `walk` KEYS over very many · `subscribers` who gets them ·
//! `tracking` client-side caches · `migrate` who moves where · `tick` time · `refresh` settings · `stop` the end ·
//! `route`, `admission`, `turns` pure.
//!
//! Invariants: while the keyspace is lent nothing leaves the admission queue; the work on a keyspace is finished
//! (waiters served, effects logged, publications sent) before it is given away and before the reply leaves.

mod admission;
mod admit;
mod batch;
mod blocking;
mod borrow;
mod client;
pub mod clock;
pub mod describe;
pub mod execute;
mod finish;
mod input;
mod lend;
pub mod mailbox;
mod measure;
mod migrate;
pub mod output;
mod publish;
mod refresh;
mod reload;
mod route;
mod session_loop;
pub mod shelf;
mod stop;
mod subscribers;
pub mod thread;
mod tick;
mod tracking;
mod transaction;
mod turns;
mod waiters;
mod walk;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::context::Shared;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::Keyspace;
use crate::keyspace::discard::{Discarded, Part};
use crate::limits;
use crate::net::buffers::Spares;
use crate::resp::Protocol;
use crate::resp::reply::Reply;

use admission::{Admission, Work};
pub use client::Client;
use client::Phase;
use clock::Clock;
use lend::Lending;
use mailbox::{Message, Post};
use stop::Stop;
use subscribers::Subscribers;
use tracking::Broadcasts;
use turns::Turns;

/// Everything that can wake a shard.
#[derive(Debug)]
pub enum Event<'e> {
    /// Bytes of a client.
    Input(ClientId, &'e [u8]),
    /// A client's input ended.
    End(ClientId),
    /// A client's connection broke or its socket is gone.
    Lost(ClientId),
    /// A message of a shard (or of the listener).
    Message(Message),
    /// Time passed.
    Tick,
}

/// A shard.
pub struct Shard {
    id: ShardId,
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    settings_version: u64,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    /// See [`execute::Env::lap_ns`].
    lap_ns: Cell<Option<u64>>,
    now_ms: u64,
    /// Here, or lent, or on its shelf.
    keyspace: Option<Box<Keyspace>>,
    /// The keyspace was left on its shelf.
    is_resting: bool,
    /// Others have worked with the keyspace since: what they sent may still be in the mailbox.
    mail_is_behind: bool,
    /// Clients that wait until it is not: the keyspace stays here.
    listeners_waiting: usize,
    /// Keyspaces of shards at rest, for the client whose turn it is.
    #[allow(
        clippy::vec_box,
        reason = "a keyspace changes hands by moving its box, not its contents"
    )]
    guests: Vec<Box<Keyspace>>,
    /// The one shard whose keys its latest commands were about, with its keyspace in hand.
    visited: Option<ShardId>,
    /// It has worked with this shard's keyspace too.
    used_own: bool,
    admission: Admission,
    lending: Lending,
    clients: HashMap<ClientId, Option<Box<Client>>, hashbrown::DefaultHashBuilder>,
    subscribers: Subscribers,
    /// What changed for who listens to prefixes, not told yet.
    broadcasts: Broadcasts,
    /// Clients that can go on without an event: their turn ended before their input did.
    turns: Turns,
    /// Input buffers for who needs one next.
    spare_inputs: Spares,
    /// Clients with new output, or to be closed when it is sent.
    dirty: Vec<ClientId>,
    /// Clients whose sockets are to be dropped.
    closed: Vec<ClientId>,
    /// Clients that are to move to another shard.
    departing: Vec<(ClientId, ShardId)>,
    /// Deadlines of blocked and waiting clients.
    deadlines: BTreeSet<(u64, ClientId)>,
    /// Clients held by CLIENT PAUSE.
    paused: Vec<ClientId>,
    /// Clients held for credit.
    throttled: Vec<ClientId>,
    /// Replies of the client whose turn it is.
    reply: Reply,
    /// Buffers for the output of clients.
    spare_outputs: Spares,
    /// When the next expiry and housekeeping round is due, Unix ms.
    next_round_ms: u64,
    /// The process is ending.
    stop: Option<Stop>,
}

impl Shard {
    /// A shard with an empty keyspace.
    pub fn new(
        id: ShardId,
        shared: Arc<Shared>,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
        hasher: hashbrown::DefaultHashBuilder,
    ) -> Self {
        let settings = Arc::clone(
            &shared
                .settings
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        let mut keyspace = Keyspace::new(id, settings.databases, hasher);
        keyspace.tracking_counts = Arc::clone(shared.tracking.counts());
        keyspace.count_in(&shared.observations.shards[id.index()].keyspace);
        if settings.metrics_port != 0 {
            keyspace.list_streams();
        }
        let now_ms = clock.now_ms();
        let mut shard = Self {
            id,
            settings_version: shared.settings_version.load(Ordering::Acquire),
            lending: Lending::new(),
            subscribers: Subscribers::new(shared.shard_count),
            shared,
            settings,
            post,
            clock,
            lap_ns: Cell::new(None),
            now_ms,
            keyspace: Some(Box::new(keyspace)),
            is_resting: false,
            mail_is_behind: false,
            listeners_waiting: 0,
            guests: Vec::new(),
            visited: None,
            used_own: false,
            admission: Admission::default(),
            clients: HashMap::default(),
            broadcasts: Broadcasts::new(),
            turns: Turns::default(),
            spare_inputs: Spares::of_inputs(),
            dirty: Vec::new(),
            closed: Vec::new(),
            departing: Vec::new(),
            deadlines: BTreeSet::new(),
            paused: Vec::new(),
            throttled: Vec::new(),
            reply: Reply::new(Protocol::Resp2),
            spare_outputs: Spares::of_outputs(),
            next_round_ms: now_ms,
            stop: None,
        };
        shard.apply_policy();
        shard
    }

    /// Of how many shards it is one.
    pub fn shard_count(&self) -> usize {
        self.shared.shard_count
    }

    /// Which shard it is.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Takes in an event.
    pub fn handle(&mut self, event: Event<'_>) {
        self.refresh();
        match event {
            Event::Input(client, bytes) => self.input(client, bytes),
            Event::End(client) => self.end_of_input(client),
            Event::Lost(client) => self.disconnect(client),
            Event::Message(message) => self.deliver(message),
            Event::Tick => self.tick(),
        }
    }

    /// Works off the admission queue and gives runnable clients a turn; false when nothing is left that can be done now.
    pub fn work(&mut self) -> bool {
        if !self.has_work() {
            // No look at the clock for nothing.
            return false;
        }
        self.refresh();
        self.walk();
        // Not what is queued meanwhile: more keys to expire wait until others had their turn.
        for _ in 0..self.admission.len().min(limits::ADMISSIONS_PER_TURN_MAX) {
            if !self.admit_next() {
                break;
            }
        }
        let turn_count = if self.is_stopping() {
            0
        } else {
            self.turns.len().min(limits::TURNS_PER_ROUND_MAX)
        };
        for _ in 0..turn_count {
            let Some(id) = self.turns.next() else {
                break;
            };
            self.rise();
            if let Some(mut client) = self.take(id) {
                client.has_turn_coming = false;
                self.run_taken(client, &[]);
            }
        }
        self.has_work()
    }

    /// Whether work is left that can be done now.
    pub fn has_work(&self) -> bool {
        let is_useful =
            |keyspace: &Keyspace| !self.admission.is_empty() || keyspace.walk_count() > 0;
        let has_turns = !self.turns.is_empty() && !self.is_stopping();
        self.keyspace.as_deref().is_some_and(is_useful) || has_turns
    }

    /// Whether clients have output that nobody was told of yet.
    pub fn has_output(&self) -> bool {
        !self.dirty.is_empty() || !self.closed.is_empty()
    }

    /// Monotonic time at which a turn of the loop begins, for [`Shard::end_round`], ns.
    pub fn begin_round(&self) -> u64 {
        self.clock.nanoseconds()
    }

    /// Notes how long the turn took that began then, and what waits at its end: so many messages in the mailbox, and work
    /// in the queue.
    pub fn end_round(&self, begun_ns: u64, messages: usize) {
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.turns.add(1);
        let took_ns = self.clock.nanoseconds().saturating_sub(begun_ns);
        counters.turn_nanoseconds.add(took_ns);
        counters.mailbox.set(messages as u64);
        counters.queued.set(self.admission.len() as u64);
    }

    /// Takes the oldest work if the keyspace is home; false when there is none to do.
    fn admit_next(&mut self) -> bool {
        if self.keyspace.is_none() {
            return false;
        }
        self.lap_ns.set(None);
        match self.admission.pop() {
            None => return false,
            Some(Work::Batch(batch)) => self.run_batch(*batch),
            Some(Work::Lend { loan, coordinator }) => self.lend(loan, coordinator),
            Some(Work::LocalRun(client)) => self.resume_admitted(client),
            Some(Work::Expire) => self.expire(),
            Some(Work::Ring) => self.ring(),
            Some(Work::Forget(waiter)) => self.forget(&waiter),
            Some(Work::Describe(query)) => self.describe_streams(&query),
        }
        true
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Batch(batch) => {
                self.now_ms = self.now_ms.max(batch.now_ms);
                self.admission.push(Work::Batch(batch));
            }
            Message::BatchDone(done) => self.batch_done(*done),
            Message::Lend { loan, coordinator } => {
                self.admission.push(Work::Lend { loan, coordinator })
            }
            Message::Grant { loan, keyspace } => self.granted(loan, keyspace),
            Message::Return(keyspace) => self.keyspace_home(keyspace),
            Message::Heard(client) => self.heard(client),
            Message::Served {
                waiter,
                reply,
                now_ms,
            } => {
                self.now_ms = self.now_ms.max(now_ms);
                self.unblock(&waiter, &reply);
            }
            Message::Forget(waiter) => self.forget(&waiter),
            Message::Publication { from, publication } => {
                self.deliver_publication(from, &publication)
            }
            Message::Notice(notice) => self.deliver_notice(*notice),
            Message::Unsubscribed { client, ended } => self.forget_subscriptions(client, &ended),
            Message::Credit { from, bytes } => self.credit(from, bytes),
            Message::Barrier { from, client } => {
                self.release_paused();
                self.post.send(from, Message::BarrierSeen(client));
            }
            Message::Walked(walked) => self.walked(*walked),
            Message::BarrierSeen(client) => self.barrier_seen(client),
            Message::Poke(client) => self.poked(client),
            Message::DescribeStreams(query) => self.admission.push(Work::Describe(query)),
            Message::MonitorLine(line) => self.deliver_monitor_line(&line),
            Message::Adopt(client) => self.adopt(client),
            Message::Stop => self.stop(),
            Message::Drained => self.all_have_drained(),
        }
    }

    /// A keyspace that was lent is back.
    fn keyspace_home(&mut self, keyspace: Box<Keyspace>) {
        debug_assert!(self.keyspace.is_none(), "a keyspace came home twice");
        self.post.shelves().came_home(self.id);
        self.is_resting = false;
        self.keyspace = Some(keyspace);
        self.apply_policy();
        self.apply_recording();
    }

    /// A connection that has just been accepted, ready to be sent to its shard (`transport` in it).
    pub fn accept(
        shared: &Shared,
        origin: ClientOrigin,
        shard: ShardId,
        now_ms: u64,
        transport: Option<crate::net::transport::ParkedTransport>,
        authenticated: bool,
    ) -> Box<Client> {
        let handle = Arc::new(ClientHandle::new(
            shared.clients.next_id(),
            origin,
            shard,
            now_ms,
        ));
        shared.clients.insert(Arc::clone(&handle));
        Box::new(Client::new(Session::new(handle, authenticated), transport))
    }

    /// Takes a connection over: a new one, or one that moved here.
    fn adopt(&mut self, mut client: Box<Client>) {
        let id = client.id();
        client.session.handle.moved_to(self.id);
        self.now_ms = self.now_ms.max(client.now_ms);
        self.turns.queue(&mut client);
        self.clients.insert(id, Some(client));
        // What was said to its handle while it moved is looked at now.
        self.poked(id);
    }

    /// The socket of a client that was just adopted, for whoever drives the shard.
    pub fn take_transport(
        &mut self,
        id: ClientId,
    ) -> Option<crate::net::transport::ParkedTransport> {
        self.clients.get_mut(&id)?.as_mut()?.take_transport()
    }

    /// Takes a client out of the map while it runs; [`Shard::put`] must follow unless it is gone.
    fn take(&mut self, id: ClientId) -> Option<Box<Client>> {
        self.clients.get_mut(&id)?.take()
    }

    fn put(&mut self, client: Box<Client>) {
        if let Some(slot) = self.clients.get_mut(&client.id()) {
            *slot = Some(client);
        }
    }

    fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)?.as_deref_mut()
    }

    /// Whether a client should be read from now. One that has whole requests left is not, so what it has sent and nobody
    /// has looked at is bounded: the rest waits in its socket. Only a request that is incomplete may be longer.
    pub fn wants_input(&self, id: ClientId) -> bool {
        let Some(Some(client)) = self.clients.get(&id) else {
            return false;
        };
        if client.session.closing || client.ended || client.has_turn_coming || self.is_stopping() {
            return false;
        }
        let allowed = self.kept_input_bytes_max();
        if client.is_behind_with_reading() {
            return client.session.authenticated
                && client.input.len() < allowed.min(limits::INPUT_BYTES_WHILE_UNREAD_MAX);
        }
        match client.phase {
            Phase::Ready => true,
            // To see the end of file; what comes is kept.
            Phase::Blocked(_) | Phase::Waiting { .. } | Phase::Paused => {
                client.input.len() < allowed.min(limits::INPUT_BYTES_WHILE_WAITING_MAX)
            }
            Phase::Leaving => false,
            Phase::Queued
            | Phase::Batch { .. }
            | Phase::Loan
            | Phase::Barrier { .. }
            | Phase::Walking { .. }
            | Phase::Throttled => client.input.len() < limits::INPUT_BYTES_WHILE_BUSY_MAX,
        }
    }

    /// Input that is kept and not cut off: well below what `client-query-buffer-limit` allows.
    fn kept_input_bytes_max(&self) -> usize {
        let allowed = usize::try_from(self.settings.client_query_buffer_bytes_max / 2);
        allowed.unwrap_or(usize::MAX)
    }

    /// Whether a client waits and is not read meanwhile, so that the end of its input is not seen by reading.
    pub fn waits_unread(&self, id: ClientId) -> bool {
        let Some(Some(client)) = self.clients.get(&id) else {
            return false;
        };
        client.phase.is_a_wait() && !client.ended && !self.wants_input(id)
    }

    /// Whether a client that waits should be read a little, though it has sent much: towards the end of its input.
    pub fn wants_a_little_input(&self, id: ClientId) -> bool {
        let Some(Some(client)) = self.clients.get(&id) else {
            return false;
        };
        let most = limits::INPUT_BYTES_TO_REACH_THE_END_MAX.min(self.kept_input_bytes_max());
        let is_over = client.ended || client.session.closing || self.is_stopping();
        client.phase.is_a_wait() && !is_over && client.input.len() < most
    }

    /// The time of its turn, Unix ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How many clients it has.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Whether the keyspace is home and no work waits for it.
    pub fn is_idle(&self) -> bool {
        (self.keyspace.is_some() || self.is_resting)
            && self.admission.is_empty()
            && self.turns.is_empty()
            && self.lending.is_idle()
    }

    /// Drops a client: its waits, subscriptions, registry entry.
    pub fn disconnect(&mut self, id: ClientId) {
        let Some(slot) = self.clients.remove(&id) else {
            return;
        };
        let Some(mut client) = slot else { return };
        self.leave_wait(&mut client);
        self.drop_subscriptions(&client);
        if client.session.monitoring {
            self.shared.monitor_count.fetch_sub(1, Ordering::AcqRel);
            self.subscribers.monitors.retain(|monitor| *monitor != id);
        }
        client.session.transaction.clear();
        self.shared.tracking.stop(&mut client.session);
        self.shared.clients.remove(id);
        if client.output.has_shares()
            && let Some(disposal) = self.shared.disposal.get()
        {
            // It may be the last to hold a long list that was deleted.
            let output = std::mem::take(&mut client.output);
            disposal.free(vec![Discarded::Part(Part::new(output))]);
        }
        self.closed.push(id);
    }
}
