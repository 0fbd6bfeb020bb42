//! Whether a command may run at all, before its keyspaces are in hand: known, complete, allowed for this client now. What its user may
//! is asked between the two halves of this (`command/permission.rs`).
//!
//! Source: the checks at the head of Redis' `processCommand`, in their order.

use std::sync::atomic::Ordering;

use crate::acl::{Denied, Users};
use crate::client::session::Session;
use crate::command::context::Shared;
use crate::command::error;
use crate::command::error::CommandError;
use crate::command::permission::{self, place_of};
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::command::table::commands;
use crate::config::Settings;
use crate::ids::ShardSet;
use crate::observe::persistence::Persistence;
use crate::resp::arguments::{Args, Request};

/// A command that was admitted and waits to run.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) row: &'static Row,
    /// The keyspaces it needs, as far as is known.
    pub(super) shards: ShardSet,
    pub(super) request: Request,
    /// It was asked for room, and is not asked again.
    pub(super) has_room: bool,
    /// It has waited for what listeners had sent before, and does not wait again.
    pub(super) has_waited: bool,
}

/// The row of a command, if there is such a command and the client has logged in where it must have.
pub(super) fn identify(
    session: &Session,
    settings: &Settings,
    users: &Users,
    args: &Args<'_>,
) -> Result<&'static Row, CommandError> {
    let table = commands();
    let name = args.at(0);
    let Some(container) = table.find_called(name) else {
        return Err(error::unknown_command(name, args.from(1)));
    };
    let mut row = container;
    if container.is_container() && args.len() > 1 {
        let subcommand = table.find_subcommand(container, args.at(1));
        row = if container.is_one_command() {
            // Whatever fits none of its parts the whole answers, when its turn comes.
            let part = subcommand.filter(|part| part.command.accepts(args.len()));
            part.unwrap_or(container)
        } else {
            let name = container.command.name;
            subcommand.ok_or_else(|| error::unknown_subcommand(name, args.at(1)))?
        };
    }
    if !row.command.accepts(args.len()) && !row.command.accepts_own_word(args) {
        return Err(error::wrong_arity(&row.full_name));
    }
    if row.command.flags.has(Flags::PROTECTED) {
        let (allowed, refusal) = if container.command.name == "module" {
            (settings.guards.modules, error::MODULES_DISABLED)
        } else {
            (settings.guards.debug, error::DEBUG_DISABLED)
        };
        if !allowed.allows(session.handle.is_local()) {
            return Err(refusal);
        }
    }
    // No password may be needed any more.
    if !session.authenticated && !row.command.flags.has(Flags::NO_AUTH) && !users.are_open() {
        return Err(error::NO_AUTH);
    }
    Ok(row)
}

/// Whether the client's user may run a command; notes that it may not.
#[inline(always)]
pub(super) fn permit(
    shared: &Shared,
    now_ms: u64,
    session: &mut Session,
    row: &Row,
    args: &Args<'_>,
) -> Result<(), CommandError> {
    match permission::check(session, row, args) {
        Ok(()) => Ok(()),
        Err(denied) => Err(refuse(shared, now_ms, session, (row, args), denied)),
    }
}

/// Notes that a user may not run a command, and gives what it is told.
#[cold]
fn refuse(
    shared: &Shared,
    now_ms: u64,
    session: &Session,
    (row, args): (&Row, &Args<'_>),
    denied: Denied,
) -> CommandError {
    let by = (session, now_ms);
    permission::note(shared, by, (row, args), denied, place_of(session));
    permission::refusal(session, row, denied)
}

/// Whether the server and the client are in a state in which the command may run or be queued.
pub(super) fn may_run_now(
    session: &Session,
    settings: &Settings,
    files: &Persistence,
    row: &Row,
) -> Result<(), CommandError> {
    if (writes(session, row) || row.command.name == "ping")
        && let Some(error) = trouble_with_files(settings, files)
    {
        return Err(error);
    }
    if session.in_subscribed_mode() && !row.command.flags.has(Flags::WHILE_SUBSCRIBED) {
        return Err(error::in_subscribed_mode(&row.full_name));
    }
    if files.is_loading() && !row.command.flags.has(Flags::LOADING) {
        return Err(error::LOADING);
    }
    Ok(())
}

/// Whether a command changes data: itself, or as EXEC of some that do.
fn writes(session: &Session, row: &Row) -> bool {
    if row.command.flags.has(Flags::WRITE) {
        return true;
    }
    if row.command.name != "exec" {
        return false;
    }
    let table = commands();
    let mut queued = session.transaction.queue.iter();
    queued.any(|queued| table.row(queued.command).command.flags.has(Flags::WRITE))
}

/// Why nothing may be written now: the last dump, or the last write to the log, has failed.
pub(super) fn trouble_with_files(settings: &Settings, files: &Persistence) -> Option<CommandError> {
    let persistence = &settings.persistence;
    if persistence.stop_writes_on_error
        && !persistence.save_points.is_empty()
        && files.dump_failed.load(Ordering::Relaxed)
    {
        return Some(error::SAVE_FAILED);
    }
    if !files.log_is_on() {
        return None;
    }
    match files.log_write_error.load(Ordering::Relaxed) {
        0 => match files.log_sync_error.load(Ordering::Relaxed) {
            0 => None,
            code => Some(log_failed(code)),
        },
        code => Some(log_failed(code)),
    }
}

/// The system's words for why the log could not be written.
#[cold]
fn log_failed(code: u64) -> CommandError {
    let code = i32::try_from(code).unwrap_or(i32::MAX);
    // As the C library says it, without the number that Rust adds.
    let text = std::io::Error::from_raw_os_error(code).to_string();
    error::log_failed(text.split(" (os error").next().unwrap_or(&text))
}
