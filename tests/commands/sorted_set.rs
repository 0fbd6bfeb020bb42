//! The sorted set commands through a socket. Keys of different shards are named on purpose: `a`, `b`, `c`, `d` spread.

use super::list::{events_of, wait_for_blocked};
use crate::connection::{check, raw, spaced};
use crate::support::{Client, for_each_shard_count};

#[test]
fn members_have_scores_and_ranks() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("ZADD a 1 x 2 y 3 z", ":3"),
                ("ZADD a GT CH 5 x 1 y", ":1"),
                ("ZINCRBY a -0.5 z", "$3 2.5"),
                ("ZCARD a", ":3"),
                ("ZSCORE a x", "$1 5"),
                ("ZMSCORE a x q z", "*3 $1 5 $-1 $3 2.5"),
                ("ZRANK a x", ":2"),
                ("ZREVRANK a x WITHSCORE", "*2 :0 $1 5"),
                ("ZCOUNT a (2 +inf", ":2"),
                (
                    "ZRANGE a 0 -1 WITHSCORES",
                    "*6 $1 y $1 2 $1 z $3 2.5 $1 x $1 5",
                ),
                ("ZREVRANGE a 0 0", "*1 $1 x"),
                ("ZRANGEBYSCORE a 2 5 LIMIT 1 1", "*1 $1 z"),
                ("ZREVRANGEBYSCORE a 5 (2", "*2 $1 x $1 z"),
                ("ZSCAN a 0", "*2 $1 0 *6 $1 y $1 2 $1 z $3 2.5 $1 x $1 5"),
                ("ZRANDMEMBER a -2 NO", "-ERR syntax error"),
                ("ZREM a x q", ":1"),
                ("ZREMRANGEBYSCORE a 2.5 2.5", ":1"),
                ("ZREMRANGEBYRANK a 0 0", ":1"),
                ("EXISTS a", ":0"),
                ("ZADD b 0 a 0 b 0 c", ":3"),
                ("ZLEXCOUNT b [b +", ":2"),
                ("ZRANGEBYLEX b - (c", "*2 $1 a $1 b"),
                ("ZREVRANGEBYLEX b (c -", "*2 $1 b $1 a"),
                ("ZREMRANGEBYLEX b (a (c", ":1"),
                ("ZPOPMAX b", "*2 $1 c $1 0"),
                ("ZPOPMIN b 5", "*2 $1 a $1 0"),
                ("ZRANDMEMBER b", "$-1"),
            ],
        );
    });
}

#[test]
fn sorted_sets_of_any_shard_are_combined() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("ZADD a 1 x 2 y", ":2"),
                ("ZADD b 10 y 20 z", ":2"),
                ("SADD c x z", ":2"),
                (
                    "ZUNION 3 a b c WITHSCORES",
                    "*6 $1 x $1 2 $1 y $2 12 $1 z $2 21",
                ),
                ("ZINTER 2 a b", "*1 $1 y"),
                ("ZDIFF 2 a b", "*1 $1 x"),
                ("ZINTERCARD 2 b c", ":1"),
                ("ZUNIONSTORE d 3 a b c WEIGHTS 1 2 3", ":3"),
                (
                    "ZRANGE d 0 -1 WITHSCORES",
                    "*6 $1 x $1 4 $1 y $2 22 $1 z $2 43",
                ),
                ("ZINTERSTORE d 2 d a AGGREGATE MIN", ":2"),
                ("ZDIFFSTORE a 2 d b", ":1"),
                ("ZRANGESTORE b d 0 0 REV", ":1"),
                ("ZRANGE b 0 -1", "*1 $1 y"),
                ("ZMPOP 4 none a b c MIN", "*2 $1 a *1 *2 $1 x $1 1"),
                (
                    "ZMPOP 4 none a c b MIN",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value",
                ),
                ("BZMPOP 0 2 none b MAX", "*2 $1 b *1 *2 $1 y $1 2"),
                ("ZINTERSTORE d 2 d none", ":0"),
                ("EXISTS a b d", ":0"),
                ("BZPOPMIN a b 0.01", "*-1"),
                ("BZPOPMAX a 0.01", "*-1"),
                ("BZMPOP 0.01 2 a b MIN", "*-1"),
            ],
        );
    });
}

