//! What a trim that spares needed entries found out, so that the next one need not look again.
//!
//! ```text
//!   entries    P P P . P P . P P P P │ ? ? ?          P: pending in some group
//!                    ▲     ▲         └ until
//!                    └ ids ┘  no longer pending in a group that had them when they were looked at
//! ```
//! A group that reads much and acknowledges little would make each trim walk over all it has pending. So each group notes which
//! of its references up to `until` go; a trim looks at those entries, and at what lies behind `until` in every group.
//!
//! Exact trims and those by whole blocks leave different entries behind and so have notes of their own: up to `until` every
//! living entry, or an entry of every block, was needed when it was looked at. A block may also lose its only needed entry
//! itself: that is noted with any one of the groups.
//!
//! Invariant: a reference that goes is noted, or `until` is zero. Too many notes are none: the next trim walks once.

use std::collections::BTreeSet;

use super::id::StreamId;

/// Notes of one group; few in unit tests, so that they meet the limit.
const NOTES_MAX: usize = if cfg!(test) { 8 } else { 4096 };

/// The notes of a group for exact trims and for those by blocks. See the module's head.
#[derive(Clone, Default)]
pub(super) struct Releases {
    exact: Notes,
    by_block: Notes,
}

#[derive(Clone, Default)]
pub(super) struct Notes {
    until: StreamId,
    ids: BTreeSet<StreamId>,
}

impl Releases {
    /// A reference went.
    #[inline]
    pub(super) fn note(&mut self, id: StreamId) {
        self.exact.note(id);
        self.by_block.note(id);
    }

    /// Whether nothing was ever found out, or no longer counts.
    pub(super) fn is_idle(&self) -> bool {
        self.exact.until.is_zero() && self.by_block.until.is_zero()
    }

    pub(super) fn of(&self, approximate: bool) -> &Notes {
        if approximate {
            &self.by_block
        } else {
            &self.exact
        }
    }

    pub(super) fn of_mut(&mut self, approximate: bool) -> &mut Notes {
        if approximate {
            &mut self.by_block
        } else {
            &mut self.exact
        }
    }

    /// Bytes of the notes.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.exact.ids.len() + self.by_block.ids.len()) * size_of::<StreamId>()
    }
}

impl Notes {
    #[inline]
    pub(super) fn note(&mut self, id: StreamId) {
        if id > self.until {
            return;
        }
        self.ids.insert(id);
        if self.ids.len() > NOTES_MAX {
            *self = Notes::default();
        }
    }

    /// Up to where nothing but the noted needs a look; zero: everything does.
    pub(super) fn until(&self) -> StreamId {
        self.until
    }

    /// The first noted ID from `from` on.
    pub(super) fn first_from(&self, from: StreamId) -> Option<StreamId> {
        self.ids.range(from..).next().copied()
    }

    /// Everything up to `examined` was looked at; what was noted behind it, up to `until`, was not.
    pub(super) fn settle(&mut self, examined: StreamId, until: StreamId) {
        match examined.successor() {
            Some(next) => self.ids = self.ids.split_off(&next),
            None => self.ids.clear(),
        }
        if until < self.until
            && let Some(next) = until.successor()
        {
            self.ids.split_off(&next);
        }
        self.until = until;
    }

    /// A group beside this one ends: its notes and all that it has `pending` become this one's.
    pub(super) fn inherit(&mut self, other: &Notes, pending: impl Iterator<Item = StreamId>) {
        let until = self.until.min(other.until);
        self.settle(StreamId::MIN, until);
        let ids = other.ids.iter().copied().take_while(|id| *id <= until);
        for id in ids.chain(pending.take_while(|id| *id <= until)) {
            if self.until.is_zero() {
                return;
            }
            self.note(id);
        }
    }
}
