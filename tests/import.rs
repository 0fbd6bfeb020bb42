//! `millrace import` between two servers: what is copied, what is refused, and what it says.
//!
//! What the servers hold is read by the test itself, type by type, and compared; the tool's own comparison is not trusted.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "import/contents.rs"]
mod contents;
#[path = "import/fake.rs"]
mod fake;
mod peer;
#[path = "import/refusals.rs"]
mod refusals;

use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use contents::{ask, assert_same, contents, fill, many, numbered};
use peer::{Ended, Kind, Proxy, Server, call, millrace, run, until};
use redis::{Connection, Value};

/// From which server to which.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    from: Kind,
    to: Kind,
}

impl Way {
    fn source(&self, options: &[&str]) -> Server {
        let mut options = options.to_vec();
        if !self.reads_redis() && self.to_redis() {
            // A Redis of this version takes no newer values.
            options.extend(["--rdb-version-compat", "7.0"]);
        }
        Server::start(&self.from, &options)
    }

    fn target(&self, options: &[&str]) -> Server {
        Server::start(&self.to, options)
    }

    fn reads_redis(&self) -> bool {
        matches!(self.from, Kind::Redis(_))
    }

    fn to_redis(&self) -> bool {
        matches!(self.to, Kind::Redis(_))
    }
}

fn redis() -> Kind {
    Kind::Redis("redis-server".to_owned())
}

/// Between two servers that have functions, can take commands away and have a limit on memory.
fn between_redis() -> Way {
    Way {
        from: redis(),
        to: redis(),
    }
}

/// Every way that an import may go.
fn ways() -> Vec<Way> {
    let ours = Kind::Millrace;
    let pairs = [
        (redis(), redis()),
        (redis(), ours(1)),
        (redis(), ours(4)),
        (ours(4), redis()),
        (ours(1), ours(4)),
    ];
    pairs.map(|(from, to)| Way { from, to }).to_vec()
}

/// Both servers let everybody ask for digests.
const DIGESTS: &[&str] = &["--enable-debug-command", "yes"];

fn command(from: &str, to: &str, more: &[&str]) -> std::process::Command {
    let mut words = vec!["import", "--from", from, "--to", to];
    words.extend(more);
    millrace(&words)
}

fn import(from: &Server, to: &Server, more: &[&str]) -> Ended {
    run(command(&from.url(), &to.url(), more))
}

/// Asserts that an import ended so, and says what it printed if not.
fn expect(ended: &Ended, code: i32, printed: &[&str], complained: &[&str]) {
    assert_eq!(ended.code, code, "{ended:#?}");
    for part in printed {
        assert!(ended.stdout.contains(part), "no '{part}' in {ended:#?}");
    }
    for part in complained {
        assert!(ended.stderr.contains(part), "no '{part}' in {ended:#?}");
    }
    if complained.is_empty() {
        assert_eq!(ended.stderr, "", "{ended:#?}");
    }
    for line in ended.stderr.lines() {
        assert!(line.starts_with("millrace: "), "{ended:#?}");
    }
}

/// Gives a server a library of functions.
pub(crate) fn load(server: &Server, code: &str) {
    ask(
        &mut server.connect(),
        &[b"FUNCTION", b"LOAD", code.as_bytes()],
    );
}

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";

#[test]
fn everything_is_copied_with_its_end() {
    for way in ways() {
        for options in [DIGESTS, &[]] {
            let (from, to) = (way.source(options), way.target(options));
            fill(&from);
            let library = [
                "function libraries: 1 copied",
                "0 copied, 1 in the target already",
            ];
            load(&from, LIBRARY);
            let ended = import(&from, &to, &[]);
            // Redis and Millrace make their digests in different ways.
            let how = if options.is_empty() || way.reads_redis() != way.to_redis() {
                "all, by content"
            } else {
                "all, by digest"
            };
            let printed = [
                "no point in time",
                "db0: 19 keys copied\n",
                "db0: 19 keys in the source, 19 in the target; all 19 looked for are there; 19 values compared",
                "db15: 1 key copied\n",
                how,
                "21 keys copied from ",
            ];
            expect(&ended, 0, &printed, &[]);
            expect(&ended, 0, &library[..1], &[]);
            assert_same(&from, &to);
            let functions = call(&mut to.connect(), "FUNCTION LIST WITHCODE");
            assert_eq!(
                functions,
                call(&mut from.connect(), "FUNCTION LIST WITHCODE")
            );
            // Again: nothing is left to do, and nothing is in the way.
            let again = import(&from, &to, &[]);
            let printed = "db0: 0 keys copied, 19 in the target already with the same value\n";
            expect(&again, 0, &[printed], &[]);
            expect(&again, 0, &library[1..], &[]);
            expect(&import(&from, &to, &["--replace", "--quiet"]), 0, &[], &[]);
            assert_same(&from, &to);
        }
    }
}

