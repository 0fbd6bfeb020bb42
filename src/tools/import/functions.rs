//! Copies function libraries: FUNCTION LIST WITHCODE at the source, FUNCTION LOAD at the target.
//!
//! By their code and not by FUNCTION DUMP: the code loads into any version, a library that is there already can be compared
//! by it, and one that is refused is named.
//!
//! Invariants: a library of the target is replaced only with --replace; a source that knows no functions has none.
//!
//! Deliberately not here: checking that the code runs. FUNCTION LOAD does that.

use redis::Value;

use super::link::{Link, Links, array, bytes, text};
use super::report::FunctionsReport;
use crate::cli::ImportArguments;

/// A library.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Library {
    name: String,
    code: Vec<u8>,
}

/// Copies all libraries.
///
/// # Errors
/// A connection failed.
pub(super) fn copy(
    links: &mut Links,
    arguments: &ImportArguments,
) -> anyhow::Result<FunctionsReport> {
    let mut report = FunctionsReport::default();
    let Some(ours) = libraries(&mut links.source)? else {
        return Ok(report);
    };
    if ours.is_empty() {
        return Ok(report);
    }
    let Some(theirs) = libraries(&mut links.target)? else {
        report.not_copied.add(without_functions(ours.len(), links));
        return Ok(report);
    };
    let count = ours.len();
    for library in ours {
        let there = theirs.iter().find(|known| known.name == library.name);
        if there == Some(&library) {
            report.same += 1;
            continue;
        }
        if there.is_some() && !arguments.replace {
            report.not_copied.add(format!(
                "function library {} is in the target already, with other code; give --replace to overwrite it",
                library.name
            ));
            continue;
        }
        let mut words: Vec<&[u8]> = vec![b"FUNCTION", b"LOAD"];
        if arguments.replace {
            words.push(b"REPLACE");
        }
        words.push(&library.code);
        match links.target.ask(&words)? {
            Ok(_) => report.copied += 1,
            // It lists them, and there are none.
            Err(refusal) if refusal.to_string().contains("unknown subcommand") => {
                report.not_copied.add(without_functions(count, links));
                return Ok(report);
            }
            Err(refusal) => report.not_copied.add(format!(
                "cannot copy function library {}: the target answered '{refusal}'",
                library.name
            )),
        }
    }
    Ok(report)
}

fn without_functions(count: usize, links: &Links) -> String {
    let libraries = match count {
        1 => "1 function library is not copied".to_owned(),
        count => format!("{count} function libraries are not copied"),
    };
    format!(
        "{libraries}: {} does not know functions; give --no-functions to leave them out",
        links.target.address
    )
}

/// The libraries of a server; `None` when it does not know functions, or does not show them.
fn libraries(link: &mut Link) -> anyhow::Result<Option<Vec<Library>>> {
    let Ok(list) = link.ask(&[b"FUNCTION", b"LIST", b"WITHCODE"])? else {
        return Ok(None);
    };
    let mut libraries = Vec::new();
    for about in array(list)? {
        libraries.extend(library(about)?);
    }
    Ok(Some(libraries))
}

/// A library of names and values in turn.
fn library(about: Value) -> anyhow::Result<Option<Library>> {
    let (mut name, mut code) = (None, None);
    let mut about = array(about)?.into_iter();
    while let (Some(field), Some(value)) = (about.next(), about.next()) {
        match text(field)?.as_str() {
            "library_name" => name = Some(text(value)?),
            "library_code" => code = bytes(value)?,
            _ => {}
        }
    }
    Ok(name.zip(code).map(|(name, code)| Library { name, code }))
}
