//! EXEC: the queued commands in a row, with every keyspace they concern in hand.

use crate::acl::log::Context as Place;
use crate::client::session::Session;
use crate::client::transaction::WatchedKeys;
use crate::command::context::{Execution, Outcome};
use crate::command::error;
use crate::command::permission;
use crate::command::row::Row;
use crate::command::spec::Scope;
use crate::keyspace::watch::WatchFlag;
use crate::keyspace::{InHand, Space};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::env::{Aftermath, Call, Env, ExecProgress, NO_ARGS, Ran, ScriptRun, Suspended};
use super::scripts::Scripted;
use super::waiters::waiters_need;

/// A queued command, looked up.
pub(super) struct QueuedCall<'q> {
    pub(super) row: &'static Row,
    pub(super) args: Args<'q>,
}

/// A whole EXEC.
pub(super) struct TransactionCall<'t> {
    /// The row of EXEC.
    pub(super) row: &'static Row,
    pub(super) commands: &'t [QueuedCall<'t>],
    pub(super) watched: &'t WatchedKeys,
    pub(super) flag: Option<&'t WatchFlag>,
}

impl Env<'_> {
    /// Runs a whole EXEC with every keyspace it concerns in hand.
    pub(super) fn run_transaction(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        transaction: &TransactionCall<'_>,
        after: &mut Aftermath,
    ) -> Ran {
        for command in transaction.commands {
            if let Some(needed) = waiters_need(space, command.row, &command.args) {
                return Ran::Needs(needed);
            }
        }
        let started = self.lap_ns.get();
        let started = started.unwrap_or_else(|| self.clock.nanoseconds());
        let watched_has_ended = self.look_at_watched(space, transaction);
        self.collect(space, after);
        self.log(space, "expire");
        if watched_has_ended || transaction.flag.is_some_and(WatchFlag::is_set) {
            reply.null_array();
            self.witness(session.id(), Execution::ExecRefused, &NO_ARGS, &[]);
            self.record_exec(session, transaction, started);
            self.serve(space, after);
            return Ran::Done;
        }
        reply.array(transaction.commands.len());
        self.witness(session.id(), Execution::ExecBegins, &NO_ARGS, &[]);
        let progress = ExecProgress {
            started_ns: started,
            next: 0,
            cause: String::from("exec"),
            closed: None,
            script: None,
        };
        self.go_on_with_transaction(
            space,
            session,
            reply,
            transaction,
            Box::new(progress),
            after,
        )
    }

    /// Runs the commands of an EXEC that are left.
    pub(super) fn go_on_with_transaction(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        transaction: &TransactionCall<'_>,
        mut progress: Box<ExecProgress>,
        after: &mut Aftermath,
    ) -> Ran {
        while let Some(command) = transaction.commands.get(progress.next) {
            let before = recorded_bytes(space);
            let mark = reply.mark();
            after.position = progress.next;
            let script = progress.script.take();
            match self.call_queued(space, session, reply, command, script, after) {
                Ok(()) => {}
                Err(run) => {
                    progress.script = Some(run);
                    return Ran::Suspended(Suspended::Exec(progress));
                }
            }
            self.witness(
                session.id(),
                Execution::InExec,
                &command.args,
                reply.since(mark),
            );
            self.collect(space, after);
            if recorded_bytes(space) > before {
                progress.cause.clear();
                progress.cause.push_str(&command.row.full_name);
            }
            // A client that kills itself is told nothing more, though the rest runs.
            if session.closing && progress.closed.is_none() {
                progress.closed = Some(reply.mark());
            }
            progress.next += 1;
        }
        if let Some(mark) = progress.closed {
            reply.truncate(mark);
        }
        self.log(space, &progress.cause);
        self.record_exec(session, transaction, progress.started_ns);
        self.witness(session.id(), Execution::ExecEnds, &NO_ARGS, &[]);
        self.serve(space, after);
        Ran::Done
    }

    /// Runs one command of an EXEC. `Err`: it is a script that has run for long.
    fn call_queued(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        command: &QueuedCall<'_>,
        script: Option<Box<ScriptRun>>,
        after: &mut Aftermath,
    ) -> Result<(), Box<ScriptRun>> {
        let call = Call::at_once(command.row, &command.args);
        if script.is_none()
            && let Err(denied) = permission::check(session, command.row, &command.args)
        {
            let of = (command.row, &command.args);
            permission::note(
                self.shared,
                (session, self.now_ms),
                of,
                denied,
                Place::Multi,
            );
            let error = error::denied_at_exec(denied);
            self.record_refusal(Some(command.row), &error);
            reply.error(error.bytes());
            return Ok(());
        }
        if command.row.command.scope == Scope::Script {
            let scripted = match script {
                Some(run) => self.go_on_with_script(space, session, reply, &call, run, after),
                None => self.call_script(space, session, reply, &call, after),
            };
            return match scripted {
                Scripted::Done => Ok(()),
                Scripted::Suspended(run) => Err(run),
            };
        }
        if let Outcome::Ask(action) = self.call(space, session, reply, &call) {
            self.ask(action, after);
        }
        Ok(())
    }

    /// Notes EXEC itself, with the time of all in it.
    fn record_exec(&self, session: &Session, transaction: &TransactionCall<'_>, started_ns: u64) {
        let ended_ns = self.clock.nanoseconds();
        self.lap_ns.set(Some(ended_ns));
        let call = Call::at_once(transaction.row, &NO_ARGS);
        let elapsed_ns = ended_ns.saturating_sub(started_ns);
        self.record(session, &call, elapsed_ns, None);
    }

    /// Removes watched keys that have expired, which sets the flag; true when there is one that a pause keeps.
    fn look_at_watched(&self, space: &mut Space<'_>, transaction: &TransactionCall<'_>) -> bool {
        let now_ms = self.now_ms;
        let mut has_ended = false;
        for (db, key) in transaction.watched {
            let keyspace = space.of(key);
            keyspace.peek(*db, key, now_ms);
            has_ended |= keyspace.holds_expired(*db, key, now_ms)
                && transaction
                    .flag
                    .is_some_and(|flag| !keyspace.watches(*db).was_expired(key, flag));
        }
        has_ended
    }
}

/// Bytes of the effects that have not been handed on.
fn recorded_bytes(space: &Space<'_>) -> usize {
    space
        .keyspaces()
        .map(|keyspace| keyspace.effects.len())
        .sum()
}
