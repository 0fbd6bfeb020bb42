//! What the commands on sketches refuse.

use super::{CommandError, joined};

/// A string that is no sketch.
pub(crate) const NOT_SKETCH: CommandError =
    CommandError::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
/// A sketch whose registers do not add up.
pub(crate) const SKETCH_CORRUPTED: CommandError =
    CommandError::fixed("INVALIDOBJ Corrupted HLL object detected");
/// PFDEBUG of a missing key.
pub(crate) const PFDEBUG_WITHOUT_KEY: CommandError =
    CommandError::fixed("ERR The specified key does not exist");
/// PFDEBUG DECODE of a dense sketch.
pub(crate) const SKETCH_NOT_SPARSE: CommandError =
    CommandError::fixed("ERR HLL encoding is not sparse");

/// PFDEBUG of something else.
pub(crate) fn unknown_pfdebug(name: &[u8]) -> CommandError {
    joined(&[b"ERR Unknown PFDEBUG subcommand '", name, b"'"])
}

/// PFSELFTEST: what went wrong.
pub(crate) fn self_test_failed(reason: &str) -> CommandError {
    joined(&[b"ERR ", reason.as_bytes()])
}
