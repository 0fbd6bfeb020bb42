//! FUNCTION: the libraries of functions.

use std::sync::Arc;

use crate::command::args::{Cursor, is};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::keyspace::dump::version_of;
use crate::command::spec::{Command, Flags, Handler, Scope};
use crate::pubsub::pattern::{Case, matches};
use crate::rdb::libraries::{self, Damage};
use crate::resp::arguments::Args;
use crate::script::flags::ScriptFlags;
use crate::script::libraries::{Libraries, Library};

use super::container;

const NOSCRIPT: &[Flags] = &[Flags::NOSCRIPT];
const WRITES: &[Flags] = &[Flags::WRITE, Flags::NOSCRIPT];
const ADDS: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::NOSCRIPT];
const BUSY: &[Flags] = &[Flags::NOSCRIPT, Flags::ALLOW_BUSY];
const ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// The container.
pub(super) const COMMAND: Command = Command::new("function", "", container)
    .arity(-2)
    .docs(
        "7.0.0",
        "scripting",
        "Depends on the subcommand.",
        "Container of the commands for functions.",
    )
    .subcommands(SUBCOMMANDS);

static SUBCOMMANDS: &[Command] = &[
    row("delete", "library-name", delete)
        .arity(3)
        .flags(WRITES)
        .scope(Scope::AllShards)
        .tips(ALL)
        .docs("7.0.0", "scripting", "O(1)", "Drops a library."),
    row("dump", "", dump).arity(2).flags(NOSCRIPT).docs(
        "7.0.0",
        "scripting",
        "O(N) for N functions.",
        "Gives all libraries as one text.",
    ),
    row("flush", "[flush-type:<ASYNC | SYNC>]", flush)
        .arity(-2)
        .flags(WRITES)
        .scope(Scope::AllShards)
        .tips(ALL)
        .docs(
            "7.0.0",
            "scripting",
            "O(1)",
            "Drops all libraries of functions.",
        ),
    row("help", "", help)
        .arity(2)
        .flags(&[Flags::LOADING, Flags::STALE])
        .docs("7.0.0", "scripting", "O(1)", "Explains the subcommands."),
    row("kill", "", kill)
        .arity(2)
        .flags(BUSY)
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .docs(
            "7.0.0",
            "scripting",
            "O(1)",
            "Ends the function that runs for too long.",
        ),
    row(
        "list",
        "[LIBRARYNAME library-name-pattern] [WITHCODE]",
        list,
    )
    .arity(-2)
    .flags(NOSCRIPT)
    .tips(&["nondeterministic_output_order"])
    .docs(
        "7.0.0",
        "scripting",
        "O(N) for N functions.",
        "Lists the libraries of functions.",
    ),
    row("load", "[REPLACE] function-code", load)
        .arity(-3)
        .flags(ADDS)
        .scope(Scope::AllShards)
        .tips(ALL)
        .docs("7.0.0", "scripting", "O(1)", "Adds a library."),
    row(
        "restore",
        "serialized-value [policy:<FLUSH | APPEND | REPLACE>]",
        restore,
    )
    .arity(-3)
    .flags(ADDS)
    .scope(Scope::AllShards)
    .tips(ALL)
    .docs(
        "7.0.0",
        "scripting",
        "O(N) for N functions.",
        "Adds the libraries of a text of FUNCTION DUMP.",
    ),
    row("stats", "", stats)
        .arity(2)
        .flags(BUSY)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ])
        .docs(
            "7.0.0",
            "scripting",
            "O(1)",
            "Tells of the function that runs, and how many there are.",
        ),
];

const fn row(name: &'static str, syntax: &'static str, handler: Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["scripting"])
}

/// The libraries change, and the change is logged.
fn change(ctx: &mut Context<'_>, args: &Args<'_>, libraries: Libraries) {
    ctx.shared.set_libraries(libraries);
    ctx.space.record_command(args);
}

fn load(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut options = Cursor::new(args, 2);
    let mut replaces = false;
    while options.left() > 1 {
        if !options.keyword("REPLACE") {
            return Err(error::unknown_function_load_option(
                options.peek().unwrap_or_default(),
            ));
        }
        replaces = true;
    }
    let text = options.peek().unwrap_or_default();
    let library = ctx
        .scripts
        .borrow_mut()
        .library(text)
        .map_err(error::function_failed)?;
    let name = library.name.clone();
    let mut libraries = Libraries::clone(&ctx.shared.libraries.now());
    libraries
        .add(library, replaces)
        .map_err(error::function_failed)?;
    change(ctx, args, libraries);
    ctx.reply.bulk(&name);
    Ok(Outcome::Done)
}

