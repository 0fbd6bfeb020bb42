//! Loans: several keyspaces in one hand.
//!
//! ```text
//! coordinator ──Lend──► all shards concerned, its own too, as one step of the order all shards see
//!        ◄──Grant── each when it reaches that position; from then on its admission queue stands still
//! all granted: run the jobs, serve waiters, send publications ──Return──► all
//! ```
//! One order everywhere, so no deadlock; real exclusive access, so strictly serialisable. What arrives at a coordinator
//! while its loan is under way joins the next one. Between the last grant and the return everything is synchronous, and a
//! panic there aborts the process: a half-changed keyspace must not go on serving.

#![allow(
    clippy::vec_box,
    reason = "a keyspace changes hands by moving its box, not its contents"
)]

use std::collections::VecDeque;

use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::Keyspace;
use crate::limits;
use crate::resp::reply::Reply;

use super::Shard;
use super::client::Phase;
use super::mailbox::{LoanId, Message};

/// A loan under way: the keyspaces come home when it ends, whatever ends it.
#[derive(Debug)]
struct Loan {
    id: LoanId,
    shards: ShardSet,
    keyspaces: Vec<Box<Keyspace>>,
    jobs: Vec<ClientId>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        assert!(
            self.keyspaces.is_empty() || std::thread::panicking(),
            "a loan ended with keyspaces in hand"
        );
    }
}

/// A coordinator's loans: one under way, and who waits for the next.
#[derive(Debug)]
pub(super) struct Lending {
    last_id: u64,
    current: Option<Loan>,
    waiting: VecDeque<(ClientId, ShardSet)>,
}

impl Lending {
    pub(super) fn new() -> Self {
        Self {
            last_id: 0,
            current: None,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// Whether keyspaces are on their way here.
    pub(super) fn is_under_way(&self) -> bool {
        self.current.is_some()
    }
}

impl Shard {
    /// A client needs these keyspaces for the head of its `pending`.
    pub(super) fn ask_loan(&mut self, client: ClientId, shards: ShardSet) {
        debug_assert!(!shards.is_empty(), "a loan of nothing");
        self.lending.waiting.push_back((client, shards));
        self.start_loan();
    }

    fn start_loan(&mut self) {
        if self.lending.current.is_some() || self.lending.waiting.is_empty() || self.is_stopping() {
            return;
        }
        let mut jobs = Vec::new();
        let mut shards = ShardSet::EMPTY;
        while jobs.len() < limits::LOAN_JOBS_MAX {
            let Some((client, wanted)) = self.lending.waiting.pop_front() else {
                break;
            };
            jobs.push(client);
            shards = shards.union(wanted);
        }
        self.lending.last_id += 1;
        let id = LoanId(self.lending.last_id);
        let coordinator = self.id;
        self.lending.current = Some(Loan {
            id,
            shards,
            keyspaces: Vec::new(),
            jobs,
        });
        self.post.send_ordered(
            shards
                .iter()
                .map(|shard| {
                    (
                        shard,
                        Message::Lend {
                            loan: id,
                            coordinator,
                        },
                    )
                })
                .collect(),
        );
    }

    /// The position of a loan in the admission queue is reached: the keyspace goes to the coordinator.
    pub(super) fn lend(&mut self, loan: LoanId, coordinator: ShardId) {
        self.tell_broadcasts();
        let Some(keyspace) = self.keyspace.take() else {
            debug_assert!(false, "lent twice");
            return;
        };
        debug_assert!(keyspace.is_settled(), "given away with work undone");
        if coordinator == self.id {
            self.granted(loan, keyspace);
        } else {
            self.post
                .send(coordinator, Message::Grant { loan, keyspace });
        }
    }

    /// A keyspace arrived for the loan; with the last one the jobs run.
    pub(super) fn granted(&mut self, loan: LoanId, keyspace: Box<Keyspace>) {
        let Some(current) = &mut self.lending.current else {
            debug_assert!(false, "a grant without a loan");
            return;
        };
        debug_assert_eq!(current.id, loan, "one loan at a time");
        current.keyspaces.push(keyspace);
        if current.keyspaces.len() == current.shards.len() {
            self.run_loan();
        }
    }

    fn run_loan(&mut self) {
        let Some(mut loan) = self.lending.current.take() else {
            return;
        };
        let mut keyspaces = std::mem::take(&mut loan.keyspaces);
        keyspaces.sort_unstable_by_key(|keyspace| keyspace.shard());
        // As the settings are now, not when each keyspace arrived.
        for keyspace in &mut keyspaces {
            keyspace.policy = self.policy();
            let is_recording = self.shared.effects.is_recording();
            keyspace.effects.set_recording(is_recording);
        }
        let mut again = Vec::new();
        // One turn for all of them: the others wait for their keyspaces.
        let mut budget = self.budget();
        if self.is_stopping() {
            loan.jobs.clear();
        }
        for id in std::mem::take(&mut loan.jobs) {
            let Some(mut client) = self.take(id) else {
                continue;
            };
            if !matches!(client.phase, Phase::Loan) {
                self.put(client);
                continue;
            }
            client.phase = Phase::Ready;
            client.has_tried_again = false;
            let mut reply = Reply::new(client.session.protocol);
            reply.set_slices(self.slices_replies());
            let _ = self.run_borrowed(
                &mut client,
                &mut reply,
                &mut keyspaces,
                loan.shards,
                &mut budget,
            );
            client.output.take(&mut reply);
            if !client.output.is_empty() || client.session.closing {
                self.dirty.push(id);
            }
            self.put(client);
            again.push(id);
        }
        self.shared.observations.shards[self.id.index()]
            .loans
            .add(1);
        self.bring_home(keyspaces);
        self.let_waiting_try();
        self.start_loan();
        for id in again {
            if let Some(Some(client)) = self.clients.get_mut(&id) {
                self.turns.queue(client);
            }
        }
    }

    /// Now that the keyspaces are back, who waits for the next loan may find them free: each tries once. Else one loan
    /// would follow the other for ever, since during each somebody comes to wait.
    fn let_waiting_try(&mut self) {
        let mut waiting = std::mem::take(&mut self.lending.waiting);
        waiting.retain(|(id, wanted)| {
            let Some(Some(client)) = self.clients.get_mut(id) else {
                return false;
            };
            let tries = !std::mem::replace(&mut client.has_tried_again, true);
            if tries && matches!(client.phase, Phase::Loan) {
                client.phase = Phase::Ready;
                // What others wait for is not found out anew, or it would be for ever.
                client.needs = *wanted;
                self.turns.queue(client);
            }
            !tries
        });
        self.lending.waiting = waiting;
    }

    /// Returns every keyspace to its shard.
    fn bring_home(&mut self, keyspaces: Vec<Box<Keyspace>>) {
        self.tell_broadcasts();
        for keyspace in keyspaces {
            debug_assert!(keyspace.is_settled(), "given back with work undone");
            let shard = keyspace.shard();
            if shard == self.id {
                self.keyspace_home(keyspace);
            } else {
                self.put_back(keyspace);
            }
        }
    }
}
