//! Every answer is in the records: commandstats, errorstats, latency histogram, slow log, processed commands.

use std::time::{Duration, Instant};

use crate::support::records::{self, Records};
use crate::support::server::info_field;
use crate::support::{Client, Server};
use crate::{beside_the_oracle, is_of_70};

/// One connection's commands; `@` before one: another connection sends it; `>`: it is sent and its answer is awaited at `<`, when it
/// has begun to wait; `!`: no answer comes.
const STORIES: &[&[&str]] = &[
    &["MULTI", "SET a 1", "EXEC"],
    &["MULTI", "EXEC"],
    &["MULTI", "SET a 1", "SET b 1", "SET c 1", "GET a", "EXEC"],
    &["WATCH a", "@SET a 2", "MULTI", "GET a", "EXEC"],
    &[
        "WATCH a b c d",
        "SET d 2",
        "MULTI",
        "GET a",
        "GET b",
        "EXEC",
    ],
    &["MULTI", "SET a", "EXEC"],
    &["MULTI", "NOPE", "SET a 1", "EXEC"],
    &["MULTI", "SET a 1", "EXEC x", "SET b 1"],
    &["EXEC", "EXEC x", "DISCARD"],
    &["SET a x", "MULTI", "LPUSH a x", "INCR a", "EXEC"],
    &["MULTI", "WATCH x", "SET a 1", "EXEC"],
    &["MULTI", "WATCH", "EXEC"],
    &["MULTI", "MULTI", "UNWATCH", "PING", "EXEC"],
    &["MULTI", "SET a 1", "DISCARD", "MULTI", "RESET"],
    &["MULTI", "SUBSCRIBE a", "EXEC", "UNSUBSCRIBE"],
    &["MULTI", "BLPOP nothing 0", "EXEC"],
    &[
        "CLIENT NOPE",
        "CONFIG NOPE",
        "OBJECT NOPE a",
        "XINFO NOPE",
        "COMMAND NOPE",
        "XGROUP NOPE",
        "MEMORY NOPE",
    ],
    &[
        "CLIENT",
        "CLIENT KILL",
        "CONFIG GET",
        "CONFIG SET nope 1",
        "COMMAND COUNT x",
        "XINFO STREAM",
    ],
    &["MULTI", "CLIENT NOPE", "EXEC"],
    &["NOPE", "NOPE a b", "GET", "SET a", "PING a b"],
    &["LPUSH l a", "GET l", "INCR l", "LSET l 9 x", "XADD l * f v"],
    &[
        "HELLO 9",
        "HELLO",
        "HELLO 2",
        "AUTH x",
        "AUTH x y",
        "SELECT 99",
        "SELECT x",
    ],
    &[
        "LPUSH q a",
        "BLPOP q 0",
        "SET s 1",
        "BLPOP s 0",
        "BLPOP q x",
    ],
    &["BLPOP nothing 0.01", "WAIT 0 0"],
    &[">BLPOP w 0", "@LPUSH w x", "<"],
    &[">BLMOVE w d LEFT LEFT 0", "@LPUSH w x", "<"],
    &["SET d x", ">BLMOVE w d LEFT LEFT 0", "@LPUSH w x", "<"],
    &[
        ">BLPOP w 0",
        "@MULTI",
        "@LPUSH w x",
        "@DEL w",
        "@EXEC",
        "@LPUSH w y",
        "<",
    ],
    &[">XREAD BLOCK 0 STREAMS st $", "@XADD st 5-5 a b", "<"],
    &[
        "SHUTDOWN NOPE",
        "SHUTDOWN ABORT",
        "SHUTDOWN NOW SAVE NOSAVE",
    ],
    &[
        "PUBLISH a b",
        "SPUBLISH a b",
        "SUBSCRIBE a",
        "GET a",
        "UNSUBSCRIBE a",
    ],
    &["!CLIENT REPLY OFF", "!SET a 1", "!GET", "CLIENT REPLY ON"],
    &[
        "SCAN x",
        "SCAN 0",
        "KEYS *",
        "RANDOMKEY",
        "DBSIZE",
        "FLUSHDB",
        "SWAPDB 0 1",
        "SWAPDB 0 99",
    ],
    &[
        "CLIENT PAUSE 1",
        "CLIENT UNPAUSE",
        "CLIENT KILL x",
        "CLIENT KILL ID 999999",
        "CLIENT GETNAME",
    ],
    &[
        "DEBUG SLEEP 0",
        "TIME",
        "ECHO a",
        "LASTSAVE",
        "ROLE",
        "OBJECT ENCODING nothing",
        "OBJECT HELP",
    ],
];

