//! Commands that read entries: XLEN XRANGE XREVRANGE XREAD XREADGROUP.
//!
//! XREAD and XREADGROUP are one grammar. All keys are checked before any is read; then each gives what it has. If none
//! has anything the client may wait, with `$` resolved to the ID it meant when the command came.

use smallvec::SmallVec;

use crate::command::args::{is, required_integer, timeout_milliseconds};
use crate::command::context::{Context, Outcome, WaitFor};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::data::stream::{ConsumerIndex, Group, Log, StreamId};
use crate::keyspace::KeyHandle;
use crate::keyspace::wait::WaitKind;
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::Reply;

use super::{
    ClaimEffect, OpenCollection, c_string, interval_end, interval_start, named_consumer,
    reply_entries, reply_entry, reply_id, report_consumer, stream_mut, stream_of, strict_id,
    write_group_position,
};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xlen", "key", xlen)
        .arity(2)
        .flags(&[Flags::READONLY, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RO, 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(1)", "Tells how many entries a stream has."),
    Command::new("xrange", "key start end [COUNT count]", xrange)
        .arity(-4)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(log N + M) for M entries returned", "Gives the entries between two IDs in ascending order."),
    Command::new("xrevrange", "key end start [COUNT count]", xrevrange)
        .arity(-4)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(log N + M) for M entries returned", "Gives the entries between two IDs in descending order."),
    Command::new("xread", "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]", xread)
        .arity(-4)
        .flags(&[Flags::READONLY, Flags::BLOCKING, Flags::MOVABLE_KEYS])
        .keys(&[KeySpec::half_after(KeyFlags::RO.and(KeyFlags::ACCESS), "STREAMS", 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(log N + M) for each stream with M entries returned", "Gives the entries after an ID of one or more streams; waits for one if asked to."),
    Command::new("xreadgroup", "GROUP group-block:<group consumer> [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]", xreadgroup)
        .arity(-7)
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLE_KEYS])
        .keys(&[KeySpec::half_after(KeyFlags::RO.and(KeyFlags::ACCESS), "STREAMS", 4)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(log N + M) for each stream with M entries returned", "Gives new or still pending entries of streams to a consumer of a group; waits for one if asked to."),
];

/// XLEN key
fn xlen(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let stream = stream_of(ctx.space.read(args.at(1)))?;
    ctx.reply
        .integer(stream.map_or(0, |s| s.log().len().cast_signed()));
    Ok(Outcome::Done)
}

/// XRANGE key start end [COUNT count]
fn xrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    range(ctx, args, Direction::Ascending)
}

/// XREVRANGE key end start [COUNT count]
fn xrevrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    range(ctx, args, Direction::Descending)
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Ascending,
    Descending,
}

fn range(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    direction: Direction,
) -> Result<Outcome, CommandError> {
    let (first, second) = (args.at(2), args.at(3));
    let (start, end) = match direction {
        Direction::Ascending => (interval_start(first)?, interval_end(second)?),
        Direction::Descending => (interval_start(second)?, interval_end(first)?),
    };
    let mut count = None;
    let mut at = 4;
    while at < args.len() {
        if !is(args.at(at), "COUNT") || at + 1 >= args.len() {
            return Err(error::SYNTAX);
        }
        // Redis: a COUNT of 0 or less gives a null array.
        count = Some(usize::try_from(required_integer(args.at(at + 1))?).unwrap_or(0));
        at += 2;
    }
    let Some(stream) = stream_of(ctx.space.read(args.at(1)))? else {
        ctx.reply.array(0);
        return Ok(Outcome::Done);
    };
    let log = stream.log();
    match (count, direction) {
        (Some(0), _) => ctx.reply.null_array(),
        (_, Direction::Ascending) => {
            reply_entries(ctx.reply, log.range(start, end), count.unwrap_or(0));
        }
        (_, Direction::Descending) => {
            reply_entries(ctx.reply, log.range_reverse(start, end), count.unwrap_or(0));
        }
    }
    Ok(Outcome::Done)
}

/// What is read of one stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// The key is on a shard not in hand (a blocked command that runs again).
    Elsewhere,
    /// What comes after an ID; for a group the consumer's history.
    After(StreamId),
    /// What the group has not delivered yet (`>`).
    Undelivered,
}

/// The arguments of XREAD and XREADGROUP.
struct ReadRequest<'a> {
    /// Most entries of a stream; 0: all.
    count: usize,
    /// `Some` with BLOCK; inside, when the wait ends.
    block: Option<Option<u64>>,
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    keys_at: usize,
    key_count: usize,
}

