//! One queue per shard: all work on its keyspace, in arrival order. Pure.
//!
//! While the keyspace is lent nothing leaves the queue. A local run goes around it only when the keyspace is home and the
//! queue is empty, so that neither local nor foreign work starves.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::{ClientId, ShardId};
use crate::keyspace::wait::Waiter;

use super::mailbox::{Batch, LoanId};

/// Work on a keyspace.
#[derive(Debug)]
pub(super) enum Work {
    /// Commands for a client of another shard.
    Batch(Box<Batch>),
    /// Give the keyspace away.
    Lend {
        /// The loan.
        loan: LoanId,
        /// To whom.
        coordinator: ShardId,
    },
    /// A client of this shard goes on.
    LocalRun(ClientId),
    /// Remove keys whose time has come.
    Expire,
    /// Let blocked clients look at the keys whose alarms are due.
    Ring,
    /// Take a waiter out of the wait tables.
    Forget(Arc<Waiter>),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Admission {
    queue: VecDeque<Work>,
    expire_queued: bool,
    ring_queued: bool,
}

impl Admission {
    /// Appends work.
    pub(super) fn push(&mut self, work: Work) {
        let queued = match work {
            Work::Expire => Some(&mut self.expire_queued),
            Work::Ring => Some(&mut self.ring_queued),
            _ => None,
        };
        if queued.is_some_and(|queued| std::mem::replace(queued, true)) {
            return;
        }
        self.queue.push_back(work);
    }

    /// The oldest work.
    pub(super) fn pop(&mut self) -> Option<Work> {
        let work = self.queue.pop_front();
        match work {
            Some(Work::Expire) => self.expire_queued = false,
            Some(Work::Ring) => self.ring_queued = false,
            _ => {}
        }
        work
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
