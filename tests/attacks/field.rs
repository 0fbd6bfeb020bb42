//! Where cases are run: a fresh server for each, ours and redis-server in turn, what it cost them, and the verdict.
//!
//! ```text
//! Case ──► redis-server ──► millrace, 1 shard ──► millrace, 4 shards
//!             │ start: memory; attack + innocent client; the attackers leave: memory, peak, processor time
//!             └──────────────► judged against redis-server's figures of the same run
//! ```
//! Memory is what the kernel says (`VmHWM`, `VmRSS`), so nothing is sampled. In the short form latencies are not judged: the
//! machine may be loaded. Memory that is to be given back is looked at until it has been, within a time limit.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::innocent::{Asks, Innocent, Latencies};
use super::support::{Client, Server, shard_counts};
use super::way::{Target, Way};

const MB: u64 = 1024 * 1024;
/// Requests of the innocent client from which on percentiles are compared.
const REQUESTS_TO_JUDGE: usize = 200;
/// How long a server may take to give memory back.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// How cases are run, from the environment.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// At full size, with latencies judged (`MILLRACE_ATTACKS=full`).
    pub(crate) full: bool,
    /// Only cases with this in their name (`MILLRACE_ATTACKS_ONLY`).
    only: String,
    /// How long an attack that has no end of its own goes on (`MILLRACE_ATTACKS_SECONDS`).
    seconds: f64,
    /// How the attacks come (`MILLRACE_ATTACKS_OVER`: plain, tls, user).
    pub(crate) way: Way,
}

impl Plan {
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let full = variable("MILLRACE_ATTACKS") == "full";
        let seconds = variable("MILLRACE_ATTACKS_SECONDS").parse();
        Self {
            full,
            only: variable("MILLRACE_ATTACKS_ONLY"),
            seconds: seconds.unwrap_or(if full { 8.0 } else { 0.7 }),
            way: Way::named(&variable("MILLRACE_ATTACKS_OVER")),
        }
    }

    /// Whether a case is asked for.
    pub(crate) fn has(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

/// What an attack is given.
pub(crate) struct Attack<'a> {
    /// The server.
    pub(crate) server: &'a Server,
    /// Where attackers connect to.
    pub(crate) address: SocketAddr,
    /// How it is run.
    pub(crate) plan: &'a Plan,
}

impl Attack<'_> {
    /// A size: of the short form, of the full one.
    pub(crate) fn size(&self, short: usize, full: usize) -> usize {
        if self.plan.full { full } else { short }
    }

    /// So many connections at once: each takes three sockets of this process on the way through a tunnel, else one.
    pub(crate) fn sockets(&self, short: usize, full: usize) -> usize {
        let most = match self.plan.way {
            Way::Plain => full,
            _ => 4_000,
        };
        self.size(short, full).min(most)
    }

    /// How long to go on.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.plan.seconds)
    }

    /// A connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address).expect("the server accepts")
    }

    /// So many connections.
    pub(crate) fn connections(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// Resident memory, MB.
    pub(crate) fn resident_mb(&self) -> u64 {
        memory_mb(self.server, "VmRSS")
    }
}

/// What a thread more may take, MB: the allocator keeps small pieces and free pages for each. Measured: BLPOP of other keys each
/// time takes 11 MB with one shard and 38 with eight.
const THREAD_MB: u64 = 3;

/// How much more memory than redis-server a server may take, MB: at the peak, and when the attackers have left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// In the short form.
    pub(crate) short: (u64, u64),
    /// In the full form.
    pub(crate) full: (u64, u64),
}

impl Room {
    /// The same in both forms.
    pub(crate) fn of(peak: u64, after: u64) -> Self {
        Self {
            short: (peak, after),
            full: (peak, after),
        }
    }
}

