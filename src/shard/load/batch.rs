//! Work for the thread of a shard: commands of a log or entries of a dump, many at once, with all their bytes.

use crate::command::row::Row;
use crate::keyspace::{Keyspace, Space};
use crate::rdb::read::Raw;
use crate::resp::arguments::{Args, ArgumentRange};

use super::runner::{BadEntry, Runner};

enum Item {
    Command {
        row: &'static Row,
        db: u32,
        /// Where its arguments end in the bytes, and how many there are.
        end: usize,
        arguments: u32,
    },
    Entry(Box<Entry>),
}

/// A [`Raw`] whose key, value and effects lie one behind the other.
struct Entry {
    db: usize,
    raw: Raw<'static>,
    key_end: usize,
    value_end: usize,
    end: usize,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ranges: Vec<ArgumentRange>,
    items: Vec<Item>,
}

impl Batch {
    /// Bytes of what is in it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a command.
    pub(super) fn command(&mut self, row: &'static Row, db: usize, args: &Args<'_>) {
        args.append_to(&mut self.bytes, &mut self.ranges);
        self.items.push(Item::Command {
            row,
            db: db as u32,
            end: self.bytes.len(),
            arguments: args.len() as u32,
        });
    }

    /// Adds an entry.
    pub(super) fn entry(&mut self, db: usize, raw: &Raw<'_>) {
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
        self.items.push(Item::Entry(Box::new(Entry {
            db,
            raw,
            key_end,
            value_end,
            end,
        })));
    }

    /// Runs what is in it, in order, up to the first entry that cannot be loaded.
    pub(super) fn run(
        &self,
        runner: &mut Runner,
        keyspace: &mut Keyspace,
        shard_count: usize,
    ) -> Result<(), BadEntry> {
        let (mut start, mut first) = (0, 0);
        for item in &self.items {
            match item {
                Item::Command {
                    row,
                    db,
                    end,
                    arguments,
                } => {
                    let last = first + *arguments as usize;
                    let args = Args::new(&self.bytes[start..*end], &self.ranges[first..last]);
                    let mut space = Space::one(keyspace, shard_count);
                    runner.run(&mut space, *db as usize, row, &args);
                    (start, first) = (*end, last);
                }
                Item::Entry(entry) => {
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
        self.items.clear();
    }
}
