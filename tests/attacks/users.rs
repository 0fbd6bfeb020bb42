//! Users and their rules: denials without end, rules and users without end, passwords that are guessed.

use std::time::{Duration, Instant};

use super::driver::{all, each, info, request, until};
use super::field::{Attack, Case, Room};
use super::support::{Client, Outcome};

/// All of them. They log in themselves: by another way they would be others.
pub(crate) fn cases() -> Vec<Case> {
    let cases = vec![
        Case::new("users: NOPERM without end", Room::of(15, 15), denied),
        Case::new(
            "users: other keys denied each time",
            Room::of(15, 15),
            keys_denied,
        ),
        Case::new("users: very many rules", Room::of(40, 30), many_rules),
        Case::new("users: rules that are wrong", Room::of(40, 20), wrong_rules),
        Case::new("users: very many", Room::of(40, 30), many_users),
        Case::new(
            "users: very many selectors",
            Room::of(30, 30),
            many_selectors,
        ),
        Case::new(
            "users: very long passwords",
            room_of_password(),
            long_passwords,
        )
        .with(&["--proto-max-bulk-len", "512mb"]),
        Case::new("users: passwords are guessed", Room::of(15, 15), guessed).ours_only(),
    ];
    cases.into_iter().map(Case::plain_only).collect()
}

/// The buffer that it is read into grows by doubling, so that nobody gets memory for what was only declared: while it grows, both are
/// there.
fn room_of_password() -> Room {
    Room {
        short: (40, 15),
        full: (150, 15),
    }
}

/// Makes a user with the password `word`.
fn make(control: &mut Client, name: &str, rules: &str) {
    let made = control.run(&format!("ACL SETUSER {name} on >word {rules}"));
    assert_eq!(made.to_string(), "+OK");
}

/// Connections of a user.
fn logged_in(attack: &Attack<'_>, name: &str, count: usize) -> Vec<Client> {
    let mut clients = attack.connections(count);
    for client in &mut clients {
        let answer = client.run(&format!("AUTH {name} word"));
        assert_eq!(answer.to_string(), "+OK");
    }
    clients
}

/// Sends so many requests, all of which are denied. The words differ from version to version.
fn all_denied(client: &mut Client, count: usize, make: impl Fn(usize) -> String) {
    each(client, count, make, |number, reply| {
        let shown = String::from_utf8_lossy(&reply[..reply.len().min(100)]);
        assert!(shown.starts_with("-NOPERM "), "reply {number}: {shown}");
    });
}

/// Who may nothing asks for everything: each is denied, and what is kept of it does not grow.
fn denied(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    make(&mut control, "nobody", "");
    let mut clients = logged_in(attack, "nobody", 20);
    let piece: Vec<u8> = (0..500)
        .flat_map(|number| request(&format!("SET key:{number} v")))
        .collect();
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < attack.duration() {
        clients
            .iter_mut()
            .for_each(|client| client.send_raw(&piece));
        for client in &mut clients {
            (0..500).for_each(|_| assert!(client.raw_reply().starts_with(b"-NOPERM ")));
        }
        count += 500 * clients.len();
    }
    if attack.server.shards > 0 {
        assert_eq!(info(&mut control, "acl_access_denied_cmd"), count as u64);
    }
    let entries = control.run("ACL LOG").items().len();
    assert!(entries <= 20, "{entries} entries");
    format!("{count} denied, {entries} entries in ACL LOG")
}

/// Each denial is an entry of its own in ACL LOG, of which there are so many at most.
fn keys_denied(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    make(&mut control, "few", "~mine +get");
    let mut client = logged_in(attack, "few", 1).remove(0);
    let (count, tail) = (attack.size(5_000, 500_000), "x".repeat(1_000));
    let line = |number: usize| format!("GET {number}:{tail}");
    all_denied(&mut client, count, line);
    let entries = control.run("ACL LOG 1000").items().len();
    assert_eq!(entries, 128);
    assert_eq!(control.run("ACL LOG RESET").to_string(), "+OK");
    format!("{count} denied, {entries} entries in ACL LOG")
}

/// One user with very many patterns of keys, and commands of it that match the last of them.
fn many_rules(attack: &Attack<'_>) -> String {
    let count = attack.size(10_000, 40_000);
    let mut control = attack.connect();
    let mut words = ["ACL", "SETUSER", "rich", "on", ">word", "+@all"]
        .map(str::to_owned)
        .to_vec();
    words.extend((0..count).map(|number| format!("~pattern:{number}:*")));
    words.push("~last".to_owned());
    // A pattern as long as that may be.
    words.push(format!("~{}*", "a".repeat(1 << 20)));
    let start = Instant::now();
    assert_eq!(control.call(&words).to_string(), "+OK");
    let made = start.elapsed();
    let mut client = logged_in(attack, "rich", 1).remove(0);
    all(&mut client, 200, |_| "SET last v".to_owned(), "+OK");
    all_denied(&mut client, 200, |_| "SET other v".to_owned());
    let during = attack.resident_mb();
    let listed = control.run("ACL LIST").items().len();
    assert_eq!(listed, 2);
    assert_eq!(control.run("ACL DELUSER rich").integer(), 1);
    format!("{count} patterns in {made:.0?}, {during} MB while they are there")
}

