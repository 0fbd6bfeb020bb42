//! The commands on sets, and SORT, through a socket. `a`, `b`, `c`, `d` are keys of different shards on purpose.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::connection::check;
use crate::list::events_of;
use crate::support::{Frame, for_each_shard_count};

#[test]
fn members_move_and_sets_are_combined_between_shards() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("SADD a 1 2 3", ":3"),
                ("SADD b 2 3 4", ":3"),
                ("SMOVE a b 1", ":1"),
                ("SISMEMBER b 1", ":1"),
                ("SMISMEMBER a 1 2", "*2 :0 :1"),
                ("SINTER a b", "*2 $1 2 $1 3"),
                ("SINTERCARD 2 a b LIMIT 1", ":1"),
                ("SUNIONSTORE c a b d", ":4"),
                ("SMEMBERS c", "*4 $1 1 $1 2 $1 3 $1 4"),
                ("SDIFFSTORE d b a", ":2"),
                ("SDIFF b a", "*2 $1 1 $1 4"),
                ("SINTERSTORE d a none", ":0"),
                ("EXISTS d", ":0"),
                ("SREM a 2 3", ":2"),
                ("SCARD a", ":0"),
                ("SSCAN b 0", "*2 $1 0 *4 $1 1 $1 2 $1 3 $1 4"),
                ("MULTI", "+OK"),
                ("SADD a x", "+QUEUED"),
                ("SUNION a b", "+QUEUED"),
                ("EXEC", "*2 :1 *5 $1 x $1 1 $1 2 $1 3 $1 4"),
            ],
        );
    });
}

#[test]
fn patterns_of_sort_name_keys_of_all_shards() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.run("RPUSH ids 1 2 3 4 5 6 7 8");
        for id in 1..=8 {
            client.run(&format!("SET weight:{id} {}", 100 - id));
            client.run(&format!("HSET job:{id} name n{id}"));
        }
        check(
            &mut client,
            &[
                (
                    "SORT ids BY weight:* GET job:*->name LIMIT 0 3",
                    "*3 $2 n8 $2 n7 $2 n6",
                ),
                ("SORT_RO ids BY weight:* GET # LIMIT 6 5", "*2 $1 2 $1 1"),
                ("SORT ids BY weight:* STORE elsewhere", ":8"),
                ("LRANGE elsewhere 0 1", "*2 $1 8 $1 7"),
                ("MULTI", "+OK"),
                ("SET weight:1 0", "+QUEUED"),
                ("SORT ids BY weight:* LIMIT 0 1", "+QUEUED"),
                ("EXEC", "*2 +OK *1 $1 1"),
            ],
        );
    });
}

#[test]
fn members_taken_by_chance_are_gone() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for number in 0..500 {
            client.run(&format!("SADD a member-{number}"));
        }
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let take =
            |frame: Frame| -> Vec<String> { frame.items().iter().map(Frame::text).collect() };
        for count in [100, 1, 350] {
            let taken = take(client.run(&format!("SPOP a {count}")));
            assert_eq!(taken.len(), count);
            seen.extend(taken);
        }
        seen.insert(client.run("SPOP a").text());
        let chosen = take(client.run("SRANDMEMBER a 10"));
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 10);
        assert_eq!(client.run("SRANDMEMBER a -1000").items().len(), 1000);
        seen.extend(take(client.run("SPOP a 1000")));
        assert_eq!(seen.len(), 500);
        assert_eq!(client.run("EXISTS a").integer(), 0);
    });
}

#[test]
fn sets_tell_of_their_events() {
    for_each_shard_count(|server| {
        let lines = [
            "SADD a 1 2 3",
            "SADD a 1",
            "SREM a 1 9",
            "SMOVE a b 2",
            "SPOP a",
            "SADD c 1 2",
            "SPOP c 5",
            "SUNIONSTORE d b",
            "SDIFFSTORE d b b",
            "RPUSH l 2 1",
            "SORT l STORE m",
        ];
        let expected = [
            "sadd a",
            "srem a",
            "srem a",
            "sadd b",
            "spop a",
            "del a",
            "sadd c",
            "spop c",
            "del c",
            "sunionstore d",
            "del d",
            "rpush l",
            "sortstore m",
        ];
        assert_eq!(events_of(server, &lines), expected);
    });
}

#[test]
fn members_of_sets_on_any_shard_are_counted() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("SADD a 1 2 3", ":3"),
                ("SADD b 3 4", ":2"),
                ("SUNIONCARD 3 a b c", ":4"),
                ("SDIFFCARD 3 a b c", ":2"),
            ],
        );
    });
}

#[test]
fn every_command_on_ends_of_members_answers() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("SADD a 1 2 x", ":3"),
                ("SEXPIREAT a 4000000000 MEMBERS 1 1", "*1 :1"),
                ("SPEXPIREAT a 4000000000001 GT MEMBERS 2 1 2", "*2 :1 :0"),
                ("SEXPIRETIME a MEMBERS 2 1 2", "*2 :4000000001 :-1"),
                ("SPEXPIRETIME a MEMBERS 1 1", "*1 :4000000000001"),
                ("SEXPIRE a 100 MEMBERS 2 2 none", "*2 :1 :-2"),
                ("STTL a MEMBERS 2 2 x", "*2 :100 :-1"),
                ("SPEXPIRE a 0 MEMBERS 1 x", "*1 :2"),
                ("SPTTL a MEMBERS 1 x", "*1 :-2"),
                ("SPERSIST a MEMBERS 2 1 x", "*2 :1 :-2"),
                ("SADDEX a MXX KEEPTTL MEMBERS 2 1 2", ":1"),
                ("SADDEX a MNX EX 50 MEMBERS 2 1 3", ":0"),
                ("SADDEX b MNX EXAT 4000000000 MEMBERS 2 1 3", ":1"),
                ("SEXPIRETIME b MEMBERS 2 1 3", "*2 :4000000000 :4000000000"),
                ("SUNIONSTORE c a b", ":3"),
                ("STTL c MEMBERS 3 1 2 3", "*3 :-1 :-1 :-1"),
            ],
        );
    });
}

#[test]
fn members_end_though_nobody_looks() {
    for_each_shard_count(|server| {
        let (mut client, mut listener) = (server.connect(), server.connect());
        client.run("CONFIG SET notify-keyspace-events AKE");
        listener.run("PSUBSCRIBE __keyevent@0__:sexpired");
        for key in ["a", "b", "c", "d"] {
            client.run(&format!("SADDEX {key} PX 20 MEMBERS 2 x y"));
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.run("DBSIZE").integer() != 0 {
            assert!(Instant::now() < deadline, "a member that has ended stays");
        }
        let keys: BTreeSet<String> = (0..4).map(|_| listener.reply().items()[3].text()).collect();
        assert_eq!(keys, ["a", "b", "c", "d"].map(str::to_owned).into());
        let stats = client.run("INFO stats").text();
        assert!(stats.contains("expired_subkeys:8"), "{stats}");
    });
}
