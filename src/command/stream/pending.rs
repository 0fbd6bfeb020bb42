//! Commands on what groups have pending: XPENDING XCLAIM XAUTOCLAIM.

mod claimed;

use smallvec::SmallVec;

use crate::command::args::{integer, is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::data::stream::{
    ConsumerIndex, DELIVERY_COUNT_MAX, Delivery, Entry, Group, IdleClaim, Log, PendingEntry,
    StreamId,
};
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use claimed::{Claimed, Claims};

use super::{
    OpenCollection, interval_end, interval_start, named_consumer, reply_entry, reply_id,
    shown_idle_ms, stream_in_mut, stream_of, strict_id,
};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xpending", "key group [filters:<[IDLE min-idle-time@6.2.0] start end count [consumer]>]", xpending)
        .arity(-3)
        .flags(&[Flags::READONLY])
        .keys(&[KeySpec::one(KeyFlags::RO.and(KeyFlags::ACCESS), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "stream", "O(log N + M) for M entries returned; the summary O(consumers)", "Tells which entries of a group were delivered and not acknowledged."),
    Command::new("xclaim", "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]", xclaim)
        .arity(-6)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "stream", "O(log N) for each ID", "Makes a consumer the owner of pending entries, as if they had been delivered to it."),
    Command::new("xautoclaim", "key group consumer min-idle-time start [COUNT count] [JUSTID]", xautoclaim)
        .arity(-6)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("6.2.0", "stream", "O(log N) for each entry claimed", "Makes a consumer the owner of entries that have been pending for some time."),
];

/// Redis inspects at most COUNT times this many pending entries in one XAUTOCLAIM.
const INSPECTED_PER_COUNT: usize = 10;
/// XAUTOCLAIM's COUNT by default.
const AUTOCLAIM_COUNT: usize = 100;
/// The largest COUNT XAUTOCLAIM takes (Redis sizes a buffer of IDs by it).
const AUTOCLAIM_COUNT_MAX: i64 = i64::MAX / 16;

/// Which pending entries XPENDING is asked for.
struct PendingQuery<'a> {
    idle_min_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> PendingQuery<'a> {
    /// `None`: the summary.
    fn parse(args: &Args<'a>) -> Result<Option<Self>, CommandError> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(error::SYNTAX),
        }
        let mut at = 3;
        let mut idle_min_ms = 0;
        if is(args.at(3), "IDLE") {
            idle_min_ms = required_integer(args.at(4))?;
            if args.len() < 8 {
                return Err(error::SYNTAX);
            }
            at = 5;
        }
        let count = usize::try_from(required_integer(args.at(at + 2))?).unwrap_or(0);
        let (start, end) = (interval_start(args.at(at))?, interval_end(args.at(at + 1))?);
        Ok(Some(Self {
            idle_min_ms,
            start,
            end,
            count,
            consumer: args.get(at + 3),
        }))
    }
}

/// XPENDING key group [[IDLE ms] start end count [consumer]]
fn xpending(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let query = PendingQuery::parse(args)?;
    let (key, name, now_ms) = (args.at(1), args.at(2), ctx.now_ms());
    let found = stream_of(ctx.space.read(key))?.and_then(|stream| stream.group(name));
    let group = found.ok_or_else(|| error::no_group(key, name))?;
    match query {
        None => reply_summary(ctx.reply, group),
        Some(query) => reply_pending(ctx.reply, group, &query, now_ms),
    }
    Ok(Outcome::Done)
}

/// `[count, first ID, last ID, [[consumer, "count"], …]]`
fn reply_summary(reply: &mut Reply, group: &Group) {
    let pending = group.pending();
    reply.array(4);
    reply.count(pending.len());
    let (Some(first), Some(last)) = (pending.first_id(), pending.last_id()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let with_entries = || {
        group
            .consumers()
            .filter(|(index, _)| pending.len_of(*index) > 0)
    };
    reply.array(with_entries().count());
    for (index, consumer) in with_entries() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk(pending.len_of(index).to_string().as_bytes());
    }
}

