//! The append-only log while the server runs: a buffer, one file at its end, and two marks.
//!
//! ```text
//! hand ──append──► buffer ──write──► file ──fdatasync──► disk
//!                    │                 │                  │
//!                   end  ≥          written   ≥        synced         positions: bytes since the process began
//! ```
//! * `append` copies the effects of a hand behind the buffer, before its keyspaces are back: the order of the log is one in which
//!   all of it could have happened one by one.
//! * `write` is called by whoever is about to send a reply: one write(2) for all that has been appended by then.
//! * `sync` is the work of one thread: one fdatasync for all that has been written by then. It fills ahead too (`log/syncing.rs`).
//!   On a quick disk a shard whose replies wait for it does it itself (`quick.rs`).
//!
//! What is sent to clients waits for a mark: for `written` in every mode (a kill of the process loses nothing that was
//! acknowledged), for `synced` under `appendfsync always`.
//!
//! Two locks, never taken in the other order: the file's, then the buffer's. Who appends does not wait for who writes.
//! After a cut the buffer belongs to two files: what is behind it is written when the next file is there.
//!
//! Invariants: every write ends with a commit, on a border of 16 bytes (`annotation.rs`); what could not be written stays in
//! memory and is written first the next time. Not here: one file (`target.rs`), which there are (`files.rs`).

mod syncing;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::io::Errno;

use super::buffer::Buffer;
use super::format;
use super::quick::QuickSync;
use super::slow::SlowSync;
use super::storage::Storage;
use super::target::{SyncPolicy, Target};
use crate::keyspace::effect::Effect;
use crate::limits;
use crate::observe::persistence::Persistence;

#[derive(Debug, Default)]
struct Writing {
    target: Option<Target>,
    /// What is being written; what could not be written the last time.
    bytes: Vec<u8>,
    /// Up to which position `bytes` goes.
    end: u64,
}

/// What the thread that syncs is to do.
#[derive(Debug, Default)]
struct Wanted {
    /// Something was written since it last looked, and who wrote it does not sync.
    written: bool,
    /// More is to be filled ahead before the next period ends.
    filled: bool,
    /// It is to end.
    ended: bool,
}

type Wake = Box<dyn Fn(usize) + Send + Sync>;

/// The log. See the module's head.
pub struct Log {
    policy: AtomicU8,
    end: AtomicU64,
    written: AtomicU64,
    synced: AtomicU64,
    /// While a file that failed is being replaced: clients are told of nothing behind this position.
    limit: AtomicU64,
    /// What is logged from this position on is in files that no manifest lists before a base stands.
    unlisted_from: AtomicU64,
    slow_sync: SlowSync,
    quick_sync: QuickSync,
    buffer: Mutex<Buffer>,
    writing: Mutex<Writing>,
    wanted: Mutex<Wanted>,
    something_written: Condvar,
    /// By shard: whether it has clients that wait for a mark.
    waiting: Vec<AtomicBool>,
    /// Tells a shard that a mark has moved.
    wake: OnceLock<Wake>,
    /// What its files are in.
    storage: OnceLock<Arc<dyn Storage>>,
    notes_time: AtomicBool,
    rests_while_saving: AtomicBool,
    /// What others read of it; whether it is on.
    facts: Arc<Persistence>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("end", &self.end())
            .field("written", &self.written())
            .field("synced", &self.synced())
            .field("durable", &self.durable())
            .field("mark", &self.mark())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// A log that is off.
    pub(crate) fn new(shard_count: usize, facts: Arc<Persistence>) -> Self {
        Self {
            policy: AtomicU8::new(SyncPolicy::EverySecond as u8),
            end: AtomicU64::new(0),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            unlisted_from: AtomicU64::new(u64::MAX),
            slow_sync: SlowSync::default(),
            quick_sync: QuickSync::default(),
            buffer: Mutex::default(),
            writing: Mutex::default(),
            wanted: Mutex::default(),
            something_written: Condvar::new(),
            waiting: (0..shard_count).map(|_| AtomicBool::new(false)).collect(),
            wake: OnceLock::new(),
            storage: OnceLock::new(),
            notes_time: AtomicBool::new(false),
            rests_while_saving: AtomicBool::new(false),
            facts,
        }
    }

