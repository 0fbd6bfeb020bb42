//! Commands that take entries out by their IDs: XDEL XDELEX XACKDEL.

use smallvec::SmallVec;

use crate::command::context::{Context, Outcome};
use crate::command::error::CommandError;
use crate::command::spec::{Command, Flags, KeyFlags, KeySpec};
use crate::data::stream::{Fate, ReferencePolicy, Removed, Stream, StreamId};
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::limits;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::options::CountedIds;
use super::{stream_in, stream_in_mut, strict_id};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("xdel", "key id [id ...]", xdel)
        .arity(-3)
        .flags(&[Flags::WRITE, Flags::FAST])
        .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
        .categories(&["stream"])
        .docs(
            "5.0.0",
            "stream",
            "O(1) for each entry",
            "Deletes entries of a stream by ID and tells how many there were.",
        ),
    Command::new(
        "xdelex",
        "key [condition:<KEEPREF | DELREF | ACKED>] ids:<IDS numids id [id ...]>",
        xdelex,
    )
    .arity(-5)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
    .categories(&["stream"])
    .docs(
        "8.2.0",
        "stream",
        "O(G log N) for each entry and G groups",
        "Deletes entries of a stream with or without the references that groups have to them.",
    ),
    Command::new(
        "xackdel",
        "key group [condition:<KEEPREF | DELREF | ACKED>] ids:<IDS numids id [id ...]>",
        xackdel,
    )
    .arity(-6)
    .flags(&[Flags::WRITE, Flags::FAST])
    .keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::DELETE), 1)])
    .categories(&["stream"])
    .docs(
        "8.2.0",
        "stream",
        "O(G log N) for each entry and G groups",
        "Takes entries off the pending list of a group and deletes them from the stream.",
    ),
];

/// Hands on what a removal took besides a trim at the front: XDEL of entries, XACK of references by group.
pub(super) fn report_removed(handle: &mut KeyHandle<'_>, removed: &Removed) {
    let key = handle.key();
    for ids in removed.deleted.chunks(limits::EFFECT_IDS_MAX) {
        handle.effect_of(ids.len(), |effect| {
            effect.arg("XDEL").arg(key);
            for id in ids {
                effect.arg(id.text().as_bytes());
            }
        });
    }
    for (group, ids) in &removed.references {
        for ids in ids.chunks(limits::EFFECT_IDS_MAX) {
            handle.effect(|effect| {
                effect.arg("XACK").arg(key).arg(group);
                for id in ids {
                    effect.arg(id.text().as_bytes());
                }
            });
        }
    }
}

/// XDEL key id [id ...]
fn xdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    if stream_in(handle.value())?.is_none() {
        ctx.reply.integer(0);
        return Ok(Outcome::Done);
    }
    let ids: SmallVec<[StreamId; 8]> = args.from(2).map(strict_id).collect::<Result<_, _>>()?;
    let deleted = handle.change(|value| {
        let mut removed = Removed::default();
        if let Some(stream) = stream_in_mut(value) {
            for id in &ids {
                stream.delete(*id, ReferencePolicy::Keep, &mut removed);
            }
        }
        removed.deleted.len()
    });
    if deleted > 0 {
        handle.touched();
        handle.event(EventClass::STREAM, "xdel");
        handle.effect_of(deleted, |effect| {
            effect.arg("XDEL").args(args.from(1));
        });
    }
    ctx.reply.count(deleted);
    Ok(Outcome::Done)
}

/// What the reply to an ID is.
fn reply_fate(reply: &mut Reply, fate: Fate) {
    reply.integer(match fate {
        Fate::Deleted => 1,
        Fate::Needed => 2,
        Fate::Missing => -1,
    });
}

/// Takes out one ID after the other, replies what became of each, and tells what went. As in Redis the type of the key comes
/// first, then the options from argument `at` on, and the IDs only where they may be found (`is_there`).
fn remove_all(
    ctx: &mut Context<'_>,
    args: &Args<'_>,
    at: usize,
    is_there: impl FnOnce(&Stream) -> bool,
    mut remove: impl FnMut(&mut Stream, StreamId, ReferencePolicy, &mut Removed) -> Fate,
) -> Result<Outcome, CommandError> {
    let mut handle = ctx.space.write(args.at(1));
    let found = stream_in(handle.value())?.is_some_and(is_there);
    let counted = CountedIds::parse(args, at)?;
    let reply = &mut *ctx.reply;
    if !found {
        reply.array(counted.count);
        (0..counted.count).for_each(|_| reply_fate(reply, Fate::Missing));
        return Ok(Outcome::Done);
    }
    let ids = counted.ids(args)?;
    reply.array(ids.len());
    let removed = handle.change(|value| {
        let mut removed = Removed::default();
        if let Some(stream) = stream_in_mut(value) {
            for id in &ids {
                reply_fate(reply, remove(stream, *id, counted.policy, &mut removed));
            }
        }
        removed
    });
    report_removed(&mut handle, &removed);
    if !removed.deleted.is_empty() {
        handle.touched();
        handle.event(EventClass::STREAM, "xdel");
    }
    Ok(Outcome::Done)
}

/// XDELEX key [KEEPREF|DELREF|ACKED] IDS numids id [id ...]
///
/// Effects: XDEL of the entries that went, XACK of the references that went.
fn xdelex(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    remove_all(ctx, args, 2, |_| true, Stream::delete)
}

/// XACKDEL key group [KEEPREF|DELREF|ACKED] IDS numids id [id ...]
///
/// Effects: as those of XDELEX. Without the group no ID is pending.
fn xackdel(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let group = args.at(2);
    let is_there = |stream: &Stream| stream.group(group).is_some();
    remove_all(ctx, args, 3, is_there, |stream, id, policy, removed| {
        stream.acknowledge_and_delete(group, id, policy, removed)
    })
}
