//! `millrace demo`: a queue that survives the death of a worker, shown with real processes.
//!
//! ```text
//!             sourceQ                          resultQ
//! producer ──► XADD ──► worker process 1 ─┐ MULTI XADD resultQ, XACK EXEC ──► collector: sum
//!  (rate)              worker process 2 ─┤                                       │
//!                      …  (one is killed) │                                       │ all there
//!                          ▲              │                                       ▼
//! reclaimer ── XCLAIM ─────┘              └◄── exitCh: one message, a group each ─┘
//! ```
//!
//! * `ledger`: what was sent, what came back; the sum and the expected sum.
//! * `threads`: producer, collector, reclaimer, each with a connection of its own.
//! * `worker`: what a worker process does; the pattern to copy.
//! * `processes`: worker processes and, without --url, a server.
//!
//! Invariants: the expected sum comes from the producer's numbers alone and the sum from the
//! results alone; both are printed and compared, and the demo fails if they differ, if nobody
//! could be killed with ten entries in hand, or if nothing was reclaimed. No entry counts twice
//! (see `ledger`) and none is trimmed before it was worked on (see `threads`).
//!
//! Keys: `sourceQ`, `resultQ`, `exitCh`. They are deleted at the start if an earlier demo left
//! them; if they hold something else the demo refuses. They are deleted at the end of a success.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use redis::{Connection, Value};

use super::{complain, connect, described, nobody_reads};
use crate::cli::DemoArguments;

mod ledger;
mod processes;
mod threads;
mod worker;

use processes::{OwnServer, Workers};
use threads::Shared;

/// The stream of numbers.
const SOURCE: &str = "sourceQ";
/// The stream of squares.
const RESULT: &str = "resultQ";
/// The stream that tells workers to stop.
const EXIT: &str = "exitCh";
/// The group of the workers on [`SOURCE`].
const WORKERS: &str = "workers";
/// The group of the collector on [`RESULT`].
const COLLECTOR: &str = "collector";
/// Field and value of the first entry of [`EXIT`], by which a demo knows keys of a demo.
const MARK: (&str, &str) = ("made-by", "millrace-demo");

