//! Which commands a script can call, and whether all of their keys are among KEYS.
//!
//! A script holds every shard while it runs, because it may touch keys that it did not declare, unless the analysis
//! proves that it cannot. Then it needs the shards of its KEYS only.
//!
//! ```text
//!  source ─ lexer ─ parser ─ Program ─┐
//!           names resolved, no kind   │ flow: rounds over the whole program until nothing changes
//!           of chain nested           │   fact of each local: any of {an element of KEYS, these constants, anything}
//!                                     │   role of a local that is another name of redis, redis.call, KEYS, a function
//!                                     ▼
//!        [ CommandCall { name: "set", arguments: [Key, Other, Constant "EX", Many] }, … ]      or None
//!                                     │
//!              the caller: CommandCall::keys_are_declared with the places of the command's keys
//! ```
//!
//! Why it holds:
//! - `redis`, its `call` and `pcall`, and KEYS are *guarded*: they stand only where their effect is known: `redis.call(…)`,
//!   `KEYS[x]`, `#KEYS`, `unpack(KEYS)`, `ipairs(KEYS)` in a `for`, `local name = redis.call` that nobody assigns again.
//!   Everywhere else they would become an ordinary value, and the script is refused. So no ordinary value is ever one of
//!   them, and KEYS is never changed.
//! - Every assignment of a local is visible in the text. Its fact is the union over all of them, whatever their order.
//! - A function that is only called by the name of its local gets its parameters from the calls that are visible; one
//!   that is used as a value gets anything.
//! - Globals are on a list. Those that could reach what is guarded by another way (`_G`, `getfenv`, `loadstring`, `debug`,
//!   metatables) are not on it, and a script that assigns a global is refused.
//! - `nil` and `false` are in no fact: as an argument of a command they are an error, and no command runs.
//!
//! What the server must keep for that: `redis` and the basic functions cannot be replaced by any script; KEYS is a new
//! table of strings without a metatable for each run; a command refuses arguments that are neither strings nor numbers.
//!
//! What it does not do: no order of statements, no values of conditions, no contents of tables. Who is in doubt is refused.

mod chain;
mod expressions;
mod fact;
mod flow;
mod globals;
mod lexer;
mod parser;
mod places;
mod refusal;
mod scope;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use places::Place;
pub(crate) use refusal::Refusal;

/// Bytes of a script that is looked at.
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// How deep statements and expressions may be nested: Lua's own parser goes to 200, a script of a framework to about 20.
/// What walks over them is recursive: at this depth it needs less than 256 KB of stack, and 1 MB without optimisation.
const NESTING_MAX: usize = 120;
/// Rounds until the facts must stand.
const ROUNDS_MAX: usize = 64;
/// Expressions looked at in all rounds together: about a tenth of a second.
const VISITS_MAX: usize = 2_000_000;
/// Calls that are reported, a call with several possible names counted for each.
const CALLS_MAX: usize = 10_000;

/// What is known of an argument of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// These bytes.
    Constant(Box<[u8]>),
    /// An element of KEYS (or nil or false, with which no command runs).
    Key,
    /// Only as the last one: any number of elements of KEYS, none too.
    AllKeys,
    /// One value, not known.
    Other,
    /// Only as the last one: any number of values, none too, not known.
    Many,
}

/// One place where a script calls a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandCall {
    /// The command, in lower case.
    pub(crate) name: Box<[u8]>,
    /// Behind the name.
    pub(crate) arguments: Vec<Argument>,
    /// The line of the statement, from 1.
    pub(crate) line: u32,
}

/// The commands that a script can call, each with what is known of its arguments; None if that cannot be told.
///
/// A place whose command has one of several constant names is told once for each. Costs time in proportion to the source,
/// with a limit.
pub(crate) fn analyse(source: &[u8]) -> Option<Vec<CommandCall>> {
    explain(source).ok()
}

/// As [`analyse`], with the reason.
///
/// # Errors
/// Why it cannot be told, and at which line.
pub(crate) fn explain(source: &[u8]) -> Result<Vec<CommandCall>, Refusal> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(Refusal::new(1, "it is too long"));
    }
    if source.contains(&0) {
        return Err(Refusal::new(1, "it has a NUL byte"));
    }
    flow::calls(&parser::parse(source)?)
}
