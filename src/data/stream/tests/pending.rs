//! Pending entries against a naive twin: a map, and a list for the queue of what was released.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::{LIMITS, id};
use crate::data::steps;

/// IDs are `ms-0` below this.
const SPAN: u64 = 2_500;
/// Where most deliveries lie behind, Unix ms.
const NOW: u64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Assign {
        ms: u64,
        consumer: usize,
        at_ms: u64,
        count: u64,
    },
    Run {
        from: u64,
        length: u64,
        consumer: usize,
        at_ms: u64,
    },
    Redeliver {
        ms: u64,
        at_ms: u64,
    },
    Release {
        from: u64,
        length: u64,
        count: u64,
    },
    Claim {
        most: usize,
        latest_ms: u64,
        consumer: usize,
        at_ms: u64,
    },
    ClaimIdle {
        from: u64,
        length: Option<u64>,
        most: usize,
        idle_min_ms: u64,
        consumer: usize,
        at_ms: u64,
        counts: bool,
    },
    Acknowledge {
        from: u64,
        length: u64,
    },
    DeleteConsumer {
        consumer: usize,
    },
    RemoveRange {
        from: u64,
        length: u64,
    },
    DeleteEntries {
        from: u64,
        length: u64,
    },
    Trim {
        to: u64,
    },
    /// Everything leaves the log, it goes back, and the same IDs come again.
    Rewind,
    SkipPlaces,
    Share,
}

fn step() -> impl Strategy<Value = Step> {
    let count = || {
        prop_oneof![
            0..9u64,
            Just(DELIVERY_COUNT_MAX),
            Just(u64::from(u32::MAX)),
            Just(u64::from(u32::MAX) - 1)
        ]
    };
    // Also long before and long after our days.
    let time = || {
        prop_oneof![
            20 => NOW..NOW + 1_000,
            1 => 0..1_000u64,
            1 => (NOW * 2)..(NOW * 2 + 1_000),
        ]
    };
    prop_oneof![
        4 => (0..SPAN, 0..4usize, time(), count())
            .prop_map(|(ms, consumer, at_ms, count)| Step::Assign { ms, consumer, at_ms, count }),
        3 => (0..SPAN, 1..800u64, 0..4usize, time())
            .prop_map(|(from, length, consumer, at_ms)| Step::Run { from, length, consumer, at_ms }),
        2 => (0..SPAN, time()).prop_map(|(ms, at_ms)| Step::Redeliver { ms, at_ms }),
        3 => (0..SPAN, prop_oneof![1..4u64, 1..400u64], count())
            .prop_map(|(from, length, count)| Step::Release { from, length, count }),
        3 => (1..200usize, time(), 0..4usize, time())
            .prop_map(|(most, latest_ms, consumer, at_ms)| Step::Claim { most, latest_ms, consumer, at_ms }),
        4 => (
            (0..SPAN, prop_oneof![Just(None), (1..900u64).prop_map(Some)], 1..300usize),
            (prop_oneof![Just(0u64), 0..1_100u64], 0..4usize, time(), any::<bool>()),
        )
            .prop_map(|((from, length, most), (idle_min_ms, consumer, at_ms, counts))| {
                Step::ClaimIdle { from, length, most, idle_min_ms, consumer, at_ms, counts }
            }),
        3 => (0..SPAN, prop_oneof![Just(1u64), 1..900u64])
            .prop_map(|(from, length)| Step::Acknowledge { from, length }),
        1 => (0..4usize).prop_map(|consumer| Step::DeleteConsumer { consumer }),
        1 => (0..SPAN, 0..1_500u64).prop_map(|(from, length)| Step::RemoveRange { from, length }),
        2 => (0..SPAN, prop_oneof![1..3u64, 1..600u64])
            .prop_map(|(from, length)| Step::DeleteEntries { from, length }),
        1 => (0..SPAN / 2).prop_map(|to| Step::Trim { to }),
        1 => Just(Step::Rewind),
        1 => Just(Step::SkipPlaces),
        1 => Just(Step::Share),
    ]
}

