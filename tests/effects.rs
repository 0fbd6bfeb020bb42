//! What writes report to the log is what they did: replayed on an empty server, the effects give the same state.
//!
//! ```text
//! writers · blocked clients · expiry ──► server, DEBUG EFFECTS ON ──► effects ──► empty server
//!                                            └── canonical state ──── = ? ── canonical state ──┘
//! ```
//! The comparison is itself under test: with the effect of any one write command left out, it must notice.
//!
//! Environment, besides that of `support`: `MILLRACE_SEED` (default 1), `MILLRACE_STEPS`: commands of each writer (default 3,000).
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "effects/state.rs"]
mod state;
mod support;
#[path = "effects/writer.rs"]
mod writer;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use state::{Canonical, canonical, first_difference};
use support::random::number_from_environment;
use support::server::info_field;
use support::{Client, Frame, Server, for_each_shard_count};

/// Databases that are looked at.
const DATABASES: usize = 4;

/// Takes the recorded effects: database and command.
fn take_effects(control: &mut Client) -> Vec<(i64, Vec<Vec<u8>>)> {
    let recorded = control.run("DEBUG EFFECTS GET");
    let command = |words: &Frame| -> Vec<Vec<u8>> {
        words
            .items()
            .iter()
            .map(|word| word.bytes().to_vec())
            .collect()
    };
    recorded
        .items()
        .iter()
        .map(|effect| (effect.items()[0].integer(), command(&effect.items()[1])))
        .collect()
}

/// Sends effects to a server, which must take every one of them; gives the state that results.
fn replayed(target: &mut Client, effects: &[(i64, Vec<Vec<u8>>)]) -> Canonical {
    assert_eq!(target.run("SELECT 0").to_string(), "+OK");
    target.run("DEBUG EFFECTS REPLAY ON");
    target.run("FLUSHALL");
    let mut db = 0;
    for (effect_db, words) in effects {
        if *effect_db != db {
            db = *effect_db;
            target.call(&["SELECT", &db.to_string()]);
        }
        let reply = target.call(words);
        assert!(
            !reply.is_error(),
            "the effect {} is refused: {reply}",
            support::frame::printable_command(words)
        );
    }
    target.run("DEBUG EFFECTS REPLAY OFF");
    canonical(target, DATABASES)
}

/// Full names of the commands that write, by COMMAND.
fn write_commands(control: &mut Client) -> BTreeSet<String> {
    fn collect(rows: &Frame, names: &mut BTreeSet<String>) {
        for row in rows.items() {
            let items = row.items();
            let subcommands = items.get(9).map_or(&[][..], Frame::items);
            let writes = items[2].items().iter().any(|flag| flag.text() == "write");
            if writes && subcommands.is_empty() {
                names.insert(items[0].text());
            }
            collect(items.get(9).unwrap_or(&Frame::NullArray), names);
        }
    }
    let mut names = BTreeSet::new();
    collect(&control.run("COMMAND"), &mut names);
    names
}

