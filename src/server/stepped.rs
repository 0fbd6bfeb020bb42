//! Data and files of a server without threads, for a simulation: it gives the saver its turns, and owns the directory and the time.

use std::sync::Arc;

use crate::command::context::{Save, Shared};
use crate::config::EndOptions;
use crate::ids::ShardId;
use crate::journal::log::Log;
use crate::journal::storage::Storage;
use crate::shard::Shard;
use crate::shard::clock::Clock;
use crate::shard::mailbox::{Message, Post};

use super::recovery::{self, Recovery};
use super::saver::Worker;
pub use super::saver::surroundings::Surroundings;

/// Bytes filled ahead at the end of the log: few, so that it is often done.
const LOG_FILL_BYTES: u64 = 1024;

/// A server that has loaded its data.
pub struct Stepped<S> {
    /// Its shards.
    pub shards: Vec<Shard>,
    /// Its log.
    pub log: Arc<Log>,
    /// Who saves.
    pub saver: Saving<S>,
}

impl<S> std::fmt::Debug for Stepped<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepped").finish_non_exhaustive()
    }
}

/// Who saves, in turns.
pub struct Saving<S>(Worker<S>);

impl<S> std::fmt::Debug for Saving<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saving").finish_non_exhaustive()
    }
}

/// Loads what is in a directory, as a start of the server does.
///
/// # Errors
/// The line with which the start is refused.
pub fn recover<P, S>(
    shared: &Arc<Shared>,
    storage: Arc<dyn Storage>,
    post: &Arc<P>,
    clock: &Arc<dyn Clock>,
    around: S,
) -> Result<Stepped<S>, String>
where
    P: Post + Send + Sync + 'static,
    S: Surroundings,
{
    let recovery = Recovery::open(shared, storage, LOG_FILL_BYTES);
    let mut recovery = recovery.map_err(|error| error.to_string())?;
    let log = Arc::clone(&recovery.log);
    let told = Arc::clone(post);
    log.set_wake(move |shard| told.post(ShardId(shard as u16), Message::LogMoved));
    let keyspaces = recovery
        .run(&|| clock.now_ms())
        .map_err(|failure| failure.to_string())?;
    let shards = (0..shared.shard_count).map(|number| {
        let id = ShardId(number as u16);
        let (post, clock) = (Arc::clone(post), Arc::clone(clock));
        Shard::without_keyspace(id, Arc::clone(shared), post, clock).with_log(Arc::clone(&log))
    });
    let shards = shards.collect();
    let saver = recovery.serve(keyspaces, Arc::clone(post) as _, around);
    Ok(Stepped {
        shards,
        log,
        saver: Saving(saver),
    })
}

impl<S: Surroundings> Saving<S> {
    /// One turn, within which others may work. True: the process is to end.
    pub fn turn(&mut self) -> bool {
        self.0.turn()
    }

    /// One turn while the process ends: whoever waits for an answer gets one.
    pub fn turn_away(&self) {
        self.0.turn_away();
    }
}

/// Asks a server to end as a signal does. `force`: also where something cannot be saved.
pub fn ask_to_end(shared: &Shared, force: bool) {
    if let Some(saver) = shared.saver.get() {
        let options = EndOptions {
            force,
            ..EndOptions::default()
        };
        saver.request(Save::End(options), None);
    }
}

/// The shards have ended: the log is written and synced.
pub fn end(storage: &dyn Storage, log: &Log) {
    recovery::end(storage, log);
}
