//! INFO, COMMAND and DEBUG through a socket.

use std::time::{Duration, Instant};

use crate::connection::{check, raw};
use crate::support::server::info_field;
use crate::support::{Client, Server, shard_counts};

fn info(client: &mut Client, section: &str) -> String {
    client.run(&format!("INFO {section}")).text()
}

fn with_debug(test: impl Fn(&Server)) {
    for shards in shard_counts() {
        test(&Server::millrace_with(
            shards,
            &["--enable-debug-command", "yes"],
        ));
    }
}

#[test]
fn info_counts_what_happened_and_forgets_it() {
    with_debug(|server| {
        let mut client = server.connect();
        client.run("MSET a 1 b 2 c 3");
        client.run("GET a");
        client.run("GET nothing");
        client.run("LPUSH a x");
        client.run("GET");
        client.run("NOSUCH");
        let keyspace = info(&mut client, "keyspace");
        assert_eq!(
            info_field(&keyspace, "db0").unwrap(),
            "keys=3,expires=0,avg_ttl=0"
        );
        let stats = info(&mut client, "stats");
        let field = |name: &str| info_field(&stats, name).unwrap();
        assert_eq!(
            (field("keyspace_hits"), field("keyspace_misses")),
            ("1".into(), "1".into())
        );
        assert_eq!(field("total_error_replies"), "3");
        let number = |name| field(name).parse::<u64>().unwrap();
        // Each command, sent on its own, took a turn of a loop at least.
        assert!(number("eventloop_cycles") >= number("total_commands_processed"));
        assert!(number("eventloop_duration_sum") > 0 && number("eventloop_duration_cmd_sum") > 0);
        let errors = info(&mut client, "errorstats");
        assert_eq!(info_field(&errors, "errorstat_ERR").unwrap(), "count=2");
        assert_eq!(
            info_field(&errors, "errorstat_WRONGTYPE").unwrap(),
            "count=1"
        );
        let commands = info(&mut client, "commandstats");
        let get = info_field(&commands, "cmdstat_get").unwrap();
        assert!(get.starts_with("calls=2,usec="), "{get}");
        assert!(get.ends_with(",rejected_calls=1,failed_calls=0"), "{get}");
        let latency = info(&mut client, "latencystats");
        assert!(
            latency.contains("latency_percentiles_usec_mset:p50="),
            "{latency}"
        );
        check(&mut client, &[("CONFIG RESETSTAT", "+OK")]);
        let stats = info(&mut client, "stats");
        assert_eq!(info_field(&stats, "keyspace_hits").unwrap(), "0");
        assert_eq!(info_field(&stats, "total_error_replies").unwrap(), "0");
        let keyspace = info(&mut client, "keyspace");
        assert_eq!(
            info_field(&keyspace, "db0").unwrap(),
            "keys=3,expires=0,avg_ttl=0"
        );
    });
}

/// `blocked_clients`, `total_blocking_keys` and `total_blocking_keys_on_nokey` of one reply.
fn blocked_facts(client: &mut Client) -> [u64; 3] {
    let clients = info(client, "clients");
    [
        "blocked_clients",
        "total_blocking_keys",
        "total_blocking_keys_on_nokey",
    ]
    .map(|name| info_field(&clients, name).unwrap().parse().unwrap())
}

#[test]
fn info_counts_a_blocked_client_and_its_keys_in_one_moment() {
    with_debug(|server| {
        let mut control = server.connect();
        control.run("XGROUP CREATE s g $ MKSTREAM");
        // Of one moment: both clients and their three keys, or what is left when one of them is gone.
        let wait_for = |control: &mut Client, before: [u64; 3], after: [u64; 3]| {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let facts = blocked_facts(control);
                if facts == after {
                    return;
                }
                assert_eq!(facts, before, "on the way to {after:?}");
                assert!(Instant::now() < deadline, "never {after:?}");
            }
        };
        for round in 0..100 {
            let (mut popping, mut reading) = (server.connect(), server.connect());
            popping.send_line("BLPOP a b 0");
            wait_for(&mut control, [0, 0, 0], [1, 2, 0]);
            reading.send_line("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
            wait_for(&mut control, [1, 2, 0], [2, 3, 1]);
            if round % 2 == 0 {
                // Who served has seen them go when its reply is there.
                control.run("LPUSH b x");
                assert_eq!(blocked_facts(&mut control), [1, 1, 1], "BLPOP was served");
                control.run("XADD s * f v");
                assert_eq!(blocked_facts(&mut control), [0, 0, 0], "all were served");
            } else {
                drop(popping);
                wait_for(&mut control, [2, 3, 1], [1, 1, 1]);
                drop(reading);
                wait_for(&mut control, [1, 1, 1], [0, 0, 0]);
            }
        }
    });
}

