//! The keys of a database in pages, and pages in groups whose values fit into memory together.
//!
//! ```text
//! SCAN ─► page of about 1,000 keys ─► MEMORY USAGE ─► groups: together at most 8 MB, or one larger value alone
//! ```
//!
//! Invariants: a key that is in the database from the first page to the last comes at least once (what SCAN promises); the order of
//! keys is kept; a group is never empty.
//!
//! Deliberately not here: what is done with a group.

use anyhow::Context;
use redis::Value;

use super::link::{Link, array, bytes};

/// Keys that SCAN looks at in one go.
const PAGE_KEYS: &[u8] = b"1000";
/// Values that are on their way together, bytes as the source estimates them.
const GROUP_BYTES: u64 = 8 * 1024 * 1024;
/// What a value counts where the source does not tell: so at most 16 are on their way.
const UNKNOWN_BYTES: u64 = GROUP_BYTES / 16;

/// A key, and how large the source takes its value to be, bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: Vec<u8>,
    pub(super) bytes: u64,
}

/// A walk over the keys of the database that the link is at.
pub(super) struct Pages<'a> {
    pattern: Option<&'a str>,
    cursor: Vec<u8>,
    is_over: bool,
}

impl<'a> Pages<'a> {
    /// A walk over the keys that fit a glob, or all.
    pub(super) fn new(pattern: Option<&'a str>) -> Pages<'a> {
        Pages {
            pattern,
            cursor: b"0".to_vec(),
            is_over: false,
        }
    }

    /// The next keys, perhaps none; `None` when all have been seen.
    ///
    /// # Errors
    /// The server refuses, or the connection failed.
    pub(super) fn next(&mut self, source: &mut Link) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        if self.is_over {
            return Ok(None);
        }
        let mut words: Vec<&[u8]> = vec![b"SCAN", &self.cursor, b"COUNT", PAGE_KEYS];
        if let Some(pattern) = self.pattern {
            words.extend([b"MATCH".as_slice(), pattern.as_bytes()]);
        }
        let reply = source.ask(&words)?;
        let mut parts = array(source.expected(reply, "SCAN")?)?.into_iter();
        let (cursor, keys) = parts
            .next()
            .zip(parts.next())
            .context("SCAN has no cursor")?;
        self.cursor = bytes(cursor)?.unwrap_or_default();
        self.is_over = self.cursor == b"0";
        let keys = array(keys)?
            .into_iter()
            .filter_map(|key| bytes(key).transpose());
        keys.collect::<anyhow::Result<_>>().map(Some)
    }
}

/// The keys in groups, with the sizes of their values.
///
/// # Errors
/// The connection's.
pub(super) fn groups(source: &mut Link, keys: Vec<Vec<u8>>) -> anyhow::Result<Vec<Vec<Item>>> {
    for key in &keys {
        source.send(&[b"MEMORY", b"USAGE", key])?;
    }
    let mut items = Vec::with_capacity(keys.len());
    for key in keys {
        let value_bytes = match source.receive()? {
            Ok(Value::Int(bytes)) => u64::try_from(bytes).unwrap_or(0),
            Ok(Value::Nil) => 0,
            Ok(_) | Err(_) => UNKNOWN_BYTES,
        };
        let bytes = value_bytes.saturating_add(key.len() as u64);
        items.push(Item { key, bytes });
    }
    Ok(grouped(items, GROUP_BYTES))
}

fn grouped(items: Vec<Item>, bytes_max: u64) -> Vec<Vec<Item>> {
    let mut groups: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0_u64;
    for item in items {
        bytes = bytes.saturating_add(item.bytes);
        match groups.last_mut() {
            Some(group) if bytes <= bytes_max => group.push(item),
            _ => {
                bytes = item.bytes;
                groups.push(vec![item]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(of: &[u64]) -> Vec<Vec<u64>> {
        let items = of.iter().map(|&bytes| Item {
            key: Vec::new(),
            bytes,
        });
        let groups = grouped(items.collect(), 10);
        let sizes = |group: &Vec<Item>| group.iter().map(|item| item.bytes).collect();
        groups.iter().map(sizes).collect()
    }

    #[test]
    fn a_group_holds_what_fits_and_a_large_value_goes_alone() {
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&[4, 6, 1]), [vec![4, 6], vec![1]]);
        assert_eq!(sizes(&[1, 500, 1, 2]), [vec![1], vec![500], vec![1, 2]]);
        assert_eq!(
            sizes(&[u64::MAX, u64::MAX]),
            [vec![u64::MAX], vec![u64::MAX]]
        );
    }
}
