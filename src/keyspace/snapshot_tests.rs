//! What a snapshot gives is what was there at its cut, whatever happens to keys and databases meanwhile.

use std::collections::BTreeMap;

use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;

use super::*;
use crate::ids::ShardId;

const DATABASES: usize = 3;

/// Database and key with value and expiry.
type Contents = BTreeMap<(usize, Vec<u8>), (i64, Option<u64>)>;

#[derive(Clone, Debug)]
enum Step {
    Set(usize, u16, i64),
    Change(usize, u16),
    SetMany(usize, u16, u16),
    Remove(usize, u16),
    RemoveMany(usize, u16, u16),
    Move(usize, u16, usize, u16),
    EndAt(usize, u16, Option<u64>),
    Due(u64),
    Flush(usize),
    Clear,
    Swap(usize, usize),
    Walk(usize),
    Begin,
    Abort,
}

fn step() -> impl Strategy<Value = Step> {
    let db = || 0..DATABASES;
    let key = || 0..3000_u16;
    let end = prop::option::of(1..3000_u64);
    prop_oneof![
        8 => (db(), key(), any::<i64>()).prop_map(|(db, key, value)| Step::Set(db, key, value)),
        8 => (db(), key()).prop_map(|(db, key)| Step::Change(db, key)),
        3 => (db(), key(), 1..2000_u16).prop_map(|(db, from, n)| Step::SetMany(db, from, n)),
        8 => (db(), key()).prop_map(|(db, key)| Step::Remove(db, key)),
        2 => (db(), key(), 1..2000_u16).prop_map(|(db, from, n)| Step::RemoveMany(db, from, n)),
        4 => (db(), key(), db(), key()).prop_map(|(a, from, b, to)| Step::Move(a, from, b, to)),
        6 => (db(), key(), end).prop_map(|(db, key, at)| Step::EndAt(db, key, at)),
        2 => (0..3000_u64).prop_map(Step::Due),
        1 => db().prop_map(Step::Flush),
        1 => Just(Step::Clear),
        2 => (db(), db()).prop_map(|(a, b)| Step::Swap(a, b)),
        16 => (1..900_usize).prop_map(Step::Walk),
        2 => Just(Step::Begin),
        1 => Just(Step::Abort),
    ]
}

fn name(key: u16) -> Vec<u8> {
    format!("key:{key}").into_bytes()
}

fn set(keyspace: &mut Keyspace, db: usize, key: u16, value: i64) {
    let key = name(key);
    let mut handle = keyspace.write(db, &key, 0);
    handle.insert(Value::String(StringValue::Integer(value)));
    handle.covered();
}

fn change(keyspace: &mut Keyspace, db: usize, key: u16) {
    let key = name(key);
    let mut handle = keyspace.write(db, &key, 0);
    if let Some(Value::String(StringValue::Integer(value))) = handle.value_mut() {
        *value = value.wrapping_add(1);
    }
    handle.covered();
}

fn remove(keyspace: &mut Keyspace, db: usize, key: u16) {
    let key = name(key);
    let mut handle = keyspace.write(db, &key, 0);
    handle.remove();
    handle.covered();
}

fn end_at(keyspace: &mut Keyspace, db: usize, key: u16, at: Option<u64>) {
    let key = name(key);
    let mut handle = keyspace.write(db, &key, 0);
    handle.set_expiry(at);
    handle.covered();
}

/// What RENAME and MOVE do.
fn move_key(keyspace: &mut Keyspace, from: (usize, u16), to: (usize, u16)) {
    if from == to {
        return;
    }
    let (source, target) = (name(from.1), name(to.1));
    let mut handle = keyspace.write(from.0, &source, 0);
    let entry = handle.take();
    handle.covered();
    drop(handle);
    if let Some(entry) = entry {
        let mut handle = keyspace.write(to.0, &target, 0);
        let expiry = entry.expiry();
        handle.insert(entry.value);
        handle.set_expiry(expiry);
        handle.covered();
    }
}

fn integer(entry: &Entry) -> i64 {
    match entry.value {
        Value::String(StringValue::Integer(value)) => value,
        ref other => unreachable!("{other:?}"),
    }
}

fn contents(keyspace: &Keyspace) -> Contents {
    let mut all = Contents::new();
    for db in 0..DATABASES {
        for entry in keyspace.database(db).table().iter() {
            let value = (integer(entry), entry.expiry());
            all.insert((db, entry.key.to_vec()), value);
        }
    }
    all
}

/// A keyspace with what its snapshot has given and is to give.
struct Twin {
    keyspace: Keyspace,
    wanted: Option<Contents>,
    given: Vec<SnapshotEntry>,
}

impl Twin {
    fn new() -> Self {
        Self {
            keyspace: Keyspace::new(ShardId(0), DATABASES, DefaultHashBuilder::default()),
            wanted: None,
            given: Vec::new(),
        }
    }

    fn begin(&mut self) {
        let counts = self.keyspace.begin_snapshot();
        for (db, counts) in counts.iter().enumerate() {
            let database = self.keyspace.database(db);
            assert_eq!(counts.keys, database.table().len());
            assert_eq!(counts.expiring, database.expiring_count());
        }
        self.wanted = Some(contents(&self.keyspace));
        self.given.clear();
    }