/// What 7.0 answers otherwise: the error of a client whose group is gone.
const STORIES_SINCE_72: &[&[&str]] = &[&[
    "XGROUP CREATE st g $ MKSTREAM",
    ">XREADGROUP GROUP g c BLOCK 0 STREAMS st >",
    "@DEL st",
    "<",
]];

fn processed(client: &mut Client) -> u64 {
    let stats = client.run("INFO stats").text();
    let processed = info_field(&stats, "total_commands_processed").unwrap();
    processed.parse().unwrap()
}

fn wait_until_blocked(control: &mut Client) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !control
        .run("INFO clients")
        .text()
        .contains("blocked_clients:1")
    {
        assert!(Instant::now() < deadline, "nobody waits");
    }
}

/// The replies, the records, and how many commands were processed; none where the count depends on how often we looked.
fn tell(server: &Server, story: &[&str]) -> (Vec<String>, Records, Option<u64>) {
    let (mut client, mut control) = (server.connect(), server.connect());
    control.run("FLUSHALL");
    records::begin(&mut control);
    let before = processed(&mut control);
    let (mut replies, mut looked) = (Vec::new(), false);
    for step in story {
        let (kind, line) = step.split_at(usize::from("@>!<".contains(&step[..1])));
        match kind {
            "@" => replies.push(control.run(line).to_string()),
            "!" => client.send_line(line),
            "<" => replies.push(client.reply().to_string()),
            ">" => {
                client.send_line(line);
                wait_until_blocked(&mut control);
                looked = true;
            }
            _ => replies.push(client.run(line).to_string()),
        }
    }
    let mut records = records::of(&mut control);
    // How often INFO was asked depends on how long others took.
    records.retain(|name, _| !name.contains("info") && !name.contains("INFO"));
    let processed = processed(&mut control) - before;
    (replies, records, (!looked).then_some(processed))
}

#[test]
fn every_answer_is_in_the_records() {
    beside_the_oracle(|server, oracle| {
        let later = if is_of_70(oracle) {
            &[]
        } else {
            STORIES_SINCE_72
        };
        for story in STORIES.iter().chain(later) {
            let (ours, theirs) = (tell(server, story), tell(oracle, story));
            let differences = records::differences(&ours.1, &theirs.1, !is_of_70(oracle));
            assert!(
                differences.is_empty(),
                "{story:?}\n{}",
                differences.join("\n")
            );
            assert_eq!(ours.2, theirs.2, "commands processed by {story:?}");
            let comparable = !story.iter().any(|step| {
                step.contains("HELLO") || step.starts_with("TIME") || step.contains("DEBUG")
            });
            assert!(
                !comparable || ours.0 == theirs.0,
                "{story:?}: {:?} and {:?}",
                ours.0,
                theirs.0
            );
        }
    });
}

#[test]
fn refusals_before_auth_and_of_debug_are_in_the_records() {
    beside_the_oracle(|server, oracle| {
        let all = [server, oracle].map(|one| {
            let mut control = one.connect();
            records::begin(&mut control);
            control.run("CONFIG SET requirepass secret");
            let mut stranger = one.connect();
            for line in [
                "GET a",
                "CLIENT ID",
                "CLIENT NOPE",
                "EXEC",
                "MULTI",
                "AUTH no",
                "GET",
                "PING",
            ] {
                stranger.run(line);
            }
            control.run("CONFIG SET requirepass ''");
            control.call(&["CONFIG", "SET", "requirepass", ""]);
            records::of(&mut control)
        });
        let differences = records::differences(&all[0], &all[1], !is_of_70(oracle));
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}

#[test]
fn a_wait_that_ends_in_vain_is_in_the_records_as_72_has_it() {
    beside_the_oracle(|server, _| {
        let (mut client, mut control) = (server.connect(), server.connect());
        for unblock in ["", "CLIENT UNBLOCK {} TIMEOUT", "CLIENT UNBLOCK {} ERROR"] {
            records::begin(&mut control);
            let seconds = if unblock.is_empty() { "0.01" } else { "0" };
            let id = client.id();
            client.send_line(&format!("BLPOP nothing {seconds}"));
            if !unblock.is_empty() {
                wait_until_blocked(&mut control);
                control.run(&unblock.replace("{}", &id.to_string()));
            }
            let failed = u8::from(client.reply().is_error());
            let records = records::of(&mut control);
            let calls = &records["cmdstat_blpop"];
            let expected = format!("calls=1 rejected_calls=0 failed_calls={failed}");
            assert_eq!(calls, &expected, "{unblock}");
            assert!(records.contains_key("histogram blpop"), "{unblock}");
            let logged = records
                .keys()
                .any(|name| name.starts_with("slow") && name.contains("nothing"));
            assert!(logged, "{unblock}");
        }
    });
}