/// Owner, time of delivery, deliveries.
type ModelEntry = (Option<usize>, u64, u64);

#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<StreamId, ModelEntry>,
    /// Released, the first in front.
    queue: Vec<StreamId>,
}

impl Model {
    fn set(&mut self, id: StreamId, entry: ModelEntry) -> Option<ModelEntry> {
        self.queue.retain(|other| *other != id);
        if entry.0.is_none() {
            self.queue.push(id);
        }
        self.entries.insert(id, entry)
    }

    fn remove(&mut self, id: StreamId) -> Option<ModelEntry> {
        self.queue.retain(|other| *other != id);
        self.entries.remove(&id)
    }

    /// The entries claimed, and whether each has one delivery more.
    fn claim_idle(&mut self, claim: &IdleClaim, consumer: usize) -> Vec<(StreamId, bool)> {
        let (now_ms, idle_min_ms) = (claim.now_ms, claim.idle_min_ms);
        let is_idle = |e: &ModelEntry| {
            e.0.is_none() || idle_min_ms == 0 || (e.1 <= now_ms && now_ms - e.1 >= idle_min_ms)
        };
        let found = self
            .entries
            .range(claim.from..)
            .filter(|(id, e)| claim.end.is_none_or(|end| **id < end) && is_idle(e));
        let found: Vec<StreamId> = found.map(|(id, _)| *id).take(claim.most).collect();
        let mut claimed = Vec::new();
        for id in found {
            let before = self.entries[&id].2;
            let more = u64::from(claim.counts);
            let count = (before + more).min(DELIVERY_COUNT_MAX);
            self.set(id, (Some(consumer), now_ms, count));
            claimed.push((id, count > before));
        }
        claimed
    }

    fn claimable(&self, log: &Log, latest_ms: u64) -> Vec<StreamId> {
        let mut owned: Vec<(u64, StreamId)> = self
            .entries
            .iter()
            .filter(|(_, e)| e.0.is_some() && e.1 <= latest_ms)
            .map(|(id, e)| (e.1, *id))
            .collect();
        owned.sort_unstable();
        let all = self
            .queue
            .iter()
            .copied()
            .chain(owned.into_iter().map(|(_, id)| id));
        all.filter(|id| log.contains(*id)).collect()
    }
}

fn name(consumer: usize) -> [u8; 2] {
    [b'c', b'0' + consumer as u8]
}

fn index(group: &mut Group, consumer: usize) -> ConsumerIndex {
    match group.find_consumer(&name(consumer)) {
        Some(index) => index,
        None => group.create_consumer(&name(consumer), 0).unwrap(),
    }
}

fn filled(from: u64) -> Log {
    let mut log = Log::default();
    fill(&mut log, from);
    log
}

fn fill(log: &mut Log, from: u64) {
    let fields = [(b"f".as_slice(), b"v".as_slice())];
    for ms in from.max(1)..SPAN {
        log.append(id(ms, 0), fields.iter().copied(), LIMITS)
            .unwrap();
    }
}

fn open(group: &Group, entry: PendingEntry) -> (StreamId, (Vec<u8>, u64, u64)) {
    let d = entry.delivery;
    (
        entry.id,
        (
            group.owner_name(&d).to_vec(),
            d.delivered_ms,
            d.delivery_count,
        ),
    )
}

fn shown(entry: &ModelEntry) -> (Vec<u8>, u64, u64) {
    let name = entry
        .0
        .map_or(Vec::new(), |consumer| name(consumer).to_vec());
    (name, entry.1, entry.2)
}

