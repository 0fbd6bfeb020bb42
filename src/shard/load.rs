//! Files into keyspaces, before any shard has them: the entries of a dump, the commands of a log.
//!
//! ```text
//! dump ──entry────► shard of the key ──► decoded and placed by its thread
//! log ──command───► SELECT, MULTI, EXEC are followed here
//!                   ├─ keys of one shard ─────────────────► the handler, on the thread of the shard
//!                   └─ several shards, all, none: barrier ► the handler, here, with all keyspaces in hand
//! ```
//! Nothing expires meanwhile: what a log says about a key may need it, and its DEL follows. Whoever calls has seen that the log
//! ends outside of a transaction (`journal/scan`): nobody looks at the data before it is whole, so the commands of an EXEC run as
//! they come, each on its shard.
//!
//! Order: what concerns one shard runs in the order of the file; what concerns several runs behind all that was before it and in
//! front of all that follows. That gives the state which one thread would give. A file with many barriers is loaded by one
//! thread in the stretches where they are close to each other: to take all keyspaces costs as much as many commands.
//!
//! Not here: which files, and how they are read (`server/load.rs`, `logs.rs`, `dumps.rs`).

#![allow(
    clippy::vec_box,
    reason = "a keyspace stays where it is: hands and berths pass its box on"
)]

mod batch;
mod crew;
mod queue;
mod runner;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::command::args::integer;
use crate::command::context::Shared;
use crate::command::row::Row;
use crate::command::table::commands;
use crate::config::Settings;
use crate::ids::{ShardId, shard_of};
use crate::keyspace::{Keyspace, Space};
use crate::limits::{LOADED_BEFORE_THREADS, LOADED_BETWEEN_BARRIERS};
use crate::rdb::read::Raw;
use crate::resp::arguments::Args;

use super::route::shards_of;

use crew::Crew;
use runner::Runner;

/// All keyspaces, and what a log has said so far.
pub(crate) struct Loader<'l> {
    runner: Runner,
    place: Place<'l>,
    shard_count: usize,
    database_count: usize,
    /// The database of what follows.
    db: usize,
    /// How much more is loaded with all keyspaces in hand before threads have them.
    stays: usize,
    /// As much as that behind a barrier.
    stays_behind_barrier: usize,
}

/// Where the keyspaces are.
enum Place<'l> {
    /// Here, always: this thread loads.
    InHand(&'l mut [Box<Keyspace>]),
    /// With threads, or here between.
    Crew(Crew),
}

/// Why a command of a log cannot be run, or an entry of a dump cannot be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// There is no such command.
    Unknown(String),
    /// There is no such database.
    Database(String),
    /// A transaction was given up: no server writes that to its log.
    Discard,
    /// An entry that was read before.
    Entry(String),
    /// A library of functions does not load.
    Library(String),
    /// A thread could not be had.
    Thread(std::io::Error),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "Unknown command '{name}' reading the append only file")
            }
            Self::Database(number) => write!(
                f,
                "database {number} is above 'databases': start with as many databases as the server had that wrote the file"
            ),
            Self::Discard => f.write_str("DISCARD in an append only file cannot be followed"),
            Self::Entry(text) | Self::Library(text) => f.write_str(text),
            Self::Thread(error) => write!(f, "no thread to load with: {error}"),
        }
    }
}

impl<'l> Loader<'l> {
    /// One that loads by itself into keyspaces in hand. `merges`: a key that is there already is replaced, instead of an error.
    pub(crate) fn in_hand(
        shared: &Arc<Shared>,
        settings: &Arc<Settings>,
        now_ms: u64,
        keyspaces: &'l mut [Box<Keyspace>],
        merges: bool,
    ) -> Self {
        let place = Place::InHand(keyspaces);
        let mut loader = Self::new(shared, settings, now_ms, place);
        loader.runner.merges = merges;
        loader
    }

    /// One that loads with a thread for each shard.
    pub(crate) fn with_threads(
        shared: &Arc<Shared>,
        settings: &Arc<Settings>,
        now_ms: u64,
        keyspaces: Vec<Box<Keyspace>>,
    ) -> Self {
        Self::new(shared, settings, now_ms, Place::Crew(Crew::new(keyspaces)))
    }

    fn new(
        shared: &Arc<Shared>,
        settings: &Arc<Settings>,
        now_ms: u64,
        mut place: Place<'l>,
    ) -> Self {
        for keyspace in place.here() {
            keyspace.set_replaying(true);
        }
        Self {
            runner: Runner::new(shared, settings, now_ms),
            place,
            shard_count: shared.shard_count,
            database_count: settings.databases,
            db: 0,
            stays: LOADED_BEFORE_THREADS,
            stays_behind_barrier: LOADED_BETWEEN_BARRIERS,
        }
    }

    /// The time of the load, Unix ms.
    pub(crate) fn now_ms(&self) -> u64 {
        self.runner.now_ms
    }