impl<'a> ReadRequest<'a> {
    fn parse(args: &Args<'a>, for_group: bool, now_ms: u64) -> Result<Self, CommandError> {
        let mut request = Self {
            count: 0,
            block: None,
            group: None,
            no_ack: false,
            keys_at: 0,
            key_count: 0,
        };
        let mut at = 1;
        while at < args.len() {
            let (argument, more) = (args.at(at), args.len() - 1 - at);
            if more > 0 && is(argument, "BLOCK") {
                at += 1;
                request.block = Some(timeout_milliseconds(args.at(at), now_ms)?);
            } else if more > 0 && is(argument, "COUNT") {
                at += 1;
                request.count = usize::try_from(required_integer(args.at(at))?).unwrap_or(0);
            } else if more > 0 && is(argument, "STREAMS") {
                if more % 2 == 1 {
                    return Err(error::unbalanced_streams(for_group));
                }
                request.keys_at = at + 1;
                request.key_count = more / 2;
                break;
            } else if more >= 2 && is(argument, "GROUP") {
                if !for_group {
                    return Err(error::GROUP_IN_XREAD);
                }
                request.group = Some((args.at(at + 1), args.at(at + 2)));
                at += 2;
            } else if is(argument, "NOACK") {
                if !for_group {
                    return Err(error::NOACK_IN_XREAD);
                }
                request.no_ack = true;
            } else {
                return Err(error::SYNTAX);
            }
            at += 1;
        }
        if request.keys_at == 0 {
            return Err(error::SYNTAX);
        }
        if for_group && request.group.is_none() {
            return Err(error::MISSING_GROUP);
        }
        Ok(request)
    }

    fn key<'b>(&self, args: &Args<'b>, index: usize) -> &'b [u8] {
        args.at(self.keys_at + index)
    }

    fn id_text<'b>(&self, args: &Args<'b>, index: usize) -> &'b [u8] {
        args.at(self.keys_at + self.key_count + index)
    }

    /// The answer when no stream has anything: null, or a wait.
    fn wait(&self, ctx: &mut Context<'_>, args: &Args<'_>, from: &[From]) -> Outcome {
        ctx.reply.null_array();
        let Some(deadline_ms) = self.block.filter(|_| ctx.may_block) else {
            return Outcome::Done;
        };
        let ids_at = self.keys_at + self.key_count;
        let resolved: Vec<Vec<u8>> = args
            .iter()
            .enumerate()
            .map(
                |(at, argument)| match at.checked_sub(ids_at).map(|index| from[index]) {
                    Some(From::After(id)) if argument == b"$" => id.text().as_bytes().to_vec(),
                    _ => argument.to_vec(),
                },
            )
            .collect();
        Outcome::Wait(Box::new(WaitFor {
            kind: if self.group.is_some() {
                WaitKind::StreamGroup
            } else {
                WaitKind::Stream
            },
            keys: (0..self.key_count)
                .map(|index| self.key(args, index).into())
                .collect(),
            deadline_ms,
            request: Request::from_arguments(resolved.iter().map(Vec::as_slice)),
            destinations: Vec::new(),
        }))
    }
}

type Froms = SmallVec<[From; 4]>;

