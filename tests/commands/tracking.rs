//! Client-side caching through a socket: who is told of which key, when, and how.

use crate::connection::{check, raw, spaced};
use crate::support::server::info_field;
use crate::support::{Client, Server, for_each_shard_count};

/// What a reader of RESP3 gets when these keys have changed.
fn told(keys: &[&str]) -> String {
    let mut text = format!(">2 $10 invalidate *{}", keys.len());
    for key in keys {
        text.push_str(&format!(" ${} {key}", key.len()));
    }
    text
}

/// The same for a subscriber of RESP2.
fn told_by_message(key: &str) -> String {
    format!(
        "*3 $7 message $20 __redis__:invalidate *1 ${} {key}",
        key.len()
    )
}

#[track_caller]
fn expect_next(client: &mut Client, expected: &str) {
    assert_eq!(spaced(&client.raw_reply()), expected);
}

/// A connection of RESP3 that tracks.
fn tracking(server: &Server, options: &str) -> Client {
    let mut client = server.connect_resp3();
    assert_eq!(
        raw(&mut client, format!("CLIENT TRACKING ON {options}").trim()),
        "+OK"
    );
    client
}

fn flags_of(control: &mut Client, id: i64) -> String {
    let text = control.run(&format!("CLIENT LIST ID {id}")).text();
    let found = text
        .split(' ')
        .find_map(|field| field.strip_prefix("flags="));
    found.unwrap_or_default().to_owned()
}

#[test]
fn a_reader_is_told_once_of_each_key_that_changes() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut reader = tracking(server, "");
        check(
            &mut writer,
            &[("MSET a 1 b 2 c 3", "+OK"), ("RPUSH l x", ":1")],
        );
        check(
            &mut reader,
            &[
                ("GET a", "$1 1"),
                ("MGET b c none", "*3 $1 2 $1 3 _"),
                ("LLEN l", ":1"),
                // A failed read counts too.
                (
                    "GET l",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value",
                ),
                ("SET own 1", "+OK"),
            ],
        );
        for (line, key) in [
            ("SET a 2", "a"),
            ("INCR b", "b"),
            ("DEL c", "c"),
            ("LPOP l", "l"),
            ("SET none 1", "none"),
        ] {
            writer.run(line);
            expect_next(&mut reader, &told(&[key]));
        }
        // Nobody has read them since; what is only written is not noted.
        check(
            &mut writer,
            &[("MSET a 1 b 2 c 3 own 3", "+OK"), ("RPUSH l y", ":1")],
        );
        reader.expect_quiet(&mut writer);
        // Redis: a key is tracked whatever its database.
        raw(&mut reader, "GET a");
        check(&mut writer, &[("SELECT 3", "+OK"), ("SET a 2", "+OK")]);
        expect_next(&mut reader, &told(&["a"]));
    });
}

#[test]
fn what_a_client_changes_itself_it_hears_behind_the_reply() {
    for_each_shard_count(|server| {
        let mut client = tracking(server, "");
        for key in ["a", "b", "c", "d"] {
            let reply = [format!("GET {key}"), format!("SET {key} 1"), "PING".into()];
            client.pipeline(&reply[..1]);
            client.send_line(&reply[1]);
            client.send_line(&reply[2]);
            expect_next(&mut client, "+OK");
            expect_next(&mut client, &told(&[key]));
            expect_next(&mut client, "+PONG");
        }
        let mut quiet = tracking(server, "NOLOOP");
        check(
            &mut quiet,
            &[
                ("MGET a b c d", "*4 $1 1 $1 1 $1 1 $1 1"),
                ("SET a 2", "+OK"),
                ("DEL b c", ":2"),
                ("PING", "+PONG"),
                (
                    "CLIENT TRACKINGINFO",
                    "%3 $5 flags ~2 $2 on $6 noloop $8 redirect :0 $8 prefixes *0",
                ),
            ],
        );
        client.run("SET d 2");
        expect_next(&mut quiet, &told(&["d"]));
    });
}

