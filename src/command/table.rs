//! All rows: joined from the families, numbered, found by name.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::spec::Command;
use super::{connection, keyspace, list, pubsub, scripting, server, stream, string, transaction};

/// A command or subcommand in the table.
#[derive(Debug)]
pub struct Row {
    /// Its number, for statistics; subcommands have their own.
    pub id: u16,
    /// `get`, `xgroup|create`.
    pub full_name: String,
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
    names: HashMap<&'static str, u16, hashbrown::DefaultHashBuilder>,
}

/// Longest name of a command, bytes.
const NAME_BYTES_MAX: usize = 32;

fn lower<'a>(name: &[u8], buffer: &'a mut [u8; NAME_BYTES_MAX]) -> Option<&'a str> {
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
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
            names: HashMap::default(),
        };
        for command in families
            .into_iter()
            .flatten()
            .flat_map(|family| family.iter())
        {
            let id = table.push(command, command.name.to_owned(), None);
            debug_assert!(
                !table.names.contains_key(command.name),
                "two rows of {}",
                command.name
            );
            table.names.insert(command.name, id);
            for subcommand in command.subcommands {
                let full_name = format!("{}|{}", command.name, subcommand.name);
                let sub = table.push(subcommand, full_name, Some(id));
                table.rows[usize::from(id)]
                    .subcommands
                    .insert(subcommand.name, sub);
            }
        }
        table
    }

    fn push(&mut self, command: &'static Command, full_name: String, parent: Option<u16>) -> u16 {
        let id = self.rows.len() as u16;
        self.rows.push(Row {
            id,
            full_name,
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

    /// Row by number.
    pub fn row(&'static self, id: u16) -> &'static Row {
        &self.rows[usize::from(id)]
    }

    /// A command by name, in any case.
    pub fn find(&'static self, name: &[u8]) -> Option<&'static Row> {
        let id = self.names.get(lower(name, &mut [0; NAME_BYTES_MAX])?)?;
        Some(self.row(*id))
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

    /// Its subcommands' numbers.
    pub fn subcommand_ids(&self) -> impl Iterator<Item = u16> {
        let mut ids: Vec<u16> = self.subcommands.values().copied().collect();
        ids.sort_unstable();
        ids.into_iter()
    }
}
