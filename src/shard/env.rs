//! What a run reads of its shard, what it is asked, and what it leaves to be done.
//!
//! No messages are sent and no sockets are touched by a run: its [`Aftermath`] says what follows, in order.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::command::context::{ShardAction, Shared, SubscriptionChange};
use crate::command::row::Row;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::tracking::Invalidation;
use crate::keyspace::wait::Waiter;
use crate::resp::arguments::{Args, Request};

use super::clock::Clock;
use super::mailbox::Publication;
use super::phase::Blocked;

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
    /// The time at which it was served, Unix ms.
    pub(super) now_ms: u64,
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
