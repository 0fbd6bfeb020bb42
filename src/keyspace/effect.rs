//! What a write did, as deterministic commands: what a log and replicas get.
//!
//! ```text
//! buffer   *3\r\n$5\r\nRPUSH\r\n…   *2\r\n$3\r\nDEL\r\n…
//! effects  [0..31 db 0]             [31..57 db 0]
//! ```
//! While nobody listens an effect is only counted. The executor drains the buffer after every command; the number
//! of each effect gives the order over several keyspaces in one hand.

use std::sync::Arc;

use super::order;
use crate::counters::KeyspaceCounters;
use crate::resp::reply::format_integer;

/// Effects of a keyspace that have not been handed on.
#[derive(Debug, Default)]
pub(crate) struct EffectBuffer {
    recording: bool,
    bytes: Vec<u8>,
    /// Database, end in `bytes`, number among what the thread did.
    ends: Vec<(usize, usize, u64)>,
    /// Has the number of changes.
    counters: Arc<KeyspaceCounters>,
}

/// Collects the arguments of one effect.
#[derive(Default)]
pub(crate) struct EffectWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl EffectWriter {
    /// Adds an argument.
    pub(crate) fn arg(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        let argument = argument.as_ref();
        let mut digits = [0; 20];
        self.bytes.push(b'$');
        self.bytes
            .extend_from_slice(format_integer(argument.len() as i64, &mut digits));
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(argument);
        self.bytes.extend_from_slice(b"\r\n");
        self.count += 1;
        self
    }

    /// Adds an integer as an argument.
    pub(crate) fn integer(&mut self, value: i64) -> &mut Self {
        let mut digits = [0; 20];
        let text = format_integer(value, &mut digits);
        let mut copy = [0; 20];
        let len = text.len();
        copy[..len].copy_from_slice(text);
        self.arg(&copy[..len])
    }

    /// Adds several arguments.
    pub(crate) fn args<'a>(&mut self, arguments: impl IntoIterator<Item = &'a [u8]>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// The command in RESP.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.push(b'*');
        into.extend_from_slice(format_integer(self.count as i64, &mut [0; 20]));
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(&self.bytes);
    }
}

impl EffectBuffer {
    /// An empty one that counts changes there.
    pub(crate) fn counting(counters: Arc<KeyspaceCounters>) -> Self {
        Self {
            counters,
            ..Self::default()
        }
    }

    /// Whether effects are recorded or only counted.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording
    }

    /// Starts or stops recording; what was recorded and not drained is dropped when it stops.
    pub(crate) fn set_recording(&mut self, recording: bool) {
        self.recording = recording;
        if !recording {
            self.bytes.clear();
            self.ends.clear();
        }
    }

    /// Records one effect on database `db`, which stands for so many changes; `write` runs only when somebody listens.
    pub(crate) fn record(
        &mut self,
        db: usize,
        changes: u64,
        write: impl FnOnce(&mut EffectWriter),
    ) {
        self.counters.dirty.add(changes);
        if self.recording {
            let mut writer = EffectWriter::default();
            write(&mut writer);
            writer.encode(&mut self.bytes);
            self.ends.push((db, self.bytes.len(), order::next()));
        }
    }

    /// Whether nothing waits to be drained.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Hands every effect on, in order: database and RESP command.
    #[cfg(test)]
    pub(crate) fn drain(&mut self, mut take: impl FnMut(usize, &[u8])) {
        self.drain_ordered(|_, db, command| take(db, command));
    }

    /// Hands every effect on, in order: its number among what the thread did to all keyspaces in hand, database and RESP command.
    pub(crate) fn drain_ordered(&mut self, mut take: impl FnMut(u64, usize, &[u8])) {
        let mut start = 0;
        for (db, end, order) in self.ends.drain(..) {
            take(order, db, &self.bytes[start..end]);
            start = end;
        }
        self.bytes.clear();
    }
}
