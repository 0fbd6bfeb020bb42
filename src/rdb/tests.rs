#![allow(clippy::unwrap_used, reason = "tests")]
//! Values of every type and form there and back, by payload and by file; and bytes that are none.

use proptest::prelude::*;

use super::payload::{dump, has_valid_footer, restore};
use super::probe::{facts, limits};
use super::read::{Item, Reader, Trouble};
use super::write::{Entry, Writer};
use super::*;
use crate::data::ends::EndingElements;
use crate::data::hash::{Hash, OldEnd};
use crate::data::list::{End, List};
use crate::data::set::Set;
use crate::data::sorted_set::SortedSet;
use crate::data::stream::{BlockLimits, Delivery, Group, Stream, StreamId};
use crate::keyspace::value::{StringValue, Value};

const NOW_MS: u64 = 1_700_000_000_000;

const OPTIONS: Options = Options {
    version: Version::V11,
    compress: true,
    checksum: true,
};

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..30_i64).prop_map(|value| value.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        1 => (any::<i32>(), 0_u32..31).prop_map(|(value, shift)| (value >> shift).to_string().into_bytes()),
        3 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 0_usize..300).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(text(), 1..20)
}

/// A group that has read so far, with entries that are pending: ID, consumer or nobody, deliveries.
fn group_of(read: u64, pending: Vec<(u64, u8, u64)>, entry_count: u64) -> Group {
    let mut group = Group::new(
        StreamId { ms: 5, seq: read },
        Some(read).filter(|n| n % 2 == 0),
    );
    // Only what was in the log once can be pending.
    let pending = pending.into_iter().filter(|(seq, ..)| *seq <= entry_count);
    for (seq, consumer, count) in pending {
        let consumer = match consumer {
            0 => None,
            other => {
                let name = [b'a' + other];
                let found = group.find_consumer(&name);
                found.or_else(|| group.create_consumer(&name, NOW_MS - 7))
            }
        };
        let delivery = Delivery {
            consumer,
            delivered_ms: consumer.map_or(0, |_| NOW_MS - seq),
            delivery_count: count,
        };
        group
            .pending_mut()
            .assign(StreamId { ms: 5, seq }, delivery);
    }
    group
}

fn stream() -> impl Strategy<Value = Value> {
    let group = (
        0_u64..12,
        proptest::collection::vec((1_u64..12, 0_u8..4, 0_u64..5), 0..12),
    );
    (
        proptest::collection::vec((text(), text(), any::<bool>()), 0..12),
        proptest::collection::vec(1_u64..12, 0..4),
        proptest::collection::vec(group, 0..3),
        proptest::collection::vec((text(), text(), 1_u64..12), 0..4),
    )
        .prop_map(|(entries, gone, groups, messages)| {
            let mut stream = Stream::new(Window::default());
            let blocks = BlockLimits {
                bytes_max: 4096,
                entries_max: 4,
            };
            for (at, (name, value, same)) in entries.iter().enumerate() {
                let name: &[u8] = if *same { b"name" } else { name };
                let fields = [(name, value.as_slice())];
                let id = StreamId {
                    ms: 5,
                    seq: at as u64 + 1,
                };
                stream
                    .log_mut()
                    .append(id, fields.into_iter(), blocks)
                    .unwrap();
            }
            for seq in gone {
                stream.log_mut().delete(StreamId { ms: 5, seq });
            }
            for (number, (read, pending)) in groups.into_iter().enumerate() {
                let group = group_of(read, pending, entries.len() as u64);
                stream.create_group(&[b'g', number as u8], group);
            }
            let messages = messages
                .into_iter()
                .filter(|(.., seq)| *seq <= entries.len() as u64);
            for (producer, message, seq) in messages {
                let id = StreamId { ms: 5, seq };
                stream
                    .idempotency_mut()
                    .record(&producer, &message, id, NOW_MS - 1);
            }
            Value::Stream(Box::new(stream))
        })
}

