//! Workloads over a number that grows.

use super::streams::{ENTRY_VALUES, HEAD_VALUES, entry};
use super::{Scale, Workload};
use crate::growth::Family;
use crate::plan::Expect;

/// All families.
pub(crate) fn all(scale: Scale) -> Vec<Family> {
    let many = scale.pick(100_000, 1_000_000);
    let most = scale.pick(1_000_000, 10_000_000);
    let connections = if scale.is_quick { 1000 } else { 10_000 };
    vec![
        family(
            "XADD by length",
            "entries",
            &[1000, many, most],
            |entries| xadd_behind(scale, entries),
        ),
        family(
            "XREADGROUP by length",
            "entries",
            &[10_000, many, most],
            |entries| read_of(scale, entries, 1),
        ),
        family("SET by keys", "keys", &[1, 1000, many], |keys| {
            let command = format!("SET key:{{random:{keys}}} {{value:100}}");
            Workload::looped(scale, "", &command, Expect::Kind(b'+'), "")
                .once("SET key:{counter} {value:100}", keys)
                .depth(16)
        }),
        family("XADD by keys", "keys", &[1, 1000, many], |keys| {
            let command = format!("XADD stream:{{random:{keys}}} * f {{value:100}}");
            Workload::looped(scale, "", &command, Expect::Kind(b'$'), "")
                .once("XADD stream:{counter} * f {value:100}", keys)
                .depth(16)
        }),
        family(
            "XREADGROUP by groups",
            "groups",
            &[1, 10, 100, 1000],
            |groups| read_of(scale, 300_000, groups),
        ),
        family(
            "LPUSH by connections",
            "connections",
            &[1, 10, 100, 1000, connections],
            |count| {
                Workload::looped(scale, "", "LPUSH queue {value:100}", Expect::Kind(b':'), "")
                    .each("DEL queue", 1)
                    .connections(usize::try_from(count).unwrap_or(1))
            },
        ),
    ]
}

/// Appends to a stream that has so many entries at first.
fn xadd_behind(scale: Scale, entries: u64) -> Workload {
    Workload::looped(
        scale,
        "",
        "XADD stream * f {value:100}",
        Expect::Kind(b'$'),
        "",
    )
    .once(entry("stream"), entries)
    .depth(16)
}

/// Reads 10 new entries at a time for one of so many groups; their positions are put back before each turn.
fn read_of(scale: Scale, entries: u64, groups: u64) -> Workload {
    let command =
        format!("XREADGROUP GROUP g{{random:{groups}}} c{{connection}} COUNT 10 STREAMS stream >");
    let expect = Expect::Values(HEAD_VALUES + 10 * ENTRY_VALUES);
    Workload::looped(scale, "", &command, expect, "")
        .once(entry("stream"), entries)
        .each("XGROUP DESTROY stream g{counter}", groups)
        .each("XGROUP CREATE stream g{counter} 0", groups)
        .units_max(entries / 10)
}

fn family(
    name: &'static str,
    unit: &'static str,
    numbers: &[u64],
    build: impl Fn(u64) -> Workload,
) -> Family {
    let mut numbers = numbers.to_vec();
    numbers.dedup();
    let points = numbers.into_iter().map(|number| (number, build(number)));
    Family {
        name,
        unit,
        points: points.collect(),
    }
}
