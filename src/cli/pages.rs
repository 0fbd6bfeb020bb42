//! Completions for shells and pages for man, from the definitions of the subcommands and the parameter table.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use crate::config::{self, Role};

/// The definitions with the server's options: never parsed with, since the server reads its own words.
fn with_server_options() -> Command {
    let options = |command: Command| {
        config::described()
            .into_iter()
            .fold(command, |command, option| {
                let heading = match option.role {
                    Role::Acts(heading) => heading,
                    Role::Ignored | Role::Refused => return command,
                };
                let default = option.default.as_deref().unwrap_or("none");
                let mut arg = Arg::new(option.name)
                    .long(option.name)
                    .value_name(option.value.clone())
                    .help_heading(heading)
                    .help(format!("{} [{default}]", option.about));
                if !option.choices.is_empty() {
                    arg = arg
                        .value_parser(PossibleValuesParser::new(option.choices.clone()))
                        .hide_possible_values(true);
                }
                command.arg(arg)
            })
    };
    let command = options(Cli::command()).arg(
        Arg::new("file")
            .value_name("redis.conf")
            .value_hint(clap::ValueHint::FilePath)
            .help("A configuration file; - reads it from standard input"),
    );
    command.mut_subcommand("server", |server| {
        options(server.mut_arg("arguments", |words| words.hide(true)))
    })
}

/// The completions for a shell.
#[must_use]
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut with_server_options(), "millrace", &mut text);
    text
}

/// The page of the program and the server's options, or of a subcommand, in the format of man.
///
/// # Errors
/// None while writing to memory succeeds.
pub fn manual(subcommand: Option<&str>) -> std::io::Result<Vec<u8>> {
    // Those without a page of their own are on this one.
    let hidden = |command: Command| command.hide(true);
    let mut root = with_server_options()
        .disable_help_subcommand(true)
        .mut_subcommand("server", hidden)
        .mut_subcommand("man", hidden)
        .mut_subcommand("help", hidden);
    root.build();
    let command = match subcommand.and_then(|name| root.find_subcommand(name)) {
        Some(command) => command.clone(),
        None => root,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}
