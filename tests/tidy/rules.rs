//! The rules. Each takes sources and returns one line per offence: `path:line: what is wrong`.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::{
    CLOCK_ROOM, CLOCK_WORDS, EMPTY_NAME_PARTS, EMPTY_NAME_STARTS, FILE_LINES_MAX,
    FUNCTION_LINES_MAX, IMPORTS, NAMES_ALLOWED, WORD_ROOMS,
};
use super::source::{Source, blank_text, identifier};

/// Rooms named by a source and not in its row of the import table.
pub(crate) fn imports(source: &Source, rooms: &BTreeSet<String>) -> Vec<String> {
    let room = source.room();
    if room == "lib" {
        return Vec::new();
    }
    let allowed = IMPORTS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else {
        return vec![format!(
            "{}: room `{room}` is not in the import table",
            source.path
        )];
    };
    let mut offences = Vec::new();
    for (named, position) in named_rooms(source) {
        if rooms.contains(&named) && named != room && !allowed.contains(&named.as_str()) {
            let line = source.line(position);
            offences.push(format!(
                "{}:{line}: `{room}` may not import `{named}`",
                source.path
            ));
        }
    }
    offences
}

/// First path segments behind `crate::`, `millrace::` and enough `super::`.
fn named_rooms(source: &Source) -> Vec<(String, usize)> {
    let up = "super::".repeat(source.depth());
    let mut roots = vec!["crate::".to_owned(), "millrace::".to_owned()];
    if !up.is_empty() {
        roots.push(up);
    }
    let mut found = Vec::new();
    for root in &roots {
        for at in source.words(root) {
            let behind_super = source.code[..at].ends_with("super::");
            if behind_super {
                continue;
            }
            let rest = &source.code[at + root.len()..];
            for name in leading_names(rest) {
                found.push((name, at));
            }
        }
    }
    found
}

/// `data` of `data::list`, `data` and `resp` of `{data::{a, b}, resp}`.
fn leading_names(rest: &str) -> Vec<String> {
    let rest = rest.trim_start();
    if !rest.starts_with('{') {
        return vec![identifier(rest).to_owned()];
    }
    let (mut depth, mut expects_name) = (0_usize, false);
    let mut names = Vec::new();
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' => {}
            _ if byte.is_ascii_whitespace() => continue,
            _ if depth == 1 && expects_name => names.push(identifier(&rest[at..]).to_owned()),
            _ => {}
        }
        expects_name = depth == 1 && matches!(byte, b'{' | b',');
        if depth == 0 {
            break;
        }
    }
    names
}

/// Words outside their rooms.
pub(crate) fn word_rooms(source: &Source) -> Vec<String> {
    let mut offences = Vec::new();
    for (word, rooms, why) in WORD_ROOMS {
        if rooms.contains(&source.room()) {
            continue;
        }
        for at in source.words(word) {
            offences.push(format!(
                "{}:{}: `{word}` does not belong here: {why}",
                source.path,
                source.line(at)
            ));
        }
    }
    offences
}

/// More than one place of the engine that reads the clock.
pub(crate) fn clock(sources: &[Source]) -> Vec<String> {
    let mut places = BTreeSet::new();
    for source in sources.iter().filter(|source| source.room() == CLOCK_ROOM) {
        if CLOCK_WORDS
            .iter()
            .any(|word| source.words(word).next().is_some())
        {
            places.insert(source.path.as_str());
        }
    }
    if places.len() <= 1 {
        return Vec::new();
    }
    vec![format!(
        "the clock is read in {} files of `{CLOCK_ROOM}`, not in one: {places:?}",
        places.len()
    )]
}

/// Sources without a `//!` head.
pub(crate) fn head(source: &Source) -> Vec<String> {
    let headed = source
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| {
            line.strip_prefix("//!")
                .is_some_and(|words| words.trim().len() > 10)
        });
    if headed {
        Vec::new()
    } else {
        vec![format!(
            "{}: no //! head that says what it is for",
            source.path
        )]
    }
}

