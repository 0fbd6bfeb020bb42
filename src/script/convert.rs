//! Replies of commands to values of a script, and what a script returns to a reply.
//!
//! ```text
//! RESP       +OK         -ERR x       :1   $-1 *-1  _    *2       %1          ~1          ,1.5            #t    (1
//! script     {ok='OK'}   {err='ERR x'} 1   false    nil  {…, …}   {map={…}}   {set={…}}   {double=1.5}    true  {big_number='1'}
//! ```
//! Source: "Data type conversion" in the documentation of scripting with Lua.

use std::ffi::c_int;

use crate::limits;
use crate::resp::Protocol;
use crate::resp::reply::Reply;

use super::engine::ScriptError;
use super::lua::native::Raise;
use super::lua::stack::{Kind, Stack};
use super::number::double_text;

/// Longest list that becomes a table: Lua's tables have room for four times as many.
const LIST_MAX: usize = 1 << 24;

/// So many values may be on the stack while a result is written: each level of nesting has one or two.
const NESTED_MAX: c_int = 1_000;

/// Pushes a reply as a value.
///
/// # Errors
///
/// It is too long for a table.
pub(super) fn push_reply(stack: &mut Stack<'_>, reply: &[u8]) -> Result<(), Raise> {
    let mut reader = Reader { rest: reply };
    push_value(stack, &mut reader)
}

/// What is left of a reply. It is one of ours: well-formed.
struct Reader<'r> {
    rest: &'r [u8],
}

impl<'r> Reader<'r> {
    /// The type and the rest of the line.
    fn line(&mut self) -> (u8, &'r [u8]) {
        let end = self.rest.iter().position(|byte| *byte == b'\r');
        let end = end.unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(2..).unwrap_or_default();
        match line.split_first() {
            Some((kind, text)) => (*kind, text),
            None => (b'_', b""),
        }
    }

    fn bytes(&mut self, len: usize) -> &'r [u8] {
        let bytes = self.rest.get(..len).unwrap_or_default();
        self.rest = self.rest.get(len + 2..).unwrap_or_default();
        bytes
    }
}

fn integer(text: &[u8]) -> i64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.parse().unwrap_or_default()
}

fn push_value(stack: &mut Stack<'_>, reader: &mut Reader<'_>) -> Result<(), Raise> {
    stack.ensure(4)?;
    let (kind, text) = reader.line();
    match kind {
        b':' => stack.push_number(integer(text) as f64),
        b'$' => match usize::try_from(integer(text)) {
            Ok(len) => stack.push_bytes(reader.bytes(len)),
            Err(_) => stack.push_boolean(false),
        },
        b'+' => push_named(stack, "ok", text),
        b'-' => push_named(stack, "err", text),
        b'*' | b'>' => match usize::try_from(integer(text)) {
            Ok(len) => push_list(stack, reader, len)?,
            Err(_) => stack.push_boolean(false),
        },
        b'%' => {
            stack.push_table(0, 1);
            push_map(stack, reader, integer(text))?;
            stack.raw_set_name(-2, "map");
        }
        b'~' => {
            stack.push_table(0, 1);
            push_set(stack, reader, integer(text))?;
            stack.raw_set_name(-2, "set");
        }
        b',' => {
            stack.push_table(0, 1);
            stack.push_number(double(text));
            stack.raw_set_name(-2, "double");
        }
        b'#' => stack.push_boolean(text == b"t"),
        b'(' => push_named(stack, "big_number", text),
        b'=' => {
            let text = reader.bytes(usize::try_from(integer(text)).unwrap_or_default());
            push_verbatim(stack, text);
        }
        b'|' => {
            for _ in 0..2 * integer(text) {
                push_value(stack, reader)?;
                stack.pop(1);
            }
            push_value(stack, reader)?;
        }
        _ => stack.push_nil(),
    }
    Ok(())
}

fn double(text: &[u8]) -> f64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.parse().unwrap_or(f64::NAN)
}

fn push_named(stack: &mut Stack<'_>, name: &str, text: &[u8]) {
    stack.push_table(0, 1);
    stack.push_bytes(text);
    stack.raw_set_name(-2, name);
}

fn push_verbatim(stack: &mut Stack<'_>, text: &[u8]) {
    let (format, text) = text.split_at(text.len().min(4));
    stack.push_table(0, 1);
    stack.push_table(0, 2);
    stack.push_bytes(text);
    stack.raw_set_name(-2, "string");
    stack.push_bytes(format.get(..3).unwrap_or_default());
    stack.raw_set_name(-2, "format");
    stack.raw_set_name(-2, "verbatim_string");
}