fn value() -> impl Strategy<Value = Value> {
    let ends = || proptest::collection::vec(proptest::option::of(1..99_u64), 1..20);
    prop_oneof![
        text().prop_map(|text| Value::String(StringValue::new(&text))),
        texts().prop_map(|texts| {
            let (mut list, limits) = (List::new(), limits().list);
            for text in texts {
                list.before_adding(text.len(), 1, &limits);
                list.push(End::Back, &text, &limits);
            }
            Value::List(list)
        }),
        (texts(), ends()).prop_map(|(texts, ends)| {
            let mut set = Set::for_member(&texts[0], texts.len(), &limits().set);
            for text in &texts {
                set.add(text, &limits().set);
            }
            for (text, end) in texts.iter().zip(ends).filter(|_| texts.len() % 2 == 0) {
                set.set_end(text, end.map(|ms| NOW_MS + ms));
            }
            Value::Set(set)
        }),
        (texts(), ends()).prop_map(|(texts, ends)| {
            let mut hash = Hash::new();
            for text in &texts {
                hash.set(text, &texts[0], OldEnd::Keep, &limits().hash);
            }
            for (text, end) in texts.iter().zip(ends).filter(|_| texts.len() % 2 == 0) {
                hash.set_end(text, end.map(|ms| NOW_MS + ms));
            }
            Value::Hash(hash)
        }),
        (texts(), proptest::collection::vec(-5.0_f64..5.0, 20)).prop_map(|(texts, scores)| {
            let limits = limits().sorted_set;
            let mut set = SortedSet::for_members(texts.len(), texts[0].len(), &limits);
            for (text, score) in texts.iter().zip(scores) {
                let score = if text.len() % 2 == 0 {
                    // No -0: a small set made of a large one has 0, as in Redis.
                    score.round() + 0.0
                } else {
                    score
                };
                set.put(text, &limits, |_| Some(score));
            }
            Value::SortedSet(set)
        }),
        stream(),
    ]
}

fn file(values: &[Value], options: Options) -> Vec<u8> {
    let mut writer = Writer::new(options, Vec::new()).unwrap();
    writer.aux(b"redis-ver", b"7.2.0").unwrap();
    writer.select(3).unwrap();
    writer.resize(values.len() as u64, 1).unwrap();
    for (at, value) in values.iter().enumerate() {
        let key = at.to_string();
        let entry = Entry {
            key: key.as_bytes(),
            value,
            expire_ms: Some(NOW_MS + at as u64).filter(|_| at % 2 == 1),
            idle_s: Some(at as u64).filter(|_| at % 3 == 1),
            frequency: Some(at as u8).filter(|_| at % 3 == 2),
        };
        writer.entry(&entry, NOW_MS).unwrap();
    }
    writer.functions(b"#!lua name=x").unwrap();
    writer.finish().unwrap()
}

/// Gives few bytes at a time.
struct Trickle<'b>(&'b [u8]);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = into.len().min(7).min(self.0.len());
        let (given, rest) = self.0.split_at(count);
        into[..count].copy_from_slice(given);
        self.0 = rest;
        Ok(count)
    }
}

fn read_all(bytes: &[u8]) -> Result<Vec<Value>, read::ReadError> {
    let mut reader = Reader::new(Trickle(bytes), true)?;
    let mut values = Vec::new();
    while let Some(item) = reader.next_item()? {
        if let Item::Entry(raw) = item {
            values.push(raw.decode(&limits(), NOW_MS)?);
        }
    }
    Ok(values)
}

