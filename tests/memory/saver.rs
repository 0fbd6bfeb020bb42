//! Eviction beside a saver that stands still: what only it has does not count, and no key goes for it.

use super::support::{Client, Server, shard_counts};
use super::{expect, fill_lists, info, until};

/// So long behind each key that a save does not end, us.
const FOR_EVER: &str = "CONFIG SET rdb-key-save-delay 100000000";

/// Begins a save; the saver has all keys, and does not go on.
fn stand_still(client: &mut Client) {
    expect(client, FOR_EVER, "+OK");
    client.run("BGSAVE");
    until("the cut is made", || {
        info(client, "current_save_keys_total") > 0
    });
    // The walk goes on between commands.
    for _ in 0..200 {
        client.run("PING");
    }
}

fn end_save(client: &mut Client) {
    expect(client, "CONFIG SET rdb-key-save-delay 0", "+OK");
    until("the save has ended", || {
        info(client, "rdb_bgsave_in_progress") == 0
    });
}

#[test]
fn a_key_that_the_saver_has_too_is_not_paid_for_with_others() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        fill_lists(&mut client);
        stand_still(&mut client);
        let policy = "CONFIG SET maxmemory-policy allkeys-random maxmemory-eviction-tenacity 100";
        expect(&mut client, policy, "+OK");
        // Two and a half lists too much: three go, though nothing is free before the saver has dropped them.
        let max = info(&mut client, "used_memory") - 2_500_000;
        expect(&mut client, &format!("CONFIG SET maxmemory {max}"), "+OK");
        for n in 0..200 {
            client.run(&format!("SET k:{} v", n % 3));
        }
        // Of the rounds that look after it too.
        let evicted = info(&mut client, "evicted_keys");
        assert!((2..=8).contains(&evicted), "{evicted}");
        end_save(&mut client);
        until("what was evicted is free", || {
            client.run("SET k:0 v");
            info(&mut client, "used_memory") < max + 100_000
        });
        let evicted = info(&mut client, "evicted_keys");
        assert!((2..=8).contains(&evicted), "{evicted}");
    }
}

#[test]
fn copies_that_the_saver_has_do_not_count() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        let value = "x".repeat(1000);
        let set = |client: &mut Client| {
            let lines: Vec<String> = (0..10_000).map(|n| format!("SET {n} {value}")).collect();
            client.pipeline(&lines);
        };
        set(&mut client);
        let policy = "CONFIG SET maxmemory-policy allkeys-random";
        expect(&mut client, policy, "+OK");
        let max = info(&mut client, "used_memory") + 4_000_000;
        expect(&mut client, &format!("CONFIG SET maxmemory {max}"), "+OK");
        stand_still(&mut client);
        // Whatever it has not got yet is kept for it.
        set(&mut client);
        assert!(info(&mut client, "used_memory") > max + 4_000_000);
        until("it is known what does not count", || {
            info(&mut client, "mem_not_counted_for_evict") > 8_000_000
        });
        assert_eq!(info(&mut client, "evicted_keys"), 0);
        end_save(&mut client);
        until("nothing is kept", || {
            info(&mut client, "mem_not_counted_for_evict") < 100_000
        });
        assert_eq!(info(&mut client, "evicted_keys"), 0);
    }
}

#[test]
fn a_big_value_that_changes_beside_a_save_counts_on() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        let value = "x".repeat(1000);
        for key in 0..20 {
            let lines: Vec<String> = (0..500)
                .map(|_| format!("XADD s:{key} * f {value}"))
                .collect();
            client.pipeline(&lines);
        }
        expect(&mut client, FOR_EVER, "+OK");
        client.run("MULTI");
        client.run("BGSAVE");
        for key in 0..20 {
            client.run(&format!("XADD s:{key} * f v"));
        }
        client.run("EXEC");
        let max = info(&mut client, "used_memory") - 1_000_000;
        expect(&mut client, &format!("CONFIG SET maxmemory {max}"), "+OK");
        until("there is no room", || {
            client
                .run("XADD s:0 * f v")
                .to_string()
                .starts_with("-OOM ")
        });
        assert!(info(&mut client, "mem_not_counted_for_evict") < 1_000_000);
        expect(&mut client, "CONFIG SET maxmemory 0", "+OK");
        end_save(&mut client);
    }
}
