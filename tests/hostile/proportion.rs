//! Requests with very many names: what they cost grows with the names, not with the pairs of them.

use std::time::{Duration, Instant};

use super::MB;
use super::support::server::info_field;
use super::support::{Client, Server, for_each_shard_count};

/// How many names a request has here: enough that work for each pair of them takes seconds.
const NAMES: usize = 60_000;

/// A command with so many names that begin with `prefix`, and what is to stand before and behind each list.
fn with_names(before: &[&str], prefix: &str, after: &[&str]) -> Vec<String> {
    let names = (0..NAMES).map(|name| format!("{prefix}{name}"));
    let words = before.iter().map(|word| (*word).to_owned());
    let after = after.iter().map(|word| (*word).to_owned());
    words.chain(names).chain(after).collect()
}

/// Waits until INFO shows a value.
fn until(server: &Server, section: &str, field: &str, value: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut control = server.connect();
    loop {
        let info = control.run(&format!("INFO {section}")).text();
        let seen = info_field(&info, field).unwrap();
        if seen == value {
            return;
        }
        assert!(Instant::now() < deadline, "{field} stays at {seen}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets a client block and waits until the server knows.
fn block(server: &Server, request: &[String]) -> Client {
    let mut client = server.connect();
    client.send(request);
    until(server, "clients", "blocked_clients", "1");
    client
}

/// How much processor time a request of `NAMES` names may take that needs it in proportion to them. Other load on the machine
/// does not count.
struct Pace(Duration);

impl Pace {
    /// Some times as long as a plain MSET of so many keys, to a server that does nothing else.
    fn of(server: &Server) -> Self {
        let pairs: Vec<String> = with_names(&["MSET"], "plain:", &[])
            .into_iter()
            .flat_map(|word| match word.as_str() {
                "MSET" => vec![word],
                _ => vec![word, "1".to_owned()],
            })
            .collect();
        let before = server.cpu_time();
        assert_eq!(server.connect().call(&pairs).to_string(), "+OK");
        Self((server.cpu_time() - before) * 20 + Duration::from_millis(500))
    }

    /// Runs something, after which another client must have been served in time.
    fn check<R>(&self, server: &Server, what: &str, run: impl FnOnce() -> R) -> R {
        let mut client = server.connect();
        let before = server.cpu_time();
        let done = run();
        client.run("PING");
        let (elapsed, limit) = (server.cpu_time() - before, self.0);
        let name = &server.name;
        assert!(
            elapsed < limit,
            "{what}: {elapsed:?} of {limit:?} at {name}"
        );
        done
    }
}

#[test]
fn subscriptions_to_very_many_patterns_begin_and_end_in_proportion_to_them() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let mut client = server.connect();
        for verb in ["PSUBSCRIBE", "PUNSUBSCRIBE", "PSUBSCRIBE"] {
            let request = with_names(&[verb], "name*", &[]);
            pace.check(server, verb, || {
                client.send(&request);
                for _ in 0..NAMES {
                    client.raw_reply();
                }
            });
        }
        pace.check(server, "the end of the connection", || drop(client));
    });
}

#[test]
fn very_many_keys_written_while_somebody_waits_for_another_take_time_in_proportion_to_them() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        for waiting in ["BLPOP other 0", "BLMOVE other elsewhere LEFT LEFT 0"] {
            let words: Vec<String> = waiting.split(' ').map(str::to_owned).collect();
            let waiter = block(server, &words);
            let request = with_names(&["UNLINK"], "name:", &[]);
            pace.check(server, waiting, || server.connect().call(&request));
            drop(waiter);
            until(server, "clients", "blocked_clients", "0");
        }
    });
}

#[test]
fn a_wait_for_very_many_keys_begins_in_proportion_to_them_and_is_served_by_the_last() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let request = with_names(&["BLPOP"], "name:", &["0"]);
        let mut waiter = pace.check(server, "BLPOP", || block(server, &request));
        let last = format!("name:{}", NAMES - 1);
        let reply = server.connect().call(&["RPUSH", &last, "element"]);
        assert_eq!(reply.to_string(), ":1");
        assert_eq!(waiter.reply().items()[0].text(), last);
    });
}

#[test]
fn very_many_commands_are_queued_in_proportion_to_them() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let mut client = server.connect();
        client.run("MULTI");
        let commands = vec!["INCR counter"; NAMES];
        pace.check(server, "MULTI", || client.pipeline(&commands));
        let replies = client.run("EXEC");
        assert_eq!(replies.items().len(), NAMES);
    });
}

#[test]
fn very_many_keys_that_end_in_the_same_millisecond_are_all_removed() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let at = client.run("TIME").items()[0].text().parse::<u64>().unwrap() + 2;
        let commands: Vec<String> = (0..10_000)
            .map(|key| format!("SET name:{key} 1 EXAT {at}"))
            .collect();
        client.pipeline(&commands);
        let deadline = Instant::now() + Duration::from_secs(60);
        // It counts what is there, also what has expired and is not removed.
        while client.run("DBSIZE").integer() > 0 {
            assert!(Instant::now() < deadline, "not all are removed");
        }
    });
}

#[test]
fn a_key_watched_very_often_is_watched_once_and_who_watches_no_more_leaves_nothing_behind() {
    for_each_shard_count(|server| {
        let pace = Pace::of(server);
        let mut client = server.connect();
        let request: Vec<&str> = std::iter::once("WATCH")
            .chain(std::iter::repeat_n("name", NAMES))
            .collect();
        pace.check(server, "WATCH", || client.call(&request));
        client.run("SELECT 1");
        client.run("WATCH name other name");
        until(server, "clients", "total_watched_keys", "3");
        until(server, "clients", "watching_clients", "1");
        client.run("UNWATCH");
        until(server, "clients", "watching_clients", "0");
        let mut rounds = |from: usize| {
            for round in from..from + 50 {
                let watches: Vec<String> = (0..1000)
                    .flat_map(|key| [format!("WATCH name:{round}:{key}"), "UNWATCH".to_owned()])
                    .collect();
                client.pipeline(&watches);
            }
        };
        rounds(0);
        let before = server.resident_bytes();
        rounds(50);
        rounds(100);
        let grown = server.growth_below(before, 4 * MB);
        assert!(grown < 4 * MB, "{grown} bytes more");
    });
}
