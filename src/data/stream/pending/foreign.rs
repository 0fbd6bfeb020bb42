//! Pending entries as files have them.

use std::collections::BTreeMap;

use super::{COUNT_IS_LARGE, ConsumerIndex, PendingEntries, PendingEntry, PendingRecord};
use crate::data::stream::records::Owned;

impl PendingEntries {
    /// Fills an empty list with entries that ascend and that somebody has. O(n).
    pub(crate) fn restore(&mut self, entries: &[PendingEntry]) {
        debug_assert!(self.len() == 0 && entries.is_sorted_by(|a, b| a.id < b.id));
        let records: Vec<PendingRecord> = entries
            .iter()
            .map(|entry| self.pack(entry.id, entry.delivery))
            .collect();
        self.records.insert_each(&records);
        let mut owned = BTreeMap::<ConsumerIndex, Vec<Owned>>::new();
        for (entry, record) in entries.iter().zip(&records) {
            if let Some(consumer) = entry.delivery.consumer {
                let own = owned.entry(consumer).or_default();
                own.push(Owned::new(entry.id, entry.delivery.delivered_ms));
            }
            if record.count == COUNT_IS_LARGE {
                self.set_large_count(entry.id, entry.delivery.delivery_count);
            }
        }
        for (consumer, owned) in owned {
            self.own_tree(consumer).insert_each(&owned);
        }
    }
}
