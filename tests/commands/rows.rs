//! Every row against an oracle: what COMMAND INFO, COMMAND DOCS, COMMAND LIST, COMMAND GETKEYS and HELP tell of the commands
//! that both servers have.
//!
//! ```text
//! server ── COMMAND, COMMAND DOCS ──► facts: command × fact ─► text      differences ─ ACCEPTED = nothing, both ways
//! ```
//! The lists of what may differ and of the commands whose keys are looked for are in `rows/lists.rs`. A listed difference that is
//! none fails too. Not compared: summaries (ours are our own words), histories and notes of key specs (prose).

mod lines;
mod lists;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Frame, Server};
use lines::LINES_WITH_KEYS;
use lists::{ACCEPTED, Against, NEWER, OURS_ALONE};

/// Of each command, by its full name: the facts by their names.
type Facts = BTreeMap<String, BTreeMap<&'static str, String>>;

fn sorted(set: &Frame) -> String {
    let mut names: Vec<String> = set.items().iter().map(Frame::text).collect();
    names.sort();
    names.join(" ")
}

/// A key spec without its notes; its flags in order.
fn key_spec(spec: &Frame) -> String {
    let part = |name: &str| spec.field(name).map(ToString::to_string);
    format!(
        "{} {} {}",
        spec.field("flags").map(sorted).unwrap_or_default(),
        part("begin_search").unwrap_or_default(),
        part("find_keys").unwrap_or_default()
    )
}

/// The facts of an entry of COMMAND, and of its subcommands.
fn add_info(entry: &Frame, facts: &mut Facts) {
    let [
        name,
        arity,
        flags,
        first,
        last,
        step,
        categories,
        tips,
        specs,
        subcommands,
    ] = entry.items()
    else {
        panic!("an entry of COMMAND has ten parts: {entry}");
    };
    let of = facts.entry(name.text()).or_default();
    of.insert("arity", arity.to_string());
    of.insert("flags", sorted(flags));
    of.insert("key range", format!("{first} {last} {step}"));
    of.insert("categories", sorted(categories));
    of.insert("tips", sorted(tips));
    let specs: Vec<String> = specs.items().iter().map(key_spec).collect();
    of.insert("key specs", specs.join("; "));
    for subcommand in subcommands.items() {
        add_info(subcommand, facts);
    }
}

/// The first order of a text about complexity, `O(N)`: what is behind it is prose.
fn order(text: &str) -> String {
    let Some(start) = text.find("O(") else {
        return String::new();
    };
    let mut depth = 0;
    let end = text[start..].find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ')' && depth == 0
    });
    text[start..start + end.map_or(0, |end| end + 1)].to_owned()
}

/// An argument of COMMAND DOCS on one line; `named`: with its names and versions, not its shape only.
fn argument(docs: &Frame, named: bool) -> String {
    let field = |name: &str| docs.field(name).map(Frame::text);
    let mut shown = field("type").unwrap_or_default();
    if named {
        for name in ["name", "display_text", "since", "deprecated_since"] {
            shown += &field(name).map_or(String::new(), |text| format!(" {name}={text}"));
        }
    }
    shown += &field("token").map_or(String::new(), |token| format!(" {token}"));
    let spec = docs.field("key_spec_index");
    shown += &spec.map_or(String::new(), |index| format!(" key {index}"));
    if let Some(flags) = docs.field("flags") {
        shown += &format!(" [{}]", sorted(flags));
    }
    if docs.field("arguments").is_some() {
        shown += &format!(" ({})", arguments(docs, named));
    }
    shown
}

fn arguments(docs: &Frame, named: bool) -> String {
    let inner = docs.field("arguments").map(Frame::items);
    let shown: Vec<String> = inner
        .unwrap_or_default()
        .iter()
        .map(|inner| argument(inner, named))
        .collect();
    shown.join(", ")
}

