//! A row of the command table, and the table: rows numbered, found by name.
//!
//! Not here: which commands there are (`table.rs`). So a handler that looks others up does not know their families.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::spec::{Command, Flags};

/// A command or subcommand in the table.
#[derive(Debug)]
pub struct Row {
    /// Its number, for statistics; subcommands have their own.
    pub(crate) id: u16,
    /// `get`, `xgroup|create`: what clients are told it is. The parts of one command have the name of the whole.
    pub(crate) full_name: String,
    /// The number it is counted by: its own, or that of the whole.
    pub(crate) counted_as: u16,
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
    /// What clients call commands that were renamed, in lower case: a command, or none any more. Set once, at the start.
    renamed: OnceLock<HashMap<Vec<u8>, Option<u16>>>,
    /// Beginnings of names and numbers of rows, by their hash: looked at with every command.
    names: Box<[Option<(u128, u16)>; NAME_PLACES]>,
}

/// Places for names, as a power of two: several times the commands, so that a name is seldom pushed on.
const NAME_PLACES_BITS: u32 = 11;
const NAME_PLACES: usize = 1 << NAME_PLACES_BITS;
/// Bytes of a name that are compared in one step.
const BEGINNING_BYTES: usize = size_of::<u128>();

/// Longest name of a command, bytes.
const NAME_BYTES_MAX: usize = 32;

fn lower<'a>(name: &[u8], buffer: &'a mut [u8; NAME_BYTES_MAX]) -> Option<&'a str> {
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

/// The first bytes of a name, in lower case and filled up with zeros: what tells most names apart.
fn beginning_of(name: &[u8]) -> u128 {
    const EACH: u128 = u128::from_ne_bytes([1; BEGINNING_BYTES]);
    let mut bytes = [0; BEGINNING_BYTES];
    let len = name.len().min(BEGINNING_BYTES);
    bytes[..len].copy_from_slice(&name[..len]);
    let word = u128::from_ne_bytes(bytes);
    // All bytes at once: the highest bit of each says whether it is at least `A`, and above `Z`.
    let seven_bits = word & (EACH * 0x7f);
    let from_a = seven_bits + EACH * u128::from(0x80 - b'A');
    let behind_z = seven_bits + EACH * u128::from(0x7f - b'Z');
    let is_upper = (from_a ^ behind_z) & !word & (EACH * 0x80);
    word | is_upper >> 2
}

/// Where a name with this beginning is looked for first.
fn place_of(beginning: u128) -> usize {
    let half = (beginning as u64) ^ ((beginning >> 64) as u64).rotate_left(32);
    // Fibonacci hashing: the golden ratio spreads what differs in few bits.
    (half.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - NAME_PLACES_BITS)) as usize
}