/// `[[id, consumer, idle ms, deliveries], …]`
fn reply_pending(reply: &mut Reply, group: &Group, query: &PendingQuery<'_>, now_ms: u64) {
    let pending = group.pending();
    let open = OpenCollection::array(reply, query.count);
    let mut written = 0;
    let mut write = |entry: PendingEntry| {
        reply.array(4);
        reply_id(reply, entry.id);
        reply.bulk(group.owner_name(&entry.delivery));
        reply.integer(shown_idle_ms(&entry.delivery, now_ms));
        reply.integer(entry.delivery.delivery_count.cast_signed());
        written += 1;
    };
    let owner = query.consumer.map(|name| group.find_consumer(name));
    let (idle_min_ms, mut from) = (query.idle_min_ms.unsigned_abs(), Some(query.start));
    match owner {
        // No such consumer.
        Some(None) => {}
        Some(Some(consumer)) if query.idle_min_ms <= 0 => pending
            .iter_of(consumer, query.start)
            .take_while(|entry| entry.id <= query.end)
            .take(query.count)
            .for_each(&mut write),
        None if query.idle_min_ms <= 0 => pending
            .iter_from(query.start)
            .take_while(|entry| entry.id <= query.end)
            .take(query.count)
            .for_each(&mut write),
        owner => {
            for _ in 0..query.count {
                let next = from.and_then(|from| match owner.flatten() {
                    Some(owner) => pending.next_idle_of(owner, from, now_ms, idle_min_ms),
                    None => pending.next_idle(from, now_ms, idle_min_ms),
                });
                let Some(entry) = next.filter(|entry| entry.id <= query.end) else {
                    break;
                };
                write(entry);
                from = entry.id.successor();
            }
        }
    }
    open.close(reply, written);
}

/// The arguments of XCLAIM.
struct ClaimRequest {
    idle_min_ms: i64,
    ids: SmallVec<[StreamId; 8]>,
    /// When the entries count as delivered.
    delivered_ms: u64,
    delivery_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl ClaimRequest {
    fn parse(args: &Args<'_>, now_ms: u64) -> Result<Self, CommandError> {
        let idle_min_ms = integer(args.at(4)).ok_or(error::XCLAIM_MIN_IDLE)?.max(0);
        let ids: SmallVec<[StreamId; 8]> = args
            .from(5)
            .map_while(|text| strict_id(text).ok())
            .collect();
        let mut at = 5 + ids.len();
        let mut request = Self {
            idle_min_ms,
            ids,
            delivered_ms: now_ms,
            delivery_count: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
        };
        let now = now_ms.cast_signed();
        while at < args.len() {
            let (option, value) = (args.at(at), args.get(at + 1));
            at += 2;
            match value {
                _ if is(option, "FORCE") => {
                    request.force = true;
                    at -= 1;
                }
                _ if is(option, "JUSTID") => {
                    request.just_id = true;
                    at -= 1;
                }
                Some(value) if is(option, "IDLE") => {
                    let idle_ms = integer(value).ok_or(error::XCLAIM_IDLE)?;
                    request.delivered_ms = not_ahead(now.wrapping_sub(idle_ms), now);
                }
                Some(value) if is(option, "TIME") => {
                    request.delivered_ms =
                        not_ahead(integer(value).ok_or(error::XCLAIM_TIME)?, now);
                }
                Some(value) if is(option, "RETRYCOUNT") => {
                    let count = integer(value).ok_or(error::XCLAIM_RETRYCOUNT)?;
                    request.delivery_count = u64::try_from(count).ok();
                }
                Some(value) if is(option, "LASTID") => request.last_id = strict_id(value)?,
                _ => return Err(error::unrecognized_xclaim_option(option)),
            }
        }
        Ok(request)
    }
}

/// Redis: a delivery time before the epoch or in the future is taken for now.
fn not_ahead(delivered_ms: i64, now: i64) -> u64 {
    let sane = (0..=now).contains(&delivered_ms);
    (if sane { delivered_ms } else { now }).cast_unsigned()
}

/// XCLAIM key group consumer min-idle id … [options]
///
/// Effects: the consumer's creation; XCLAIM for each entry claimed or found deleted, with the time and count it has
/// now; the group's position when only that changed.
fn xclaim(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name, consumer_name, now_ms) = (args.at(1), args.at(2), args.at(3), ctx.now_ms());
    let found = stream_of(ctx.space.read(key))?.and_then(|stream| stream.group(name));
    if found.is_none() {
        return Err(error::no_group(key, name));
    }
    let request = ClaimRequest::parse(args, now_ms)?;
    let (reply, mut handle) = (&mut *ctx.reply, ctx.space.write(key));
    let recording = handle.records_effects();
    let claimed = handle.change(|value| {
        let found = claimant(value, name, consumer_name, now_ms);
        let (group, log, consumer, created) = found.ok_or_else(|| error::no_group(key, name))?;
        let moved = request.last_id > group.last_delivered;
        if moved {
            group.last_delivered = request.last_id;
        }
        let mut claims = Claims::new(recording);
        let open = OpenCollection::array(reply, request.ids.len());
        let mut written = 0;
        for id in &request.ids {
            if claim(group, log, *id, consumer, &request, now_ms, &mut claims) {
                written += 1;
                match shown(log, *id, request.just_id) {
                    Some(entry) => reply_entry(reply, &entry),
                    None => reply_id(reply, *id),
                }
            }
        }
        open.close(reply, written);
        if written > 0 {
            group.consumer_mut(consumer).active_ms = Some(now_ms);
        }
        Ok(Claimed {
            created,
            assigned: written > 0,
            moved,
            position: (group.last_delivered, group.entries_read),
            claims,
        })
    })?;
    claimed.report(&mut handle, name, consumer_name, request.delivered_ms);
    Ok(Outcome::Done)
}

