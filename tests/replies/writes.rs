//! What a write tells others, also one that changes little: keyspace notifications, WATCH, client-side caching, and the count of
//! changes.

use crate::support::server::info_field;
use crate::support::{Client, Frame, Server};
use crate::{beside_the_oracle, is_of_70};

/// How a key `k` may be, by the commands that make it.
fn beginnings(kind: &str) -> Vec<&'static str> {
    match kind {
        "none" => vec![],
        "string" => vec!["SET k v"],
        "number" => vec!["SET k 5"],
        "expiring" => vec!["SET k v EX 1000"],
        "list" => vec!["RPUSH k a b c"],
        "one" => vec!["RPUSH k a"],
        "strings" => vec!["SET k v", "SET d w"],
        "lists" => vec!["RPUSH k a b", "RPUSH d x"],
        "stream" => vec!["XADD k 1-1 f v", "XADD k 2-1 f v"],
        "group" => vec![
            "XADD k 1-1 f v",
            "XADD k 2-1 f v",
            "XGROUP CREATE k g 0",
            "XREADGROUP GROUP g c COUNT 1 STREAMS k >",
        ],
        "emptied" => vec!["XADD k 1-1 f v", "XDEL k 1-1"],
        other => panic!("no beginning {other}"),
    }
}

/// Writes by the kinds of key to try them on; those with an empty argument have `_` for it.
const WRITES: &[(&[&str], &[&str])] = &[
    (
        &["none", "string", "expiring", "list"],
        &[
            "SET k z EXAT 1",
            "SET k z PXAT 1",
            "SET k z NX EXAT 1",
            "SET k z XX EXAT 1",
            "SET k z GET EXAT 1",
            "SET k z EX 100",
            "SET k z KEEPTTL",
            "SET k z NX",
            "SET k z XX",
            "SET k v",
            "SETEX k 100 z",
            "PSETEX k 100000 z",
            "SETNX k z",
            "GETSET k z",
            "GETDEL k",
            "GETEX k",
            "GETEX k EXAT 1",
            "GETEX k PXAT 1",
            "GETEX k EX 100",
            "GETEX k PERSIST",
            "EXPIRE k -1",
            "EXPIRE k 0",
            "PEXPIRE k -1",
            "EXPIREAT k 1",
            "PEXPIREAT k 1",
            "EXPIRE k 100",
            "EXPIRE k 100 NX",
            "EXPIRE k 100 XX",
            "EXPIRE k 100 GT",
            "EXPIRE k 100 LT",
            "EXPIRE k -1 GT",
            "EXPIRE k -1 NX",
            "EXPIRE k 1000000 GT",
            "PERSIST k",
            "APPEND k _",
            "APPEND k x",
            "SETRANGE k 0 _",
            "SETRANGE k 5 _",
            "SETRANGE k 0 v",
            "SETRANGE k 3 q",
            "INCRBY k 0",
            "INCR k",
            "INCRBYFLOAT k 0",
            "DECRBY k 0",
            "DEL k",
            "DEL k k",
            "UNLINK k",
            "DEL d",
            "RENAME k k",
            "RENAME k d",
            "RENAMENX k k",
            "RENAMENX k d",
            "COPY k k",
            "COPY k d",
            "COPY k d REPLACE",
            "COPY k d DB 1",
            "MOVE k 1",
            "MOVE k 0",
            "TOUCH k",
            "MSET k a d b",
            "MSET k a k b",
            "MSETNX k a d b",
            "MSETNX d b e c",
            "FLUSHDB",
            "FLUSHALL",
            "SWAPDB 0 0",
            "SWAPDB 0 1",
        ],
    ),
    (
        &["number"],
        &[
            "INCRBY k 0",
            "INCRBYFLOAT k 0",
            "DECR k",
            "APPEND k _",
            "INCR k",
            "INCRBYFLOAT k 1.5",
        ],
    ),
    (
        &["none", "one", "list", "string"],
        &[
            "LSET k 0 a",
            "LSET k 0 z",
            "LSET k 9 z",
            "LTRIM k 0 -1",
            "LTRIM k 1 0",
            "LTRIM k 9 10",
            "LTRIM k 0 0",
            "LINSERT k BEFORE q x",
            "LINSERT k BEFORE a x",
            "LREM k 0 q",
            "LREM k 0 a",
            "LREM k 1 a",
            "LPUSHX k z",
            "RPUSHX k y z",
            "LPUSH k z",
            "RPUSH k y z",
            "LPOP k",
            "LPOP k 0",
            "LPOP k 1",
            "LPOP k 9",
            "RPOP k 0",
            "RPOP k 9",
            "LMOVE k k LEFT RIGHT",
            "LMOVE k k LEFT LEFT",
            "LMOVE k d LEFT RIGHT",
            "RPOPLPUSH k k",
            "RPOPLPUSH k d",
            "LMPOP 1 k LEFT",
            "LMPOP 2 d k LEFT COUNT 9",
            "BLPOP k 0.01",
            "BRPOP d k 0.01",
            "BLMOVE k d LEFT LEFT 0.01",
            "BLMOVE k k LEFT RIGHT 0.01",
            "BLMPOP 0.01 1 k LEFT COUNT 2",
            "BRPOPLPUSH k d 0.01",
        ],
    ),
    (
        &["strings", "lists"],
        &[
            "RENAME k d",
            "RENAMENX k d",
            "COPY k d",
            "COPY k d REPLACE",
            "LMOVE k d LEFT LEFT",
            "MSETNX k a d b",
            "MSET k a d b",
            "DEL k d",
            "DEL k d k",
            "LMPOP 2 k d LEFT COUNT 9",
            "RPOPLPUSH k d",
            "FLUSHALL",
        ],
    ),
    (
        &["none", "string", "stream", "group", "emptied"],
        &[
            "XADD k 3-1 f v",
            "XADD k NOMKSTREAM 3-1 f v",
            "XADD k MAXLEN 0 3-1 f v",
            "XADD k MAXLEN 1 3-1 f v",
            "XADD k 1-1 f v",
            "XTRIM k MAXLEN 0",
            "XTRIM k MAXLEN 1",
            "XTRIM k MAXLEN 9",
            "XTRIM k MINID 0",
            "XTRIM k MINID 2",
            "XDEL k 1-1",
            "XDEL k 9-9",
            "XDEL k 1-1 1-1",
            "XDEL k 1-1 2-1",
            "XSETID k 5-1",
            "XSETID k 2-1",
            "XGROUP CREATE k g2 0",
            "XGROUP CREATE k g 0",
            "XGROUP CREATE k h $ MKSTREAM",
            "XGROUP SETID k g 0",
            "XGROUP DESTROY k g",
            "XGROUP DESTROY k nope",
            "XGROUP CREATECONSUMER k g c",
            "XGROUP CREATECONSUMER k g n",
            "XGROUP DELCONSUMER k g c",
            "XGROUP DELCONSUMER k g nope",
            "XACK k g 1-1",
            "XACK k g 9-9",
            "XACK k nope 1-1",
            "XREADGROUP GROUP g c STREAMS k >",
            "XREADGROUP GROUP g n COUNT 1 STREAMS k >",
            "XREADGROUP GROUP g c NOACK STREAMS k >",
            "XCLAIM k g c 0 1-1",
            "XCLAIM k g n 0 1-1",
            "XCLAIM k g n 0 9-9",
            "XCLAIM k g n 0 2-1 FORCE",
            "XCLAIM k g n 100000 1-1",
            "XCLAIM k g n 0 1-1 JUSTID",
            "XCLAIM k g n 0 1-1 LASTID 5-5",
            "XAUTOCLAIM k g n 0 0",
            "XAUTOCLAIM k g n 100000 0",
            "XAUTOCLAIM k g c 0 9",
            "XAUTOCLAIM k g n 0 0 JUSTID",
            "XREAD STREAMS k 0",
        ],
    ),
];

