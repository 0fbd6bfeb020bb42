//! The numbers that name things: shards, slots, clients, and sets of shards.
//!
//! Level 0: every room may use them. Not here: what the numbers refer to.

use std::sync::OnceLock;

use crate::limits::{SHARD_COUNT_MAX, SLOT_COUNT};

/// A shard of this process, 0 to N-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The number as an index into per-shard arrays.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A hash slot of Redis Cluster, 0 to 16383.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// A client, unique over the life of the process, as CLIENT ID tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A set of shards; a bit each, since there are at most 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ShardSet(u64);

const _: () = assert!(SHARD_COUNT_MAX <= 64);

impl ShardSet {
    /// No shard.
    pub const EMPTY: Self = Self(0);

    /// Shards 0 to `count` - 1.
    pub fn all(count: usize) -> Self {
        if count >= 64 {
            Self(u64::MAX)
        } else {
            Self((1 << count) - 1)
        }
    }

    /// The shards whose bits are set.
    pub(crate) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// A bit for each shard.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Just one shard.
    pub fn one(shard: ShardId) -> Self {
        Self(1 << shard.0)
    }

    /// Adds a shard.
    pub fn insert(&mut self, shard: ShardId) {
        self.0 |= 1 << shard.0;
    }

    /// Takes a shard out.
    pub fn remove(&mut self, shard: ShardId) {
        self.0 &= !(1 << shard.0);
    }