impl CommandTable {
    /// The rows of these families, in their order.
    pub(super) fn of(families: &[&[&'static [Command]]]) -> Self {
        let mut table = Self {
            rows: Vec::new(),
            renamed: OnceLock::new(),
            names: Box::new([None; NAME_PLACES]),
        };
        for command in families.iter().copied().flatten().copied().flatten() {
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
        debug_assert!(
            self.row_named(name.as_bytes()).is_none(),
            "two rows of {name}"
        );
        let beginning = beginning_of(name.as_bytes());
        let mut place = place_of(beginning);
        while self.names[place].is_some() {
            place = (place + 1) % NAME_PLACES;
        }
        self.names[place] = Some((beginning, id));
    }

    fn row_named(&self, name: &[u8]) -> Option<&Row> {
        let beginning = beginning_of(name);
        let mut place = place_of(beginning);
        loop {
            let (other, id) = self.names[place]?;
            let row = self.row(id);
            let theirs = row.command.name.as_bytes();
            if other == beginning
                && theirs.len() == name.len()
                && (name.len() <= BEGINNING_BYTES || theirs.eq_ignore_ascii_case(name))
            {
                return Some(row);
            }
            place = (place + 1) % NAME_PLACES;
        }
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

    /// All rows, subcommands behind their container.
    pub fn rows(&'static self) -> &'static [Row] {
        &self.rows
    }

    /// The rows that clients are told of: all but the parts of one command.
    pub(crate) fn told(&'static self) -> impl Iterator<Item = &'static Row> + Clone {
        self.rows.iter().filter(|row| row.counted_as == row.id)
    }

    /// A row that clients are told of, by its full name in any case.
    pub(crate) fn find_told(&'static self, full_name: &[u8]) -> Option<&'static Row> {
        let mut words = full_name.split(|byte| *byte == b'|');
        let container = self.find_called(words.next()?)?;
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
    pub(crate) fn find(&'static self, name: &[u8]) -> Option<&'static Row> {
        self.row_named(name)
    }

    /// A command by what clients call it, in any case: its name, or what `rename-command` made of it.
    #[inline(always)]
    pub(crate) fn find_called(&'static self, name: &[u8]) -> Option<&'static Row> {
        let renamed = self.renamed.get();
        match renamed.and_then(|renamed| renamed.get(&name.to_ascii_lowercase())) {
            None => self.find(name),
            Some(id) => id.map(|id| self.row(id)),
        }
    }

    /// A command of a request that was kept or written down: by what clients call it, else by its name.
    pub(crate) fn find_either(&'static self, name: &[u8]) -> Option<&'static Row> {
        self.find_called(name).or_else(|| self.find(name))
    }

    /// Whether clients can call it: `rename-command` has not taken it away.
    pub(crate) fn is_offered(&'static self, row: &Row) -> bool {
        let id = row.parent.unwrap_or(row.id);
        let name = self.row(id).command.name.as_bytes();
        self.renamed.get().is_none_or(|renamed| {
            self.find_called(name).is_some_and(|row| row.id == id)
                || renamed.values().any(|other| *other == Some(id))
        })
    }

    /// Gives commands other names, one after the other: `from` is what it is called until then, an empty `to` takes it away. To be
    /// called once, before clients come.
    ///
    /// # Errors
    /// Which pair cannot be done, and why, in Redis' words.
    pub(crate) fn rename<'a>(
        &'static self,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), (usize, &'static str)> {
        let mut renamed = HashMap::<Vec<u8>, Option<u16>>::new();
        for (number, (from, to)) in pairs.enumerate() {
            let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
            let called = |name: &Vec<u8>| match renamed.get(name) {
                None => self.find(name).map(|row| row.id),
                Some(id) => *id,
            };
            let id = called(&from).ok_or((number, "No such command in rename-command"))?;
            if from != to && !to.is_empty() && called(&to).is_some() {
                return Err((number, "Target command name already exists"));
            }
            renamed.insert(from, None);
            if !to.is_empty() {
                renamed.insert(to, Some(id));
            }
        }
        if !renamed.is_empty() {
            let first = self.renamed.set(renamed);
            debug_assert!(first.is_ok(), "commands are renamed once");
        }
        Ok(())
    }

    /// A subcommand of a container by name, in any case.
    pub(crate) fn find_subcommand(
        &'static self,
        container: &Row,
        name: &[u8],
    ) -> Option<&'static Row> {
        let id = container
            .subcommands
            .get(lower(name, &mut [0; NAME_BYTES_MAX])?)?;
        Some(self.row(*id))
    }
}

impl Row {
    /// Whether it only holds subcommands.
    pub(crate) fn is_container(&self) -> bool {
        !self.command.subcommands.is_empty()
    }

    /// Whether it begins or ends subscriptions.
    pub(crate) fn subscribes(&self) -> bool {
        self.command.flags.has(Flags::PUBSUB.and(Flags::NOSCRIPT))
    }

    /// Whether it publishes.
    pub(crate) fn publishes(&self) -> bool {
        let flags = Flags::PUBSUB.and(Flags::MAY_REPLICATE);
        self.command.flags.has(flags)
    }

    /// Whether its subcommands are nobody else's business.
    pub(crate) fn is_one_command(&self) -> bool {
        self.command.flags.has(Flags::ONE_COMMAND)
    }

    /// Its subcommands' numbers.
    pub(crate) fn subcommand_ids(&self) -> impl Iterator<Item = u16> {
        let mut ids: Vec<u16> = self.subcommands.values().copied().collect();
        ids.sort_unstable();
        ids.into_iter()
    }
}
