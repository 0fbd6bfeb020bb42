//! Runs one command, or one transaction, with the keyspaces in hand; then finishes the work on them.
//!
//! ```text
//! handler ─► effects to the log ─► events to publications ─► ready keys: serve waiters ─► (their effects, events, keys …)
//! ```
//! The result is an [`Aftermath`]: replies for blocked clients and publications, in order, that the shard dispatches
//! before it gives a keyspace away and before the reply leaves. No messages are sent and no sockets are touched here.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::session::Session;
use crate::command::context::{
    Context, Execution, Outcome, ShardAction, Shared, SubscriptionChange,
};
use crate::command::row::Row;
use crate::command::spec::Flags;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::event::{EventClass, KeyEvent};
use crate::keyspace::tracking::Invalidation;
use crate::keyspace::wait::Waiter;
use crate::keyspace::{Keyspace, Space};
use crate::observe::effects::Effect;
use crate::pubsub::registry::ChannelKind;
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::Reply;

use super::blocking::Blocked;
use super::clock::Clock;
use super::mailbox::Publication;
use super::waiters::waiters_need;

/// What a run reads of its shard.
pub(super) struct Env<'e> {
    pub(super) shared: &'e Shared,
    pub(super) settings: &'e Settings,
    pub(super) shard: ShardId,
    pub(super) now_ms: u64,
    pub(super) clock: &'e dyn Clock,
    /// When the command before ended, or the turn began, ns: where the next one begins. `None`: the clock is read.
    pub(super) lap_ns: &'e Cell<Option<u64>>,
}

/// A blocked client's reply.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) waiter: Arc<Waiter>,
    pub(super) reply: Vec<u8>,
    /// Shards with keys of the waiter that were not in hand: their tables still hold it.
    pub(super) elsewhere: ShardSet,
}

thread_local! {
    static RUNNING: Cell<&'static str> = const { Cell::new("no command") };
}

/// The command that runs on this thread, or ran last: for the last words of a process that panics.
pub fn running_command() -> &'static str {
    RUNNING.get()
}

/// What others see of commands that ran.
#[derive(Debug)]
pub(super) enum Outgoing {
    Publication(Publication),
    Served(Served),
    /// Client-side caches are told of a key that the client changed.
    Invalidation(Invalidation, Option<ClientId>),
    /// Subscriptions of the client itself begin or end.
    Subscriptions(Vec<SubscriptionChange>),
}

impl Outgoing {
    /// Whose command it comes from, unless that is known.
    pub(super) fn caused_by(&mut self, client: Option<ClientId>) {
        match self {
            Self::Publication(Publication { cause, .. }) | Self::Invalidation(_, cause) => {
                *cause = cause.or(client);
            }
            Self::Served(_) | Self::Subscriptions(_) => {}
        }
    }
}

/// What is to be done after commands ran.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// In the order in which it happened: a client that is subscribed and blocked sees it.
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) actions: Vec<ShardAction>,
    pub(super) ready: VecDeque<(usize, Box<[u8]>)>,
    pub(super) effects: Vec<Effect>,
}

impl Aftermath {
    pub(super) fn is_empty(&self) -> bool {
        self.outgoing.is_empty() && self.actions.is_empty()
    }

    /// Whether something was published.
    pub(super) fn publishes(&self) -> bool {
        let mut outgoing = self.outgoing.iter();
        outgoing.any(|outgoing| matches!(outgoing, Outgoing::Publication(_)))
    }

    /// Whether the client subscribed or unsubscribed.
    pub(super) fn changes_subscriptions(&self) -> bool {
        let mut outgoing = self.outgoing.iter();
        outgoing.any(|outgoing| matches!(outgoing, Outgoing::Subscriptions(_)))
    }

    /// Whether a subscription of the client ends.
    pub(super) fn ends_subscriptions(&self) -> bool {
        let mut outgoing = self.outgoing.iter();
        outgoing.any(|outgoing| match outgoing {
            Outgoing::Subscriptions(changes) => changes.iter().any(|change| !change.subscribed),
            _ => false,
        })
    }
}

/// One command to run.
pub(super) struct Call<'c> {
    pub(super) row: &'static Row,
    pub(super) args: &'c Args<'c>,
    pub(super) may_block: bool,
    pub(super) resumed: bool,
    /// What the client sent, where the arguments are what became of it while it waited.
    pub(super) as_sent: Option<&'c Request>,
}

impl<'c> Call<'c> {
    /// A client's command, which may make it wait.
    pub(super) fn that_may_wait(row: &'static Row, args: &'c Args<'c>) -> Self {
        Self {
            may_block: true,
            ..Self::at_once(row, args)
        }
    }

    /// A command whose answer is due at once, as in EXEC.
    pub(super) fn at_once(row: &'static Row, args: &'c Args<'c>) -> Self {
        Self {
            row,
            args,
            may_block: false,
            resumed: false,
            as_sent: None,
        }
    }
}

