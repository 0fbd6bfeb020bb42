//! What can be wrong with a configuration: at the start, and in CONFIG SET.
//!
//! Both are one line of text. The texts of `SetError` are Redis' own, without the leading `ERR `.

use std::fmt;
use std::path::PathBuf;

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file, by the name it was opened with.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// An option of the command line.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "configuration file {}", path.display()),
            Source::Stdin => f.write_str("configuration from standard input"),
            Source::CommandLine => f.write_str("command line"),
        }
    }
}

/// A directive that stops the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it stands.
    pub(crate) source: Source,
    /// Its line, from 1; 0 when the source itself could not be read.
    pub(crate) line: usize,
    /// The line as written; empty when the source itself could not be read.
    pub(crate) text: String,
    /// What is wrong and, where it is not plain, what to do.
    pub(crate) reason: String,
    /// The log file that the lines before it name, if they do.
    pub(crate) logfile: Option<PathBuf>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        match (&self.source, self.line) {
            (_, 0) | (Source::CommandLine, _) => {}
            (_, line) => write!(f, ", line {line}")?,
        }
        if !self.text.is_empty() {
            write!(f, ": '{}'", self.text)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// Why CONFIG SET changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SetError {
    /// No such parameter: the name as the client wrote it.
    Unknown(Vec<u8>),
    /// The parameter's name, and the reason.
    Refused(Vec<u8>, String),
}

impl SetError {
    /// The text of the error reply, without `ERR `.
    #[must_use]
    pub(crate) fn text(&self) -> Vec<u8> {
        let name_and = |before: &str, name: &[u8], after: &str| {
            [before.as_bytes(), name, after.as_bytes()].concat()
        };
        match self {
            SetError::Unknown(name) => name_and(
                "Unknown option or number of arguments for CONFIG SET - '",
                name,
                "'",
            ),
            SetError::Refused(name, reason) => name_and(
                "CONFIG SET failed (possibly related to argument '",
                name,
                &format!("') - {reason}"),
            ),
        }
    }
}
