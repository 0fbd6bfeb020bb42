//! What a handler may touch, and what it may answer.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use bytes::Bytes;

use crate::data::names::Name;

use crate::acl::Users;
use crate::acl::log::AclLog;
use crate::client::registry::ClientRegistry;
use crate::client::session::{CopyOf, Session};
use crate::client::tracking::BroadcastRegistry;
use crate::config::{Configuration, EndOptions, ProcessControl, Settings};
use crate::ids::{ClientId, ShardId};
use crate::keyspace::Space;
use crate::keyspace::discard::Discarded;
use crate::keyspace::wait::{WaitClass, WaitKind};
use crate::observe::Observations;
use crate::observe::effects::EffectLog;
use crate::pubsub::registry::{ChannelKind, ChannelRegistry};
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::Reply;
use crate::script::busy::BusyScripts;
use crate::script::cache::ScriptCache;
use crate::script::libraries::{Libraries, Library, LibraryRegistry};
use crate::script::thread::Scripts;

use super::keyspace::migrate::{Migration, Migrator};
use super::row::{CommandTable, Row};

/// Facts and registries that every shard sees.
pub struct Shared {
    /// All commands.
    pub(crate) commands: &'static CommandTable,
    /// The settings in force; shards take a new snapshot when [`Shared::settings_version`] has moved.
    pub(crate) settings: RwLock<Arc<Settings>>,
    /// Moves when `settings` change.
    pub(crate) settings_version: AtomicU64,
    /// What CONFIG GET and SET work on.
    pub(crate) configuration: Mutex<Configuration>,
    /// Makes the process follow CONFIG SET; absent in tests without a server.
    pub(crate) process: OnceLock<Box<dyn ProcessControl>>,
    /// All users.
    pub(crate) users: Arc<Users>,
    /// Held by who reads or writes the file of users.
    pub(crate) acl_file: Mutex<()>,
    /// ACL LOG.
    pub(crate) acl_log: Mutex<AclLog>,
    /// All clients.
    pub clients: ClientRegistry,
    /// Client-side caching.
    pub(crate) tracking: BroadcastRegistry,
    /// All channels.
    pub(crate) channels: ChannelRegistry,
    /// Counters, slow log, latency, by shard where they are hot.
    pub(crate) observations: Observations,
    /// Effects recorded for whoever asked (DEBUG EFFECTS).
    pub(crate) effects: EffectLog,
    /// CLIENT PAUSE: until when, Unix ms; 0 for not paused.
    pub(crate) paused_until_ms: AtomicU64,
    /// CLIENT PAUSE: whether only writes wait.
    pub(crate) pause_writes_only: AtomicBool,
    /// Clients in MONITOR.
    pub(crate) monitor_count: AtomicUsize,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub(crate) active_expire: AtomicBool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may run what they may not otherwise.
    pub(crate) scripts_may_all: AtomicBool,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: AtomicBool,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD, bytes; 0 for the built-in one.
    pub(crate) list_packed_threshold: AtomicUsize,
    /// How many shards.
    pub(crate) shard_count: usize,
    /// Identifies this run of the process, 40 hex digits.
    pub(crate) run_id: String,
    /// When the process started, Unix ms.
    pub(crate) started_ms: u64,
    /// The scripts that EVALSHA finds.
    pub(crate) scripts: ScriptCache,
    /// The libraries of functions.
    pub(crate) libraries: LibraryRegistry,
    /// Scripts that run for too long.
    pub(crate) busy_scripts: BusyScripts,
    /// Told of every execution; absent but in a simulation.
    pub witness: OnceLock<Box<dyn Witness>>,
    /// Frees big values on a thread of its own; absent in tests without a server.
    pub(crate) disposal: OnceLock<Box<dyn Disposal>>,
    /// Saves to files; absent in tests without a server.
    pub(crate) saver: OnceLock<Box<dyn Saver>>,
    /// Sends keys to other servers; absent in tests without a server.
    pub(crate) migrator: OnceLock<Box<dyn Migrator>>,
    /// Set when the process is to end and has been saved: nobody writes any more.
    pub(crate) ending: AtomicBool,
    /// Set when the process is to end.
    pub(crate) stopping: AtomicBool,
    /// Shards that have nothing left to do at the end of the process.
    pub(crate) drained_shards: AtomicUsize,
}

