//! Client-side caching: commands are noted with their readers, and changes reach those who have read.
//!
//! ```text
//! command here ─► keyspace: who has read the key ─► Invalidation in the aftermath ─► dispatch
//!      dispatch ─► mailbox of the receiver's shard ─► its output, behind a reply that is held
//! ```
//! The messages take the way of publications: from the shard that did the work, through the mailbox, before its reply
//! leaves. So a value that was read is in the client's hands before the word that it has changed.
//! Source: "Client-side caching" of Redis. What a client does to its own keys it hears behind its reply; changes of a prefix
//! (BCAST) are told once for all commands of a round of the loop, before their replies leave and before others get the keyspace.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::registry::ClientFlag;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::tracking::{Change, Invalidation, Tracker, TrackingOptions};
use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::mailbox::{Message, Notice, NoticeKind};
use super::state::Shard;
use super::subscribers::Broadcasts;

/// A key that a client itself changed; `None` for all.
type Own = (Arc<Tracker>, Option<Box<[u8]>>);

/// What commands have left to tell, as [`Shard::dispatch`] goes through it.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The client whose commands ran here.
    publisher: Option<ClientId>,
    /// What clients did to their own keys: told behind all else.
    own: Vec<Own>,
    /// This shard is over its credit.
    pub(super) over: bool,
    /// The publisher is to be told of something.
    pub(super) tells_publisher: bool,
}

impl Telling {
    pub(super) fn of(publisher: Option<ClientId>) -> Self {
        Self {
            publisher,
            ..Self::default()
        }
    }
}

/// Keys to be told: how many, and as bulk strings; or all, as a null.
#[derive(Clone)]
struct Keys {
    count: Option<usize>,
    bytes: Bytes,
}

impl Keys {
    fn of<'k>(keys: impl ExactSizeIterator<Item = &'k [u8]>) -> Self {
        let mut reply = Reply::new(Protocol::Resp2);
        let count = Some(keys.len());
        keys.for_each(|key| reply.bulk(key));
        Self {
            count,
            bytes: reply.take().into(),
        }
    }
}

/// The changed keys with a prefix, in their order. O(log keys).
fn with_prefix<'k>(
    keys: &'k Broadcasts,
    prefix: &'k [u8],
) -> impl Iterator<Item = (&'k Box<[u8]>, &'k Option<ClientId>)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    let keys = keys.range::<[u8], _>(from);
    keys.take_while(move |(key, _)| key.starts_with(prefix))
}

impl Shard {
    /// Tells who has read a key; what is told behind all else goes to `telling`.
    pub(super) fn tell(
        &mut self,
        invalidation: Invalidation,
        cause: Option<ClientId>,
        telling: &mut Telling,
    ) {
        let Invalidation {
            key,
            mut trackers,
            change,
            ..
        } = invalidation;
        if key.is_none() && self.shared.tracking.client_count() > 0 {
            let all = self.shared.clients.all();
            let tracking = all.iter().filter_map(|client| client.tracker());
            let is_on = |tracker: &&Arc<Tracker>| tracker.options().has(TrackingOptions::ON);
            trackers = tracking.filter(is_on).map(Arc::clone).collect();
        }
        for tracker in trackers {
            if Some(tracker.client) != cause || change == Change::Forgotten {
                self.tell_one(&tracker, key.as_deref(), telling);
            } else if key.is_none() || !tracker.options().has(TrackingOptions::NO_LOOP) {
                telling.own.push((tracker, key.clone()));
            }
        }
        if let Some(key) = key
            && change != Change::Forgotten
            && !self.shared.tracking.is_empty()
        {
            let cause = cause.filter(|_| change == Change::Written);
            self.subscribers.note_change(key, cause);
        }
    }

    fn tell_one(&mut self, tracker: &Tracker, key: Option<&[u8]>, telling: &mut Telling) {
        let keys = match key {
            Some(key) => Keys::of([key].into_iter()),
            None => {
                // Redis: the null of the tracking client's protocol, also when another client receives it.
                let handle = self.shared.clients.get(tracker.client);
                let speaks_resp3 = handle.is_some_and(|handle| handle.has_flag(ClientFlag::RESP3));
                let null: &[u8] = if speaks_resp3 { b"_\r\n" } else { b"$-1\r\n" };
                Keys {
                    count: None,
                    bytes: Bytes::from_static(null),
                }
            }
        };
        self.send_notice(tracker, keys, telling);
    }

