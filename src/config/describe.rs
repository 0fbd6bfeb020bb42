//! The parameter table as `millrace help`, the completions and the manual page show it.
//!
//! Everything comes from the rows: nothing is said twice. A row without an explanation of its own is explained by
//! what it does here: nothing, or stopping the start.

use super::parameters::PARAMETERS;
use super::row::{Change, Effect, Group, Parameter};
use super::value::Kind;

/// What a parameter does in this server, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It acts; the heading it is listed under.
    Acts(&'static str),
    /// Redis knows it, and it has no effect here.
    Ignored,
    /// A value that asks for it stops the start.
    Refused,
}

/// A parameter, in words.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its older name.
    pub(crate) alias: Option<&'static str>,
    /// What it does here.
    pub(crate) role: Role,
    /// One or two sentences.
    pub(crate) about: String,
    /// The form of a value, short: `yes|no`, `NUMBER`.
    pub(crate) value: String,
    /// The values there are, when they are few and have names.
    pub(crate) choices: Vec<&'static str>,
    /// The default; `None` when it is empty.
    pub(crate) default: Option<String>,
    /// What the value must be, where the form does not say it.
    pub(crate) range: Option<String>,
    /// Whether and how it changes while the server runs.
    pub(crate) change: &'static str,
}

/// All parameters but the hidden ones, by group in the order of the help, in a group as in the table.
#[must_use]
pub(crate) fn described() -> Vec<Description> {
    let mut rows: Vec<&Parameter> = PARAMETERS.iter().filter(|row| !row.hidden).collect();
    rows.sort_by_key(|row| match row.effect {
        Effect::Acts { group, .. } => Group::ALL.iter().position(|known| *known == group),
        Effect::Ignored | Effect::Unsafe { .. } => Some(Group::ALL.len()),
    });
    rows.into_iter().map(description).collect()
}

fn description(row: &Parameter) -> Description {
    let (role, about) = match row.effect {
        Effect::Acts { group, about } => (Role::Acts(group.heading()), about.to_owned()),
        Effect::Ignored => (
            Role::Ignored,
            "An option of Redis without effect here: it is accepted, and CONFIG GET answers with it.".to_owned(),
        ),
        Effect::Unsafe { advice, .. } => (
            Role::Refused,
            format!("Millrace does not start with it. {}", sentence(advice)),
        ),
    };
    Description {
        name: row.name,
        alias: row.alias,
        role,
        about,
        value: value_form(row),
        choices: choices(row.kind),
        default: default_text(row),
        range: range(row.kind),
        change: match row.change {
            Change::Live => "CONFIG SET changes it while the server runs.",
            Change::Fixed => "It is fixed at the start.",
            Change::Protected => "CONFIG SET changes it if enable-protected-configs allows.",
        },
    }
}

/// With a capital at the start and a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn default_text(row: &Parameter) -> Option<String> {
    let text = match row.name {
        // Found out at the start, see `default_of`.
        "shards" => "one per core; 1 with fewer than 4 cores",
        "dir" => "where it was started",
        _ => row.default.trim_matches('"'),
    };
    (!text.is_empty()).then(|| text.to_owned())
}

/// The longest list of choices that stands behind an option in the overview.
const FORM_CHARS_MAX: usize = 60;

fn value_form(row: &Parameter) -> String {
    let kind = row.kind;
    let form = match kind {
        Kind::Text(_) if matches!(row.name, "unixsocket" | "logfile" | "pidfile") => "PATH",
        Kind::Integer(..) | Kind::Unsigned(..) | Kind::Clamped(..) => "NUMBER",
        Kind::Memory(..) => "BYTES",
        Kind::MemoryOrPercent => "BYTES|PERCENT",
        Kind::Octal(_) => "MODE",
        Kind::YesNo | Kind::Choice(_) | Kind::Flags(_) => {
            let form = choices(kind).join("|");
            // `millrace help maxmemory-policy` lists them.
            return if form.len() <= FORM_CHARS_MAX {
                form
            } else {
                "CHOICE".to_owned()
            };
        }
        Kind::Text(_) => "TEXT",
        Kind::Directory => "DIRECTORY",
        Kind::SavePoints => "SECONDS CHANGES ...",
        Kind::OutputLimits => "CLASS HARD SOFT SECONDS ...",
        Kind::OomScores => "SCORE SCORE SCORE",
        Kind::Events => "LETTERS",
        Kind::Bind => "ADDRESS ...",
        Kind::Primary => "HOST PORT",
        Kind::Percentiles => "PERCENT ...",
    };
    form.to_owned()
}

fn choices(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::YesNo => vec!["yes", "no"],
        Kind::Choice(names) | Kind::Flags(names) => names.iter().map(|(name, _)| *name).collect(),
        _ => Vec::new(),
    }
}

fn range(kind: Kind) -> Option<String> {
    let above = |least: u64, most: u64, unit: &str| {
        if most > i64::MAX as u64 >> 1 {
            format!("{least} or more{unit}")
        } else {
            format!("{least} to {most}{unit}")
        }
    };
    match kind {
        Kind::Integer(least, i64::MAX) => Some(format!("{least} or more")),
        Kind::Integer(least, most) | Kind::Clamped(least, most) => {
            Some(format!("{least} to {most}"))
        }
        Kind::Unsigned(least, most) => Some(above(least, most, "")),
        Kind::Memory(least, most) => Some(above(least, most, " bytes; 1kb is 1024, 1k is 1000")),
        Kind::OutputLimits => Some("classes: normal, replica, pubsub; 0: no limit".to_owned()),
        _ => None,
    }
}