#[test]
fn a_transaction_is_answered_before_its_reader_is_told() {
    for_each_shard_count(|server| {
        let mut client = tracking(server, "");
        let mut other = tracking(server, "");
        raw(&mut other, "MGET a b");
        let replies =
            client.pipeline(&["MULTI", "MGET a b", "SET a 1", "SET b 2", "GET c", "EXEC"]);
        assert_eq!(replies[5].to_string(), "[[null, null], +OK, +OK, null]");
        for client in [&mut client, &mut other] {
            expect_next(client, &told(&["a"]));
            expect_next(client, &told(&["b"]));
        }
        // What EXEC read counts.
        other.run("SET c 1");
        expect_next(&mut client, &told(&["c"]));
        // FLUSHDB between its replies.
        raw(&mut client, "GET a");
        client.pipeline(&["MULTI", "GET b", "FLUSHDB", "GET c", "EXEC"]);
        expect_next(&mut client, ">2 $10 invalidate _");
        expect_next(&mut other, ">2 $10 invalidate _");
        check(&mut client, &[("SET b 1", "+OK"), ("PING", "+PONG")]);
    });
}

#[test]
fn another_connection_is_told_by_redirection() {
    for_each_shard_count(|server| {
        let (mut writer, mut listener) = (server.connect(), server.connect());
        let id = listener.id();
        check(
            &mut listener,
            &[(
                "SUBSCRIBE __redis__:invalidate",
                "*3 $9 subscribe $20 __redis__:invalidate :1",
            )],
        );
        let mut reader = server.connect();
        check(
            &mut reader,
            &[
                ("CLIENT GETREDIR", ":-1"),
                (&format!("CLIENT TRACKING ON REDIRECT {id}"), "+OK"),
                ("CLIENT GETREDIR", &format!(":{id}")),
                (
                    "CLIENT TRACKINGINFO",
                    &format!("*6 $5 flags *1 $2 on $8 redirect :{id} $8 prefixes *0"),
                ),
                ("MGET a b c", "*3 $-1 $-1 $-1"),
                ("SET a 1", "+OK"),
            ],
        );
        assert!(raw(&mut reader, "CLIENT INFO").contains(&format!(" redir={id} ")));
        let own = reader.id();
        assert_eq!(flags_of(&mut writer, own), "t");
        expect_next(&mut listener, &told_by_message("a"));
        writer.run("SET b 1");
        expect_next(&mut listener, &told_by_message("b"));
        writer.run("FLUSHALL");
        expect_next(&mut listener, "*3 $7 message $20 __redis__:invalidate $-1");
        // Two may redirect to one, and it may speak RESP3.
        check(&mut reader, &[("GET a", "$-1")]);
        let mut second = tracking(server, &format!("REDIRECT {id} NOLOOP"));
        raw(&mut second, "GET a");
        writer.run("SET a 1");
        expect_next(&mut listener, &told_by_message("a"));
        expect_next(&mut listener, &told_by_message("a"));
        // And it may speak RESP3, subscribed to nothing; what it does itself it hears behind its reply.
        let mut listener = server.connect_resp3();
        let id = listener.id();
        check(
            &mut reader,
            &[
                (&format!("CLIENT TRACKING ON REDIRECT {id}"), "+OK"),
                ("GET a", "$1 1"),
            ],
        );
        check(&mut listener, &[("SET a 2", "+OK")]);
        expect_next(&mut listener, &told(&["a"]));
    });
}

#[test]
fn a_lost_redirection_is_told() {
    for_each_shard_count(|server| {
        let (mut control, mut listener) = (server.connect(), server.connect());
        let id = listener.id();
        let mut reader = tracking(server, &format!("REDIRECT {id}"));
        let own = reader.id();
        raw(&mut reader, "GET a");
        listener.run("QUIT");
        listener.expect_closed();
        while !control
            .run(&format!("CLIENT LIST ID {id}"))
            .text()
            .is_empty()
        {}
        control.run("SET a 1");
        expect_next(&mut reader, &format!(">2 $21 tracking-redir-broken :{id}"));
        assert_eq!(flags_of(&mut control, own), "tR");
        check(
            &mut reader,
            &[
                (
                    "CLIENT TRACKINGINFO",
                    &format!(
                        "%3 $5 flags ~2 $2 on $15 broken_redirect $8 redirect :{id} $8 prefixes *0"
                    ),
                ),
                ("CLIENT TRACKING ON", "+OK"),
                ("GET a", "$1 1"),
            ],
        );
        assert_eq!(flags_of(&mut control, own), "t");
        control.run("SET a 2");
        expect_next(&mut reader, &told(&["a"]));
    });
}

