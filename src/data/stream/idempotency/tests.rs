//! What is known of producers' messages, against a list that is searched from end to end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn id(n: u64) -> StreamId {
    StreamId { ms: n, seq: 0 }
}

/// Every record ever made since the window was last set.
#[derive(Clone, Default)]
struct Model {
    window: Window,
    records: Vec<(Vec<u8>, Vec<u8>, u64, u64)>,
}

impl Model {
    /// The records that are known: not too old, and of each producer the newest.
    fn known(&self, now_ms: u64) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
        let mut known = Vec::new();
        for (at, (producer, message, n, recorded_ms)) in self.records.iter().enumerate() {
            let newer = self.records[at + 1..]
                .iter()
                .filter(|other| other.0 == *producer)
                .count();
            let age_ms = now_ms - recorded_ms;
            if newer < self.window.size_max as usize
                && age_ms < u64::from(self.window.duration_s) * 1000
            {
                known.push((producer.clone(), message.clone(), *n));
            }
        }
        known
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add { producer: u8, message: u8 },
    Pass { ms: u64 },
    Window { duration_s: u32, size_max: u32 },
    Share,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..4u8, 0..12u8).prop_map(|(producer, message)| Step::Add { producer, message }),
        6 => prop_oneof![0..900u64, 0..9_000u64].prop_map(|ms| Step::Pass { ms }),
        1 => (1..6u32, 1..6u32)
            .prop_map(|(duration_s, size_max)| Step::Window { duration_s, size_max }),
        1 => Just(Step::Share),
    ]
}

fn compare(tables: &Idempotency, model: &Model, now_ms: u64) {
    let known = model.known(now_ms);
    let producers: BTreeSet<&[u8]> = known.iter().map(|record| &*record.0).collect();
    let tracked = Tracked {
        producers: producers.len(),
        messages: known.len(),
    };
    assert_eq!(tables.tracked(now_ms), tracked);
    for producer in 0..4u8 {
        for message in 0..12u8 {
            let expected = known.iter().find(|r| r.0 == [producer] && r.1 == [message]);
            let found = tables.find(&[producer], &[message], now_ms);
            assert_eq!(found, expected.map(|record| id(record.2)));
        }
    }
}

proptest! {
    #![proptest_config(crate::property::cases(200))]

    #[test]
    fn messages_are_known_as_long_as_a_list_says(steps in proptest::collection::vec(step(), 1..120)) {
        let mut tables = Idempotency::new(Window { duration_s: 3, size_max: 4 });
        let mut model = Model { window: tables.window(), records: Vec::new() };
        let mut shares: Vec<(Idempotency, Model)> = Vec::new();
        let (mut now_ms, mut added) = (1_000_000, 0);
        for step in steps {
            match step {
                Step::Add { producer, message } => {
                    if tables.find(&[producer], &[message], now_ms).is_none() {
                        added += 1;
                        tables.record(&[producer], &[message], id(added), now_ms);
                        model.records.push((vec![producer], vec![message], added, now_ms));
                        // Who has nothing that is known takes no room.
                        let names = tables.records(0).map(|record| record.0).collect::<BTreeSet<_>>();
                        prop_assert_eq!(names.len(), tables.tracked(now_ms).producers);
                    }
                }
                Step::Pass { ms } => now_ms += ms,
                Step::Window { duration_s, size_max } => {
                    let window = Window { duration_s, size_max };
                    prop_assert_eq!(tables.set_window(window), window != model.window);
                    if window != model.window {
                        model = Model { window, records: Vec::new() };
                    }
                }
                Step::Share => shares.push((tables.clone(), model.clone())),
            }
            prop_assert_eq!(tables.added(), added);
            compare(&tables, &model, now_ms);
        }
        for (tables, model) in &shares {
            compare(tables, model, now_ms);
        }
    }
}

#[test]
fn producers_that_are_heard_no_more_do_not_stay() {
    let mut tables = Idempotency::default();
    for n in 0..50_000u64 {
        tables.record(&n.to_le_bytes(), b"message", id(n), n * 100);
    }
    // A hundred seconds of ten a second.
    assert_eq!(tables.records(0).count(), 1_000);
    assert_eq!(tables.part_count(), 2_000);
    assert!(
        tables.heap_bytes() < 1_000 * 1_000,
        "{}",
        tables.heap_bytes()
    );
    tables.end_producers(u64::MAX, usize::MAX);
    assert_eq!(tables.heap_bytes(), 0);
    assert_eq!(tables.added(), 50_000);
}

#[test]
fn a_clock_that_goes_back_makes_nothing_unknown() {
    let mut tables = Idempotency::default();
    tables.record(b"p", b"one", id(1), 500_000);
    tables.record(b"p", b"two", id(2), 100);
    assert_eq!(tables.find(b"p", b"one", 599_999), Some(id(1)));
    assert_eq!(tables.find(b"p", b"two", 599_999), Some(id(2)));
    assert_eq!(tables.find(b"p", b"one", 600_000), None);
    assert_eq!(tables.tracked(600_000), Tracked::default());
    tables.record(b"p", b"one", id(3), 600_000);
    assert_eq!(tables.find(b"p", b"one", 600_000), Some(id(3)));
    assert_eq!(tables.records(0).count(), 1);
}

#[test]
fn a_record_supersedes_what_was_known_of_its_message() {
    let mut tables = Idempotency::new(Window {
        duration_s: 100,
        size_max: 3,
    });
    for (n, message) in [(1, b"a"), (2, b"b"), (3, b"a"), (4, b"c")] {
        tables.record(b"p", message, id(n), n);
    }
    let known: Vec<_> = tables
        .records(5)
        .map(|(_, message, id)| (message[0], id.ms))
        .collect();
    assert_eq!(known, [(b'b', 2), (b'a', 3), (b'c', 4)]);
    assert_eq!(
        tables.tracked(5),
        Tracked {
            producers: 1,
            messages: 3
        }
    );
    tables.record(b"p", b"d", id(5), 5);
    assert_eq!(tables.find(b"p", b"a", 5), Some(id(3)));
    assert_eq!(tables.find(b"p", b"b", 5), None);
}

#[test]
fn a_known_message_of_36_bytes_takes_at_most_200_bytes() {
    let mut tables = Idempotency::new(Window {
        duration_s: 100,
        size_max: 10_000,
    });
    for n in 0..10_000u64 {
        tables.record(b"producer", format!("{n:036}").as_bytes(), id(n), 1);
    }
    let bytes = tables.heap_bytes() / 10_000;
    assert!(bytes <= 200, "{bytes} bytes");
}
