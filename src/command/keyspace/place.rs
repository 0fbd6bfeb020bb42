//! Keys that change their place: name, database, or the databases themselves.

use crate::command::args::{self, Cursor};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

pub(super) fn rename(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !ctx.space.write(args.at(1)).exists() {
        return Err(error::NO_SUCH_KEY);
    }
    if args.at(1) != args.at(2) {
        move_to_name(ctx, args);
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

pub(super) fn renamenx(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !ctx.space.write(args.at(1)).exists() {
        return Err(error::NO_SUCH_KEY);
    }
    let free = args.at(1) != args.at(2) && !ctx.space.write(args.at(2)).exists();
    if free {
        move_to_name(ctx, args);
    }
    ctx.reply.integer(i64::from(free));
    Ok(Outcome::Done)
}

/// The source exists and is not the target. The target's keyspace reports the effect, after what its lookup may have
/// found expired.
fn move_to_name(ctx: &mut Context<'_>, args: &Args<'_>) {
    let (from, to) = (args.at(1), args.at(2));
    let mut source = ctx.space.write(from);
    let Some(entry) = source.take() else { return };
    source.covered();
    drop(source);
    let mut target = ctx.space.write(to);
    // Redis deletes what was there first, so the target counts as a new key.
    let old = target.value().map(Value::value_type);
    target.remove();
    let (new, expire_ms) = (entry.value.value_type(), entry.expiry());
    target.insert(entry.value);
    if expire_ms.is_some() {
        target.set_expiry(expire_ms);
    }
    target.effect(|effect| {
        effect.arg("RENAME").arg(from).arg(to);
    });
    drop(target);
    let mut source = ctx.space.write(from);
    source.ready();
    source.touched();
    source.event(EventClass::GENERIC, "rename_from");
    drop(source);
    let mut target = ctx.space.write(to);
    target.touched();
    target.event(EventClass::GENERIC, "rename_to");
    target.overwritten(old, new);
}

/// A database number among the arguments.
fn database_index(ctx: &Context<'_>, text: &[u8]) -> Result<usize, CommandError> {
    let number = args::required_integer(text)?;
    let number = i32::try_from(number).map_err(|_| error::NOT_INT32)?;
    usize::try_from(number)
        .ok()
        .filter(|db| *db < ctx.space.database_count())
        .ok_or(error::DB_INDEX)
}

pub(super) fn copy(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (from, to) = (args.at(1), args.at(2));
    let source_db = ctx.space.db;
    let (mut db, mut replace) = (source_db, false);
    let mut rest = Cursor::new(args, 3);
    while rest.left() > 0 {
        if rest.keyword("REPLACE") {
            replace = true;
        } else if rest.left() > 1 && rest.keyword("DB") {
            db = database_index(ctx, rest.value()?)?;
        } else {
            return Err(error::SYNTAX);
        }
    }
    if db == source_db && from == to {
        return Err(error::SAME_OBJECT);
    }
    let Some(source) = ctx.space.read(from) else {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    };
    let (value, expire_ms) = (source.value.clone(), source.expiry());
    let mut target = ctx.space.write_in(db, to);
    if target.exists() && !replace {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    let (old, new) = (target.value().map(Value::value_type), value.value_type());
    target.remove();
    target.insert(value);
    if expire_ms.is_some() {
        target.set_expiry(expire_ms);
    }
    target.effect_in(source_db, |effect| {
        effect.args(args.iter());
    });
    target.touched();
    target.event(EventClass::GENERIC, "copy_to");
    target.overwritten(old, new);
    ctx.reply.integer(1);
    Ok(Outcome::Done)
}

pub(super) fn move_to_database(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let (key, db) = (args.at(1), database_index(ctx, args.at(2))?);
    if db == ctx.space.db {
        return Err(error::SAME_OBJECT);
    }
    if !ctx.space.write(key).exists() || ctx.space.write_in(db, key).exists() {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    let mut source = ctx.space.write(key);
    let Some(entry) = source.take() else {
        return Ok(Outcome::Done);
    };
    source.effect(|effect| {
        effect.args(args.iter());
    });
    drop(source);
    let mut target = ctx.space.write_in(db, key);
    let expire_ms = entry.expiry();
    target.insert(entry.value);
    if expire_ms.is_some() {
        target.set_expiry(expire_ms);
    }
    target.covered();
    drop(target);
    let mut source = ctx.space.write(key);
    source.ready();
    source.touched();
    source.event(EventClass::GENERIC, "move_from");
    drop(source);
    let mut target = ctx.space.write_in(db, key);
    target.touched();
    target.event(EventClass::GENERIC, "move_to");
    drop(target);
    ctx.reply.integer(1);
    Ok(Outcome::Done)
}

pub(super) fn swapdb(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let number = |text: &[u8], error: CommandError| {
        args::integer(text)
            .and_then(|number| i32::try_from(number).ok())
            .ok_or(error)
    };
    let first = number(args.at(1), error::FIRST_DB_INDEX)?;
    let second = number(args.at(2), error::SECOND_DB_INDEX)?;
    let count = ctx.space.database_count();
    let in_range = |number: i32| {
        usize::try_from(number)
            .ok()
            .filter(|db| *db < count)
            .ok_or(error::DB_INDEX)
    };
    let (first, second) = (in_range(first)?, in_range(second)?);
    ctx.space.swap(first, second, |effect| {
        effect.args(args.iter());
    });
    ctx.reply.ok();
    Ok(Outcome::Done)
}
