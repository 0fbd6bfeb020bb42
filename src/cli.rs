//! The command line: the subcommands, and the help for everything.
//!
//! `millrace` has two command lines. Without a subcommand it takes exactly what `redis-server`
//! takes, and nothing here looks at it. An *exact* first word out of [`SUBCOMMANDS`] selects a
//! subcommand, and the words after it are parsed here:
//!
//! ```text
//! millrace                      the server, all defaults     ┐
//! millrace redis.conf --port 1  the server                   ├ passed on word by word
//! millrace server --port 1      the same                     ┘
//! millrace reclaim|import|demo … a client of a server        parsed here
//! millrace check …              the files of a log           parsed here
//! millrace help [word]          subcommands and options      cli/help.rs
//! millrace completions|man …    for a shell, for man         cli/pages.rs
//! millrace recliam              neither word nor file        cli/help.rs: what was meant
//! ```
//!
//! Invariants: parsing has no side effect and reads no environment, so a test owns its input;
//! what is parsed here is a request that makes sense (a combination that does not is a usage
//! error, exit code 2, before anything is connected to). Options of the server come from the
//! table in `config`; none is listed here.
//!
//! Deliberately not here: reading the server's options (`config`), and anything that runs.

pub mod help;
pub mod pages;
mod tls;

use std::time::Duration;

use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};

pub(crate) use tls::TlsArguments;

/// The first words that are subcommands; any other first word belongs to the server.
pub(crate) const SUBCOMMANDS: [&str; 9] = [
    "server",
    "reclaim",
    "import",
    "demo",
    "ping",
    "check",
    "completions",
    "man",
    "help",
];

/// The address used when neither `--url` nor `MILLRACE_URL` names one.
pub(crate) const DEFAULT_URL: &str = "redis://127.0.0.1:6379";

/// Whether `word`, standing first on the command line, selects a subcommand.
#[must_use]
pub fn is_subcommand(word: &str) -> bool {
    SUBCOMMANDS.contains(&word)
}

/// A message broker that every Redis client already speaks.
///
/// Without a subcommand millrace is the server and takes what redis-server takes.
#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    bin_name = "millrace",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(
    override_usage = "millrace [redis.conf|-] [--option value ...]\n       millrace <COMMAND>"
)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server, as without a subcommand: [redis.conf|-] [--option value ...].
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Server(ServerArguments),
    /// Give pending entries of consumers that have died to other consumers of the group; for cron.
    Reclaim(ReclaimArguments),
    /// Copy what a running Redis, Valkey or Millrace holds into a running server.
    Import(ImportArguments),
    /// Show a queue that survives the death of a worker: producer, workers, collector, reclaimer.
    Demo(DemoArguments),
    /// Ask a server whether it serves; for container health checks.
    Ping(PingArguments),
    /// Look through the files of a log, or a snapshot, and repair them.
    Check(CheckArguments),
    /// Print completions for a shell.
    Completions(CompletionsArguments),
    /// Print the manual page, or that of a subcommand, for man.
    Man(ManArguments),
    /// Explain a subcommand or an option of the server, or list them.
    Help(HelpArguments),
}

/// `millrace completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
For this session of bash:   source <(millrace completions bash)
For all sessions of bash:   millrace completions bash > /etc/bash_completion.d/millrace
zsh:                        millrace completions zsh > /usr/local/share/zsh/site-functions/_millrace
fish:                       millrace completions fish > ~/.config/fish/completions/millrace.fish")]
pub struct CompletionsArguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `millrace man`.
#[derive(Debug, Args)]
#[command(after_help = "To read it at once: millrace man | man -l -")]
pub struct ManArguments {
    /// A subcommand with options of its own; without it the page covers the server.
    #[arg(value_name = "SUBCOMMAND", value_parser = ["reclaim", "import", "demo", "ping", "check", "completions"])]
    pub subcommand: Option<String>,
}

/// `millrace help`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct HelpArguments {
    /// A subcommand, or an option of the server with or without its dashes.
    #[arg(value_name = "WORD", allow_hyphen_values = true)]
    pub word: Option<String>,
}

/// What follows `millrace server`; not looked at here.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// A configuration file (or - for standard input) and options, as redis-server takes them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<std::ffi::OsString>,
}