#[test]
fn info_sections() {
    let server = Server::millrace(2);
    let mut client = server.connect();
    check(
        &mut client,
        &[
            ("INFO nosuch", "$0"),
            ("INFO cluster", "$30 # Cluster cluster_enabled:0"),
        ],
    );
    let default = info(&mut client, "default");
    assert!(default.contains("redis_version:7.4.0\r\n") && !default.contains("# Commandstats"));
    let all = info(&mut client, "everything");
    assert!(all.contains("# Commandstats") && all.contains("# Latencystats"));
    for name in [
        "used_memory",
        "used_memory_rss",
        "process_id",
        "uptime_in_seconds",
        "maxclients",
    ] {
        assert!(
            info_field(&all, name).unwrap().parse::<u64>().is_ok(),
            "{name}"
        );
    }
    assert_eq!(info_field(&all, "millrace_durability").unwrap(), "none");
    let mut modern = server.connect_resp3();
    let reply = modern.raw_call(&["INFO", "cluster"]);
    assert_eq!(reply, b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
}

#[test]
fn keys_are_found_in_commands() {
    let server = Server::millrace(1);
    check(
        &mut server.connect(),
        &[
            ("COMMAND GETKEYS SET a b", "*1 $1 a"),
            (
                "COMMAND GETKEYS XREAD COUNT 2 STREAMS a b 0 0",
                "*2 $1 a $1 b",
            ),
            ("COMMAND GETKEYS BLMPOP 0 2 a b LEFT", "*2 $1 a $1 b"),
            (
                "COMMAND GETKEYS BLMPOP 0 9 a LEFT",
                "-ERR Invalid arguments specified for command",
            ),
            (
                "COMMAND GETKEYS PING",
                "-ERR The command has no key arguments",
            ),
            (
                "COMMAND GETKEYS PUBLISH a b",
                "-ERR The command has no key arguments",
            ),
            (
                "COMMAND GETKEYS GET",
                "-ERR Invalid number of arguments specified for command",
            ),
            ("COMMAND GETKEYS NOSUCH a", "-ERR Invalid command specified"),
            (
                "COMMAND GETKEYS OBJECT NOSUCH a",
                "-ERR Invalid command specified",
            ),
            (
                "COMMAND GETKEYSANDFLAGS LMOVE a b LEFT RIGHT",
                "*2 *2 $1 a *3 +RW +access +delete *2 $1 b *2 +RW +insert",
            ),
        ],
    );
}

#[test]
fn the_facts_of_commands() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    check(
        &mut client,
        &[
            (
                "COMMAND INFO GET nosuch",
                "*2 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 *1 *6 $5 flags *2 +RO +access \
                 $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 $9 find_keys *4 $4 type $5 range $4 spec *6 \
                 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0 $-1",
            ),
            (
                "COMMAND INFO config|get",
                "*1 *10 $10 config|get :-3 *4 +admin +noscript +loading +stale :0 :0 :0 *3 +@admin +@slow +@dangerous *0 *0 *0",
            ),
            ("COMMAND LIST FILTERBY PATTERN xr*p", "*1 $10 xreadgroup"),
            ("COMMAND LIST FILTERBY MODULE none", "*0"),
            ("COMMAND LIST FILTERBY ACLCAT nosuch", "*0"),
            ("COMMAND LIST FILTERBY foo bar", "-ERR syntax error"),
            ("COMMAND DOCS nosuch", "*0"),
            (
                "COMMAND COUNT 1",
                "-ERR wrong number of arguments for 'command|count' command",
            ),
        ],
    );
    assert!(raw(&mut client, "COMMAND HELP").contains(" +COMMAND <subcommand> "));
    let count = client.run("COMMAND COUNT").integer() as usize;
    assert_eq!(client.run("COMMAND").items().len(), count);
    // Redis: with the subcommands, which COMMAND and COMMAND COUNT leave to their containers.
    let names = client.run("COMMAND LIST").to_string();
    let subcommands = names.matches('|').count();
    assert!(subcommands > 50, "{names}");
    assert_eq!(
        client.run("COMMAND LIST").items().len(),
        count + subcommands
    );
    assert_eq!(client.run("COMMAND DOCS").items().len(), 2 * count);
    let docs = raw(&mut client, "COMMAND DOCS LPOP");
    assert!(
        docs.ends_with(
            "$9 arguments *2 *8 $4 name $3 key $4 type $3 key $12 display_text $3 key $14 key_spec_index :0 *10 $4 name \
             $5 count $4 type $7 integer $12 display_text $5 count $5 since $5 6.2.0 $5 flags *1 +optional"
        ),
        "{docs}"
    );
}

