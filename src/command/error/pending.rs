//! Texts of what groups can do with pending entries since Redis 8: XREADGROUP CLAIM, XNACK; of MAXCOUNT and MAXSIZE.

use super::{CommandError, joined};

/// CLAIM of XREADGROUP.
pub(crate) const CLAIM_NOT_INTEGER: CommandError =
    CommandError::fixed("ERR min-idle-time is not an integer or out of range");
/// CLAIM of XREADGROUP.
pub(crate) const CLAIM_NEGATIVE: CommandError =
    CommandError::fixed("ERR min-idle-time must be a positive integer");
/// CLAIM in XREAD.
pub(crate) const CLAIM_IN_XREAD: CommandError = CommandError::fixed(
    "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.",
);
/// MAXCOUNT of XREAD and XREADGROUP.
pub(crate) const MAXCOUNT_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR MAXCOUNT must be > 0");
/// MAXCOUNT of XREAD and XREADGROUP.
pub(crate) const MAXCOUNT_BELOW_COUNT: CommandError =
    CommandError::fixed("ERR MAXCOUNT must be greater than or equal to COUNT");
/// MAXSIZE of XREAD and XREADGROUP.
pub(crate) const MAXSIZE_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR MAXSIZE must be > 0");
/// How XNACK counts.
pub(crate) const NACK_MODE: CommandError =
    CommandError::fixed("ERR mode must be SILENT, FAIL, or FATAL");
/// XNACK without IDs.
pub(crate) const NACK_WITHOUT_IDS: CommandError =
    CommandError::fixed("ERR syntax error, expected IDS keyword");
/// The number of IDs of XNACK.
pub(crate) const NACK_ID_COUNT: CommandError =
    CommandError::fixed("ERR numids must be a positive integer");
/// Fewer IDs than XNACK was told of.
pub(crate) const NACK_TOO_FEW_IDS: CommandError =
    CommandError::fixed("ERR number of IDs doesn't match numids");
/// RETRYCOUNT of XNACK.
pub(crate) const NACK_RETRYCOUNT: CommandError =
    CommandError::fixed("ERR Invalid RETRYCOUNT value, must be >= 0");

/// An option XNACK does not know.
pub(crate) fn unrecognized_xnack_option(option: &[u8]) -> CommandError {
    joined(&[b"ERR Unrecognized XNACK option '", option, b"'"])
}