/// Entries a worker must hold when it is killed.
const HELD_MIN: usize = 10;
/// No number came back for this long: something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long workers may take to leave after the exit message.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the subcommand: as the demo, or as one of its workers.
#[must_use]
pub fn run(arguments: &DemoArguments) -> ExitCode {
    let outcome = match &arguments.as_worker {
        Some(name) => worker::run(arguments, name).map(|()| true),
        None => show(arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if !nobody_reads(&error) {
                complain(&described(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs the whole demo; whether it showed what it should.
fn show(arguments: &DemoArguments) -> anyhow::Result<bool> {
    let own_server = match arguments.url {
        Some(_) => None,
        None => Some(OwnServer::start(arguments.shards)?),
    };
    let url = arguments
        .url
        .clone()
        .or_else(|| own_server.as_ref().map(|server| server.url()));
    let client = connect::client(url.as_deref(), &arguments.tls)?;
    let mut connection = connect::connect(&client)?;
    let url = url.context("no server")?;

    let names: Vec<String> = (1..=arguments.workers)
        .map(|n| format!("worker-{n}"))
        .collect();
    make_keys(&mut connection, &names, arguments.force)?;
    say(&format!(
        "server {}, {} workers, {} numbers at {}",
        connect::address(&client),
        arguments.workers,
        arguments.messages,
        if arguments.rate == 0 {
            "full speed".to_owned()
        } else {
            format!("{}/s", arguments.rate)
        },
    ))?;

    // The first worker falls ill early in its share, so that it still gets entries.
    let ill_after = arguments.messages / arguments.workers / 8;
    let mut workers = Workers::start(&url, &arguments.tls, &names, ill_after)?;
    wait_for_workers(&mut connection, &mut workers, names.len())?;
    let shared = Shared::new(client);
    let watched = std::thread::scope(|scope| {
        scope.spawn(|| shared.run("producer", || threads::produce(&shared, arguments)));
        scope.spawn(|| shared.run("collector", || threads::collect(&shared)));
        scope.spawn(|| shared.run("reclaimer", || threads::reclaim(&shared)));
        let watched = watch(&shared, &mut connection, &mut workers, arguments);
        shared.over.store(true, Ordering::Relaxed);
        watched
    });
    let held = watched?;

    redis::cmd("XADD")
        .arg(EXIT)
        .arg("*")
        .arg("exit")
        .arg("now")
        .exec(&mut connection)?;
    let left = workers.wait(LEAVE_TIMEOUT)?;
    say(&format!(
        "{left} of {} workers left on the exit message",
        arguments.workers - 1
    ))?;
    let success = conclude(&shared, held)? && left + 1 == names.len();
    if success && !arguments.keep {
        redis::cmd("DEL")
            .arg(&[SOURCE, RESULT, EXIT])
            .exec(&mut connection)?;
    }
    Ok(success)
}

/// Waits until every worker has read its own pending entries: with that it is a consumer.
fn wait_for_workers(
    connection: &mut Connection,
    workers: &mut Workers,
    count: usize,
) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let mut info = redis::cmd("XINFO");
        info.arg("CONSUMERS").arg(SOURCE).arg(WORKERS);
        if info.query::<Vec<Value>>(connection)?.len() == count {
            return Ok(());
        }
        workers.check()?;
        if started.elapsed() > PATIENCE {
            bail!(
                "cannot start the workers: they did not read from their group in {} s",
                PATIENCE.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Follows the numbers until all are back, and kills the ill worker on the way; the number of
/// entries that it held then.
fn watch(
    shared: &Shared,
    connection: &mut Connection,
    workers: &mut Workers,
    arguments: &DemoArguments,
) -> anyhow::Result<Option<usize>> {
    let mut held = None;
    let mut shown_at = Instant::now();
    let mut progressed = (0, Instant::now());
    loop {
        if let Some(error) = shared.take_error() {
            return Err(error);
        }
        let processed = shared.ledger().processed();
        if processed > progressed.0 {
            progressed = (processed, Instant::now());
        }
        if processed == arguments.messages {
            show_progress(shared, workers, true)?;
            return Ok(held);
        }
        if progressed.1.elapsed() > PATIENCE {
            bail!(
                "nothing came back for {} s; the keys are left as they are",
                PATIENCE.as_secs()
            );
        }
        if held.is_none() {
            held = kill_when_loaded(shared, connection, workers)?;
            shared.has_killed.store(held.is_some(), Ordering::Relaxed);
        }
        workers.check()?;
        if shown_at.elapsed() >= Duration::from_millis(500) {
            show_progress(shared, workers, false)?;
            shown_at = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills the ill worker once it holds enough; the number of entries it held when it was dead.
///
/// A healthy worker takes fewer than [`HELD_MIN`] at a time, and an ill one finishes none: what is
/// seen before the kill is still there after it.
fn kill_when_loaded(
    shared: &Shared,
    connection: &mut Connection,
    workers: &mut Workers,
) -> anyhow::Result<Option<usize>> {
    let held = pending_of(connection, workers.victim())?;
    shared.held_by_victim.store(held as u64, Ordering::Relaxed);
    if held < HELD_MIN {
        return Ok(None);
    }
    workers.kill_victim()?;
    let held = pending_of(connection, workers.victim())?;
    end_progress_line()?;
    say(&format!(
        "{} killed with SIGKILL, {held} entries in hand",
        workers.victim()
    ))?;
    Ok(Some(held))
}

/// Entries pending for a consumer, up to 1,000.
fn pending_of(connection: &mut Connection, consumer: &str) -> anyhow::Result<usize> {
    let reply: Vec<Value> = redis::cmd("XPENDING")
        .arg(SOURCE)
        .arg(WORKERS)
        .arg("-")
        .arg("+")
        .arg(1_000)
        .arg(consumer)
        .query(connection)?;
    Ok(reply.len())
}

/// Makes the streams and their groups, after removing those of an earlier demo.
fn make_keys(connection: &mut Connection, workers: &[String], force: bool) -> anyhow::Result<()> {
    let keys = [SOURCE, RESULT, EXIT];
    let existing: u64 = redis::cmd("EXISTS").arg(&keys).query(connection)?;
    if existing > 0 && !force && !are_of_a_demo(connection) {
        bail!(
            "cannot use the keys {}: they exist already and were not made by a demo; give --force to delete them",
            keys.join(", ")
        );
    }
    let mut pipeline = redis::pipe();
    pipeline.cmd("DEL").arg(&keys);
    pipeline
        .cmd("XADD")
        .arg(EXIT)
        .arg("*")
        .arg(MARK.0)
        .arg(MARK.1);
    for (stream, group) in [(SOURCE, WORKERS), (RESULT, COLLECTOR)] {
        pipeline
            .cmd("XGROUP")
            .arg("CREATE")
            .arg(stream)
            .arg(group)
            .arg("0")
            .arg("MKSTREAM");
    }
    for worker in workers {
        pipeline
            .cmd("XGROUP")
            .arg("CREATE")
            .arg(EXIT)
            .arg(worker)
            .arg("$");
    }
    pipeline
        .query::<Vec<Value>>(connection)
        .context("cannot make the streams")?;
    Ok(())
}

/// Whether the exit stream begins with the mark of a demo.
fn are_of_a_demo(connection: &mut Connection) -> bool {
    type Entries = Vec<(String, Vec<String>)>;
    let mut first = redis::cmd("XRANGE");
    first.arg(EXIT).arg("-").arg("+").arg("COUNT").arg(1);
    // A key of another type is an error here, and not ours.
    first.query::<Entries>(connection).is_ok_and(|entries| {
        entries
            .first()
            .is_some_and(|(_, fields)| *fields == [MARK.0, MARK.1])
    })
}

/// Prints the result; whether it is what it should be.
fn conclude(shared: &Shared, held: Option<usize>) -> anyhow::Result<bool> {
    let ledger = shared.ledger();
    let reclaimed = shared.reclaimed.load(Ordering::Relaxed);
    let mut out = std::io::stdout().lock();
    writeln!(out, "sent          {}", ledger.sent())?;
    writeln!(out, "processed     {}", ledger.processed())?;
    writeln!(out, "duplicates    {} (not counted)", ledger.duplicates())?;
    writeln!(out, "reclaimed     {reclaimed}")?;
    writeln!(out, "sum           {}", ledger.sum())?;
    writeln!(out, "expected sum  {}", ledger.expected_sum())?;
    out.flush()?;
    let mut success = true;
    let mut require = |is_so: bool, otherwise: &str| {
        if !is_so {
            complain(&format!(
                "the demo did not show what it should: {otherwise}"
            ));
            success = false;
        }
    };
    require(ledger.sum() == ledger.expected_sum(), "the sums differ");
    require(reclaimed > 0, "nothing was reclaimed");
    require(
        held.is_some_and(|held| held >= HELD_MIN),
        "no worker was killed with ten entries in hand",
    );
    Ok(success)
}

fn show_progress(shared: &Shared, workers: &Workers, last: bool) -> anyhow::Result<()> {
    let line = {
        let ledger = shared.ledger();
        format!(
            "sent {:>8}  processed {:>8}  reclaimed {:>4}  workers {}",
            ledger.sent(),
            ledger.processed(),
            shared.reclaimed.load(Ordering::Relaxed),
            workers.running_count(),
        )
    };
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        write!(out, "\r{line}{}", if last { "\n" } else { "" })?;
    } else {
        writeln!(out, "{line}")?;
    }
    out.flush().context("cannot print")
}

/// On a terminal the progress is one line written over and over; what follows needs a new one.
fn end_progress_line() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        writeln!(out)?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot print")
}
