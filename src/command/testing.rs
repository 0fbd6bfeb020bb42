//! A bench for handlers: a context made by hand over one or more keyspaces, without engine or socket.
//!
//! It does what the executor does around a handler and no more: finds the row, checks the arity, runs, writes the error.
//! Not here: routing, MULTI, waiting clients, publications.

#![allow(clippy::vec_box, reason = "as keyspaces travel in the engine")]
#![allow(
    clippy::unwrap_used,
    reason = "a defect here is a failed test of whoever uses it"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use hashbrown::DefaultHashBuilder;

use crate::acl::{Rules, Users};
use crate::client::registry::{ClientHandle, ClientOrigin, ClientRegistry};
use crate::client::session::Session;
use crate::client::tracking::BroadcastRegistry;
use crate::config::{Configuration, Settings};
use crate::ids::ShardId;
use crate::keyspace::event::EventClass;
use crate::keyspace::{Keyspace, Space};
use crate::observe::Observations;
use crate::observe::effects::EffectLog;
use crate::pubsub::registry::ChannelRegistry;
use crate::resp::Protocol;
use crate::resp::arguments::Request;
use crate::resp::reply::Reply;
use crate::resp::request::{RequestLimits, RequestParser};
use crate::resp::rest::Piece;
use crate::script::busy::BusyScripts;
use crate::script::cache::ScriptCache;
use crate::script::libraries::LibraryRegistry;
use crate::script::thread::Scripts;

use super::context::{Context, Outcome, Shared};
use super::error;
use super::keyspace::{digest, rewrite};
use super::table::commands;

/// A reply that is not encoded to its end.
pub(crate) struct Sliced(Reply);

impl Sliced {
    /// Encodes what is left: the bytes of all, in how many slices after the first, and the longest piece.
    pub(crate) fn finish(mut self) -> (Vec<u8>, usize, usize) {
        let (mut bytes, mut slices, mut longest) = (Vec::new(), 0, 0);
        let mut pieces: VecDeque<Piece> = self.0.take_pieces().into();
        while let Some(piece) = pieces.pop_front() {
            match piece {
                Piece::Bytes(part) => {
                    longest = longest.max(part.len());
                    bytes.extend_from_slice(&part);
                }
                Piece::Rest(mut rest) => {
                    slices += 1;
                    let next = rest.next_slice();
                    if !rest.is_over() {
                        pieces.push_front(Piece::Rest(rest));
                    }
                    for piece in next.into_iter().rev() {
                        pieces.push_front(piece);
                    }
                }
            }
        }
        (bytes, slices, longest)
    }
}

/// Facts as a server just started with `words` has them.
pub(crate) fn shared(words: &[&str], shard_count: usize) -> Shared {
    let configuration = Configuration::load(words, &mut std::io::empty()).unwrap();
    let settings = configuration.settings();
    let row_count = commands().rows().len();
    let users = Arc::new(Users::new(Rules::all_may()));
    Shared {
        commands: commands(),
        scripts: ScriptCache::default(),
        libraries: LibraryRegistry::default(),
        busy_scripts: BusyScripts::default(),
        observations: Observations::new(shard_count, row_count, settings.databases, 0),
        settings: RwLock::new(Arc::new(settings)),
        settings_version: AtomicU64::new(0),
        configuration: Mutex::new(configuration),
        process: OnceLock::new(),
        witness: OnceLock::new(),
        disposal: OnceLock::new(),
        users,
        acl_file: Mutex::default(),
        acl_log: Mutex::default(),
        clients: ClientRegistry::default(),
        tracking: BroadcastRegistry::default(),
        channels: ChannelRegistry::default(),
        effects: EffectLog::default(),
        paused_until_ms: AtomicU64::new(0),
        pause_writes_only: AtomicBool::new(false),
        monitor_count: AtomicUsize::new(0),
        active_expire: AtomicBool::new(true),
        scripts_may_all: AtomicBool::new(false),
        cron_paused: AtomicBool::new(false),
        list_packed_threshold: AtomicUsize::new(0),
        shard_count,
        run_id: "0".repeat(40),
        started_ms: 0,
        saver: OnceLock::new(),
        migrator: OnceLock::new(),
        ending: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        drained_shards: AtomicUsize::new(0),
    }
}

/// Keyspaces, a client and a clock.
pub(crate) struct Bench {
    pub(crate) keyspaces: Vec<Box<Keyspace>>,
    pub(crate) shared: Shared,
    pub(crate) settings: Arc<Settings>,
    pub(crate) session: Session,
    /// The time of the next command, Unix ms.
    pub(crate) now_ms: u64,
    /// What its thread has of scripts.
    pub(crate) scripts: RefCell<Scripts>,
    /// What the last handler answered.
    pub(crate) outcome: Option<Outcome>,
}

impl Bench {
    /// One shard, database 0, RESP2, all events and effects recorded.
    pub(crate) fn new() -> Self {
        Self::with_shards(1)
    }

