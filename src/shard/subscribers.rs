//! Who listens to what on one shard.
//!
//! The registry of the process (`pubsub/registry.rs`) counts; the clients themselves are here. A subscription that ends
//! stays until everything published before has been delivered, so it knows from which publication to which it receives.
//! Every name is found by a map: a client may have a million of them, and they all end when it goes.

use std::collections::BTreeMap;

use crate::ids::{ClientId, ShardId};
use crate::limits;
use crate::pubsub::patterns::Patterns;
use crate::pubsub::registry::ChannelKind;
use crate::pubsub::{Name, NameTable};

use super::mailbox::Publication;

/// Changed keys for prefixes, each with the client that changed it last; an expiry is nobody's doing.
pub(super) type Broadcasts = BTreeMap<Box<[u8]>, Option<ClientId>>;

/// A subscription of a client: it receives what is published after publication number `since`, up to `until`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) client: ClientId,
    pub(super) since: u64,
    /// Set when it ends; it stays until everything published before has been delivered.
    pub(super) until: Option<u64>,
}

/// Who listens to a name, in the order in which they began to.
type Channels = NameTable<Listeners>;

/// Who listens to a name: mostly one. That takes no allocation, and less place than a [`Subscriber`]: a client may listen to
/// a million names, and end all of them at once.
#[derive(Debug)]
enum Listeners {
    /// One, who has not ended it.
    One { client: ClientId, since: u64 },
    /// One, who has ended it so many publications after it began.
    Ended {
        lasted: u32,
        client: ClientId,
        since: u64,
    },
    #[allow(clippy::box_collection, reason = "a third of the size, and rare")]
    Several(Box<Vec<Subscriber>>),
}

impl Listeners {
    fn of(subscriber: Subscriber) -> Self {
        let Subscriber {
            client,
            since,
            until,
        } = subscriber;
        let Some(until) = until else {
            return Self::One { client, since };
        };
        match u32::try_from(until.saturating_sub(since)) {
            Ok(lasted) => Self::Ended {
                lasted,
                client,
                since,
            },
            Err(_) => Self::Several(Box::new(vec![subscriber])),
        }
    }

    /// The only one; `None` for several.
    fn only(&self) -> Option<Subscriber> {
        let (client, since, until) = match *self {
            Self::One { client, since } => (client, since, None),
            Self::Ended {
                lasted,
                client,
                since,
            } => (client, since, Some(since + u64::from(lasted))),
            Self::Several(_) => return None,
        };
        Some(Subscriber {
            client,
            since,
            until,
        })
    }

    fn push(&mut self, subscriber: Subscriber) {
        if let Some(only) = self.only() {
            *self = Self::Several(Box::new(vec![only, subscriber]));
        } else if let Self::Several(subscribers) = self {
            subscribers.push(subscriber);
        }
    }

    /// Ends the subscription of a client with publication number `until`.
    fn end(&mut self, client: ClientId, until: u64) {
        let end = |subscriber: &mut Subscriber| {
            if subscriber.client == client && subscriber.until.is_none() {
                subscriber.until = Some(until);
            }
        };
        if let Some(mut only) = self.only() {
            end(&mut only);
            *self = Self::of(only);
        } else if let Self::Several(subscribers) = self {
            subscribers.iter_mut().for_each(end);
        }
    }

    /// Keeps those for whom `stays`; says whether any is left.
    fn retain(&mut self, stays: impl Fn(&Subscriber) -> bool) -> bool {
        if let Self::Several(subscribers) = self {
            subscribers.retain(&stays);
        }
        self.iter().any(|listener| stays(&listener))
    }

    fn iter(&self) -> impl Iterator<Item = Subscriber> + '_ {
        let several = match self {
            Self::Several(subscribers) => subscribers.as_slice(),
            _ => &[],
        };
        self.only().into_iter().chain(several.iter().copied())
    }
}

/// The receivers of messages on one shard: subscribers and clients in MONITOR. Also what this shard has sent: the bytes that are
/// not delivered yet, and the changed keys that tracking clients with prefixes were not told of yet.
#[derive(Debug)]
pub(super) struct Subscribers {
    channels: Channels,
    patterns: Patterns<Listeners>,
    shard_channels: Channels,
    monitors: Vec<ClientId>,
    /// Undelivered bytes by target shard.
    undelivered: Vec<usize>,
    /// What changed for who listens to prefixes, not told yet.
    broadcasts: Broadcasts,
}

impl Subscribers {
    pub(super) fn new(shard_count: usize) -> Self {
        Self {
            channels: Channels::default(),
            patterns: Patterns::default(),
            shard_channels: Channels::default(),
            monitors: Vec::new(),
            undelivered: vec![0; shard_count],
            broadcasts: Broadcasts::new(),
        }
    }

