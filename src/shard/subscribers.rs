//! Who listens to what on one shard.
//!
//! The registry of the process (`pubsub/registry.rs`) counts; the clients themselves are here. A subscription that ends
//! stays until everything published before has been delivered, so it knows from which publication to which it receives.
//! Every name is found by a map: a client may have a million of them, and they all end when it goes.

use crate::ids::ClientId;
use crate::pubsub::patterns::Patterns;
use crate::pubsub::registry::ChannelKind;
use crate::pubsub::{Name, NameTable};

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
type Channels = NameTable<Listeners>;

/// Who listens to a name: mostly one, to whom nothing has ended. That one takes no allocation, and half the place of a
/// [`Subscriber`]: a client may listen to a million names.
#[derive(Debug)]
enum Listeners {
    One {
        client: ClientId,
        since: u64,
    },
    #[allow(clippy::box_collection, reason = "a third of the size, and rare")]
    Several(Box<Vec<Subscriber>>),
}

impl Listeners {
    fn of(subscriber: Subscriber) -> Self {
        match subscriber.until {
            None => Self::One {
                client: subscriber.client,
                since: subscriber.since,
            },
            Some(_) => Self::Several(Box::new(vec![subscriber])),
        }
    }

    /// As a list, to be changed.
    fn several(&mut self) -> &mut Vec<Subscriber> {
        if let Self::One { client, since } = *self {
            let until = None;
            let subscriber = Subscriber {
                client,
                since,
                until,
            };
            *self = Self::Several(Box::new(vec![subscriber]));
        }
        match self {
            Self::Several(subscribers) => subscribers,
            Self::One { .. } => unreachable!("made several above"),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Subscriber> + '_ {
        let (one, several) = match self {
            Self::One { client, since } => {
                let until = None;
                let subscriber = Subscriber {
                    client: *client,
                    since: *since,
                    until,
                };
                (Some(subscriber), &[][..])
            }
            Self::Several(subscribers) => (None, subscribers.as_slice()),
        };
        one.into_iter().chain(several.iter().copied())
    }
}

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

    /// The names of a kind; `None` for patterns.
    fn names(&mut self, kind: ChannelKind) -> Option<&mut Channels> {
        match kind {
            ChannelKind::Channel => Some(&mut self.channels),
            ChannelKind::Shard => Some(&mut self.shard_channels),
            ChannelKind::Pattern => None,
        }
    }

    pub(super) fn add(&mut self, client: Subscriber, kind: ChannelKind, name: Name) {
        let Some(names) = self.names(kind) else {
            self.patterns.get_or_default(&name).push(client);
            return;
        };
        match names.get_mut(&name) {
            Some(listeners) => listeners.several().push(client),
            None => names.insert(name, Listeners::of(client)),
        }
    }

    /// Ends a subscription with publication number `until`.
    pub(super) fn end(&mut self, client: ClientId, kind: ChannelKind, name: &[u8], until: u64) {
        let subscribers = match self.names(kind) {
            Some(names) => names.get_mut(name).map(Listeners::several),
            None => self.patterns.get_mut(name),
        };
        for subscriber in subscribers.into_iter().flatten() {
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
        name: &[u8],
        only_ended: bool,
    ) {
        let stays =
            |other: &Subscriber| other.client != client || only_ended && other.until.is_none();
        let Some(names) = self.names(kind) else {
            let Some(subscribers) = self.patterns.get_mut(name) else {
                return;
            };
            subscribers.retain(stays);
            if subscribers.is_empty() {
                self.patterns.remove(name);
            }
            return;
        };
        let Some(listeners) = names.get_mut(name) else {
            return;
        };
        if let Listeners::Several(subscribers) = listeners {
            subscribers.retain(stays);
        }
        if !listeners.iter().any(|listener| stays(&listener)) {
            names.remove(name);
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
                let by_pattern = subscribers.iter().filter(|other| earlier(other));
                by_pattern.for_each(|subscriber| receive(subscriber.client, Some(pattern)));
            }
        }
    }
}
