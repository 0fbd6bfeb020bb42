//! What a keyspace counts is what it has, whatever was done to it.

use proptest::prelude::*;

use super::value::Value;
use super::*;

const DATABASES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, u8),
    Remove(usize, u8),
    Expire(usize, u8, Option<u64>),
    Due(u64),
    Flush(usize),
    Swap(usize, usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let db = 0..DATABASES;
    let key = 0..20_u8;
    prop_oneof![
        6 => (db.clone(), key.clone()).prop_map(|(db, key)| Step::Insert(db, key)),
        3 => (db.clone(), key.clone()).prop_map(|(db, key)| Step::Remove(db, key)),
        4 => (db.clone(), key, prop::option::of(1..2000_u64))
            .prop_map(|(db, key, at)| Step::Expire(db, key, at)),
        2 => (0..2000_u64).prop_map(Step::Due),
        1 => db.clone().prop_map(Step::Flush),
        1 => (db.clone(), db).prop_map(|(a, b)| Step::Swap(a, b)),
        1 => Just(Step::Clear),
    ]
}

fn take(keyspace: &mut Keyspace, step: &Step) {
    match *step {
        Step::Insert(db, key) => {
            let key = [key];
            let mut handle = keyspace.write(db, &key, 0);
            handle.insert(Value::String(value::StringValue::Integer(7)));
            handle.covered();
        }
        Step::Remove(db, key) => {
            let key = [key];
            let mut handle = keyspace.write(db, &key, 0);
            handle.remove();
            handle.covered();
        }
        Step::Expire(db, key, at) => {
            let key = [key];
            let mut handle = keyspace.write(db, &key, 0);
            handle.set_expiry(at);
            handle.covered();
        }
        Step::Due(now_ms) => drop(keyspace.expire_due(now_ms, 5)),
        Step::Flush(db) => keyspace.flush(db),
        Step::Swap(a, b) => keyspace.swap(a, b, 0),
        Step::Clear => keyspace.clear(),
    }
}

proptest! {
    #![proptest_config(crate::property::cases(200))]
    #[test]
    fn keys_and_expiries_are_counted_as_they_are(steps in prop::collection::vec(step(), 0..100)) {
        let mut keyspace = Keyspace::new(ShardId(0), DATABASES, DefaultHashBuilder::default());
        for step in steps {
            take(&mut keyspace, &step);
            for (db, counted) in keyspace.counters().databases.iter().enumerate() {
                let database = keyspace.database(db);
                prop_assert_eq!(counted.keys.get(), database.table().len() as u64, "{:?}", step);
                prop_assert_eq!(counted.expiring.get(), database.expiring_count() as u64, "{:?}", step);
            }
        }
    }
}
