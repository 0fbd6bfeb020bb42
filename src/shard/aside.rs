//! A script that runs for too long: put aside with what it holds, and given a slice of time between the rounds of its thread.
//!
//! ```text
//! run ─► Suspended ─► put aside: hand, reply so far, client (Phase::Scripting) ─► all threads answer BUSY to who needs its keyspaces
//!                          │   ▲
//!                          ▼   │ slice
//!                     each round of the thread ─► has ended, or was killed ─► its reply, the client goes on
//! ```
//! The one exception to the rule that a hand is put back before its thread looks at its sockets: half a transaction must be seen by
//! nobody.
//!
//! Source: `busy-reply-threshold`, SCRIPT KILL.

use std::sync::Arc;

use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::spec::{Flags, Scope};
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::InHand;
use crate::keyspace::effect::{close_group, open_group, resume_group};
use crate::resp::arguments::Args;
use crate::resp::reply::{Mark, Reply};
use crate::script::busy::BusyScript;

use super::admit::Admitted;
use super::busy::{Busy, UnderWay};
use super::client::Client;
use super::env::Suspended;
use super::mailbox::Message;
use super::phase::Phase;
use super::state::Shard;

impl Shard {
    /// Puts a script aside; the reply since `mark` is its.
    pub(super) fn put_aside(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        mark: Mark,
        mut under_way: UnderWay,
    ) {
        let hand = self.hands.lend();
        let group = open_group();
        close_group();
        let known = self.make_known(&mut under_way.suspended, &under_way.attempt, hand.shards());
        client.phase = Phase::Scripting;
        self.busy = Some(Box::new(Busy {
            client: client.id(),
            client_is_gone: false,
            hand,
            group,
            now_ms: under_way.now_ms,
            attempt: under_way.attempt,
            reply: reply.split_off(mark),
            after: under_way.after,
            transaction: under_way.transaction,
            suspended: under_way.suspended,
            known,
        }));
    }

    /// Lets all threads know of a script that is busy.
    pub(super) fn make_known(
        &self,
        suspended: &mut Suspended,
        attempt: &Admitted,
        shards: ShardSet,
    ) -> Arc<BusyScript> {
        let run = suspended.script();
        let elapsed_ms = self.clock.nanoseconds().saturating_sub(run.started_ns) / 1_000_000;
        let command = attempt.request.args();
        let known = Arc::new(BusyScript::new(
            shards,
            run.name.shown(),
            run.name.is_function(),
            command.iter().map(<[u8]>::to_vec).collect(),
            self.clock.now_ms().saturating_sub(elapsed_ms),
        ));
        if run.has_written {
            known.begin_write();
        }
        run.busy = Some(Arc::clone(&known));
        tracing::warn!(
            "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using the {} command. Script name is: {}.",
            if run.name.is_function() {
                "FUNCTION KILL"
            } else {
                "SCRIPT KILL"
            },
            String::from_utf8_lossy(&run.name.shown()),
        );
        self.shared.busy_scripts.add(Arc::clone(&known));
        for number in 0..self.shared.shard_count {
            self.post
                .send(ShardId(number as u16), Message::ScriptIsBusy);
        }
        known
    }

    /// Whether a client's script stands aside; then it is dropped later.
    pub(super) fn leaves_behind_script(&mut self, id: ClientId) -> bool {
        match &mut self.busy {
            Some(busy) if busy.client == id => {
                busy.client_is_gone = true;
                true
            }
            _ => false,
        }
    }

    /// The process ends without it (SHUTDOWN NOSAVE): what it has done is in no log and no dump.
    pub(super) fn abandon_busy(&mut self) {
        let Some(mut busy) = self.busy.take() else {
            return;
        };
        self.hands.resume(std::mem::take(&mut busy.hand));
        let others = resume_group(busy.group);
        let after = &mut busy.after;
        self.with_hand(|env, space| {
            env.collect(space, after);
            for keyspace in space.keyspaces_mut() {
                keyspace.effects.drop_open_group();
            }
        });
        resume_group(others);
        self.put_back();
        self.shared.busy_scripts.remove(&busy.known);
    }

    /// Why a command cannot run now, nor soon: a script holds its keyspaces, or all there are.
    pub(super) fn refusal_by_script(
        &self,
        row: &Row,
        shards: ShardSet,
        is_unsaved_end: bool,
    ) -> Option<CommandError> {
        if let Some(busy) = &self.busy
            && uses_lua(row)
        {
            // The thread has one state of Lua.
            return Some(text_of(busy.known.is_function));
        }
        let flags = row.command.flags;
        if row.command.name == "shutdown" {
            if is_unsaved_end {
                return None;
            }
        } else if flags.has(Flags::ALLOW_BUSY) {
            return None;
        }
        let all = ShardSet::all(self.shared.shard_count);
        let holder = self.shared.busy_scripts.holder(all)?;
        // They need all keyspaces in the end, on another thread.
        let saves = matches!(
            row.command.name,
            "save" | "shutdown" | "bgsave" | "bgrewriteaof"
        );
        if !saves && !holder.shards.covers(all) && !holder.shards.intersects(shards) {
            self.shared.busy_scripts.holder(shards)?;
        }
        Some(text_of(holder.is_function))
    }
}

/// SHUTDOWN NOSAVE: the one end that does not wait for a script.
pub(super) fn is_unsaved_end(row: &Row, args: &Args<'_>) -> bool {
    row.command.name == "shutdown"
        && args
            .from(1)
            .any(|word| word.eq_ignore_ascii_case(b"nosave"))
}

fn text_of(is_function: bool) -> CommandError {
    if is_function {
        error::BUSY_FUNCTION
    } else {
        error::BUSY_SCRIPT
    }
}

/// Whether a command needs the thread's state of Lua.
fn uses_lua(row: &Row) -> bool {
    row.command.scope == Scope::Script
        || matches!(
            row.full_name.as_str(),
            "script|load" | "function|load" | "function|restore"
        )
}
