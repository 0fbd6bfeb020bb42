//! A stream: its log of entries and the consumer groups that read it.
//!
//! ```text
//!   Stream ─┬─ Idempotency  which messages producers have added        idempotency
//!           ├─ Log        blocks of entries; last ID, counters          log, block, range, trim, radix
//!           └─ groups     by name, ascending (as Redis' radix tree walks them)
//!                └─ Group        reading position, consumers             group
//!                     └─ PendingEntries   delivered, not acknowledged    pending, records, idleness, tree
//! ```
//! What both sides have to agree on, entries that go while groups refer to them, is in `references`.
//!
//! A clone is a share: sealed blocks and trees are copied only when one side writes to them.
//!
//! Pure: no clock (times are arguments, Unix milliseconds), no replies, no names of commands.

mod block;
mod foreign;
mod group;
mod id;
mod idempotency;
mod idleness;
mod log;
mod pending;
mod radix;
mod range;
mod records;
mod references;
mod releases;
mod tree;
mod trim;

#[cfg(test)]
mod removal_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use foreign::{Assembly, CorruptStream, Counters};
pub(crate) use group::Group;
pub(crate) use id::{RequestedId, StreamId};
pub(crate) use idempotency::{Idempotency, Window};
pub(crate) use log::{AppendError, BlockLimits, Entry, Log};
pub(crate) use pending::{ConsumerIndex, DELIVERY_COUNT_MAX, Delivery, IdleClaim, PendingEntry};
pub(crate) use references::{Fate, ReferencePolicy, Removed};
pub(crate) use trim::{TrimOptions, TrimTo};

/// A stream with its groups and what it knows of its producers.
#[derive(Clone, Default)]
pub(crate) struct Stream {
    log: Log,
    /// Boxed: a node of the tree has room for eleven values, of which a stream with one group uses one.
    groups: BTreeMap<Arc<[u8]>, Box<Group>>,
    idempotency: Idempotency,
}

impl Stream {
    /// An empty stream that remembers its producers' messages as long as the window says.
    #[must_use]
    pub(crate) fn new(window: Window) -> Self {
        Stream {
            idempotency: Idempotency::new(window),
            ..Stream::default()
        }
    }

    /// What is known of producers' messages.
    #[must_use]
    pub(crate) fn idempotency(&self) -> &Idempotency {
        &self.idempotency
    }

    /// What is known of producers' messages, to change.
    pub(crate) fn idempotency_mut(&mut self) -> &mut Idempotency {
        &mut self.idempotency
    }

    /// The entries and counters.
    #[must_use]
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The entries and counters, to change.
    pub(crate) fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// The group with this name.
    #[must_use]
    pub(crate) fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name).map(|group| &**group)
    }

    /// The group with this name to change, and the log to look at meanwhile.
    pub(crate) fn group_mut(&mut self, name: &[u8]) -> Option<(&mut Group, &Log)> {
        Some((self.groups.get_mut(name)?, &self.log))
    }

    /// Adds a group; `false` when the name is taken.
    pub(crate) fn create_group(&mut self, name: &[u8], mut group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.let_join(&mut group);
        self.groups.insert(Arc::from(name), Box::new(group));
        true
    }

    /// Removes a group with all it has pending.
    pub(crate) fn remove_group(&mut self, name: &[u8]) -> Option<Group> {
        let group = self.groups.remove(name)?;
        self.inherit_releases(&group);
        Some(*group)
    }

    /// Number of groups. O(1).
    #[must_use]
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The groups by name, ascending.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&[u8], &Group)> + '_ {
        let groups = self.groups.iter();
        groups.map(|(name, group)| (&**name, &**group))
    }

    /// Bytes of all structures of the stream, without the `Stream` itself.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        let groups: usize = self
            .groups
            .iter()
            .map(|(name, group)| {
                name.len()
                    + 2 * size_of::<usize>()
                    + size_of::<(Arc<[u8]>, Box<Group>)>()
                    + size_of::<Group>()
                    + group.heap_bytes()
            })
            .sum();
        self.log.heap_bytes() + groups + self.idempotency.heap_bytes()
    }
}
