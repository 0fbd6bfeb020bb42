//! EXEC through a socket: what it needs besides the keys of its commands, and what others see of it. What its commands do is
//! in the files of their families.

use std::time::{Duration, Instant};

use crate::connection::{check, spaced, wait_for_flags};
use crate::support::client::read_to_close;
use crate::support::{Client, Frame, for_each_shard_count};

/// Keys of every shard.
const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/// Sends commands in one piece and reads until the server has closed the connection.
fn last_words(client: &mut Client, lines: &[&str]) -> String {
    let mut bytes = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        crate::support::client::encode(&words, &mut bytes);
    }
    client.send_raw(&bytes);
    spaced(&read_to_close(client.stream().try_clone().unwrap()))
}

#[test]
fn a_client_that_kills_itself_is_told_nothing_more() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let mut client = server.connect();
        let kill = format!("CLIENT KILL ID {} SKIPME no", client.id());
        // The rest of its EXEC runs, what is behind it does not.
        let lines = [
            "MULTI", "SET a 1", &kill, "SET b 2", "GET b", "EXEC", "SET c 3",
        ];
        assert_eq!(
            last_words(&mut client, &lines),
            "+OK +QUEUED +QUEUED +QUEUED +QUEUED *4 +OK :1"
        );
        check(&mut control, &[("MGET a b c", "*3 $1 1 $1 2 $-1")]);
        let mut client = server.connect();
        let kill = format!("CLIENT KILL ID {} SKIPME no", client.id());
        assert_eq!(
            last_words(&mut client, &["PING", &kill, "SET c 3"]),
            "+PONG :1"
        );
        check(&mut control, &[("EXISTS c", ":0")]);
    });
}

/// Sets a key that ends soon, and watches it while it is there.
fn watch_what_ends(client: &mut Client, key: &str) {
    for ttl_ms in [50, 500, 5000] {
        client.run(&format!("SET {key} v PX {ttl_ms}"));
        client.run(&format!("WATCH {key}"));
        if client.run(&format!("EXISTS {key}")).integer() == 1 {
            return;
        }
        client.run("UNWATCH");
    }
    panic!("it ends before it can be watched");
}

#[test]
fn a_transaction_looks_at_watched_keys_wherever_they_are() {
    for_each_shard_count(|server| {
        let (mut control, mut client) = (server.connect(), server.connect());
        control.run("DEBUG SET-ACTIVE-EXPIRE 0");
        for watched in KEYS {
            let get = ["MULTI", "GET k0", "EXEC"];
            client.run(&format!("WATCH {watched}"));
            control.run(&format!("SET {watched} other"));
            assert!(client.pipeline(&get)[2].is_null(), "{watched} has changed");
            // Nobody removes it: EXEC has to look.
            watch_what_ends(&mut client, watched);
            let later = format!("{{{watched}}}later");
            let left = client.run(&format!("PTTL {watched}")).integer().max(1);
            control.run(&format!("SET {later} v PX {left}"));
            let deadline = Instant::now() + Duration::from_secs(30);
            while control.run(&format!("EXISTS {later}")).integer() > 0 {
                assert!(Instant::now() < deadline, "it does not end");
            }
            assert!(client.pipeline(&get)[2].is_null(), "{watched} has ended");
            // It had ended before it was watched.
            client.run(&format!("WATCH {watched}"));
            assert_eq!(client.pipeline(&get)[2].items().len(), 1, "{watched}");
        }
    });
}

#[test]
fn a_transaction_serves_who_waits_when_all_of_it_has_run_and_runs_once() {
    for_each_shard_count(|server| {
        let (mut control, mut waiting) = (server.connect(), server.connect());
        let id = waiting.id();
        for destination in KEYS {
            for counter in KEYS {
                control.run("FLUSHALL");
                waiting.send_line(&format!(
                    "BLMOVE {{k0}}src {{{destination}}}dst LEFT RIGHT 0"
                ));
                wait_for_flags(&mut control, id, "b");
                let replies = control.pipeline(&[
                    "MULTI".to_owned(),
                    format!("INCR {counter}"),
                    "LPUSH {k0}src v".to_owned(),
                    "LLEN {k0}src".to_owned(),
                    "EXEC".to_owned(),
                    format!("LLEN {{{destination}}}dst"),
                ]);
                let replies = [&replies[4], &replies[5]].map(ToString::to_string);
                assert_eq!(replies, ["[:1, :1, :1]", ":1"], "{counter} {destination}");
                assert_eq!(waiting.reply().text(), "v");
            }
        }
    });
}

#[test]
fn what_ends_while_a_transaction_runs_is_not_served_at_its_end() {
    for_each_shard_count(|server| {
        let (mut control, mut waiting) = (server.connect(), server.connect());
        let id = waiting.id();
        waiting.send_line("BLPOP q 0");
        wait_for_flags(&mut control, id, "b");
        // It is there for all commands of the transaction, and gone when waiters are served.
        let lines = [
            "MULTI",
            "RPUSH q old",
            "PEXPIRE q 20",
            "DEBUG SLEEP 0.05",
            "LLEN q",
            "EXEC",
        ];
        let exec = control.pipeline(&lines)[5].to_string();
        assert_eq!(exec, "[:1, :1, +OK, :1]");
        check(&mut control, &[("EXISTS q", ":0"), ("RPUSH q new", ":1")]);
        assert_eq!(spaced(&waiting.raw_reply()), "*2 $1 q $3 new");
    });
}

/// Keys whose shards are in one half of them all, however many those are.
fn keys_of_half(half: usize) -> Vec<String> {
    let names = (0..).map(|number| format!("key{number}"));
    let is_there = |name: &String| millrace::ids::shard_of(name.as_bytes(), 2).index() == half;
    names.filter(is_there).take(4).collect()
}

#[test]
fn the_effects_of_a_transaction_are_together_in_the_log() {
    const ROUNDS: usize = 1_000;
    for_each_shard_count(|server| {
        let mut control = server.connect();
        control.run("DEBUG EFFECTS ON");
        std::thread::scope(|scope| {
            for half in 0..2 {
                // They need not wait for each other.
                let (mut client, keys) = (server.connect(), keys_of_half(half));
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let set = |key: &String| format!("SET {key} {half}:{round}");
                        let mut lines = vec!["MULTI".to_owned()];
                        lines.extend(keys.iter().map(set));
                        lines.push("EXEC".to_owned());
                        client.pipeline(&lines);
                    }
                });
            }
        });
        let effects = control.run("DEBUG EFFECTS GET");
        let value = |effect: &Frame| effect.items()[1].items()[2].text();
        let values: Vec<String> = effects.items().iter().map(value).collect();
        assert_eq!(values.len(), 2 * ROUNDS * 4);
        for transaction in values.chunks(4) {
            let is_same = |value: &String| *value == transaction[0];
            assert!(transaction.iter().all(is_same), "{transaction:?}");
        }
    });
}
