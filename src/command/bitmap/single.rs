//! One bit, set or read.

use crate::command::args;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::string::{make_raw, string_of};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

use super::bit_offset;

/// The byte of a bit, and the bit in it.
fn byte_and_mask(offset: u64) -> (usize, u8) {
    ((offset / 8) as usize, 0x80 >> (offset % 8))
}

pub(super) fn setbit(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let key = args.at(1);
    let (byte, mask) = byte_and_mask(bit_offset(args.at(2), 1, ctx.string_bytes_max())?);
    let bit = match args::integer(args.at(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(error::BIT_VALUE),
    };
    let mut handle = ctx.space.write(key);
    let string = string_of(handle.entry())?;
    let old = string.and_then(|string| string.bytes(&mut [0; 20]).get(byte).copied());
    if string.is_none() {
        handle.insert(Value::String(StringValue::raw(vec![0; byte + 1])));
    }
    let before = old.is_some_and(|old| old & mask != 0);
    // Redis 7.0 tells of every call; 7.2 only of what changes the string.
    if old.is_none() || before != bit {
        if let Some(Value::String(string)) = handle.value_mut() {
            string.bytes_mut(byte + 1)[byte] ^= if before == bit { 0 } else { mask };
        }
        handle.effect(|effect| {
            effect.args(args.iter());
        });
        handle.touched();
        handle.event(EventClass::STRING, "setbit");
    } else {
        make_raw(&mut handle);
    }
    drop(handle);
    ctx.reply.integer(i64::from(before));
    Ok(Outcome::Done)
}

pub(super) fn getbit(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (byte, mask) = byte_and_mask(bit_offset(args.at(2), 1, ctx.string_bytes_max())?);
    let mut scratch = [0; 20];
    let string = string_of(ctx.space.read(args.at(1)))?;
    let byte = string.and_then(|string| string.bytes(&mut scratch).get(byte));
    let bit = byte.is_some_and(|byte| byte & mask != 0);
    ctx.reply.integer(i64::from(bit));
    Ok(Outcome::Done)
}
