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
/// HEXPIRE without its fields.
pub(crate) const FIELDS_MISSING: CommandError =
    CommandError::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
/// How many fields follow is no number above 0.
pub(crate) const NUMFIELDS_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR Parameter `numFields` should be greater than 0");
/// More or fewer fields follow than was said.
pub(crate) const NUMFIELDS_MISMATCH: CommandError =
    CommandError::fixed("ERR The `numfields` parameter must match the number of arguments");
/// A time below zero.
pub(crate) const ELEMENT_TIME_NEGATIVE: CommandError =
    CommandError::fixed("ERR invalid expire time, must be >= 0");
/// More fields or members by chance than a reply can have.
pub(crate) const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR value is out of range");
/// HSETEX FNX FXX.
pub(crate) const FIELD_CONDITIONS: CommandError =
    CommandError::fixed("ERR Only one of FXX or FNX arguments can be specified");
/// HGETEX EX PERSIST.
pub(crate) const HGETEX_TIMES: CommandError =
    CommandError::fixed("ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified");
/// HSETEX EX KEEPTTL.
pub(crate) const HSETEX_TIMES: CommandError =
    CommandError::fixed("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
