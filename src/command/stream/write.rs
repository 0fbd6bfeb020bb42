//! Commands that add entries and cut streams: XADD XTRIM XSETID. Their options are in `options`.

use crate::command::args::{is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::config::Settings;
use crate::data::stream::{
    AppendError, BlockLimits, Log, Removed, RequestedId, Stream, StreamId, TrimTo,
};
use crate::keyspace::discard::{PARTS_MIN, Part};
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::{KeyHandle, Report};
use crate::resp::arguments::Args;

use super::delete::report_removed;
use super::idempotency::{Message, report_record, window_of};
use super::options::Options;
use super::{reply_id, stream_in, stream_in_mut, stream_mut, strict_id};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xadd", "key [NOMKSTREAM@6.2.0] [condition@8.2.0:<KEEPREF | DELREF | ACKED>] \
         [idmp@8.6.0:<IDMPAUTO producer-id | idmp:<IDMP producer-id idempotent-id>>] [trim:<strategy:<MAXLEN | MINID@6.2.0> [operator:<= | ~>] threshold [LIMIT count@6.2.0]>] \
         id-selector:<* | id> data:<field value> ...", xadd)
        .arity(-5)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "stream", "O(1), with trimming O(N) for N entries removed", "Adds an entry to the end of a stream and creates the stream when needed."),
    Command::new("xtrim", "key trim:<strategy:<MAXLEN | MINID@6.2.0> [operator:<= | ~>] threshold [LIMIT count@6.2.0]> [condition@8.2.0:<KEEPREF | DELREF | ACKED>]", xtrim)
        .arity(-4)
        .flags(&[Flags::WRITE])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "stream", "O(N) for N entries removed, in whole blocks far less", "Removes the oldest entries of a stream down to a length or an ID."),
    Command::new("xsetid", "key last-id [ENTRIESADDED entries-added@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]", xsetid)
        .arity(-3)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(1)", "Sets the last ID and the counters of a stream; meant for replication and files."),
];

fn write_goal(effect: &mut EffectWriter, goal: TrimTo) {
    match goal {
        TrimTo::MaxLength(length) => effect.arg("MAXLEN").arg("=").integer(length.cast_signed()),
        TrimTo::MinId(id) => effect.arg("MINID").arg("=").arg(id.text().as_bytes()),
    };
}

fn block_limits(settings: &Settings) -> BlockLimits {
    BlockLimits {
        bytes_max: usize::try_from(settings.stream_node_bytes_max).unwrap_or(0),
        entries_max: settings.stream_node_entries_max,
    }
}

/// Fields and values as pairs.
#[derive(Clone)]
struct Pairs<I>(I);

impl<'a, I: Iterator<Item = &'a [u8]>> Iterator for Pairs<I> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

/// What an XADD did.
struct Added {
    id: StreamId,
    removed: Removed,
    /// The blocks that went, when they are many.
    gone: Option<Log>,
    /// Whether the entry outlived its own trim, where a message asks for it.
    is_there: bool,
}

impl Report for Added {
    fn is_change(&self) -> bool {
        true
    }
}

/// Adds the entry, trims, and only then records whose message it was: one that is refused leaves nothing behind.
fn add<'a>(
    stream: &mut Stream,
    options: &Options<'_>,
    message: Option<&Message<'_>>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    limits: BlockLimits,
    now_ms: u64,
) -> Result<Added, CommandError> {
    let tables = stream.idempotency_mut();
    if message.is_some_and(|message| !tables.has_room_for(message.producer, now_ms)) {
        return Err(error::idmp_too_many_producers());
    }
    let log = stream.log_mut();
    if log.last_id() == StreamId::MAX {
        return Err(error::STREAM_EXHAUSTED);
    }
    let id = match options.id {
        None => log.next_id(now_ms).ok_or(error::STREAM_EXHAUSTED)?,
        Some(RequestedId::Whole(id)) => id,
        Some(RequestedId::AnySequence(ms)) => log.next_id_within(ms).map_err(append_error)?,
    };
    log.append(id, fields, limits).map_err(append_error)?;
    let trim = options.trim.as_ref();
    let gone = trim.and_then(|trim| stream.log().share_before_trim(trim, PARTS_MIN));
    let removed = trim.map(|trim| stream.trim(trim, options.policy));
    let tables = stream.idempotency_mut();
    match message {
        None => drop(tables.end_producers(now_ms, usize::MAX)),
        Some(message) => tables.record(message.producer, &message.name, id, now_ms),
    }
    Ok(Added {
        id,
        gone,
        removed: removed.unwrap_or_default(),
        is_there: message.is_none() || stream.log().contains(id),
    })
}

