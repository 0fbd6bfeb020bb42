//! The command line: starts one subcommand, or the server.
//!
//! An exact first word out of `millrace::cli::SUBCOMMANDS` is a subcommand; everything else, also
//! nothing, belongs to the server, so that the words after `redis-server` in somebody's compose
//! file work after `millrace`. One exception: a first word that is no file and looks like a mistyped
//! subcommand.
//!
//! Exit codes: what the subcommand says; 2 for a command line that makes no sense.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use millrace::cli::{self, Cli, Command, Ending, help, pages};
use millrace::tools;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next();
    let first_word = first.as_deref().and_then(|word| word.to_str());
    match first_word {
        // The server's words are not shown to clap at all, which would eat a `--`.
        Some("server") => {
            let words: Vec<OsString> = words.collect();
            match words.as_slice() {
                [only] if *only == "--help" || *only == "-h" => print(help::server().as_bytes()),
                [only] if *only == "--version" || *only == "-v" => print(VERSION.as_bytes()),
                _ => server(words),
            }
        }
        Some(word) if cli::is_subcommand(word) => match Cli::parsed(std::env::args_os()) {
            Ok(parsed) => subcommand(parsed.command),
            Err(ending) => end(&ending),
        },
        // As with redis-server, these two count only alone.
        Some("-h" | "--help") if words.len() == 0 => print(help::overview().as_bytes()),
        Some("-v" | "--version") if words.len() == 0 => print(VERSION.as_bytes()),
        Some(word) => match help::mistyped(word) {
            Some(ending) => end(&ending),
            None => server(first.into_iter().chain(words).collect()),
        },
        None => server(first.into_iter().chain(words).collect()),
    }
}

const VERSION: &str = concat!("millrace ", env!("CARGO_PKG_VERSION"), "\n");

fn subcommand(command: Command) -> ExitCode {
    match command {
        Command::Server(server_arguments) => server(server_arguments.arguments),
        Command::Reclaim(arguments) => tools::reclaim::run(&arguments),
        Command::Import(arguments) => tools::import::run(&arguments),
        Command::Demo(arguments) => tools::demo::run(&arguments),
        Command::Ping(arguments) => tools::ping::run(&arguments),
        Command::Check(arguments) => tools::check::run(&arguments),
        Command::Completions(arguments) => print(&pages::completions(arguments.shell)),
        Command::Man(arguments) => match pages::manual(arguments.subcommand.as_deref()) {
            Ok(page) => print(&page),
            Err(error) => end(&Ending::usage(&format!("cannot make the page: {error}"))),
        },
        Command::Help(arguments) => match arguments.word.as_deref().map(help::about) {
            None => print(help::overview().as_bytes()),
            Some(Ok(text)) => print(text.as_bytes()),
            Some(Err(ending)) => end(&ending),
        },
    }
}

/// Runs the server with the words that `redis-server` would be given.
fn server(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<Vec<u8>> = arguments.into_iter().map(OsStringExt::into_vec).collect();
    millrace::server::run(&words)
}

fn end(ending: &Ending) -> ExitCode {
    if ending.is_complaint {
        // Nobody to tell if standard error is closed; the exit code remains.
        let _ = std::io::stderr().lock().write_all(ending.text.as_bytes());
        ExitCode::from(ending.code)
    } else {
        print(ending.text.as_bytes())
    }
}

/// Prints a text. A reader that has seen enough (`| head -1`) is no failure.
fn print(text: &[u8]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_full_or_closed) => ExitCode::FAILURE,
    }
}
