//! Saves that are ended, refused or forgotten before they are done: by SHUTDOWN and signals, FLUSHALL, CONFIG SET appendonly.

use super::home::{Home, Life};
use super::{LOG, files};

/// So long behind each key that nothing is done before it is ended, us.
const FOR_EVER: &str = "100000000";
const POINT: [&str; 2] = ["--save", "3600 100000"];

/// A server with some keys that never gets done with a save.
fn slow(home: &Home, options: &[&str]) -> Life {
    let life = home.millrace(&[options, &["--rdb-key-save-delay", FOR_EVER]].concat());
    let mut client = life.connect();
    for number in 0..20 {
        client.run(&format!("SET key:{number} value"));
    }
    life
}

fn is_temporary_there(home: &Home) -> bool {
    files(home.path())
        .iter()
        .any(|name| name.starts_with("temp-"))
}

/// Waits until a save is under way and its file is there.
fn wait_for_save(life: &Life, home: &Home, field: &str) {
    life.wait_for("INFO persistence", |info| info.contains(field));
    life.wait_for("PING", |_| {
        field.starts_with("aof") || is_temporary_there(home)
    });
}

#[test]
fn a_second_sigint_ends_the_process_at_once_and_leaves_no_half_dump() {
    let home = Home::new();
    let mut life = slow(&home, &POINT);
    life.signal("-INT");
    wait_for_save(&life, &home, "rdb_bgsave_in_progress:1");
    // A second SIGTERM asks for what is under way.
    life.signal("-TERM");
    life.wait_for("PING", |_| home.log().contains("Received SIGTERM"));
    // Too soon it would be taken for the same.
    std::thread::sleep(std::time::Duration::from_millis(20));
    life.signal("-INT");
    assert_eq!(life.exit_code(), Some(1));
    assert!(home.log().contains("You insist... exiting now."));
    assert!(!is_temporary_there(&home) && !files(home.path()).contains(&"dump.rdb".to_owned()));
}

