//! XNACK, MAXCOUNT, MAXSIZE and CLAIM as their pages describe them, on plain maps.
//!
//! Two streams, one group in each, three consumers. Entries have the IDs 1-0, 2-0 …; a delivery's time is the number of
//! its command (the runner waits for the next millisecond after each), so that the order of idleness is known.

use std::collections::BTreeMap;

use super::{Expected, Model};
use crate::support::Random;
use crate::support::frame::Frame;

const KEYS: &[&str] = &["a", "b"];
const CONSUMERS: &[&str] = &["one", "two", "three"];
const POISON: i64 = i64::MAX;

/// A pending entry.
#[derive(Clone, Debug)]
struct Pending {
    /// Nobody once released.
    owner: Option<&'static str>,
    count: i64,
    /// Among the released ones the order of their release, else the time of delivery.
    order: u64,
}

#[derive(Default)]
struct Stream {
    /// Bytes of the value by the number of the ID.
    entries: BTreeMap<u64, usize>,
    last: u64,
    delivered: u64,
    pending: BTreeMap<u64, Pending>,
}

/// Two streams.
#[derive(Default)]
pub(crate) struct Streams {
    streams: [Stream; 2],
    clock: u64,
    begun: usize,
}

/// What a read would give of one stream, were there no limits over all of them.
struct Offer {
    stream: usize,
    /// The number of the ID, and whether the entry is taken from what is pending.
    entries: Vec<(u64, bool)>,
}

/// The options of a group read.
#[derive(Clone, Copy)]
struct Read {
    consumer: &'static str,
    claims: bool,
    with_claim: bool,
    no_ack: bool,
    size_max: Option<usize>,
}

fn id(number: u64) -> String {
    format!("{number}-0")
}

fn bulk(text: impl AsRef<[u8]>) -> Frame {
    Frame::Bulk(text.as_ref().to_vec())
}

fn integer(number: usize) -> Expected<Streams> {
    Expected::Reply(Frame::Integer(i64::try_from(number).unwrap()))
}

impl Stream {
    /// What is pending, released first in their order, then the longest idle.
    fn by_idleness(&self) -> Vec<u64> {
        let mut order: Vec<_> = self
            .pending
            .iter()
            .map(|(number, pending)| (pending.owner.is_some(), pending.order, *number))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, number)| number).collect()
    }

    /// Some IDs, mostly pending ones.
    fn ids(&self, random: &mut Random) -> Vec<u64> {
        let pending: Vec<u64> = self.pending.keys().copied().collect();
        (0..=random.below(3))
            .map(|_| match pending.len() {
                0 => 1 + random.next() % (self.last + 2),
                _ if random.percent(15) => 1 + random.next() % (self.last + 2),
                many => pending[random.below(many)],
            })
            .collect()
    }

    fn entry(&self, number: u64) -> Vec<Frame> {
        let value = vec![b'v'; self.entries[&number]];
        vec![bulk(id(number)), Frame::Array(vec![bulk("f"), bulk(value)])]
    }
}

fn words(ids: &[u64]) -> String {
    let texts: Vec<String> = ids.iter().copied().map(id).collect();
    texts.join(" ")
}

impl Streams {
    fn add(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        let at = random.below(2);
        let bytes = random.pick(&[1, 1, 40, 300]);
        let stream = &mut self.streams[at];
        stream.last += 1;
        stream.entries.insert(stream.last, bytes);
        let value = "v".repeat(bytes);
        (
            format!("XADD {} {} f {value}", KEYS[at], id(stream.last)),
            Expected::Reply(bulk(id(stream.last))),
        )
    }

