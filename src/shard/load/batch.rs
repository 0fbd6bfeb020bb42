//! Work for the thread of a shard: commands of a log or entries of a dump, many at once, with all their bytes.

use std::hint::black_box;

use crate::command::row::Row;
use crate::keyspace::{Keyspace, Space};
use crate::rdb::read::Raw;
use crate::resp::arguments::{Args, ArgumentRange};

use super::runner::{BadEntry, Runner};

/// So many keys of a dump are looked up before they are placed: their places in the table come from memory side by side, where
/// one after the other would wait for each.
const LOOKED_UP_AHEAD: usize = 8;

struct Command {
    row: &'static Row,
    db: u32,
    /// How many arguments it has.
    arguments: u32,
    /// Where they end in the bytes.
    end: usize,
}

/// A [`Raw`] whose key, value and effects lie one behind the other.
struct Entry {
    db: usize,
    raw: Raw<'static>,
    key_end: usize,
    value_end: usize,
    end: usize,
}

/// See the module's head. Entries or commands: a dump ends before a log goes on behind it.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ranges: Vec<ArgumentRange>,
    commands: Vec<Command>,
    entries: Vec<Entry>,
}

impl Batch {
    /// Bytes of what is in it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.entries.is_empty()
    }

    /// Adds a command.
    pub(super) fn command(&mut self, row: &'static Row, db: usize, args: &Args<'_>) {
        debug_assert!(self.entries.is_empty());
        args.append_to(&mut self.bytes, &mut self.ranges);
        self.commands.push(Command {
            row,
            db: db as u32,
            arguments: args.len() as u32,
            end: self.bytes.len(),
        });
    }

    /// Adds an entry.
    pub(super) fn entry(&mut self, db: usize, raw: &Raw<'_>) {
        debug_assert!(self.commands.is_empty());
        let bytes = &mut self.bytes;
        let mut append = |part: &[u8]| {
            bytes.extend_from_slice(part);
            bytes.len()
        };
        let (key_end, value_end) = (append(raw.key), append(raw.bytes));
        let end = append(raw.effects);
        let raw = Raw {
            key: &[],
            bytes: &[],
            effects: &[],
            ..*raw
        };
        self.entries.push(Entry {
            db,
            raw,
            key_end,
            value_end,
            end,
        });
    }

    /// Runs what is in it, in order, up to the first entry that cannot be loaded.
    pub(super) fn run(
        &self,
        runner: &mut Runner,
        keyspace: &mut Keyspace,
        shard_count: usize,
    ) -> Result<(), BadEntry> {
        let mut start = 0;
        for some in self.entries.chunks(LOOKED_UP_AHEAD) {
            let mut key_start = start;
            for entry in some {
                let key = &self.bytes[key_start..entry.key_end];
                black_box(keyspace.database(entry.db).table().has(key));
                key_start = entry.end;
            }
            for entry in some {
                let raw = Raw {
                    key: &self.bytes[start..entry.key_end],
                    bytes: &self.bytes[entry.key_end..entry.value_end],
                    effects: &self.bytes[entry.value_end..entry.end],
                    ..entry.raw
                };
                runner.place(keyspace, entry.db, &raw)?;
                start = entry.end;
            }
        }
        let mut ranges = &self.ranges[..];
        for command in &self.commands {
            let (its, others) = ranges.split_at(command.arguments as usize);
            let args = Args::new(&self.bytes[start..command.end], its);
            let mut space = Space::one(keyspace, shard_count);
            runner.run(&mut space, command.db as usize, command.row, &args);
            (start, ranges) = (command.end, others);
        }
        Ok(())
    }

    /// Empty again; one that was much larger than usual leaves its room.
    pub(super) fn clear(&mut self, bytes_kept: usize) {
        if self.bytes.capacity() > bytes_kept {
            *self = Self::default();
        }
        self.bytes.clear();
        self.ranges.clear();
        self.commands.clear();
        self.entries.clear();
    }
}