/// Writes that since 7.2 make the consumer they name also when they give it nothing.
const SINCE_72: &[&str] = &[
    "XCLAIM k g n 0 9-9",
    "XCLAIM k g n 100000 1-1",
    "XAUTOCLAIM k g n 100000 0",
];

/// Who listens to what happens to `k` and `d`.
struct Listeners {
    writer: Client,
    notified: Client,
    watchers: [Client; 2],
    tracker: Client,
}

#[derive(Debug, PartialEq, Eq)]
struct Heard {
    reply: String,
    events: Vec<String>,
    watchers_touched: Vec<usize>,
    invalidated: Vec<String>,
    changes: u64,
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ')
        .map(|word| if word == "_" { "" } else { word })
        .collect()
}

fn changes(client: &mut Client) -> u64 {
    let info = client.run("INFO persistence").text();
    info_field(&info, "rdb_changes_since_last_save")
        .unwrap()
        .parse()
        .unwrap()
}

impl Listeners {
    fn new(server: &Server) -> Self {
        let mut writer = server.connect();
        writer.run("CONFIG SET notify-keyspace-events KEA");
        // A key that has expired stays until somebody looks: else a round of the server could come in between.
        writer.run("DEBUG SET-ACTIVE-EXPIRE 0");
        let mut notified = server.connect();
        notified.run("PSUBSCRIBE __key*");
        let mut tracker = server.connect_resp3();
        tracker.run("CLIENT TRACKING ON");
        Self {
            writer,
            notified,
            watchers: [server.connect(), server.connect()],
            tracker,
        }
    }

