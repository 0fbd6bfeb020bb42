//! Strings set, as a whole or in part.

use crate::command::args::{self, Cursor, is};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::expiry_option::{RequestedExpiry, TimeForm};
use crate::command::keyspace::{lift_expiry, remove_as_expired, set_expiry};
use crate::command::spec::KeyFlags;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::{StringValue, Value};
use crate::keyspace::{KeyHandle, Space};
use crate::resp::arguments::Args;

use super::condition::Condition;
use super::{string_of, write_string_or_null};

/// The options of SET.
#[derive(Default)]
struct SetOptions<'a> {
    condition: Condition<'a>,
    get: bool,
    keep_expiry: bool,
    expiry: Option<RequestedExpiry<'a>>,
}

/// Whose options they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grammar {
    /// SET
    OneKey,
    /// MSETEX, which compares nothing and gives nothing back.
    ManyKeys,
}

impl<'a> SetOptions<'a> {
    /// The options from an argument on.
    fn read(args: &Args<'a>, from: usize, grammar: Grammar) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = Cursor::new(args, from);
        let is_set = grammar == Grammar::OneKey;
        while rest.left() > 0 {
            let mut condition = Condition::read_presence(&mut rest);
            if is_set && condition.is_none() {
                condition = Condition::read_comparison(&mut rest);
            }
            if let Some(condition) = condition {
                // Redis: the same of NX and XX may come twice.
                if options.condition != Condition::Any && options.condition != condition {
                    return Err(error::SYNTAX);
                }
                options.condition = condition;
            } else if is_set && rest.keyword("GET") {
                options.get = true;
            } else if options.expiry.is_none() && rest.keyword("KEEPTTL") {
                options.keep_expiry = true;
            } else if !options.keep_expiry
                && let Some(expiry) = RequestedExpiry::read_next(&mut rest)
                // Redis: the same option may come twice, the last counts; two different ones may not.
                && options.expiry.is_none_or(|before| before.form == expiry.form)
            {
                options.expiry = Some(expiry);
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }
}

/// What SET does to its key: with GET or a comparison it reads it too. Redis: arguments that are no options are not looked at.
pub(super) fn set_key_flags(args: &Args<'_>) -> KeyFlags {
    const READS: [&str; 5] = ["GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"];
    let reads = |option| READS.iter().any(|name| is(option, name));
    if args.from(3).any(reads) {
        KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE)
    } else {
        KeyFlags::OW.and(KeyFlags::UPDATE)
    }
}

/// Whether SET set the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assigned {
    Yes,
    /// Its condition did not hold.
    No,
}

pub(super) fn set(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = SetOptions::read(args, 3, Grammar::OneKey)?;
    match assign(ctx, args.at(1), args.at(2), &options)? {
        _ if options.get => {}
        Assigned::Yes => ctx.reply.ok(),
        Assigned::No => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

pub(super) fn setnx(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = SetOptions {
        condition: Condition::Absent,
        ..SetOptions::default()
    };
    let assigned = assign(ctx, args.at(1), args.at(2), &options)?;
    ctx.reply.integer(i64::from(assigned == Assigned::Yes));
    Ok(Outcome::Done)
}

pub(super) fn setex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    set_for(ctx, args, TimeForm::SECONDS)
}

pub(super) fn psetex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    set_for(ctx, args, TimeForm::MILLISECONDS)
}