    fn delete_or_acknowledge(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        let at = random.below(2);
        let stream = &mut self.streams[at];
        let ids = stream.ids(random);
        if random.percent(30) {
            let gone = ids
                .iter()
                .filter(|number| stream.entries.remove(number).is_some());
            let gone = gone.count();
            return (format!("XDEL {} {}", KEYS[at], words(&ids)), integer(gone));
        }
        let gone = ids
            .iter()
            .filter(|number| stream.pending.remove(number).is_some());
        let gone = gone.count();
        (
            format!("XACK {} g {}", KEYS[at], words(&ids)),
            integer(gone),
        )
    }

    fn release(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        let at = random.below(2);
        let mode = random.pick(&["SILENT", "FAIL", "FAIL", "FATAL"]);
        let (force, exact) = (
            random.percent(20),
            random.percent(20).then(|| random.range(0, 9)),
        );
        let clock = &mut self.clock;
        let stream = &mut self.streams[at];
        let ids = stream.ids(random);
        let mut released = 0;
        for number in &ids {
            let known = stream.pending.get(number).map(|pending| pending.count);
            let count = match (known, mode, exact) {
                (None, ..) if !force || !stream.entries.contains_key(number) => continue,
                (_, _, Some(count)) => count,
                (_, "FATAL", _) => POISON,
                (None, ..) => 0,
                (Some(count), "SILENT", _) => (count - 1).max(0),
                (Some(count), ..) => count,
            };
            *clock += 1;
            let order = *clock;
            stream.pending.insert(
                *number,
                Pending {
                    owner: None,
                    count,
                    order,
                },
            );
            released += 1;
        }
        let mut line = format!("XNACK {} g {mode}", KEYS[at]);
        let mut blocks = vec![format!("IDS {} {}", ids.len(), words(&ids))];
        blocks.extend(exact.map(|count| format!("RETRYCOUNT {count}")));
        blocks.extend(force.then(|| "FORCE".to_owned()));
        random.shuffle(&mut blocks);
        for block in blocks {
            line += " ";
            line += &block;
        }
        (line, integer(released))
    }

    /// XCLAIM whatever the idle time, and XAUTOCLAIM of everything.
    fn claim(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        let (at, consumer) = (random.below(2), random.pick(CONSUMERS));
        self.clock += 1;
        let order = self.clock;
        let stream = &mut self.streams[at];
        let automatic = random.percent(20);
        let ids = match automatic {
            true => stream.pending.keys().copied().collect(),
            false => stream.ids(random),
        };
        let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
        for number in &ids {
            let Some(pending) = stream.pending.get_mut(number) else {
                continue;
            };
            if !stream.entries.contains_key(number) {
                stream.pending.remove(number);
                deleted.push(bulk(id(*number)));
                continue;
            }
            let count = pending.count.saturating_add(1);
            *pending = Pending {
                owner: Some(consumer),
                count,
                order,
            };
            claimed.push(Frame::Array(stream.entry(*number)));
        }
        if automatic {
            let reply = vec![bulk("0-0"), Frame::Array(claimed), Frame::Array(deleted)];
            let line = format!("XAUTOCLAIM {} g {consumer} 0 0 COUNT 10000", KEYS[at]);
            return (line, Expected::Reply(Frame::Array(reply)));
        }
        let line = format!("XCLAIM {} g {consumer} 0 {}", KEYS[at], words(&ids));
        (line, Expected::Reply(Frame::Array(claimed)))
    }

    fn offer(&self, at: usize, read: Read, count: usize) -> Offer {
        let stream = &self.streams[at];
        let claimed = stream.by_idleness().into_iter().filter(|number| {
            let due = read.claims || stream.pending[number].owner.is_none();
            read.with_claim && due && stream.entries.contains_key(number)
        });
        let new = stream
            .entries
            .range(stream.delivered + 1..)
            .map(|(number, _)| (*number, false));
        let entries = claimed.map(|number| (number, true)).chain(new).take(count);
        Offer {
            stream: at,
            entries: entries.collect(),
        }
    }

