//! CONFIG: the parameters while running.
//!
//! SET works on a copy, lets the process follow it (sockets, limits, log: [`crate::config::ProcessControl`]), then
//! gives all shards the new snapshot and answers when they have it. What fails leaves everything as it was.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::acl::users::DEFAULT;
use crate::acl::{Rules, User, file};
use crate::command::args::is;
use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome, ShardAction, Shared};
use crate::config::Configuration;
use crate::resp::arguments::Args;

/// Parameters that say where and how files are read and written. Source: Redis' `DENY_LOADING_CONFIG`.
const NOT_WHILE_LOADING: [&str; 2] = ["appendonly", "dir"];
const FLAGS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];
const TIPS: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The row.
pub(crate) static COMMANDS: &[Command] = &[Command::new("config", "", help)
    .arity(-2)
    .docs(
        "2.0.0",
        "server",
        "Depends on the subcommand.",
        "Holds the commands about the server's parameters.",
    )
    .subcommands(&[
        Command::new("get", "parameter [parameter ...]", get)
            .arity(-3)
            .flags(FLAGS)
            .docs(
                "2.0.0",
                "server",
                "O(N), N being the number of parameters asked for",
                "Replies the values of parameters.",
            ),
        Command::new("set", "data:<parameter value> ...", set)
            .arity(-4)
            .flags(FLAGS)
            .tips(TIPS)
            .docs(
                "2.0.0",
                "server",
                "O(N), N being the number of parameters given",
                "Changes parameters while the server runs: all of them or none.",
            ),
        Command::new("resetstat", "", reset_statistics)
            .arity(2)
            .flags(FLAGS)
            .tips(TIPS)
            .docs(
                "2.0.0",
                "server",
                "O(1)",
                "Sets the server's statistics back to zero.",
            ),
        Command::new("rewrite", "", rewrite)
            .arity(2)
            .flags(FLAGS)
            .tips(TIPS)
            .docs(
                "2.8.0",
                "server",
                "O(1)",
                "Writes the parameters as they are now into the configuration file.",
            ),
        Command::new("help", "", help)
            .arity(2)
            .flags(&[Flags::LOADING, Flags::STALE])
            .docs(
                "5.0.0",
                "server",
                "O(1)",
                "Replies a text about the subcommands.",
            ),
    ])];

const NO_FILE: CommandError =
    CommandError::fixed("ERR The server is running without a config file");

fn configuration(shared: &Shared) -> MutexGuard<'_, Configuration> {
    shared
        .configuration
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn get(context: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let patterns: Vec<&[u8]> = args.from(2).collect();
    let found = configuration(context.shared).get(&patterns);
    context.reply.map(found.len());
    for (name, value) in found {
        context.reply.bulk(&name);
        context.reply.bulk(&value);
    }
    Ok(Outcome::Done)
}

fn set(context: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(error::SYNTAX);
    }
    let changes: Vec<(&[u8], &[u8])> = (2..args.len())
        .step_by(2)
        .map(|at| (args.at(at), args.at(at + 1)))
        .collect();
    let shared = context.shared;
    let files = &shared.observations.persistence;
    if files.is_loading()
        && changes
            .iter()
            .any(|(name, _)| NOT_WHILE_LOADING.iter().any(|other| is(name, other)))
    {
        return Err(error::LOADING);
    }
    // Held to the end: of two clients' changes the later one must not undo the earlier.
    let mut current = configuration(shared);
    let is_local = context.session.handle.is_local();
    let refused = |error: crate::config::SetError| error::joined(&[b"ERR ", &error.text()]);
    let mut changed = current.with(&changes, is_local).map_err(refused)?;
    let settings = changed.settings();
    if let Some(process) = shared.process.get() {
        process
            .follow(&current.settings(), &settings)
            .map_err(refused)?;
        process.tell(changed.notices_since(&current));
    }
    let switches_log =
        current.settings().persistence.append_only != settings.persistence.append_only;
    if switches_log && settings.persistence.append_only {
        changed.keep_for_log(&current);
    }
    let password = current.settings().requirepass;
    if password != settings.requirepass {
        let password = settings.requirepass.as_deref();
        shared.users.set_default_password(password);
    }
    *current = changed;
    *shared
        .settings
        .write()
        .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    shared.settings_version.fetch_add(1, Ordering::Release);
    context.reply.ok();
    Ok(Outcome::Ask(if switches_log {
        ShardAction::SwitchLog
    } else {
        ShardAction::Barrier
    }))
}

/// The users as lines of the configuration; none where they have a file of their own.
fn user_lines(shared: &Shared, configuration: &Configuration) -> Vec<Vec<u8>> {
    if configuration.settings().aclfile.is_some() {
        return Vec::new();
    }
    // As long as `requirepass` says all there is to say of the default user, a line of its own would only outlive it.
    let requirepass = configuration.settings().requirepass;
    let implied = Rules::all_may().with_password(requirepass.as_deref());
    let mut users = shared.users.list();
    users.retain(|user| user.name() != DEFAULT || *user.rules() != implied);
    let line = |user: Arc<User>| file::quoted_line(user.name(), &user.rules());
    users.into_iter().map(line).collect()
}

fn reset_statistics(context: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    context.shared.observations.reset();
    context.reply.ok();
    Ok(Outcome::Ask(ShardAction::Barrier))
}

fn rewrite(context: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    let shared = context.shared;
    let current = configuration(shared);
    if current.declares_users_elsewhere() {
        return Err(error::USERS_ELSEWHERE);
    }
    match (current.file(), shared.process.get()) {
        (Some(_), Some(process)) => process
            .rewrite_file(&current, &user_lines(shared, &current))
            .map_err(|reason| {
                error::joined(&[b"ERR Rewriting config file: ", reason.as_bytes()])
            })?,
        _ => return Err(NO_FILE),
    }
    context.reply.ok();
    Ok(Outcome::Done)
}

fn help(context: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    context.reply.lines(&[
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
        "HELP",
        "    Prints this help.",
    ]);
    Ok(Outcome::Done)
}
