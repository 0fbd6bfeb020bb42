//! The server's commands through a socket: what it tells of itself, and what it refuses.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::connection::{check, raw, spaced, wait_for_flags};
use crate::support::server::info_field;
use crate::support::{Client, Server, for_each_shard_count};

#[test]
fn the_server_tells_of_itself() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("ROLE", "*3 $6 master :0 *0"),
                ("LOLWUT", "$17 Redis ver. 7.4.0\n"),
                ("WAIT 0 0", ":0"),
                ("WAIT 1 20", ":0"),
                ("WAITAOF 0 1 20", "*2 :0 :0"),
                ("ACL WHOAMI", "$7 default"),
                ("ACL USERS", "*1 $7 default"),
                (
                    "ACL LIST",
                    "*1 $51 user default on nopass sanitize-payload ~* &* +@all",
                ),
                (
                    "ACL GETUSER default",
                    "*12 $5 flags *3 $2 on $6 nopass $16 sanitize-payload $9 passwords *0 $8 commands $5 +@all $4 keys $2 \
                     ~* $8 channels $2 &* $9 selectors *0",
                ),
                ("ACL DRYRUN default PING", "+OK"),
                ("ACL CAT foo", "-ERR Unknown category 'foo'"),
                ("MODULE LIST", "*0"),
                ("MEMORY PURGE", "+OK"),
                ("MEMORY USAGE nothing", "$-1"),
                ("CONFIG RESETSTAT", "+OK"),
            ]
            .map(|(line, reply)| (line, reply.trim_end())),
        );
        assert!(raw(&mut client, "ACL GENPASS").starts_with("$64 "));
        assert!(raw(&mut client, "MEMORY STATS").contains("keys.count"));
        assert!(raw(&mut client, "MEMORY DOCTOR").starts_with('$'));
        let (time, saved) = (client.run("TIME"), client.run("LASTSAVE").integer());
        let now: i64 = time.items()[0].text().parse().unwrap();
        assert!((0..600).contains(&(now - saved)), "{now} {saved}");
    });
}

#[test]
fn every_container_has_help() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    let lines = [
        "ACL HELP",
        "CLIENT HELP",
        "COMMAND HELP",
        "CONFIG HELP",
        "FUNCTION HELP",
        "LATENCY HELP",
        "MEMORY HELP",
        "MODULE HELP",
        "OBJECT HELP",
        "PUBSUB HELP",
        "SLOWLOG HELP",
        "XGROUP HELP",
        "XINFO HELP",
    ];
    for line in lines {
        let reply = client.run(line);
        let first = reply.items()[0].text();
        let container = line.split(' ').next().unwrap();
        assert!(
            first.starts_with(&format!("{container} <subcommand>")),
            "{first}"
        );
    }
}

#[test]
fn what_there_is_not_is_refused() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    let cluster = "-ERR This instance has cluster support disabled";
    for line in [
        "CLUSTER HELP",
        "ASKING",
        "READONLY",
        "READWRITE",
        "CLUSTER ADDSLOTS 1",
        "CLUSTER ADDSLOTSRANGE 1 2",
        "CLUSTER BUMPEPOCH",
        "CLUSTER COUNT-FAILURE-REPORTS x",
        "CLUSTER COUNTKEYSINSLOT 1",
        "CLUSTER DELSLOTS 1",
        "CLUSTER DELSLOTSRANGE 1 2",
        "CLUSTER FAILOVER",
        "CLUSTER FLUSHSLOTS",
        "CLUSTER FORGET x",
        "CLUSTER GETKEYSINSLOT 1 1",
        "CLUSTER INFO",
        "CLUSTER KEYSLOT k",
        "CLUSTER LINKS",
        "CLUSTER MEET a 1",
        "CLUSTER MYID",
        "CLUSTER MYSHARDID",
        "CLUSTER NODES",
        "CLUSTER REPLICAS x",
        "CLUSTER REPLICATE x",
        "CLUSTER RESET",
        "CLUSTER SAVECONFIG",
        "CLUSTER SET-CONFIG-EPOCH 1",
        "CLUSTER SETSLOT 1 STABLE",
        "CLUSTER SHARDS",
        "CLUSTER SLAVES x",
        "CLUSTER SLOTS",
    ] {
        assert_eq!(raw(&mut client, line), cluster, "{line}");
    }
    for line in ["MODULE LOAD x", "MODULE LOADEX x", "MODULE UNLOAD x"] {
        let reply = raw(&mut client, line);
        assert!(
            reply.starts_with("-ERR MODULE command not allowed."),
            "{reply}"
        );
    }
    check(
        &mut client,
        &[
            ("REPLICAOF NO ONE", "+OK"),
            ("SLAVEOF NO ONE", "+OK"),
            ("REPLICAOF a b", "-ERR Invalid master port"),
            ("FAILOVER", "-ERR FAILOVER requires connected replicas."),
            (
                "FAILOVER FORCE TIMEOUT 1 TO a 1",
                "-ERR FAILOVER requires connected replicas.",
            ),
            ("FAILOVER FORCE FORCE", "-ERR syntax error"),
            ("FAILOVER TIMEOUT 1 TIMEOUT 1", "-ERR syntax error"),
            ("FAILOVER ABORT", "-ERR No failover in progress."),
            ("FAILOVER ABORT FORCE", "-ERR syntax error"),
        ],
    );
}

