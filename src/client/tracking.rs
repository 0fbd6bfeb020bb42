//! Client-side caching as all clients together see it: how many track, and who is told of which prefixes (BCAST).
//!
//! The keys that clients have read are in the keyspaces (`keyspace/tracking.rs`); what a client asked for is in its
//! [`Tracker`], which its handle owns.
//!
//! Invariant: the counts have the number of prefixes, so that a write where nobody listens to any looks at nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::keyspace::tracking::{Tracker, TrackingCounts, TrackingOptions};

use super::session::Session;

/// What the session of a client keeps of CLIENT TRACKING besides its [`Tracker`].
#[derive(Debug, Default)]
pub(crate) struct Caching {
    /// CLIENT CACHING was said: the next command, or the transaction, differs from what the mode says.
    pub(crate) exception: bool,
    /// BCAST's prefixes.
    pub(crate) prefixes: BTreeSet<Bytes>,
}

/// Prefixes and who listens to them, for the whole process.
#[derive(Debug, Default)]
pub(crate) struct BroadcastRegistry {
    prefixes: RwLock<BTreeMap<Bytes, Vec<Arc<Tracker>>>>,
    counts: Arc<TrackingCounts>,
    client_count: AtomicUsize,
}

impl BroadcastRegistry {
    /// What all keyspaces count together.
    pub(crate) fn counts(&self) -> &Arc<TrackingCounts> {
        &self.counts
    }

    /// How many prefixes have listeners.
    pub(crate) fn len(&self) -> usize {
        self.counts.prefixes.load(Ordering::Acquire)
    }

    /// Whether no prefix has a listener.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many clients track, in any mode.
    pub(crate) fn client_count(&self) -> usize {
        self.client_count.load(Ordering::Acquire)
    }

    /// Turns tracking on, or changes it: CLIENT TRACKING ON. BCAST's `prefixes` join those it has.
    pub(crate) fn start(
        &self,
        session: &mut Session,
        options: TrackingOptions,
        redirection: u64,
        prefixes: Vec<Bytes>,
    ) {
        let tracker = session.handle.make_tracker();
        if !tracker.options().has(TrackingOptions::ON) {
            self.client_count.fetch_add(1, Ordering::AcqRel);
        }
        tracker.set(options.and(TrackingOptions::ON), redirection);
        for prefix in prefixes {
            if session.caching.prefixes.insert(prefix.clone()) {
                self.listen(prefix, Arc::clone(&tracker));
            }
        }
        session.mirror();
    }

    /// Turns tracking off: CLIENT TRACKING OFF, RESET, the end of the connection.
    pub(crate) fn stop(&self, session: &mut Session) {
        let caching = std::mem::take(&mut session.caching);
        let Some(tracker) = session.handle.tracker() else {
            return;
        };
        if tracker.options().has(TrackingOptions::ON) {
            self.client_count.fetch_sub(1, Ordering::AcqRel);
        }
        tracker.set(TrackingOptions::default(), 0);
        session.mirror();
        if caching.prefixes.is_empty() {
            return;
        }
        let mut all = self
            .prefixes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for prefix in &caching.prefixes {
            if let Some(listeners) = all.get_mut(prefix) {
                listeners.retain(|other| !Arc::ptr_eq(other, tracker));
                if listeners.is_empty() {
                    all.remove(prefix);
                }
            }
        }
        self.counts.prefixes.store(all.len(), Ordering::Release);
    }

    fn listen(&self, prefix: Bytes, tracker: Arc<Tracker>) {
        let mut all = self
            .prefixes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.entry(prefix).or_default().push(tracker);
        self.counts.prefixes.store(all.len(), Ordering::Release);
    }

    /// The prefixes for which `is_concerned`, in their order, each with who listens. O(prefixes) calls.
    pub(crate) fn concerned(
        &self,
        is_concerned: impl Fn(&[u8]) -> bool,
    ) -> Vec<(Bytes, Vec<Arc<Tracker>>)> {
        let all = self.prefixes.read().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|(prefix, _)| is_concerned(prefix))
            .map(|(prefix, listeners)| (prefix.clone(), listeners.clone()))
            .collect()
    }
}
