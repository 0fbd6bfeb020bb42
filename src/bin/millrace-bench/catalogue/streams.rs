//! Streams: appending, groups, reading, pending entries.

use super::{Scale, Workload, hand_over, pipeline};
use crate::plan::{Expect, Measure, Part, Plan};

/// First ID of prepared entries, so that every ID has the same width and any of them can be named at random.
const FIRST_ID: u64 = 1_000_000_000_000;
/// Values in a reply before its entries: the reply, the pair, the key, the entries.
pub(crate) const HEAD_VALUES: u64 = 4;
/// Values of an entry with one field: the pair, the ID, the fields, name, value.
pub(crate) const ENTRY_VALUES: u64 = 5;

pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let mut all = appending(scale);
    all.extend(groups(scale));
    all.extend(workers(scale));
    all.push(
        Workload::looped(
            scale,
            "XRANGE COUNT 100",
            &format!("XRANGE stream {{id:{FIRST_ID}:90000}} + COUNT 100"),
            Expect::Values(1 + 100 * ENTRY_VALUES),
            "100 entries of 100 bytes from a random ID of 100,000",
        )
        .once("DEL stream", 1)
        .once(entry("stream"), 100_000)
        .quick(),
    );
    all.extend(pending(scale));
    all.push(end_to_end());
    all
}

/// Appends one entry with the next ID.
pub(crate) fn entry(key: &str) -> String {
    format!("XADD {key} {{from:{FIRST_ID}}}-1 f {{value:100}}")
}

fn appending(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    let id = Expect::Kind(b'$');
    let about = "100 bytes, one stream";
    for depth in [1, 16] {
        let name = format!("XADD{}", pipeline(depth));
        all.push(
            Workload::looped(scale, &name, "XADD stream * f {value:100}", id, about)
                .each("DEL stream", 1)
                .depth(depth)
                .quick(),
        );
    }
    let about = "100 bytes, one stream of about 1000 entries";
    let command = "XADD stream MAXLEN ~ 1000 * f {value:100}";
    all.push(
        Workload::looped(scale, "XADD MAXLEN ~ 1000 P16", command, id, about)
            .each("DEL stream", 1)
            .depth(16)
            .quick(),
    );
    for (bytes, label) in [(16, "16 B"), (4096, "4 KB")] {
        let command = format!("XADD stream * f {{value:{bytes}}}");
        let row = Workload::looped(scale, &format!("XADD P16 {label}"), &command, id, label);
        all.push(
            row.each("DEL stream", 1)
                .depth(16)
                .units_max(if bytes > 1000 { 200_000 } else { u64::MAX }),
        );
    }
    all.push(
        Workload::looped(
            scale,
            "XADD 1000 connections",
            "XADD stream * f {value:100}",
            id,
            "100 bytes, one stream",
        )
        .each("DEL stream", 1)
        .connections(1000),
    );
    for depth in [1, 16] {
        let name = format!("XADD 1000 streams{}", pipeline(depth));
        let row = Workload::looped(
            scale,
            &name,
            "XADD stream:{random:1000} * f {value:100}",
            id,
            "100 bytes, a random stream of 1000 for each",
        );
        all.push(row.each("FLUSHALL", 1).depth(depth));
    }
    all
}

/// The group is made anew before each turn and reads the prepared entries from the first.
fn over_prepared(workload: Workload, entries: u64, count: u64) -> Workload {
    workload
        .once("DEL stream", 1)
        .once(entry("stream"), entries)
        .each("XGROUP DESTROY stream g", 1)
        .each("XGROUP CREATE stream g 0", 1)
        .units_max(entries / count)
}

