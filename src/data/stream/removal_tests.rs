//! Removals under each reference policy against a naive twin, and against their own repetition in plain terms.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

mod model;
use model::Model;

const LIMITS: BlockLimits = BlockLimits {
    bytes_max: 1 << 20,
    entries_max: 4,
};

fn id(n: u64) -> StreamId {
    StreamId { ms: n, seq: 0 }
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Create {
        group: u8,
        at: u64,
    },
    Drop {
        group: u8,
    },
    Deliver {
        group: u8,
        count: usize,
    },
    Acknowledge {
        group: u8,
        pick: usize,
    },
    AcknowledgeRun {
        group: u8,
        count: usize,
    },
    Delete {
        pick: u64,
        policy: ReferencePolicy,
    },
    AcknowledgeAndDelete {
        group: u8,
        pick: usize,
        policy: ReferencePolicy,
    },
    DeleteConsumer {
        group: u8,
    },
    GoBack {
        group: u8,
        to: u64,
    },
    SetLastId,
    Trim(TrimOptions, ReferencePolicy),
}

fn policy() -> impl Strategy<Value = ReferencePolicy> {
    prop_oneof![
        1 => Just(ReferencePolicy::Keep),
        2 => Just(ReferencePolicy::Delete),
        3 => Just(ReferencePolicy::Acknowledged),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let group = || 0..3u8;
    let to = prop_oneof![
        (0..20u64).prop_map(TrimTo::MaxLength),
        (0..90u64).prop_map(|n| TrimTo::MinId(id(n))),
    ];
    let limit = prop_oneof![3 => Just(0u64), 1 => 1..20u64];
    let options = (to, any::<bool>(), limit).prop_map(|(to, approximate, limit)| TrimOptions {
        to,
        approximate,
        limit: if approximate { limit } else { 0 },
    });
    prop_oneof![
        6 => (1..6u64).prop_map(Step::Append),
        2 => (group(), 0..60u64).prop_map(|(group, at)| Step::Create { group, at }),
        1 => group().prop_map(|group| Step::Drop { group }),
        6 => (group(), 1..12usize).prop_map(|(group, count)| Step::Deliver { group, count }),
        4 => (group(), any::<usize>()).prop_map(|(group, pick)| Step::Acknowledge { group, pick }),
        2 => (0..90u64, policy()).prop_map(|(pick, policy)| Step::Delete { pick, policy }),
        3 => (group(), any::<usize>(), policy())
            .prop_map(|(group, pick, policy)| Step::AcknowledgeAndDelete { group, pick, policy }),
        1 => group().prop_map(|group| Step::DeleteConsumer { group }),
        1 => (group(), 0..60u64).prop_map(|(group, to)| Step::GoBack { group, to }),
        1 => Just(Step::SetLastId),
        6 => (options, policy()).prop_map(|(options, policy)| Step::Trim(options, policy)),
    ]
}

/// What a removal says it took, done in plain terms.
fn repeat(stream: &mut Stream, removed: &Removed) {
    if let Some(to) = removed.trim {
        stream.log_mut().trim(&TrimOptions {
            to,
            approximate: false,
            limit: 0,
        });
    }
    for id in &removed.deleted {
        assert!(stream.log_mut().delete(*id));
    }
    for (name, ids) in &removed.references {
        let (group, _) = stream.group_mut(name).unwrap();
        ids.iter()
            .for_each(|id| assert!(group.acknowledge(*id).is_some()));
    }
}

fn state(stream: &Stream) -> String {
    let log = stream.log();
    let blocks: Vec<_> = log.blocks().collect();
    let groups: Vec<_> = stream
        .groups()
        .map(|(name, group)| {
            let pending = group.pending().iter_from(StreamId::MIN);
            (name.to_vec(), pending.map(|e| e.id).collect::<Vec<_>>())
        })
        .collect();
    let facts = (
        log.len(),
        log.first_id(),
        log.last_id(),
        log.max_deleted_id(),
        log.entries_added(),
    );
    format!("{facts:?} {groups:?} {blocks:?}")
}

fn compare(stream: &Stream, model: &Model) {
    let all = stream.log().range(StreamId::MIN, StreamId::MAX);
    assert_eq!(all.map(|e| e.id.ms).collect::<Vec<_>>(), model.live());
    for (name, group) in stream.groups() {
        let pending: BTreeSet<u64> = group
            .pending()
            .iter_from(StreamId::MIN)
            .map(|e| e.id.ms)
            .collect();
        assert_eq!(pending, model.groups[name].1);
    }
    for n in 0..=model.last + 1 {
        let stays = stream.log().surely_keeps(id(n));
        assert!(!stays || n == 0 || n > model.last || model.live().contains(&n));
    }
}

fn pending_of(model: &Model, group: &[u8], pick: usize) -> Option<u64> {
    let pending = &model.groups.get(group)?.1;
    pending.iter().nth(pick % pending.len().max(1)).copied()
}

/// Does the steps to both; each must leave the same, and so must the repetition of what a removal took.
fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut stream, mut model) = (Stream::default(), Model::default());
    for step in steps {
        let mut again = stream.clone();
        let mut removed = Removed::default();
        match step {
            Step::Append(count) => {
                for _ in 0..count {
                    model.append();
                    let fields = [(b"f".as_slice(), b"v".as_slice())];
                    stream
                        .log_mut()
                        .append(id(model.last), fields.into_iter(), LIMITS)
                        .unwrap();
                    again = stream.clone();
                }
            }
            Step::Create { group, at } => {
                if stream.create_group(&[group], Group::new(id(at), None)) {
                    model.groups.insert(vec![group], (at, BTreeSet::new()));
                }
                again = stream.clone();
            }
            Step::Drop { group } => {
                stream.remove_group(&[group]);
                model.groups.remove([group].as_slice());
                again = stream.clone();
            }
            Step::Deliver { group, count } => {
                let live = model.live();
                if let Some((last, pending)) = model.groups.get_mut([group].as_slice()) {
                    let (group, _) = stream.group_mut(&[group]).unwrap();
                    let consumer = group
                        .find_consumer(b"c")
                        .or_else(|| group.create_consumer(b"c", 0))
                        .unwrap();
                    for n in live
                        .into_iter()
                        .filter(|n| *n > *last)
                        .take(count)
                        .collect::<Vec<_>>()
                    {
                        group.deliver(&[id(n)], consumer, 0);
                        group.last_delivered = id(n);
                        pending.insert(n);
                        *last = n;
                    }
                }
                again = stream.clone();
            }
            Step::DeleteConsumer { group } => {
                if let Some((_, pending)) = model.groups.get_mut([group].as_slice()) {
                    let (group, _) = stream.group_mut(&[group]).unwrap();
                    prop_assert_eq!(group.delete_consumer(b"c").unwrap_or(0), pending.len());
                    pending.clear();
                }
                again = stream.clone();
            }
            Step::GoBack { group, to } => {
                if let Some((last, _)) = model.groups.get_mut([group].as_slice()) {
                    stream.group_mut(&[group]).unwrap().0.last_delivered = id(to);
                    *last = to;
                }
                again = stream.clone();
            }
            Step::SetLastId => {
                // Only an empty stream may go back.
                if model.live().is_empty() {
                    model.last /= 2;
                    stream.set_last_id(id(model.last));
                }
                again = stream.clone();
            }
            Step::Acknowledge { group, pick } => {
                if let Some(n) = pending_of(&model, &[group], pick) {
                    prop_assert!(
                        stream
                            .group_mut(&[group])
                            .unwrap()
                            .0
                            .acknowledge(id(n))
                            .is_some()
                    );
                    model
                        .groups
                        .get_mut([group].as_slice())
                        .unwrap()
                        .1
                        .remove(&n);
                }
                again = stream.clone();
            }
            Step::AcknowledgeRun { group, count } => {
                if let Some((_, pending)) = model.groups.get_mut([group].as_slice()) {
                    for n in pending.iter().copied().take(count).collect::<Vec<_>>() {
                        let (group, _) = stream.group_mut(&[group]).unwrap();
                        prop_assert!(group.acknowledge(id(n)).is_some());
                        pending.remove(&n);
                    }
                }
                again = stream.clone();
            }
            Step::Delete { pick, policy } => {
                let fate = stream.delete(id(pick), policy, &mut removed);
                prop_assert_eq!(fate, model.delete(pick, policy));
            }
            Step::AcknowledgeAndDelete {
                group,
                pick,
                policy,
            } => {
                let n = pending_of(&model, &[group], pick).unwrap_or(1_000);
                let fate = stream.acknowledge_and_delete(&[group], id(n), policy, &mut removed);
                if n == 1_000 {
                    prop_assert_eq!(fate, Fate::Missing);
                } else {
                    model
                        .groups
                        .get_mut([group].as_slice())
                        .unwrap()
                        .1
                        .remove(&n);
                    let deleted = model.delete(n, policy);
                    prop_assert_eq!(fate == Fate::Needed, deleted == Fate::Needed);
                }
            }
            Step::Trim(options, policy) => {
                let before = stream.log().len();
                removed = stream.trim(&options, policy);
                prop_assert_eq!(removed.trimmed, model.trim(&options, policy));
                prop_assert_eq!(before - stream.log().len(), removed.trimmed);
                if let TrimTo::MaxLength(most) = options.to {
                    prop_assert!(removed.trimmed == 0 || stream.log().len() >= most);
                }
                if removed.trimmed == 0 && policy == ReferencePolicy::Keep {
                    // It may have dropped a block without entries, as in Redis, and there is nothing to repeat.
                    again = stream.clone();
                }
            }
        }
        compare(&stream, &model);
        repeat(&mut again, &removed);
        prop_assert_eq!(state(&stream), state(&again));
    }
    Ok(())
}

