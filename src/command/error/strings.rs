//! Texts of the commands on strings and keys.

use super::{CommandError, joined};

/// Not what DIGEST replies.
pub(crate) const NO_DIGEST: CommandError =
    CommandError::fixed("ERR must be exactly 16 hexadecimal characters");
/// MSETEX 0.
pub(crate) const NUMKEYS_INVALID: CommandError = CommandError::fixed("ERR invalid numkeys value");
/// MSETEX with fewer pairs than it says.
pub(crate) const PAIRS_TOO_FEW: CommandError =
    CommandError::fixed("ERR wrong number of key-value pairs");
/// A sum beyond 64 bits.
pub(crate) const INCREMENT_OVERFLOW: CommandError =
    CommandError::fixed("ERR increment or decrement would overflow");
/// DECRBY by the lowest integer.
pub(crate) const DECREMENT_OVERFLOW: CommandError =
    CommandError::fixed("ERR decrement would overflow");
/// INCRBYFLOAT out of the range of numbers.
pub(crate) const INCREMENT_NOT_FINITE: CommandError =
    CommandError::fixed("ERR increment would produce NaN or Infinity");
/// SETRANGE before the beginning.
pub(crate) const OFFSET_OUT_OF_RANGE: CommandError =
    CommandError::fixed("ERR offset is out of range");
/// APPEND, SETRANGE beyond `proto-max-bulk-len`.
pub(crate) const STRING_TOO_LONG: CommandError =
    CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// LCS of something else.
pub(crate) const LCS_NOT_STRINGS: CommandError =
    CommandError::fixed("ERR The specified keys must contain string values");
/// LCS LEN IDX.
pub(crate) const LCS_LEN_AND_IDX: CommandError =
    CommandError::fixed("ERR If you want both the length and indexes, please just use IDX.");
/// LCS with a table beyond `proto-max-bulk-len`.
pub(crate) const LCS_TOO_LARGE: CommandError = CommandError::fixed(
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
);
/// A number that is no database could have, as Redis says it.
pub(crate) const NOT_INT32: CommandError =
    CommandError::fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
/// COPY, MOVE onto itself.
pub(crate) const SAME_OBJECT: CommandError =
    CommandError::fixed("ERR source and destination objects are the same");
/// SWAPDB.
pub(crate) const FIRST_DB_INDEX: CommandError = CommandError::fixed("ERR invalid first DB index");
/// SWAPDB.
pub(crate) const SECOND_DB_INDEX: CommandError = CommandError::fixed("ERR invalid second DB index");
/// SCAN with a cursor that is no number.
pub(crate) const INVALID_CURSOR: CommandError = CommandError::fixed("ERR invalid cursor");
/// EXPIRE … NX XX.
pub(crate) const EXPIRE_NX_WITH_OTHERS: CommandError =
    CommandError::fixed("ERR NX and XX, GT or LT options at the same time are not compatible");
/// EXPIRE … GT LT.
pub(crate) const EXPIRE_GT_AND_LT: CommandError =
    CommandError::fixed("ERR GT and LT options at the same time are not compatible");
/// OBJECT FREQ without an LFU policy.
pub(crate) const LFU_NOT_SELECTED: CommandError = CommandError::fixed(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
     policies at runtime LRU and LFU data will take some time to adjust.",
);
/// OBJECT IDLETIME with an LFU policy.
pub(crate) const LFU_SELECTED: CommandError = CommandError::fixed(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at \
     runtime LRU and LFU data will take some time to adjust.",
);

/// An expiry of zero, below zero or too far away.
pub(crate) fn invalid_expire_time(name: &str) -> CommandError {
    joined(&[
        b"ERR invalid expire time in '",
        name.as_bytes(),
        b"' command",
    ])
}

/// An option that EXPIRE does not have.
pub(crate) fn unsupported_option(option: &[u8]) -> CommandError {
    joined(&[b"ERR Unsupported option ", option])
}
