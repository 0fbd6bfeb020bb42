//! Commands on groups and what they have acknowledged: XGROUP XACK.

use smallvec::SmallVec;

use crate::command::args::{is, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::data::stream::{Group, Log, Stream, StreamId};
use crate::keyspace::discard::{PARTS_MIN, Part};
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::keyspace::{KeyHandle, Space};
use crate::resp::arguments::Args;

use super::idempotency::window_of;
use super::{
    c_string, loose_id, report_consumer, stream_in, stream_in_mut, stream_mut, stream_of, strict_id,
};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xgroup", "", container)
        .arity(-2)
        .subcommands(SUBCOMMANDS)
        .docs(
            "5.0.0",
            "stream",
            "Depends on the subcommand",
            "Commands that manage consumer groups.",
        ),
    Command::new("xack", "key group id [id ...]", xack)
        .arity(-4)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(log N) for each ID",
            "Takes entries off the pending list of a group and tells how many were on it.",
        ),
];

static SUBCOMMANDS: &[Command] = &[
    Command::new(
        "create",
        "key group id-selector:<id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
        create,
    )
    .arity(-5)
    .flags(&[Flags::WRITE, Flags::DENYOOM])
    .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::INSERT), 2)])
    .categories(&["stream"])
    .docs("5.0.0", "stream", "O(1)", "Creates a consumer group."),
    Command::new("createconsumer", "key group consumer", create_consumer)
        .arity(5)
        .flags(&[Flags::WRITE, Flags::DENYOOM])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::INSERT), 2)])
        .categories(&["stream"])
        .docs("6.2.0", "stream", "O(1)", "Adds a consumer to a group."),
    Command::new("delconsumer", "key group consumer", delete_consumer)
        .arity(5)
        .flags(&[Flags::WRITE])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 2)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(M log N) for M entries pending with it",
            "Removes a consumer from a group with all it has pending.",
        ),
    Command::new("destroy", "key group", destroy)
        .arity(4)
        .flags(&[Flags::WRITE])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 2)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(N) for N pending entries",
            "Removes a consumer group.",
        ),
    Command::new("help", "", help)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE])
        .categories(&["stream"])
        .docs("5.0.0", "stream", "O(1)", "Lists the subcommands."),
    Command::new(
        "setid",
        "key group id-selector:<id | $> [ENTRIESREAD entriesread=entries-read]",
        set_id,
    )
    .arity(-5)
    .flags(&[Flags::WRITE])
    .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 2)])
    .categories(&["stream"])
    .docs(
        "5.0.0",
        "stream",
        "O(1)",
        "Sets the last delivered ID of a group.",
    ),
];

fn container(_: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand("xgroup", args.at(1)))
}

fn help(ctx: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        "HELP",
        "    Print this help.",
    ]);
    Ok(Outcome::Done)
}

/// The options of CREATE and SETID.
#[derive(Default)]
struct GroupOptions {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl GroupOptions {
    fn parse(args: &Args<'_>, creating: bool) -> Result<GroupOptions, CommandError> {
        let mut options = GroupOptions::default();
        let mut at = 5;
        while at < args.len() {
            if creating && is(args.at(at), "MKSTREAM") {
                options.make_stream = true;
                at += 1;
            } else if is(args.at(at), "ENTRIESREAD") && at + 1 < args.len() {
                options.entries_read = match required_integer(args.at(at + 1))? {
                    -1 => None,
                    count => Some(u64::try_from(count).map_err(|_| error::ENTRIES_READ_NEGATIVE)?),
                };
                at += 2;
            } else {
                return Err(error::wrong_subcommand("xgroup", args.at(1)));
            }
        }
        Ok(options)
    }

    /// Hands on what was said of entries read, as it was taken.
    fn write_entries_read(effect: &mut EffectWriter, entries_read: Option<u64>) {
        if let Some(read) = entries_read {
            effect.arg("ENTRIESREAD").integer(read.cast_signed());
        }
    }

    /// How many entries the group has read: not more than were added to the stream. A replay takes what was recorded.
    fn entries_read(&self, log: &Log, replaying: bool) -> Option<u64> {
        let most = if replaying {
            u64::MAX
        } else {
            log.entries_added()
        };
        self.entries_read.map(|read| read.min(most))
    }
}

/// The key to change; an error when it is no stream or, unless `may_miss`, missing.
fn open_key<'s>(
    space: &'s mut Space<'_>,
    key: &'s [u8],
    may_miss: bool,
) -> Result<KeyHandle<'s>, CommandError> {
    let handle = space.write(key);
    if stream_in(handle.value())?.is_none() && !may_miss {
        return Err(error::XGROUP_WITHOUT_KEY);
    }
    Ok(handle)
}

/// The key to change, which must have the group.
fn open_group<'s>(
    space: &'s mut Space<'_>,
    key: &'s [u8],
    group: &[u8],
) -> Result<KeyHandle<'s>, CommandError> {
    let handle = open_key(space, key, false)?;
    let found = stream_in(handle.value())?.and_then(|stream| stream.group(group));
    match found {
        Some(_) => Ok(handle),
        None => Err(error::no_such_group(key, group)),
    }
}

/// XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD n]
///
/// Effect: the same with the ID that `$` stood for. Only the creation of the stream modifies the key.
fn create(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name) = (args.at(2), args.at(3));
    let options = GroupOptions::parse(args, true)?;
    let mut handle = open_key(&mut ctx.space, key, options.make_stream)?;
    let replaying = handle.is_replaying();
    let stream = stream_in(handle.value())?;
    if args.len() > 8 {
        return Err(error::wrong_subcommand("xgroup", args.at(1)));
    }
    let id = match c_string(args.at(4)) {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.log().last_id()),
        _ => strict_id(args.at(4))?,
    };
    if stream.is_some_and(|stream| stream.group(name).is_some()) {
        return Err(error::GROUP_EXISTS);
    }
    if stream.is_none() {
        handle.insert(Value::Stream(Box::new(Stream::new(window_of(
            ctx.settings,
        )))));
        handle.touched();
    }
    let mut entries_read = None;
    if let Some(stream) = stream_mut(&mut handle) {
        entries_read = options.entries_read(stream.log(), replaying);
        stream.create_group(name, Group::new(id, entries_read));
    }
    handle.event(EventClass::STREAM, "xgroup-create");
    handle.effect(|effect| {
        effect
            .arg("XGROUP")
            .arg("CREATE")
            .arg(key)
            .arg(name)
            .arg(id.text().as_bytes());
        if options.make_stream {
            effect.arg("MKSTREAM");
        }
        GroupOptions::write_entries_read(effect, entries_read);
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// XGROUP SETID key group id|$ [ENTRIESREAD n]
fn set_id(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name) = (args.at(2), args.at(3));
    let options = GroupOptions::parse(args, false)?;
    let mut handle = open_group(&mut ctx.space, key, name)?;
    let replaying = handle.is_replaying();
    if args.len() > 7 {
        return Err(error::wrong_subcommand("xgroup", args.at(1)));
    }
    let stream = stream_in(handle.value())?;
    let id = match c_string(args.at(4)) {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.log().last_id()),
        _ => loose_id(args.at(4), 0)?,
    };
    let mut entries_read = None;
    if let Some((group, log)) = stream_mut(&mut handle).and_then(|stream| stream.group_mut(name)) {
        entries_read = options.entries_read(log, replaying);
        group.last_delivered = id;
        group.entries_read = entries_read;
    }
    handle.event(EventClass::STREAM, "xgroup-setid");
    handle.effect(|effect| {
        effect
            .arg("XGROUP")
            .arg("SETID")
            .arg(key)
            .arg(name)
            .arg(id.text().as_bytes());
        GroupOptions::write_entries_read(effect, entries_read);
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// XGROUP DESTROY key group
///
/// Clients that wait for the group run again and read that it is gone.
fn destroy(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name) = (args.at(2), args.at(3));
    let mut handle = open_key(&mut ctx.space, key, false)?;
    let removed = handle.change(|value| stream_in_mut(value)?.remove_group(name));
    let found = removed.is_some();
    if let Some(group) = removed {
        if group.pending().len() > PARTS_MIN {
            handle.discard(Part::new(group));
        }
        handle.event(EventClass::STREAM, "xgroup-destroy");
        handle.effect(|effect| {
            effect.arg("XGROUP").arg("DESTROY").arg(key).arg(name);
        });
        handle.ready();
    }
    ctx.reply.integer(i64::from(found));
    Ok(Outcome::Done)
}

/// XGROUP CREATECONSUMER key group consumer
fn create_consumer(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name, consumer) = (args.at(2), args.at(3), args.at(4));
    let now_ms = ctx.now_ms();
    let mut handle = open_group(&mut ctx.space, key, name)?;
    let created = handle.change(|value| {
        let (group, _) = stream_in_mut(value)?.group_mut(name)?;
        group.create_consumer(consumer, now_ms)
    });
    if created.is_some() {
        report_consumer(&mut handle, name, consumer);
    }
    ctx.reply.integer(i64::from(created.is_some()));
    Ok(Outcome::Done)
}

/// XGROUP DELCONSUMER key group consumer
fn delete_consumer(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name, consumer) = (args.at(2), args.at(3), args.at(4));
    let mut handle = open_group(&mut ctx.space, key, name)?;
    let deleted = handle.change(|value| {
        let (group, _) = stream_in_mut(value)?.group_mut(name)?;
        group.delete_consumer(consumer)
    });
    if deleted.is_some() {
        handle.event(EventClass::STREAM, "xgroup-delconsumer");
        handle.effect(|effect| {
            effect
                .arg("XGROUP")
                .arg("DELCONSUMER")
                .arg(key)
                .arg(name)
                .arg(consumer);
        });
    }
    ctx.reply.count(deleted.unwrap_or(0));
    Ok(Outcome::Done)
}

/// XACK key group id [id ...]
///
/// Redis does not count this as a modification of the key.
fn xack(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, name) = (args.at(1), args.at(2));
    let found = stream_of(ctx.space.read(key))?.and_then(|stream| stream.group(name));
    if found.is_none() {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    let ids: SmallVec<[StreamId; 8]> = args.from(3).map(strict_id).collect::<Result<_, _>>()?;
    let mut handle = ctx.space.write(key);
    let acknowledged = handle.change(|value| {
        let found = stream_in_mut(value).and_then(|stream| stream.group_mut(name));
        let Some((group, _)) = found else { return 0 };
        let taken = ids.iter().filter(|id| group.acknowledge(**id).is_some());
        taken.count()
    });
    if acknowledged > 0 {
        handle.effect(|effect| {
            effect.arg("XACK").args(args.from(1));
        });
    }
    ctx.reply.count(acknowledged);
    Ok(Outcome::Done)
}
