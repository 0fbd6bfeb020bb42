//! The server family.

pub mod acl;
pub mod cluster;
pub mod command;
pub mod config;
pub mod debug;
pub mod info;
pub mod instance;
pub mod latency;
pub mod memory;
pub mod module;
pub mod slowlog;

use crate::resp::arguments::Args;

use super::context::{Context, Outcome};
use super::error::{self, CommandError};
use super::spec::Command;

/// The rows of each part of the family.
pub static COMMANDS: &[&[Command]] = &[
    acl::COMMANDS,
    cluster::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    debug::COMMANDS,
    info::COMMANDS,
    instance::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    module::COMMANDS,
    slowlog::COMMANDS,
];

/// A container never runs: its arity asks for a subcommand.
fn unreachable_container(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand(ctx.row.command.name, args.at(1)))
}

#[cfg(test)]
mod tests;
