//! Lists as queues.

use super::strings::keys_on_two_shards;
use super::{Scale, Workload, hand_over, pipeline};
use crate::plan::{Expect, Part};

pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    let integer = Expect::Kind(b':');
    for depth in [1, 16] {
        let name = format!("LPUSH{}", pipeline(depth));
        let about = "100 bytes, one queue";
        all.push(
            Workload::looped(scale, &name, "LPUSH queue {value:100}", integer, about)
                .each("DEL queue", 1)
                .depth(depth)
                .quick(),
        );
        let elements = if depth == 1 {
            scale.pick(100_000, 400_000)
        } else {
            scale.pick(300_000, 1_500_000)
        };
        let name = format!("RPOP{}", pipeline(depth));
        let row = Workload::looped(scale, &name, "RPOP queue", Expect::Bulk(100), about);
        all.push(filled(row, "queue", elements).depth(depth).quick());
    }
    all.extend(others(scale));
    all.extend(hand_overs());
    all
}

/// Moving, other sizes, more connections, more queues.
fn others(scale: Scale) -> Vec<Workload> {
    let (mut all, integer) = (Vec::new(), Expect::Kind(b':'));
    let name = "LMOVE P16";
    let command = "LMOVE {queue}:in {queue}:out RIGHT LEFT";
    let row = Workload::looped(
        scale,
        name,
        command,
        Expect::Bulk(100),
        "100 bytes, from one queue to another on the same shard",
    )
    .each("DEL {queue}:out", 1);
    all.push(
        filled(row, "{queue}:in", scale.pick(200_000, 1_000_000))
            .depth(16)
            .quick(),
    );
    for (bytes, label) in [(16, "16 B"), (4096, "4 KB")] {
        let command = format!("LPUSH queue {{value:{bytes}}}");
        let row = Workload::looped(
            scale,
            &format!("LPUSH P16 {label}"),
            &command,
            integer,
            label,
        );
        // 4 KB at full speed would fill gigabytes within a second.
        all.push(
            row.each("DEL queue", 1)
                .depth(16)
                .units_max(if bytes > 1000 { 200_000 } else { u64::MAX }),
        );
    }
    all.push(
        Workload::looped(
            scale,
            "LPUSH 1000 connections",
            "LPUSH queue {value:100}",
            integer,
            "100 bytes, one queue",
        )
        .each("DEL queue", 1)
        .connections(1000),
    );
    all.push(between_shards(scale));
    for depth in [1, 16] {
        let name = format!("LPUSH 1000 queues{}", pipeline(depth));
        let row = Workload::looped(
            scale,
            &name,
            "LPUSH queue:{random:1000} {value:100}",
            integer,
            "100 bytes, a random queue of 1000 for each",
        );
        all.push(row.each("FLUSHALL", 1).depth(depth));
        let name = format!("LPUSH own queue{}", pipeline(depth));
        let row = Workload::looped(
            scale,
            &name,
            "LPUSH queue:{connection} {value:100}",
            integer,
            "100 bytes, each connection its own queue",
        );
        all.push(row.each("FLUSHALL", 1).depth(depth));
    }
    all
}

fn between_shards(scale: Scale) -> Workload {
    let (from, to) = keys_on_two_shards();
    let row = Workload::looped(
        scale,
        "LMOVE over two shards",
        &format!("LMOVE {from} {to} RIGHT LEFT"),
        Expect::Bulk(100),
        "100 bytes, from one queue to another on another shard",
    )
    .each(format!("DEL {to}"), 1);
    filled(row, &from, scale.pick(200_000, 1_000_000))
}

/// With so many elements of 100 bytes before each turn.
fn filled(workload: Workload, key: &str, elements: u64) -> Workload {
    let each = 50;
    workload
        .each(format!("DEL {key}"), 1)
        .each(format!("RPUSH {key} {{value:100}}*{each}"), elements / each)
        .units_max(elements)
}

fn hand_overs() -> Vec<Workload> {
    let row = |name: &str, producers: usize, consumers: usize, about: &str| {
        let takers = Part::Consumer {
            connections: consumers,
            command: "BRPOP handover 0".to_owned(),
        };
        let owed = producers as u64;
        let plan = hand_over(
            "LPUSH handover {time:100}",
            Expect::Kind(b':'),
            producers,
            takers,
            owed,
        );
        Workload::with_plan(name, plan, about).once("DEL handover", 1)
    };
    vec![
        row(
            "BRPOP hand-over",
            1,
            50,
            "one producer, 50 waiting consumers; from push to arrival",
        )
        .quick(),
        row(
            "BRPOP hand-over ×16",
            16,
            50,
            "16 producers, 50 waiting consumers; from push to arrival",
        ),
    ]
}
