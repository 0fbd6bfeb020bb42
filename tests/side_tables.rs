//! Memory of what the server notes of its clients beside their data: subscriptions, watched keys, waits, producers. It is
//! bounded while it is there, and comes back.
//!
//! ```text
//! 10 clients × 20,000 names: SUBSCRIBE, gone; WATCH, gone; BLPOP, gone       resident memory at the peak, and after
//! ```
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use support::server::{for_each_shard_count, info_field};
use support::{Client, Server};

const CLIENTS: usize = 10;
const NAMES: usize = 20_000;
const MIB: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The command with its names, different ones for each client.
fn request(command: &str, client: usize) -> Vec<String> {
    let names = (0..NAMES).map(|n| format!("name:{client}:{n}"));
    std::iter::once(command.to_owned()).chain(names).collect()
}

fn clients(server: &Server) -> Vec<Client> {
    (0..CLIENTS).map(|_| server.connect()).collect()
}

fn info(control: &mut Client, section: &str, field: &str) -> String {
    let info = control.run(&format!("INFO {section}")).text();
    info_field(&info, field).unwrap()
}

#[test]
fn two_hundred_thousand_names_take_little_and_are_given_back() {
    let server = Server::millrace(1);
    let mut control = server.connect();
    let mut listening = clients(&server);
    for (n, client) in listening.iter_mut().enumerate() {
        client.send(&request("SUBSCRIBE", n));
        (0..NAMES).for_each(|_| drop(client.reply()));
    }
    assert_eq!(
        info(&mut control, "stats", "pubsub_channels"),
        (CLIENTS * NAMES).to_string()
    );
    let mut peak = server.resident_bytes();
    drop(listening);
    wait_until("the subscriptions end", || {
        info(&mut control, "stats", "pubsub_channels") == "0"
    });
    let mut watching = clients(&server);
    for (n, client) in watching.iter_mut().enumerate() {
        assert_eq!(client.call(&request("WATCH", n)).text(), "OK");
    }
    peak = peak.max(server.resident_bytes());
    drop(watching);
    let mut blocked = clients(&server);
    for (n, client) in blocked.iter_mut().enumerate() {
        let mut request = request("BLPOP", n);
        request.push("0".to_owned());
        client.send(&request);
    }
    wait_until("all wait", || {
        info(&mut control, "clients", "blocked_clients") == CLIENTS.to_string()
    });
    peak = peak.max(server.resident_bytes());
    drop(blocked);
    wait_until("the waits end", || {
        info(&mut control, "clients", "blocked_clients") == "0"
    });
    assert!(peak < 90 * MIB, "{peak} bytes at the peak");
    wait_until("the memory comes back", || {
        server.resident_bytes() < 60 * MIB
    });
}

#[test]
fn a_million_subscriptions_of_a_client_take_no_more_than_those_of_redis() {
    let server = Server::millrace(1);
    let (mut control, mut client) = (server.connect(), server.connect());
    for start in (0..1_000_000).step_by(1000) {
        let names = (start..start + 1000).map(|n| format!("channel:{n}"));
        let request: Vec<String> = std::iter::once("SUBSCRIBE".to_owned())
            .chain(names)
            .collect();
        client.send(&request);
        (0..1000).for_each(|_| drop(client.reply()));
    }
    assert_eq!(info(&mut control, "stats", "pubsub_channels"), "1000000");
    let taken = server.resident_bytes();
    assert!(taken < 205 * MIB, "{taken} bytes");
}

