//! Channel → shards with subscribers, for the whole process.
//!
//! Holds counts per shard, not clients: a publisher learns here how many receive and to which shards a payload goes; each
//! shard keeps its own list of clients. A target set is copied out; under a guard nothing else happens.
//! An entry is made before the subscription is confirmed, and taken before the unsubscription is.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dashmap::DashMap;

use crate::ids::{ShardId, ShardSet};

use super::pattern;

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
    patterns: DashMap<Bytes, Counts>,
    shard_channels: DashMap<Bytes, Counts>,
    /// The number of the last publication.
    sequence: AtomicU64,
}

impl ChannelRegistry {
    fn names(&self, kind: ChannelKind) -> &DashMap<Bytes, Counts> {
        match kind {
            ChannelKind::Channel => &self.channels,
            ChannelKind::Pattern => &self.patterns,
            ChannelKind::Shard => &self.shard_channels,
        }
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
        self.names(kind).entry(name.clone()).or_default().add(shard);
    }

    /// One subscriber less on a shard.
    pub fn unsubscribe(&self, kind: ChannelKind, name: &Bytes, shard: ShardId) {
        let names = self.names(kind);
        if let Some(mut counts) = names.get_mut(name) {
            counts.remove(shard);
        }
        names.remove_if(name, |_, counts| counts.0.is_empty());
    }

    /// Where a message on a channel goes. O(1) and O(patterns).
    pub fn targets(&self, kind: ChannelKind, channel: &[u8]) -> Targets {
        let mut targets = Targets::default();
        let mut add = |counts: &Counts| {
            for (shard, count) in &counts.0 {
                targets.shards.insert(*shard);
                targets.receivers += count;
            }
        };
        if let Some(counts) = self.names(kind).get(channel) {
            add(&counts);
        }
        if kind == ChannelKind::Channel && !self.patterns.is_empty() {
            for entry in &self.patterns {
                if pattern::matches(entry.key(), channel, pattern::Case::Sensitive) {
                    add(entry.value());
                }
            }
        }
        targets
    }

    /// Names with subscribers that match `filter` (PUBSUB CHANNELS), in no order to rely on.
    pub fn active(&self, kind: ChannelKind, filter: Option<&[u8]>) -> Vec<Bytes> {
        let wanted = |name: &Bytes| {
            filter.is_none_or(|filter| pattern::matches(filter, name, pattern::Case::Sensitive))
        };
        self.names(kind)
            .iter()
            .filter(|entry| wanted(entry.key()))
            .map(|entry| entry.key().clone())
            .collect()
    }

    /// Subscribers of one name (PUBSUB NUMSUB).
    pub fn subscribers(&self, kind: ChannelKind, name: &[u8]) -> usize {
        self.names(kind)
            .get(name)
            .map_or(0, |counts| counts.total())
    }

    /// Names with at least one subscriber.
    pub fn name_count(&self, kind: ChannelKind) -> usize {
        self.names(kind).len()
    }
}
