//! Publications: from the commands here to all shards with subscribers, and from all shards to the subscribers here.
//!
//! ```text
//! publisher ──Publication──► mailboxes of all target shards, as one step (the own shard's too)
//!           ◄────Credit────  when delivered; a publisher over its credit is not read until it returns
//! ```
//! One total order for all subscribers. A message is encoded once per protocol version; a large payload is the publisher's own
//! in all of them, on all shards, and in every output that waits to be sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::client::session::Session;
use crate::client::transaction::Queued;
use crate::command::context::SubscriptionChange;
use crate::command::redact::redacted;
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::limits;
use crate::observe::monitor;
use crate::pubsub::Name;
use crate::pubsub::message::{Delivery, Encoded, encode};
use crate::pubsub::registry::ChannelKind;
use crate::resp::Protocol;
use crate::resp::arguments::{Args, Request};

use super::Shard;
use super::client::Client;
use super::execute::{Aftermath, Outgoing, Served};
use super::mailbox::{Message, Publication};
use super::phase::{Happening, Phase, Reaction};
use super::subscribers::Subscriber;
use super::tracking::Telling;

/// A publication as its receivers get it, encoded once for each protocol version and pattern.
struct Messages<'p> {
    publication: &'p Publication,
    /// Of which the two are; receivers come pattern by pattern.
    pattern: Option<&'p Name>,
    by_protocol: [Option<Encoded>; 2],
}

impl<'p> Messages<'p> {
    fn of(publication: &'p Publication) -> Self {
        Self {
            publication,
            pattern: None,
            by_protocol: [None, None],
        }
    }

    fn get(&mut self, protocol: Protocol, pattern: Option<&'p Name>) -> &Encoded {
        if self.pattern != pattern {
            self.pattern = pattern;
            self.by_protocol = [None, None];
        }
        let [resp2, resp3] = &mut self.by_protocol;
        let message = match protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        };
        let Publication {
            kind,
            channel,
            payload,
            ..
        } = self.publication;
        let delivery = match (pattern, kind) {
            (Some(pattern), _) => Delivery::Pattern(pattern),
            (None, ChannelKind::Shard) => Delivery::Shard,
            (None, _) => Delivery::Channel,
        };
        message.get_or_insert_with(|| encode(protocol, delivery, channel, payload))
    }
}

impl Shard {
    /// Sends what commands left behind: replies of blocked clients and publications. Before the keyspaces in hand are given
    /// away and before the reply leaves. `publisher`, whose commands ran here, is held when it has published too much; its
    /// subscriptions begin and end between the publications of its transaction. True when it is to be told of keys itself.
    pub(super) fn dispatch(&mut self, after: Aftermath, publisher: Option<&mut Client>) -> bool {
        let (mut over, mut travels) = (false, false);
        // The registry knows only how the subscriptions are now, after the transaction.
        let changing = after.changes_subscriptions().then_some(self.id);
        let id = publisher.as_ref().map(|client| client.id());
        let mut telling = Telling::of(id);
        for mut outgoing in after.outgoing {
            outgoing.caused_by(id);
            match outgoing {
                Outgoing::Served(served) => travels |= self.dispatch_served(served),
                Outgoing::Publication(publication) => over |= self.publish(publication, changing),
                Outgoing::Invalidation(invalidation, cause) => {
                    self.tell(invalidation, cause, &mut telling);
                }
                Outgoing::Subscriptions(changes) => {
                    debug_assert!(id.is_some(), "only a client's own command subscribes");
                    if let Some(id) = id {
                        self.change_subscriptions(id, changes);
                    }
                }
            }
        }
        self.tell_rest(&mut telling);
        if travels {
            // The reply of who was served leaves where it is.
            self.tell_broadcasts();
        }
        if let Some(client) = publisher
            && (over || telling.over)
            && client.is_ready()
        {
            client.phase = Phase::Throttled;
            self.throttled.push(client.id());
        }
        telling.tells_publisher
    }

    /// Sends the reply of a client that was blocked to its shard; says whether it travels through a mailbox.
    fn dispatch_served(&mut self, served: Served) -> bool {
        let Served {
            waiter,
            reply,
            elsewhere,
        } = served;
        if !elsewhere.is_empty() {
            self.forget_at(elsewhere, &waiter);
        }
        let home = waiter.home;
        let is_here = home == self.id;
        // What a subscriber was sent before is in the mailbox: its reply comes behind.
        if is_here && !self.listens(waiter.client) {
            self.unblock(&waiter, &reply);
            return false;
        }
        let now_ms = self.now_ms;
        self.post.send(
            home,
            Message::Served {
                waiter,
                reply,
                now_ms,
            },
        );
        true
    }

