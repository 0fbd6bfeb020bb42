//! The engine: one shard, a state machine without threads and sockets.
//!
//! ```text
//!   events in                                   ┌──────────────────────────────┐            out
//!   input / end of file ──► client's turn ──►   │ hand: the keyspaces in use   │  ──► output of clients (dirty)
//!   messages            ──► deliver       ──►   │ lines: jobs that wait for it │  ──► messages (Post)
//!   time                ──► tick          ──►   └──────────────────────────────┘  ──► closed, departing clients
//! ```
//! [`thread`] drives it with sockets and a clock, the simulation with lists and a seed. Everything a client is but its
//! socket lives here, so both run the same code.
//!
//! Files: `input` bytes to requests · `turn` a client's turn · `admit` whether a command may run · `window` its keyspaces, then
//! its run · `hand/` which keyspaces this thread has, and who waits for them · `job` what else asks for them · `execute` one
//! command, `transaction` EXEC · `finish` what follows it · `waiters` who is served by it · `blocking` waits and their ends ·
//! `publish` publications and credits · `output` what is sent · `walk` KEYS over very many · `subscribers` who gets them ·
//! `tracking` client-side caches · `migrate` who moves where · `tick` time · `refresh` settings · `stop` the end ·
//! `phase` what keeps a client · `route`, `turns` pure.
//!
//! Invariants: a handler is called by [`execute`] only, with its keyspaces in hand; the work on keyspaces is finished (waiters
//! served, effects logged, publications sent) before they are put back and before the reply leaves.

mod admit;
mod blocking;
mod client;
pub mod clock;
pub mod describe;
pub mod execute;
mod finish;
pub mod hand;
mod input;
mod job;
pub mod mailbox;
mod measure;
mod migrate;
pub mod output;
mod phase;
mod publish;
mod refresh;
mod reload;
mod route;
mod stop;
mod subscribers;
pub mod thread;
mod tick;
mod tracking;
mod transaction;
mod turn;
mod turns;
mod waiters;
mod walk;
mod window;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::context::Shared;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::discard::{Discarded, Part};
use crate::keyspace::{Keyspace, KeyspacePolicy};
use crate::limits;
use crate::net::buffers::Spares;
use crate::resp::Protocol;
use crate::resp::reply::Reply;

pub use client::Client;
use clock::Clock;
use hand::Hands;
use job::Job;
use mailbox::{Mail, Message, Post};
use phase::{Happening, Reaction};
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
    post: Mail,
    clock: Arc<dyn Clock>,
    /// See [`execute::Env::lap_ns`].
    lap_ns: Cell<Option<u64>>,
    now_ms: u64,
    hands: Hands,
    /// What the settings and CLIENT PAUSE mean to the keyspaces in hand.
    policy: KeyspacePolicy,
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
    /// It has offered keyspaces to other threads.
    has_offered: bool,
    /// Clients whose sockets have come with them.
    arrived: Vec<ClientId>,
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
        Self {
            id,
            settings_version: shared.settings_version.load(Ordering::Acquire),
            hands: Hands::new(
                Box::new(keyspace),
                shared.shard_count,
                Arc::clone(&post),
                Arc::clone(&clock),
            ),
            policy: KeyspacePolicy::default(),
            subscribers: Subscribers::new(shared.shard_count),
            shared,
            settings,
            post: Mail::new(id, post),
            clock,
            lap_ns: Cell::new(None),
            now_ms,
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
            has_offered: false,
            arrived: Vec::new(),
            stop: None,
        }
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
        self.put_back();
    }

    /// Tries for what jobs wait for, and gives runnable clients a turn; true when work is left that can be done now.
    pub fn work(&mut self) -> bool {
        let has_jobs = !self.hands.lines().is_empty();
        if !has_jobs && !self.has_work() {
            // No look at the clock for nothing.
            return false;
        }
        self.refresh();
        self.run_lines();
        let turn_count = if self.is_stopping() {
            0
        } else {
            self.turns.len().min(limits::TURNS_PER_ROUND_MAX)
        };
        for _ in 0..turn_count {
            let Some(id) = self.turns.next() else {
                break;
            };
            if let Some(client) = self.client_mut(id) {
                client.has_turn_coming = false;
                self.run_client(id, &[]);
            }
        }
        self.post.ring();
        self.has_work()
    }

    /// Whether work is left that can be done now. Not what waits with a ticket: that is offered, or tried again in time.
    pub fn has_work(&self) -> bool {
        let has_turns = !self.turns.is_empty() && !self.is_stopping();
        has_turns || self.hands.lines().any_called()
    }

    /// Wakes the threads that something was sent to since the last time: to be called before this one sleeps.
    pub fn ring_others(&self) {
        self.post.ring();
    }

    /// Whether it has offered keyspaces to other threads since the last call: who shares the core with one of them lets it run,
    /// or the offer is for what this thread will have again by then.
    pub fn take_offered(&mut self) -> bool {
        std::mem::take(&mut self.has_offered)
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
        counters.queued.set(self.hands.lines().len() as u64);
    }

    /// Takes in so many of the messages that have come; true when there are more.
    pub fn deliver_mail(&mut self, messages_max: usize) -> bool {
        if !self.post.has_mail() {
            return false;
        }
        self.refresh();
        let count = self.post.receive();
        for _ in 0..count.min(messages_max) {
            let Some(message) = self.post.next() else {
                break;
            };
            self.deliver(message);
        }
        self.post.ring();
        count > messages_max
    }

    fn deliver(&mut self, message: Message) {
        match message {
            // Its ticket says so.
            Message::Offer => {}
            Message::Alarm(alarm_ms) => self.hands.arm(alarm_ms),
            Message::Served {
                waiter,
                reply,
                now_ms,
            } => {
                self.now_ms = self.now_ms.max(now_ms);
                self.unblock(&waiter, &reply);
            }
            Message::Publication { from, publication } => {
                self.deliver_publication(from, &publication)
            }
            Message::Notice(notice) => self.deliver_notice(*notice),
            Message::Unsubscribed { client, ended } => self.forget_subscriptions(client, &ended),
            Message::Credit { from, bytes } => self.credit(from, bytes),
            Message::Barrier { from, client } => self.pass_barrier(from, client),
            Message::Walked(walked) => self.walked(*walked),
            Message::BarrierSeen(client) => self.barrier_seen(client),
            Message::Poke(client) => self.poked(client),
            Message::DescribeStreams(query) => {
                let own = ShardSet::one(self.id);
                self.hands.wait_in_line(own, Job::Describe(query));
            }
            Message::MonitorLine(line) => self.deliver_monitor_line(&line),
            Message::Adopt(client) => self.adopt(client),
            Message::Stop => self.stop(),
            Message::Drained => self.all_have_drained(),
        }
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
        self.arrived.push(id);
        // What was said to its handle while it moved is looked at now.
        self.poked(id);
    }

    /// Clients that have come since the last call, for whoever drives the shard.
    pub fn take_arrived(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.arrived)
    }

    /// The socket of a client that has come.
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

    fn client(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(&id)?.as_deref()
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
        match client.phase.on(Happening::Input) {
            Reaction::Run => true,
            Reaction::KeepWaiting => {
                client.input.len() < allowed.min(limits::INPUT_BYTES_WHILE_WAITING_MAX)
            }
            Reaction::KeepBusy => client.input.len() < limits::INPUT_BYTES_WHILE_BUSY_MAX,
            _ => false,
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

    /// Whether nothing is in hand and no work waits.
    pub fn is_idle(&self) -> bool {
        self.hands.shards().is_empty() && self.hands.lines().is_empty() && self.turns.is_empty()
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
