//! What DUMP gives and RESTORE takes: type, value, version of the format, checksum.
//!
//! A value of which no format of Redis holds all is written as Redis' nearest type with effects behind it, under a type of our own: a
//! Redis refuses it, and loses nothing without a word. Hashes with fields that end are written as Redis 7.4 writes them.

#![deny(clippy::indexing_slicing)]

use crc_fast::{CrcAlgorithm, checksum};

use super::bytes::Cursor;
use super::decode::decode_from;
use super::encode::{self, Form};
use super::out::Out;
use super::{Flaw, Limits, Version, apply_effects, types};
use crate::data::hash::Hash;
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::rewrite::beyond_files;
use crate::keyspace::value::Value;

/// The version that knows fields that end.
const VERSION_WITH_ENDS: u16 = 12;
/// The highest version that is taken.
const VERSION_MAX: u16 = 12;
/// Version and checksum.
const FOOTER_BYTES: usize = 10;

/// Whether a payload is one, by its footer: not of a version that is not known, and with the checksum of its bytes, unless
/// `skips_checksum`.
pub(crate) fn has_valid_footer(payload: &[u8], skips_checksum: bool) -> bool {
    let Some((body, sum)) = payload.split_last_chunk::<8>() else {
        return false;
    };
    let Some((_, version)) = body.split_last_chunk::<2>() else {
        return false;
    };
    let sum = u64::from_le_bytes(*sum);
    u16::from_le_bytes(*version) <= VERSION_MAX
        && (skips_checksum || sum == checksum(CrcAlgorithm::Crc64Redis, body))
}

/// Whether a Redis of this version can take a payload whose footer is valid.
pub(crate) fn is_known_to(payload: &[u8], version: Version) -> bool {
    let written = payload.split_last_chunk::<8>();
    let written = written.and_then(|(body, _)| body.split_last_chunk::<2>());
    let is_known = |written: &[u8; 2]| u16::from_le_bytes(*written) <= version.number();
    written.is_some_and(|(_, written)| is_known(written))
        && payload.first() != Some(&types::WITH_EFFECTS)
}

/// A value as a payload.
pub(crate) fn dump(
    key: &[u8],
    value: &Value,
    version: Version,
    compress: bool,
    now_ms: u64,
) -> Vec<u8> {
    let form = Form {
        version,
        ends_of_fields: true,
    };
    let mut effects = Vec::new();
    if !matches!(value, Value::Hash(_)) {
        beyond_files(key, value, now_ms, &mut |effect: &EffectWriter| {
            effect.encode(&mut effects);
        });
    }
    let type_code = encode::type_of(value, form);
    let has_ends = matches!(value, Value::Hash(Hash::Timed(_) | Hash::Large(_)))
        && matches!(type_code, types::HASH_TIMED | types::HASH_TIMED_LISTPACK);
    let version = if has_ends {
        VERSION_WITH_ENDS
    } else {
        version.number()
    };
    written(value, form, &effects, compress, version)
}

/// What a Redis of this version can hold of a value, as a payload: the times at which elements end are not in it.
pub(crate) fn dump_without_ends(value: &Value, version: Version, compress: bool) -> Vec<u8> {
    let form = Form {
        version,
        ends_of_fields: false,
    };
    written(value, form, &[], compress, version.number())
}

fn written(value: &Value, form: Form, effects: &[u8], compress: bool, version: u16) -> Vec<u8> {
    let body = || {
        let mut out = Out::new(Vec::new(), compress, false);
        if !effects.is_empty() {
            out.byte(types::WITH_EFFECTS)?;
        }
        out.byte(encode::type_of(value, form))?;
        encode::write(&mut out, value, form)?;
        if !effects.is_empty() {
            out.string(effects)?;
        }
        out.into_sink()
    };
    let mut payload: Vec<u8> =
        body().unwrap_or_else(|_: std::io::Error| unreachable!("memory takes whatever is written"));
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = checksum(CrcAlgorithm::Crc64Redis, &payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// The value of a payload whose footer is valid.
///
/// # Errors
/// [`Flaw`] when it has none.
pub(crate) fn restore(payload: &[u8], limits: &Limits, now_ms: u64) -> Result<Value, Flaw> {
    let end = payload.len().saturating_sub(FOOTER_BYTES);
    let mut cursor = Cursor::new(payload.get(..end).unwrap_or_default());
    let mut type_code = cursor.byte()?;
    let with_effects = type_code == types::WITH_EFFECTS;
    if with_effects {
        type_code = cursor.byte()?;
    }
    let mut value = decode_from(&mut cursor, type_code, limits)?;
    if with_effects {
        apply_effects(&mut value, cursor.text()?.bytes(), now_ms)?;
    }
    if cursor.is_at_end() {
        Ok(value)
    } else {
        Err(Flaw::Corrupt("bytes behind the value"))
    }
}