fn append_error(reason: AppendError) -> CommandError {
    match reason {
        AppendError::IdNotGreater => error::XADD_ID_TOO_SMALL,
        AppendError::Exhausted => error::STREAM_EXHAUSTED,
        AppendError::TooLarge => error::STREAM_ENTRY_TOO_LARGE,
    }
}

/// XADD key [options] id field value [field value ...]
///
/// Effects: see [`report_added`]. Events: xadd, then xtrim when entries went. A message that is known already changes
/// nothing, whatever else the command says.
fn xadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = Options::parse(args, true, ctx.settings)?;
    let fields_at = options.id_at + 1;
    let texts = args.len().saturating_sub(fields_at);
    if texts < 2 || texts % 2 == 1 {
        return Err(error::wrong_arity("xadd"));
    }
    if options.id == Some(RequestedId::Whole(StreamId::MIN)) {
        return Err(error::XADD_ID_ZERO);
    }
    let now_ms = ctx.now_ms();
    let limits = block_limits(ctx.settings);
    let fields = Pairs(args.from(fields_at));
    let mut handle = ctx.space.write(args.at(1));
    let stream = stream_in(handle.value())?;
    if stream.is_none() && options.keep_missing {
        ctx.reply.null();
        return Ok(Outcome::Done);
    }
    let identity = options.identity;
    let message = identity.map(|identity| identity.named(args.from(fields_at)));
    let known = message.as_ref().zip(stream).and_then(|(message, stream)| {
        let tables = stream.idempotency();
        tables.find(message.producer, &message.name, now_ms)
    });
    let exists = stream.is_some();
    if let Some(id) = known {
        handle.change(|value| {
            if let Some(stream) = stream_in_mut(value) {
                stream.idempotency_mut().count_duplicate();
            }
            // The count is all: whoever repeats the effects is sent no duplicates.
            false
        });
        reply_id(ctx.reply, id);
        return Ok(Outcome::Done);
    }
    let message = message.as_ref();
    let mut added = if exists {
        handle.change(|value| {
            let stream = stream_in_mut(value).ok_or(error::WRONG_TYPE)?;
            add(stream, &options, message, fields, limits, now_ms)
        })?
    } else {
        let mut stream = Box::new(Stream::new(window_of(ctx.settings)));
        let added = add(&mut stream, &options, message, fields, limits, now_ms)?;
        handle.insert(Value::Stream(stream));
        added
    };
    reply_id(ctx.reply, added.id);
    handle.event(EventClass::STREAM, "xadd");
    if added.removed.trimmed > 0 {
        handle.event(EventClass::STREAM, "xtrim");
    }
    report_added(&mut handle, &added, message, args.from(fields_at));
    if let Some(gone) = added.gone.take() {
        handle.discard(Part::new(gone));
    }
    handle.touched();
    handle.ready();
    Ok(Outcome::Done)
}

