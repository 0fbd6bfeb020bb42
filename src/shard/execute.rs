//! Runs one command with the keyspaces in hand, and finishes the work on them: who waits for what it made ready is served.

use crate::client::session::Session;
use crate::command::context::{Execution, Outcome, ShardAction};
use crate::keyspace::{Keyspace, Space};
use crate::resp::reply::Reply;

use super::env::{Aftermath, Call, Env, Outgoing, Ran};
use super::mailbox::Publication;
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
        let outcome = self.call(space, session, reply, call);
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

    pub(super) fn ask(&self, action: ShardAction, after: &mut Aftermath) {
        match action {
            ShardAction::Publish {
                kind,
                channel,
                payload,
            } => {
                let publication = Publication::new(kind, channel, payload);
                after.outgoing.push(Outgoing::Publication(publication));
            }
            ShardAction::Subscriptions(changes) => {
                after.outgoing.push(Outgoing::Subscriptions(changes));
            }
            // At once: what follows in an EXEC comes later, as in Redis.
            ShardAction::Sleep(ms) => {
                self.clock.sleep(ms);
                // The shard looks at the clock again.
                after.actions.push(ShardAction::Sleep(0));
            }
            action => after.actions.push(action),
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
