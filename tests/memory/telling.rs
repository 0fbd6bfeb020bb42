//! Eviction beside clients that are told of keys: what they are told takes memory too.

use std::sync::atomic::{AtomicBool, Ordering};

use super::support::{Server, shard_counts};
use super::{expect, fill, info, limit, until};

#[test]
fn what_clients_are_told_of_evicted_keys_makes_no_more_go() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        let mut caches: Vec<_> = (0..10).map(|_| server.connect_resp3()).collect();
        let key = |n: usize| format!("{n}{}", "x".repeat(1000));
        for n in 0..300 {
            client.run(&format!("SET {} v", key(n)));
        }
        for cache in &mut caches {
            cache.run("CLIENT TRACKING ON");
            let lines: Vec<String> = (0..300).map(|n| format!("GET {}", key(n))).collect();
            cache.pipeline(&lines);
        }
        let policy = "CONFIG SET maxmemory-policy allkeys-lru maxmemory-eviction-tenacity 100";
        expect(&mut client, policy, "+OK");
        // About forty keys; each makes ten notices of a thousand bytes.
        let max = info(&mut client, "used_memory") - 40_000;
        expect(&mut client, &format!("CONFIG SET maxmemory {max}"), "+OK");
        until("enough has gone", || {
            info(&mut client, "used_memory") <= max
        });
        let left = client.run("DBSIZE").integer();
        assert!((150..=290).contains(&left), "{left} with {shards} shards");
    }
}

/// Sets this when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_client_that_is_told_of_keys_gets_on_while_others_keep_the_server_at_its_limit() {
    let server = Server::millrace(4);
    let mut client = server.connect();
    let policy = "CONFIG SET maxmemory-policy allkeys-random";
    expect(&mut client, policy, "+OK");
    limit(&mut client, 1_000_000);
    fill(&mut client, "key", "");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for writer in 0..3 {
            let mut client = server.connect();
            let is_over = &is_over;
            threads.spawn(move || {
                let value = "x".repeat(200);
                for round in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let lines: Vec<String> = (0..50)
                        .map(|n| format!("SET {writer}:{} {value}", 50 * (round % 100) + n))
                        .collect();
                    client.pipeline(&lines);
                }
            });
        }
        // Also when this thread panics.
        let _ends = Ends(&is_over);
        let mut caches = server.connect_resp3();
        caches.run("CLIENT TRACKING ON BCAST");
        for n in 0..300 {
            caches.send_line(&format!("SET own:{n} v"));
            while let reply = caches.reply().to_string()
                && reply != "+OK"
            {
                assert!(!reply.starts_with('-'), "{reply}");
            }
        }
    });
}
