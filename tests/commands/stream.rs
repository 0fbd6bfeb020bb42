//! The stream commands through a socket. Keys of different shards are named on purpose: `a`, `b`, `c`, `d` spread.

use std::time::{Duration, Instant};

use crate::support::{Client, for_each_shard_count};

/// Raw replies with blanks for line ends.
pub(crate) fn raw(client: &mut Client, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    spaced(&client.raw_call(&words))
}

pub(crate) fn spaced(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply)
        .replace("\r\n", " ")
        .trim_end()
        .to_owned()
}

#[track_caller]
pub(crate) fn check(client: &mut Client, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(raw(client, line), *expected, "{line}");
    }
}

/// Waits until so many clients are blocked.
pub(crate) fn wait_for_blocked(control: &mut Client, count: usize) {
    let wanted = format!("blocked_clients:{count}\r\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !control.run("INFO clients").text().contains(&wanted) {
        assert!(Instant::now() < deadline, "never {count} blocked clients");
    }
}

#[test]
fn entries_are_added_read_trimmed_and_deleted() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("XADD a NOMKSTREAM * f v", "$-1"),
                ("XADD a 1-1 f v", "$3 1-1"),
                ("XADD a 1-* f 12 g w", "$3 1-2"),
                ("XADD a 2 f v", "$3 2-0"),
                (
                    "XADD a 2-0 f v",
                    "-ERR The ID specified in XADD is equal or smaller than the target stream top item",
                ),
                (
                    "XADD a 0-0 f v",
                    "-ERR The ID specified in XADD must be greater than 0-0",
                ),
                (
                    "XADD a 3-0 f",
                    "-ERR wrong number of arguments for 'xadd' command",
                ),
                ("XLEN a", ":3"),
                (
                    "XRANGE a - + COUNT 2",
                    "*2 *2 $3 1-1 *2 $1 f $1 v *2 $3 1-2 *4 $1 f $2 12 $1 g $1 w",
                ),
                ("XRANGE a (1-2 +", "*1 *2 $3 2-0 *2 $1 f $1 v"),
                ("XRANGE a 1 1 COUNT 0", "*-1"),
                ("XREVRANGE a + - COUNT 1", "*1 *2 $3 2-0 *2 $1 f $1 v"),
                (
                    "XREAD COUNT 1 STREAMS a b 1-2 0",
                    "*1 *2 $1 a *1 *2 $3 2-0 *2 $1 f $1 v",
                ),
                ("XREAD STREAMS a $", "*-1"),
                ("XDEL a 1-2 9-9", ":1"),
                ("XTRIM a MAXLEN = 1", ":1"),
                ("XTRIM a MINID ~ 9", ":1"),
                ("XLEN a", ":0"),
                ("EXISTS a", ":1"),
                ("XSETID a 5-0 ENTRIESADDED 9 MAXDELETEDID 3-0", "+OK"),
                (
                    "XINFO STREAM a",
                    "*20 $6 length :0 $15 radix-tree-keys :0 $16 radix-tree-nodes :1 $17 last-generated-id $3 5-0 \
                     $20 max-deleted-entry-id $3 3-0 $13 entries-added :9 $23 recorded-first-entry-id $3 0-0 \
                     $6 groups :0 $11 first-entry $-1 $10 last-entry $-1",
                ),
            ],
        );
    });
}

#[test]
fn a_group_hands_out_each_entry_once_until_it_is_acknowledged() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                ("XGROUP CREATE a g $ MKSTREAM", "+OK"),
                (
                    "XGROUP CREATE a g $",
                    "-BUSYGROUP Consumer Group name already exists",
                ),
                ("XADD a 1-0 f v", "$3 1-0"),
                ("XADD a 2-0 f v", "$3 2-0"),
                ("XADD a 3-0 f v", "$3 3-0"),
                (
                    "XREADGROUP GROUP g one COUNT 2 STREAMS a >",
                    "*1 *2 $1 a *2 *2 $3 1-0 *2 $1 f $1 v *2 $3 2-0 *2 $1 f $1 v",
                ),
                ("XGROUP CREATECONSUMER a g two", ":1"),
                (
                    "XREADGROUP GROUP g two NOACK STREAMS a >",
                    "*1 *2 $1 a *1 *2 $3 3-0 *2 $1 f $1 v",
                ),
                ("XPENDING a g", "*4 :2 $3 1-0 $3 2-0 *1 *2 $3 one $1 2"),
                ("XACK a g 1-0 3-0", ":1"),
                (
                    "XREADGROUP GROUP g one STREAMS a 0",
                    "*1 *2 $1 a *1 *2 $3 2-0 *2 $1 f $1 v",
                ),
                ("XPENDING a g IDLE 600000 - + 10", "*0"),
                ("XCLAIM a g two 0 2-0 JUSTID", "*1 $3 2-0"),
                ("XCLAIM a g two 600000 2-0", "*0"),
                (
                    "XAUTOCLAIM a g one 0 0",
                    "*3 $3 0-0 *1 *2 $3 2-0 *2 $1 f $1 v *0",
                ),
                ("XDEL a 2-0", ":1"),
                ("XAUTOCLAIM a g two 0 - JUSTID", "*3 $3 0-0 *0 *1 $3 2-0"),
                (
                    "XINFO GROUPS a",
                    "*1 *12 $4 name $1 g $9 consumers :2 $7 pending :0 $17 last-delivered-id $3 3-0 \
                     $12 entries-read :3 $3 lag :0",
                ),
                ("XGROUP SETID a g 0 ENTRIESREAD 0", "+OK"),
                ("XGROUP DELCONSUMER a g two", ":0"),
                ("XGROUP DESTROY a g", ":1"),
                ("XGROUP DESTROY a g", ":0"),
                (
                    "XREADGROUP GROUP g one STREAMS a >",
                    "-NOGROUP No such key 'a' or consumer group 'g' in XREADGROUP with GROUP option",
                ),
            ],
        );
    });
}

