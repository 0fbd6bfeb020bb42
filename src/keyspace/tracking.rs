//! Who read which key and is to be told of its change (CLIENT TRACKING).
//!
//! ```text
//! read  ──► remember(key, tracker)      key → trackers, once each
//! touch ──► take(key)                   they are told once; the next read counts again
//! ```
//! As in Redis a key stands here without its database: a change in another database tells of it too. What a client has read
//! stays when it turns tracking off: whether it is told is asked when the key changes. Who is gone leaves with the key, or
//! when a sweep meets it: each reader that is added moves that on by some keys.
//! Not here: who gets the message, and how (`shard/tracking.rs`).
//!
//! Invariant: a tracker stands once in the list of a key, which is in the order of the trackers' addresses.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::data::names::{NameTable, Swept};
use crate::ids::ClientId;

use super::{Keyspace, order};

/// Readers that are looked at for each that is added: so the gone are found before they are more than those who stay.
const READERS_SWEPT: isize = 2;

/// The options of CLIENT TRACKING as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct TrackingOptions(pub(crate) u32);

impl TrackingOptions {
    /// Tracking is on.
    pub(crate) const ON: Self = Self(1);
    /// BCAST: told of all keys with its prefixes, whatever it read.
    pub(crate) const BROADCAST: Self = Self(1 << 1);
    /// OPTIN: only keys read behind CLIENT CACHING YES.
    pub(crate) const OPT_IN: Self = Self(1 << 2);
    /// OPTOUT: all keys but those read behind CLIENT CACHING NO.
    pub(crate) const OPT_OUT: Self = Self(1 << 3);
    /// NOLOOP: not told of what it changes itself.
    pub(crate) const NO_LOOP: Self = Self(1 << 4);
    /// The client to redirect to was gone when there was something to tell.
    pub(crate) const BROKEN: Self = Self(1 << 5);

    /// Whether all options of `other` are set.
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A client that tracks, or did: written by its shard, read by whoever changes a key.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// The client.
    pub(crate) client: ClientId,
    options: AtomicU32,
    redirection: AtomicU64,
}

impl Tracker {
    /// One that does not track yet.
    pub(crate) fn new(client: ClientId) -> Self {
        Self {
            client,
            options: AtomicU32::new(0),
            redirection: AtomicU64::new(0),
        }
    }

    /// What it asked for.
    pub(crate) fn options(&self) -> TrackingOptions {
        TrackingOptions(self.options.load(Ordering::Acquire))
    }

    /// The client that is told in its place; 0 for none.
    pub(crate) fn redirection(&self) -> u64 {
        self.redirection.load(Ordering::Acquire)
    }

    /// Begins, changes or ends tracking.
    pub(crate) fn set(&self, options: TrackingOptions, redirection: u64) {
        self.redirection.store(redirection, Ordering::Release);
        self.options.store(options.0, Ordering::Release);
    }

    /// Nobody is there to be told in its place.
    pub(crate) fn mark_broken(&self) {
        self.options
            .fetch_or(TrackingOptions::BROKEN.0, Ordering::AcqRel);
    }

    /// Whether the keys of a command are to be remembered. `caching`: CLIENT CACHING was said before it.
    pub(crate) fn wants_keys(&self, caching: bool) -> bool {
        let options = self.options();
        options.has(TrackingOptions::ON)
            && !options.has(TrackingOptions::BROADCAST)
            && (caching || !options.has(TrackingOptions::OPT_IN))
            && (!caching || !options.has(TrackingOptions::OPT_OUT))
    }
}

/// How a key came to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A command did it.
    Written,
    /// Its time had come.
    Expired,
    /// It did not: only the table forgets it (`tracking-table-max-keys`).
    Forgotten,
}

/// Somebody is to be told of a key.
#[derive(Clone, Debug)]
pub(crate) struct Invalidation {
    /// Its number among what the thread did to all keyspaces in hand.
    pub(crate) order: u64,
    /// The key; `None` for all there are (FLUSHALL).
    pub(crate) key: Option<Box<[u8]>>,
    /// Who read it.
    pub(crate) trackers: Vec<Arc<Tracker>>,
    /// Why.
    pub(crate) change: Change,
}

/// What the keyspaces of a process count together, so that a limit holds for all of them.
#[derive(Debug, Default)]
pub(crate) struct TrackingCounts {
    /// Prefixes that clients listen to: every change concerns them.
    pub(crate) prefixes: AtomicUsize,
    /// Tracked keys.
    pub(crate) keys: AtomicUsize,
    /// Trackers of all those keys, the gone included until met.
    pub(crate) items: AtomicUsize,
}

impl TrackingCounts {
    /// Makes one key over `max` the caller's to forget; false when there is none.
    fn claim_surplus(&self, max: usize) -> bool {
        let less = |count: usize| (count > max).then(|| count - 1);
        self.keys
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
            .is_ok()
    }
}