    /// A client goes on, unless too much of what this shard has published is undelivered: then it is held for credit.
    pub(super) fn go_on_within_credit(&mut self, client: &mut Client) {
        if self.subscribers.are_over_credit() {
            client.phase = Phase::Throttled;
            self.throttled.push(client.id());
        } else {
            client.phase = Phase::Ready;
            self.turns.queue(client);
        }
    }

    /// Sends one publication to every shard with subscribers, and to `also`; true when this shard is over its credit.
    fn publish(&mut self, mut publication: Publication, also: Option<ShardId>) -> bool {
        let mut targets = self
            .shared
            .channels
            .targets(publication.kind, &publication.channel);
        also.into_iter()
            .for_each(|shard| targets.shards.insert(shard));
        if targets.shards.is_empty() {
            return false;
        }
        publication.number = self.shared.channels.next_publication();
        if targets.receivers > 0 {
            let counters = &self.shared.observations.shards[self.id.index()];
            counters.publications.add(1);
        }
        let publication = Arc::new(publication);
        let from = self.id;
        let mut over = false;
        for shard in targets.shards.iter() {
            let undelivered = &mut self.subscribers.undelivered[shard.index()];
            *undelivered += publication.weight();
            over |= *undelivered > limits::PUBLICATION_CREDIT_BYTES;
        }
        let message = |shard| {
            (
                shard,
                Message::Publication {
                    from,
                    publication: Arc::clone(&publication),
                },
            )
        };
        self.post
            .send_ordered(targets.shards.iter().map(message).collect());
        over
    }

    /// Publications were delivered: publishers go on when all targets have room again.
    pub(super) fn credit(&mut self, from: ShardId, bytes: usize) {
        let undelivered = &mut self.subscribers.undelivered[from.index()];
        *undelivered = undelivered.saturating_sub(bytes);
        if self.throttled.is_empty()
            || self
                .subscribers
                .undelivered
                .iter()
                .any(|bytes| *bytes > limits::PUBLICATION_CREDIT_BYTES / 2)
        {
            return;
        }
        for id in std::mem::take(&mut self.throttled) {
            if let Some(Some(client)) = self.clients.get_mut(&id)
                && matches!(client.phase, Phase::Throttled)
            {
                client.phase = Phase::Ready;
                self.turns.queue(client);
            }
        }
    }

    /// Appends a publication to the output of its subscribers here.
    pub(super) fn deliver_publication(&mut self, from: ShardId, publication: &Arc<Publication>) {
        let Self {
            subscribers,
            clients,
            dirty,
            settings,
            spare_outputs,
            ..
        } = self;
        let mut messages = Messages::of(publication);
        let (mut count, mut long) = (0, Vec::new());
        subscribers.for_each_receiver(publication, |id, pattern| {
            count += 1;
            // Looked up once: there may be thousands.
            let Some(Some(client)) = clients.get_mut(&id) else {
                return;
            };
            let message = messages.get(client.session.protocol, pattern);
            if client.phase.on(Happening::Message) == Reaction::SendBehind
                && (publication.cause == Some(id) || !client.behind_reply.is_empty())
            {
                client.behind_reply.push(message.clone());
                return;
            }
            if client.output.is_empty() {
                // Who has unsent output is in the list already, or waits for room in its socket.
                dirty.push(id);
                client.output.equip(spare_outputs);
            } else if client.is_over_hard_limit(settings) {
                // Closed below, and not filled any more: a thousand patterns may match.
                long.push(id);
                return;
            }
            client.send(message);
            client.mirror_output();
            if client.has_much_to_send(settings) {
                long.push(id);
            }
        });
        let counters = &self.shared.observations.shards[self.id.index()];
        counters.deliveries.add(count);
        long.into_iter().for_each(|id| self.check_output_limit(id));
        self.give_credit(from, publication.weight());
    }

    /// Bytes that a shard has sent were delivered here.
    pub(super) fn give_credit(&mut self, from: ShardId, bytes: usize) {
        if from == self.id {
            self.credit(from, bytes);
        } else {
            self.post.send(
                from,
                Message::Credit {
                    from: self.id,
                    bytes,
                },
            );
        }
    }

    /// Appends bytes that are no reply to a client's output; closes it when that is over its limit.
    pub(super) fn push_to(&mut self, id: ClientId, message: &Encoded) {
        let Some(client) = self.client_mut(id) else {
            return;
        };
        client.send(message);
        client.mirror_output();
        self.dirty.push(id);
        self.check_output_limit(id);
    }

