//! The commands on bits through a socket. Keys of different shards are named on purpose: `a`, `b`, `c`, `d` spread.

use crate::connection::check;
use crate::list::events_of;
use crate::support::for_each_shard_count;

#[test]
fn bits_are_set_read_counted_and_found() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("SETBIT a 7 1", ":0"),
                ("SETBIT a 1 1", ":0"),
                ("SETBIT a 7 0", ":1"),
                ("GET a", "$1 @"),
                ("GETBIT a 1", ":1"),
                ("GETBIT a 100", ":0"),
                ("SETBIT a 1000000 1", ":0"),
                ("STRLEN a", ":125001"),
                ("BITCOUNT a", ":2"),
                ("BITCOUNT a 1 -1", ":1"),
                ("BITCOUNT a 2 999999 BIT", ":0"),
                ("BITPOS a 1 1", ":1000000"),
                ("BITPOS a 0 -1 -1 BIT", ":1000007"),
                ("BITPOS none 1", ":-1"),
                (
                    "BITPOS a",
                    "-ERR wrong number of arguments for 'bitpos' command",
                ),
            ],
        );
    });
}

#[test]
fn strings_of_any_shard_are_combined() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("MSET a aa b 0 c zz9", "+OK"),
                ("BITOP AND d a c", ":3"),
                ("GET d", "$3 ``\0"),
                ("BITOP OR d a b c", ":3"),
                ("GET d", "$3 {{9"),
                ("BITOP XOR a a a", ":2"),
                ("GET a", "$2 \0\0"),
                ("EXPIRE d 100", ":1"),
                ("BITOP NOT d b", ":1"),
                ("TTL d", ":-1"),
                ("BITOP NOT d none", ":0"),
                ("EXISTS d", ":0"),
            ],
        );
    });
}

#[test]
fn numbers_lie_anywhere_in_a_string() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                (
                    "BITFIELD a SET u8 #1 65 INCRBY i5 100 1 GET u4 0",
                    "*3 :0 :1 :0",
                ),
                (
                    "BITFIELD a OVERFLOW FAIL INCRBY u2 102 9 OVERFLOW SAT INCRBY u2 102 9",
                    "*2 $-1 :3",
                ),
                ("BITFIELD_RO a GET u8 8 GET i2 102", "*2 :65 :-1"),
                (
                    "BITFIELD_RO a SET u8 8 1",
                    "-ERR BITFIELD_RO only supports the GET subcommand",
                ),
            ],
        );
    });
}

#[test]
fn a_bit_that_stays_wakes_no_watcher() {
    for_each_shard_count(|server| {
        let (mut client, mut other) = (server.connect(), server.connect());
        for (line, reply) in [
            ("SETBIT a 3 1", "*-1"),
            ("SETBIT a 3 1", "*1 +PONG"),
            ("BITFIELD a SET u4 0 1", "*1 +PONG"),
            ("BITFIELD a GET u4 0", "*1 +PONG"),
            ("BITFIELD a SET u4 0 2", "*-1"),
            ("BITOP OR a a", "*-1"),
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
            "SETBIT a 3 1",
            "SETBIT a 3 1",
            "BITFIELD a SET u4 0 1 SET u4 4 1",
            "BITOP OR b a",
            "BITOP OR b none",
            "BITOP OR b none",
        ];
        let expected = ["setbit a", "setbit a", "set b", "del b"];
        assert_eq!(events_of(server, &lines), expected);
    });
}
