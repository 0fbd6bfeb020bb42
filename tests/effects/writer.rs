//! Random writes on one connection: every command that writes, single and in MULTI, in four databases.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Client, Random};

const STRINGS: &[&str] = &["s1", "s2", "s3", "s4", "{h}s"];
const LISTS: &[&str] = &["l1", "l2", "l3", "{h}l"];
const SETS: &[&str] = &["t1", "t2", "t3", "{h}t"];
const HASHES: &[&str] = &["h1", "h2", "{h}h"];
const SORTED_SETS: &[&str] = &["z1", "z2", "z3", "{h}z"];
const STREAMS: &[&str] = &["x1", "x2", "{h}x"];
const PLACES: &[&str] = &["e1", "{h}e"];
const SKETCHES: &[&str] = &["p1", "p2", "{h}p"];
const ANY: &[&str] = &[
    "s1", "s2", "s3", "l1", "l2", "{h}l", "t1", "{h}t", "h1", "{h}h", "z1", "{h}z", "x1", "x2",
    "{h}x", "p1", "{h}p",
];
const CONSUMERS: &[&str] = &["a", "b", "c"];

/// Sends `steps` commands; errors (a wrong type, a missing group) are part of it.
pub(crate) fn write(mut client: Client, port: u16, seed: u64, steps: u64) {
    let mut random = Random::new(seed);
    let mut value = 0;
    // So rare among the others that a seed may have none.
    client.run("FLUSHALL");
    client.run("FLUSHDB");
    for _ in 0..steps {
        if random.percent(5) {
            client.run("MULTI");
            for _ in 0..=random.below(5) {
                let line = line(&mut random, &mut value);
                client.run(&line);
            }
            client.run(if random.percent(90) {
                "EXEC"
            } else {
                "DISCARD"
            });
        } else if random.percent(10) {
            on_entries(&mut client, &mut random);
        } else if random.percent(4) {
            copy_by_payload(&mut client, &mut random);
        } else if random.percent(1) {
            // To another database of the same server.
            let (key, other) = (random.pick(ANY), random.pick(ANY));
            let (db, replace) = (random.below(3), random.pick(&["", "COPY ", "REPLACE "]));
            client.call(
                format!("MIGRATE 127.0.0.1 {port} - {db} 5000 {replace}KEYS {key} {other}")
                    .split(' ')
                    .map(|word| if word == "-" { "" } else { word })
                    .collect::<Vec<_>>()
                    .as_slice(),
            );
        } else {
            let line = line(&mut random, &mut value);
            client.run(&line);
        }
    }
}

/// Blocks again and again until told to stop.
pub(crate) fn block(mut client: Client, seed: u64, stop: &AtomicBool) {
    let mut random = Random::new(seed);
    while !stop.load(Ordering::Acquire) {
        let (key, other) = (random.pick(LISTS), random.pick(LISTS));
        let sorted = [(); 2].map(|()| random.pick(SORTED_SETS));
        let line = match random.below(8) {
            0 => format!("BLPOP {key} {other} 0.02"),
            1 => format!("BRPOP {key} {other} 0.02"),
            2 => format!("BLMOVE {key} {other} LEFT RIGHT 0.02"),
            3 => format!("BRPOPLPUSH {key} {other} 0.02"),
            4 if random.percent(50) => {
                format!("BLMOVEM {key} {other} LEFT LEFT 0.02 EXACTLY 3 OBO")
            }
            4 => format!("BLMPOP 0.02 2 {key} {other} RIGHT COUNT 2"),
            5 => format!("BZMOVE {} {} MIN 0.02 COUNT 2", sorted[0], sorted[1]),
            6 => format!(
                "XREADGROUP GROUP g {} COUNT 2 MAXCOUNT 3 BLOCK 20 CLAIM 5 STREAMS {} {} > >",
                random.pick(CONSUMERS),
                random.pick(STREAMS),
                random.pick(STREAMS)
            ),
            _ => format!(
                "XREADGROUP GROUP g {} COUNT 2 BLOCK 20 STREAMS {} >",
                random.pick(CONSUMERS),
                random.pick(STREAMS)
            ),
        };
        client.run(&line);
    }
}

