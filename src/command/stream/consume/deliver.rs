//! XREADGROUP: what a group hands out to a consumer, stream by stream.
//!
//! ```text
//! CLAIM:    released entries, first in first out ─► pending for long enough, longest idle first ─► new ones
//! `>`:                                                                                             new ones
//! an ID:    the consumer's own pending entries after it
//! ```
//! One COUNT holds for all of a stream. What finds no room in the reply is not delivered.

use smallvec::SmallVec;

use crate::command::context::Context;
use crate::data::stream::{ConsumerIndex, Delivery, Entry, Group, Log, PendingEntry, StreamId};
use crate::keyspace::{KeyHandle, Report};
use crate::resp::reply::Reply;

use super::super::{
    ClaimEffect, OpenCollection, named_consumer, reply_entry, reply_entry_parts, reply_id,
    report_consumer, shown_idle_ms, stream_in_mut, write_group_position,
};
use super::open_stream;
use super::request::{From, ReadRequest, Room};

/// One XREADGROUP on its way over its streams.
pub(super) struct GroupRead<'r, 'a> {
    request: &'r ReadRequest<'a>,
    room: Room,
    open: Option<OpenCollection>,
    served: usize,
    /// When to look again at keys that gave nothing, Unix ms: something has been pending for long enough then.
    alarms: Vec<(Box<[u8]>, u64)>,
}

impl<'r, 'a> GroupRead<'r, 'a> {
    pub(super) fn new(request: &'r ReadRequest<'a>, reply: &Reply) -> Self {
        Self {
            request,
            room: Room::new(request, reply),
            open: None,
            served: 0,
            alarms: Vec::new(),
        }
    }

    /// Completes the reply. Without anything in it: the keys to look at again, and when, Unix ms.
    pub(super) fn close(self, reply: &mut Reply) -> Option<Vec<(Box<[u8]>, u64)>> {
        match self.open {
            Some(open) => {
                open.close(reply, self.served);
                None
            }
            None => Some(self.alarms),
        }
    }

    /// Reads one stream for the consumer.
    pub(super) fn serve(&mut self, ctx: &mut Context<'_>, key: &[u8], from: From) {
        let (now_ms, would_wait) = (ctx.now_ms(), self.request.would_wait(ctx));
        let (reply, mut handle) = (&mut *ctx.reply, ctx.space.write(key));
        let recording = handle.records_effects();
        let Some((group_name, consumer_name)) = self.request.group else {
            return;
        };
        let mut reading = Reading::default();
        handle.change(|value| {
            let found = stream_in_mut(value).and_then(|stream| stream.group_mut(group_name));
            let Some((group, log)) = found else {
                return false;
            };
            let Some((consumer, created)) = named_consumer(group, consumer_name, now_ms) else {
                return false;
            };
            reading.created = created;
            let mark = reply.mark();
            let opens = self.open.is_none();
            if opens {
                self.open = Some(OpenCollection::map_of_pairs(reply, 1));
            }
            open_stream(reply, key);
            let mut reader = Reader {
                reply,
                room: &mut self.room,
                request: self.request,
                group,
                log,
                consumer,
                now_ms,
                recording,
            };
            reader.read(from, &mut reading);
            if reading.has_reply {
                self.served += 1;
            } else {
                reply.truncate(mark);
                if opens {
                    self.open = None;
                }
                let claim_ms = self.request.claim_ms.filter(|_| would_wait);
                if let (Some(claim_ms), From::Undelivered) = (claim_ms, from)
                    && let Some(oldest_ms) = group.oldest_claimable_ms(log)
                {
                    let at_ms = oldest_ms.saturating_add(claim_ms);
                    self.alarms.push((key.into(), at_ms));
                }
            }
            reading.position = (group.last_delivered, group.entries_read);
            reading.is_change()
        });
        reading.report(&mut handle, group_name, consumer_name, now_ms);
    }
}

/// One consumer reading one stream.
struct Reader<'r, 'a> {
    reply: &'r mut Reply,
    room: &'r mut Room,
    request: &'r ReadRequest<'a>,
    group: &'r mut Group,
    log: &'r Log,
    consumer: ConsumerIndex,
    now_ms: u64,
    /// Whether somebody records effects: only then IDs are collected.
    recording: bool,
}

/// What a read by a group did, for its effects.
#[derive(Default)]
struct Reading {
    /// Whether the consumer was created.
    created: bool,
    /// Whether the stream has a part in the reply.
    has_reply: bool,
    /// New entries, each delivered for the first time.
    delivered: SmallVec<[StreamId; 16]>,
    /// Entries delivered again, with their deliveries so far.
    again: SmallVec<[(StreamId, u64); 16]>,
    /// Whether entries became pending, or pending with another consumer.
    assigned: bool,
    /// Whether pending entries changed that nobody recorded.
    unrecorded: bool,
    /// Whether the group's position changed.
    moved: bool,
    /// The group's last delivered ID and its entries read.
    position: (StreamId, Option<u64>),
}

impl Report for Reading {
    fn is_change(&self) -> bool {
        let delivered = !self.delivered.is_empty() || !self.again.is_empty();
        self.created || self.moved || self.unrecorded || delivered
    }
}

