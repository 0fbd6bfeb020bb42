//! The server's commands on the bench.

use crate::command::context::Save;
use crate::command::spec::CATEGORIES;
use crate::command::table::commands;
use crate::command::testing::Bench;
use crate::command::{Outcome, ShardAction};
use crate::config::EndOptions;
use crate::observe::slowlog::{SlowEntry, cut};
use crate::resp::arguments::Request;

fn check(bench: &mut Bench, table: &[(&str, &str)]) {
    for (line, reply) in table {
        assert_eq!(bench.line(line), *reply, "{line}");
    }
}

#[test]
fn facts_of_the_instance() {
    let mut bench = Bench::new();
    bench.now_ms = 1_700_000_000_123;
    check(
        &mut bench,
        &[
            ("TIME", "*2 $10 1700000000 $6 123000"),
            ("ROLE", "*3 $6 master :0 *0"),
            ("LASTSAVE", ":0"),
            ("LOLWUT", "$17 Redis ver. 7.4.0\n"),
            (
                "LOLWUT VERSION x",
                "-ERR value is not an integer or out of range",
            ),
            ("REPLICAOF no one", "+OK"),
            ("REPLICAOF host x", "-ERR Invalid master port"),
            (
                "REPLICAOF host 1",
                "-ERR replication is not supported by this server",
            ),
            ("FAILOVER", "-ERR FAILOVER requires connected replicas."),
            ("FAILOVER ABORT", "-ERR No failover in progress."),
            ("MODULE LIST", "*0"),
            (
                "CLUSTER INFO",
                "-ERR This instance has cluster support disabled",
            ),
            (
                "READONLY",
                "-ERR This instance has cluster support disabled",
            ),
        ]
        .map(|(line, reply)| (line, reply.trim_end())),
    );
}

#[test]
fn waiting_for_replicas() {
    let mut bench = Bench::new();
    check(
        &mut bench,
        &[
            ("WAIT 0 0", ":0"),
            ("WAIT x 0", "-ERR value is not an integer or out of range"),
            ("WAIT 0 -1", "-ERR timeout is negative"),
            ("WAITAOF 0 0 0", "*2 :0 :0"),
            (
                "WAITAOF 2 0 0",
                "-ERR value is out of range, value must between 0 and 1",
            ),
            (
                "WAITAOF 1 0 0",
                "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
            ),
        ],
    );
    assert!(matches!(bench.outcome, Some(Outcome::Done)));
    assert_eq!(bench.line("WAIT 1 70"), ":0");
    assert!(matches!(
        bench.outcome,
        Some(Outcome::Ask(ShardAction::WaitForReplicas(70)))
    ));
}

#[test]
fn shutdown_and_monitor_are_asked_of_the_shard() {
    let mut bench = Bench::new();
    check(
        &mut bench,
        &[
            ("SHUTDOWN FOO", "-ERR syntax error"),
            ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
            ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
            ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
            ("MONITOR", "+OK"),
        ],
    );
    assert!(matches!(
        bench.outcome,
        Some(Outcome::Ask(ShardAction::Monitor))
    ));
    bench.session.monitoring = true;
    assert_eq!(bench.line("MONITOR"), "");
    assert_eq!(bench.line("SHUTDOWN NOSAVE FORCE"), "");
    assert!(matches!(
        bench.outcome,
        Some(Outcome::Ask(ShardAction::Save(Save::End(EndOptions {
            save: Some(false),
            now: false,
            force: true,
        }))))
    ));
}

#[test]
fn categories_follow_from_the_rows() {
    let table = commands();
    for row in table.rows() {
        for category in row.command.categories {
            assert!(
                CATEGORIES.contains(category),
                "{}: {category}",
                row.full_name
            );
        }
        let command = row.command;
        assert_ne!(command.has_category("fast"), command.has_category("slow"));
    }
    let names = |name: &str| {
        let row = table.find(name.as_bytes());
        let names = row.map(|row| row.command.category_names().collect::<Vec<_>>());
        names.unwrap_or_default().join(" ")
    };
    assert_eq!(names("blpop"), "write list slow blocking");
    assert_eq!(names("role"), "admin fast dangerous");
    let mut bench = Bench::new();
    check(
        &mut bench,
        &[
            (
                "ACL CAT transaction",
                "*5 $5 multi $4 exec $7 discard $5 watch $7 unwatch",
            ),
            ("ACL CAT foo", "-ERR Unknown category 'foo'"),
            ("ACL WHOAMI", "$7 default"),
            ("ACL USERS", "*1 $7 default"),
            (
                "ACL LIST",
                "*1 $51 user default on nopass sanitize-payload ~* &* +@all",
            ),
            ("ACL GETUSER foo", "$-1"),
            ("ACL DRYRUN default PING", "+OK"),
            ("ACL DRYRUN foo PING", "-ERR User 'foo' not found"),
            ("ACL DRYRUN default foo", "-ERR Command 'foo' not found"),
        ],
    );
}

