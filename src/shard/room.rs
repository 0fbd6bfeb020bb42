//! Room for a command (`maxmemory`): made where keys may go, or the command is refused.
//!
//! ```text
//! admitted ─► how much is used? ─┬─ less than allowed ──────────────────────► runs
//!                                ├─ too much, keys may go ─► evict (evict.rs) ─► runs
//!                                └─ too much, none may go ─┬─ it frees memory, or needs none ─► runs
//!                                                          └─ else ─► -OOM
//! ```
//! Source: the order and the exceptions of Redis' `processCommand`: a command is asked once before it runs or is queued, not
//! within a script, and nothing is evicted while data are loaded, while a script is busy or while CLIENT PAUSE lasts. What the
//! log has not written yet, and what a running snapshot keeps, does not count: neither would be less if keys went.
//!
//! While no limit is set a command pays one look at it.

use std::sync::atomic::Ordering;

use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::scripting::{Named, naming};
use crate::command::spec::{Flags, Scope};
use crate::command::table::commands;
use crate::observe::memory::Pressure;
use crate::observe::meter;
use crate::resp::arguments::Args;
use crate::script::cache::{sha_from_hex, sha_of};
use crate::script::flags::{ScriptFlags, of_script};

use super::client::{Client, is_exec};
use super::headroom::{Room, over, runs_without_room, uncounted};
use super::state::Shard;

impl Shard {
    /// Asks for room for a command of a client. `holds`: what it needs is in hand, and stays there. Whether keys were evicted.
    ///
    /// # Errors
    /// There is none, and it is a command that needs some.
    #[inline(always)]
    pub(super) fn ask_for_room(
        &mut self,
        client: &mut Client,
        row: &'static Row,
        args: &Args<'_>,
        holds: bool,
    ) -> Result<bool, CommandError> {
        if self.limits.max == 0 {
            return Ok(false);
        }
        self.ask_for_limited_room(client, row, args, holds)
    }

    fn ask_for_limited_room(
        &mut self,
        client: &mut Client,
        row: &'static Row,
        args: &Args<'_>,
        holds: bool,
    ) -> Result<bool, CommandError> {
        let room = self.make_room(holds);
        client.session.out_of_memory = room == Room::None;
        if room != Room::None || !self.needs_room(client, row, args) {
            return Ok(room == Room::Made);
        }
        let facts = &self.shared.observations.memory;
        if facts.note_refusal(self.now_ms) {
            tracing::warn!(
                "Out of memory: commands that need some are refused (OOM). Used: {} bytes, maxmemory: {} bytes, maxmemory-policy: {}. \
                 Raise maxmemory, let consumers catch up, trim streams (XTRIM MAXLEN) or delete keys.",
                meter::used(),
                self.limits.max,
                self.settings.memory.policy,
            );
        }
        Err(error::OUT_OF_MEMORY)
    }

    /// Evicts keys where too much is used.
    fn make_room(&mut self, holds: bool) -> Room {
        if meter::used() <= self.limits.max {
            self.note_exceeded(false);
            return Room::Enough;
        }
        let now_ns = self.clock.nanoseconds();
        self.note_log_buffer();
        if over(&self.shared, &self.limits, now_ns) == 0 {
            self.note_exceeded(false);
            return Room::Enough;
        }
        let room = match self.limits.policy {
            Some(_) if !self.may_evict() => return Room::Enough,
            Some(policy) => self.evict_for_command(policy, holds),
            None => Room::None,
        };
        let is_exceeded = over(&self.shared, &self.limits, now_ns) > 0;
        self.note_exceeded(is_exceeded);
        room
    }

    fn note_exceeded(&self, is_exceeded: bool) {
        let facts = &self.shared.observations.memory;
        facts.note_exceeded(is_exceeded, self.now_ms);
    }

    fn note_log_buffer(&self) {
        let bytes = if self.log.is_on() {
            self.log.end().saturating_sub(self.log.written())
        } else {
            0
        };
        let facts = &self.shared.observations.memory;
        facts.log_buffer.store(bytes, Ordering::Relaxed);
    }

