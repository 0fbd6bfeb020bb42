//! Entries that go while groups refer to them.
//!
//! ```text
//!   Keep           the entry goes, its references stay behind (as Redis always did)
//!   Delete         the entry goes, and so do its references in every group
//!   Acknowledged   the entry goes only if no group needs it
//! ```
//! A group needs an entry that it has pending, or has still to be given: one above its `last_delivered`. Without groups
//! nothing is needed, and no policy differs from another.
//!
//! Every removal tells what it took in terms that need no policy, so that it can be repeated: an exact trim, entries
//! deleted, references taken away by group.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::data::steps;

use super::Stream;
use super::group::Group;
use super::id::StreamId;
use super::releases::Releases;
use super::trim::{Needs, TrimOptions, TrimTo};

/// What becomes of the references to an entry that goes. See the module's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum ReferencePolicy {
    /// They stay.
    #[default]
    Keep,
    /// They go too, those to entries long gone included.
    Delete,
    /// Only entries go that have none.
    Acknowledged,
}

/// What became of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is gone.
    Deleted,
    /// It was not there.
    Missing,
    /// It stays: a group needs it.
    Needed,
}

/// What removals took, in terms that need no policy.
#[derive(Default, Debug)]
pub(crate) struct Removed {
    /// How many entries a trim took.
    pub(crate) trimmed: u64,
    /// The exact trim that repeats it, but for `deleted`.
    pub(crate) trim: Option<TrimTo>,
    /// Entries that were deleted, or that a trim took from behind one that stayed.
    pub(crate) deleted: Vec<StreamId>,
    /// References taken away, by group.
    pub(crate) references: BTreeMap<Arc<[u8]>, Vec<StreamId>>,
}

impl Removed {
    /// Whether the trim took anything from the front.
    #[must_use]
    pub(crate) fn front_moved(&self) -> bool {
        self.trimmed > self.deleted.len() as u64
    }
}

impl Stream {
    /// Whether a group has the entry pending or has still to be given it. O(groups · log pending).
    #[must_use]
    pub(crate) fn is_needed(&self, id: StreamId) -> bool {
        let needs = |group: &Group| id > group.last_delivered || group.pending().get(id).is_some();
        self.groups.values().any(|group| needs(group))
    }

    /// Deletes an entry as the policy wants it; with [`ReferencePolicy::Delete`] the references to an entry that is not
    /// there go all the same, and with [`ReferencePolicy::Acknowledged`] it is needed as if it were
    /// there. O(log blocks + entries of a block + groups · log pending).
    pub(crate) fn delete(
        &mut self,
        id: StreamId,
        policy: ReferencePolicy,
        removed: &mut Removed,
    ) -> Fate {
        if policy == ReferencePolicy::Delete {
            self.release(id, removed);
        }
        if policy == ReferencePolicy::Acknowledged && self.is_needed(id) {
            return Fate::Needed;
        }
        if !self.log.delete(id) {
            return Fate::Missing;
        }
        removed.deleted.push(id);
        Fate::Deleted
    }

    /// Takes an entry off a group's pending list, then deletes it as the policy wants it. [`Fate::Missing`]: it was not
    /// pending, and nothing happened. An entry that was gone before counts as deleted. Cost as [`Stream::delete`].
    pub(crate) fn acknowledge_and_delete(
        &mut self,
        group: &[u8],
        id: StreamId,
        policy: ReferencePolicy,
        removed: &mut Removed,
    ) -> Fate {
        let Some((name, group)) = self.groups.get_key_value(group) else {
            return Fate::Missing;
        };
        if group.pending().get(id).is_none() {
            return Fate::Missing;
        }
        let name = Arc::clone(name);
        if let Some(group) = self.groups.get_mut(&name) {
            group.acknowledge(id);
        }
        removed.references.entry(name).or_default().push(id);
        match self.delete(id, policy, removed) {
            Fate::Needed => Fate::Needed,
            Fate::Deleted | Fate::Missing => Fate::Deleted,
        }
    }

    /// Takes the entry off every pending list. O(groups · log pending).
    fn release(&mut self, id: StreamId, removed: &mut Removed) {
        for (name, group) in &mut self.groups {
            if group.acknowledge(id).is_some() {
                let ids = removed.references.entry(Arc::clone(name));
                ids.or_default().push(id);
            }
        }
    }

    /// Trims the log as the policy wants it.
    ///
    /// Cost: as [`Log::trim`](super::Log::trim), whatever groups there are; with [`ReferencePolicy::Delete`] besides
    /// O(log pending) for each group and each reference that goes; with [`ReferencePolicy::Acknowledged`] the blocks are
    /// looked into that lie in front of where the trim ends or the slowest group stands, those the last one has looked into
    /// only where a reference went since.
    pub(crate) fn trim(&mut self, options: &TrimOptions, policy: ReferencePolicy) -> Removed {
        // Redis: where references count, `~` bounds the work but spares no block.
        let by_entry = options.approximate && policy != ReferencePolicy::Keep;
        let options = &TrimOptions {
            approximate: options.approximate && !by_entry,
            ..*options
        };
        // Only where references count does a trim ask the groups: there may be very many.
        let slowest = match policy {
            ReferencePolicy::Keep | ReferencePolicy::Delete => None,
            ReferencePolicy::Acknowledged => self.slowest(),
        };
        match slowest {
            Some(slowest) => self.trim_unneeded(options, slowest),
            None => {
                let trimmed = self.log.trim(options);
                let mut removed = Removed {
                    trimmed,
                    trim: Some(match options.to {
                        _ if !by_entry => self.log.exact_goal(options),
                        TrimTo::MaxLength(_) => TrimTo::MaxLength(self.log.len()),
                        // The limit has cut it short.
                        TrimTo::MinId(id) if !self.log.is_empty() && self.log.first_id() < id => {
                            TrimTo::MinId(self.log.first_id())
                        }
                        to @ TrimTo::MinId(_) => to,
                    }),
                    ..Removed::default()
                };
                if policy == ReferencePolicy::Delete {
                    self.release_below_border(options.to, &mut removed);
                }
                removed
            }
        }
    }