#[test]
fn slow_commands_are_logged_with_their_secrets_covered() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.run("CLIENT SETNAME me");
        client.run("SLOWLOG RESET");
        client.run("CONFIG SET slowlog-log-slower-than 0");
        client.run("RPUSH a 1");
        client.run("AUTH default secret");
        client.run("CONFIG SET slowlog-log-slower-than -1");
        let log = client.run("SLOWLOG GET -1");
        let commands: Vec<String> = log
            .items()
            .iter()
            .map(|entry| entry.items()[3].to_string())
            .collect();
        let position = |wanted: &str| commands.iter().position(|command| command == wanted);
        let pushed = position(r#"["RPUSH", "a", "1"]"#).unwrap();
        let auth = position(r#"["AUTH", "(redacted)", "(redacted)"]"#).unwrap();
        assert!(auth < pushed, "newest first: {commands:?}");
        // A change of the limit counts by the new one: the first is there, the last is not.
        let set =
            |limit: &str| format!(r#"["CONFIG", "SET", "slowlog-log-slower-than", "{limit}"]"#);
        assert!(position(&set("0")).unwrap() > pushed, "{commands:?}");
        assert_eq!(position(&set("-1")), None, "{commands:?}");
        let entry = log.items()[pushed].items();
        assert_eq!(entry.len(), 6);
        assert_eq!(entry[4].text(), client.local_address().to_string());
        assert_eq!(entry[5].text(), "me");
        assert_eq!(client.run("SLOWLOG LEN").integer(), commands.len() as i64);
        check(
            &mut client,
            &[("SLOWLOG RESET", "+OK"), ("SLOWLOG LEN", ":0")],
        );
    });
}

#[test]
fn latencies_are_counted() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for key in ["a", "b", "c", "d"] {
            client.run(&format!("RPUSH {key} 1"));
        }
        let histogram = raw(&mut client, "LATENCY HISTOGRAM rpush nothing");
        assert!(
            histogram.starts_with("*2 $5 rpush *4 $5 calls :4 $14 histogram_usec *"),
            "{histogram}"
        );
        assert!(histogram.ends_with(" :4"), "{histogram}");
        check(
            &mut client,
            &[
                ("CONFIG RESETSTAT", "+OK"),
                ("LATENCY HISTOGRAM rpush", "*0"),
                ("LATENCY LATEST", "*0"),
                ("LATENCY HISTORY command", "*0"),
                ("LATENCY RESET", ":0"),
                (
                    "LATENCY GRAPH command",
                    "-ERR No samples available for event 'command'",
                ),
            ],
        );
        assert!(raw(&mut client, "LATENCY DOCTOR").contains("monitoring is off"));
    });
}

#[test]
fn a_monitor_sees_every_command_until_it_is_reset() {
    for_each_shard_count(|server| {
        let (mut monitor, mut client) = (server.connect(), server.connect());
        check(&mut monitor, &[("MONITOR", "+OK")]);
        let address = client.local_address();
        client.run("RPUSH a \"");
        client.run("AUTH default x");
        client.run("CONFIG GET hz");
        client.run("MULTI");
        client.run("LLEN a");
        client.run("EXEC");
        for shown in [
            r#""RPUSH" "a" "\"""#,
            r#""AUTH" "(redacted)" "(redacted)""#,
            r#""MULTI""#,
            r#""LLEN" "a""#,
            r#""EXEC""#,
        ] {
            let line = monitor.reply().text();
            assert!(line.ends_with(&format!(" [0 {address}] {shown}")), "{line}");
        }
        check(&mut monitor, &[("RESET", "+RESET")]);
        client.run("PING");
        monitor.expect_quiet(&mut client);
    });
}

