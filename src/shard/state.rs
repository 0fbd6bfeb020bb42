//! A shard: its parts, and who of its clients is at hand.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::command::context::Shared;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId};
use crate::journal::log::Log;
use crate::keyspace::Keyspace;
use crate::net::buffers::Spares;
use crate::resp::Protocol;
use crate::resp::reply::Reply;
use crate::script::thread::Scripts;

use super::behind::Outstanding;
use super::busy::Busy;
use super::clients::Clients;
use super::clock::Clock;
use super::env::Env;
use super::hand::Hands;
use super::headroom::MemoryLimits;
use super::mailbox::{Mail, Post};
use super::subscribers::Subscribers;

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
    /// What they say about memory.
    pub(super) limits: MemoryLimits,
    pub(super) post: Mail,
    pub(super) clock: Arc<dyn Clock>,
    /// See [`Env::lap_ns`].
    pub(super) lap_ns: Cell<Option<u64>>,
    pub(super) now_ms: u64,
    /// When the log was told that clients hold too much and may not be closed, Unix ms.
    pub(super) crowd_told_ms: u64,
    /// What this thread has of scripts.
    pub(super) scripts: RefCell<Scripts>,
    pub(super) hands: Hands,
    pub(super) clients: Clients,
    pub(super) subscribers: Subscribers,
    /// Input buffers for who needs one next.
    pub(super) spare_inputs: Spares,
    /// Replies of the client whose turn it is.
    pub(super) reply: Reply,
    /// Buffers for the output of clients.
    pub(super) spare_outputs: Spares,
    /// When the next expiry and housekeeping round is due, Unix ms.
    pub(super) next_round_ms: u64,
    /// The process is ending.
    pub(super) stop: Option<Stop>,
    /// The append-only log.
    pub(super) log: Arc<Log>,
    /// The keyspaces in hand record their effects.
    pub(super) is_recording: bool,
    /// Position of the log up to which the replies of this turn may reveal what happened.
    pub(super) revealed: u64,
    /// Position of the log behind what was written in this turn.
    pub(super) wrote_to: u64,
    /// What listeners have sent that is not in effect yet, and who waits for it.
    pub(super) outstanding: Outstanding,
    /// Clients, and their threads, that wait until the sockets of those who are gone are closed.
    pub(super) answers_behind_closed: Vec<(ShardId, ClientId)>,
    /// It has written something to the log that is not synced, and has left that to nobody.
    pub(super) owes_sync: bool,
    /// Position of the log up to which clients may be told.
    pub(super) mark: u64,
    /// A script was found to be busy, here or elsewhere.
    pub(super) has_busy_news: bool,
    /// A script that runs for long.
    pub(super) busy: Option<Box<Busy>>,
    /// When the last step of a snapshot ended, ns, and how many commands this shard had run by then.
    pub(super) step_ended: (u64, u64),
}

impl Shard {
    pub(super) fn env(&self) -> Env<'_> {
        Env {
            shared: &self.shared,
            settings: &self.settings,
            limits: &self.limits,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
            lap_ns: &self.lap_ns,
            scripts: &self.scripts,
        }
    }

    /// What a run reads, and what it works with.
    pub(super) fn env_and_hands(&mut self) -> (Env<'_>, &mut Hands) {
        let env = Env {
            shared: &self.shared,
            settings: &self.settings,
            limits: &self.limits,
            shard: self.id,
            now_ms: self.now_ms,
            clock: &*self.clock,
            lap_ns: &self.lap_ns,
            scripts: &self.scripts,
        };
        (env, &mut self.hands)
    }

    /// Whether the process is ending.
    pub(crate) fn is_stopping(&self) -> bool {
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
        let keyspace = Self::keyspace(id, &shared, hasher);
        let hands = Hands::new(
            keyspace,
            shared.shard_count,
            Arc::clone(&post),
            Arc::clone(&clock),
        );
        Self::with_hands(id, shared, post, clock, hands)
    }

    /// A shard whose keyspace is filled elsewhere and will be put into its berth ([`Message::Loaded`]).
    ///
    /// [`Message::Loaded`]: super::mailbox::Message::Loaded
    pub(crate) fn without_keyspace(
        id: ShardId,
        shared: Arc<Shared>,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let hands = Hands::without_keyspace(
            id,
            shared.shard_count,
            Arc::clone(&post),
            Arc::clone(&clock),
        );
        Self::with_hands(id, shared, post, clock, hands)
    }

    /// The empty keyspace of a shard.
    pub(crate) fn keyspace(
        id: ShardId,
        shared: &Shared,
        hasher: hashbrown::DefaultHashBuilder,
    ) -> Box<Keyspace> {
        let settings = shared.settings.read();
        let settings = settings.unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut keyspace = Keyspace::new(id, settings.databases, hasher);
        keyspace.tracking_counts = Arc::clone(shared.tracking.counts());
        keyspace.count_in(&shared.observations.shards[id.index()].keyspace);
        if settings.metrics.port != 0 {
            keyspace.list_streams();
        }
        Box::new(keyspace)
    }

    fn with_hands(
        id: ShardId,
        shared: Arc<Shared>,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
        hands: Hands,
    ) -> Self {
        let settings = shared.settings.read();
        let settings = Arc::clone(&settings.unwrap_or_else(std::sync::PoisonError::into_inner));
        let now_ms = clock.now_ms();
        let mut scripts = Scripts::of_thread(id.0);
        scripts.set_bytes_max(settings.lua_bytes_max);
        let facts = Arc::clone(&shared.observations.persistence);
        let log = Arc::new(Log::new(shared.shard_count, facts));
        Self {
            id,
            // None: a setting may have changed before this thread began, and the first look does what follows from it.
            settings_version: u64::MAX,
            limits: MemoryLimits::of(&settings),
            hands,
            subscribers: Subscribers::new(shared.shard_count),
            shared,
            settings,
            post: Mail::new(id, post),
            clock,
            lap_ns: Cell::new(None),
            now_ms,
            crowd_told_ms: 0,
            scripts: RefCell::new(scripts),
            clients: Clients::default(),
            spare_inputs: Spares::of_inputs(),
            reply: Reply::new(Protocol::Resp2),
            spare_outputs: Spares::of_outputs(),
            next_round_ms: now_ms,
            stop: None,
            log,
            is_recording: false,
            revealed: 0,
            wrote_to: 0,
            outstanding: Outstanding::default(),
            answers_behind_closed: Vec::new(),
            owes_sync: false,
            has_busy_news: false,
            busy: None,
            step_ended: (0, 0),
            mark: 0,
        }
    }

    /// As a shard whose effects go to this log, which all shards of a process share.
    #[must_use]
    pub fn with_log(mut self, log: Arc<Log>) -> Self {
        self.log = log;
        self
    }

    /// Of how many shards it is one.
    pub(crate) fn shard_count(&self) -> usize {
        self.shared.shard_count
    }

    /// Which shard it is.
    pub fn id(&self) -> ShardId {
        self.id
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