/// Which server to talk to.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerAddress {
    /// The server: redis://[user:password@]host[:port][/db], rediss:// for TLS, or unix:///path.
    ///
    /// Without it the environment variable MILLRACE_URL is used, then redis://127.0.0.1:6379.
    /// A password that is not in the URL is read from MILLRACE_PASSWORD or REDISCLI_AUTH, so
    /// that it need not stand on a command line that every user of the machine can read.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// How to speak TLS.
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

/// `millrace ping`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 the server answered PONG; 1 it did not (refused, loading, \
    busy, wrong password, too slow); 2 usage."
)]
pub struct PingArguments {
    /// The server to ask.
    #[command(flatten)]
    pub(crate) server: ServerAddress,
    /// How long connecting and answering may take together.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = positive_duration)]
    pub(crate) timeout: Duration,
    /// Print nothing; the exit code is the answer.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const CHECK_AFTER_HELP: &str = "\
A log is a directory with a manifest (appendonlydir), or one of its files. Each file is whole, torn
(its end is missing or not whole, as after a power cut: a start cuts that by itself) or damaged (what
was on disk has changed: a start is refused). A snapshot is read to its end, with its checksum; one
that is damaged cannot be repaired.

--fix cuts a torn or damaged log where it stops making sense and keeps the rest beside it, in
<file>.cut-<offset>. Files that come after a cut are no longer listed in the manifest, and kept too.
So a file that others follow is not cut by itself, but with its directory or its manifest.
No server may run on the directory. A file that is neither a log nor a snapshot is left alone.

Exit code: 0 whole, or repaired; 1 torn or damaged; 2 something could not be read or is neither a log
nor a snapshot, or usage.";

/// `millrace check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_AFTER_HELP)]
pub struct CheckArguments {
    /// A directory with a log, or a server's directory; or a manifest, a log's file, a snapshot.
    #[arg(value_name = "DIR|FILE", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) path: std::path::PathBuf,
    /// Cut what is torn or damaged.
    #[arg(long)]
    pub(crate) fix: bool,
}

const RECLAIM_AFTER_HELP: &str = "\
A consumer counts as alive while it has been idle for less than --min-idle. Entries are given with
XCLAIM ... JUSTID, which does not count as a delivery: the count rises only when a worker reads
the entry. So a worker must read its own pending entries, at its start and regularly:

    XREADGROUP GROUP <group> <me> COUNT 10 STREAMS <stream> 0     then
    XREADGROUP GROUP <group> <me> COUNT 10 BLOCK 2000 STREAMS <stream> >

Up to Redis 7.0 a worker that finds nothing new counts as alive only by reading its pending entries.
An entry must be worked on for less than --min-idle, or two workers may have it.

Every five minutes, as one line of a crontab:

*/5 * * * * /usr/local/bin/millrace reclaim --quiet --stream jobs --group workers --min-idle 5m

Exit code: 0 done (also when no consumer is alive and the entries stay, or a stream does not exist
yet), 1 could not connect or a command failed, 2 usage. Works with Redis 6.2 and newer, Valkey and
Millrace.";

/// `millrace reclaim`.
#[derive(Debug, Clone, Args)]
#[command(after_help = RECLAIM_AFTER_HELP)]
#[command(group = ArgGroup::new("too_often").args(["dead_letter", "delete"]))]
pub struct ReclaimArguments {
    /// The server to work on.
    #[command(flatten)]
    pub(crate) server: ServerAddress,
    /// A stream to look after; may be given more than once, or several names in a row.
    #[arg(long = "stream", value_name = "KEY", required = true, num_args = 1..)]
    pub(crate) streams: Vec<String>,
    /// The consumer group, the same in every stream.
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: String,
    /// Take entries that were delivered at least this long ago, e.g. 30s, 5m, 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) min_idle: Duration,
    /// Give everything to this consumer, alive or not, instead of the least loaded one that is alive.
    #[arg(long, value_name = "CONSUMER")]
    pub(crate) to: Option<String>,
    /// The consumer of --to need not exist yet.
    #[arg(long, requires = "to")]
    pub(crate) create: bool,
    /// How often an entry may be delivered: one delivered this often goes to --dead-letter or is
    /// deleted instead.
    #[arg(long, value_name = "N", requires = "too_often",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_deliveries: Option<u64>,
    /// Move entries delivered too often to this stream, with the fields source, id, group,
    /// deliveries and consumer added, and acknowledge them.
    #[arg(long, value_name = "KEY", requires = "max_deliveries")]
    pub(crate) dead_letter: Option<String>,
    /// Acknowledge entries delivered too often and delete them from the stream.
    #[arg(long, requires = "max_deliveries")]
    pub(crate) delete: bool,
    /// Remove consumers that have been idle for longer than this and have nothing pending.
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) drop_idle_consumers: Option<Duration>,
    /// Entries to look at per request (a page of XPENDING).
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) count: u32,
    /// Repeat a pass this often instead of ending after one.
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) every: Option<Duration>,
    /// Say what a pass would do and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object per pass instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing about a pass that changed nothing; what fails is always said.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const IMPORT_AFTER_HELP: &str = "\
