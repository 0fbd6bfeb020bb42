//! INFO: gathers the facts; [`crate::observe::info`] writes the text.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::client::registry::ClientFlag;
use crate::command::error::CommandError;
use crate::command::{Command, Context, Flags, Outcome, Shared};
use crate::keyspace::wait::WaitKind;
use crate::observe::allocator;
use crate::observe::info::{self, ClientFacts, Facts, ScriptFacts};
use crate::pubsub::registry::ChannelKind;
use crate::resp::arguments::Args;

/// The row.
pub(crate) static COMMANDS: &[Command] = &[Command::new("info", "[section [section ...]]", info)
    .arity(-1)
    .flags(&[Flags::LOADING, Flags::STALE])
    .categories(&["dangerous"])
    .tips(&[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ])
    .docs(
        "1.0.0",
        "server",
        "O(1)",
        "Tells facts and counts of the server.",
    )];

/// Facts of the connections. What blocked clients wait for is counted from the waits that make them blocked, not from the
/// wait tables of the shards, which hear of an end later: a client and its keys go in one moment.
fn client_facts(shared: &Shared) -> ClientFacts {
    let mut facts = ClientFacts::default();
    let mut waiters = Vec::new();
    for client in shared.clients.all() {
        let input_bytes = client.query_bytes.load(Ordering::Relaxed);
        let output_bytes = client.output_bytes.load(Ordering::Relaxed);
        let watched = client.watched.load(Ordering::Relaxed);
        facts.connected += 1;
        let (blocked, waiter) = client.blocked_now();
        facts.blocked += usize::from(blocked);
        waiters.extend(waiter);
        facts.pubsub += usize::from(client.has_flag(ClientFlag::PUBSUB));
        facts.watching += usize::from(watched > 0);
        facts.watched_keys += u64::from(watched);
        facts.input_bytes_max = facts.input_bytes_max.max(input_bytes);
        facts.output_bytes_max = facts.output_bytes_max.max(output_bytes);
        facts.buffer_bytes +=
            input_bytes + output_bytes + client.multi_bytes.load(Ordering::Relaxed);
    }
    // Of each key: whether somebody waits for its absence.
    let mut keys: HashMap<(usize, &[u8]), bool> = HashMap::new();
    for waiter in &waiters {
        for key in &waiter.keys {
            *keys.entry((waiter.db, key)).or_default() |= waiter.kind == WaitKind::StreamGroup;
        }
    }
    facts.tracking = shared.tracking.client_count();
    facts.tracked_prefixes = shared.tracking.len();
    let counts = shared.tracking.counts();
    facts.tracked_keys = counts.keys.load(Ordering::Acquire);
    facts.tracked_items = counts.items.load(Ordering::Acquire);
    facts.blocking_keys = keys.len();
    facts.blocking_keys_on_absence = keys.values().filter(|wanted| **wanted).count();
    facts
}

fn config_file(shared: &Shared) -> String {
    let configuration = shared
        .configuration
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let file = configuration.file();
    file.map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// How many scripts and functions there are, and what they take.
pub(super) fn script_facts(shared: &Shared) -> ScriptFacts {
    let libraries = shared.libraries.now();
    let texts = libraries
        .list()
        .iter()
        .map(|library| library.text.len() as u64);
    ScriptFacts {
        cached: shared.scripts.len(),
        cached_bytes: shared.scripts.used_bytes() as u64,
        evicted: shared.scripts.evicted(),
        libraries: libraries.list().len(),
        functions: libraries.function_count(),
        library_bytes: texts.sum(),
    }
}

fn info(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (shared, settings) = (ctx.shared, ctx.settings);
    // First of all: what it takes to tell is not told.
    let heap = allocator::allocated();
    let sections = info::sections(args.from(1));
    let facts = Facts {
        now_ms: ctx.now_ms(),
        heap,
        started_ms: shared.started_ms,
        run_id: &shared.run_id,
        tcp_port: settings.port,
        tls_port: settings.tls.port,
        bind: &settings.bind,
        unix_socket: settings
            .unixsocket
            .as_ref()
            .map(|path| path.display().to_string()),
        hz: settings.hz,
        config_file: config_file(shared),
        maxclients: settings.maxclients,
        maxmemory_policy: &settings.memory.policy,
        durability: settings
            .persistence
            .durability(shared.observations.persistence.log_stands()),
        percentiles: &settings.latency_tracking_percentiles,
        latency_tracking: settings.latency_tracking,
        clients: client_facts(shared),
        scripts: script_facts(shared),
        channels: [
            ChannelKind::Channel,
            ChannelKind::Pattern,
            ChannelKind::Shard,
        ]
        .map(|kind| shared.channels.name_count(kind)),
        commands: shared
            .commands
            .rows()
            .iter()
            .map(|row| row.full_name.as_str())
            .collect(),
    };
    let text = info::render(&sections, &facts, &shared.observations);
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}
