//! Channel → shards with subscribers, for the whole process.
//!
//! Holds counts per shard, not clients: a publisher learns here how many receive and to which shards a payload goes; each
//! shard keeps its own list of clients. A target set is copied out; under a guard nothing else happens.
//! An entry is made before the subscription is confirmed, and taken before the unsubscription is.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use hashbrown::DefaultHashBuilder;

use crate::ids::{ShardId, ShardSet};

use super::patterns::Patterns;
use super::{Name, NameTable, pattern};

/// The three name spaces of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelKind {
    /// SUBSCRIBE, PUBLISH.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE, SPUBLISH.
    Shard,
}

/// Subscribers of one name: how many on which shard. Mostly one shard, and no allocation.
#[derive(Debug, Clone)]
enum Counts {
    /// On one shard.
    One(ShardId, u32),
    /// On several, or on one that is left of them.
    #[allow(clippy::box_collection, reason = "a third of the size, and rare")]
    Several(Box<Vec<(ShardId, u32)>>),
}

impl Counts {
    /// One subscriber.
    fn of(shard: ShardId) -> Self {
        Self::One(shard, 1)
    }

    fn add(&mut self, shard: ShardId) {
        match self {
            Self::One(at, count) if *at == shard => *count += 1,
            Self::One(at, count) => {
                *self = Self::Several(Box::new(vec![(*at, *count), (shard, 1)]));
            }
            Self::Several(counts) => match counts.iter_mut().find(|(at, _)| *at == shard) {
                Some((_, count)) => *count += 1,
                None => counts.push((shard, 1)),
            },
        }
    }