fn groups(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    let entries = scale.pick(300_000, 1_000_000);
    for (count, depth) in [(1, 1), (1, 16), (10, 1), (100, 1)] {
        for noack in ["", " NOACK"] {
            let command =
                format!("XREADGROUP GROUP g c{{connection}} COUNT {count}{noack} STREAMS stream >");
            let name = format!("XREADGROUP COUNT {count}{noack}{}", pipeline(depth));
            let about = "new entries of 100 bytes, one group, each connection a consumer";
            let expect = Expect::Values(HEAD_VALUES + count * ENTRY_VALUES);
            let row = Workload::looped(scale, &name, &command, expect, about);
            let row = over_prepared(row, entries, count).depth(depth);
            let is_quick = noack.is_empty() && matches!((count, depth), (1, 16) | (10, 1));
            all.push(if is_quick { row.quick() } else { row });
        }
    }
    all
}

fn workers(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    let entries = scale.pick(300_000, 1_000_000);
    for count in [1, 10, 100] {
        let plan = Plan {
            parts: vec![Part::Worker {
                connections: scale.connections,
                read: format!("XREADGROUP GROUP g c{{connection}} COUNT {count} STREAMS stream >"),
                acknowledge: "XACK stream g".to_owned(),
                entries: Some(count),
            }],
            measure: Measure::Reply,
            owed_max: 0,
            first_number: 0,
        };
        let name = format!("XREADGROUP COUNT {count} + XACK");
        let about =
            format!("as a worker does it: read {count}, acknowledge {count}; counted: such pairs");
        let row = over_prepared(
            Workload::with_plan(&name, plan, &about),
            entries,
            count as u64,
        );
        all.push(if count == 10 { row.quick() } else { row });
    }
    all
}

/// Commands over a group with many pending entries, whose oldest are the ones looked for.
fn pending(scale: Scale) -> Vec<Workload> {
    let entries = scale.pick(300_000, 3_000_000);
    let label = if scale.is_quick { "300k" } else { "3M" };
    let prepared = |workload: Workload| {
        workload
            .once("DEL stream", 1)
            .once(entry("stream"), entries)
            .once("XGROUP CREATE stream g 0", 1)
            .once(
                "XREADGROUP GROUP g first COUNT 1000 STREAMS stream >",
                entries / 1000,
            )
    };
    let last_start = entries - 1000;
    let autoclaim = format!(
        "XAUTOCLAIM stream g c{{connection}} 0 {{id:{FIRST_ID}:{last_start}}} COUNT 100 JUSTID"
    );
    let claim = "XREADGROUP GROUP g c{connection} COUNT 100 CLAIM 0 STREAMS stream >";
    // Two values more for an entry that was pending: how long, how often.
    let claimed = Expect::Values(HEAD_VALUES + 100 * (ENTRY_VALUES + 2));
    let row = |name: &str, command: &str, expect, about: &str| {
        prepared(Workload::looped(
            scale,
            &format!("{name} of {label} pending"),
            command,
            expect,
            about,
        ))
    };
    vec![
        row(
            "XAUTOCLAIM COUNT 100 JUSTID",
            &autoclaim,
            Expect::Values(1 + 1 + 1 + 100 + 1),
            "from a random pending entry",
        )
        .quick(),
        row(
            "XREADGROUP CLAIM 0 COUNT 100",
            claim,
            claimed,
            "the entries that have waited longest",
        )
        .quick(),
        row(
            "XPENDING IDLE",
            "XPENDING stream g IDLE 3600000 - + 10",
            Expect::Values(1),
            "none has waited so long; one connection",
        )
        .connections(1),
    ]
}

fn end_to_end() -> Workload {
    let workers = Part::Worker {
        connections: 4,
        read: "XREADGROUP GROUP g w{connection} COUNT 10 BLOCK 0 STREAMS jobs >".to_owned(),
        acknowledge: "XACK jobs g".to_owned(),
        entries: None,
    };
    let plan = hand_over(
        "XADD jobs MAXLEN ~ 10000 * f {time:100}",
        Expect::Kind(b'$'),
        8,
        workers,
        64,
    );
    Workload::with_plan(
        "XADD → 4 workers → XACK",
        plan,
        "8 producers, at most 64 entries under way, 4 workers that read up to 10 and acknowledge; from XADD to acknowledged",
    )
    .each("DEL jobs", 1)
    .each("XGROUP CREATE jobs g $ MKSTREAM", 1)
    .quick()
}