/// What is longer than allowed: name as the ratchet knows it → lines.
pub(crate) fn sizes(sources: &[Source]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for source in sources {
        if source.line_count > FILE_LINES_MAX {
            found.insert(source.path.clone(), source.line_count);
        }
        for (name, _, lines) in source.functions() {
            if lines > FUNCTION_LINES_MAX {
                let longest = found.entry(format!("{}::{name}", source.path)).or_insert(0);
                *longest = lines.max(*longest);
            }
        }
    }
    found
}

/// Compares what is too long with the ratchet: nothing new, nothing grown, nothing listed that need not be.
pub(crate) fn ratchet(
    found: &BTreeMap<String, usize>,
    listed: &[(&str, usize, &str)],
) -> Vec<String> {
    let mut offences = Vec::new();
    for (name, lines) in found {
        match listed.iter().find(|(listed, ..)| listed == name) {
            None => offences.push(format!("{name}: {lines} lines; split it (function {FUNCTION_LINES_MAX}, file {FILE_LINES_MAX})")),
            Some((_, most, _)) if lines > most => offences.push(format!("{name}: grown from {most} to {lines} lines")),
            Some(_) => {}
        }
    }
    for (name, _, why) in listed {
        if !found.contains_key(*name) {
            offences.push(format!(
                "{name}: is listed in the ratchet but no longer too long: remove the entry"
            ));
        }
        if why.len() < 15 {
            offences.push(format!("{name}: the ratchet gives no reason"));
        }
    }
    offences
}

/// Names that say nothing.
pub(crate) fn names(source: &Source) -> Vec<String> {
    let mut offences = Vec::new();
    for part in source.path.trim_end_matches(".rs").split(['/', '_']) {
        if EMPTY_NAME_PARTS.contains(&part) {
            offences.push(format!("{}: `{part}` says nothing", source.path));
        }
    }
    for (keyword, name, at) in source.declared_names() {
        let parts = name_parts(&name);
        let empty = parts
            .iter()
            .any(|part| EMPTY_NAME_PARTS.contains(&part.as_str()))
            || (keyword == "fn"
                && EMPTY_NAME_STARTS
                    .iter()
                    .any(|start| name.starts_with(start)));
        if empty && !NAMES_ALLOWED.contains(&name.as_str()) {
            offences.push(format!(
                "{}:{}: `{keyword} {name}` says nothing",
                source.path,
                source.line(at)
            ));
        }
    }
    offences
}

/// The words of a name, lower case: `key_table`, `KeyTable` → key, table.
fn name_parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower_before = false;
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && lower_before) {
            parts.push(String::new());
        }
        if character != '_' {
            parts.last_mut().unwrap().extend(character.to_lowercase());
        }
        lower_before = character.is_lowercase();
    }
    parts
}

/// Marks of unfinished work anywhere in a file, comments included.
pub(crate) fn unfinished(path: &str, text: &str) -> Vec<String> {
    // Put together here so that this file does not accuse itself.
    let marks = [
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("TO", "DO:"),
        concat!("#[ig", "nore"),
    ];
    let mut offences = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for mark in marks {
            if line.contains(mark) {
                offences.push(format!("{path}:{}: {mark}", number + 1));
            }
        }
    }
    offences
}

/// Property tests that are not configured by `property::cases`, which keeps their seeds off the top level.
pub(crate) fn property_tests(path: &str, text: &str) -> Vec<String> {
    // Put together here so that this file does not accuse itself.
    let (start, configured) = (concat!("prop", "test! {"), "property::cases(");
    let lines: Vec<&str> = text.lines().collect();
    let stray = |&(number, line): &(usize, &&str)| {
        let next = lines.get(number + 1).copied().unwrap_or_default();
        line.trim_start().starts_with(start) && !next.contains(configured)
    };
    let stray = lines.iter().enumerate().filter(stray);
    stray
        .map(|(number, _)| format!("{path}:{}: begins without {configured}N)", number + 1))
        .collect()
}