/// Gives a key the value of another of the same type by DUMP and RESTORE.
fn copy_by_payload(client: &mut Client, random: &mut Random) {
    let names = random.pick(&[STRINGS, LISTS, SETS, HASHES, SORTED_SETS, STREAMS]);
    let (from, to) = (random.pick(names), random.pick(names));
    let payload = client.run(&format!("DUMP {from}"));
    if payload.is_null() {
        return;
    }
    let command = random.pick(&["RESTORE", "RESTORE-ASKING"]);
    let ttl = random.pick(&["0", "25", "5000000", "4000000000000"]);
    let mut words = vec![command.as_bytes(), to.as_bytes(), ttl.as_bytes()];
    words.push(payload.bytes());
    words.push(random.pick(&[b"REPLACE".as_slice(), b"replace"]));
    if ttl.len() > 8 {
        words.push(b"ABSTTL");
    }
    client.call(&words);
}

/// Commands that name entries which exist: pending ones or any.
fn on_entries(client: &mut Client, random: &mut Random) {
    let (key, consumer) = (random.pick(STREAMS), random.pick(CONSUMERS));
    let found = if random.percent(60) {
        client.run(&format!("XPENDING {key} g - + 4"))
    } else {
        client.run(&format!("XRANGE {key} - + COUNT 4"))
    };
    let ids: Vec<String> = found
        .items()
        .iter()
        .filter_map(|entry| entry.items().first())
        .map(crate::support::Frame::text)
        .collect();
    if ids.is_empty() {
        return;
    }
    let (first, count, ids) = (ids[0].clone(), ids.len(), ids.join(" "));
    let policy = random.pick(&["KEEPREF", "DELREF", "ACKED"]);
    let mode = random.pick(&["SILENT", "FAIL", "FATAL"]);
    let line = match random.below(13) {
        0 => format!("XACK {key} g {ids}"),
        1 => format!("XCLAIM {key} g {consumer} 0 {ids}"),
        2 => format!(
            "XCLAIM {key} g {consumer} 0 {ids} IDLE 1000 RETRYCOUNT 7 FORCE JUSTID LASTID 5-5"
        ),
        3 => format!("XCLAIM {key} g {consumer} 0 {ids} TIME 1700000000000 FORCE"),
        4 => format!("XDEL {key} {ids}"),
        5 => format!("XDELEX {key} {policy} IDS {count} {ids}"),
        6 | 7 => format!("XACKDEL {key} g IDS {count} {ids} {policy}"),
        8 => format!(
            "XIDMPRECORD {key} {consumer} message{} {first}",
            random.below(90)
        ),
        9 => format!("XNACK {key} g {mode} IDS {count} {ids}"),
        10 => format!("XNACK {key} g {mode} FORCE IDS {count} {ids}"),
        11 => format!("XNACK {key} g {mode} IDS {count} {ids} RETRYCOUNT 4"),
        _ => format!("XAUTOCLAIM {key} g {consumer} 0 0 COUNT 3"),
    };
    client.run(&line);
}

fn line(random: &mut Random, value: &mut u64) -> String {
    *value += 1;
    match random.below(100) {
        0..20 => on_a_list(random, *value),
        20..26 => on_a_set(random),
        26..34 => on_a_sorted_set(random),
        34..48 => on_a_stream(random, *value),
        48..55 => on_a_hash(random, *value),
        55..73 => on_a_string(random, *value),
        73..79 => on_bits(random, *value),
        79..82 => on_places(random),
        _ => on_any_key(random),
    }
}