#[test]
fn effects_replayed_on_an_empty_server_give_the_same_state() {
    let seed = number_from_environment("MILLRACE_SEED", 1);
    let steps = number_from_environment("MILLRACE_STEPS", 3_000);
    for_each_shard_count(|server| {
        let mut control = server.connect();
        control.run("DEBUG EFFECTS ON");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let blocked: Vec<_> = (0..3)
                .map(|at| {
                    let (client, stop) = (server.connect(), &stop);
                    scope.spawn(move || writer::block(client, seed ^ (100 + at), stop))
                })
                .collect();
            let writers: Vec<_> = (0..3)
                .map(|at| {
                    let client = server.connect();
                    scope
                        .spawn(move || writer::write(client, server.port(), seed ^ (7 * at), steps))
                })
                .collect();
            writers
                .into_iter()
                .for_each(|writer| writer.join().unwrap());
            stop.store(true, Ordering::Release);
            blocked
                .into_iter()
                .for_each(|client| client.join().unwrap());
        });
        // What expires soon has expired; what does not lives for hours.
        state::until_expired(&mut control, DATABASES);
        let original = canonical(&mut control, DATABASES);
        let effects = take_effects(&mut control);
        assert!(original.len() > 10, "keys must be left: {}", original.len());

        let stats = control.run("INFO commandstats").text();
        for name in write_commands(&mut control) {
            if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(other, _)| *other == name) {
                assert!(!reason.is_empty());
                continue;
            }
            let line = info_field(&stats, &format!("cmdstat_{name}"))
                .unwrap_or_else(|| panic!("{name} writes and was not sent"));
            let count = |field: &str| -> u64 {
                let text = line.split(',').find_map(|part| part.strip_prefix(field));
                text.unwrap().parse().unwrap()
            };
            assert!(
                count("calls=") > count("failed_calls="),
                "{name} never succeeded: {line}"
            );
        }
        for shards in [1, 3] {
            let target = Server::millrace(shards);
            let copy = replayed(&mut target.connect(), &effects);
            let difference = first_difference(&original, &copy);
            assert_eq!(
                difference, None,
                "{} replayed on {shards} shards; MILLRACE_SEED={seed}",
                server.name
            );
        }
    });
}

/// Write commands whose call changes no key, and why.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("function|delete", "of libraries, not of keys"),
    ("function|flush", "of libraries, not of keys"),
    ("function|load", "of libraries, not of keys"),
    ("function|restore", "of libraries, not of keys"),
];

const PLACES: &str = "GEOADD p 1 1 a 2 2 b";
const GROUP: &str = "XADD s 1-1 f v;XADD s 2-2 f w;XGROUP CREATE s g 0";
const READ: &str =
    "XADD s 1-1 f v;XADD s 2-2 f w;XGROUP CREATE s g 0;XREADGROUP GROUP g c COUNT 1 STREAMS s >";

