//! Texts of the set family, of SORT, and of what takes several keys by their number.

use super::CommandError;

/// What SORT is to compare is no number.
pub(crate) const SORT_NOT_DOUBLE: CommandError =
    CommandError::fixed("ERR One or more scores can't be converted into double");
/// More keys than arguments (SINTERCARD).
pub(crate) const NUMKEYS_TOO_MANY: CommandError =
    CommandError::fixed("ERR Number of keys can't be greater than number of args");
/// LIMIT of SINTERCARD.
pub(crate) const MEMBER_LIMIT_NEGATIVE: CommandError =
    CommandError::fixed("ERR LIMIT can't be negative");
/// The number of keys of LMPOP, SINTERCARD and their kin.
pub(crate) const NUMKEYS_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR numkeys should be greater than 0");
