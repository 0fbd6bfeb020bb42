//! What the registers of a sketch are, for tests.

use std::fmt::Write;

use crate::command::args::is;
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::command::string::make_raw;
use crate::data::hyperloglog::{
    Encoding, REGISTER_COUNT, Registers, Run, Sketch, StoredSketch, self_test,
};
use crate::keyspace::KeyHandle;
use crate::resp::arguments::Args;

use super::{corrupted, effect_of_dense, sketch_of, store};

pub(super) fn pfdebug(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let name = args.at(1);
    let mut handle = ctx.space.write(args.at(2));
    sketch_of(handle.entry())?.ok_or(error::PFDEBUG_WITHOUT_KEY)?;
    make_raw(&mut handle);
    if is(name, "TODENSE") {
        let was_sparse = make_dense(&mut handle)?;
        ctx.reply.integer(i64::from(was_sparse));
        return Ok(Outcome::Done);
    }
    if is(name, "GETREG") {
        make_dense(&mut handle)?;
    }
    let sketch = sketch_of(handle.entry())?.ok_or(error::PFDEBUG_WITHOUT_KEY)?;
    if is(name, "GETREG") {
        let mut registers = Registers::default();
        sketch.merge_into(&mut registers).map_err(corrupted)?;
        ctx.reply.array(REGISTER_COUNT);
        for number in registers.iter() {
            ctx.reply.integer(i64::from(number));
        }
    } else if is(name, "DECODE") {
        if sketch.encoding() != Encoding::Sparse {
            return Err(error::SKETCH_NOT_SPARSE);
        }
        ctx.reply.bulk(decoded(sketch).as_bytes());
    } else if is(name, "ENCODING") {
        ctx.reply.simple(match sketch.encoding() {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        });
    } else {
        return Err(error::unknown_pfdebug(name));
    }
    Ok(Outcome::Done)
}

/// Makes the sketch of a key dense; false when it was. Redis: watchers are not told, since it holds what it held.
fn make_dense(handle: &mut KeyHandle<'_>) -> Result<bool, CommandError> {
    let Some(sketch) = sketch_of(handle.entry())? else {
        return Ok(false);
    };
    if sketch.encoding() == Encoding::Dense {
        return Ok(false);
    }
    let mut sketch = Sketch::copy_of(sketch, 0).map_err(corrupted)?;
    sketch.make_dense().map_err(corrupted)?;
    store(handle, sketch.into_bytes());
    effect_of_dense(handle, 1);
    Ok(true)
}

/// The runs of a sparse sketch as a text: `z` short zeros, `Z` long ones, `v` numbers.
fn decoded(sketch: StoredSketch<'_>) -> String {
    let mut text = String::new();
    for run in sketch.runs() {
        let separator = if text.is_empty() { "" } else { " " };
        let written = match run {
            Run::ShortZeros(len) => write!(text, "{separator}z:{len}"),
            Run::LongZeros(len) => write!(text, "{separator}Z:{len}"),
            Run::Numbers { number, len } => write!(text, "{separator}v:{number},{len}"),
        };
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text
}

pub(super) fn pfselftest(ctx: &mut Context<'_>, _: &Args<'_>) -> Result<Outcome, CommandError> {
    self_test(ctx.now_ms(), ctx.settings.hll_sparse_bytes_max)
        .map_err(|reason| error::self_test_failed(&reason))?;
    ctx.reply.ok();
    Ok(Outcome::Done)
}
