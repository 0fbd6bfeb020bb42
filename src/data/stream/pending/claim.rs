//! Claiming many pending entries at once: what XAUTOCLAIM does.
//!
//! One walk over the tree of records finds and changes them; then the trees of the consumers follow, each in one walk for
//! what leaves it; that of the claimant in one for what it had and one for what comes.

use super::super::id::StreamId;
use super::super::records::{Owned, PendingRecord};
use super::super::tree::Sweep;
use super::{
    COUNT_IS_LARGE, ConsumerIndex, Delivery, PendingEntries, PendingEntry, holds_idle, latest_ms,
};

/// Which entries to claim, for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleClaim {
    /// From this ID on.
    pub(crate) from: StreamId,
    /// Below this ID, when given.
    pub(crate) end: Option<StreamId>,
    /// So many, at most.
    pub(crate) most: usize,
    /// Idle for at least so long, or released.
    pub(crate) idle_min_ms: u64,
    /// Who gets them.
    pub(crate) consumer: ConsumerIndex,
    /// The time of the claim, Unix ms.
    pub(crate) now_ms: u64,
    /// Whether it counts as a delivery.
    pub(crate) counts: bool,
}

/// A record before and after it was claimed.
type Change = (PendingRecord, PendingRecord);

impl PendingEntries {
    /// Claims entries in the order of their IDs; gives them as they are then. None of them may be marked as gone. O(log n)
    /// for each run of them that lie together and had one owner.
    pub(crate) fn claim_idle(&mut self, claim: &IdleClaim) -> Vec<PendingEntry> {
        let mut changes: Vec<Change> = Vec::with_capacity(claim.most.min(self.len()).min(1024));
        self.records.change_where(Sweep {
            from: claim.from,
            end: claim.end,
            most: claim.most,
            holds: holds_idle(latest_ms(claim.now_ms, claim.idle_min_ms)),
            change: |record: &mut PendingRecord| {
                let before = *record;
                record.owner = claim.consumer.0;
                record.time = claim.now_ms;
                if claim.counts && record.count < COUNT_IS_LARGE - 1 {
                    record.count += 1;
                }
                changes.push((before, *record));
            },
        });
        self.follow_claim(claim.consumer, claim.now_ms, &changes);
        if claim.counts {
            self.count_claims(&mut changes);
        }
        let claimed = changes.iter().map(|(_, after)| self.open(after));
        claimed.collect()
    }

    /// Keeps the other trees as that of records.
    fn follow_claim(&mut self, consumer: ConsumerIndex, now_ms: u64, changes: &[Change]) {
        let mut stay: Vec<StreamId> = Vec::new();
        let mut come: Vec<Owned> = Vec::new();
        let mut leave: Vec<(ConsumerIndex, StreamId)> = Vec::new();
        for (before, after) in changes {
            match before.consumer() {
                Some(owner) if owner == consumer => {
                    stay.push(after.id);
                    continue;
                }
                Some(owner) => leave.push((owner, after.id)),
                None => self.reindex(after.id, Some(before), None),
            }
            come.push(Owned::new(after.id, now_ms));
        }
        // Each owner's IDs go on ascending: the sort keeps their order, and mostly finds them in few runs.
        leave.sort_by_key(|(owner, _)| *owner);
        let mut ids: Vec<StreamId> = Vec::with_capacity(leave.len());
        for run in leave.chunk_by(|(one, _), (next, _)| one == next) {
            ids.clear();
            ids.extend(run.iter().map(|(_, id)| id));
            self.by_consumer[run[0].0.slot()].remove_each(&ids);
        }
        let own = self.own_tree(consumer);
        own.change_each(&stay, |owned| *owned = Owned::new(owned.id(), now_ms));
        own.insert_each(&come);
    }

    /// Counts the deliveries; for those that a record has no room for, in another way.
    fn count_claims(&mut self, changes: &mut [Change]) {
        for (before, after) in changes {
            if after.count != before.count {
                self.redeliveries += 1;
                continue;
            }
            let delivery = self.open(after).delivery;
            let counted = Delivery {
                delivery_count: delivery.next_count(),
                ..delivery
            };
            self.assign(after.id, counted);
            after.count = COUNT_IS_LARGE;
        }
    }
}
