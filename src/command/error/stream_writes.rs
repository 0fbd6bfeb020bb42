//! Texts of XDELEX and XACKDEL.

use super::CommandError;

/// How many IDs follow is no number above 0.
pub const NUMIDS_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR Number of IDs must be a positive integer");
/// More or fewer IDs follow than was said.
pub const NUMIDS_MISMATCH: CommandError =
    CommandError::fixed("ERR The `numids` parameter must match the number of arguments");