#[test]
fn waiting_clients_are_served_in_the_order_they_came() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let lines = [
            "BZPOPMIN a b 0",
            "BZPOPMAX b a 0",
            "BZMPOP 0 2 c a MIN COUNT 2",
            "BZPOPMIN a 0",
        ];
        let mut waiting: Vec<Client> = lines.iter().map(|_| server.connect()).collect();
        waiting[1].run("HELLO 3");
        for (index, client) in waiting.iter_mut().enumerate() {
            client.send_line(lines[index]);
            wait_for_blocked(&mut control, index + 1);
        }
        // A list is none.
        check(&mut control, &[("RPUSH a x", ":1"), ("DEL a", ":1")]);
        for client in &mut waiting {
            client.expect_quiet(&mut control);
        }
        assert_eq!(raw(&mut control, "ZADD a 1 u 2 v 3 w 4 x 5 y"), ":5");
        let replies: Vec<String> = waiting
            .iter_mut()
            .map(|client| spaced(&client.raw_reply()))
            .collect();
        assert_eq!(
            replies,
            [
                "*3 $1 a $1 u $1 1",
                "*3 $1 a $1 y ,5",
                "*2 $1 a *2 *2 $1 v $1 2 *2 $1 w $1 3",
                "*3 $1 a $1 x $1 4",
            ]
        );
        assert_eq!(raw(&mut control, "EXISTS a"), ":0");
    });
}

#[test]
fn whatever_makes_a_sorted_set_serves_who_waits() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        control.run("ZADD d 7 m");
        control.run("SADD s m");
        for line in [
            "ZUNIONSTORE a 1 d",
            "ZRANGESTORE a d 0 -1",
            "COPY d a",
            "ZINCRBY a 7 m",
            "ZUNIONSTORE a 1 s WEIGHTS 7",
            "RENAME d a",
        ] {
            let mut waiting = server.connect();
            waiting.send_line("BZPOPMIN a 0");
            wait_for_blocked(&mut control, 1);
            control.run(line);
            assert_eq!(spaced(&waiting.raw_reply()), "*3 $1 a $1 m $1 7", "{line}");
        }
        // What takes back what it added wakes nobody.
        let mut waiting = server.connect();
        waiting.send_line("BZPOPMIN a 0");
        wait_for_blocked(&mut control, 1);
        control.pipeline(&["MULTI", "ZADD a 1 m", "ZREM a m", "EXEC"]);
        waiting.expect_quiet(&mut control);
    });
}

