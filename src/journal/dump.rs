//! All data into a file: a dump, or the base of a log, as it comes.
//!
//! ```text
//! entries of all shards, in any order ──► Dump      RDB: header, AUX, SELECTDB, entries, end
//!                                    └──► Commands  RESP: SELECT, the commands that make each key; marks (annotation.rs)
//! ```
//! What is written goes to disk all along, so that the sync at the end is short.

use std::io::{self, Write};
use std::path::Path;

use super::annotation;
use super::files::salt;
use super::storage::{CrashPoint, Opening, Storage, StorageFile, write_all_at};
use super::{format, own};
use crate::keyspace::Keyspace;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::rewrite::rewrite;
use crate::keyspace::snapshot::CutCounts;
use crate::keyspace::table::Entry;
use crate::limits;
use crate::rdb;

/// What the head of a file says.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The version of Redis that the server answers for.
    pub(crate) version: &'static str,
    /// When, Unix s.
    pub(crate) time_s: u64,
    /// Memory in use, bytes.
    pub(crate) memory_bytes: u64,
    /// Whether it is the base of a log.
    pub(crate) is_base: bool,
    /// Whether a file of commands begins with the time (`aof-timestamp-enabled`).
    pub(crate) notes_time: bool,
    /// What each database has.
    pub(crate) counts: Vec<CutCounts>,
    /// Libraries of functions.
    pub(crate) libraries: Vec<Vec<u8>>,
}

/// A file that is being written, in either format.
pub(crate) struct Dump {
    body: Body,
    /// The database that the last entry was of.
    db: Option<usize>,
    head: Head,
    /// Databases whose sizes have been told.
    told: Vec<bool>,
}

enum Body {
    Rdb(Box<rdb::write::Writer<Sink>>),
    Commands(Commands),
}

impl Dump {
    /// Begins a file; with `options` in Redis' own format, else as commands.
    ///
    /// # Errors
    /// Those of the storage, as everywhere here.
    pub(crate) fn create(
        storage: &dyn Storage,
        path: &Path,
        options: Option<rdb::Options>,
        head: Head,
    ) -> io::Result<Self> {
        let sink = Sink::new(storage.open_write(path, Opening::Emptied)?);
        let told = vec![false; head.counts.len()];
        let body = match options {
            None => {
                let mut bytes = Vec::new();
                if head.notes_time {
                    write!(bytes, "#TS:{}\r\n", head.time_s)?;
                }
                for library in &head.libraries {
                    let words: [&[u8]; 3] = [b"FUNCTION", b"LOAD", library];
                    format::command(words, &mut bytes);
                }
                Body::Commands(Commands::new(sink, bytes)?)
            }
            Some(options) => {
                let mut writer = rdb::write::Writer::new(options, sink)?;
                writer.aux(b"redis-ver", head.version.as_bytes())?;
                writer.aux(b"redis-bits", b"64")?;
                writer.aux(b"ctime", head.time_s.to_string().as_bytes())?;
                writer.aux(b"used-mem", head.memory_bytes.to_string().as_bytes())?;
                let is_base: &[u8] = if head.is_base { b"1" } else { b"0" };
                writer.aux(b"aof-base", is_base)?;
                for library in &head.libraries {
                    writer.functions(library)?;
                }
                Body::Rdb(Box::new(writer))
            }
        };
        Ok(Self {
            body,
            db: None,
            head,
            told,
        })
    }