#[test]
fn resp3_has_maps_where_resp2_has_arrays() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect_resp3(),
            &[
                ("XADD a 1-0 f v", "$3 1-0"),
                ("XGROUP CREATE a g 0", "+OK"),
                (
                    "XREADGROUP GROUP g c STREAMS a >",
                    "%1 $1 a *1 *2 $3 1-0 *2 $1 f $1 v",
                ),
                ("XREAD STREAMS a b 1-0 0", "_"),
            ],
        );
        let mut client = server.connect_resp3();
        let groups = raw(&mut client, "XINFO GROUPS a");
        assert!(
            groups.starts_with(
                "*1 %6 $4 name $1 g $9 consumers :1 $7 pending :1 $17 last-delivered-id $3 1-0 \
                 $12 entries-read :1 $3 lag :0"
            ),
            "{groups}"
        );
        let consumers = raw(&mut client, "XINFO CONSUMERS a g");
        assert!(
            consumers.starts_with("*1 %4 $4 name $1 c $7 pending :1 $4 idle :"),
            "{consumers}"
        );
        let full = raw(&mut client, "XINFO STREAM a FULL COUNT 1");
        assert!(full.contains("$6 groups *1 %7 $4 name $1 g"), "{full}");
    });
}

#[test]
fn containers_explain_themselves() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        for (line, first) in [("XGROUP HELP", "XGROUP"), ("XINFO HELP", "XINFO")] {
            let help = raw(&mut client, line);
            let expected =
                format!("+{first} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
            assert!(help.contains(&expected), "{help}");
        }
        check(
            &mut client,
            &[(
                "XGROUP FOO a g",
                "-ERR unknown subcommand 'FOO'. Try XGROUP HELP.",
            )],
        );
    });
}

#[test]
fn readers_wait_for_entries_after_what_they_have_seen() {
    for_each_shard_count(|server| {
        let (mut control, mut reader) = (server.connect(), server.connect());
        control.run("XADD a 1-0 f old");
        reader.send_line("XREAD BLOCK 0 STREAMS a b $ $");
        wait_for_blocked(&mut control, 1);
        control.run("XADD b 7-0 f new");
        assert_eq!(
            spaced(&reader.raw_reply()),
            "*1 *2 $1 b *1 *2 $3 7-0 *2 $1 f $3 new"
        );
        reader.send_line("XREAD BLOCK 20 STREAMS a b $ $");
        assert_eq!(spaced(&reader.raw_reply()), "*-1");
    });
}

#[test]
fn one_entry_wakes_one_consumer_and_a_lost_group_wakes_all() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let (mut first, mut second) = (server.connect(), server.connect());
        control.run("XGROUP CREATE a g $ MKSTREAM");
        first.send_line("XREADGROUP GROUP g one BLOCK 0 STREAMS a >");
        wait_for_blocked(&mut control, 1);
        second.send_line("XREADGROUP GROUP g two BLOCK 0 STREAMS a >");
        wait_for_blocked(&mut control, 2);
        control.run("XADD a 5-0 f v");
        assert_eq!(
            spaced(&first.raw_reply()),
            "*1 *2 $1 a *1 *2 $3 5-0 *2 $1 f $1 v"
        );
        second.expect_quiet(&mut control);
        control.run("XGROUP DESTROY a g");
        let gone = "-NOGROUP No such key 'a' or consumer group 'g' in XREADGROUP with GROUP option";
        assert_eq!(spaced(&second.raw_reply()), gone);
    });
}

#[test]
fn plus_reads_the_last_entry_there_is_or_waits_for_the_next() {
    for_each_shard_count(|server| {
        let (mut client, mut other) = (server.connect(), server.connect());
        check(
            &mut client,
            &[
                ("XGROUP CREATE a g 0 MKSTREAM", "+OK"),
                ("XREAD STREAMS a b + +", "*-1"),
                ("XADD a 5-1 f v", "$3 5-1"),
                ("XADD a 6-1 f v", "$3 6-1"),
                (
                    "XREAD COUNT 9 STREAMS a b + +",
                    "*1 *2 $1 a *1 *2 $3 6-1 *2 $1 f $1 v",
                ),
                ("XDEL a 6-1", ":1"),
                ("XREAD STREAMS a +", "*1 *2 $1 a *1 *2 $3 5-1 *2 $1 f $1 v"),
                ("XDEL a 5-1", ":1"),
                ("XREAD STREAMS a +", "*-1"),
            ],
        );
        // What `+` and `$` meant when the client began to wait, also with a byte behind that C would not see.
        for (special, id) in [("+", "7-1"), ("$\0", "8-1")] {
            client.run("XTRIM a MAXLEN 0");
            other.send(&["XREAD", "BLOCK", "0", "STREAMS", "a", special]);
            wait_for_blocked(&mut client, 1);
            client.run(&format!("XADD a {id} f v"));
            assert!(other.reply().to_string().contains(id), "{special:?}");
        }
    });
}
