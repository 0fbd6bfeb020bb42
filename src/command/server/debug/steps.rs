//! DEBUG STREAM-STEPS: what commands on pending entries cost, in nodes and records looked at. Only in builds that count
//! them (feature `steps`).

use crate::command::args::is;
use crate::command::error::{self, CommandError};
use crate::command::{Context, Outcome};
use crate::data::steps;
use crate::resp::arguments::Args;

/// DEBUG STREAM-STEPS key [RESET]. The key says only on which shard: its thread has the counter.
pub(super) fn stream_steps(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
) -> Result<Outcome, CommandError> {
    let reset = args.get(3).is_some_and(|option| is(option, "RESET"));
    if args.len() > if reset { 4 } else { 3 } {
        return Err(error::wrong_subcommand("debug", args.at(1)));
    }
    ctx.reply.integer(steps::seen().cast_signed());
    if reset {
        steps::take();
    }
    Ok(Outcome::Done)
}
