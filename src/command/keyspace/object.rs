//! OBJECT: how values are kept.

use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::config::SizeLimit;
use crate::keyspace::access::AccessPolicy;
use crate::keyspace::table::Entry;
use crate::keyspace::value::{StringValue, Value};
use crate::resp::arguments::Args;

/// Integers below this are one object that all keys share in Redis.
const SHARED_INTEGERS_END: i64 = 10_000;
/// The count of references that Redis shows for a shared object.
const SHARED_REFERENCES: i64 = i32::MAX as i64;

/// The container; the table never runs it.
pub(super) fn object(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::SYNTAX)
}

pub(super) fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    The form in which the value is kept.",
        "FREQ <key>",
        "    How often the key is accessed, on a logarithmic scale (LFU policies only).",
        "IDLETIME <key>",
        "    For how many seconds the key was not accessed.",
        "REFCOUNT <key>",
        "    How many references the value has.",
        "HELP",
        "    This text.",
    ]);
    Ok(Outcome::Done)
}

/// Replies a fact of the entry, or the null of a missing key.
fn reply_fact(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    fact: impl FnOnce(&Entry, AccessPolicy) -> Result<i64, CommandError>,
) -> Result<Outcome, CommandError> {
    let key = args.at(2);
    let policy = ctx.space.access_policy(key);
    match ctx.space.peek(key) {
        Some(entry) => ctx.reply.integer(fact(entry, policy)?),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

pub(super) fn encoding(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    match ctx.space.peek(args.at(2)) {
        Some(entry) => ctx.reply.bulk(entry.value.encoding().as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(Outcome::Done)
}

pub(super) fn refcount(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let memory = &ctx.settings.memory;
    // Redis: where keys go by their use each has a value of its own, which is where that is noted.
    let is_shared = memory.max == SizeLimit::None
        || !memory.policy.ends_with("-lru") && !memory.policy.ends_with("-lfu");
    reply_fact(ctx, args, |entry, _| {
        Ok(match entry.value {
            Value::String(StringValue::Integer(0..SHARED_INTEGERS_END)) if is_shared => {
                SHARED_REFERENCES
            }
            _ => 1,
        })
    })
}

pub(super) fn idletime(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    reply_fact(ctx, args, |entry, policy| match policy {
        AccessPolicy::Recency => Ok(entry.access().idle_s(now_ms) as i64),
        AccessPolicy::Frequency { .. } => Err(error::LFU_SELECTED),
    })
}

pub(super) fn freq(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    reply_fact(ctx, args, |entry, policy| match policy {
        AccessPolicy::Recency => Err(error::LFU_NOT_SELECTED),
        AccessPolicy::Frequency { .. } => Ok(entry.access().frequency(policy, now_ms).into()),
    })
}
