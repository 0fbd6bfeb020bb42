//! What is there after a restart, through the public door: logs and dumps, kills, signals, files of other servers, full disks.
//!
//! tests/crash.rs looks for what is lost under load; here each promise is looked at by itself.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "durability/bases.rs"]
mod bases;
#[path = "durability/copies.rs"]
mod copies;
#[path = "durability/ends.rs"]
mod ends;
#[path = "durability/functions.rs"]
mod functions;
#[path = "durability/history.rs"]
mod history;
#[path = "durability/home.rs"]
mod home;
#[path = "durability/missing.rs"]
mod missing;
#[path = "durability/repairs.rs"]
mod repairs;
mod support;
#[path = "durability/trouble.rs"]
mod trouble;

use std::path::Path;

use home::{Home, Life};
use support::Client;

/// Commands that make a key of each type and encoding.
const WRITES: &[&str] = &[
    "SET text hello",
    "SET number 12345",
    "SETRANGE raw 70000 x",
    "RPUSH list a b 3",
    "SADD integers 3 1 2",
    "SADD words one two",
    "HSET hash f v n 7",
    "ZADD scores 1.5 a -inf b",
    "PFADD sketch a b c",
    "SETBIT bits 1000 1",
    "XADD stream 5-1 f v",
    "XADD stream 6-0 f w",
    "XGROUP CREATE stream workers 0",
    "XREADGROUP GROUP workers ann COUNT 1 STREAMS stream >",
    "XDEL stream 6-0",
    "SET ends x PXAT 99999999999999",
    "SELECT 9",
    "SET elsewhere y",
];

fn write(client: &mut Client) {
    for command in WRITES {
        let reply = client.run(command);
        assert!(!reply.is_error(), "{command}: {reply}");
    }
    for number in 0..2000 {
        client.run(&format!("HSET large f{number} v{number}"));
    }
}

