//! Jobs: what asks for keyspaces. A client's command is one of them, none is a special case of another.

use std::sync::Arc;

use crate::command::keyspace::migrate::Migrated;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::wait::Waiter;

use super::describe::StreamQuery;
use super::snapshot::run::Run;

/// Work that needs keyspaces.
#[derive(Debug)]
pub(super) enum Job {
    /// A client's command that was kept, and what it has sent after it.
    Client(ClientId),
    /// Blocked clients look at the keys whose alarms are due; walks go on.
    Alarms,
    /// A round of what is done some times a second.
    Housekeeping,
    /// Keys whose time has come are removed.
    Expire,
    /// Memory is short: this shard, which is in hand, gives up what it owes.
    Evict(ShardId),
    /// A lower limit of tracked keys.
    LimitTracked,
    /// A barrier is answered when the jobs before it are done.
    Answer { from: ShardId, client: ClientId },
    /// Waiters leave the wait tables.
    Forget(Vec<Arc<Waiter>>),
    /// Keys that another server has now are deleted.
    Remove(Box<Migrated>),
    /// Tell of the streams.
    Describe(Box<StreamQuery>),
    /// The cut of a snapshot.
    Cut(Arc<Run>),
    /// A step of its walk.
    Step(Arc<Run>),
}

impl Job {
    /// Whether a changed setting is heeded only when it has run.
    pub(super) fn follows_from_settings(&self) -> bool {
        matches!(self, Self::LimitTracked)
    }
}
