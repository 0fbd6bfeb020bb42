//! A disk that is full, or fails: writes are refused, what was acknowledged stays, and it is over when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::home::{Home, Life, PATIENCE};
use super::support::{Client, Outcome};
use super::{LOG, files};

/// A file system of its own, with little room.
struct SmallDisk<'h>(&'h Path);

impl<'h> SmallDisk<'h> {
    fn mount(at: &'h Path) -> Self {
        let size = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"];
        let mounted = Command::new("mount").args(size).arg(at).status();
        assert!(mounted.unwrap().success(), "the test needs root");
        Self(at)
    }
}

/// A directory in the home to mount it at.
fn mount_point(home: &Home) -> PathBuf {
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    data
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_and_loses_nothing() {
    let home = Home::new();
    let data = mount_point(&home);
    let disk = SmallDisk::mount(&data);
    let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
    let options = [
        LOG,
        &[
            "--appendfsync",
            "always",
            "--auto-aof-rewrite-percentage",
            "0",
        ],
    ]
    .concat();
    let life = home.start_in(&data, program, &options);
    let ballast = data.join("ballast");
    std::fs::write(&ballast, vec![0; 2 * 1024 * 1024]).unwrap();
    let mut client = life.connect();
    let value = "x".repeat(100_000);
    let mut acknowledged = 0;
    let refusal = loop {
        client.send_line(&format!("SET key{acknowledged} {value}"));
        match client.poll(Duration::from_secs(30)) {
            Outcome::Reply(reply) if reply == b"+OK\r\n" => acknowledged += 1,
            Outcome::Reply(reply) => break String::from_utf8(reply).unwrap(),
            // It knows nothing of its last write.
            _ => break life.wait_for("SET other x", |reply| reply.starts_with("MISCONF")),
        }
        assert!(acknowledged < 100, "the disk is never full");
    };
    assert!(
        refusal.contains("MISCONF Errors writing to the AOF file: No space left on device"),
        "{refusal}"
    );
    let mut other = life.connect();
    assert!(other.run("PING").to_string().starts_with("-MISCONF"));
    assert_eq!(other.run("STRLEN key0").to_string(), ":100000");
    std::fs::remove_file(&ballast).unwrap();
    life.wait_for("SET other x", |reply| reply == "OK");
    life.kill();
    let life = home.start_in(&data, program, &options);
    for number in 0..acknowledged {
        let reply = life.connect().run(&format!("STRLEN key{number}"));
        assert_eq!(reply.to_string(), ":100000", "key{number}");
    }
    drop(life);
    drop(disk);
}

/// Fills the disk but for so many bytes, or as nearly as it goes.
fn leave(data: &Path, bytes: u64) {
    let ballast = data.join("ballast");
    let mut size = 4 * 1024 * 1024;
    while std::fs::write(&ballast, vec![0; size]).is_err() {
        size -= 4096;
    }
    std::fs::write(&ballast, vec![0; size - bytes as usize]).unwrap();
}

/// Lets a server have so many files, and no more than it has with few.
fn limit_files(life: &Life, count: &str) {
    let limit = format!("--nofile={count}:");
    let arguments = ["--pid", &life.id(), &limit];
    let status = Command::new("prlimit").args(arguments).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_rewrite_whose_next_file_cannot_be_made_fails_and_writes_go_on() {
    for sync in ["always", "everysec"] {
        let home = Home::new();
        let options = [LOG, &["--appendfsync", sync]].concat();
        let life = home.millrace(&options);
        let mut client = life.connect();
        client.run("SET before 1");
        limit_files(&life, "3");
        // No connection can be made meanwhile.
        let rewrite = |client: &mut Client, status: &str| {
            client.run("BGREWRITEAOF");
            let field = format!("aof_last_bgrewrite_status:{status}");
            let deadline = Instant::now() + PATIENCE;
            while !client.run("INFO persistence").text().contains(&field) {
                assert!(Instant::now() < deadline, "{}", home.log());
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        rewrite(&mut client, "err");
        let info = client.run("INFO persistence").text();
        assert!(info.contains("aof_rewrite_in_progress:0"), "{info}");
        assert!(info.contains("aof_last_write_status:ok"), "{info}");
        assert_eq!(client.run("SET meanwhile 1").text(), "OK");
        limit_files(&life, "1024");
        rewrite(&mut client, "ok");
        assert_eq!(client.run("SET after 1").text(), "OK");
        life.kill();
        let life = home.millrace(&options);
        let values = life.connect().run("MGET before meanwhile after");
        assert_eq!(values.to_string(), "[\"1\", \"1\", \"1\"]");
    }
}

#[test]
fn a_rewrite_on_a_full_disk_fails_and_save_is_answered() {
    let home = Home::new();
    let data = mount_point(&home);
    let disk = SmallDisk::mount(&data);
    let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
    let life = home.start_in(&data, program, LOG);
    let mut client = life.connect();
    client.run("SET before 1");
    leave(&data, 0);
    let value = "x".repeat(100_000);
    // What ran and cannot be logged has no answer yet.
    life.wait_for("INFO persistence", |info| {
        let mut writer = life.connect();
        writer.send_line(&format!("SET large {value}"));
        info.contains("aof_last_write_status:err")
    });
    client.run("BGREWRITEAOF");
    life.wait_for("INFO persistence", |info| {
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_last_bgrewrite_status:err")
    });
    assert_eq!(client.run("SAVE").to_string(), "-ERR");
    std::fs::remove_file(data.join("ballast")).unwrap();
    life.wait_for("SET after 1", |reply| reply == "OK");
    drop(life);
    drop(disk);
}

#[test]
fn a_server_starts_on_a_full_disk_and_refuses_writes() {
    let home = Home::new();
    let data = mount_point(&home);
    let disk = SmallDisk::mount(&data);
    let program = Path::new(env!("CARGO_BIN_EXE_millrace"));
    for is_torn in [false, true] {
        let life = home.start_in(&data, program, LOG);
        life.connect().run("SET before 1");
        life.kill();
        let log = data.join("appendonlydir");
        let names = files(&log);
        let last = names.iter().rfind(|name| name.ends_with(".incr.aof"));
        let last = log.join(last.unwrap());
        let bytes = std::fs::read(&last).unwrap();
        if is_torn {
            let whole = bytes
                .windows(16)
                .position(|line| line == b"##############\r\n")
                .unwrap();
            let torn = [&bytes[..whole], b"*3\r\n$3\r\nSET"].concat();
            std::fs::write(&last, torn).unwrap();
        }
        // A torn end needs room for a copy; fill that is cut off makes room.
        leave(&data, if is_torn { 16 * 1024 } else { 0 });
        let life = home.start_in(&data, program, LOG);
        let mut client = life.connect();
        assert_eq!(client.run("GET before").text(), "1", "{}", home.log());
        leave(&data, 0);
        // Some may have room; one is refused, or runs and its client is closed: it learns nothing.
        let value = "x".repeat(100_000);
        for number in 0..10 {
            client.send_line(&format!("SET large:{number} {value}"));
        }
        // This one too may run, and its client be closed.
        let deadline = Instant::now() + PATIENCE;
        let is_refused = || {
            let mut other = life.connect();
            other.send_line("SET other x");
            matches!(other.poll(PATIENCE), Outcome::Reply(reply) if reply.starts_with(b"-MISCONF"))
        };
        while !is_refused() {
            assert!(Instant::now() < deadline, "{}", home.log());
        }
        std::fs::remove_file(data.join("ballast")).unwrap();
        life.wait_for("SET after 1", |reply| reply == "OK");
        life.kill();
    }
    drop(disk);
}

#[test]
fn a_log_that_cannot_be_begun_on_a_full_disk_is_no_error_of_loading() {
    let home = Home::new();
    let data = mount_point(&home);
    let disk = SmallDisk::mount(&data);
    leave(&data, 0);
    let dir = data.display().to_string();
    let said = home.fails_to_start(&[LOG, &["--dir", &dir]].concat());
    let expected = format!("{dir}/appendonlydir: No space left on device: make room");
    assert!(said.contains(&expected), "{said}");
    assert!(!said.contains("loading"), "{said}");
    drop(disk);
}

/// A server whose new base is not done: what is written meanwhile is not promised.
fn until_base(home: &Home, life: &Life) -> Client {
    let mut client = life.connect();
    client.run("CONFIG SET rdb-key-save-delay 100000000");
    client.run("MSET a 1 b 2");
    assert_eq!(
        client.run("CONFIG SET appendonly yes").text(),
        "OK",
        "{}",
        home.log()
    );
    client
}

#[test]
fn waitaof_waits_for_the_base_of_a_log_that_was_just_switched_on() {
    let home = Home::new();
    let life = home.millrace(&[]);
    let mut client = until_base(&home, &life);
    client.run("SET c 3");
    // More than a period of syncs.
    assert_eq!(client.run("WAITAOF 1 0 1500").to_string(), "[:0, :0]");
    client.send_line("WAITAOF 1 0 0");
    life.connect().run("CONFIG SET rdb-key-save-delay 0");
    assert_eq!(client.reply().to_string(), "[:1, :0]");
    life.kill();
    let life = home.millrace(LOG);
    assert_eq!(
        life.connect().run("MGET a b c").to_string(),
        "[\"1\", \"2\", \"3\"]"
    );
}

#[test]
fn a_reload_beside_a_save_disturbs_neither() {
    let home = Home::new();
    let life = home.millrace(&[
        "--enable-debug-command",
        "yes",
        "--rdb-key-save-delay",
        "100000000",
    ]);
    let mut client = life.connect();
    for number in 0..100 {
        client.run(&format!("SET key:{number} {number}"));
    }
    client.run("BGSAVE");
    life.wait_for("INFO persistence", |info| {
        info.contains("current_save_keys_total:100")
    });
    client.run("SET later 1");
    assert_eq!(client.run("DEBUG RELOAD").text(), "OK", "{}", home.log());
    assert_eq!(client.run("DBSIZE").to_string(), ":101");
    client.run("CONFIG SET rdb-key-save-delay 0");
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_bgsave_in_progress:0")
    });
    assert_eq!(
        client.run("DEBUG RELOAD NOSAVE").text(),
        "OK",
        "{}",
        home.log()
    );
    // It is the dump of the moment when it was asked for.
    assert_eq!(client.run("DBSIZE").to_string(), ":100");
}

#[test]
fn the_log_of_an_old_redis_that_is_torn_is_cut_once_and_for_all() {
    let home = Home::new();
    let old =
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSE";
    std::fs::write(home.path().join("appendonly.aof"), old).unwrap();
    for start in ["1", "2", "3"] {
        let life = home.millrace(LOG);
        let mut client = life.connect();
        assert_eq!(client.run("GET a").text(), start, "{}", home.log());
        client.run("INCR a");
        life.kill();
    }
}

#[test]
fn a_log_that_cannot_be_switched_on_takes_back_all_that_was_set_with_it() {
    let names = [
        "hz",
        "appendonly",
        "maxclients",
        "timeout",
        "appendfsync",
        "dir",
    ];
    let refused = "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.";
    for (sync, is_ours) in [("everysec", false), ("everysec", true), ("always", true)] {
        let home = Home::new();
        let log = home.path().join("appendonlydir");
        std::fs::write(&log, "a file").unwrap();
        let options = ["--save", "60 1000", "--appendfsync", sync];
        let life = if is_ours {
            home.millrace(&options)
        } else {
            home.redis(&options)
        };
        let mut client = life.connect();
        let values = |client: &mut Client| {
            names.map(|name| client.run(&format!("CONFIG GET {name}")).to_string())
        };
        let before = values(&mut client);
        let other = if sync == "always" { "no" } else { "always" };
        let more =
            format!("CONFIG SET timeout 99 maxclients 500 appendonly yes appendfsync {other}");
        for set in ["CONFIG SET hz 20 appendonly yes timeout 99", &more] {
            assert_eq!(client.run(set).to_string(), refused, "{}", home.log());
            assert_eq!(values(&mut client), before);
        }
        std::fs::remove_file(&log).unwrap();
        assert_eq!(client.run("CONFIG SET hz 40 appendonly yes").text(), "OK");
        assert_eq!(client.run("CONFIG GET hz").to_string(), "[\"hz\", \"40\"]");
    }
}
