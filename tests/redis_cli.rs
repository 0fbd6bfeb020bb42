//! redis-cli as people use it in a shell: one command per call, a pipe of commands, mass insertion, RESP3, subscriptions.
//!
//! Its output is compared to the byte, so the shapes of the replies (status, integer, nil, nested) are what is tested.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use support::{Server, for_each_shard_count};

fn redis_cli(server: &Server) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &server.port().to_string()]);
    // Output as on a terminal, where types show; a user's own settings must not change it.
    command
        .env_remove("REDISCLI_AUTH")
        .env("REDISCLI_RCFILE", "/dev/null");
    command
}

fn run(command: &mut Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-cli is missing: run scripts/test.sh");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// One call with the reply printed as on a terminal.
fn cli(server: &Server, arguments: &[&str]) -> String {
    run(redis_cli(server).arg("--no-raw").args(arguments), b"")
}

#[test]
fn one_command_per_call() {
    for_each_shard_count(|server| {
        assert_eq!(cli(server, &["PING"]), "PONG\n");
        assert_eq!(
            cli(server, &["LPUSH", "queue", "a", "b b", "c"]),
            "(integer) 3\n"
        );
        assert_eq!(
            cli(server, &["LRANGE", "queue", "0", "-1"]),
            "1) \"c\"\n2) \"b b\"\n3) \"a\"\n"
        );
        assert_eq!(cli(server, &["RPOP", "queue"]), "\"a\"\n");
        assert_eq!(cli(server, &["RPOP", "none"]), "(nil)\n");
        assert_eq!(
            cli(server, &["LRANGE", "none", "0", "-1"]),
            "(empty array)\n"
        );
        assert_eq!(cli(server, &["SET", "bin", "\u{1}x\r\n"]), "OK\n");
        assert_eq!(cli(server, &["GET", "bin"]), "\"\\x01x\\r\\n\"\n");
        assert_eq!(
            cli(server, &["INCR", "queue"]),
            "(error) WRONGTYPE Operation against a key holding the wrong kind of value\n"
        );
        assert!(cli(server, &["NOSUCH", "x"]).starts_with("(error) ERR unknown command 'NOSUCH'"));
        assert_eq!(cli(server, &["-n", "5", "DBSIZE"]), "(integer) 0\n");
        assert_eq!(cli(server, &["TYPE", "queue"]), "list\n");
    });
}

#[test]
fn streams_and_groups_print_nested() {
    for_each_shard_count(|server| {
        assert_eq!(
            cli(server, &["XADD", "s", "1-1", "field", "value"]),
            "\"1-1\"\n"
        );
        assert_eq!(cli(server, &["XGROUP", "CREATE", "s", "g", "0"]), "OK\n");
        assert_eq!(
            cli(
                server,
                &["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"]
            ),
            "1) 1) \"s\"\n   2) 1) 1) \"1-1\"\n         2) 1) \"field\"\n            2) \"value\"\n"
        );
        assert_eq!(
            cli(server, &["XPENDING", "s", "g"]),
            "1) (integer) 1\n2) \"1-1\"\n3) \"1-1\"\n4) 1) 1) \"c\"\n      2) \"1\"\n"
        );
        assert_eq!(
            cli(server, &["XAUTOCLAIM", "s", "g", "d", "0", "0", "JUSTID"]),
            "1) \"0-0\"\n2) 1) \"1-1\"\n3) (empty array)\n"
        );
        assert_eq!(cli(server, &["XACK", "s", "g", "1-1"]), "(integer) 1\n");
    });
}

#[test]
fn resp3_replies_show_their_types() {
    for_each_shard_count(|server| {
        let three = |arguments: &[&str]| {
            run(
                redis_cli(server).args(["-3", "--no-raw"]).args(arguments),
                b"",
            )
        };
        assert_eq!(
            three(&["CONFIG", "GET", "databases"]),
            "1# \"databases\" => \"16\"\n"
        );
        cli(server, &["XADD", "s", "1-1", "f", "v"]);
        assert_eq!(
            three(&["XREAD", "STREAMS", "s", "0"]),
            "1# \"s\" => \n   1) 1) \"1-1\"\n      2) 1) \"f\"\n         2) \"v\"\n"
        );
        assert_eq!(three(&["GET", "none"]), "(nil)\n");
        assert!(three(&["INFO", "server"]).contains("redis_version:7.4."));
    });
}

#[test]
fn commands_from_standard_input_run_in_order() {
    for_each_shard_count(|server| {
        let script = "SELECT 2\nMULTI\nLPUSH a 1\nLMOVE a b LEFT RIGHT\nEXEC\nLRANGE b 0 -1\nGET \"with space\"\n";
        assert_eq!(
            run(&mut redis_cli(server), script.as_bytes()),
            "OK\nOK\nQUEUED\nQUEUED\n1\n1\n1\n\n"
        );
        assert_eq!(
            run(
                redis_cli(server).args(["-n", "2", "-x", "SET", "blob"]),
                b"from stdin"
            ),
            "OK\n"
        );
        assert_eq!(cli(server, &["-n", "2", "GET", "blob"]), "\"from stdin\"\n");
    });
}

#[test]
fn mass_insertion_by_pipe_counts_every_reply() {
    for_each_shard_count(|server| {
        let mut protocol = Vec::new();
        for number in 0..20_000 {
            let value = format!("value-{number}");
            let queue = format!("queue:{}", number % 100);
            let head = format!("*3\r\n$5\r\nRPUSH\r\n${}\r\n{queue}\r\n", queue.len());
            protocol.extend_from_slice(head.as_bytes());
            protocol.extend_from_slice(format!("${}\r\n{value}\r\n", value.len()).as_bytes());
        }
        protocol.extend_from_slice(b"*2\r\n$4\r\nINCR\r\n$7\r\nqueue:0\r\n");
        let printed = run(redis_cli(server).arg("--pipe"), &protocol);
        assert!(printed.contains("errors: 1, replies: 20001"), "{printed}");
        assert_eq!(cli(server, &["DBSIZE"]), "(integer) 100\n");
        assert_eq!(cli(server, &["LLEN", "queue:99"]), "(integer) 200\n");
        assert_eq!(cli(server, &["LINDEX", "queue:7", "1"]), "\"value-107\"\n");
    });
}

#[test]
fn scan_and_the_key_finders_walk_the_keyspace() {
    for_each_shard_count(|server| {
        let script: String = (0..300).map(|n| format!("SET key:{n} {n}\n")).collect();
        run(&mut redis_cli(server), script.as_bytes());
        cli(server, &["RPUSH", "long-list", "1", "2", "3", "4"]);
        let scanned = run(
            redis_cli(server).args(["--scan", "--pattern", "key:*"]),
            b"",
        );
        let mut keys: Vec<&str> = scanned.lines().collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 300);
        let printed = run(redis_cli(server).args(["--bigkeys"]), b"");
        assert!(
            printed.contains("Sampled 301 keys in the keyspace!"),
            "{printed}"
        );
        assert!(
            printed.contains("found '\"long-list\"' has 4 items"),
            "{printed}"
        );
    });
}

