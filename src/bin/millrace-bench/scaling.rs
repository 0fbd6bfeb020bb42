//! More shards, more work: throughput and CPU over the number of shards, with the load on the cores that are left.
//!
//! Server and load must not share cores here, and each thread of the load has a core to itself: a machine with few cores
//! would measure its scheduler.

use std::path::Path;
use std::sync::Barrier;

use anyhow::ensure;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::drive::{Budget, Load, Outcome};
use crate::fleet::{Kind, Server, Spec};
use crate::measure::{Schedule, median, prepare, rest, to_float};
use crate::plan::{Expect, Plan};
use crate::report::{figure, thousands};
use crate::usage::CpuTime;
use crate::wire::Fault;

/// Cores below which the comparison means nothing: one for a shard, and as many for the load.
const CORES_MIN: usize = 4;
/// Most shards looked at.
const SHARDS_MAX: usize = 14;
/// Connections of each thread of the load.
const CONNECTIONS: usize = 50;

const WORKLOADS: [(&str, &str, u8, usize); 5] = [
    ("PING P16", "PING", b'+', 16),
    ("SET P16", "SET key:{random:100000} {value:100}", b'+', 16),
    (
        "LPUSH own queue",
        "LPUSH queue:{connection} {value:100}",
        b':',
        1,
    ),
    (
        "LPUSH own queue P16",
        "LPUSH queue:{connection} {value:100}",
        b':',
        16,
    ),
    (
        "XADD own stream P16",
        "XADD stream:{connection} * f {value:100}",
        b'$',
        16,
    ),
];

/// What one number of shards did.
struct Found {
    per_second: f64,
    cpu_micros: f64,
    generator_share: f64,
}

/// A table for each workload: shards, each second, CPU for each, how busy the load was.
///
/// # Errors
/// Too few cores, or a server that does not start or answer.
pub(crate) fn run(
    millrace: &Path,
    schedule: Schedule,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<String> {
    let cores = cores_allowed()?;
    ensure!(
        cores.len() >= CORES_MIN,
        "scaling needs at least {CORES_MIN} cores, some for the shards and the others for the load; this process may use {}",
        cores.len()
    );
    let most = SHARDS_MAX.min(cores.len() - 2);
    let mut text = String::new();
    for (name, command, kind, depth) in WORKLOADS {
        text.push_str(&format!(
            "\n### {name}\n\n| shards | each second | ×one shard | CPU for each, µs | load of the generators |\n|---|---|---|---|---|\n"
        ));
        let mut first = 0.0;
        for shards in 1..=most {
            tell(&format!("{name}: {shards} shards"));
            let (server_cores, load_cores) = cores.split_at(shards);
            let unit = (command.to_owned(), Expect::Kind(kind));
            let found = measure(millrace, unit, depth, (server_cores, load_cores), schedule)?;
            if shards == 1 {
                first = found.per_second;
            }
            let mark = if found.generator_share > 0.9 { "*" } else { "" };
            text.push_str(&format!(
                "| {shards} | {}{mark} | {:.2} | {} | {:.0} % of {} |\n",
                thousands(found.per_second),
                found.per_second / first,
                figure(found.cpu_micros),
                found.generator_share * 100.0,
                load_cores.len()
            ));
        }
    }
    text.push_str("\n`*`: every core of the load was busy for over 90 %: the throughput is the generators'.\n");
    pin(&cores)?;
    Ok(text)
}

fn cores_allowed() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

/// Confines the calling thread, and what it starts from now on, to these cores.
fn pin(cores: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

fn measure(
    millrace: &Path,
    unit: (String, Expect),
    depth: usize,
    (server_cores, load_cores): (&[usize], &[usize]),
    schedule: Schedule,
) -> anyhow::Result<Found> {
    let shards = server_cores.len();
    let spec = Spec {
        name: format!("millrace:{shards}"),
        kind: Kind::Millrace(shards),
    };
    // A child inherits where its parent may run.
    pin(server_cores)?;
    let server = Server::start(&spec, millrace)?;
    pin(load_cores)?;
    let (mut rates, mut cpus, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..schedule.rounds {
        let failed = |fault: Fault| anyhow::anyhow!("{}: {fault}", spec.name);
        prepare(&server, &[crate::catalogue::step("FLUSHALL", 1)]).map_err(failed)?;
        let (outcomes, used) = all_run(&server, &unit, depth, load_cores, schedule)?;
        let units: u64 = outcomes.iter().map(|outcome| outcome.units).sum();
        let rate = |outcome: &Outcome| to_float(outcome.units) / outcome.elapsed.as_secs_f64();
        let share =
            |outcome: &Outcome| to_float(outcome.own_ns) / 1e9 / outcome.elapsed.as_secs_f64();
        rates.push(outcomes.iter().map(rate).sum());
        shares.push(outcomes.iter().map(share).sum::<f64>() / to_float(outcomes.len() as u64));
        cpus.push(to_float(used) / 1000.0 / to_float(units.max(1)));
    }
    Ok(Found {
        per_second: median(&mut rates),
        cpu_micros: median(&mut cpus),
        generator_share: median(&mut shares),
    })
}

/// One generator on each core of the load, all at the same time; what each did, and the CPU time of the server in ns.
///
/// The connections of the warm-up are those of the measurement: by then each has moved to the shard of its key.
fn all_run(
    server: &Server,
    unit: &(String, Expect),
    depth: usize,
    cores: &[usize],
    schedule: Schedule,
) -> anyhow::Result<(Vec<Outcome>, u64)> {
    let (warm, start) = (Barrier::new(cores.len() + 1), Barrier::new(cores.len() + 1));
    let budget = |time| Budget {
        time,
        units: u64::MAX,
    };
    let one = &|number: usize, core: usize| -> anyhow::Result<Outcome> {
        let mut plan = Plan::looped(CONNECTIONS, depth, vec![unit.clone()]);
        plan.first_number = number * CONNECTIONS;
        let failed = |fault: Fault| anyhow::anyhow!("{fault}");
        let warmed = pin(&[core]).and_then(|()| {
            let mut load = Load::connect(server.address, &plan).map_err(failed)?;
            load.run(budget(schedule.warm)).map_err(failed)?;
            Ok(load)
        });
        // Also who failed comes to both: the others wait for all.
        warm.wait();
        start.wait();
        warmed?.run(budget(schedule.turn)).map_err(failed)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = cores
            .iter()
            .enumerate()
            .map(|(number, core)| scope.spawn(move || one(number, *core)))
            .collect();
        warm.wait();
        rest(server);
        let before = CpuTime::of(server.process());
        start.wait();
        let mut outcomes = Vec::new();
        for thread in threads {
            let outcome = thread
                .join()
                .map_err(|_| anyhow::anyhow!("a generator died"))?;
            outcomes.push(outcome?);
        }
        rest(server);
        Ok((outcomes, CpuTime::of(server.process()).since(&before)))
    })
}
