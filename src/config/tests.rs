//! The table against itself, and the rules of loading and CONFIG SET.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::error::Source;
use super::*;

fn load(words: &[&str]) -> Result<Configuration, ConfigError> {
    Configuration::load(words, &mut std::io::empty())
}

fn shown(configuration: &Configuration, name: &str) -> String {
    String::from_utf8(configuration.value(name).unwrap()).unwrap()
}

fn set(configuration: &Configuration, name: &str, value: &str) -> Result<Configuration, String> {
    configuration
        .with(&[(name, value)], true)
        .map_err(|error| String::from_utf8(error.text()).unwrap())
}

#[test]
fn small_machines_have_one_shard_and_larger_ones_one_per_core() {
    let counts = [1, 2, 3, 4, 16, 1000].map(default_shard_count);
    assert_eq!(counts, [1, 1, 1, 4, 16, crate::limits::SHARD_COUNT_MAX]);
}

#[test]
fn names_and_aliases_are_unique() {
    let mut names: Vec<&str> = PARAMETERS
        .iter()
        .flat_map(|row| std::iter::once(row.name).chain(row.alias))
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn what_config_get_shows_is_taken_back_unchanged() {
    let configuration = load(&[
        "--bind",
        "127.0.0.1",
        "-::1",
        "--save",
        "900 1 300 10",
        "--notify-keyspace-events",
        "KEA",
        "--maxmemory-clients",
        "20%",
        "--unixsocketperm",
        "770",
    ])
    .unwrap();
    for (at, row) in PARAMETERS.iter().enumerate() {
        let text = configuration.shown(at);
        if row.name == "replicaof" {
            continue;
        }
        let again = configuration.value_of(at, &text);
        let is_unsafe = matches!(row.effect, Effect::Unsafe { .. });
        assert!(is_unsafe || again.is_ok(), "{}: {again:?}", row.name);
        assert!(
            again.is_err() || again == Ok(configuration.values[at].clone()),
            "{}",
            row.name
        );
    }
}

#[test]
fn later_wins_and_save_points_add_up() {
    let configuration = load(&["--port", "1", "--port", "2"]).unwrap();
    assert_eq!(configuration.settings().port, 2);
    let configuration = load(&["--save", "900 1", "--save", "60", "5"]).unwrap();
    assert_eq!(shown(&configuration, "save"), "900 1 60 5");
    let configuration = load(&["--save", "900 1", "--save", ""]).unwrap();
    assert_eq!(shown(&configuration, "save"), "");
    assert!(!configuration.settings().persistence.append_only);
}

#[test]
fn an_unknown_directive_names_file_line_and_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.conf");
    std::fs::write(&path, "# comment\nport 7000\nfoo  bar\n").unwrap();
    let error = load(&[path.to_str().unwrap()]).unwrap_err();
    assert_eq!((error.line, error.text.as_str()), (3, "foo  bar"));
    assert_eq!(error.source, Source::File(path.clone()));
    assert_eq!(error.reason, "Bad directive or wrong number of arguments");
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn files_include_files_by_name_and_pattern() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    let at = directory.path().display();
    write(
        "main.conf",
        format!("port 1\ninclude {at}/sub.conf\ninclude {at}/d*.inc\ninclude {at}/none*.x\n"),
    );
    write("sub.conf", "port 2\ntimeout 9\n".into());
    write("d1.inc", "hz 11\n".into());
    write("d2.inc", "hz 12\n".into());
    write("loop.conf", format!("include {at}/loop.conf\n"));
    let main = format!("{at}/main.conf");
    let settings = load(&[&main, "--timeout", "10"]).unwrap().settings();
    assert_eq!(
        (settings.port, settings.timeout_s, settings.hz),
        (2, 10, 12)
    );
    assert!(
        load(&[&format!("{at}/loop.conf")])
            .unwrap_err()
            .reason
            .contains("include")
    );
    assert!(
        load(&["--include", &format!("{at}/missing")])
            .unwrap_err()
            .reason
            .contains("No such file")
    );
    write("lost.conf", "port 1\n\ninclude /nope.conf\n".into());
    let lost = format!("{at}/lost.conf");
    assert_eq!(
        load(&[&lost]).unwrap_err().to_string(),
        format!(
            "configuration file {lost}, line 3: 'include /nope.conf': /nope.conf cannot be read: No such file or directory"
        )
    );
    write("dir.conf", format!("dir {at}\ninclude sub.conf\n"));
    assert_eq!(
        load(&[&format!("{at}/dir.conf")]).unwrap().settings().port,
        2
    );
}

