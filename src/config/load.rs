//! Reading a configuration at the start: file, standard input, command line, in this order; later wins.
//!
//! ```text
//! words of the command line ─► syntax::command_line ─► file ─┐
//!                                                     stdin ─┼─► line ─► directive ─► Configuration
//!                                                   options ─┘     └─ include ─► files, recursively
//! ```
//!
//! Errors carry file, line and text. After all lines the values that are unsafe to ignore are looked for
//! once, so that a later line can take an earlier one back.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Source};
use super::nearest::nearest;
use super::parameters::{self, PARAMETERS};
use super::row::Effect;
use super::syntax;
use super::value::{Arrival, Kind, bytes_of, path_of, printable, reason_of};
use super::{Configuration, DirectiveLine, value::Value};
use crate::limits::CONFIG_INCLUDE_DEPTH_MAX;

/// One line of a source.
struct Line<'a> {
    source: &'a Source,
    number: usize,
    text: &'a [u8],
}

impl Line<'_> {
    fn error(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            source: self.source.clone(),
            line: self.number,
            text: printable(&shown(self.text)),
            reason: reason.into(),
            logfile: None,
        }
    }
}

/// A line as errors show it: without what may be a password.
fn shown(line: &[u8]) -> Vec<u8> {
    let mut words = line.split(|byte| byte.is_ascii_whitespace());
    let first = words.next().unwrap_or_default();
    let is_secret = parameters::position(first)
        .is_some_and(|at| PARAMETERS[at].sensitive || is_password(first));
    if is_secret || first.eq_ignore_ascii_case(b"user") {
        let name = words.next().filter(|_| !is_secret).unwrap_or_default();
        let gap: &[u8] = if name.is_empty() { b"" } else { b" " };
        return [first, gap, name, " …".as_bytes()].concat();
    }
    let covered = line.split(|byte| byte.is_ascii_whitespace()).map(|word| {
        match word.trim_ascii().strip_prefix(b"\"").unwrap_or(word) {
            [mark @ (b'>' | b'<'), ..] => [&[*mark][..], "…".as_bytes()].concat(),
            _ => word.to_vec(),
        }
    });
    covered.collect::<Vec<_>>().join(&b' ')
}

fn is_password(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"requirepass")
}

/// Directives that are no parameters: how many words they need at least, and why they stop the start.
const REFUSED_DIRECTIVES: [(&[u8], usize, &str); 2] = [
    (b"loadmodule", 2, "modules cannot be loaded: remove it"),
    (b"sentinel", 1, "there is no sentinel mode: remove it"),
];

/// What a directive that is no parameter does, in a sentence.
#[must_use]
pub(crate) fn about_directive(name: &str) -> Option<String> {
    if name == "user" {
        return Some(
            "Makes a user, or changes the user default: user NAME RULE ..., as ACL SETUSER."
                .to_owned(),
        );
    }
    if name == "rename-command" {
        return Some(
            "Gives a command another name, or takes it away: rename-command NAME OTHER, or NAME \"\".".to_owned(),
        );
    }
    if name == "include" {
        return Some("Reads another configuration file at this place: include FILE.".to_owned());
    }
    let mut refused = REFUSED_DIRECTIVES.iter();
    let (_, _, reason) = refused.find(|(refused, _, _)| *refused == name.as_bytes())?;
    Some(format!("Stops the start: {reason}."))
}

/// Directives that Redis itself accepts and ignores.
const OBSOLETE_DIRECTIVES: [&[u8]; 3] = [
    b"list-max-ziplist-entries",
    b"list-max-ziplist-value",
    b"lua-replicate-commands",
];

/// Where each parameter was last set.
#[derive(Default)]
struct Origins(Vec<Option<ConfigError>>);

/// Loads what the words after the program's name say.
pub(crate) fn load<A: AsRef<[u8]>>(
    words: &[A],
    stdin: &mut dyn Read,
) -> Result<Configuration, ConfigError> {
    let line = syntax::command_line(words);
    let mut reading = Reading {
        configuration: Configuration::default(),
        origins: Origins(vec![None; PARAMETERS.len()]),
    };
    match reading.all(line, stdin) {
        Ok(()) => Ok(reading.configuration),
        Err(error) => Err(ConfigError {
            logfile: reading.configuration.logfile(),
            ..error
        }),
    }
}

