//! The jobs of one thread that wait for keyspaces, by the set they need: one ticket for all who need the same. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::ShardSet;
use crate::limits;

use super::berths::Ticket;

/// Jobs that need the same keyspaces, in the order in which they came.
#[derive(Debug)]
pub(in crate::shard) struct Line<J> {
    pub(in crate::shard) shards: ShardSet,
    jobs: VecDeque<J>,
    /// Its place in the queues of the berths, once it has tried in vain.
    ticket: Option<Arc<Ticket>>,
    /// When that was, ns.
    since_ns: u64,
    /// When it tried last, ns.
    tried_ns: u64,
    losses: u32,
}

impl<J> Line<J> {
    /// The ticket to try with.
    pub(in crate::shard) fn ticket(
        &mut self,
        now_ns: u64,
        make: impl FnOnce(ShardSet) -> Arc<Ticket>,
    ) -> Arc<Ticket> {
        if self.ticket.is_none() {
            self.since_ns = now_ns;
            self.losses = 0;
        }
        self.tried_ns = now_ns;
        Arc::clone(self.ticket.get_or_insert_with(|| make(self.shards)))
    }

    /// Whether the ticket has been passed so often, or for so long, that it reserves its berths.
    pub(in crate::shard) fn is_old(&self, now_ns: u64) -> bool {
        self.losses >= limits::TICKET_LOSSES_MAX
            || now_ns.saturating_sub(self.since_ns) >= limits::TICKET_AGE_MAX_NS
    }

    /// Whether there is reason to try now: it has not tried yet, or was offered something.
    fn is_called(&self) -> bool {
        self.ticket
            .as_ref()
            .is_none_or(|ticket| ticket.is_offered())
    }

    /// A try was in vain.
    pub(in crate::shard) fn lost(&mut self) {
        self.losses += 1;
    }

    /// A try was not: the ticket is over.
    pub(in crate::shard) fn won(&mut self) -> Option<J> {
        self.ticket = None;
        self.jobs.pop_front()
    }
}

/// All lines of a thread, the one that began to wait first in front.
#[derive(Debug)]
pub(in crate::shard) struct Lines<J>(Vec<Line<J>>);

impl<J> Lines<J> {
    pub(in crate::shard) fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a job to the line for its set.
    pub(in crate::shard) fn push(&mut self, shards: ShardSet, job: J) {
        match self.0.iter_mut().find(|line| line.shards == shards) {
            Some(line) => line.jobs.push_back(job),
            None => self.0.push(Line {
                shards,
                jobs: VecDeque::from([job]),
                ticket: None,
                since_ns: 0,
                tried_ns: 0,
                losses: 0,
            }),
        }
    }

    /// Whether such a job waits.
    pub(in crate::shard) fn any(&self, is_it: impl Fn(&J) -> bool) -> bool {
        let mut jobs = self.0.iter().flat_map(|line| &line.jobs);
        jobs.any(is_it)
    }

    /// The sets to try for now, each with the number of its jobs: those with reason to, and those not tried for long, since
    /// who was offered them instead may be held up.
    pub(in crate::shard) fn due(&self, now_ns: u64) -> Vec<(ShardSet, usize)> {
        let is_due = |line: &&Line<J>| {
            let rested_ns = now_ns.saturating_sub(line.tried_ns);
            line.is_called() || rested_ns >= limits::TICKET_RETRY_MS * 1_000_000
        };
        let set = |line: &Line<J>| (line.shards, line.jobs.len());
        self.0.iter().filter(is_due).map(set).collect()
    }

    /// The job whose turn with a set is next.
    pub(in crate::shard) fn first(&self, shards: ShardSet) -> Option<&J> {
        let line = self.0.iter().find(|line| line.shards == shards);
        line?.jobs.front()
    }

    /// The job that came last for a set.
    pub(in crate::shard) fn last_mut(&mut self, shards: ShardSet) -> Option<&mut J> {
        self.get_mut(shards)?.jobs.back_mut()
    }

    /// The line for a set.
    pub(in crate::shard) fn get_mut(&mut self, shards: ShardSet) -> Option<&mut Line<J>> {
        self.0.iter_mut().find(|line| line.shards == shards)
    }

    /// Forgets a line when nobody is in it.
    pub(in crate::shard) fn tidy(&mut self, shards: ShardSet) {
        self.0
            .retain(|line| line.shards != shards || !line.jobs.is_empty());
    }

    /// Ends all lines; gives their tickets and jobs.
    pub(in crate::shard) fn clear(&mut self) -> (Vec<Arc<Ticket>>, Vec<J>) {
        let (mut tickets, mut jobs) = (Vec::new(), Vec::new());
        for line in std::mem::take(&mut self.0) {
            tickets.extend(line.ticket);
            jobs.extend(line.jobs);
        }
        (tickets, jobs)
    }

    /// Whether there is reason to try for one of the sets now.
    pub(in crate::shard) fn any_called(&self) -> bool {
        self.0.iter().any(Line::is_called)
    }

    /// How many jobs wait.
    pub(in crate::shard) fn len(&self) -> usize {
        self.0.iter().map(|line| line.jobs.len()).sum()
    }

    /// Whether nobody waits.
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