fn on_a_list(random: &mut Random, value: u64) -> String {
    let (key, other) = (random.pick(LISTS), random.pick(LISTS));
    let (side, far) = (
        random.pick(&["LEFT", "RIGHT"]),
        random.pick(&["LEFT", "RIGHT"]),
    );
    // Now and then enough bytes for the large encoding.
    let long = "x".repeat(if random.percent(8) { 3_000 } else { 1 });
    match random.below(20) {
        0..3 => format!("LPUSH {key} v{value} {long}"),
        3..6 => format!("RPUSH {key} v{value} w{value} {long}"),
        6 => format!("LPUSHX {key} v{value}"),
        7 => format!("RPUSHX {key} v{value}"),
        8 => format!("LPOP {key} {}", random.below(3)),
        9 => format!("RPOP {key}"),
        10 if random.percent(50) => format!(
            "LMOVEM {key} {other} {side} {far} {} {} {}",
            random.pick(&["COUNT", "EXACTLY"]),
            random.range(1, 5),
            random.pick(&["OBO", "BULK"])
        ),
        10 => format!("LMOVE {key} {other} {side} {far}"),
        11 => format!("RPOPLPUSH {key} {other}"),
        12 => format!("LMPOP 2 {key} {other} {side} COUNT 2"),
        13 => format!("LREM {key} {} x", random.range(0, 4) - 2),
        14 => format!("LSET {key} 0 v{value}"),
        15 => format!("LTRIM {key} 1 -{}", random.range(1, 3)),
        16 => format!(
            "LINSERT {key} {} x i{value}",
            random.pick(&["BEFORE", "AFTER"])
        ),
        17 => format!("BLPOP {key} 0.001"),
        18 if random.percent(50) => format!("SORT {key} ALPHA LIMIT 0 5 STORE {other}"),
        18 => format!("BLMPOP 0.001 1 {key} {side} COUNT 2"),
        _ if random.percent(50) => {
            format!("BLMOVEM {key} {other} {side} {far} 0.001 COUNT 3 OBO")
        }
        _ => format!("BLMOVE {key} {other} {side} {far} 0.001"),
    }
}

fn on_a_set(random: &mut Random) -> String {
    let (key, other, third) = (random.pick(SETS), random.pick(SETS), random.pick(SETS));
    let (member, number) = (random.pick(&["a", "b", "c"]), random.below(30));
    // Now and then a member that makes the set large.
    let long = "x".repeat(if random.percent(4) { 100 } else { 1 });
    match random.below(23) {
        0..3 => format!("SADD {key} {number} {}", random.below(30)),
        3 => format!("SADD {key} {number} {member} {long}"),
        4 | 5 => format!("SREM {key} {number} {member} x"),
        6 => format!("SPOP {key}"),
        7 => format!("SPOP {key} {}", random.pick(&["0", "2", "1000"])),
        8 => format!("SMOVE {key} {other} {number}"),
        9 => format!("SMOVE {key} {other} {member}"),
        10 => format!("SUNIONSTORE {key} {other} {third}"),
        11 => format!("SDIFFSTORE {key} {other} {third}"),
        12 => format!("SINTERSTORE {key} {other} {third}"),
        13 => format!("SINTERSTORE {key} {other}"),
        14 => format!("SADDEX {key} EX 5000 MEMBERS 2 {number} {member}"),
        15 => format!("SADDEX {key} MEMBERS 2 {number} {member}"),
        16 => format!("SADDEX {key} MXX KEEPTTL MEMBERS 1 {number}"),
        17 => format!("SEXPIRE {key} 5000 MEMBERS 1 {number}"),
        18 => format!("SPEXPIRE {key} 5000000 NX MEMBERS 2 {number} {member}"),
        19 => format!("SEXPIREAT {key} 4000000000 MEMBERS 1 {number}"),
        20 => format!("SPEXPIREAT {key} 4000000000000 GT MEMBERS 1 {member}"),
        21 => format!("SEXPIRE {key} 0 MEMBERS 1 {number}"),
        _ => format!("SPERSIST {key} MEMBERS 2 {number} {member}"),
    }
}

