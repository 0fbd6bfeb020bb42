//! The commands on sketches through a socket. Keys of different shards are named on purpose: `a`, `b`, `c`, `d` spread.

use crate::connection::check;
use crate::list::events_of;
use crate::support::for_each_shard_count;

#[test]
fn different_elements_are_counted_over_all_shards() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("PFADD a foo bar zap", ":1"),
                ("PFADD a zap zap", ":0"),
                ("PFADD b 1 2 3 foo", ":1"),
                ("PFADD c", ":1"),
                ("PFCOUNT a", ":3"),
                ("PFCOUNT a b c none", ":6"),
                ("PFMERGE d a b none", "+OK"),
                ("PFCOUNT d", ":6"),
                ("PFDEBUG ENCODING d", "+sparse"),
                ("PFDEBUG TODENSE b", ":1"),
                ("PFMERGE d b", "+OK"),
                ("PFDEBUG ENCODING d", "+dense"),
                ("PFCOUNT d", ":6"),
                ("PFSELFTEST", "+OK"),
            ],
        );
    });
}

#[test]
fn the_setting_for_sparse_sketches_acts_at_once() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("CONFIG SET hll-sparse-max-bytes 30", "+OK"),
                ("PFADD a 1 2 3", ":1"),
                ("PFDEBUG ENCODING a", "+sparse"),
                ("PFADD b 1 2 3 4 5 6 7 8", ":1"),
                ("PFDEBUG ENCODING b", "+dense"),
                ("CONFIG SET hll-sparse-max-bytes 3000", "+OK"),
                ("PFADD c 1 2 3 4 5 6 7 8", ":1"),
                ("PFDEBUG ENCODING c", "+sparse"),
                ("PFCOUNT b c", ":8"),
                ("STRLEN b", ":12304"),
            ],
        );
    });
}

#[test]
fn a_count_that_is_cached_wakes_who_watches() {
    for_each_shard_count(|server| {
        let (mut client, mut other) = (server.connect(), server.connect());
        client.run("PFADD a 1 2 3");
        for (line, reply) in [
            ("PFCOUNT a", "*-1"),
            ("PFCOUNT a", "*1 +PONG"),
            ("PFCOUNT a b", "*1 +PONG"),
            ("PFADD a 1", "*1 +PONG"),
            ("PFADD a 4", "*-1"),
            ("PFMERGE a", "*-1"),
            ("PFDEBUG TODENSE a", "*1 +PONG"),
        ] {
            client.run("WATCH a");
            other.run(line);
            client.pipeline(&["MULTI", "PING"]);
            check(&mut client, &[("EXEC", reply)]);
        }
    });
}

#[test]
fn events_are_those_of_redis() {
    for_each_shard_count(|server| {
        let lines = [
            "PFADD a",
            "PFADD a",
            "PFADD a 1 2",
            "PFCOUNT a",
            "PFMERGE b a",
            "PFMERGE b a",
            "PFDEBUG GETREG a",
        ];
        let expected = ["pfadd a", "pfadd a", "pfadd b", "pfadd b"];
        assert_eq!(events_of(server, &lines), expected);
    });
}

#[test]
fn strings_that_are_no_sketches_are_refused() {
    for_each_shard_count(|server| {
        let not_sketch = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
        let corrupted = "-INVALIDOBJ Corrupted HLL object detected";
        check(
            &mut server.connect(),
            &[
                ("SET a x", "+OK"),
                ("PFADD a 1", not_sketch),
                ("PFCOUNT a", not_sketch),
                ("PFCOUNT b a", not_sketch),
                ("PFMERGE c a", not_sketch),
                ("PFADD b 1 2 3", ":1"),
                ("APPEND b hello", ":32"),
                ("PFCOUNT b", corrupted),
                ("PFCOUNT b c", corrupted),
                ("PFMERGE c b", corrupted),
                ("EXISTS c", ":0"),
            ],
        );
    });
}