proptest! {
    #![proptest_config(crate::property::cases(300))]
    #[test]
    fn a_payload_restores_to_the_same_value_and_the_same_payload(value in value(), old in any::<bool>(), compress in any::<bool>()) {
        let version = if old { Version::V10 } else { Version::V11 };
        let payload = dump(b"key", &value, version, compress, NOW_MS);
        prop_assert!(has_valid_footer(&payload, false));
        let restored = restore(&payload, &limits(), NOW_MS).unwrap();
        // One that was large once is made small again, as in Redis, where -0 is 0.
        let shrinks = value.encoding() == "skiplist" && restored.encoding() == "listpack";
        if shrinks {
            return Ok(());
        }
        if old && let Value::Stream(_) = value {
            // It does not hold since when consumers are active.
        } else {
            prop_assert_eq!(facts(&restored), facts(&value));
        }
        if version == Version::V11 && !matches!(value, Value::Hash(Hash::Timed(_) | Hash::Large(_)) | Value::Set(_)) {
            prop_assert_eq!(dump(b"key", &restored, version, compress, NOW_MS), payload);
        }
        // There small sets with texts are written as sets of any size; and a hash may have room for ends without having any.
        let is_timed = matches!(value, Value::Hash(Hash::Timed(_)));
        if !(is_timed || old && matches!(value, Value::Set(_))) {
            prop_assert_eq!(restored.encoding(), value.encoding());
        }
    }

    #[test]
    fn a_file_gives_back_what_was_written(values in proptest::collection::vec(value(), 0..6), compress in any::<bool>()) {
        let options = Options { compress, ..OPTIONS };
        let read = read_all(&file(&values, options)).unwrap();
        prop_assert_eq!(read.iter().map(facts).collect::<Vec<_>>(), values.iter().map(facts).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_file_is_refused(values in proptest::collection::vec(value(), 0..3), at in any::<proptest::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = file(&values, OPTIONS);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let mut zeros = [0; 8];
        zeros.copy_from_slice(&bytes[bytes.len() - 8..]);
        prop_assert!(read_all(&bytes).is_err() || zeros == [0; 8] || at < 9);
    }

    #[test]
    fn a_file_that_ends_early_is_refused(values in proptest::collection::vec(value(), 0..3), at in any::<proptest::sample::Index>()) {
        let bytes = file(&values, OPTIONS);
        prop_assert!(read_all(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_damaged_payload_is_refused_or_a_value_like_any_other(value in value(), flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)) {
        let mut payload = dump(b"key", &value, Version::V11, false, NOW_MS);
        for (at, byte) in flips {
            let at = at.index(payload.len() - 10);
            payload[at] = byte;
        }
        if let Ok(value) = restore(&payload, &limits(), NOW_MS) {
            let again = dump(b"key", &value, Version::V11, true, NOW_MS);
            let restored = restore(&again, &limits(), NOW_MS).unwrap();
            prop_assert_eq!(facts(&restored), facts(&value));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_a_value_like_any_other(type_code in 0_u8..26, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(value) = decode(type_code, &bytes, &limits()) {
            let again = dump(b"key", &value, Version::V11, true, NOW_MS);
            prop_assert_eq!(facts(&restore(&again, &limits(), NOW_MS).unwrap()), facts(&value));
        }
    }
}

#[test]
fn the_checksum_is_that_of_redis() {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Redis, b"123456789");
    assert_eq!(sum, 0xe9c6_d914_c4b8_d9ca);
    // Of many bytes as of few: a bit at a time.
    let bytes: Vec<u8> = (0..9000_u32).map(|n| ((n * n) >> 3) as u8).collect();
    let mut naive = 0_u64;
    for byte in &bytes {
        naive ^= u64::from(*byte);
        for _ in 0..8 {
            let low = naive & 1;
            naive = (naive >> 1) ^ (low * 0xad93_d235_94c9_35a9_u64.reverse_bits());
        }
    }
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Redis, &bytes);
    assert_eq!(sum, naive);
}

#[test]
fn the_reader_knows_where_a_file_ended() {
    let mut bytes = file(&[Value::String(StringValue::new(b"text"))], OPTIONS);
    let length = bytes.len() as u64;
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let mut reader = Reader::new(bytes.as_slice(), true).unwrap();
    while reader.next_item().unwrap().is_some() {}
    assert_eq!(reader.offset(), length);
}

#[test]
fn what_is_not_known_is_named_with_key_type_and_place() {
    let mut bytes = b"REDIS0011\xfa\x03abc\x01d\x07\x03key".to_vec();
    bytes.extend_from_slice(&[0x81, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    let error = read_all(&bytes).unwrap_err();
    assert!(matches!(error.trouble, Trouble::Unknown(_)));
    assert_eq!(
        error.to_string(),
        "at byte 30, key \"key\" of type 7: a value of the module type AAAAAAAAA cannot be read here"
    );
    let error = read_all(b"REDIS00x1").unwrap_err().to_string();
    assert_eq!(
        error,
        "at byte 9: the RDB version \"00x1\" cannot be read here"
    );
    let error = read_all(b"*1\r\n$4\r\nPING").unwrap_err().to_string();
    assert_eq!(error, "at byte 9: this is no RDB file");
}