/// Groups that read and acknowledge in spells, and trims that spare what they need: what one has found out, the next one
/// relies on.
fn spell() -> impl Strategy<Value = Step> {
    let group = || 0..2u8;
    let to = prop_oneof![
        3 => (0..12u64).prop_map(TrimTo::MaxLength),
        1 => (0..60u64).prop_map(|n| TrimTo::MinId(id(n))),
    ];
    let trim = (to, any::<bool>()).prop_map(|(to, approximate)| TrimOptions {
        to,
        approximate,
        limit: 0,
    });
    let sparing = trim.prop_map(|options| Step::Trim(options, ReferencePolicy::Acknowledged));
    let plain = (8..20u64).prop_map(|n| {
        let options = TrimOptions {
            to: TrimTo::MaxLength(n),
            approximate: false,
            limit: 0,
        };
        Step::Trim(options, ReferencePolicy::Keep)
    });
    prop_oneof![
        12 => (1..6u64).prop_map(Step::Append),
        2 => group().prop_map(|group| Step::Create { group, at: 0 }),
        1 => group().prop_map(|group| Step::Drop { group }),
        12 => (group(), 1..12usize).prop_map(|(group, count)| Step::Deliver { group, count }),
        6 => (group(), any::<usize>()).prop_map(|(group, pick)| Step::Acknowledge { group, pick }),
        3 => (group(), 5..30usize).prop_map(|(group, count)| Step::AcknowledgeRun { group, count }),
        2 => group().prop_map(|group| Step::DeleteConsumer { group }),
        6 => (0..60u64).prop_map(|pick| Step::Delete { pick, policy: ReferencePolicy::Keep }),
        1 => plain,
        14 => sparing,
    ]
}

