//! Configuration: redis.conf, the command line, CONFIG GET and CONFIG SET.
//!
//! ```text
//! syntax.rs      words, quotes, globs          parameters.rs  one row per parameter (its type: row.rs)
//! value.rs       kinds, values, CONFIG GET      read.rs        words → value
//! load.rs        files, stdin, options → Configuration
//! settings.rs    the acting values, typed      error.rs       what a person or client reads
//! rewrite.rs     CONFIG REWRITE, as text       control.rs     what a change asks of the process
//! describe.rs    the table, for `millrace help` nearest.rs     the name that was probably meant
//! ```
//!
//! A `Configuration` is a value: `load` makes the first one, `with` a changed copy, so CONFIG SET is all or
//! nothing by construction. Whoever runs the server turns it into `Settings` and hands that to the shards.
//!
//! Invariants: every row of the table has exactly one value of its kind; what CONFIG GET shows, CONFIG SET takes.
//! Deliberately not here: acting on a setting (sockets, logs, limits of the system: server/), the clock, tokio.

mod choices;
mod control;
mod describe;
mod error;
mod load;
mod memory;
mod nearest;
mod parameters;
mod persistence;
mod read;
mod rewrite;
mod row;
mod settings;
mod syntax;
mod tls;
mod value;

use std::io::Read;
use std::path::{Path, PathBuf};

pub(crate) use control::ProcessControl;
pub(crate) use describe::{Description, Role, described};
pub(crate) use error::{ConfigError, SetError};
pub(crate) use load::about_directive;
pub(crate) use memory::SizeLimit;
pub(crate) use nearest::nearest;
pub(crate) use persistence::{AppendFsync, EndOptions};
pub(crate) use settings::{LogLevel, Settings, Supervision};
pub(crate) use syntax::split;
pub(crate) use tls::{ClientCertificates, TlsSettings};
pub(crate) use value::OutputLimit;

use parameters::PARAMETERS;
use row::{Change, Effect};
use value::{Arrival, Value};

/// A value for each parameter.
#[derive(Clone, Debug)]
pub struct Configuration {
    values: Vec<Value>,
    /// Which were set by the start or a client, not left at their default.
    given: Vec<bool>,
    /// Ignored parameters that a CONFIG SET has set: each is told once.
    told: Vec<bool>,
    /// The file it was loaded from, absolute.
    file: Option<PathBuf>,
    /// Its `user` lines.
    users: Vec<DirectiveLine>,
    /// Its `rename-command` lines.
    renames: Vec<DirectiveLine>,
    /// What the last CONFIG SET that switched the log on has changed: it fails as a whole when the log cannot begin.
    with_log: Vec<Undo>,
    /// How often a setting of TLS was set.
    tls_changes: u64,
}

/// A line that is no parameter: `user`, `rename-command`.
#[derive(Clone, Debug)]
pub(crate) struct DirectiveLine {
    /// Its words behind the first one.
    pub(crate) words: Vec<Vec<u8>>,
    /// Where it stands.
    pub(crate) origin: ConfigError,
    /// Whether that is the file that CONFIG REWRITE writes.
    is_in_main_file: bool,
}

impl AsRef<[Vec<u8>]> for DirectiveLine {
    fn as_ref(&self) -> &[Vec<u8>] {
        &self.words
    }
}

/// A change that can be taken back.
#[derive(Clone, Debug)]
struct Undo {
    /// The row.
    at: usize,
    before: Value,
    was_given: bool,
    after: Value,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Something known has no effect.
    Ignored(String),
}

impl Default for Configuration {
    /// What a server has that was told nothing: as many shards as pay on this machine, the current directory.
    fn default() -> Self {
        let values = PARAMETERS.iter().map(default_of).collect();
        let none = vec![false; PARAMETERS.len()];
        Configuration {
            values,
            given: none.clone(),
            told: none,
            file: None,
            users: Vec::new(),
            renames: Vec::new(),
            with_log: Vec::new(),
            tls_changes: 0,
        }
    }
}

/// One shard per core from four cores on. With fewer the clients' side needs the other core as much: measured on two, with the
/// clients on the same, two shards do pipelines over random keys at half to two thirds of the speed of one.
fn default_shard_count(cores: usize) -> usize {
    if cores < 4 {
        1
    } else {
        cores.min(crate::limits::SHARD_COUNT_MAX)
    }
}

