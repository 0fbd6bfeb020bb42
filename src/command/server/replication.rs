//! What a replica sends to its primary: REPLCONF, SYNC, PSYNC.
//!
//! Only a copy of the data is given (`redis-cli --rdb` asks for one). A replica is refused before it has loaded any of it: it would
//! wait for changes that never come, and think that it has the data of now.

use crate::client::session::{CopyOf, CopyTerms};
use crate::command::args::{self, is};
use crate::command::context::Save;
use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome, ShardAction};
use crate::config;
use crate::resp::arguments::Args;

/// Redis: room for the name of a host.
const ADDRESS_BYTES_MAX: usize = 255;

const COPYING: &[Flags] = &[
    Flags::ADMIN,
    Flags::NOSCRIPT,
    Flags::NO_ASYNC_LOADING,
    Flags::NO_MULTI,
];

/// The rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("psync", "replicationid offset", partial_sync)
        .arity(-3)
        .flags(COPYING)
        .docs("2.8.0", "server", "", "Refuses a replica."),
    Command::new("replconf", "", replconf)
        .arity(-1)
        .flags(&[
            Flags::ADMIN,
            Flags::NOSCRIPT,
            Flags::LOADING,
            Flags::STALE,
            Flags::ALLOW_BUSY,
            Flags::SYSTEM,
        ])
        .docs(
            "3.0.0",
            "server",
            "O(1)",
            "Tells what a client wants that will send SYNC.",
        ),
    Command::new("sync", "", sync).arity(1).flags(COPYING).docs(
        "1.0.0",
        "server",
        "",
        "Replies a dump of all data.",
    ),
];

fn replconf(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    let mut at = 1;
    while let (Some(option), Some(value)) = (args.get(at), args.get(at + 1)) {
        // Redis: these have no reply.
        if is(option, "ack") || is(option, "getack") {
            return Ok(Outcome::Done);
        }
        note_option(&mut ctx.session.copy_terms, option, value)?;
        at += 2;
    }
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn note_option(terms: &mut CopyTerms, option: &[u8], value: &[u8]) -> Result<(), CommandError> {
    if is(option, "listening-port") {
        args::integer(value).ok_or(error::NOT_INTEGER)?;
        terms.is_replica = true;
    } else if is(option, "ip-address") {
        if value.len() > ADDRESS_BYTES_MAX {
            return Err(error::replica_address_too_long(value.len()));
        }
        terms.is_replica = true;
    } else if is(option, "rdb-only") {
        let number = args::integer(value).ok_or(error::NOT_INTEGER)?;
        terms.is_all = match number {
            0 => false,
            1 => true,
            _ => return Err(error::NOT_ZERO_OR_ONE),
        };
    } else if is(option, "rdb-filter-only") {
        let filters = config::split(value).ok_or(error::NO_COPY_FILTER)?;
        terms.of = CopyOf::Nothing;
        for filter in filters {
            if !is(&filter, "functions") {
                return Err(error::unknown_copy_filter(&filter));
            }
            terms.of = CopyOf::Libraries;
        }
    } else if !is(option, "capa") && !is(option, "version") {
        // `version`: newer clients say it. What they are capable of is not needed.
        return Err(error::unknown_replconf(option));
    }
    Ok(())
}

fn sync(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let terms = ctx.session.copy_terms;
    // Who wants an empty copy is after the changes that follow (redis-cli --replica).
    let wants_changes = terms.of == CopyOf::Nothing && !terms.is_all;
    // What is pushed to a client would be mistaken for the copy.
    if terms.is_replica || wants_changes || ctx.session.listens() || ctx.session.monitoring {
        return Err(error::REPLICATION_UNSUPPORTED);
    }
    Ok(Outcome::Ask(ShardAction::Save(Save::Copy(terms.of))))
}

/// Only replicas send it.
fn partial_sync(_ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::REPLICATION_UNSUPPORTED)
}