#[test]
fn prefixes_are_broadcast_once_for_a_pipeline() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut all = tracking(server, "BCAST");
        let mut some = tracking(server, "BCAST PREFIX {t}: NOLOOP");
        // A pipeline may be given up in between for others, where threads share a core, and what has changed by then is told at once.
        let expect_both = |reader: &mut Client| {
            let mut missing = vec!["{t}:1", "{t}:2"];
            while !missing.is_empty() {
                let text = spaced(&reader.raw_reply());
                assert!(text.starts_with(">2 $10 invalidate *"), "{text}");
                missing.retain(|key| !text.contains(key));
            }
        };
        writer.pipeline(&["SET {t}:1 x", "SET {t}:2 y"]);
        expect_both(&mut all);
        expect_both(&mut some);
        // Not of its own changes.
        some.pipeline(&["SET {t}:1 mine", "SET {t}:2 mine"]);
        expect_both(&mut all);
        some.expect_quiet(&mut writer);
    });
}

#[test]
fn prefixes_are_broadcast_once_for_a_transaction() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut all = tracking(server, "BCAST");
        let mut some = tracking(server, "BCAST PREFIX user: PREFIX order: NOLOOP");
        let id = some.id();
        assert_eq!(flags_of(&mut writer, id), "tB");
        writer.pipeline(&[
            "MULTI",
            "SET user:2 x",
            "SET user:1 x",
            "SET order:1 x",
            "SET z x",
            "SET user:2 y",
            "EXEC",
        ]);
        expect_next(&mut all, &told(&["order:1", "user:1", "user:2", "z"]));
        expect_next(&mut some, &told(&["order:1"]));
        expect_next(&mut some, &told(&["user:1", "user:2"]));
        // With NOLOOP not of its own changes.
        check(&mut some, &[("SET user:1 mine", "+OK"), ("PING", "+PONG")]);
        expect_next(&mut all, &told(&["user:1"]));
        all.send_line("DEL user:1");
        expect_next(&mut all, ":1");
        expect_next(&mut all, &told(&["user:1"]));
        expect_next(&mut some, &told(&["user:1"]));
        check(
            &mut some,
            &[
                (
                    "CLIENT TRACKINGINFO",
                    "%3 $5 flags ~3 $2 on $5 bcast $6 noloop $8 redirect :0 $8 prefixes *2 $6 order: $5 user:",
                ),
                (
                    "CLIENT TRACKING ON BCAST PREFIX us",
                    "-ERR Prefix 'us' overlaps with an existing prefix 'user:'. Prefixes for a single client must not \
                     overlap.",
                ),
                ("CLIENT TRACKING ON BCAST PREFIX zeta", "+OK"),
            ],
        );
        let info = writer.run("INFO").text();
        assert_eq!(info_field(&info, "tracking_clients").unwrap(), "2");
        assert_eq!(info_field(&info, "tracking_total_prefixes").unwrap(), "4");
        check(&mut some, &[("CLIENT TRACKING OFF", "+OK")]);
        writer.run("SET zeta 1");
        expect_next(&mut all, &told(&["zeta"]));
        some.expect_quiet(&mut writer);
        // Keys read before are forgotten by who broadcasts.
        check(
            &mut some,
            &[
                ("CLIENT TRACKING ON", "+OK"),
                ("GET user:2", "$1 y"),
                ("CLIENT TRACKING OFF", "+OK"),
                ("CLIENT TRACKING ON BCAST PREFIX none", "+OK"),
            ],
        );
        writer.run("SET user:2 z");
        some.expect_quiet(&mut writer);
    });
}

