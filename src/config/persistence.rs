//! What the settings say about files.

use std::path::PathBuf;
use std::time::Duration;

use super::value::SavePoint;

/// When the log is synced (`appendfsync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendFsync {
    /// Before anybody hears of what was written.
    Always,
    /// Once a second.
    EverySecond,
    /// When the system does.
    No,
}

/// How the process is to end. Source: SHUTDOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndOptions {
    /// Whether a dump is written; `None`: when there are save points.
    pub(crate) save: Option<bool>,
    /// Not even the log is looked after.
    pub(crate) now: bool,
    /// It ends also when something could not be saved.
    pub(crate) force: bool,
}

/// The settings of dumps and of the log. Meaning: the parameters of these names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PersistenceSettings {
    /// `appendonly`.
    pub(crate) append_only: bool,
    /// `appendfsync`.
    pub(crate) append_fsync: AppendFsync,
    /// `appendfilename`.
    pub(crate) append_filename: PathBuf,
    /// `appenddirname`, in the working directory.
    pub(crate) append_dirname: PathBuf,
    /// `aof-load-truncated`.
    pub(crate) load_truncated: bool,
    /// `aof-use-rdb-preamble`.
    pub(crate) rdb_base: bool,
    /// `aof-timestamp-enabled`.
    pub(crate) notes_time: bool,
    /// `no-appendfsync-on-rewrite`.
    pub(crate) no_fsync_on_rewrite: bool,
    /// `aof-disable-auto-gc`.
    pub(crate) keeps_history: bool,
    /// `auto-aof-rewrite-percentage`; 0: never.
    pub(crate) rewrite_percentage: u64,
    /// `auto-aof-rewrite-min-size`, bytes.
    pub(crate) rewrite_bytes_min: u64,
    /// `dbfilename`, in the working directory.
    pub(crate) dump_filename: PathBuf,
    /// `save`.
    pub(crate) save_points: Vec<SavePoint>,
    /// `rdbcompression`.
    pub(crate) compression: bool,
    /// `rdb-version-compat 7.0`: files and payloads of DUMP are such as Redis 7.0 reads.
    pub(crate) for_redis_7_0: bool,
    /// `rdbchecksum`.
    pub(crate) checksum: bool,
    /// `rdb-key-save-delay`.
    pub(crate) key_save_delay: Duration,
    /// `key-load-delay`.
    pub(crate) key_load_delay: Duration,
    /// `stop-writes-on-bgsave-error`.
    pub(crate) stop_writes_on_error: bool,
}

impl PersistenceSettings {
    /// What survives the end of the process, in a word: `always` what was acknowledged, also when the machine fails; `everysec`, `no`
    /// what was acknowledged when the process fails, and what was synced when the machine does; `snapshots` the last dump.
    /// `log_stands`: a start would read the log. One that was just switched on protects nothing before its base is there.
    pub(crate) fn durability(&self, log_stands: bool) -> &'static str {
        match (self.append_only && log_stands, self.append_fsync) {
            (true, AppendFsync::Always) => "always",
            (true, AppendFsync::EverySecond) => "everysec",
            (true, AppendFsync::No) => "no",
            (false, _) if self.save_points.is_empty() => "none",
            (false, _) => "snapshots",
        }
    }
}
