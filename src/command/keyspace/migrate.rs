//! MIGRATE: keys go to another server and are deleted here.
//!
//! ```text
//! handler ── payloads ──► a thread of its own: SELECT, RESTORE …, replies ──► under a hand: is the key as it was sent? then it is deleted
//! ```
//! Redis stops everybody until the other server has answered. Here others go on, so a key may change in between: then it stays, the
//! other server has it as it was, and the client gets an error that says so. A key is as it was when nobody has touched it in WATCH's sense
//! since it was read, and its payload and its end are the same. The one without the other is not enough: a RESTORE of an equal value may
//! be this very key, come back from another server or sent to this one itself, and then nobody else has it any more; and what is done to
//! the groups of a stream does not count for WATCH.
//! In a transaction nobody may come in between, and the answer cannot be waited for: there it is refused (Redis allows it).

use std::collections::HashSet;
use std::sync::Arc;

use super::dump::version_of;
use super::remove::remove;
use crate::command::args::{self, Cursor};
use crate::command::context::{Context, Outcome, ShardAction};
use crate::command::error::{self, CommandError};
use crate::command::key_spec::migrated_keys;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::Space;
use crate::keyspace::table::Entry;
use crate::keyspace::watch::WatchFlag;
use crate::rdb::{Version, payload};
use crate::resp::arguments::Args;

/// The timeout where none is given, ms. Source: Redis.
const TIMEOUT_DEFAULT_MS: u64 = 1000;

/// How payloads are made: the same again gives the same bytes.
#[derive(Clone, Copy, Debug)]
struct Form {
    version: Version,
    compress: bool,
    now_ms: u64,
}

impl Form {
    fn payload_of(self, entry: &Entry) -> Vec<u8> {
        payload::dump(
            &entry.key,
            &entry.value,
            self.version,
            self.compress,
            self.now_ms,
        )
    }
}

/// A key that is sent.
#[derive(Debug)]
pub(crate) struct SentKey {
    /// The key.
    pub(crate) key: Box<[u8]>,
    /// Its value.
    pub(crate) payload: Vec<u8>,
    /// When it ends, Unix ms.
    pub(crate) end_ms: Option<u64>,
    /// Set when somebody touches the key here.
    touched: Arc<WatchFlag>,
}

/// What is to be sent where.
#[derive(Debug)]
pub(crate) struct Migration {
    /// The other server.
    pub(crate) host: String,
    /// Its port, as it was written.
    pub(crate) port: String,
    /// The address to connect from (`bind-source-addr`).
    pub(crate) source: Option<String>,
    /// The database there.
    pub(crate) target_db: i64,
    /// Longest time for a connection and for each step of what is said, ms.
    pub(crate) timeout_ms: u64,
    /// The arguments of AUTH: a password, or a name and a password.
    pub(crate) login: Vec<Vec<u8>>,
    /// Keys that are there already are overwritten.
    pub(crate) replace: bool,
    /// The keys stay here.
    copy: bool,
    /// The database here.
    db: usize,
    form: Form,
    /// What is sent, in this order.
    pub(crate) keys: Vec<SentKey>,
}

/// How it ended.
#[derive(Debug)]
pub struct Migrated {
    /// Who waits for it.
    pub(crate) client: ClientId,
    /// What went wrong.
    pub(crate) error: Option<CommandError>,
    /// What the other server has now and is to be deleted here.
    accepted: Vec<SentKey>,
    db: usize,
    form: Form,
}

impl Migration {
    /// The end of it: these of its keys were accepted.
    pub(crate) fn ended(
        self,
        client: ClientId,
        mut accepted: Vec<SentKey>,
        error: Option<CommandError>,
    ) -> Migrated {
        if self.copy {
            accepted.clear();
        }
        Migrated {
            client,
            error,
            accepted,
            db: self.db,
            form: self.form,
        }
    }
}

