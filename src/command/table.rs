//! All rows: joined from the families, numbered, found by name.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::spec::{Command, Flags};
use super::{connection, keyspace, list, pubsub, scripting, server, stream, string, transaction};

/// A command or subcommand in the table.
#[derive(Debug)]
pub struct Row {
    /// Its number, for statistics; subcommands have their own.
    pub id: u16,
    /// `get`, `xgroup|create`: what clients are told it is. The parts of one command have the name of the whole.
    pub full_name: String,
    /// The number it is counted by: its own, or that of the whole.
    pub counted_as: u16,
    /// What it is.
    pub command: &'static Command,
    /// The container's number, for a subcommand.
    pub parent: Option<u16>,
    subcommands: HashMap<&'static str, u16>,
}

/// The table.
#[derive(Debug)]
pub struct CommandTable {
    rows: Vec<Row>,
    /// Numbers of rows by the hash of their names, [`NO_ROW`] where there is none: looked at with every command.
    names: Box<[u16; NAME_PLACES]>,
}

/// Places for names, as a power of two: several times the commands, so that a name is seldom pushed on.
const NAME_PLACES_BITS: u32 = 11;
const NAME_PLACES: usize = 1 << NAME_PLACES_BITS;
const NO_ROW: u16 = u16::MAX;

/// Longest name of a command, bytes.
const NAME_BYTES_MAX: usize = 32;

fn lower<'a>(name: &[u8], buffer: &'a mut [u8; NAME_BYTES_MAX]) -> Option<&'a str> {
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

/// Where a name is looked for first, whatever its case (FNV-1a).
fn place_of(name: &[u8]) -> usize {
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193)
    });
    (hash >> (u32::BITS - NAME_PLACES_BITS)) as usize
}

impl CommandTable {
    fn new() -> Self {
        let families: [&[&'static [Command]]; 9] = [
            &[connection::COMMANDS],
            &[keyspace::COMMANDS],
            &[list::COMMANDS],
            &[pubsub::COMMANDS],
            &[scripting::COMMANDS],
            server::COMMANDS,
            stream::COMMANDS,
            &[string::COMMANDS],
            &[transaction::COMMANDS],
        ];
        let mut table = Self {
            rows: Vec::new(),
            names: Box::new([NO_ROW; NAME_PLACES]),
        };
        for command in families
            .into_iter()
            .flatten()
            .flat_map(|family| family.iter())
        {
            let id = table.push(command, command.name.to_owned(), None);
            table.enter(command.name, id);
            let is_one = command.flags.has(Flags::ONE_COMMAND);
            for subcommand in command.subcommands {
                let full_name = if is_one {
                    command.name.to_owned()
                } else {
                    format!("{}|{}", command.name, subcommand.name)
                };
                let sub = table.push(subcommand, full_name, Some(id));
                if is_one {
                    table.rows[usize::from(sub)].counted_as = id;
                }
                table.rows[usize::from(id)]
                    .subcommands
                    .insert(subcommand.name, sub);
            }
        }
        table
    }

    fn enter(&mut self, name: &str, id: u16) {
        let mut place = place_of(name.as_bytes());
        while self.names[place] != NO_ROW {
            debug_assert_ne!(self.row(self.names[place]).command.name, name, "two rows");
            place = (place + 1) % NAME_PLACES;
        }
        self.names[place] = id;
    }

    fn push(&mut self, command: &'static Command, full_name: String, parent: Option<u16>) -> u16 {
        let id = self.rows.len() as u16;
        self.rows.push(Row {
            id,
            full_name,
            counted_as: id,
            command,
            parent,
            subcommands: HashMap::new(),
        });
        id
    }

    /// The table of this process.
    pub fn get() -> &'static Self {
        static TABLE: OnceLock<CommandTable> = OnceLock::new();
        TABLE.get_or_init(Self::new)
    }

    /// All rows, subcommands behind their container.
    pub fn rows(&'static self) -> &'static [Row] {
        &self.rows
    }

    /// The rows that clients are told of: all but the parts of one command.
    pub fn told(&'static self) -> impl Iterator<Item = &'static Row> + Clone {
        self.rows.iter().filter(|row| row.counted_as == row.id)
    }

    /// A row that clients are told of, by its full name in any case.
    pub fn find_told(&'static self, full_name: &[u8]) -> Option<&'static Row> {
        let mut words = full_name.split(|byte| *byte == b'|');
        let container = self.find(words.next()?)?;
        match (words.next(), words.next()) {
            (None, _) => Some(container),
            (Some(_), None) if container.is_one_command() => None,
            (Some(subcommand), None) => self.find_subcommand(container, subcommand),
            _ => None,
        }
    }

    /// Row by number.
    pub fn row(&self, id: u16) -> &Row {
        &self.rows[usize::from(id)]
    }

    /// A command by name, in any case.
    pub fn find(&'static self, name: &[u8]) -> Option<&'static Row> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut place = place_of(name);
        loop {
            let row = self.rows.get(usize::from(self.names[place]))?;
            if row.command.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(row);
            }
            place = (place + 1) % NAME_PLACES;
        }
    }

    /// A subcommand of a container by name, in any case.
    pub fn find_subcommand(&'static self, container: &Row, name: &[u8]) -> Option<&'static Row> {
        let id = container
            .subcommands
            .get(lower(name, &mut [0; NAME_BYTES_MAX])?)?;
        Some(self.row(*id))
    }
}

impl Row {
    /// Whether it only holds subcommands.
    pub fn is_container(&self) -> bool {
        !self.command.subcommands.is_empty()
    }

    /// Whether its subcommands are nobody else's business.
    pub fn is_one_command(&self) -> bool {
        self.command.flags.has(Flags::ONE_COMMAND)
    }

    /// Its subcommands' numbers.
    pub fn subcommand_ids(&self) -> impl Iterator<Item = u16> {
        let mut ids: Vec<u16> = self.subcommands.values().copied().collect();
        ids.sort_unstable();
        ids.into_iter()
    }
}