/// How a run ended, the reply being written.
pub(super) enum Ran {
    Done,
    /// It waits; nothing is written to the reply.
    Waits(Box<Blocked>),
    /// It must run with these keyspaces in hand; nothing happened.
    Needs(ShardSet),
}

/// Where there are no arguments to show.
pub(super) const NO_ARGS: Args<'static> = Args::new(&[], &[]);

impl Env<'_> {
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
        let mut context = Context {
            space: space.reborrow(),
            reply,
            session,
            shared: self.shared,
            settings: self.settings,
            row: call.row,
            shard: self.shard,
            may_block: call.may_block,
            resumed: call.resumed,
        };
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

    /// Collects what a command left in the keyspaces: effects, events, ready keys, as they happened whichever keyspace
    /// they are in; and big values to free. Cheap when there is nothing.
    pub(super) fn collect(&self, space: &mut Space<'_>, after: &mut Aftermath) {
        if space.is_settled() {
            return;
        }
        let (mut effects, mut events, mut ready) = (Vec::new(), Vec::new(), Vec::new());
        let mut invalidations = Vec::new();
        for keyspace in space.keyspaces_mut() {
            if !keyspace.effects.is_empty() {
                keyspace.effects.drain_ordered(|order, db, command| {
                    let command = command.to_vec();
                    effects.push((order, Effect { db, command }));
                });
            }
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
        effects.sort_by_key(|(order, _)| *order);
        after
            .effects
            .extend(effects.into_iter().map(|(_, effect)| effect));
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

    /// Hands the effects of one command or transaction to the log, contiguous.
    pub(super) fn log(&self, after: &mut Aftermath, cause: &str) {
        if !after.effects.is_empty() {
            self.shared
                .effects
                .append(cause, std::mem::take(&mut after.effects));
        }
    }

    /// Runs one command and finishes the work on the keyspaces in hand.
    pub(super) fn run(
        &self,
        space: &mut Space<'_>,
        session: &mut Session,
        reply: &mut Reply,
        call: &Call<'_>,
        after: &mut Aftermath,
    ) -> Ran {
        if let Some(needed) = waiters_need(space, call.row, call.args) {
            return Ran::Needs(needed);
        }
        let mark = reply.mark();
        let outcome = self.call(space, session, reply, call);
        match &outcome {
            Outcome::Wait(_) if call.may_block => {
                self.witness(session.id(), Execution::Waits, call.args, &[])
            }
            _ => self.witness(
                session.id(),
                Execution::Command,
                call.args,
                reply.since(mark),
            ),
        }
        self.collect(space, after);
        self.log(after, &call.row.full_name);
        if !after.ready.is_empty() {
            self.serve(space, after);
        }
        match outcome {
            Outcome::Done => Ran::Done,
            Outcome::Ask(action) => {
                self.ask(action, after);
                Ran::Done
            }
            Outcome::Wait(_) if !call.may_block => Ran::Done,
            Outcome::Wait(wait) => {
                let null = reply.since(mark).to_vec();
                reply.truncate(mark);
                Ran::Waits(Box::new(self.register(space, session, *wait, null)))
            }
        }
    }

    pub(super) fn ask(&self, action: ShardAction, after: &mut Aftermath) {
        match action {
            ShardAction::Publish {
                kind,
                channel,
                payload,
            } => {
                after.outgoing.push(Outgoing::Publication(Publication {
                    kind,
                    channel,
                    payload,
                    number: 0,
                    cause: None,
                }));
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

    /// Removes keys whose time has come.
    pub(super) fn expire(
        &self,
        keyspace: &mut Keyspace,
        budget: usize,
        after: &mut Aftermath,
    ) -> usize {
        let count = keyspace.expire_due(self.now_ms, budget);
        if count > 0 {
            let mut space = Space::one(keyspace, self.shared.shard_count);
            space.now_ms = self.now_ms;
            self.collect(&mut space, after);
            self.log(after, "expire");
            self.serve(&mut space, after);
        }
        count
    }
}

/// The publications of a keyspace notification. Source: "Keyspace notifications" of Redis: keyspace first, then keyevent.
fn publications_of(event: &KeyEvent, notify: EventClass, into: &mut Vec<Outgoing>) {
    let prefix = |name: &str| format!("__{name}@{}__:", event.db).into_bytes();
    if notify.intersects(EventClass::KEYSPACE) {
        let mut channel = prefix("keyspace");
        channel.extend_from_slice(&event.key);
        let payload = Bytes::from_static(event.name.as_bytes());
        into.push(Outgoing::Publication(Publication {
            kind: ChannelKind::Channel,
            channel: channel.into(),
            payload,
            number: 0,
            cause: None,
        }));
    }
    if notify.intersects(EventClass::KEYEVENT) {
        let mut channel = prefix("keyevent");
        channel.extend_from_slice(event.name.as_bytes());
        let payload = Bytes::copy_from_slice(&event.key);
        into.push(Outgoing::Publication(Publication {
            kind: ChannelKind::Channel,
            channel: channel.into(),
            payload,
            number: 0,
            cause: None,
        }));
    }
}