    fn remove(&mut self, shard: ShardId) {
        match self {
            Self::One(at, count) => *count -= u32::from(*at == shard && *count > 0),
            Self::Several(counts) => {
                for (at, count) in counts.iter_mut() {
                    *count -= u32::from(*at == shard);
                }
                counts.retain(|(_, count)| *count > 0);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (ShardId, u32)> + '_ {
        let (one, several) = match self {
            Self::One(at, count) => (Some((*at, *count)), &[][..]),
            Self::Several(counts) => (None, counts.as_slice()),
        };
        let all = one.into_iter().chain(several.iter().copied());
        all.filter(|(_, count)| *count > 0)
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn total(&self) -> usize {
        self.iter().map(|(_, count)| count as usize).sum()
    }
}

/// Parts of a table that several shards use at a time.
const PARTS: usize = 64;

/// Counts by name, in parts with a lock each; under a lock nothing else happens.
#[derive(Debug)]
struct Channels {
    parts: [RwLock<NameTable<Counts>>; PARTS],
    hasher: DefaultHashBuilder,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| RwLock::default()),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Channels {
    fn part(&self, name: &[u8]) -> &RwLock<NameTable<Counts>> {
        let hash = usize::try_from(self.hasher.hash_one(name) % PARTS as u64);
        &self.parts[hash.unwrap_or_default()]
    }

    fn read<R>(&self, name: &[u8], look: impl FnOnce(Option<&Counts>) -> R) -> R {
        let part = self.part(name).read();
        look(part.unwrap_or_else(PoisonError::into_inner).get(name))
    }

    fn add(&self, name: &Name, shard: ShardId) {
        let part = self.part(name).write();
        let mut part = part.unwrap_or_else(PoisonError::into_inner);
        match part.get_mut(name) {
            Some(counts) => counts.add(shard),
            None => part.insert(Name::clone(name), Counts::of(shard)),
        }
    }

    fn remove(&self, name: &[u8], shard: ShardId) {
        let part = self.part(name).write();
        let mut part = part.unwrap_or_else(PoisonError::into_inner);
        let Some(counts) = part.get_mut(name) else {
            return;
        };
        counts.remove(shard);
        if counts.is_empty() {
            part.remove(name);
        }
    }

    fn parts(&self) -> impl Iterator<Item = RwLockReadGuard<'_, NameTable<Counts>>> {
        let parts = self.parts.iter();
        parts.map(|part| part.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where a publication goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Shards with at least one receiver.
    pub(crate) shards: ShardSet,
    /// Receptions in all: a client counts once for its channel and once for each pattern that matches.
    pub(crate) receivers: usize,
}

/// The registry.
#[derive(Debug, Default)]
pub(crate) struct ChannelRegistry {
    channels: Channels,
    patterns: RwLock<Patterns<Counts>>,
    /// How many patterns there are: mostly none, and then no publication need ask.
    pattern_count: AtomicUsize,
    shard_channels: Channels,
    /// The number of the last publication.
    sequence: AtomicU64,
}

impl ChannelRegistry {
    /// The channels of a kind; `None` for patterns.
    fn names(&self, kind: ChannelKind) -> Option<&Channels> {
        match kind {
            ChannelKind::Channel => Some(&self.channels),
            ChannelKind::Pattern => None,
            ChannelKind::Shard => Some(&self.shard_channels),
        }
    }

    fn change_patterns(&self, change: impl FnOnce(&mut Patterns<Counts>)) {
        let mut patterns = self
            .patterns
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut patterns);
        self.pattern_count.store(patterns.len(), Ordering::Release);
    }

    /// The number of a new publication: greater than that of every earlier one.
    pub(crate) fn next_publication(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the last publication: a subscription made now does not receive it, even if it is still on its way.
    pub(crate) fn last_publication(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// One more subscriber on a shard.
    pub(crate) fn subscribe(&self, kind: ChannelKind, name: &Name, shard: ShardId) {
        match self.names(kind) {
            Some(names) => names.add(name, shard),
            None => self.change_patterns(|patterns| match patterns.get_mut(name) {
                Some(counts) => counts.add(shard),
                None => patterns.insert(Name::clone(name), Counts::of(shard)),
            }),
        }
    }

    /// One subscriber less on a shard.
    pub(crate) fn unsubscribe(&self, kind: ChannelKind, name: &Name, shard: ShardId) {
        let Some(names) = self.names(kind) else {
            self.change_patterns(|patterns| {
                let Some(counts) = patterns.get_mut(name) else {
                    return;
                };
                counts.remove(shard);
                if counts.is_empty() {
                    patterns.remove(name);
                }
            });
            return;
        };
        names.remove(name, shard);
    }

    /// Where a message on a channel goes. O(1), and what [`Patterns::matching`] takes.
    pub(crate) fn targets(&self, kind: ChannelKind, channel: &[u8]) -> Targets {
        let mut targets = Targets::default();
        let mut add = |counts: &Counts| {
            for (shard, count) in counts.iter() {
                targets.shards.insert(shard);
                targets.receivers += count as usize;
            }
        };
        if let Some(names) = self.names(kind) {
            names.read(channel, |counts| counts.map(&mut add));
        }
        if kind == ChannelKind::Channel && self.pattern_count.load(Ordering::Acquire) > 0 {
            let patterns = self.patterns.read().unwrap_or_else(PoisonError::into_inner);
            patterns
                .matching(channel)
                .for_each(|(_, counts)| add(counts));
        }
        targets
    }

    /// Channels with subscribers that match `filter` (PUBSUB CHANNELS), in no order to rely on; no patterns.
    pub(crate) fn active(&self, kind: ChannelKind, filter: Option<&[u8]>) -> Vec<Name> {
        let wanted = |name: &Name| {
            filter.is_none_or(|filter| pattern::matches(filter, name, pattern::Case::Sensitive))
        };
        let mut active = Vec::new();
        for part in self.names(kind).into_iter().flat_map(Channels::parts) {
            active.extend(part.names().filter(|name| wanted(name)).cloned());
        }
        active
    }

    /// Subscribers of one name (PUBSUB NUMSUB).
    pub(crate) fn subscribers(&self, kind: ChannelKind, name: &[u8]) -> usize {
        self.names(kind).map_or(0, |names| {
            names.read(name, |counts| counts.map_or(0, Counts::total))
        })
    }

    /// Names with at least one subscriber.
    pub(crate) fn name_count(&self, kind: ChannelKind) -> usize {
        match self.names(kind) {
            Some(names) => names.parts().map(|part| part.len()).sum(),
            None => self.pattern_count.load(Ordering::Acquire),
        }
    }
}