fn unreadable(source: Source, reason: &str) -> ConfigError {
    let reason = format!("cannot be read: {reason}");
    ConfigError {
        source,
        line: 0,
        text: String::new(),
        reason,
        logfile: None,
    }
}

struct Reading {
    configuration: Configuration,
    origins: Origins,
}

impl Reading {
    /// Everything that a command line names, in its order.
    fn all(&mut self, line: syntax::CommandLine, stdin: &mut dyn Read) -> Result<(), ConfigError> {
        if let Some(file) = line.file {
            let path = path_of(&file);
            self.configuration.file =
                Some(std::path::absolute(&path).unwrap_or_else(|_| path.clone()));
            self.file(&path, 0, None)?;
        }
        if line.reads_stdin {
            let mut text = Vec::new();
            stdin
                .read_to_end(&mut text)
                .map_err(|error| unreadable(Source::Stdin, &reason_of(&error)))?;
            self.text(&text, &Source::Stdin, 0)?;
        }
        self.text(&line.options, &Source::CommandLine, 0)?;
        self.refuse_unsafe()
    }

    /// `from`: the line that includes it.
    fn file(
        &mut self,
        path: &Path,
        depth: usize,
        from: Option<&Line<'_>>,
    ) -> Result<(), ConfigError> {
        let source = Source::File(path.to_path_buf());
        // Relative to `dir` as it stands now, as in Redis, which has changed there already.
        let text =
            std::fs::read(self.configuration.dir().join(path)).map_err(|error| match from {
                Some(line) => {
                    let reason = reason_of(&error);
                    line.error(format!("{} cannot be read: {reason}", path.display()))
                }
                None => unreadable(source.clone(), &reason_of(&error)),
            })?;
        self.text(&text, &source, depth)
    }