    /// A client is in MONITOR.
    pub(super) fn add_monitor(&mut self, client: ClientId) {
        self.monitors.push(client);
    }

    /// A client is in MONITOR no longer.
    pub(super) fn remove_monitor(&mut self, client: ClientId) {
        self.monitors.retain(|monitor| *monitor != client);
    }

    /// The clients in MONITOR, in the order in which they began.
    pub(super) fn monitors(&self) -> Vec<ClientId> {
        self.monitors.clone()
    }

    /// So many bytes are on their way to a shard; whether that is too much.
    pub(super) fn sent(&mut self, to: ShardId, bytes: usize) -> bool {
        let undelivered = &mut self.undelivered[to.index()];
        *undelivered += bytes;
        *undelivered > limits::PUBLICATION_CREDIT_BYTES
    }

    /// So many bytes were delivered by a shard; whether there is room again everywhere.
    pub(super) fn delivered(&mut self, by: ShardId, bytes: usize) -> bool {
        let undelivered = &mut self.undelivered[by.index()];
        *undelivered = undelivered.saturating_sub(bytes);
        let mut undelivered = self.undelivered.iter();
        undelivered.all(|bytes| *bytes <= limits::PUBLICATION_CREDIT_BYTES / 2)
    }

    /// Whether too much of what this shard has sent is undelivered.
    pub(super) fn are_over_credit(&self) -> bool {
        let mut undelivered = self.undelivered.iter();
        undelivered.any(|bytes| *bytes > limits::PUBLICATION_CREDIT_BYTES)
    }

    /// A key has changed, by a client's doing or nobody's: who listens to its prefix is to be told.
    pub(super) fn note_change(&mut self, key: Box<[u8]>, cause: Option<ClientId>) {
        self.broadcasts.insert(key, cause);
    }

    /// Whether somebody is to be told of changes.
    pub(super) fn has_changes(&self) -> bool {
        !self.broadcasts.is_empty()
    }

    /// The changes that nobody was told of yet.
    pub(super) fn take_changes(&mut self) -> Broadcasts {
        std::mem::take(&mut self.broadcasts)
    }

    pub(super) fn add(&mut self, client: Subscriber, kind: ChannelKind, name: Name) {
        if let Some(listeners) = self.listeners(kind, &name) {
            listeners.push(client);
            return;
        }
        let listeners = Listeners::of(client);
        match kind {
            ChannelKind::Channel => self.channels.insert(name, listeners),
            ChannelKind::Shard => self.shard_channels.insert(name, listeners),
            ChannelKind::Pattern => self.patterns.insert(name, listeners),
        }
    }

    fn listeners(&mut self, kind: ChannelKind, name: &[u8]) -> Option<&mut Listeners> {
        match kind {
            ChannelKind::Channel => self.channels.get_mut(name),
            ChannelKind::Shard => self.shard_channels.get_mut(name),
            ChannelKind::Pattern => self.patterns.get_mut(name),
        }
    }

    /// Ends a subscription with publication number `until`.
    pub(super) fn end(&mut self, client: ClientId, kind: ChannelKind, name: &[u8], until: u64) {
        if let Some(listeners) = self.listeners(kind, name) {
            listeners.end(client, until);
        }
    }

    /// Forgets the subscriptions of a client to a name: those that have ended, or all.
    pub(super) fn remove(
        &mut self,
        client: ClientId,
        kind: ChannelKind,
        name: &[u8],
        only_ended: bool,
    ) {
        let stays =
            |other: &Subscriber| other.client != client || only_ended && other.until.is_none();
        let Some(listeners) = self.listeners(kind, name) else {
            return;
        };
        if listeners.retain(stays) {
            return;
        }
        match kind {
            ChannelKind::Channel => drop(self.channels.remove(name)),
            ChannelKind::Shard => drop(self.shard_channels.remove(name)),
            ChannelKind::Pattern => self.patterns.remove(name),
        }
    }

    /// Calls `receive` with who gets a publication: client, and the pattern by which, in Redis' order: channel first, then
    /// patterns.
    pub(super) fn for_each_receiver<'s>(
        &'s self,
        publication: &Publication,
        mut receive: impl FnMut(ClientId, Option<&'s Name>),
    ) {
        let Publication {
            kind,
            channel,
            number,
            ..
        } = publication;
        let earlier = |subscriber: &Subscriber| {
            subscriber.since < *number && subscriber.until.is_none_or(|until| *number <= until)
        };
        let names = if *kind == ChannelKind::Shard {
            &self.shard_channels
        } else {
            &self.channels
        };
        let by_name = names.get(channel).into_iter();
        let by_name = by_name.flat_map(Listeners::iter).filter(earlier);
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

const _: () = assert!(size_of::<Listeners>() == 24);
