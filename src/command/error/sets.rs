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
/// SEXPIRE without its members.
pub(crate) const MEMBERS_MISSING: CommandError =
    CommandError::fixed("ERR Mandatory argument MEMBERS is missing or not at the right position");
/// How many members follow is no number above 0.
pub(crate) const NUMMEMBERS_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR Parameter `numMembers` should be greater than 0");
/// More or fewer members follow than was said.
pub(crate) const NUMMEMBERS_MISMATCH: CommandError =
    CommandError::fixed("ERR The `nummembers` parameter must match the number of arguments");
/// SADDEX MNX MXX.
pub(crate) const MEMBER_CONDITIONS: CommandError =
    CommandError::fixed("ERR Only one of MXX or MNX arguments can be specified");
