//! Clients that wait for keys, as commands meet them: which keyspaces serving them needs, how a command comes to wait, and who
//! is served when keys are ready.
//!
//! Invariants: a command that may make a key ready runs only with the keyspaces in hand that its waiters write to, so that
//! serving is always synchronous; a waiter is claimed before its command runs again.

use std::collections::HashSet;
use std::sync::Arc;

use crate::acl::log::Context as Place;
use crate::client::registry::{ClientHandle, Wait};
use crate::client::session::{Login, Session};
use crate::command::context::{Execution, Outcome, WaitFor};
use crate::command::error::{self, CommandError};
use crate::command::permission;
use crate::command::row::Row;
use crate::command::spec::{Flags, Scope};
use crate::command::table::commands;
use crate::ids::{ShardSet, shard_of};
use crate::keyspace::wait::{WaitClass, WaitTable, Waiter, WaiterFacts};
use crate::keyspace::{InHand, Keyspace, Space};
use crate::resp::arguments::Args;
use crate::resp::reply::Reply;

use super::env::{Aftermath, Call, Env, Outgoing, Served};
use super::headroom::is_out_of_memory;
use super::phase::Blocked;

/// Room for the reply to a waiter from the start, bytes: most are an element of a queue, and need not grow piece by piece.
const SERVED_REPLY_BYTES: usize = 256;

/// The keyspaces that must be in hand besides those that are, so that every waiter who may be served can be: those of the
/// destinations of the clients that wait for a key the command may make ready, of the clients that wait for those, and so on.
/// O(keys), and nothing is allocated, while no waiter of these keys writes elsewhere.
pub(super) fn waiters_need(space: &Space<'_>, row: &Row, args: &Args<'_>) -> Option<ShardSet> {
    let flags = row.command.flags;
    let may_write = flags.has(Flags::WRITE)
        || row.command.scope == Scope::Script && !flags.has(Flags::READONLY);
    if !may_write || !space.may_have_moving_waits() {
        return None;
    }
    let moving: Vec<&WaitTable> = space.keyspaces().flat_map(Keyspace::moving_waits).collect();
    if moving.is_empty() {
        return None;
    }
    let in_hand = space.shards();
    let mut needed = in_hand;
    let (mut due, mut seen) = (Vec::new(), HashSet::new());
    let mut look = |key: &[u8], due: &mut Vec<Box<[u8]>>| {
        let mut destinations = moving
            .iter()
            .flat_map(|waits| waits.destinations(key))
            .peekable();
        if destinations.peek().is_some() && seen.insert(Box::<[u8]>::from(key)) {
            due.extend(destinations.map(Box::from));
        }
    };
    row.command
        .for_each_key(args, |at| look(args.at(at), &mut due));
    while let Some(key) = due.pop() {
        needed.insert(shard_of(&key, space.shard_count()));
        look(&key, &mut due);
    }
    (!in_hand.covers(needed)).then_some(needed)
}