fn digest(life: &Life) -> String {
    life.connect().run("DEBUG DIGEST").text()
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

const LOG: &[&str] = &["--appendonly", "yes", "--save", ""];

#[test]
fn what_was_acknowledged_is_there_after_a_kill_whatever_the_number_of_shards() {
    for sync in ["always", "everysec", "no"] {
        let home = Home::new();
        let with = |shards| [LOG, &["--appendfsync", sync, "--shards", shards]].concat();
        let life = home.millrace(&with("3"));
        write(&mut life.connect());
        let before = digest(&life);
        life.kill();
        for shards in ["1", "4", "2"] {
            let life = home.millrace(&with(shards));
            assert_eq!(digest(&life), before, "{sync}, {shards} shards");
            life.connect().run("SET again x");
            life.connect().run("DEL again");
            life.kill();
        }
    }
}

#[test]
fn a_newcomers_data_is_there_after_a_restart() {
    for ending in ["SHUTDOWN", "SIGTERM"] {
        let home = Home::new();
        let mut life = home.millrace(&[]);
        write(&mut life.connect());
        let before = digest(&life);
        match ending {
            "SHUTDOWN" => life.connect().send_line("SHUTDOWN"),
            _ => life.signal("-TERM"),
        }
        assert_eq!(life.exit_code(), Some(0), "{}", home.log());
        assert_eq!(digest(&home.millrace(&[])), before);
    }
}

#[test]
fn a_dump_becomes_the_base_where_a_log_is_wanted() {
    let home = Home::new();
    let mut life = home.millrace(&[]);
    write(&mut life.connect());
    let before = digest(&life);
    life.connect().send_line("SHUTDOWN");
    life.exit_code();
    let life = home.millrace(LOG);
    assert_eq!(digest(&life), before);
    assert!(home.log().contains("The dump becomes the base"));
    life.kill();
    std::fs::remove_file(home.path().join("dump.rdb")).unwrap();
    assert_eq!(digest(&home.millrace(LOG)), before);
}

#[test]
fn redis_starts_on_our_files_and_we_on_its() {
    let compatible = ["--rdb-version-compat", "7.0"];
    for kind in [LOG, &[]] {
        let home = Home::new();
        let options = [kind, &compatible[..], &["--shards", "3"]].concat();
        let mut life = home.millrace(&options);
        write(&mut life.connect());
        let before = digest(&life);
        if kind.is_empty() {
            life.connect().send_line("SHUTDOWN");
            life.exit_code();
        } else {
            life.kill();
        }
        let mut redis = home.redis(kind);
        let mut client = redis.connect();
        client.run("RPUSH theirs 1 2 3");
        client.run("RPOP theirs 3");
        client.send_line("SHUTDOWN");
        redis.exit_code();
        assert_eq!(digest(&home.millrace(&options)), before, "{kind:?}");
    }
}

#[test]
fn ids_go_on_above_those_of_before_when_the_clock_went_back() {
    for kind in [LOG, &[]] {
        let home = Home::new();
        let mut life = home.millrace(kind);
        let mut client = life.connect();
        // Of the year 5138: any clock is behind it.
        for id in ["100000000000000-7", "*"] {
            client.run(&format!("XADD trimmed {id} field value"));
            client.run(&format!("XADD kept {id} field value"));
        }
        client.run("XTRIM trimmed MAXLEN 0");
        client.send_line("SHUTDOWN");
        assert_eq!(life.exit_code(), Some(0));
        let life = home.millrace(kind);
        let mut client = life.connect();
        for stream in ["trimmed", "kept"] {
            let id = client.run(&format!("XADD {stream} * field value")).text();
            assert_eq!(id, "100000000000000-9", "{stream} {kind:?}");
        }
    }
}

#[test]
fn a_rewritten_log_has_the_same_and_no_older_file() {
    for base in ["yes", "no"] {
        let home = Home::new();
        let options = [LOG, &["--aof-use-rdb-preamble", base]].concat();
        let life = home.millrace(&options);
        write(&mut life.connect());
        let before = digest(&life);
        let reply = life.connect().run("BGREWRITEAOF").text();
        assert_eq!(reply, "Background append only file rewriting started");
        life.wait_for("INFO persistence", |info| {
            info.contains("aof_rewrites:1\r\n")
        });
        let names = files(&home.path().join("appendonlydir"));
        let ending = if base == "yes" { "rdb" } else { "aof" };
        let wanted = [
            format!("appendonly.aof.2.base.{ending}"),
            "appendonly.aof.2.incr.aof".to_owned(),
            "appendonly.aof.manifest".to_owned(),
        ];
        assert_eq!(names, wanted);
        life.connect().run("SET after rewrite");
        life.connect().run("DEL after");
        life.kill();
        assert_eq!(digest(&home.millrace(&options)), before);
    }
}

#[test]
fn a_log_that_is_switched_on_has_what_was_there_and_what_comes() {
    let home = Home::new();
    let life = home.millrace(&["--save", "", "--shards", "2"]);
    let mut client = life.connect();
    write(&mut client);
    assert_eq!(client.run("CONFIG SET appendonly yes").to_string(), "+OK");
    life.wait_for("INFO persistence", |info| {
        info.contains("aof_rewrites:1\r\n")
    });
    client.run("SELECT 0");
    client.run("SET later z");
    let before = digest(&life);
    life.kill();
    assert_eq!(digest(&home.millrace(LOG)), before);
}

#[test]
fn a_torn_end_is_cut_and_damage_before_it_is_refused() {
    let home = Home::new();
    let options = [LOG, &["--appendfsync", "always"]].concat();
    let life = home.millrace(&options);
    for number in 0..100 {
        life.connect().run(&format!("SET key{number} value"));
    }
    life.kill();
    let file = home.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let whole = std::fs::read(&file).unwrap();
    let at = |text: &str| {
        let found = whole
            .windows(text.len())
            .position(|window| window == text.as_bytes());
        found.unwrap()
    };
    std::fs::write(&file, &whole[..at("key90") + 3]).unwrap();
    let life = home.millrace(&options);
    assert_eq!(life.connect().run("DBSIZE").to_string(), ":90");
    assert!(home.log().contains("bytes do not count"), "{}", home.log());
    life.kill();
    let mut damaged = whole.clone();
    damaged[at("key10")] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let said = home.fails_to_start(&options);
    let last = said.lines().last().unwrap_or_default();
    // As a whole path: whoever reads of it may be in another directory.
    let file = format!("{}: damaged at offset", file.display());
    let command = format!(
        "'millrace check {}'",
        home.path().join("appendonlydir").display()
    );
    for part in [file, command] {
        assert!(last.contains(&part), "{last}");
    }
}

#[test]
fn a_dump_that_cannot_be_written_keeps_the_server_and_refuses_writes() {
    let home = Home::new();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
    let life = home.start_in(&data, program, &[]);
    let mut client = life.connect();
    client.run("SET a 1");
    std::fs::remove_dir_all(&data).unwrap();
    assert_eq!(client.run("SAVE").to_string(), "-ERR");
    // Its client knows: Redis refuses nothing for that.
    assert_eq!(client.run("SET b 1").to_string(), "+OK");
    client.run("BGSAVE");
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_last_bgsave_status:err")
    });
    let refused = client.run("SET b 2").to_string();
    assert!(
        refused.starts_with("-MISCONF Redis is configured to save RDB snapshots"),
        "{refused}"
    );
    assert_eq!(client.run("GET a").text(), "1");
    let shutdown = client.run("SHUTDOWN").to_string();
    assert_eq!(shutdown, "-ERR Errors trying to SHUTDOWN. Check logs.");
    std::fs::create_dir(&data).unwrap();
    assert_eq!(client.run("SAVE").to_string(), "+OK");
    assert_eq!(client.run("SET b 2").to_string(), "+OK");
}

