//! A shard: its parts, and who of its clients is at hand.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::context::Shared;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::{Keyspace, KeyspacePolicy};
use crate::net::buffers::Spares;
use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::client::Client;
use super::clock::Clock;
use super::env::Env;
use super::hand::Hands;
use super::mailbox::{Mail, Post};
use super::subscribers::{Broadcasts, Subscribers};
use super::turns::Turns;

/// How far a shard is on its way to the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// When replies that are still unsent are given up, Unix ms.
    pub(super) deadline_ms: u64,
    /// It has told the others that it has nothing left to do …
    pub(super) has_drained: bool,
    /// … and so have they.
    pub(super) have_all_drained: bool,
}

/// A shard.
pub struct Shard {
    pub(super) id: ShardId,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<Settings>,
    pub(super) settings_version: u64,
    pub(super) post: Mail,
    pub(super) clock: Arc<dyn Clock>,
    /// See [`execute::Env::lap_ns`].
    pub(super) lap_ns: Cell<Option<u64>>,
    pub(super) now_ms: u64,
    pub(super) hands: Hands,
    /// What the settings and CLIENT PAUSE mean to the keyspaces in hand.
    pub(super) policy: KeyspacePolicy,
    pub(super) clients: HashMap<ClientId, Option<Box<Client>>, hashbrown::DefaultHashBuilder>,
    pub(super) subscribers: Subscribers,
    /// What changed for who listens to prefixes, not told yet.
    pub(super) broadcasts: Broadcasts,
    /// Clients that can go on without an event: their turn ended before their input did.
    pub(super) turns: Turns,
    /// Input buffers for who needs one next.
    pub(super) spare_inputs: Spares,
    /// Clients with new output, or to be closed when it is sent.
    pub(super) dirty: Vec<ClientId>,
    /// Clients whose sockets are to be dropped.
    pub(super) closed: Vec<ClientId>,
    /// Clients that are to move to another shard.
    pub(super) departing: Vec<(ClientId, ShardId)>,
    /// Deadlines of blocked and waiting clients.
    pub(super) deadlines: BTreeSet<(u64, ClientId)>,
    /// Clients held by CLIENT PAUSE.
    pub(super) paused: Vec<ClientId>,
    /// Clients held for credit.
    pub(super) throttled: Vec<ClientId>,
    /// Replies of the client whose turn it is.
    pub(super) reply: Reply,
    /// Buffers for the output of clients.
    pub(super) spare_outputs: Spares,
    /// When the next expiry and housekeeping round is due, Unix ms.
    pub(super) next_round_ms: u64,
    /// It has offered keyspaces to other threads.
    pub(super) has_offered: bool,
    /// Clients whose sockets have come with them.
    pub(super) arrived: Vec<ClientId>,
    /// The process is ending.
    pub(super) stop: Option<Stop>,
}

impl Shard {
    pub(super) fn env(&self) -> Env<'_> {
        Env {
            shared: &self.shared,
            settings: &self.settings,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
            lap_ns: &self.lap_ns,
        }
    }

    /// What a run reads, and what it works with.
    pub(super) fn env_and_hands(&mut self) -> (Env<'_>, &mut Hands) {
        let env = Env {
            shared: &self.shared,
            settings: &self.settings,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
            lap_ns: &self.lap_ns,
        };
        (env, &mut self.hands)
    }

    /// Whether a client is told of what others do.
    pub(super) fn listens(&self, id: ClientId) -> bool {
        self.client(id)
            .is_some_and(|client| client.session.listens())
    }

    /// Whether the process is ending.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

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

    /// Takes a client out of the map while it runs; [`Shard::put`] must follow unless it is gone.
    pub(super) fn take(&mut self, id: ClientId) -> Option<Box<Client>> {
        self.clients.get_mut(&id)?.take()
    }

    pub(super) fn put(&mut self, client: Box<Client>) {
        if let Some(slot) = self.clients.get_mut(&client.id()) {
            *slot = Some(client);
        }
    }

    pub(super) fn client(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(&id)?.as_deref()
    }

    pub(super) fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)?.as_deref_mut()
    }

    /// The time of its turn, Unix ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How many clients it has.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }
}