#[test]
fn a_server_that_does_not_tell_ends_or_sizes_is_copied_too() {
    let way = between_redis();
    let old = [
        "--rename-command",
        "PEXPIRETIME",
        "",
        "--rename-command",
        "MEMORY",
        "",
    ];
    let (from, to) = (way.source(&old), way.target(&[]));
    call(&mut from.connect(), "SET ends 1 EXAT 4000000000");
    call(&mut from.connect(), "SET stays 1");
    expect(&import(&from, &to, &[]), 0, &["db0: 2 keys copied\n"], &[]);
    let Value::Int(ends) = call(&mut to.connect(), "PEXPIRETIME ends") else {
        panic!("no number")
    };
    assert!(
        (3_999_999_998_000..=4_000_000_000_000).contains(&ends),
        "{ends}"
    );
    assert_eq!(call(&mut to.connect(), "PTTL stays"), Value::Int(-1));
}

#[test]
fn only_keys_that_fit_the_pattern_are_copied() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        numbered(&from, 3_000);
        call(&mut from.connect(), "SET other 1");
        if way.reads_redis() {
            load(&from, LIBRARY);
        }
        expect(
            &import(&from, &to, &["--match", "key:1*"]),
            0,
            &["db0: 1,111 keys copied\n", "all 1,111 looked for"],
            &[],
        );
        assert_eq!(call(&mut to.connect(), "DBSIZE"), Value::Int(1_111));
        assert_eq!(call(&mut to.connect(), "EXISTS other key:2"), Value::Int(0));
    }
}

#[test]
fn only_the_databases_asked_for_are_copied() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        fill(&from);
        expect(
            &import(&from, &to, &["--db", "3", "--db", "7"]),
            0,
            &["db3: 1 key copied\n", "database 7 of "],
            &[],
        );
        expect(
            &import(&from, &to, &["--db", "7"]),
            0,
            &[" is empty: nothing to copy\nno keys are copied to "],
            &[],
        );
        assert_eq!(contents(&to).len(), 1);
    }
}

#[test]
fn a_key_with_another_value_or_end_is_reported_and_overwritten_only_when_asked() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        fill(&from);
        for line in [
            "SET text mine",
            "SADD list a",
            "SET number 12345 EX 5",
            "SET only-here 1",
        ] {
            call(&mut to.connect(), line);
        }
        let before = contents(&to);
        let ended = import(&from, &to, &["--no-verify"]);
        let complaints = [
            "millrace: key 'text' of database 0 is in the target already, with another value (the string differs); give --replace",
            "key 'list' of database 0 is in the target already, with another value (it is a set, at the source a list)",
            "key 'number' of database 0 is in the target already, with another value (it ends at another time)",
        ];
        expect(
            &ended,
            1,
            &[
                "3 in the target already with another value",
                "db0: 16 keys copied",
            ],
            &complaints,
        );
        let after = contents(&to);
        for (key, value) in &before {
            assert_eq!(after.get(key), Some(value), "it is as it was");
        }
        let ended = import(&from, &to, &["--replace"]);
        expect(
            &ended,
            0,
            &["db0: 19 keys in the source, 20 in the target"],
            &[],
        );
        call(&mut to.connect(), "DEL only-here");
        assert_same(&from, &to);
    }
}