#[test]
fn debug_is_refused_unless_allowed() {
    let server = Server::millrace_with(1, &["--enable-debug-command", "no"]);
    let mut client = server.connect();
    for line in ["DEBUG SLEEP 0", "DEBUG NOSUCH", "DEBUG HELP"] {
        assert!(
            raw(&mut client, line).starts_with("-ERR DEBUG command not allowed."),
            "{line}"
        );
    }
    assert_eq!(
        raw(&mut client, "DEBUG"),
        "-ERR wrong number of arguments for 'debug' command"
    );
}

#[test]
fn debug_is_one_command() {
    with_debug(|server| {
        let mut client = server.connect();
        let unknown =
            "-ERR unknown subcommand or wrong number of arguments for 'NOSUCH'. Try DEBUG HELP.";
        check(
            &mut client,
            &[
                ("CONFIG RESETSTAT", "+OK"),
                ("DEBUG SLEEP 0", "+OK"),
                ("DEBUG NOSUCH", unknown),
                ("COMMAND INFO debug|sleep", "*1 $-1"),
                ("COMMAND DOCS debug|sleep", "*0"),
                ("COMMAND LIST FILTERBY PATTERN debug*", "*1 $5 debug"),
                ("LATENCY HISTOGRAM debug|sleep", "*0"),
                (
                    "COMMAND GETKEYS DEBUG OBJECT a",
                    "-ERR The command has no key arguments",
                ),
                ("ACL DRYRUN default DEBUG NOSUCH", "+OK"),
                // Only when it runs it is found to be none.
                ("MULTI", "+OK"),
                ("DEBUG NOSUCH", "+QUEUED"),
                ("EXEC", &format!("*1 {unknown}")),
                ("SUBSCRIBE x", "*3 $9 subscribe $1 x :1"),
                (
                    "DEBUG SLEEP 0",
                    "-ERR Can't execute 'debug': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                     allowed in this context",
                ),
            ],
        );
        let mut client = server.connect();
        let stats = info(&mut client, "commandstats");
        let debug = info_field(&stats, "cmdstat_debug").unwrap();
        assert!(debug.starts_with("calls=3,"), "{debug}");
        assert!(
            debug.ends_with(",rejected_calls=1,failed_calls=2"),
            "{debug}"
        );
        assert!(!stats.contains("debug|"), "{stats}");
    });
}

#[test]
fn effects_repeat_what_was_done() {
    with_debug(|server| {
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("DEBUG EFFECTS ON", "+OK"),
                ("MSET a 1 b 2", "+OK"),
                ("SELECT 3", "+OK"),
            ],
        );
        client.run("RPUSH list x");
        assert_eq!(
            raw(&mut client, "DEBUG EFFECTS GET"),
            "*3 *2 :0 *3 $3 SET $1 a $1 1 *2 :0 *3 $3 SET $1 b $1 2 *2 :3 *3 $5 RPUSH $4 list $1 x"
        );
        check(
            &mut client,
            &[
                ("DEBUG EFFECTS GET", "*0"),
                ("DEBUG EFFECTS SUPPRESS rpush", "+OK"),
            ],
        );
        client.run("RPUSH list y");
        check(&mut client, &[("DEL list", ":1")]);
        assert_eq!(
            raw(&mut client, "DEBUG EFFECTS GET"),
            "*1 *2 :3 *2 $3 DEL $4 list"
        );
        check(
            &mut client,
            &[
                ("DEBUG EFFECTS OFF", "+OK"),
                ("SET a 1", "+OK"),
                ("DEBUG EFFECTS GET", "*0"),
            ],
        );
    });
}

