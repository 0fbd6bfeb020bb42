//! Texts of CLIENT TRACKING and CLIENT CACHING.

use super::{CommandError, joined};

/// CLIENT CACHING.
pub(crate) const CACHING_WITHOUT_TRACKING: CommandError = CommandError::fixed(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);
/// CLIENT CACHING YES.
pub(crate) const CACHING_YES: CommandError = CommandError::fixed(
    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
);
/// CLIENT CACHING NO.
pub(crate) const CACHING_NO: CommandError = CommandError::fixed(
    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
);
/// CLIENT TRACKING with two clients to redirect to.
pub(crate) const TRACKING_ONE_REDIRECT: CommandError =
    CommandError::fixed("ERR A client can only redirect to a single other client");
/// CLIENT TRACKING REDIRECT to nobody.
pub(crate) const TRACKING_REDIRECT_GONE: CommandError =
    CommandError::fixed("ERR The client ID you want redirect to does not exist");
/// CLIENT TRACKING PREFIX without BCAST.
pub(crate) const TRACKING_PREFIX: CommandError =
    CommandError::fixed("ERR PREFIX option requires BCAST mode to be enabled");
/// CLIENT TRACKING with BCAST after one without, or the other way.
pub(crate) const TRACKING_BROADCAST_SWITCH: CommandError = CommandError::fixed(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a \
     different mode.",
);
/// CLIENT TRACKING BCAST with OPTIN or OPTOUT.
pub(crate) const TRACKING_BROADCAST: CommandError =
    CommandError::fixed("ERR OPTIN and OPTOUT are not compatible with BCAST");
/// CLIENT TRACKING with both.
pub(crate) const TRACKING_OPT_BOTH: CommandError =
    CommandError::fixed("ERR You can't specify both OPTIN mode and OPTOUT mode");
/// CLIENT TRACKING OPTIN after OPTOUT, or the other way.
pub(crate) const TRACKING_OPT_SWITCH: CommandError = CommandError::fixed(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a \
     different mode.",
);

const MUST_NOT_OVERLAP: &[u8] = b"'. Prefixes for a single client must not overlap.";

/// CLIENT TRACKING PREFIX with one that the client has.
pub(crate) fn prefix_exists(prefix: &[u8], existing: &[u8]) -> CommandError {
    joined(&[
        b"ERR Prefix '",
        prefix,
        b"' overlaps with an existing prefix '",
        existing,
        MUST_NOT_OVERLAP,
    ])
}

/// CLIENT TRACKING PREFIX with two that overlap.
pub(crate) fn prefix_given_twice(prefix: &[u8], other: &[u8]) -> CommandError {
    joined(&[
        b"ERR Prefix '",
        prefix,
        b"' overlaps with another provided prefix '",
        other,
        MUST_NOT_OVERLAP,
    ])
}