proptest! {
    #![proptest_config(crate::property::cases(1_000))]

    #[test]
    fn each_policy_takes_what_it_says(steps in proptest::collection::vec(step(), 1..90)) {
        run(steps)?;
    }

    #[test]
    fn a_trim_finds_what_was_released_since_the_last(steps in proptest::collection::vec(spell(), 10..80)) {
        run(steps)?;
    }
}

fn kept(to: TrimTo, approximate: bool) -> Step {
    let options = TrimOptions {
        to,
        approximate,
        limit: 0,
    };
    Step::Trim(options, ReferencePolicy::Keep)
}

#[test]
fn a_block_emptied_by_an_exact_trim_is_filled_up() {
    // Redis counts the block of 16 and 17 among those that the last trim may take.
    let steps = vec![
        Step::Append(15),
        kept(TrimTo::MinId(id(16)), false),
        Step::Append(2),
        Step::Create { group: 2, at: 0 },
        Step::Deliver { group: 2, count: 2 },
        Step::AcknowledgeAndDelete {
            group: 2,
            pick: 1,
            policy: ReferencePolicy::Keep,
        },
        kept(TrimTo::MinId(id(17)), false),
        Step::Append(3),
        kept(TrimTo::MaxLength(1), true),
    ];
    run(steps).unwrap();
}

