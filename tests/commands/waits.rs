//! What a client that waited receives, and in which order, through a socket. What it waits for is in the families' files.

use crate::connection::{check, raw, spaced, wait_for_flags};
use crate::support::{Client, Server, for_each_shard_count};

/// A client asks for no reply to a command that waits, and another ends that wait. The client's id in it is `ID`.
const ENDS: [(&str, &str); 6] = [
    ("BLPOP q 0", "RPUSH q x"),
    ("XREAD BLOCK 0 STREAMS s $", "XADD s * f v"),
    ("BLPOP q 0", "CLIENT UNBLOCK ID"),
    ("BLPOP q 0", "CLIENT UNBLOCK ID ERROR"),
    ("WAIT 1 0", "CLIENT UNBLOCK ID"),
    ("BLMOVE q r LEFT RIGHT 0", "RPUSH q x"),
];

#[test]
fn the_reply_of_a_wait_is_left_out_on_request() {
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect());
        let id = client.id();
        for (line, end) in ENDS {
            let end = end.replace("ID", &id.to_string());
            for mode in ["SKIP", "OFF"] {
                client.send_line(&format!("CLIENT REPLY {mode}"));
                client.send_line(line);
                wait_for_flags(&mut control, id, "b");
                assert!(!control.run(&end).is_error(), "{end}");
                if mode == "OFF" {
                    client.send_line("ECHO off");
                    client.send_line("CLIENT REPLY ON");
                    assert_eq!(spaced(&client.raw_reply()), "+OK", "{line} {end}");
                }
                assert_eq!(raw(&mut client, "ECHO on"), "$2 on", "{mode} {line} {end}");
            }
        }
        // One that times out, one that is held up, one that waits for all shards.
        control.run("CLIENT PAUSE 60000 WRITE");
        client.send_line("CLIENT REPLY SKIP");
        client.send_line("SET k v");
        wait_for_flags(&mut control, id, "b");
        control.run("CLIENT UNPAUSE");
        assert_eq!(raw(&mut client, "GET k"), "$1 v");
        for line in ["BLPOP none 0.01", "WAIT 1 10", "CONFIG SET hz 10"] {
            client.send_line("CLIENT REPLY SKIP");
            client.send_line(line);
            assert_eq!(raw(&mut client, "ECHO on"), "$2 on", "{line}");
        }
    });
}

/// A client that tracks, has read the length of `dst`, and waits to move an element there.
fn mover(server: &Server, control: &mut Client, options: &str) -> Client {
    let mut client = server.connect_resp3();
    let id = client.id();
    client.run(format!("CLIENT TRACKING ON {options}").trim());
    client.run("LLEN dst");
    client.send_line("BLMOVE src dst LEFT RIGHT 0");
    let flags = if options.contains("BCAST") {
        "btB"
    } else {
        "bt"
    };
    wait_for_flags(control, id, flags);
    client
}

#[test]
fn what_a_served_client_changes_is_its_own_doing() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let told = ">2 $10 invalidate *1 $3 dst";
        for options in ["", "NOLOOP", "BCAST PREFIX dst", "BCAST PREFIX dst NOLOOP"] {
            let mut client = mover(server, &mut control, options);
            let mut reader = server.connect_resp3();
            reader.run("CLIENT TRACKING ON NOLOOP");
            reader.run("LLEN dst");
            control.run("RPUSH src v");
            // Its reply first, then what it caused; others are told anyway.
            assert_eq!(spaced(&client.raw_reply()), "$1 v", "{options}");
            if !options.contains("NOLOOP") {
                assert_eq!(spaced(&client.raw_reply()), told, "{options}");
            }
            client.expect_quiet(&mut control);
            assert_eq!(spaced(&reader.raw_reply()), told, "{options}");
            control.run("DEL dst");
        }
    });
}

#[test]
fn who_listens_and_waits_receives_everything_in_its_order() {
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect_resp3());
        let id = client.id();
        control.run("CONFIG SET notify-keyspace-events El");
        client.send_line("SUBSCRIBE news __keyevent@0__:lpop __keyevent@0__:rpush");
        (0..3).for_each(|_| drop(client.raw_reply()));
        for key in ["a", "b", "c", "d"] {
            client.send_line(&format!("BLPOP {key} 0"));
            wait_for_flags(&mut control, id, "Pb");
            let push = format!("RPUSH {key} x");
            control.pipeline(&["PUBLISH news before", &push, "PUBLISH news after"]);
            let event = |name: &str| format!(">3 $7 message $20 __keyevent@0__:{name} $1 {key}");
            for expected in [
                ">3 $7 message $4 news $6 before".to_owned(),
                event("rpush"),
                format!("*2 $1 {key} $1 x"),
                event("lpop").replace("$20", "$19"),
                ">3 $7 message $4 news $5 after".to_owned(),
            ] {
                assert_eq!(spaced(&client.raw_reply()), expected, "{key}");
            }
        }
        check(&mut client, &[("PING", "+PONG")]);
    });
}

#[test]
fn the_error_of_an_unblocked_wait_is_left_out_on_request() {
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect());
        let id = client.id();
        client.send_line("CLIENT REPLY SKIP");
        client.send_line("WAIT 1 0");
        wait_for_flags(&mut control, id, "b");
        assert_eq!(
            raw(&mut control, &format!("CLIENT UNBLOCK {id} ERROR")),
            ":1"
        );
        assert_eq!(raw(&mut client, "ECHO on"), "$2 on");
    });
}

#[test]
fn who_is_served_by_a_long_transaction_is_served_when_it_is_over() {
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect());
        control.run("XGROUP CREATE s g 0 MKSTREAM");
        let id = client.id();
        for rounds in 1.. {
            client.send_line("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
            wait_for_flags(&mut control, id, "b");
            let lines = [
                "MULTI",
                "DEBUG SLEEP 0.3",
                "XADD s * f v",
                "EXEC",
                "XPENDING s g - + 10",
            ];
            let replies = control.pipeline(&lines);
            client.raw_reply();
            let idle = replies[4].items().last().unwrap().items()[2].integer();
            // On a machine with much to do it may be long; not each time.
            if idle < 300 {
                break;
            }
            assert!(rounds < 20, "idle for {idle} ms");
        }
    });
}