    fn text(&mut self, text: &[u8], source: &Source, depth: usize) -> Result<(), ConfigError> {
        for (index, raw) in text.split(|byte| *byte == b'\n').enumerate() {
            let text = raw.trim_ascii();
            if text.is_empty() || text[0] == b'#' {
                continue;
            }
            self.line(
                &Line {
                    source,
                    number: index + 1,
                    text,
                },
                depth,
            )?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>, depth: usize) -> Result<(), ConfigError> {
        let words = syntax::split(line.text)
            .ok_or_else(|| line.error("Unbalanced quotes in configuration line"))?;
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        if let Some(at) = parameters::position(name) {
            return self.parameter(at, values, line);
        }
        let name = name.to_ascii_lowercase();
        if OBSOLETE_DIRECTIVES.contains(&name.as_slice()) && values.len() == 1 {
            return Ok(());
        }
        if name == b"include" && values.len() == 1 {
            return self.include(&values[0], line, depth);
        }
        if let (b"rename-command", [_, _]) = (&name[..], values) {
            self.configuration.renames.push(DirectiveLine {
                words: values.to_vec(),
                origin: line.error(String::new()),
                is_in_main_file: self.is_main_file(line.source),
            });
            return Ok(());
        }
        if name == b"user" && !values.is_empty() {
            self.configuration.users.push(DirectiveLine {
                words: values.to_vec(),
                origin: line.error(String::new()),
                is_in_main_file: self.is_main_file(line.source),
            });
            return Ok(());
        }
        let refused = REFUSED_DIRECTIVES
            .iter()
            .find(|(refused, word_count, _)| *refused == name && words.len() >= *word_count);
        if let Some((_, _, reason)) = refused {
            return Err(line.error(*reason));
        }
        if name.contains(&b'.') {
            return Err(
                line.error("a setting of a module, and modules cannot be loaded: remove it")
            );
        }
        let reason = "Bad directive or wrong number of arguments";
        let names = PARAMETERS.iter().map(|row| row.name);
        Err(match nearest(&printable(&name), names) {
            Some(meant) => line.error(format!("{reason}: did you mean '{meant}'?")),
            None => line.error(reason),
        })
    }

    /// Whether it is the file that the command line names; asked before the process enters another directory.
    fn is_main_file(&self, source: &Source) -> bool {
        let (Source::File(path), Some(file)) = (source, &self.configuration.file) else {
            return false;
        };
        std::path::absolute(path).is_ok_and(|path| path == *file)
    }

    fn parameter(
        &mut self,
        at: usize,
        values: &[Vec<u8>],
        line: &Line<'_>,
    ) -> Result<(), ConfigError> {
        let row = &PARAMETERS[at];
        // `save "900 1"` is `save 900 1`; an empty word stays one.
        let inner = match values {
            [one] if row.kind.takes_many() && !one.is_empty() => {
                Some(syntax::split(one).unwrap_or_default())
            }
            _ => None,
        };
        let arrival = if self.origins.0[at].is_some() {
            Arrival::LaterLine
        } else {
            Arrival::FirstLine
        };
        let old = &self.configuration.values[at];
        let value = row
            .kind
            .read(inner.as_deref().unwrap_or(values), old, arrival)
            .map_err(|reason| match (row.kind, values) {
                (Kind::Text(_), [_, _, ..]) => line.error(format!(
                    "{reason}: put words with blanks between them in quotes: {} \"{}\"",
                    row.name,
                    printable(&values.join(&b' ')),
                )),
                _ => line.error(reason),
            })?;
        self.configuration.values[at] = value;
        self.configuration.given[at] = true;
        self.origins.0[at] = Some(line.error(String::new()));
        Ok(())
    }

    fn include(
        &mut self,
        pattern: &[u8],
        line: &Line<'_>,
        depth: usize,
    ) -> Result<(), ConfigError> {
        if depth >= CONFIG_INCLUDE_DEPTH_MAX {
            return Err(line.error("include nested too deeply: does a file include itself?"));
        }
        let is_pattern = pattern
            .iter()
            .any(|byte| matches!(byte, b'*' | b'?' | b'['));
        if !is_pattern {
            return self.file(&path_of(pattern), depth + 1, Some(line));
        }
        // A pattern that matches nothing is an empty conf.d, not a mistake.
        for path in matching_paths(&self.configuration.dir(), pattern) {
            self.file(&path, depth + 1, Some(line))?;
        }
        Ok(())
    }

    /// Refuses what must not be ignored.
    fn refuse_unsafe(&self) -> Result<(), ConfigError> {
        for (at, row) in PARAMETERS.iter().enumerate() {
            let Effect::Unsafe { harmless, advice } = row.effect else {
                continue;
            };
            let Some(origin) = &self.origins.0[at] else {
                continue;
            };
            if !harmless(&self.configuration.values[at]) {
                let text = if row.sensitive {
                    row.name.to_owned()
                } else {
                    origin.text.clone()
                };
                return Err(ConfigError {
                    text,
                    reason: advice.to_owned(),
                    ..origin.clone()
                });
            }
        }
        Ok(())
    }
}

/// The files a pattern names, sorted; relative patterns are meant from `base`.
fn matching_paths(base: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = if pattern.starts_with(b"/") {
        vec![PathBuf::from("/")]
    } else {
        vec![base.to_path_buf()]
    };
    for part in pattern
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
    {
        let is_pattern = part.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        found = found
            .iter()
            .flat_map(|directory| entries(directory, part, is_pattern))
            .collect();
    }
    found.sort();
    found
}

fn entries(directory: &Path, part: &[u8], is_pattern: bool) -> Vec<PathBuf> {
    if !is_pattern {
        let path = directory.join(path_of(part));
        return if path.exists() {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let Ok(listing) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    listing
        .flatten()
        .filter(|entry| {
            let name = bytes_of(Path::new(&entry.file_name()));
            let hidden = name.starts_with(b".") && !part.starts_with(b".");
            !hidden && syntax::glob_matches(part, &name, false)
        })
        .map(|entry| entry.path())
        .collect()
}

impl Configuration {
    /// The working directory as configured so far.
    fn dir(&self) -> PathBuf {
        match parameters::position(b"dir").map(|at| &self.values[at]) {
            Some(Value::Text(path)) => path_of(path),
            _ => PathBuf::from("/"),
        }
    }

    /// The log file as configured so far.
    fn logfile(&self) -> Option<PathBuf> {
        match parameters::position(b"logfile").map(|at| &self.values[at]) {
            Some(Value::Text(path)) if !path.is_empty() => Some(self.dir().join(path_of(path))),
            _ => None,
        }
    }
}
