//! SYNC: a copy of the data over a connection, as `redis-cli --rdb` takes one; and no replica.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::home::{Home, Life, PATIENCE};
use super::{digest, files, write};

/// A server whose files Debian's Redis accepts, and which saves nothing by itself.
const PLAIN: &[&str] = &["--rdb-version-compat", "7.0", "--save", ""];
/// So long behind each key that nothing is done before it is ended, us.
const FOR_EVER: &str = "100000000";
const REFUSED: &str = "-ERR replication is not supported by this server";
const FAILED: &str = "-ERR BGSAVE failed, replication can't continue";

fn redis_cli(life: &Life, arguments: &[&str]) -> Command {
    let mut command = Command::new("redis-cli");
    command
        .args(["-h", "127.0.0.1", "-p", &life.port().to_string()])
        .args(arguments)
        .env("REDISCLI_RCFILE", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn expect_success(output: &Output) {
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
}

/// Takes a copy with redis-cli, in a directory of its own, as `dump.rdb`.
fn copy_with(life: &Life, mode: &str) -> Home {
    let home = Home::new();
    let file = home.path().join("dump.rdb");
    let mut command = redis_cli(life, &[mode, &file.display().to_string()]);
    expect_success(&command.output().unwrap());
    home
}

fn expect_whole(file: &Path) {
    let checked = Command::new("redis-check-rdb").arg(file).output().unwrap();
    let printed = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{printed}");
}

/// What is told of dumps.
fn facts(life: &Life) -> Vec<String> {
    let mut client = life.connect();
    let info = client.run("INFO persistence").text();
    let fields = [
        "rdb_changes_since_last_save:",
        "rdb_last",
        "rdb_saves:",
        "rdb_bgsave_in_progress:",
    ];
    let told = info
        .lines()
        .filter(|line| fields.iter().any(|field| line.starts_with(field)));
    let mut facts: Vec<String> = told.map(str::to_owned).collect();
    facts.push(client.run("LASTSAVE").text());
    facts
}

fn temporary(home: &Home) -> Vec<String> {
    let mut names = files(home.path());
    names.retain(|name| name.starts_with("temp-"));
    names
}

/// A connection that has sent SYNC.
fn ask(life: &Life) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", life.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"SYNC\r\n").unwrap();
    stream
}

/// The number that announces a file.
fn length(stream: &mut TcpStream) -> u64 {
    let (mut line, mut byte) = (String::new(), [0]);
    while byte != *b"\n" {
        stream.read_exact(&mut byte).unwrap();
        line.push(char::from(byte[0]));
    }
    let number = line
        .strip_prefix('$')
        .and_then(|line| line.strip_suffix("\r\n"));
    let number = number.unwrap_or_else(|| panic!("{line}"));
    number.parse().unwrap()
}

/// A server that never gets done with a copy that somebody has asked for.
fn in_the_midst(home: &Home) -> (Life, TcpStream) {
    let life = home.millrace(&[PLAIN, &["--rdb-key-save-delay", FOR_EVER]].concat());
    for number in 0..20 {
        life.connect().run(&format!("SET key:{number} value"));
    }
    let stream = ask(&life);
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_bgsave_in_progress:1") && temporary(home).len() == 1
    });
    (life, stream)
}

fn wait_until_ended(life: &Life, home: &Home) {
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_bgsave_in_progress:0")
    });
    assert_eq!(temporary(home), [""; 0]);
    assert!(!files(home.path()).contains(&"dump.rdb".to_owned()));
}

#[test]
fn redis_and_millrace_start_on_the_copy_that_redis_cli_takes() {
    for shards in ["1", "3"] {
        let home = Home::new();
        let life = home.millrace(&[PLAIN, &["--shards", shards]].concat());
        write(&mut life.connect());
        let (before, told) = (digest(&life), facts(&life));
        let copy = copy_with(&life, "--rdb");
        assert_eq!(facts(&life), told);
        assert_eq!(files(home.path()), ["log"]);
        expect_whole(&copy.path().join("dump.rdb"));
        assert_eq!(digest(&copy.millrace(PLAIN)), before);
        // Redis reckons digests in another way: what it saves again has the same.
        let mut redis = copy.redis(&[]);
        redis.connect().send_line("SHUTDOWN SAVE");
        assert_eq!(redis.exit_code(), Some(0));
        assert_eq!(digest(&copy.millrace(PLAIN)), before);
    }
}

