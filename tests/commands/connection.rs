//! The connection's commands through a socket: passwords, protocols, names, and what one connection does to others.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use crate::support::server::info_field;
use crate::support::{Client, Server, for_each_shard_count};

/// Raw replies with blanks for line ends.
pub(crate) fn raw(client: &mut Client, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    spaced(&client.raw_call(&words))
}

pub(crate) fn spaced(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply)
        .replace("\r\n", " ")
        .trim_end()
        .to_owned()
}

#[track_caller]
pub(crate) fn check(client: &mut Client, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(raw(client, line), *expected, "{line}");
    }
}

/// Waits until CLIENT LIST shows the client with these flags.
pub(crate) fn wait_for_flags(control: &mut Client, id: i64, flags: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let wanted = format!(" flags={flags} ");
    while !control
        .run(&format!("CLIENT LIST ID {id}"))
        .text()
        .contains(&wanted)
    {
        assert!(Instant::now() < deadline, "never flags {flags}");
    }
}

#[test]
fn a_password_is_asked_for() {
    let server = Server::millrace_with(2, &["--requirepass", "secret"]);
    let mut client = server.connect();
    let no_auth = "-NOAUTH Authentication required.";
    check(
        &mut client,
        &[
            ("PING", no_auth),
            ("SELECT 1", no_auth),
            ("CLIENT ID", no_auth),
            (
                "AUTH wrong",
                "-WRONGPASS invalid username-password pair or user is disabled.",
            ),
            ("AUTH secret", "+OK"),
            (
                "ACL LIST",
                "*1 $110 user default on sanitize-payload #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b \
                 ~* &* +@all",
            ),
            ("PING", "+PONG"),
            ("RESET", "+RESET"),
            ("PING", no_auth),
        ],
    );
    assert!(raw(&mut client, "HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert!(raw(&mut client, "HELLO 3 AUTH default secret SETNAME me").starts_with("%7"));
    check(&mut client, &[("CLIENT GETNAME", "$2 me"), ("QUIT", "+OK")]);
    client.expect_closed();
}

#[test]
fn a_connection_has_a_database_a_name_and_a_protocol() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("PING", "+PONG"),
                ("ECHO x", "$1 x"),
                ("SELECT 3", "+OK"),
                ("SET k v", "+OK"),
                ("SELECT 16", "-ERR DB index is out of range"),
                ("GET k", "$1 v"),
                ("SELECT 0", "+OK"),
                ("GET k", "$-1"),
                ("CLIENT SETNAME a", "+OK"),
                ("CLIENT SETINFO LIB-NAME lib", "+OK"),
                ("CLIENT SETINFO LIB-VER 1.2", "+OK"),
                ("CLIENT NO-EVICT ON", "+OK"),
                ("CLIENT NO-TOUCH ON", "+OK"),
                ("CLIENT GETREDIR", ":-1"),
                ("CLIENT TRACKING OFF", "+OK"),
                (
                    "CLIENT TRACKINGINFO",
                    "*6 $5 flags *1 $3 off $8 redirect :-1 $8 prefixes *0",
                ),
                (
                    "CLIENT CACHING YES",
                    "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT \
                     mode enabled",
                ),
            ],
        );
        let info = client.run("CLIENT INFO").text();
        assert!(
            info.contains(" name=a ") && info.contains(" flags=eT "),
            "{info}"
        );
        assert!(info.contains(" resp=2 lib-name=lib lib-ver=1.2"), "{info}");
        // The connection that found the server ready may still be on its way out.
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.run("CLIENT LIST").text().lines().count() > 1 {
            assert!(Instant::now() < deadline, "who else is there?");
        }
        assert!(
            raw(&mut client, "HELLO 3")
                .starts_with("%7 $6 server $5 redis $7 version $5 7.4.0 $5 proto :3")
        );
        check(
            &mut client,
            &[
                ("GET k", "_"),
                (
                    "CLIENT TRACKINGINFO",
                    "%3 $5 flags ~1 $3 off $8 redirect :-1 $8 prefixes *0",
                ),
                ("RESET", "+RESET"),
                ("GET k", "$-1"),
                ("CLIENT GETNAME", "$-1"),
            ],
        );
        assert!(raw(&mut client, "CLIENT HELP").contains("+CLIENT <subcommand>"));
    });
}

