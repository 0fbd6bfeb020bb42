//! One request: admitted, and then queued by MULTI, or run, or kept until it can be.
//!
//! ```text
//! request ──► admit (unknown, arity, NOAUTH …) ─┬─► MULTI queue
//!                                               └─► attempt (window.rs) ─► runs, or is kept until it can
//! ```

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use crate::client::session::ReplyMode;
use crate::command::error;
use crate::command::error::CommandError;
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::net::buffers::Output;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::admit::admit;
use super::client::{Client, finish_reply};
use super::finish::Flow;
use super::route::{is_watch, shards_of};
use super::state::Shard;
use super::window::Attempt;

impl Shard {
    /// One command of the input: checked, and then queued by MULTI, or run, or kept until it can be.
    pub(super) fn step(&mut self, client: &mut Client, reply: &mut Reply, args: &Args<'_>) -> Flow {
        if client.session.handle.is_killed() {
            client.session.closing = true;
            return Flow::Stop;
        }
        if client.session.reply_mode == ReplyMode::SkipNext {
            client.session.reply_mode = ReplyMode::Skip;
        }
        let mark = reply.mark();
        let files = &self.shared.observations.persistence;
        let row = match admit(&client.session, &self.settings, files, args) {
            Ok(row) => row,
            Err(_) if is_http(args) => return abort_http(client, reply),
            Err(error) => {
                self.reject(client, reply, args, &error);
                finish_reply(client, reply, mark);
                return Flow::Next;
            }
        };
        client
            .session
            .handle
            .command
            .store(row.id, Ordering::Relaxed);
        if client.session.transaction.active && self.takes_in_multi(client, reply, row, args) {
            finish_reply(client, reply, mark);
            return Flow::Next;
        }
        let attempt = Attempt {
            row,
            args,
            shards: self.shards_for(client, row, args),
            owned: None,
        };
        self.attempt(client, reply, attempt)
    }

    /// Answers a command that may not run. EXEC's transaction ends with it, and what was watched for it.
    fn reject(
        &self,
        client: &mut Client,
        reply: &mut Reply,
        args: &Args<'_>,
        error: &CommandError,
    ) {
        let mut error = Cow::Borrowed(error);
        if args.at(0).eq_ignore_ascii_case(b"exec") {
            client.session.transaction.clear();
            client.session.mirror();
            self.feed_monitors_exec(&client.session, &[], &[], args);
            error = Cow::Owned(error::exec_discarded(&error));
        }
        if client.session.transaction.active {
            client.session.transaction.aborted = true;
        }
        let table = commands();
        let container = table.find(args.at(0));
        let row = container.and_then(|container| {
            let named = args.get(1).filter(|_| container.is_container());
            let part = named.map(|name| table.find_subcommand(container, name));
            match part {
                // Redis: an unknown subcommand is an unknown command; its container is not charged with it.
                Some(None) if !container.is_one_command() => None,
                part => part.flatten().or(Some(container)),
            }
        });
        self.env().record_refusal(row, &error);
        if let Some(row) = row.or(container) {
            client.end_caching(row);
        } else if !client.session.transaction.active {
            client.session.caching.exception = false;
        }
        reply.error(error.bytes());
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
        client
            .session
            .transaction
            .enqueue(crate::client::transaction::Queued {
                command: row.id,
                shards: shards_of(row, args, self.shared.shard_count),
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