    /// Whether the shard is in it.
    pub(crate) fn contains(self, shard: ShardId) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    /// Everything in either.
    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether both have one in common.
    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` is in it.
    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// How many shards.
    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest shard, if any.
    pub(crate) fn first(self) -> Option<ShardId> {
        if self.0 == 0 {
            None
        } else {
            Some(ShardId(self.0.trailing_zeros() as u16))
        }
    }

    /// The shards in ascending order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        (0..64u16)
            .filter(move |n| self.0 & (1 << n) != 0)
            .map(ShardId)
    }
}

/// What a byte does to the checksum when so many bytes follow it as the number of the table says.
const CRC16_TABLES: [[u16; 256]; 8] = crc16_tables();

const fn crc16_tables() -> [[u16; 256]; 8] {
    let mut tables = [[0u16; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                (crc << 1) ^ 0x1021
            } else {
                crc << 1
            };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut i = 0;
        while i < 256 {
            let before = tables[table - 1][i];
            tables[table][i] = (before << 8) ^ tables[0][(before >> 8) as usize];
            i += 1;
        }
        table += 1;
    }
    tables
}

/// CRC16-CCITT (XMODEM), the checksum of Redis Cluster's key distribution. Eight bytes at a time: one after the other they
/// wait for each other.
fn crc16(bytes: &[u8]) -> u16 {
    let tables = &CRC16_TABLES;
    // What does not fill a block comes first: nothing is before it, so its bytes do not wait for each other either.
    let (head, blocks) = bytes.as_rchunks::<8>();
    let first = head.iter().rev().zip(tables);
    let crc = first.fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
    blocks.iter().fold(crc, |crc, block| {
        let [high, low] = crc.to_be_bytes();
        tables[7][usize::from(block[0] ^ high)]
            ^ tables[6][usize::from(block[1] ^ low)]
            ^ tables[5][usize::from(block[2])]
            ^ tables[4][usize::from(block[3])]
            ^ tables[3][usize::from(block[4])]
            ^ tables[2][usize::from(block[5])]
            ^ tables[1][usize::from(block[6])]
            ^ tables[0][usize::from(block[7])]
    })
}

/// The slot of a key: of its hash tag (between the first `{` and the next `}`, when not empty), else of all of it.
/// Source: the Redis Cluster specification, "Hash tags".
pub fn slot_of(key: &[u8]) -> Slot {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    Slot(crc16(tag.unwrap_or(key)) % SLOT_COUNT as u16)
}

/// The shard that owns a slot when there are `shard_count`.
pub(crate) fn shard_of_slot(slot: Slot, shard_count: usize) -> ShardId {
    ShardId((usize::from(slot.0) * shard_count / SLOT_COUNT) as u16)
}

/// The home of a key.
pub fn shard_of(key: &[u8], shard_count: usize) -> ShardId {
    if shard_count == 1 {
        return ShardId(0);
    }
    let slot = match COLOCATED.get() {
        None => slot_of(key),
        Some(patterns) => colocated_slot(key, patterns),
    };
    shard_of_slot(slot, shard_count)
}

/// The patterns of `colocate`, once for the process.
static COLOCATED: OnceLock<Vec<Box<[u8]>>> = OnceLock::new();

/// Keys of which one of these patterns matches the same beginning live together from now on. To be called before any key has a home.
pub(crate) fn colocate(patterns: Vec<Box<[u8]>>) {
    if !patterns.is_empty() && COLOCATED.set(patterns).is_err() {
        debug_assert!(false, "keys have their homes already");
    }
}

/// As [`slot_of`]; of a key without a hash tag the beginning that a pattern matches is one.
#[cold]
fn colocated_slot(key: &[u8], patterns: &[Box<[u8]>]) -> Slot {
    let has_tag = key.contains(&b'{');
    let beginning = patterns
        .iter()
        .find_map(|pattern| beginning_of(key, pattern));
    match beginning {
        Some(beginning) if !has_tag => Slot(crc16(beginning) % SLOT_COUNT as u16),
        _ => slot_of(key),
    }
}

/// The beginning of a key that a pattern matches: `*` stands for one or more bytes other than `:`.
fn beginning_of<'k>(key: &'k [u8], pattern: &[u8]) -> Option<&'k [u8]> {
    let mut at = 0;
    for byte in pattern {
        if *byte == b'*' {
            let rest = key.get(at..)?;
            let len = rest
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(rest.len());
            if len == 0 {
                return None;
            }
            at += len;
        } else if key.get(at) == Some(byte) {
            at += 1;
        } else {
            return None;
        }
    }
    key.get(..at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_queue_live_together_where_a_pattern_says_so() {
        let patterns = [
            Box::from(b"bull:*:".as_slice()),
            Box::from(b"queues:*".as_slice()),
        ];
        let slot = |key: &[u8]| colocated_slot(key, &patterns);
        assert_eq!(slot(b"bull:mail:wait"), slot(b"bull:mail:17:lock"));
        assert_eq!(slot(b"bull:mail:wait"), Slot(crc16(b"bull:mail:") % 16384));
        assert_ne!(slot(b"bull:mail:wait"), slot(b"bull:video:wait"));
        assert_eq!(slot(b"queues:default"), slot(b"queues:default:reserved"));
        for other in [
            b"bull:mail".as_slice(),
            b"bull::x",
            b"bul",
            b"",
            b"bull:{a}:x",
            b"other:a",
        ] {
            assert_eq!(slot(other), slot_of(other), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(slot_of(b"123456789"), Slot(12739));
        assert_eq!(slot_of(b"foo"), Slot(12182));
        assert_eq!(
            slot_of(b"{user1000}.following"),
            slot_of(b"{user1000}.followers")
        );
        assert_eq!(slot_of(b"foo{}{bar}"), Slot(crc16(b"foo{}{bar}") % 16384));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn eight_bytes_at_a_time_are_as_one_by_one() {
        let one_by_one = |bytes: &[u8]| {
            bytes.iter().fold(0u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                    (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
                })
            })
        };
        let bytes: Vec<u8> = (0..64u8).map(|n| n.wrapping_mul(151) ^ 0x5a).collect();
        for length in 0..bytes.len() {
            assert_eq!(
                crc16(&bytes[..length]),
                one_by_one(&bytes[..length]),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn every_shard_owns_slots() {
        for count in 1..=SHARD_COUNT_MAX {
            assert_eq!(shard_of_slot(Slot(0), count), ShardId(0));
            assert_eq!(shard_of_slot(Slot(16383), count).index(), count - 1);
        }
    }
}
