//! What a library of functions finds in its globals, and how it registers its functions.
//!
//! ```text
//! while it is loaded   redis.register_function and what needs no data; no redis.call
//! when it is called    all of redis; redis.register_function raises
//! ```
//! Source: "Redis functions"; FUNCTION LOAD.

use std::ffi::c_int;

use crate::script::lua::native::{Native, Raise};
use crate::script::lua::stack::{Kind, Stack};

use super::guard::{guard, guard_globals};
use super::{
    COMPILED_NAME, GLOBALS, LIBRARY, LIBRARY_NAME, WHEN_CALLED, WHILE_LOADED, redis, refuse_unknown,
};
use crate::script::engine::keep_function;

/// A function that a library has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Its name.
    pub(crate) name: Vec<u8>,
    /// Where it is among the compiled functions.
    pub(crate) slot: c_int,
    /// What it says of itself.
    pub(crate) description: Option<Vec<u8>>,
    /// The names of its flags.
    pub(crate) flags: Vec<Vec<u8>>,
}

/// Pushes the globals of libraries, and the two tables that are their contents.
pub(super) fn push_environments(stack: &mut Stack<'_>, version: &str) {
    stack.push_table(0, 0);
    guard_globals(stack);
    stack.push_registry();
    stack.push_copy(-2);
    stack.raw_set_name(-2, LIBRARY_NAME);
    stack.pop(1);
    push_while_loaded(stack, version);
    push_when_called(stack, version);
}

/// `redis`, and nothing else.
fn push_while_loaded(stack: &mut Stack<'_>, version: &str) {
    stack.push_table(0, 1);
    stack.push_table(0, 12);
    stack.push_native(register_function);
    stack.raw_set_name(-2, "register_function");
    redis::add_facts(stack, version);
    refuse_unknown(stack);
    guard(stack);
    stack.raw_set_name(-2, "redis");
    refuse_unknown(stack);
}

/// What EVAL has, but for KEYS and ARGV and what is of EVAL only.
fn push_when_called(stack: &mut Stack<'_>, version: &str) {
    stack.push_table(0, 40);
    stack.push_nil();
    while stack.step(GLOBALS) {
        stack.push_copy(-2);
        stack.insert(-2);
        stack.raw_set(-4);
    }
    stack.push_nil();
    stack.raw_set_name(-2, "__redis__err__handler");
    stack.push_copy(LIBRARY);
    stack.raw_set_name(-2, "_G");
    redis::push(stack, version);
    guard(stack);
    stack.raw_set_name(-2, "redis");
    refuse_unknown(stack);
}

/// Gives the globals of libraries the contents for one that is loaded, or for functions that are called.
pub(crate) fn set_globals(stack: &mut Stack<'_>, is_loading: bool) {
    stack.push_metatable(LIBRARY);
    stack.push_copy(if is_loading {
        WHILE_LOADED
    } else {
        WHEN_CALLED
    });
    stack.raw_set_name(-2, "__index");
    stack.pop(1);
}

/// What a call of `redis.register_function` says.
#[derive(Default)]
struct Registration {
    name: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    flags: Vec<Vec<u8>>,
    /// Where the callback is on the stack.
    callback: Option<c_int>,
}

fn register_function(stack: &mut Stack<'_>) -> Native {
    if stack.runtime().registered.borrow().is_none() {
        return redis::fail(
            stack,
            b"ERR redis.register_function can only be called on FUNCTION LOAD command",
        );
    }
    let registration = match stack.argument_count() {
        1 => named(stack)?,
        2 => positional(stack)?,
        _ => {
            return redis::fail(
                stack,
                b"ERR wrong number of arguments to redis.register_function",
            );
        }
    };
    let Some(name) = registration.name else {
        let text = b"ERR redis.register_function must get a function name argument";
        return redis::fail(stack, text);
    };
    let Some(callback) = registration.callback else {
        let text = b"ERR redis.register_function must get a callback argument";
        return redis::fail(stack, text);
    };
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if name.is_empty() || !name.iter().all(is_letter) {
        let text = b"ERR Library names can only contain letters, numbers, or underscores(_) \
            and must be at least one character long";
        return redis::fail(stack, text);
    }
    let mut registered = stack.runtime().registered.borrow_mut();
    let list = registered.get_or_insert_default();
    if list.len() >= crate::limits::LIBRARY_FUNCTIONS_MAX {
        drop(registered);
        return redis::fail(stack, b"ERR Too many functions in the library");
    }
    if list.iter().any(|other| other.name == name) {
        drop(registered);
        return redis::fail(stack, b"ERR Function already exists in the library");
    }
    stack.push_registry();
    stack.raw_get_name(-1, COMPILED_NAME);
    let compiled = stack.top();
    stack.push_copy(callback);
    let slot = keep_function(stack, compiled);
    list.push(Registered {
        name,
        slot,
        description: registration.description,
        flags: registration.flags,
    });
    Ok(0)
}