fn set_for(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    form: TimeForm,
) -> Result<Outcome, CommandError> {
    let options = SetOptions {
        expiry: Some(RequestedExpiry {
            form,
            text: args.at(2),
        }),
        ..SetOptions::default()
    };
    assign(ctx, args.at(1), args.at(3), &options)?;
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// SET and its kin; with GET the old value is written to the reply.
fn assign(
    ctx: &mut Context<'_>,
    key: &[u8],
    text: &[u8],
    options: &SetOptions<'_>,
) -> Result<Assigned, CommandError> {
    let now_ms = ctx.now_ms();
    let expire_ms = match &options.expiry {
        Some(expiry) => Some(expiry.at_ms(now_ms, &ctx.row.full_name)?),
        None => None,
    };
    if options.get {
        write_string_or_null(ctx.reply, string_of(ctx.space.read(key))?);
    }
    let mut handle = ctx.space.write(key);
    if !options.condition.holds(handle.entry())? {
        return Ok(Assigned::No);
    }
    put(&mut handle, key, text, expire_ms, options.keep_expiry);
    Ok(Assigned::Yes)
}

/// Sets a key to a text. Its expiry becomes another, or none unless it is kept.
fn put(
    handle: &mut KeyHandle<'_>,
    key: &[u8],
    text: &[u8],
    expire_ms: Option<u64>,
    keep_expiry: bool,
) {
    handle.overwrite_string(text);
    if !keep_expiry && (expire_ms.is_some() || handle.expiry().is_some()) {
        handle.set_expiry(expire_ms);
    }
    handle.effect(|effect| {
        effect.arg("SET").arg(key).arg(text);
        if let Some(at) = expire_ms {
            effect.arg("PXAT").integer(at as i64);
        } else if keep_expiry {
            effect.arg("KEEPTTL");
        }
    });
    handle.touched();
    handle.event(EventClass::STRING, "set");
    if expire_ms.is_some() {
        handle.event(EventClass::GENERIC, "expire");
    }
}

/// Sets a key to a text, without expiry: GETSET and each pair of MSET.
fn replace(space: &mut Space<'_>, key: &[u8], text: &[u8]) {
    put(&mut space.write(key), key, text, None, false);
}

pub(super) fn getset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    write_string_or_null(ctx.reply, string_of(ctx.space.read(args.at(1)))?);
    replace(&mut ctx.space, args.at(1), args.at(2));
    Ok(Outcome::Done)
}

pub(super) fn getdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let key = args.at(1);
    let string = string_of(ctx.space.read(key))?;
    write_string_or_null(ctx.reply, string);
    if string.is_some() {
        let mut handle = ctx.space.write(key);
        handle.remove();
        handle.effect(|effect| {
            effect.arg("DEL").arg(key);
        });
        handle.touched();
        handle.event(EventClass::GENERIC, "del");
    }
    Ok(Outcome::Done)
}

pub(super) fn delex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let key = args.at(1);
    let mut rest = Cursor::new(args, 2);
    let condition = match rest.left() {
        0 => Condition::Any,
        2 => Condition::read_comparison(&mut rest).ok_or(error::SYNTAX)?,
        _ => return Err(error::wrong_arity(&ctx.row.full_name)),
    };
    let mut handle = ctx.space.write(key);
    let is_removed = condition.holds(handle.entry())? && handle.remove();
    if is_removed {
        handle.effect(|effect| {
            effect.arg("DEL").arg(key);
        });
        handle.touched();
        handle.event(EventClass::GENERIC, "del");
    }
    ctx.reply.integer(i64::from(is_removed));
    Ok(Outcome::Done)
}

/// What DELEX does to its key: with a condition it reads it too.
pub(super) fn delex_key_flags(args: &Args<'_>) -> KeyFlags {
    if args.len() > 2 {
        KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::DELETE)
    } else {
        KeyFlags::RM.and(KeyFlags::DELETE)
    }
}

pub(super) fn getex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let key = args.at(1);
    let mut expiry: Option<RequestedExpiry<'_>> = None;
    let mut persist = false;
    let mut rest = Cursor::new(args, 2);
    while rest.left() > 0 {
        if expiry.is_none() && rest.keyword("PERSIST") {
            persist = true;
        } else if !persist
            && let Some(next) = RequestedExpiry::read_next(&mut rest)
            && expiry.is_none_or(|before| before.form == next.form)
        {
            expiry = Some(next);
        } else {
            return Err(error::SYNTAX);
        }
    }
    let now_ms = ctx.now_ms();
    let Some(string) = string_of(ctx.space.read(key))? else {
        ctx.reply.null();
        return Ok(Outcome::Done);
    };
    let expire_ms = match &expiry {
        Some(expiry) => Some(expiry.at_ms(now_ms, &ctx.row.full_name)?),
        None => None,
    };
    write_string_or_null(ctx.reply, Some(string));
    let absolute = expiry.is_some_and(|expiry| expiry.is_absolute());
    let mut handle = ctx.space.write(key);
    match expire_ms {
        Some(at) if absolute && at <= now_ms => {
            remove_as_expired(&mut handle, ctx.settings.lazyfree.expire);
        }
        Some(at) => set_expiry(&mut handle, at),
        None if persist => {
            lift_expiry(&mut handle);
        }
        None => {}
    }
    Ok(Outcome::Done)
}

