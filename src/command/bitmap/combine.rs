//! Strings combined bit by bit.

use crate::command::args::is;
use crate::command::context::{Context, Outcome};
use crate::command::element;
use crate::command::error::{self, CommandError};
use crate::command::string::{effect_of_raw, string_of};
use crate::data::bits::{self, Combination};
use crate::keyspace::event::EventClass;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

/// What BITOP does; `None`: turns every bit of its one string.
fn operation(name: &[u8]) -> Result<Option<Combination>, CommandError> {
    let known = [
        ("AND", Some(Combination::And)),
        ("OR", Some(Combination::Or)),
        ("XOR", Some(Combination::Xor)),
        ("NOT", None),
    ];
    let mut known = known.into_iter();
    let found = known.find(|(known, _)| is(name, known));
    found.map(|(_, operation)| operation).ok_or(error::SYNTAX)
}

pub(super) fn bitop(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let operation = operation(args.at(1))?;
    if operation.is_none() && args.len() != 4 {
        return Err(error::BITOP_NOT_KEYS);
    }
    let mut result: Option<Vec<u8>> = None;
    for key in args.from(3) {
        let string = string_of(ctx.space.read(key))?;
        let mut scratch = [0; 20];
        let bytes = string.map_or(&[][..], |string| string.bytes(&mut scratch));
        match (&mut result, operation) {
            (None, _) => result = Some(bytes.to_vec()),
            (Some(result), Some(operation)) => bits::combine(result, bytes, operation),
            (Some(_), None) => {}
        }
    }
    let mut result = result.unwrap_or_default();
    if operation.is_none() {
        bits::invert(&mut result);
    }
    let len = result.len();
    store(ctx, args.at(2), result);
    ctx.reply.count(len);
    Ok(Outcome::Done)
}

/// Sets a key to a result, without expiry; an empty one removes it.
fn store(ctx: &mut Context<'_>, key: &[u8], result: Vec<u8>) {
    let mut handle = ctx.space.write(key);
    let made = !result.is_empty();
    if made {
        // The string takes the bytes over, so they are reported first.
        effect_of_raw(&mut handle, 1, &result, false);
    }
    let value = made.then(|| Value::String(StringValue::raw(result)));
    let is_due = element::store(&mut handle, value, EventClass::STRING, "set");
    if made {
        handle.covered();
    } else if is_due {
        handle.effect(|effect| {
            effect.arg("DEL").arg(key);
        });
    }
}
