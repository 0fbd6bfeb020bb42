//! The metrics of streams and their groups.
//!
//! A name is any bytes: what is no UTF-8 is shown as `\xff`, a long one is cut. Two that then look the same would be one time
//! series told twice, which Prometheus refuses with the whole text: the second is left out.

use std::collections::HashSet;

use prometheus::proto::LabelPair;

use crate::limits::METRICS_LABEL_BYTES_MAX;

use super::families::{Families, labels};

/// A group of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupFacts {
    /// Its name.
    pub(crate) name: Vec<u8>,
    /// Entries it has still to read, exactly.
    pub(crate) lag: u64,
    /// Entries delivered and not acknowledged.
    pub(crate) pending: usize,
    /// Since when the longest of them is pending, ms; 0 when there is none.
    pub(crate) oldest_pending_ms: u64,
    /// Pending entries that nobody has: given back.
    pub(crate) released: usize,
    /// Pending entries that were given up for good.
    pub(crate) dead: usize,
    /// Consumers.
    pub(crate) consumers: usize,
    /// Deliveries that were not the first of their entry.
    pub(crate) redeliveries: u64,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamFacts {
    /// Its database.
    pub(crate) db: usize,
    /// Its key.
    pub(crate) key: Vec<u8>,
    /// Entries.
    pub(crate) entries: u64,
    /// Entries ever added.
    pub(crate) added: u64,
    /// Number of groups.
    pub(crate) group_count: usize,
    /// The groups that are listed.
    pub(crate) groups: Vec<GroupFacts>,
}

/// What is known of streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamListing {
    /// By database and key.
    pub(crate) streams: Vec<StreamFacts>,
    /// Whether there are streams, or groups of them, that are not listed.
    pub(crate) is_cut: bool,
    /// Shards that have answered.
    pub(crate) shards_answered: usize,
}

impl StreamListing {
    /// Takes in what another shard has found.
    pub(crate) fn merge(&mut self, other: StreamListing) {
        self.streams.extend(other.streams);
        self.is_cut |= other.is_cut;
        self.shards_answered += other.shards_answered;
    }

    /// Keeps the first `count` of all.
    pub(crate) fn keep_first(&mut self, count: usize) {
        let order = |stream: &StreamFacts| (stream.db, stream.key.clone());
        self.streams.sort_by_cached_key(order);
        self.is_cut |= self.streams.len() > count;
        self.streams.truncate(count);
    }
}

/// A name as the value of a label.
fn shown(name: &[u8]) -> String {
    let (head, rest) = name.split_at(name.len().min(METRICS_LABEL_BYTES_MAX));
    let mut text = String::new();
    for chunk in head.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if !rest.is_empty() {
        text.push('…');
    }
    text
}

/// A family with a value for each stream or group: name, help, which.
type Of<T> = (&'static str, &'static str, fn(&T) -> f64);

const STREAM_GAUGES: &[Of<StreamFacts>] = &[
    ("millrace_stream_entries", "Entries of a stream", |stream| {
        stream.entries as f64
    }),
    (
        "millrace_stream_groups",
        "Consumer groups of a stream",
        |stream| stream.group_count as f64,
    ),
];

const STREAM_COUNTERS: &[Of<StreamFacts>] = &[(
    "millrace_stream_entries_added_total",
    "Entries ever added to a stream",
    |stream| stream.added as f64,
)];

const GROUP_GAUGES: &[Of<GroupFacts>] = &[
    (
        "millrace_stream_group_lag_entries",
        "Entries that a group has still to read, exactly",
        |group| group.lag as f64,
    ),
    (
        "millrace_stream_group_pending_entries",
        "Entries delivered to a group and not acknowledged",
        |group| group.pending as f64,
    ),
    (
        "millrace_stream_group_oldest_pending_seconds",
        "Time since the last delivery of the entry that waits longest to be acknowledged, 0 without any",
        |group| group.oldest_pending_ms as f64 / 1000.0,
    ),
    (
        "millrace_stream_group_released_entries",
        "Pending entries that nobody has, given back with XNACK",
        |group| group.released as f64,
    ),
    (
        "millrace_stream_group_dead_letter_entries",
        "Pending entries given up for good: XNACK FATAL, or a delivery count as high",
        |group| group.dead as f64,
    ),
    (
        "millrace_stream_group_consumers",
        "Consumers of a group",
        |group| group.consumers as f64,
    ),
];