/// The group, its stream's log, and the consumer that claims, which is created when it is new: whether it was.
fn claimant<'v>(
    value: Option<&'v mut Value>,
    group: &[u8],
    consumer: &[u8],
    now_ms: u64,
) -> Option<(&'v mut Group, &'v Log, ConsumerIndex, bool)> {
    let (group, log) = stream_in_mut(value)?.group_mut(group)?;
    let (consumer, created) = named_consumer(group, consumer, now_ms)?;
    Some((group, log, consumer, created))
}

/// Claims one entry; whether the consumer has it now. An entry that is gone from the stream goes from the list.
fn claim(
    group: &mut Group,
    log: &Log,
    id: StreamId,
    consumer: ConsumerIndex,
    request: &ClaimRequest,
    now_ms: u64,
    claims: &mut Claims,
) -> bool {
    let pending = group.pending().get(id);
    if !log.contains(id) {
        if let Some(entry) = pending {
            claims.record(group, entry);
            group.acknowledge(id);
        }
        return false;
    }
    let before = match pending {
        None if !request.force => return false,
        // Redis: an entry made by FORCE counts as delivered once before this claim.
        None => 1,
        Some(entry) if !entry.delivery.is_claimable(now_ms, request.idle_min_ms) => return false,
        Some(entry) => entry.delivery.delivery_count,
    };
    let counted = delivered_again(before, request.just_id);
    let delivery = Delivery {
        consumer: Some(consumer),
        delivered_ms: request.delivered_ms,
        delivery_count: request.delivery_count.unwrap_or(counted),
    };
    group.pending_mut().assign(id, delivery);
    claims.record(group, PendingEntry { id, delivery });
    true
}

/// The count after a claim; JUSTID does not count as a delivery.
fn delivered_again(count: u64, just_id: bool) -> u64 {
    count
        .saturating_add(u64::from(!just_id))
        .min(DELIVERY_COUNT_MAX)
}

/// The entry to reply for a claimed ID; with JUSTID none, and no look at the stream.
fn shown(log: &Log, id: StreamId, just_id: bool) -> Option<Entry<'_>> {
    if just_id { None } else { log.get(id) }
}

/// The arguments of XAUTOCLAIM.
struct SweepRequest {
    idle_min_ms: u64,
    start: StreamId,
    count: usize,
    just_id: bool,
}

impl SweepRequest {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let idle_min_ms = integer(args.at(4)).ok_or(error::XAUTOCLAIM_MIN_IDLE)?;
        let mut request = Self {
            idle_min_ms: u64::try_from(idle_min_ms).unwrap_or(0),
            start: interval_start(args.at(5))?,
            count: AUTOCLAIM_COUNT,
            just_id: false,
        };
        let mut at = 6;
        while at < args.len() {
            if is(args.at(at), "COUNT") && at + 1 < args.len() {
                let count =
                    integer(args.at(at + 1)).filter(|n| (1..=AUTOCLAIM_COUNT_MAX).contains(n));
                let count = count.and_then(|n| usize::try_from(n).ok());
                request.count = count.ok_or(error::COUNT_NOT_POSITIVE)?;
                at += 1;
            } else if is(args.at(at), "JUSTID") {
                request.just_id = true;
            } else {
                return Err(error::SYNTAX);
            }
            at += 1;
        }
        Ok(request)
    }
}

