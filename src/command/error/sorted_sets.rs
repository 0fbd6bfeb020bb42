//! Texts of the sorted set commands.

use super::{CommandError, joined};

/// ZADD NX XX.
pub(crate) const ZADD_NX_AND_XX: CommandError =
    CommandError::fixed("ERR XX and NX options at the same time are not compatible");
/// ZADD GT LT, GT NX, LT NX.
pub(crate) const ZADD_GT_LT_NX: CommandError =
    CommandError::fixed("ERR GT, LT, and/or NX options at the same time are not compatible");
/// ZADD INCR of several members.
pub(crate) const ZADD_INCR_PAIRS: CommandError =
    CommandError::fixed("ERR INCR option supports a single increment-element pair");
/// Infinities of both signs in a sum.
pub(crate) const SCORE_NOT_A_NUMBER: CommandError =
    CommandError::fixed("ERR resulting score is not a number (NaN)");
/// An end of a range of scores.
pub(crate) const SCORE_RANGE: CommandError = CommandError::fixed("ERR min or max is not a float");
/// An end of a range of members.
pub(crate) const LEX_RANGE: CommandError =
    CommandError::fixed("ERR min or max not valid string range item");
/// LIMIT of a range of ranks.
pub(crate) const LIMIT_OF_RANKS: CommandError = CommandError::fixed(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
);
/// WITHSCORES of a range of members.
pub(crate) const SCORES_OF_LEX: CommandError =
    CommandError::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
/// A weight of ZUNION.
pub(crate) const WEIGHT_NOT_FLOAT: CommandError =
    CommandError::fixed("ERR weight value is not a float");
/// How many members follow is no number above 0 (ZMOVEMEMBER).
pub(crate) const NUM_MEMBERS_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR Parameter `num-members` should be greater than 0");
/// More or fewer members follow than was said (ZMOVEMEMBER).
pub(crate) const NUM_MEMBERS_MISMATCH: CommandError =
    CommandError::fixed("ERR The `num-members` parameter must match the number of arguments");

/// ZUNION 0.
pub(crate) fn no_input_key(command: &str) -> CommandError {
    joined(&[
        b"ERR at least 1 input key is needed for '",
        command.as_bytes(),
        b"' command",
    ])
}