#[test]
fn after_kill_it_goes_on_from_there() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        fill(&from);
        numbered(&from, 5_000);
        let (sender, receiver) = mpsc::channel();
        let mut passed = 0;
        let proxy = Proxy::start(&to, move |request| {
            passed += request.matches("RESTORE").count();
            if passed > 2_000 {
                // Nothing passes any more: the tool stands in the middle until it is killed.
                let _ = sender.send(());
                std::thread::park();
            }
        });
        let mut child = command(&from.url(), &proxy.url(), &[])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        receiver.recv_timeout(peer::PATIENCE).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let copied = contents(&to);
        assert!((1..5_000).contains(&copied.len()), "{}", copied.len());
        let ended = import(&from, &to, &[]);
        // What was on its way came there after we looked.
        let digits = ended.stdout.replace(',', "");
        let words: Vec<&str> = digits.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "already").unwrap();
        let same: usize = words[at - 4].parse().unwrap();
        assert!((copied.len()..5_000).contains(&same), "{same} {ended:?}");
        expect(&ended, 0, &[], &[]);
        assert_same(&from, &to);
    }
}

#[test]
fn large_values_are_copied_and_compared_in_slices() {
    for way in &ways()[2..4] {
        let (from, to) = (way.source(&[]), way.target(&[]));
        let mut connection = from.connect();
        let noise: Vec<u8> = (0..70_u64 << 20)
            .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8)
            .collect();
        ask(&mut connection, &[b"SET", b"noise", &noise]);
        for n in 0..10_u64 {
            let numbers = move |name: &'static str| {
                (0..20_000).map(move |m| format!("{name} {}", n * 20_000 + m))
            };
            many(&mut connection, &["RPUSH", "list"], numbers("element"));
            many(&mut connection, &["SADD", "set"], numbers("member"));
            many(&mut connection, &["HSET", "hash"], numbers("field"));
            let scored = numbers("member").flat_map(|name| [name.len().to_string(), name]);
            many(&mut connection, &["ZADD", "sorted"], scored);
        }
        numbered(&from, 1_000);
        expect(
            &import(&from, &to, &["--sample", "2000"]),
            0,
            &["1,005 values compared (all, by content), no difference"],
            &[],
        );
        // The comparison finds a difference in any of them.
        let changes = [
            (
                "SETRANGE noise 60000000 XX",
                "key 'noise' of database 0 is not the same in source and target: the string differs",
            ),
            ("LSET list 150000 other", "the list differs"),
            ("HSET hash field,0 other", "the hash differs"),
            ("ZINCRBY sorted 1 member,199999", "the zset differs"),
        ];
        for (line, sentence) in changes {
            let words: Vec<String> = line.split(' ').map(|word| word.replace(',', " ")).collect();
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            ask(&mut to.connect(), &words);
            expect(
                &import(&from, &to, &["--match", line.split(' ').nth(1).unwrap()]),
                1,
                &[],
                &[sentence],
            );
        }
    }
}

#[test]
fn streams_are_compared_with_ranges_that_redis_5_knows() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        let mut connection = from.connect();
        for n in 1..=2_500 {
            call(
                &mut connection,
                &format!("XADD s {n}-{} field value", n % 3),
            );
        }
        assert_eq!(import(&from, &to, &[]).code, 0);
        // Another payload, so that it is compared by its entries.
        call(&mut to.connect(), "XDEL s 2500-1");
        call(&mut to.connect(), "XADD s 2501-0 other value");
        let (sender, receiver) = mpsc::channel();
        let proxy = Proxy::start(&from, move |request| {
            if request.contains("XRANGE") {
                sender.send(request.to_owned()).unwrap();
            }
        });
        let ended = run(command(&proxy.url(), &to.url(), &[]));
        expect(&ended, 1, &[], &["key 's' of database 0 is"]);
        let requests: String = receiver.try_iter().collect();
        assert!(requests.contains("2000-3"), "{requests}");
        assert!(!requests.contains('('), "{requests}");
    }
}

#[test]
fn keys_that_have_ended_are_not_copied() {
    for way in ways() {
        let (from, to) = (way.source(DIGESTS), way.target(&[]));
        let mut connection = from.connect();
        call(&mut connection, "DEBUG SET-ACTIVE-EXPIRE 0");
        call(&mut connection, "SET ended 1 PX 1");
        call(&mut connection, "SET stays 1");
        let clock = |connection: &mut Connection| -> (u64, u64) {
            redis::from_redis_value(call(connection, "TIME")).unwrap()
        };
        let (seconds, microseconds) = clock(&mut connection);
        until("it has ended", || {
            clock(&mut connection) > (seconds, microseconds + 2_000)
        });
        assert_eq!(call(&mut connection, "DBSIZE"), Value::Int(2));
        expect(&import(&from, &to, &[]), 0, &["db0: 1 key copied"], &[]);
        assert_eq!(call(&mut to.connect(), "EXISTS ended"), Value::Int(0));
    }
}