/// One thing that is tried.
pub(crate) struct Case {
    /// Its name in the table.
    pub(crate) name: String,
    /// Options of both servers.
    pub(crate) options: Vec<&'static str>,
    /// The innocent client beside it, if there is one.
    pub(crate) beside: Option<Asks>,
    /// Whether redis-server has what is tried; else `room` is the limit itself.
    pub(crate) oracle: bool,
    /// Whether it says nothing over a tunnel.
    pub(crate) plain_only: bool,
    /// See there.
    pub(crate) room: Room,
    /// Drives it, asserts what is answered, and tells what else is to be told.
    pub(crate) run: Box<dyn Fn(&Attack<'_>) -> String>,
}

impl Case {
    /// A case with the innocent client and so much room for memory.
    pub(crate) fn new(
        name: impl Into<String>,
        room: Room,
        run: impl Fn(&Attack<'_>) -> String + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            options: Vec::new(),
            beside: Some(Asks::ForItsKeys),
            oracle: true,
            plain_only: false,
            room,
            run: Box::new(run),
        }
    }

    /// With options for both servers.
    pub(crate) fn with(mut self, options: &[&'static str]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// Without the innocent client.
    pub(crate) fn alone(mut self) -> Self {
        self.beside = None;
        self
    }

    /// It removes all keys, those of the innocent client too.
    pub(crate) fn forgetful(mut self) -> Self {
        self.beside = Some(Asks::ForNothing);
        self
    }

    /// Only as it is: what is answered depends on the way.
    pub(crate) fn plain_only(mut self) -> Self {
        self.plain_only = true;
        self
    }

    /// With commands that redis-server does not have.
    pub(crate) fn ours_only(mut self) -> Self {
        self.oracle = false;
        self
    }
}

/// What a case cost a server.
#[derive(Clone, Debug, Default)]
struct Figures {
    server: String,
    seconds: f64,
    cpu_seconds: f64,
    start_mb: u64,
    peak_mb: u64,
    after_mb: u64,
    innocent: Option<Latencies>,
    notes: String,
    faults: Vec<String>,
}

fn memory_mb(server: &Server, field: &str) -> u64 {
    let path = format!("/proc/{}/status", server.process_id());
    let status = std::fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024 / MB
}

/// What a panic says.
pub(crate) fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_owned()
}

/// Runs a case against a server. `limits`: what its memory may be at the peak, and what it is to come down to.
fn measure(case: &Case, plan: &Plan, mut target: Target, limits: Option<(u64, u64)>) -> Figures {
    let (entrance, beside) = (target.entrance(), target.entrance());
    let server = &mut target.server;
    let start_mb = memory_mb(server, "VmRSS");
    let (cpu_before, start) = (server.cpu_time(), Instant::now());
    let start_beside = |asks| Innocent::start(beside.address, asks);
    let innocent = case.beside.map(start_beside);
    let attack = Attack {
        server,
        address: entrance.address,
        plan,
    };
    let mut faults = Vec::new();
    let run = std::panic::AssertUnwindSafe(|| (case.run)(&attack));
    let notes = std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        faults.push(told(&*panic));
        String::new()
    });
    let seconds = start.elapsed().as_secs_f64();
    let innocent = innocent.and_then(|innocent| match innocent.finish() {
        Ok(latencies) => Some(latencies),
        Err(error) => {
            faults.push(error);
            None
        }
    });
    server.expect_alive();
    let peak_mb = memory_mb(server, "VmHWM");
    let deadline = Instant::now() + RETURN_TIMEOUT;
    // It gives back what the attackers took once it has seen that they left.
    while limits.is_some_and(|(_, after)| memory_mb(server, "VmRSS") > after)
        && Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let after_mb = memory_mb(server, "VmRSS");
    if let Some((peak_max, after_max)) = limits {
        if peak_mb > peak_max {
            faults.push(format!("peak {peak_mb} > {peak_max} MB"));
        }
        if after_mb > after_max {
            faults.push(format!("keeps {after_mb} > {after_max} MB"));
        }
    }
    Figures {
        server: server.name.clone(),
        seconds,
        cpu_seconds: (server.cpu_time() - cpu_before).as_secs_f64(),
        start_mb,
        peak_mb,
        after_mb,
        innocent,
        notes,
        faults,
    }
}

