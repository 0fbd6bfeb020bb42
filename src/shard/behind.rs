//! Who waits for what listeners have sent before, and what that is, on one thread: lists. What is done with them: `outstanding.rs`.

use smallvec::SmallVec;

use crate::ids::{ClientId, ShardId};

/// A client whose command waits for what is outstanding.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) client: ClientId,
    /// The threads it waits for, and how many rounds each had begun.
    pub(super) threads: SmallVec<[(ShardId, u64); 4]>,
    /// When it goes on in any case, Unix ms.
    pub(super) until_ms: u64,
}

/// Who waits for what is outstanding, and what is.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Nothing is that was sent before what this turn's client has sent.
    pub(super) none_before: bool,
    /// Who waits.
    pub(super) behind: Vec<Behind>,
    /// Listeners here of which something waits for its turn, or did.
    pub(super) listeners: Vec<ClientId>,
    /// Threads that did not catch up in time, and how many rounds they had begun.
    pub(super) stuck: Vec<(ShardId, u64)>,
    /// Clients here that have subscribed, or have ended subscriptions, since the driver asked last.
    pub(super) changed: Vec<ClientId>,
}

impl Outstanding {
    /// A client has begun or ended subscriptions.
    pub(super) fn note_change(&mut self, client: ClientId) {
        self.changed.push(client);
    }

    /// Whether somebody waits for what this thread, `at`, has to do itself: its next round looks again.
    pub(super) fn waits_for(&self, at: ShardId) -> bool {
        let mut threads = self.behind.iter().flat_map(|behind| &behind.threads);
        threads.any(|(thread, _)| *thread == at)
    }

    /// Whether somebody waits.
    pub(super) fn has_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// When the first of those who wait goes on in any case, Unix ms.
    pub(super) fn next_end_ms(&self) -> u64 {
        let ends = self.behind.iter().map(|behind| behind.until_ms);
        ends.min().unwrap_or(u64::MAX)
    }
}
