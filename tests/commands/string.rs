//! Strings through a socket, where other tests do not send the command. Keys of different shards are named on purpose.

use crate::connection::check;
use crate::support::for_each_shard_count;

#[test]
fn keys_are_compared_set_and_removed_in_one_step() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("MSETEX 3 a 1 b 2 c 3 EX 100 NX", ":1"),
                ("MSETEX 2 c 1 d 2 NX", ":0"),
                ("TTL b", ":100"),
                ("SET a 5 IFEQ 1", "+OK"),
                ("DIGEST a", "$16 dedb980100c87e72"),
                ("DELEX a IFEQ 1", ":0"),
                ("DELEX a IFEQ 5", ":1"),
                ("BITOP DIFF d b c", ":1"),
                ("EXISTS a d", ":1"),
            ],
        );
    });
}
