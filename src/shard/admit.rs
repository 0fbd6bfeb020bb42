//! Whether a command may run at all, before anybody looks at its keys: known, complete, allowed for this client now.
//!
//! Source: the checks at the head of Redis' `processCommand`, in their order.

use crate::client::session::Session;
use crate::command::error::{self, CommandError};
use crate::command::spec::Flags;
use crate::command::table::{CommandTable, Row};
use crate::config::Settings;
use crate::resp::arguments::Args;

/// Checks on a command before it may run or be queued that need no keyspace. Source: the order of Redis' `processCommand`.
pub(super) fn admit(
    session: &Session,
    settings: &Settings,
    args: &Args<'_>,
) -> Result<&'static Row, CommandError> {
    let table = CommandTable::get();
    let name = args.at(0);
    let Some(container) = table.find(name) else {
        return Err(error::unknown_command(name, args.from(1)));
    };
    let is_debug = container.command.name == "debug" && container.command.accepts(args.len());
    if is_debug
        && !settings
            .enable_debug_command
            .allows(session.handle.is_local())
    {
        return Err(error::DEBUG_DISABLED);
    }
    let mut row = container;
    if container.is_container() && args.len() > 1 {
        match table.find_subcommand(container, args.at(1)) {
            Some(subcommand) => row = subcommand,
            // DEBUG is one command in Redis and says so.
            None if is_debug => return Err(error::wrong_subcommand("debug", args.at(1))),
            None => {
                return Err(error::unknown_subcommand(
                    container.command.name,
                    args.at(1),
                ));
            }
        }
    }
    if !row.command.accepts(args.len()) && is_debug {
        return Err(error::wrong_subcommand("debug", args.at(1)));
    }
    if !row.command.accepts(args.len()) {
        return Err(error::wrong_arity(&row.full_name));
    }
    if !session.authenticated && !row.command.flags.has(Flags::NO_AUTH) {
        return Err(error::NO_AUTH);
    }
    if session.in_subscribed_mode() && !allowed_while_subscribed(container.command.name) {
        return Err(match container.command.name {
            "exec" => error::exec_in_subscribed_mode(),
            _ => error::in_subscribed_mode(&row.full_name),
        });
    }
    Ok(row)
}

fn allowed_while_subscribed(name: &str) -> bool {
    matches!(
        name,
        "ping"
            | "subscribe"
            | "ssubscribe"
            | "sunsubscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "quit"
            | "reset"
    )
}
