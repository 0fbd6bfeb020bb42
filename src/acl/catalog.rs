//! Which commands there are, as far as rules name them.
//!
//! Built once from the command table, which this room does not know. A command is a number, its id: the place of its bit
//! in every set of commands. A subcommand has a bit of its own, so `+config` is the bits of CONFIG and of all its
//! subcommands, and `-config|set` afterwards clears one of them.

use std::collections::HashMap;

use crate::limits::COMMAND_COUNT_MAX;

use super::categories::{CATEGORIES, Categories};

/// A command to build the catalog from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Its number, below [`COMMAND_COUNT_MAX`].
    pub(crate) id: u16,
    /// Its name; of a subcommand, the second word.
    pub(crate) name: &'a str,
    /// Of a subcommand: the id of its container, whose entry comes first.
    pub(crate) parent: Option<u16>,
    /// Its categories.
    pub(crate) categories: Categories,
}

/// A set of commands, by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandSet([u64; COMMAND_COUNT_MAX / 64]);

impl CommandSet {
    /// No command.
    pub(crate) const NONE: Self = Self([0; COMMAND_COUNT_MAX / 64]);
    /// Every command there can be.
    pub(crate) const ALL: Self = Self([u64::MAX; COMMAND_COUNT_MAX / 64]);

    /// Whether the command is in it. One that has no bit is in none. O(1).
    pub(crate) fn has(&self, id: u16) -> bool {
        let word = self.0.get(usize::from(id) / 64).copied().unwrap_or(0);
        word >> (id % 64) & 1 != 0
    }

    pub(super) fn insert(&mut self, id: u16) {
        if let Some(word) = self.0.get_mut(usize::from(id) / 64) {
            *word |= 1 << (id % 64);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    pub(super) fn take_away(&mut self, other: &Self) {
        for (word, less) in self.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
    }
}

/// What rules know of a command.
#[derive(Debug)]
pub(super) struct Row {
    /// `get`, `config|set`; lower case.
    pub(super) full_name: Box<str>,
    /// Of a subcommand: its container.
    pub(super) parent: Option<u16>,
    /// Of a container: its subcommands.
    pub(super) subcommands: Vec<u16>,
}

/// All commands, by name, by id and by category.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// By id. A hole is a row that rules cannot name.
    rows: Vec<Option<Row>>,
    /// By full name, lower case.
    ids: HashMap<Box<[u8]>, u16>,
    /// For each category its commands; of a container in it, all subcommands too.
    members: [CommandSet; CATEGORIES.len()],
}

impl Catalog {
    /// The catalog of these commands, each container before its subcommands. What is one command to a client (DEBUG) is
    /// one entry, whatever the table has for its second words.
    ///
    /// # Panics
    /// When an id has no bit, or a container does not come before its subcommand.
    pub(crate) fn of<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Self {
        let mut catalog = Self {
            rows: Vec::new(),
            ids: HashMap::new(),
            members: [CommandSet::NONE; CATEGORIES.len()],
        };
        let entries: Vec<_> = entries.collect();
        for entry in &entries {
            catalog.enter(entry);
        }
        for entry in &entries {
            let family = catalog.family(entry.id);
            for place in entry.categories.places() {
                catalog.members[place].add(&family);
            }
        }
        catalog
    }

    fn enter(&mut self, entry: &Entry<'_>) {
        let at = usize::from(entry.id);
        assert!(at < COMMAND_COUNT_MAX, "there is a bit for each command");
        let name = entry.name.to_ascii_lowercase();
        let full_name = match entry.parent {
            None => name,
            Some(parent) => {
                let slot = self.rows.get_mut(usize::from(parent));
                let container = slot.and_then(Option::as_mut);
                let container = container.expect("a container comes before its subcommands");
                container.subcommands.push(entry.id);
                format!("{}|{name}", container.full_name)
            }
        };
        if self.rows.len() <= at {
            self.rows.resize_with(at + 1, || None);
        }
        self.ids.insert(full_name.as_bytes().into(), entry.id);
        self.rows[at] = Some(Row {
            full_name: full_name.into(),
            parent: entry.parent,
            subcommands: Vec::new(),
        });
    }

    /// The command of this full name, `get` or `config|set`, in any case of letters.
    pub(crate) fn find(&self, full_name: &[u8]) -> Option<u16> {
        self.ids
            .get(full_name.to_ascii_lowercase().as_slice())
            .copied()
    }

    pub(super) fn row(&self, id: u16) -> Option<&Row> {
        self.rows.get(usize::from(id))?.as_ref()
    }

    /// The command and, of a container, all its subcommands.
    pub(super) fn family(&self, id: u16) -> CommandSet {
        let mut family = CommandSet::NONE;
        family.insert(id);
        for &subcommand in self.row(id).map_or(&[][..], |row| &row.subcommands) {
            family.insert(subcommand);
        }
        family
    }

    /// The commands of the category with this name, in any case of letters.
    pub(super) fn members(&self, category: &[u8]) -> Option<&CommandSet> {
        let place = Categories::from_name(category)?.places().next()?;
        self.members.get(place)
    }
}
