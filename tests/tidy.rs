//! The house rules as an ordinary test: who may import whom, which word lives where, heads, sizes, names, whole trees.
//!
//! The rules are in tidy/rules.rs, what they compare with in tidy/lists.rs. Each rule has a bad sample below that it must catch.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "tidy/lists.rs"]
mod lists;
#[path = "tidy/order.rs"]
mod order;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::Path;

use lists::{ENGINE_FILES, ENGINE_TYPES, RATCHET, TOP_LEVEL};
use millrace::command::table::commands;
use source::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a folder with one of the endings, as path from the root and text.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "node_modules" | "target" | "__pycache__") {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let relative = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((relative, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The sources of src/ that are not tests.
fn sources() -> Vec<Source> {
    let all: Vec<Source> = files("src", &[".rs"])
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    let (_, tests) = rules::reach(&all);
    all.into_iter()
        .filter(|source| !tests.contains(&source.path))
        .collect()
}

fn sources_and_tests() -> Vec<Source> {
    let tests = files("tests", &[".rs"]);
    let tests = tests.iter().map(|(path, text)| Source::new(path, text));
    tests.chain(sources()).collect()
}

fn rooms(sources: &[Source]) -> BTreeSet<String> {
    sources
        .iter()
        .map(|source| source.room().to_owned())
        .collect()
}

fn expect_none(offences: &[String]) {
    assert!(
        offences.is_empty(),
        "{} offences:\n{}",
        offences.len(),
        offences.join("\n")
    );
}

#[test]
fn rooms_import_only_rooms_further_down() {
    let sources = sources();
    let rooms = rooms(&sources);
    expect_none(
        &sources
            .iter()
            .flat_map(|source| rules::imports(source, &rooms))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_two_files_of_the_engine_need_each_other() {
    let sources = sources();
    expect_none(&order::one_way(
        &sources,
        "shard",
        ENGINE_FILES,
        ENGINE_TYPES,
    ));
}

#[test]
fn words_stay_in_their_rooms() {
    let sources = sources();
    let mut offences: Vec<String> = sources.iter().flat_map(rules::word_rooms).collect();
    offences.extend(rules::clock(&sources));
    expect_none(&offences);
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = sources_and_tests();
    expect_none(&all.iter().flat_map(rules::head).collect::<Vec<_>>());
}

#[test]
fn functions_and_files_stay_short() {
    expect_none(&rules::ratchet(
        &rules::sizes(&sources_and_tests()),
        RATCHET,
    ));
}

#[test]
fn names_say_something() {
    expect_none(&sources().iter().flat_map(rules::names).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished() {
    let texts = ["src", "tests", "scripts"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs", ".sh", ".py", ".js"]));
    expect_none(
        &texts
            .flat_map(|(path, text)| rules::unfinished(&path, &text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn property_tests_keep_their_seeds_in_one_place() {
    let texts = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs"]));
    expect_none(
        &texts
            .flat_map(|(path, text)| rules::property_tests(&path, &text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_file_is_named_by_a_mod() {
    let all: Vec<Source> = files("src", &[".rs"])
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    expect_none(&rules::reach(&all).0);
}

#[test]
fn the_guide_names_only_paths_that_exist() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lost =
        |path: &String| !root().join(path).exists() && !root().join("src").join(path).exists();
    let offences: Vec<String> = rules::guide_paths(&lib).into_iter().filter(lost).collect();
    expect_none(&offences);
}

#[test]
fn the_top_level_holds_nothing_else() {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let mut offences = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name != ".git"
            && !ignored.contains(&name.as_str())
            && !TOP_LEVEL.contains(&name.as_str())
        {
            offences.push(name);
        }
    }
    expect_none(&offences);
}

#[test]
fn every_command_is_sent_by_a_test() {
    let table = commands();
    let known: BTreeSet<String> = table
        .rows()
        .iter()
        .map(|row| match row.parent {
            Some(container) => {
                format!("{}|{}", table.row(container).command.name, row.command.name)
            }
            None => row.command.name.to_owned(),
        })
        .collect();
    let mut sent = BTreeSet::new();
    for (path, text) in files("tests", &[".rs"]) {
        if !path.starts_with("tests/tidy") {
            sent.extend(rules::commands_sent(&text, &known));
        }
    }
    // The recorded cases of scripts have a command a line, as in `> FUNCTION LIST`.
    for (_, text) in files("tests/scripting/cases", &[".txt"]) {
        for (_, command) in text.lines().filter_map(|line| line.split_once("> ")) {
            let literal = format!("\"{}\"", command.replace(['"', '\\'], " "));
            sent.extend(rules::commands_sent(&literal, &known));
        }
    }
    let missing: Vec<String> = known
        .difference(&sent)
        .map(|name| format!("{name}: no test under tests/ sends it"))
        .collect();
    expect_none(&missing);
}

/// Bad samples: a rule that does not catch its own is no rule.
mod samples {
    use std::collections::BTreeSet;

    use super::order::one_way;
    use super::rules;
    use super::source::{Module, Source, blank_text};

    fn rooms() -> BTreeSet<String> {
        ["data", "resp", "command", "shard", "keyspace"]
            .iter()
            .map(|room| (*room).to_owned())
            .collect()
    }

    fn import_offences(path: &str, text: &str) -> usize {
        rules::imports(&Source::new(path, text), &rooms()).len()
    }

    #[test]
    fn files_that_need_a_later_one_are_caught_by_name_and_by_call() {
        let below = Source::new("src/shard/below.rs", "impl Shard { fn low(&self) {} }");
        let above = Source::new(
            "src/shard/above.rs",
            "impl Shard { fn high(&self) { self.low(); } }",
        );
        let inner = Source::new("src/shard/hand/inner.rs", "use super::super::above::Above;");
        let sources = [below, above, inner];
        let offences = |order: &[&str]| one_way(&sources, "shard", order, &["Shard"]).len();
        assert_eq!(offences(&["below", "above", "hand/inner"]), 0);
        assert_eq!(offences(&["above", "below", "hand/inner"]), 1);
        assert_eq!(offences(&["hand/inner", "above", "below"]), 2);
        assert_eq!(offences(&["below", "above"]), 1, "one is not in the list");
    }

    #[test]
    fn an_import_upwards_is_caught_however_it_is_written() {
        assert_eq!(
            import_offences("src/data/list.rs", "use crate::command::Row;"),
            1
        );
        assert_eq!(
            import_offences(
                "src/data/list.rs",
                "use crate::{limits::A, keyspace::{self, B}, shard};"
            ),
            2
        );
        assert_eq!(
            import_offences("src/data/list.rs", "fn f() { crate::resp::write() }"),
            1
        );
        assert_eq!(
            import_offences("src/data/list.rs", "use super::super::shard::Event;"),
            1
        );
        assert_eq!(
            import_offences("src/data/mod.rs", "use super::shard::Event;"),
            1
        );
        assert_eq!(
            import_offences(
                "src/data/stream/log.rs",
                "use super::super::super::command::x;"
            ),
            1
        );
        assert_eq!(
            import_offences("src/attic/mod.rs", "//! a room nobody knows"),
            1
        );
    }

    #[test]
    fn an_import_downwards_or_within_the_room_is_allowed() {
        assert_eq!(
            import_offences(
                "src/command/list.rs",
                "use crate::{data::list::List, keyspace::Space};"
            ),
            0
        );
        assert_eq!(
            import_offences(
                "src/data/list.rs",
                "use super::listpack::Listpack; use crate::data::x;"
            ),
            0
        );
        assert_eq!(
            import_offences(
                "src/data/stream/log.rs",
                "use super::super::listpack::Listpack;"
            ),
            0
        );
        assert_eq!(
            import_offences(
                "src/data/list.rs",
                "// crate::shard is not here\nconst S: &str = \"crate::shard\";"
            ),
            0
        );
        assert_eq!(
            import_offences(
                "src/data/list.rs",
                "#[cfg(test)]\nmod tests { use crate::command::Row; }"
            ),
            0
        );
    }

    #[test]
    fn a_word_outside_its_room_is_caught() {
        let count = |path: &str, text: &str| rules::word_rooms(&Source::new(path, text)).len();
        assert_eq!(count("src/command/list.rs", "use tokio::sync::mpsc;"), 1);
        assert_eq!(
            count(
                "src/keyspace/mod.rs",
                "let now = std::time::Instant::now();"
            ),
            1
        );
        assert_eq!(count("src/data/list.rs", "unsafe { x() }"), 1);
        assert_eq!(count("src/data/list.rs", "let x = y.unwrap();"), 1);
        assert_eq!(count("src/data/list.rs", concat!("to", "do!()")), 1);
        assert_eq!(count("src/shard/mod.rs", "use tokio::sync::mpsc;"), 0);
        assert_eq!(
            count(
                "src/data/list.rs",
                "// unsafe would be faster\nlet tokio_like = unsafely();"
            ),
            0
        );
    }

    #[test]
    fn a_second_clock_is_caught() {
        let one = Source::new(
            "src/shard/mod.rs",
            "fn now() { Instant::now(); SystemTime::now(); }",
        );
        let two = Source::new("src/shard/tick.rs", "fn f() { Instant::now(); }");
        assert!(rules::clock(std::slice::from_ref(&one)).is_empty());
        assert_eq!(rules::clock(&[one, two]).len(), 1);
    }

    #[test]
    fn a_missing_head_is_caught() {
        let count = |text: &str| rules::head(&Source::new("src/data/list.rs", text)).len();
        assert_eq!(count("use std::fmt;\n"), 1);
        assert_eq!(count("//! x\n"), 1);
        assert_eq!(count("// An ordinary comment is no head.\n"), 1);
        assert_eq!(count("\n//! A list of packed chunks.\n"), 0);
    }

    #[test]
    fn long_functions_and_files_are_caught_and_the_ratchet_only_shrinks() {
        let body = "    let x = 1;\n".repeat(70);
        let text = format!(
            "//! A sample of the size rule.\nfn long() {{\n{body}}}\nfn short(a: [u8; 3]) {{}}\n"
        );
        let long = [Source::new("src/data/list.rs", &text)];
        let found = rules::sizes(&long);
        let name = "src/data/list.rs::long";
        assert_eq!(found.get(name), Some(&72));
        assert_eq!(found.len(), 1);
        assert_eq!(rules::ratchet(&found, &[]).len(), 1);
        assert_eq!(
            rules::ratchet(&found, &[(name, 72, "a table in the form of a match")]).len(),
            0
        );
        assert_eq!(
            rules::ratchet(&found, &[(name, 71, "a table in the form of a match")]).len(),
            1
        );
        assert_eq!(rules::ratchet(&found, &[(name, 72, "")]).len(), 1);
        let gone = [
            ("src/data/list.rs", 700, "it was long some time ago"),
            (name, 72, "a table in the form of a match"),
        ];
        assert_eq!(rules::ratchet(&found, &gone).len(), 1);
        let file = [Source::new("src/data/list.rs", &"// line\n".repeat(601))];
        assert_eq!(rules::sizes(&file).get("src/data/list.rs"), Some(&601));
        let tested = format!(
            "// line\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// line\n".repeat(700)
        );
        assert!(rules::sizes(&[Source::new("src/data/list.rs", &tested)]).is_empty());
    }

    #[test]
    fn empty_names_are_caught() {
        let count = |text: &str| rules::names(&Source::new("src/data/list.rs", text)).len();
        assert_eq!(count("struct KeyManager;"), 1);
        assert_eq!(count("fn parse_helper() {}"), 1);
        assert_eq!(
            count("fn handle_get() {} fn do_it() {} fn process_all() {}"),
            3
        );
        assert_eq!(count("mod utils;"), 1);
        assert_eq!(
            count("fn process_id() {} fn dot() {} fn handles() {} struct Utility;"),
            0
        );
        assert_eq!(
            rules::names(&Source::new("src/data/string_utils.rs", "")).len(),
            1
        );
    }

    #[test]
    fn marks_of_unfinished_work_are_caught() {
        assert_eq!(
            rules::unfinished(
                "a.rs",
                concat!("// FIX", "ME later\n#[ig", "nore = \"slow\"]\n")
            )
            .len(),
            2
        );
        assert_eq!(rules::unfinished("a.rs", "// finished\n").len(), 0);
    }

    #[test]
    fn a_property_test_without_its_configuration_is_caught() {
        let begin = concat!("prop", "test! {\n");
        let count = |rest: &str| rules::property_tests("a.rs", &format!("{begin}{rest}")).len();
        assert_eq!(count("    #[test]\n    fn a() {}\n}\n"), 1);
        assert_eq!(
            count("    #![config(ProptestConfig::with_cases(9))]\n}\n"),
            1
        );
        assert_eq!(count("    #![config(crate::property::cases(9))]\n}\n"), 0);
    }

    #[test]
    fn a_file_without_a_mod_is_caught() {
        let sources = [
            Source::new("src/lib.rs", "pub mod data;\npub mod limits;"),
            Source::new(
                "src/data/mod.rs",
                "mod list;\n#[cfg(test)]\n#[path = \"odd.rs\"]\nmod checks;",
            ),
            Source::new(
                "src/data/list.rs",
                "mod chunk;\n#[cfg(test)]\nmod tests;\nmod inline { fn f() {} }",
            ),
            Source::new("src/data/list/chunk.rs", ""),
            Source::new("src/data/list/tests.rs", "mod deeper;"),
            Source::new("src/data/list/tests/deeper.rs", ""),
            Source::new("src/data/odd.rs", ""),
            Source::new("src/data/lost.rs", "// mod lost;"),
            Source::new("src/limits.rs", ""),
        ];
        let (offences, tests) = rules::reach(&sources);
        assert_eq!(offences, ["src/data/lost.rs: no `mod` names this file"]);
        let expected = [
            "src/data/list/tests.rs",
            "src/data/list/tests/deeper.rs",
            "src/data/odd.rs",
        ];
        assert_eq!(tests.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn paths_in_the_guide_are_found() {
        let guide = "//! A row is in `command/stream/pending.rs`; see shard/, scripts/test.sh and RESP2/RESP3 or I/O.\nfn a() {}";
        assert_eq!(
            rules::guide_paths(guide),
            ["command/stream/pending.rs", "shard/", "scripts/test.sh"]
        );
    }

    #[test]
    fn only_commands_that_are_sent_count_as_tested() {
        let known: BTreeSet<String> = [
            "set",
            "get",
            "xgroup",
            "xgroup|create",
            "xgroup|destroy",
            "blpop",
        ]
        .iter()
        .map(|n| (*n).to_owned())
        .collect();
        let sent = |text: &str| {
            rules::commands_sent(text, &known)
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            sent("client.run(\"SET a b\"); // GET is not sent here\nlet get = 1;"),
            ["set"]
        );
        assert_eq!(
            sent("call(&[\"xgroup\", \"create\", \"s\"])"),
            ["xgroup", "xgroup|create"]
        );
        assert_eq!(
            sent("run(\"XGROUP DESTROY s g\")"),
            ["xgroup", "xgroup|destroy"]
        );
        assert_eq!(
            sent("send(b\"*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n\")"),
            ["get"]
        );
        assert!(sent("assert!(ok, \"we could not get what we set\");").is_empty());
    }

    #[test]
    fn the_scanner_sees_code_only() {
        assert_eq!(
            blank_text("a /* x /* y */ z */ b"),
            format!("a {} b", " ".repeat(17))
        );
        assert_eq!(blank_text("r#\"a\"b\"# c"), format!("{} c", " ".repeat(8)));
        assert_eq!(
            blank_text("'\\'' 'a' 'é' b'\"' <'a>"),
            format!("{}<'a>", " ".repeat(19))
        );
        assert_eq!(
            blank_text("\"a\\\"b\" br\"\\\" x"),
            format!("{} x", " ".repeat(12))
        );
        assert_eq!(blank_text("for r in b {}"), "for r in b {}");
        let source = Source::new(
            "src/a.rs",
            "#[path = \"b/c.rs\"]\npub(crate) mod x;\n#[cfg(test)]\nmod y;",
        );
        let modules = [
            Module {
                name: "x".into(),
                path_attribute: Some("b/c.rs".into()),
                is_test: false,
            },
            Module {
                name: "y".into(),
                path_attribute: None,
                is_test: true,
            },
        ];
        assert_eq!(source.modules, modules);
    }
}
