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
use crate::command::spec::{Flags, Scope};
use crate::command::table::commands;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::observe::monitor;
use crate::pubsub::Name;
use crate::pubsub::registry::ChannelKind;
use crate::resp::arguments::{Args, Request};

use super::client::Client;
use super::env::{Aftermath, Outgoing, Served};
use super::mailbox::{Message, Publication};
use super::state::Shard;
use super::subscribers::Subscriber;
use super::tracking::Telling;

impl Shard {
    /// Sends what commands left behind: replies of blocked clients and publications. Before the keyspaces in hand are given
    /// away and before the reply leaves. `publisher`, whose commands ran here, is held when it has published too much; its
    /// subscriptions begin and end between the publications of its transaction. True when it has to be sent something before its
    /// next command runs: notices of keys, or what was published until a subscription ended.
    pub(super) fn dispatch(&mut self, after: Aftermath, publisher: Option<&mut Client>) -> bool {
        if !after.outgoing.is_empty() {
            self.log_effects();
        }
        let (mut over, mut travels) = (false, false);
        // The registry knows only how the subscriptions are now, after the transaction.
        let changing = after.changes_subscriptions().then_some(self.id);
        let id = publisher.as_ref().map(|client| client.id());
        // What a client publishes does not wait for what others have written.
        let wrote_to = publisher.as_ref().map_or(0, |client| client.wrote_to);
        let wrote_to = wrote_to.max(self.wrote_to);
        let mut telling = Telling::of(id);
        let mut has_ended = false;
        for mut outgoing in after.outgoing {
            outgoing.caused_by(id);
            match outgoing {
                Outgoing::Served(served) => travels |= self.dispatch_served(served),
                Outgoing::Publication(mut publication) => {
                    publication.held_for = match publication.tells_of_keys {
                        true => wrote_to.max(self.revealed),
                        false => wrote_to,
                    };
                    over |= self.publish(publication, changing);
                }
                Outgoing::Invalidation(invalidation, cause) => {
                    self.tell(invalidation, cause, &mut telling);
                }
                Outgoing::Subscriptions(changes) => {
                    debug_assert!(id.is_some(), "only a client's own command subscribes");
                    if let Some(id) = id {
                        has_ended |= self.change_subscriptions(id, changes);
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
            self.clients.throttle(client);
        }
        telling.tells_publisher || has_ended
    }

    /// Sends the reply of a client that was blocked to its shard; says whether it travels through a mailbox.
    fn dispatch_served(&mut self, served: Served) -> bool {
        let Served {
            waiter,
            reply,
            elsewhere,
            now_ms,
        } = served;
        self.now_ms = self.now_ms.max(now_ms);
        if !elsewhere.is_empty() {
            self.forget_at(elsewhere, &waiter);
        }
        let home = waiter.home;
        let is_here = home == self.id;
        // What a subscriber was sent before is in the mailbox: its reply comes behind.
        if is_here && !self.clients.listens(waiter.client) {
            self.unblock(&waiter, &reply);
            return false;
        }
        self.post.send(
            home,
            Message::Served {
                waiter,
                reply,
                now_ms: self.now_ms,
            },
        );
        true
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
            over |= self.subscribers.sent(shard, publication.weight());
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

    /// Updates this shard's own list of subscribers. A subscription that ends is forgotten behind what is in the mailbox, if anything is:
    /// then the client has to be sent that first, and the answer is true.
    pub(super) fn change_subscriptions(
        &mut self,
        client: ClientId,
        changes: Vec<SubscriptionChange>,
    ) -> bool {
        let now = self.shared.channels.last_publication();
        if self.shared.shard_count > 1 {
            self.outstanding.note_change(client);
        }
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
        if ended.is_empty() {
            return false;
        }
        let is_behind = self.post.has_mail();
        if is_behind {
            self.post
                .send(self.id, Message::Unsubscribed { client, ended });
        } else {
            self.forget_subscriptions(client, &ended);
        }
        is_behind
    }

    /// Everything published before subscriptions ended has been delivered.
    pub(super) fn forget_subscriptions(&mut self, client: ClientId, ended: &[(ChannelKind, Name)]) {
        for (kind, name) in ended {
            self.subscribers.remove(client, *kind, name, true);
        }
    }

    /// Sends a transaction that ran to the clients in MONITOR: its commands, unless the reply shows that they did not run,
    /// then EXEC.
    pub(super) fn feed_monitors_exec(
        &self,
        session: &Session,
        queue: &[Queued],
        lines: &[(usize, Bytes)],
        reply: &[u8],
        exec: &Args<'_>,
    ) {
        if self.shared.monitor_count.load(Ordering::Acquire) == 0 {
            return;
        }
        let table = commands();
        if !reply.starts_with(b"*-1") && !reply.starts_with(b"_") {
            for (position, queued) in queue.iter().enumerate() {
                self.feed_monitors(session, &queued.request.args(), table.row(queued.command));
                self.feed_monitors_lines(lines, position);
            }
        }
        if let Some(row) = table.find(b"exec") {
            self.feed_monitors(session, exec, row);
        }
    }

    /// Sends a command that has run to the clients in MONITOR. Redis: so SELECT is shown with the new database.
    pub(super) fn feed_monitors(&self, session: &Session, args: &Args<'_>, row: &Row) {
        if self.shared.monitor_count.load(Ordering::Acquire) == 0
            || row.command.flags.has(Flags::SKIP_MONITOR) && row.command.scope != Scope::Script
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
        self.send_monitor_line(&line);
    }

    fn send_monitor_line(&self, line: &Bytes) {
        let shards = ShardSet::all(self.shared.shard_count);
        self.post.send_ordered(
            shards
                .iter()
                .map(|shard| (shard, Message::MonitorLine(line.clone())))
                .collect(),
        );
    }

    /// Sends the commands that the script at a position of an EXEC has called, or the only one (0).
    pub(super) fn feed_monitors_lines(&self, lines: &[(usize, Bytes)], position: usize) {
        for (_, line) in lines.iter().filter(|(at, _)| *at == position) {
            self.send_monitor_line(line);
        }
    }
}
