//! ACL LOG: what users tried and may not.

use std::sync::PoisonError;

use crate::command::args::{self, is};
use crate::command::error::{self, CommandError};
use crate::command::{Context, Outcome};
use crate::resp::arguments::Args;

/// How many entries are told when nobody says how many. Source: Redis.
const ENTRIES_TOLD: usize = 10;

pub(super) fn log(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if args.len() > 3 {
        return Err(error::wrong_subcommand("acl", args.at(1)));
    }
    let log = ctx.shared.acl_log.lock();
    let mut log = log.unwrap_or_else(PoisonError::into_inner);
    let count = match args.get(2) {
        None => ENTRIES_TOLD,
        Some(word) if is(word, "reset") => {
            log.reset();
            ctx.reply.ok();
            return Ok(Outcome::Done);
        }
        Some(word) => usize::try_from(args::required_integer(word)?).unwrap_or(0),
    };
    // Others note theirs while the reply is written.
    let entries: Vec<_> = log.entries().take(count).cloned().collect();
    drop(log);
    let now_ms = ctx.now_ms();
    let reply = &mut *ctx.reply;
    reply.array(entries.len());
    for entry in &entries {
        let denial = &entry.denial;
        reply.map(10);
        reply.bulk(b"count");
        reply.integer(entry.count as i64);
        for (name, text) in [
            ("reason", denial.reason.name().as_bytes()),
            ("context", denial.context.name().as_bytes()),
            ("object", &denial.object),
            ("username", &denial.username),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(text);
        }
        reply.bulk(b"age-seconds");
        reply.double(now_ms.saturating_sub(entry.updated_ms) as f64 / 1000.0);
        reply.bulk(b"client-info");
        reply.bulk(&denial.client_info);
        for (name, number) in [
            ("entry-id", entry.id),
            ("timestamp-created", entry.created_ms),
            ("timestamp-last-updated", entry.updated_ms),
        ] {
            reply.bulk(name.as_bytes());
            reply.integer(number as i64);
        }
    }
    Ok(Outcome::Done)
}