    /// Whether a command is refused where there is no room. Source: `reject_cmd_on_oom` of Redis' `processCommand`: in MULTI
    /// everything that would be queued takes memory.
    fn needs_room(&self, client: &Client, row: &'static Row, args: &Args<'_>) -> bool {
        if is_exec(client, row) {
            let table = commands();
            let mut queue = client.session.transaction.queue.iter();
            return queue.any(|queued| {
                let flags = table.row(queued.command).command.flags;
                flags.has(Flags::DENYOOM)
            });
        }
        if client.session.transaction.active {
            return !matches!(row.command.name, "discard" | "quit" | "reset");
        }
        if row.command.scope == Scope::Script {
            return self.script_needs_room(row, args);
        }
        row.command.flags.has(Flags::DENYOOM)
    }

    /// A script that says of itself what it does, and not that it runs without room, does not begin; one that says nothing is asked
    /// when it writes.
    fn script_needs_room(&self, row: &Row, args: &Args<'_>) -> bool {
        let (named, _) = naming(row.command);
        let of_sha = |sha| self.shared.scripts.get(&sha).map(|script| script.flags);
        let flags = match named {
            Named::Text => {
                let known = of_sha(sha_of(args.at(1)));
                known.or_else(|| of_script(args.at(1)).ok().map(|(flags, _)| flags))
            }
            Named::Sha => sha_from_hex(args.at(1)).and_then(of_sha),
            Named::Function => {
                let mut scripts = self.scripts.borrow_mut();
                let found = scripts.function(args.at(1), &self.shared.libraries);
                let found = found.ok().flatten();
                found.map(|(function, _)| function.flags)
            }
        };
        flags.is_some_and(|flags| !flags.has(ScriptFlags::COMPATIBLE) && !runs_without_room(flags))
    }

    /// A stream is a queue of messages, and one key: who lets keys go lets all its messages go.
    fn tell_of_queues(&self) {
        let observed = &self.shared.observations;
        let streams = || observed.sum(|shard| &shard.keyspace.streams);
        let may_go = self.limits.max > 0
            && self.limits.policy.is_some()
            && !observed.persistence.is_loading()
            && streams() > 0;
        if observed.memory.tells_of_queues(may_go) {
            tracing::warn!(
                "maxmemory-policy is {}, and there are streams: a whole stream is one key and may be evicted with all its messages. \
                 A broker wants noeviction.",
                self.settings.memory.policy
            );
        }
    }

    /// A few times a second: what is known of memory is set right, the log tells when it gets scarce.
    pub(super) fn watch_memory(&self) {
        let facts = &self.shared.observations.memory;
        let max = self.limits.max;
        facts.max.store(max, Ordering::Relaxed);
        self.note_log_buffer();
        let used = meter::correct();
        let now_ns = self.clock.nanoseconds();
        let is_exceeded = over(&self.shared, &self.limits, now_ns) > 0;
        self.note_exceeded(is_exceeded);
        if !is_exceeded {
            facts.forget_debts();
        }
        self.tell_of_queues();
        let counted = used.saturating_sub(uncounted(&self.shared));
        let risen = facts.follow(counted, max);
        if facts.ends_refusals(is_exceeded, self.now_ms) {
            let limit = if max == 0 {
                "no limit".to_owned()
            } else {
                format!("{max} bytes")
            };
            tracing::info!(
                "Commands that need memory are served again. Used: {counted} bytes, maxmemory: {limit}."
            );
        }
        let Some(pressure) = risen else {
            return;
        };
        let beyond = match pressure {
            Pressure::Critical => 95,
            Pressure::Low | Pressure::High => 80,
        };
        tracing::warn!(
            "More than {beyond} % of maxmemory is used: {counted} of {max} bytes. {}",
            match self.limits.policy {
                None =>
                    "At 100 % writes are refused (OOM): raise maxmemory, let consumers catch up, trim streams (XTRIM MAXLEN) or delete keys.",
                Some(_) => "At 100 % keys are evicted (maxmemory-policy).",
            }
        );
    }
}