fn on_a_hash(random: &mut Random, value: u64) -> String {
    let (key, field, other) = (random.pick(HASHES), random.below(12), random.below(12));
    // Now and then a value that makes the hash large.
    let long = "x".repeat(if random.percent(4) { 100 } else { 1 });
    match random.below(24) {
        20 => format!("HSETEX {key} FNX EX 5000 FIELDS 2 {field} {value} {other} {long}"),
        21 => format!("HSETEX {key} KEEPTTL FIELDS 1 {field} {value}"),
        22 => format!(
            "HGETEX {key} {} FIELDS 2 {field} {other}",
            random.pick(&["EX 6000", "PERSIST", "PXAT 1"])
        ),
        23 => format!("HGETDEL {key} FIELDS 2 {field} {other}"),
        12 => format!("HEXPIRE {key} 5000 FIELDS 1 {field}"),
        13 => format!("HPEXPIRE {key} 5000000 NX FIELDS 2 {field} {other}"),
        14 => format!("HEXPIREAT {key} 4000000000 FIELDS 1 {field}"),
        15 => format!("HPEXPIREAT {key} 4000000000000 GT FIELDS 1 {field}"),
        16 | 17 => format!("HPERSIST {key} FIELDS 2 {field} {other}"),
        18 => format!("HEXPIRE {key} 0 FIELDS 1 {field}"),
        19 => format!("HSET {key} {field} {value}"),
        0..4 => format!("HSET {key} {field} {value} {other} {long}"),
        4 => format!("HMSET {key} {field} {value}"),
        5 => format!("HSETNX {key} {field} {value}"),
        6 => format!("HINCRBY {key} {field} {other}"),
        7 => format!("HINCRBYFLOAT {key} {field} 0.25"),
        8..10 => format!("HDEL {key} {field} {other}"),
        10 => format!("HDEL {key} 0 1 2 3 4 5 6 7 8 9 10 11"),
        _ => format!("HRANDFIELD {key} 3"),
    }
}

fn on_a_sorted_set(random: &mut Random) -> String {
    let [key, other, third] = [(); 3].map(|()| random.pick(SORTED_SETS));
    let (member, number) = (random.pick(&["a", "b", "c"]), random.below(30));
    let score = random.pick(&["1", "2.5", "-3", "1e30", "inf", "-inf", "0.1", "-0"]);
    // Now and then a member that makes the set large.
    let long = "x".repeat(if random.percent(4) { 100 } else { 1 });
    match random.below(25) {
        22 => format!(
            "ZMOVE {key} {other} {} COUNT 3",
            random.pick(&["MIN", "MAX", "BYSCORE -3 (2.5"])
        ),
        23 => format!(
            "ZMOVEMEMBER {key} {other} {}MEMBERS 3 {number} {member} x",
            random.pick(&["", "NX ", "XX "])
        ),
        24 => format!(
            "BZMOVE {key} {other} {} 0.001",
            random.pick(&["MIN", "MAX"])
        ),
        0..4 => format!("ZADD {key} {score} {number} {number} {member} 1.5 {long}"),
        4 => format!(
            "ZADD {key} {} {score} {member}",
            random.pick(&["NX", "XX", "GT", "LT", "GT CH"])
        ),
        5 => format!(
            "ZADD {key} {} {score} {member} {score} {number}",
            random.pick(&["XX GT", "CH", "XX CH"])
        ),
        6 => format!("ZADD {key} INCR {score} {member}"),
        7 => format!("ZINCRBY {key} {score} {number}"),
        8 => format!("ZREM {key} {number} {member} x"),
        9 => format!("ZPOPMIN {key}"),
        10 => format!("ZPOPMAX {key} {}", random.pick(&["0", "2", "1000"])),
        11 => format!("ZMPOP 2 {key} {other} MIN COUNT 2"),
        12 => format!("BZMPOP 0.01 2 {key} {other} MAX COUNT 2"),
        13 => format!(
            "{} {key} {other} 0.01",
            random.pick(&["BZPOPMIN", "BZPOPMAX"])
        ),
        14 => format!("ZREMRANGEBYRANK {key} 1 2"),
        15 => format!("ZREMRANGEBYSCORE {key} {score} ({number}"),
        16 => format!("ZREMRANGEBYLEX {key} [a [b"),
        17 => format!("ZRANGESTORE {key} {other} {score} inf BYSCORE LIMIT 1 4"),
        18 => format!("ZUNIONSTORE {key} 3 {key} {other} {third} WEIGHTS 1 0.1 {score}"),
        19 => format!("ZINTERSTORE {key} 2 {other} {third} AGGREGATE MAX"),
        20 => format!("ZDIFFSTORE {key} 2 {other} {third}"),
        _ => format!("ZUNIONSTORE {key} 2 {other} {}", random.pick(SETS)),
    }
}