    /// Adds a key.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn entry(&mut self, db: usize, entry: &Entry, now_ms: u64) -> io::Result<()> {
        if self.db != Some(db) {
            self.db = Some(db);
            self.select(db)?;
        }
        match &mut self.body {
            Body::Rdb(writer) => {
                let entry = rdb::write::Entry {
                    key: &entry.key,
                    value: &entry.value,
                    expire_ms: entry.expiry(),
                    idle_s: None,
                    frequency: None,
                };
                writer.entry(&entry, now_ms)
            }
            Body::Commands(commands) => {
                rewrite(entry, now_ms, &mut |effect| {
                    push(effect, &mut commands.bytes)
                });
                if commands.bytes.len() >= limits::DUMP_PIECE_BYTES {
                    commands.give()?;
                }
                Ok(())
            }
        }
    }

    /// Adds all keys of a keyspace.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn all(&mut self, keyspace: &Keyspace, now_ms: u64) -> io::Result<()> {
        for db in 0..keyspace.database_count() {
            let mut entries = keyspace.database(db).table().iter();
            entries.try_for_each(|entry| self.entry(db, entry, now_ms))?;
        }
        Ok(())
    }

    fn select(&mut self, db: usize) -> io::Result<()> {
        match &mut self.body {
            Body::Commands(commands) => {
                format::select(db, &mut commands.bytes);
                Ok(())
            }
            Body::Rdb(writer) => {
                writer.select(db as u64)?;
                let is_told = self
                    .told
                    .get_mut(db)
                    .is_none_or(|told| std::mem::replace(told, true));
                match self.head.counts.get(db).filter(|_| !is_told) {
                    Some(counts) => writer.resize(counts.keys as u64, counts.expiring as u64),
                    None => Ok(()),
                }
            }
        }
    }

    /// Ends the file and syncs it; gives its size, bytes.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) fn finish(self, storage: &dyn Storage) -> io::Result<u64> {
        let mut sink = match self.body {
            Body::Rdb(writer) => writer.finish()?,
            Body::Commands(commands) => commands.finish()?,
        };
        sink.flush()?;
        sink.file.sync_data()?;
        storage.reach(CrashPoint::BeforeSnapshotRename)?;
        Ok(sink.offset)
    }
}

/// A base of commands: a part of ours, as in an incremental file, since own lines are only understood in one.
struct Commands {
    sink: Sink,
    /// What comes before the next commit.
    bytes: Vec<u8>,
    salt: u32,
    /// Where that begins.
    offset: u64,
}

impl Commands {
    /// Begins with commands that come first.
    fn new(mut sink: Sink, first: Vec<u8>) -> io::Result<Self> {
        let (salt, mut mark) = (salt(), Vec::new());
        annotation::begin(salt, 0, &mut mark);
        sink.write_all(&mark)?;
        Ok(Self {
            sink,
            bytes: first,
            salt,
            offset: mark.len() as u64,
        })
    }

    /// Writes what there is, with its commit.
    fn give(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        annotation::seal(self.salt, self.offset, 0, &mut self.bytes);
        self.sink.write_all(&self.bytes)?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Sink> {
        self.give()?;
        self.sink.write_all(&annotation::end_line(self.salt))?;
        Ok(self.sink)
    }
}

/// Appends the command of an effect, as own lines where Redis does not know it.
fn push(effect: &EffectWriter, into: &mut Vec<u8>) {
    if !effect.is_own() {
        effect.encode(into);
        return;
    }
    let mut command = Vec::new();
    effect.encode(&mut command);
    own::encode_command(&command, into);
}

/// A file that is written from its beginning to its end, in pieces.
struct Sink {
    file: Box<dyn StorageFile>,
    bytes: Vec<u8>,
    offset: u64,
    unsynced: u64,
}

impl Sink {
    fn new(file: Box<dyn StorageFile>) -> Self {
        Self {
            file,
            bytes: Vec::with_capacity(limits::DUMP_PIECE_BYTES),
            offset: 0,
            unsynced: 0,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > limits::DUMP_PIECE_BYTES {
            self.flush()?;
        }
        if bytes.len() >= limits::DUMP_PIECE_BYTES {
            write_all_at(&*self.file, self.offset, bytes)?;
            self.offset += bytes.len() as u64;
            self.unsynced += bytes.len() as u64;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all_at(&*self.file, self.offset, &self.bytes)?;
        self.offset += self.bytes.len() as u64;
        self.unsynced += self.bytes.len() as u64;
        self.bytes.clear();
        if self.unsynced >= limits::DUMP_UNSYNCED_BYTES_MAX {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }
}
