//! Texts of the commands on places.

use super::{CommandError, joined};

/// A unit that there is not.
pub(crate) const GEO_UNIT: CommandError =
    CommandError::fixed("ERR unsupported unit provided. please use M, KM, FT, MI");
/// A radius that is no number.
pub(crate) const GEO_RADIUS: CommandError = CommandError::fixed("ERR need numeric radius");
/// A radius below zero.
pub(crate) const GEO_RADIUS_NEGATIVE: CommandError =
    CommandError::fixed("ERR radius cannot be negative");
/// The width of a box that is no number.
pub(crate) const GEO_WIDTH: CommandError = CommandError::fixed("ERR need numeric width");
/// The height of a box that is no number.
pub(crate) const GEO_HEIGHT: CommandError = CommandError::fixed("ERR need numeric height");
/// A box with a side below zero.
pub(crate) const GEO_BOX_NEGATIVE: CommandError =
    CommandError::fixed("ERR height or width cannot be negative");
/// A member that is not there.
pub(crate) const GEO_NO_MEMBER: CommandError =
    CommandError::fixed("ERR could not decode requested zset member");
/// COUNT 0
pub(crate) const GEO_COUNT: CommandError = CommandError::fixed("ERR COUNT must be > 0");
/// ANY alone.
pub(crate) const GEO_ANY: CommandError =
    CommandError::fixed("ERR the ANY argument requires COUNT argument");

/// Coordinates outside the ranges.
pub(crate) fn no_place(longitude: f64, latitude: f64) -> CommandError {
    CommandError::text(format!(
        "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
    ))
}

/// STORE with what only a reply tells.
pub(crate) fn geo_store(what: &str) -> CommandError {
    joined(&[
        b"ERR ",
        what.as_bytes(),
        b" is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
    ])
}

/// Neither or both of two options.
pub(crate) fn geo_one_of(options: &str, command: &[u8]) -> CommandError {
    joined(&[
        b"ERR exactly one of ",
        options.as_bytes(),
        b" can be specified for ",
        command,
    ])
}
