//! Whether a snapshot is whole: its first bytes, its version, its checksum. What is in it is for the reader of snapshots.
//!
//! ```text
//! REDIS0011  …  │ CRC64 of all before it, 8 bytes, little-endian; 0: written without (`rdbchecksum no`)
//! ```

use std::io::{self, Read};

use crc_fast::{CrcAlgorithm, Digest};

/// Bytes read at once.
const PIECE_BYTES: usize = 1 << 20;
/// `REDIS` and four digits.
const HEAD_BYTES: usize = 9;
/// The checksum at the end.
const CHECKSUM_BYTES: usize = 8;

/// What is wrong with a snapshot, or its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Whole.
    Whole {
        /// The version of the format.
        version: u32,
        /// Whether it has a checksum, which is right.
        has_checksum: bool,
    },
    /// Not a snapshot, or a part of one.
    Broken(&'static str),
}

/// Reads a snapshot that is all of a file.
///
/// # Errors
/// Those of the reader.
pub fn check(mut reader: impl Read) -> io::Result<Snapshot> {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Redis);
    let mut piece = vec![0; PIECE_BYTES];
    let (mut held, mut version) = (0, None);
    loop {
        let room = piece.get_mut(held..).unwrap_or_default();
        let count = match reader.read(room) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        held += count;
        let bytes = piece.get(..held).unwrap_or_default();
        if version.is_none() && (held >= HEAD_BYTES || count == 0) {
            let Some(found) = version_of(bytes) else {
                return Ok(Snapshot::Broken("it does not begin as a snapshot"));
            };
            version = Some(found);
        }
        if count == 0 {
            break;
        }
        // The last bytes read may be the checksum.
        let summed = held.saturating_sub(CHECKSUM_BYTES);
        if version.is_some() {
            digest.update(bytes.get(..summed).unwrap_or_default());
            piece.copy_within(summed..held, 0);
            held -= summed;
        }
    }
    let last = piece.get(..held).unwrap_or_default();
    let (Some(version), Some(checksum)) = (version, last.last_chunk::<CHECKSUM_BYTES>()) else {
        return Ok(Snapshot::Broken("it ends within its first bytes"));
    };
    let checksum = u64::from_le_bytes(*checksum);
    Ok(match checksum {
        0 => Snapshot::Whole {
            version,
            has_checksum: false,
        },
        _ if checksum == digest.finalize() => Snapshot::Whole {
            version,
            has_checksum: true,
        },
        _ => Snapshot::Broken("its checksum does not fit: it is damaged or not whole"),
    })
}

fn version_of(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(..HEAD_BYTES)?.strip_prefix(b"REDIS")?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(1);
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn a_snapshot_is_whole_with_all_its_bytes_as_they_were() {
        // As Redis 7.0 writes an empty one: end, checksum.
        let mut bytes = b"REDIS0010\xff".to_vec();
        let mut digest = Digest::new(CrcAlgorithm::Crc64Redis);
        digest.update(&bytes);
        bytes.extend_from_slice(&digest.finalize().to_le_bytes());
        let whole = Snapshot::Whole {
            version: 10,
            has_checksum: true,
        };
        assert_eq!(check(bytes.as_slice()).unwrap(), whole);
        assert_eq!(check(Slow(&bytes)).unwrap(), whole);
        for at in 0..bytes.len() {
            let broken = |bytes: &[u8]| matches!(check(bytes).unwrap(), Snapshot::Broken(_));
            assert!(broken(&bytes[..at]), "{at}");
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            assert!(broken(&changed), "{at}");
        }
        bytes.truncate(10);
        bytes.extend_from_slice(&[0; 8]);
        let without = Snapshot::Whole {
            version: 10,
            has_checksum: false,
        };
        assert_eq!(check(bytes.as_slice()).unwrap(), without);
    }
}