#[test]
fn caching_chooses_the_keys_of_the_next_command() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut client = tracking(server, "OPTIN");
        check(
            &mut client,
            &[
                ("GET a", "_"),
                ("CLIENT CACHING YES", "+OK"),
                (
                    "CLIENT TRACKINGINFO",
                    "%3 $5 flags ~3 $2 on $5 optin $11 caching-yes $8 redirect :0 $8 prefixes *0",
                ),
                ("GET b", "_"),
                ("GET c", "_"),
                ("CLIENT CACHING YES", "+OK"),
                ("MULTI", "+OK"),
                ("GET d", "+QUEUED"),
                ("GET e", "+QUEUED"),
                ("EXEC", "*2 _ _"),
                ("GET f", "_"),
                (
                    "CLIENT CACHING NO",
                    "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
                ),
                ("CLIENT CACHING MAYBE", "-ERR syntax error"),
                ("CLIENT CACHING YES", "+OK"),
                (
                    "NOSUCH",
                    "-ERR unknown command 'NOSUCH', with args beginning with:",
                ),
                ("GET g", "_"),
                ("CLIENT CACHING YES", "+OK"),
                (
                    "CLIENT NOSUCH",
                    "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.",
                ),
                ("GET g", "_"),
            ],
        );
        // In one go: a batch must not take the exception to the command behind.
        client.pipeline(&["CLIENT CACHING YES", "GET h", "GET i", "GET j"]);
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            writer.run(&format!("SET {key} 1"));
        }
        for key in ["b", "d", "e", "h"] {
            expect_next(&mut client, &told(&[key]));
        }
        client.expect_quiet(&mut writer);
        let mut client = tracking(server, "OPTOUT");
        check(
            &mut client,
            &[
                ("GET a", "$1 1"),
                ("CLIENT CACHING NO", "+OK"),
                (
                    "CLIENT TRACKINGINFO",
                    "%3 $5 flags ~3 $2 on $6 optout $10 caching-no $8 redirect :0 $8 prefixes *0",
                ),
                ("GET b", "$1 1"),
                ("GET c", "$1 1"),
                (
                    "CLIENT CACHING YES",
                    "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
                ),
            ],
        );
        for key in ["a", "b", "c"] {
            writer.run(&format!("SET {key} 2"));
        }
        expect_next(&mut client, &told(&["a"]));
        expect_next(&mut client, &told(&["c"]));
        client.expect_quiet(&mut writer);
    });
}

#[test]
fn the_end_of_a_key_is_told_whoever_finds_it() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut reader = tracking(server, "");
        check(&mut writer, &[("SET a v PX 60", "+OK")]);
        raw(&mut reader, "GET a");
        expect_next(&mut reader, &told(&["a"]));
        check(
            &mut writer,
            &[
                ("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"),
                ("SET b v PX 60", "+OK"),
                ("SET c v PX 60", "+OK"),
            ],
        );
        raw(&mut reader, "MGET b c");
        while writer.run("EXISTS b").integer() > 0 {}
        expect_next(&mut reader, &told(&["b"]));
        // The reader itself finds it: behind its reply, and it has read the key again.
        writer.run("WAIT 1 100");
        check(&mut reader, &[("GET c", "_")]);
        expect_next(&mut reader, &told(&["c"]));
        writer.run("SET c v");
        expect_next(&mut reader, &told(&["c"]));
    });
}

#[test]
fn the_table_is_limited_and_shown() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let mut reader = tracking(server, "");
        let mut other = tracking(server, "");
        let counts = |control: &mut Client, keys: &str, items: &str| {
            let info = control.run("INFO stats").text();
            let shown = ["tracking_total_keys", "tracking_total_items"]
                .map(|name| info_field(&info, name).unwrap());
            assert_eq!(shown, [keys, items]);
        };
        for key in ["a", "b", "c", "d", "e"] {
            raw(&mut reader, &format!("GET {key}"));
        }
        raw(&mut other, "GET a");
        counts(&mut control, "5", "6");
        control.run("CONFIG SET tracking-table-max-keys 2");
        let mut told = 0;
        while told < 3 {
            assert!(spaced(&reader.raw_reply()).starts_with(">2 $10 invalidate *1 $1 "));
            told += 1;
        }
        control.run("CONFIG SET tracking-table-max-keys 0");
        control.run("FLUSHALL");
        counts(&mut control, "0", "0");
    });
}

