//! The server family.

pub mod config;

use super::spec::Command;

/// The rows of each part of the family.
pub static COMMANDS: &[&[Command]] = &[config::COMMANDS];