#[test]
fn others_are_killed_wherever_they_are() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let (mut blocked, mut listener, mut idle) =
            (server.connect(), server.connect(), server.connect());
        let (blocked_id, idle_id) = (blocked.id(), idle.id());
        blocked.send_line("BLPOP nothing 0");
        listener.run("SUBSCRIBE c");
        wait_for_flags(&mut control, blocked_id, "b");
        let idle_address = idle.local_address();
        check(
            &mut control,
            &[
                ("CLIENT KILL TYPE pubsub", ":1"),
                (&format!("CLIENT KILL ID {blocked_id}"), ":1"),
                (&format!("CLIENT KILL {idle_address}"), "+OK"),
                (
                    &format!("CLIENT KILL {idle_address}"),
                    "-ERR No such client",
                ),
                (&format!("CLIENT LIST ID {idle_id}"), "$0"),
                (
                    "CLIENT LIST TYPE EXTENDED",
                    "-ERR Unknown client type 'EXTENDED'",
                ),
                ("CLIENT LIST ID EXTENDED", "-ERR Invalid client ID"),
            ],
        );
        for client in [&mut blocked, &mut listener, &mut idle] {
            client.expect_closed();
        }
        let own = control.id();
        assert_eq!(
            raw(&mut control, &format!("CLIENT KILL ID {own} SKIPME no")),
            ":1"
        );
        control.expect_closed();
    });
}

#[test]
fn nothing_is_left_of_a_killed_client_once_the_kill_is_answered() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        // The connection by which the server was found ready may not have ended yet.
        let deadline = Instant::now() + Duration::from_secs(20);
        while control.run("CLIENT LIST").text().lines().count() > 1 {
            assert!(Instant::now() < deadline, "a connection does not end");
        }
        for round in 0..200 {
            let (mut blocked, mut listener) = (server.connect(), server.connect());
            listener.run("SUBSCRIBE c");
            let blocked_id = blocked.id();
            blocked.send_line("BLPOP queue 0");
            wait_for_flags(&mut control, blocked_id, "b");
            let kill = if round % 2 == 0 {
                ["CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE normal"]
            } else {
                ["CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"]
            };
            check(&mut control, &[(kill[0], ":1"), (kill[1], ":1")]);
            check(
                &mut control,
                &[
                    ("PUBLISH c m", ":0"),
                    ("RPUSH queue x", ":1"),
                    ("LPOP queue", "$1 x"),
                ],
            );
        }
    });
}

#[test]
fn the_connection_of_a_killed_client_has_ended_once_the_kill_is_answered() {
    for_each_shard_count(|server| {
        let (mut control, mut rival) = (server.connect(), server.connect());
        for round in 0..200 {
            let mut killed = server.connect();
            let id = killed.id();
            let address = killed.stream().local_addr().unwrap();
            let (line, told) = match round % 3 {
                0 => (format!("CLIENT KILL ID {id}"), ":1"),
                1 => (format!("CLIENT KILL {address}"), "+OK"),
                _ => {
                    control.run("ACL SETUSER u on nopass +@all");
                    killed.run("AUTH u x");
                    ("ACL DELUSER u".to_owned(), ":1")
                }
            };
            if round % 2 == 0 {
                // Its thread may see by itself that it is killed.
                killed.send_raw("PING\r\n".repeat(20).as_bytes());
            }
            if round % 6 == 3 {
                // Also for who comes second, and finds a client that is killed or gone.
                rival.send_raw(format!("{line}\r\n").as_bytes());
                let second = control.run(&line).to_string();
                assert!([":0", ":1"].contains(&second.as_str()), "{second}");
            } else {
                assert_eq!(control.run(&line).to_string(), told);
            }
            let mut stream = killed.stream();
            stream.set_nonblocking(true).unwrap();
            // Behind replies to what it has sent, or all of a sudden.
            loop {
                match stream.read(&mut [0; 64]) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{line}");
                        break;
                    }
                }
            }
            if round % 6 == 3 {
                rival.reply();
            }
        }
    });
}

#[test]
fn exec_answers_when_several_of_its_commands_wait_for_all_shards() {
    for_each_shard_count(|server| {
        let (mut control, mut listener) = (server.connect(), server.connect());
        listener.run("SUBSCRIBE c");
        control.run("MULTI");
        control.run("CONFIG SET hz 20");
        control.run("CLIENT KILL TYPE pubsub");
        control.run("CONFIG SET hz 10");
        control.run("PING");
        check(&mut control, &[("EXEC", "*4 +OK :1 +OK +PONG")]);
    });
}