/// The facts of names and their documentation in turn, and of the subcommands in it.
fn add_docs(docs: &Frame, named: bool, facts: &mut Facts) {
    for pair in docs.items().chunks(2) {
        let [name, docs] = pair else { continue };
        let of = facts.entry(name.text()).or_default();
        let field = |name: &str| docs.field(name).map(Frame::text).unwrap_or_default();
        of.insert("since", field("since"));
        of.insert("group", field("group"));
        of.insert("complexity", order(&field("complexity")));
        of.insert("deprecated since", field("deprecated_since"));
        of.insert("replaced by", field("replaced_by"));
        let flags = docs.field("doc_flags").map(sorted).unwrap_or_default();
        of.insert("doc flags", flags);
        of.insert("arguments", arguments(docs, named));
        if let Some(subcommands) = docs.field("subcommands") {
            add_docs(subcommands, named, facts);
        }
    }
}

fn facts(server: &Server, against: Against) -> Facts {
    let mut client = server.connect();
    let mut facts = Facts::new();
    for entry in client.run("COMMAND").items() {
        add_info(entry, &mut facts);
    }
    // 7.0 names most arguments differently.
    let named = against != Against::Redis70;
    add_docs(&client.run("COMMAND DOCS"), named, &mut facts);
    facts
}

/// Which of the lists hold against this oracle.
fn against(oracle: &Server) -> Against {
    if oracle.version().starts_with("7.0.") {
        Against::Redis70
    } else {
        Against::Redis72
    }
}

fn both() -> (Server, Server, Against) {
    let oracle = Server::oracle();
    let against = against(&oracle);
    (Server::millrace(2), oracle, against)
}