const GROUP_COUNTERS: &[Of<GroupFacts>] = &[(
    "millrace_stream_group_redeliveries_total",
    "Deliveries to a group that were not the first of their entry, since the server started",
    |group| group.redeliveries as f64,
)];

/// Adds the families of streams and groups.
pub(super) fn add(families: &mut Families, listing: &StreamListing) {
    families.gauge(
        "millrace_streams_listed",
        "Streams with metrics of their own (metrics-streams-max, metrics-streams-pattern)",
        listing.streams.len() as f64,
    );
    families.gauge(
        "millrace_streams_cut",
        "1 when there are more streams or groups than are listed",
        f64::from(u8::from(listing.is_cut)),
    );
    families.gauge(
        "millrace_shards_answered",
        "Shards that told of their streams in time",
        listing.shards_answered as f64,
    );
    let (mut streams, mut groups, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for stream in &listing.streams {
        let (db, name) = (stream.db.to_string(), shown(&stream.key));
        if !seen.insert((stream.db, name.clone(), String::new())) {
            continue;
        }
        streams.push((labels(&[("db", &db), ("stream", &name)]), stream));
        for group in &stream.groups {
            let group_name = shown(&group.name);
            // A group may have the empty name: it is told from its stream by a mark that none can have.
            if seen.insert((stream.db, name.clone(), format!("\0{group_name}"))) {
                let pairs = [("db", &*db), ("stream", &name), ("group", &group_name)];
                groups.push((labels(&pairs), group));
            }
        }
    }
    for (name, help, of) in STREAM_GAUGES {
        families.gauges(name, help, values(&streams, *of));
    }
    for (name, help, of) in STREAM_COUNTERS {
        families.counters(name, help, values(&streams, *of));
    }
    for (name, help, of) in GROUP_GAUGES {
        families.gauges(name, help, values(&groups, *of));
    }
    for (name, help, of) in GROUP_COUNTERS {
        families.counters(name, help, values(&groups, *of));
    }
}

fn values<'a, T>(
    of: &'a [(Vec<LabelPair>, &T)],
    value: fn(&T) -> f64,
) -> impl Iterator<Item = (Vec<LabelPair>, f64)> + 'a {
    of.iter()
        .map(move |(labels, item)| (labels.clone(), value(item)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(key: &[u8], group: &[u8]) -> StreamFacts {
        StreamFacts {
            key: key.to_vec(),
            groups: vec![GroupFacts {
                name: group.to_vec(),
                ..GroupFacts::default()
            }],
            ..StreamFacts::default()
        }
    }

    #[test]
    fn names_that_look_the_same_are_told_once() {
        let long = vec![b'x'; 10_000];
        let longer = vec![b'x'; 10_001];
        let listing = StreamListing {
            streams: vec![
                named(b"a\xffb", b""),
                named(b"a\\xffb", b""),
                named(b"quote\"\\\n", b"g"),
                named(&long, b"g"),
                named(&longer, b"h"),
            ],
            ..StreamListing::default()
        };
        let mut families = Families::default();
        add(&mut families, &listing);
        let text = prometheus::TextEncoder::new().encode_to_string(families.all());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let mut series: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, _)| series)
            .collect();
        let count = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), count);
        assert!(text.contains("millrace_stream_entries{db=\"0\",stream=\"a\\\\xffb\"} 0\n"));
        assert!(text.contains("millrace_stream_entries{db=\"0\",stream=\"quote\\\"\\\\\\n\"} 0\n"));
        assert!(lines.iter().all(|line| line.len() < 1000));
    }

    #[test]
    fn the_first_streams_of_all_shards_are_kept() {
        let of = |keys: &[&[u8]]| StreamListing {
            streams: keys.iter().map(|key| named(key, b"g")).collect(),
            is_cut: false,
            shards_answered: 1,
        };
        let mut listing = of(&[b"b", b"d"]);
        listing.merge(of(&[b"a", b"c"]));
        listing.keep_first(4);
        assert!(!listing.is_cut);
        listing.keep_first(3);
        let keys: Vec<&[u8]> = listing.streams.iter().map(|of| &*of.key).collect();
        assert_eq!(keys, [b"a", b"b", b"c"]);
        assert!(listing.is_cut && listing.shards_answered == 2);
    }
}