#[test]
fn a_copy_of_the_libraries_has_no_keys_and_a_whole_one_has_both() {
    let home = Home::new();
    let mut redis = home.redis(&[]);
    let library = "#!lua name=mine\nredis.register_function('f', function() return 1 end)";
    let mut client = redis.connect();
    let loaded = client.call(&["FUNCTION", "LOAD", library]);
    assert_eq!(loaded.text(), "mine");
    client.run("SET key value");
    client.send_line("SHUTDOWN SAVE");
    redis.exit_code();
    let life = home.millrace(PLAIN);
    for (mode, keys) in [("--functions-rdb", 0), ("--rdb", 1)] {
        let copy = copy_with(&life, mode);
        expect_whole(&copy.path().join("dump.rdb"));
        let redis = copy.redis(&["--save", ""]);
        let mut client = redis.connect();
        assert_eq!(client.run("DBSIZE").integer(), keys);
        let listed = client.run("FUNCTION LIST").to_string();
        assert!(listed.contains("mine"), "{mode}: {listed}");
    }
}

#[test]
fn who_asks_at_the_same_time_gets_a_copy_each() {
    let home = Home::new();
    let life = home.millrace(PLAIN);
    write(&mut life.connect());
    let before = digest(&life);
    let copies: Vec<(Home, PathBuf)> = (0..4)
        .map(|_| {
            let home = Home::new();
            let file = home.path().join("dump.rdb");
            (home, file)
        })
        .collect();
    let asked: Vec<_> = copies
        .iter()
        .map(|(_, file)| {
            let mut command = redis_cli(&life, &["--rdb", &file.display().to_string()]);
            command.spawn().unwrap()
        })
        .collect();
    for child in asked {
        expect_success(&child.wait_with_output().unwrap());
    }
    for (copy, file) in copies {
        expect_whole(&file);
        assert_eq!(digest(&copy.millrace(PLAIN)), before);
    }
}

fn resident_bytes(life: &Life) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", life.id())).unwrap();
    let mut lines = status.lines();
    let line = lines.find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

#[test]
fn who_reads_slowly_holds_up_nobody_and_takes_no_memory() {
    const BYTES: u64 = 50 << 20;
    let home = Home::new();
    // The limits of outputs are for what is in memory.
    let limit = ["--client-output-buffer-limit", "normal", "1mb", "1mb", "1"];
    let life = home.millrace(&[PLAIN, &["--rdbcompression", "no"], &limit].concat());
    let mut client = life.connect();
    for number in 0..BYTES >> 20 {
        client.run(&format!("SETRANGE key:{number} 1048575 x"));
    }
    let before = resident_bytes(&life);
    let mut slow: Vec<TcpStream> = (0..5).map(|_| ask(&life)).collect();
    let lengths: Vec<u64> = slow.iter_mut().map(length).collect();
    assert!(lengths.iter().all(|bytes| *bytes > BYTES), "{lengths:?}");
    // A name that is left would be found at the next start.
    assert_eq!(temporary(&home), [""; 0]);
    for number in 0..1000 {
        client.run(&format!("SET other {number}"));
    }
    let growth = resident_bytes(&life).saturating_sub(before);
    assert!(growth < BYTES / 2, "{growth}");
    for (number, (mut stream, bytes)) in slow.into_iter().zip(lengths).enumerate() {
        let mut file = Vec::new();
        // Some say how far they are. It is no reason to cut them off.
        stream.write_all(b"REPLCONF ACK 0\r\n").unwrap();
        stream.read_to_end(&mut file).unwrap();
        assert_eq!(file.len() as u64, bytes);
        let path = home.path().join(format!("copy-{number}.rdb"));
        fs::write(&path, file).unwrap();
        expect_whole(&path);
    }
    let growth = resident_bytes(&life).saturating_sub(before);
    assert!(growth < BYTES / 2, "{growth}");
}