fn compare(group: &mut Group, log: &Log, model: &Model, probe: u64) {
    let latest_ms = NOW + probe % 1_100;
    let mut claimable = Vec::new();
    group.for_each_claimable(log, Some(latest_ms), |pending, entry| {
        assert_eq!(pending.id, entry.id);
        claimable.push(pending.id);
        true
    });
    assert_eq!(claimable, model.claimable(log, latest_ms));
    let oldest = model
        .claimable(log, u64::MAX)
        .first()
        .map(|id| model.entries[id].1);
    assert_eq!(group.oldest_claimable_ms(log), oldest);

    let pending = group.pending();
    assert_eq!(pending.len(), model.entries.len());
    assert_eq!(pending.released_count(), model.queue.len());
    let queue: Vec<_> = pending.released_in_order().iter().map(|e| e.id).collect();
    assert_eq!(queue, model.queue);
    let owned = model.entries.values().filter(|e| e.0.is_some());
    assert_eq!(pending.oldest_delivery_ms(), owned.map(|e| e.1).min());
    let named = |(id, e): (&StreamId, &ModelEntry)| (*id, shown(e));
    let all: Vec<_> = pending
        .iter_from(StreamId::MIN)
        .map(|e| open(group, e))
        .collect();
    assert_eq!(all, model.entries.iter().map(named).collect::<Vec<_>>());
    let from = id(probe % SPAN, 0);
    let some: Vec<_> = pending
        .iter_from(from)
        .take(90)
        .map(|e| open(group, e))
        .collect();
    let expected: Vec<_> = model.entries.range(from..).take(90).map(named).collect();
    assert_eq!(some, expected);
    assert_eq!(pending.rank(from), model.entries.range(..from).count());
    let rank = probe as usize % (model.entries.len() + 2);
    assert_eq!(
        pending.id_at_rank(rank),
        model.entries.keys().nth(rank).copied()
    );
    assert_eq!(pending.first_id(), model.entries.keys().next().copied());
    assert_eq!(pending.last_id(), model.entries.keys().next_back().copied());
    for (now, idle) in questions(probe) {
        let next = pending.next_idle(from, now, idle).map(|e| e.id);
        let matches =
            |e: &ModelEntry| e.0.is_none() || idle == 0 || (e.1 <= now && now - e.1 >= idle);
        let expected = model.entries.range(from..).find(|(_, e)| matches(e));
        assert_eq!(next, expected.map(|(id, _)| *id));
    }
    for (index, consumer) in group.consumers() {
        let number = usize::from(consumer.name()[1] - b'0');
        let own = model.entries.iter().filter(|(_, e)| e.0 == Some(number));
        let own: Vec<_> = own.map(|(id, _)| *id).collect();
        for (now, idle) in questions(probe) {
            let next = pending.next_idle_of(index, from, now, idle).map(|e| e.id);
            let mut after = own.iter().filter(|id| **id >= from);
            let at_ms = |id: &StreamId| model.entries[id].1;
            let expected =
                after.find(|id| idle == 0 || (at_ms(id) <= now && now - at_ms(id) >= idle));
            assert_eq!(next, expected.copied());
        }
        assert_eq!(pending.len_of(index), own.len());
        assert_eq!(
            pending.ids_of(index, StreamId::MIN).collect::<Vec<_>>(),
            own
        );
        let after: Vec<_> = own.iter().copied().filter(|i| *i >= from).collect();
        let found: Vec<_> = pending.iter_of(index, from).map(|e| e.id).collect();
        assert_eq!(found, after);
    }
}

/// Now, and for how long idle.
fn questions(probe: u64) -> [(u64, u64); 4] {
    let idle = probe % 1_100;
    [
        (NOW + 1_000, idle),
        (NOW + 1_000, NOW + idle),
        (3, 5),
        (3 * NOW, NOW + idle),
    ]
}