/// Full name, what is there before, the command.
const SCENARIOS: &[(&str, &str, &str)] = &[
    ("append", "SET k a", "APPEND k b"),
    ("bitfield", "SET k a", "BITFIELD k SET u8 8 7"),
    ("bitop", "SET k a", "BITOP NOT m k"),
    ("blmove", "RPUSH l a b", "BLMOVE l m LEFT RIGHT 1"),
    (
        "blmovem",
        "RPUSH l a b c",
        "BLMOVEM l m RIGHT RIGHT 1 EXACTLY 2 OBO",
    ),
    ("blmpop", "RPUSH l a b", "BLMPOP 1 1 l LEFT"),
    ("blpop", "RPUSH l a b", "BLPOP l 1"),
    ("brpop", "RPUSH l a b", "BRPOP l 1"),
    ("brpoplpush", "RPUSH l a b", "BRPOPLPUSH l m 1"),
    ("copy", "SET k a", "COPY k m"),
    ("decr", "SET k 5", "DECR k"),
    ("decrby", "SET k 5", "DECRBY k 3"),
    ("del", "SET k a", "DEL k"),
    ("expire", "SET k a", "EXPIRE k 5000"),
    ("expireat", "SET k a", "EXPIREAT k 4000000000"),
    ("flushall", "SET k a", "FLUSHALL"),
    ("flushdb", "SET k a", "FLUSHDB"),
    ("getdel", "SET k a", "GETDEL k"),
    ("getex", "SET k a", "GETEX k EX 5000"),
    ("getset", "SET k a", "GETSET k b"),
    ("incr", "SET k 5", "INCR k"),
    ("incrby", "SET k 5", "INCRBY k 3"),
    ("incrbyfloat", "SET k 5", "INCRBYFLOAT k 0.5"),
    ("linsert", "RPUSH l a b", "LINSERT l BEFORE b x"),
    ("lmove", "RPUSH l a b", "LMOVE l m LEFT LEFT"),
    (
        "lmovem",
        "RPUSH l a b c",
        "LMOVEM l m LEFT LEFT COUNT 2 BULK",
    ),
    ("lmpop", "RPUSH l a b", "LMPOP 1 l RIGHT"),
    ("lpop", "RPUSH l a b", "LPOP l"),
    ("lpush", "RPUSH l a b", "LPUSH l x"),
    ("lpushx", "RPUSH l a b", "LPUSHX l x"),
    ("lrem", "RPUSH l a b", "LREM l 0 a"),
    ("lset", "RPUSH l a b", "LSET l 0 x"),
    ("ltrim", "RPUSH l a b", "LTRIM l 1 -1"),
    (
        "migrate",
        "SET k a",
        // To itself: the test puts in the port.
        "MIGRATE 127.0.0.1 PORT k 1 5000",
    ),
    ("move", "SET k a", "MOVE k 1"),
    ("mset", "SET k a", "MSET k b m c"),
    ("msetnx", "SET k a", "MSETNX m b n c"),
    ("persist", "SET k a EX 5000", "PERSIST k"),
    ("pexpire", "SET k a", "PEXPIRE k 5000000"),
    ("pexpireat", "SET k a", "PEXPIREAT k 4000000000000"),
    ("pfadd", "PFADD k a", "PFADD k b"),
    (
        "restore",
        "SET k a",
        "RESTORE k 0 \x00\x03icu\x08\x00mWel;VR[ REPLACE",
    ),
    (
        "restore-asking",
        "SET k a",
        "RESTORE-ASKING k 0 \x00\x03icu\x08\x00mWel;VR[ REPLACE",
    ),
    ("pfdebug", "PFADD k a", "PFDEBUG TODENSE k"),
    ("pfmerge", "PFADD k a", "PFMERGE m k"),
    ("psetex", "SET k a", "PSETEX k 5000000 b"),
    ("rename", "SET k a", "RENAME k m"),
    ("renamenx", "SET k a", "RENAMENX k m"),
    ("rpop", "RPUSH l a b", "RPOP l 1"),
    ("rpoplpush", "RPUSH l a b", "RPOPLPUSH l m"),
    ("rpush", "RPUSH l a b", "RPUSH l x"),
    ("rpushx", "RPUSH l a b", "RPUSHX l x"),
    ("set", "SET k a", "SET k b KEEPTTL"),
    ("setbit", "SET k a", "SETBIT k 9 1"),
    ("setex", "SET k a", "SETEX k 5000 b"),
    ("setnx", "SET k a", "SETNX m b"),
    ("setrange", "SET k a", "SETRANGE k 2 b"),
    ("swapdb", "SET k a", "SWAPDB 0 1"),
    ("unlink", "SET k a", "UNLINK k"),
    ("xack", READ, "XACK s g 1-1"),
    ("xackdel", READ, "XACKDEL s g IDS 1 1-1"),
    ("xadd", GROUP, "XADD s * f x"),
    ("xautoclaim", READ, "XAUTOCLAIM s g d 0 0"),
    ("xcfgset", GROUP, "XCFGSET s IDMP-MAXSIZE 7"),
    ("xclaim", READ, "XCLAIM s g d 0 1-1"),
    ("xdel", GROUP, "XDEL s 2-2"),
    ("xdelex", READ, "XDELEX s DELREF IDS 1 1-1"),
    ("xgroup|create", GROUP, "XGROUP CREATE s h $ ENTRIESREAD 2"),
    (
        "xgroup|createconsumer",
        GROUP,
        "XGROUP CREATECONSUMER s g c",
    ),
    ("xgroup|delconsumer", READ, "XGROUP DELCONSUMER s g c"),
    ("xgroup|destroy", GROUP, "XGROUP DESTROY s g"),
    ("xgroup|setid", GROUP, "XGROUP SETID s g 1-1"),
    ("xidmprecord", GROUP, "XIDMPRECORD s producer message 1-1"),
    (
        "xreadgroup",
        GROUP,
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
    ),
    ("xnack", READ, "XNACK s g FAIL IDS 1 1-1"),
    (
        "xsetid",
        GROUP,
        "XSETID s 9-9 ENTRIESADDED 7 MAXDELETEDID 1-1",
    ),
    ("xtrim", GROUP, "XTRIM s MAXLEN 1"),
    ("bzmove", "ZADD z 1 a 2 b", "BZMOVE z y MAX 1 COUNT 2"),
    ("bzmpop", "ZADD z 1 a 2 b", "BZMPOP 1 1 z MIN"),
    ("bzpopmax", "ZADD z 1 a 2 b", "BZPOPMAX z 1"),
    ("bzpopmin", "ZADD z 1 a 2 b", "BZPOPMIN z 1"),
    ("geoadd", "GEOADD p 1 1 a", "GEOADD p 2 2 b"),
    ("georadius", PLACES, "GEORADIUS p 1 1 9 km STORE d"),
    (
        "georadiusbymember",
        PLACES,
        "GEORADIUSBYMEMBER p a 9 km STOREDIST d",
    ),
    (
        "geosearchstore",
        PLACES,
        "GEOSEARCHSTORE d p FROMMEMBER a BYRADIUS 9 km",
    ),
    ("delex", "SET s a", "DELEX s IFEQ a"),
    ("msetex", "SET s a", "MSETEX 2 s b t c EX 5000"),
    ("hdel", "HSET h a 1 b 2", "HDEL h a"),
    ("hgetdel", "HSET h a 1 b 2", "HGETDEL h FIELDS 1 a"),
    ("hgetex", "HSET h a 1", "HGETEX h EX 5000 FIELDS 1 a"),
    ("hsetex", "HSET h a 1", "HSETEX h EX 5000 FIELDS 1 a 2"),
    ("hexpire", "HSET h a 1", "HEXPIRE h 5000 FIELDS 1 a"),
    (
        "hexpireat",
        "HSET h a 1",
        "HEXPIREAT h 4000000000 FIELDS 1 a",
    ),
    ("hincrby", "HSET h a 1", "HINCRBY h a 1"),
    ("hincrbyfloat", "HSET h a 1", "HINCRBYFLOAT h a 0.5"),
    ("hmset", "HSET h a 1", "HMSET h a 2"),
    (
        "hpersist",
        "HSET h a 1;HEXPIRE h 5000 FIELDS 1 a",
        "HPERSIST h FIELDS 1 a",
    ),
    ("hpexpire", "HSET h a 1", "HPEXPIRE h 5000000 FIELDS 1 a"),
    (
        "hpexpireat",
        "HSET h a 1",
        "HPEXPIREAT h 4000000000000 FIELDS 1 a",
    ),
    ("hset", "HSET h a 1", "HSET h a 2"),
    ("hsetnx", "HSET h a 1", "HSETNX h b 2"),
    ("sadd", "SADD s a", "SADD s b"),
    ("saddex", "SADD s a", "SADDEX s EX 5000 MEMBERS 2 a b"),
    ("sdiffstore", "SADD s a b;SADD t b", "SDIFFSTORE d s t"),
    ("sexpire", "SADD s a", "SEXPIRE s 5000 MEMBERS 1 a"),
    (
        "sexpireat",
        "SADD s a",
        "SEXPIREAT s 4000000000 MEMBERS 1 a",
    ),
    ("sinterstore", "SADD s a b;SADD t b", "SINTERSTORE d s t"),
    ("smove", "SADD s a b", "SMOVE s t a"),
    ("sort", "RPUSH l 2 1", "SORT l STORE m"),
    (
        "spersist",
        "SADD s a;SEXPIRE s 5000 MEMBERS 1 a",
        "SPERSIST s MEMBERS 1 a",
    ),
    ("spexpire", "SADD s a", "SPEXPIRE s 5000000 MEMBERS 1 a"),
    (
        "spexpireat",
        "SADD s a",
        "SPEXPIREAT s 4000000000000 MEMBERS 1 a",
    ),
    ("spop", "SADD s a b", "SPOP s"),
    ("srem", "SADD s a b", "SREM s a"),
    ("sunionstore", "SADD s a b;SADD t c", "SUNIONSTORE d s t"),
    ("zadd", "ZADD z 1 a", "ZADD z 2 b"),
    (
        "zdiffstore",
        "ZADD z 1 a 2 b;ZADD y 1 a",
        "ZDIFFSTORE d 2 z y",
    ),
    ("zincrby", "ZADD z 1 a", "ZINCRBY z 1 a"),
    (
        "zinterstore",
        "ZADD z 1 a 2 b;ZADD y 1 a",
        "ZINTERSTORE d 2 z y",
    ),
    ("zmove", "ZADD z 1 a 2 b", "ZMOVE z y BYSCORE 1 (2"),
    (
        "zmovemember",
        "ZADD z 1 a 2 b;ZADD y 3 a",
        "ZMOVEMEMBER z y XX MEMBERS 2 b a",
    ),
    ("zmpop", "ZADD z 1 a 2 b", "ZMPOP 1 z MIN"),
    ("zpopmax", "ZADD z 1 a 2 b", "ZPOPMAX z"),
    ("zpopmin", "ZADD z 1 a 2 b", "ZPOPMIN z"),
    ("zrangestore", "ZADD z 1 a 2 b", "ZRANGESTORE d z 0 0"),
    ("zrem", "ZADD z 1 a 2 b", "ZREM z a"),
    ("zremrangebylex", "ZADD z 1 a 1 b", "ZREMRANGEBYLEX z [a [a"),
    ("zremrangebyrank", "ZADD z 1 a 2 b", "ZREMRANGEBYRANK z 0 0"),
    (
        "zremrangebyscore",
        "ZADD z 1 a 2 b",
        "ZREMRANGEBYSCORE z 1 1",
    ),
    (
        "zunionstore",
        "ZADD z 1 a;ZADD y 1 b",
        "ZUNIONSTORE d 2 z y",
    ),
];

