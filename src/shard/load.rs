//! Files into keyspaces, before any shard has them: the entries of a dump, the commands of a log.
//!
//! ```text
//! dump ──entry──► keyspace of the key
//! log ──command──► SELECT, MULTI … EXEC are followed here ──► the handler, as for any command
//! ```
//! Nothing expires meanwhile: what a log says about a key may need it, and its DEL follows. What an EXEC holds is run when it is
//! whole.
//!
//! Not here: which files, and how they are read (`server/load.rs`).

#![allow(
    clippy::vec_box,
    reason = "a keyspace stays where it is: hands and berths pass its box on"
)]

use std::cell::Cell;
use std::sync::Arc;

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::args::{integer, is};
use crate::command::context::Shared;
use crate::command::table::commands;
use crate::config::Settings;
use crate::ids::{ShardId, shard_of};
use crate::keyspace::value::Value;
use crate::keyspace::{Keyspace, Space};
use crate::resp::Protocol;
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::Reply;

use super::clock::Clock;
use super::env::{Aftermath, Call, Env};
use super::measure::NOBODY;

/// All keyspaces, and what a log has said so far.
pub(crate) struct Loader<'l> {
    shared: &'l Shared,
    settings: Arc<Settings>,
    clock: &'l dyn Clock,
    keyspaces: &'l mut [Box<Keyspace>],
    /// Whether a key that is there already is replaced, instead of an error.
    pub(super) merges: bool,
    session: Session,
    reply: Reply,
    now_ms: u64,
    /// The commands since MULTI.
    transaction: Option<Vec<Request>>,
}

/// Why a command of a log cannot be run.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// There is no such command.
    Unknown(String),
    /// There is no such database.
    Database(String),
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
        }
    }
}

impl<'l> Loader<'l> {
    /// With all keyspaces, which are empty.
    pub(crate) fn new(
        shared: &'l Shared,
        settings: Arc<Settings>,
        clock: &'l dyn Clock,
        keyspaces: &'l mut [Box<Keyspace>],
    ) -> Self {
        for keyspace in keyspaces.iter_mut() {
            keyspace.set_replaying(true);
        }
        let now_ms = clock.now_ms();
        let handle = ClientHandle::new(NOBODY, ClientOrigin::default(), ShardId(0), now_ms);
        Self {
            shared,
            settings,
            clock,
            keyspaces,
            merges: false,
            session: Session::new(Arc::new(handle), true),
            reply: Reply::new(Protocol::Resp2),
            now_ms,
            transaction: None,
        }
    }

    /// The time of the load, Unix ms.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// All is loaded: keys end again, effects are recorded.
    pub(crate) fn finish(self) {
        for keyspace in self.keyspaces.iter_mut() {
            keyspace.set_replaying(false);
        }
    }

    /// The commands that follow are of this database.
    ///
    /// # Errors
    /// When there is none with this number.
    pub(crate) fn select(&mut self, number: u64) -> Result<(), LoadError> {
        let db = usize::try_from(number).ok();
        match db.filter(|db| *db < self.settings.databases) {
            Some(db) => {
                self.session.db = db;
                Ok(())
            }
            None => Err(LoadError::Database(number.to_string())),
        }
    }

    /// Puts a key of a dump into its keyspace; false when it is there already.
    pub(crate) fn entry(&mut self, key: &[u8], value: Value, expire_ms: Option<u64>) -> bool {
        let shard = shard_of(key, self.shared.shard_count);
        let Some(keyspace) = self.keyspaces.get_mut(shard.index()) else {
            return false;
        };
        let (db, now_ms, merges) = (self.session.db, self.now_ms, self.merges);
        keyspace.load(db, key, value, expire_ms, now_ms, merges)
    }

    /// Runs a command of a log, or keeps it until EXEC.
    ///
    /// # Errors
    /// When it is not known, or names a database that there is not.
    pub(crate) fn command(&mut self, args: &Args<'_>) -> Result<(), LoadError> {
        let name = args.at(0);
        if is(name, "multi") {
            self.transaction = Some(Vec::new());
        } else if is(name, "exec") {
            for request in self.transaction.take().unwrap_or_default() {
                self.run(&request.args())?;
            }
        } else if let Some(transaction) = &mut self.transaction {
            transaction.push(args.to_request());
        } else {
            self.run(args)?;
        }
        Ok(())
    }

    fn run(&mut self, args: &Args<'_>) -> Result<(), LoadError> {
        let name = args.at(0);
        if is(name, "select") {
            let text = String::from_utf8_lossy(args.at(1)).into_owned();
            let number = integer(args.at(1)).and_then(|number| u64::try_from(number).ok());
            return self.select(number.ok_or(LoadError::Database(text))?);
        }
        if is(name, "function") && is(args.at(1), "load") && args.len() > 2 {
            let library = args.at(args.len() - 1).to_vec();
            self.shared.observations.persistence.keep_library(library);
            return Ok(());
        }
        let table = commands();
        let unknown = || LoadError::Unknown(String::from_utf8_lossy(name).into_owned());
        let mut row = table.find(name).ok_or_else(unknown)?;
        if row.is_container() && args.len() > 1 {
            row = table.find_subcommand(row, args.at(1)).unwrap_or(row);
        }
        if !row.command.accepts(args.len()) && !row.command.accepts_own_word(args) {
            return Err(unknown());
        }
        let lap_ns = Cell::new(Some(0));
        let env = Env {
            shared: self.shared,
            settings: &self.settings,
            shard: ShardId(0),
            now_ms: self.now_ms,
            clock: self.clock,
            lap_ns: &lap_ns,
        };
        let shard_count = self.shared.shard_count;
        let mut space = match &mut *self.keyspaces {
            [one] => Space::one(one, shard_count),
            many => Space::many(many, shard_count),
        };
        self.reply.clear();
        let call = Call::at_once(row, args);
        env.replay(&mut space, &mut self.session, &mut self.reply, &call);
        if self.reply.bytes().first() == Some(&b'-') {
            // As Redis: it failed when it ran first, too.
            let text = String::from_utf8_lossy(self.reply.bytes());
            tracing::debug!("{args:?} of the log failed: {}", text.trim_end());
        }
        Ok(())
    }
}

impl Env<'_> {
    /// Runs a command of a log: it is in no records, and wakes nobody.
    fn replay(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
    ) {
        let mark = reply.mark();
        space.db = session.db;
        space.now_ms = self.now_ms;
        let mut context = self.context(space, session, reply, call);
        if let Err(error) = (call.row.command.handler)(&mut context, call.args) {
            reply.truncate(mark);
            reply.error(error.bytes());
        }
        let mut after = Aftermath::default();
        self.collect(space, &mut after);
    }
}
