//! Hashes, sets, sorted sets, sketches, bits: what frameworks keep beside their queues.

use super::{Scale, Workload, pipeline};
use crate::plan::{Expect, Plan};

const INTEGER: Expect = Expect::Kind(b':');
/// Hashes of 20 fields each.
const HASHES: u64 = 10_000;
/// So many members that two by chance are seldom the same.
const NEW: u64 = 1_000_000_000_000;

pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    for depth in [1, 16] {
        all.extend(hashes(scale, depth));
        all.extend(sets(scale, depth));
        all.extend(sorted_sets(scale, depth));
        all.extend(strings(scale, depth));
    }
    all
}

/// A workload of several commands, together one unit.
fn pair(scale: Scale, name: &str, commands: &[(&str, Expect)], about: &str) -> Workload {
    let unit = commands
        .iter()
        .map(|(command, expect)| ((*command).to_owned(), *expect))
        .collect();
    Workload::with_plan(name, Plan::looped(scale.connections, 1, unit), about)
}

fn hashes(scale: Scale, depth: usize) -> Vec<Workload> {
    let fields: Vec<String> = (0..20).map(|at| format!("f{at} {{value:20}}")).collect();
    let fill = format!("HSET hash:{{counter}} {}", fields.join(" "));
    let row = |name: &str, command: &str, expect| {
        let name = format!("{name}{}", pipeline(depth));
        let about = "10,000 hashes of 20 fields of 20 bytes";
        let row = Workload::looped(scale, &name, command, expect, about);
        row.once(fill.clone(), HASHES).depth(depth)
    };
    let hget = row("HGET", "HGET hash:{random:10000} f7", Expect::Bulk(20));
    let counts = "HINCRBY count:{random:10000} f7 1";
    vec![
        row(
            "HSET",
            "HSET hash:{random:10000} f7 {value:20}",
            Expect::Integer(0),
        ),
        if depth == 16 { hget.quick() } else { hget },
        row("HINCRBY", counts, INTEGER),
        row("HGETALL", "HGETALL hash:{random:10000}", Expect::Values(41)),
    ]
}

fn sets(scale: Scale, depth: usize) -> Vec<Workload> {
    let members = scale.pick(100_000, 1_000_000);
    let random = format!("{{random:{members}}}");
    let row = |name: &str, commands: &[(&str, Expect)], about: &str| {
        let name = format!("{name}{}", pipeline(depth));
        let row = pair(scale, &name, commands, about);
        row.once("SADD set m{counter}", members).depth(depth)
    };
    let about = "a set of 1,000,000 members (quick: 100,000)";
    let is_member = format!("SISMEMBER set m{random}");
    let add = format!("SADD set m{random}");
    let add_new = format!("SADD set n{{random:{NEW}}}");
    vec![
        row("SADD", &[(&add, INTEGER)], about),
        row("SISMEMBER", &[(&is_member, INTEGER)], about),
        row(
            "SADD, SPOP",
            &[(&add_new, INTEGER), ("SPOP set", Expect::Kind(b'$'))],
            "one in, one out, of a set of 1,000,000 members (quick: 100,000); counted: pairs",
        ),
    ]
}

fn sorted_sets(scale: Scale, depth: usize) -> Vec<Workload> {
    let members = scale.pick(100_000, 1_000_000);
    let random = format!("{{random:{members}}}");
    let row = |name: &str, commands: &[(&str, Expect)], about: &str| {
        let name = format!("{name}{}", pipeline(depth));
        let row = pair(scale, &name, commands, about);
        row.once(format!("ZADD board {random} m{{counter}}"), members)
            .depth(depth)
    };
    let about = "a sorted set of 1,000,000 members (quick: 100,000)";
    let add = format!("ZADD board {random} m{random}");
    // Nearly always one that is not there, so that there are as many as before.
    let add_new = format!("ZADD board {random} n{{random:{NEW}}}");
    // Not the last of them: it must find ten.
    let some = members / 10 * 9;
    let range = format!("ZRANGEBYSCORE board {{random:{some}}} +inf LIMIT 0 10");
    let rank = format!("ZRANK board m{random}");
    let zadd = row("ZADD", &[(&add, INTEGER)], about);
    let delayed = row(
        "delayed job",
        &[
            (&format!("ZADD delayed {{time}} m{random}"), INTEGER),
            (
                "ZRANGEBYSCORE delayed -inf +inf LIMIT 0 1",
                Expect::Kind(b'*'),
            ),
            (&format!("ZREM delayed m{random}"), INTEGER),
        ],
        "ZADD with a time, ZRANGEBYSCORE LIMIT 0 1, ZREM; counted: the three together",
    );
    let is_quick = depth == 16;
    vec![
        if is_quick { zadd.quick() } else { zadd },
        row(
            "ZRANGEBYSCORE LIMIT 10",
            &[(&range, Expect::Values(11))],
            "ten members from a random score on, of 1,000,000 (quick: 100,000)",
        ),
        row("ZRANK", &[(&rank, INTEGER)], about),
        row(
            "ZADD, ZPOPMIN",
            &[(&add_new, INTEGER), ("ZPOPMIN board", Expect::Values(3))],
            "one in, the lowest out, of 1,000,000 members (quick: 100,000); counted: pairs",
        ),
        if is_quick { delayed.quick() } else { delayed },
    ]
}

fn strings(scale: Scale, depth: usize) -> Vec<Workload> {
    let row = |name: &str, command: &str, about: &str| {
        let name = format!("{name}{}", pipeline(depth));
        Workload::looped(scale, &name, command, INTEGER, about).depth(depth)
    };
    vec![
        row(
            "PFADD",
            "PFADD visitors:{random:1000} {random:1000000}",
            "random elements to 1000 sketches",
        ),
        row(
            "SETBIT",
            "SETBIT bits:{random:1000} {id:100000:100000} 1",
            "random bits of 1000 strings",
        ),
    ]
}
