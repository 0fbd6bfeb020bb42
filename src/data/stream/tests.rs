//! The structures of a stream against naive twins, driven by random lists of operations.
#![allow(clippy::unwrap_used, reason = "tests")]

mod pending;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::data::listpack::Listpack;

type Fields1 = Vec<(Vec<u8>, Vec<u8>)>;

const LIMITS: BlockLimits = BlockLimits {
    bytes_max: 1 << 20,
    entries_max: 5,
};

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

fn pairs(fields: &Fields1) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    fields.iter().map(|(f, v)| (f.as_slice(), v.as_slice()))
}

fn owned(entry: &Entry<'_>) -> (StreamId, Fields1) {
    let fields = entry
        .fields
        .clone()
        .map(|(f, v)| (f.to_vec(), v.to_vec()))
        .collect();
    (entry.id, fields)
}

/// A log as lists of lists: every rule written down once more, without any bytes.
#[derive(Default, Clone)]
struct ModelLog {
    blocks: Vec<Vec<(StreamId, Fields1, bool)>>,
    last: StreamId,
    max_deleted: StreamId,
    added: u64,
}

impl ModelLog {
    fn live(&self) -> BTreeMap<StreamId, Fields1> {
        self.blocks
            .iter()
            .flatten()
            .filter(|e| e.2)
            .map(|e| (e.0, e.1.clone()))
            .collect()
    }

    fn append(&mut self, id: StreamId, fields: Fields1) -> bool {
        if id <= self.last {
            return false;
        }
        if self
            .blocks
            .last()
            .is_none_or(|b| b.len() as u64 >= LIMITS.entries_max)
        {
            self.blocks.push(Vec::new());
        }
        self.blocks.last_mut().unwrap().push((id, fields, true));
        self.last = id;
        self.added += 1;
        true
    }

    fn delete(&mut self, id: StreamId) -> bool {
        for at in 0..self.blocks.len() {
            let block = &mut self.blocks[at];
            if let Some(entry) = block.iter_mut().find(|e| e.0 == id && e.2) {
                entry.2 = false;
                if block.iter().all(|e| !e.2) {
                    self.blocks.remove(at);
                }
                self.max_deleted = self.max_deleted.max(id);
                return true;
            }
        }
        false
    }

    fn trim(&mut self, options: &TrimOptions) -> u64 {
        let mut removed = 0;
        while let Some(block) = self.blocks.first() {
            let length = self.live().len() as u64;
            let live = block.iter().filter(|e| e.2).count() as u64;
            let whole = match options.to {
                TrimTo::MaxLength(max) => {
                    if length <= max {
                        break;
                    }
                    length - live >= max
                }
                TrimTo::MinId(min) => block.last().unwrap().0 < min,
            };
            if options.limit > 0 && removed + live > options.limit {
                break;
            }
            if whole {
                self.blocks.remove(0);
                removed += live;
                continue;
            }
            if !options.approximate {
                let mut length = length;
                for entry in &mut self.blocks[0] {
                    let stop = match options.to {
                        TrimTo::MaxLength(max) => length <= max,
                        TrimTo::MinId(min) => entry.0 >= min,
                    };
                    if stop {
                        break;
                    }
                    if entry.2 {
                        entry.2 = false;
                        length -= 1;
                        removed += 1;
                    }
                }
            }
            break;
        }
        removed
    }
}

#[derive(Clone, Debug)]
enum LogStep {
    Append {
        ms_ahead: u64,
        seq: u64,
        fields: Fields1,
    },
    Delete {
        pick: usize,
    },
    Trim {
        to: TrimTo,
        approximate: bool,
        limit: u64,
    },
    Share,
}

fn field_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"f".to_vec()),
        Just(b"g".to_vec()),
        Just(b"12".to_vec()),
        Just(b"-129".to_vec()),
        Just(b"007".to_vec()),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

fn log_step() -> impl Strategy<Value = LogStep> {
    let fields = proptest::collection::vec((field_text(), field_text()), 1..4);
    let same = field_text().prop_map(|v| vec![(b"f".to_vec(), v)]);
    let fields = prop_oneof![2 => same, 1 => fields];
    let to = prop_oneof![
        (0u64..30).prop_map(TrimTo::MaxLength),
        (0u64..300).prop_map(|ms| TrimTo::MinId(id(ms, 1))),
    ];
    prop_oneof![
        12 => (0u64..3, 0u64..4, fields)
            .prop_map(|(ms_ahead, seq, fields)| LogStep::Append { ms_ahead, seq, fields }),
        4 => any::<usize>().prop_map(|pick| LogStep::Delete { pick }),
        1 => (to, any::<bool>(), prop_oneof![Just(0u64), 1u64..20])
            .prop_map(|(to, approximate, limit)| LogStep::Trim { to, approximate, limit }),
        1 => Just(LogStep::Share),
    ]
}

