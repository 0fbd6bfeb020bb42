//! The list commands through a socket. Keys of different shards are named on purpose: `a`, `b`, `c`, `d` spread.

use std::time::{Duration, Instant};

use crate::connection::{check, raw, spaced};
use crate::support::{Client, Server, for_each_shard_count};

/// Waits until so many clients are blocked.
pub(super) fn wait_for_blocked(control: &mut Client, count: usize) {
    let wanted = format!("blocked_clients:{count}\r\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !control.run("INFO clients").text().contains(&wanted) {
        assert!(Instant::now() < deadline, "never {count} blocked clients");
    }
}

#[test]
fn queues_work_at_both_ends() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("LPUSHX a x", ":0"),
                ("RPUSHX a x", ":0"),
                ("RPUSH a 1 2 3", ":3"),
                ("LPUSH a 0", ":4"),
                ("LPUSHX a -1", ":5"),
                ("RPUSHX a 4", ":6"),
                ("LLEN a", ":6"),
                ("LRANGE a 0 -1", "*6 $2 -1 $1 0 $1 1 $1 2 $1 3 $1 4"),
                ("LRANGE a -2 100", "*2 $1 3 $1 4"),
                ("LINDEX a 0", "$2 -1"),
                ("LINDEX a -7", "$-1"),
                ("LPOP a", "$2 -1"),
                ("RPOP a 2", "*2 $1 4 $1 3"),
                ("LPOP a 0", "*0"),
                ("LPOP a 10", "*3 $1 0 $1 1 $1 2"),
                ("LPOP a", "$-1"),
                ("RPOP a 1", "*-1"),
                ("EXISTS a", ":0"),
                (
                    "RPOP a 1 2",
                    "-ERR wrong number of arguments for 'rpop' command",
                ),
            ],
        );
    });
}

#[test]
fn elements_are_found_changed_and_removed() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("RPUSH a x y x z x", ":5"),
                ("LPOS a x", ":0"),
                ("LPOS a x RANK -1", ":4"),
                ("LPOS a x COUNT 0", "*3 :0 :2 :4"),
                ("LPOS a x COUNT 0 MAXLEN 3 RANK 2", "*1 :2"),
                ("LPOS a q", "$-1"),
                ("LINSERT a BEFORE y w", ":6"),
                ("LINSERT a AFTER y v", ":7"),
                ("LINSERT a AFTER q v", ":-1"),
                ("LSET a -1 last", "+OK"),
                ("LSET a 7 q", "-ERR index out of range"),
                ("LSET b 0 q", "-ERR no such key"),
                ("LREM a 1 x", ":1"),
                ("LREM a 0 q", ":0"),
                ("LRANGE a 0 -1", "*6 $1 w $1 y $1 v $1 x $1 z $4 last"),
                ("LTRIM a 1 -2", "+OK"),
                ("LRANGE a 0 -1", "*4 $1 y $1 v $1 x $1 z"),
                ("LTRIM a 9 9", "+OK"),
                ("EXISTS a", ":0"),
            ],
        );
    });
}

#[test]
fn elements_move_between_lists_of_any_shard() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("RPUSH a 1 2 3 4", ":4"),
                ("LMOVE a b LEFT RIGHT", "$1 1"),
                ("RPOPLPUSH a c", "$1 4"),
                ("BLMOVE a d RIGHT LEFT 0", "$1 3"),
                ("BRPOPLPUSH a b 0", "$1 2"),
                ("LRANGE b 0 -1", "*2 $1 2 $1 1"),
                ("LMOVE b b LEFT RIGHT", "$1 2"),
                ("LMPOP 4 a b c d LEFT COUNT 5", "*2 $1 b *2 $1 1 $1 2"),
                ("BLMPOP 0 3 a b c RIGHT", "*2 $1 c *1 $1 4"),
                ("BLPOP a b c d 0", "*2 $1 d $1 3"),
                ("LMPOP 4 a b c d LEFT", "*-1"),
                ("LMOVE a b LEFT LEFT", "$-1"),
                ("BLPOP a b c d 0.01", "*-1"),
                ("BRPOP a 0.01", "*-1"),
                ("BLMPOP 0.01 2 a b LEFT", "*-1"),
                ("BLMOVE a b LEFT LEFT 0.01", "*-1"),
                ("BRPOPLPUSH a b 0.01", "*-1"),
                ("DBSIZE", ":0"),
            ],
        );
    });
}