/// Runs a step on both; what each gives is compared.
fn run(step: &Step, group: &mut Group, log: &mut Log, model: &mut Model) {
    match *step {
        Step::Assign {
            ms,
            consumer,
            at_ms,
            count,
        } => {
            let delivery = Delivery {
                consumer: Some(index(group, consumer)),
                delivered_ms: at_ms,
                delivery_count: count,
            };
            let before = group.pending_mut().assign(id(ms, 0), delivery);
            let expected = model.set(id(ms, 0), (Some(consumer), at_ms, count));
            assert_eq!(
                before.map(|e| open(group, e).1),
                expected.as_ref().map(shown)
            );
        }
        Step::Run {
            from,
            length,
            consumer,
            at_ms,
        } => {
            let consumer_index = index(group, consumer);
            let ids: Vec<StreamId> = (from..from + length).map(|ms| id(ms, 0)).collect();
            group.deliver(&ids, consumer_index, at_ms);
            for id in ids {
                model.set(id, (Some(consumer), at_ms, 1));
            }
        }
        Step::Redeliver { ms, at_ms } => {
            let after = group.pending_mut().redeliver(id(ms, 0), at_ms);
            let entry = model.entries.get_mut(&id(ms, 0)).filter(|e| e.0.is_some());
            let expected = entry.map(|e| {
                *e = (e.0, at_ms, (e.2 + 1).min(DELIVERY_COUNT_MAX));
                e.2
            });
            assert_eq!(after.map(|d| d.delivery_count), expected);
        }
        Step::ClaimIdle {
            from,
            length,
            most,
            idle_min_ms,
            consumer,
            at_ms,
            counts,
        } => {
            let claim = IdleClaim {
                from: id(from, 0),
                end: length.map(|length| id(from + length, 0)),
                most,
                idle_min_ms,
                consumer: index(group, consumer),
                now_ms: at_ms,
                counts,
            };
            let redeliveries = group.pending().redeliveries();
            let claimed = group.pending_mut().claim_idle(&claim);
            let expected = model.claim_idle(&claim, consumer);
            let counted = group.pending().redeliveries() - redeliveries;
            assert_eq!(
                counted,
                expected.iter().filter(|(_, more)| *more).count() as u64
            );
            let claimed: Vec<_> = claimed.into_iter().map(|e| open(group, e)).collect();
            let now = |(id, _): &(StreamId, bool)| (*id, shown(&model.entries[id]));
            assert_eq!(claimed, expected.iter().map(now).collect::<Vec<_>>());
        }
        Step::Release {
            from,
            length,
            count,
        } => {
            for ms in from..from + length {
                let delivery = Delivery {
                    consumer: None,
                    delivered_ms: 0,
                    delivery_count: count,
                };
                group.pending_mut().assign(id(ms, 0), delivery);
                model.set(id(ms, 0), (None, 0, count));
            }
        }
        Step::Claim {
            most,
            latest_ms,
            consumer,
            at_ms,
        } => {
            let mut found = Vec::new();
            group.for_each_claimable(log, Some(latest_ms), |pending, _| {
                found.push(*pending);
                found.len() < most
            });
            let ids: Vec<_> = found.iter().map(|e| e.id).collect();
            let expected = model.claimable(log, latest_ms);
            assert_eq!(ids, expected[..expected.len().min(most)]);
            let consumer_index = index(group, consumer);
            for entry in found {
                let delivery = Delivery {
                    consumer: Some(consumer_index),
                    delivered_ms: at_ms,
                    delivery_count: entry.delivery.next_count(),
                };
                group.pending_mut().assign(entry.id, delivery);
                model.set(entry.id, (Some(consumer), at_ms, delivery.delivery_count));
            }
        }
        Step::Acknowledge { from, length } => {
            for ms in from..from + length {
                let was = group.acknowledge(id(ms, 0)).is_some();
                assert_eq!(was, model.remove(id(ms, 0)).is_some());
            }
        }
        Step::DeleteConsumer { consumer } => {
            let gone = group.delete_consumer(&name(consumer)).unwrap_or(0);
            let before = model.entries.len();
            model.entries.retain(|_, e| e.0 != Some(consumer));
            assert_eq!(gone, before - model.entries.len());
        }
        Step::RemoveRange { from, length } => {
            let range = id(from, 0)..=id(from + length, 0);
            let pending = group.pending_mut();
            let removed = pending.remove_range(*range.start(), *range.end());
            let expected: Vec<_> = model.entries.range(range).map(|(id, _)| *id).collect();
            for id in &expected {
                model.remove(*id);
            }
            assert_eq!(removed, expected);
        }
        Step::DeleteEntries { from, length } => {
            for ms in from..from + length {
                log.delete(id(ms, 0));
            }
        }
        Step::Trim { to } => trim(log, TrimTo::MinId(id(to, 0))),
        Step::Rewind => {
            trim(log, TrimTo::MaxLength(0));
            log.set_last_id(StreamId::MIN);
            fill(log, 1);
        }
        Step::SkipPlaces => group.pending_mut().skip_places(u32::MAX - 9),
        Step::Share => {}
    }
}