fn compare(log: &Log, model: &ModelLog) {
    let live = model.live();
    assert_eq!(log.len(), live.len() as u64);
    assert_eq!(log.last_id(), model.last);
    assert_eq!(log.max_deleted_id(), model.max_deleted);
    assert_eq!(log.entries_added(), model.added);
    assert_eq!(log.block_count(), model.blocks.len());
    let first = live.keys().next().copied().unwrap_or_default();
    assert_eq!(log.first_id(), first);
    assert_eq!(log.last_entry_id(), live.keys().next_back().copied());
    let all: Vec<_> = log
        .range(StreamId::MIN, StreamId::MAX)
        .map(|e| owned(&e))
        .collect();
    let expected: Vec<_> = live.clone().into_iter().collect();
    assert_eq!(all, expected);
    let mut back: Vec<_> = log
        .range_reverse(StreamId::MIN, StreamId::MAX)
        .map(|e| owned(&e))
        .collect();
    back.reverse();
    assert_eq!(back, expected);
    for (block, model) in log.blocks().zip(&model.blocks) {
        let listpack = Listpack::from_bytes(block.1.to_vec()).unwrap();
        let counts: Vec<_> = listpack.iter().take(2).map(|e| e.as_integer()).collect();
        let live = model.iter().filter(|e| e.2).count() as i64;
        let deleted = model.len() as i64 - live;
        assert_eq!(counts, [Some(live), Some(deleted)]);
        assert_eq!(block.0, model[0].0);
    }
}

fn compare_ranges(log: &Log, model: &ModelLog) {
    let live = model.live();
    let mut marks: Vec<StreamId> = model.blocks.iter().flatten().map(|e| e.0).collect();
    marks.extend([StreamId::MIN, StreamId::MAX, id(3, 2)]);
    for (n, &start) in marks.iter().enumerate().step_by(3) {
        let end = marks[(n * 7 + 5) % marks.len()];
        let expected: Vec<_> = live
            .keys()
            .copied()
            .filter(|i| (start..=end).contains(i))
            .collect();
        let found: Vec<_> = log.range(start, end).map(|e| e.id).collect();
        assert_eq!(found, expected);
        let mut back: Vec<_> = log.range_reverse(start, end).map(|e| e.id).collect();
        back.reverse();
        assert_eq!(back, expected);
        assert_eq!(
            log.live_after(start),
            live.keys().filter(|i| **i > start).count() as u64
        );
        assert_eq!(log.contains(start), live.contains_key(&start));
        let was_entry = model.blocks.iter().flatten().any(|e| e.0 == start);
        assert!(!(was_entry && log.surely_keeps(start)) || live.contains_key(&start));
    }
}

proptest! {
    #![proptest_config(crate::property::cases(100))]

    #[test]
    fn a_log_does_what_lists_of_entries_do(steps in proptest::collection::vec(log_step(), 1..70)) {
        let mut log = Log::default();
        let mut model = ModelLog::default();
        let mut shares: Vec<(Log, ModelLog)> = Vec::new();
        for step in steps {
            match step {
                LogStep::Append { ms_ahead, seq, fields } => {
                    let id = id(model.last.ms + ms_ahead, seq);
                    let appended = log.append(id, pairs(&fields), LIMITS);
                    let expected = model.append(id, fields);
                    prop_assert_eq!(appended.is_ok(), expected);
                }
                LogStep::Delete { pick } => {
                    let ids: Vec<_> = model.blocks.iter().flatten().map(|e| e.0).collect();
                    let id = if ids.is_empty() { id(1, 1) } else { ids[pick % ids.len()] };
                    prop_assert_eq!(log.delete(id), model.delete(id));
                }
                LogStep::Trim { to, approximate, limit } => {
                    let options = TrimOptions { to, approximate, limit };
                    prop_assert_eq!(log.trim(&options), model.trim(&options));
                }
                LogStep::Share => shares.push((log.clone(), model.clone())),
            }
            compare(&log, &model);
        }
        compare_ranges(&log, &model);
        for (log, model) in &shares {
            compare(log, model);
        }
    }
}