fn on_places(random: &mut Random) -> String {
    let (key, other) = (random.pick(PLACES), random.pick(PLACES));
    let [longitude, latitude] = [(); 2].map(|()| random.range(-80, 80));
    let member = random.below(40);
    match random.below(8) {
        0..4 => format!("GEOADD {key} {longitude} {latitude} {member} {latitude}.5 {longitude} m"),
        4 => format!("GEOADD {key} XX CH {longitude} {latitude} {member}"),
        5 => format!(
            "GEOSEARCHSTORE {key} {other} FROMLONLAT {longitude} {latitude} BYBOX 9000 9000 km COUNT 7 {}",
            random.pick(&["", "ANY", "STOREDIST"])
        )
        .trim_end()
        .to_owned(),
        6 => format!("GEORADIUS {key} {longitude} {latitude} 5000 km STORE {other}"),
        _ => format!("GEORADIUSBYMEMBER {key} m 5000 km STOREDIST {other}"),
    }
}

fn on_a_stream(random: &mut Random, value: u64) -> String {
    let (key, consumer) = (random.pick(STREAMS), random.pick(CONSUMERS));
    let policy = random.pick(&["KEEPREF", "DELREF", "ACKED"]);
    match random.below(30) {
        0..6 => format!("XADD {key} * f v{value}"),
        6 => format!("XADD {key} MAXLEN ~ 20 * f v{value}"),
        7 => format!("XADD {key} MAXLEN = 30 * f v{value} g w"),
        8 => format!("XADD {key} NOMKSTREAM MINID ~ 5 LIMIT 10 * f v{value}"),
        9..12 => format!("XREADGROUP GROUP g {consumer} COUNT 3 STREAMS {key} >"),
        12 => match random.below(3) {
            0 => format!("XREADGROUP GROUP g {consumer} COUNT 2 NOACK STREAMS {key} >"),
            1 => format!("XREADGROUP GROUP g {consumer} COUNT 4 CLAIM 3 STREAMS {key} >"),
            _ => format!("XREADGROUP GROUP g {consumer} MAXSIZE 200 CLAIM 0 NOACK STREAMS {key} >"),
        },
        13 => format!("XREADGROUP GROUP g {consumer} STREAMS {key} 0"),
        14 => format!("XAUTOCLAIM {key} g {consumer} 0 - COUNT 2 JUSTID"),
        15 => format!(
            "XGROUP CREATE {key} g {} MKSTREAM",
            random.pick(&["0", "$"])
        ),
        16 => format!("XGROUP CREATE {key} g 0 ENTRIESREAD 3"),
        17 => format!(
            "XGROUP SETID {key} g {} ENTRIESREAD 2",
            random.pick(&["0", "$"])
        ),
        18 => format!("XGROUP CREATECONSUMER {key} g {consumer}"),
        19 => format!("XGROUP DELCONSUMER {key} g {consumer}"),
        20 => match random.below(4) {
            0 => format!("XGROUP DESTROY {key} g"),
            1 => format!("XSETID {key} 9999999999999-0 ENTRIESADDED 999999 MAXDELETEDID 1-1"),
            _ => format!("XTRIM {key} MINID 5"),
        },
        21 => format!("XTRIM {key} MAXLEN ~ 25"),
        22 => format!("XTRIM {key} {policy} MAXLEN = {}", random.below(12)),
        23 => format!("XADD {key} MAXLEN ~ 10 {policy} * f v{value}"),
        24 => format!(
            "XADD {key} IDMP {consumer} message{} * f v",
            random.below(60)
        ),
        25 | 26 => format!("XADD {key} IDMP {consumer} m{value} * f v"),
        27 => format!("XADD {key} IDMPAUTO {consumer} * f v{}", random.below(60)),
        28 => format!("XADD {key} IDMP {consumer} m{value} MAXLEN 0 {policy} * f v"),
        _ => format!("XCFGSET {key} IDMP-MAXSIZE {}", random.range(1, 40)),
    }
}

