//! Memory for each entry: what a fresh server holds more after so many of them, by the kernel's account and by its own.

use crate::catalogue::{Scale, Step, step};
use crate::fleet::Server;
use crate::measure::{prepare, rest, to_float};
use crate::usage::resident_bytes;
use crate::wire::{Fault, Wire};

/// One kind of entry.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    before: Vec<Step>,
    fill: Vec<Step>,
    entries: u64,
}

/// Bytes for each entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) resident: f64,
    /// By `used_memory` of INFO, where there is one.
    pub(crate) told: Option<f64>,
}

/// A kind of entry on all servers.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) cells: Vec<Result<Bytes, Fault>>,
}

/// Entries that one command each makes, in a fresh server.
const SINGLE: [(&str, &str); 9] = [
    ("stream entry of 100 bytes", "XADD stream * f {value:100}"),
    ("stream entry of 10 bytes", "XADD stream * f {value:10}"),
    ("list element of 100 bytes", "LPUSH queue {value:100}"),
    ("list element of 10 bytes", "LPUSH queue {value:10}"),
    (
        "key with a queue of one",
        "LPUSH queue:{counter} {value:10}",
    ),
    (
        "key with a string of 10 bytes",
        "SET key:{counter} {value:10}",
    ),
    (
        "field of 10 bytes, value of 10, of one hash",
        "HSET hash f{from:100000000} {value:10}",
    ),
    (
        "member of 10 bytes of one set",
        "SADD set m{from:100000000}",
    ),
    (
        "member of 10 bytes of one sorted set",
        "ZADD board {counter} m{from:100000000}",
    ),
];

/// All kinds.
pub(crate) fn kinds(scale: Scale) -> Vec<Kind> {
    let entries = scale.pick(200_000, 1_000_000);
    let kind = |name, before: Vec<Step>, fill: Step, entries| Kind {
        name,
        before,
        fill: vec![fill],
        entries,
    };
    let single = SINGLE.iter();
    let mut kinds: Vec<Kind> = single
        .map(|(name, command)| kind(name, vec![], step(*command, entries), entries))
        .collect();
    let pending = vec![
        step("XADD stream * f {value:10}", entries),
        step("XGROUP CREATE stream g 0", 1),
    ];
    let read = "XREADGROUP GROUP g c COUNT 1000 STREAMS stream >";
    let read = step(read, entries / 1000);
    kinds.insert(2, kind("pending entry", pending, read, entries));
    let ten = |text: &dyn Fn(usize) -> String| (0..10).map(text).collect::<Vec<_>>().join(" ");
    let fields = ten(&|at| format!("field:{at:04} {{value:10}}"));
    let members = ten(&|at| format!("{at} member:{at:03}"));
    for (name, command) in [
        (
            "key with a hash of 10 fields",
            format!("HSET hash:{{counter}} {fields}"),
        ),
        (
            "key with a sorted set of 10 members",
            format!("ZADD board:{{counter}} {members}"),
        ),
    ] {
        let keys = entries / 10;
        kinds.push(kind(name, vec![], step(command, keys), keys));
    }
    kinds
}

/// Measures a kind on all servers, each started afresh: what was freed before would otherwise be used again unseen.
///
/// # Errors
/// A server does not start again.
pub(crate) fn measure(servers: &mut [Server], kind: &Kind) -> anyhow::Result<Row> {
    let mut cells = Vec::new();
    for server in servers.iter_mut() {
        if server.spec.is_null() {
            cells.push(Err(Fault::Refused("no data".to_owned())));
            continue;
        }
        server.restart()?;
        let measured = one(server, kind);
        server.restart()?;
        cells.push(measured);
    }
    Ok(Row {
        name: kind.name,
        cells,
    })
}

fn one(server: &Server, kind: &Kind) -> Result<Bytes, Fault> {
    prepare(server, &kind.before)?;
    rest(server);
    let before = (resident_bytes(server.process()), told_bytes(server)?);
    prepare(server, &kind.fill)?;
    rest(server);
    let after = (resident_bytes(server.process()), told_bytes(server)?);
    let each =
        |before: u64, after: u64| to_float(after.saturating_sub(before)) / to_float(kind.entries);
    Ok(Bytes {
        resident: each(before.0, after.0),
        told: before
            .1
            .zip(after.1)
            .map(|(before, after)| each(before, after)),
    })
}

fn told_bytes(server: &Server) -> Result<Option<u64>, Fault> {
    let told = Wire::connect(server.address)?.info("memory", "used_memory");
    Ok(told.and_then(|bytes| bytes.parse().ok()))
}
