//! The benchmark: Millrace, redis-server and others under the same load, in turns, within one run.
//!
//! ```text
//!   arguments ─► fleet: servers started ─► measure: rounds, in each every server in turn ─► report, plot
//!                                             │
//!              catalogue: workloads ──────────┤   plan: which connections send what
//!                                             ▼
//!                              drive: one thread, one epoll; connection, template, skip
//! ```
//!
//! What it claims: the CPU time a server used between two moments at which nothing was under way, divided by the work that was
//! counted and checked in between. Throughput and latency share the machine with the generator and are marked where that matters.

mod arguments;
mod catalogue;
mod connection;
mod drive;
mod fleet;
mod growth;
mod measure;
mod memory;
mod model;
mod null;
mod plan;
mod plot;
mod progress;
mod report;
mod scaling;
mod sharding;
mod skip;
mod stall;
mod template;
mod usage;
mod wire;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use arguments::{Arguments, Mode, Options};
use catalogue::Workload;
use fleet::{Server, Spec};
use measure::{Row, Schedule};
use progress::Progress;
use report::Columns;

/// Open files wanted: ten thousand connections here, as many in a server, which inherits the limit.
const OPEN_FILES: u64 = 30_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.mode {
        Some(Mode::NullServer { port }) => null::serve(port),
        None => compare(&arguments.options),
        Some(Mode::Stall) => stalls(&arguments.options),
        Some(Mode::Growth) => grow(&arguments.options),
        Some(Mode::Scaling) => scale(&arguments.options),
        Some(Mode::Sharding) => shard(&arguments.options),
        Some(Mode::Model) => print(&model::run()),
    };
    fleet::kill_all();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _gone = writeln!(std::io::stderr(), "millrace-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    let wanted = Rlimit {
        current: Some(most.max(limit.current.unwrap_or(most))),
        maximum: limit.maximum,
    };
    // With fewer files the workloads that need them say so themselves.
    let _as_it_was = setrlimit(Resource::Nofile, wanted);
}

fn millrace(options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(path) = &options.millrace {
        return std::path::absolute(path).context("--millrace");
    }
    let own = std::env::current_exe().context("where is this program?")?;
    Ok(own.with_file_name("millrace"))
}

/// Starts all servers that were asked for.
fn start(options: &Options) -> anyhow::Result<Vec<Server>> {
    start_all(options, &options.specs()?)
}

