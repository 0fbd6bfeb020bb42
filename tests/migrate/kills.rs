//! SIGKILL of one side while keys are moved: each is in at least one place, whole, and what was acknowledged is where it was sent.

use super::home::{Home, Life, PATIENCE};
use super::support::{Client, Outcome};

const DURABLE: &[&str] = &[
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--save",
    "",
    "--shards",
];
const KEYS: usize = 120;
/// Keys of one MIGRATE.
const BATCH: usize = 20;

/// From a few bytes to what is sent in several pieces.
fn value(number: usize) -> String {
    format!("{number}:").repeat(1 + number % 7 * 4000)
}

fn element(number: usize, index: usize) -> String {
    format!("{number}-{index}")
}

fn elements(number: usize) -> usize {
    1 + number % 5 * 300
}

fn fill(client: &mut Client) {
    for number in 0..KEYS {
        let key = format!("key:{number}");
        let reply = if number.is_multiple_of(2) {
            client.call(&["SET", &key, &value(number)])
        } else {
            let mut command = vec!["RPUSH".to_owned(), key];
            command.extend((0..elements(number)).map(|index| element(number, index)));
            client.call(&command)
        };
        assert!(!reply.is_error(), "{reply}");
    }
}

/// Whether a key is there; then it is whole.
fn has(client: &mut Client, number: usize) -> bool {
    let key = format!("key:{number}");
    if number.is_multiple_of(2) {
        let found = client.call(&["GET", &key]);
        assert!(found.is_null() || found.text() == value(number), "{key}");
        return !found.is_null();
    }
    let found = client.call(&["LRANGE", &key, "0", "-1"]);
    let found: Vec<String> = found.items().iter().map(|item| item.text()).collect();
    let whole: Vec<String> = (0..elements(number))
        .map(|index| element(number, index))
        .collect();
    assert!(found.is_empty() || found == whole, "{key}");
    !found.is_empty()
}

/// Moves batch after batch; gives how many keys it was told are moved when a server was gone.
fn move_all(client: &mut Client, port: u16) -> usize {
    for first in (0..KEYS).step_by(BATCH) {
        let port = port.to_string();
        let command = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let mut command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        command.extend((first..first + BATCH).map(|number| format!("key:{number}")));
        client.send(&command);
        match client.poll(PATIENCE) {
            Outcome::Reply(reply) if reply == b"+OK\r\n" => {}
            Outcome::Reply(reply) => {
                let reply = String::from_utf8(reply).unwrap();
                assert!(reply.starts_with("-IOERR"), "{reply}");
                return first;
            }
            Outcome::Closed => return first,
            other => panic!("{other:?}"),
        }
    }
    KEYS
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Source,
    Destination,
}

fn round(victim: Victim, shards: &str, enough: i64) -> usize {
    let options = [DURABLE, &[shards]].concat();
    let homes = [Home::new(), Home::new()];
    let source = homes[0].millrace(&options);
    let destination = homes[1].millrace(&options);
    let mut moving = source.connect();
    fill(&mut moving);
    let port = destination.port();
    let moved = std::thread::spawn(move || move_all(&mut moving, port));
    let mut counting = destination.connect();
    while !moved.is_finished() && counting.run("DBSIZE").integer() < enough {}
    let (victim_life, other) = match victim {
        Victim::Source => (source, destination),
        Victim::Destination => (destination, source),
    };
    victim_life.kill();
    let acknowledged = moved.join().unwrap();
    // What the other one has answered is on disk.
    other.kill();
    let about = format!("{victim:?}, {shards} shards, after {enough}, {acknowledged} told");
    let lives = homes.each_ref().map(|home| home.millrace(&options));
    let [mut here, mut there] = lives.each_ref().map(Life::connect);
    for number in 0..KEYS {
        let (here, there) = (has(&mut here, number), has(&mut there, number));
        assert!(here || there, "key:{number} is lost: {about}");
        if number < acknowledged {
            assert!(there && !here, "key:{number} is not there alone: {about}");
        }
    }
    acknowledged
}

#[test]
fn a_kill_of_either_side_loses_no_key_and_takes_nothing_back() {
    for victim in [Victim::Source, Victim::Destination] {
        for shards in ["1", "4"] {
            let told = [1, 30, 50, 75].map(|enough| round(victim, shards, enough));
            assert!(told.iter().any(|count| *count < KEYS), "none was in time");
        }
    }
}
