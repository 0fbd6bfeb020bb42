//! What others have sent reaches the output of clients here: publications, notices to caches, lines of MONITOR.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{ClientId, ShardId};
use crate::pubsub::Name;
use crate::pubsub::message::{Delivery, Encoded, encode};
use crate::pubsub::registry::ChannelKind;
use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::client::Client;
use super::mailbox::{Message, Notice, NoticeKind, Publication};
use super::phase::{Happening, Reaction};
use super::state::Shard;

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

/// The channel on which clients that speak RESP2 are told.
const CHANNEL: &[u8] = b"__redis__:invalidate";

impl Shard {
    /// Appends a publication to the output of its subscribers here.
    pub(super) fn deliver_publication(&mut self, from: ShardId, publication: &Arc<Publication>) {
        let Self {
            subscribers,
            clients,
            settings,
            spare_outputs,
            ..
        } = self;
        let mut messages = Messages::of(publication);
        let (mut count, mut long) = (0, Vec::new());
        subscribers.for_each_receiver(publication, |id, pattern| {
            count += 1;
            // Looked up once: there may be thousands.
            let Some((client, dirty)) = clients.get_to_send(id) else {
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
            client.send(message, publication.held_for);
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

    /// Appends bytes that are no reply to a client's output; closes it when that is over its limit.
    pub(super) fn push_to(&mut self, id: ClientId, message: &Encoded) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.send(message, self.log.end());
        client.mirror_output();
        self.clients.note_output(id);
        self.check_output_limit(id);
    }

    /// Appends a line to the output of the clients in MONITOR here. One that is not told yet that it monitors gets its reply
    /// first, as in Redis: other shards may be faster with a line than with what that reply waits for.
    pub(super) fn deliver_monitor_line(&mut self, line: &Bytes) {
        let line = Encoded::from(line.clone());
        for id in self.subscribers.monitors() {
            match self.clients.get_mut(id) {
                Some(client) if client.phase.on(Happening::Message) == Reaction::SendBehind => {
                    client.behind_reply.push(line.clone());
                }
                _ => self.push_to(id, &line),
            }
        }
    }

    /// Appends a notice to the output of its receiver; behind its reply, when that is held back or made elsewhere: what it
    /// tells of may have been read before.
    pub(super) fn deliver_notice(&mut self, mut notice: Notice) {
        if let Some(from) = notice.from.take() {
            self.give_credit(from, notice.weight());
        }
        let receiver = notice.receiver;
        let Some(client) = self.clients.get_mut(receiver) else {
            // It has moved, or is on its way here; or it is gone.
            if let Some(shard) = self.shared.clients.shard_of(receiver) {
                self.post.send(shard, Message::Notice(Box::new(notice)));
            }
            return;
        };
        let Some(bytes) = shape_of(client, &notice) else {
            return;
        };
        let is_held = client.phase.on(Happening::Message) == Reaction::SendBehind;
        if is_held || !client.behind_reply.is_empty() {
            client.behind_reply.push(bytes.into());
        } else {
            self.push_to(receiver, &bytes.into());
        }
    }
}

/// A notice as its receiver gets it; `None` when it has no way to be told: RESP2 and no subscriber, or not redirected.
fn shape_of(client: &Client, notice: &Notice) -> Option<Bytes> {
    let session = &client.session;
    let mut reply = Reply::new(session.protocol);
    let is_resp3 = session.protocol == Protocol::Resp3;
    match notice.kind {
        NoticeKind::RedirectionBroken(id) if is_resp3 => {
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.integer(id as i64);
        }
        NoticeKind::Invalidation | NoticeKind::Redirected if is_resp3 => {
            reply.push(2);
            reply.bulk(b"invalidate");
            write_keys(&mut reply, notice);
        }
        NoticeKind::Redirected if session.subscriptions.any() => {
            reply.push(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
            write_keys(&mut reply, notice);
        }
        _ => return None,
    }
    Some(reply.take().into())
}

fn write_keys(reply: &mut Reply, notice: &Notice) {
    if let Some(count) = notice.key_count {
        reply.array(count);
    }
    reply.raw(&notice.payload);
}