    fn walk(&mut self, budget: usize) {
        let before = self.given.len();
        let progress = self.keyspace.step_snapshot(budget, &mut self.given);
        assert!(
            self.given.len() - before <= budget,
            "more than was asked for"
        );
        if progress == Progress::Going {
            assert!(self.keyspace.has_snapshot() && self.wanted.is_some());
            return;
        }
        assert!(!self.keyspace.has_snapshot());
        assert_eq!(self.keyspace.snapshot_bytes(), 0);
        let mut given = Contents::new();
        for SnapshotEntry { db, entry, .. } in self.given.drain(..) {
            let twice = given.insert((db, entry.key.to_vec()), (integer(&entry), entry.expiry()));
            assert!(twice.is_none(), "{:?} was given twice", entry.key);
        }
        if let Some(wanted) = self.wanted.take() {
            assert!(given == wanted, "{:?}", first_difference(&given, &wanted));
        }
    }

    fn take(&mut self, step: &Step) {
        let keyspace = &mut self.keyspace;
        match *step {
            Step::Set(db, key, value) => set(keyspace, db, key, value),
            Step::Change(db, key) => change(keyspace, db, key),
            Step::SetMany(db, from, n) => {
                (from..from + n).for_each(|key| set(keyspace, db, key, 1))
            }
            Step::Remove(db, key) => remove(keyspace, db, key),
            Step::RemoveMany(db, from, n) => {
                (from..from + n).for_each(|key| remove(keyspace, db, key))
            }
            Step::Move(a, from, b, to) => move_key(keyspace, (a, from), (b, to)),
            Step::EndAt(db, key, at) => end_at(keyspace, db, key, at),
            Step::Due(now_ms) => {
                keyspace.expire_due(now_ms, 500);
            }
            Step::Flush(db) => keyspace.flush(db),
            Step::Clear => keyspace.clear(),
            Step::Swap(a, b) => keyspace.swap(a, b, 0),
            Step::Walk(budget) => self.walk(budget),
            Step::Begin => self.begin(),
            Step::Abort => {
                keyspace.abort_snapshot();
                self.wanted = None;
                self.given.clear();
            }
        }
    }
}

type Key = (usize, Vec<u8>);

fn first_difference(given: &Contents, wanted: &Contents) -> Option<(Key, String)> {
    let keys = given.keys().chain(wanted.keys());
    let mut differ = keys.filter(|key| given.get(key) != wanted.get(key));
    differ.next().map(|key| {
        let what = format!("{:?} for {:?}", given.get(key), wanted.get(key));
        (key.clone(), what)
    })
}

proptest! {
    #![proptest_config(crate::property::cases(300))]
    #[test]
    fn a_snapshot_gives_what_was_there_at_its_cut(
        before in prop::collection::vec((0..DATABASES, 0..3000_u16, 1..3000_u16), 0..3),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut twin = Twin::new();
        for (db, from, n) in before {
            twin.take(&Step::SetMany(db, from, n));
        }
        twin.begin();
        for step in &steps {
            twin.take(step);
        }
        while twin.wanted.is_some() {
            twin.walk(100);
        }
    }
}

#[test]
fn a_table_taken_over_leaves_when_it_is_walked_or_not_needed_any_more() {
    for is_aborted in [false, true] {
        let mut twin = Twin::new();
        twin.take(&Step::SetMany(0, 0, 1000));
        twin.begin();
        twin.walk(10);
        twin.take(&Step::Flush(0));
        twin.take(&Step::SetMany(0, 0, 500));
        assert!(!twin.keyspace.has_discards());
        if is_aborted {
            twin.take(&Step::Abort);
        }
        while twin.wanted.is_some() {
            twin.walk(100);
        }
        assert_eq!(twin.keyspace.take_discards().len(), 1);
    }
}

#[test]
fn what_shares_retain_is_counted_until_they_are_given() {
    let mut twin = Twin::new();
    twin.take(&Step::SetMany(0, 0, 1000));
    twin.begin();
    (0..1000).for_each(|key| change(&mut twin.keyspace, 0, key));
    let bytes = twin.keyspace.snapshot_bytes();
    assert!((64_000..100_000).contains(&bytes), "{bytes}");
    // A second change of the same keys keeps nothing more.
    (0..1000).for_each(|key| change(&mut twin.keyspace, 0, key));
    assert_eq!(twin.keyspace.snapshot_bytes(), bytes);
    twin.walk(500);
    assert_eq!(twin.keyspace.snapshot_bytes(), bytes / 2);
    twin.walk(600);
    assert_eq!(twin.keyspace.snapshot_bytes(), 0);
}

#[test]
fn to_share_a_large_value_costs_more_of_a_step() {
    let mut keyspace = Keyspace::new(ShardId(0), 1, DefaultHashBuilder::default());
    for key in 0..20_u8 {
        let key = [key];
        let mut handle = keyspace.write(0, &key, 0);
        handle.insert(Value::String(StringValue::text(&[b'x'; 10_000])));
        handle.covered();
    }
    keyspace.begin_snapshot();
    let mut given = Vec::new();
    keyspace.step_snapshot(100, &mut given);
    assert_eq!(given.len(), 5);
}
