//! PING, SET, GET, transactions.

use millrace::ids::slot_of;

use super::{Scale, Workload, pipeline};
use crate::plan::{Expect, Plan};

const KEYS: u64 = 100_000;

pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    for depth in [1, 16, 64] {
        let name = format!("PING{}", pipeline(depth));
        let about = "no data: protocol and sockets";
        let workload =
            Workload::looped(scale, &name, "PING", Expect::Kind(b'+'), about).depth(depth);
        all.push(if depth == 16 {
            workload
        } else {
            workload.quick()
        });
    }
    let about = "no data, 1000 connections";
    all.push(
        Workload::looped(
            scale,
            "PING 1000 connections",
            "PING",
            Expect::Kind(b'+'),
            about,
        )
        .connections(1000),
    );
    let commands = [
        (
            "SET",
            "SET key:{random:100000} {value:100}",
            Expect::Kind(b'+'),
        ),
        ("GET", "GET key:{random:100000}", Expect::Bulk(100)),
    ];
    for depth in [1, 16] {
        for (name, command, expect) in commands {
            let name = format!("{name}{}", pipeline(depth));
            let about = "100 bytes, random keys of 100,000";
            let workload = Workload::looped(scale, &name, command, expect, about);
            let workload = workload.once("SET key:{counter} {value:100}", KEYS);
            all.push(workload.depth(depth).quick());
        }
    }
    for (bytes, label) in [(16, "16 B"), (4096, "4 KB")] {
        let command = format!("SET key:{{random:100000}} {{value:{bytes}}}");
        let name = format!("SET P16 {label}");
        let about = format!("{label}, random keys of 100,000");
        all.push(Workload::looped(scale, &name, &command, Expect::Kind(b'+'), &about).depth(16));
    }
    all.extend(transactions(scale));
    all
}

fn transactions(scale: Scale) -> Vec<Workload> {
    let (low, high) = keys_on_two_shards();
    let unit = |first: &str, second: &str| {
        let mut unit = vec![("MULTI".to_owned(), Expect::Kind(b'+'))];
        for key in [first, second, first, second] {
            unit.push((format!("SET {key} {{value:100}}"), Expect::Kind(b'+')));
        }
        unit.push(("EXEC".to_owned(), Expect::Values(5)));
        unit
    };
    let row = |name: &str, first: &str, second: &str, about: &str| {
        let plan = Plan::looped(scale.connections, 1, unit(first, second));
        Workload::with_plan(name, plan, about)
    };
    vec![
        row(
            "MULTI of 4 on one key",
            &low,
            &low,
            "MULTI, 4 SET of one key, EXEC; counted: transactions",
        )
        .quick(),
        row(
            "MULTI of 4 on two keys",
            &low,
            &high,
            "the same on two keys that two shards hold; counted: transactions",
        ),
    ]
}

/// Two keys that live on different shards of any even number of them.
pub(crate) fn keys_on_two_shards() -> (String, String) {
    let mut keys = (0..1000).map(|number| format!("tx:{number}"));
    let half = 8192;
    let low = keys
        .find(|key| slot_of(key.as_bytes()).0 < half)
        .unwrap_or_default();
    let high = keys
        .find(|key| slot_of(key.as_bytes()).0 >= half)
        .unwrap_or_default();
    (low, high)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_two_keys_live_on_two_shards() {
        use millrace::ids::shard_of;
        let (low, high) = keys_on_two_shards();
        for shards in [2, 4, 8] {
            assert_ne!(
                shard_of(low.as_bytes(), shards),
                shard_of(high.as_bytes(), shards)
            );
        }
    }
}
