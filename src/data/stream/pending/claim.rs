//! Claiming many pending entries at once: what XAUTOCLAIM does.
//!
//! One walk over the tree of records finds and changes them; then the trees of the consumers follow, in one walk each where
//! entries stay with their consumer or leave one together.

use super::super::id::StreamId;
use super::super::records::{Owned, PendingRecord};
use super::super::tree::Sweep;
use super::{
    COUNT_IS_LARGE, ConsumerIndex, Delivery, PendingEntries, PendingEntry, holds_idle, latest_ms,
};

/// Entries that leave a consumer together in one walk, at least; fewer are taken out one by one.
const TOGETHER_MIN: usize = 8;

/// Which entries to claim, for whom.
#[derive(Clone, Copy, Debug)]
pub struct IdleClaim {
    /// From this ID on.
    pub from: StreamId,
    /// Below this ID, when given.
    pub end: Option<StreamId>,
    /// So many, at most.
    pub most: usize,
    /// Idle for at least so long, or released.
    pub idle_min_ms: u64,
    /// Who gets them.
    pub consumer: ConsumerIndex,
    /// The time of the claim, Unix ms.
    pub now_ms: u64,
    /// Whether it counts as a delivery.
    pub counts: bool,
}

/// A record before and after it was claimed.
type Change = (PendingRecord, PendingRecord);

impl PendingEntries {
    /// Claims entries in the order of their IDs; gives them as they are then. None of them may be marked as gone. O(log n)
    /// for each run of them that lie together, and O(log n) each where they change hands.
    pub fn claim_idle(&mut self, claim: &IdleClaim) -> Vec<PendingEntry> {
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
        let had = |change: &&Change| change.0.consumer() == Some(consumer);
        let stay: Vec<StreamId> = changes.iter().filter(had).map(|(r, _)| r.id).collect();
        if let Some(own) = self.by_consumer.get_mut(consumer.slot()) {
            own.change_each(&stay, |owned| *owned = Owned::new(owned.id(), now_ms));
        }
        if stay.len() == changes.len() {
            return;
        }
        let left_together = self.leave_together(changes);
        for change in changes.iter().filter(|change| !had(change)) {
            let (before, after) = change;
            let before = (!left_together).then_some(before);
            self.reindex(after.id, before, Some(after));
        }
    }

    /// Takes what was claimed from its consumer in one walk, when all of it had one and nothing of his lies between.
    fn leave_together(&mut self, changes: &[Change]) -> bool {
        let [(first, _), .., (last, _)] = changes else {
            return false;
        };
        let Some(owner) = first.consumer() else {
            return false;
        };
        let own = &mut self.by_consumer[owner.slot()];
        let until = last.id.successor();
        let together = changes.len() >= TOGETHER_MIN
            && changes.iter().all(|(r, _)| r.consumer() == Some(owner))
            && until.is_some_and(|until| own.rank(until) - own.rank(first.id) == changes.len());
        if together {
            own.remove_range(first.id, last.id);
        }
        together
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