fn delete(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut libraries = Libraries::clone(&ctx.shared.libraries.now());
    if !libraries.remove(args.at(2)) {
        return Err(error::LIBRARY_NOT_FOUND);
    }
    change(ctx, args, libraries);
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn flush(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let too_many = error::wrong_subcommand("function", args.at(1));
    super::check_flush_mode(args, too_many, error::FUNCTION_FLUSH_MODE)?;
    change(ctx, args, Libraries::default());
    ctx.reply.ok();
    Ok(Outcome::Done)
}

fn dump(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let now = ctx.shared.libraries.now();
    let texts = now.list().iter().map(|library| library.text.as_slice());
    ctx.reply
        .bulk(&libraries::dump(texts, version_of(ctx.settings)));
    Ok(Outcome::Done)
}

fn restore(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (flushes, replaces) = match args.get(3) {
        _ if args.len() > 4 => return Err(error::wrong_subcommand("function", args.at(1))),
        None => (false, false),
        Some(policy) if is(policy, "APPEND") => (false, false),
        Some(policy) if is(policy, "REPLACE") => (false, true),
        Some(policy) if is(policy, "FLUSH") => (true, false),
        Some(_) => return Err(error::WRONG_RESTORE_POLICY),
    };
    let texts = libraries::restore(args.at(2)).map_err(|damage| match damage {
        Damage::Footer => error::LIBRARIES_DUMP_DAMAGED,
        Damage::Type => error::LIBRARIES_NOT_IN_DUMP,
        Damage::Contents => error::LIBRARIES_DAMAGED,
    })?;
    let mut libraries = match flushes {
        true => Libraries::default(),
        false => Libraries::clone(&ctx.shared.libraries.now()),
    };
    for text in texts {
        let library = ctx
            .scripts
            .borrow_mut()
            .library(&text)
            .map_err(error::function_failed)?;
        libraries
            .add(library, replaces)
            .map_err(|text| restored_text(&text))?;
    }
    change(ctx, args, libraries);
    ctx.reply.ok();
    Ok(Outcome::Done)
}

/// Redis: here the name of a library stands without quotes.
fn restored_text(text: &[u8]) -> CommandError {
    error::function_failed(text.iter().copied().filter(|byte| *byte != b'\'').collect())
}

fn kill(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    super::kill_busy(ctx, true)
}

fn list(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (mut pattern, mut with_code) = (None, false);
    let mut options = Cursor::new(args, 2);
    while options.left() > 0 {
        if !with_code && options.keyword("WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && options.keyword("LIBRARYNAME") {
            pattern = Some(options.next().ok_or(error::LIBRARY_NAME_MISSING)?);
        } else {
            let argument = options.peek().unwrap_or_default();
            return Err(error::unknown_function_list_argument(argument));
        }
    }
    let libraries = ctx.shared.libraries.now();
    let fits = |library: &&Arc<Library>| {
        pattern.is_none_or(|pattern| matches(pattern, &library.name, Case::Insensitive))
    };
    let shown: Vec<&Arc<Library>> = libraries.list().iter().filter(fits).collect();
    ctx.reply.array(shown.len());
    for library in shown {
        describe(ctx, library, with_code);
    }
    Ok(Outcome::Done)
}

fn describe(ctx: &mut Context<'_>, library: &Library, with_code: bool) {
    let reply = &mut *ctx.reply;
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(&library.name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&function.name);
        reply.bulk(b"description");
        match &function.description {
            Some(description) => reply.bulk(description),
            None => reply.null(),
        }
        reply.bulk(b"flags");
        let names = ScriptFlags::NAMES.into_iter();
        let names = names.filter(|(_, flag)| function.flags.has(*flag));
        reply.set(names.clone().count());
        for (name, _) in names {
            reply.simple(name);
        }
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.text);
    }
}

fn stats(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let libraries = ctx.shared.libraries.now();
    let running = ctx.shared.busy_scripts.function();
    if running.is_none() && ctx.shared.busy_scripts.any() {
        return Err(error::BUSY_SCRIPT);
    }
    let now_ms = ctx.now_ms();
    let reply = &mut *ctx.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        None => reply.null(),
        Some(function) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&function.name);
            reply.bulk(b"command");
            reply.array(function.command.len());
            for argument in &function.command {
                reply.bulk(argument);
            }
            reply.bulk(b"duration_ms");
            reply.integer(now_ms.saturating_sub(function.since_ms) as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.count(libraries.list().len());
    reply.bulk(b"functions_count");
    reply.count(libraries.function_count());
    Ok(Outcome::Done)
}

fn help(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    ctx.reply.lines(&[
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Create a new library with the given library name and code.",
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Library description",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "KILL",
        "    Kill the current running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
        "    control how to handle existing libraries (default APPEND):",
        "    * FLUSH: delete all existing libraries.",
        "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
        "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
        "      libraries with the new libraries (notice that even on this option there is a chance of failure",
        "      in case of functions name collision with another library).",
        "HELP",
        "    Print this help.",
    ]);
    Ok(Outcome::Done)
}