#[test]
fn blocks_grow_past_the_small_counters_and_stay_valid() {
    let limits = BlockLimits {
        bytes_max: 0,
        entries_max: 0,
    };
    let mut log = Log::default();
    for n in 1..=70_000u64 {
        let value = n.to_string();
        let fields = [(b"field".as_slice(), value.as_bytes())];
        log.append(id(n * 1_000_003, n), fields.iter().copied(), limits)
            .unwrap();
    }
    assert_eq!(log.block_count(), 1);
    let to = TrimTo::MaxLength(35_100);
    let options = TrimOptions {
        to,
        approximate: false,
        limit: 0,
    };
    assert_eq!(log.trim(&options), 34_900);
    for n in 34_901..=35_000u64 {
        assert!(log.delete(id(n * 1_000_003, n)));
    }
    assert_eq!(log.len(), 35_000);
    let (_, bytes) = log.blocks().next().unwrap();
    let listpack = Listpack::from_bytes(bytes.to_vec()).unwrap();
    assert_eq!(listpack.iter().next().unwrap().as_integer(), Some(35_000));
    assert_eq!(
        log.range_reverse(StreamId::MIN, StreamId::MAX).count(),
        35_000
    );
}

#[test]
fn ids_move_on_when_the_clock_does_not() {
    let mut log = Log::default();
    let fields = [(b"f".as_slice(), b"v".as_slice())];
    let append = |log: &mut Log, id| log.append(id, fields.iter().copied(), LIMITS);
    assert_eq!(
        append(&mut log, StreamId::MIN),
        Err(AppendError::IdNotGreater)
    );
    assert_eq!(log.next_id(5), Some(id(5, 0)));
    append(&mut log, id(10, u64::MAX)).unwrap();
    assert_eq!(log.next_id(5), Some(id(11, 0)));
    assert_eq!(log.next_id_within(10), Err(AppendError::IdNotGreater));
    assert_eq!(log.next_id_within(9), Err(AppendError::IdNotGreater));
    assert_eq!(log.next_id_within(11), Ok(id(11, 0)));
    append(&mut log, StreamId::MAX).unwrap();
    assert_eq!(log.next_id(u64::MAX), None);
    assert_eq!(append(&mut log, StreamId::MAX), Err(AppendError::Exhausted));
}

#[test]
fn a_hundred_byte_entry_takes_about_112_bytes() {
    let mut log = Log::default();
    let value = [b'x'; 99];
    let fields = [(b"f".as_slice(), value.as_slice())];
    for n in 0..100_000u64 {
        let id = id(1_700_000_000_000 + n / 700, n % 700);
        log.append(id, fields.iter().copied(), BlockLimits::default())
            .unwrap();
    }
    let bytes = log.heap_bytes() as f64 / 100_000.0;
    assert!(bytes < 112.5, "{bytes} bytes");
}

#[test]
fn the_lag_is_known_where_redis_knows_it() {
    let mut stream = Stream::default();
    assert!(stream.create_group(b"g", Group::new(StreamId::MIN, None)));
    assert!(!stream.create_group(b"g", Group::new(StreamId::MIN, None)));
    let lag = |stream: &Stream| stream.group(b"g").unwrap().lag(stream.log());
    assert_eq!(lag(&stream), Some(0));
    for n in 1..=5 {
        let fields = [(b"f".as_slice(), b"v".as_slice())];
        stream
            .log_mut()
            .append(id(n, 0), fields.iter().copied(), LIMITS)
            .unwrap();
    }
    assert_eq!(lag(&stream), Some(5));
    let (group, log) = stream.group_mut(b"g").unwrap();
    group.advance(id(1, 0), log);
    group.advance(id(2, 0), log);
    assert_eq!(group.entries_read, Some(2));
    assert_eq!(lag(&stream), Some(3));
    // A tombstone ahead: unknown until the group has passed it.
    assert!(stream.log_mut().delete(id(4, 0)));
    assert_eq!(lag(&stream), None);
    let (group, log) = stream.group_mut(b"g").unwrap();
    group.advance(id(3, 0), log);
    assert_eq!(group.entries_read, None);
    group.advance(id(5, 0), log);
    assert_eq!(lag(&stream), Some(0));
    assert_eq!(stream.log().live_after(id(2, 0)), 2);
}
