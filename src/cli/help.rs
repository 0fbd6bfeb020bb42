//! `millrace help`: the subcommands, the server's options by group with their defaults, one of them explained.
//!
//! The options come from the parameter table (`config::described`): a new row there is in the help, the
//! completions and the manual page.

use clap::CommandFactory as _;

use super::{Cli, Ending, SUBCOMMANDS};
use crate::config::{self, Description, Role};

/// Where explanations begin.
const TEXT_COLUMN: usize = 34;
/// Where lines end.
const WIDTH: usize = 100;

/// The whole help: what `millrace help` and `millrace --help` print.
#[must_use]
pub fn overview() -> String {
    let command = Cli::command();
    let mut text = format!(
        "{}\n\nUsage: millrace [redis.conf|-] [--option value ...]\n       millrace SUBCOMMAND ...\n\n\
         What can be written after redis-server can be written after millrace. Subcommands:\n\n",
        command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default(),
    );
    for subcommand in command.get_subcommands() {
        let about = subcommand.get_about().map(ToString::to_string);
        push_entry(&mut text, subcommand.get_name(), &about.unwrap_or_default());
    }
    text.push('\n');
    text.push_str(&options());
    text
}

/// The server's part of it.
#[must_use]
pub fn server() -> String {
    format!(
        "Runs the server.\n\nUsage: millrace [server] [redis.conf|-] [--option value ...]\n\n\
         A file is in the format of redis.conf; - reads it from standard input. Options on the command line\n\
         replace those of the file.\n\n{}",
        options()
    )
}

/// The options that do something, by group.
fn options() -> String {
    let mut text = "Options of the server, with their defaults:\n".to_owned();
    let mut heading = "";
    for option in config::described() {
        let own_heading = match option.role {
            Role::Acts(heading) => heading,
            Role::Ignored | Role::Refused => continue,
        };
        if own_heading != heading {
            heading = own_heading;
            text.push_str(&format!("\n{heading}:\n"));
        }
        let default = option.default.as_deref().unwrap_or("none");
        let about = format!("{} [{default}]", option.about);
        push_entry(&mut text, &spelled(&option), &about);
    }
    text.push_str(
        "\nThe other options of Redis are accepted without effect, or stop the start where ignoring them would\n\
         be unsafe. 'millrace help OPTION' explains each one.\n",
    );
    text
}

fn spelled(option: &Description) -> String {
    format!("--{} {}", option.name, option.value)
}

/// `  name   text`, the text wrapped in its column, on lines of its own if the name is long.
fn push_entry(out: &mut String, name: &str, about: &str) {
    let mut line = format!("  {name}");
    if line.len() + 2 > TEXT_COLUMN {
        out.push_str(&line);
        out.push('\n');
        line = String::new();
    }
    for word in about.split(' ') {
        let is_first = line.len() < TEXT_COLUMN;
        if !is_first && line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::new();
        }
        if line.len() < TEXT_COLUMN {
            line = format!("{line:<TEXT_COLUMN$}{word}");
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    out.push_str(&line);
    out.push('\n');
}

/// What `millrace help WORD` prints.
///
/// # Errors
/// There is no such subcommand or option.
pub fn about(word: &str) -> Result<String, Ending> {
    let name = word.trim_start_matches('-').to_ascii_lowercase();
    match name.as_str() {
        "server" => return Ok(server()),
        "help" => return Ok(overview()),
        _ => {}
    }
    let mut root = Cli::command();
    root.build();
    if let Some(subcommand) = root.find_subcommand_mut(&name) {
        return Ok(subcommand.render_long_help().to_string());
    }
    let options = config::described();
    let found = options
        .iter()
        .find(|option| option.name == name || option.alias == Some(name.as_str()));
    if let Some(option) = found {
        return Ok(explained(option));
    }
    if let Some(about) = config::about_directive(&name) {
        return Ok(format!("{name}\n\n{about}\n"));
    }
    let known = SUBCOMMANDS
        .into_iter()
        .chain(options.iter().map(|option| option.name));
    Err(Ending::usage(&match config::nearest(&name, known) {
        Some(meant) => {
            format!(
                "no subcommand or option is called '{word}'; did you mean 'millrace help {meant}'?"
            )
        }
        None => format!("no subcommand or option is called '{word}'; 'millrace help' lists them"),
    }))
}

fn explained(option: &Description) -> String {
    let mut text = format!("{}\n\n{}\n\n", spelled(option), option.about);
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<12}{value}\n"));
    if let Some(range) = &option.range {
        line("Value:", range);
    }
    let default = option.default.as_deref();
    line("Default:", default.unwrap_or("none"));
    if matches!(option.role, Role::Acts(_)) {
        line("Changes:", option.change);
    }
    if let Some(alias) = option.alias {
        line("Also:", alias);
    }
    let form = &option.value;
    if form == "CHOICE" {
        line("Choices:", &option.choices.join(" "));
    }
    line("redis.conf:", &format!("{} {form}", option.name));
    text
}

/// What to say when the first word of a command line names no file but is close to a subcommand: a typing error
/// that would otherwise be read as the name of a configuration file.
#[must_use]
pub fn mistyped(word: &str) -> Option<Ending> {
    let could_be_a_file = word.starts_with('-') || word.contains(['/', '.']);
    if could_be_a_file || std::path::Path::new(word).exists() {
        return None;
    }
    if ["redis-server", "valkey-server", "millrace"].contains(&word) {
        // As in the command of somebody's compose file: the image's entry point is the program already.
        return Some(Ending::usage(&format!(
            "'{word}' is neither a subcommand nor a configuration file; leave it out, its options follow 'millrace'"
        )));
    }
    let meant = config::nearest(word, SUBCOMMANDS.into_iter())?;
    Some(Ending::usage(&format!(
        "'{word}' is neither a subcommand nor a configuration file; did you mean 'millrace {meant}'?"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_option_is_explained_and_those_that_act_are_listed() {
        let overview = overview();
        for option in config::described() {
            let text = about(option.name).unwrap();
            assert!(text.starts_with(&spelled(&option)), "{text}");
            let listed = overview.contains(&format!("  {}", spelled(&option)));
            let acts = matches!(option.role, Role::Acts(_));
            assert_eq!(listed, acts, "{}", option.name);
        }
    }

    #[test]
    fn lines_fit() {
        for line in overview().lines().chain(server().lines()) {
            assert!(line.chars().count() <= WIDTH + 8, "{line}");
        }
    }

    #[test]
    fn a_word_is_found_however_it_is_written() {
        assert_eq!(about("port"), about("--PORT"));
        assert_eq!(about("slaveof"), about("replicaof"));
        assert!(about("reclaim").unwrap().contains("--min-idle"));
        let wrong = about("prot").unwrap_err();
        assert!(wrong.text.contains("'millrace help port'"), "{wrong:?}");
        assert_eq!(wrong.code, 2);
        assert!(about("xyzzy").unwrap_err().text.contains("lists them"));
    }

    #[test]
    fn only_words_close_to_a_subcommand_are_mistyped() {
        assert!(
            mistyped("recliam")
                .unwrap()
                .text
                .contains("'millrace reclaim'")
        );
        assert!(mistyped("PING").is_some());
        assert!(
            mistyped("redis-server")
                .unwrap()
                .text
                .contains("leave it out")
        );
        for word in ["./ping", "--pin", "-", "ping.conf", "redis", "src"] {
            assert_eq!(mistyped(word), None, "{word}");
        }
    }
}
