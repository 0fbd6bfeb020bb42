//! Texts of DUMP and RESTORE.

use super::CommandError;

/// RESTORE of a key that is there, without REPLACE.
pub(crate) const BUSY_KEY: CommandError =
    CommandError::fixed("BUSYKEY Target key name already exists.");
/// RESTORE with a time below zero.
pub(crate) const RESTORE_TTL: CommandError =
    CommandError::fixed("ERR Invalid TTL value, must be >= 0");
/// RESTORE IDLETIME below zero.
pub(crate) const RESTORE_IDLETIME: CommandError =
    CommandError::fixed("ERR Invalid IDLETIME value, must be >= 0");
/// RESTORE FREQ that is no counter.
pub(crate) const RESTORE_FREQ: CommandError =
    CommandError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
/// RESTORE of what DUMP of a known version did not give.
pub(crate) const DUMP_PAYLOAD: CommandError =
    CommandError::fixed("ERR DUMP payload version or checksum are wrong");
/// RESTORE of a payload that has no value.
pub(crate) const BAD_DATA_FORMAT: CommandError = CommandError::fixed("ERR Bad data format");
/// MIGRATE of one key and a list.
pub(crate) const MIGRATE_KEYS: CommandError = CommandError::fixed(
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
);

/// MIGRATE did not get so far.
pub(crate) fn migrate_io(doing: &str) -> CommandError {
    CommandError::text(format!("IOERR error or timeout {doing}"))
}

/// What the other server says to MIGRATE.
pub(crate) fn migrate_refused(text: &[u8]) -> CommandError {
    let prefix = b"ERR Target instance replied with error: ".as_slice();
    CommandError::text([prefix, text].concat())
}

/// Keys that MIGRATE has sent are others now. Redis has no such error: nobody comes in between there.
pub(crate) fn migrated_key_changed(changed: usize, sent: usize) -> CommandError {
    CommandError::text(format!(
        "ERR {changed} of {sent} keys changed here while they were sent: they stay here, and the target instance has them as they were"
    ))
}
