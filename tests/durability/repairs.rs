//! `millrace check --fix`, and the start behind it.

use std::path::Path;
use std::process::Command;

use super::home::Home;
use super::{LOG, files};

/// The exit code of `millrace check`, and what it said.
pub(super) fn check(options: &[&str], path: &Path) -> (Option<i32>, String) {
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

#[test]
fn the_commands_that_a_repair_cuts_off_can_be_sent_to_a_server() {
    let home = Home::new();
    let life = home.millrace(LOG);
    let mut client = life.connect();
    client.run("SELECT 3");
    for number in 0..10 {
        client.run(&format!("RPUSH jobs {number}"));
    }
    // On disk, so it was no torn end.
    client.run("WAITAOF 1 0 0");
    client.run("RPUSH jobs last");
    life.kill();
    let log = home.path().join("appendonlydir");
    let file = log.join("appendonly.aof.1.incr.aof");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|window| window == b"$1\r\n5\r\n");
    bytes[at.unwrap()] = b'?';
    std::fs::write(&file, &bytes).unwrap();
    let (code, said) = check(&["--fix"], &log);
    assert_eq!(code, Some(0), "{said}");
    let names = files(&log);
    let ends_with = |ending: &str| names.iter().find(|name| name.ends_with(ending));
    let commands = log.join(ends_with(".commands").unwrap());
    let way = format!("'redis-cli --pipe < {}'", commands.display());
    assert!(said.contains(&way) && said.contains("may depend"), "{said}");
    let kept = names.iter().find(|name| name.contains(".cut-")).unwrap();
    let kept = kept.trim_end_matches(".commands");
    let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("check")
        .arg(log.join(kept))
        .output();
    let output = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(output.contains("what a repair has cut off"), "{output}");
    let life = home.millrace(LOG);
    let status = Command::new("redis-cli")
        .args(["-p", &life.port().to_string(), "--pipe"])
        .stdin(std::fs::File::open(&commands).unwrap())
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let mut client = life.connect();
    client.run("SELECT 3");
    let found = client.run("LRANGE jobs 0 -1").to_string();
    assert_eq!(
        found,
        r#"["0", "1", "2", "3", "4", "6", "7", "8", "9", "last"]"#
    );
}