#[test]
fn a_hundred_thousand_patterns_take_no_more_than_those_of_redis_and_are_given_back() {
    let server = Server::millrace(1);
    let (mut control, mut listening) = (server.connect(), clients(&server));
    let before = server.resident_bytes();
    for (n, client) in listening.iter_mut().enumerate() {
        let names = (0..10_000).map(|i| format!("name:{n}:{i}.*"));
        let request: Vec<String> = std::iter::once("PSUBSCRIBE".to_owned())
            .chain(names)
            .collect();
        client.send(&request);
        (0..10_000).for_each(|_| drop(client.reply()));
    }
    assert_eq!(control.run("PUBSUB NUMPAT").integer(), 100_000);
    assert_eq!(control.run("PUBLISH name:3:77.x hello").integer(), 1);
    let peak = server.resident_bytes();
    // Valkey 7.2: 20 MB for the same.
    assert!(peak - before < 30 * MIB, "{before} to {peak} bytes");
    drop(listening);
    wait_until("the subscriptions end", || {
        control.run("PUBSUB NUMPAT").integer() == 0
    });
    wait_until("the memory comes back", || {
        server.resident_bytes() < before + 22 * MIB
    });
}

#[test]
fn two_hundred_thousand_tracked_keys_take_no_more_than_those_of_redis() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    let batches = || {
        (0..200_000)
            .step_by(1000)
            .map(|start| (start..start + 1000).map(|n| format!("key:{n}")))
    };
    for keys in batches() {
        let words = keys.flat_map(|key| [key, "v".to_owned()]);
        let request: Vec<String> = std::iter::once("MSET".to_owned()).chain(words).collect();
        assert_eq!(client.call(&request).text(), "OK");
    }
    client.run("HELLO 3");
    client.run("CLIENT TRACKING ON");
    let used =
        |client: &mut Client| -> u64 { info(client, "memory", "used_memory").parse().unwrap() };
    let before = used(&mut client);
    for keys in batches() {
        let request: Vec<String> = std::iter::once("MGET".to_owned()).chain(keys).collect();
        assert!(!client.call(&request).is_error());
    }
    assert_eq!(info(&mut client, "stats", "tracking_total_keys"), "200000");
    // Valkey 7.2: 15 MB for the same.
    let taken = used(&mut client) - before;
    assert!(taken < 18 * MIB, "{taken} bytes");
}

#[test]
fn producers_whose_time_is_over_go_though_nobody_adds() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.run("XGROUP CREATE s g $ MKSTREAM");
        client.run("XCFGSET s IDMP-DURATION 1");
        let lines: Vec<String> = (0..5_000)
            .map(|n| format!("XADD s IDMP p{n} 1 * f v"))
            .collect();
        assert!(
            client
                .pipeline(&lines)
                .iter()
                .all(|reply| !reply.is_error())
        );
        client.run("XTRIM s MAXLEN 0");
        client.run("COPY s {s}copy");
        client.run("RENAME s {s}moved");
        for key in ["{s}copy", "{s}moved"] {
            wait_until("the producers go", || {
                client
                    .run(&format!("MEMORY USAGE {key} SAMPLES 0"))
                    .integer()
                    < 20_000
            });
        }
    });
}

#[test]
fn a_stream_knows_only_so_many_producers() {
    let server = Server::millrace(1);
    let mut client = server.connect();
    let most = millrace::limits::IDMP_PRODUCERS_MAX;
    for start in (0..most).step_by(10_000) {
        let lines: Vec<String> = (start..start + 10_000)
            .map(|n| format!("XADD s IDMP p{n} 1 MAXLEN 1 * f v"))
            .collect();
        assert!(
            client
                .pipeline(&lines)
                .iter()
                .all(|reply| !reply.is_error())
        );
    }
    let refused = client.run("XADD s IDMP another 1 MAXLEN 1 * f v");
    assert_eq!(
        refused.text(),
        format!(
            "ERR too many IDMP producers: this stream knows messages of {most} already, which end after IDMP-DURATION"
        )
    );
    assert_eq!(client.run("XLEN s").integer(), 1, "nothing was added");
    assert!(
        !client
            .run(&format!("XADD s IDMP p{} 2 * f v", most - 1))
            .is_error()
    );
    assert!(!client.run("XADD s * f v").is_error());
}