/// The pairs of MSET and MSETNX.
fn pairs<'a>(
    ctx: &Context<'_>,
    args: &Args<'a>,
) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a>, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(error::wrong_arity(&ctx.row.full_name));
    }
    let keys = args.from(1).step_by(2);
    Ok(keys.zip(args.from(2).step_by(2)))
}

pub(super) fn mset(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    for (key, text) in pairs(ctx, args)? {
        replace(&mut ctx.space, key, text);
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

pub(super) fn msetnx(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let pairs = pairs(ctx, args)?;
    if pairs.clone().any(|(key, _)| ctx.space.write(key).exists()) {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    for (key, text) in pairs {
        replace(&mut ctx.space, key, text);
    }
    ctx.reply.integer(1);
    Ok(Outcome::Done)
}

pub(super) fn msetex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let count = args::integer(args.at(1)).filter(|count| *count > 0);
    let count = count.ok_or(error::NUMKEYS_INVALID)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > (args.len() - 2) / 2 {
        return Err(error::PAIRS_TOO_FEW);
    }
    let options = SetOptions::read(args, 2 + 2 * count, Grammar::ManyKeys)?;
    let now_ms = ctx.now_ms();
    let expire_ms = match &options.expiry {
        Some(expiry) => Some(expiry.at_ms(now_ms, &ctx.row.full_name)?),
        None => None,
    };
    let keys = args.from(2).step_by(2).take(count);
    for key in keys.clone() {
        if !options.condition.holds(ctx.space.write(key).entry())? {
            ctx.reply.integer(0);
            return Ok(Outcome::Done);
        }
    }
    for (key, text) in keys.zip(args.from(3).step_by(2)) {
        let mut handle = ctx.space.write(key);
        put(&mut handle, key, text, expire_ms, options.keep_expiry);
    }
    ctx.reply.integer(1);
    Ok(Outcome::Done)
}

/// Refuses a string that would be longer than `proto-max-bulk-len`.
fn check_length(bytes_max: u64, before: u64, more: usize) -> Result<(), CommandError> {
    before
        .checked_add(more as u64)
        .filter(|len| *len <= bytes_max)
        .map(|_| ())
        .ok_or(error::STRING_TOO_LONG)
}

pub(super) fn append(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, text) = (args.at(1), args.at(2));
    let bytes_max = ctx.string_bytes_max();
    let mut handle = ctx.space.write(key);
    if let Some(string) = string_of(handle.entry())? {
        check_length(bytes_max, string.len() as u64, text.len())?;
    }
    let len = match handle.value_mut() {
        Some(Value::String(string)) => {
            string.write_at(string.len(), text);
            string.len()
        }
        _ => {
            handle.insert(Value::String(StringValue::new(text)));
            text.len()
        }
    };
    changed_in_place(handle, args, "append");
    ctx.reply.count(len);
    Ok(Outcome::Done)
}

fn changed_in_place(mut handle: KeyHandle<'_>, args: &Args<'_>, event: &'static str) {
    handle.effect(|effect| {
        effect.args(args.iter());
    });
    handle.touched();
    handle.event(EventClass::STRING, event);
}

pub(super) fn setrange(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (key, text) = (args.at(1), args.at(3));
    let offset = args::required_integer(args.at(2))?;
    let offset = u64::try_from(offset).map_err(|_| error::OFFSET_OUT_OF_RANGE)?;
    let bytes_max = ctx.string_bytes_max();
    let mut handle = ctx.space.write(key);
    let before = string_of(handle.entry())?.map_or(0, StringValue::len);
    if text.is_empty() {
        ctx.reply.count(before);
        return Ok(Outcome::Done);
    }
    check_length(bytes_max, offset, text.len())?;
    let offset = offset as usize;
    if !handle.exists() {
        handle.insert(Value::String(StringValue::text(b"")));
    }
    let mut len = 0;
    if let Some(Value::String(string)) = handle.value_mut() {
        string.write_at(offset, text);
        len = string.len();
    }
    changed_in_place(handle, args, "setrange");
    ctx.reply.count(len);
    Ok(Outcome::Done)
}
