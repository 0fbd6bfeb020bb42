//! Windows: a client's commands run with the keyspaces that the first of them needs, in a row, while they need the same.
//!
//! ```text
//! command ─► its shards ─┬─ in hand already ──────────────────────────► runs ─► what follows it (finish.rs)
//!                        ├─ put back, reach ──► in hand ─────────────►
//!                        │                  └─► kept, in line (work.rs) ─► offered ─► in hand ─►
//!                        ├─ many elements of its keys have ended ─► some are removed ─► kept, another turn
//!                        └─ who is served by it needs more ─► put back, reach all of them
//! ```
//! Nothing is gathered along a pipeline: a hand that holds what the next command might need keeps others from it.
//!
//! Invariants: a command is admitted once and keeps its set, which only grows until it has run; unless it is paused it is asked for
//! room once. What time may change (a kill, a pause) is asked again when the keyspaces are in hand.

use std::sync::atomic::Ordering;

use crate::client::session::Session;
use crate::client::transaction::Transaction;
use crate::command::args::integer;
use crate::command::error::{self, CommandError};
use crate::command::row::Row;
use crate::command::scripting::declared::keys_are_declared;
use crate::command::scripting::{Named, key_count, naming};
use crate::command::spec::{Flags, Scope};
use crate::command::table::commands;
use crate::ids::{ShardSet, shard_of};
use crate::keyspace::{InHand, Space};
use crate::limits;
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::{Mark, Reply};
use crate::script::cache::{sha_from_hex, sha_of};
use crate::script::flags::of_script;

use super::admit::{Admitted, permit};
use super::aside::is_unsaved_end;
use super::busy::UnderWay;
use super::client::{Client, finish_reply, is_exec};
use super::env::{Aftermath, Call, Env, ExecProgress, Ran};
use super::finish::Flow;
use super::job::Job;
use super::phase::Phase;
use super::route::{is_watch, shards_of};
use super::state::Shard;
use super::transaction::{QueuedCall, TransactionCall};

/// How often a command may find that it needs more keyspaces before it asks for all.
const GROWTHS_MAX: usize = 3;

/// A command that has run.
pub(super) struct Ended {
    pub(super) ran: Ran,
    pub(super) after: Aftermath,
    /// Of EXEC: its commands.
    pub(super) transaction: Option<Transaction>,
}

/// A command that was admitted, as it is tried.
pub(super) struct Attempt<'a> {
    pub(super) row: &'static Row,
    pub(super) args: &'a Args<'a>,
    pub(super) shards: ShardSet,
    /// The same arguments, when they were kept already.
    pub(super) owned: Option<&'a Request>,
    /// It has waited for what listeners had sent before, and does not wait again.
    pub(super) has_waited: bool,
}

impl Attempt<'_> {
    /// To be tried again soon. It is not asked for room again: who is told of evicted keys before the reply would wait for the
    /// next message each time, for as long as others keep the server at its limit.
    pub(super) fn keep(&self) -> Admitted {
        let copy = || self.args.to_request();
        Admitted {
            row: self.row,
            shards: self.shards,
            request: self.owned.cloned().unwrap_or_else(copy),
            has_room: true,
            has_waited: self.has_waited,
        }
    }

    /// As [`Attempt::keep`], for as long as somebody likes: what was decided about room and order says nothing by then.
    fn keep_paused(&self) -> Admitted {
        Admitted {
            has_room: false,
            has_waited: false,
            ..self.keep()
        }
    }
}

impl Shard {
    /// The keyspaces that a command needs, as far as it can be seen from outside.
    pub(super) fn shards_for(&self, client: &Client, row: &Row, args: &Args<'_>) -> ShardSet {
        if is_exec(client, row) {
            return self.transaction_shards(client);
        }
        let shard_count = self.shared.shard_count;
        if row.command.scope == Scope::Cursor && shard_count > 1 {
            // SCAN: those that fill its count.
            return crate::command::keyspace::shards_for_cursor(
                args,
                &self.shared,
                client.session.db,
            );
        }
        if row.command.scope == Scope::Script && shard_count > 1 {
            return self.shards_of_script(row, args);
        }
        shards_of(row, args, shard_count)
    }

