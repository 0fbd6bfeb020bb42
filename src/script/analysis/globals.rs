//! The globals that a script may name, and what they are to the analysis.
//!
//! A name that is not here is refused: `_G`, `getfenv`, `setfenv`, `load`, `loadstring`, `dofile`, `require`, `package`,
//! `debug`, `rawget`, `rawset`, `getmetatable`, `setmetatable` can reach what is guarded by another way, and an unknown
//! name is a doubt.

use super::syntax::FunctionId;

/// What a name stands for, where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A value as any other.
    Plain,
    /// The table `redis`. Guarded.
    Redis,
    /// The table KEYS. Guarded.
    Keys,
    /// `redis.call` or `redis.pcall`. Guarded.
    Command,
    /// A function of the script that is called by its name only.
    Function(FunctionId),
    /// A function of Lua whose effect is known.
    Builtin(Builtin),
}

/// Functions of Lua whose effect is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    /// `unpack`
    Unpack,
    /// `ipairs` and `pairs`
    Pairs,
    /// `pcall`
    Protected,
}

/// Globals that cannot reach what is guarded.
const HARMLESS: [&[u8]; 21] = [
    b"ARGV",
    b"_VERSION",
    b"assert",
    b"bit",
    b"cjson",
    b"cmsgpack",
    b"collectgarbage",
    b"coroutine",
    b"error",
    b"math",
    b"next",
    b"os",
    b"rawequal",
    b"select",
    b"string",
    b"struct",
    b"table",
    b"tonumber",
    b"tostring",
    b"type",
    b"xpcall",
];

/// Fields of `redis` that touch no key and are values as any other.
const FIELDS: [&[u8]; 21] = [
    b"LOG_DEBUG",
    b"LOG_NOTICE",
    b"LOG_VERBOSE",
    b"LOG_WARNING",
    b"REDIS_VERSION",
    b"REDIS_VERSION_NUM",
    b"REPL_ALL",
    b"REPL_AOF",
    b"REPL_NONE",
    b"REPL_REPLICA",
    b"REPL_SLAVE",
    b"acl_check_cmd",
    b"breakpoint",
    b"debug",
    b"error_reply",
    b"log",
    b"replicate_commands",
    b"set_repl",
    b"setresp",
    b"sha1hex",
    b"status_reply",
];

/// What a global is; None if a script that names it is refused.
pub(super) fn role(name: &[u8]) -> Option<Role> {
    Some(match name {
        b"redis" => Role::Redis,
        b"KEYS" => Role::Keys,
        b"unpack" => Role::Builtin(Builtin::Unpack),
        b"ipairs" | b"pairs" => Role::Builtin(Builtin::Pairs),
        b"pcall" => Role::Builtin(Builtin::Protected),
        _ if HARMLESS.contains(&name) => Role::Plain,
        _ => return None,
    })
}

/// What a field of `redis` is; None if a script that names it is refused.
pub(super) fn field_of_redis(name: &[u8]) -> Option<Role> {
    match name {
        b"call" | b"pcall" => Some(Role::Command),
        _ if FIELDS.contains(&name) => Some(Role::Plain),
        _ => None,
    }
}