/// XREAD [COUNT n] [BLOCK ms] STREAMS key … id …
fn xread(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let request = ReadRequest::parse(args, false, ctx.now_ms())?;
    let mut from = Froms::new();
    for index in 0..request.key_count {
        let key = request.key(args, index);
        if ctx.resumed && !ctx.space.holds(key) {
            from.push(From::Elsewhere);
            continue;
        }
        let log = stream_of(ctx.space.read(key))?.map(|stream| stream.log());
        from.push(From::After(match c_string(request.id_text(args, index)) {
            b"$" => log.map_or(StreamId::MIN, Log::last_id),
            // The last entry: what comes after the ID before it.
            b"+" => match log {
                None => StreamId::MIN,
                Some(log) => log.last_id().predecessor().ok_or(error::LAST_ID_ZERO)?,
            },
            b">" => return Err(error::UNDELIVERED_IN_XREAD),
            _ => strict_id(request.id_text(args, index))?,
        }));
    }
    let mut open = None;
    let mut served = 0;
    for (index, from) in from.iter().enumerate() {
        let From::After(id) = *from else { continue };
        let key = request.key(args, index);
        let Some(stream) = stream_of(ctx.space.read(key))? else {
            continue;
        };
        if stream.log().last_entry_id().is_none_or(|last| last <= id) {
            continue;
        }
        let Some(first) = id.successor() else {
            continue;
        };
        if open.is_none() {
            open = Some(OpenCollection::map_of_pairs(ctx.reply, 1));
        }
        served += 1;
        open_stream(ctx.reply, key);
        reply_entries(
            ctx.reply,
            stream.log().range(first, StreamId::MAX),
            request.count,
        );
    }
    match open {
        Some(open) => open.close(ctx.reply, served),
        None => return Ok(request.wait(ctx, args, &from)),
    }
    Ok(Outcome::Done)
}

/// A stream's part of the reply of XREAD: its key, then its entries follow.
fn open_stream(reply: &mut Reply, key: &[u8]) {
    if !reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(key);
}

/// XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key … id …
///
/// Effects: the consumer's creation; XCLAIM of what was delivered (for history, of each entry with its new
/// count); the group's position. None of this counts as a modification of the key.
fn xreadgroup(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let request = ReadRequest::parse(args, true, ctx.now_ms())?;
    let Some((group, _)) = request.group else {
        return Err(error::MISSING_GROUP);
    };
    let mut from = Froms::new();
    for index in 0..request.key_count {
        let key = request.key(args, index);
        if ctx.resumed && !ctx.space.holds(key) {
            from.push(From::Elsewhere);
            continue;
        }
        let found = stream_of(ctx.space.read(key))?.and_then(|stream| stream.group(group));
        if found.is_none() {
            return Err(error::no_group_to_read(key, group));
        }
        from.push(match c_string(request.id_text(args, index)) {
            b"$" => return Err(error::DOLLAR_IN_XREADGROUP),
            b"+" => return Err(error::PLUS_IN_XREADGROUP),
            b">" => From::Undelivered,
            _ => match strict_id(request.id_text(args, index))? {
                // Redis keeps `>` as the highest ID.
                StreamId::MAX => From::Undelivered,
                id => From::After(id),
            },
        });
    }
    let mut open = None;
    let mut served = 0;
    for (index, from) in from.iter().enumerate() {
        if *from == From::Elsewhere {
            continue;
        }
        let key = request.key(args, index);
        served += usize::from(serve_group(ctx, &request, key, *from, &mut open));
    }
    match open {
        Some(open) => open.close(ctx.reply, served),
        None => return Ok(request.wait(ctx, args, &from)),
    }
    Ok(Outcome::Done)
}

/// Reads one stream for a consumer; whether there was something for the reply.
fn serve_group(
    ctx: &mut Context<'_>,
    request: &ReadRequest<'_>,
    key: &[u8],
    from: From,
    open: &mut Option<OpenCollection>,
) -> bool {
    let now_ms = ctx.now_ms();
    let (reply, mut handle) = (&mut *ctx.reply, ctx.space.write(key));
    let recording = handle.records_effects();
    let Some((group_name, consumer_name)) = request.group else {
        return false;
    };
    let found = stream_mut(&mut handle).and_then(|stream| stream.group_mut(group_name));
    let Some((group, log)) = found else {
        return false;
    };
    let start = match from {
        From::After(id) => id.successor(),
        _ => log
            .last_entry_id()
            .filter(|last| *last > group.last_delivered)
            .and(group.last_delivered.successor()),
    };
    let Some((consumer, created)) = named_consumer(group, consumer_name, now_ms) else {
        return false;
    };
    let mut reading = Reading::default();
    if let Some(start) = start {
        if open.is_none() {
            *open = Some(OpenCollection::map_of_pairs(reply, 1));
        }
        open_stream(reply, key);
        let (count, no_ack) = (request.count, request.no_ack);
        let mut reader = Reader {
            reply,
            group,
            log,
            consumer,
            now_ms,
            count,
            no_ack,
            recording,
        };
        reading = match from {
            From::Undelivered => reader.deliver_new(start),
            _ => reader.deliver_history(start),
        };
    }
    let position = (group.last_delivered, group.entries_read);
    handle.unchanged();
    if created {
        report_consumer(&mut handle, group_name, consumer_name);
    }
    reading.report(&mut handle, group_name, consumer_name, now_ms, position);
    start.is_some()
}

