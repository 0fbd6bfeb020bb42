//! The command line: starts one subcommand, or the server.
//!
//! An exact first word out of `millrace::cli::SUBCOMMANDS` is a subcommand; everything else, also
//! nothing, belongs to the server, so that the words after `redis-server` in somebody's compose
//! file work after `millrace`.
//!
//! Exit codes: what the subcommand says; 2 for a command line that makes no sense.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use millrace::cli::{self, Cli, Command};
use millrace::tools;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let first = words.next();
    let first_word = first.as_deref().and_then(|word| word.to_str());
    match first_word {
        // The server's words are not shown to clap at all, which would eat a `--`.
        Some("server") => server(words.collect()),
        Some(word) if cli::is_subcommand(word) => subcommand(Cli::parse_or_exit().command),
        // As with redis-server, these two count only alone.
        Some("-h" | "--help") if words.len() == 0 => print(&cli::help_text()),
        Some("-v" | "--version") if words.len() == 0 => {
            print(concat!("millrace ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Some(_) | None => server(first.into_iter().chain(words).collect()),
    }
}

fn subcommand(command: Command) -> ExitCode {
    match command {
        Command::Server(server_arguments) => server(server_arguments.arguments),
        Command::Reclaim(arguments) => tools::reclaim::run(&arguments),
        Command::Demo(arguments) => tools::demo::run(&arguments),
        Command::Ping(arguments) => tools::ping::run(&arguments),
    }
}

/// Runs the server with the words that `redis-server` would be given.
fn server(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<Vec<u8>> = arguments.into_iter().map(OsStringExt::into_vec).collect();
    millrace::server::run(&words)
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_closed) => ExitCode::FAILURE,
    }
}