fn positional(stack: &mut Stack<'_>) -> Result<Registration, Raise> {
    if !matches!(stack.kind(1), Kind::String | Kind::Number) {
        let text = b"ERR first argument to redis.register_function must be a string";
        return redis::fail(stack, text);
    }
    if stack.kind(2) != Kind::Function {
        let text = b"ERR second argument to redis.register_function must be a function";
        return redis::fail(stack, text);
    }
    Ok(Registration {
        name: stack.argument_bytes(1).map(<[u8]>::to_vec),
        callback: Some(2),
        ..Registration::default()
    })
}

fn named(stack: &mut Stack<'_>) -> Result<Registration, Raise> {
    if stack.kind(1) != Kind::Table {
        let text =
            b"ERR calling redis.register_function with a single argument is only applicable \
            to Lua table (representing named arguments).";
        return redis::fail(stack, text);
    }
    let mut registration = Registration::default();
    // Where the callback will be.
    stack.push_nil();
    let callback = stack.top();
    stack.push_nil();
    while stack.step(1) {
        if !matches!(stack.kind(-2), Kind::String | Kind::Number) {
            let text = b"ERR named argument key given to redis.register_function is not a string";
            return redis::fail(stack, text);
        }
        // A copy: a number must stay the key it is.
        stack.push_copy(-2);
        let key = stack.bytes(-1).unwrap_or_default().to_ascii_lowercase();
        stack.pop(1);
        match key.as_slice() {
            // A number is a name, too.
            b"function_name" => registration.name = Some(text(stack, "function_name")?),
            b"description" => registration.description = Some(text(stack, "description")?),
            b"callback" => {
                if stack.kind(-1) != Kind::Function {
                    let text = b"ERR callback argument given to redis.register_function must be a function";
                    return redis::fail(stack, text);
                }
                stack.push_copy(-1);
                stack.replace(callback);
                registration.callback = Some(callback);
            }
            b"flags" => registration.flags = flags(stack)?,
            _ => {
                let text = b"ERR unknown argument given to redis.register_function";
                return redis::fail(stack, text);
            }
        }
        stack.pop(1);
    }
    Ok(registration)
}

fn text(stack: &mut Stack<'_>, name: &str) -> Result<Vec<u8>, Raise> {
    if matches!(stack.kind(-1), Kind::String | Kind::Number) {
        return Ok(stack.bytes(-1).unwrap_or_default().to_vec());
    }
    let text = format!("ERR {name} argument given to redis.register_function must be a string");
    redis::fail(stack, text.as_bytes())
}

/// The names of flags in the list on top.
fn flags(stack: &mut Stack<'_>) -> Result<Vec<Vec<u8>>, Raise> {
    if stack.kind(-1) != Kind::Table {
        let text = b"ERR flags argument to redis.register_function must be a table representing function flags";
        return redis::fail(stack, text);
    }
    let mut flags = Vec::new();
    for index in 1.. {
        stack.raw_get_index(-1, index);
        let kind = stack.kind(-1);
        let flag = stack.bytes(-1).unwrap_or_default().to_vec();
        stack.pop(1);
        match kind {
            Kind::Nil => break,
            Kind::String if crate::script::flags::ScriptFlags::of_function(&flag).is_some() => {
                flags.push(flag);
            }
            _ => return redis::fail(stack, b"ERR unknown flag given"),
        }
    }
    Ok(flags)
}