#[test]
fn every_row_says_what_the_oracle_says() {
    let (server, oracle, against) = both();
    let (ours, theirs) = (facts(&server, against), facts(&oracle, against));
    let mut unexpected = Vec::new();
    let mut met = BTreeSet::new();
    for (command, our_facts) in &ours {
        let Some(their_facts) = theirs.get(command) else {
            let listed = OURS_ALONE.contains(&command.as_str());
            let is_newer = NEWER.contains(&command.as_str());
            let is_expected = is_newer || (listed && against == Against::Redis70);
            if !is_expected {
                unexpected.push(format!("{command}: the oracle has none"));
            }
            continue;
        };
        assert!(!NEWER.contains(&command.as_str()), "{command} is not newer");
        for (fact, our_text) in our_facts {
            let their_text = &their_facts[fact];
            if our_text == their_text {
                continue;
            }
            let accepted = ACCEPTED.iter().find(|accepted| {
                accepted.holds(against)
                    && accepted.fact == *fact
                    && accepted.commands.contains(&command.as_str())
            });
            if accepted.is_some() {
                met.insert((*fact, command.as_str()));
            } else {
                unexpected.push(format!(
                    "{command}, {fact}:\n  ours   {our_text}\n  theirs {their_text}"
                ));
            }
        }
    }
    for accepted in ACCEPTED.iter().filter(|accepted| accepted.holds(against)) {
        for command in accepted.commands {
            if !met.contains(&(accepted.fact, *command)) {
                unexpected.push(format!("{command}, {}: listed, and equal", accepted.fact));
            }
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}

#[test]
fn every_accepted_difference_has_a_reason() {
    let mut seen = BTreeSet::new();
    for accepted in ACCEPTED {
        assert!(accepted.reason.len() > 10, "{}", accepted.fact);
        for command in accepted.commands {
            assert!(
                seen.insert((accepted.fact, *command)),
                "{command}, {} is listed twice",
                accepted.fact
            );
        }
    }
}

#[test]
fn keys_are_found_where_the_oracle_finds_them() {
    let (server, oracle, against) = both();
    let (mut ours, mut theirs) = (server.connect(), oracle.connect());
    let mut looked_at = BTreeSet::new();
    for line in LINES_WITH_KEYS.lines().map(str::trim) {
        let words: Vec<String> = line.split(' ').map(str::to_ascii_lowercase).collect();
        // 7.0 wants an argument besides the command.
        let is_new = words.len() == 1 || OURS_ALONE.contains(&words[0].as_str());
        if is_new && against == Against::Redis70 {
            continue;
        }
        if NEWER.contains(&words[0].as_str()) {
            for question in ["GETKEYS", "GETKEYSANDFLAGS"] {
                let answer = ours.run(&format!("COMMAND {question} {line}"));
                assert!(!answer.is_error(), "{line}: {answer}");
            }
            looked_at.insert(words[0].clone());
            continue;
        }
        looked_at.extend([words[0].clone(), words[..words.len().min(2)].join("|")]);
        for question in ["GETKEYS", "GETKEYSANDFLAGS"] {
            let question = format!("COMMAND {question} {line}");
            let (answer, expected) = (ours.run(&question), theirs.run(&question));
            assert_eq!(answer.to_string(), expected.to_string(), "{question}");
        }
    }
    let forgotten: Vec<String> = facts(&server, against)
        .into_iter()
        .filter(|(command, facts)| !facts["key specs"].is_empty() && !looked_at.contains(command))
        .filter(|(command, _)| !NEWER.contains(&command.as_str()))
        .map(|(command, _)| command)
        .collect();
    assert!(forgotten.is_empty(), "no line for {forgotten:?}");
}

#[test]
fn the_lists_hold_what_the_oracles_hold() {
    let (server, oracle, against) = both();
    let (ours, theirs) = (facts(&server, against), facts(&oracle, against));
    let common: BTreeSet<&String> = ours
        .keys()
        .filter(|name| theirs.contains_key(*name))
        .collect();
    let (mut client, mut other) = (server.connect(), oracle.connect());
    let categories = other.run("ACL CAT");
    assert_eq!(sorted(&client.run("ACL CAT")), sorted(&categories));
    let by_category = categories.items().iter().flat_map(|category| {
        let category = category.text();
        [
            format!("COMMAND LIST FILTERBY ACLCAT {category}"),
            format!("ACL CAT {category}"),
        ]
    });
    let patterns = ["x*", "*|*", "X[ar]*", "?get", "*", "nosuch", "get"];
    let by_pattern = patterns.map(|pattern| format!("COMMAND LIST FILTERBY PATTERN {pattern}"));
    for line in by_category.chain(by_pattern) {
        let listed = |reply: Frame| -> BTreeSet<String> {
            let names = reply.items().iter().map(Frame::text);
            names.filter(|name| common.contains(name)).collect()
        };
        assert_eq!(
            listed(client.run(&line)),
            listed(other.run(&line)),
            "{line}"
        );
    }
}

#[test]
fn help_names_every_subcommand() {
    let (server, oracle, against) = both();
    let (mut ours, mut theirs) = (server.connect(), oracle.connect());
    let mut subcommands: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in facts(&server, against).into_keys() {
        if let Some((container, subcommand)) = name.to_ascii_uppercase().split_once('|') {
            let of = subcommands.entry(container.to_owned()).or_default();
            of.insert(subcommand.to_owned());
        }
    }
    for (container, subcommands) in subcommands {
        let line = format!("{container} HELP");
        let (help, other) = (ours.run(&line), theirs.run(&line));
        if help.is_error() || other.is_error() {
            assert_eq!(help.to_string(), other.to_string(), "{line}");
            continue;
        }
        let head = other.items()[0].text();
        assert_eq!(help.items()[0].text(), head, "{line}");
        // The explanation of a subcommand is indented, and so is what its line has no room for.
        let named: BTreeSet<String> = help.items()[1..]
            .iter()
            .map(Frame::text)
            .filter(|line| !line.starts_with([' ', '(']))
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(named, subcommands, "{line}");
    }
}