Everything that the source holds is copied into the databases of the same numbers: keys with their ends, by SCAN, DUMP and
RESTORE, and function libraries.
The source is only read.

It is no point in time: what is written to the source meanwhile may be missing in the target, or half of it
may be there. Stop the writers for a copy that is exact.

An import that was interrupted is started again: keys that are in the target already with the same value and end
are left alone, those with another value are reported. --replace overwrites them.

At the end every key of the source is looked for in the target. Values are compared by DEBUG DIGEST-VALUE where both servers
allow it, all of them; else a sample of --sample keys of each database is read on both sides.

Exit code: 0 everything was copied and nothing that was compared differs; 1 something was not copied or differs; 2 nothing was
tried: usage, could not connect, or the target cannot take it (fewer databases, no RESTORE).";

/// `millrace import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = IMPORT_AFTER_HELP)]
pub struct ImportArguments {
    /// The server to copy from: redis://[user:password@]host[:port], rediss:// for TLS, or unix:///path.
    ///
    /// A password that is not in the URL is read from MILLRACE_IMPORT_PASSWORD or REDISCLI_AUTH, so that it need not stand
    /// on a command line that every user of the machine can read.
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The server to copy to; without it MILLRACE_URL, then redis://127.0.0.1:6379.
    ///
    /// A password that is not in the URL is read from MILLRACE_PASSWORD or REDISCLI_AUTH.
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// How to speak TLS, with either.
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    /// Copy only keys that fit this glob, as SCAN takes it, and no functions.
    #[arg(long = "match", value_name = "GLOB")]
    pub(crate) pattern: Option<String>,
    /// Copy only this database, and no functions; may be given more than once.
    #[arg(long = "db", value_name = "N")]
    pub(crate) databases: Vec<u32>,
    /// Overwrite keys and function libraries that the target has already.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Go on after a key that a server refuses; the first 20 are named, all are counted.
    #[arg(long)]
    pub(crate) skip_errors: bool,
    /// Leave function libraries out.
    #[arg(long)]
    pub(crate) no_functions: bool,
    /// Compare nothing at the end but the numbers of keys.
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Values to compare in each database where the servers give no digests; 0: none.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        conflicts_with = "no_verify"
    )]
    pub(crate) sample: u64,
    /// Print only what goes wrong.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const DEMO_AFTER_HELP: &str = "\
A producer puts random numbers into the stream sourceQ; worker processes of a group square them
into resultQ and acknowledge, both in one MULTI; a collector keeps the sum. One worker is killed
(SIGKILL) while it holds at least ten entries, and the code of `millrace reclaim` gives them to
the other workers. The workers read their own pending entries (0) at their start and regularly.

Exit code: 0 the sums are equal and entries were reclaimed; 1 not so, or something failed; 2 usage.";

/// `millrace demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = DEMO_AFTER_HELP)]
pub struct DemoArguments {
    /// The server to use; without --url (and MILLRACE_URL is not looked at) the demo starts a
    /// millrace of its own on a free port and stops it at the end.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// How to speak TLS.
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    /// Numbers to send; at least 40 for each worker.
    #[arg(long, value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: u64,
    /// Worker processes; at least 2, for one is killed.
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u64).range(2..=64))]
    pub(crate) workers: u64,
    /// Numbers to send per second; 0 is as fast as the workers can follow.
    #[arg(long, value_name = "R", default_value_t = 2_000)]
    pub(crate) rate: u64,
    /// Shards of the server that the demo starts.
    #[arg(long, value_name = "N", default_value_t = 2, conflicts_with = "url",
          value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) shards: u64,
    /// Use the keys sourceQ, resultQ and exitCh even if they hold something else: it is deleted.
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave the keys behind for a look around with redis-cli.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Be the worker of this name (the demo starts its workers with it, and tells them the server
    /// by MILLRACE_URL, where a password in it is not shown to everybody).
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) as_worker: Option<String>,
    /// As a worker: after this many entries stop finishing, and only take in, so as to be killed
    /// with entries in hand.
    #[arg(long, hide = true, value_name = "N", requires = "as_worker")]
    pub(crate) fall_ill_after: Option<u64>,
}

