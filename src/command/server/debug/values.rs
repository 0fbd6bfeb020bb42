//! How values are kept, and digests of them.

use std::fmt::Write as _;

use crate::command::error::{self, CommandError};
use crate::command::keyspace::{digest as digest_of, value_digest};
use crate::command::{Context, Outcome};
use crate::data::list::List;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn digest(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    let databases = (0..ctx.space.database_count())
        .flat_map(|db| ctx.space.databases(db).map(move |database| (db, database)));
    let digest = digest_of(databases, now_ms);
    ctx.reply.simple(&hexadecimal(&digest));
    Ok(Outcome::Done)
}

/// Zeros for a key that does not exist.
pub(super) fn digest_value(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    ctx.reply.array(args.len() - 2);
    for key in args.from(2) {
        let entry = ctx.space.peek(key);
        let digest = entry.map_or([0; 20], |entry| value_digest(&entry.value, now_ms));
        ctx.reply.simple(&hexadecimal(&digest));
    }
    Ok(Outcome::Done)
}

/// Fields as Redis has them; sizes are those of this process's own forms.
fn described(entry: &Entry, now_ms: u64, chunk_limit: i32) -> String {
    let value = &entry.value;
    let bytes = match value {
        // A short one lies in the entry of its key.
        Value::String(string) => string.len(),
        value => value.heap_bytes(),
    };
    let idle_s = entry.access().idle_s(now_ms);
    let mut text = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{bytes} lru:{} lru_seconds_idle:{idle_s}",
        std::ptr::from_ref(value),
        value.encoding(),
        entry.access().bits(),
    );
    if let Value::List(list) = value
        && list.chunk_count() > 0
    {
        let chunks = list.chunk_count();
        let average = list.len() as f64 / chunks as f64;
        let _ = write!(
            text,
            " ql_nodes:{chunks} ql_avg_node:{average:.2} ql_listpack_max:{chunk_limit} ql_compressed:0 \
             ql_uncompressed_size:{bytes}"
        );
    }
    text
}

pub(super) fn object(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms();
    let chunk_limit = ctx.settings.list_max_listpack_size;
    let entry = ctx.space.peek(args.at(2)).ok_or(error::NO_SUCH_KEY)?;
    ctx.reply.simple(&described(entry, now_ms, chunk_limit));
    Ok(Outcome::Done)
}

/// Most elements that are logged.
const LOGGED_ELEMENTS_MAX: usize = 1000;

fn log_list(list: &List, key: &[u8]) {
    let elements: Vec<String> = list
        .iter()
        .take(LOGGED_ELEMENTS_MAX)
        .map(|element| String::from_utf8_lossy(&element.to_vec()).into_owned())
        .collect();
    tracing::warn!(
        "DEBUG of list {:?}: {} elements in {} chunks: {elements:?}",
        String::from_utf8_lossy(key),
        list.len(),
        list.chunk_count(),
    );
}

/// Logs a list of one form.
fn listed(
    ctx: &mut Context<'_>,
    key: &[u8],
    encoding: &str,
    otherwise: CommandError,
) -> Result<(), CommandError> {
    let entry = ctx.space.peek(key).ok_or(error::NO_SUCH_KEY)?;
    match &entry.value {
        Value::List(list) if list.encoding() == encoding => {
            log_list(list, key);
            Ok(())
        }
        _ => Err(otherwise),
    }
}

pub(super) fn listpack(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    listed(ctx, args.at(2), "listpack", error::NOT_LISTPACK)?;
    ctx.reply.simple("Listpack structure written to the log");
    Ok(Outcome::Done)
}

pub(super) fn quicklist(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    listed(ctx, args.at(2), "quicklist", error::NOT_QUICKLIST)?;
    ctx.reply.simple("Quicklist structure written to the log");
    Ok(Outcome::Done)
}