/// Frees what takes long to free, so that no shard has to.
pub(crate) trait Disposal: Send + Sync {
    /// Takes it over; returns at once.
    fn free(&self, discards: Vec<Discarded>);
}

/// How DEBUG RELOAD goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReloadOptions {
    /// The dump is written first (not NOSAVE).
    pub(crate) saves: bool,
    /// What is there is dropped first (not NOFLUSH).
    pub(crate) flushes: bool,
    /// Keys of the dump replace those that are there (MERGE).
    pub(crate) merges: bool,
}

/// What is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Save {
    /// All data to a dump, and the client waits for it (SAVE).
    DumpNow,
    /// All data to a dump (BGSAVE).
    Dump,
    /// A copy of the data to a file without a name, which the client gets (SYNC).
    Copy(CopyOf),
    /// The log from all data anew (BGREWRITEAOF).
    Base,
    /// The log is to be on or off, as the settings say (CONFIG SET appendonly).
    Switch,
    /// What is being saved is not wanted any more (BGSAVE CANCEL).
    Cancel,
    /// All data are gone, and no dump should bring them back (FLUSHALL).
    Flushed,
    /// The process ends when all is saved (SHUTDOWN).
    End(EndOptions),
    /// It is not to end after all (SHUTDOWN ABORT).
    Abort,
}

/// Saves to files on a thread of its own.
pub(crate) trait Saver: Send + Sync {
    /// Takes a request; returns at once. `client` waits for it: it gets [`Message::Saved`] at its shard, or
    /// [`Message::Copied`].
    ///
    /// [`Message::Saved`]: the shard's message of this name
    /// [`Message::Copied`]: the shard's message of this name
    fn request(&self, save: Save, client: Option<(ShardId, ClientId)>);
}

impl Shared {
    /// The libraries are these from now on; files that are written get them too.
    pub(crate) fn set_libraries(&self, libraries: Libraries) {
        let texts = libraries.list().iter().map(|library| library.text.clone());
        let facts = &self.observations.persistence;
        facts.set_libraries(texts.collect());
        self.libraries.set(libraries);
    }

    /// Adds the library of a file.
    ///
    /// # Errors
    ///
    /// There is one of its name, unless it `replaces` that; one of its functions is in another library.
    pub(crate) fn add_library(&self, library: Library, replaces: bool) -> Result<(), Vec<u8>> {
        let mut libraries = Libraries::clone(&self.libraries.now());
        libraries.add(library, replaces)?;
        self.set_libraries(libraries);
        Ok(())
    }
}

/// How an execution came about, for a [`Witness`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// A command ran and replied.
    Command,
    /// A command found nothing and waits from here on; it has no reply yet.
    Waits,
    /// A blocked command was served.
    Served,
    /// A wait ended without being served.
    Cancelled,
    /// EXEC begins; its commands follow, nothing else until its end.
    ExecBegins,
    /// A command of an EXEC.
    InExec,
    /// EXEC is over.
    ExecEnds,
    /// EXEC did nothing: a watched key had changed.
    ExecRefused,
}

/// Sees every execution in the order in which it took effect: how a simulation knows what the one sequential order was.
pub trait Witness: Send + Sync {
    /// Something took effect. `reply` is RESP, empty when there is none.
    fn saw(&self, client: ClientId, execution: Execution, args: &Args<'_>, reply: &[u8]);
}

/// What a handler is given.
pub(crate) struct Context<'a> {
    /// The keyspaces in hand, the database, the time.
    pub(crate) space: Space<'a>,
    /// Where the reply goes.
    pub(crate) reply: &'a mut Reply,
    /// The client. When a command that waited runs again it is a copy that is thrown away: such a command changes nothing in it.
    pub(crate) session: &'a mut Session,
    /// What all shards share.
    pub(crate) shared: &'a Shared,
    /// The settings of this turn.
    pub(crate) settings: &'a Settings,
    /// What this thread has of scripts: for who compiles one.
    pub(crate) scripts: &'a RefCell<Scripts>,
    /// The row that runs.
    pub(crate) row: &'static Row,
    /// The shard that runs it.
    pub(crate) shard: ShardId,
    /// Whether it may wait: not in MULTI, not in a replay. Else [`Outcome::Wait`] becomes the null of the command, which
    /// the handler has written to the reply.
    pub(crate) may_block: bool,
    /// Whether a script runs it.
    pub(crate) in_script: bool,
    /// Whether this is a blocked command that runs again because one of its keys is ready. Only keys in hand
    /// (`space.holds`) are to be looked at; `Outcome::Wait` means: nothing for it, it goes on waiting.
    pub(crate) resumed: bool,
}

