//! What one thread needs to put a file into keyspaces: it runs commands of a log and places entries of a dump.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::context::Shared;
use crate::command::keyspace::dump::limits_of;
use crate::command::row::Row;
use crate::config::Settings;
use crate::ids::ShardId;
use crate::keyspace::{Keyspace, Space};
use crate::rdb::Limits;
use crate::rdb::read::Raw;
use crate::resp::Protocol;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::script::thread::Scripts;

use super::super::clock::SystemClock;
use super::super::env::{Aftermath, Call, Env};
use super::super::headroom::MemoryLimits;
use super::super::measure::NOBODY;
use super::LoadError;

/// How many keys without elements the log names. Source: Redis.
const EMPTY_KEYS_TOLD: u64 = 10;
/// Most bytes of a key or an argument in a log line.
const SHOWN_BYTES_MAX: usize = 128;

/// Why an entry of a dump cannot be loaded.
#[derive(Debug)]
pub(super) struct BadEntry {
    /// Where its value begins in the file.
    pub(super) offset: u64,
    /// Which entry it is, and what is wrong.
    pub(super) text: String,
}

/// See the module's head.
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    settings: Arc<Settings>,
    clock: SystemClock,
    limits: Limits,
    session: Session,
    reply: Reply,
    after: Aftermath,
    /// The time of the load, Unix ms.
    pub(super) now_ms: u64,
    /// Whether a key that is there already is replaced, instead of an error.
    pub(super) merges: bool,
    /// Keys placed and not yet told of.
    keys: u64,
}

impl Runner {
    pub(super) fn new(shared: &Arc<Shared>, settings: &Arc<Settings>, now_ms: u64) -> Self {
        let handle = ClientHandle::new(NOBODY, ClientOrigin::default(), ShardId(0), now_ms);
        Self {
            shared: Arc::clone(shared),
            settings: Arc::clone(settings),
            clock: SystemClock::start(),
            limits: limits_of(settings, 0),
            session: Session::new(Arc::new(handle), true),
            reply: Reply::new(Protocol::Resp2),
            after: Aftermath::default(),
            now_ms,
            merges: false,
            keys: 0,
        }
    }

    /// One for another thread.
    pub(super) fn another(&self) -> Self {
        Self {
            merges: self.merges,
            ..Self::new(&self.shared, &self.settings, self.now_ms)
        }
    }

    /// Runs a command of a log on a database: it is in no records, and wakes nobody.
    pub(super) fn run(
        &mut self,
        space: &mut Space<'_>,
        db: usize,
        row: &'static Row,
        args: &Args<'_>,
    ) {
        let lap_ns = Cell::new(Some(0));
        // For FUNCTION LOAD only: nothing is made before.
        let scripts = RefCell::default();
        let env = Env {
            shared: &self.shared,
            settings: &self.settings,
            limits: &MemoryLimits::NONE,
            shard: ShardId(0),
            now_ms: self.now_ms,
            clock: &self.clock,
            lap_ns: &lap_ns,
            scripts: &scripts,
        };
        self.session.db = db;
        (space.db, space.now_ms) = (db, self.now_ms);
        self.reply.clear();
        let call = Call::at_once(row, args);
        let mut context = env.context(space, &mut self.session, &mut self.reply, &call);
        if let Err(error) = (row.command.handler)(&mut context, args) {
            // As Redis: it failed when it ran first, too.
            let text = String::from_utf8_lossy(error.bytes());
            if row.command.group == "scripting" {
                tracing::warn!(
                    "{} of the log failed: {}",
                    row.full_name.replace('|', " ").to_uppercase(),
                    text.trim_end()
                );
            } else {
                let hides = self.settings.hide_user_data_from_log;
                let of = Shown {
                    args: args.iter(),
                    hides,
                };
                tracing::debug!("{of} of the log failed: {}", text.trim_end());
            }
        }
        env.collect(space, &mut self.after);
        if !self.after.is_empty() || !self.after.ready.is_empty() {
            self.after = Aftermath::default();
        }
    }

    /// Puts an entry of a dump into the keyspace of its key.
    pub(super) fn place(
        &mut self,
        keyspace: &mut Keyspace,
        db: usize,
        raw: &Raw<'_>,
    ) -> Result<(), BadEntry> {
        let value = match raw.decode(&self.limits, self.now_ms) {
            // Redis passes over them.
            Err(error) if error.is_empty_value() => {
                self.pass_over(raw.key);
                return Ok(());
            }
            Err(error) => {
                return Err(BadEntry {
                    offset: raw.offset,
                    text: error.to_string(),
                });
            }
            Ok(value) => value,
        };
        let (now_ms, merges) = (self.now_ms, self.merges);
        if !keyspace.load(db, raw.key, value, raw.expire_ms, now_ms, merges) {
            return Err(BadEntry {
                offset: raw.offset,
                text: format!(
                    "at byte {}: the key \"{}\" is there twice",
                    raw.offset,
                    raw.key.escape_ascii()
                ),
            });
        }
        self.keys += 1;
        Ok(())
    }

    /// Adds a library of functions of a dump.
    pub(super) fn library(&self, text: &[u8]) -> Result<(), LoadError> {
        let library = Scripts::default().library(text);
        let added = library.and_then(|library| self.shared.add_library(library, self.merges));
        added.map_err(|error| {
            let error = String::from_utf8_lossy(&error);
            LoadError::Library(format!("Failed loading a library of functions: {error}"))
        })
    }

    /// Counts a key whose value has no elements, and tells of the first of them.
    fn pass_over(&self, key: &[u8]) {
        let passed = &self.shared.observations.persistence.loaded_empty_keys;
        if passed.fetch_add(1, Ordering::Relaxed) < EMPTY_KEYS_TOLD {
            let hides = self.settings.hide_user_data_from_log;
            let key = Shown {
                args: std::iter::once(key),
                hides,
            };
            tracing::info!("skipping empty key: {key}");
        }
    }

    /// Tells how many keys were placed since the last time.
    pub(super) fn tell(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        let facts = &self.shared.observations.persistence;
        facts.loaded_keys.fetch_add(keys, Ordering::Relaxed);
    }
}

/// Keys or arguments as a log line may show them: the beginning of each, or none.
struct Shown<I> {
    args: I,
    hides: bool,
}

impl<'a, I: Iterator<Item = &'a [u8]> + Clone> fmt::Display for Shown<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hides {
            return f.write_str("*redacted*");
        }
        for (at, arg) in self.args.clone().enumerate() {
            let beginning = arg.get(..SHOWN_BYTES_MAX).unwrap_or(arg).escape_ascii();
            write!(f, "{}{beginning}", if at > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
