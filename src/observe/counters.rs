//! Counters of one shard: written by its thread alone, but for those of its keyspace; read by anybody.

use std::sync::{Arc, OnceLock};

use crate::counters::{Counter, KeyspaceCounters};

use super::latency::LatencyHistogram;

/// What is counted of one row of the command table.
#[derive(Debug, Default)]
pub(crate) struct CommandCounters {
    /// Runs.
    pub(crate) calls: Counter,
    /// Time in all, ns.
    pub(crate) nanoseconds: Counter,
    /// Refused before it ran.
    pub(crate) rejected: Counter,
    /// Ran and replied an error.
    pub(crate) failed: Counter,
    /// How long it took; made at the first run (`latency-tracking`).
    pub(crate) latency: OnceLock<Box<LatencyHistogram>>,
}

/// What one shard counts.
#[derive(Debug)]
pub(crate) struct ShardCounters {
    /// By row of the command table.
    pub(crate) commands: Vec<CommandCounters>,
    /// Of its keyspace: written by whoever holds that.
    pub(crate) keyspace: Arc<KeyspaceCounters>,
    /// Commands run.
    pub(crate) processed: Counter,
    /// Connections it has, as of the last round.
    pub(crate) clients: Counter,
    /// Times something was read.
    pub(crate) reads: Counter,
    /// Times something was sent.
    pub(crate) writes: Counter,
    /// Turns of its loop.
    pub(crate) turns: Counter,
    /// Time those took, from waking up to falling asleep, ns.
    pub(crate) turn_nanoseconds: Counter,
    /// Bytes read.
    pub(crate) net_in: Counter,
    /// Bytes sent.
    pub(crate) net_out: Counter,
    /// Windows: times its thread took keyspaces for commands.
    pub(crate) windows: Counter,
    /// Tickets: times those were in another hand, and its job waited in line.
    pub(crate) tickets: Counter,
    /// Connections moved to another shard.
    pub(crate) migrations: Counter,
    /// Blocked clients that were woken with a reply.
    pub(crate) wakeups: Counter,
    /// Commands of blocked clients that ran again and found nothing.
    pub(crate) attempts_in_vain: Counter,
    /// Connections closed for their output limit.
    pub(crate) output_limit_disconnections: Counter,
    /// Messages published that somebody was subscribed to.
    pub(crate) publications: Counter,
    /// Messages handed to subscribers.
    pub(crate) deliveries: Counter,
    /// Messages of other shards that waited at the end of the last turn.
    pub(crate) mailbox: Counter,
    /// Work for its keys that waited at the end of the last turn.
    pub(crate) queued: Counter,
    /// Scripts that ran with the keyspaces of their KEYS.
    pub(crate) scripts_with_some: Counter,
    /// Scripts that ran with all keyspaces.
    pub(crate) scripts_with_all: Counter,
    /// Memory of its state of Lua, bytes.
    pub(crate) lua_bytes: Counter,
}

impl ShardCounters {
    /// All zero.
    pub(crate) fn new(row_count: usize, database_count: usize) -> Self {
        Self {
            commands: (0..row_count).map(|_| CommandCounters::default()).collect(),
            keyspace: Arc::new(KeyspaceCounters::new(database_count)),
            processed: Counter::default(),
            clients: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            turns: Counter::default(),
            turn_nanoseconds: Counter::default(),
            net_in: Counter::default(),
            net_out: Counter::default(),
            windows: Counter::default(),
            tickets: Counter::default(),
            migrations: Counter::default(),
            wakeups: Counter::default(),
            attempts_in_vain: Counter::default(),
            output_limit_disconnections: Counter::default(),
            publications: Counter::default(),
            deliveries: Counter::default(),
            mailbox: Counter::default(),
            queued: Counter::default(),
            scripts_with_some: Counter::default(),
            scripts_with_all: Counter::default(),
            lua_bytes: Counter::default(),
        }
    }

    /// Back to zero what counts events. A shard that adds at this moment may undo it for that counter.
    pub(super) fn reset(&self) {
        for command in &self.commands {
            command.calls.set(0);
            command.nanoseconds.set(0);
            command.rejected.set(0);
            command.failed.set(0);
            if let Some(latency) = command.latency.get() {
                latency.reset();
            }
        }
        let events = [
            &self.processed,
            &self.reads,
            &self.writes,
            &self.turns,
            &self.turn_nanoseconds,
            &self.net_in,
            &self.net_out,
            &self.windows,
            &self.tickets,
            &self.migrations,
            &self.wakeups,
            &self.attempts_in_vain,
            &self.output_limit_disconnections,
            &self.publications,
            &self.deliveries,
            &self.scripts_with_some,
            &self.scripts_with_all,
        ];
        for counter in events {
            counter.set(0);
        }
        self.keyspace.reset();
    }
}