fn default_of(row: &row::Parameter) -> Value {
    match row.name {
        "shards" => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Value::Number(default_shard_count(cores) as i128)
        }
        "dir" => {
            let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
            Value::Text(value::bytes_of(&here))
        }
        _ => {
            let words = syntax::split(row.default.as_bytes()).unwrap_or_default();
            let words = if words.is_empty() {
                vec![Vec::new()]
            } else {
                words
            };
            match row
                .kind
                .read(&words, &Value::YesNo(false), Arrival::FirstLine)
            {
                Ok(value) => value,
                Err(reason) => panic!("default of {}: {reason}", row.name),
            }
        }
    }
}

impl Configuration {
    /// Loads what the words after the program's name say: `[file|-] [--option value …]`.
    /// `stdin` is read only if a `-` asks for it.
    ///
    /// # Errors
    /// The first directive that is unknown, cannot be read or must not be ignored; a file that cannot be opened.
    pub fn load<A: AsRef<[u8]>>(words: &[A], stdin: &mut dyn Read) -> Result<Self, ConfigError> {
        load::load(words, stdin)
    }

    /// The acting values, typed.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::of(self)
    }

    /// Its `rename-command` lines.
    #[must_use]
    pub(crate) fn renames(&self) -> &[DirectiveLine] {
        &self.renames
    }

    /// Forgets the words of its `user` lines, which may hold passwords; where they stand is kept.
    pub(crate) fn forget_users(&mut self) {
        for line in &mut self.users {
            line.words = Vec::new();
        }
    }

    /// Whether some `user` lines stand elsewhere than in the file that CONFIG REWRITE writes.
    #[must_use]
    pub(crate) fn declares_users_elsewhere(&self) -> bool {
        self.users.iter().any(|line| !line.is_in_main_file)
    }

    /// Its `user` lines.
    #[must_use]
    pub(crate) fn users(&self) -> &[DirectiveLine] {
        &self.users
    }

    /// The file it was loaded from, absolute.
    #[must_use]
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What CONFIG GET answers to these names and patterns: names in the table's order, each once, as text.
    /// A name asked for without a pattern comes back as it was written.
    #[must_use]
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], at: usize| {
            if !found
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                found.push((name.to_vec(), self.shown(at)));
            }
        };
        for pattern in patterns.iter().map(AsRef::as_ref) {
            if !pattern
                .iter()
                .any(|byte| matches!(byte, b'[' | b'*' | b'?'))
            {
                if let Some(at) = parameters::position(pattern) {
                    add(pattern, at);
                }
                continue;
            }
            for (at, row) in PARAMETERS.iter().enumerate().filter(|(_, row)| !row.hidden) {
                for name in std::iter::once(row.name).chain(row.alias) {
                    if syntax::glob_matches(pattern, name.as_bytes(), true) {
                        add(name.as_bytes(), at);
                    }
                }
            }
        }
        found
    }

    /// The text of the value at a row.
    fn shown(&self, at: usize) -> Vec<u8> {
        PARAMETERS[at].kind.write(&self.values[at])
    }

    /// A copy in which all `changes` (name, value) are made, or none. `client_is_local` matters to the
    /// protected parameters.
    ///
    /// # Errors
    /// The first name or value that CONFIG SET refuses, in Redis' words.
    pub(crate) fn with<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        changes: &[(N, V)],
        client_is_local: bool,
    ) -> Result<Self, SetError> {
        let mut rows = Vec::with_capacity(changes.len());
        for (name, _) in changes {
            let at = self.settable(name.as_ref(), client_is_local)?;
            if rows.contains(&at) {
                return Err(refused(name.as_ref(), "duplicate parameter"));
            }
            rows.push(at);
        }
        let mut changed = self.clone();
        for (&at, (_, text)) in rows.iter().zip(changes) {
            let row = &PARAMETERS[at];
            let value = changed
                .value_of(at, text.as_ref())
                .map_err(|reason| refused(row.name.as_bytes(), &reason))?;
            changed.values[at] = value;
            changed.given[at] = true;
            changed.tls_changes += u64::from(row.name.starts_with("tls-"));
        }
        Ok(changed)
    }

    /// Keeps what has changed since `before`, where the log is switched on with it.
    pub(crate) fn keep_for_log(&mut self, before: &Configuration) {
        let changed = |at: &usize| {
            self.values[*at] != before.values[*at] || self.given[*at] != before.given[*at]
        };
        let rows = (0..PARAMETERS.len()).filter(changed);
        let undo = rows.map(|at| Undo {
            at,
            before: before.values[at].clone(),
            was_given: before.given[at],
            after: self.values[at].clone(),
        });
        self.with_log = undo.collect();
    }

    /// A copy in which the CONFIG SET that switched the log on is taken back, but for what another has changed since.
    #[must_use]
    pub(crate) fn without_log(&self) -> Self {
        let mut changed = self.clone();
        for undo in std::mem::take(&mut changed.with_log) {
            if changed.values[undo.at] == undo.after {
                changed.values[undo.at] = undo.before;
                changed.given[undo.at] = undo.was_given;
            }
        }
        changed
    }

    /// The row that a client may set under this name.
    fn settable(&self, name: &[u8], client_is_local: bool) -> Result<usize, SetError> {
        let at = parameters::position(name).ok_or_else(|| SetError::Unknown(name.to_vec()))?;
        match PARAMETERS[at].change {
            Change::Live => Ok(at),
            Change::Fixed => Err(refused(name, "can't set immutable config")),
            Change::Protected => {
                if self
                    .settings()
                    .guards
                    .protected_configs
                    .allows(client_is_local)
                {
                    Ok(at)
                } else {
                    Err(refused(name, "can't set protected config"))
                }
            }
        }
    }

    /// The value a client's text means for a row, unless it must be refused.
    fn value_of(&self, at: usize, text: &[u8]) -> Result<Value, String> {
        let row = &PARAMETERS[at];
        let words: Vec<Vec<u8>> = if !row.kind.takes_many() {
            vec![text.to_vec()]
        } else if text.is_empty() {
            Vec::new()
        } else {
            text.split(|byte| *byte == b' ')
                .map(<[u8]>::to_vec)
                .collect()
        };
        let value = row.kind.read(&words, &self.values[at], Arrival::Command)?;
        match row.effect {
            Effect::Unsafe {
                harmless,
                advice: reason,
            } if !harmless(&value) => Err(reason.to_owned()),
            _ => Ok(value),
        }
    }

    /// The value of one parameter as text, by its name or alias.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn value(&self, name: &str) -> Option<Vec<u8>> {
        parameters::position(name.as_bytes()).map(|at| self.shown(at))
    }

    /// The same configuration with fewer clients: the system's limit on open files would not do.
    #[must_use]
    pub(crate) fn with_maxclients(&self, maxclients: usize) -> Self {
        let mut changed = self.clone();
        if let Some(at) = parameters::position(b"maxclients") {
            changed.values[at] = Value::Number(maxclients as i128);
        }
        changed
    }

    /// What the log must say about a configuration at the start: each thing once.
    #[must_use]
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut ignored = Vec::new();
        for (at, row) in PARAMETERS.iter().enumerate() {
            if matches!(row.effect, Effect::Ignored) && self.given[at] {
                ignored.push(row.name);
            }
        }
        if !ignored.is_empty() {
            let names = ignored.join(", ");
            notices.push(Notice::Ignored(format!(
                "Accepted but without effect here: {names}"
            )));
        }
        notices
    }

    /// What the log must say after a change from `before`: an ignored parameter is told once.
    pub(crate) fn notices_since(&mut self, before: &Configuration) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (at, row) in PARAMETERS.iter().enumerate() {
            if self.values[at] == before.values[at] {
                continue;
            }
            if matches!(row.effect, Effect::Ignored) && !before.given[at] && !self.told[at] {
                self.told[at] = true;
                let text = format!("Accepted but without effect here: {}", row.name);
                notices.push(Notice::Ignored(text));
            }
        }
        notices
    }
}

fn refused(name: &[u8], reason: &str) -> SetError {
    SetError::Refused(name.to_vec(), reason.to_owned())
}

#[cfg(test)]
mod tests;
