//! Which commands a selector allows, and the rules that say so.
//!
//! ```text
//!  -@all +@read -get +config|get +select|0
//!   │     └ rules, in order: a later one replaces an earlier one about the same; that of a container replaces those of its
//!   │       subcommands; the others stay, redundant or not
//!   └ base: where the rules begin, and whether commands that are yet to come are allowed
//! ```
//! The rules are kept to be shown; what counts is a bit for each command and, for commands that are allowed with certain
//! first arguments only, those.
//!
//! Invariant: the rules, applied to the base, make the same bits and the same first arguments.

use super::catalog::{Catalog, CommandSet};
use super::check::Call;
use super::rules::RuleError;
use super::words::has_blank;

/// A rule, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CommandRule {
    allows: bool,
    /// `get`, `config|get`, `select|0`, `@read`; lower case.
    name: Box<[u8]>,
}

impl CommandRule {
    /// Whether a later rule about `name` makes this one idle.
    fn is_replaced_by(&self, name: &[u8]) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"|"))
    }
}

/// A first argument with which a command is allowed that otherwise is not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FirstArgument {
    command: u16,
    /// Lower case.
    text: Box<[u8]>,
}

/// The commands of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commands {
    allowed: CommandSet,
    /// Whether the rules begin with `+@all`.
    begins_with_all: bool,
    /// Whether no command is denied.
    are_all: bool,
    first_arguments: Vec<FirstArgument>,
    rules: Vec<CommandRule>,
}

impl Commands {
    /// None, or all that there are and will be.
    pub(super) fn new(all: bool) -> Self {
        Self {
            allowed: if all {
                CommandSet::ALL
            } else {
                CommandSet::NONE
            },
            begins_with_all: all,
            are_all: all,
            first_arguments: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Whether every command is allowed.
    pub(super) fn are_all(&self) -> bool {
        self.are_all
    }

    /// Whether the command may run, whatever it does. O(1), without first arguments.
    pub(super) fn allow(&self, call: &Call<'_>) -> bool {
        self.allowed.has(call.command)
            || call.is_for_all
            || (!self.first_arguments.is_empty() && self.allow_first_argument(call))
    }

    #[cold]
    fn allow_first_argument(&self, call: &Call<'_>) -> bool {
        let Some(argument) = call.first_argument else {
            return false;
        };
        self.first_arguments
            .iter()
            .any(|one| one.command == call.command && argument.eq_ignore_ascii_case(&one.text))
    }

    /// Applies a rule that begins with `+` or `-`.
    ///
    /// # Errors
    /// When nothing is called so; when the rule asks for a first argument that cannot be.
    pub(super) fn apply(&mut self, catalog: &Catalog, rule: &[u8]) -> Result<(), RuleError> {
        let (allows, name) = match rule {
            [b'+', name @ ..] => (true, name.to_ascii_lowercase()),
            [b'-', name @ ..] => (false, name.to_ascii_lowercase()),
            _ => return Err(RuleError::Syntax),
        };
        if name == b"@all" {
            *self = Self::new(allows);
        } else if let Some(category) = name.strip_prefix(b"@") {
            let members = catalog.members(category).ok_or(RuleError::UnknownName)?;
            self.set(members, allows);
            self.note(allows, name);
        } else if let Some(id) = catalog.find(&name) {
            self.set(&catalog.family(id), allows);
            self.note(allows, name);
        } else if allows {
            self.allow_with_first_argument(catalog, name)?;
        } else {
            return Err(RuleError::UnknownName);
        }
        Ok(())
    }

    fn set(&mut self, commands: &CommandSet, allows: bool) {
        if allows {
            self.allowed.add(commands);
        } else {
            self.allowed.take_away(commands);
        }
        self.are_all = self.begins_with_all && self.allowed == CommandSet::ALL;
        self.first_arguments
            .retain(|one| !commands.has(one.command));
    }

    /// `+select|0`, where no command has that name.
    fn allow_with_first_argument(
        &mut self,
        catalog: &Catalog,
        name: Vec<u8>,
    ) -> Result<(), RuleError> {
        let bar = name.iter().rposition(|byte| *byte == b'|');
        let (command, argument) = name.split_at(bar.ok_or(RuleError::UnknownName)?);
        let argument = argument.get(1..).unwrap_or_default();
        let id = catalog.find(command).ok_or(RuleError::UnknownName)?;
        let row = catalog.row(id).ok_or(RuleError::UnknownName)?;
        if row.parent.is_some() {
            return Err(RuleError::FirstArgumentOfSubcommand);
        }
        // Redis takes an argument with a blank, and stops when it shows the rule.
        if argument.is_empty() || has_blank(argument) {
            return Err(RuleError::Syntax);
        }
        if !row.subcommands.is_empty() {
            return Err(RuleError::UnknownName);
        }
        let one = FirstArgument {
            command: id,
            text: argument.into(),
        };
        self.first_arguments.retain(|other| *other != one);
        self.first_arguments.push(one);
        self.note(true, name);
        Ok(())
    }

    /// Keeps a rule to be shown, in the place of those that it replaces. O(rules).
    fn note(&mut self, allows: bool, name: Vec<u8>) {
        self.rules.retain(|rule| !rule.is_replaced_by(&name));
        self.rules.push(CommandRule {
            allows,
            name: name.into(),
        });
    }

    /// The rules that make these, one word each, from `+@all` or `-@all` on.
    pub(super) fn words(&self) -> impl Iterator<Item = Vec<u8>> {
        let word = |allows, name: &[u8]| {
            let sign: &[u8] = if allows { b"+" } else { b"-" };
            [sign, name].concat()
        };
        let rules = self.rules.iter();
        std::iter::once(word(self.begins_with_all, b"@all"))
            .chain(rules.map(move |rule| word(rule.allows, &rule.name)))
    }
}