#[test]
fn a_waitaof_that_has_timed_out_ends_no_later_wait() {
    let home = Home::new();
    let life = home.millrace(&[LOG, &["--shards", "1"]].concat());
    let (mut client, mut other) = (life.connect(), life.connect());
    client.run("SET a 1");
    let reply = client.run("WAITAOF 1 0 1").to_string();
    client.send_line("BLPOP queue 0");
    other.run("SET b 1");
    // By then all that was written before is on disk.
    assert_eq!(other.run("WAITAOF 1 0 0").to_string(), "[:1, :0]");
    other.run("RPUSH queue job");
    let popped = client.reply().to_string();
    assert_eq!(popped, "[\"queue\", \"job\"]", "after {reply}");
}

#[test]
fn waitaof_knows_what_is_on_disk() {
    for sync in ["always", "everysec"] {
        let home = Home::new();
        let options = [LOG, &["--appendfsync", sync]].concat();
        let life = home.millrace(&options);
        let mut client = life.connect();
        client.run("SET a 1");
        assert_eq!(client.run("WAITAOF 1 0 0").to_string(), "[:1, :0]");
    }
}

#[test]
fn a_log_that_was_switched_on_is_told_of_when_a_start_would_read_it() {
    for (save, before) in [("", "none"), ("3600 100000", "snapshots")] {
        let home = Home::new();
        let options = ["--save", save];
        let life = home.millrace(&options);
        let mut client = life.connect();
        for number in 0..20 {
            client.run(&format!("SET key:{number} value"));
        }
        let told = |life: &Life, word: &str| {
            let line = format!("millrace_durability:{word}\r\n");
            life.connect()
                .run("INFO persistence")
                .text()
                .contains(&line)
        };
        client.run("CONFIG SET rdb-key-save-delay 100000000");
        client.run("CONFIG SET appendonly yes");
        life.wait_for("INFO persistence", |info| {
            info.contains("aof_enabled:1\r\n") && info.contains("aof_rewrite_in_progress:1\r\n")
        });
        client.run("SET acknowledged 1");
        assert!(told(&life, before), "{before}");
        client.run("CONFIG SET rdb-key-save-delay 0");
        life.wait_for("INFO persistence", |info| {
            info.contains("millrace_durability:everysec\r\n")
        });
        // A later base changes nothing.
        client.run("CONFIG SET rdb-key-save-delay 100000000");
        client.run("BGREWRITEAOF");
        life.wait_for("INFO persistence", |info| {
            info.contains("aof_rewrite_in_progress:1\r\n")
        });
        assert!(told(&life, "everysec"));
        client.run("CONFIG SET appendonly no");
        assert!(told(&life, before), "{before}");
        client.run("CONFIG SET rdb-key-save-delay 0 appendonly yes appendfsync always");
        life.wait_for("INFO persistence", |info| {
            info.contains("millrace_durability:always\r\n")
        });
        life.kill();
        let life = home.millrace(LOG);
        assert!(told(&life, "everysec"));
        assert_eq!(life.connect().run("DBSIZE").to_string(), ":21");
    }
}
