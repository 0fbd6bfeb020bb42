//! Channel → shards with subscribers, for the whole process.
//!
//! Holds counts per shard, not clients: a publisher learns here how many receive and to which shards a payload goes; each
//! shard keeps its own list of clients. A target set is copied out; under a guard nothing else happens.
//! An entry is made before the subscription is confirmed, and taken before the unsubscription is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use dashmap::DashMap;

use crate::ids::{ShardId, ShardSet};

use super::pattern;
use super::patterns::Patterns;

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

/// Subscribers of one name: how many on which shard.
#[derive(Debug, Default, Clone)]
struct Counts(Vec<(ShardId, usize)>);

impl Counts {
    fn add(&mut self, shard: ShardId) {
        match self.0.iter_mut().find(|(at, _)| *at == shard) {
            Some((_, count)) => *count += 1,
            None => self.0.push((shard, 1)),
        }
    }

    fn remove(&mut self, shard: ShardId) {
        if let Some(at) = self.0.iter().position(|(at, _)| *at == shard) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.swap_remove(at);
            }
        }
    }

    fn total(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

/// Where a publication goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Shards with at least one receiver.
    pub shards: ShardSet,
    /// Receptions in all: a client counts once for its channel and once for each pattern that matches.
    pub receivers: usize,
}

/// The registry.
#[derive(Debug, Default)]
pub struct ChannelRegistry {
    channels: DashMap<Bytes, Counts>,
    patterns: RwLock<Patterns<Counts>>,
    /// How many patterns there are: mostly none, and then no publication need ask.
    pattern_count: AtomicUsize,
    shard_channels: DashMap<Bytes, Counts>,
    /// The number of the last publication.
    sequence: AtomicU64,
}

impl ChannelRegistry {
    /// The channels of a kind; `None` for patterns.
    fn names(&self, kind: ChannelKind) -> Option<&DashMap<Bytes, Counts>> {
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
    pub fn next_publication(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the last publication: a subscription made now does not receive it, even if it is still on its way.
    pub fn last_publication(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// One more subscriber on a shard.
    pub fn subscribe(&self, kind: ChannelKind, name: &Bytes, shard: ShardId) {
        match self.names(kind) {
            Some(names) => names.entry(name.clone()).or_default().add(shard),
            None => self.change_patterns(|patterns| patterns.get_or_default(name).add(shard)),
        }
    }

    /// One subscriber less on a shard.
    pub fn unsubscribe(&self, kind: ChannelKind, name: &Bytes, shard: ShardId) {
        let Some(names) = self.names(kind) else {
            self.change_patterns(|patterns| {
                let Some(counts) = patterns.get_mut(name) else {
                    return;
                };
                counts.remove(shard);
                if counts.0.is_empty() {
                    patterns.remove(name);
                }
            });
            return;
        };
        if let Some(mut counts) = names.get_mut(name) {
            counts.remove(shard);
        }
        names.remove_if(name, |_, counts| counts.0.is_empty());
    }

    /// Where a message on a channel goes. O(1), and what [`Patterns::matching`] takes.
    pub fn targets(&self, kind: ChannelKind, channel: &[u8]) -> Targets {
        let mut targets = Targets::default();
        let mut add = |counts: &Counts| {
            for (shard, count) in &counts.0 {
                targets.shards.insert(*shard);
                targets.receivers += count;
            }
        };
        if let Some(counts) = self.names(kind).and_then(|names| names.get(channel)) {
            add(&counts);
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
    pub fn active(&self, kind: ChannelKind, filter: Option<&[u8]>) -> Vec<Bytes> {
        let wanted = |name: &Bytes| {
            filter.is_none_or(|filter| pattern::matches(filter, name, pattern::Case::Sensitive))
        };
        let names = self.names(kind).into_iter().flatten();
        names
            .filter(|entry| wanted(entry.key()))
            .map(|entry| entry.key().clone())
            .collect()
    }

    /// Subscribers of one name (PUBSUB NUMSUB).
    pub fn subscribers(&self, kind: ChannelKind, name: &[u8]) -> usize {
        self.names(kind)
            .and_then(|names| names.get(name))
            .map_or(0, |counts| counts.total())
    }

    /// Names with at least one subscriber.
    pub fn name_count(&self, kind: ChannelKind) -> usize {
        match self.names(kind) {
            Some(names) => names.len(),
            None => self.pattern_count.load(Ordering::Acquire),
        }
    }
}
