//! Keys → no shard, one shard, several. Pure.

use crate::command::row::Row;
use crate::command::spec::Scope;
use crate::ids::{ShardSet, shard_of};
use crate::resp::arguments::Args;

/// WATCH, of which the shard of the connection keeps its own list; by its name as EXEC.
pub(super) fn is_watch(row: &Row) -> bool {
    row.command.name == "watch"
}

/// Whether BY or GET of SORT has a pattern, with a place for what an element says. What only looks like one does no harm.
fn names_keys_by_patterns(args: &Args<'_>) -> bool {
    let is_option =
        |word: &[u8]| word.eq_ignore_ascii_case(b"by") || word.eq_ignore_ascii_case(b"get");
    let mut options = args.from(2).zip(args.from(3));
    options.any(|(word, next)| is_option(word) && next.contains(&b'*'))
}

/// The keyspaces that a command's keys live in, or all of them by its scope. A command whose keys cannot be found (they do
/// not fit its specs) goes where its first argument would: its handler will answer with the error.
pub(super) fn shards_of(row: &Row, args: &Args<'_>, shard_count: usize) -> ShardSet {
    match row.command.scope {
        Scope::None => ShardSet::EMPTY,
        Scope::AllShards => ShardSet::all(shard_count),
        Scope::Cursor | Scope::Keys | Scope::KeysAndPatterns | Scope::Script
            if shard_count == 1 =>
        {
            ShardSet::all(1)
        }
        Scope::Cursor | Scope::Script => ShardSet::all(shard_count),
        Scope::KeysAndPatterns if names_keys_by_patterns(args) => ShardSet::all(shard_count),
        Scope::Keys | Scope::KeysAndPatterns => {
            let mut set = ShardSet::EMPTY;
            row.command
                .for_each_key(args, |at| set.insert(shard_of(args.at(at), shard_count)));
            if set.is_empty() {
                set.insert(shard_of(args.at(1), shard_count));
            }
            set
        }
    }
}