fn start_all(options: &Options, specs: &[Spec]) -> anyhow::Result<Vec<Server>> {
    let millrace = millrace(options)?;
    raise_file_limit();
    fleet::watch_for_the_end()?;
    specs
        .iter()
        .map(|spec| Server::start(spec, &millrace))
        .collect()
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn list(workloads: &[Workload], kinds: &[memory::Kind]) -> anyhow::Result<()> {
    for workload in workloads {
        let quick = if workload.is_quick { "quick" } else { "" };
        let Workload { name, about, .. } = workload;
        print(&format!("{name:<42} {quick:<6} {about}\n"))?;
    }
    for kind in kinds {
        let name = format!("memory: {}", kind.name);
        print(&format!("{name:<42} quick  bytes for each\n"))?;
    }
    Ok(())
}

/// Names the rows of a mode that are selected, if that is what was asked for. An error when there are none.
fn name(options: &Options, names: &[&str]) -> anyhow::Result<bool> {
    let selected = || names.iter().filter(|name| options.selects(name));
    anyhow::ensure!(
        selected().next().is_some(),
        "no row has that in its name; --list names them"
    );
    if options.list {
        selected().try_for_each(|name| print(&format!("{name}\n")))?;
    }
    Ok(options.list)
}

fn compare(options: &Options) -> anyhow::Result<()> {
    let (scale, schedule) = (options.scale(), options.schedule());
    let mut workloads = catalogue::all(scale);
    workloads.retain(|workload| options.selects(&workload.name));
    let mut kinds = memory::kinds(scale);
    kinds.retain(|kind| options.selects(&format!("memory: {}", kind.name)));
    if options.list {
        return list(&workloads, &kinds);
    }
    if options.quick && options.workload.is_empty() {
        workloads.retain(|workload| workload.is_quick);
    }
    anyhow::ensure!(
        !workloads.is_empty() || !kinds.is_empty(),
        "no workload has that in its name; --list names them"
    );
    std::fs::create_dir_all(&options.out)?;
    let mut servers = start(options)?;
    let columns = Columns::of(&servers);
    print(&report::opening(&servers))?;
    let csv = options.out.join("compare.csv");
    let mut progress = Progress::new(workloads.len() + kinds.len());
    let rows = measured(
        (&mut servers, &columns),
        &workloads,
        schedule,
        &csv,
        &mut progress,
    )?;
    let mut memory_rows = Vec::new();
    for kind in &kinds {
        progress.tell(&format!("memory: {}", kind.name));
        memory_rows.push(memory::measure(&mut servers, kind)?);
        progress.advance();
    }
    drop(progress);
    print(&report::tables(&columns, &rows))?;
    print(&report::memory_table(&columns, &memory_rows))?;
    report::write_csv(
        &options.out.join("compare.csv"),
        &columns,
        &rows,
        &memory_rows,
    )?;
    if !rows.is_empty() {
        plot::ratios(&options.out.join("compare.svg"), &columns, &rows)?;
    }
    print(&format!("\nAll figures: {}\n", csv.display()))
}

/// The rows of workloads, also written as they come: a run that is interrupted leaves what it found.
fn measured(
    (servers, columns): (&mut [Server], &Columns),
    workloads: &[Workload],
    schedule: Schedule,
    csv: &Path,
    progress: &mut Progress,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for workload in workloads {
        let row = measure::compare(servers, workload, schedule, |round, spec| {
            let (name, rounds, server) = (&workload.name, schedule.rounds, &spec.name);
            progress.tell(&match round {
                0 => format!("{name}: preparing {server}"),
                _ => format!("{name}: round {round} of {rounds}, {server}"),
            });
        })?;
        rows.push(row);
        progress.advance();
        report::write_csv(csv, columns, &rows, &[])?;
    }
    Ok(rows)
}

fn shard(options: &Options) -> anyhow::Result<()> {
    let mut workloads = sharding::workloads(options.scale());
    workloads.retain(|workload| options.selects(&workload.name));
    let names: Vec<&str> = workloads
        .iter()
        .map(|workload| workload.name.as_str())
        .collect();
    if name(options, &names)? {
        return Ok(());
    }
    std::fs::create_dir_all(&options.out)?;
    let mut servers = start_all(options, &sharding::specs())?;
    let columns = Columns {
        reference: Some(0),
        ..Columns::of(&servers)
    };
    print(&report::opening(&servers))?;
    let csv = options.out.join("sharding.csv");
    let mut progress = Progress::new(workloads.len());
    let rows = measured(
        (&mut servers, &columns),
        &workloads,
        options.schedule(),
        &csv,
        &mut progress,
    )?;
    drop(progress);
    print(&report::tables(&columns, &rows))?;
    print(&format!("\nAll figures: {}\n", csv.display()))
}

fn stalls(options: &Options) -> anyhow::Result<()> {
    if name(options, &stall::names(options.scale()))? {
        return Ok(());
    }
    let mut servers = start(options)?;
    servers.retain(|server| !server.spec.is_null());
    print(&report::opening(&servers))?;
    let progress = Progress::new(1);
    let duration = options.schedule().turn * if options.quick { 5 } else { 6 };
    let selects = |name: &str| options.selects(name);
    let text = stall::run(&mut servers, options.scale(), duration, selects, |what| {
        progress.tell(what)
    })?;
    drop(progress);
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("stall.md"), &text)?;
    print(&text)
}

fn grow(options: &Options) -> anyhow::Result<()> {
    if name(options, &growth::names(options.scale()))? {
        return Ok(());
    }
    std::fs::create_dir_all(&options.out)?;
    let mut servers = start(options)?;
    print(&report::opening(&servers))?;
    let progress = Progress::new(1);
    let sizes = (options.scale(), options.schedule());
    let selects = |name: &str| options.selects(name);
    let text = growth::run(&mut servers, sizes, selects, &options.out, |what| {
        progress.tell(what)
    })?;
    drop(progress);
    print(&text)
}

fn scale(options: &Options) -> anyhow::Result<()> {
    let millrace = millrace(options)?;
    raise_file_limit();
    fleet::watch_for_the_end()?;
    print(&report::opening(&[]))?;
    let progress = Progress::new(1);
    let text = scaling::run(&millrace, options.schedule(), |what| progress.tell(what))?;
    drop(progress);
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("scaling.md"), &text)?;
    print(&text)
}
