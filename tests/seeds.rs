//! What the fuzzers found once stays found: each file of scripts/fuzz/seeds goes through the check of its target.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "../scripts/fuzz/checks"]
mod checks {
    pub(crate) mod acl;
    pub(crate) mod canary;
    pub(crate) mod config;
    pub(crate) mod http;
    pub(crate) mod list;
    pub(crate) mod listpack;
    pub(crate) mod rdb;
    pub(crate) mod request;
    pub(crate) mod scan;
}

use std::path::{Path, PathBuf};

type Check = fn(&[u8]);

const CHECKS: [(&str, Check); 8] = [
    ("acl", checks::acl::check),
    ("config", checks::config::check),
    ("http", checks::http::check),
    ("list", checks::list::check),
    ("listpack", checks::listpack::check),
    ("rdb", checks::rdb::check),
    ("request", checks::request::check),
    ("scan", checks::scan::check),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fuzz")
}

/// The names in a directory, without extensions.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap().path())).collect();
    names.sort();
    names
}

#[test]
fn what_the_fuzzers_keep_passes() {
    for (name, check) in CHECKS {
        let directory = fuzz().join("seeds").join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            check(&std::fs::read(path).unwrap());
            count += 1;
        }
        assert!(count >= 10, "{name} has {count} seeds");
    }
}

#[test]
fn no_fuzzed_configuration_reads_another_file() {
    for line in [
        "include a",
        "Include a",
        r#""\x69nclude" a"#,
        r#"in\x63"\x6cude" a"#,
        r#""i\nc\lude" "in\clude" a"#,
        r#"'include' a"#,
        r#"inc"lude" a"#,
    ] {
        assert!(checks::config::may_include(line.as_bytes()), "{line}");
    }
    assert!(!checks::config::may_include(br#"port "\x31" \x3 inc lude"#));
}

#[test]
fn each_target_is_fuzzed_with_seeds_and_tried_here() {
    let targets = names(&fuzz().join("fuzz_targets"));
    assert_eq!(names(&fuzz().join("checks")), targets);
    let tried = CHECKS.map(|(name, _)| name.to_owned());
    let fuzzed: Vec<_> = targets
        .into_iter()
        .filter(|name| name != "canary")
        .collect();
    assert_eq!(fuzzed, tried);
    assert_eq!(names(&fuzz().join("seeds")), tried);
}

#[test]
#[should_panic(expected = "the canary sings")]
fn the_canary_sings() {
    checks::canary::check(b"PING me\r\n");
}
