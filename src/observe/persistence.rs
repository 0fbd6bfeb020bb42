//! What is known of files: the log, saves, the load at the start. Written by those who do it, read by INFO, LASTSAVE, the metrics,
//! and by who must refuse a write because nothing could be saved.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is being written beside the work of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saving {
    /// Nothing.
    Nothing,
    /// A dump (SAVE, BGSAVE).
    Dump,
    /// A base of the log (BGREWRITEAOF).
    Base,
}

/// Facts of the files. Times are Unix ms, 0 for never; errors are numbers of the system, 0 for none.
#[derive(Debug)]
pub(crate) struct Persistence {
    /// Effects go to the log.
    pub(crate) log_on: AtomicBool,
    /// A start would read the log: its base stands. False while the first base of a log that was switched on is being written.
    pub(crate) log_stands: AtomicBool,
    /// When the last SIGINT came, Unix ms; 0: none has.
    pub(crate) interrupted_ms: AtomicU64,
    /// Why the log could not be written the last time.
    pub(crate) log_write_error: AtomicU64,
    /// Why the log could not be synced the last time.
    pub(crate) log_sync_error: AtomicU64,
    /// Syncs of the log.
    pub(crate) log_syncs: AtomicU64,
    /// A sync is under way.
    pub(crate) log_syncing: AtomicBool,
    /// Bytes that were appended and not written.
    pub(crate) log_unwritten_bytes: AtomicU64,
    /// Bytes that may not be on disk yet.
    pub(crate) log_unsynced_bytes: AtomicU64,
    /// Writes that had to wait for a sync that took long.
    pub(crate) log_syncs_delayed: AtomicU64,
    /// Bytes of the file at the end of the log.
    pub(crate) log_file_bytes: AtomicU64,
    /// Bytes of the files of the log before that one.
    pub(crate) log_earlier_bytes: AtomicU64,
    /// Bytes of the log when its base was written or loaded.
    pub(crate) log_base_bytes: AtomicU64,
    saving: AtomicU8,
    /// When what is being written began.
    pub(crate) saving_since_ms: AtomicU64,
    /// Keys it has written.
    pub(crate) saving_keys: AtomicU64,
    /// Keys it will have written.
    pub(crate) saving_keys_total: AtomicU64,
    /// Most that shares taken for it before a change kept from being freed, on one shard, bytes.
    pub(crate) saving_retained_bytes: AtomicU64,
    /// A rewrite of the log follows what is being written.
    pub(crate) rewrite_scheduled: AtomicBool,
    /// A dump follows what is being written.
    pub(crate) dump_scheduled: AtomicBool,
    /// The last dump that was written.
    pub(crate) dumped_ms: AtomicU64,
    /// Changes that it has.
    pub(crate) dumped_changes: AtomicU64,
    /// Whether the last attempt to write one failed.
    pub(crate) dump_failed: AtomicBool,
    /// When that was.
    pub(crate) dump_tried_ms: AtomicU64,
    /// How long the last one took, s; -1 before the first.
    pub(crate) dump_took_s: AtomicI64,
    /// Dumps written.
    pub(crate) dumps: AtomicU64,
    /// Whether the last rewrite of the log failed.
    pub(crate) rewrite_failed: AtomicBool,
    /// How long the last one took, s; -1 before the first.
    pub(crate) rewrite_took_s: AtomicI64,
    /// Rewrites of the log.
    pub(crate) rewrites: AtomicU64,
    /// Those that failed since the last that did not.
    pub(crate) rewrites_failed_in_a_row: AtomicU64,
    /// Longest time of its core that a shard took at once for a snapshot, ns.
    pub(crate) longest_step_ns: AtomicU64,
    /// The process is asked to end, and has not refused.
    pub(crate) is_end_asked: AtomicBool,
    /// The data are being loaded.
    pub(crate) loading: AtomicBool,
    /// Since when.
    pub(crate) loading_since_ms: AtomicU64,
    /// Bytes of the files to load.
    pub(crate) loading_total_bytes: AtomicU64,
    /// Bytes loaded.
    pub(crate) loading_bytes: AtomicU64,
    /// The texts of the libraries of functions, as they are written to files.
    pub(crate) libraries: Mutex<Vec<Vec<u8>>>,
    /// Keys loaded from a dump, and those left out because their time had come.
    pub(crate) loaded_keys: AtomicU64,
    /// See above.
    pub(crate) loaded_expired_keys: AtomicU64,
    /// Those passed over because their values have no elements.
    pub(crate) loaded_empty_keys: AtomicU64,
    /// Wrong checksums of dumps and payloads are passed over (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub(crate) skips_checksums: AtomicBool,
}

