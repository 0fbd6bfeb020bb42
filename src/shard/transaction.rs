//! EXEC: the queued commands in a row, with every keyspace they concern in hand.

use crate::client::session::Session;
use crate::client::transaction::WatchedKeys;
use crate::command::context::{Execution, Outcome};
use crate::command::row::Row;
use crate::keyspace::watch::WatchFlag;
use crate::keyspace::{InHand, Space};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::env::{Aftermath, Call, Env, NO_ARGS, Ran};
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
        let mut causes = String::from("exec");
        let mut closed = None;
        for command in transaction.commands {
            let call = Call::at_once(command.row, &command.args);
            let before = recorded_bytes(space);
            let mark = reply.mark();
            match self.call(space, session, reply, &call) {
                Outcome::Done | Outcome::Wait(_) => {}
                Outcome::Ask(action) => self.ask(action, after),
            }
            self.witness(
                session.id(),
                Execution::InExec,
                &command.args,
                reply.since(mark),
            );
            self.collect(space, after);
            if recorded_bytes(space) > before {
                causes.clear();
                causes.push_str(&command.row.full_name);
            }
            // A client that kills itself is told nothing more, though the rest runs.
            if session.closing && closed.is_none() {
                closed = Some(reply.mark());
            }
        }
        if let Some(mark) = closed {
            reply.truncate(mark);
        }
        self.log(space, &causes);
        self.record_exec(session, transaction, started);
        self.witness(session.id(), Execution::ExecEnds, &NO_ARGS, &[]);
        self.serve(space, after);
        Ran::Done
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
