//! The keyspace family.

use super::spec::Command;

/// The family's rows.
pub static COMMANDS: &[Command] = &[];

use crate::command::context::Shared;
use crate::ids::ShardSet;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::table::Entry;
use crate::resp::arguments::Args;

/// Stub until merged.
pub fn shards_for_cursor(_args: &Args<'_>, shared: &Shared, _db: usize) -> ShardSet {
    ShardSet::all(shared.shard_count)
}

/// Stub until merged.
pub fn rewrite(_entry: &Entry, _take: &mut dyn FnMut(&EffectWriter)) {}
