//! The rule for the files of the engine: each needs only those that stand before it in a list, so no two need each other.
//!
//! A file needs another when it names something of it (`use`) or calls a method that the other adds to a type the two share.

use std::collections::HashMap;

use super::source::{Source, body_of, identifier};

/// The name of a file of the room, as it stands in the list; `None` for another room's.
fn file_of(source: &Source, room: &str) -> Option<String> {
    let inside = source.path.strip_prefix("src/")?.strip_prefix(room)?;
    let inside = inside.strip_prefix('/')?.strip_suffix(".rs")?;
    Some(inside.trim_end_matches("/mod").to_owned())
}

/// The methods that a file adds to a type: those in `impl Type {`, with or without a lifetime.
fn methods(source: &Source, type_name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for at in source.words("impl") {
        let header = &source.code[at + 4..];
        let header = header.split('{').next().unwrap_or_default().trim();
        let is_it = header == type_name || header == format!("{type_name}<'_>");
        let Some(body) = body_of(&source.code, at).filter(|_| is_it) else {
            continue;
        };
        let functions = source.functions();
        let inside = functions.into_iter().filter(|(_, at, _)| body.contains(at));
        found.extend(inside.map(|(name, _, _)| name));
    }
    found
}

/// The files of the room that a file names, as `super::name::` or `crate::room::name::`, each with its position.
fn named(source: &Source, own: &str, room: &str, order: &[&str]) -> Vec<(String, usize)> {
    let within = format!("crate::{room}::");
    let mut found = Vec::new();
    for (at, prefix) in source
        .code
        .match_indices("super::")
        .chain(source.code.match_indices(&within))
    {
        if source.code[..at].ends_with("super::") {
            // Counted at the first of them.
            continue;
        }
        let rest = &source.code[at..];
        let mut module: Vec<&str> = own.split('/').collect();
        let mut path = rest;
        if prefix == within {
            module.clear();
            path = &rest[within.len()..];
        }
        while let Some(outer) = path.strip_prefix("super::") {
            module.pop();
            path = outer;
        }
        let first = identifier(path);
        let second = path[first.len()..]
            .strip_prefix("::")
            .map_or("", identifier);
        module.push(first);
        let file = module.join("/");
        let inner = format!("{file}/{second}");
        found.push((
            if order.contains(&&*inner) {
                inner
            } else {
                file
            },
            at,
        ));
    }
    found
}

/// Files of a room that need one which comes later in the list, or that are not in it.
pub(crate) fn one_way(
    sources: &[Source],
    room: &str,
    order: &[&str],
    shared_types: &[&str],
) -> Vec<String> {
    let place: HashMap<&str, usize> = order
        .iter()
        .zip(0..)
        .map(|(name, at)| (*name, at))
        .collect();
    let files: Vec<(String, &Source)> = sources
        .iter()
        .filter_map(|source| Some((file_of(source, room)?, source)))
        .filter(|(name, _)| name != "mod")
        .collect();
    let mut adds: HashMap<String, Vec<&str>> = HashMap::new();
    for (name, source) in &files {
        let methods = shared_types
            .iter()
            .flat_map(|shared| methods(source, shared));
        methods.for_each(|method| adds.entry(method).or_default().push(name));
    }
    let mut offences = Vec::new();
    for (name, source) in &files {
        let Some(own) = place.get(&**name) else {
            offences.push(format!("{}: is not in the order of its room", source.path));
            continue;
        };
        let mut needs = named(source, name, room, order);
        for receiver in ["self.", "env.", "env()."] {
            for (at, _) in source.code.match_indices(receiver) {
                let method = identifier(&source.code[at + receiver.len()..]);
                let is_call = source.code[at + receiver.len() + method.len()..].starts_with('(');
                // Of methods of one name the nearest is meant, and a type of the file's own may have one too.
                let own_functions = source.functions();
                let is_own = own_functions.iter().any(|(own, _, _)| own == method);
                let by_place = |file: &&&str| place.get(**file).copied();
                let added_by = adds.get(method).filter(|_| is_call && !is_own);
                if let Some(file) = added_by.and_then(|files| files.iter().min_by_key(by_place)) {
                    needs.push(((*file).to_owned(), at));
                }
            }
        }
        for (other, at) in needs {
            if place.get(&*other).is_some_and(|other| other > own) {
                let line = source.line(at);
                offences.push(format!(
                    "{}:{line}: needs {other}, which comes later",
                    source.path
                ));
            }
        }
    }
    offences.sort();
    offences.dedup();
    offences
}
