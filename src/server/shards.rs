//! The engine: what all shards share, their mailboxes, and a thread for each.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use crate::acl::{Rules, Users};
use crate::client::registry::ClientRegistry;
use crate::client::tracking::BroadcastRegistry;
use crate::command::context::Shared;
use crate::command::table::commands;
use crate::config::{Configuration, Settings};
use crate::ids::{ShardId, colocate};
use crate::observe::Observations;
use crate::observe::effects::EffectLog;
use crate::pubsub::registry::ChannelRegistry;
use crate::shard::Shard;
use crate::shard::call::running_command;
use crate::shard::clock::{SystemClock, unix_ms};
use crate::shard::mailbox::{Message, Post};
use crate::shard::mailboxes::Mailboxes;
use crate::shard::thread;

use super::boot::Engine;
use super::control::{Control, End};
use super::data::Data;
use crate::script::busy::BusyScripts;
use crate::script::cache::ScriptCache;
use crate::script::libraries::LibraryRegistry;

use super::disposal;
use super::door::taker;
use super::error::{StartError, reason_of};
use super::metrics::Source;
use super::migrate;
use super::saver;
use super::startup::Prepared;

/// What all shards of a process share, before any of them runs; there is only the default user.
pub fn share(configuration: Configuration, settings: Settings, now_ms: u64) -> Shared {
    let rules = Rules::all_may().with_password(settings.requirepass.as_deref());
    share_with_users(configuration, settings, Arc::new(Users::new(rules)), now_ms)
}

/// The same with these users.
fn share_with_users(
    configuration: Configuration,
    settings: Settings,
    users: Arc<Users>,
    now_ms: u64,
) -> Shared {
    let shard_count = settings.shards;
    colocate(settings.colocate.clone());
    let commands = commands();
    let row_count = commands.rows().len();
    let observations = Observations::new(shard_count, row_count, settings.databases, now_ms);
    Shared {
        commands,
        settings: RwLock::new(Arc::new(settings)),
        settings_version: AtomicU64::new(1),
        configuration: Mutex::new(configuration),
        process: OnceLock::new(),
        users,
        acl_file: Mutex::default(),
        acl_log: Mutex::default(),
        clients: ClientRegistry::default(),
        tracking: BroadcastRegistry::default(),
        channels: ChannelRegistry::default(),
        scripts: ScriptCache::default(),
        libraries: LibraryRegistry::default(),
        busy_scripts: BusyScripts::default(),
        observations,
        effects: EffectLog::default(),
        paused_until_ms: AtomicU64::new(0),
        pause_writes_only: AtomicBool::new(false),
        monitor_count: AtomicUsize::new(0),
        active_expire: AtomicBool::new(true),
        scripts_may_all: AtomicBool::new(false),
        cron_paused: AtomicBool::new(false),
        list_packed_threshold: AtomicUsize::new(0),
        shard_count,
        run_id: run_id(),
        started_ms: now_ms,
        witness: OnceLock::new(),
        disposal: OnceLock::new(),
        saver: OnceLock::new(),
        migrator: OnceLock::new(),
        ending: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        drained_shards: AtomicUsize::new(0),
    }
}

/// 40 hex digits that no other run has.
fn run_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let state = RandomState::new();
    (0..3u8).fold(String::new(), |id, n| {
        format!("{id}{:016x}", state.hash_one(n))
    })[..40]
        .to_owned()
}

/// A panic ends the process, when it has said where it was: a shard that panicked may hold half-changed keyspaces, and must
/// not go on serving.
fn end_with_a_panic() {
    let says_where = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        tracing::error!(
            "{} panicked in '{}': the process ends. {panic}",
            thread.name().unwrap_or("a thread"),
            running_command()
        );
        says_where(panic);
        std::process::abort();
    }));
}

/// Starts a thread for each shard, and those that look after files.
///
/// # Errors
/// When a thread cannot be started, or the data cannot be loaded.
pub(crate) fn start(prepared: &Prepared, control: Control) -> Result<Engine, StartError> {
    let shared = Arc::new(share_with_users(
        prepared.configuration.clone(),
        prepared.settings.clone(),
        Arc::clone(&prepared.users),
        unix_ms(),
    ));
    // The one place that sets it.
    let _ = shared.process.set(Box::new(control.clone()));
    disposal::start(&shared)?;
    let mailboxes = Mailboxes::new(shared.shard_count);
    let mailboxes = Arc::new(mailboxes.map_err(|error| StartError::Runtime(reason_of(error)))?);
    let clock: Arc<SystemClock> = Arc::new(SystemClock::start());
    end_with_a_panic();
    migrate::install(&shared, &mailboxes);
    let data = Data::start(&shared, &mailboxes, &clock, control)?;
    let (ended, all_ended) = mpsc::channel();
    for number in 0..shared.shard_count {
        let id = ShardId(number as u16);
        let (shared, mailboxes) = (Arc::clone(&shared), Arc::clone(&mailboxes));
        let (clock, log) = (Arc::clone(&clock), Arc::clone(&data.log));
        let ended = ended.clone();
        let run = move || {
            let post = Arc::clone(&mailboxes);
            let shard = Shard::without_keyspace(id, shared, post, clock).with_log(log);
            let Err(error) = thread::run(shard, mailboxes, || {
                // Nobody waits for it where the start failed.
                let _ = ended.send(());
            });
            tracing::error!("shard {number} cannot start: {error}");
            std::process::abort();
        };
        std::thread::Builder::new()
            .name(format!("shard-{number}"))
            .spawn(run)
            .map_err(|error| StartError::Runtime(reason_of(error)))?;
    }
    let stopping = Arc::clone(&mailboxes);
    let shards = shared.shard_count;
    let metrics = Source::new(Arc::clone(&shared), Arc::clone(&mailboxes) as _);
    let asked = Arc::clone(&shared);
    let stalled = Box::new(finds_stalled(Arc::clone(&shared)));
    Ok(Engine {
        stalled,
        metrics,
        take: Rc::new(taker(shared, mailboxes)),
        ask_end: Box::new(move |signal| saver::ask_end(&asked, signal)),
        stop: Box::new(move |end| {
            stop(end, &stopping, shards, &all_ended);
            data.end();
        }),
    })
}

/// Looks for a shard whose thread has not turned since the last look.
fn finds_stalled(shared: Arc<Shared>) -> impl FnMut() -> Option<usize> {
    let mut seen = vec![0; shared.shard_count];
    move || {
        let mut stalled = None;
        for (shard, counters) in shared.observations.shards.iter().enumerate() {
            let turns = counters.turns.get();
            if std::mem::replace(&mut seen[shard], turns) == turns {
                stalled.get_or_insert(shard);
            }
        }
        stalled
    }
}

/// Returns when all shards have ended; their threads, with all the data, go with the process.
fn stop(_end: End, mailboxes: &Mailboxes, shard_count: usize, all_ended: &Receiver<()>) {
    for number in 0..shard_count {
        mailboxes.post(ShardId(number as u16), Message::Stop);
    }
    let _ = all_ended.iter().take(shard_count).count();
}