#[test]
fn reload_keeps_every_key() {
    with_debug(|server| {
        let mut client = server.connect();
        client.run("MSET a 1 b text");
        client.run("RPUSH list 1 2 3");
        client.run("XADD stream 1-1 f v");
        client.run("XGROUP CREATE stream group 0");
        client.run("XREADGROUP GROUP group consumer STREAMS stream >");
        client.run("PEXPIRE a 1000000");
        let before = client.run("DEBUG DIGEST").text();
        for line in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
            check(&mut client, &[(line, "+OK"), ("DBSIZE", ":4")]);
            assert_eq!(client.run("DEBUG DIGEST").text(), before);
        }
        client.run("RPUSH list 4");
        assert_ne!(client.run("DEBUG DIGEST").text(), before);
        assert!(!info(&mut client, "commandstats").contains("cmdstat_xsetid"));
    });
}

/// The command behind it in a pipeline is at home everywhere and takes no time of its own.
#[test]
fn a_reload_is_not_the_time_of_the_next_command() {
    with_debug(|server| {
        let mut client = server.connect();
        client.run("DEBUG POPULATE 100000");
        for rounds in 1.. {
            client.run("CONFIG RESETSTAT");
            let began = Instant::now();
            client.pipeline(&["DEBUG RELOAD", "ECHO x"]);
            let elapsed_us = began.elapsed().as_micros();
            let stats = client.run("INFO commandstats").text();
            let echo = info_field(&stats, "cmdstat_echo").unwrap();
            let usec = echo.split(',').find_map(|fact| fact.strip_prefix("usec="));
            // On a machine with much to do it may be interrupted; not each time.
            if usec.unwrap().parse::<u128>().unwrap() < elapsed_us / 4 {
                return;
            }
            assert!(rounds < 20, "{echo} of {elapsed_us}");
        }
    });
}

#[test]
fn debug_reaches_inside() {
    with_debug(|server| {
        let mut client = server.connect();
        let begun = Instant::now();
        check(
            &mut client,
            &[
                ("DEBUG SLEEP 0.05", "+OK"),
                (
                    "DEBUG NOSUCH",
                    "-ERR unknown subcommand or wrong number of arguments for 'NOSUCH'. Try DEBUG HELP.",
                ),
                (
                    "DEBUG SLEEP",
                    "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.",
                ),
                ("DEBUG QUICKLIST-PACKED-THRESHOLD 1kb", "+OK"),
                (
                    "DEBUG QUICKLIST-PACKED-THRESHOLD 4gb",
                    "-ERR argument must be a memory value bigger than 1 and smaller than 4gb",
                ),
                ("DEBUG QUICKLIST-PACKED-THRESHOLD 0", "+OK"),
                ("DEBUG STRINGMATCH-LEN 1000 a*b", ":0"),
                ("DEBUG STRINGMATCH-LEN 1000 a*a", ":1"),
                ("DEBUG PROTOCOL integer", ":12345"),
                ("DEBUG LOG text", "+OK"),
                ("DEBUG POPULATE 3 made 10", "+OK"),
                ("STRLEN made:2", ":10"),
                ("DEL made:0 made:1 made:2", ":3"),
                ("LPUSH small a", ":1"),
                (
                    "DEBUG QUICKLIST small",
                    "-ERR Not a quicklist encoded object.",
                ),
                (
                    "DEBUG LISTPACK small",
                    "+Listpack structure written to the log",
                ),
                ("DEL small", ":1"),
                ("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"),
                ("SET a 1 PX 10", "+OK"),
                ("DEBUG SLEEP 0.1", "+OK"),
                ("DBSIZE", ":1"),
                ("DEBUG SET-ACTIVE-EXPIRE 1", "+OK"),
                ("DEBUG OBJECT nothing", "-ERR no such key"),
                ("DEBUG PAUSE-CRON 0", "+OK"),
                ("DEBUG CHANGE-REPL-ID", "+OK"),
                (
                    "DEBUG ERROR some text",
                    "-ERR unknown subcommand or wrong number of arguments for 'ERROR'. Try DEBUG HELP.",
                ),
                ("DEBUG ERROR text", "-text"),
                (
                    "DEBUG RELOAD x",
                    "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ),
            ],
        );
        assert!(begun.elapsed() >= Duration::from_millis(150));
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.run("DBSIZE").integer() > 0 {
            assert!(Instant::now() < deadline, "the key never expired");
        }
        client.run("RPUSH list a b");
        client.run("RPUSH same a b");
        let digests = client.run("DEBUG DIGEST-VALUE list same nothing");
        let digests: Vec<String> = digests.items().iter().map(|digest| digest.text()).collect();
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[2], "0".repeat(40));
        let object = client.run("DEBUG OBJECT list").text();
        assert!(
            object.contains(" refcount:1 encoding:listpack serializedlength:"),
            "{object}"
        );
        client.run("SET short value");
        let object = client.run("DEBUG OBJECT short").text();
        assert!(
            object.contains(" encoding:embstr serializedlength:5 "),
            "{object}"
        );
    });
}

