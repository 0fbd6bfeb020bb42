//! Numbers of any width in a string: BITFIELD and BITFIELD_RO.
//!
//! All operations are read before the first is carried out, so that a wrong one leaves the string as it was. The string grows
//! to the farthest bit that any of them writes to, also when all of them then fail for an overflow.

use crate::command::args::{self, Cursor, is};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::spec::KeyFlags;
use crate::command::string::{make_raw, string_of};
use crate::data::bits::NumberPlace;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::bit_offset;

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// Its lowest bits count.
    Wrap,
    /// The nearest number that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl Overflow {
    fn read(name: &[u8]) -> Result<Self, CommandError> {
        match name {
            name if is(name, "WRAP") => Ok(Self::Wrap),
            name if is(name, "SAT") => Ok(Self::Saturate),
            name if is(name, "FAIL") => Ok(Self::Fail),
            _ => Err(error::BITFIELD_OVERFLOW),
        }
    }
}

/// A number in the string: where, and whether it has a sign.
#[derive(Clone, Copy, Debug)]
struct Field {
    place: NumberPlace,
    is_signed: bool,
}

impl Field {
    /// Reads a type and an offset.
    fn read_from(bytes_max: u64, encoding: &[u8], offset: &[u8]) -> Result<Self, CommandError> {
        // Redis: the type is a C string, so a NUL ends it.
        let encoding = encoding.split(|byte| *byte == 0).next().unwrap_or_default();
        let (is_signed, width) = match encoding {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => return Err(error::BITFIELD_TYPE),
        };
        // An unsigned number of 64 bits would not fit a reply.
        let width_max = if is_signed { 64 } else { 63 };
        let width = args::integer(width).filter(|width| (1..=width_max).contains(width));
        let width = width.ok_or(error::BITFIELD_TYPE)? as u32;
        let offset = match offset {
            [b'#', index @ ..] => bit_offset(index, width, bytes_max)?,
            offset => bit_offset(offset, 1, bytes_max)?,
        };
        Ok(Self {
            place: NumberPlace { offset, width },
            is_signed,
        })
    }

    fn get(self, bytes: &[u8]) -> i64 {
        if self.is_signed {
            self.place.read_signed(bytes)
        } else {
            self.place.read(bytes) as i64
        }
    }

    /// The lowest and the highest number that fit.
    fn bounds(self) -> (i128, i128) {
        if self.is_signed {
            let half = 1_i128 << (self.place.width - 1);
            (-half, half - 1)
        } else {
            (0, (1_i128 << self.place.width) - 1)
        }
    }

    /// Whether a number is too low for a signed field of fewer than 64 bits, and farther from its highest number than an
    /// integer of 64 bits counts.
    fn is_beyond(self, number: i64) -> bool {
        let (_, max) = self.bounds();
        let is_narrow = self.is_signed && self.place.width < i64::BITS;
        is_narrow && max - i128::from(number) > i128::from(i64::MAX)
    }

    /// The number that is written for a wanted one; `None`: none.
    fn fitted(self, wanted: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = self.bounds();
        if (min..=max).contains(&wanted) {
            return Some(wanted as i64);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(wanted.clamp(min, max) as i64),
            Overflow::Wrap => {
                let unused = i64::BITS - self.place.width;
                let lowest = (wanted as u64) << unused;
                Some(if self.is_signed {
                    lowest as i64 >> unused
                } else {
                    (lowest >> unused) as i64
                })
            }
        }
    }
}

