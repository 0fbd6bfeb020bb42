//! What the thread that saves is asked, by whom, and what of it ends what it is at.
//!
//! ```text
//!                   a dump      the last dump           a base      the first base
//! BGSAVE CANCEL     ends it     -                       -           -
//! FLUSHALL          ends it     -                       a dump follows, its client does not wait for that
//! log switched off  -           -                       ends it     ends it
//! SHUTDOWN, signal  ends it     NOSAVE ends it          ends it     refused, unless FORCE
//! SHUTDOWN ABORT    -           ends it, with the end   -           -
//! ```
//! A copy for a client (SYNC) is ended as a dump, also when that client was closed; only FLUSHALL lets it be, as a base: nobody loads it at
//! a start.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::command::context::{Save, Saver};
use crate::config::EndOptions;
use crate::ids::{ClientId, ShardId};
use crate::observe::persistence::Persistence;

use super::surroundings::Surroundings;
use super::{CANNOT_END, Worker};

/// Why a dump or a base ended before it was whole: nothing has failed.
pub(super) const CANCELLED: &str = "it was cancelled";
/// The same of the last dump, when the process is not to end after all.
pub(super) const ABORTED: &str = "the shutdown was aborted";

/// Who waits for an answer.
pub(super) type Client = Option<(ShardId, ClientId)>;

/// What the thread is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing that could be ended.
    None,
    /// A dump.
    Dump,
    /// The dump behind which the process ends.
    LastDump,
    /// A copy for a client.
    Copy(Client),
    /// A base of the log.
    Base,
    /// The base without which there is no log yet.
    FirstBase,
}

/// What the thread is asked.
#[derive(Debug, Default)]
pub(in crate::server) struct Inbox {
    requests: Mutex<VecDeque<(Save, Client)>>,
    has_request: Condvar,
}

impl Inbox {
    pub(super) fn lock(&self) -> MutexGuard<'_, VecDeque<(Save, Client)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request; `None` when none came in time. `holds_signals`: an end that no client asks for stays in line.
    pub(super) fn next(
        &self,
        patience: Duration,
        holds_signals: impl Fn() -> bool,
    ) -> Option<(Save, Client)> {
        let mut requests = self.lock();
        let is_next = |(save, client): &(Save, Client)| {
            !matches!((save, client), (Save::End(_), None)) || !holds_signals()
        };
        if !requests.iter().any(is_next) {
            let waited = self.has_request.wait_timeout(requests, patience);
            requests = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let at = requests.iter().position(is_next)?;
        requests.remove(at)
    }
}

/// How shards reach the thread.
#[derive(Debug)]
pub(in crate::server) struct Asker {
    pub(in crate::server) inbox: Arc<Inbox>,
    pub(in crate::server) facts: Arc<Persistence>,
}

impl Saver for Asker {
    fn request(&self, save: Save, client: Client) {
        if matches!(save, Save::End(_)) {
            self.facts.is_end_asked.store(true, Ordering::Release);
        }
        self.inbox.lock().push_back((save, client));
        self.inbox.has_request.notify_one();
    }
}

impl<S: Surroundings> Worker<S> {
    /// Why what is being written is not wanted any more, if that is so: see the module's head. Who only wanted that is answered.
    pub(super) fn interruption(&self) -> Option<&'static str> {
        let holds_signals = self.holds_signals();
        let mut requests = self.inbox.lock();
        let mut reason = None;
        for (save, client) in std::mem::take(&mut *requests) {
            let keeps = match (save, self.work) {
                (Save::Cancel, work) => {
                    if matches!(work, Work::Dump | Work::Copy(_)) {
                        reason = Some(CANCELLED);
                    }
                    false
                }
                (Save::Abort, Work::LastDump) => {
                    reason = Some(ABORTED);
                    self.answer(client, None);
                    false
                }
                (Save::Flushed, Work::Dump) => {
                    reason = Some(CANCELLED);
                    true
                }
                (Save::Flushed, Work::Copy(_) | Work::Base | Work::FirstBase) => {
                    let has_points = !self.settings().persistence.save_points.is_empty();
                    let scheduled = &self.facts().dump_scheduled;
                    scheduled.fetch_or(has_points, Ordering::AcqRel);
                    self.answer(client, None);
                    false
                }
                (Save::Switch, Work::Base | Work::FirstBase) => {
                    if !self.settings().persistence.append_only {
                        info!("Killing AOF child: its rewrite ends with the append only file");
                        reason = Some(CANCELLED);
                    }
                    true
                }
                (Save::End(_), _) if holds_signals && client.is_none() => true,
                (Save::End(options), _) if self.refuses_end(options) => {
                    warn!("Writing initial AOF, can't exit.");
                    self.facts().is_end_asked.store(false, Ordering::Release);
                    self.answer(client, Some(CANNOT_END));
                    false
                }
                (Save::End(options), work) => {
                    if work != Work::LastDump || options.save == Some(false) {
                        reason = Some(CANCELLED);
                    }
                    true
                }
                _ => true,
            };
            if keeps {
                requests.push_back((save, client));
            }
        }
        drop(requests);
        match self.work {
            Work::Copy(client) if !self.is_connected(client) => Some(CANCELLED),
            _ => reason,
        }
    }

    /// Redis: the data would be lost where no log stands yet.
    fn refuses_end(&self, options: EndOptions) -> bool {
        self.work == Work::FirstBase && !options.force
    }

    /// Redis acts on signals in its cron.
    pub(super) fn holds_signals(&self) -> bool {
        self.shared.cron_paused.load(Ordering::Acquire)
    }
}
