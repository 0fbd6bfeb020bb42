//! Messages that producers may send again: XCFGSET XIDMPRECORD, and what XADD has of it.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use crate::command::args::{Cursor, required_integer};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::config::Settings;
use crate::data::stream::{StreamId, Window};
use crate::keyspace::KeyHandle;
use crate::resp::arguments::Args;

use super::{stream_in, stream_in_mut, strict_id};

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "xcfgset",
        "key [IDMP-DURATION idmp-duration] [IDMP-MAXSIZE idmp-maxsize]",
        xcfgset,
    )
    .arity(-2)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
    .categories(&["stream"])
    .docs(
        "8.6.0",
        "stream",
        "O(1)",
        "Sets how long and how many messages of a producer a stream knows again.",
    ),
    Command::new("xidmprecord", "key pid iid stream-id", xidmprecord)
        .arity(5)
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .categories(&["stream"])
        .docs(
            "8.8.0",
            "stream",
            "O(log N) for N producers",
            "Records which entry a producer's message became; meant for replication and files.",
        ),
];

/// The longest and the largest window.
const DURATION_S_MAX: u32 = 86_400;
const SIZE_MAX: u32 = 10_000;
/// Bytes of a message's name that is made of its content.
const CONTENT_NAME_BYTES: usize = 16;

/// Whose message an XADD brings, and which.
#[derive(Clone, Copy)]
pub(super) enum Identity<'a> {
    /// IDMP: the producer names it.
    Named {
        producer: &'a [u8],
        message: &'a [u8],
    },
    /// IDMPAUTO: the same content is the same message.
    ByContent { producer: &'a [u8] },
}

impl<'a> Identity<'a> {
    /// Reads it with its values, when it is next.
    pub(super) fn parse(cursor: &mut Cursor<'a, '_>) -> Result<Option<Self>, CommandError> {
        if cursor.keyword("IDMP") {
            let (producer, message) = (cursor.value()?, cursor.value()?);
            if producer.is_empty() {
                return Err(error::IDMP_WITHOUT_PRODUCER);
            }
            if message.is_empty() {
                return Err(error::IDMP_WITHOUT_MESSAGE);
            }
            return Ok(Some(Self::Named { producer, message }));
        }
        if cursor.keyword("IDMPAUTO") {
            let producer = cursor.value()?;
            if producer.is_empty() {
                return Err(error::IDMPAUTO_WITHOUT_PRODUCER);
            }
            return Ok(Some(Self::ByContent { producer }));
        }
        Ok(None)
    }

    /// The message by name, given the fields and values of the entry.
    pub(super) fn named(self, fields: impl Iterator<Item = &'a [u8]>) -> Message<'a> {
        match self {
            Self::Named { producer, message } => Message {
                producer,
                name: Cow::Borrowed(message),
            },
            Self::ByContent { producer } => Message {
                producer,
                name: Cow::Owned(content_name(fields)),
            },
        }
    }
}

/// A hash that nobody finds a second content for: of lengths and texts of each field with its value, so that no two contents
/// look the same to it. As in Redis their order does not matter.
fn content_name<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut pairs: SmallVec<[[u8; 32]; 8]> = SmallVec::new();
    while let Some(field) = fields.next() {
        let mut hash = Sha256::new();
        for text in [field, fields.next().unwrap_or_default()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        pairs.push(hash.finalize().into());
    }
    pairs.sort_unstable();
    let mut hash = Sha256::new();
    pairs.iter().for_each(|pair| hash.update(pair));
    hash.finalize()[..CONTENT_NAME_BYTES].to_vec()
}

/// A message of a producer.
pub(super) struct Message<'a> {
    pub(super) producer: &'a [u8],
    pub(super) name: Cow<'a, [u8]>,
}

/// Hands on that a message was recorded. With the first ever of a stream goes the window, which whoever repeats it may have
/// otherwise by default.
pub(super) fn report_record(handle: &mut KeyHandle<'_>, message: &Message<'_>, id: StreamId) {
    handle.records_messages();
    let key = handle.key();
    let stream = stream_in(handle.value()).ok().flatten();
    let first = stream.map(|stream| stream.idempotency());
    if let Some(tables) = first.filter(|tables| tables.added() == 1) {
        let window = tables.window();
        handle.effect(|effect| {
            effect.arg("XCFGSET").arg(key);
            effect
                .arg("IDMP-DURATION")
                .integer(window.duration_s.into());
            effect.arg("IDMP-MAXSIZE").integer(window.size_max.into());
        });
    }
    handle.effect(|effect| {
        effect.arg("XIDMPRECORD").arg(key).arg(message.producer);
        effect.arg(&message.name).arg(id.text().as_bytes());
    });
}

