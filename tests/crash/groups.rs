//! The laws of the streams that all writers add to and read as consumers of one group; a round has one of its own.
//!
//! An entry whose ID was returned is there with its value. An entry is delivered to one consumer; until its XACK was sent it is
//! pending for it, and after the XACK was answered it is not. The group has not forgotten what it has delivered.

use std::collections::{BTreeMap, BTreeSet};

use super::history::Sent;
use super::model::{Item, Value, Words};
use super::observe::Observed;
use super::streams::{Id, Stream, id, shown};
use super::support::Frame;

/// How many complaints are worth reading.
const COMPLAINTS_MAX: usize = 8;

/// What is known of one stream.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    entries: BTreeMap<Id, String>,
    perhaps: BTreeSet<String>,
    delivered: BTreeMap<Id, String>,
    acknowledged: BTreeSet<Id>,
    perhaps_acknowledged: BTreeSet<Id>,
    /// Entries that reads without a reply may have taken, by consumer.
    perhaps_read: BTreeMap<String, usize>,
    group_last: Id,
}

/// What is known of each stream, by key.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    are_counted: bool,
    streams: BTreeMap<String, Shared>,
}

/// The key of the stream that a command names.
fn key_of(words: &Words) -> Option<&String> {
    let at = if words[0] == "XREADGROUP" { 7 } else { 1 };
    words.get(at).filter(|key| key.starts_with("shared:s"))
}

impl Shared {
    fn note(&mut self, words: &Words, reply: Option<&Frame>, complaints: &mut Vec<String>) {
        match (words[0].as_str(), reply) {
            ("XADD", Some(reply)) => {
                self.entries.insert(id(&reply.text()), words[4].clone());
            }
            ("XADD", None) => {
                self.perhaps.insert(words[4].clone());
            }
            ("XREADGROUP", Some(reply)) => {
                let entries = reply
                    .items()
                    .first()
                    .map(|of_key| of_key.items()[1].items());
                for entry in entries.unwrap_or_default() {
                    let id = id(&entry.items()[0].text());
                    if let Some(first) = self.delivered.insert(id, words[3].clone()) {
                        let (id, second) = (shown(id), &words[3]);
                        complaints.push(format!("{id} was delivered to {first} and {second}"));
                    }
                }
            }
            ("XREADGROUP", None) => {
                let count: usize = words[5].parse().unwrap();
                *self.perhaps_read.entry(words[3].clone()).or_default() += count;
            }
            ("XACK", Some(_)) => {
                self.acknowledged
                    .extend(words[3..].iter().map(|word| id(word)));
            }
            ("XACK", None) => {
                let ids = words[3..].iter().map(|word| id(word));
                self.perhaps_acknowledged.extend(ids);
            }
            _ => {}
        }
    }

    fn check_entries(&self, stream: &Stream, complaints: &mut Vec<String>) {
        for (id, value) in &self.entries {
            match stream.entries.get(id) {
                None => complaints.push(format!("the acknowledged entry {} is lost", shown(*id))),
                Some(there) if there != value => {
                    complaints.push(format!("{} has {there}, must have {value}", shown(*id)));
                }
                Some(_) => {}
            }
        }
        let strange = stream
            .entries
            .iter()
            .find(|(id, value)| !self.entries.contains_key(id) && !self.perhaps.contains(*value));
        if let Some((id, value)) = strange {
            complaints.push(format!("{} has {value}, which nobody added", shown(*id)));
        }
        let last = self.entries.keys().next_back().copied();
        if last.is_some_and(|last| stream.last < last) {
            complaints.push(format!("the last ID went back to {}", shown(stream.last)));
        }
    }