/// What is wrong with the latencies of the innocent client, beside those under redis-server: at most 1.5 times as long, and a
/// little that no two runs have in common.
fn judge_latencies(ours: &mut Figures, theirs: &Figures) {
    let (Some(mine), Some(other)) = (&ours.innocent, &theirs.innocent) else {
        return;
    };
    // Of few requests only the slowest says something.
    let few = mine.count().min(other.count()) < REQUESTS_TO_JUDGE;
    let judged: &[(&str, f64, f64)] = match few {
        true => &[("max", 100.0, 20.0)],
        false => &[("p50", 50.0, 0.3), ("p99", 99.0, 2.0)],
    };
    for &(name, percent, slack_ms) in judged {
        let (mine, other) = (mine.percentile_ms(percent), other.percentile_ms(percent));
        if mine > other * 1.5 + slack_ms {
            ours.faults
                .push(format!("{name} {mine:.1} ms, beside {other:.1}"));
        }
    }
}

impl Figures {
    fn row(&self, case: &str) -> String {
        let innocent = self.innocent.as_ref().map_or_else(
            || "-".to_owned(),
            |innocent| {
                let [p50, p99, max] = [50.0, 99.0, 100.0].map(|at| innocent.percentile_ms(at));
                let count = innocent.count();
                format!("n {count} p50 {p50:.2} p99 {p99:.2} max {max:.1} ms")
            },
        );
        let verdict = if self.faults.is_empty() {
            "ok".to_owned()
        } else {
            self.faults.join(", ")
        };
        format!(
            "{case} | {} | {:.1} s | cpu {:.1} s | {} / {} / {} MB | {innocent} | {verdict} | {}",
            self.server,
            self.seconds,
            self.cpu_seconds,
            self.start_mb,
            self.peak_mb,
            self.after_mb,
            self.notes
        )
    }
}

/// The head of the table.
const HEAD: &str = "case | server | time | processor | memory at start / peak / after | innocent client | verdict | notes";

/// Runs the cases that are asked for.
///
/// # Panics
/// When one does not hold, after all have run.
pub(crate) fn run(cases: Vec<Case>) {
    run_by(Plan::from_environment(), cases);
}

/// Those of these names again by another way. Where the way is given from outside all run by that, and this does nothing.
pub(crate) fn run_again(way: Way, names: &[&str], cases: Vec<Case>) {
    if std::env::var_os("MILLRACE_ATTACKS_OVER").is_some() {
        return;
    }
    let mut plan = Plan::from_environment();
    plan.way = way;
    let chosen: Vec<Case> = cases
        .into_iter()
        .filter(|case| names.contains(&&*case.name))
        .collect();
    assert_eq!(chosen.len(), names.len(), "each name is of a case");
    run_by(plan, chosen);
}

fn run_by(plan: Plan, cases: Vec<Case>) {
    let mut offences = Vec::new();
    let asked: Vec<Case> = cases
        .into_iter()
        .filter(|case| plan.way == Way::Plain || !case.plain_only)
        .map(|mut case| {
            case.name.insert_str(0, plan.way.prefix());
            case
        })
        .filter(|case| plan.has(&case.name))
        .collect();
    if !asked.is_empty() {
        println!("{HEAD}");
    }
    for case in &asked {
        let theirs = case
            .oracle
            .then(|| measure(case, &plan, Target::start(plan.way, 0, &case.options), None));
        if let Some(theirs) = &theirs {
            println!("{}", theirs.row(&case.name));
        }
        let base = theirs.clone().unwrap_or_default();
        let room = if plan.full {
            case.room.full
        } else {
            case.room.short
        };
        for shards in shard_counts() {
            // The oracle answers wrong passwords at once: so must we, to be compared.
            let at_once: &[&str] = match case.options.contains(&"--requirepass") {
                true => &["--auth-failure-delay", "0"],
                false => &[],
            };
            let options = [&case.options[..], at_once].concat();
            let target = Target::start(plan.way, shards, &options);
            let threads = THREAD_MB * (shards as u64 - 1);
            let limits = (
                base.peak_mb + room.0 + threads,
                base.after_mb + room.1 + threads,
            );
            let mut ours = measure(case, &plan, target, Some(limits));
            if let Some(theirs) = theirs.as_ref().filter(|_| plan.full) {
                judge_latencies(&mut ours, theirs);
            }
            let row = ours.row(&case.name);
            println!("{row}");
            if !ours.faults.is_empty() {
                offences.push(row);
            }
        }
    }
    assert!(
        offences.is_empty(),
        "{} do not hold:\n{}",
        offences.len(),
        offences.join("\n")
    );
}