    /// Several shards, all of them in hand for every command.
    pub(crate) fn with_shards(shard_count: usize) -> Self {
        let shared = shared(&[], shard_count);
        let settings = Arc::clone(&shared.settings.read().unwrap());
        let hasher = DefaultHashBuilder::default();
        let keyspaces = (0..shard_count)
            .map(|shard| {
                let mut keyspace =
                    Keyspace::new(ShardId(shard as u16), settings.databases, hasher.clone());
                // All classes that Redis 7.2 has.
                keyspace.policy.notify = EventClass(EventClass::OVERWRITTEN.0 - 1);
                keyspace.effects.set_recording(true);
                Box::new(keyspace)
            })
            .collect();
        let id = shared.clients.next_id();
        let handle = ClientHandle::new(id, ClientOrigin::default(), ShardId(0), 0);
        let mut session = Session::new(Arc::new(handle), true);
        session.begin_as(shared.users.default());
        Self {
            keyspaces,
            shared,
            settings,
            session,
            now_ms: 1_700_000_000_000,
            scripts: RefCell::default(),
            outcome: None,
        }
    }

    /// Runs a command; gives its reply in RESP.
    pub(crate) fn run<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Vec<u8> {
        let mut reply = Reply::new(self.session.protocol);
        self.run_into(words, &mut reply);
        reply.take()
    }

    /// Runs a command whose reply may be encoded later, up to there.
    pub(crate) fn run_sliced<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Sliced {
        let mut reply = Reply::new(self.session.protocol);
        reply.set_slices(true);
        self.run_into(words, &mut reply);
        Sliced(reply)
    }

    fn run_into<W: AsRef<[u8]>>(&mut self, words: &[W], reply: &mut Reply) {
        let request = Request::from_arguments(words.iter().map(AsRef::as_ref));
        let args = request.args();
        let table = commands();
        let mut row = table.find(args.at(0)).unwrap();
        if row.is_container() {
            row = table.find_subcommand(row, args.at(1)).unwrap();
        }
        let shard_count = self.shared.shard_count;
        let mut space = match self.keyspaces.as_mut_slice() {
            [one] => Space::one(one, shard_count),
            many => Space::many(many, shard_count),
        };
        space.now_ms = self.now_ms;
        space.db = self.session.db;
        let mut ctx = Context {
            space,
            reply: &mut *reply,
            session: &mut self.session,
            shared: &self.shared,
            settings: &self.settings,
            scripts: &self.scripts,
            row,
            shard: ShardId(0),
            may_block: true,
            in_script: false,
            resumed: false,
        };
        let result = if row.command.accepts(args.len()) {
            (row.command.handler)(&mut ctx, &args)
        } else {
            Err(error::wrong_arity(&row.full_name))
        };
        match result {
            Ok(outcome) => self.outcome = Some(outcome),
            Err(error) => {
                reply.clear();
                reply.error(error.bytes());
            }
        }
    }

    /// Runs a command given as words with single blanks; gives its reply as text with the line ends as blanks.
    pub(crate) fn line(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = String::from_utf8_lossy(&self.run(&words)).replace("\r\n", " ");
        reply.trim_end().to_owned()
    }

    /// Uses RESP3 from here on.
    pub(crate) fn resp3(&mut self) {
        self.session.set_protocol(Protocol::Resp3);
    }

    /// Effects since the last call, as text, database in front when it is not 0.
    pub(crate) fn effects(&mut self) -> Vec<String> {
        let mut effects = Vec::new();
        for keyspace in &mut self.keyspaces {
            keyspace.effects.drain(|db, command| {
                let text = String::from_utf8_lossy(command);
                let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
                let words = words.join(" ");
                effects.push(match db {
                    0 => words,
                    _ => format!("{db}: {words}"),
                });
            });
        }
        effects
    }

    /// Events since the last call, as `name key`.
    pub(crate) fn events(&mut self) -> Vec<String> {
        self.keyspaces
            .iter_mut()
            .flat_map(|keyspace| keyspace.take_events())
            .map(|event| format!("{} {}", event.name, String::from_utf8_lossy(&event.key)))
            .collect()
    }

    /// Effects of the first keyspace since the last call, as words.
    pub(crate) fn effect_words(&mut self) -> Vec<Vec<Vec<u8>>> {
        let mut commands = Vec::new();
        self.keyspaces[0]
            .effects
            .drain(|_, command| commands.push(words_of(command)));
        commands
    }

    /// The commands that make all of the first keyspace's first database again.
    pub(crate) fn rewritten(&self) -> Vec<Vec<Vec<u8>>> {
        let mut commands = Vec::new();
        for entry in self.keyspaces[0].database(0).table().iter() {
            rewrite(entry, self.now_ms, &mut |effect| {
                let mut bytes = Vec::new();
                effect.encode(&mut bytes);
                commands.push(words_of(&bytes));
            });
        }
        commands
    }

    /// What DEBUG DIGEST says of it.
    pub(crate) fn digest(&self) -> [u8; 20] {
        let keyspace = &self.keyspaces[0];
        digest([(0, keyspace.database(0))].into_iter(), self.now_ms)
    }
}

/// A command as its words.
fn words_of(command: &[u8]) -> Vec<Vec<u8>> {
    let limits = RequestLimits {
        bulk_bytes_max: 1 << 29,
        argument_count_max: 1 << 20,
        unparsed_bytes_max: usize::MAX,
        line_bytes_max: 1 << 16,
        unauthenticated: None,
    };
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(command, &limits), Ok(Some(command.len())));
    let arguments = parser.arguments(command);
    arguments.iter().map(<[u8]>::to_vec).collect()
}