fn trim(log: &mut Log, to: TrimTo) {
    log.trim(&TrimOptions {
        to,
        approximate: false,
        limit: 0,
    });
}

proptest! {
    #![proptest_config(crate::property::cases(24))]

    #[test]
    fn pending_entries_do_what_a_map_does(
        steps in proptest::collection::vec((step(), any::<u64>()), 1..60),
    ) {
        let mut group = Group::new(StreamId::MIN, None);
        let mut log = filled(1);
        let mut model = Model::default();
        let mut shares: Vec<(Group, Log, Model)> = Vec::new();
        for (step, probe) in steps {
            run(&step, &mut group, &mut log, &mut model);
            if matches!(step, Step::Share) {
                shares.push((group.clone(), log.clone(), model.clone()));
            }
            compare(&mut group, &log, &model, probe);
        }
        for (group, log, model) in &mut shares {
            compare(group, log, model, 77);
        }
    }
}

fn many(count: u64) -> Group {
    let mut group = Group::new(StreamId::MIN, None);
    let consumers: Vec<_> = (0..4).map(|n| index(&mut group, n)).collect();
    for n in 0..count {
        let id = id(1_700_000_000_000 + n / 7, n % 7);
        group.deliver(&[id], consumers[(n / 10 % 4) as usize], 5);
    }
    group
}

#[test]
fn a_pending_entry_takes_at_most_56_bytes() {
    let bytes = many(300_000).heap_bytes() as f64 / 300_000.0;
    assert!(bytes <= 56.0, "{bytes} bytes");
}

#[test]
fn a_released_entry_takes_at_most_56_bytes() {
    let mut group = many(300_000);
    let ids: Vec<_> = group
        .pending()
        .iter_from(StreamId::MIN)
        .map(|e| e.id)
        .collect();
    for id in ids {
        let delivery = Delivery {
            consumer: None,
            delivered_ms: 0,
            delivery_count: 1,
        };
        group.pending_mut().assign(id, delivery);
    }
    assert_eq!(group.pending().released_count(), 300_000);
    let bytes = group.heap_bytes() as f64 / 300_000.0;
    assert!(bytes <= 56.0, "{bytes} bytes");
}

#[test]
fn entries_deleted_in_the_middle_cost_one_claim_and_none_after_it() {
    let mut log = filled(1);
    let mut group = Group::new(StreamId::MIN, None);
    let consumer = index(&mut group, 0);
    for ms in 1..SPAN {
        group.deliver(&[id(ms, 0)], consumer, 5);
    }
    for ms in 2..SPAN {
        log.delete(id(ms, 0));
    }
    group.deliver(&[id(1, 0)], consumer, 900);
    let mut steps_of_claim = || {
        steps::take();
        group.for_each_claimable(&log, Some(100), |_, _| panic!("there is none"));
        steps::take()
    };
    let first = steps_of_claim();
    assert!(first > SPAN, "{first} steps");
    let second = steps_of_claim();
    assert!(second < 10, "{second} steps");
}
