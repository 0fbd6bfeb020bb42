//! `redis`: what a script asks of the server.
//!
//! Source: "Redis Lua API reference".

use std::ffi::c_int;

use sha1::{Digest, Sha1};

use crate::resp::Protocol;
use crate::script::convert::{push_reply, to_integer, until_nul};
use crate::script::engine::{REPLICATE_ALL, REPLICATE_AOF, REPLICATE_NONE, REPLICATE_REPLICA};
use crate::script::lua::Request;
use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack};
use crate::script::number::write_argument;

use super::guard::is_guard;

/// Room that there must be for a reply before a command runs. Bytes.
const REPLY_BYTES: usize = 4096;

const NO_ARGUMENTS: &[u8] = b"ERR Please specify at least one argument for this redis lib call";

/// Pushes a table with the functions and constants. `version`: what the server says it is, `7.4.0`.
pub(super) fn push(stack: &mut Stack<'_>, version: &str) {
    stack.push_table(0, 32);
    stack.push_native(call);
    stack.raw_set_name(-2, "call");
    stack.push_native(pcall);
    stack.raw_set_name(-2, "pcall");
    stack.push_native(error_reply);
    stack.raw_set_name(-2, "error_reply");
    stack.push_native(status_reply);
    stack.raw_set_name(-2, "status_reply");
    stack.push_native(sha1hex);
    stack.raw_set_name(-2, "sha1hex");
    stack.push_native(setresp);
    stack.raw_set_name(-2, "setresp");
    stack.push_native(set_repl);
    stack.raw_set_name(-2, "set_repl");
    stack.push_native(acl_check_cmd);
    stack.raw_set_name(-2, "acl_check_cmd");
    for (name, value) in [
        ("REPL_NONE", REPLICATE_NONE),
        ("REPL_AOF", REPLICATE_AOF),
        ("REPL_SLAVE", REPLICATE_REPLICA),
        ("REPL_REPLICA", REPLICATE_REPLICA),
        ("REPL_ALL", REPLICATE_ALL),
    ] {
        stack.push_number(value.into());
        stack.raw_set_name(-2, name);
    }
    add_facts(stack, version);
}

/// Adds to the table on top what only scripts of EVAL have: leftovers of old versions, and of the debugger.
pub(super) fn add_of_eval(stack: &mut Stack<'_>) {
    stack.push_native(replicate_commands);
    stack.raw_set_name(-2, "replicate_commands");
    stack.push_native(breakpoint);
    stack.raw_set_name(-2, "breakpoint");
    stack.push_native(debug);
    stack.raw_set_name(-2, "debug");
}

/// Adds to the table on top what a library finds also while it is loaded: the log, and the version.
pub(super) fn add_facts(stack: &mut Stack<'_>, version: &str) {
    stack.push_native(log);
    stack.raw_set_name(-2, "log");
    for (name, value) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REDIS_VERSION_NUM", version_number(version)),
    ] {
        stack.push_number(value.into());
        stack.raw_set_name(-2, name);
    }
    stack.push_bytes(version.as_bytes());
    stack.raw_set_name(-2, "REDIS_VERSION");
}

/// `7.4.0` as 0x070400.
fn version_number(version: &str) -> i32 {
    let parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    parts.fold(0, |number, part: i32| number << 8 | part)
}

/// A table with an error's text; the handler of the script adds where it was.
fn push_error(stack: &mut Stack<'_>, text: &[u8]) {
    stack.push_table(0, 4);
    stack.push_bytes(text);
    stack.raw_set_name(-2, "err");
}

/// Raises an error as Redis' functions do: as a table.
pub(super) fn fail<T>(stack: &mut Stack<'_>, text: &[u8]) -> Result<T, Raise> {
    push_error(stack, text);
    stack.raise()
}