impl DemoArguments {
    /// Checks what clap's grammar cannot say.
    ///
    /// # Errors
    /// A sentence for the user when there are too few messages for one worker to be caught with
    /// ten in hand.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let messages_min = self.workers * 40;
        if self.as_worker.is_none() && self.messages < messages_min {
            return Err(format!(
                "--messages must be at least {messages_min} (40 for each of {} workers)",
                self.workers
            ));
        }
        Ok(())
    }
}

impl ReclaimArguments {
    /// Checks what clap's grammar cannot say.
    ///
    /// # Errors
    /// A sentence for the user when dead letters would go into a stream they come from.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match &self.dead_letter {
            Some(key) if self.streams.contains(key) => Err(format!(
                "--dead-letter {key} is one of the streams to look after"
            )),
            _ => Ok(()),
        }
    }
}

impl Command {
    /// Its name, and what clap's grammar cannot say.
    fn checked(&self) -> (&'static str, Result<(), String>) {
        match self {
            Command::Reclaim(arguments) => ("reclaim", arguments.validate()),
            Command::Demo(arguments) => ("demo", arguments.validate()),
            Command::Import(_) => ("import", Ok(())),
            Command::Server(_) => ("server", Ok(())),
            Command::Ping(_) => ("ping", Ok(())),
            Command::Check(_) => ("check", Ok(())),
            Command::Completions(_) => ("completions", Ok(())),
            Command::Man(_) => ("man", Ok(())),
            Command::Help(_) => ("help", Ok(())),
        }
    }
}

/// A command line that leads to no subcommand: what to print, where, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Ending {
    /// The text, with its line ends.
    pub text: String,
    /// Whether it is a complaint, for standard error.
    pub is_complaint: bool,
    /// The exit code.
    pub code: u8,
}

impl Ending {
    /// A complaint about a command line: one sentence, exit code 2.
    #[must_use]
    pub fn usage(sentence: &str) -> Ending {
        Ending {
            text: format!("millrace: {sentence}\n"),
            is_complaint: true,
            code: 2,
        }
    }

    fn of(error: &clap::Error) -> Ending {
        let text = error.render().to_string();
        let is_complaint = error.use_stderr();
        Ending {
            // Every complaint of the program begins with its name.
            text: match text.strip_prefix("error: ") {
                Some(rest) if is_complaint => format!("millrace: {rest}"),
                _ => text,
            },
            is_complaint,
            code: u8::try_from(error.exit_code()).unwrap_or(2),
        }
    }
}

impl Cli {
    /// Parses a command line, the program's name first.
    ///
    /// # Errors
    /// It makes no sense, or asks for a help text: what to print.
    pub fn parsed(words: impl Iterator<Item = std::ffi::OsString>) -> Result<Cli, Ending> {
        let cli = Cli::try_parse_from(words).map_err(|error| Ending::of(&error))?;
        let (name, checked) = cli.command.checked();
        match checked {
            Ok(()) => Ok(cli),
            Err(sentence) => {
                let mut root = Cli::command();
                root.build();
                let kind = clap::error::ErrorKind::ValueValidation;
                let error = match root.find_subcommand_mut(name) {
                    Some(command) => command.error(kind, sentence),
                    None => root.error(kind, sentence),
                };
                Err(Ending::of(&error))
            }
        }
    }
}