    /// How far the group has read that has read least. O(groups).
    fn slowest(&self) -> Option<StreamId> {
        steps::count(self.groups.len() as u64);
        self.groups.values().map(|group| group.last_delivered).min()
    }

    fn trim_unneeded(&mut self, options: &TrimOptions, slowest: StreamId) -> Removed {
        let needs = NeedsOfGroups {
            groups: &self.groups,
            slowest,
            settled: self.settled(),
        };
        let taken = self.log.trim_unneeded(options, &needs);
        let until = needs.settled.max(taken.examined);
        for group in self.groups.values_mut() {
            group.pending_mut().releases.settle(taken.examined, until);
        }
        let mut removed = Removed {
            trimmed: taken.count,
            deleted: taken.between,
            ..Removed::default()
        };
        if removed.front_moved() {
            removed.trim = Some(if self.log.is_empty() {
                TrimTo::MaxLength(0)
            } else {
                TrimTo::MinId(self.log.first_id())
            });
        }
        removed
    }

    /// Up to where all groups have noted which references went.
    fn settled(&self) -> StreamId {
        let groups = self.groups.values();
        let notes = groups.map(|group| group.pending().releases.until());
        notes.min().unwrap_or_default()
    }

    /// A new group needs entries, but releases none: what is settled stays so.
    pub(super) fn let_join(&self, group: &mut Group) {
        let first = self.groups.values().next();
        if first.is_some_and(|first| !first.pending().releases.is_idle()) {
            let releases = &mut group.pending_mut().releases;
            releases.settle(StreamId::MAX, self.settled());
        }
    }

    /// A group that is gone has released all that it had pending.
    pub(super) fn inherit_releases(&mut self, gone: &Group) {
        let mut others = self.groups.values_mut();
        let Some(heir) = others.next() else { return };
        let pending = gone.pending().iter_from(StreamId::MIN);
        let pending = pending.map(|entry| entry.id);
        let releases = &mut heir.pending_mut().releases;
        releases.inherit(&gone.pending().releases, pending);
    }

    /// Sets the last ID (XSETID). The caller has checked it against the entries.
    pub(crate) fn set_last_id(&mut self, id: StreamId) {
        if id < self.log.last_id() {
            // New entries will have IDs that are settled.
            for group in self.groups.values_mut() {
                group.pending_mut().releases = Releases::default();
            }
        }
        self.log.set_last_id(id);
    }

    /// Takes away all references to what lies below the border of a trim, also to entries that went before it. A trim to an
    /// ID has its border there or at the first entry that is left; one to a length only when it took something.
    fn release_below_border(&mut self, to: TrimTo, removed: &mut Removed) {
        let first = (!self.log.is_empty()).then(|| self.log.first_id());
        let last = match (to, first) {
            (TrimTo::MaxLength(_), _) if removed.trimmed == 0 => None,
            (TrimTo::MaxLength(_), None) => Some(StreamId::MAX),
            (TrimTo::MaxLength(_), Some(first)) => first.predecessor(),
            (TrimTo::MinId(id), None) => id.predecessor(),
            (TrimTo::MinId(id), Some(first)) => id.min(first).predecessor(),
        };
        let Some(last) = last else { return };
        for (name, group) in &mut self.groups {
            let ids = group.pending_mut().remove_range(StreamId::MIN, last);
            if !ids.is_empty() {
                removed.references.insert(Arc::clone(name), ids);
            }
        }
    }
}

/// What the groups of a stream tell a trim.
struct NeedsOfGroups<'a> {
    groups: &'a BTreeMap<Arc<[u8]>, Box<Group>>,
    slowest: StreamId,
    settled: StreamId,
}

impl Needs for NeedsOfGroups<'_> {
    fn until(&self) -> StreamId {
        self.slowest
    }

    fn settled(&self) -> StreamId {
        self.settled
    }

    fn released_from(&self, from: StreamId) -> Option<StreamId> {
        let groups = self.groups.values();
        let notes = groups.map(|group| &group.pending().releases);
        notes.filter_map(|notes| notes.first_from(from)).min()
    }

    fn pinned(&self, first: StreamId, last: StreamId) -> Vec<StreamId> {
        let mut pinned: Vec<StreamId> = Vec::new();
        for group in self.groups.values() {
            let own = group.pending().iter_from(first).map(|entry| entry.id);
            pinned.extend(own.take_while(|id| *id <= last));
        }
        pinned.sort_unstable();
        pinned
    }
}
