//! What more shards cost where there are no cores for them: CPU for each command with several shards, against one shard.
//!
//! Scaling over cores needs a machine with many (`scaling.rs`). This runs on two, with the load beside it: who has more shards
//! than cores must not pay much for it.

use crate::catalogue::{self, Scale, Workload};
use crate::fleet::{Kind, Spec};

/// Numbers of shards; the first is what the others are compared with.
const SHARDS: [usize; 4] = [1, 2, 4, 8];

/// Workloads of the catalogue: one key, keys of one's own, keys of all shards, several shards at once, waiters.
const WORKLOADS: [&str; 13] = [
    "LPUSH",
    "LPUSH P16",
    "LPUSH own queue",
    "LPUSH own queue P16",
    "LPUSH 1000 queues",
    "LPUSH 1000 queues P16",
    "XADD 1000 streams",
    "XADD 1000 streams P16",
    "SET P16",
    "MULTI of 4 on two keys",
    "LMOVE over two shards",
    "BRPOP hand-over",
    "XADD → 4 workers → XACK",
];

/// The servers.
pub(crate) fn specs() -> Vec<Spec> {
    let millrace = |shards| Spec {
        name: format!("millrace:{shards}"),
        kind: Kind::Millrace(shards),
    };
    SHARDS.into_iter().map(millrace).collect()
}

/// The workloads, in their order.
pub(crate) fn workloads(scale: Scale) -> Vec<Workload> {
    let mut all = catalogue::all(scale);
    let mut take = |name: &str| {
        let at = all.iter().position(|workload| workload.name == name)?;
        Some(all.swap_remove(at))
    };
    WORKLOADS.into_iter().filter_map(&mut take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_that_is_named_is_in_the_catalogue() {
        let scale = Scale {
            is_quick: true,
            connections: 4,
        };
        let names: Vec<String> = workloads(scale)
            .into_iter()
            .map(|workload| workload.name)
            .collect();
        assert_eq!(names, WORKLOADS);
    }
}
