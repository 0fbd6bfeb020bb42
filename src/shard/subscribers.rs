//! Who listens to what on one shard.
//!
//! The registry of the process (`pubsub/registry.rs`) counts; the clients themselves are here. A subscription that ends
//! stays until everything published before has been delivered, so it knows from which publication to which it receives.
//! Every name is found by a map: a client may have a million of them, and they all end when it goes.

use std::collections::HashMap;

use bytes::Bytes;

use crate::ids::ClientId;
use crate::pubsub::patterns::Patterns;
use crate::pubsub::registry::ChannelKind;

use super::mailbox::Publication;

/// A subscription of a client: it receives what is published after publication number `since`, up to `until`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) client: ClientId,
    pub(super) since: u64,
    /// Set when it ends; it stays until everything published before has been delivered.
    pub(super) until: Option<u64>,
}

/// Who listens to a name, in the order in which they began to.
type Channels = HashMap<Bytes, Vec<Subscriber>, hashbrown::DefaultHashBuilder>;

/// The subscribers of one shard, and what it has published and not seen delivered.
#[derive(Debug)]
pub(super) struct Subscribers {
    channels: Channels,
    patterns: Patterns<Vec<Subscriber>>,
    shard_channels: Channels,
    pub(super) monitors: Vec<ClientId>,
    /// Undelivered bytes by target shard.
    pub(super) undelivered: Vec<usize>,
}

impl Subscribers {
    pub(super) fn new(shard_count: usize) -> Self {
        Self {
            channels: Channels::default(),
            patterns: Patterns::default(),
            shard_channels: Channels::default(),
            monitors: Vec::new(),
            undelivered: vec![0; shard_count],
        }
    }

    pub(super) fn add(&mut self, client: Subscriber, kind: ChannelKind, name: Bytes) {
        match kind {
            ChannelKind::Channel => self.channels.entry(name).or_default().push(client),
            ChannelKind::Shard => self.shard_channels.entry(name).or_default().push(client),
            ChannelKind::Pattern => self.patterns.get_or_default(&name).push(client),
        }
    }

    fn named(&mut self, kind: ChannelKind, name: &Bytes) -> Option<&mut Vec<Subscriber>> {
        match kind {
            ChannelKind::Channel => self.channels.get_mut(name),
            ChannelKind::Shard => self.shard_channels.get_mut(name),
            ChannelKind::Pattern => self.patterns.get_mut(name),
        }
    }

    /// Ends a subscription with publication number `until`.
    pub(super) fn end(&mut self, client: ClientId, kind: ChannelKind, name: &Bytes, until: u64) {
        for subscriber in self.named(kind, name).into_iter().flatten() {
            if subscriber.client == client && subscriber.until.is_none() {
                subscriber.until = Some(until);
            }
        }
    }

    /// Forgets the subscriptions of a client to a name: those that have ended, or all.
    pub(super) fn remove(
        &mut self,
        client: ClientId,
        kind: ChannelKind,
        name: &Bytes,
        only_ended: bool,
    ) {
        let Some(subscribers) = self.named(kind, name) else {
            return;
        };
        subscribers.retain(|other| other.client != client || only_ended && other.until.is_none());
        if subscribers.is_empty() {
            match kind {
                ChannelKind::Channel => drop(self.channels.remove(name)),
                ChannelKind::Shard => drop(self.shard_channels.remove(name)),
                ChannelKind::Pattern => self.patterns.remove(name),
            }
        }
    }

    /// Calls `receive` with who gets a publication: client, and the pattern by which, in Redis' order: channel first, then
    /// patterns.
    pub(super) fn for_each_receiver<'s>(
        &'s self,
        publication: &Publication,
        mut receive: impl FnMut(ClientId, Option<&'s Bytes>),
    ) {
        let Publication {
            kind,
            channel,
            number,
            ..
        } = publication;
        let earlier = |subscriber: &&Subscriber| {
            subscriber.since < *number && subscriber.until.is_none_or(|until| *number <= until)
        };
        let names = if *kind == ChannelKind::Shard {
            &self.shard_channels
        } else {
            &self.channels
        };
        let by_name = names.get(channel).into_iter().flatten().filter(earlier);
        by_name.for_each(|subscriber| receive(subscriber.client, None));
        if *kind == ChannelKind::Channel {
            // In their order: a client gets a message by each of its patterns, always in the same order.
            let mut matching: Vec<_> = self.patterns.matching(channel).collect();
            matching.sort_unstable_by_key(|(pattern, _)| *pattern);
            for (pattern, subscribers) in matching {
                let by_pattern = subscribers.iter().filter(earlier);
                by_pattern.for_each(|subscriber| receive(subscriber.client, Some(pattern)));
            }
        }
    }
}