#[test]
fn standard_input_is_read_between_file_and_options() {
    let mut stdin = &b"port 3\nhz 33\n"[..];
    let settings = Configuration::load(&["-", "--port", "4"], &mut stdin)
        .unwrap()
        .settings();
    assert_eq!((settings.port, settings.hz), (4, 33));
}

#[test]
fn what_must_not_be_ignored_stops_the_start() {
    for words in [
        &["--tls-dh-params-file", "x"][..],
        &["--tls-replication", "yes"],
        &["--loadmodule", "x"],
        &["--replicaof", "h", "1"],
        &["--slaveof", "h 1"],
        &["--cluster-enabled", "yes"],
        &["--sentinel"],
        &["--search.timeout", "1"],
    ] {
        let error = load(words).unwrap_err();
        assert!(
            !error.reason.contains("Bad directive"),
            "{words:?}: {error}"
        );
    }
    assert!(load(&["--replicaof", "no", "one"]).is_ok());
}

#[test]
fn the_start_tells_what_has_no_effect() {
    let configuration = load(&["--appendonly", "yes", "--save", "", "--io-threads", "4"]).unwrap();
    let notices = configuration.notices();
    assert!(matches!(&notices[0], Notice::Ignored(text) if text.ends_with("io-threads")));
    assert_eq!(notices.len(), 1);
    let mut changed = set(&configuration, "lfu-decay-time", "5").unwrap();
    assert_eq!(changed.notices_since(&configuration).len(), 1);
    let mut again = set(&changed, "lfu-decay-time", "6").unwrap();
    assert_eq!(again.notices_since(&changed).len(), 0);
}

#[test]
fn config_set_is_all_or_nothing_in_redis_words() {
    let configuration = load(&[]).unwrap();
    let text = |name: &str, value: &str| set(&configuration, name, value).unwrap_err();
    let failed = |name: &str, reason: &str| {
        format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}")
    };
    assert_eq!(
        text("foo", "1"),
        "Unknown option or number of arguments for CONFIG SET - 'foo'"
    );
    assert_eq!(
        text("databases", "1"),
        failed("databases", "can't set immutable config")
    );
    assert_eq!(
        text("dir", "/"),
        failed("dir", "can't set protected config")
    );
    assert_eq!(
        text("port", "x"),
        failed("port", "argument couldn't be parsed into an integer")
    );
    assert_eq!(
        text("port", "99999"),
        failed("port", "argument must be between 0 and 65535 inclusive")
    );
    assert_eq!(
        text("appendonly", "maybe"),
        failed("appendonly", "argument must be 'yes' or 'no'")
    );
    assert_eq!(
        text("hz", "07"),
        failed("hz", "argument couldn't be parsed into an integer")
    );
    assert_eq!(
        text("maxmemory", "much"),
        failed("maxmemory", "argument must be a memory or percent value")
    );
    let both = configuration
        .with(&[("timeout", "1"), ("TIMEOUT", "2")], true)
        .unwrap_err();
    assert_eq!(
        both.text(),
        failed("TIMEOUT", "duplicate parameter").as_bytes()
    );
    let changed = configuration
        .with(&[("timeout", "1"), ("hz", "1000")], true)
        .unwrap();
    assert_eq!(
        (changed.settings().timeout_s, changed.settings().hz),
        (1, 500)
    );
}

#[test]
fn config_get_takes_names_patterns_and_hidden_ones_by_name_only() {
    let configuration = load(&[]).unwrap();
    let names = |patterns: &[&str]| -> Vec<String> {
        let found = configuration.get(patterns);
        found
            .into_iter()
            .map(|(name, _)| String::from_utf8(name).unwrap())
            .collect()
    };
    assert_eq!(names(&["PORT", "port", "nope"]), ["PORT"]);
    assert_eq!(
        names(&["stream-node*"]),
        ["stream-node-max-bytes", "stream-node-max-entries"]
    );
    assert_eq!(names(&["watchdog-perio?"]), [""; 0]);
    assert_eq!(names(&["watchdog-period"]), ["watchdog-period"]);
    assert_eq!(names(&["s*eof", "slaveof"]), ["slaveof"]);
}
