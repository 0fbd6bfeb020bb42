//! What is saved, and when: SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN.
//!
//! Handlers take the place for what they begin, so that the answer is right whoever else asks; the saver does the work. (For SAVE it also
//! takes the place: its client waits.)

use std::sync::atomic::Ordering;

use crate::command::args::is;
use crate::command::context::Save;
use crate::command::error::{self, CommandError};
use crate::command::{Command, Context, Flags, Outcome, ShardAction};
use crate::config::EndOptions;
use crate::observe::persistence::Saving;
use crate::resp::arguments::Args;

const SAVING: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_ASYNC_LOADING];

/// The rows.
pub(crate) static COMMANDS: &[Command] = &[
    Command::new("bgrewriteaof", "", rewrite_log)
        .arity(1)
        .flags(SAVING)
        .docs(
            "1.0.0",
            "server",
            "O(1)",
            "Writes the append-only file anew.",
        ),
    Command::new("bgsave", "[SCHEDULE@3.2.2]", background_save)
        .arity(-1)
        .flags(SAVING)
        .docs(
            "1.0.0",
            "server",
            "O(1)",
            "Saves all data to a file, beside other work.",
        ),
    Command::new("lastsave", "", last_save)
        .arity(1)
        .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
        .categories(&["admin", "dangerous"])
        .tips(&["nondeterministic_output"])
        .docs(
            "1.0.0",
            "server",
            "O(1)",
            "Replies the time of the last save.",
        ),
    Command::new("save", "", save)
        .arity(1)
        .flags(&[
            Flags::ADMIN,
            Flags::NOSCRIPT,
            Flags::NO_ASYNC_LOADING,
            Flags::NO_MULTI,
        ])
        .docs(
            "1.0.0",
            "server",
            "O(N) for N keys of all databases.",
            "Saves all data to a file; the reply comes when it is done.",
        ),
    Command::new(
        "shutdown",
        "[save-selector:<NOSAVE | SAVE>] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
        shutdown,
    )
    .arity(-1)
    .flags(&[
        Flags::ADMIN,
        Flags::NOSCRIPT,
        Flags::LOADING,
        Flags::STALE,
        Flags::NO_MULTI,
        Flags::ALLOW_BUSY,
    ])
    .docs("1.0.0", "server", "O(1)", "Ends the server."),
];

/// Redis: the start of the process counts as a save.
fn last_save(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let facts = &ctx.shared.observations.persistence;
    let at_s = facts.dumped_ms.load(Ordering::Relaxed) / 1000;
    ctx.reply.integer(at_s as i64);
    Ok(Outcome::Done)
}

/// Others are served meanwhile. Redis saves beside a rewrite of the log; here SAVE waits for that, since one thread writes both.
fn save(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    if ctx.shared.observations.persistence.saving() == Saving::Dump {
        return Err(error::SAVE_IN_PROGRESS);
    }
    ctx.reply.ok();
    Ok(Outcome::Ask(ShardAction::Save(Save::DumpNow)))
}

fn background_save(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (facts, now_ms) = (&ctx.shared.observations.persistence, ctx.now_ms());
    let mut schedule = false;
    if args.len() > 1 {
        if args.len() == 2 && is(args.at(1), "cancel") {
            return cancel(ctx);
        }
        if args.len() != 2 || !is(args.at(1), "schedule") {
            return Err(error::SYNTAX);
        }
        schedule = true;
    }
    if facts.saving() == Saving::Dump {
        return Err(error::SAVE_IN_PROGRESS);
    }
    // Redis: in a transaction it only begins when that is over.
    if !ctx.may_block || !facts.begin(Saving::Dump, now_ms) {
        if ctx.may_block && !schedule {
            return Err(error::ANOTHER_CHILD);
        }
        facts.dump_scheduled.store(true, Ordering::Release);
        ctx.reply.simple("Background saving scheduled");
        return Ok(Outcome::Done);
    }
    ctx.reply.simple("Background saving started");
    Ok(Outcome::Ask(ShardAction::Save(Save::Dump)))
}

/// BGSAVE CANCEL, as newer Valkey has it.
fn cancel(ctx: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let facts = &ctx.shared.observations.persistence;
    if facts.saving() == Saving::Dump {
        ctx.reply.simple("Background saving cancelled");
        return Ok(Outcome::Ask(ShardAction::Save(Save::Cancel)));
    }
    if facts.dump_scheduled.swap(false, Ordering::AcqRel) {
        ctx.reply.simple("Scheduled background saving cancelled");
        return Ok(Outcome::Done);
    }
    Err(error::NO_SAVE_TO_CANCEL)
}

fn rewrite_log(ctx: &mut Context<'_>, _args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (facts, now_ms) = (&ctx.shared.observations.persistence, ctx.now_ms());
    if facts.saving() == Saving::Base {
        return Err(error::REWRITE_IN_PROGRESS);
    }
    if !ctx.may_block || !facts.begin(Saving::Base, now_ms) {
        facts.rewrite_scheduled.store(true, Ordering::Release);
        let text = "Background append only file rewriting scheduled";
        ctx.reply.simple(text);
        return Ok(Outcome::Done);
    }
    let text = "Background append only file rewriting started";
    ctx.reply.simple(text);
    Ok(Outcome::Ask(ShardAction::Save(Save::Base)))
}

fn shutdown(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let (mut options, mut abort, mut other) = (EndOptions::default(), false, false);
    let (mut save, mut no_save) = (false, false);
    for option in args.from(1) {
        if is(option, "nosave") {
            no_save = true;
        } else if is(option, "save") {
            save = true;
        } else if is(option, "now") {
            (options.now, other) = (true, true);
        } else if is(option, "force") {
            (options.force, other) = (true, true);
        } else if is(option, "abort") {
            abort = true;
        } else {
            return Err(error::SYNTAX);
        }
    }
    if (abort && (save || no_save || other)) || (save && no_save) {
        return Err(error::SYNTAX);
    }
    if abort {
        // Redis: while it waits for replicas, which there are not, or has not acted on a signal. Here also while the last dump is written.
        let facts = &ctx.shared.observations.persistence;
        if !facts.is_end_asked.load(Ordering::Acquire) {
            return Err(error::NO_SHUTDOWN);
        }
        ctx.reply.ok();
        return Ok(Outcome::Ask(ShardAction::Save(Save::Abort)));
    }
    if save || no_save {
        options.save = Some(save);
    }
    Ok(Outcome::Ask(ShardAction::Save(Save::End(options))))
}
