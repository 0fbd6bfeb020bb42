//! The string family.

use super::spec::Command;

/// The family's rows.
pub static COMMANDS: &[Command] = &[];