#[test]
fn tracking_begins_and_ends() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let overlap = "-ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must \
                       not overlap.";
        check(
            &mut client,
            &[
                ("CLIENT TRACKING MAYBE", "-ERR syntax error"),
                ("CLIENT TRACKING ON NOSUCH", "-ERR syntax error"),
                ("CLIENT TRACKING ON REDIRECT", "-ERR syntax error"),
                ("CLIENT TRACKING ON PREFIX", "-ERR syntax error"),
                (
                    "CLIENT TRACKING ON REDIRECT x",
                    "-ERR value is not an integer or out of range",
                ),
                (
                    "CLIENT TRACKING ON REDIRECT 99999",
                    "-ERR The client ID you want redirect to does not exist",
                ),
                (
                    "CLIENT TRACKING ON PREFIX a",
                    "-ERR PREFIX option requires BCAST mode to be enabled",
                ),
                (
                    "CLIENT TRACKING ON BCAST OPTIN",
                    "-ERR OPTIN and OPTOUT are not compatible with BCAST",
                ),
                (
                    "CLIENT TRACKING ON OPTIN OPTOUT",
                    "-ERR You can't specify both OPTIN mode and OPTOUT mode",
                ),
                ("CLIENT TRACKING ON BCAST PREFIX ab PREFIX a", overlap),
                ("CLIENT TRACKING ON OPTIN", "+OK"),
                (
                    "CLIENT TRACKING ON OPTOUT",
                    "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                     re-enabling it with a different mode.",
                ),
                (
                    "CLIENT TRACKING ON BCAST",
                    "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                     re-enabling it with a different mode.",
                ),
                ("CLIENT TRACKING OFF", "+OK"),
                ("CLIENT TRACKING ON BCAST", "+OK"),
                ("CLIENT TRACKING ON BCAST", "+OK"),
                (
                    "CLIENT TRACKINGINFO",
                    "*6 $5 flags *2 $2 on $5 bcast $8 redirect :0 $8 prefixes *1 $0",
                ),
                ("RESET", "+RESET"),
                (
                    "CLIENT TRACKINGINFO",
                    "*6 $5 flags *1 $3 off $8 redirect :-1 $8 prefixes *0",
                ),
            ],
        );
        let mut control = server.connect();
        let mut gone = tracking(server, "BCAST PREFIX x");
        let id = gone.id();
        let shown = |control: &mut Client| {
            let info = control.run("INFO").text();
            ["tracking_clients", "tracking_total_prefixes"]
                .map(|name| info_field(&info, name).unwrap())
        };
        assert_eq!(shown(&mut control), ["1", "1"]);
        control.run(&format!("CLIENT KILL ID {id}"));
        gone.expect_closed();
        assert_eq!(shown(&mut control), ["0", "0"]);
        control.run("SET x 1");
    });
}

#[test]
fn a_read_that_waited_counts_when_it_is_served() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut reader = tracking(server, "NOLOOP");
        let id = reader.id();
        reader.send_line("XREAD BLOCK 0 STREAMS s 0");
        while flags_of(&mut writer, id) != "bt" {}
        writer.run("XADD s 1-1 f v");
        // Read when it began to wait, and told; then served.
        expect_next(&mut reader, &told(&["s"]));
        expect_next(&mut reader, "%1 $1 s *1 *2 $3 1-1 *2 $1 f $1 v");
        writer.run("XADD s 1-2 f v");
        expect_next(&mut reader, &told(&["s"]));
        writer.run("XADD s 1-3 f v");
        reader.expect_quiet(&mut writer);
    });
}

#[test]
fn readers_of_many_keys_miss_nothing() {
    for_each_shard_count(|server| {
        let mut writer = server.connect();
        let mut readers: Vec<Client> = (0..4).map(|_| tracking(server, "")).collect();
        let gets: Vec<String> = (0..200).map(|key| format!("GET key:{key}")).collect();
        for reader in &mut readers {
            reader.pipeline(&gets);
        }
        let sets: Vec<String> = (0..200).map(|key| format!("SET key:{key} v")).collect();
        writer.pipeline(&sets);
        for reader in &mut readers {
            for key in 0..200 {
                expect_next(reader, &told(&[&format!("key:{key}")]));
            }
        }
    });
}