    /// Tells the rest: clients of their own changes. Who changes keys while prefixes are listened to is over its credit when
    /// too much of what was sent before is undelivered.
    pub(super) fn tell_rest(&mut self, telling: &mut Telling) {
        for (tracker, key) in std::mem::take(&mut telling.own) {
            self.tell_one(&tracker, key.as_deref(), telling);
        }
        telling.over |= self.subscribers.has_changes() && self.subscribers.are_over_credit();
    }

    /// Tells who listens to prefixes what has changed since the last call: before what others can conclude it from, a reply
    /// or the keyspace, leaves this shard.
    #[inline]
    pub(crate) fn tell_broadcasts(&mut self) {
        if self.subscribers.has_changes() {
            self.tell_changes();
        }
    }

    fn tell_changes(&mut self) {
        let keys = self.subscribers.take_changes();
        let shared = Arc::clone(&self.shared);
        // One message for each shard, however many listen there: each hand of a pipeline tells by itself.
        let mut by_shard: Vec<(ShardId, Vec<Notice>)> = Vec::new();
        let mut add = |sent: Option<(ShardId, Notice)>| {
            let Some((shard, notice)) = sent else { return };
            match by_shard.iter_mut().find(|(other, _)| *other == shard) {
                Some((_, notices)) => notices.push(notice),
                None => by_shard.push((shard, vec![notice])),
            }
        };
        let is_concerned = |prefix: &[u8]| with_prefix(&keys, prefix).next().is_some();
        for (prefix, listeners) in shared.tracking.concerned(is_concerned) {
            let concerned: Vec<_> = with_prefix(&keys, &prefix).collect();
            let all: Vec<&[u8]> = concerned.iter().map(|(key, _)| &***key).collect();
            let all = Keys::of(all.into_iter());
            for tracker in listeners {
                if !tracker.options().has(TrackingOptions::NO_LOOP) {
                    add(self.addressed(&tracker, Some(&prefix), all.clone()));
                    continue;
                }
                let of_others = concerned.iter();
                let of_others = of_others.filter(|(_, by)| **by != Some(tracker.client));
                let keys: Vec<&[u8]> = of_others.map(|(key, _)| &***key).collect();
                if !keys.is_empty() {
                    let keys = Keys::of(keys.into_iter());
                    add(self.addressed(&tracker, Some(&prefix), keys));
                }
            }
        }
        let from = self.id;
        for (shard, notices) in by_shard {
            let weight = notices.iter().map(Notice::weight).sum();
            self.subscribers.sent(shard, weight);
            let message = Message::Notices {
                from,
                notices,
                weight,
            };
            self.post.send(shard, message);
        }
    }

    /// Sends a notice to the shard of its receiver.
    fn send_notice(&mut self, tracker: &Tracker, keys: Keys, telling: &mut Telling) {
        let Some((shard, mut notice)) = self.addressed(tracker, None, keys) else {
            return;
        };
        notice.from = Some(self.id);
        telling.over |= self.subscribers.sent(shard, notice.weight());
        telling.tells_publisher |= telling.publisher == Some(notice.receiver);
        self.post.send(shard, Message::Notice(Box::new(notice)));
    }

    /// A notice with the shard of its receiver: the tracking client, or the one it redirects to. Nobody counts it yet.
    fn addressed(
        &self,
        tracker: &Tracker,
        prefix: Option<&Bytes>,
        keys: Keys,
    ) -> Option<(ShardId, Notice)> {
        let redirection = tracker.redirection();
        let (mut receiver, mut kind) = (tracker.client, NoticeKind::Invalidation);
        if redirection != 0 {
            receiver = ClientId(redirection);
            kind = NoticeKind::Redirected;
            let handle = self.shared.clients.get(receiver);
            if handle.is_none_or(|handle| handle.has_flag(ClientFlag::CLOSING)) {
                tracker.mark_broken();
                receiver = tracker.client;
                kind = NoticeKind::RedirectionBroken(redirection);
            }
        }
        let shard = self.shared.clients.shard_of(receiver)?;
        let notice = Notice {
            from: None,
            receiver,
            kind,
            prefix: prefix.cloned(),
            key_count: keys.count,
            payload: keys.bytes,
        };
        Some((shard, notice))
    }
}