#[test]
fn a_replica_is_refused_before_it_drops_its_own_data() {
    let home = Home::new();
    let life = home.millrace(PLAIN);
    let mut client = life.connect();
    client.run("SET key value");
    assert_eq!(client.run("REPLCONF listening-port 6380").text(), "OK");
    assert_eq!(client.run("SYNC").to_string(), REFUSED);
    assert_eq!(client.run("PSYNC ? -1").to_string(), REFUSED);
    assert_eq!(client.run("PING").text(), "PONG");
    let mut follower = redis_cli(&life, &["--replica"]);
    let printed = follower.output().unwrap();
    let printed = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert!(printed.contains(&REFUSED[1..]), "{printed}");

    let other = Home::new();
    let redis = other.redis(&["--save", ""]);
    redis.connect().run("SET own 1");
    redis
        .connect()
        .run(&format!("REPLICAOF 127.0.0.1 {}", life.port()));
    life.wait_for("INFO commandstats", |info| info.contains("cmdstat_psync:"));
    other_log_says(&other, "replication is not supported");
    let info = redis.connect().run("INFO replication").text();
    assert!(info.contains("master_link_status:down"), "{info}");
    assert_eq!(redis.connect().run("DBSIZE").integer(), 1);
}

/// Waits for a line in the log of a server there.
fn other_log_says(home: &Home, text: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !home.log().contains(text) {
        assert!(std::time::Instant::now() < deadline, "{}", home.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_copy_ends_with_its_client_and_leaves_no_file() {
    let home = Home::new();
    let (life, stream) = in_the_midst(&home);
    let mut client = life.connect();
    assert_eq!(
        client.run("BGSAVE").to_string(),
        "-ERR Background save already in progress"
    );
    let address = stream.local_addr().unwrap();
    client.run(&format!("CLIENT KILL {address}"));
    wait_until_ended(&life, &home);
    // Nothing has failed: writes go on.
    assert_eq!(client.run("SET key value").text(), "OK");

    // The same where it has ended by itself, and where another waits in line.
    drop(stream);
    let first = ask(&life);
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_bgsave_in_progress:1")
    });
    let second = ask(&life);
    life.wait_for("CLIENT LIST", |list| list.matches("cmd=sync").count() == 2);
    for stream in [second, first] {
        let address = stream.local_addr().unwrap();
        client.run(&format!("CLIENT KILL {address}"));
    }
    wait_until_ended(&life, &home);
}

#[test]
fn a_copy_is_ended_by_what_ends_a_dump_and_its_client_is_told() {
    let home = Home::new();
    let (mut life, mut stream) = in_the_midst(&home);
    let mut client = life.connect();
    client.run("BGSAVE CANCEL");
    let mut told = vec![0; FAILED.len() + 2];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(String::from_utf8_lossy(&told), format!("{FAILED}\r\n"));
    wait_until_ended(&life, &home);

    let mut stream = ask(&life);
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_bgsave_in_progress:1")
    });
    client.send_line("SHUTDOWN NOSAVE");
    assert_eq!(life.exit_code(), Some(0), "{}", home.log());
    assert_eq!(temporary(&home), [""; 0]);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty() || rest.starts_with("-ERR"), "{rest}");
}

#[test]
fn a_copy_that_cannot_be_written_is_an_error_and_nothing_else() {
    let (home, data) = (Home::new(), Home::new());
    let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
    let life = home.start_in(data.path(), program, PLAIN);
    let mut client = life.connect();
    client.run("SET key value");
    let told = facts(&life);
    let away = data.path().with_extension("away");
    fs::rename(data.path(), &away).unwrap();
    assert_eq!(client.run("SYNC").to_string(), FAILED);
    assert_eq!(client.run("SYNC").to_string(), FAILED);
    fs::rename(&away, data.path()).unwrap();
    assert_eq!(facts(&life), told);
    assert_eq!(client.run("SET key value").text(), "OK");
    expect_whole(&copy_with(&life, "--rdb").path().join("dump.rdb"));
}

