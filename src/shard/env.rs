//! What a run reads of its shard, what it is asked, and what it leaves to be done.
//!
//! No messages are sent and no sockets are touched by a run: its [`Aftermath`] says what follows, in order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::context::{ShardAction, Shared, SubscriptionChange};
use crate::command::row::Row;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId, ShardSet};
use crate::keyspace::tracking::Invalidation;
use crate::keyspace::wait::Waiter;
use crate::resp::arguments::{Args, Request};
use crate::resp::reply::Mark;
use crate::script::busy::BusyScript;
use crate::script::cache::Sha;
use crate::script::library::hex;
use crate::script::thread::Scripts;

use super::clock::Clock;
use super::headroom::MemoryLimits;
use super::mailbox::Publication;
use super::phase::Blocked;

/// What a run reads of its shard.
pub(super) struct Env<'e> {
    pub(super) shared: &'e Shared,
    pub(super) settings: &'e Settings,
    /// What they say about memory.
    pub(super) limits: &'e MemoryLimits,
    pub(super) shard: ShardId,
    pub(super) now_ms: u64,
    pub(super) clock: &'e dyn Clock,
    /// When the command before ended, or the turn began, ns: where the next one begins. `None`: the clock is read.
    pub(super) lap_ns: &'e Cell<Option<u64>>,
    /// What this thread has of scripts.
    pub(super) scripts: &'e RefCell<Scripts>,
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
    /// For who monitors: commands of scripts, and behind which command of an EXEC each is.
    pub(super) monitored: Vec<(usize, Bytes)>,
    /// Which command of an EXEC runs.
    pub(super) position: usize,
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
}

/// One command to run.
pub(super) struct Call<'c> {
    pub(super) row: &'static Row,
    pub(super) args: &'c Args<'c>,
    pub(super) may_block: bool,
    pub(super) in_script: bool,
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

    /// A command of a script.
    pub(super) fn of_script(row: &'static Row, args: &'c Args<'c>) -> Self {
        Self {
            in_script: true,
            ..Self::at_once(row, args)
        }
    }

    /// A command whose answer is due at once, as in EXEC.
    pub(super) fn at_once(row: &'static Row, args: &'c Args<'c>) -> Self {
        Self {
            row,
            args,
            may_block: false,
            in_script: false,
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
    /// A script in it has run for long; it goes on later, with the keyspaces that are in hand.
    Suspended(Suspended),
}

/// What goes on later.
#[derive(Debug)]
pub(super) enum Suspended {
    Nothing,
    /// A script.
    Script(Box<ScriptRun>),
    /// An EXEC, whose next command is a script that was begun.
    Exec(Box<ExecProgress>),
}

impl Suspended {
    /// The script.
    pub(super) fn script(&mut self) -> &mut ScriptRun {
        let script = match self {
            Self::Script(run) => Some(run),
            Self::Exec(progress) => progress.script.as_mut(),
            Self::Nothing => None,
        };
        script.expect("a script stands aside")
    }
}

/// How far an EXEC has come.
#[derive(Debug)]
pub(super) struct ExecProgress {
    /// When it began, ns.
    pub(super) started_ns: u64,
    /// Which of its commands is next.
    pub(super) next: usize,
    /// The command whose effects are noted last.
    pub(super) cause: String,
    /// Where its reply ends, though more follows: the client has killed itself.
    pub(super) closed: Option<Mark>,
    /// A script that was begun.
    pub(super) script: Option<Box<ScriptRun>>,
}

/// What a script is called in errors.
#[derive(Clone, Debug)]
pub(super) enum ScriptName {
    /// One of EVAL: by its SHA1.
    Sha(Sha),
    /// A function.
    Function(Vec<u8>),
}

impl ScriptName {
    /// As it is shown.
    pub(super) fn shown(&self) -> Vec<u8> {
        match self {
            Self::Sha(sha) => hex(sha).into_bytes(),
            Self::Function(name) => name.clone(),
        }
    }

    /// Whether it is that of a function.
    pub(super) fn is_function(&self) -> bool {
        matches!(self, Self::Function(_))
    }
}

/// A script that was begun.
#[derive(Debug)]
pub(super) struct ScriptRun {
    pub(super) name: ScriptName,
    /// It may not write.
    pub(super) reads_only: bool,
    /// It may call commands that need memory though there is none.
    pub(super) runs_without_room: bool,
    /// It has called a command that writes.
    pub(super) has_written: bool,
    /// When it began, ns.
    pub(super) started_ns: u64,
    /// Its database: SELECT in a script is not the client's.
    pub(super) db: usize,
    /// It has all keyspaces.
    pub(super) has_all: bool,
    /// Others know that it is busy.
    pub(super) busy: Option<Arc<BusyScript>>,
}

/// Where there are no arguments to show.
pub(super) const NO_ARGS: Args<'static> = Args::new(&[], &[]);