/// Who has read a key: mostly one client, and no allocation.
#[derive(Debug)]
enum Readers {
    One(Weak<Tracker>),
    #[allow(clippy::box_collection, reason = "a third of the size, and rare")]
    Several(Box<Vec<Weak<Tracker>>>),
}

impl Readers {
    fn as_slice(&self) -> &[Weak<Tracker>] {
        match self {
            Self::One(tracker) => std::slice::from_ref(tracker),
            Self::Several(trackers) => trackers,
        }
    }

    /// Adds a tracker; false when it is there.
    fn add(&mut self, tracker: &Arc<Tracker>) -> bool {
        let Err(at) = self
            .as_slice()
            .binary_search_by_key(&Arc::as_ptr(tracker), Weak::as_ptr)
        else {
            return false;
        };
        if let Self::One(first) = self {
            *self = Self::Several(Box::new(vec![Weak::clone(first)]));
        }
        if let Self::Several(trackers) = self {
            trackers.insert(at, Arc::downgrade(tracker));
        }
        true
    }

    /// Forgets who is gone; gives how many are left.
    fn sweep(&mut self) -> usize {
        let is_there = |tracker: &Weak<Tracker>| tracker.strong_count() > 0;
        match self {
            Self::One(tracker) => usize::from(is_there(tracker)),
            Self::Several(trackers) => {
                trackers.retain(is_there);
                trackers.len()
            }
        }
    }
}

/// The tracked keys of one keyspace.
#[derive(Debug, Default)]
pub(crate) struct TrackingTable {
    keys: NameTable<Readers, Box<[u8]>>,
    /// Trackers of all keys, the gone included until met.
    item_count: usize,
    /// Readers that may be looked at; below 0 when more were.
    sweep_credit: isize,
    /// Makes the choice of what is forgotten.
    choices: u64,
}

impl TrackingTable {
    /// Whether no key is tracked.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys.
    pub(crate) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Trackers of all keys.
    pub(crate) fn item_count(&self) -> usize {
        self.item_count
    }

    /// A client has read a key. Amortised O(log trackers of the key); at once, what a key that is swept has of trackers.
    pub(crate) fn remember(&mut self, key: &[u8], tracker: &Arc<Tracker>) {
        match self.keys.get_mut(key) {
            Some(readers) => {
                if !readers.add(tracker) {
                    return;
                }
            }
            None => {
                let reader = Readers::One(Arc::downgrade(tracker));
                self.keys.insert(key.into(), reader);
            }
        }
        self.item_count += 1;
        self.sweep();
    }

    /// A reader was added: looks at the next few, forgets those that are gone, and keys without any.
    fn sweep(&mut self) {
        self.sweep_credit += READERS_SWEPT;
        if self.sweep_credit <= 0 {
            return;
        }
        let (mut left, mut gone) = (self.sweep_credit, 0);
        self.keys.sweep(|readers| {
            let before = readers.as_slice().len();
            let stay = readers.sweep();
            gone += before - stay;
            left -= before as isize;
            Swept {
                keep: stay > 0,
                go_on: left > 0,
            }
        });
        self.item_count -= gone;
        // A key with many readers takes the place of many.
        self.sweep_credit = left.min(0);
    }

    /// Takes a key out; gives who has read it and wants to be told of it.
    pub(crate) fn take(&mut self, key: &[u8]) -> Vec<Arc<Tracker>> {
        let Some(readers) = self.keys.remove(key) else {
            return Vec::new();
        };
        let readers = readers.as_slice();
        self.item_count -= readers.len();
        let there = readers.iter().filter_map(Weak::upgrade);
        there
            .filter(|tracker| {
                // Redis: one that has turned to broadcasts since is told by those alone.
                let options = tracker.options();
                options.has(TrackingOptions::ON) && !options.has(TrackingOptions::BROADCAST)
            })
            .collect()
    }

