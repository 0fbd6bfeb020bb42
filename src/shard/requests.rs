//! One request: admitted, and then queued by MULTI, or run, or kept until it can be.
//!
//! ```text
//! request ──► admit (unknown, arity, NOAUTH …) ─┬─► MULTI queue
//!                                               └─► attempt (window.rs) ─► runs, or is kept until it can
//! ```

use std::sync::atomic::Ordering;

use crate::client::session::ReplyMode;
use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::spec::{Flags, Scope};
use crate::net::buffers::Output;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::admit::{identify, may_run_now, permit};
use super::aside::is_unsaved_end;
use super::client::{Client, finish_reply};
use super::finish::Flow;
use super::route::{is_watch, shards_of};
use super::state::Shard;
use super::window::Attempt;

impl Shard {
    /// One command of the input: checked, and then queued by MULTI, or run, or kept until it can be.
    pub(super) fn step(&mut self, client: &mut Client, reply: &mut Reply, args: &Args<'_>) -> Flow {
        if self.limits.clients_max > 0 && !client.session.handle.is_killed() {
            // Before its command takes more. It may be the one that goes.
            client.session.handle.count_held_with(args.byte_count());
            self.limit_clients();
        }
        if client.session.handle.is_killed() {
            client.session.closing = true;
            return Flow::Stop;
        }
        if client.session.reply_mode == ReplyMode::SkipNext {
            client.session.reply_mode = ReplyMode::Skip;
        }
        let mark = reply.mark();
        let (row, is_told) = match self.admit(client, args) {
            Ok(admitted) => admitted,
            Err(_) if is_http(args) => return abort_http(client, reply),
            Err(error) => {
                self.reject(client, reply, args, &error);
                finish_reply(client, reply, mark);
                return Flow::Next;
            }
        };
        if client.session.transaction.active && self.takes_in_multi(client, reply, row, args) {
            finish_reply(client, reply, mark);
            return Flow::Next;
        }
        let attempt = Attempt {
            row,
            args,
            shards: self.shards_for(client, row, args),
            owned: None,
            has_waited: false,
        };
        if is_told {
            client.kept = Some(attempt.keep());
            return Flow::Defer;
        }
        self.attempt(client, reply, attempt)
    }

    /// Checks on a command before it may run or be queued that need no keyspace. Source: the order of Redis' `processCommand`.
    /// Gives its row, and whether the client has to be told of evicted keys first.
    fn admit(
        &mut self,
        client: &mut Client,
        args: &Args<'_>,
    ) -> Result<(&'static Row, bool), CommandError> {
        let session = &mut client.session;
        let row = identify(session, &self.settings, &self.shared.users, args)?;
        // Also of one that is refused, as CLIENT LIST of Redis has it.
        session.handle.command.store(row.id, Ordering::Relaxed);
        permit(&self.shared, self.now_ms, session, row, args)?;
        let has_evicted = self.ask_for_room(client, row, args, false)?;
        let files = &self.shared.observations.persistence;
        may_run_now(&client.session, &self.settings, files, row)?;
        Ok((row, has_evicted && client.session.listens()))
    }

    /// Queues a command between MULTI and EXEC, or refuses WATCH there.
    /// False for those that run at once.
    fn takes_in_multi(
        &self,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
    ) -> bool {
        if !row.command.flags.has(Flags::RUNS_IN_MULTI) {
            self.queue(client, reply, row, args);
            return true;
        }
        if is_watch(row) {
            self.record_failure(client, row, args, &error::WATCH_IN_MULTI);
            reply.error(error::WATCH_IN_MULTI.bytes());
            return true;
        }
        false
    }

    pub(super) fn queue(
        &self,
        client: &mut Client,
        reply: &mut Reply,
        row: &'static Row,
        args: &Args<'_>,
    ) {
        if row.command.flags.has(Flags::NO_MULTI) {
            self.reject(client, reply, args, &error::NOT_IN_TRANSACTION);
            return;
        }
        let shards = if row.command.scope == Scope::Script && self.shared.shard_count > 1 {
            self.shards_of_script(row, args)
        } else {
            shards_of(row, args, self.shared.shard_count)
        };
        if self.shared.busy_scripts.any()
            && let Some(refusal) = self.refusal_by_script(row, shards, is_unsaved_end(row, args))
        {
            self.reject(client, reply, args, &refusal);
            return;
        }
        client
            .session
            .transaction
            .enqueue(crate::client::transaction::Queued {
                command: row.id,
                shards,
                request: args.to_request(),
            });
        client.session.mirror();
        reply.simple("QUEUED");
    }
}

/// Ends a connection whose requests look like those of a browser that was made to talk to us.
fn abort_http(client: &mut Client, reply: &mut Reply) -> Flow {
    tracing::warn!(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Millrace. \
        This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your instance. Connection from {} aborted.",
        client.session.handle.address
    );
    // Not a word: neither to this nor to what came before it.
    reply.clear();
    client.output = Output::default();
    client.session.closing = true;
    Flow::Stop
}

/// Whether a request looks like that of a browser that was made to talk to us.
pub(super) fn is_http(args: &Args<'_>) -> bool {
    let name = args.at(0);
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
