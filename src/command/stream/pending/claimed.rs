//! What XCLAIM and XAUTOCLAIM did to a group, and the effects that repeat it.

use std::sync::Arc;

use crate::data::stream::{Group, PendingEntry, StreamId};
use crate::keyspace::{KeyHandle, Report};

use super::super::{ClaimEffect, report_consumer, write_group_position};

/// What a claim changed, for the effects; collected only when somebody records them.
#[derive(Default)]
pub(super) struct Claims {
    recording: bool,
    /// Whether anything changed at all.
    any: bool,
    /// With the owner's name; none: it was released.
    changed: Vec<(PendingEntry, Option<Arc<[u8]>>)>,
}

impl Claims {
    pub(super) fn new(recording: bool) -> Self {
        Self {
            recording,
            ..Self::default()
        }
    }

    /// The entry as Redis propagates it: as it is after a claim, or before it leaves the list.
    pub(super) fn record(&mut self, group: &Group, entry: PendingEntry) {
        self.any = true;
        if self.recording {
            let owner = entry.delivery.consumer;
            let owner = owner.map(|owner| group.consumer(owner).shared_name());
            self.changed.push((entry, owner));
        }
    }

    /// `last_id`: the group's last delivered ID.
    fn report(&self, handle: &mut KeyHandle<'_>, group: &[u8], last_id: StreamId) {
        let key = handle.key();
        if self.any && !self.recording {
            handle.effect(|_| {});
        }
        for (entry, owner) in &self.changed {
            let Some(owner) = owner else {
                // Found deleted, and nobody's: an XCLAIM would have to name somebody.
                handle.effect(|effect| {
                    effect.arg("XACK").arg(key).arg(group);
                    effect.arg(entry.id.text().as_bytes());
                });
                continue;
            };
            let claim = ClaimEffect {
                key,
                group,
                consumer: owner,
                ids: &[entry.id],
                delivered_ms: entry.delivery.delivered_ms,
                delivery_count: entry.delivery.delivery_count,
                last_id,
            };
            handle.effect(|effect| claim.write(effect));
        }
    }
}

/// What XCLAIM or XAUTOCLAIM did.
pub(super) struct Claimed {
    /// Whether the consumer was created.
    pub(super) created: bool,
    /// Whether the consumer was given any entries.
    pub(super) assigned: bool,
    /// Whether the group's position changed.
    pub(super) moved: bool,
    /// The group's last delivered ID and its entries read.
    pub(super) position: (StreamId, Option<u64>),
    pub(super) claims: Claims,
}

impl Report for Claimed {
    fn is_change(&self) -> bool {
        self.created || self.moved || self.claims.any
    }
}

impl Claimed {
    /// `delivered_ms`: when the entries were delivered to the consumer.
    pub(super) fn report(
        &self,
        handle: &mut KeyHandle<'_>,
        group: &[u8],
        consumer: &[u8],
        delivered_ms: u64,
    ) {
        let (key, (last_id, entries_read)) = (handle.key(), self.position);
        if self.created {
            report_consumer(handle, group, consumer);
        }
        self.claims.report(handle, group, last_id);
        if self.assigned {
            handle.pending_since(group, delivered_ms);
        }
        if self.moved && !self.claims.any {
            handle.effect(|effect| write_group_position(effect, key, group, last_id, entries_read));
        }
    }
}