    /// The events up to a mark that is sent now.
    fn events(&mut self) -> Vec<String> {
        self.writer.run("PUBLISH __key_mark end");
        let mut events = Vec::new();
        loop {
            let message = self.notified.reply();
            let [.., channel, payload] = message.items() else {
                panic!("no message: {message}");
            };
            if channel.text() == "__key_mark" {
                return events;
            }
            events.push(format!("{} {}", channel.text(), payload.text()));
        }
    }

    fn hear(&mut self, beginning: &[&str], line: &str) -> Heard {
        self.writer.run("FLUSHALL");
        for command in beginning {
            self.writer.run(command);
        }
        self.events();
        for (watcher, key) in self.watchers.iter_mut().zip(["k", "d"]) {
            watcher.run("UNWATCH");
            watcher.call(&["WATCH", key]);
        }
        // What FLUSHALL sent comes before the answer; reads make the keys tracked.
        for line in ["EXISTS k", "EXISTS d"] {
            self.tracker_reply(line);
        }
        let before = changes(&mut self.writer);
        let reply = self.writer.call(&words(line)).to_string();
        let changes = changes(&mut self.writer) - before;
        let mut events = self.events();
        // What is there only to expire: who looks finds it gone.
        self.writer.run("EXISTS k");
        events.extend(self.events());
        let mut watchers_touched = Vec::new();
        for (at, watcher) in self.watchers.iter_mut().enumerate() {
            watcher.run("MULTI");
            if watcher.run("EXEC").is_null() {
                watchers_touched.push(at);
            }
        }
        let mut invalidated = Vec::new();
        self.tracker.send_line("PING");
        while let Frame::Push(items) = self.tracker.reply() {
            invalidated.push(Frame::Push(items).to_string());
        }
        Heard {
            reply,
            events,
            watchers_touched,
            invalidated,
            changes,
        }
    }

    /// The reply to a line, after pushes that came before it.
    fn tracker_reply(&mut self, line: &str) -> Frame {
        self.tracker.send_line(line);
        loop {
            let reply = self.tracker.reply();
            if !matches!(reply, Frame::Push(_)) {
                return reply;
            }
        }
    }
}

#[test]
fn a_write_tells_others_what_the_oracle_tells_them() {
    beside_the_oracle(|server, oracle| {
        let (mut ours, mut theirs) = (Listeners::new(server), Listeners::new(oracle));
        let mut differences = Vec::new();
        for (kinds, lines) in WRITES {
            for kind in *kinds {
                let told = |line: &&&str| !is_of_70(oracle) || !SINCE_72.contains(line);
                for line in lines.iter().filter(told) {
                    let beginning = beginnings(kind);
                    let (ours, theirs) =
                        (ours.hear(&beginning, line), theirs.hear(&beginning, line));
                    if ours != theirs {
                        differences.push(format!("{line} on {kind}:\n  {ours:?}\n  {theirs:?}"));
                    }
                }
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}
