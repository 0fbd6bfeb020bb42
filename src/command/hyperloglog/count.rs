//! PFCOUNT. Of one sketch the count is cached in it: a read that writes, for watchers and logs too, but without an event.

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::command::string::make_raw;
use crate::data::hyperloglog::{Registers, cache_count};
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::{corrupted, sketch_of};

pub(super) fn pfcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let count = if args.len() == 2 {
        count_one(ctx, args)?
    } else {
        let mut registers = Registers::default();
        for key in args.from(1) {
            if let Some(sketch) = sketch_of(ctx.space.read(key))? {
                sketch.merge_into(&mut registers).map_err(corrupted)?;
            }
        }
        registers.count()
    };
    // Redis: above all that elements can leave it is a negative number.
    ctx.reply.integer(count as i64);
    Ok(Outcome::Done)
}

fn count_one(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<u64, CommandError> {
    let key = args.at(1);
    if sketch_of(ctx.space.read(key))?.is_none() {
        return Ok(0);
    }
    let mut handle = ctx.space.write(key);
    make_raw(&mut handle);
    let Some(sketch) = sketch_of(handle.entry())? else {
        return Ok(0);
    };
    if let Some(count) = sketch.cached_count() {
        return Ok(count);
    }
    let count = sketch.count().map_err(corrupted)?;
    if let Some(Value::String(string)) = handle.value_mut() {
        cache_count(string.bytes_mut(0), count);
    }
    handle.effect(|effect| {
        effect.args(args.iter());
    });
    handle.touched();
    Ok(count)
}