    fn check_group(&self, stream: &Stream, is_counted: bool, complaints: &mut Vec<String>) {
        let Some(group) = stream.groups.get("g") else {
            if !self.delivered.is_empty() {
                complaints.push("the group is lost".to_owned());
            }
            return;
        };
        let last = self.delivered.keys().next_back().copied();
        let least = last.unwrap_or_default().max(self.group_last);
        if group.last < least {
            complaints.push(format!(
                "the group went back from {least:?} to {:?}",
                group.last
            ));
        }
        let read = stream.entries.range(..=group.last).count();
        if is_counted
            && group
                .read
                .is_some_and(|there| usize::try_from(there) != Ok(read))
        {
            complaints.push(format!("entries-read is {:?}, must be {read}", group.read));
        }
        let mut unexplained: BTreeMap<&String, usize> = BTreeMap::new();
        for (id, pending) in &group.pending {
            let text = shown(*id);
            match self.delivered.get(id) {
                _ if self.acknowledged.contains(id) => {
                    complaints.push(format!("{text} is pending, its XACK was acknowledged"));
                }
                Some(consumer) if *consumer != pending.consumer || pending.deliveries != 1 => {
                    complaints.push(format!(
                        "{text} is {pending:?}, was delivered to {consumer}"
                    ));
                }
                Some(_) => {}
                None => *unexplained.entry(&pending.consumer).or_default() += 1,
            }
        }
        for (consumer, count) in unexplained {
            if count > self.perhaps_read.get(consumer).copied().unwrap_or(0) {
                complaints.push(format!(
                    "{count} entries are pending for {consumer}, never read"
                ));
            }
        }
        for (id, _) in stream.entries.range(..=group.last) {
            let is_done = self.acknowledged.contains(id) || self.perhaps_acknowledged.contains(id);
            if !is_done && !group.pending.contains_key(id) {
                let text = shown(*id);
                complaints.push(format!(
                    "{text} is behind the group and pending for nobody: lost"
                ));
            }
        }
    }

    /// What is there is what is known from now on.
    fn rebase(&mut self, stream: &Stream) {
        let group = stream.groups.get("g").cloned().unwrap_or_default();
        let acknowledged = |id: &Id| *id <= group.last && !group.pending.contains_key(id);
        *self = Self {
            acknowledged: stream
                .entries
                .keys()
                .copied()
                .filter(acknowledged)
                .collect(),
            entries: stream.entries.clone(),
            delivered: group
                .pending
                .into_iter()
                .map(|(id, pending)| (id, pending.consumer))
                .collect(),
            group_last: group.last,
            ..Self::default()
        };
    }
}

impl Groups {
    /// `are_counted`: the log keeps how many entries a group has read; that of redis-server 7.0 does not.
    pub(crate) fn new(are_counted: bool) -> Self {
        Self {
            are_counted,
            ..Self::default()
        }
    }

    /// Compares with what is there. `is_whole`: everything acknowledged must have survived.
    pub(crate) fn check<'a>(
        &mut self,
        sent: impl Iterator<Item = &'a Sent>,
        observed: &Observed,
        is_whole: bool,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        for sent in sent.filter(|sent| !sent.is_refused()) {
            for (words, reply) in sent.commands() {
                if let Some(key) = key_of(words) {
                    let shared = self.streams.entry(key.clone()).or_default();
                    shared.note(words, reply, &mut complaints);
                }
            }
        }
        let empty = Item::new(Value::Stream(Stream::default()));
        for (key, shared) in &mut self.streams {
            let item = observed[&0].get(key).unwrap_or(&empty);
            let Value::Stream(stream) = &item.value else {
                complaints.push(format!("{key} is no stream"));
                continue;
            };
            let mut of_key = Vec::new();
            if is_whole {
                shared.check_entries(stream, &mut of_key);
                shared.check_group(stream, self.are_counted, &mut of_key);
            }
            complaints.extend(of_key.iter().map(|text| format!("{key}: {text}")));
            shared.rebase(stream);
        }
        complaints.truncate(COMPLAINTS_MAX);
        complaints
    }

    /// IDs pending for a consumer.
    pub(crate) fn pending(&self, key: &str, consumer: &str) -> Vec<String> {
        let shared = self.streams.get(key);
        let delivered = shared.into_iter().flat_map(|shared| &shared.delivered);
        delivered
            .filter(|(_, other)| *other == consumer)
            .map(|(id, _)| shown(*id))
            .collect()
    }

    /// A stream was deleted.
    pub(crate) fn forget(&mut self, key: &str) {
        self.streams.remove(key);
    }
}
