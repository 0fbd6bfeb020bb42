//! Sketches made, added to and merged.

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::command::string::{effect_of_raw, make_raw};
use crate::data::hyperloglog::{
    DENSE_BYTES, Encoding, Registers, Sketch, StoredSketch, Trace, forget_count, raise_dense,
};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

use super::{corrupted, effect_of_dense, sketch_of, store};

pub(super) fn pfadd(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    let before = encoding_of(&handle)?;
    let changes = if before == Some(Encoding::Dense) {
        add_in_place(&mut handle, args)
    } else {
        let bytes_max = ctx.settings.hll_sparse_bytes_max;
        add_to_copy(&mut handle, args, bytes_max)?
    };
    if changes > 0 {
        report(&mut handle, args, before, changes)?;
        handle.touched();
        handle.event(EventClass::STRING, "pfadd");
    } else {
        make_raw(&mut handle);
    }
    drop(handle);
    ctx.reply.integer(i64::from(changes > 0));
    Ok(Outcome::Done)
}

fn encoding_of(handle: &KeyHandle<'_>) -> Result<Option<Encoding>, CommandError> {
    Ok(sketch_of(handle.entry())?.map(StoredSketch::encoding))
}

/// Adds the elements of a PFADD to a dense sketch; how many changed it.
fn add_in_place(handle: &mut KeyHandle<'_>, args: &Args<'_>) -> usize {
    handle.change(|value| {
        let Some(Value::String(string)) = value else {
            return 0;
        };
        let sketch = string.bytes_mut(DENSE_BYTES);
        let traces = args.from(2).map(Trace::of);
        let changes = traces.filter(|trace| raise_dense(sketch, *trace)).count();
        if changes > 0 {
            forget_count(sketch);
        }
        changes
    })
}

/// Adds the elements of a PFADD to a sparse sketch or a new one; how many changed it, the new key counted too.
fn add_to_copy(
    handle: &mut KeyHandle<'_>,
    args: &Args<'_>,
    bytes_max: usize,
) -> Result<usize, CommandError> {
    let stored = sketch_of(handle.entry())?;
    let mut changes = usize::from(stored.is_none());
    let mut sketch = match stored {
        Some(stored) => Sketch::copy_of(stored, bytes_max).map_err(corrupted)?,
        None => Sketch::empty(bytes_max),
    };
    let mut added = Ok(());
    for trace in args.from(2).map(Trace::of) {
        match sketch.raise(trace) {
            Ok(changed) => changes += usize::from(changed),
            Err(reason) => {
                added = Err(corrupted(reason));
                break;
            }
        }
    }
    if changes > 0 {
        sketch.forget_count();
        let bytes = sketch.into_bytes();
        if added.is_err() {
            // Redis: what was added before stays, but counts as no change.
            store_as_effect(handle, bytes, 0);
        } else {
            store(handle, bytes);
        }
    } else if added.is_err() {
        make_raw(handle);
    }
    added.map(|()| changes)
}

/// The command as effect. `before`: the encoding there was. A replay may have a larger limit of sparse sketches, so it is told of the one
/// that became dense.
fn report(
    handle: &mut KeyHandle<'_>,
    args: &Args<'_>,
    before: Option<Encoding>,
    changes: usize,
) -> Result<(), CommandError> {
    let key = handle.key();
    if before != Some(Encoding::Dense) && encoding_of(handle)? == Some(Encoding::Dense) {
        if before.is_none() {
            handle.effect_of(0, |effect| {
                effect.arg("PFADD").arg(key);
            });
        }
        effect_of_dense(handle, 0);
    }
    handle.effect_of(changes, |effect| {
        effect.args(args.iter());
    });
    Ok(())
}

/// Stores a sketch, with its bytes as the effect.
fn store_as_effect(handle: &mut KeyHandle<'_>, sketch: Vec<u8>, changes: usize) {
    // The string takes the bytes over, so they are reported first.
    effect_of_raw(handle, changes, &sketch, true);
    store(handle, sketch);
    handle.covered();
}

pub(super) fn pfmerge(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut registers = Registers::default();
    let mut is_dense = false;
    for key in args.from(1) {
        if let Some(sketch) = sketch_of(ctx.space.read(key))? {
            is_dense |= sketch.encoding() == Encoding::Dense;
            sketch.merge_into(&mut registers).map_err(corrupted)?;
        }
    }
    let mut handle = ctx.space.write(args.at(1));
    let before = encoding_of(&handle)?;
    let bytes_max = ctx.settings.hll_sparse_bytes_max;
    let mut sketch = match sketch_of(handle.entry())? {
        Some(stored) => Sketch::copy_of(stored, bytes_max).map_err(corrupted)?,
        None => Sketch::empty(bytes_max),
    };
    if is_dense {
        sketch.make_dense().map_err(corrupted)?;
    }
    sketch.raise_all(&registers).map_err(corrupted)?;
    sketch.forget_count();
    store(&mut handle, sketch.into_bytes());
    report(&mut handle, args, before, 1)?;
    handle.touched();
    // Redis: it is a PFADD of many elements.
    handle.event(EventClass::STRING, "pfadd");
    drop(handle);
    ctx.reply.ok();
    Ok(Outcome::Done)
}