    /// Hands out the entries of an offer; the frame they make.
    fn deliver(&mut self, offer: &Offer, read: Read) -> Frame {
        let stream = &mut self.streams[offer.stream];
        let mut frames = Vec::new();
        for (number, claimed) in &offer.entries {
            let mut entry = stream.entry(*number);
            let before = stream
                .pending
                .get(number)
                .filter(|_| *claimed)
                .map_or(0, |pending| pending.count);
            if read.with_claim {
                // The idle time is of the clock: -1 stands for any.
                entry.push(Frame::Integer(if *claimed { -1 } else { 0 }));
                entry.push(Frame::Integer(before));
            }
            frames.push(Frame::Array(entry));
            if !claimed {
                stream.delivered = *number;
            }
            if *claimed || !read.no_ack {
                let count = before.saturating_add(1);
                let pending = Pending {
                    owner: Some(read.consumer),
                    count,
                    order: self.clock,
                };
                stream.pending.insert(*number, pending);
            }
        }
        Frame::Array(vec![bulk(KEYS[offer.stream]), Frame::Array(frames)])
    }

    fn read(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        self.clock += 1;
        let read = Read {
            consumer: random.pick(CONSUMERS),
            with_claim: random.percent(60),
            claims: random.percent(50),
            no_ack: random.percent(10),
            size_max: random.percent(30).then(|| random.pick(&[1, 50, 200, 700])),
        };
        let count = random.percent(60).then(|| 1 + random.below(4));
        let total = random.percent(40).then(|| 1 + random.below(5));
        let mut options = vec![format!("GROUP g {}", read.consumer)];
        options.extend(count.map(|count| format!("COUNT {count}")));
        options.extend(total.map(|total| format!("MAXCOUNT {total}")));
        options.extend(read.size_max.map(|bytes| format!("MAXSIZE {bytes}")));
        options.extend(read.no_ack.then(|| "NOACK".to_owned()));
        let idle_ms = if read.claims { 0 } else { 100_000_000 };
        options.extend(read.with_claim.then(|| format!("CLAIM {idle_ms}")));
        random.shuffle(&mut options);
        let streams: &[usize] = random.pick(&[&[0][..], &[1], &[0, 1], &[1, 0]]);
        let keys: Vec<&str> = streams.iter().map(|at| KEYS[*at]).collect();
        let ids = vec![">"; keys.len()];
        let line = format!(
            "XREADGROUP {} STREAMS {} {}",
            options.join(" "),
            keys.join(" "),
            ids.join(" ")
        );
        if count.zip(total).is_some_and(|(count, total)| total < count) {
            return (line, Expected::Error);
        }
        let mut left = total.unwrap_or(usize::MAX);
        let mut offers = Vec::new();
        for at in streams {
            let offer = self.offer(*at, read, count.unwrap_or(usize::MAX).min(left));
            left -= offer.entries.len();
            offers.push(offer);
        }
        let judge = move |model: &mut Self, reply: &Frame| model.judge_read(offers, read, reply);
        (line, Expected::Judged(Box::new(judge)))
    }

    /// Cuts the offers where the size limit has cut the reply, if it might, and compares.
    fn judge_read(
        &mut self,
        mut offers: Vec<Offer>,
        read: Read,
        reply: &Frame,
    ) -> Result<(), String> {
        if let Some(bytes_max) = read.size_max {
            let given: usize = reply
                .items()
                .iter()
                .map(|part| part.items()[1].items().len())
                .sum();
            let all: Vec<usize> = offers
                .iter()
                .flat_map(|offer| {
                    offer
                        .entries
                        .iter()
                        .map(|(number, _)| self.streams[offer.stream].entries[number])
                })
                .collect();
            let payload = |count: usize| all[..count].iter().sum::<usize>();
            if given > all.len() || (given == 0) != all.is_empty() {
                return Err(format!("of {} entries not {given}", all.len()));
            }
            if given > 1 && payload(given) > bytes_max {
                return Err(format!("no entry beyond {bytes_max} bytes but the first"));
            }
            // An entry takes less than 100 bytes beside its value.
            if given < all.len() && payload(given + 1) + 100 * (given + 1) < bytes_max {
                return Err(format!("one more, it fits {bytes_max} bytes"));
            }
            let mut left = given;
            for offer in &mut offers {
                offer.entries.truncate(left);
                left -= offer.entries.len();
            }
        }
        let expected: Vec<Frame> = offers
            .iter()
            .filter(|offer| !offer.entries.is_empty())
            .map(|offer| self.deliver(offer, read))
            .collect();
        let expected = match expected.is_empty() {
            true => Frame::NullArray,
            false => Frame::Array(expected),
        };
        let mut given = reply.clone();
        hide_idle_times(&mut given);
        (given == expected)
            .then_some(())
            .ok_or_else(|| expected.to_string())
    }
}

