//! Values as 20 bytes, for DEBUG DIGEST and DEBUG DIGEST-VALUE: equal values have equal digests, whatever their encoding.
//!
//! The digests of keys are joined with exclusive or, so their order does not matter. Times at which consumers were seen
//! are left out: a replay cannot know them; so are how often messages of producers were added and came again.

use sha1::{Digest as _, Sha1};

use crate::data::hash::Hash;
use crate::data::listpack::Element;
use crate::data::sorted_set::SortedSet;
use crate::data::stream::{Group, Stream, StreamId};
use crate::keyspace::Database;
use crate::keyspace::table::Entry;
use crate::keyspace::value::Value;
use crate::keyspace::walk::is_live;

/// SHA-1 of something canonical.
pub(crate) type Digest = [u8; 20];

/// Joins a digest to others, whose order does not count.
fn join(all: &mut Digest, digest: Digest) {
    for (byte, more) in all.iter_mut().zip(digest) {
        *byte ^= more;
    }
}

/// Feeds parts to the hash so that no two sequences of parts look the same.
struct Canonical {
    hash: Sha1,
    now_ms: u64,
}

impl Canonical {
    fn new(now_ms: u64) -> Self {
        Self {
            hash: Sha1::new(),
            now_ms,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.hash.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hash.update(number.to_le_bytes());
    }

    fn optional(&mut self, number: Option<u64>) {
        self.number(u64::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }

    fn id(&mut self, id: StreamId) {
        self.hash.update(id.to_be_bytes());
    }

    fn digest(self) -> Digest {
        self.hash.finalize().into()
    }

    fn value(&mut self, value: &Value) {
        self.bytes(value.value_type().name().as_bytes());
        match value {
            Value::String(string) => self.bytes(string.bytes(&mut [0; 20])),
            Value::List(list) => {
                self.number(list.len() as u64);
                for element in list.iter() {
                    self.bytes(element.as_bytes(&mut [0; 20]));
                }
            }
            Value::Set(set) => {
                let mut members: Vec<Vec<u8>> = set.iter().map(|member| member.to_vec()).collect();
                members.sort_unstable();
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.bytes(member));
                let ends = self.ends(set.ends());
                if ends != Digest::default() {
                    self.hash.update(ends);
                }
            }
            Value::Hash(hash) => self.hash(hash),
            Value::SortedSet(set) => self.sorted_set(set),
            Value::Stream(stream) => self.stream(stream),
        }
    }

    /// The order of fields is the encoding's: their digests are joined as those of keys are.
    fn hash(&mut self, hash: &Hash) {
        self.number(hash.len() as u64);
        let mut all = self.ends(hash.ends());
        for (field, value) in hash.iter() {
            let mut pair = Self::new(self.now_ms);
            pair.bytes(field.as_bytes(&mut [0; 20]));
            pair.bytes(value.as_bytes(&mut [0; 20]));
            join(&mut all, pair.digest());
        }
        self.hash.update(all);
    }

    /// The digests of elements that end, joined: their order does not count.
    fn ends<'a>(&self, ends: impl Iterator<Item = (u64, Element<'a>)>) -> Digest {
        let mut all = Digest::default();
        for (ms, element) in ends {
            let mut end = Self::new(self.now_ms);
            end.bytes(element.as_bytes(&mut [0; 20]));
            end.number(ms);
            join(&mut all, end.digest());
        }
        all
    }

    /// In the order of the set. A small one knows no sign of zero, so it does not count.
    fn sorted_set(&mut self, set: &SortedSet) {
        self.number(set.len() as u64);
        for (member, score) in set.iter() {
            self.bytes(member.as_bytes(&mut [0; 20]));
            self.number(if score == 0.0 { 0 } else { score.to_bits() });
        }
    }

    fn stream(&mut self, stream: &Stream) {
        let log = stream.log();
        self.id(log.last_id());
        self.id(log.max_deleted_id());
        self.number(log.entries_added());
        self.number(log.len());
        for entry in log.range(StreamId::MIN, StreamId::MAX) {
            self.id(entry.id);
            self.number(entry.fields.clone().count() as u64);
            for (name, value) in entry.fields {
                self.bytes(name.as_bytes(&mut [0; 20]));
                self.bytes(value.as_bytes(&mut [0; 20]));
            }
        }
        let tables = stream.idempotency();
        self.number(tables.window().duration_s.into());
        self.number(tables.window().size_max.into());
        self.number(tables.records(self.now_ms).count() as u64);
        for (producer, message, id) in tables.records(self.now_ms) {
            self.bytes(producer);
            self.bytes(message);
            self.id(id);
        }
        self.number(stream.group_count() as u64);
        for (name, group) in stream.groups() {
            self.bytes(name);
            self.group(group);
        }
    }

    fn group(&mut self, group: &Group) {
        self.id(group.last_delivered);
        self.optional(group.entries_read);
        self.number(group.consumer_count() as u64);
        for (_, consumer) in group.consumers() {
            self.bytes(consumer.name());
        }
        self.number(group.pending().len() as u64);
        for entry in group.pending().iter_from(StreamId::MIN) {
            self.id(entry.id);
            self.bytes(group.owner_name(&entry.delivery));
            self.number(entry.delivery.delivered_ms);
            self.number(entry.delivery.delivery_count);
        }
        for entry in group.pending().released_in_order() {
            self.id(entry.id);
        }
    }
}

/// The digest of a value alone.
pub(crate) fn value_digest(value: &Value, now_ms: u64) -> Digest {
    let mut canonical = Canonical::new(now_ms);
    canonical.value(value);
    canonical.digest()
}

/// The digest of a key with its database, its expiry and its value.
pub(crate) fn entry_digest(db: usize, entry: &Entry, now_ms: u64) -> Digest {
    let mut canonical = Canonical::new(now_ms);
    canonical.number(db as u64);
    canonical.bytes(&entry.key);
    canonical.optional(entry.expiry());
    canonical.value(&entry.value);
    canonical.digest()
}

/// The digest of all keys that have not expired, of databases with their numbers: zeros when there is none. O(bytes of all
/// values).
pub(crate) fn digest<'k>(
    databases: impl Iterator<Item = (usize, &'k Database)>,
    now_ms: u64,
) -> Digest {
    let mut all = Digest::default();
    for (db, database) in databases {
        let entries = database.table().iter();
        for entry in entries.filter(|entry| is_live(entry, now_ms)) {
            join(&mut all, entry_digest(db, entry, now_ms));
        }
    }
    all
}