    /// The keyspaces of a script: those of its KEYS, when it can touch no other key; else all.
    pub(super) fn shards_of_script(&self, row: &Row, args: &Args<'_>) -> ShardSet {
        let shard_count = self.shared.shard_count;
        let all = ShardSet::all(shard_count);
        let (named, _) = naming(row.command);
        let sha = match named {
            Named::Text => Some(sha_of(args.at(1))),
            Named::Sha => sha_from_hex(args.at(1)),
            Named::Function => None,
        };
        let Some(sha) = sha else { return all };
        let mut scripts = self.scripts.borrow_mut();
        let is_declared = match scripts.compiled(&sha) {
            Some((script, _)) => script.keys_are_declared,
            None => match self.shared.scripts.get(&sha) {
                Some(script) => script.keys_are_declared,
                None if named == Named::Text => {
                    let code = of_script(args.at(1));
                    let is_declared = code.is_ok_and(|(_, code)| keys_are_declared(code));
                    scripts.looked_at = Some((sha, is_declared));
                    is_declared
                }
                None => false,
            },
        };
        if !is_declared {
            return all;
        }
        let Ok(count) = key_count(named, args) else {
            return all;
        };
        let mut shards = ShardSet::EMPTY;
        for key in args.from(3).take(count) {
            shards.insert(shard_of(key, shard_count));
        }
        shards
    }

    /// The keyspaces of all queued commands and watched keys.
    fn transaction_shards(&self, client: &Client) -> ShardSet {
        let transaction = &client.session.transaction;
        let shard_count = self.shared.shard_count;
        let mut shards = ShardSet::EMPTY;
        if shard_count == 1 {
            return ShardSet::all(1);
        }
        for queued in &transaction.queue {
            shards = shards.union(queued.shards);
        }
        for (_, key) in &transaction.watched {
            shards.insert(crate::ids::shard_of(key, shard_count));
        }
        shards
    }

    /// Runs the command that the client had to keep, if there is one.
    pub(super) fn run_kept(&mut self, client: &mut Client, reply: &mut Reply) -> Flow {
        let Some(kept) = client.kept.take() else {
            return Flow::Next;
        };
        let args = kept.request.args();
        let asked = match self.ask_again(client, &kept, &args) {
            Ok(asked) => asked,
            Err(refusal) => {
                let mark = reply.mark();
                self.reject(client, reply, &args, &refusal);
                finish_reply(client, reply, mark);
                return Flow::Next;
            }
        };
        let attempt = Attempt {
            row: kept.row,
            args: &args,
            shards: kept.shards,
            owned: Some(&kept.request),
            has_waited: kept.has_waited,
        };
        if asked && client.session.listens() {
            client.kept = Some(attempt.keep());
            return Flow::Defer;
        }
        // What came with it has waited with it.
        self.outstanding.none_before |= kept.has_waited;
        self.attempt(client, reply, attempt)
    }

    /// Whether a command that was kept may still run: its user may have been changed while it waited, and memory used up while it
    /// was paused. Gives whether keys were evicted for it.
    fn ask_again(
        &mut self,
        client: &mut Client,
        kept: &Admitted,
        args: &Args<'_>,
    ) -> Result<bool, CommandError> {
        let session = &mut client.session;
        permit(&self.shared, self.now_ms, session, kept.row, args)?;
        if kept.has_room {
            return Ok(false);
        }
        self.ask_for_room(client, kept.row, args, true)
    }

    /// Runs an admitted command as soon as its keyspaces are in hand: now, or when it is its turn in line.
    pub(super) fn attempt(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        mut attempt: Attempt<'_>,
    ) -> Flow {
        if self.shared.busy_scripts.any() {
            let is_unsaved = is_unsaved_end(attempt.row, attempt.args);
            let refusal = self.refusal_by_script(attempt.row, attempt.shards, is_unsaved);
            let refusal = refusal.or_else(|| self.refusal_of_exec(client, &attempt));
            if let Some(refusal) = refusal {
                let mark = reply.mark();
                self.reject(client, reply, attempt.args, &refusal);
                finish_reply(client, reply, mark);
                return Flow::Next;
            }
        }
        if is_exec(client, attempt.row) && client.session.transaction.aborted {
            return self.refuse_exec(client, reply, &attempt);
        }
        if !attempt.has_waited && !self.comes_in_order(client, attempt.row) {
            client.kept = Some(attempt.keep());
            return Flow::Stop;
        }
        attempt.has_waited = true;
        for growths in 0.. {
            if client.session.handle.is_killed() {
                client.session.closing = true;
                return Flow::Stop;
            }
            if self.is_paused_for(client, attempt.row, attempt.args) {
                client.kept = Some(attempt.keep_paused());
                self.clients.pause(client);
                return Flow::Stop;
            }
            if !self.has_in_hand(client, attempt.shards) {
                client.kept = Some(attempt.keep());
                client.phase = Phase::Queued;
                self.hands
                    .wait_in_line(attempt.shards, Job::Client(client.id()));
                return Flow::Stop;
            }
            if self.shared.ending.load(Ordering::Acquire)
                && self.is_paused_for(client, attempt.row, attempt.args)
            {
                // The last dump's cut was made before the keyspaces were taken: it would not have this.
                client.kept = Some(attempt.keep_paused());
                self.clients.pause(client);
                return Flow::Stop;
            }
            let flags = attempt.row.command.flags;
            if attempt.shards.is_empty() && (!flags.has(Flags::FAST) || flags.has(Flags::NO_AUTH)) {
                // It may sleep, write a file, check a password: others do not wait for it.
                self.put_back();
            }
            if self.ends_elements_first(client, &attempt) {
                client.kept = Some(attempt.keep());
                return Flow::Defer;
            }
            match self.run_in_hand(client, reply, &attempt) {
                Ok(flow) => return flow,
                Err(needed) if growths < GROWTHS_MAX => {
                    attempt.shards = attempt.shards.union(needed);
                }
                Err(_) => attempt.shards = ShardSet::all(self.shared.shard_count),
            }
        }
        Flow::Stop
    }