/// The idle times of claimed entries become -1.
fn hide_idle_times(reply: &mut Frame) {
    for part in reply.items_mut() {
        for entry in part
            .items_mut()
            .get_mut(1)
            .map(Frame::items_mut)
            .unwrap_or_default()
        {
            let claimed = entry
                .items()
                .get(3)
                .is_some_and(|count| *count != Frame::Integer(0));
            let idle = entry.items().get(2).map(Frame::integer);
            // A released entry may have been delivered never: its count tells nothing, its idle time does.
            if claimed || idle.is_some_and(|idle| idle != 0) {
                entry.items_mut()[2] = Frame::Integer(-1);
            }
        }
    }
}

impl Model for Streams {
    fn step(&mut self, random: &mut Random) -> (String, Expected<Self>) {
        if self.begun < KEYS.len() {
            self.begun += 1;
            let line = format!("XGROUP CREATE {} g 0 MKSTREAM", KEYS[self.begun - 1]);
            return (line, Expected::Reply(Frame::Simple(b"OK".to_vec())));
        }
        match random.below(100) {
            0..35 => self.add(random),
            35..50 => self.delete_or_acknowledge(random),
            50..65 => self.release(random),
            65..70 => self.claim(random),
            _ => self.read(random),
        }
    }

    fn state(&self) -> Vec<(String, Frame)> {
        let count = |count: usize| Frame::Integer(i64::try_from(count).unwrap());
        let mut looks = Vec::new();
        for (key, stream) in KEYS.iter().zip(&self.streams).take(self.begun) {
            let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
            for owner in stream.pending.values().filter_map(|pending| pending.owner) {
                *owners.entry(owner).or_default() += 1;
            }
            let owners = owners
                .into_iter()
                .map(|(owner, count)| Frame::Array(vec![bulk(owner), bulk(count.to_string())]));
            let edge =
                |number: Option<&u64>| number.map_or(Frame::NullBulk, |number| bulk(id(*number)));
            let owners = match stream.pending.is_empty() {
                true => Frame::NullArray,
                false => Frame::Array(owners.collect()),
            };
            looks.push((
                format!("XPENDING {key} g"),
                Frame::Array(vec![
                    count(stream.pending.len()),
                    edge(stream.pending.keys().next()),
                    edge(stream.pending.keys().next_back()),
                    owners,
                ]),
            ));
            let rows = stream.pending.iter().map(|(number, pending)| {
                Frame::Array(vec![
                    bulk(id(*number)),
                    bulk(pending.owner.unwrap_or_default()),
                    Frame::Integer(if pending.owner.is_some() { 0 } else { -1 }),
                    Frame::Integer(pending.count),
                ])
            });
            looks.push((
                format!("XPENDING {key} g - + 10000"),
                Frame::Array(rows.collect()),
            ));
        }
        looks
    }

    fn comparable(mut reply: Frame) -> Frame {
        for row in reply.items_mut() {
            if let Some(Frame::Integer(idle)) = row.items_mut().get_mut(2) {
                *idle = (*idle).min(0);
            }
        }
        reply
    }
}
