//! What an answer leaves in the records: counters, errors, histogram, slow log, latency events.
//!
//! Every answer comes through here once: [`Env::record`] for what ran, in whatever way it ran (EXEC itself, the commands in
//! it, what waited and was served or was not), [`Env::record_refusal`] for what did not.
//!
//! The counters are of this shard and cost a store each; the lock of a log is taken only for a command that was slow.

use std::sync::{Arc, PoisonError};

use crate::client::session::Session;
use crate::command::error::CommandError;
use crate::command::redact::redacted;
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::ids::ClientId;
use crate::observe::counters::CommandCounters;
use crate::observe::slowlog;
use crate::observe::slowlog::SlowEntry;
use crate::resp::arguments::Request;

use super::env::{Call, Env};

/// The client of a replay: what it runs nobody sent.
pub(super) const NOBODY: ClientId = ClientId(0);

impl Env<'_> {
    pub(super) fn counters(&self, row: &Row) -> &CommandCounters {
        &self.shared.observations.shards[self.shard.index()].commands[usize::from(row.counted_as)]
    }

    /// The time since the command before ended, or since the turn began. The next one begins now.
    pub(super) fn lap(&self) -> u64 {
        let ended = self.clock.nanoseconds();
        let started = self.lap_ns.replace(Some(ended)).unwrap_or(ended);
        ended.saturating_sub(started)
    }

    /// Notes an error reply.
    fn record_error(&self, error: &CommandError) {
        self.shared.observations.errors.add(error.bytes());
    }

    /// Notes that a command was refused before it ran. `row`: none when there is no such command or subcommand.
    pub(super) fn record_refusal(&self, row: Option<&Row>, error: &CommandError) {
        self.record_error(error);
        if let Some(row) = row {
            self.counters(row).rejected.add(1);
        }
    }

    /// Notes that a command whose run is in the records is answered with an error after all.
    pub(super) fn record_late_failure(&self, row: &Row, error: &CommandError) {
        self.record_error(error);
        self.counters(row).failed.add(1);
    }

    /// Notes that a command ran and was answered, with this error or without one; one that took long goes to the slow log and
    /// the latency events.
    pub(super) fn record(
        &self,
        session: &Session,
        call: &Call<'_>,
        elapsed_ns: u64,
        error: Option<&CommandError>,
    ) {
        let counters = self.counters(call.row);
        if let Some(error) = error {
            self.record_error(error);
            counters.failed.add(1);
        }
        if session.id() == NOBODY {
            return;
        }
        let of_shard = &self.shared.observations.shards[self.shard.index()];
        of_shard.processed.add(1);
        counters.calls.add(1);
        counters.nanoseconds.add(elapsed_ns);
        if self.settings.latency_tracking {
            counters
                .latency
                .get_or_init(Box::default)
                .record(elapsed_ns);
        }
        // CONFIG SET is measured by what it has set, as in Redis.
        let changed = (call.row.command.flags.has(Flags::ADMIN)).then(|| {
            let settings = self.shared.settings.read();
            Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
        });
        let settings = changed.as_deref().unwrap_or(self.settings);
        let elapsed_us = elapsed_ns / 1000;
        let is_slow = u64::try_from(settings.slowlog_log_slower_than_us)
            .is_ok_and(|threshold_us| elapsed_us >= threshold_us);
        if is_slow && !call.row.command.flags.has(Flags::SKIP_SLOWLOG) {
            self.log_slow(session, call, elapsed_us);
        }
        let event = if call.row.command.flags.has(Flags::FAST) {
            "fast-command"
        } else {
            "command"
        };
        let threshold_ms = settings.latency_monitor_threshold_ms;
        let latency = &self.shared.observations.latency;
        latency.note(event, self.now_ms, elapsed_ns, threshold_ms);
    }

    fn log_slow(&self, session: &Session, call: &Call<'_>, duration_us: u64) {
        let as_sent = call.as_sent.map(Request::args);
        let args = as_sent.as_ref().unwrap_or(call.args);
        let redacted = redacted(&call.row.full_name, args);
        let shown = redacted.as_ref().map(Request::args);
        let entry = SlowEntry {
            id: 0,
            at_s: self.now_ms / 1000,
            duration_us,
            arguments: slowlog::cut(shown.as_ref().unwrap_or(args).iter()),
            address: session.handle.address.clone(),
            name: session.handle.names().name,
        };
        let log = &self.shared.observations.slowlog;
        log.add(entry, self.settings.slowlog_len_max);
    }
}