/// What new streams begin with.
pub(super) fn window_of(settings: &Settings) -> Window {
    Window {
        duration_s: settings.stream_idmp_duration_s,
        size_max: settings.stream_idmp_size_max,
    }
}

fn bounded(text: &[u8], most: u32, refused: CommandError) -> Result<u32, CommandError> {
    let value = u32::try_from(required_integer(text)?).ok();
    value
        .filter(|value| (1..=most).contains(value))
        .ok_or(refused)
}

/// XCFGSET key [IDMP-DURATION seconds] [IDMP-MAXSIZE count]
///
/// Another window than before makes the messages unknown that were recorded; the same one changes nothing.
fn xcfgset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (mut duration_s, mut size_max) = (None, None);
    let mut handle = ctx.space.write(args.at(1));
    stream_in(handle.value())?.ok_or(error::NO_SUCH_KEY)?;
    let mut cursor = Cursor::new(args, 2);
    while cursor.left() > 0 {
        if cursor.keyword("IDMP-DURATION") {
            let value = bounded(cursor.value()?, DURATION_S_MAX, error::IDMP_DURATION_RANGE)?;
            if duration_s.replace(value).is_some() {
                return Err(error::IDMP_DURATION_TWICE);
            }
        } else if cursor.keyword("IDMP-MAXSIZE") {
            let value = bounded(cursor.value()?, SIZE_MAX, error::IDMP_MAXSIZE_RANGE)?;
            if size_max.replace(value).is_some() {
                return Err(error::IDMP_MAXSIZE_TWICE);
            }
        } else {
            return Err(error::SYNTAX);
        }
    }
    if duration_s.is_none() && size_max.is_none() {
        return Err(error::XCFGSET_WITHOUT_PARAMETER);
    }
    let changed = handle.change(|value| {
        let Some(stream) = stream_in_mut(value) else {
            return false;
        };
        let tables = stream.idempotency_mut();
        let before = tables.window();
        let other = tables.set_window(Window {
            duration_s: duration_s.unwrap_or(before.duration_s),
            size_max: size_max.unwrap_or(before.size_max),
        });
        // Also the same window is noted: XINFO tells of it from now on.
        tables.note_configured() || other
    });
    if changed {
        handle.effect(|effect| {
            effect.arg("XCFGSET").args(args.from(1));
        });
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// XIDMPRECORD key pid iid stream-id
///
/// The time of the record is the time of the command. A record that is there already stays as it is. In a replay the time
/// runs faster than it did: a message that was not known any more is known still, and what comes later supersedes it.
fn xidmprecord(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (producer, name) = (args.at(2), args.at(3));
    let id = strict_id(args.at(4))?;
    if producer.is_empty() {
        return Err(error::XIDMPRECORD_WITHOUT_PRODUCER);
    }
    if name.is_empty() {
        return Err(error::XIDMPRECORD_WITHOUT_MESSAGE);
    }
    let now_ms = ctx.now_ms();
    let mut handle = ctx.space.write(args.at(1));
    let replaying = handle.is_replaying();
    let stream = stream_in(handle.value())?.ok_or(error::NO_SUCH_KEY)?;
    let known = stream.idempotency().find(producer, name, now_ms);
    let known = known.filter(|known| *known == id || !replaying);
    if !stream.log().contains(id) {
        return Err(error::IDMP_ENTRY_GONE);
    }
    if known.is_some_and(|known| known != id) {
        return Err(error::IDMP_RECORDED_OTHERWISE);
    }
    if known.is_none() {
        handle.change(|value| {
            let stream = stream_in_mut(value).ok_or(error::NO_SUCH_KEY)?;
            let tables = stream.idempotency_mut();
            // What a replay repeats was within the limit then, though its time runs faster.
            if !replaying && !tables.has_room_for(producer, now_ms) {
                return Err(error::idmp_too_many_producers());
            }
            tables.record(producer, name, id, now_ms);
            Ok(true)
        })?;
        let name = Cow::Borrowed(name);
        report_record(&mut handle, &Message { producer, name }, id);
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}