#[test]
fn blocking_commands_do_not_wait_in_a_transaction() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let lines = [
            "MULTI",
            "BZPOPMIN a 0",
            "BZPOPMAX a 0",
            "BZMPOP 0 1 a MIN",
            "BZMOVE a b MIN 0",
        ];
        client.pipeline(&lines);
        assert_eq!(raw(&mut client, "EXEC"), "*4 *-1 *-1 *-1 *-1");
        client.pipeline(&["MULTI", "ZADD a 1 x", "BZMOVE a b MIN 0", "EXEC"]);
        assert_eq!(raw(&mut client, "ZRANGE b 0 -1"), "*1 $1 x");
    });
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn members_move_between_sorted_sets_of_any_shard() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("ZADD a 1 p 2 q 3 r 4 s 5 t 6 u", ":6"),
                ("EXPIRE a 1000", ":1"),
                ("ZMOVE a b MIN COUNT 2", "*2 *2 $1 p $1 1 *2 $1 q $1 2"),
                ("ZMOVE a c MAX", "*1 *2 $1 u $1 6"),
                ("BZMOVE a d MAX 0", "*1 *2 $1 t $1 5"),
                ("ZMOVE a b BYSCORE (3 +inf", "*1 *2 $1 s $1 4"),
                ("ZADD c 9 q", ":1"),
                ("ZMOVEMEMBER b c NX MEMBERS 2 q s", "*1 *2 $1 s $1 4"),
                ("ZMOVEMEMBER b c XX MEMBERS 2 p q", "*1 *2 $1 q $1 2"),
                (
                    "ZRANGE c 0 -1 WITHSCORES",
                    "*6 $1 q $1 2 $1 s $1 4 $1 u $1 6",
                ),
                ("ZRANGE a 0 -1", "*1 $1 r"),
                ("TTL a", ":1000"),
                ("TTL b", ":-1"),
                ("ZMOVE b b MIN", "*-1"),
                ("BZMOVE b b MIN 0", "*-1"),
                ("BZMOVE none none MIN 0", "*-1"),
                ("BZMOVE none b MIN 0.01", "*-1"),
                ("ZMOVE none b MIN", "*-1"),
                ("SET s x", "+OK"),
                ("ZMOVE a s MIN", WRONG_TYPE),
                ("BZMOVE s a MIN 0", WRONG_TYPE),
                ("ZMOVEMEMBER a s MEMBERS 1 r", WRONG_TYPE),
                ("BZMOVE a s BYSCORE 0 1 0", "-ERR syntax error"),
            ],
        );
        client.run("HELLO 3");
        check(
            &mut client,
            &[
                ("ZMOVE a d MAX", "*1 *2 $1 r ,3"),
                (
                    "ZMOVEMEMBER d b MEMBERS 3 t r t",
                    "*2 *2 $1 t ,5 *2 $1 r ,3",
                ),
                ("ZMOVE d a MIN", "_"),
                ("EXISTS a d", ":0"),
            ],
        );
    });
}

#[test]
fn who_waits_to_move_members_is_served_down_a_chain() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let lines = [
            "BZMOVE a b MIN 0 COUNT 2",
            "BZMOVE b c MAX 0",
            "BZPOPMIN c 0",
            "BZMOVE a d MAX 0 COUNT 5",
        ];
        let mut waiting: Vec<Client> = lines.iter().map(|_| server.connect()).collect();
        waiting[1].run("HELLO 3");
        for (index, client) in waiting.iter_mut().enumerate() {
            client.send_line(lines[index]);
            wait_for_blocked(&mut control, index + 1);
        }
        assert_eq!(raw(&mut control, "ZADD a 1 x 2 y 3 z 4 w"), ":4");
        let replies: Vec<String> = waiting
            .iter_mut()
            .map(|client| spaced(&client.raw_reply()))
            .collect();
        assert_eq!(
            replies,
            [
                "*2 *2 $1 x $1 1 *2 $1 y $1 2",
                "*1 *2 $1 y ,2",
                "*3 $1 c $1 y $1 2",
                "*2 *2 $1 w $1 4 *2 $1 z $1 3",
            ]
        );
        check(
            &mut control,
            &[
                ("EXISTS a c", ":0"),
                ("ZRANGE b 0 -1", "*1 $1 x"),
                ("ZRANGE d 0 -1", "*2 $1 z $1 w"),
            ],
        );
    });
}

#[test]
fn a_move_serves_who_waits_for_its_destination() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        for line in [
            "ZMOVE d a MIN",
            "ZMOVE d a BYSCORE 7 7",
            "ZMOVEMEMBER d a MEMBERS 1 m",
            "BZMOVE d a MAX 0",
        ] {
            for (wait, reply) in [
                ("BZPOPMIN a 0", "*3 $1 a $1 m $1 7"),
                ("BZMOVE a c MIN 0 COUNT 9", "*1 *2 $1 m $1 7"),
            ] {
                let mut waiting = server.connect();
                control.run("ZADD d 7 m");
                waiting.send_line(wait);
                wait_for_blocked(&mut control, 1);
                assert_eq!(raw(&mut control, line), "*1 *2 $1 m $1 7", "{line}");
                assert_eq!(spaced(&waiting.raw_reply()), reply, "{line}");
                assert_eq!(raw(&mut control, "EXISTS a d"), ":0", "{line}");
                control.run("DEL c");
            }
        }
    });
}

