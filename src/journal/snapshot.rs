//! Whether a snapshot is whole: it is read to its end as a start reads it, and its checksum is compared.
//!
//! ```text
//! REDIS0011  …  end │ CRC64 of all before it, 8 bytes, little-endian; 0: written without (`rdbchecksum no`) │ a log may go on
//! ```
//! The bytes are read item by item also because of the 0: the second half of a file may be zeros after a power cut, and a snapshot
//! without a checksum ends in the same way.
//!
//! Deliberately not here: decoding the values. A start does that.

use std::io::{self, Read};

use crate::rdb::read::{ReadError, Reader, Trouble};

/// What is wrong with a snapshot, or what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Whole.
    Whole {
        /// The version of the format.
        version: u32,
        /// Whether it has a checksum, which is right.
        has_checksum: bool,
        /// Where it ends, bytes.
        bytes: u64,
    },
    /// Not a snapshot, or a part of one, or with something that cannot be read here: where, and what.
    Broken(String),
}

/// Reads a snapshot at the beginning of a file, up to its end. Memory: that of the largest value.
///
/// # Errors
/// Those of the reader.
pub fn check(reader: impl Read) -> io::Result<Snapshot> {
    match walk(reader) {
        Ok(whole) => Ok(whole),
        Err(ReadError {
            trouble: Trouble::Io(error),
            ..
        }) => Err(error),
        Err(error) => Ok(Snapshot::Broken(error.to_string())),
    }
}

fn walk(reader: impl Read) -> Result<Snapshot, ReadError> {
    let mut reader = Reader::new(reader, true)?;
    while reader.next_item()?.is_some() {}
    Ok(Snapshot::Whole {
        version: reader.version(),
        has_checksum: reader.has_checksum(),
        bytes: reader.offset(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use crc_fast::{CrcAlgorithm, Digest};

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
            bytes: 18,
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
            bytes: 18,
        };
        assert_eq!(check(bytes.as_slice()).unwrap(), without);
    }

    #[test]
    fn zeros_in_place_of_the_second_half_are_no_snapshot_without_a_checksum() {
        let mut bytes = b"REDIS0011\xfe\x00".to_vec();
        for key in 0..100 {
            bytes.extend_from_slice(&[0, 1, key, 1, b'v']);
        }
        bytes.push(255);
        bytes.extend_from_slice(&[0; 8]);
        assert!(matches!(
            check(bytes.as_slice()).unwrap(),
            Snapshot::Whole { .. }
        ));
        for at in 9..bytes.len() - 8 {
            let mut torn = bytes.clone();
            torn[at..].fill(0);
            let found = check(torn.as_slice()).unwrap();
            assert!(matches!(found, Snapshot::Broken(_)), "{at}: {found:?}");
        }
    }

    #[test]
    fn a_snapshot_of_valkey_may_have_a_log_behind_it() {
        let mut bytes = b"VALKEY080\xff".to_vec();
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        let whole = Snapshot::Whole {
            version: 80,
            has_checksum: false,
            bytes: 18,
        };
        assert_eq!(check(bytes.as_slice()).unwrap(), whole);
    }
}
