//! What FUNCTION DUMP gives and FUNCTION RESTORE takes: each library as in a file, the version of the format, a checksum.

#![deny(clippy::indexing_slicing)]

use crc_fast::{CrcAlgorithm, checksum};

use super::Version;
use super::bytes::Cursor;
use super::opcodes;
use super::out::Out;
use super::payload::has_valid_footer;

const FOOTER_BYTES: usize = 10;

/// Why a dump is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Its version is not known, or its checksum is wrong.
    Footer,
    /// There is something else in it.
    Type,
    /// It is cut.
    Contents,
}

/// All libraries as one text, which a Redis of this version can read.
pub(crate) fn dump<'l>(libraries: impl Iterator<Item = &'l [u8]>, version: Version) -> Vec<u8> {
    let mut out = Out::new(Vec::new(), true, false);
    let write = || {
        for library in libraries {
            out.byte(opcodes::FUNCTION2)?;
            out.string(library)?;
        }
        std::io::Result::Ok(())
    };
    let written = write().and_then(|()| out.into_sink());
    let mut payload: Vec<u8> = written.unwrap_or_default();
    payload.extend_from_slice(&version.number().to_le_bytes());
    let sum = checksum(CrcAlgorithm::Crc64Redis, &payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// The libraries of a dump.
///
/// # Errors
/// [`Damage`].
pub(crate) fn restore(payload: &[u8]) -> Result<Vec<Vec<u8>>, Damage> {
    if payload.len() < FOOTER_BYTES || !has_valid_footer(payload, false) {
        return Err(Damage::Footer);
    }
    let end = payload.len() - FOOTER_BYTES;
    let mut cursor = Cursor::new(payload.get(..end).unwrap_or_default());
    let mut libraries = Vec::new();
    while !cursor.is_at_end() {
        if cursor.byte().map_err(|_| Damage::Contents)? != opcodes::FUNCTION2 {
            return Err(Damage::Type);
        }
        let mut text = cursor.text().map_err(|_| Damage::Contents)?;
        libraries.push(text.bytes().to_vec());
    }
    Ok(libraries)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn libraries_survive_a_dump() {
        let long = [b"#!lua name=b\n".as_slice(), &[b'x'; 500]].concat();
        for libraries in [vec![], vec![b"#!lua name=a\n".to_vec(), long]] {
            let payload = dump(libraries.iter().map(Vec::as_slice), Version::default());
            assert_eq!(restore(&payload), Ok(libraries));
            for at in 0..payload.len() {
                let mut damaged = payload.clone();
                damaged[at] ^= 1;
                assert!(restore(&damaged).is_err());
                assert!(restore(&payload[..at]).is_err());
            }
        }
    }
}