#[test]
fn a_wait_is_ended_by_another_connection() {
    for_each_shard_count(|server| {
        let (mut control, mut blocked) = (server.connect(), server.connect());
        let id = blocked.id();
        assert_eq!(raw(&mut control, &format!("CLIENT UNBLOCK {id}")), ":0");
        let error = "-UNBLOCKED client unblocked via CLIENT UNBLOCK";
        for (line, nothing) in [
            ("BLPOP a b c 0", "*-1"),
            ("WAIT 1 0", ":0"),
            ("WAIT 1 60000", ":0"),
            ("WAITAOF 0 1 0", "*2 :0 :0"),
        ] {
            for (how, reply) in [("", nothing), (" TIMEOUT", nothing), (" ERROR", error)] {
                blocked.send_line(line);
                wait_for_flags(&mut control, id, "b");
                let unblock = format!("CLIENT UNBLOCK {id}{how}");
                assert_eq!(raw(&mut control, &unblock), ":1", "{line}");
                assert_eq!(raw(&mut control, &unblock), ":0", "{line}");
                assert_eq!(spaced(&blocked.raw_reply()), reply, "{line}");
            }
        }
        let stats = control.run("INFO commandstats").text();
        let blpop = info_field(&stats, "cmdstat_blpop").unwrap();
        assert!(blpop.starts_with("calls=3,"), "{blpop}");
        assert!(blpop.ends_with("failed_calls=1"), "{blpop}");
        assert_eq!(raw(&mut control, "RPUSH a 1"), ":1");
    });
}

#[test]
fn a_pause_holds_commands_until_it_is_over() {
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect());
        check(&mut control, &[("CLIENT PAUSE 60000 WRITE", "+OK")]);
        check(&mut client, &[("PING", "+PONG"), ("LLEN a", ":0")]);
        let id = client.id();
        client.send_line("RPUSH a 1");
        client.expect_quiet(&mut control);
        wait_for_flags(&mut control, id, "b");
        assert_eq!(raw(&mut control, &format!("CLIENT UNBLOCK {id}")), ":0");
        check(&mut control, &[("CLIENT UNPAUSE", "+OK")]);
        assert_eq!(spaced(&client.raw_reply()), ":1");
        let started = Instant::now();
        check(&mut control, &[("CLIENT PAUSE 150", "+OK")]);
        check(&mut client, &[("PING", "+PONG")]);
        assert!(started.elapsed() >= Duration::from_millis(100));
    });
}

#[test]
fn a_pause_of_writes_holds_a_script_unless_it_says_that_it_writes_nothing() {
    const READS: &str = "#!lua flags=no-writes\nreturn 1";
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect());
        let library = "#!lua name=f\nredis.register_function{function_name='reads', \
            callback=function() return 1 end, flags={'no-writes'}}\n\
            redis.register_function('may_write', function() return 1 end)";
        client.call(&["FUNCTION", "LOAD", "REPLACE", library]);
        let reads = client.call(&["SCRIPT", "LOAD", READS]).text();
        let plain = client.call(&["SCRIPT", "LOAD", "return 1"]).text();
        check(&mut control, &[("CLIENT PAUSE 60000 WRITE", "+OK")]);
        for words in [
            &["EVAL", READS, "0"][..],
            &["EVAL_RO", "return 1", "0"],
            &["EVALSHA", &reads, "0"],
            &["FCALL", "reads", "0"],
            &["FCALL_RO", "reads", "0"],
        ] {
            assert_eq!(client.call(words).to_string(), ":1", "{words:?}");
        }
        client.run("MULTI");
        client.call(&["EVAL", READS, "0"]);
        assert_eq!(client.run("EXEC").to_string(), "[:1]");
        for words in [
            &["EVAL", "return 1", "0"][..],
            &["EVAL", "#!lua\nreturn 1", "0"],
            &["EVALSHA", &plain, "0"],
            &["FCALL", "may_write", "0"],
        ] {
            client.send(words);
            client.expect_quiet(&mut control);
            check(&mut control, &[("CLIENT UNPAUSE", "+OK")]);
            assert_eq!(client.reply().to_string(), ":1", "{words:?}");
            check(&mut control, &[("CLIENT PAUSE 60000 WRITE", "+OK")]);
        }
        check(&mut control, &[("CLIENT UNPAUSE", "+OK")]);
    });
}

