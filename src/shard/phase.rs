//! What keeps a connection from running its next command, and what happens to it meanwhile: one table of phase × event.
//!
//! ```text
//! Ready ─┬─► Queued      its command waits for keyspaces
//!        ├─► Blocked     BLPOP, XREAD BLOCK …            all of them back to Ready
//!        ├─► Barrier     its reply waits for all shards
//!        ├─► Walking     KEYS: the shards look through their keys
//!        ├─► Paused      CLIENT PAUSE
//!        ├─► Throttled   too much of what it published is undelivered
//!        ├─► Behind      it publishes: what listeners sent before comes first
//!        ├─► Leaving     on its way to another shard
//!        ├─► Waiting     WAIT
//!        ├─► Delayed     its login has failed: the reply comes later
//!        └─► Scripting   its script runs for long, and stands aside
//! ```
//! Not here: how each of these is done. A kill closes a connection in every phase.

use std::sync::Arc;

use crate::keyspace::wait::Waiter;
use crate::resp::reply::Reply;

/// What keeps a client from running its next command.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing.
    Ready,
    /// See the drawing.
    Queued,
    /// See the drawing.
    Blocked(Box<Blocked>),
    /// See the drawing.
    Barrier {
        /// Acknowledgements missing.
        missing: usize,
        /// The reply held back.
        reply: Reply,
    },
    /// See the drawing.
    Walking {
        /// Shards that have not found their part yet.
        missing: usize,
        /// Keys found.
        count: usize,
        /// The keys, RESP.
        parts: Vec<Vec<u8>>,
    },
    /// See the drawing.
    Paused,
    /// See the drawing.
    Throttled,
    /// See the drawing.
    Behind,
    /// It moves to another shard: its socket is being taken from its task.
    Leaving,
    /// See the drawing.
    Scripting,
    /// Until when, Unix ms (`None`: for ever), and the reply held back.
    Waiting {
        /// See above.
        deadline_ms: Option<u64>,
        /// See above.
        reply: Vec<u8>,
    },
    /// Until when, Unix ms, and the reply held back.
    Delayed {
        /// See above.
        until_ms: u64,
        /// See above.
        reply: Reply,
    },
}

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// Bytes have come, or could be read.
    Input,
    /// Its input has ended.
    End,
    /// CLIENT UNBLOCK.
    Unblock,
    /// A deadline of it has passed.
    Deadline,
    /// Its kept command's keyspaces are in hand.
    Hand,
    /// A message of others is to be sent to it.
    Message,
    /// `timeout` has passed without a command of it.
    Idle,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// It runs its next command.
    Run,
    /// What it sends is kept, as long as it is little: its command is soon over.
    KeepBusy,
    /// What it sends is kept, to see the end of its input.
    KeepWaiting,
    /// Its wait ends, with the reply for that.
    EndWait,
    /// Its wait ends without a reply, and it is closed when its earlier replies are sent.
    Leave,
    /// It is looked at when its command is over.
    Later,
    /// The message is sent at once.
    Send,
    /// The message is sent behind the reply that is held back.
    SendBehind,
    /// It is closed.
    Close,
    /// Nothing.
    Nothing,
}

impl Phase {
    /// What happens to a connection in this phase.
    pub(super) fn on(&self, happening: Happening) -> Reaction {
        use Happening as H;
        use Reaction as R;
        match (self, happening) {
            (Self::Ready, H::Input | H::End) => R::Run,
            (Self::Ready, H::Idle) => R::Close,
            (Self::Ready, H::Unblock | H::Deadline | H::Hand) => R::Nothing,

            (Self::Queued, H::Hand) => R::Run,
            (
                Self::Queued
                | Self::Throttled
                | Self::Behind
                | Self::Scripting
                | Self::Delayed { .. },
                H::Input,
            ) => R::KeepBusy,
            (
                Self::Queued
                | Self::Throttled
                | Self::Behind
                | Self::Scripting
                | Self::Delayed { .. },
                H::End,
            ) => R::Later,
            (Self::Delayed { .. }, H::Deadline) => R::EndWait,
            (Self::Delayed { .. }, H::Unblock | H::Hand | H::Idle) => R::Nothing,
            (Self::Delayed { .. }, H::Message) => R::SendBehind,
            (Self::Queued, H::Unblock | H::Deadline | H::Idle) => R::Nothing,
            (
                Self::Throttled | Self::Behind | Self::Scripting,
                H::Unblock | H::Deadline | H::Hand | H::Idle,
            ) => R::Nothing,

            (Self::Barrier { .. } | Self::Walking { .. }, H::Input) => R::KeepBusy,
            (Self::Barrier { .. } | Self::Walking { .. }, H::End) => R::Later,
            (Self::Barrier { .. } | Self::Walking { .. }, H::Message) => R::SendBehind,
            (
                Self::Barrier { .. } | Self::Walking { .. },
                H::Unblock | H::Deadline | H::Hand | H::Idle,
            ) => R::Nothing,

            (Self::Blocked(_) | Self::Waiting { .. } | Self::Paused, H::Input) => R::KeepWaiting,
            (Self::Blocked(_) | Self::Waiting { .. } | Self::Paused, H::End) => R::Leave,
            (Self::Blocked(_) | Self::Waiting { .. }, H::Unblock | H::Deadline) => R::EndWait,
            (Self::Blocked(_) | Self::Waiting { .. }, H::Hand | H::Idle) => R::Nothing,
            (Self::Paused, H::Unblock | H::Deadline | H::Hand | H::Idle) => R::Nothing,

            // Its socket is between two threads: what happens now is looked at where it arrives.
            (Self::Leaving, H::Input | H::End) => R::Later,
            (Self::Leaving, H::Unblock | H::Deadline | H::Hand | H::Idle) => R::Nothing,

            (
                Self::Ready
                | Self::Queued
                | Self::Throttled
                | Self::Behind
                | Self::Scripting
                | Self::Blocked(_)
                | Self::Waiting { .. }
                | Self::Paused
                | Self::Leaving,
                H::Message,
            ) => R::Send,
        }
    }

