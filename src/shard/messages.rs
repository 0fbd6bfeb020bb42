//! Messages from the other threads, taken in one by one in the order in which they were sent.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ids::{ClientId, ShardSet};

use super::client::Client;
use super::job::Job;
use super::mailbox::{Message, Notice, NoticeKind};
use super::phase::{Happening, Reaction};
use super::state::Shard;

/// What clients are to be told of changed prefixes, by notices that follow one another in the mail: for each how many keys, and the
/// keys. Other threads send one for each of their hands; told one by one they were 50 times as many pushes as in Redis.
#[derive(Default)]
struct Gathered(BTreeMap<(ClientId, NoticeKind, Bytes), (usize, Vec<u8>)>);

impl Gathered {
    fn add(&mut self, notice: Notice) {
        let prefix = notice.prefix.unwrap_or_default();
        let entry = self.0.entry((notice.receiver, notice.kind, prefix));
        let (count, payload) = entry.or_default();
        *count += notice.key_count.unwrap_or(0);
        payload.extend_from_slice(&notice.payload);
    }
}

impl Shard {
    /// Takes in all messages that have been sent so far.
    pub(super) fn hear(&mut self) {
        let count = self.post.receive();
        self.take_in(count);
    }

    /// Takes in so many of the messages that have come; true when there are more.
    pub(crate) fn deliver_mail(&mut self, messages_max: usize) -> bool {
        if !self.post.has_mail() {
            return false;
        }
        self.refresh();
        let count = self.post.receive();
        self.take_in(count.min(messages_max));
        self.post.ring();
        count > messages_max
    }

    fn take_in(&mut self, count: usize) {
        let mut gathered = Gathered::default();
        for _ in 0..count {
            let Some(message) = self.post.next() else {
                break;
            };
            match message {
                Message::Notice(notice) if notice.prefix.is_some() => {
                    if let Some(from) = notice.from {
                        self.give_credit(from, notice.weight());
                    }
                    gathered.add(*notice);
                }
                Message::Notices {
                    from,
                    notices,
                    weight,
                } => {
                    self.give_credit(from, weight);
                    notices.into_iter().for_each(|notice| gathered.add(notice));
                }
                // Nothing that a client sees.
                Message::Offer | Message::LogMoved | Message::Alarm(_) | Message::Credit { .. } => {
                    self.deliver(message);
                }
                message => {
                    self.deliver_gathered(&mut gathered);
                    self.deliver(message);
                }
            }
        }
        self.deliver_gathered(&mut gathered);
    }

    fn deliver_gathered(&mut self, gathered: &mut Gathered) {
        for ((receiver, kind, prefix), (count, payload)) in std::mem::take(&mut gathered.0) {
            self.deliver_notice(Notice {
                from: None,
                receiver,
                kind,
                prefix: Some(prefix),
                key_count: Some(count),
                payload: payload.into(),
            });
        }
    }

    pub(super) fn deliver(&mut self, message: Message) {
        match message {
            // Its ticket says so; the round that follows looks at the log.
            Message::Offer | Message::LogMoved => {}
            Message::Alarm(alarm_ms) => self.hands.arm(alarm_ms),
            Message::ScriptIsBusy => self.has_busy_news = true,
            Message::Served {
                waiter,
                reply,
                now_ms,
            } => {
                self.now_ms = self.now_ms.max(now_ms);
                self.unblock(&waiter, &reply);
            }
            Message::Publication { from, publication } => {
                self.deliver_publication(from, &publication)
            }
            Message::Notice(notice) => self.deliver_notice(*notice),
            Message::Notices {
                from,
                notices,
                weight,
            } => {
                self.give_credit(from, weight);
                for notice in notices {
                    self.deliver_notice(notice);
                }
            }
            Message::Unsubscribed { client, ended } => self.forget_subscriptions(client, &ended),
            Message::Credit { from, bytes } => self.credit(from, bytes),
            Message::Barrier { from, client } => self.pass_barrier(from, client),
            Message::Walked(walked) => self.walked(*walked),
            Message::BarrierSeen(client) => self.barrier_seen(client),
            Message::CaughtUp => self.release_behind(),
            Message::Poke(client) => self.poked(client),
            Message::DescribeStreams(query) => {
                let own = ShardSet::one(self.id);
                self.hands.wait_in_line(own, Job::Describe(query));
            }
            Message::MonitorLine(line) => self.deliver_monitor_line(&line),
            Message::Cut(run) => self.queue_cut(run),
            Message::Walk(run) => self.queue_step(run),
            Message::Migrated(done) => self.migrated(done),
            Message::Saved { client, error } => self.saved(client, error),
            Message::Copied { client, copy } => self.copied(client, *copy),
            Message::Loaded => self.hands.fetch_only(),
            Message::Adopt(client) => self.adopt(client),
            Message::Stop => self.stop(),
            Message::Drained => self.all_have_drained(),
        }
    }

    /// Takes a connection over: a new one, or one that moved here.
    pub(super) fn adopt(&mut self, mut client: Box<Client>) {
        let id = client.id();
        client.is_outstanding = false;
        client.session.handle.moved_to(self.id);
        self.now_ms = self.now_ms.max(client.now_ms);
        self.clients.arrive(client);
        // What was said to its handle while it moved is looked at now.
        self.poked(id);
    }

    /// Somebody changed the client's handle: CLIENT KILL, CLIENT UNBLOCK; or what its user may hear.
    pub(super) fn poked(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.session.handle.is_killed() || client.session.overhears() {
            self.disconnect(id);
            return;
        }
        if client.phase.on(Happening::Unblock) == Reaction::EndWait
            && let Some(how) = client.session.handle.take_unblocked()
        {
            self.end_wait(id, how);
        }
    }
}