fn check_length(stack: &mut Stack<'_>, len: usize) -> Result<(), Raise> {
    if len > LIST_MAX {
        return stack.error(b"ERR reply is too long for a script");
    }
    Ok(())
}

fn push_list(stack: &mut Stack<'_>, reader: &mut Reader<'_>, len: usize) -> Result<(), Raise> {
    check_length(stack, len)?;
    // As in Redis, where nils are left out: what such a list's length is depends on how its table has grown.
    let may_have_nils = stack.runtime().protocol.get() == Protocol::Resp3;
    stack.push_table(if may_have_nils { 0 } else { len }, 0);
    for index in 1..=len {
        push_value(stack, reader)?;
        stack.raw_set_index(-2, index as c_int);
    }
    Ok(())
}

fn push_map(stack: &mut Stack<'_>, reader: &mut Reader<'_>, len: i64) -> Result<(), Raise> {
    let len = usize::try_from(len).unwrap_or_default();
    check_length(stack, len)?;
    // It grows as in Redis: on that depends the order in which a script sees it.
    stack.push_table(0, 0);
    for _ in 0..len {
        push_value(stack, reader)?;
        push_value(stack, reader)?;
        set_entry(stack);
    }
    Ok(())
}

/// Sets key and value on top in the table below them; what cannot be a key is left out.
fn set_entry(stack: &mut Stack<'_>) {
    if stack.kind(-2) == Kind::Nil {
        stack.pop(2);
    } else {
        stack.raw_set(-3);
    }
}

fn push_set(stack: &mut Stack<'_>, reader: &mut Reader<'_>, len: i64) -> Result<(), Raise> {
    let len = usize::try_from(len).unwrap_or_default();
    check_length(stack, len)?;
    stack.push_table(0, 0);
    for _ in 0..len {
        push_value(stack, reader)?;
        stack.push_boolean(true);
        set_entry(stack);
    }
    Ok(())
}

/// Writes the value on top of the stack as a reply, and takes it. The errors in it.
pub(super) fn write_result(stack: &mut Stack<'_>, reply: &mut Reply) -> Vec<ScriptError> {
    let (mark, mut errors) = (reply.mark(), Vec::new());
    let mut left = limits::SCRIPT_VALUES_MAX;
    write_value(stack, reply, &mut errors, &mut left);
    if left == 0 {
        reply.truncate(mark);
        let text = b"ERR the script returns too much".to_vec();
        reply.error(&text);
        errors.push(ScriptError {
            text,
            ..ScriptError::default()
        });
    }
    errors
}

fn write_value(
    stack: &mut Stack<'_>,
    reply: &mut Reply,
    errors: &mut Vec<ScriptError>,
    left: &mut usize,
) {
    *left = left.saturating_sub(1);
    if *left == 0 || reply.len() > limits::SCRIPT_REPLY_BYTES_MAX {
        // Whoever began takes all of it back.
        *left = 0;
        reply.null();
        stack.pop(1);
        return;
    }
    // Redis goes on until the stack of Lua is full; here each level takes of the thread's stack, too.
    if stack.top() > NESTED_MAX {
        reply.error(b"ERR reached lua stack limit");
        stack.pop(1);
        return;
    }
    if stack.ensure(4).is_err() {
        unreachable!("there is room for some thousand values");
    }
    match stack.kind(-1) {
        Kind::String => reply.bulk(stack.bytes(-1).unwrap_or_default()),
        // As C converts a double to a long long.
        Kind::Number => reply.integer(to_integer(stack.number(-1).unwrap_or_default())),
        Kind::Boolean => write_boolean(stack, reply),
        Kind::Table => write_table(stack, reply, errors, left),
        _ => reply.null(),
    }
    stack.pop(1);
}

/// A double as an integer: cut towards zero; what does not fit is the lowest there is, as x86 has it.
pub(super) fn to_integer(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

/// Redis: a boolean is one of RESP3 only when the script has asked for RESP3 itself.
fn write_boolean(stack: &mut Stack<'_>, reply: &mut Reply) {
    let value = stack.truth(-1);
    if stack.runtime().protocol.get() == Protocol::Resp3 {
        reply.boolean(value);
    } else if value {
        reply.integer(1);
    } else {
        reply.null();
    }
}

/// Pushes a field of the table on top when it is of a type; else nothing.
fn field(stack: &mut Stack<'_>, name: &str, is_right: impl Fn(Kind) -> bool) -> bool {
    stack.raw_get_name(-1, name);
    if is_right(stack.kind(-1)) {
        return true;
    }
    stack.pop(1);
    false
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::String)
}