#[test]
fn big_values_are_freed_aside_and_counted() {
    with_debug(|server| {
        let mut client = server.connect();
        let until_freed = |client: &mut Client, count: u64| {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let memory = info(client, "memory");
                let field = |name: &str| info_field(&memory, name).unwrap();
                if field("lazyfreed_objects") == count.to_string()
                    && field("lazyfree_pending_objects") == "0"
                {
                    return;
                }
                assert!(Instant::now() < deadline, "{memory}");
            }
        };
        let element = "x".repeat(5000);
        let big_list = |client: &mut Client| {
            let mut words = vec!["RPUSH", "big"];
            words.resize(102, &element);
            assert_eq!(client.call(&words).to_string(), ":100");
        };
        for (removal, freed) in [
            ("DEL big", 1),
            ("UNLINK big", 2),
            ("SET big x", 3),
            ("PEXPIRE big 1", 4),
        ] {
            client.run("DEL big");
            big_list(&mut client);
            client.run(removal);
            until_freed(&mut client, freed);
        }
        check(
            &mut client,
            &[
                ("RPUSH small x", ":1"),
                ("DEL small", ":1"),
                ("CONFIG RESETSTAT", "+OK"),
                ("DEBUG POPULATE 1000", "+OK"),
                ("FLUSHALL SYNC", "+OK"),
                ("DBSIZE", ":0"),
            ],
        );
        until_freed(&mut client, 1000);
    });
}

#[test]
fn a_reload_tells_watchers_and_caches_that_all_keys_went_and_waiters_of_nothing() {
    with_debug(|server| {
        for command in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
            let [mut tracker, mut watcher, mut absent, mut waiter, mut writer] =
                std::array::from_fn(|_| server.connect());
            writer.run("FLUSHALL");
            writer.run("SET k 1");
            tracker.run("HELLO 3");
            tracker.run("CLIENT TRACKING on");
            tracker.run("GET k");
            watcher.run("WATCH k none");
            absent.run("WATCH none");
            waiter.send_line("BLPOP none 0");
            while !info(&mut writer, "clients").contains("blocked_clients:1") {}
            assert_eq!(writer.run(command).to_string(), "+OK");
            let told = tracker.reply().to_string();
            assert!(told.contains("invalidate"), "{command}: {told}");
            for (client, reply) in [(&mut watcher, "nil-array"), (&mut absent, "[\"1\"]")] {
                client.run("MULTI");
                client.run("GET k");
                assert_eq!(client.run("EXEC").to_string(), reply, "{command}");
            }
            let changes = info(&mut writer, "persistence");
            assert!(
                changes.contains("rdb_changes_since_last_save:0"),
                "{command}: {changes}"
            );
            writer.run("RPUSH none 1");
            assert_eq!(waiter.reply().to_string(), "[\"none\", \"1\"]");
        }
    });
}
