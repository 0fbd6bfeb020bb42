//! A script that stands aside goes on: a slice of time between the rounds of its thread, until it has ended.
//!
//! Who waits for what it holds is told that it is busy.

use crate::command::error::CommandError;
use crate::ids::ClientId;
use crate::keyspace::effect::resume_group;
use crate::resp::reply::{Mark, Reply};

use super::admit::Admitted;
use super::aside::is_unsaved_end;
use super::busy::Busy;
use super::client::Client;
use super::env::{Call, Ran, Suspended};
use super::finish::Flow;
use super::phase::Phase;
use super::state::Shard;
use super::window::{Ended, resume_exec};

impl Shard {
    /// Gives the script that stands aside a slice of time.
    pub(super) fn go_on_with_busy(&mut self) {
        let Some(mut busy) = self.busy.take() else {
            return;
        };
        let Some(mut client) = self.clients.take(busy.client) else {
            unreachable!("a client whose script stands aside stays");
        };
        self.put_back();
        self.hands.resume(std::mem::take(&mut busy.hand));
        let mut reply = std::mem::take(&mut busy.reply);
        let others = resume_group(busy.group);
        let ran = self.slice(&mut client, &mut reply, &mut busy);
        resume_group(others);
        if let Ran::Suspended(mut suspended) = ran {
            if suspended.script().busy.is_none() {
                // Another script of the same EXEC.
                self.shared.busy_scripts.remove(&busy.known);
                let shards = self.hands.shards();
                busy.known = self.make_known(&mut suspended, &busy.attempt, shards);
            }
            busy.suspended = suspended;
            busy.reply = reply;
            busy.hand = self.hands.lend();
            self.clients.put(client);
            self.busy = Some(busy);
            return;
        }
        self.shared.busy_scripts.remove(&busy.known);
        self.finish_busy(client, reply, *busy, ran);
    }

    fn slice(&mut self, client: &mut Client, reply: &mut Reply, busy: &mut Busy) -> Ran {
        let shard_count = self.shared.shard_count;
        let suspended = std::mem::replace(&mut busy.suspended, Suspended::Nothing);
        let args = busy.attempt.request.args();
        let (mut env, hands) = self.env_and_hands();
        env.now_ms = busy.now_ms;
        env.lap_ns.set(None);
        let mut space = hands.hand_mut().space(shard_count);
        let (session, after) = (&mut client.session, &mut busy.after);
        match (suspended, &busy.transaction) {
            (Suspended::Script(run), _) => {
                let call = Call::that_may_wait(busy.attempt.row, &args);
                env.resume_script(&mut space, session, reply, &call, run, after)
            }
            (Suspended::Exec(progress), Some(transaction)) => {
                let row = busy.attempt.row;
                resume_exec(
                    &env,
                    &mut space,
                    session,
                    transaction,
                    reply,
                    row,
                    progress,
                    after,
                )
            }
            (Suspended::Exec(_), None) | (Suspended::Nothing, _) => {
                unreachable!("what stands aside is a script, or an EXEC")
            }
        }
    }

    /// The script has ended: what follows it is done, and its client goes on.
    fn finish_busy(&mut self, mut client: Box<Client>, mut reply: Reply, busy: Busy, ran: Ran) {
        let id = client.id();
        client.phase = Phase::Ready;
        (self.revealed, self.wrote_to) = (0, 0);
        reply.set_protocol(client.session.protocol);
        let args = busy.attempt.request.args();
        let ran = Ended {
            ran,
            after: busy.after,
            transaction: busy.transaction,
        };
        let mut flow = self.conclude(
            &mut client,
            &mut reply,
            (busy.attempt.row, &args),
            Mark::START,
            ran,
        );
        if flow == Flow::Next && !busy.client_is_gone {
            self.begin_turn();
            let mut budget = self.budget();
            flow = self.run_input(&mut client, &mut reply, &mut budget, &[]);
        }
        self.end_turn(client, reply, flow);
        if busy.client_is_gone {
            self.disconnect(id);
        }
    }

    /// A script was found to be busy: who waits for its keyspaces is told so.
    pub(super) fn tell_of_busy_script(&mut self) {
        let waiting: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|client| matches!(client.phase, Phase::Queued))
            .map(Client::id)
            .collect();
        for id in waiting {
            let Some(mut client) = self.clients.take(id) else {
                continue;
            };
            if let Some(kept) = client.kept.take() {
                let is_unsaved = is_unsaved_end(kept.row, &kept.request.args());
                match self.refusal_by_script(kept.row, kept.shards, is_unsaved) {
                    Some(refusal) => self.refuse_kept(&mut client, &kept, &refusal),
                    None => client.kept = Some(kept),
                }
            }
            self.clients.put(client);
        }
    }

    fn refuse_kept(&mut self, client: &mut Client, kept: &Admitted, refusal: &CommandError) {
        client.phase = Phase::Ready;
        let mut reply = Reply::new(client.session.protocol);
        self.reject(client, &mut reply, &kept.request.args(), refusal);
        self.append_reply(client, reply.bytes());
        self.clients.queue(client);
    }
}