    /// As [`Shard::refusal_by_script`], for the commands of an EXEC.
    fn refusal_of_exec(&self, client: &Client, attempt: &Attempt<'_>) -> Option<CommandError> {
        if !is_exec(client, attempt.row) {
            return None;
        }
        let table = commands();
        let mut queue = client.session.transaction.queue.iter();
        queue.find_map(|queued| {
            self.refusal_by_script(table.row(queued.command), ShardSet::EMPTY, false)
        })
    }

    /// Removes elements that have ended in the keys of a command, up to a limit: the lookups of the command would remove all at once.
    /// Whether it came to the limit: then others get their turn before the command is tried again.
    fn ends_elements_first(&mut self, client: &Client, attempt: &Attempt<'_>) -> bool {
        if attempt.shards.is_empty() {
            return false;
        }
        let session = &client.session;
        let is_exec = is_exec(client, attempt.row);
        let hand = self.hands.hand_mut();
        let now_ms = hand.advance(self.now_ms);
        if !hand.elements_have_ended((!is_exec).then_some(session.db), now_ms) {
            return false;
        }
        let mut after = Aftermath::default();
        let mut budget = limits::ENDED_PER_STEP_MAX;
        self.with_hand(|env, space| {
            let mut look_at = |db: usize, key: &[u8]| {
                if budget > 0 && space.holds(key) {
                    space.of(key).end_step(db, key, now_ms, &mut budget);
                }
            };
            if is_exec {
                each_key_of_exec(session, &mut look_at);
            } else {
                let keys = attempt.row.command;
                keys.for_each_key(attempt.args, |at| look_at(session.db, attempt.args.at(at)));
            }
            if budget < limits::ENDED_PER_STEP_MAX {
                env.collect(space, &mut after);
                env.log(space, "expire");
                env.serve(space, &mut after);
            }
        });
        self.dispatch(after, None);
        budget == 0
    }

    /// Whether what a command needs is in hand, or could be taken. A subscriber or tracking client must not see a change before
    /// the message about it. So when messages have come since its turn began, its command waits until they are delivered.
    fn has_in_hand(&mut self, client: &mut Client, shards: ShardSet) -> bool {
        if shards.is_empty() || self.hands.shards() == shards {
            return true;
        }
        let is_taken = self.reach(shards);
        client.habits.window(shards);
        if is_taken && client.session.listens() && self.post.has_mail() {
            self.put_back();
            return false;
        }
        is_taken
    }

    /// Runs a command with its keyspaces in hand. `Err`: it needs these too, and nothing has happened.
    fn run_in_hand(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        attempt: &Attempt<'_>,
    ) -> Result<Flow, ShardSet> {
        let (row, args) = (attempt.row, attempt.args);
        if self.shared.effects.is_recording() {
            // It may ask for them.
            self.log_effects();
        }
        let mark = reply.mark();
        let shard_count = self.shared.shard_count;
        let is_exec = is_exec(client, row);
        let mut after = Aftermath::default();
        let call = Call::that_may_wait(row, args);
        let (mut env, hands) = self.env_and_hands();
        let hand = hands.hand_mut();
        hand.commands += 1;
        env.now_ms = hand.advance(env.now_ms);
        let now_ms = env.now_ms;
        let mut space = if attempt.shards.is_empty() {
            Space::none(shard_count)
        } else {
            hand.space(shard_count)
        };
        let mut transaction = None;
        let ran = if is_exec {
            let queued = transaction.insert(std::mem::take(&mut client.session.transaction));
            run_exec(&env, &mut space, client, queued, reply, &call, &mut after)
        } else {
            remember_watch(client, row, args);
            env.run(&mut space, &mut client.session, reply, &call, &mut after)
        };
        // What the client does next is not earlier, wherever its keys are.
        self.now_ms = now_ms;
        match ran {
            Ran::Needs(needed) => {
                reply.truncate(mark);
                if let Some(transaction) = transaction {
                    client.session.transaction = transaction;
                }
                Err(needed)
            }
            Ran::Suspended(suspended) => {
                let under_way = UnderWay {
                    attempt: attempt.keep(),
                    after,
                    transaction,
                    suspended,
                    now_ms,
                };
                self.put_aside(client, reply, mark, under_way);
                Ok(Flow::Stop)
            }
            Ran::Done | Ran::Waits(_) => {
                let ended = Ended {
                    ran,
                    after,
                    transaction,
                };
                Ok(self.conclude(client, reply, (row, args), mark, ended))
            }
        }
    }

