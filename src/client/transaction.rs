//! MULTI queue and WATCH set of one client.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::ShardSet;
use crate::keyspace::watch::WatchFlag;
use crate::resp::arguments::Request;

/// A command queued in MULTI.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Row number in the command table.
    pub(crate) command: u16,
    /// Where its keys are.
    pub(crate) shards: ShardSet,
    /// Its arguments.
    pub(crate) request: Request,
}

/// Keys with their database, each once.
pub(crate) type WatchedKeys = BTreeSet<(usize, Box<[u8]>)>;

/// What a client has said between MULTI and EXEC, and what it watches.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// Whether MULTI was said.
    pub(crate) active: bool,
    /// Whether a command was refused while queueing: EXEC answers EXECABORT.
    pub(crate) aborted: bool,
    /// The queued commands; [`Transaction::enqueue`] adds one.
    pub(crate) queue: Vec<Queued>,
    /// Bytes of their arguments.
    queued_bytes: usize,
    /// Watched keys.
    pub(crate) watched: WatchedKeys,
    /// Set when a watched key changes. A new one for each WATCH set: without it the watch tables know that the set is gone.
    pub(crate) flag: Option<Arc<WatchFlag>>,
}

impl Transaction {
    /// Forgets queue and WATCH set (EXEC, DISCARD, RESET).
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets the WATCH set (UNWATCH).
    pub(crate) fn unwatch(&mut self) {
        self.watched.clear();
        self.flag = None;
    }

    /// Appends a command. O(its arguments), however many are queued already.
    pub(crate) fn enqueue(&mut self, queued: Queued) {
        self.queued_bytes += queued.request.args().byte_count();
        self.queue.push(queued);
    }

    /// Bytes of the queue.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }
}
