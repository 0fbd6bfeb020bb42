//! The keys of a database that are streams, in order: so that the metrics list some of them without a walk over all keys, and
//! so that those which know messages of producers are looked after when nobody adds to them any more.
//!
//! All streams are listed only where somebody asks for it (`metrics-port`); otherwise they are only counted as they come and go. Those that record are listed from their first record until a look finds no record left: a
//! stream that went or moved leaves its name behind until then.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::value::Value;
use super::{Database, Keyspace};
use crate::limits;

/// Keys that are streams.
#[derive(Debug, Default)]
pub(super) struct StreamNames {
    /// How many there are.
    count: usize,
    all: Option<BTreeSet<Box<[u8]>>>,
    recording: BTreeSet<Box<[u8]>>,
    /// Which of those that record was looked at last.
    looked_at: Box<[u8]>,
}

impl StreamNames {
    /// None so far; `kept`: whether all are listed.
    pub(super) fn new(kept: bool) -> Self {
        Self {
            all: kept.then(BTreeSet::new),
            ..Self::default()
        }
    }

    /// A key has got this value.
    pub(super) fn came(&mut self, key: &[u8], value: &Value) {
        let Value::Stream(stream) = value else { return };
        self.count += 1;
        if let Some(names) = &mut self.all {
            names.insert(key.into());
        }
        if stream.idempotency().is_recording() {
            self.records(key);
        }
    }

    /// A key has lost this value.
    pub(super) fn left(&mut self, key: &[u8], value: &Value) {
        if !matches!(value, Value::Stream(_)) {
            return;
        }
        debug_assert!(self.count > 0, "a stream that never came");
        self.count -= 1;
        if let Some(names) = &mut self.all {
            names.remove(key);
        }
    }

    /// A stream has recorded a message.
    pub(super) fn records(&mut self, key: &[u8]) {
        if !self.recording.contains(key) {
            self.recording.insert(key.into());
        }
    }

    /// Of the streams that record, the one to be looked at next: after the last comes the first again.
    pub(super) fn next_recording(&mut self) -> Option<Box<[u8]>> {
        let behind = (Bound::Excluded(&*self.looked_at), Bound::Unbounded);
        let mut next = self.recording.range::<[u8], _>(behind);
        let next = next.next().or_else(|| self.recording.first())?.clone();
        self.looked_at.clone_from(&next);
        Some(next)
    }

    /// How many streams may record.
    pub(super) fn recording_count(&self) -> usize {
        self.recording.len()
    }

    /// A stream knows no message any more, or is gone.
    pub(super) fn records_no_more(&mut self, key: &[u8]) {
        self.recording.remove(key);
    }

    /// Those that begin with `prefix`, in order. O(log n) to start.
    pub(super) fn starting_with<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let names = self.all.iter();
        names
            .flat_map(move |names| names.range::<[u8], _>(from))
            .map(|key| &**key)
            .take_while(move |key| key.starts_with(prefix))
    }
}

impl Keyspace {
    /// How many keys are streams.
    pub(crate) fn stream_count(&self) -> usize {
        let databases = self.databases.iter();
        databases.map(|database| database.streams.count).sum()
    }

    /// Forgets the producers of streams whose messages have all ended, within limits of one round. Nobody can tell but by the
    /// memory: what has ended is not known to commands either.
    pub(crate) fn end_producers(&mut self, now_ms: u64) {
        let mut budget = limits::IDMP_PRODUCERS_ENDED_PER_ROUND_MAX;
        for (db, Database { table, streams, .. }) in self.databases.iter_mut().enumerate() {
            let count = streams.recording_count();
            for _ in 0..count.min(limits::IDMP_STREAMS_PER_ROUND_MAX) {
                let Some(key) = streams.next_recording() else {
                    break;
                };
                let at = table.find(table.hash(&key), &key);
                if let Some(at) = at {
                    self.snapshots.before_change(db, table, at);
                }
                let value = at.and_then(|at| table.get_mut(at));
                let mut goes_on = false;
                if let Some(Value::Stream(stream)) = value.map(|entry| &mut entry.value) {
                    let tables = stream.idempotency_mut();
                    budget -= tables.end_producers(now_ms, budget);
                    goes_on = tables.is_recording();
                }
                if !goes_on {
                    streams.records_no_more(&key);
                }
            }
        }
    }
}