    /// All is loaded: keys end again, effects are recorded. Gives the keyspaces that were given.
    ///
    /// # Errors
    /// As [`Loader::settle`].
    pub(crate) fn finish(mut self) -> Result<Vec<Box<Keyspace>>, LoadError> {
        self.settle()?;
        for keyspace in self.place.here() {
            keyspace.set_replaying(false);
        }
        Ok(match &mut self.place {
            Place::InHand(_) => Vec::new(),
            Place::Crew(crew) => std::mem::take(&mut crew.home),
        })
    }

    /// Waits until all is loaded that was read.
    ///
    /// # Errors
    /// The first entry of the dump that could not be loaded.
    pub(crate) fn settle(&mut self) -> Result<(), LoadError> {
        self.runner.tell();
        match &mut self.place {
            Place::InHand(_) => Ok(()),
            Place::Crew(crew) => crew.gather().map_err(|bad| LoadError::Entry(bad.text)),
        }
    }

    /// What follows is of this database.
    ///
    /// # Errors
    /// When there is none with this number.
    pub(crate) fn select(&mut self, number: u64) -> Result<(), LoadError> {
        let db = usize::try_from(number).ok();
        match db.filter(|db| *db < self.database_count) {
            Some(db) => {
                self.db = db;
                Ok(())
            }
            None => Err(LoadError::Database(number.to_string())),
        }
    }

    /// Loads an entry of a dump, or sees to it that it will be.
    ///
    /// # Errors
    /// This entry or one before cannot be loaded; which of them was the first, [`Loader::settle`] knows.
    pub(crate) fn entry(&mut self, raw: &Raw<'_>) -> Result<(), LoadError> {
        let shard = shard_of(raw.key, self.shard_count);
        if self.spreads()? {
            let Place::Crew(crew) = &mut self.place else {
                return Ok(());
            };
            let db = self.db;
            return if crew.add(shard, |batch| batch.entry(db, raw)) && crew.has_failed() {
                self.settle()
            } else {
                Ok(())
            };
        }
        let Some(keyspace) = self.place.here().get_mut(shard.index()) else {
            return Ok(());
        };
        let placed = self.runner.place(keyspace, self.db, raw);
        placed.map_err(|bad| LoadError::Entry(bad.text))
    }

    /// Adds a library of functions.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub(crate) fn library(&mut self, text: &[u8]) -> Result<(), LoadError> {
        self.runner.library(text)
    }

    /// Runs a command of a log, or sees to it that it will be.
    ///
    /// # Errors
    /// It is not known, or names a database that there is not.
    pub(crate) fn command(&mut self, args: &Args<'_>) -> Result<(), LoadError> {
        let row = row_of(args)?;
        match row.full_name.as_str() {
            "select" => {
                let text = String::from_utf8_lossy(args.at(1)).into_owned();
                let number = integer(args.at(1)).and_then(|number| u64::try_from(number).ok());
                return self.select(number.ok_or(LoadError::Database(text))?);
            }
            "multi" | "exec" => return Ok(()),
            "discard" => return Err(LoadError::Discard),
            _ => {}
        }
        let shards = shards_of(row, args, self.shard_count);
        let shard = shards.first().filter(|_| shards.len() == 1);
        match shard {
            Some(shard) if self.spreads()? => {
                self.add_command(shard, row, args);
                return Ok(());
            }
            Some(_) => {}
            None => {
                self.settle()?;
                self.stays = self.stays.max(self.stays_behind_barrier);
            }
        }
        let shard_count = self.shard_count;
        let mut space = match self.place.here() {
            [one] => Space::one(one, shard_count),
            many => Space::many(many, shard_count),
        };
        self.runner.run(&mut space, self.db, row, args);
        Ok(())
    }

    fn add_command(&mut self, shard: ShardId, row: &'static Row, args: &Args<'_>) {
        let db = self.db;
        if let Place::Crew(crew) = &mut self.place {
            crew.add(shard, |batch| batch.command(row, db, args));
        }
    }

    /// Whether threads are to load what comes: they have the keyspaces then.
    fn spreads(&mut self) -> Result<bool, LoadError> {
        let Place::Crew(crew) = &mut self.place else {
            return Ok(false);
        };
        if crew.is_spread() {
            return Ok(true);
        }
        if self.stays > 0 {
            self.stays -= 1;
            return Ok(false);
        }
        crew.spread(&self.runner).map_err(LoadError::Thread)?;
        Ok(true)
    }
}

impl Place<'_> {
    /// The keyspaces that are here: all, or none.
    fn here(&mut self) -> &mut [Box<Keyspace>] {
        match self {
            Self::InHand(keyspaces) => keyspaces,
            Self::Crew(crew) => &mut crew.home,
        }
    }
}

/// The row of a command of a log.
fn row_of(args: &Args<'_>) -> Result<&'static Row, LoadError> {
    let name = args.at(0);
    let table = commands();
    let unknown = || LoadError::Unknown(String::from_utf8_lossy(name).into_owned());
    let mut row = table.find_either(name).ok_or_else(unknown)?;
    if row.is_container() && args.len() > 1 {
        row = table.find_subcommand(row, args.at(1)).unwrap_or(row);
    }
    if !row.command.accepts(args.len()) && !row.command.accepts_own_word(args) {
        return Err(unknown());
    }
    Ok(row)
}