    /// A command has run: who monitors sees it, and what follows from it is done.
    #[inline(always)]
    pub(super) fn conclude(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        (row, args): (&'static Row, &Args<'_>),
        mark: Mark,
        ended: Ended,
    ) -> Flow {
        let Ended {
            ran,
            after,
            transaction,
        } = ended;
        if self.shared.monitor_count.load(Ordering::Acquire) > 0 {
            self.log_effects();
        }
        if let Some(Transaction { queue, .. }) = transaction {
            let lines = &after.monitored;
            self.feed_monitors_exec(&client.session, &queue, lines, reply.since(mark), args);
            client.session.mirror();
            client.session.caching.exception = false;
        } else {
            self.feed_monitors(&client.session, args, row);
            self.feed_monitors_lines(&after.monitored, 0);
            client.end_caching(row);
        }
        self.count(client);
        self.finish(client, reply, ran, after, mark)
    }

    /// EXEC after a command was refused while it was queued.
    fn refuse_exec(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        attempt: &Attempt<'_>,
    ) -> Flow {
        let mark = reply.mark();
        client.session.transaction.clear();
        client.session.mirror();
        self.feed_monitors_exec(&client.session, &[], &[], &[], attempt.args);
        self.record_failure(client, attempt.row, attempt.args, &error::EXEC_ABORTED);
        reply.error(error::EXEC_ABORTED.bytes());
        finish_reply(client, reply, mark);
        Flow::Next
    }
}

/// Calls `take` with the watched keys and those of the queued commands, and with their databases.
fn each_key_of_exec(session: &Session, take: &mut dyn FnMut(usize, &[u8])) {
    let Transaction { queue, watched, .. } = &session.transaction;
    for (db, key) in watched {
        take(*db, key);
    }
    let mut db = session.db;
    for queued in queue {
        let (row, args) = (commands().row(queued.command), queued.request.args());
        if row.command.name == "select" {
            db = integer(args.at(1)).map_or(db, |number| number as usize);
        }
        row.command.for_each_key(&args, |at| take(db, args.at(at)));
    }
}

/// The client's own list of watched keys.
pub(super) fn remember_watch(client: &mut Client, row: &Row, args: &Args<'_>) {
    if is_watch(row) {
        let session = &mut client.session;
        let flag = session.transaction.flag.get_or_insert_default();
        session.handle.watches(flag);
        session
            .transaction
            .watched
            .extend(args.from(1).map(|key| (session.db, Box::from(key))));
        session.mirror();
    }
}

/// Runs a client's transaction with the keyspaces in hand.
fn run_exec(
    env: &Env<'_>,
    space: &mut Space<'_>,
    client: &mut Client,
    transaction: &Transaction,
    reply: &mut Reply,
    exec: &Call<'_>,
    after: &mut Aftermath,
) -> Ran {
    let commands = queued_calls(transaction);
    let call = transaction_call(exec.row, &commands, transaction);
    env.run_transaction(space, &mut client.session, reply, &call, after)
}

/// Goes on with one in which a script stood aside.
#[expect(
    clippy::too_many_arguments,
    reason = "those of a run, and how far it has come"
)]
pub(super) fn resume_exec(
    env: &Env<'_>,
    space: &mut Space<'_>,
    session: &mut Session,
    transaction: &Transaction,
    reply: &mut Reply,
    row: &'static Row,
    progress: Box<ExecProgress>,
    after: &mut Aftermath,
) -> Ran {
    let commands = queued_calls(transaction);
    let call = transaction_call(row, &commands, transaction);
    env.go_on_with_transaction(space, session, reply, &call, progress, after)
}

fn queued_calls(transaction: &Transaction) -> Vec<QueuedCall<'_>> {
    let table = commands();
    let queued = transaction.queue.iter().map(|queued| QueuedCall {
        row: table.row(queued.command),
        args: queued.request.args(),
    });
    queued.collect()
}

fn transaction_call<'t>(
    row: &'static Row,
    commands: &'t [QueuedCall<'t>],
    transaction: &'t Transaction,
) -> TransactionCall<'t> {
    TransactionCall {
        row,
        commands,
        watched: &transaction.watched,
        flag: transaction.flag.as_deref(),
    }
}
