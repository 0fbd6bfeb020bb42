//! The server family.

pub(crate) mod acl;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod debug;
pub(crate) mod info;
pub(crate) mod instance;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod module;
mod replication;
mod saving;
pub(crate) mod slowlog;

use crate::resp::arguments::Args;

use super::context::{Context, Outcome};
use super::error::{self, CommandError};
use super::spec::Command;

/// The rows of each part of the family.
pub(crate) static COMMANDS: &[&[Command]] = &[
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
    replication::COMMANDS,
    saving::COMMANDS,
    slowlog::COMMANDS,
];

/// A container never runs: its arity asks for a subcommand.
fn unreachable_container(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    Err(error::unknown_subcommand(ctx.row.command.name, args.at(1)))
}

#[cfg(test)]
mod tests;