#[test]
fn who_waits_to_move_members_looks_at_the_destination_when_there_are_some() {
    for_each_shard_count(|server| {
        let (mut control, mut waiting) = (server.connect(), server.connect());
        waiting.send_line("BZMOVE a b MIN 0");
        wait_for_blocked(&mut control, 1);
        check(
            &mut control,
            &[
                ("ZADD b 1 x", ":1"),
                ("DEL b", ":1"),
                ("RPUSH a x", ":1"),
                ("DEL a", ":1"),
                ("SET b x", "+OK"),
            ],
        );
        control.pipeline(&["MULTI", "ZADD a 1 m", "ZREM a m", "EXEC"]);
        waiting.expect_quiet(&mut control);
        assert_eq!(raw(&mut control, "ZADD a 1 m"), ":1");
        assert_eq!(spaced(&waiting.raw_reply()), WRONG_TYPE);
        assert_eq!(raw(&mut control, "ZRANGE a 0 -1"), "*1 $1 m");
        waiting.send_line("BZMOVE c b MIN 0.05");
        assert_eq!(spaced(&waiting.raw_reply()), "*-1");
    });
}

#[test]
fn events_come_in_the_order_of_redis() {
    for_each_shard_count(|server| {
        let lines = [
            "ZADD a 1 x 2 y 3 z",
            "ZADD a 1 x",
            "ZADD a INCR 1 x",
            "ZRANGESTORE b a 0 -1",
            "ZUNIONSTORE c 2 a b",
            "ZINTERSTORE c 2 a b",
            "ZDIFFSTORE c 2 a b",
            "ZREM a x",
            "ZMOVE a d MIN",
            "ZMOVEMEMBER d a MEMBERS 1 y",
            "ZPOPMIN a",
            "ZPOPMAX a",
            "ZREMRANGEBYSCORE b 3 3",
            "ZREMRANGEBYRANK b 0 0",
            "ZREMRANGEBYLEX b - +",
        ];
        let expected = [
            "zadd a",
            "zincr a",
            "zrangestore b",
            "zunionstore c",
            "zinterstore c",
            "del c",
            "zrem a",
            "zadd d",
            "zpopmin a",
            "zadd a",
            "zrem d",
            "del d",
            "zpopmin a",
            "zpopmax a",
            "del a",
            "zremrangebyscore b",
            "zremrangebyrank b",
            "zremrangebylex b",
            "del b",
        ];
        assert_eq!(events_of(server, &lines), expected);
    });
}

#[test]
fn a_large_set_answers_as_a_small_one() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for from in (0..20_000).step_by(500) {
            let mut words = vec!["ZADD".to_owned(), "a".to_owned()];
            for number in from..from + 500 {
                let score = number * 7919 % 20_000;
                words.extend([score.to_string(), format!("member:{score:05}")]);
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(spaced(&client.raw_call(&words)), ":500");
        }
        check(
            &mut client,
            &[
                ("ZCARD a", ":20000"),
                ("OBJECT ENCODING a", "$8 skiplist"),
                ("ZRANK a member:12345", ":12345"),
                ("ZREVRANK a member:12345", ":7654"),
                ("ZCOUNT a 100 (200", ":100"),
                ("ZRANGE a 777 778", "*2 $12 member:00777 $12 member:00778"),
                (
                    "ZRANGEBYSCORE a (19997 +inf",
                    "*2 $12 member:19998 $12 member:19999",
                ),
                ("ZREMRANGEBYRANK a 10 19989", ":19980"),
                ("ZRANK a member:19990", ":10"),
            ],
        );
        // All of it at once.
        let all = client.run("ZRANGE a 0 -1");
        assert_eq!(all.items().len(), 20);
    });
}