impl Env<'_> {
    /// Puts a waiter into the wait tables of all its keys, which are in hand: no push falls between attempt and wait.
    pub(super) fn register(
        &self,
        space: &mut Space<'_>,
        session: &Session,
        wait: WaitFor,
        null: Vec<u8>,
    ) -> Blocked {
        let WaitFor {
            kind,
            class,
            keys,
            deadline_ms,
            request,
            as_sent,
            destinations,
            alarms,
        } = wait;
        let waiter = Arc::new(Waiter::new(WaiterFacts {
            client: session.id(),
            home: session.handle.shard(),
            kind,
            class,
            db: session.db,
            protocol: session.protocol,
            keys: distinct(keys),
            request,
            as_sent,
            destinations,
            no_touch: session.no_touch,
            caching: session.caching.exception,
        }));
        for key in &waiter.keys {
            space
                .of(key)
                .waits_mut(waiter.db)
                .register(Arc::clone(key), Arc::clone(&waiter));
        }
        set_alarms(space, waiter.db, &alarms);
        let wait = Wait::Keys(Arc::clone(&waiter));
        session.handle.set_wait(Some(wait));
        Blocked {
            waiter,
            deadline_ms,
            null,
        }
    }

    /// Serves the waiters of ready keys, in the order in which the keys became ready, to a fixpoint.
    pub(super) fn serve(&self, space: &mut Space<'_>, after: &mut Aftermath) {
        while let Some((db, key)) = after.ready.pop_front() {
            space.of(&key).waits_mut(db).take_ready(&key);
            let mut pass = space.of(&key).waits(db).pass(&key);
            while let Some(waiter) = pass.next_waiter() {
                // Waiters are served after the command, at the time it is then.
                let seen_ms = space.keyspaces().map(|keyspace| keyspace.now_ms);
                let now_ms = seen_ms.fold(self.now_ms.max(self.clock.now_ms()), u64::max);
                let env = Env { now_ms, ..*self };
                let present = space
                    .of(&key)
                    .peek(db, &key, now_ms)
                    .map(|entry| &entry.value);
                let concerns = waiter.kind.concerns(present);
                let present = present.is_some();
                if !present {
                    // The look may have removed the key as expired.
                    self.collect(space, after);
                    self.log(space, "expire");
                }
                if !present && !space.of(&key).waits(db).wants_absence(&key) {
                    break;
                }
                let served = concerns.then(|| env.serve_one(space, &waiter, after));
                // What is nothing for one is nothing for those who wait for the same.
                if served != Some(Serving::InVain) || waiter.class == WaitClass::Alone {
                    let waits = space.of(&key).waits(db);
                    waits.go_on(&key, &mut pass, &waiter);
                }
            }
        }
    }

    /// Runs a waiter's command again.
    fn serve_one(
        &self,
        space: &mut Space<'_>,
        waiter: &Arc<Waiter>,
        after: &mut Aftermath,
    ) -> Serving {
        let Some(handle) = self.shared.clients.get(waiter.client) else {
            self.cancel(waiter);
            return Serving::Gone;
        };
        if !waiter.claim().take() {
            return Serving::Gone;
        }
        let mut session = session_of(waiter, handle);
        let mut reply = Reply::new(waiter.protocol);
        reply.reserve(SERVED_REPLY_BYTES);
        let args = waiter.request.args();
        let Some(row) = commands().find_either(args.at(0)) else {
            waiter.claim().release();
            return Serving::Gone;
        };
        let call = Call {
            row,
            args: &args,
            may_block: true,
            in_script: false,
            resumed: true,
            as_sent: waiter.as_sent.as_deref(),
        };
        advance(space, self.now_ms);
        let outcome = match self.refusal_of_waiter(&mut session, row, &args) {
            None => self.call(space, &mut session, &mut reply, &call),
            Some(refusal) => {
                self.record_refusal(Some(row), &refusal);
                reply.error(refusal.bytes());
                Outcome::Done
            }
        };
        let counters = &self.shared.observations.shards[self.shard.index()];
        if let Outcome::Wait(wait) = outcome {
            self.collect(space, after);
            self.log(space, &row.full_name);
            waiter.claim().release();
            set_alarms(space, waiter.db, &wait.alarms);
            counters.attempts_in_vain.add(1);
            return Serving::InVain;
        }
        counters.wakeups.add(1);
        self.witness(waiter.client, Execution::Served, &args, reply.bytes());
        waiter.claim().serve();
        let mut elsewhere = ShardSet::EMPTY;
        for key in &waiter.keys {
            if space.holds(key) {
                space.of(key).waits_mut(waiter.db).forget(key, waiter);
            } else {
                elsewhere.insert(shard_of(key, space.shard_count()));
            }
        }
        // Its reply, then what it caused.
        after.outgoing.push(Outgoing::Served(Served {
            waiter: Arc::clone(waiter),
            reply: reply.take(),
            elsewhere,
            now_ms: self.now_ms,
        }));
        self.collect_of(waiter.client, space, after);
        self.log(space, &row.full_name);
        Serving::Served
    }

    /// Why a command that waited may not run now: its user may have been changed, and memory used up.
    fn refusal_of_waiter(
        &self,
        session: &mut Session,
        row: &'static Row,
        args: &Args<'_>,
    ) -> Option<CommandError> {
        if let Err(denied) = permission::check(session, row, args) {
            let by = (&*session, self.now_ms);
            permission::note(self.shared, by, (row, args), denied, Place::Toplevel);
            return Some(permission::refusal(session, row, denied));
        }
        let needs_room = self.limits.max > 0 && row.command.flags.has(Flags::DENYOOM);
        let has_none = || is_out_of_memory(self.shared, self.limits, self.clock.nanoseconds());
        (needs_room && has_none()).then_some(error::OUT_OF_MEMORY)
    }

    /// The client of a waiter is gone.
    pub(super) fn cancel(&self, waiter: &Waiter) {
        if waiter.claim().cancel() {
            let args = waiter.request.args();
            self.witness(waiter.client, Execution::Cancelled, &args, &[]);
        }
    }

    /// Lets those look at keys who wait for entries to have been pending for long enough; whether more are due.
    pub(super) fn ring(
        &self,
        keyspace: &mut Keyspace,
        budget: usize,
        after: &mut Aftermath,
    ) -> bool {
        let more = keyspace.ring(self.now_ms, budget);
        let mut space = Space::one(keyspace, self.shared.shard_count);
        space.now_ms = self.now_ms;
        self.collect(&mut space, after);
        self.log(&mut space, "expire");
        self.serve(&mut space, after);
        more
    }
}

/// What of its client's session a waiter's command needs when it runs again, on whatever thread.
fn session_of(waiter: &Waiter, handle: Arc<ClientHandle>) -> Session {
    let user = handle.restricted_user();
    let mut session = Session::new(handle, true);
    session.login = user.map(Login::new);
    session.db = waiter.db;
    session.protocol = waiter.protocol;
    session.no_touch = waiter.no_touch;
    session.caching.exception = waiter.caching;
    session
}

/// Nobody sees an earlier time in the keyspaces in hand any more.
fn advance(space: &mut Space<'_>, now_ms: u64) {
    for keyspace in space.keyspaces_mut() {
        keyspace.now_ms = keyspace.now_ms.max(now_ms);
    }
}

/// What became of an attempt to serve a waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serving {
    Served,
    /// There was nothing for it.
    InVain,
    /// It waits no longer.
    Gone,
}

/// Sets alarms at keys that somebody waits for, as far as they are in hand.
fn set_alarms(space: &mut Space<'_>, db: usize, alarms: &[(Box<[u8]>, u64)]) {
    for (key, at_ms) in alarms {
        if space.holds(key) {
            space.of(key).set_alarm(db, key, *at_ms);
        }
    }
}

/// A key named twice is waited for once, where it is named first.
fn distinct(keys: Vec<Arc<[u8]>>) -> Vec<Arc<[u8]>> {
    if keys.len() < 2 {
        return keys;
    }
    let mut seen = HashSet::with_capacity(keys.len());
    let is_first: Vec<bool> = keys.iter().map(|key| seen.insert(&**key)).collect();
    let named = keys.into_iter().zip(is_first);
    named
        .filter_map(|(key, is_first)| is_first.then_some(key))
        .collect()
}