/// Follows `mod` from the roots; returns files that no `mod` names, and test files reached only under `#[cfg(test)]`.
pub(crate) fn reach(sources: &[Source]) -> (Vec<String>, BTreeSet<String>) {
    let by_path: BTreeMap<&str, &Source> = sources
        .iter()
        .map(|source| (source.path.as_str(), source))
        .collect();
    let mut reached: BTreeMap<String, bool> = BTreeMap::new();
    let mut open: Vec<(String, bool)> = sources
        .iter()
        .filter(|source| source.depth() == 0)
        .map(|source| (source.path.clone(), false))
        .collect();
    while let Some((path, is_test)) = open.pop() {
        match reached.get(&path) {
            Some(&known) if !known || is_test => continue,
            _ => {}
        }
        reached.insert(path.clone(), is_test);
        let Some(source) = by_path.get(path.as_str()) else {
            continue;
        };
        for module in &source.modules {
            let candidates = module_paths(source, &module.name, module.path_attribute.as_deref());
            if let Some(file) = candidates
                .into_iter()
                .find(|file| by_path.contains_key(file.as_str()))
            {
                open.push((file, is_test || module.is_test));
            }
        }
    }
    let lost = sources
        .iter()
        .filter(|source| !reached.contains_key(&source.path));
    let offences = lost
        .map(|source| format!("{}: no `mod` names this file", source.path))
        .collect();
    (
        offences,
        reached
            .into_iter()
            .filter(|(_, is_test)| *is_test)
            .map(|(path, _)| path)
            .collect(),
    )
}

fn module_paths(source: &Source, name: &str, attribute: Option<&str>) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    if let Some(path) = attribute {
        return vec![format!("{folder}/{path}")];
    }
    let stem = file.trim_end_matches(".rs");
    let owns_folder =
        matches!(file, "mod.rs" | "lib.rs" | "main.rs") || source.path.starts_with("src/bin/");
    let folder = if owns_folder {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    vec![
        format!("{folder}/{name}.rs"),
        format!("{folder}/{name}/mod.rs"),
    ]
}

/// Paths that the guide at the head of lib.rs names: anything with a slash that ends in a slash or `.rs`, `.sh`, `.md`, `.toml`.
pub(crate) fn guide_paths(lib: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in lib
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("//!"))
    {
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)));
        for word in words.map(|word| word.trim_start_matches("./")) {
            let ends = ["/", ".rs", ".sh", ".md", ".toml"]
                .iter()
                .any(|end| word.ends_with(end));
            if ends
                && word.contains('/')
                && word.starts_with(|c: char| c.is_ascii_lowercase() || c == '.')
            {
                found.push(word.to_owned());
            }
        }
    }
    found
}

/// The commands that a test file sends: lower case, a subcommand behind its container with a `|`.
///
/// Only words inside string literals count, and only where a command can stand: in capitals, or at the start of a literal.
pub(crate) fn commands_sent(text: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut before = String::new();
    for literal in literals(text) {
        let words = literal
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
            .filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            let capitals = !word.contains(|c: char| c.is_ascii_lowercase());
            let lower = word.to_ascii_lowercase();
            if (capitals || index == 0) && known.contains(&lower) {
                found.insert(lower.clone());
            }
            // `XGROUP CREATE`, `"XGROUP", "CREATE"`, `xgroup create`
            let both = format!("{before}|{lower}");
            if known.contains(&both) {
                found.insert(both);
            }
            before = lower;
        }
    }
    found
}

/// The contents of the string literals, escapes as written except that they end a word.
fn literals(text: &str) -> Vec<String> {
    let code = blank_text(text);
    let mut found = Vec::new();
    let mut at = 0;
    // A blanked run that starts with a quote (or its prefix) was a string; comments start with a slash.
    while at < text.len() {
        if code.as_bytes()[at] == text.as_bytes()[at] {
            at += 1;
            continue;
        }
        let end = (at..text.len())
            .find(|&end| {
                code.as_bytes()[end] == text.as_bytes()[end]
                    && !text.as_bytes()[end].is_ascii_whitespace()
            })
            .unwrap_or(text.len());
        let run = &text[at..end];
        if !run.starts_with("//") && !run.starts_with("/*") {
            found.push(
                run.replace("\\r", " ")
                    .replace("\\n", " ")
                    .replace("\\t", " ")
                    .replace("br\"", "\""),
            );
        } else {
            // A comment may be followed by a string without code between: take what stands on the lines behind.
            for line in run
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                found.push(line.to_owned());
            }
        }
        at = end;
    }
    found
}