fn on_a_string(random: &mut Random, value: u64) -> String {
    let (key, other) = (random.pick(STRINGS), random.pick(STRINGS));
    match random.below(31) {
        28 => format!("DELEX {key} IFNE {value}"),
        29 => format!("SET {key} {value} IFDNE 0123456789abcdef"),
        30 => format!("MSETEX 2 {key} {value} {other} {value} EX 5000"),
        0 => format!("SET {key} v{value}"),
        1..4 => format!("SET {key} {value}"),
        4 => format!("SET {key} {value} PX 30"),
        5 => format!("SET {key} {value} EX 5000 GET"),
        6 => format!("SET {key} {value} KEEPTTL"),
        7 => format!("SETEX {key} 5000 {value}"),
        8 => format!("PSETEX {key} 20 {value}"),
        9 => format!("SETNX {key} {value}"),
        10 => format!("GETSET {key} {value}"),
        11 => format!("GETDEL {key}"),
        12 => format!("GETEX {key} PX 25"),
        13 => format!("GETEX {key} PERSIST"),
        14 => format!("MSET {key} {value} {other} {value}"),
        15 => format!("MSETNX {key} {value} {other} {value}"),
        16 => format!("INCR {key}"),
        17 => format!("DECR {key}"),
        18 => format!("INCRBY {key} 7"),
        19 => format!("DECRBY {key} 3"),
        20 | 21 => format!("INCRBYFLOAT {key} 0.1"),
        22 | 23 => format!("APPEND {key} z"),
        24 => format!("SETRANGE {key} 3 q"),
        25 => format!("SET {key} {value} EXAT 1"),
        26 => format!("GETEX {key} EX 6000"),
        _ => format!("SET {key} {value} NX PX 40"),
    }
}

/// Bits of strings, and sketches.
fn on_bits(random: &mut Random, value: u64) -> String {
    let (key, other) = (random.pick(STRINGS), random.pick(STRINGS));
    let (sketch, more) = (random.pick(SKETCHES), random.pick(SKETCHES));
    let offset = random.below(90);
    match random.below(14) {
        0 | 1 => format!("SETBIT {key} {offset} {}", random.below(2)),
        2 => format!("BITFIELD {key} INCRBY u7 {offset} {value} GET u8 0 SET i9 #3 7"),
        3 => format!("BITFIELD {key} OVERFLOW FAIL SET u4 {offset} {value}"),
        4 => format!(
            "BITOP {} {key} {other} {key}",
            random.pick(&["XOR", "DIFF", "DIFF1", "ANDOR", "ONE"])
        ),
        5 => format!("BITOP NOT {key} {other}"),
        6 => format!("PFDEBUG TODENSE {sketch}"),
        7 | 8 => format!("PFCOUNT {sketch}"),
        9 => format!("PFMERGE {sketch} {more}"),
        _ => format!("PFADD {sketch} v{value} w{}", random.below(20)),
    }
}

fn on_any_key(random: &mut Random) -> String {
    let (key, other) = (random.pick(ANY), random.pick(ANY));
    let db = random.below(3);
    match random.below(30) {
        0 => format!("DEL {key} {other}"),
        1 => format!("UNLINK {key}"),
        2 | 3 => format!("RENAME {key} {other}"),
        4 | 5 => format!("RENAMENX {key} {other}"),
        6 | 7 => format!("COPY {key} {other} DB {db} REPLACE"),
        8 => format!("COPY {key} {other}"),
        9 | 10 => format!("MOVE {key} {db}"),
        11 => format!("EXPIRE {key} 5000"),
        12 => format!("EXPIRE {key} 0"),
        13 => format!("PEXPIRE {key} 20"),
        14 => format!("EXPIREAT {key} 4000000000 NX"),
        15 => format!("PEXPIREAT {key} 4000000000000 XX"),
        16 => format!("PERSIST {key}"),
        17..28 => format!("SELECT {db}"),
        28 => match random.below(40) {
            0 => "FLUSHALL".to_owned(),
            1 => "FLUSHDB".to_owned(),
            _ => format!("SWAPDB {db} {}", random.below(3)),
        },
        _ => "BRPOP l1 l2 0.001".to_owned(),
    }
}
