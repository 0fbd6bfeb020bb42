//! The comparison: for each workload rounds, in each round every server in turn, the first one another each time.
//!
//! A noisy machine so disturbs all servers alike, and the spread over the rounds tells how much it did.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::catalogue::{Step, Workload};
use crate::drive::{Budget, Load, latencies};
use crate::fleet::{Server, Spec};
use crate::usage::{self, CpuTime};
use crate::wire::{Fault, Wire};

/// Longest wait for a server to come to rest before a turn.
const REST_MAX: Duration = Duration::from_secs(5);
/// CPU time within [`REST_STEP`] below which a server rests: its housekeeping goes on.
const REST_NS: u64 = 400_000;
const REST_STEP: Duration = Duration::from_millis(10);
/// Of the units that a turn's data is enough for, one in this many may go into the warm-up.
const WARM_SHARE: u64 = 10;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) rounds: usize,
    pub(crate) turn: Duration,
    pub(crate) warm: Duration,
}

/// One turn of one server.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) units_per_second: f64,
    pub(crate) deliveries_per_second: f64,
    /// CPU of the server for each unit, µs.
    pub(crate) cpu_micros: f64,
    /// CPU of the generator as a share of a core.
    pub(crate) generator_share: f64,
    pub(crate) resident_bytes: u64,
}

/// A workload on a server.
pub(crate) struct Cell {
    pub(crate) turns: Vec<Turn>,
    pub(crate) latencies: Histogram<u64>,
    /// Why there is no figure.
    pub(crate) fault: Option<Fault>,
}

/// A workload on all servers.
pub(crate) struct Row {
    pub(crate) workload: Workload,
    pub(crate) cells: Vec<Cell>,
}

impl Cell {
    fn new() -> Self {
        Self {
            turns: Vec::new(),
            latencies: latencies(),
            fault: None,
        }
    }

    /// The median over the turns; 0 without any.
    pub(crate) fn median(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        let mut values: Vec<f64> = self.turns.iter().map(of).collect();
        median(&mut values)
    }

    /// Smallest and largest CPU time.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let values = self.turns.iter().map(|turn| turn.cpu_micros);
        values.fold((f64::INFINITY, 0.0), |(least, most), value| {
            (least.min(value), most.max(value))
        })
    }

    /// A quantile of the latencies, µs.
    pub(crate) fn latency_micros(&self, quantile: f64) -> f64 {
        let nanoseconds = self.latencies.value_at_quantile(quantile);
        to_float(nanoseconds) / 1000.0
    }

    /// Whether the generator was busy for over nine tenths of the time in the median turn: it may be what was measured.
    pub(crate) fn is_generator_bound(&self) -> bool {
        self.median(|turn| turn.generator_share) > 0.9
    }
}

/// The middle one; the mean of the two in the middle of an even number; 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, far below 2^53"
)]
pub(crate) fn to_float(number: u64) -> f64 {
    number as f64
}

/// Measures a workload on all servers. Tells before each turn which one it is.
///
/// # Errors
/// A server that died does not start again.
pub(crate) fn compare(
    servers: &mut [Server],
    workload: &Workload,
    schedule: Schedule,
    mut tell: impl FnMut(usize, &Spec),
) -> anyhow::Result<Row> {
    let mut cells: Vec<Cell> = servers.iter().map(|_| Cell::new()).collect();
    for (server, cell) in servers.iter_mut().zip(&mut cells) {
        tell(0, &server.spec);
        if server.spec.is_null() {
            if !workload.has_floor {
                cell.fault = Some(Fault::Refused("no such data".to_owned()));
            }
            continue;
        }
        let prepared = prepare(server, &[flush()]).and_then(|()| prepare(server, &workload.once));
        if let Err(fault) = prepared {
            fail(server, cell, fault)?;
        }
    }
    for round in 0..schedule.rounds {
        for offset in 0..servers.len() {
            let index = (round + offset) % servers.len();
            let (server, cell) = (&mut servers[index], &mut cells[index]);
            if cell.fault.is_some() {
                continue;
            }
            tell(round + 1, &server.spec);
            match turn(server, workload, schedule, &mut cell.latencies) {
                Ok(turn) => cell.turns.push(turn),
                Err(fault) => fail(server, cell, fault)?,
            }
        }
    }
    for server in servers.iter_mut().filter(|server| !server.spec.is_null()) {
        if prepare(server, &[flush()]).is_err() {
            server.restart()?;
        }
    }
    Ok(Row {
        workload: workload.clone(),
        cells,
    })
}

fn flush() -> Step {
    crate::catalogue::step("FLUSHALL", 1)
}

fn fail(server: &mut Server, cell: &mut Cell, fault: Fault) -> anyhow::Result<()> {
    let is_fatal = fault.is_fatal();
    cell.fault = Some(fault);
    if is_fatal { server.restart() } else { Ok(()) }
}

/// Sends what has to be there first.
pub(crate) fn prepare(server: &Server, steps: &[Step]) -> Result<(), Fault> {
    if steps.is_empty() || server.spec.is_null() {
        return Ok(());
    }
    let mut wire = Wire::connect(server.address)?;
    for step in steps {
        wire.repeat(&step.command, step.times)?;
    }
    Ok(())
}

/// Waits until the server has finished what the set-up left it to do.
pub(crate) fn rest(server: &Server) {
    let deadline = std::time::Instant::now() + REST_MAX;
    let mut before = CpuTime::of(server.process());
    while std::time::Instant::now() < deadline {
        std::thread::sleep(REST_STEP);
        let now = CpuTime::of(server.process());
        if now.since(&before) < REST_NS {
            return;
        }
        before = now;
    }
}

fn turn(
    server: &Server,
    workload: &Workload,
    schedule: Schedule,
    latencies: &mut Histogram<u64>,
) -> Result<Turn, Fault> {
    // The null server's answers are all alike: nothing there to check.
    let mut plan = workload.plan.clone();
    if server.spec.is_null() {
        plan.accept_anything();
    }
    prepare(server, &workload.each)?;
    let mut load = Load::connect(server.address, &plan)?;
    let warm = load.run(Budget {
        time: schedule.warm,
        units: workload.units_max / WARM_SHARE,
    })?;
    rest(server);
    let before = CpuTime::of(server.process());
    let outcome = load.run(Budget {
        time: schedule.turn,
        units: workload.units_max - warm.issued,
    })?;
    // What the server put off belongs to it too.
    rest(server);
    let used = CpuTime::of(server.process()).since(&before);
    if outcome.units == 0 {
        return Err(Fault::Unexpected("nothing was done".to_owned()));
    }
    // Both add up histograms of the same bounds: that cannot fail.
    let _same_bounds = latencies.add(&outcome.latencies);
    let seconds = outcome.elapsed.as_secs_f64();
    Ok(Turn {
        units_per_second: to_float(outcome.units) / seconds,
        deliveries_per_second: to_float(outcome.deliveries) / seconds,
        cpu_micros: to_float(used) / 1000.0 / to_float(outcome.units),
        generator_share: to_float(outcome.own_ns) / 1e9 / seconds,
        resident_bytes: usage::resident_bytes(server.process()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!(median(&mut []).abs() < f64::EPSILON);
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