/// Writes the arguments of the native into the exchange.
fn gather(stack: &mut Stack<'_>) -> Result<(), &'static [u8]> {
    let mut exchange = stack.runtime().exchange.borrow_mut();
    exchange.clear();
    let count = stack.argument_count();
    for index in 1..=count {
        match stack.kind(index) {
            Kind::String => exchange.push(stack.bytes(index).unwrap_or_default()),
            Kind::Number => {
                let number = stack.number(index).unwrap_or_default();
                write_argument(number, |text| exchange.push(text));
            }
            _ => return Err(b"ERR Lua redis lib command arguments must be strings or integers"),
        }
        if exchange.byte_count() > crate::limits::SCRIPT_COMMAND_BYTES_MAX {
            return Err(b"ERR Lua redis lib command is too long");
        }
    }
    Ok(())
}

/// Has the command run. The reply, or the error as a table, is on top then; true: it is an error.
fn run(stack: &mut Stack<'_>) -> Result<bool, Raise> {
    if stack.argument_count() == 0 {
        push_error(stack, NO_ARGUMENTS);
        return Ok(true);
    }
    if let Err(text) = gather(stack) {
        push_error(stack, text);
        return Ok(true);
    }
    // Once the command has run there is room for its reply, whatever the limit: it must not fail for want of memory after it has written.
    stack.reserve(REPLY_BYTES)?;
    // The reply needs their room.
    stack.forget_arguments();
    let runtime = stack.runtime();
    {
        let mut exchange = runtime.exchange.borrow_mut();
        exchange.reply.clear();
        exchange.reply.set_protocol(runtime.protocol.get());
    }
    if let Err(why) = runtime.ask(Request::Call) {
        return stack.error(why.as_bytes());
    }
    let exchange = runtime.exchange.borrow();
    let reply = exchange.reply.bytes();
    push_reply(stack, reply)?;
    let is_error = reply.first() == Some(&b'-');
    if is_error {
        // The error is in the records of its command.
        stack.push_boolean(true);
        stack.raw_set_name(-2, "ignore_error_stats_update");
    }
    Ok(is_error)
}

fn call(stack: &mut Stack<'_>) -> Native {
    if run(stack)? {
        return stack.raise();
    }
    Ok(1)
}

fn pcall(stack: &mut Stack<'_>) -> Native {
    run(stack)?;
    Ok(1)
}

/// The only argument, a string; else an error table is on top, and is what the native returns.
fn only_text<'a>(stack: &mut Stack<'a>) -> Option<&'a [u8]> {
    if stack.argument_count() == 1 && stack.kind(1) == Kind::String {
        return stack.argument_bytes(1);
    }
    push_error(stack, b"ERR wrong number or type of arguments");
    None
}

fn error_reply(stack: &mut Stack<'_>) -> Native {
    if let Some(text) = only_text(stack) {
        let text = with_code(text);
        push_error(stack, &text);
    }
    Ok(1)
}

/// Redis: a text with a blank has its code before that, a `-` at its beginning goes; every other is `ERR`.
fn with_code(text: &[u8]) -> Vec<u8> {
    let text = until_nul(text);
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let (code, message) = match text.iter().position(|byte| *byte == b' ') {
        Some(at) => text.split_at(at),
        None => (b"ERR".as_slice(), text),
    };
    let message = message.strip_prefix(b" ").unwrap_or(message);
    let begin = message.iter().position(|byte| !is_line_end(byte));
    let end = message.iter().rposition(|byte| !is_line_end(byte));
    let message = match begin.zip(end) {
        Some((begin, end)) => message.get(begin..=end).unwrap_or_default(),
        None => b"",
    };
    [code, b" ", message].concat()
}

fn status_reply(stack: &mut Stack<'_>) -> Native {
    if let Some(text) = only_text(stack) {
        stack.push_table(0, 1);
        stack.push_bytes(text);
        stack.raw_set_name(-2, "ok");
    }
    Ok(1)
}