/// Reads a duration: whole numbers with a unit, `500ms`, `30s`, `5m`, `1h30m`, `2d`.
///
/// # Errors
/// A sentence for the user when the text is not one or more `<number><unit>` or too large.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration such as 500ms, 30s, 5m, 1h30m or 2d");
    let mut total_ms: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_len = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total_ms = number
            .checked_mul(unit_ms)
            .and_then(|part_ms| total_ms.checked_add(part_ms))
            // Redis reads an idle time as a signed 64-bit number.
            .filter(|&ms| i64::try_from(ms).is_ok())
            .ok_or_else(|| format!("'{text}' is too long a time"))?;
        rest = next;
    }
    Ok(Duration::from_millis(total_ms))
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("millrace").chain(line.split_whitespace()))
    }

    fn exit_code(line: &str) -> i32 {
        parse(line).unwrap_err().exit_code()
    }

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_numbers_with_units() {
        let ms = |text| parse_duration(text).unwrap().as_millis();
        assert_eq!(ms("500ms"), 500);
        assert_eq!(ms("30s"), 30_000);
        assert_eq!(ms("5m"), 300_000);
        assert_eq!(ms("1h"), 3_600_000);
        assert_eq!(ms("2d"), 172_800_000);
        assert_eq!(ms("1h30m"), 5_400_000);
        assert_eq!(ms("0s"), 0);
        for wrong in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5x",
            "1.5h",
            "5m3",
            "99999999999999999999s",
            "ms5",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_duration("9223372036854775807ms").is_ok());
        assert!(parse_duration("9223372036854775808ms").is_err());
        assert!(parse_duration("9223372036854775d").is_err());
    }

    #[test]
    fn reclaim_needs_stream_group_and_min_idle() {
        assert_eq!(exit_code("reclaim"), 2);
        assert_eq!(exit_code("reclaim --stream s --group g"), 2);
        assert_eq!(exit_code("reclaim --stream s --min-idle 5m"), 2);
        assert_eq!(exit_code("reclaim --group g --min-idle 5m"), 2);
        assert_eq!(exit_code("reclaim --stream s --group g --min-idle 0s"), 2);
        assert!(parse("reclaim --stream s --group g --min-idle 5m").is_ok());
        let cli = parse("reclaim --stream a b --stream c --group g --min-idle 5m").unwrap();
        let Command::Reclaim(arguments) = cli.command else {
            panic!("not reclaim")
        };
        assert_eq!(arguments.streams, ["a", "b", "c"]);
        assert_eq!(arguments.min_idle, Duration::from_secs(300));
    }

    #[test]
    fn reclaim_wants_one_answer_for_entries_delivered_too_often() {
        let base = "reclaim --stream s --group g --min-idle 5m";
        assert_eq!(exit_code(&format!("{base} --max-deliveries 3")), 2);
        assert_eq!(exit_code(&format!("{base} --dead-letter d")), 2);
        assert_eq!(exit_code(&format!("{base} --delete")), 2);
        assert_eq!(exit_code(&format!("{base} --max-deliveries 0 --delete")), 2);
        assert_eq!(
            exit_code(&format!(
                "{base} --max-deliveries 3 --delete --dead-letter d"
            )),
            2
        );
        assert!(parse(&format!("{base} --max-deliveries 3 --delete")).is_ok());
        assert!(parse(&format!("{base} --max-deliveries 3 --dead-letter d")).is_ok());
    }

    #[test]
    fn dead_letters_do_not_go_where_they_come_from() {
        let line = "reclaim --stream a b --group g --min-idle 5m --max-deliveries 3 --dead-letter";
        let validated = |key: &str| match parse(&format!("{line} {key}")).unwrap().command {
            Command::Reclaim(arguments) => arguments.validate(),
            other => panic!("{other:?}"),
        };
        assert!(validated("b").is_err());
        assert!(validated("c").is_ok());
    }

    #[test]
    fn the_demo_needs_enough_messages_to_catch_a_worker_with_ten() {
        let demo = |line: &str| match parse(line).unwrap().command {
            Command::Demo(arguments) => arguments,
            other => panic!("{other:?}"),
        };
        assert!(demo("demo").validate().is_ok());
        assert!(demo("demo --workers 8 --messages 100").validate().is_err());
        assert_eq!(exit_code("demo --workers 1"), 2);
    }

    #[test]
    fn the_servers_words_pass_untouched() {
        let cli = parse("server redis.conf --port 1 --save -h --help").unwrap();
        let Command::Server(server) = cli.command else {
            panic!("not server")
        };
        assert_eq!(
            server.arguments,
            ["redis.conf", "--port", "1", "--save", "-h", "--help"]
        );
    }

    #[test]
    fn only_exact_words_are_subcommands() {
        assert!(SUBCOMMANDS.iter().all(|word| is_subcommand(word)));
        for word in ["", "-", "redis.conf", "Server", "pings", "--help", "./demo"] {
            assert!(!is_subcommand(word), "{word}");
        }
        let mut defined: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        defined.sort();
        let mut known = SUBCOMMANDS.to_vec();
        known.sort_unstable();
        assert_eq!(defined, known);
    }
}