#[test]
fn a_trim_takes_what_is_acknowledged_behind_what_is_not() {
    let mut stream = Stream::default();
    for n in 1..=12 {
        let fields = [(b"f".as_slice(), b"v".as_slice())];
        let log = stream.log_mut();
        log.append(id(n), fields.into_iter(), LIMITS).unwrap();
    }
    stream.create_group(b"g", Group::new(id(10), None));
    let (group, _) = stream.group_mut(b"g").unwrap();
    let consumer = group.create_consumer(b"c", 0).unwrap();
    group.deliver(&[id(2)], consumer, 0);
    let all = |approximate| TrimOptions {
        to: TrimTo::MaxLength(0),
        approximate,
        limit: 0,
    };
    let removed = stream.trim(&all(true), ReferencePolicy::Acknowledged);
    assert_eq!(removed.deleted, [3, 4, 5, 6, 7, 8, 9, 10].map(id));
    assert_eq!(removed.trimmed, 9);
    assert_eq!(removed.trim, Some(TrimTo::MinId(id(2))));
    assert_eq!(stream.log().len(), 3);
}

#[test]
fn without_groups_nothing_is_needed() {
    let mut stream = Stream::default();
    let fields = [(b"f".as_slice(), b"v".as_slice())];
    let log = stream.log_mut();
    log.append(id(1), fields.into_iter(), LIMITS).unwrap();
    let fate = stream.delete(
        id(1),
        ReferencePolicy::Acknowledged,
        &mut Removed::default(),
    );
    assert_eq!(fate, Fate::Deleted);
}

/// Tells a trim that everything is needed, and counts how many blocks it asks about.
struct AllNeeded {
    settled: StreamId,
    released: Vec<StreamId>,
    asked: std::cell::Cell<usize>,
}

impl trim::Needs for AllNeeded {
    fn until(&self) -> StreamId {
        StreamId::MAX
    }

    fn settled(&self) -> StreamId {
        self.settled
    }

    fn released_from(&self, from: StreamId) -> Option<StreamId> {
        self.released.iter().copied().find(|id| *id >= from)
    }

    fn pinned(&self, first: StreamId, last: StreamId) -> Vec<StreamId> {
        self.asked.set(self.asked.get() + 1);
        (first.ms..=last.ms).map(id).collect()
    }
}

#[test]
fn a_trim_looks_only_at_what_may_have_changed() {
    let mut log = Log::default();
    let append = |log: &mut Log, n| {
        let fields = [(b"f".as_slice(), b"v".as_slice())];
        log.append(id(n), fields.into_iter(), LIMITS).unwrap();
    };
    (1..=4_000).for_each(|n| append(&mut log, n));
    for approximate in [false, true] {
        let options = TrimOptions {
            to: TrimTo::MaxLength(10),
            approximate,
            limit: 0,
        };
        let mut needs = AllNeeded {
            settled: StreamId::MIN,
            released: Vec::new(),
            asked: std::cell::Cell::default(),
        };
        let mut asked = |log: &mut Log, released: &[u64]| {
            needs.asked.set(0);
            needs.released = released.iter().copied().map(id).collect();
            let taken = log.trim_unneeded(&options, &needs);
            assert_eq!(taken.count, 0);
            needs.settled = needs.settled.max(taken.examined);
            needs.asked.get()
        };
        let blocks = log.block_count();
        assert_eq!(asked(&mut log, &[]), blocks);
        assert_eq!(asked(&mut log, &[]), 1, "where it had ended");
        assert_eq!(asked(&mut log, &[17, 18, 19, 2_000]), 3);
        let last = log.last_id().ms;
        append(&mut log, last + 1);
        assert!(asked(&mut log, &[]) <= 2);
    }
}

#[test]
fn a_trim_may_drop_a_block_whose_entries_were_deleted_before() {
    let steps = vec![
        Step::Append(4),
        Step::Create { group: 1, at: 0 },
        Step::Deliver { group: 1, count: 4 },
        Step::AcknowledgeAndDelete {
            group: 1,
            pick: 3,
            policy: ReferencePolicy::Keep,
        },
        Step::Append(2),
        kept(TrimTo::MinId(id(4)), false),
        kept(TrimTo::MaxLength(1), true),
    ];
    run(steps).unwrap();
}