    /// Closes a client whose unsent output is over its limit (`client-output-buffer-limit`).
    pub(super) fn check_output_limit(&mut self, id: ClientId) {
        let now_ms = self.now_ms;
        let (pubsub, normal) = (
            self.settings.output_limit_pubsub,
            self.settings.output_limit_normal,
        );
        let Some(client) = self.client_mut(id) else {
            return;
        };
        let limit = if client.session.subscriptions.any() {
            pubsub
        } else {
            normal
        };
        let length = client.output.len() as u64;
        let mut close = limit.hard_bytes > 0 && length > limit.hard_bytes;
        if limit.soft_bytes > 0 && length > limit.soft_bytes {
            let since = *client.over_soft_limit_ms.get_or_insert(now_ms);
            close |= now_ms.saturating_sub(since) > limit.soft_seconds * 1000;
        } else {
            client.over_soft_limit_ms = None;
        }
        close |= client.is_over_unauthenticated_limit();
        if close {
            tracing::warn!(
                "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer limits.",
                id.0,
                client.session.handle.address
            );
            self.shared.observations.shards[self.id.index()]
                .output_limit_disconnections
                .add(1);
            self.disconnect(id);
        }
    }

    /// Updates this shard's own list of subscribers. A subscription that ends is forgotten behind what is in the mailbox.
    pub(super) fn change_subscriptions(
        &mut self,
        client: ClientId,
        changes: Vec<SubscriptionChange>,
    ) {
        let now = self.shared.channels.last_publication();
        let mut ended = Vec::new();
        for SubscriptionChange {
            kind,
            name,
            subscribed,
        } in changes
        {
            if subscribed {
                let subscriber = Subscriber {
                    client,
                    since: now,
                    until: None,
                };
                self.subscribers.add(subscriber, kind, name);
            } else {
                self.subscribers.end(client, kind, &name, now);
                ended.push((kind, name));
            }
        }
        if !ended.is_empty() {
            self.post
                .send(self.id, Message::Unsubscribed { client, ended });
        }
    }

    /// Everything published before subscriptions ended has been delivered.
    pub(super) fn forget_subscriptions(&mut self, client: ClientId, ended: &[(ChannelKind, Name)]) {
        for (kind, name) in ended {
            self.subscribers.remove(client, *kind, name, true);
        }
    }

    /// A client is gone: its subscriptions end.
    pub(super) fn drop_subscriptions(&mut self, client: &Client) {
        let subscriptions = &client.session.subscriptions;
        for (kind, names) in [
            (ChannelKind::Channel, &subscriptions.channels),
            (ChannelKind::Pattern, &subscriptions.patterns),
            (ChannelKind::Shard, &subscriptions.shard_channels),
        ] {
            for name in names {
                self.shared.channels.unsubscribe(kind, name, self.id);
                self.subscribers.remove(client.id(), kind, name, false);
            }
        }
    }

    /// Sends a transaction that ran to whoever is in MONITOR: its commands, unless the reply shows that they did not run,
    /// then EXEC.
    pub(super) fn feed_monitors_exec(
        &self,
        session: &Session,
        queue: &[Queued],
        reply: &[u8],
        exec: &Args<'_>,
    ) {
        if self.shared.monitor_count.load(Ordering::Acquire) == 0 {
            return;
        }
        let table = commands();
        if !reply.starts_with(b"*-1") && !reply.starts_with(b"_") {
            for queued in queue {
                self.feed_monitors(session, &queued.request.args(), table.row(queued.command));
            }
        }
        if let Some(row) = table.find(b"exec") {
            self.feed_monitors(session, exec, row);
        }
    }

    /// Sends a command to whoever is in MONITOR, when it has run. Redis: so SELECT is shown with the new database.
    pub(super) fn feed_monitors(&self, session: &Session, args: &Args<'_>, row: &Row) {
        if self.shared.monitor_count.load(Ordering::Acquire) == 0
            || row.command.flags.has(Flags::SKIP_MONITOR)
            || row.command.flags.has(Flags::ADMIN)
        {
            return;
        }
        let redacted = redacted(&row.full_name, args);
        let shown = redacted.as_ref().map(Request::args);
        let shown = shown.as_ref().unwrap_or(args);
        let line = monitor::line(
            self.now_ms,
            session.db,
            &session.handle.address,
            shown.iter(),
        );
        let shards = ShardSet::all(self.shared.shard_count);
        self.post.send_ordered(
            shards
                .iter()
                .map(|shard| (shard, Message::MonitorLine(line.clone())))
                .collect(),
        );
    }

    /// Appends a line to the output of the clients in MONITOR here. One that is not told yet that it monitors gets its reply
    /// first, as in Redis: other shards may be faster with a line than with what that reply waits for.
    pub(super) fn deliver_monitor_line(&mut self, line: &Bytes) {
        let line = Encoded::from(line.clone());
        for id in self.subscribers.monitors.clone() {
            match self.client_mut(id) {
                Some(client) if client.phase.on(Happening::Message) == Reaction::SendBehind => {
                    client.behind_reply.push(line.clone());
                }
                _ => self.push_to(id, &line),
            }
        }
    }
}