fn sha1hex(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() != 1 {
        return fail(stack, b"ERR wrong number of arguments");
    }
    let text = stack.argument_bytes(1).unwrap_or_default();
    let digest = hex(&Sha1::digest(text));
    stack.push_bytes(digest.as_bytes());
    Ok(1)
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn log(stack: &mut Stack<'_>) -> Native {
    let count = stack.argument_count();
    if count < 2 {
        return fail(stack, b"ERR redis.log() requires two arguments or more.");
    }
    if stack.number(1).is_none() {
        return fail(stack, b"ERR First argument must be a number (log level).");
    }
    let level = to_integer(stack.number(1).unwrap_or_default());
    let Ok(level @ 0..=3) = u8::try_from(level) else {
        return fail(stack, b"ERR Invalid debug level.");
    };
    let mut text = Vec::new();
    for index in 2..=count {
        if let Some(part) = stack.argument_bytes(index) {
            if index > 2 {
                text.push(b' ');
            }
            text.extend_from_slice(part);
        }
    }
    let runtime = stack.runtime();
    {
        let mut exchange = runtime.exchange.borrow_mut();
        exchange.clear();
        exchange.push(&text);
    }
    match runtime.ask(Request::Log(level)) {
        Ok(_) => Ok(0),
        Err(why) => stack.error(why.as_bytes()),
    }
}

fn setresp(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() != 1 {
        return fail(stack, b"ERR redis.setresp() requires one argument.");
    }
    let protocol = match to_integer(stack.number(1).unwrap_or_default()) {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return fail(stack, b"ERR RESP version must be 2 or 3."),
    };
    stack.runtime().protocol.set(protocol);
    Ok(0)
}

fn set_repl(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() != 1 {
        return fail(stack, b"ERR redis.set_repl() requires one argument.");
    }
    let flags = to_integer(stack.number(1).unwrap_or_default());
    let Some(flags) = i32::try_from(flags)
        .ok()
        .filter(|flags| flags & !REPLICATE_ALL == 0)
    else {
        return fail(
            stack,
            b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        );
    };
    stack.runtime().replicate.set(flags);
    Ok(0)
}

/// Effects are what is logged, always.
fn replicate_commands(stack: &mut Stack<'_>) -> Native {
    stack.push_boolean(true);
    Ok(1)
}

/// There is no debugger.
fn breakpoint(stack: &mut Stack<'_>) -> Native {
    stack.push_boolean(false);
    Ok(1)
}

fn debug(_stack: &mut Stack<'_>) -> Native {
    Ok(0)
}

fn acl_check_cmd(stack: &mut Stack<'_>) -> Native {
    if stack.argument_count() == 0 {
        return fail(stack, NO_ARGUMENTS);
    }
    if let Err(text) = gather(stack) {
        return fail(stack, text);
    }
    let runtime = stack.runtime();
    runtime.exchange.borrow_mut().reply.clear();
    match runtime.ask(Request::MayCall) {
        Ok(may) => {
            // The host leaves an error where there is no such command.
            if runtime.exchange.borrow().reply.bytes().first() == Some(&b'-') {
                return fail(
                    stack,
                    b"ERR Invalid command passed to redis.acl_check_cmd()",
                );
            }
            stack.push_boolean(may);
            Ok(1)
        }
        Err(why) => stack.error(why.as_bytes()),
    }
}

/// Where an error came from, for who called the script: called with the error, before the stack is unwound.
///
/// Redis: the place is that of the function that raised it, or of its caller when that is a native.
pub(super) fn on_error(stack: &mut Stack<'_>) -> Native {
    let mut place = stack.place(1);
    if place.as_ref().is_some_and(|place| place.is_native) {
        place = stack.place(2);
    }
    if stack.kind(1) == Kind::Table && !is_guard(stack, 1) {
        stack.push_copy(1);
    } else {
        let mut text = b"ERR ".to_vec();
        text.extend_from_slice(&as_text(stack, 1));
        push_error(stack, &text);
    }
    if let Some(place) = place {
        stack.push_bytes(place.source.as_bytes());
        stack.raw_set_name(-2, "source");
        stack.push_number(place.line.into());
        stack.raw_set_name(-2, "line");
    }
    Ok(1)
}

/// A value as Lua's `tostring` gives it, without metamethods.
fn as_text(stack: &mut Stack<'_>, index: c_int) -> Vec<u8> {
    match stack.kind(index) {
        Kind::String | Kind::Number => {
            stack.push_copy(index);
            let text = stack.bytes(-1).unwrap_or_default().to_vec();
            stack.pop(1);
            text
        }
        Kind::Boolean if stack.truth(index) => b"true".to_vec(),
        Kind::Boolean => b"false".to_vec(),
        Kind::Nil | Kind::None => b"nil".to_vec(),
        kind => format!("{}: {:#x}", kind.name(), stack.address(index)).into_bytes(),
    }
}
