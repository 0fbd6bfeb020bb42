//! What the metrics are told of the streams of one shard.
//!
//! It looks at the streams that are listed and no more: names come from an ordered list that the keyspace keeps for this, and
//! both the names looked at and the groups of a stream have a limit, so that a scrape does not hold the shard up. Nothing is
//! changed: an expired stream is passed over.

use crate::data::stream::{Group, Stream};
use crate::keyspace::Keyspace;
use crate::keyspace::value::Value;
use crate::limits::{METRICS_GROUPS_PER_STREAM_MAX, METRICS_STREAMS_EXAMINED_MAX};
use crate::observe::metrics::{GroupFacts, StreamFacts, StreamListing};
use crate::pubsub::pattern::{self, Case};

/// The first streams by database and name, at most `count`, of those that a glob pattern fits.
pub(crate) fn stream_listing(
    keyspace: &Keyspace,
    pattern: &[u8],
    count: usize,
    now_ms: u64,
) -> StreamListing {
    let mut listing = StreamListing {
        shards_answered: 1,
        ..StreamListing::default()
    };
    let prefix = literal_prefix(pattern);
    let mut examined = 0;
    for db in 0..keyspace.database_count() {
        let database = keyspace.database(db);
        for key in database.streams(prefix) {
            examined += 1;
            if examined > METRICS_STREAMS_EXAMINED_MAX {
                listing.is_cut = true;
                return listing;
            }
            if !pattern::matches(pattern, key, Case::Sensitive) {
                continue;
            }
            if listing.streams.len() == count {
                listing.is_cut = true;
                return listing;
            }
            let table = database.table();
            let at = table.find(table.hash(key), key);
            let entry = at.and_then(|at| table.get(at));
            if let Some(entry) = entry
                && entry.expiry().is_none_or(|expiry| now_ms <= expiry)
                && let Value::Stream(stream) = &entry.value
            {
                listing.is_cut |= stream.group_count() > METRICS_GROUPS_PER_STREAM_MAX;
                listing.streams.push(stream_facts(db, key, stream, now_ms));
            }
        }
    }
    listing
}

/// What every text that matches a pattern begins with.
fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    let end = pattern.iter().position(special).unwrap_or(pattern.len());
    &pattern[..end]
}

fn stream_facts(db: usize, key: &[u8], stream: &Stream, now_ms: u64) -> StreamFacts {
    let groups = stream.groups().take(METRICS_GROUPS_PER_STREAM_MAX);
    StreamFacts {
        db,
        key: key.to_vec(),
        entries: stream.log().len(),
        added: stream.log().entries_added(),
        group_count: stream.group_count(),
        groups: groups
            .map(|(name, group)| group_facts(name, group, stream, now_ms))
            .collect(),
    }
}

fn group_facts(name: &[u8], group: &Group, stream: &Stream, now_ms: u64) -> GroupFacts {
    let pending = group.pending();
    let oldest_ms = pending.oldest_delivery_ms();
    GroupFacts {
        name: name.to_vec(),
        lag: stream.log().live_after(group.last_delivered),
        pending: pending.len(),
        oldest_pending_ms: oldest_ms.map_or(0, |at| now_ms.saturating_sub(at)),
        consumers: group.consumer_count(),
        released: pending.released_count(),
        dead: pending.dead_count(),
        redeliveries: pending.redeliveries(),
    }
}

#[cfg(test)]
mod tests {
    use super::literal_prefix;

    #[test]
    fn a_prefix_ends_where_a_pattern_begins_to_be_one() {
        assert_eq!(literal_prefix(b"orders:*"), b"orders:");
        assert_eq!(literal_prefix(b"a[bc]"), b"a");
        assert_eq!(literal_prefix(b"\\*x"), b"");
        assert_eq!(literal_prefix(b"plain"), b"plain");
    }
}
