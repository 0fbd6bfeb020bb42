//! A sync that takes long while the log is synced once a second: nobody is told of what is written behind it.
//!
//! Without that, `everysec` would promise nothing on a slow disk. As in Redis, whoever writes goes on beside a sync for two
//! seconds, counted from the first write that meets it; from then on replies wait until the sync has ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::limits;

/// The sync that is under way, if one is.
#[derive(Debug)]
pub(super) struct SlowSync {
    is_running: AtomicBool,
    /// When a writer met it first, Unix ms; 0 when none has.
    met_ms: AtomicU64,
    /// Position up to which clients may be told of what happened.
    limit: AtomicU64,
}

impl Default for SlowSync {
    fn default() -> Self {
        Self {
            is_running: AtomicBool::new(false),
            met_ms: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
        }
    }
}

impl SlowSync {
    /// A sync begins.
    pub(super) fn begin(&self) {
        self.met_ms.store(0, Ordering::SeqCst);
        self.is_running.store(true, Ordering::SeqCst);
    }

    /// It has ended, well or not. Who waited for it is to be told.
    pub(super) fn end(&self) {
        self.is_running.store(false, Ordering::SeqCst);
        self.limit.store(u64::MAX, Ordering::SeqCst);
    }

    /// Somebody is about to write behind this position; whether replies wait from now on.
    #[inline]
    pub(super) fn meet(&self, now_ms: u64, written: u64) -> bool {
        self.is_running.load(Ordering::Relaxed) && self.meet_running(now_ms, written)
    }

    fn meet_running(&self, now_ms: u64, written: u64) -> bool {
        let met =
            self.met_ms
                .compare_exchange(0, now_ms.max(1), Ordering::SeqCst, Ordering::SeqCst);
        let since_ms = met.map_or_else(|since_ms| since_ms, |_| now_ms);
        if now_ms.saturating_sub(since_ms) < limits::LOG_SLOW_SYNC_MS {
            return false;
        }
        let set =
            self.limit
                .compare_exchange(u64::MAX, written, Ordering::SeqCst, Ordering::SeqCst);
        // Either it has not ended, and its end will take the limit away, or that is done here.
        if !self.is_running.load(Ordering::SeqCst) {
            self.limit.store(u64::MAX, Ordering::SeqCst);
        }
        set.is_ok()
    }

    /// Position up to which clients may be told of what happened.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io;
    use std::path::Path;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};

    use crate::journal::log::Log;
    use crate::journal::storage::memory::MemoryStorage;
    use crate::journal::storage::{Opening, Points, Storage, StorageFile};
    use crate::journal::target::{SyncPolicy, Target};
    use crate::keyspace::effect::EffectBuffer;
    use crate::observe::persistence::Persistence;

    /// A file whose syncs say that they have begun, and end when they are told.
    struct SlowFile {
        file: Box<dyn StorageFile>,
        begun: Sender<()>,
        may_end: Mutex<Receiver<()>>,
    }

    impl StorageFile for SlowFile {
        fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
            self.file.write_at(offset, bytes)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.begun.send(()).unwrap();
            self.may_end.lock().unwrap().recv().unwrap();
            self.file.sync_data()
        }

        fn set_len(&self, bytes: u64) -> io::Result<()> {
            self.file.set_len(bytes)
        }

        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
    }

    /// One write that a reply would wait for, at this time.
    fn write_at(log: &Log, now_ms: u64) {
        let mut effects = EffectBuffer::default();
        effects.set_recording(true);
        effects.record(0, 1, |effect| {
            effect.arg("PING");
        });
        log.append(effects.effects(), now_ms);
        log.heed_sync(now_ms);
        log.write();
        assert_eq!(log.written(), log.end());
    }

    #[test]
    fn writes_are_not_answered_beside_a_sync_that_takes_longer_than_two_seconds() {
        let facts = Arc::new(Persistence::new(0));
        let log = Log::new(1, Arc::clone(&facts));
        log.set_policy(SyncPolicy::EverySecond, false, false);
        let storage = MemoryStorage::new();
        let file = storage.open_write(Path::new("log"), Opening::New).unwrap();
        let ((begun, has_begun), (end, may_end)) = (channel(), channel());
        let file = Box::new(SlowFile {
            file,
            begun,
            may_end: Mutex::new(may_end),
        });
        end.send(()).unwrap();
        log.begin_file(Target::begin(file, Points::default(), 0, 1, 1 << 10).unwrap());
        has_begun.recv().unwrap();
        for round in 1..3 {
            let met_ms = round * 10_000;
            write_at(&log, met_ms - 1);
            std::thread::scope(|threads| {
                threads.spawn(|| log.sync());
                has_begun.recv().unwrap();
                for now_ms in [met_ms, met_ms + 1999] {
                    write_at(&log, now_ms);
                    assert_eq!(log.mark(), log.written());
                }
                let told_to = log.mark();
                for now_ms in [met_ms + 2000, met_ms + 5000] {
                    write_at(&log, now_ms);
                    assert_eq!(log.mark(), told_to);
                }
                end.send(()).unwrap();
            });
            assert_eq!(log.mark(), log.written());
            assert_eq!(facts.log_syncs_delayed.load(Ordering::Relaxed), round);
        }
    }
}
