//! Runs one command with the keyspaces in hand, and finishes the work on them: who waits for what it made ready is served.

use crate::client::session::Session;
use crate::command::context::{Execution, Outcome};
use crate::command::spec::Scope;
use crate::keyspace::{Keyspace, Space};
use crate::resp::reply::{Mark, Reply};

use super::env::{Aftermath, Call, Env, Ran, ScriptRun, Suspended};
use super::scripts::Scripted;
use super::waiters::waiters_need;

impl Env<'_> {
    /// Runs one command and finishes the work on the keyspaces in hand.
    pub(super) fn run(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
        after: &mut Aftermath,
    ) -> Ran {
        if let Some(needed) = waiters_need(space, call.row, call.args) {
            return Ran::Needs(needed);
        }
        let mark = reply.mark();
        let outcome = if call.row.command.scope == Scope::Script {
            match self.call_script(space, session, reply, call, after) {
                Scripted::Done => Outcome::Done,
                Scripted::Suspended(run) => return Ran::Suspended(Suspended::Script(run)),
            }
        } else {
            self.call(space, session, reply, call)
        };
        self.settle(space, session, reply, mark, (call, outcome), after)
    }

    /// Goes on with a script; as [`Env::run`].
    pub(super) fn resume_script(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
        run: Box<ScriptRun>,
        after: &mut Aftermath,
    ) -> Ran {
        let mark = reply.mark();
        match self.go_on_with_script(space, session, reply, call, run, after) {
            Scripted::Done => {
                self.settle(space, session, reply, mark, (call, Outcome::Done), after)
            }
            Scripted::Suspended(run) => Ran::Suspended(Suspended::Script(run)),
        }
    }

    /// Finishes the work on the keyspaces in hand after a command.
    #[inline(always)]
    fn settle(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        mark: Mark,
        (call, outcome): (&Call<'_>, Outcome),
        after: &mut Aftermath,
    ) -> Ran {
        match &outcome {
            Outcome::Wait(_) if call.may_block => {
                self.witness(session.id(), Execution::Waits, call.args, &[])
            }
            _ => self.witness(
                session.id(),
                Execution::Command,
                call.args,
                reply.since(mark),
            ),
        }
        self.collect(space, after);
        self.log(space, &call.row.full_name);
        if !after.ready.is_empty() {
            self.serve(space, after);
        }
        match outcome {
            Outcome::Done => Ran::Done,
            Outcome::Ask(action) => {
                self.ask(action, after);
                Ran::Done
            }
            Outcome::Wait(_) if !call.may_block => Ran::Done,
            Outcome::Wait(wait) => {
                let null = reply.since(mark).to_vec();
                reply.truncate(mark);
                Ran::Waits(Box::new(self.register(space, session, *wait, null)))
            }
        }
    }

    /// Removes keys whose time has come.
    pub(super) fn expire(
        &self,
        keyspace: &mut Keyspace,
        budget: usize,
        after: &mut Aftermath,
    ) -> usize {
        let count = keyspace.expire_due(self.now_ms, budget);
        if count > 0 {
            let mut space = Space::one(keyspace, self.shared.shard_count);
            space.now_ms = self.now_ms;
            self.collect(&mut space, after);
            self.log(&mut space, "expire");
            self.serve(&mut space, after);
        }
        count
    }
}