impl Context<'_> {
    /// The time of the command, Unix ms.
    pub(crate) fn now_ms(&self) -> u64 {
        self.space.now_ms
    }

    /// How long a string may become, bytes. What is replayed was allowed when it was recorded, whatever the setting is now.
    pub(crate) fn string_bytes_max(&mut self) -> u64 {
        if self.space.is_replaying() {
            return u64::MAX / 8;
        }
        self.settings.proto_max_bulk_bytes
    }
}

/// A command that waits.
#[derive(Debug)]
pub(crate) struct WaitFor {
    /// For what.
    pub(crate) kind: WaitKind,
    /// Who waits for the same.
    pub(crate) class: WaitClass,
    /// On which keys of the client's database.
    pub(crate) keys: Vec<Name>,
    /// Until when, Unix ms; `None`: for ever.
    pub(crate) deadline_ms: Option<u64>,
    /// The command to run again, with what had to be resolved when it came (`$`).
    pub(crate) request: Request,
    /// The command as it was sent, when that is another.
    pub(crate) as_sent: Option<Box<Request>>,
    /// Keys that it writes to besides those it waits on (the destination of BLMOVE).
    pub(crate) destinations: Vec<Box<[u8]>>,
    /// Keys it is to look at again, and when, Unix ms, though nothing happens to them.
    pub(crate) alarms: Vec<(Box<[u8]>, u64)>,
}

/// What is left to do when a handler returns.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing: the reply is written.
    Done,
    /// Wait for a key. The reply holds the null that a timeout (or MULTI) gives, and the shard takes it back.
    Wait(Box<WaitFor>),
    /// Carry something out; the reply, if any, is written.
    Ask(ShardAction),
}

/// A subscription that was made or ended; session, registry and reply know of it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionChange {
    /// Which name space.
    pub(crate) kind: ChannelKind,
    /// Channel or pattern.
    pub(crate) name: Name,
    /// Made (true) or ended.
    pub(crate) subscribed: bool,
}

/// What a shard carries out for a handler.
#[derive(Debug)]
pub(crate) enum ShardAction {
    /// Update the shard's own list of subscribers.
    Subscriptions(Vec<SubscriptionChange>),
    /// Send a message to all subscribers of a channel.
    Publish {
        /// PUBLISH or SPUBLISH.
        kind: ChannelKind,
        /// The channel.
        channel: Bytes,
        /// The message.
        payload: Bytes,
    },
    /// Hold the reply back until every shard has seen what was changed in [`Shared`].
    Barrier,
    /// The same, and switch the log on or off as the settings say (CONFIG SET appendonly).
    SwitchLog,
    /// Make the shards of these clients look at their handles (KILL, UNBLOCK); the reply is held back until they have.
    Poke(Vec<ClientId>),
    /// Hold the reply back until the sockets of all who are gone are closed (KILL that found nobody).
    CloseGone,
    /// Stop the shard's thread, ms (DEBUG SLEEP).
    Sleep(u64),
    /// Wait without an answer to a number of replicas: WAIT. There are none: the reply is written; ms to wait, 0 for ever.
    WaitForReplicas(u64),
    /// Wait until what was written so far is on disk, and for replicas if so wanted, which there are not: WAITAOF. ms to wait, 0 for
    /// ever; the reply is made when the wait ends.
    WaitForSync {
        /// See above.
        ms: u64,
        /// See above.
        replicas: bool,
    },
    /// Feed this client every command from now on (MONITOR); with the effect of a barrier.
    Monitor,
    /// Feed it no more, and update the list of subscribers (RESET).
    StopMonitoring(Vec<SubscriptionChange>),
    /// The reply is an array of what so many walks find that have begun (KEYS).
    Walk(usize),
    /// Save; the reply is held back until it is done where [`Save`] says that the client waits.
    Save(Save),
    /// Send keys to another server, then delete them; the reply is held back until that is done (MIGRATE).
    Migrate(Box<Migration>),
    /// Drop the keyspaces and load the log again; without one write every key as its effects and replay them (DEBUG LOADAOF). All keyspaces
    /// are in hand.
    Reload,
    /// Write the dump, drop the keyspace, load (DEBUG RELOAD). All keyspaces are in hand.
    ReloadDump(ReloadOptions),
}
