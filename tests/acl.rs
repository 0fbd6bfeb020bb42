//! Users: what they may, whenever and wherever it is judged, and what becomes of their connections when that changes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

#[path = "acl/changes.rs"]
mod changes;
#[path = "acl/files.rs"]
mod files;
#[path = "acl/judged.rs"]
mod judged;

use std::path::Path;
use std::time::{Duration, Instant};

use support::server::info_field;
use support::{Client, Outcome, Server};

/// A connection of a user that may run these rules; its password is `pw`.
fn user(server: &Server, name: &str, rules: &str) -> Client {
    let line = format!("ACL SETUSER {name} on >pw {rules}");
    assert_eq!(server.connect().run(&line).text(), "OK", "{line}");
    log_in(server, name)
}

fn log_in(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    assert_eq!(client.run(&format!("AUTH {name} pw")).text(), "OK");
    client
}

/// Asserts that a connection that has not logged in is told to.
fn expect_login_wanted(server: &Server) {
    let told = server.connect().run("PING").to_string();
    assert!(told.starts_with("-NOAUTH"), "{told}");
}

/// Runs lines that end in what each must answer, behind ` => `.
fn expect(client: &mut Client, table: &[&str]) {
    for row in table {
        let (line, answer) = row.split_once(" => ").unwrap();
        assert_eq!(client.run(line).to_string(), answer, "{line}");
    }
}

const NO_KEY: &str = "-NOPERM No permissions to access a key";
const NO_CHANNEL: &str = "-NOPERM No permissions to access a channel";

fn no_command(user: &str, command: &str) -> String {
    format!("-NOPERM User {user} has no permissions to run the '{command}' command")
}

/// Reads until the server closes: what was on its way may come before, or be lost with the connection.
fn until_closed(client: &mut Client) {
    loop {
        match client.poll(Duration::from_secs(20)) {
            Outcome::Closed => return,
            Outcome::Reply(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Waits until a client is blocked.
fn until_blocked(server: &Server) {
    let mut client = server.connect();
    let began = Instant::now();
    loop {
        let info = client.run("INFO clients").text();
        if info_field(&info, "blocked_clients").as_deref() == Some("1") {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{info}");
    }
}

/// A directory of its own with files in it.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
