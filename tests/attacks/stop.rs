//! Stopping under load: SIGTERM or SHUTDOWN while floods run. The process ends soon, with exit code 0, every time.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::field::Plan;
use super::flood::{Flood, SHAPES, Shape};
use super::support::Random;
use super::way::{Target, Way};

/// Shard counts that are stopped; 0 is redis-server.
const SHARD_COUNTS: [usize; 4] = [0, 1, 2, 4];
/// Within which it has ended, in the full form.
const LIMIT: Duration = Duration::from_millis(300);
/// Connections of each flood.
const CONNECTIONS: usize = 20;

/// What came of some stops.
#[derive(Default)]
struct Stops {
    codes: Vec<Option<i32>>,
    times: Vec<Duration>,
}

impl Stops {
    fn faults(&self) -> usize {
        self.codes.iter().filter(|code| **code != Some(0)).count()
    }

    fn median(&self) -> Duration {
        self.times
            .get(self.times.len() / 2)
            .copied()
            .unwrap_or_default()
    }

    fn longest(&self) -> Duration {
        self.times.last().copied().unwrap_or_default()
    }
}

/// Starts a server, floods it, and stops it by a signal or by a client; the exit code, and how long it took.
fn stop_once(
    way: Way,
    shards: usize,
    shape: Shape,
    random: &mut Random,
) -> (Option<i32>, Duration) {
    let mut target = Target::start(way, shards, &[]);
    let entrance = target.entrance();
    let server = &mut target.server;
    let mut control = server.connect();
    let flood = Flood::start(entrance.address, shape, CONNECTIONS);
    // Not to wait for a state: so that the stop comes at any moment of the flood.
    std::thread::sleep(Duration::from_millis(50 + random.below(250) as u64));
    let start = Instant::now();
    if random.below(2) == 0 {
        let number = i32::try_from(server.process_id()).unwrap();
        kill_process(Pid::from_raw(number).unwrap(), Signal::TERM).unwrap();
    } else {
        control.send_line("SHUTDOWN NOSAVE");
    }
    let code = server.wait_for_exit();
    let took = start.elapsed();
    flood.finish();
    (code, took)
}

fn stops(way: Way, count: usize, shards: usize, shape: Shape, random: &mut Random) -> Stops {
    let mut stops = Stops::default();
    for _ in 0..count {
        let (code, took) = stop_once(way, shards, shape, random);
        stops.codes.push(code);
        stops.times.push(took);
    }
    stops.times.sort_unstable();
    stops
}

/// Stops all servers under floods of all shapes, or of some.
///
/// # Panics
/// When one ended with another code than 0, or too late, after all were stopped.
pub(crate) fn run() {
    let plan = Plan::from_environment();
    let (shapes, count) = match plan.full {
        true => (&SHAPES[..], 100),
        false => (&[Shape::OwnKey, Shape::ManyKeys, Shape::Multi][..], 3),
    };
    let mut random = Random::new(9);
    let mut offences = Vec::new();
    for shape in shapes {
        let name = format!("{}stop under flood: {}", plan.way.prefix(), shape.name());
        if !plan.has(&name) {
            continue;
        }
        // Of redis-server only its pace is wanted.
        let theirs = stops(plan.way, count.min(10), 0, *shape, &mut random);
        for shards in SHARD_COUNTS {
            let stops = match shards {
                0 => &theirs,
                shards => &stops(plan.way, count, shards, *shape, &mut random),
            };
            let (median, longest) = (stops.median(), stops.longest());
            // A loaded machine takes its time, but to redis-server as well.
            let is_late = match plan.full {
                true => longest > LIMIT,
                false => median > LIMIT + 5 * theirs.median(),
            };
            let row = format!(
                "{name} | {} shards | {} stops | exit codes other than 0: {} | median {median:.0?} longest {longest:.0?}",
                shards,
                stops.codes.len(),
                stops.faults(),
            );
            println!("{row}");
            if shards > 0 && (stops.faults() > 0 || is_late) {
                offences.push(row);
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}