impl Persistence {
    /// Nothing written, nothing loaded. A server that starts has, as Redis sees it, just saved.
    pub(crate) fn new(now_ms: u64) -> Self {
        let zero = || AtomicU64::new(0);
        let no = || AtomicBool::new(false);
        Self {
            log_on: no(),
            log_stands: no(),
            interrupted_ms: zero(),
            log_write_error: zero(),
            log_sync_error: zero(),
            log_syncs: zero(),
            log_syncing: no(),
            log_unwritten_bytes: zero(),
            log_unsynced_bytes: zero(),
            log_syncs_delayed: zero(),
            log_file_bytes: zero(),
            log_earlier_bytes: zero(),
            log_base_bytes: zero(),
            saving: AtomicU8::new(0),
            saving_since_ms: zero(),
            saving_keys: zero(),
            saving_keys_total: zero(),
            saving_retained_bytes: zero(),
            rewrite_scheduled: no(),
            dump_scheduled: no(),
            dumped_ms: AtomicU64::new(now_ms),
            dumped_changes: zero(),
            dump_failed: no(),
            dump_tried_ms: zero(),
            dump_took_s: AtomicI64::new(-1),
            dumps: zero(),
            rewrite_failed: no(),
            rewrite_took_s: AtomicI64::new(-1),
            rewrites: zero(),
            rewrites_failed_in_a_row: zero(),
            longest_step_ns: zero(),
            is_end_asked: no(),
            loading: no(),
            loading_since_ms: zero(),
            loading_total_bytes: zero(),
            loading_bytes: zero(),
            libraries: Mutex::default(),
            loaded_keys: zero(),
            loaded_expired_keys: zero(),
            loaded_empty_keys: zero(),
            skips_checksums: no(),
        }
    }

    /// The log could not be written.
    pub(crate) fn note_write_error(&self, error: &io::Error) {
        self.log_write_error
            .store(code_of(error), Ordering::Release);
    }

    /// The log could not be synced.
    pub(crate) fn note_sync_error(&self, error: &io::Error) {
        self.log_sync_error.store(code_of(error), Ordering::Release);
    }

    /// Whether effects go to the log.
    #[inline]
    pub(crate) fn log_is_on(&self) -> bool {
        self.log_on.load(Ordering::Acquire)
    }

    /// Whether a start would read the log.
    pub(crate) fn log_stands(&self) -> bool {
        self.log_stands.load(Ordering::Acquire)
    }

    /// Whether the data are being loaded.
    #[inline]
    pub(crate) fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    /// What is being written.
    pub(crate) fn saving(&self) -> Saving {
        match self.saving.load(Ordering::Acquire) {
            1 => Saving::Dump,
            2 => Saving::Base,
            _ => Saving::Nothing,
        }
    }

    /// Something is being written from now on; false when something is already.
    pub(crate) fn begin(&self, saving: Saving, now_ms: u64) -> bool {
        let number = match saving {
            Saving::Nothing => 0,
            Saving::Dump => 1,
            Saving::Base => 2,
        };
        let begun = self
            .saving
            .compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
        if begun.is_ok() {
            self.saving_since_ms.store(now_ms, Ordering::Relaxed);
        }
        begun.is_ok()
    }

    /// Nothing is being written any more.
    pub(crate) fn end(&self, now_ms: u64) {
        self.saving_since_ms.store(now_ms, Ordering::Relaxed);
        self.saving.store(0, Ordering::Release);
    }

    /// The libraries of functions.
    pub(crate) fn libraries(&self) -> Vec<Vec<u8>> {
        let libraries = self.libraries.lock();
        libraries.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The libraries are these from now on.
    pub(crate) fn set_libraries(&self, libraries: Vec<Vec<u8>>) {
        *self
            .libraries
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = libraries;
    }

    /// Bytes of the whole log.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_file_bytes.load(Ordering::Relaxed) + self.log_earlier_bytes.load(Ordering::Relaxed)
    }
}

/// The system's number of an error.
fn code_of(error: &io::Error) -> u64 {
    u64::try_from(error.raw_os_error().unwrap_or(i32::MAX)).unwrap_or(u64::MAX)
}