/// One consumer reading one stream.
struct Reader<'a> {
    reply: &'a mut Reply,
    group: &'a mut Group,
    log: &'a Log,
    consumer: ConsumerIndex,
    now_ms: u64,
    /// Most entries; 0: all.
    count: usize,
    no_ack: bool,
    /// Whether somebody records effects: only then IDs are collected.
    recording: bool,
}

/// What a read by a group did, for its effects.
#[derive(Default)]
struct Reading {
    delivered: SmallVec<[StreamId; 16]>,
    /// Deliveries of each, for history; empty for new entries (all 1).
    counts: SmallVec<[u64; 16]>,
    /// Whether the group's position changed.
    moved: bool,
}

impl Reading {
    /// Hands on the deliveries and the group's new position (last delivered ID, entries read).
    fn report(
        &self,
        handle: &mut KeyHandle<'_>,
        group: &[u8],
        consumer: &[u8],
        delivered_ms: u64,
        (last_id, entries_read): (StreamId, Option<u64>),
    ) {
        let key = handle.key();
        let claim = |ids, delivery_count| ClaimEffect {
            key,
            group,
            consumer,
            ids,
            delivered_ms,
            delivery_count,
            last_id,
        };
        if !self.delivered.is_empty() && self.counts.is_empty() {
            handle.effect(|effect| claim(&self.delivered, 1).write(effect));
        }
        for (id, count) in self.delivered.iter().zip(&self.counts) {
            handle.effect(|effect| claim(std::slice::from_ref(id), *count).write(effect));
        }
        if self.moved {
            handle.effect(|effect| write_group_position(effect, key, group, last_id, entries_read));
        }
    }
}

impl Reader<'_> {
    /// Entries not delivered to anyone: each becomes pending with this consumer, unless NOACK.
    fn deliver_new(&mut self, start: StreamId) -> Reading {
        let mut reading = Reading::default();
        let open = OpenCollection::array(self.reply, self.count);
        let mut written = 0;
        for entry in self.log.range(start, StreamId::MAX) {
            self.group.advance(entry.id, self.log);
            reading.moved = true;
            reply_entry(self.reply, &entry);
            if !self.no_ack {
                self.group.deliver(entry.id, self.consumer, self.now_ms);
                if self.recording {
                    reading.delivered.push(entry.id);
                }
            }
            written += 1;
            if written == self.count {
                break;
            }
        }
        open.close(self.reply, written);
        reading
    }

    /// Entries pending with this consumer, delivered once more. Of those deleted meanwhile only the ID is left.
    fn deliver_history(&mut self, start: StreamId) -> Reading {
        let mut reading = Reading::default();
        let most = if self.count == 0 {
            usize::MAX
        } else {
            self.count
        };
        let own = self.group.pending().ids_of(self.consumer, start);
        let ids: SmallVec<[StreamId; 16]> = own.take(most).collect();
        self.reply.array(ids.len());
        for id in ids {
            let Some(entry) = self.log.get(id) else {
                self.reply.array(2);
                reply_id(self.reply, id);
                self.reply.null_array();
                continue;
            };
            reply_entry(self.reply, &entry);
            let delivery = self.group.pending_mut().redeliver(id, self.now_ms);
            if let Some(delivery) = delivery.filter(|_| self.recording) {
                reading.delivered.push(id);
                reading.counts.push(delivery.delivery_count);
            }
        }
        reading
    }
}
