//! Commands that add and remove entries: XADD XTRIM XDEL XSETID.

use smallvec::SmallVec;

use crate::command::args::{is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::config::Settings;
use crate::data::stream::{
    AppendError, BlockLimits, Log, RequestedId, Stream, StreamId, TrimOptions, TrimTo,
};
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::{stream_in, stream_mut, strict_id};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xadd", "key [NOMKSTREAM@6.2.0] [trim:<strategy:<MAXLEN | MINID@6.2.0> [operator:<= | ~>] threshold [LIMIT count@6.2.0]>] \
         id-selector:<* | id> data:<field value> ...", xadd)
        .arity(-5)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "stream", "O(1), with trimming O(N) for N entries removed", "Adds an entry to the end of a stream and creates the stream when needed."),
    Command::new("xtrim", "key trim:<strategy:<MAXLEN | MINID@6.2.0> [operator:<= | ~>] threshold [LIMIT count@6.2.0]>", xtrim)
        .arity(-4)
        .flags(&[Flags::WRITE])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
        .categories(&["stream"])
        .tips(&["nondeterministic_output"])
        .docs("5.0.0", "stream", "O(N) for N entries removed, in whole blocks far less", "Removes the oldest entries of a stream down to a length or an ID."),
    Command::new("xdel", "key id [id ...]", xdel)
        .arity(-3)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(1) for each entry", "Deletes entries of a stream by ID and tells how many there were."),
    Command::new("xsetid", "key last-id [ENTRIESADDED entries-added@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]", xsetid)
        .arity(-3)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(1)", "Sets the last ID and the counters of a stream; meant for replication and files."),
];

/// What stands before the fields of XADD, or after the key of XTRIM.
struct Options {
    /// Where the ID is; behind the last argument when there is none.
    id_at: usize,
    /// `None`: `*`.
    id: Option<RequestedId>,
    create: bool,
    trim: Option<TrimOptions>,
}

impl Options {
    /// Reads options until the ID (XADD) or the end (XTRIM).
    fn parse(args: &Args<'_>, adding: bool, settings: &Settings) -> Result<Options, CommandError> {
        let mut options = Options {
            id_at: 2,
            id: None,
            create: true,
            trim: None,
        };
        let mut limit = None;
        let mut at = 2;
        while at < args.len() {
            let (argument, more) = (args.at(at), args.len() - 1 - at);
            if adding && argument == b"*" {
                break;
            } else if more > 0 && (is(argument, "MAXLEN") || is(argument, "MINID")) {
                if options.trim.is_some() {
                    return Err(error::TRIM_STRATEGIES);
                }
                let approximate = more >= 2 && args.at(at + 1) == b"~";
                at += 1 + usize::from(approximate || (more >= 2 && args.at(at + 1) == b"="));
                let to = if is(argument, "MAXLEN") {
                    let length = required_integer(args.at(at))?;
                    TrimTo::MaxLength(u64::try_from(length).map_err(|_| error::MAXLEN_NEGATIVE)?)
                } else {
                    TrimTo::MinId(strict_id(args.at(at))?)
                };
                options.trim = Some(TrimOptions {
                    to,
                    approximate,
                    limit: 0,
                });
            } else if more > 0 && is(argument, "LIMIT") {
                at += 1;
                let count = required_integer(args.at(at))?;
                limit = Some(u64::try_from(count).map_err(|_| error::LIMIT_NEGATIVE)?);
            } else if adding && is(argument, "NOMKSTREAM") {
                options.create = false;
            } else if adding {
                let id = StreamId::parse_requested(argument);
                options.id = Some(id.map_err(|_| error::INVALID_STREAM_ID)?);
                break;
            } else {
                return Err(error::SYNTAX);
            }
            at += 1;
        }
        options.id_at = at;
        options.set_limit(limit, adding, settings)?;
        Ok(options)
    }