#[test]
fn several_elements_move_between_lists_of_any_shard() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("RPUSH a 1 2 3 4 5 6 7", ":7"),
                ("LMOVEM a b LEFT LEFT COUNT 2 OBO", "*2 $1 2 $1 1"),
                ("LMOVEM a c LEFT LEFT EXACTLY 2 BULK", "*2 $1 3 $1 4"),
                ("LMOVEM a d RIGHT RIGHT", "*1 $1 7"),
                ("BLMOVEM a d RIGHT RIGHT 0 EXACTLY 2 OBO", "*2 $1 6 $1 5"),
                ("EXISTS a", ":0"),
                ("LRANGE b 0 -1", "*2 $1 2 $1 1"),
                ("LRANGE c 0 -1", "*2 $1 3 $1 4"),
                ("LRANGE d 0 -1", "*3 $1 7 $1 6 $1 5"),
                ("LMOVEM d d LEFT RIGHT COUNT 2 OBO", "*2 $1 7 $1 6"),
                ("LMOVEM b d LEFT RIGHT EXACTLY 3 OBO", "*-1"),
                ("LMOVEM a d LEFT RIGHT COUNT 3 OBO", "*0"),
                ("BLMOVEM b d LEFT RIGHT 0.01 EXACTLY 3 OBO", "*-1"),
                ("BLMOVEM a d LEFT RIGHT 0.01", "*-1"),
                ("LLEN b", ":2"),
                ("LRANGE d 0 -1", "*3 $1 5 $1 7 $1 6"),
                (
                    "LMOVEM b d LEFT RIGHT COUNT 0 OBO",
                    "-ERR value is out of range, must be positive",
                ),
                ("LMOVEM b d LEFT RIGHT COUNT 2", "-ERR syntax error"),
                ("SET s x", "+OK"),
                (
                    "LMOVEM b s LEFT RIGHT",
                    "-WRONGTYPE Operation against a key holding the wrong kind of value",
                ),
                ("LMOVEM b s LEFT RIGHT EXACTLY 3 OBO", "*-1"),
            ],
        );
    });
}

#[test]
fn who_waits_for_several_elements_is_served_when_there_are_enough() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let lines = [
            "BLMOVEM a b LEFT LEFT 0 EXACTLY 4 OBO",
            "BLMOVEM a c RIGHT LEFT 0 EXACTLY 2 BULK",
            "BLMOVEM c d LEFT RIGHT 0 COUNT 5 OBO",
        ];
        let mut waiting: Vec<Client> = lines.iter().map(|_| server.connect()).collect();
        for (index, client) in waiting.iter_mut().enumerate() {
            client.send_line(lines[index]);
            wait_for_blocked(&mut control, index + 1);
        }
        assert_eq!(raw(&mut control, "RPUSH a 1"), ":1");
        for client in &mut waiting {
            client.expect_quiet(&mut control);
        }
        // Enough for the second in line; what it moves is at once moved on.
        assert_eq!(raw(&mut control, "LINSERT a AFTER 1 2"), ":2");
        assert_eq!(spaced(&waiting[1].raw_reply()), "*2 $1 1 $1 2");
        assert_eq!(spaced(&waiting[2].raw_reply()), "*2 $1 1 $1 2");
        check(
            &mut control,
            &[
                ("RPUSH a 1 2 3", ":3"),
                ("LPOP a", "$1 1"),
                ("RPUSH e 7", ":1"),
                ("LMOVE e a LEFT RIGHT", "$1 7"),
            ],
        );
        waiting[0].expect_quiet(&mut control);
        control.pipeline(&["MULTI", "RPUSH a 8", "LPOP a", "EXEC"]);
        waiting[0].expect_quiet(&mut control);
        assert_eq!(raw(&mut control, "LPUSH a 0"), ":4");
        assert_eq!(spaced(&waiting[0].raw_reply()), "*4 $1 8 $1 7 $1 3 $1 0");
        check(
            &mut control,
            &[
                ("EXISTS a c", ":0"),
                ("LRANGE b 0 -1", "*4 $1 8 $1 7 $1 3 $1 0"),
                ("LRANGE d 0 -1", "*2 $1 1 $1 2"),
            ],
        );
    });
}

#[test]
fn a_list_moved_to_the_key_serves_who_waits_for_several_elements() {
    for_each_shard_count(|server| {
        let (mut control, mut waiting) = (server.connect(), server.connect());
        waiting.send_line("BLMOVEM a a LEFT LEFT 0 EXACTLY 3 OBO");
        wait_for_blocked(&mut control, 1);
        assert_eq!(raw(&mut control, "RPUSH b 1 2 3 4"), ":4");
        assert_eq!(raw(&mut control, "RENAME b a"), "+OK");
        assert_eq!(spaced(&waiting.raw_reply()), "*3 $1 3 $1 2 $1 1");
        assert_eq!(raw(&mut control, "LRANGE a 0 -1"), "*4 $1 3 $1 2 $1 1 $1 4");
    });
}

#[test]
fn blocking_commands_do_not_wait_in_a_transaction() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        let lines = [
            "MULTI",
            "BLPOP a 0",
            "BLMOVE a b LEFT LEFT 0",
            "BLMPOP 0 1 a LEFT",
            "BRPOPLPUSH a b 0",
            "BLMOVEM a b LEFT LEFT 0",
        ];
        client.pipeline(&lines);
        assert_eq!(raw(&mut client, "EXEC"), "*5 *-1 $-1 *-1 $-1 *-1");
    });
}