/// Starts a subscription and reads its lines one by one.
struct Subscription {
    child: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Subscription {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line, whatever ends it on a terminal.
    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn expect(&mut self, expected: &[&str]) {
        for line in expected {
            assert_eq!(self.line(), *line);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_subscription_prints_messages_as_they_come() {
    for_each_shard_count(|server| {
        let mut channel = Subscription::start(redis_cli(server).args(["SUBSCRIBE", "news"]));
        channel.expect(&["subscribe", "news", "1"]);
        let mut pattern = Subscription::start(redis_cli(server).args(["-3", "PSUBSCRIBE", "n*"]));
        pattern.expect(&["psubscribe", "n*", "1"]);
        assert_eq!(cli(server, &["PUBLISH", "news", "hello"]), "(integer) 2\n");
        channel.expect(&["message", "news", "hello"]);
        pattern.expect(&["pmessage", "n*", "news", "hello"]);
        assert_eq!(
            cli(server, &["PUBSUB", "NUMSUB", "news"]),
            "1) \"news\"\n2) (integer) 1\n"
        );
    });
}

#[test]
fn a_blocking_pop_in_the_shell_waits_for_the_push() {
    for_each_shard_count(|server| {
        let mut popping = Subscription::start(redis_cli(server).args(["BLPOP", "queue", "30"]));
        let mut control = server.connect();
        while !control
            .run("INFO clients")
            .text()
            .contains("blocked_clients:1\r\n")
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(cli(server, &["RPUSH", "queue", "job"]), "(integer) 1\n");
        popping.expect(&["queue", "job"]);
    });
}

/// redis-cli through stdbuf: it leaves what it prints in its buffer when nobody sees it.
fn unbuffered(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new("stdbuf");
    command.args(["-o0", "redis-cli", "-p", &server.port().to_string()]);
    command.env("REDISCLI_RCFILE", "/dev/null").args(arguments);
    command
}

#[test]
fn stat_mode_shows_keys_clients_and_requests() {
    for_each_shard_count(|server| {
        cli(server, &["MSET", "a", "1", "b", "2", "c", "3"]);
        let mut stat = Subscription::start(&mut unbuffered(server, &["--stat", "-i", "0.05"]));
        let heading = [stat.line(), stat.line()].join("\n");
        assert!(heading.contains("blocked requests"), "{heading}");
        let requests = |line: String| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(words[0], "3", "keys: {line}");
            assert_ne!(words[1], "0B", "memory: {line}");
            assert_eq!(&words[2..4], ["1", "0"], "clients and blocked: {line}");
            words[4].parse::<u64>().unwrap()
        };
        let first = requests(stat.line());
        assert_eq!(requests(stat.line()), first + 1);
    });
}

#[test]
fn latency_modes_measure() {
    for_each_shard_count(|server| {
        // minimum, maximum, average in ms, samples.
        let printed = run(redis_cli(server).args(["--latency", "-i", "0.2"]), b"");
        let words: Vec<f64> = printed
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        assert!(words.len() == 4 && words[3] >= 1.0, "{printed}");
        let mut history =
            Subscription::start(&mut unbuffered(server, &["--latency-history", "-i", "0.2"]));
        let line = history.line();
        assert!(line.split_whitespace().count() >= 4, "{line}");
        let mut spectrum =
            Subscription::start(&mut unbuffered(server, &["--latency-dist", "-i", "0.2"]));
        let mut lines = std::iter::repeat_with(|| spectrum.line());
        assert!(lines.any(|line| line.contains("from 1 to 9")));
        assert!(lines.any(|line| line.starts_with("---")));
        assert!(lines.any(|line| line.contains("\u{1b}[48;5;")));
    });
    // Of the machine alone.
    let printed = run(
        Command::new("redis-cli").args(["--intrinsic-latency", "1"]),
        b"",
    );
    assert!(printed.contains("total runs"), "{printed}");
}

#[test]
fn finders_weigh_keys_and_count_their_use() {
    for_each_shard_count(|server| {
        cli(
            server,
            &["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"],
        );
        cli(server, &["SET", "small", "x"]);
        let big = "x".repeat(100_000);
        cli(server, &["SET", "big", &big]);
        for _ in 0..20 {
            cli(server, &["GET", "small"]);
        }
        let printed = run(redis_cli(server).args(["--memkeys"]), b"");
        assert!(printed.contains("Sampled 2 keys"), "{printed}");
        assert!(
            printed.contains("Biggest string found '\"big\"' has"),
            "{printed}"
        );
        let printed = run(redis_cli(server).args(["--hotkeys"]), b"");
        let hottest = printed
            .lines()
            .find(|line| line.starts_with("hot key found"));
        assert!(
            hottest.unwrap().ends_with("keyname: \"small\""),
            "{printed}"
        );
    });
}

#[test]
fn replies_print_as_csv_and_json() {
    for_each_shard_count(|server| {
        cli(server, &["RPUSH", "l", "a", "b c", "\"q\""]);
        cli(server, &["XADD", "s", "1-1", "f", "v"]);
        let printed = |arguments: &[&str]| run(redis_cli(server).args(arguments), b"");
        assert_eq!(
            printed(&["--csv", "LRANGE", "l", "0", "-1"]),
            "\"a\",\"b c\",\"\\\"q\\\"\"\n"
        );
        assert_eq!(printed(&["--csv", "GET", "none"]), "NULL\n");
        assert_eq!(
            printed(&["--json", "XRANGE", "s", "-", "+"]),
            "[[\"1-1\",[\"f\",\"v\"]]]\n"
        );
        assert_eq!(
            printed(&["--json", "XREAD", "STREAMS", "s", "0"]),
            "{\"s\":[[\"1-1\",[\"f\",\"v\"]]]}\n"
        );
        assert_eq!(printed(&["-3", "--json", "GET", "none"]), "null\n");
    });
}

#[test]
fn monitor_prints_commands_as_they_were_sent() {
    for_each_shard_count(|server| {
        let mut monitor = Subscription::start(&mut unbuffered(server, &["MONITOR"]));
        monitor.expect(&["OK"]);
        run(
            &mut redis_cli(server),
            b"set k \"a b\"\nmulti\nGet k\nexec\n",
        );
        for command in [
            "\"set\" \"k\" \"a b\"",
            "\"multi\"",
            "\"Get\" \"k\"",
            "\"exec\"",
        ] {
            // redis-cli itself may ask for COMMAND DOCS first.
            let mut lines = std::iter::repeat_with(|| monitor.line());
            let line = lines.find(|line| !line.contains("\"COMMAND\"")).unwrap();
            assert!(line.ends_with(&format!("] {command}")), "{line}");
            assert!(line.contains(" [0 127.0.0.1:"), "{line}");
        }
    });
}

#[test]
fn a_user_with_few_rights_logs_in_and_is_told_what_it_may_not() {
    for_each_shard_count(|server| {
        let rules = "on >a-long-password ~mine:* &mine:* +@list +@pubsub +@transaction +ping";
        let made = server.connect().run(&format!("ACL SETUSER ann {rules}"));
        assert_eq!(made.to_string(), "+OK");
        let as_ann = |arguments: &[&str], input: &[u8]| {
            let mut command = redis_cli(server);
            let login = ["--user", "ann", "--pass", "a-long-password"];
            command.args(login).args(["--no-auth-warning", "--no-raw"]);
            run(command.args(arguments), input)
        };
        assert_eq!(as_ann(&["LPUSH", "mine:jobs", "x"], b""), "(integer) 1\n");
        for (arguments, expected) in [
            (
                &["LPUSH", "jobs", "x"][..],
                "(error) NOPERM No permissions to access a key\n",
            ),
            (
                &["GET", "mine:jobs"],
                "(error) NOPERM User ann has no permissions to run the 'get' command\n",
            ),
            (
                &["PUBLISH", "jobs", "x"],
                "(error) NOPERM No permissions to access a channel\n",
            ),
        ] {
            assert_eq!(as_ann(arguments, b""), expected);
        }
        let script = b"MULTI\nRPUSH mine:jobs y\nEXEC\nLRANGE mine:jobs 0 -1\n";
        let printed = as_ann(&[], script);
        assert!(
            printed.ends_with("1) (integer) 2\n1) \"x\"\n2) \"y\"\n"),
            "{printed}"
        );
        let address = format!("redis://ann:a-long-password@{}", server.address());
        let by_address = run(
            Command::new("redis-cli").args([
                "--no-auth-warning",
                "-u",
                &address,
                "LLEN",
                "mine:jobs",
            ]),
            b"",
        );
        assert_eq!(by_address, "2\n");
        let mut by_environment = redis_cli(server);
        by_environment.env("REDISCLI_AUTH", "a-long-password");
        let printed = run(by_environment.args(["--user", "ann", "PING"]), b"");
        assert_eq!(printed, "PONG\n");
        let printed = run(
            redis_cli(server).args(["--user", "ann", "--pass", "wrong", "PING"]),
            b"",
        );
        assert!(printed.contains("WRONGPASS"), "{printed}");
    });
}

#[test]
fn modes_for_what_is_not_there_end_with_an_error() {
    for_each_shard_count(|server| {
        let address = server.address().to_string();
        for mode in ["info", "check"] {
            let printed = run(
                Command::new("redis-cli").args(["--cluster", mode, &address]),
                b"",
            );
            assert!(
                printed.contains("is not configured as a cluster node"),
                "{mode}: {printed}"
            );
        }
        let file = server.directory().join("copy.rdb");
        let file = file.to_str().unwrap();
        for (arguments, text) in [
            // tests/durability/copies.rs looks into the files.
            (vec!["--rdb", file], "Transfer finished with success."),
            (
                vec!["--functions-rdb", file],
                "Transfer finished with success.",
            ),
            (
                vec!["--replica"],
                "SYNC with master failed: -ERR replication is not supported",
            ),
        ] {
            let printed = run(redis_cli(server).args(&arguments), b"");
            assert!(printed.contains(text), "{arguments:?}: {printed}");
        }
    });
}