#[test]
fn what_is_said_before_sync_is_understood_as_in_redis() {
    let home = Home::new();
    let (life, redis) = (home.millrace(PLAIN), home.redis(&["--save", ""]));
    let long = format!("REPLCONF ip-address {}", "x".repeat(256));
    let said = [
        "REPLCONF",
        "REPLCONF capa",
        "REPLCONF capa eof capa",
        "REPLCONF capa eof capa psync2",
        "REPLCONF rdb-only 1",
        "REPLCONF rdb-only 2",
        "REPLCONF rdb-only x",
        "REPLCONF RDB-ONLY 0",
        "REPLCONF rdb-filter-only functions",
        "REPLCONF rdb-filter-only keys",
        "REPLCONF rdb-filter-only \"x",
        "REPLCONF listening-port x",
        "REPLCONF listening-port 99999999999",
        "REPLCONF ip-address ::1",
        &long,
        "REPLCONF ACK 1 PING",
        "REPLCONF ACK 1",
        "REPLCONF getack *",
        "REPLCONF capa eof unknown 1",
        "SYNC 1",
        "PSYNC ?",
    ];
    for command in said {
        let replies = [&life, &redis].map(|life| {
            let mut client = life.connect();
            client.send_line(command);
            client.send_line("PING");
            client.raw_reply()
        });
        assert_eq!(replies[0], replies[1], "{command}");
    }
    for commands in [
        ["MULTI", "SYNC", "EXEC"],
        ["MULTI", "REPLCONF capa eof", "EXEC"],
    ] {
        let replies = [&life, &redis].map(|life| life.connect().pipeline(&commands));
        assert_eq!(replies[0], replies[1], "{commands:?}");
    }
}

#[test]
fn who_wants_no_changes_may_have_an_empty_copy() {
    let home = Home::new();
    let life = home.millrace(PLAIN);
    let mut client = life.connect();
    client.run("SET key value");
    let empty: &[&str] = &["REPLCONF", "rdb-only", "1", "rdb-filter-only", ""];
    assert_eq!(client.call(empty).text(), "OK");
    // No line end follows: it is no reply.
    client.send_raw(b"SYNC\r\nPING\r\n");
    client.expect_closed();
    let sent = client.unfinished();
    assert!(sent.starts_with(b"$"), "{sent:?}");
    assert!(!sent.windows(3).any(|bytes| bytes == b"key"), "{sent:?}");
    assert_eq!(sent[sent.len() - 9], 0xff);
}

#[test]
fn flushall_beside_a_copy_writes_no_dump_where_there_are_no_save_points() {
    let home = Home::new();
    let life = home.millrace(&[PLAIN, &["--appendonly", "yes"]].concat());
    let mut client = life.connect();
    client.run("MSET a 1 b 2");
    client.run(&format!("CONFIG SET rdb-key-save-delay {FOR_EVER}"));
    let mut copied = life.connect();
    copied.send_line("SYNC");
    life.wait_for("PING", |_| !temporary(&home).is_empty());
    assert_eq!(client.run("FLUSHALL").text(), "OK");
    assert_eq!(
        client.run("BGSAVE CANCEL").text(),
        "Background saving cancelled"
    );
    client.run("CONFIG SET rdb-key-save-delay 0");
    copied.reply();
    // What is put off would be done before these are.
    for count in 1..3 {
        client.run("BGREWRITEAOF");
        let done = format!("aof_rewrites:{count}");
        life.wait_for("INFO persistence", |info| info.contains(&done));
    }
    assert!(
        client
            .run("INFO persistence")
            .text()
            .contains("rdb_saves:0")
    );
    assert!(!files(home.path()).contains(&"dump.rdb".to_owned()));
}
