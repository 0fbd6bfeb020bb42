//! Commands that read what comes next, and wait for it: XREAD XREADGROUP.
//!
//! ```text
//! request.rs  the grammar of both, limits of a reply, what a wait is for        deliver.rs  a group's entries to a consumer
//! ```
//! XREAD and XREADGROUP are one grammar. All keys are checked before any is read; then each gives what it has. If none
//! has anything the client may wait, with `$` resolved to the ID it meant when the command came.

mod deliver;
mod request;

use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::data::stream::{Log, StreamId};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::interval::{Direction, Interval};
use super::{OpenCollection, c_string, reply_entry, stream_of, strict_id};
use deliver::GroupRead;
use request::{From, Froms, ReadRequest, Room};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xread", "[COUNT count] [MAXCOUNT maxcount=count@8.10.0] [MAXSIZE maxsize=count@8.10.0] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]", xread)
        .arity(-4)
        .flags(&[Flags::READONLY, Flags::BLOCKING, Flags::MOVABLE_KEYS])
        .keys(&[KeySpec::half_after(KeyFlags::RO.and(KeyFlags::ACCESS), "STREAMS", 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(log N + M) for each stream with M entries returned", "Gives the entries after an ID of one or more streams; waits for one if asked to."),
    Command::new("xreadgroup", "GROUP group-block:<group consumer> [COUNT count] [MAXCOUNT maxcount=count@8.10.0] [MAXSIZE maxsize=count@8.10.0] [BLOCK milliseconds] [CLAIM min-idle-time@8.4.0] [NOACK] STREAMS key [key ...] id [id ...]", xreadgroup)
        .arity(-7)
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLE_KEYS])
        .keys(&[KeySpec::half_after_group(KeyFlags::RO.and(KeyFlags::ACCESS))])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(log N + M) for each stream with M entries returned", "Gives new or still pending entries of streams to a consumer of a group; waits for one if asked to."),
];

/// XREAD [COUNT n] [MAXCOUNT n] [MAXSIZE bytes] [BLOCK ms] STREAMS key … id …
fn xread(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let request = ReadRequest::parse(args, false, ctx.now_ms())?;
    request.check_in_script(ctx, args)?;
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
            // The last entry: what comes after the ID before it; where there is none, the next one.
            b"+" => log.map_or(StreamId::MIN, |log| {
                let last = log.last_entry_id().and_then(StreamId::predecessor);
                last.unwrap_or_else(|| log.last_id())
            }),
            b">" => return Err(error::UNDELIVERED_IN_XREAD),
            _ => strict_id(request.id_text(args, index))?,
        }));
    }
    let mut room = Room::new(&request, ctx.reply);
    let mut open = None;
    let mut served = 0;
    for (index, from) in from.iter().enumerate() {
        let From::After(id) = *from else { continue };
        let key = request.key(args, index);
        let Some(stream) = stream_of(ctx.space.read(key))? else {
            continue;
        };
        let log = stream.log();
        if log.last_entry_id().is_none_or(|last| last <= id) {
            continue;
        }
        let Some(first) = id.successor() else {
            continue;
        };
        let mark = ctx.reply.mark();
        if open.is_none() {
            open = Some(OpenCollection::map_of_pairs(ctx.reply, 1));
        }
        open_stream(ctx.reply, key);
        if reply_entries_after(ctx.reply, log, first, request.count, &mut room) == 0 {
            // No room, so something was given before: what has begun here goes again.
            ctx.reply.truncate(mark);
            break;
        }
        served += 1;
    }
    match open {
        Some(open) => open.close(ctx.reply, served),
        None => return Ok(request.wait(ctx, args, &from, Vec::new())),
    }
    Ok(Outcome::Done)
}

/// `[entry, …]` from an ID on, as many as find room; gives how many.
fn reply_entries_after(
    reply: &mut Reply,
    log: &Log,
    start: StreamId,
    count: Option<usize>,
    room: &mut Room,
) -> usize {
    let most = room.entries(count);
    let interval = Interval {
        start,
        end: StreamId::MAX,
        direction: Direction::Ascending,
    };
    if !room.is_measured() {
        let written = match most {
            0 => 0,
            most => interval.reply(reply, log, most),
        };
        room.take(written);
        return written;
    }
    let open = OpenCollection::array(reply, count.unwrap_or(0));
    let mut written = 0;
    for entry in log.range(interval.start, interval.end).take(most) {
        if !room.fits(reply, |reply| reply_entry(reply, &entry)) {
            break;
        }
        written += 1;
    }
    open.close(reply, written);
    written
}

/// A stream's part of the reply: its key, then its entries follow.
fn open_stream(reply: &mut Reply, key: &[u8]) {
    if !reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(key);
}

/// XREADGROUP GROUP group consumer [COUNT n] [MAXCOUNT n] [MAXSIZE bytes] [BLOCK ms] [CLAIM min-idle] [NOACK]
/// STREAMS key … id …
///
/// Effects: the consumer's creation; XCLAIM of what was delivered (for history and what was taken over, of each entry
/// with its new count); the group's position. None of this counts as a modification of the key.
fn xreadgroup(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let request = ReadRequest::parse(args, true, ctx.now_ms())?;
    request.check_in_script(ctx, args)?;
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
    let mut read = GroupRead::new(&request, ctx.reply);
    for (index, from) in from.iter().enumerate() {
        if *from != From::Elsewhere {
            read.serve(ctx, request.key(args, index), *from);
        }
    }
    let alarms = read.close(ctx.reply);
    match alarms {
        Some(alarms) => Ok(request.wait(ctx, args, &from, alarms)),
        None => Ok(Outcome::Done),
    }
}