#[test]
fn a_pause_keeps_expired_keys_and_shows_them_to_nobody() {
    for_each_shard_count(|server| {
        let (mut control, mut listener) = (server.connect(), server.connect());
        check(
            &mut control,
            &[
                ("CONFIG SET notify-keyspace-events Ex", "+OK"),
                ("CONFIG RESETSTAT", "+OK"),
                ("SET stays 1", "+OK"),
                ("SET ends 1 PX 40", "+OK"),
            ],
        );
        listener.run("SUBSCRIBE __keyevent@0__:expired");
        let (mut early, mut late) = (server.connect(), server.connect());
        check(&mut early, &[("WATCH ends", "+OK"), ("EXISTS ends", ":1")]);
        check(&mut control, &[("CLIENT PAUSE 60000 WRITE", "+OK")]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while raw(&mut control, "GET ends") != "$-1" {
            assert!(Instant::now() < deadline, "it does not end");
        }
        check(
            &mut control,
            &[
                ("DBSIZE", ":2"),
                ("EXISTS ends", ":0"),
                ("TYPE ends", "+none"),
                ("PTTL ends", ":-2"),
                ("OBJECT ENCODING ends", "$-1"),
                ("MGET ends stays", "*2 $-1 $1 1"),
                ("KEYS *", "*1 $5 stays"),
                ("SCAN 0 COUNT 1000", "*2 $1 0 *1 $5 stays"),
                ("RANDOMKEY", "$5 stays"),
                ("DBSIZE", ":2"),
            ],
        );
        check(&mut late, &[("WATCH ends", "+OK"), ("MULTI", "+OK")]);
        check(&mut late, &[("GET ends", "+QUEUED"), ("EXEC", "*1 $-1")]);
        check(&mut late, &[("WATCH ends", "+OK"), ("MULTI", "+OK")]);
        check(&mut early, &[("MULTI", "+OK"), ("GET ends", "+QUEUED")]);
        check(&mut early, &[("EXEC", "*-1")]);
        listener.expect_quiet(&mut control);
        assert!(control.run("INFO stats").text().contains("expired_keys:0"));
        check(
            &mut control,
            &[
                ("CLIENT UNPAUSE", "+OK"),
                ("EXISTS ends", ":0"),
                ("DBSIZE", ":1"),
            ],
        );
        assert_eq!(
            spaced(&listener.raw_reply()),
            "*3 $7 message $22 __keyevent@0__:expired $4 ends"
        );
        // It had ended before it was watched.
        check(&mut late, &[("GET ends", "+QUEUED"), ("EXEC", "*1 $-1")]);
    });
}

#[test]
fn when_a_pause_keeps_only_expired_keys_a_random_key_is_one_of_them() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        for key in ["a", "b", "c"] {
            control.run(&format!("SET {key} 1 PX 60"));
        }
        check(&mut control, &[("CLIENT PAUSE 60000 WRITE", "+OK")]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while raw(&mut control, "EXISTS a b c") != ":0" {
            assert!(Instant::now() < deadline, "they do not end");
        }
        let named = control.run("RANDOMKEY");
        let none_left = raw(&mut control, "DBSIZE") == ":0";
        assert_eq!(named.is_null(), none_left, "{named}");
    });
}

#[test]
fn replies_are_left_out_on_request() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let lines = [
            "CLIENT REPLY SKIP",
            "SET a 1",
            "SET b 2",
            "CLIENT REPLY OFF",
            "SET c 3",
            "CLIENT REPLY ON",
        ];
        for line in lines {
            client.send_line(line);
        }
        assert_eq!(spaced(&client.raw_reply()), "+OK");
        assert_eq!(spaced(&client.raw_reply()), "+OK");
        check(&mut client, &[("MGET a b c", "*3 $1 1 $1 2 $1 3")]);
    });
}

#[test]
fn an_exec_that_may_not_run_ends_its_transaction() {
    let server = Server::millrace_with(2, &["--requirepass", "secret"]);
    let mut client = server.connect();
    let arity =
        "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
    check(
        &mut client,
        &[
            (
                "EXEC",
                "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.",
            ),
            ("AUTH secret", "+OK"),
            ("EXEC x", arity),
            ("MULTI", "+OK"),
            ("SET a 1", "+QUEUED"),
            ("EXEC x", arity),
            ("EXEC", "-ERR EXEC without MULTI"),
            ("EXISTS a", ":0"),
        ],
    );
}
