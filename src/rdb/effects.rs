//! Effects for a value that has just been read: what no format of Redis holds, see [`crate::keyspace::rewrite::beyond_files`].
//!
//! They are commands, but are not run as such: an entry that is pending or that a message became may be gone, and a command would
//! not take it.

#![deny(clippy::indexing_slicing)]

use super::Flaw;
use super::bytes::Cursor;
use crate::data::ends::{END_MS_MAX, EndingElements};
use crate::data::listpack::parse_integer;
use crate::data::stream::{Delivery, Stream, StreamId, Window};
use crate::keyspace::value::Value;

const MALFORMED: Flaw = Flaw::Corrupt("malformed effects behind a value");

/// More arguments than any of the commands has.
const ARGUMENTS_MAX: usize = 16;

/// Lets a value be what the effects make of it.
///
/// # Errors
/// [`Flaw`] when they are none, or not for such a value.
pub(crate) fn apply(value: &mut Value, effects: &[u8], now_ms: u64) -> Result<(), Flaw> {
    let mut cursor = Cursor::new(effects);
    while !cursor.is_at_end() {
        let arguments = command(&mut cursor)?;
        run(value, &arguments, now_ms).ok_or(MALFORMED)?;
    }
    Ok(())
}

/// A number up to the end of a line behind a sign.
fn number(cursor: &mut Cursor<'_>, sign: u8) -> Result<u64, Flaw> {
    if cursor.byte()? != sign {
        return Err(MALFORMED);
    }
    let rest = cursor.rest();
    let digits = rest.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let value = parse_integer(digits).and_then(|value| u64::try_from(value).ok());
    cursor.take(digits.len() as u64)?;
    end_of_line(cursor)?;
    value.ok_or(MALFORMED)
}

fn end_of_line(cursor: &mut Cursor<'_>) -> Result<(), Flaw> {
    if cursor.array()? == *b"\r\n" {
        Ok(())
    } else {
        Err(MALFORMED)
    }
}

fn command<'b>(cursor: &mut Cursor<'b>) -> Result<Vec<&'b [u8]>, Flaw> {
    let count = number(cursor, b'*')?;
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count <= ARGUMENTS_MAX);
    let mut arguments = Vec::new();
    for _ in 0..count.ok_or(MALFORMED)? {
        let length = number(cursor, b'$')?;
        arguments.push(cursor.take(length)?);
        end_of_line(cursor)?;
    }
    Ok(arguments)
}

/// Runs one of them; `None` when it is none.
fn run(value: &mut Value, arguments: &[&[u8]], now_ms: u64) -> Option<()> {
    match (value, arguments) {
        (Value::Set(set), [b"SPEXPIREAT", _, ms, b"MEMBERS", b"1", member]) => end(set, ms, member),
        (Value::Hash(hash), [b"HPEXPIREAT", _, ms, b"FIELDS", b"1", field]) => end(hash, ms, field),
        (Value::Stream(stream), arguments) => run_on_stream(stream, arguments, now_ms),
        _ => None,
    }
}

fn end(elements: &mut dyn EndingElements, ms: &[u8], element: &[u8]) -> Option<()> {
    let ms = u64::try_from(parse_integer(ms)?).ok()?;
    if ms == 0 || ms > END_MS_MAX || !elements.has(element) {
        return None;
    }
    elements.set_end(element, Some(ms));
    Some(())
}

fn run_on_stream(stream: &mut Stream, arguments: &[&[u8]], now_ms: u64) -> Option<()> {
    let id = |text: &[u8]| StreamId::parse(text, 0).ok();
    match arguments {
        [
            b"XCFGSET",
            _,
            b"IDMP-DURATION",
            duration,
            b"IDMP-MAXSIZE",
            size,
        ] => {
            let number = |text| u32::try_from(parse_integer(text)?).ok();
            let idempotency = stream.idempotency_mut();
            idempotency.set_window(Window {
                duration_s: number(duration)?,
                size_max: number(size)?,
            });
            idempotency.note_configured();
        }
        [b"XIDMPRECORD", _, producer, message, entry] => {
            let idempotency = stream.idempotency_mut();
            idempotency.record(producer, message, id(entry)?, now_ms);
        }
        [
            b"XNACK",
            _,
            group,
            b"FAIL",
            b"IDS",
            b"1",
            entry,
            b"RETRYCOUNT",
            count,
            b"FORCE",
        ] => {
            let (group, _) = stream.group_mut(group)?;
            let (entry, count) = (id(entry)?, parse_integer(count)?);
            group.pending().get(entry)?;
            let delivery = Delivery {
                consumer: None,
                delivered_ms: 0,
                delivery_count: u64::try_from(count).ok()?,
            };
            group.pending_mut().assign(entry, delivery);
        }
        [b"XGROUP", b"DELCONSUMER", _, group, consumer] => {
            let (group, _) = stream.group_mut(group)?;
            group.delete_consumer(consumer)?;
        }
        _ => return None,
    }
    Some(())
}
