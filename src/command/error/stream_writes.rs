//! Texts of XDELEX and XACKDEL, of XADD's idempotency, XCFGSET and XIDMPRECORD.

use super::{CommandError, joined};
use crate::limits;

/// How many IDs follow is no number above 0.
pub(crate) const NUMIDS_NOT_POSITIVE: CommandError =
    CommandError::fixed("ERR Number of IDs must be a positive integer");
/// More or fewer IDs follow than was said.
pub(crate) const NUMIDS_MISMATCH: CommandError =
    CommandError::fixed("ERR The `numids` parameter must match the number of arguments");

/// IDMP with an ID of one's own.
pub(crate) const IDMP_WITH_ID: CommandError =
    CommandError::fixed("ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs");
/// Both, or one twice.
pub(crate) const IDMP_TWICE: CommandError =
    CommandError::fixed("ERR syntax error, IDMP/IDMPAUTO specified multiple times");
/// IDMP of nobody.
pub(crate) const IDMP_WITHOUT_PRODUCER: CommandError =
    CommandError::fixed("ERR syntax error, IDMP requires a non-empty producer ID");
/// IDMP of nothing.
pub(crate) const IDMP_WITHOUT_MESSAGE: CommandError =
    CommandError::fixed("ERR syntax error, IDMP requires a non-empty idempotent ID");
/// IDMPAUTO of nobody.
pub(crate) const IDMPAUTO_WITHOUT_PRODUCER: CommandError =
    CommandError::fixed("ERR syntax error, IDMPAUTO requires a non-empty producer ID");
/// IDMP of one producer too many.
pub(crate) fn idmp_too_many_producers() -> CommandError {
    let most = limits::IDMP_PRODUCERS_MAX.to_string();
    joined(&[
        b"ERR too many IDMP producers: this stream knows messages of ",
        most.as_bytes(),
        b" already, which end after IDMP-DURATION",
    ])
}
/// XIDMPRECORD of nobody.
pub(crate) const XIDMPRECORD_WITHOUT_PRODUCER: CommandError =
    CommandError::fixed("ERR producer ID must be non-empty");
/// XIDMPRECORD of nothing.
pub(crate) const XIDMPRECORD_WITHOUT_MESSAGE: CommandError =
    CommandError::fixed("ERR idempotent ID must be non-empty");
/// XIDMPRECORD of a message that became another entry.
pub(crate) const IDMP_RECORDED_OTHERWISE: CommandError =
    CommandError::fixed("ERR IID already exists for this producer with a different stream ID");
/// XIDMPRECORD of an entry that is not there.
pub(crate) const IDMP_ENTRY_GONE: CommandError =
    CommandError::fixed("ERR No such message in stream");
/// XCFGSET of nothing.
pub(crate) const XCFGSET_WITHOUT_PARAMETER: CommandError =
    CommandError::fixed("ERR At least one parameter must be specified");
/// XCFGSET with a parameter twice.
pub(crate) const IDMP_DURATION_TWICE: CommandError =
    CommandError::fixed("ERR IDMP-DURATION specified multiple times");
/// XCFGSET with a parameter twice.
pub(crate) const IDMP_MAXSIZE_TWICE: CommandError =
    CommandError::fixed("ERR IDMP-MAXSIZE specified multiple times");
/// XCFGSET IDMP-DURATION.
pub(crate) const IDMP_DURATION_RANGE: CommandError =
    CommandError::fixed("ERR IDMP-DURATION must be between 1 and 86400 seconds");
/// XCFGSET IDMP-MAXSIZE.
pub(crate) const IDMP_MAXSIZE_RANGE: CommandError =
    CommandError::fixed("ERR IDMP-MAXSIZE must be between 1 and 10000 entries");