    /// A key to forget, chosen without regard to its use.
    pub(crate) fn any(&mut self) -> Option<Box<[u8]>> {
        self.choices = self.choices.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let len = self.keys.len().max(1) as u64;
        let at = (self.choices >> 32) % len;
        self.keys.name_at(at as usize).cloned()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Keyspace {
    /// Changes the table, and what all tables count together with it.
    fn change_tracking<R>(&mut self, change: impl FnOnce(&mut TrackingTable) -> R) -> R {
        let before = (self.tracking.key_count(), self.tracking.item_count());
        let changed = change(&mut self.tracking);
        let after = (self.tracking.key_count(), self.tracking.item_count());
        let counts = &self.tracking_counts;
        for (count, before, after) in [
            (&counts.keys, before.0, after.0),
            (&counts.items, before.1, after.1),
        ] {
            // Wraps around to subtract.
            count.fetch_add(after.wrapping_sub(before), Ordering::AcqRel);
        }
        changed
    }

    /// Somebody may have to be told of a key.
    pub(super) fn invalidate(&mut self, key: &[u8], change: Change) {
        let broadcasts = self.tracking_counts.prefixes.load(Ordering::Acquire) > 0;
        if self.tracking.is_empty() && !broadcasts {
            return;
        }
        let trackers = self.change_tracking(|table| table.take(key));
        if !trackers.is_empty() || broadcasts {
            self.invalidations.push(Invalidation {
                order: order::next(),
                key: Some(key.into()),
                trackers,
                change,
            });
        }
    }

    /// Forgets tracked keys as if they had changed while all keyspaces together have more than `max`, at most `budget`.
    pub(crate) fn limit_tracked(&mut self, max: usize, budget: usize) {
        for _ in 0..budget {
            if self.tracking.is_empty() || !self.tracking_counts.claim_surplus(max) {
                return;
            }
            let Some(key) = self.tracking.any() else {
                return;
            };
            // The claim has counted the key already.
            let before = self.tracking.item_count();
            let trackers = self.tracking.take(&key);
            let items = before - self.tracking.item_count();
            self.tracking_counts
                .items
                .fetch_sub(items, Ordering::AcqRel);
            if !trackers.is_empty() {
                self.invalidations.push(Invalidation {
                    order: order::next(),
                    key: Some(key),
                    trackers,
                    change: Change::Forgotten,
                });
            }
        }
    }

    /// Forgets all tracked keys: whoever empties a database tells all who track.
    pub(crate) fn clear_tracked(&mut self) {
        self.change_tracking(TrackingTable::clear);
    }

    /// All who track are told that every key has changed.
    pub(crate) fn invalidate_all(&mut self) {
        self.invalidations.push(Invalidation {
            order: order::next(),
            key: None,
            trackers: Vec::new(),
            change: Change::Written,
        });
    }

    /// A client has read a key and is to be told when it changes.
    pub(crate) fn remember_reader(&mut self, key: &[u8], tracker: &Arc<Tracker>) {
        self.change_tracking(|table| table.remember(key, tracker));
    }

    /// Who is to be told of what, in order.
    pub(crate) fn take_invalidations(&mut self) -> Vec<Invalidation> {
        std::mem::take(&mut self.invalidations)
    }

    /// Whether somebody is to be told of a key.
    pub(crate) fn has_invalidations(&self) -> bool {
        !self.invalidations.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(client: u64, options: TrackingOptions) -> Arc<Tracker> {
        let tracker = Tracker::new(ClientId(client));
        tracker.set(options, 0);
        Arc::new(tracker)
    }

    #[test]
    fn a_key_is_told_once_to_each_who_read_it() {
        let mut table = TrackingTable::default();
        let (one, two) = (
            tracker(1, TrackingOptions::ON),
            tracker(2, TrackingOptions::ON),
        );
        let off = tracker(3, TrackingOptions(0));
        for reader in [&one, &two, &one, &off] {
            table.remember(b"a", reader);
        }
        table.remember(b"b", &one);
        assert_eq!((table.key_count(), table.item_count()), (2, 4));
        let mut told: Vec<u64> = table
            .take(b"a")
            .iter()
            .map(|tracker| tracker.client.0)
            .collect();
        told.sort_unstable();
        assert_eq!(told, [1, 2]);
        assert!(table.take(b"a").is_empty());
        assert_eq!(table.take(b"b").len(), 1);
        assert!(table.is_empty() && table.item_count() == 0);
    }

    #[test]
    fn who_is_gone_is_forgotten_and_any_key_can_be_chosen() {
        let mut table = TrackingTable::default();
        let stays = tracker(1, TrackingOptions::ON);
        for key in 0..10u32 {
            table.remember(&key.to_le_bytes(), &stays);
        }
        for round in 0..10_000u32 {
            let goes = tracker(2, TrackingOptions::ON);
            table.remember(&round.to_be_bytes(), &goes);
        }
        assert!(table.item_count() < 1000, "{} are kept", table.item_count());
        let mut left = table.key_count();
        while let Some(key) = table.any() {
            table.take(&key);
            left -= 1;
            assert_eq!(table.key_count(), left);
        }
        assert_eq!(left, 0);
    }

    #[test]
    fn caching_says_which_keys_are_wanted() {
        let with = |option: TrackingOptions| tracker(1, TrackingOptions::ON.and(option));
        let wants = |option| [false, true].map(|caching| with(option).wants_keys(caching));
        assert_eq!(wants(TrackingOptions::NO_LOOP), [true, true]);
        assert_eq!(wants(TrackingOptions::OPT_IN), [false, true]);
        assert_eq!(wants(TrackingOptions::OPT_OUT), [true, false]);
        assert_eq!(wants(TrackingOptions::BROADCAST), [false, false]);
        assert!(!tracker(1, TrackingOptions(0)).wants_keys(true));
    }
}