#[test]
fn a_monitor_sees_a_command_when_it_has_run_and_nothing_of_a_refused_transaction() {
    for_each_shard_count(|server| {
        let (mut monitor, mut client, mut control) =
            (server.connect(), server.connect(), server.connect());
        let (address, id) = (client.local_address(), client.id());
        check(&mut monitor, &[("MONITOR", "+OK")]);
        let expect = |monitor: &mut Client, words: &[&str]| {
            let line = monitor.reply().text();
            let shown: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let shown = format!(" [0 {address}] {}", shown.join(" "));
            assert!(line.ends_with(&shown), "{line} is not {shown}");
        };
        client.pipeline(&["MULTI", "NOSUCH", "SET k 1", "EXEC"]);
        client.pipeline(&["WATCH k"]);
        check(&mut control, &[("CLIENT PAUSE 60000 WRITE", "+OK")]);
        client.send_line("SET k 2");
        wait_for_flags(&mut control, id, "b");
        for words in [&["MULTI"][..], &["EXEC"], &["WATCH", "k"]] {
            expect(&mut monitor, words);
        }
        // It cannot run yet.
        monitor.expect_quiet(&mut control);
        check(&mut control, &[("CLIENT UNPAUSE", "+OK")]);
        assert_eq!(spaced(&client.raw_reply()), "+OK");
        // Its own change: EXEC is refused.
        client.pipeline(&["MULTI", "GET k", "EXEC"]);
        client.send_line("BLPOP q 0");
        wait_for_flags(&mut control, id, "b");
        for words in [
            &["SET", "k", "2"][..],
            &["MULTI"],
            &["EXEC"],
            &["BLPOP", "q", "0"],
        ] {
            expect(&mut monitor, words);
        }
        control.run("RPUSH q x");
        assert_eq!(spaced(&client.raw_reply()), "*2 $1 q $1 x");
        assert!(monitor.reply().text().ends_with(r#" "RPUSH" "q" "x""#));
        monitor.expect_quiet(&mut control);
    });
}

#[test]
fn the_reply_to_monitor_comes_before_the_first_line() {
    for_each_shard_count(|server| {
        let stop = AtomicBool::new(false);
        let beginnings: Vec<String> = std::thread::scope(|scope| {
            for at in 0..4 {
                let (mut client, stop) = (server.connect(), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        client.run(&format!("SET key{at} value"));
                    }
                });
            }
            let first = |_| server.connect().run("MONITOR").to_string();
            let beginnings = (0..100).map(first).collect();
            stop.store(true, Ordering::Release);
            beginnings
        });
        let wrong = beginnings.iter().find(|beginning| *beginning != "+OK");
        assert_eq!(wrong, None);
    });
}

#[test]
fn shutdown_ends_the_process() {
    let mut server = Server::millrace(2);
    let mut client = server.connect();
    check(
        &mut client,
        &[
            ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
            ("SHUTDOWN NOSAVE SAVE", "-ERR syntax error"),
        ],
    );
    client.send_line("SHUTDOWN NOSAVE");
    client.expect_closed();
    assert_eq!(server.wait_for_exit(), Some(0));
}

#[test]
fn what_is_not_there_is_said_so() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("FUNCTION FLUSH", "+OK"),
                ("FUNCTION FLUSH SYNC", "+OK"),
                (
                    "FUNCTION FLUSH SYNC x",
                    "-ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.",
                ),
                ("FUNCTION LIST", "*0"),
                ("FUNCTION LIST LIBRARYNAME a WITHCODE", "*0"),
                (
                    "FUNCTION LIST LIBRARYNAME",
                    "-ERR library name argument was not given",
                ),
                (
                    "FUNCTION LIST WITHCODE withcode",
                    "-ERR Unknown argument withcode",
                ),
                ("PUBSUB SHARDCHANNELS", "*0"),
                (
                    "PUBSUB CHANNELS a b",
                    "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.",
                ),
                (
                    "CONFIG REWRITE",
                    "-ERR The server is running without a config file",
                ),
                ("SET k v", "+OK"),
                (
                    "OBJECT FREQ k",
                    "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                     switching between policies at runtime LRU and LFU data will take some time to adjust.",
                ),
            ],
        );
    });
}

#[test]
fn a_monitor_sees_an_exec_that_may_not_run() {
    for_each_shard_count(|server| {
        let (mut monitor, mut client) = (server.connect(), server.connect());
        let address = client.local_address();
        check(&mut monitor, &[("MONITOR", "+OK")]);
        client.pipeline(&["MULTI", "EXEC x", "PING"]);
        for shown in [r#""MULTI""#, r#""EXEC" "x""#, r#""PING""#] {
            let line = monitor.reply().text();
            assert!(line.ends_with(&format!(" [0 {address}] {shown}")), "{line}");
        }
    });
}

#[test]
fn memory_is_counted_and_given_back_after_flushall() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let mut bytes = |name: &str| -> u64 {
            let info = client.run("INFO memory").text();
            info_field(&info, name).unwrap().parse().unwrap()
        };
        let (empty, at_start) = (bytes("used_memory"), bytes("used_memory_startup"));
        assert!(at_start > 0 && empty < 16 << 20, "{empty} {at_start}");
        let mut filler = server.connect();
        filler.run("DEBUG POPULATE 100000 memory 400");
        let full = bytes("used_memory");
        assert!((40 << 20..80 << 20).contains(&full), "{full}");
        assert!(bytes("used_memory_rss") > full / 2);
        filler.run("FLUSHALL");
        // Values are freed by another thread.
        while bytes("used_memory") > empty + (4 << 20) {
            std::thread::yield_now();
        }
        assert!(bytes("used_memory_peak") >= full);
        // A part that is just being given back is passed over.
        loop {
            assert_eq!(filler.run("MEMORY PURGE").text(), "OK");
            if bytes("used_memory_rss") < full / 2 {
                break;
            }
        }
    });
}
