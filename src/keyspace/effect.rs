//! What a write did, as deterministic commands: what a log and replicas get.
//!
//! ```text
//! bytes     *3\r\n$5\r\nRPUSH\r\n…   *2\r\n$3\r\nDEL\r\n…
//! recorded  [0..31 db 0 group 7]     [31..57 db 0 group 7]
//! ```
//! While nobody listens an effect is only counted. A command, a transaction or a round of expiry is one group: its effects stay
//! together wherever they go. The executor hands everything on before it gives the keyspace away; the number of each effect
//! gives the order over several keyspaces in one hand.

use std::sync::Arc;

use super::order;
use crate::counters::KeyspaceCounters;
use crate::resp::reply::format_integer;

/// What an effect begins with; a digit is put in the place of the 0.
const HEAD: &[u8] = b"*0\r\n";
/// Room that a buffer keeps when it is empty, bytes.
const BYTES_KEPT: usize = 256 * 1024;

/// One effect in the buffer.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    db: usize,
    /// Where it ends in the bytes.
    end: usize,
    /// Its number among what the thread did.
    order: u64,
    /// Effects of one group belong together.
    group: u64,
    /// See [`is_own`].
    is_own: bool,
}

/// One effect, as it is handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect<'b> {
    /// Effects of one group belong together: all or none of them take place.
    pub(crate) group: u64,
    /// Database.
    pub(crate) db: usize,
    /// See [`is_own`].
    pub(crate) is_own: bool,
    /// The command in RESP.
    pub(crate) command: &'b [u8],
    order: u64,
}

/// Effects of a keyspace that have not been handed on.
#[derive(Debug, Default)]
pub(crate) struct EffectBuffer {
    recording: bool,
    bytes: Vec<u8>,
    recorded: Vec<Recorded>,
    /// Has the number of changes.
    counters: Arc<KeyspaceCounters>,
}

/// Collects the arguments of one effect.
///
/// It writes behind what is in the buffer. How many arguments there will be is not known before the last one: room for one
/// digit is left, which nearly always is enough.
#[derive(Clone)]
pub(crate) struct EffectWriter {
    bytes: Vec<u8>,
    /// Where the effect begins.
    start: usize,
    count: usize,
    is_own: bool,
}

/// Whether Redis 7.2 does not know a command that effects use: its files have it in lines that Redis passes over.
pub(crate) fn is_own(name: &[u8]) -> bool {
    matches!(
        name,
        b"XNACK"
            | b"XCFGSET"
            | b"XIDMPRECORD"
            | b"HPEXPIREAT"
            | b"HPERSIST"
            | b"SPEXPIREAT"
            | b"SPERSIST"
    )
}

impl Default for EffectWriter {
    fn default() -> Self {
        Self::behind(Vec::new())
    }
}

impl EffectWriter {
    /// One that writes behind these bytes.
    fn behind(mut bytes: Vec<u8>) -> Self {
        let start = bytes.len();
        bytes.extend_from_slice(HEAD);
        Self {
            bytes,
            start,
            count: 0,
            is_own: false,
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        let argument = argument.as_ref();
        if self.count == 0 {
            self.is_own = is_own(argument);
        }
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

    /// Takes over the arguments of another; it has none of its own yet.
    pub(crate) fn copy(&mut self, other: &Self) {
        debug_assert_eq!(self.count, 0, "arguments of two commands");
        let arguments = &other.bytes[other.start + HEAD.len()..];
        self.bytes.extend_from_slice(arguments);
        (self.count, self.is_own) = (other.count, other.is_own);
    }

    /// See [`is_own`].
    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// Appends the command in RESP.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.push(b'*');
        into.extend_from_slice(format_integer(self.count as i64, &mut [0; 20]));
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(&self.bytes[self.start + HEAD.len()..]);
    }

    /// The bytes with the whole command in RESP behind those that were there.
    fn finish(mut self) -> Vec<u8> {
        let mut digits = [0; 20];
        let count = format_integer(self.count as i64, &mut digits);
        if let [digit] = count {
            self.bytes[self.start + 1] = *digit;
        } else {
            let at = self.start + 1;
            self.bytes.splice(at..at + 1, count.iter().copied());
        }
        self.bytes
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

    /// Starts or stops recording; what was recorded and not handed on is dropped when it stops.
    pub(crate) fn set_recording(&mut self, recording: bool) {
        self.recording = recording;
        if !recording {
            self.clear();
        }
    }

    /// Records one effect on database `db`, which stands for so many changes; `write` runs only when somebody listens.
    #[inline]
    pub(crate) fn record(
        &mut self,
        db: usize,
        changes: u64,
        write: impl FnOnce(&mut EffectWriter),
    ) {
        self.counters.dirty.add(changes);
        if self.recording {
            let mut writer = EffectWriter::behind(std::mem::take(&mut self.bytes));
            write(&mut writer);
            let is_own = writer.is_own;
            self.bytes = writer.finish();
            let (order, group) = (order::next(), order::group());
            self.recorded.push(Recorded {
                db,
                end: self.bytes.len(),
                order,
                group,
                is_own,
            });
        }
    }

    /// Whether nothing waits to be handed on.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Forgets the effects of the group that is being recorded.
    pub(crate) fn drop_open_group(&mut self) {
        let group = order::group();
        self.recorded.retain(|recorded| recorded.group != group);
        let end = self.recorded.last().map_or(0, |last| last.end);
        self.bytes.truncate(end);
    }

    /// How many effects wait to be handed on.
    pub(crate) fn count(&self) -> usize {
        self.recorded.len()
    }

    /// Forgets all but the first so many effects.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.recorded.truncate(count);
        let end = self.recorded.last().map_or(0, |last| last.end);
        self.bytes.truncate(end);
    }

    /// Bytes of the effects that wait to be handed on.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What waits to be handed on, in order.
    pub(crate) fn effects(&self) -> impl Iterator<Item = Effect<'_>> + Clone {
        let mut start = 0;
        self.recorded.iter().map(move |recorded| {
            let command = &self.bytes[start..recorded.end];
            start = recorded.end;
            Effect {
                group: recorded.group,
                db: recorded.db,
                is_own: recorded.is_own,
                command,
                order: recorded.order,
            }
        })
    }

    /// All of it was handed on.
    pub(crate) fn clear(&mut self) {
        self.recorded.clear();
        if self.bytes.capacity() > BYTES_KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }

    /// Hands every effect on, in order: database and RESP command.
    #[cfg(test)]
    pub(crate) fn drain(&mut self, mut take: impl FnMut(usize, &[u8])) {
        self.effects()
            .for_each(|effect| take(effect.db, effect.command));
        self.clear();
    }
}

/// What the keyspaces of one hand did, as it happened whichever of them it happened in.
pub(crate) fn in_order<'b>(buffers: impl Iterator<Item = &'b EffectBuffer>) -> Vec<Effect<'b>> {
    let mut effects: Vec<Effect<'b>> = buffers.flat_map(EffectBuffer::effects).collect();
    effects.sort_by_key(|effect| effect.order);
    effects
}

/// The work that is being done is finished: what follows belongs to another group. For all keyspaces in hand.
pub(crate) fn close_group() {
    order::close_group();
}

/// The number of the work that is being done, by which [`resume_group`] goes on with it.
pub(crate) fn open_group() -> u64 {
    order::group()
}

/// What follows belongs to work that was begun before; gives the number of what belonged together until now.
pub(crate) fn resume_group(group: u64) -> u64 {
    order::change_group(group)
}
