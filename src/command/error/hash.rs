//! Texts of the hash family.

use super::CommandError;

/// HINCRBY of a field that holds something else.
pub(crate) const HASH_VALUE_NOT_INTEGER: CommandError =
    CommandError::fixed("ERR hash value is not an integer");
/// HINCRBYFLOAT of a field that holds something else.
pub(crate) const HASH_VALUE_NOT_FLOAT: CommandError =
    CommandError::fixed("ERR hash value is not a float");
/// HINCRBYFLOAT by an infinite number.
pub(crate) const INCREMENT_INFINITE: CommandError =
    CommandError::fixed("ERR value is NaN or Infinity");
/// HRANDFIELD of more than a reply can have.
pub(crate) const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR value is out of range");
