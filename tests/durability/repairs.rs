//! `millrace check --fix`, and the start behind it.

use std::path::Path;
use std::process::Command;

use super::home::Home;
use super::{LOG, files};

/// The exit code of `millrace check`, and what it said.
fn check(options: &[&str], path: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let output = command.arg("check").args(options).arg(path).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_file_in_the_middle_of_a_log_is_repaired_with_its_manifest_and_the_server_starts() {
    let home = Home::new();
    let life = home.millrace(LOG);
    let mut client = life.connect();
    for number in 0..100 {
        client.run(&format!("SET key:{number} value"));
    }
    client.run("CONFIG SET rdb-key-save-delay 100000000");
    client.run("BGREWRITEAOF");
    // Behind the cut, so the next file is there or will be before anything is written.
    life.wait_for("INFO persistence", |info| {
        info.contains("current_save_keys_total:100")
    });
    client.run("SET later 1");
    // On disk, so it was no torn end.
    client.run("WAITAOF 1 0 0");
    life.kill();
    let log = home.path().join("appendonlydir");
    let middle = log.join("appendonly.aof.1.incr.aof");
    let mut bytes = std::fs::read(&middle).unwrap();
    let at = bytes.windows(6).position(|window| window == b"key:50");
    bytes[at.unwrap()] ^= 1;
    std::fs::write(&middle, &bytes).unwrap();
    let last = "appendonly.aof.2.incr.aof";
    assert!(files(&log).contains(&last.to_owned()), "{:?}", files(&log));
    home.fails_to_start(LOG);
    let (code, said) = check(&["--fix"], &middle);
    assert_eq!(code, Some(1), "{said}");
    let command = format!(
        "millrace check --fix {}",
        log.join("appendonly.aof.manifest").display()
    );
    assert!(said.contains(last) && said.contains(&command), "{said}");
    assert_eq!(std::fs::read(&middle).unwrap(), bytes);
    home.fails_to_start(LOG);
    let (code, said) = check(&["--fix"], &log.join("appendonly.aof.manifest"));
    assert_eq!(code, Some(0), "{said}");
    let life = home.millrace(LOG);
    let found = life.connect().run("EXISTS key:0 later").to_string();
    assert_eq!(found, ":1");
    assert!(files(&log).contains(&format!("{last}.kept")), "it is kept");
}
