//! DEBUG EFFECTS: records what writes did, in the order in which it can be repeated.

use crate::command::args::is;
use crate::command::error::{self, CommandError};
use crate::command::{Context, Outcome, ShardAction};
use crate::observe::effects::Effect;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;
use crate::resp::request::{RequestLimits, RequestParser};

/// All keyspaces are in hand: nobody writes, so nothing that was done is missing in the log.
pub(super) fn effects(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let verb = args.at(2);
    let log = &ctx.shared.effects;
    if (is(verb, "on") || is(verb, "off")) && args.len() == 3 {
        let recording = is(verb, "on");
        log.set_recording(recording);
        let has_log = ctx.shared.observations.persistence.log_is_on();
        ctx.space.record_effects(recording || has_log);
        ctx.reply.ok();
        return Ok(Outcome::Ask(ShardAction::Barrier));
    }
    if is(verb, "get") && args.len() == 3 {
        let effects = log.take();
        ctx.reply.array(effects.len());
        for effect in effects {
            write(ctx.reply, &effect);
        }
        return Ok(Outcome::Done);
    }
    if is(verb, "suppress") && args.len() == 4 {
        let name = String::from_utf8_lossy(args.at(3)).to_ascii_lowercase();
        log.suppress((!name.is_empty()).then_some(name));
        ctx.reply.ok();
        return Ok(Outcome::Done);
    }
    if is(verb, "replay") && args.len() == 4 && (is(args.at(3), "on") || is(args.at(3), "off")) {
        ctx.space.set_replaying(is(args.at(3), "on"));
        ctx.reply.ok();
        return Ok(Outcome::Done);
    }
    Err(error::wrong_subcommand("debug", args.at(1)))
}

/// `[database, [argument, …]]`.
fn write(reply: &mut Reply, effect: &Effect) {
    let mut parser = RequestParser::new();
    reply.array(2);
    reply.count(effect.db);
    if !matches!(
        parser.parse(&effect.command, &RequestLimits::NONE),
        Ok(Some(_))
    ) {
        debug_assert!(false, "an effect that is no request");
        reply.array(0);
        return;
    }
    let arguments = parser.arguments(&effect.command);
    reply.array(arguments.len());
    for argument in arguments.iter() {
        reply.bulk(argument);
    }
}