    /// Whether nothing keeps its client.
    pub(super) fn is_ready(&self) -> bool {
        self.on(Happening::Input) == Reaction::Run
    }

    /// Whether its client waits for something that may never come: the end of its input ends that.
    pub(super) fn is_a_wait(&self) -> bool {
        self.on(Happening::End) == Reaction::Leave
    }

    /// Whether the reply to a command that has run is not among the output yet.
    pub(super) fn holds_a_reply(&self) -> bool {
        matches!(
            self,
            Self::Barrier { .. }
                | Self::Walking { .. }
                | Self::Waiting { .. }
                | Self::Delayed { .. }
        )
    }
}

/// What a blocked client must know of its wait.
#[derive(Debug)]
pub(super) struct Blocked {
    /// The waiter, registered.
    pub(super) waiter: Arc<Waiter>,
    /// When the wait ends, Unix ms.
    pub(super) deadline_ms: Option<u64>,
    /// The reply to a timeout.
    pub(super) null: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Protocol;

    fn phases() -> Vec<Phase> {
        vec![
            Phase::Ready,
            Phase::Queued,
            Phase::Barrier {
                missing: 1,
                reply: Reply::new(Protocol::Resp2),
            },
            Phase::Walking {
                missing: 1,
                count: 0,
                parts: Vec::new(),
            },
            Phase::Paused,
            Phase::Throttled,
            Phase::Behind,
            Phase::Scripting,
            Phase::Leaving,
            Phase::Waiting {
                deadline_ms: None,
                reply: Vec::new(),
            },
            Phase::Delayed {
                until_ms: 1,
                reply: Reply::new(Protocol::Resp2),
            },
        ]
    }

    const HAPPENINGS: [Happening; 7] = [
        Happening::Input,
        Happening::End,
        Happening::Unblock,
        Happening::Deadline,
        Happening::Hand,
        Happening::Message,
        Happening::Idle,
    ];

    #[test]
    fn no_event_is_answered_with_what_only_another_phase_can_do() {
        for phase in phases() {
            for happening in HAPPENINGS {
                let fits = match (happening, phase.on(happening)) {
                    (Happening::Input, Reaction::Run) => matches!(phase, Phase::Ready),
                    (Happening::Hand, Reaction::Run) => matches!(phase, Phase::Queued),
                    (Happening::Hand, reaction) => reaction == Reaction::Nothing,
                    (Happening::Input, reaction) => matches!(
                        reaction,
                        Reaction::KeepBusy | Reaction::KeepWaiting | Reaction::Later
                    ),
                    (Happening::End, reaction) => {
                        matches!(reaction, Reaction::Run | Reaction::Leave | Reaction::Later)
                    }
                    (Happening::Unblock | Happening::Deadline, reaction) => {
                        matches!(reaction, Reaction::EndWait | Reaction::Nothing)
                    }
                    (Happening::Message, reaction) => {
                        matches!(reaction, Reaction::Send | Reaction::SendBehind)
                    }
                    (Happening::Idle, reaction) => {
                        matches!(reaction, Reaction::Close | Reaction::Nothing)
                    }
                };
                assert!(fits, "{phase:?} on {happening:?}");
            }
        }
    }

    #[test]
    fn the_end_of_the_input_ends_every_wait_that_others_may_never_end() {
        for phase in phases() {
            let may_last = matches!(phase, Phase::Paused | Phase::Waiting { .. });
            assert_eq!(phase.is_a_wait(), may_last, "{phase:?}");
        }
    }
}
