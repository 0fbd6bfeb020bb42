//! `millrace import`: copies what a running Redis, Valkey or Millrace holds into a running server.
//!
//! ```text
//! mod        connect, look, copy each database, compare each, print, exit code
//! facts      what the servers say of themselves; what stops an import before it begins
//! pages      keys by SCAN, in groups that fit into memory
//! copy       DUMP and RESTORE of a group
//! functions  the libraries
//! compare    whether a key has the same value on both sides
//! verify     which keys are compared at the end
//! progress   bar or lines                         report   counts and sentences
//! link       a connection with requests sent ahead
//! ```
//!
//! Restarting: an import killed half-way is simply started again. There is no state file: a cursor of SCAN means nothing to a server
//! that has been started anew, and writing a key twice does no harm. A key that is there already with the same value is left alone;
//! so nothing that somebody wrote to the target is lost without --replace.
//!
//! Invariants: the source is only read; what is copied has its end as a point in time; exit code 0 only if everything was copied and
//! nothing that was compared differs, 1 if not, 2 if nothing was tried.
//!
//! Deliberately not here: a point in time. What is written to the source meanwhile may be missing, or be there by half.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use super::{complain, connect, described};
use crate::cli::{ImportArguments, TlsArguments};

mod compare;
mod copy;
mod facts;
mod functions;
mod link;
mod pages;
mod progress;
mod report;
mod verify;

use copy::Copying;
use facts::Facts;
use link::{Link, Links};
use progress::Progress;
use report::{DatabaseReport, ImportReport};
use verify::Verifying;

/// Where the password of the source comes from, first to last.
const SOURCE_PASSWORDS: [&str; 2] = ["MILLRACE_IMPORT_PASSWORD", "REDISCLI_AUTH"];

/// Exit code when nothing was tried.
const NOT_TRIED: u8 = 2;

/// Runs the subcommand.
#[must_use]
pub fn run(arguments: &ImportArguments) -> ExitCode {
    let started = Instant::now();
    let (mut links, facts) = match prepared(arguments) {
        Ok(prepared) => prepared,
        Err(sentence) => {
            complain(&sentence);
            return ExitCode::from(NOT_TRIED);
        }
    };
    let say = |line: &str| {
        if !arguments.quiet {
            // Nobody may be reading: the exit code says how it went.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    };
    for notice in &facts.notices {
        say(notice);
    }
    say(&begun(&links, &facts, arguments));
    let mut report = ImportReport::default();
    let result = import(&mut links, &facts, arguments, &mut report);
    for line in report.lines(started.elapsed(), &links.source.address) {
        say(&line);
    }
    for complaint in report.complaints() {
        complain(&complaint);
    }
    if let Err(error) = &result {
        complain(&format!(
            "{}; not everything was copied: start it again, and what is there already is left alone",
            described(error)
        ));
    }
    if result.is_ok() && report.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is said before anything is copied.
fn begun(links: &Links, facts: &Facts, arguments: &ImportArguments) -> String {
    let (source, target) = (&links.source.address, &links.target.address);
    let databases = match facts.databases.len() {
        0 if arguments.databases.is_empty() => {
            return format!("{source} is empty: no keys are copied to {target}");
        }
        0 => return format!("no keys are copied to {target}"),
        1 => "1 database".to_owned(),
        count => format!("{count} databases"),
    };
    format!(
        "copying {databases} from {source} to {target}; this is no point in time: what is written to the source \
         meanwhile may be missing or half there"
    )
}

/// Both connections and the facts; a sentence if an import cannot work.
fn prepared(arguments: &ImportArguments) -> Result<(Links, Facts), String> {
    let source_client = connect::client_of(&arguments.from, &SOURCE_PASSWORDS, &arguments.tls);
    let sentence = |error: anyhow::Error| described(&error);
    let source_client = source_client.map_err(sentence)?;
    let source = source(&source_client)
        // What to do is said for the server that all tools work on.
        .map_err(|error| {
            described(&error).replace("MILLRACE_PASSWORD", "MILLRACE_IMPORT_PASSWORD")
        })?;
    let client = target(arguments, connect::is_tls(&source_client)).map_err(sentence)?;
    without_database("--to", &client).map_err(sentence)?;
    let target = Link::open(&client).map_err(sentence)?;
    let mut links = Links { source, target };
    let facts = Facts::of(&mut links, &arguments.databases).map_err(sentence)?;
    Ok((links, facts))
}

fn source(client: &redis::Client) -> anyhow::Result<Link> {
    without_database("--from", client)?;
    Link::open(client)
}

/// The client of the target. The options for TLS are for both servers, or for the one that speaks it.
fn target(arguments: &ImportArguments, source_is_tls: bool) -> anyhow::Result<redis::Client> {
    let url = connect::url(arguments.to.as_deref());
    if source_is_tls && !url.starts_with("rediss:") {
        return connect::client(Some(&url), &TlsArguments::default());
    }
    connect::client(Some(&url), &arguments.tls)
}

/// A database in the address would be ignored.
fn without_database(option: &str, client: &redis::Client) -> anyhow::Result<()> {
    match client.get_connection_info().redis_settings().db() {
        0 => Ok(()),
        database => anyhow::bail!(
            "cannot use database {database} of the address of {option}: a key keeps the number of its database; \
             choose databases by --db"
        ),
    }
}

/// Copies everything, then compares everything.
fn import(
    links: &mut Links,
    facts: &Facts,
    arguments: &ImportArguments,
    report: &mut ImportReport,
) -> anyhow::Result<()> {
    let all = facts.databases.iter().map(|database| database.keys).sum();
    let all = arguments.pattern.is_none().then_some(all);
    if !arguments.no_functions && arguments.pattern.is_none() && arguments.databases.is_empty() {
        report.functions = functions::copy(links, arguments)?;
    }
    let mut progress = Progress::new("copying", all, arguments.quiet);
    let result = each(facts, report, |report| {
        let copying = Copying {
            links,
            facts,
            arguments,
            report,
            progress: &mut progress,
        };
        { copying }.run()
    });
    progress.end();
    report.bytes = progress.bytes();
    result?;
    let mut progress = Progress::new("comparing", all, arguments.quiet);
    let result = each(facts, report, |report| {
        let verifying = Verifying {
            links,
            facts,
            arguments,
            report,
            progress: &mut progress,
        };
        { verifying }.run()
    });
    progress.end();
    result
}

/// Does something with each database and its report.
fn each(
    facts: &Facts,
    report: &mut ImportReport,
    mut work: impl FnMut(&mut DatabaseReport) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (index, database) in facts.databases.iter().enumerate() {
        if index == report.databases.len() {
            report.databases.push(DatabaseReport {
                number: database.number,
                ..DatabaseReport::default()
            });
        }
        if let Some(report) = report.databases.get_mut(index) {
            work(report)?;
        }
    }
    Ok(())
}
