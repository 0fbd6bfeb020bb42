//! What the commands on bits refuse.

use super::{CommandError, joined};

/// An offset that is no number, below zero, or beyond `proto-max-bulk-len`.
pub(crate) const BIT_OFFSET: CommandError =
    CommandError::fixed("ERR bit offset is not an integer or out of range");
/// SETBIT to something else than 0 and 1.
pub(crate) const BIT_VALUE: CommandError =
    CommandError::fixed("ERR bit is not an integer or out of range");
/// BITPOS of something else than 0 and 1.
pub(crate) const BIT_TO_FIND: CommandError =
    CommandError::fixed("ERR The bit argument must be 1 or 0.");
/// BITOP NOT of several keys.
pub(crate) const BITOP_NOT_KEYS: CommandError =
    CommandError::fixed("ERR BITOP NOT must be called with a single source key.");
/// BITOP DIFF and its kin of one key.
pub(crate) fn bitop_few_keys(operation: &[u8]) -> CommandError {
    joined(&[
        b"ERR BITOP ",
        &operation.to_ascii_uppercase(),
        b" must be called with at least two source keys.",
    ])
}
/// BITFIELD with a type that does not exist.
pub(crate) const BITFIELD_TYPE: CommandError = CommandError::fixed(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);
/// BITFIELD OVERFLOW with another word.
pub(crate) const BITFIELD_OVERFLOW: CommandError =
    CommandError::fixed("ERR Invalid OVERFLOW type specified");
/// BITFIELD_RO with something else than GET.
pub(crate) const BITFIELD_READ_ONLY: CommandError =
    CommandError::fixed("ERR BITFIELD_RO only supports the GET subcommand");