#[test]
fn passwords_have_the_length_asked_for() {
    let mut bench = Bench::new();
    assert!(bench.line("ACL GENPASS").starts_with("$64 "));
    assert!(bench.line("ACL GENPASS 5").starts_with("$2 "));
    assert!(bench.line("ACL GENPASS 4096").starts_with("$1024 "));
    assert!(
        bench
            .line("ACL GENPASS 4097")
            .starts_with("-ERR ACL GENPASS argument")
    );
    assert_ne!(bench.line("ACL GENPASS"), bench.line("ACL GENPASS"));
}

#[test]
fn the_slow_log_is_a_ring_with_rising_numbers() {
    let mut bench = Bench::new();
    let request = Request::from_arguments([b"get".as_slice(), b"k"]);
    for second in 0..3 {
        let entry = SlowEntry {
            id: 0,
            at_s: second,
            duration_us: 7,
            arguments: cut(request.args().iter()),
            address: "1.2.3.4:5".into(),
            name: "n".into(),
        };
        bench.shared.observations.slowlog.add(entry, 2);
    }
    check(
        &mut bench,
        &[
            ("SLOWLOG LEN", ":2"),
            (
                "SLOWLOG GET 1",
                "*1 *6 :2 :2 :7 *2 $3 get $1 k $9 1.2.3.4:5 $1 n",
            ),
            ("SLOWLOG GET 0", "*0"),
            (
                "SLOWLOG GET -2",
                "-ERR count should be greater than or equal to -1",
            ),
            ("SLOWLOG RESET", "+OK"),
            ("SLOWLOG GET", "*0"),
        ],
    );
}

#[test]
fn long_requests_are_cut_in_the_slow_log() {
    let long = [b'x'; 130];
    let words: Vec<&[u8]> = std::iter::once(long.as_slice())
        .chain(std::iter::repeat_n(b"a".as_slice(), 39))
        .collect();
    let kept = cut(Request::from_arguments(words).args().iter());
    assert_eq!(kept.len(), 32);
    assert!(kept[0].ends_with(b"xx... (2 more bytes)"));
    assert_eq!(kept[31], "... (9 more arguments)");
}

#[test]
fn latency_events_and_histograms() {
    let mut bench = Bench::with_shards(2);
    let observations = &bench.shared.observations;
    observations.latency.note("command", 100_000, 30_000_000, 1);
    observations.latency.note("command", 101_000, 20_000_000, 1);
    let ping = commands().find(b"ping").map_or(0, |row| row.id);
    for shard in &observations.shards {
        let counters = &shard.commands[usize::from(ping)];
        counters.latency.get_or_init(Box::default).record(1500);
    }
    check(
        &mut bench,
        &[
            ("LATENCY LATEST", "*1 *4 $7 command :101 :20 :30"),
            ("LATENCY HISTORY command", "*2 *2 :100 :30 *2 :101 :20"),
            ("LATENCY HISTORY foo", "*0"),
            (
                "LATENCY GRAPH foo",
                "-ERR No samples available for event 'foo'",
            ),
            (
                "LATENCY HISTOGRAM foo PING",
                "*2 $4 ping *4 $5 calls :2 $14 histogram_usec *2 :2 :2",
            ),
            ("LATENCY RESET foo command", ":1"),
            ("LATENCY RESET", ":0"),
        ],
    );
}

#[test]
fn memory_of_keys() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("MEMORY USAGE k"), "$-1");
    bench.line("RPUSH k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let before = bench.line("MEMORY USAGE k SAMPLES 0");
    assert!(before.starts_with(':'));
    assert_eq!(bench.line("MEMORY USAGE k SAMPLES"), "-ERR syntax error");
    assert_eq!(bench.line("MEMORY USAGE k SAMPLES -1"), "-ERR syntax error");
    assert_eq!(bench.line("MEMORY USAGE k FOO 1"), "-ERR syntax error");
    assert_eq!(bench.line("MEMORY PURGE"), "+OK");
    assert!(bench.line("MEMORY STATS").contains("keys.count"));
}