impl Reading {
    /// Hands on a new consumer, the deliveries and the group's new position.
    fn report(&self, handle: &mut KeyHandle<'_>, group: &[u8], consumer: &[u8], delivered_ms: u64) {
        let (key, (last_id, entries_read)) = (handle.key(), self.position);
        if self.created {
            report_consumer(handle, group, consumer);
        }
        let claim = |ids, delivery_count| ClaimEffect {
            key,
            group,
            consumer,
            ids,
            delivered_ms,
            delivery_count,
            last_id,
        };
        for (id, count) in &self.again {
            handle.effect(|effect| claim(std::slice::from_ref(id), *count).write(effect));
        }
        if self.unrecorded {
            handle.effect(|_| {});
        }
        if !self.delivered.is_empty() {
            handle.effect(|effect| claim(&self.delivered, 1).write(effect));
        }
        if self.moved {
            handle.effect(|effect| write_group_position(effect, key, group, last_id, entries_read));
        }
        if self.assigned {
            handle.pending_since(group, delivered_ms);
        }
    }
}

impl Reader<'_, '_> {
    fn read(&mut self, from: From, reading: &mut Reading) {
        let open = OpenCollection::array(self.reply, self.request.count.unwrap_or(0));
        let most = self.room.entries(self.request.count);
        let written = match from {
            From::Undelivered => {
                let claimed = self.claim(most, reading);
                claimed + self.deliver_new(most - claimed, reading)
            }
            From::After(id) => self.deliver_history(id, most, reading),
            From::Elsewhere => 0,
        };
        reading.has_reply |= written > 0;
        open.close(self.reply, written);
    }

    /// Pending entries of anybody, or nobody, that have been so for long enough, now the consumer's.
    fn claim(&mut self, most: usize, reading: &mut Reading) -> usize {
        let Some(claim_ms) = self.request.claim_ms.filter(|_| most > 0) else {
            return 0;
        };
        // Idle 0 asks for nothing: also entries whose delivery lies ahead of the clock.
        let latest_ms = match claim_ms {
            0 => Some(u64::MAX),
            _ => self.now_ms.checked_sub(claim_ms),
        };
        let mut claimed: Vec<PendingEntry> = Vec::new();
        let (reply, room, now_ms) = (&mut *self.reply, &mut *self.room, self.now_ms);
        self.group
            .for_each_claimable(self.log, latest_ms, |pending, entry| {
                let fits = room.fits(reply, |reply| {
                    let delivery = &pending.delivery;
                    let idle_ms = shown_idle_ms(delivery, now_ms);
                    reply_delivery(reply, &entry, idle_ms, delivery.delivery_count);
                });
                if fits {
                    claimed.push(*pending);
                }
                fits && claimed.len() < most
            });
        for entry in &claimed {
            let delivery = Delivery {
                consumer: Some(self.consumer),
                delivered_ms: self.now_ms,
                delivery_count: entry.delivery.next_count(),
            };
            self.group.pending_mut().assign(entry.id, delivery);
            if self.recording {
                reading.again.push((entry.id, delivery.delivery_count));
            }
        }
        if !claimed.is_empty() {
            self.group.consumer_mut(self.consumer).active_ms = Some(self.now_ms);
            reading.assigned = true;
            reading.unrecorded = !self.recording;
        }
        claimed.len()
    }

    /// Entries not delivered to anyone: each becomes pending with this consumer, unless NOACK.
    fn deliver_new(&mut self, most: usize, reading: &mut Reading) -> usize {
        let last_delivered = self.group.last_delivered;
        let has_new = self
            .log
            .last_entry_id()
            .is_some_and(|last| last > last_delivered);
        let start = last_delivered.successor().filter(|_| has_new && most > 0);
        let Some(start) = start else {
            return 0;
        };
        let mut ids: SmallVec<[StreamId; 16]> = SmallVec::new();
        for entry in self.log.range(start, StreamId::MAX).take(most) {
            let fits = self
                .room
                .fits(self.reply, |reply| match self.request.claim_ms {
                    Some(_) => reply_delivery(reply, &entry, 0, 0),
                    None => reply_entry(reply, &entry),
                });
            if !fits {
                break;
            }
            self.group.advance(entry.id, self.log);
            ids.push(entry.id);
        }
        let written = ids.len();
        reading.moved |= written > 0;
        if written > 0 && !self.request.no_ack {
            self.group.deliver(&ids, self.consumer, self.now_ms);
            reading.assigned = true;
            if self.recording {
                reading.delivered = ids;
            }
        }
        written
    }

    /// Entries pending with this consumer, delivered once more. Of those deleted meanwhile only the ID is left.
    fn deliver_history(&mut self, after: StreamId, most: usize, reading: &mut Reading) -> usize {
        let Some(start) = after.successor() else {
            return 0;
        };
        let own = self.group.pending().ids_of(self.consumer, start);
        let ids: SmallVec<[StreamId; 16]> = own.take(most).collect();
        // Also an empty history is an answer, but not one that was held back.
        reading.has_reply = most > 0 && ids.is_empty();
        let mut written = 0;
        for id in ids {
            let entry = self.log.get(id);
            let fits = self.room.fits(self.reply, |reply| match &entry {
                Some(entry) => reply_entry(reply, entry),
                None => {
                    reply.array(2);
                    reply_id(reply, id);
                    reply.null_array();
                }
            });
            if !fits {
                break;
            }
            written += 1;
            if entry.is_none() {
                continue;
            }
            let delivery = self.group.pending_mut().redeliver(id, self.now_ms);
            if let Some(delivery) = delivery.filter(|_| self.recording) {
                reading.again.push((id, delivery.delivery_count));
            }
        }
        written
    }
}

/// `[id, [field, value, …], idle ms, deliveries]`: both as they were before this delivery.
fn reply_delivery(reply: &mut Reply, entry: &Entry<'_>, idle_ms: i64, delivery_count: u64) {
    reply.array(4);
    reply_entry_parts(reply, entry);
    reply.integer(idle_ms);
    reply.integer(delivery_count.cast_signed());
}