#[test]
fn waiting_clients_are_served_in_the_order_they_came() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let mut waiting: Vec<Client> = (0..4).map(|_| server.connect()).collect();
        for (index, client) in waiting.iter_mut().enumerate() {
            client.send_line(
                [
                    "BLPOP a b 0",
                    "BRPOP a 0",
                    "BLMPOP 0 1 a LEFT COUNT 2",
                    "BLMOVE a c LEFT LEFT 0",
                ][index],
            );
            wait_for_blocked(&mut control, index + 1);
        }
        assert_eq!(raw(&mut control, "RPUSH a 1 2 3 4 5 6"), ":6");
        let replies: Vec<String> = waiting
            .iter_mut()
            .map(|client| spaced(&client.raw_reply()))
            .collect();
        assert_eq!(
            replies,
            [
                "*2 $1 a $1 1",
                "*2 $1 a $1 6",
                "*2 $1 a *2 $1 2 $1 3",
                "$1 4"
            ]
        );
        check(
            &mut control,
            &[("LRANGE a 0 -1", "*1 $1 5"), ("LRANGE c 0 -1", "*1 $1 4")],
        );
    });
}

#[test]
fn a_chain_of_waiting_moves_runs_to_its_end() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let moves = [
            "BLMOVE a b LEFT LEFT 0",
            "BLMOVE b c LEFT LEFT 0",
            "BRPOPLPUSH c d 0",
            "BLPOP d 0",
        ];
        let mut waiting: Vec<Client> = moves.iter().map(|_| server.connect()).collect();
        for (index, client) in waiting.iter_mut().enumerate() {
            client.send_line(moves[index]);
            wait_for_blocked(&mut control, index + 1);
        }
        assert_eq!(raw(&mut control, "LPUSH a x"), ":1");
        assert_eq!(raw(&mut control, "DBSIZE"), ":0");
        let replies: Vec<String> = waiting
            .iter_mut()
            .map(|client| spaced(&client.raw_reply()))
            .collect();
        assert_eq!(replies, ["$1 x", "$1 x", "$1 x", "*2 $1 d $1 x"]);
    });
}

#[test]
fn a_transaction_that_takes_back_what_it_pushed_wakes_nobody() {
    for_each_shard_count(|server| {
        let (mut control, mut waiting) = (server.connect(), server.connect());
        waiting.send_line("BLPOP a b 0");
        wait_for_blocked(&mut control, 1);
        control.pipeline(&["MULTI", "LPUSH a x", "DEL a", "EXEC"]);
        waiting.expect_quiet(&mut control);
        control.pipeline(&["MULTI", "LPUSH b y", "LPUSH a x", "EXEC"]);
        // Both are ready; the first of its keys in the order it named them wins, where they are in one hand.
        let reply = spaced(&waiting.raw_reply());
        assert!(
            ["*2 $1 a $1 x", "*2 $1 b $1 y"].contains(&reply.as_str()),
            "{reply}"
        );
    });
}

pub(super) fn events_of(server: &Server, lines: &[&str]) -> Vec<String> {
    let (mut client, mut listener) = (server.connect(), server.connect());
    client.run("CONFIG SET notify-keyspace-events KEA");
    listener.run("PSUBSCRIBE __keyevent@0__:*");
    for line in lines {
        client.run(line);
    }
    client.run("PUBLISH __keyevent@0__:end end");
    let mut events = Vec::new();
    loop {
        let message = listener.reply();
        let (channel, key) = (message.items()[2].text(), message.items()[3].text());
        let event = channel.rsplit(':').next().unwrap().to_owned();
        if event == "end" {
            return events;
        }
        events.push(format!("{event} {key}"));
    }
}

#[test]
fn events_come_in_the_order_of_redis() {
    for_each_shard_count(|server| {
        let lines = [
            "RPUSH a 1 2 3",
            "LSET a 0 0",
            "LINSERT a AFTER 0 x",
            "LREM a 0 x",
            "LTRIM a 0 -1",
            "LMOVE a b LEFT LEFT",
            "RPOPLPUSH b a",
            "LMOVEM a c LEFT RIGHT COUNT 2 OBO",
            "LMOVEM c a RIGHT RIGHT COUNT 2 OBO",
            "LMPOP 1 a LEFT COUNT 9",
        ];
        let expected = [
            "rpush a",
            "lset a",
            "linsert a",
            "lrem a",
            "ltrim a",
            "lpush b",
            "lpop a",
            "lpush a",
            "rpop b",
            "del b",
            "rpush c",
            "lpop a",
            "rpush a",
            "rpop c",
            "del c",
            "lpop a",
            "del a",
        ];
        assert_eq!(events_of(server, &lines), expected);
    });
}

#[test]
fn encodings_follow_the_limit() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("CONFIG SET list-max-listpack-size 4", "+OK"),
                ("RPUSH a 1 2 3 4", ":4"),
                ("OBJECT ENCODING a", "$8 listpack"),
                ("RPUSH a 5", ":5"),
                ("OBJECT ENCODING a", "$9 quicklist"),
                ("LPOP a 2", "*2 $1 1 $1 2"),
                ("OBJECT ENCODING a", "$9 quicklist"),
                ("LTRIM a 2 -1", "+OK"),
                ("OBJECT ENCODING a", "$8 listpack"),
            ],
        );
    });
}
