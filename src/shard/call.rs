//! Calls a handler and collects what it left in the keyspaces.
//!
//! ```text
//! handler ─► effects stay (journal.rs) ─► events to publications, invalidations, ready keys ─► Aftermath
//! ```

use std::cell::Cell;

use bytes::Bytes;

use crate::client::session::Session;
use crate::command::context::{Context, Execution, Outcome, ShardAction};
use crate::command::spec::Flags;
use crate::ids::ClientId;
use crate::keyspace::effect::close_group;
use crate::keyspace::event::{EventClass, KeyEvent};
use crate::keyspace::tracking::Invalidation;
use crate::keyspace::{InHand, Space};
use crate::pubsub::registry::ChannelKind;
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::env::{Aftermath, Call, Env, Outgoing};
use super::mailbox::Publication;

thread_local! {
    static RUNNING: Cell<&'static str> = const { Cell::new("no command") };
}

impl Env<'_> {
    /// As [`Env::collect`], of a client that was served: what caches are told of is its doing.
    pub(super) fn collect_of(
        &self,
        client: ClientId,
        space: &mut Space<'_>,
        after: &mut Aftermath,
    ) {
        let first = after.outgoing.len();
        self.collect(space, after);
        for outgoing in &mut after.outgoing[first..] {
            if let Outgoing::Invalidation(..) = outgoing {
                outgoing.caused_by(Some(client));
            }
        }
    }

    pub(super) fn witness(
        &self,
        client: ClientId,
        execution: Execution,
        args: &Args<'_>,
        reply: &[u8],
    ) {
        if let Some(witness) = self.shared.witness.get() {
            witness.saw(client, execution, args, reply);
        }
    }

    /// What a handler is given.
    #[inline]
    pub(super) fn context<'a>(
        &'a self,
        space: &'a mut Space<'_>,
        session: &'a mut Session,
        reply: &'a mut Reply,
        call: &Call<'_>,
    ) -> Context<'a> {
        Context {
            space: space.reborrow(),
            reply,
            session,
            shared: self.shared,
            settings: self.settings,
            scripts: self.scripts,
            row: call.row,
            shard: self.shard,
            may_block: call.may_block,
            in_script: call.in_script,
            resumed: call.resumed,
        }
    }

    /// Runs the handler; on an error the reply is the error. Records it, unless it waits.
    pub(super) fn call(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
    ) -> Outcome {
        space.db = session.db;
        space.now_ms = self.now_ms;
        space.touch = !session.no_touch || call.row.command.flags.has(Flags::ALWAYS_TOUCHES);
        let mark = reply.mark();
        let started = self.lap_ns.get();
        let started = started.unwrap_or_else(|| self.clock.nanoseconds());
        let mut context = self.context(space, session, reply, call);
        RUNNING.set(&call.row.full_name);
        let result = (call.row.command.handler)(&mut context, call.args);
        let ended = self.clock.nanoseconds();
        self.lap_ns.set(Some(ended));
        let mut elapsed = ended.saturating_sub(started);
        if call.row.command.flags.has(Flags::READONLY)
            && let Some(tracker) = session.handle.tracker()
        {
            self.remember(space, tracker, call, session.caching.exception);
        }
        if matches!(result, Ok(Outcome::Wait(_))) && call.may_block {
            return result.unwrap_or(Outcome::Done);
        }
        if let Ok(Outcome::Ask(ShardAction::Sleep(ms))) = &result {
            // The shard sleeps for the command: it is part of its time.
            elapsed = elapsed.saturating_add(ms.saturating_mul(1_000_000));
        }
        self.record(session, call, elapsed, result.as_ref().err());
        match result {
            Ok(outcome) => outcome,
            Err(error) => {
                reply.truncate(mark);
                reply.error(error.bytes());
                Outcome::Done
            }
        }
    }

    /// What a handler has asked for: what is seen of others goes with the rest, in order.
    pub(super) fn ask(&self, action: ShardAction, after: &mut Aftermath) {
        match action {
            ShardAction::Publish {
                kind,
                channel,
                payload,
            } => {
                let publication = Publication::new(kind, channel, payload);
                after.outgoing.push(Outgoing::Publication(publication));
            }
            ShardAction::Subscriptions(changes) => {
                after.outgoing.push(Outgoing::Subscriptions(changes));
            }
            // At once: what follows in an EXEC comes later, as in Redis.
            ShardAction::Sleep(ms) => {
                self.clock.sleep(ms);
                // The shard looks at the clock again.
                after.actions.push(ShardAction::Sleep(0));
            }
            action => after.actions.push(action),
        }
    }

    /// Collects what a command left in the keyspaces: events, ready keys, as they happened whichever keyspace
    /// they are in; and big values to free. Cheap when there is nothing.
    pub(super) fn collect(&self, space: &mut Space<'_>, after: &mut Aftermath) {
        if space.is_settled() {
            return;
        }
        let (mut events, mut ready) = (Vec::new(), Vec::new());
        let mut invalidations = Vec::new();
        for keyspace in space.keyspaces_mut() {
            if keyspace.has_events() {
                let notify = keyspace.policy.notify;
                events.extend(
                    keyspace
                        .take_events()
                        .into_iter()
                        .map(|event| (event, notify)),
                );
            }
            if keyspace.has_invalidations() {
                invalidations.extend(keyspace.take_invalidations());
            }
            if keyspace.has_discards() {
                let discards = keyspace.take_discards();
                // In a simulation there is nobody to do it: they are freed here.
                if let Some(disposal) = self.shared.disposal.get() {
                    disposal.free(discards);
                }
            }
            while let Some(key) = keyspace.next_ready() {
                ready.push(key);
            }
        }
        events.sort_by_key(|(event, _)| event.order);
        invalidations.sort_by_key(|invalidation: &Invalidation| invalidation.order);
        let mut invalidations = invalidations.into_iter().peekable();
        let told = |invalidation| Outgoing::Invalidation(invalidation, None);
        for (event, notify) in events {
            while let Some(earlier) = invalidations.next_if(|other| other.order < event.order) {
                after.outgoing.push(told(earlier));
            }
            publications_of(&event, notify, &mut after.outgoing);
        }
        after.outgoing.extend(invalidations.map(told));
        ready.sort_by_key(|(order, _, _)| *order);
        after
            .ready
            .extend(ready.into_iter().map(|(_, db, key)| (db, key)));
    }

    /// The effects of a command or a transaction are all there: whatever log they go to, all or none of them take place.
    #[inline]
    pub(super) fn log(&self, space: &mut Space<'_>, cause: &str) {
        if self.shared.effects.suppresses(cause) {
            space
                .keyspaces_mut()
                .for_each(|keyspace| keyspace.effects.drop_open_group());
        }
        close_group();
    }
}

/// The command that runs on this thread, or ran last: for the last words of a process that panics.
pub(crate) fn running_command() -> &'static str {
    RUNNING.get()
}

/// The publications of a keyspace notification. Source: "Keyspace notifications" of Redis: keyspace first, then keyevent.
fn publications_of(event: &KeyEvent, notify: EventClass, into: &mut Vec<Outgoing>) {
    let mut publish = |kind: &str, about: &[u8], payload: Bytes| {
        let mut channel = format!("__{kind}@{}__:", event.db).into_bytes();
        channel.extend_from_slice(about);
        let publication = Publication::of_keys(ChannelKind::Channel, channel.into(), payload);
        into.push(Outgoing::Publication(publication));
    };
    let name = event.name.as_bytes();
    if notify.intersects(EventClass::KEYSPACE) {
        publish("keyspace", &event.key, Bytes::from_static(name));
    }
    if notify.intersects(EventClass::KEYEVENT) {
        publish("keyevent", name, Bytes::copy_from_slice(&event.key));
    }
}