#[test]
fn a_key_that_ends_between_reading_and_writing_is_no_difference() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        numbered(&from, 10);
        call(&mut from.connect(), "PEXPIRE key:3 700");
        let mut on_source = from.connect();
        let proxy = Proxy::start(&to, move |request| {
            // It was read, and the target gets it when it is over.
            if request.contains("key:3") {
                until("it has ended", || {
                    call(&mut on_source, "EXISTS key:3") == Value::Int(0)
                });
            }
        });
        let ended = run(command(&from.url(), &proxy.url(), &[]));
        expect(&ended, 0, &[], &[]);
        assert_eq!(call(&mut to.connect(), "EXISTS key:3"), Value::Int(0));
        assert_eq!(call(&mut to.connect(), "DBSIZE"), Value::Int(9));
    }
}

#[test]
fn what_changes_at_the_target_meanwhile_is_found() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        numbered(&from, 100);
        let mut on_target = Some(to.connect());
        let proxy = Proxy::start(&to, move |request| {
            if request.contains("EXISTS")
                && let Some(mut connection) = on_target.take()
            {
                call(&mut connection, "DEL key:5");
                call(&mut connection, "SET key:7 other");
            }
        });
        let ended = run(command(&from.url(), &proxy.url(), &[]));
        let complaints = [
            "millrace: key 'key:5' of database 0 is not in the target\n",
            "millrace: key 'key:7' of database 0 is not the same in source and target: the string differs\n",
        ];
        expect(
            &ended,
            1,
            &["1 of 100 are not there; 99 values compared (all, by content), 1 differ"],
            &complaints,
        );
    }
}

#[test]
fn the_size_of_the_sample_is_said() {
    for way in ways() {
        if way.reads_redis() != way.to_redis() {
            // Their digests are of no use, which is known after the first page.
            let (from, to) = (way.source(DIGESTS), way.target(DIGESTS));
            numbered(&from, 20);
            let printed = "20 values compared (all, by content), no difference";
            expect(&import(&from, &to, &["--sample", "2"]), 0, &[printed], &[]);
        }
        let (from, to) = (way.source(&[]), way.target(&[]));
        numbered(&from, 3_000);
        let printed = [
            "all 3,000 looked for are there; 10 values compared (one key in 300, by content), no difference",
        ];
        expect(&import(&from, &to, &["--sample", "10"]), 0, &printed, &[]);
        expect(
            &import(&from, &to, &["--sample", "0"]),
            0,
            &["no values compared\n"],
            &[],
        );
        expect(
            &import(&from, &to, &["--no-verify"]),
            0,
            &["db0: 3,000 keys in the source, 3,000 in the target\n"],
            &[],
        );
    }
}

#[test]
fn an_empty_source_is_copied_at_once() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        call(&mut to.connect(), "SET mine 1");
        expect(
            &import(&from, &to, &[]),
            0,
            &[" is empty: no keys are copied to ", "0 keys copied from "],
            &[],
        );
        assert_eq!(call(&mut to.connect(), "DBSIZE"), Value::Int(1));
    }
}

#[test]
fn that_nobody_reads_what_it_prints_stops_nothing() {
    for way in ways() {
        let (from, to) = (way.source(&[]), way.target(&[]));
        numbered(&from, 3);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&from.url(), &to.url(), &[])
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), output.stderr.as_slice()),
            (Some(0), b"".as_slice())
        );
        assert_same(&from, &to);
    }
}

#[test]
fn a_long_import_says_how_far_it_is() {
    for way in &ways()[2..3] {
        let (from, to) = (way.source(&[]), way.target(&[]));
        numbered(&from, 2_500);
        let mut is_first = true;
        let proxy = Proxy::start(&to, move |request| {
            if request.contains("ABSTTL") && std::mem::take(&mut is_first) {
                // A line comes every five seconds: nothing else to wait for.
                std::thread::sleep(Duration::from_millis(5_100));
            }
        });
        let ended = run(command(&from.url(), &proxy.url(), &[]));
        expect(&ended, 0, &["copying [", " % ", " s left, "], &[]);
        assert!(!ended.stdout.contains('\x1b'), "{ended:?}");
    }
}