/// XAUTOCLAIM key group consumer min-idle start [COUNT n] [JUSTID]
///
/// Effects as those of XCLAIM.
fn xautoclaim(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name, consumer_name, now_ms) = (args.at(1), args.at(2), args.at(3), ctx.now_ms());
    let request = SweepRequest::parse(args)?;
    let found = stream_of(ctx.space.read(key))?.and_then(|stream| stream.group(name));
    if found.is_none() {
        return Err(error::no_group(key, name));
    }
    let (reply, mut handle) = (&mut *ctx.reply, ctx.space.write(key));
    let recording = handle.records_effects();
    let claimed = handle.change(|value| {
        let found = claimant(value, name, consumer_name, now_ms);
        let (group, log, consumer, created) = found.ok_or_else(|| error::no_group(key, name))?;
        let mut sweep = Sweep {
            log,
            consumer,
            now_ms,
            request: &request,
            claimed: Vec::new(),
            deleted: Vec::new(),
            claims: Claims::new(recording),
        };
        let cursor = sweep.run(group);
        sweep.reply(reply, cursor);
        let assigned = !sweep.claimed.is_empty();
        if assigned {
            group.consumer_mut(consumer).active_ms = Some(now_ms);
        }
        Ok(Claimed {
            created,
            assigned,
            moved: false,
            position: (group.last_delivered, group.entries_read),
            claims: sweep.claims,
        })
    })?;
    claimed.report(&mut handle, name, consumer_name, now_ms);
    Ok(Outcome::Done)
}

/// One XAUTOCLAIM on its way over the pending entries.
struct Sweep<'a> {
    log: &'a Log,
    consumer: ConsumerIndex,
    now_ms: u64,
    request: &'a SweepRequest,
    claimed: Vec<StreamId>,
    deleted: Vec<StreamId>,
    claims: Claims,
}

impl Sweep<'_> {
    /// Claims and cleans; gives where the next call should go on, `None` at the end.
    ///
    /// Redis looks at up to ten times COUNT entries one by one. Where no entry of the stream can be missing, the
    /// same entries are found by asking for the next idle one, up to the entry at that rank.
    fn run(&mut self, group: &mut Group) -> Option<StreamId> {
        let mut inspections = self.request.count.saturating_mul(INSPECTED_PER_COUNT);
        let mut from = self.request.start;
        loop {
            let next = group.pending().iter_from(from).next()?;
            if inspections == 0 || self.is_full() {
                return Some(next.id);
            }
            if self.log.surely_keeps(next.id) {
                return self.run_without_gaps(group, next.id, inspections);
            }
            inspections -= 1;
            if !self.log.contains(next.id) {
                self.claims.record(group, next);
                group.acknowledge(next.id);
                self.deleted.push(next.id);
            } else if next
                .delivery
                .is_claimable(self.now_ms, self.request.idle_min_ms.cast_signed())
            {
                self.take(group, next);
            }
            from = next.id.successor()?;
        }
    }

    fn run_without_gaps(
        &mut self,
        group: &mut Group,
        start: StreamId,
        inspections: usize,
    ) -> Option<StreamId> {
        let end_rank = group.pending().rank(start).saturating_add(inspections);
        let end = group.pending().id_at_rank(end_rank);
        let claimed = group.pending_mut().claim_idle(&IdleClaim {
            from: start,
            end,
            most: self.request.count - self.claimed.len() - self.deleted.len(),
            idle_min_ms: self.request.idle_min_ms,
            consumer: self.consumer,
            now_ms: self.now_ms,
            counts: !self.request.just_id,
        });
        for entry in &claimed {
            self.claims.record(group, *entry);
        }
        self.claimed.extend(claimed.iter().map(|entry| entry.id));
        let last = claimed.last().filter(|_| self.is_full());
        let Some(last) = last else {
            return end;
        };
        let from = last.id.successor()?;
        group.pending().iter_from(from).next().map(|next| next.id)
    }

    /// `[cursor, [entry, …], [deleted ID, …]]`
    fn reply(&self, reply: &mut Reply, cursor: Option<StreamId>) {
        reply.array(3);
        reply_id(reply, cursor.unwrap_or(StreamId::MIN));
        reply.array(self.claimed.len());
        for id in &self.claimed {
            match shown(self.log, *id, self.request.just_id) {
                Some(entry) => reply_entry(reply, &entry),
                None => reply_id(reply, *id),
            }
        }
        reply.array(self.deleted.len());
        for id in &self.deleted {
            reply_id(reply, *id);
        }
    }

    /// Redis: COUNT bounds the reply, the deleted entries included.
    fn is_full(&self) -> bool {
        self.claimed.len() + self.deleted.len() >= self.request.count
    }

    fn take(&mut self, group: &mut Group, entry: PendingEntry) {
        let count = entry.delivery.delivery_count;
        let delivery = Delivery {
            consumer: Some(self.consumer),
            delivered_ms: self.now_ms,
            delivery_count: delivered_again(count, self.request.just_id),
        };
        group.pending_mut().assign(entry.id, delivery);
        self.claims.record(
            group,
            PendingEntry {
                id: entry.id,
                delivery,
            },
        );
        self.claimed.push(entry.id);
    }
}