/// Hands on an XADD: the same with the final ID and an exact trim; the message it was; what else [`report_removed`] has. A
/// message is recorded while its entry is there, so where the entry fell to its own trim that comes last.
fn report_added<'a>(
    handle: &mut KeyHandle<'_>,
    added: &Added,
    message: Option<&Message<'_>>,
    fields: impl Iterator<Item = &'a [u8]>,
) {
    let key = handle.key();
    let (with_it, behind) = match added.removed.trim {
        Some(goal) if !added.is_there => (None, Some(goal)),
        goal => (goal, None),
    };
    handle.effect(|effect| {
        effect.arg("XADD").arg(key);
        if let Some(goal) = with_it {
            write_goal(effect, goal);
        }
        effect.arg(added.id.text().as_bytes()).args(fields);
    });
    if let Some(message) = message {
        report_record(handle, message, added.id);
    }
    if let Some(goal) = behind {
        handle.effect(|effect| write_goal(effect.arg("XTRIM").arg(key), goal));
    }
    report_removed(handle, &added.removed);
}

/// XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count] [KEEPREF|DELREF|ACKED]
///
/// Effects: the exact trim it came to; XDEL of what went from behind entries that stayed; XACK of references that went.
fn xtrim(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = Options::parse(args, false, ctx.settings)?;
    let key = args.at(1);
    let mut handle = ctx.space.write(key);
    stream_in(handle.value())?;
    let mut gone = None;
    let removed = handle.change(|value| match (&options.trim, stream_in_mut(value)) {
        (Some(trim), Some(stream)) => {
            gone = stream.log().share_before_trim(trim, PARTS_MIN);
            stream.trim(trim, options.policy)
        }
        _ => Removed::default(),
    });
    if let Some(gone) = gone {
        handle.discard(Part::new(gone));
    }
    if let Some(goal) = removed.trim.filter(|_| removed.front_moved()) {
        let changes = removed.trimmed - removed.deleted.len() as u64;
        handle.effect_of(changes as usize, |effect| {
            write_goal(effect.arg("XTRIM").arg(key), goal);
        });
    }
    report_removed(&mut handle, &removed);
    if removed.trimmed > 0 {
        handle.event(EventClass::STREAM, "xtrim");
        handle.touched();
    }
    ctx.reply.integer(removed.trimmed.cast_signed());
    Ok(Outcome::Done)
}

/// XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id]
///
/// Redis does not count this as a modification of the key.
fn xsetid(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let last_id = strict_id(args.at(2))?;
    let (mut entries_added, mut max_deleted) = (None, StreamId::MIN);
    let mut at = 3;
    while at < args.len() {
        let value = args.get(at + 1);
        match value {
            Some(value) if is(args.at(at), "ENTRIESADDED") => {
                let count = required_integer(value)?;
                entries_added =
                    Some(u64::try_from(count).map_err(|_| error::ENTRIES_ADDED_NEGATIVE)?);
            }
            Some(value) if is(args.at(at), "MAXDELETEDID") => {
                max_deleted = strict_id(value)?;
                if last_id < max_deleted {
                    return Err(error::XSETID_BELOW_GIVEN_DELETED);
                }
            }
            _ => return Err(error::SYNTAX),
        }
        at += 2;
    }
    let mut handle = ctx.space.write(args.at(1));
    let log = stream_in(handle.value())?.ok_or(error::NO_SUCH_KEY)?.log();
    if last_id < log.max_deleted_id() {
        return Err(error::XSETID_BELOW_DELETED);
    }
    if let Some(top) = log.last_entry_id() {
        if last_id < top {
            return Err(error::XSETID_BELOW_TOP);
        }
        if entries_added.is_some_and(|count| count < log.len()) {
            return Err(error::XSETID_ADDED_BELOW_LENGTH);
        }
    }
    if let Some(stream) = stream_mut(&mut handle) {
        stream.set_last_id(last_id);
        let log = stream.log_mut();
        if let Some(count) = entries_added {
            log.set_entries_added(count);
        }
        if !max_deleted.is_zero() {
            log.set_max_deleted_id(max_deleted);
        }
    }
    handle.event(EventClass::STREAM, "xsetid");
    handle.effect(|effect| {
        effect.arg("XSETID").args(args.from(1));
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}