    fn set_limit(
        &mut self,
        limit: Option<u64>,
        adding: bool,
        settings: &Settings,
    ) -> Result<(), CommandError> {
        let Some(trim) = &mut self.trim else {
            return match limit {
                Some(1..) => Err(error::LIMIT_WITHOUT_STRATEGY),
                _ if !adding => Err(error::TRIM_WITHOUT_STRATEGY),
                Some(0) => Err(error::LIMIT_WITHOUT_APPROXIMATION),
                _ => Ok(()),
            };
        };
        trim.limit = match limit {
            Some(_) if !trim.approximate => return Err(error::LIMIT_WITHOUT_APPROXIMATION),
            Some(limit) => limit,
            None if !trim.approximate => 0,
            // Redis: a `~` trim without LIMIT does at most the work of 100 full blocks.
            None => match settings.stream_node_entries_max.saturating_mul(100) {
                0 => 10_000,
                entries => entries.min(1_000_000),
            },
        };
        Ok(())
    }
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

/// The goal that, applied exactly, leaves what a trim has left.
fn exact_goal(options: &TrimOptions, log: &Log) -> TrimTo {
    match options.to {
        _ if !options.approximate => options.to,
        TrimTo::MaxLength(_) => TrimTo::MaxLength(log.len()),
        TrimTo::MinId(_) => TrimTo::MinId(log.first_id_with_tombstones()),
    }
}

fn write_goal(effect: &mut EffectWriter, goal: TrimTo) {
    match goal {
        TrimTo::MaxLength(length) => effect.arg("MAXLEN").arg("=").integer(length.cast_signed()),
        TrimTo::MinId(id) => effect.arg("MINID").arg("=").arg(id.text().as_bytes()),
    };
}

/// What an XADD did.
struct Added {
    id: StreamId,
    trimmed: u64,
    goal: Option<TrimTo>,
}

fn add<'a>(
    stream: &mut Stream,
    options: &Options,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    limits: BlockLimits,
    now_ms: u64,
) -> Result<Added, CommandError> {
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
    let trimmed = options.trim.as_ref().map_or(0, |trim| log.trim(trim));
    let goal = options.trim.as_ref().map(|trim| exact_goal(trim, log));
    Ok(Added { id, trimmed, goal })
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
/// Effect: the same with the final ID and an exact trim. Events: xadd, then xtrim when entries went.
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
    let (key, now_ms) = (args.at(1), ctx.now_ms());
    let limits = block_limits(ctx.settings);
    let fields = Pairs(args.from(fields_at));
    let mut handle = ctx.space.write(key);
    let added = if stream_in(handle.value())?.is_none() {
        if !options.create {
            ctx.reply.null();
            return Ok(Outcome::Done);
        }
        let mut stream = Box::<Stream>::default();
        let added = add(&mut stream, &options, fields.clone(), limits, now_ms)?;
        handle.insert(Value::Stream(stream));
        added
    } else {
        let added = stream_mut(&mut handle)
            .map(|stream| add(stream, &options, fields.clone(), limits, now_ms));
        match added {
            Some(Ok(added)) => added,
            refused => {
                handle.unchanged();
                return Err(refused.and_then(Result::err).unwrap_or(error::WRONG_TYPE));
            }
        }
    };
    let id = added.id.text();
    ctx.reply.bulk(id.as_bytes());
    handle.event(EventClass::STREAM, "xadd");
    if added.trimmed > 0 {
        handle.event(EventClass::STREAM, "xtrim");
    }
    handle.effect(|effect| {
        effect.arg("XADD").arg(key);
        if let Some(goal) = added.goal {
            write_goal(effect, goal);
        }
        effect.arg(id.as_bytes()).args(args.from(fields_at));
    });
    handle.touched();
    handle.ready();
    Ok(Outcome::Done)
}

/// XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]
///
/// Effect: the exact trim it came to.
fn xtrim(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = Options::parse(args, false, ctx.settings)?;
    let key = args.at(1);
    let mut handle = ctx.space.write(key);
    stream_in(handle.value())?;
    let mut removed = 0;
    if let (Some(trim), Some(stream)) = (&options.trim, stream_mut(&mut handle)) {
        let log = stream.log_mut();
        removed = log.trim(trim);
        let goal = exact_goal(trim, log);
        if removed > 0 {
            handle.event(EventClass::STREAM, "xtrim");
            handle.effect(|effect| write_goal(effect.arg("XTRIM").arg(key), goal));
            handle.touched();
        } else {
            handle.unchanged();
        }
    }
    ctx.reply.integer(removed.cast_signed());
    Ok(Outcome::Done)
}

/// XDEL key id [id ...]
fn xdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    if stream_in(handle.value())?.is_none() {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    let ids: SmallVec<[StreamId; 8]> = args.from(2).map(strict_id).collect::<Result<_, _>>()?;
    let mut deleted = 0;
    if let Some(stream) = stream_mut(&mut handle) {
        let log = stream.log_mut();
        deleted = ids.iter().filter(|id| log.delete(**id)).count();
    }
    if deleted > 0 {
        handle.touched();
        handle.event(EventClass::STREAM, "xdel");
        handle.effect(|effect| {
            effect.arg("XDEL").args(args.from(1));
        });
    } else {
        handle.unchanged();
    }
    ctx.reply.count(deleted);
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
        let log = stream.log_mut();
        log.set_last_id(last_id);
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
