//! What is not copied, why, and what is said of it.

use redis::Value;

use super::contents::{assert_same, numbered};
use super::peer::{call, millrace, run};
use super::{LIBRARY, between_redis, command, expect, fake, import, load, ways};

#[test]
fn a_library_with_other_code_is_reported_and_overwritten_only_when_asked() {
    let way = between_redis();
    let (from, to) = (way.source(&[]), way.target(&[]));
    load(&from, LIBRARY);
    let mine = LIBRARY.replace("return 1", "return 2");
    load(&to, &mine);
    expect(
        &import(&from, &to, &[]),
        1,
        &[],
        &["function library lib is in the target already"],
    );
    assert_eq!(call(&mut to.connect(), "FCALL f 0"), Value::Int(2));
    expect(
        &import(&from, &to, &["--replace"]),
        0,
        &["function libraries: 1 copied"],
        &[],
    );
    assert_eq!(call(&mut to.connect(), "FCALL f 0"), Value::Int(1));
}

#[test]
fn a_target_without_functions_gets_the_keys_and_it_is_said() {
    let to = between_redis().target(&["--rename-command", "FUNCTION", ""]);
    let from = between_redis().source(&[]);
    numbered(&from, 3);
    load(&from, LIBRARY);
    expect(
        &import(&from, &to, &[]),
        1,
        &["db0: 3 keys copied"],
        &[
            "1 function library is not copied: ",
            " does not know functions; give --no-functions",
        ],
    );
    expect(&import(&from, &to, &["--no-functions"]), 0, &[], &[]);
    assert_same(&from, &to);
}

#[test]
fn values_of_a_newer_version_are_named() {
    for way in ways() {
        let to = way.target(&[]);
        let mut connection = to.connect();
        call(&mut connection, "SET model value");
        let payload: Vec<u8> =
            redis::from_redis_value(call(&mut connection, "DUMP model")).unwrap();
        call(&mut connection, "DEL model");
        let mut newer = payload.clone();
        let version = newer.len() - 10;
        newer[version] = 80;
        let mut keys: Vec<(String, Vec<u8>)> = vec![("good".to_owned(), payload.clone())];
        keys.extend((0..25).map(|n| (format!("newer:{n}"), newer.clone())));
        keys.push(("good:2".to_owned(), payload));
        let from = fake::source(keys);
        let sentence = "millrace: cannot copy key 'newer:0' (string) of database 0: the target does not read values of RDB version 80";
        let ended = run(command(&from, &to.url(), &[]));
        expect(
            &ended,
            1,
            &[],
            &[
                sentence,
                "the source is newer",
                "give --skip-errors",
                "start it again",
            ],
        );
        let ended = run(command(&from, &to.url(), &["--skip-errors", "--no-verify"]));
        expect(
            &ended,
            1,
            &["25 refused"],
            &[
                sentence,
                "newer:19",
                "millrace: and 5 more like the last one\n",
            ],
        );
        assert!(!ended.stderr.contains("newer:20"), "{ended:?}");
        let mut keys: Vec<String> =
            redis::from_redis_value(call(&mut connection, "KEYS *")).unwrap();
        keys.sort();
        assert_eq!(keys, ["good", "good:2"]);
        // The comparison looks for them too, and by the same rule.
        let ended = run(command(&from, &to.url(), &["--skip-errors"]));
        expect(
            &ended,
            1,
            &["25 of 27 are not there; 2 values compared"],
            &["key 'newer:3' of database 0 is not in the target"],
        );
    }
}

#[test]
fn passwords_come_from_the_environment() {
    for way in ways() {
        let (from, to) = (
            way.source(&["--requirepass", "open"]),
            way.target(&["--requirepass", "sesame"]),
        );
        let with = |names: &[(&str, &str)]| {
            let mut command = command(&from.url(), &to.url(), &[]);
            command.envs(names.iter().copied());
            run(command)
        };
        let (ours, theirs) = (
            ("MILLRACE_IMPORT_PASSWORD", "open"),
            ("MILLRACE_PASSWORD", "sesame"),
        );
        expect(&with(&[ours, theirs]), 0, &[], &[]);
        let at_source = format!("cannot log in to 127.0.0.1:{}: the server ", from.port);
        let at_target = format!("cannot log in to 127.0.0.1:{}: the server ", to.port);
        let expect_refused = |names: &[(&str, &str)], sentence: String| {
            let ended = with(names);
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
            assert!(ended.stderr.contains(&sentence), "{ended:?}");
        };
        expect_refused(
            &[theirs],
            at_source.clone() + "wants a password; set MILLRACE_IMPORT_PASSWORD\n",
        );
        expect_refused(
            &[ours],
            at_target + "wants a password; set MILLRACE_PASSWORD\n",
        );
        let wrong = ("MILLRACE_IMPORT_PASSWORD", "wrong");
        expect_refused(
            &[wrong, theirs],
            at_source + "did not accept the user or the password",
        );
    }
}

#[test]
fn what_cannot_work_is_not_tried() {
    for way in ways() {
        let (from, to) = (way.source(&["--databases", "32"]), way.target(&[]));
        let deaf = between_redis().target(&["--rename-command", "RESTORE", ""]);
        numbered(&from, 3);
        call(&mut from.connect(), "SELECT 20");
        let refused = |from: &str, to: &str, more: &[&str], sentence: &str| {
            let ended = run(command(from, to, more));
            expect(&ended, 2, &[], &[sentence]);
            assert_eq!(ended.stdout, "", "{ended:?}");
        };
        refused(
            "redis://127.0.0.1:1",
            &to.url(),
            &[],
            "cannot connect to 127.0.0.1:1: Connection refused",
        );
        refused(
            &from.url(),
            "redis://127.0.0.1:1",
            &[],
            "cannot connect to 127.0.0.1:1: Connection refused",
        );
        refused(
            "127.0.0.1",
            &to.url(),
            &[],
            "it has the form redis://host:port",
        );
        refused(&from.url(), &from.url(), &[], "they are the same server");
        refused(
            &from.url(),
            &deaf.url(),
            &[],
            "it does not know the command RESTORE",
        );
        refused(
            &format!("{}/3", from.url()),
            &to.url(),
            &[],
            "choose databases by --db",
        );
        let mut connection = from.connect();
        call(&mut connection, "SELECT 20");
        call(&mut connection, "SET k v");
        refused(
            &from.url(),
            &to.url(),
            &[],
            "the target has fewer databases; start it with --databases 21",
        );
        assert_eq!(call(&mut to.connect(), "DBSIZE"), Value::Int(0));
        expect(
            &import(&from, &to, &["--db", "0"]),
            0,
            &["db0: 3 keys copied"],
            &[],
        );
        assert_eq!(run(millrace(&["import"])).code, 2);
    }
}

#[test]
fn a_target_that_is_full_stops_it() {
    let way = between_redis();
    let (from, to) = (way.source(&[]), way.target(&["--maxmemory", "1mb"]));
    numbered(&from, 3);
    let ended = import(&from, &to, &["--skip-errors"]);
    expect(
        &ended,
        1,
        &[],
        &["the server answered 'OOM ", "start it again"],
    );
}