    /// How a shard is told that a mark has moved. Once, before the shards run.
    pub fn set_wake(&self, wake: impl Fn(usize) + Send + Sync + 'static) {
        let _ = self.wake.set(Box::new(wake));
    }

    /// What its files are in, also when `dir` is another directory now. Once, before the shards run.
    pub(crate) fn set_storage(&self, storage: &Arc<dyn Storage>) {
        let _ = self.storage.set(Arc::clone(storage));
    }

    /// What its files are in.
    pub(crate) fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.storage.get()
    }

    /// Whether effects are to be appended.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.facts.log_is_on()
    }

    /// `appendfsync`, `aof-timestamp-enabled`, `no-appendfsync-on-rewrite`: while a dump or a base is written it does not sync once a
    /// second. (Under `always` it does: replies wait for it.)
    pub(crate) fn set_policy(&self, policy: SyncPolicy, notes_time: bool, rests: bool) {
        self.rests_while_saving.store(rests, Ordering::Relaxed);
        self.notes_time.store(notes_time, Ordering::Relaxed);
        self.policy.store(policy as u8, Ordering::Release);
        self.want_sync();
        // Replies may wait from now on for what was written before.
        self.something_written.notify_one();
    }

    /// `appendfsync`.
    pub(crate) fn policy(&self) -> SyncPolicy {
        match self.policy.load(Ordering::Acquire) {
            policy if policy == SyncPolicy::Always as u8 => SyncPolicy::Always,
            policy if policy == SyncPolicy::EverySecond as u8 => SyncPolicy::EverySecond,
            _ => SyncPolicy::No,
        }
    }

    /// Position behind the last byte that was appended.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Position up to which the log is written.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Position up to which the log is on disk.
    pub fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// Position up to which a start would find everything.
    pub fn durable(&self) -> u64 {
        self.synced()
            .min(self.unlisted_from.load(Ordering::Acquire))
    }

    /// Position up to which clients may be told of what happened.
    pub(crate) fn mark(&self) -> u64 {
        if !self.is_on() {
            return u64::MAX;
        }
        let mark = match self.policy() {
            SyncPolicy::Always => self.synced(),
            SyncPolicy::EverySecond => self.written().min(self.slow_sync.limit()),
            SyncPolicy::No => self.written(),
        };
        mark.min(self.limit.load(Ordering::Acquire))
    }

    /// Appends the effects of a hand, which are in order; gives the position behind them. `now_ms` is the time of the hand.
    pub(crate) fn append<'b>(&self, effects: impl Iterator<Item = Effect<'b>>, now_ms: u64) -> u64 {
        let notes_time = self.notes_time.load(Ordering::Relaxed);
        let mut buffer = lock(&self.buffer);
        if notes_time {
            buffer.note_time(now_ms / 1000);
        }
        let mut effects = effects.peekable();
        while let Some(first) = effects.next() {
            let group = first.group;
            let is_last = |next: Option<&Effect<'b>>| next.is_none_or(|next| next.group != group);
            let is_alone = is_last(effects.peek());
            if !is_alone {
                buffer.select(first.db);
                buffer.bytes.extend_from_slice(format::MULTI);
            }
            buffer.push(&first);
            while let Some(next) = effects.next_if(|next| next.group == group) {
                buffer.push(&next);
            }
            if !is_alone {
                buffer.bytes.extend_from_slice(format::EXEC);
            }
        }
        let end = buffer.begin + buffer.bytes.len() as u64;
        self.end.store(end, Ordering::Release);
        end
    }

    /// To be called before something is written: a sync that takes long lets replies wait. See [`super::slow`].
    #[inline]
    pub(crate) fn heed_sync(&self, now_ms: u64) {
        if self.slow_sync.meet(now_ms, self.written()) && self.policy() == SyncPolicy::EverySecond {
            let delayed = &self.facts.log_syncs_delayed;
            delayed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what has been appended, unless it is written already. What it could not write stays; see the counters.
    pub fn write(&self) {
        if self.write_unsynced() {
            self.want_sync();
        }
    }

    /// The same, and leaves it to the caller to sync it, or to have it synced: true when something was written.
    pub(crate) fn write_unsynced(&self) -> bool {
        if self.written() == self.end() {
            return false;
        }
        let mut writing = lock(&self.writing);
        if self.written() == self.end() || writing.target.is_none() {
            return false;
        }
        self.write_locked(&mut writing)
    }

    fn write_locked(&self, writing: &mut Writing) -> bool {
        writing.end = lock(&self.buffer).give(&mut writing.bytes);
        if writing.bytes.is_empty() {
            return false;
        }
        let Some(target) = &mut writing.target else {
            return false;
        };
        match target.write(&mut writing.bytes) {
            Ok(()) => {
                writing.bytes.clear();
                if writing.bytes.capacity() > limits::LOG_BUFFER_BYTES_KEPT {
                    writing.bytes = Vec::new();
                }
                let (offset, wants_fill) = (target.offset, target.wants_fill());
                self.facts.log_file_bytes.store(offset, Ordering::Relaxed);
                self.facts.log_write_error.store(0, Ordering::Release);
                self.written.store(writing.end, Ordering::Release);
                self.note_unsynced();
                if wants_fill {
                    self.want_fill();
                }
                self.wake_waiting();
                true
            }
            Err(error) => {
                self.facts.note_write_error(&error);
                false
            }
        }
    }

    fn note_unsynced(&self) {
        let unsynced = self.written().saturating_sub(self.synced());
        let fact = &self.facts.log_unsynced_bytes;
        fact.store(unsynced, Ordering::Relaxed);
    }

    /// What was written is left to the thread that syncs.
    pub(crate) fn want_sync(&self) {
        let mut wanted = lock(&self.wanted);
        if !wanted.written {
            wanted.written = true;
            if self.policy() == SyncPolicy::Always {
                self.something_written.notify_one();
            }
        }
    }

    fn want_fill(&self) {
        let mut wanted = lock(&self.wanted);
        if !wanted.filled {
            wanted.filled = true;
            self.something_written.notify_one();
        }
    }

    /// A shard has clients that wait for a mark: it is told when one has moved.
    pub(crate) fn wait(&self, shard: usize) {
        if !self.waiting[shard].load(Ordering::SeqCst) {
            self.waiting[shard].store(true, Ordering::SeqCst);
        }
        // Either it sees the mark that has moved, or who moves it sees that it waits.
        fence(Ordering::SeqCst);
    }

    fn wake_waiting(&self) {
        fence(Ordering::SeqCst);
        for (shard, waiting) in self.waiting.iter().enumerate() {
            // Nearly always nobody waits: looked at before it is written to.
            if waiting.load(Ordering::SeqCst)
                && waiting.swap(false, Ordering::SeqCst)
                && let Some(wake) = self.wake.get()
            {
                wake(shard);
            }
        }
    }

    /// What is appended from now on belongs to the next file, and effects are appended. All keyspaces are in hand.
    pub(crate) fn cut(&self) -> u64 {
        let mut buffer = lock(&self.buffer);
        if !self.is_on() {
            // What came too late for a log that was switched off. Nobody waits for it.
            buffer.begin += buffer.bytes.len() as u64;
            buffer.bytes.clear();
            self.written.store(buffer.begin, Ordering::Release);
            self.synced.store(buffer.begin, Ordering::Release);
            self.unlisted_from.store(buffer.begin, Ordering::Release);
            // As Redis: what was wrong with the log before is over.
            self.facts.log_write_error.store(0, Ordering::Release);
            self.facts.log_sync_error.store(0, Ordering::Release);
        }
        let end = buffer.begin + buffer.bytes.len() as u64;
        buffer.cut = Some(end);
        buffer.db = None;
        buffer.noted_s = 0;
        self.facts.log_on.store(true, Ordering::Release);
        end
    }

    /// Writes all that lies before the cut and syncs it; nothing is filled ahead any more. The file can be followed by another.
    ///
    /// # Errors
    /// Those of the file: what could not be written stays, and it can be tried again.
    pub(crate) fn finish_file(&self) -> io::Result<()> {
        let mut writing = lock(&self.writing);
        self.write_locked(&mut writing);
        if !writing.bytes.is_empty() {
            let code = self.facts.log_write_error.load(Ordering::Acquire);
            return Err(io::Error::from_raw_os_error(
                i32::try_from(code).unwrap_or_default(),
            ));
        }
        let Some(target) = &mut writing.target else {
            return Ok(());
        };
        let ending = target.finish();
        let position = writing.end;
        drop(writing);
        ending.run()?;
        self.synced.fetch_max(position, Ordering::AcqRel);
        self.wake_waiting();
        Ok(())
    }

    /// The file is given up: a sync of it has failed. What lies before the cut will be in the base that is made; until that stands
    /// clients are told of nothing more ([`Log::end_limit`]).
    pub(crate) fn abandon_file(&self) {
        let mut writing = lock(&self.writing);
        if writing.target.as_ref().is_some_and(Target::has_failed) {
            self.limit.store(self.mark(), Ordering::Release);
            // Whoever has met the failure: until the base stands writes are refused.
            let error = io::Error::from_raw_os_error(Errno::IO.raw_os_error());
            self.facts.note_sync_error(&error);
            let durable = self.durable();
            self.unlisted_from.store(durable, Ordering::Release);
        }
        writing.end = lock(&self.buffer).give(&mut writing.bytes);
        writing.bytes = Vec::new();
        writing.target = None;
        self.written.store(writing.end, Ordering::Release);
    }

    /// The base stands that has everything before this position.
    pub(crate) fn end_limit(&self, position: u64) {
        self.synced.fetch_max(position, Ordering::AcqRel);
        if !self.has_failed() {
            self.facts.log_sync_error.store(0, Ordering::Release);
            self.facts.log_write_error.store(0, Ordering::Release);
        }
        self.limit.store(u64::MAX, Ordering::Release);
        self.unlisted_from.store(u64::MAX, Ordering::Release);
        self.wake_waiting();
    }

    /// Whether it could not be written or synced the last time.
    pub fn is_in_trouble(&self) -> bool {
        self.facts.log_write_error.load(Ordering::Relaxed) != 0
            || self.facts.log_sync_error.load(Ordering::Relaxed) != 0
    }

    /// Whether a sync has failed, so that the file must be replaced.
    pub(crate) fn has_failed(&self) -> bool {
        let writing = lock(&self.writing);
        writing.target.as_ref().is_some_and(Target::has_failed)
    }

    /// The next file could not be made: until it can be, what lies behind the cut cannot be written.
    pub(crate) fn note_no_file(&self, error: &io::Error) {
        self.facts.note_write_error(error);
        self.wake_waiting();
    }

    /// The next file is there: what lies behind the cut goes into it.
    pub(crate) fn begin_file(&self, target: Target) {
        let mut writing = lock(&self.writing);
        let offset = target.offset;
        writing.target = Some(target);
        lock(&self.buffer).cut = None;
        self.facts.log_file_bytes.store(offset, Ordering::Relaxed);
        self.facts.log_on.store(true, Ordering::Release);
        self.facts.log_write_error.store(0, Ordering::Release);
        if self.limit.load(Ordering::Acquire) == u64::MAX {
            // The file before this one is on disk, whatever a second sync of it has said.
            self.facts.log_sync_error.store(0, Ordering::Release);
        }
        let is_written = self.write_locked(&mut writing);
        drop(writing);
        if is_written {
            self.want_sync();
        }
        self.wake_waiting();
    }

    /// Whether the next file is awaited: what lies behind the cut cannot be written.
    pub(crate) fn is_cut(&self) -> bool {
        lock(&self.buffer).cut.is_some()
    }

    /// The log ends; all that was appended is written and synced if that is possible. Shards may be at work.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn end_log(&self) -> io::Result<()> {
        {
            // What they append from here on would be written over the end of the file.
            let mut buffer = lock(&self.buffer);
            let end = buffer.begin + buffer.bytes.len() as u64;
            buffer.cut.get_or_insert(end);
        }
        let result = self.finish_file();
        self.facts.log_on.store(false, Ordering::Release);
        let mut writing = lock(&self.writing);
        writing.target = None;
        writing.bytes = Vec::new();
        let mut buffer = lock(&self.buffer);
        buffer.begin += buffer.bytes.len() as u64;
        buffer.bytes = Vec::new();
        buffer.cut = None;
        let end = buffer.begin;
        self.written.store(end, Ordering::Release);
        self.synced.store(end, Ordering::Release);
        self.limit.store(u64::MAX, Ordering::Release);
        self.unlisted_from.store(u64::MAX, Ordering::Release);
        // Nothing is wrong with a log that is off.
        self.facts.log_write_error.store(0, Ordering::Release);
        self.facts.log_sync_error.store(0, Ordering::Release);
        drop((buffer, writing));
        self.wake_waiting();
        result
    }
}