#[test]
fn the_comparison_notices_when_the_effect_of_any_one_write_command_is_missing() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        let target = Server::millrace(1);
        let mut target = target.connect();
        let named: BTreeSet<String> = SCENARIOS
            .iter()
            .map(|(name, ..)| *name)
            .chain(WITHOUT_EFFECT.iter().map(|(name, _)| *name))
            .map(str::to_owned)
            .collect();
        assert_eq!(named, write_commands(&mut control), "a scenario for each");
        for (name, before, command) in SCENARIOS {
            for suppressed in [false, true] {
                control.run("FLUSHALL");
                control.run("DEBUG EFFECTS ON");
                for line in before.split(';') {
                    assert!(!control.run(line).is_error(), "{line}");
                }
                if suppressed {
                    control.call(&["DEBUG", "EFFECTS", "SUPPRESS", name]);
                }
                let command = command.replace("PORT", &server.port().to_string());
                let reply = control.run(&command);
                assert!(!reply.is_error(), "{command}: {reply}");
                control.call(&["DEBUG", "EFFECTS", "SUPPRESS", ""]);
                let original = canonical(&mut control, DATABASES);
                let effects = take_effects(&mut control);
                let difference = first_difference(&original, &replayed(&mut target, &effects));
                assert_eq!(
                    difference.is_some(),
                    suppressed,
                    "{command} on {}, its effect {}: {effects:?}\n{difference:?}",
                    server.name,
                    if suppressed { "left out" } else { "there" }
                );
            }
        }
    });
}

#[test]
fn rebuilding_every_key_from_its_effects_changes_nothing() {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        for (before, command) in [
            ("PING", "DEBUG RELOAD"),
            // In memory, as there is no log; then through its files: a base, and what was written behind it.
            ("PING", "DEBUG LOADAOF"),
            (
                "CONFIG SET appendfsync always appendonly yes",
                "DEBUG LOADAOF",
            ),
        ] {
            control.run(before);
            writer::write(server.connect(), server.port(), 3, 2_000);
            state::until_expired(&mut control, DATABASES);
            let before = state::rewritten(canonical(&mut control, DATABASES));
            assert!(before.len() > 10);
            assert_eq!(control.run(command).to_string(), "+OK");
            let after = state::rewritten(canonical(&mut control, DATABASES));
            assert_eq!(
                first_difference(&before, &after),
                None,
                "{command} on {}",
                server.name
            );
        }
    });
}