fn write_table(
    stack: &mut Stack<'_>,
    reply: &mut Reply,
    errors: &mut Vec<ScriptError>,
    left: &mut usize,
) {
    let is_table = |kind| kind == Kind::Table;
    if field(stack, "err", is_text) {
        let text = until_nul(stack.bytes(-1).unwrap_or_default()).to_vec();
        reply.error(&text);
        stack.pop(1);
        stack.raw_get_name(-1, "ignore_error_stats_update");
        errors.push(ScriptError {
            text,
            place: None,
            is_counted: stack.truth(-1),
        });
    } else if field(stack, "ok", is_text) {
        let text = one_line(until_nul(stack.bytes(-1).unwrap_or_default()));
        reply.raw(b"+");
        reply.raw(&text);
        reply.raw(b"\r\n");
    } else if field(stack, "double", |kind| kind == Kind::Number) {
        let number = stack.number(-1).unwrap_or_default();
        reply.double_text(double_text(number).as_bytes());
    } else if field(stack, "big_number", is_text) {
        let digits = one_line(stack.bytes(-1).unwrap_or_default());
        reply.big_number(digits);
    } else if write_verbatim(stack, reply) {
        return;
    } else if field(stack, "map", is_table) {
        write_map(stack, reply, errors, left);
    } else if field(stack, "set", is_table) {
        write_set(stack, reply, errors, left);
    } else {
        return write_list(stack, reply, errors, left);
    }
    stack.pop(1);
}

/// Redis: these texts are C strings, so a NUL ends them.
pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == 0);
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// A text for a reply of one line.
pub(super) fn one_line(text: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            *byte
        }
    };
    text.iter().map(plain).collect()
}

/// Whether the table on top is a text with a format; it is written then.
fn write_verbatim(stack: &mut Stack<'_>, reply: &mut Reply) -> bool {
    if !field(stack, "verbatim_string", |kind| kind == Kind::Table) {
        return false;
    }
    if !field(stack, "format", is_text) {
        stack.pop(1);
        return false;
    }
    stack.raw_get_name(-2, "string");
    let is_whole = is_text(stack.kind(-1));
    if is_whole {
        let format = stack.bytes(-2).unwrap_or_default().iter();
        let format: Vec<u8> = format.copied().chain([b' '; 3]).take(3).collect();
        reply.verbatim(format, stack.bytes(-1).unwrap_or_default());
    }
    stack.pop(3);
    is_whole
}

fn count_entries(stack: &mut Stack<'_>) -> usize {
    let mut count = 0;
    stack.push_nil();
    while stack.step(-2) {
        stack.pop(1);
        count += 1;
    }
    count
}

fn write_map(
    stack: &mut Stack<'_>,
    reply: &mut Reply,
    errors: &mut Vec<ScriptError>,
    left: &mut usize,
) {
    reply.map(count_entries(stack));
    stack.push_nil();
    while stack.step(-2) {
        stack.push_copy(-2);
        write_value(stack, reply, errors, left);
        write_value(stack, reply, errors, left);
    }
}

fn write_set(
    stack: &mut Stack<'_>,
    reply: &mut Reply,
    errors: &mut Vec<ScriptError>,
    left: &mut usize,
) {
    reply.set(count_entries(stack));
    stack.push_nil();
    while stack.step(-2) {
        stack.pop(1);
        stack.push_copy(-1);
        write_value(stack, reply, errors, left);
    }
}

/// The elements from 1 up to the first nil.
fn write_list(
    stack: &mut Stack<'_>,
    reply: &mut Reply,
    errors: &mut Vec<ScriptError>,
    left: &mut usize,
) {
    let mut len: c_int = 0;
    loop {
        stack.raw_get_index(-1, len + 1);
        let ends = stack.kind(-1) == Kind::Nil;
        stack.pop(1);
        if ends {
            break;
        }
        len += 1;
    }
    reply.array(usize::try_from(len).unwrap_or_default());
    for index in 1..=len {
        if *left == 0 {
            return;
        }
        stack.raw_get_index(-1, index);
        write_value(stack, reply, errors, left);
    }
}