/// Rules of which the last is wrong change nothing, however many there are and however long it is.
fn wrong_rules(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    let long = "x".repeat(attack.size(1 << 20, 8 << 20));
    for wrong in [
        long.clone(),
        format!("+{long}"),
        format!("({long}"),
        format!("#{long}"),
    ] {
        let mut words = ["ACL", "SETUSER", "none"].map(str::to_owned).to_vec();
        words.extend((0..1_000).map(|number| format!("~pattern:{number}")));
        words.push(wrong);
        let told = control.call(&words).to_string();
        assert!(told.starts_with("-ERR"), "{}", &told[..told.len().min(100)]);
    }
    assert_eq!(control.run("ACL GETUSER none").to_string(), "nil");
    String::new()
}

/// Very many users come, are listed and go.
fn many_users(attack: &Attack<'_>) -> String {
    let count = attack.size(2_000, 10_000);
    let mut control = attack.connect();
    let start = Instant::now();
    let line = |number: usize| format!("ACL SETUSER user{number} on nopass ~key:{number}:* +@read");
    all(&mut control, count, line, "+OK");
    let made = start.elapsed();
    assert_eq!(control.run("ACL USERS").items().len(), count + 1);
    assert_eq!(control.run("ACL LIST").items().len(), count + 1);
    let mut client = attack.connect();
    let login = |number: usize| format!("AUTH user{number} any");
    all(&mut client, count, login, "+OK");
    let during = attack.resident_mb();
    // The last one is in use: its connection is closed.
    let gone = |number: usize| format!("ACL DELUSER user{number}");
    all(&mut control, count, gone, ":1");
    client.expect_closed();
    format!("{count} users in {made:.0?}, {during} MB while they are there")
}

/// A command that no selector allows is compared with all of them.
fn many_selectors(attack: &Attack<'_>) -> String {
    let count = attack.size(2_000, 10_000);
    let mut control = attack.connect();
    let mut words = ["ACL", "SETUSER", "many", "on", ">word"]
        .map(str::to_owned)
        .to_vec();
    words.extend((0..count).map(|number| format!("(~key:{number} +get)")));
    let start = Instant::now();
    assert_eq!(control.call(&words).to_string(), "+OK");
    let made = start.elapsed();
    let mut client = logged_in(attack, "many", 1).remove(0);
    let last = count - 1;
    all(&mut client, 500, |_| format!("GET key:{last}"), "$-1");
    all_denied(&mut client, 500, |_| "GET other".to_owned());
    let during = attack.resident_mb();
    assert_eq!(control.run("ACL DELUSER many").integer(), 1);
    format!("{count} selectors in {made:.0?}, {during} MB while they are there")
}

/// Passwords of 100 MB: each is hashed, and others are served meanwhile.
fn long_passwords(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    make(&mut control, "ann", "+ping");
    let password = "x".repeat(attack.size(10 << 20, 100 << 20));
    let mut client = attack.connect();
    let start = Instant::now();
    let count = attack.size(1, 5);
    for _ in 0..count {
        let told = client.call(&["AUTH", "ann", &password]).to_string();
        assert!(told.starts_with("-WRONGPASS"), "{told}");
    }
    format!("{count} passwords in {:.0?}", start.elapsed())
}

/// Guessing on many connections: each waits longer after each guess, and what is kept of it does not grow.
fn guessed(attack: &Attack<'_>) -> String {
    let mut control = attack.connect();
    make(&mut control, "ann", "+ping");
    let mut clients = attack.connections(50);
    let mut guesses = 0;
    clients
        .iter_mut()
        .for_each(|client| client.send_line("AUTH ann wrong"));
    let start = Instant::now();
    while start.elapsed() < attack.duration() {
        for client in &mut clients {
            if let Outcome::Reply(reply) = client.poll(Duration::ZERO) {
                assert!(reply.starts_with(b"-WRONGPASS"));
                guesses += 1;
                client.send_line("AUTH ann wrong");
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // It doubles from a thirty-second of a second: six in the first, then one each second.
    let each_at_most = 7 + attack.duration().as_secs() as usize;
    assert!(guesses <= 50 * each_at_most, "{guesses} guesses");
    until("each was counted", || {
        info(&mut control, "acl_access_denied_auth") >= guesses as u64
    });
    let entries = control.run("ACL LOG 1000").items().len();
    assert!(entries <= 128, "{entries} entries");
    let log_lines = attack.server.log().lines().count();
    assert!(log_lines < 100, "{log_lines} lines in the log");
    format!("{guesses} guesses on 50 connections, {log_lines} lines in the log")
}