impl Migrated {
    /// The keys that are to be deleted.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.accepted.iter().map(|sent| &*sent.key)
    }

    /// Deletes the keys that are as they were sent; gives an error when there are others. The keyspaces of all are in hand.
    pub(crate) fn remove_from(&self, space: &mut Space<'_>) -> Option<CommandError> {
        space.db = self.db;
        let now_ms = space.now_ms;
        let (mut seen, mut changed_count) = (HashSet::new(), 0);
        for sent in &self.accepted {
            if !seen.insert(&*sent.key) {
                continue;
            }
            let mut handle = space.write(&sent.key);
            let is_same = !sent.touched.is_set()
                && handle.expiry() == sent.end_ms
                && handle
                    .entry()
                    .is_some_and(|entry| self.form.payload_of(entry) == sent.payload);
            let has_ended = sent.end_ms.is_some_and(|end_ms| end_ms <= now_ms);
            if is_same {
                remove(&mut handle, "DEL");
            } else if handle.exists() || !has_ended {
                changed_count += 1;
            }
        }
        (changed_count > 0).then(|| error::migrated_key_changed(changed_count, seen.len()))
    }
}

/// Sends keys to other servers, on threads of its own.
pub(crate) trait Migrator: Send + Sync {
    /// Takes it over; returns at once. The shard gets how it ended.
    fn begin(&self, migration: Migration, shard: ShardId, client: ClientId);
}

/// The options.
#[derive(Debug, Default)]
struct Options {
    copy: bool,
    replace: bool,
    login: Vec<Vec<u8>>,
}

impl Options {
    fn read(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = Cursor::new(args, 6);
        while rest.left() > 0 {
            if rest.keyword("COPY") {
                options.copy = true;
            } else if rest.keyword("REPLACE") {
                options.replace = true;
            } else if rest.left() > 1 && rest.keyword("AUTH") {
                options.login = vec![rest.value()?.to_vec()];
            } else if rest.left() > 2 && rest.keyword("AUTH2") {
                options.login = vec![rest.value()?.to_vec(), rest.value()?.to_vec()];
            } else if rest.keyword("KEYS") {
                if !args.at(3).is_empty() {
                    return Err(error::MIGRATE_KEYS);
                }
                break;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }
}

pub(super) fn migrate(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let options = Options::read(args)?;
    let timeout_ms = args::required_integer(args.at(5))?;
    let target_db = args::required_integer(args.at(4))?;
    if !ctx.may_block {
        return Err(error::NOT_IN_TRANSACTION);
    }
    let form = Form {
        version: version_of(ctx.settings),
        compress: ctx.settings.persistence.compression,
        now_ms: ctx.now_ms(),
    };
    let keys = migrated_keys(args).unwrap_or_default();
    let mut sent = Vec::new();
    for key in keys.map(|at| args.at(at)) {
        let Some(entry) = ctx.space.read(key) else {
            continue;
        };
        let touched = Arc::default();
        sent.push(SentKey {
            key: key.into(),
            payload: form.payload_of(entry),
            end_ms: entry.expiry(),
            touched: Arc::clone(&touched),
        });
        if !options.copy {
            ctx.space.watch(key, &touched);
        }
    }
    if sent.is_empty() {
        ctx.reply.simple("NOKEY");
        return Ok(Outcome::Done);
    }
    let text = |at: usize| String::from_utf8_lossy(args.at(at)).into_owned();
    let migration = Migration {
        host: text(1),
        port: text(2),
        source: ctx.settings.bind_source_addr.clone(),
        target_db,
        timeout_ms: match u64::try_from(timeout_ms) {
            Ok(0) | Err(_) => TIMEOUT_DEFAULT_MS,
            Ok(ms) => ms,
        },
        login: options.login,
        replace: options.replace,
        copy: options.copy,
        db: ctx.session.db,
        form,
        keys: sent,
    };
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Migrate(Box::new(migration))))
}