#[test]
fn shutdown_abort_takes_back_the_end_that_is_being_saved_for() {
    let home = Home::new();
    let mut life = slow(&home, &POINT);
    let mut client = life.connect();
    assert_eq!(
        client.run("SHUTDOWN ABORT").to_string(),
        "-ERR No shutdown in progress."
    );
    life.signal("-TERM");
    wait_for_save(&life, &home, "rdb_bgsave_in_progress:1");
    assert_eq!(client.run("SHUTDOWN ABORT").to_string(), "+OK");
    // Writes were held for the end.
    assert_eq!(client.run("SET more 1").to_string(), "+OK");
    assert!(home.log().contains("Shutdown manually aborted."));
    let mut other = life.connect();
    other.send_line("SHUTDOWN");
    wait_for_save(&life, &home, "rdb_bgsave_in_progress:1");
    assert_eq!(client.run("SHUTDOWN ABORT").to_string(), "+OK");
    let refused = other.reply().to_string();
    assert_eq!(refused, "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert!(!is_temporary_there(&home));
    client.run("CONFIG SET rdb-key-save-delay 0");
    life.signal("-TERM");
    assert_eq!(life.exit_code(), Some(0));
}

#[test]
fn shutdown_abort_finds_a_signal_that_nobody_has_acted_on() {
    let home = Home::new();
    let life = home.millrace(&POINT);
    let mut client = life.connect();
    client.run("DEBUG PAUSE-CRON 1");
    life.signal("-TERM");
    life.wait_for("PING", |_| home.log().contains("scheduling shutdown"));
    assert_eq!(life.wait_for("SHUTDOWN ABORT", |reply| reply == "OK"), "OK");
    client.run("DEBUG PAUSE-CRON 0");
    assert_eq!(client.run("SET a 1").to_string(), "+OK");
}

#[test]
fn a_signal_does_what_the_settings_say() {
    for (options, has_dump) in [("nosave", false), ("save", true)] {
        let home = Home::new();
        let save = if has_dump { "" } else { "3600 1" };
        let options = ["--save", save, "--shutdown-on-sigterm", options];
        let mut life = home.millrace(&options);
        life.connect().run("SET a 1");
        life.signal("-TERM");
        assert_eq!(life.exit_code(), Some(0));
        assert_eq!(
            files(home.path()).contains(&"dump.rdb".to_owned()),
            has_dump
        );
    }
}

#[test]
fn what_flushall_dropped_no_restart_brings_back() {
    let home = Home::new();
    let life = home.millrace(&POINT);
    let mut client = life.connect();
    client.run("SET a 1");
    client.run("SAVE");
    client.run("SET b 1");
    assert_eq!(client.run("FLUSHALL").to_string(), "+OK");
    let info = client.run("INFO persistence").text();
    assert!(info.contains("rdb_changes_since_last_save:0"), "{info}");
    life.kill();
    let life = home.millrace(&POINT);
    assert_eq!(life.connect().run("DBSIZE").to_string(), ":0");
}

#[test]
fn flushall_in_a_transaction_is_followed_by_its_dump() {
    let home = Home::new();
    let life = home.millrace(&POINT);
    let mut client = life.connect();
    client.run("SET a 1");
    client.run("SAVE");
    for command in ["MULTI", "FLUSHALL", "SET b 1", "EXEC"] {
        client.run(command);
    }
    life.wait_for("INFO persistence", |info| {
        info.contains("rdb_changes_since_last_save:0")
    });
    life.kill();
    let life = home.millrace(&POINT);
    let mut client = life.connect();
    assert_eq!(client.run("DBSIZE").to_string(), ":1");
    assert_eq!(client.run("GET b").text(), "1");
}

#[test]
fn flushall_ends_a_dump_that_has_what_it_drops() {
    let home = Home::new();
    let life = slow(&home, &["--save", ""]);
    let mut client = life.connect();
    client.run("BGSAVE");
    wait_for_save(&life, &home, "rdb_bgsave_in_progress:1");
    assert_eq!(client.run("FLUSHALL").to_string(), "+OK");
    let info = client.run("INFO persistence").text();
    assert!(info.contains("rdb_bgsave_in_progress:0"), "{info}");
    // It has not failed: writes go on.
    assert!(info.contains("rdb_last_bgsave_status:ok"), "{info}");
    assert_eq!(client.run("SET a 1").to_string(), "+OK");
    assert!(!is_temporary_there(&home) && !files(home.path()).contains(&"dump.rdb".to_owned()));
}

#[test]
fn a_log_that_is_switched_off_ends_its_rewrite() {
    let home = Home::new();
    let life = slow(&home, &["--save", "", "--appendonly", "yes"]);
    let mut client = life.connect();
    client.run("BGREWRITEAOF");
    wait_for_save(&life, &home, "aof_rewrite_in_progress:1");
    assert_eq!(client.run("CONFIG SET appendonly no").to_string(), "+OK");
    let info = client.run("INFO persistence").text();
    for field in [
        "aof_enabled:0",
        "aof_rewrite_in_progress:0",
        "aof_last_bgrewrite_status:ok",
    ] {
        assert!(info.contains(field), "{field}: {info}");
    }
    life.kill();
    // The log has all up to then.
    let life = home.millrace(&["--save", "", "--appendonly", "yes"]);
    assert_eq!(life.connect().run("DBSIZE").to_string(), ":20");
}

#[test]
fn a_log_that_cannot_be_switched_on_is_off_in_the_settings_too() {
    for policy in ["everysec", "always"] {
        let home = Home::new();
        std::fs::write(home.path().join("appendonlydir"), "a file").unwrap();
        let life = home.millrace(&["--appendfsync", policy]);
        let mut client = life.connect();
        let refused = client.run("CONFIG SET appendonly yes").to_string();
        assert!(
            refused.ends_with("Unable to turn on AOF. Check server logs."),
            "{policy}: {refused}"
        );
        let setting = client.run("CONFIG GET appendonly").to_string();
        assert!(setting.contains("no"), "{policy}: {setting}");
        assert_eq!(client.run("SET a 1").to_string(), "+OK");
        std::fs::remove_file(home.path().join("appendonlydir")).unwrap();
        assert_eq!(client.run("CONFIG SET appendonly yes").to_string(), "+OK");
        life.wait_for("INFO persistence", |info| {
            info.contains("aof_rewrite_in_progress:0")
        });
        life.kill();
        let life = home.millrace(&["--appendonly", "yes"]);
        assert_eq!(life.connect().run("GET a").text(), "1");
    }
}

#[test]
fn no_signal_ends_the_process_while_its_first_log_is_written() {
    let home = Home::new();
    let mut life = slow(&home, &["--save", ""]);
    let mut client = life.connect();
    assert_eq!(client.run("CONFIG SET appendonly yes").to_string(), "+OK");
    wait_for_save(&life, &home, "aof_rewrite_in_progress:1");
    life.signal("-TERM");
    life.wait_for("PING", |_| {
        home.log().contains("Writing initial AOF, can't exit.")
    });
    let refused = client.run("SHUTDOWN").to_string();
    assert_eq!(refused, "-ERR Errors trying to SHUTDOWN. Check logs.");
    client.send_line("SHUTDOWN FORCE");
    assert_eq!(life.exit_code(), Some(0));
}

#[test]
fn what_is_wrong_with_a_payload_is_in_the_log_and_its_checksum_can_be_passed_over() {
    let home = Home::new();
    let life = home.millrace(&[]);
    let mut client = life.connect();
    let payload = b"\x0d\x0b\x0b\0\0\0\x0a\0\0\0\x01\0\xff\x09\0wrongsum".as_slice();
    let restore: [&[u8]; 4] = [b"RESTORE", b"key", b"0", payload];
    let refused = client.call(&restore).to_string();
    assert_eq!(refused, "-ERR DUMP payload version or checksum are wrong");
    client.run("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    let refused = client.call(&restore).to_string();
    assert_eq!(refused, "-ERR Bad data format");
    assert!(home.log().contains("Hash ziplist integrity check failed"));
}

#[test]
fn a_debug_reload_begins_the_facts_of_a_load_anew() {
    let home = Home::new();
    let life = home.millrace(&["--key-load-delay", "1"]);
    let mut client = life.connect();
    client.run("SET a 1");
    assert_eq!(client.run("DEBUG RELOAD").to_string(), "+OK");
    assert_eq!(client.run("DEBUG RELOAD").to_string(), "+OK");
    let info = client.run("INFO persistence").text();
    assert!(info.contains("rdb_last_load_keys_loaded:1"), "{info}");
    assert!(files(home.path()).contains(&"dump.rdb".to_owned()));
}

#[test]
fn save_beside_a_rewrite_of_the_log_has_all_data_when_it_answers() {
    let home = Home::new();
    let life = slow(&home, &["--save", "", "--appendonly", "yes"]);
    let mut client = life.connect();
    client.run("BGREWRITEAOF");
    wait_for_save(&life, &home, "aof_rewrite_in_progress:1");
    client.run("SET late 1");
    client.run("CONFIG SET rdb-key-save-delay 0");
    assert_eq!(client.run("SAVE").to_string(), "+OK");
    let saved = std::fs::read(home.path().join("dump.rdb")).unwrap();
    assert!(saved.windows(4).any(|bytes| bytes == b"late"));
    let info = client.run("INFO persistence").text();
    assert!(info.contains("aof_last_bgrewrite_status:ok") && info.contains("rdb_saves:1"));
}

#[test]
fn debug_loadaof_keeps_what_is_there_when_a_file_of_the_log_is_missing() {
    for (file, reason) in [
        ("appendonly.aof.1.incr.aof", "No such file or directory"),
        ("appendonly.aof.manifest", "its manifest is missing"),
    ] {
        let home = Home::new();
        let life = home.millrace(LOG);
        let mut client = life.connect();
        client.run("SET a 1");
        client.run("SET b 1 PX 100000000");
        assert_eq!(client.run("DEBUG LOADAOF").to_string(), "+OK");
        client.run("RPUSH l 1");
        std::fs::remove_file(home.path().join("appendonlydir").join(file)).unwrap();
        assert_eq!(
            client.run("DEBUG LOADAOF").to_string(),
            "-ERR Error trying to load the AOF files, check server logs."
        );
        assert!(home.log().contains(reason), "{}", home.log());
        for (command, reply) in [("GET a", "\"1\""), ("LLEN l", ":1"), ("DBSIZE", ":3")] {
            assert_eq!(client.run(command).to_string(), reply, "{command}");
        }
    }
}

#[test]
fn debug_loadaof_reads_the_log_of_the_server_also_when_dir_is_another() {
    let (home, other) = (Home::new(), Home::new());
    let life = home.millrace(&[LOG, &["--enable-protected-configs", "yes"]].concat());
    let mut client = life.connect();
    client.run("SET a 1");
    let dir = other.path().to_str().unwrap().to_owned();
    let set = client.call(&["CONFIG", "SET", "dir", &dir]);
    assert_eq!(set.to_string(), "+OK");
    client.run("MULTI");
    client.run("SET b 1");
    client.run("DEBUG LOADAOF");
    client.run("SET c 1");
    assert!(!client.run("EXEC").is_error());
    assert_eq!(client.run("DBSIZE").to_string(), ":3");
}

#[test]
fn a_start_tells_of_a_log_that_it_does_not_read() {
    let home = Home::new();
    let life = home.millrace(LOG);
    life.connect().run("SET a 1");
    life.kill();
    let life = home.millrace(&["--appendonly", "no"]);
    assert_eq!(life.connect().run("DBSIZE").to_string(), ":0");
    let told = "There is an append only file in appendonlydir, which is not read: appendonly is no";
    assert!(home.log().contains(told), "{}", home.log());
}
