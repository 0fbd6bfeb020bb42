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