/// A write and its number.
#[derive(Clone, Copy, Debug)]
enum Write {
    Set(i64),
    Add(i64),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
struct Operation {
    field: Field,
    /// `None`: it only reads.
    write: Option<(Write, Overflow)>,
}

impl Operation {
    /// Carries a write out; the reply, `None` for a number that did not fit, and whether it changed the string.
    fn run(self, write: Write, overflow: Overflow, bytes: &mut [u8]) -> (Option<i64>, bool) {
        let old = self.field.get(bytes);
        let wanted = match write {
            Write::Add(increment) => i128::from(old) + i128::from(increment),
            // Redis: its subtraction overflows for a number that is so far below, which then counts as too high.
            Write::Set(number)
                if overflow == Overflow::Saturate && self.field.is_beyond(number) =>
            {
                i128::MAX
            }
            Write::Set(number) if self.field.is_signed => i128::from(number),
            // Redis: below zero is far above all that fits.
            Write::Set(number) => i128::from(number as u64),
        };
        let Some(new) = self.field.fitted(wanted, overflow) else {
            return (None, false);
        };
        self.field.place.write(bytes, new as u64);
        let reply = match write {
            Write::Set(_) => old,
            Write::Add(_) => new,
        };
        (Some(reply), new != old)
    }
}

/// Reads all operations.
fn operations(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Vec<Operation>, CommandError> {
    let bytes_max = ctx.string_bytes_max();
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut rest = Cursor::new(args, 2);
    while rest.left() > 0 {
        let with = |count: usize| rest.left() > count;
        let (has_one, has_two, has_three) = (with(1), with(2), with(3));
        let write: Option<fn(i64) -> Write> = if has_two && rest.keyword("GET") {
            None
        } else if has_three && rest.keyword("SET") {
            Some(Write::Set)
        } else if has_three && rest.keyword("INCRBY") {
            Some(Write::Add)
        } else if has_one && rest.keyword("OVERFLOW") {
            overflow = Overflow::read(rest.value()?)?;
            continue;
        } else {
            return Err(error::SYNTAX);
        };
        let field = Field::read_from(bytes_max, rest.value()?, rest.value()?)?;
        let write = match write {
            None => None,
            Some(write) => Some((write(args::required_integer(rest.value()?)?), overflow)),
        };
        operations.push(Operation { field, write });
    }
    Ok(operations)
}

/// What BITFIELD does to its key. Redis: what is no operation counts as a write.
pub(super) fn key_flags(args: &Args<'_>) -> KeyFlags {
    let mut rest = Cursor::new(args, 2);
    let mut reads_only = true;
    while reads_only && rest.left() > 0 {
        let left = rest.left();
        let skipped = if left > 2 && rest.keyword("GET") {
            2
        } else if left > 1 && rest.keyword("OVERFLOW") {
            1
        } else {
            reads_only = false;
            0
        };
        rest = Cursor::new(args, rest.position() + skipped);
    }
    if reads_only {
        KeyFlags::RO.and(KeyFlags::ACCESS)
    } else {
        KeyFlags::RW.and(KeyFlags::ACCESS).and(KeyFlags::UPDATE)
    }
}

pub(super) fn bitfield(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let operations = operations(ctx, args)?;
    if operations.iter().all(|operation| operation.write.is_none()) {
        read(ctx, args.at(1), &operations)
    } else {
        write(ctx, args, &operations)
    }
}

pub(super) fn bitfield_ro(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let operations = operations(ctx, args)?;
    if operations.iter().any(|operation| operation.write.is_some()) {
        return Err(error::BITFIELD_READ_ONLY);
    }
    read(ctx, args.at(1), &operations)
}

fn read(
    ctx: &mut Context<'_>,
    key: &[u8],
    operations: &[Operation],
) -> Result<Outcome, CommandError> {
    let mut scratch = [0; 20];
    let string = string_of(ctx.space.read(key))?;
    let bytes = string.map_or(&[][..], |string| string.bytes(&mut scratch));
    ctx.reply.array(operations.len());
    for operation in operations {
        ctx.reply.integer(operation.field.get(bytes));
    }
    Ok(Outcome::Done)
}

/// Carries the operations out, with their replies. How many changed the string; with `grown`, every write did.
fn run_all(operations: &[Operation], bytes: &mut [u8], grown: bool, reply: &mut Reply) -> usize {
    let mut changes = 0;
    reply.array(operations.len());
    for operation in operations {
        let (number, changed) = match operation.write {
            None => (Some(operation.field.get(bytes)), false),
            Some((write, overflow)) => {
                let (number, changed) = operation.run(write, overflow, bytes);
                (number, changed || grown && number.is_some())
            }
        };
        changes += usize::from(changed);
        match number {
            Some(number) => reply.integer(number),
            None => reply.null(),
        }
    }
    changes
}

fn write(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    operations: &[Operation],
) -> Result<Outcome, CommandError> {
    let writes = operations
        .iter()
        .filter(|operation| operation.write.is_some());
    let len = writes.map(|operation| operation.field.place.end_byte());
    let len = len.max().unwrap_or(0);
    let mut handle = ctx.space.write(args.at(1));
    let before = string_of(handle.entry())?.map(StringValue::len);
    if before.is_none() {
        handle.insert(Value::String(StringValue::raw(vec![0; len])));
    }
    let grown = before.is_none_or(|before| before < len);
    make_raw(&mut handle);
    let reply = &mut *ctx.reply;
    let mut changes = 0;
    handle.change(|value| {
        if let Some(Value::String(string)) = value {
            changes = run_all(operations, string.bytes_mut(len), grown, reply);
        }
        grown || changes > 0
    });
    if grown || changes > 0 {
        // Redis: a string that grew and got no number counts as unchanged. A replay must let it grow all the same.
        handle.effect_of(changes, |effect| {
            effect.args(args.iter());
        });
    }
    if changes > 0 {
        handle.touched();
        handle.event(EventClass::STRING, "setbit");
    }
    Ok(Outcome::Done)
}
