//! The stream commands run by themselves: random commands, their effects repeated on an empty keyspace.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::context::{Context, Outcome, Shared};
use crate::command::error;
use crate::command::table::commands;
use crate::command::testing::shared;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::{Keyspace, Space};
use crate::resp::Protocol;
use crate::resp::arguments::Request;
use crate::resp::reply::Reply;

const NOW_MS: u64 = 1_800_000_000_000;

/// One keyspace and a client, without a shard around them.
struct Bench {
    keyspace: Keyspace,
    shared: Shared,
    session: Session,
    settings: Settings,
    now_ms: u64,
}

impl Bench {
    fn new(protocol: Protocol) -> Bench {
        let shared = shared(&["--stream-node-max-entries", "5"], 1);
        let settings = Settings::clone(&shared.settings.read().unwrap());
        let handle = ClientHandle::new(ClientId(1), ClientOrigin::default(), ShardId(0), NOW_MS);
        let mut session = Session::new(Arc::new(handle), true);
        session.set_protocol(protocol);
        let mut keyspace = Keyspace::new(ShardId(0), 1, hashbrown::DefaultHashBuilder::default());
        keyspace.effects.set_recording(true);
        Bench {
            keyspace,
            shared,
            session,
            settings,
            now_ms: NOW_MS,
        }
    }

    /// The reply to a command; a wait answers its null.
    fn run(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        let request = Request::from_arguments(words.iter().map(Vec::as_slice));
        let args = request.args();
        let table = commands();
        let mut reply = Reply::new(self.session.protocol);
        let mut row = table.find(args.at(0)).unwrap();
        if row.is_container() && args.len() > 1 {
            match table.find_subcommand(row, args.at(1)) {
                Some(subcommand) => row = subcommand,
                None => {
                    reply.error(error::unknown_subcommand(row.command.name, args.at(1)).bytes());
                    return reply.take();
                }
            }
        }
        if !row.command.accepts(args.len()) {
            reply.error(error::wrong_arity(&row.full_name).bytes());
            return reply.take();
        }
        self.keyspace.now_ms = self.now_ms;
        let mut space = Space::one(&mut self.keyspace, 1);
        space.now_ms = self.now_ms;
        let scripts = std::cell::RefCell::default();
        let mut context = Context {
            space,
            reply: &mut reply,
            session: &mut self.session,
            shared: &self.shared,
            settings: &self.settings,
            scripts: &scripts,
            row,
            shard: ShardId(0),
            may_block: true,
            in_script: false,
            resumed: false,
        };
        let mark = context.reply.mark();
        match (row.command.handler)(&mut context, &args) {
            Ok(Outcome::Done | Outcome::Wait(_)) => {}
            Ok(Outcome::Ask(action)) => panic!("{action:?}"),
            Err(refused) => {
                reply.truncate(mark);
                reply.error(refused.bytes());
            }
        }
        reply.take()
    }

    fn line(&mut self, line: &str) -> String {
        let words: Vec<Vec<u8>> = line
            .split_whitespace()
            .map(|w| w.as_bytes().to_vec())
            .collect();
        String::from_utf8_lossy(&self.run(&words))
            .replace("\r\n", " ")
            .trim_end()
            .to_owned()
    }

    fn take_effects(&mut self) -> Vec<Vec<Vec<u8>>> {
        let mut effects = Vec::new();
        self.keyspace
            .effects
            .drain(|_, bytes| effects.push(words_of(bytes)));
        effects
    }

    fn effect_lines(&mut self) -> Vec<String> {
        let text = |words: Vec<Vec<u8>>| String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        self.take_effects().into_iter().map(text).collect()
    }

    /// All that can be known of the streams, seen and active times aside.
    fn state(&mut self, keys: &[&str]) -> String {
        let mut state = String::new();
        for key in keys {
            let full = self.line(&format!("XINFO STREAM {key} FULL COUNT 0"));
            let mut skip = 0;
            for word in full.split(' ') {
                skip -= i32::from(skip > 0);
                if skip == 0 {
                    state.push_str(word);
                    state.push(' ');
                }
                if ["seen-time", "active-time", "iids-duplicates"].contains(&word) {
                    skip = 2;
                }
            }
        }
        state
    }
}

/// The number after `*` or `$`, and what follows its line.
fn length_of(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\r').unwrap();
    let value = std::str::from_utf8(&bytes[1..end])
        .unwrap()
        .parse()
        .unwrap();
    (value, &bytes[end + 2..])
}

/// The arguments of a command in RESP.
fn words_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (count, mut rest) = length_of(bytes);
    let mut words = Vec::new();
    for _ in 0..count {
        let (length, text) = length_of(rest);
        words.push(text[..length].to_vec());
        rest = &text[length + 2..];
    }
    words
}

/// A small generator of numbers: the same sequence for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len() as u64) as usize]
    }

    fn id(&mut self) -> String {
        match self.roll(90) {
            0 => "-".into(),
            1 => "+".into(),
            2 => "$".into(),
            3 => "0".into(),
            4 => "18446744073709551615-18446744073709551615".into(),
            5 => "x".into(),
            6 => format!("({}", self.roll(60)),
            7 => format!("({}-{}", self.roll(60), self.roll(3)),
            8..20 => self.roll(60).to_string(),
            _ => format!("{}-{}", self.roll(60), self.roll(3)),
        }
    }

    fn trim(&mut self) -> String {
        let kind = match self.roll(2) {
            0 => format!(
                "MAXLEN {} {}",
                self.pick(&["", "=", "~", "~"]),
                self.roll(40)
            ),
            _ => format!("MINID {} {}", self.pick(&["", "=", "~", "~"]), self.id()),
        };
        let limit = match self.roll(8) {
            0 => format!("LIMIT {}", self.roll(30)),
            1 => "LIMIT 0".into(),
            _ => String::new(),
        };
        let policy = self.pick(&["", "", "KEEPREF", "DELREF", "ACKED", "ACKED"]);
        match self.roll(2) {
            0 => format!("{kind} {limit} {policy}"),
            _ => format!("{policy} {kind} {limit}"),
        }
    }

    fn counted_ids(&mut self) -> String {
        let policy = self.pick(&["", "KEEPREF", "DELREF", "ACKED", "ACKED"]);
        let (a, b, c) = (self.id(), self.id(), self.id());
        match self.roll(8) {
            0 => format!("{policy} IDS 1 {a} {b}"),
            1..=3 => format!("IDS 3 {a} {b} {c} {policy}"),
            _ => format!("{policy} IDS 3 {a} {b} {c}"),
        }
    }

    /// An XADD with the clock's ID, most often of a producer.
    fn message(&mut self) -> String {
        let (producer, message) = (self.pick(&["a", "b", "c"]), self.roll(6));
        let identity = match self.roll(4) {
            0 => String::new(),
            1 => format!("IDMPAUTO {producer}"),
            _ => format!("IDMP {producer} m{message}"),
        };
        let trim = match self.roll(4) {
            0 => {
                let policy = self.pick(&["", "KEEPREF", "DELREF", "ACKED"]);
                let operator = self.pick(&["~", "="]);
                format!("{policy} MAXLEN {operator} {}", self.roll(20))
            }
            _ => String::new(),
        };
        format!("XADD p {trim} {identity} * f {message}")
    }

    /// A random command on streams; `base` rises so that IDs do.
    fn command(&mut self, base: u64) -> String {
        let key = self.pick(&["s", "s", "s", "s", "s", "s", "t", "t", "p", "p", "missing"]);
        let group = self.pick(&["g", "g", "g", "g", "g", "h", "h", "h", "nogroup"]);
        let consumer = self.pick(&["a", "b", "c", "alice"]);
        match self.roll(43) {
            0..=7 => {
                let id = match self.roll(10) {
                    0 => self.id(),
                    1 => format!("{}-*", base / 40),
                    _ => format!("{}-{}", base / 40, base % 40 / 10),
                };
                let trim = if self.roll(8) == 0 {
                    self.trim()
                } else {
                    String::new()
                };
                let create = self.pick(&["", "", "NOMKSTREAM"]);
                let fields = self.pick(&["f v", "f 12", "f v g w", "g w f v", "f", "f 1 f 2"]);
                format!("XADD {key} {create} {trim} {id} {fields}")
            }
            8 => format!("XTRIM {key} {}", self.trim()),
            9..=10 => format!("XDEL {key} {} {}", self.id(), self.id()),
            11 => {
                let count = self.pick(&["", "COUNT 3", "COUNT 0", "COUNT x", "COUNT -1", "COUNT"]);
                format!(
                    "{} {key} {} {} {count}",
                    self.pick(&["XRANGE", "XREVRANGE"]),
                    self.id(),
                    self.id()
                )
            }
            12 => format!(
                "XREAD COUNT {} STREAMS {key} t {} {}",
                self.roll(4),
                self.id(),
                self.id()
            ),
            13..=18 => {
                let no_ack = self.pick(&["", "", "", "NOACK"]);
                let id = if self.roll(4) > 0 {
                    ">".into()
                } else {
                    self.id()
                };
                format!(
                    "XREADGROUP GROUP {group} {consumer} COUNT {} {no_ack} STREAMS {key} {id}",
                    self.roll(6)
                )
            }
            19..=20 => format!(
                "XACK {key} {group} {} {} {}",
                self.id(),
                self.id(),
                self.id()
            ),
            21..=22 => {
                let idle = self.pick(&["", "", "IDLE 500000"]);
                let owner = self.pick(&["", "", consumer]);
                match self.roll(3) {
                    0 => format!("XPENDING {key} {group}"),
                    1 => format!("XPENDING {key} {group} {idle} - + 100 {owner}"),
                    _ => format!(
                        "XPENDING {key} {group} {idle} {} {} {} {owner}",
                        self.id(),
                        self.id(),
                        self.roll(9)
                    ),
                }
            }
            23..=25 => {
                let options = self.pick(&[
                    "",
                    "",
                    "JUSTID",
                    "FORCE",
                    "FORCE JUSTID",
                    "RETRYCOUNT 7",
                    "TIME 1600000000000",
                    "IDLE 1000000",
                    "IDLE x",
                    "LASTID 30-0",
                    "LASTID 59-0 FORCE",
                    "WHAT",
                    "TIME 1700000000000 RETRYCOUNT 3 FORCE",
                    "RETRYCOUNT 5000000000",
                    "IDLE 1000000 JUSTID",
                ]);
                let idle = self.pick(&[
                    "0", "0", "0", "0", "0", "500000", "500000", "500000", "-5", "x",
                ]);
                let (a, b) = (self.id(), self.id());
                format!("XCLAIM {key} {group} {consumer} {idle} {a} {b} {options}")
            }
            26..=27 => {
                let options = self.pick(&[
                    "",
                    "JUSTID",
                    "COUNT 2",
                    "COUNT 1 JUSTID",
                    "COUNT 0",
                    "COUNT x",
                    "WHAT",
                ]);
                let idle = self.pick(&["0", "0", "0", "500000", "500000", "x"]);
                format!(
                    "XAUTOCLAIM {key} {group} {consumer} {idle} {} {options}",
                    self.id()
                )
            }
            28 => {
                let options = self.pick(&[
                    "",
                    "MKSTREAM",
                    "ENTRIESREAD 5",
                    "MKSTREAM ENTRIESREAD 0",
                    "ENTRIESREAD -1",
                    "ENTRIESREAD -2",
                    "X",
                ]);
                format!("XGROUP CREATE {key} {group} {} {options}", self.id())
            }
            29 => {
                let options = self.pick(&["", "", "ENTRIESREAD 5", "ENTRIESREAD x", "MKSTREAM"]);
                format!("XGROUP SETID {key} {group} {} {options}", self.id())
            }
            30 => match self.roll(12) {
                0 => format!("XGROUP DESTROY {key} {group}"),
                1..=4 => format!("XGROUP DELCONSUMER {key} {group} {consumer}"),
                _ => format!("XGROUP CREATECONSUMER {key} {group} {consumer}"),
            },
            31 if self.roll(6) == 0 => {
                let options = self.pick(&[
                    "",
                    "ENTRIESADDED 50",
                    "MAXDELETEDID 3-0",
                    "ENTRIESADDED 2",
                    "X",
                ]);
                format!("XSETID {key} {} {options}", self.id())
            }
            31 => format!("XLEN {key}"),
            33..=34 => format!("XDELEX {key} {}", self.counted_ids()),
            35..=37 => format!("XACKDEL {key} {group} {}", self.counted_ids()),
            38..=40 => self.message(),
            41 => match self.roll(5) {
                0 => format!("XCFGSET p IDMP-MAXSIZE {}", self.roll(5)),
                1 => format!("XCFGSET p IDMP-DURATION {}", self.roll(4)),
                2 => format!("XIDMPRECORD p a m{} 1800000000000-0", self.roll(6)),
                3 => format!("XGROUP CREATE p {group} 0"),
                _ => format!("XREADGROUP GROUP {group} {consumer} COUNT 4 STREAMS p >"),
            },
            32 => format!(
                "XINFO {}",
                self.pick(&[
                    "GROUPS s",
                    "GROUPS missing",
                    "STREAM t",
                    "CONSUMERS s g",
                    "X s",
                    "STREAM s X"
                ])
            ),
            _ => format!(
                "XINFO STREAM {key} {}",
                self.pick(&["", "FULL", "FULL COUNT 0", "FULL COUNT 2", "FULL COUNT -3"])
            ),
        }
    }
}

#[test]
fn effects_repeated_on_an_empty_keyspace_give_the_same_streams() {
    for seed in 1..=12u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut bench = Bench::new(Protocol::Resp2);
        let mut copy = Bench::new(Protocol::Resp2);
        // As a log's: the counters of groups are taken as they are recorded.
        copy.keyspace.replaying = true;
        for step in 0..1_500u64 {
            bench.now_ms += dice.roll(300);
            let command = dice.command(step);
            bench.line(&command);
            copy.now_ms = bench.now_ms;
            let effects = bench.take_effects();
            for effect in &effects {
                copy.run(effect);
            }
            if step % 50 == 0 {
                let keys = ["s", "t", "p"];
                let (a, b) = (bench.state(&keys), copy.state(&keys));
                assert_eq!(a, b, "seed {seed}, step {step}: {command}");
            }
        }
    }
}

#[test]
fn each_write_hands_on_what_redis_propagates() {
    let mut bench = Bench::new(Protocol::Resp2);
    let cases: &[(&str, &[&str])] = &[
        ("XADD s * f v", &["XADD s 1800000000000-0 f v"]),
        (
            "XADD s NOMKSTREAM MAXLEN ~ 100 * f v",
            &["XADD s MAXLEN = 2 1800000000000-1 f v"],
        ),
        (
            "XADD s 1800000000001-* f v",
            &["XADD s 1800000000001-0 f v"],
        ),
        ("XGROUP CREATE s g 0", &["XGROUP CREATE s g 0-0"]),
        (
            "XREADGROUP GROUP g a COUNT 2 STREAMS s >",
            &[
                "XGROUP CREATECONSUMER s g a",
                "XCLAIM s g a 0 1800000000000-0 1800000000000-1 TIME 1800000000000 RETRYCOUNT 1 FORCE JUSTID \
                 LASTID 1800000000000-1",
                "XGROUP SETID s g 1800000000000-1 ENTRIESREAD 2",
            ],
        ),
        (
            "XREADGROUP GROUP g a COUNT 1 STREAMS s 0",
            &[
                "XCLAIM s g a 0 1800000000000-0 TIME 1800000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 1800000000000-1",
            ],
        ),
        (
            "XREADGROUP GROUP g a NOACK STREAMS s >",
            &["XGROUP SETID s g 1800000000001-0 ENTRIESREAD 3"],
        ),
        (
            "XCLAIM s g b 0 1800000000000-0 JUSTID",
            &[
                "XGROUP CREATECONSUMER s g b",
                "XCLAIM s g b 0 1800000000000-0 TIME 1800000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 1800000000001-0",
            ],
        ),
        (
            "XDEL s 1800000000000-0 5-0",
            &["XDEL s 1800000000000-0 5-0"],
        ),
        (
            "XAUTOCLAIM s g b 0 0 COUNT 5",
            &[
                "XCLAIM s g b 0 1800000000000-0 TIME 1800000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 1800000000001-0",
                "XCLAIM s g b 0 1800000000000-1 TIME 1800000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 1800000000001-0",
            ],
        ),
        (
            "XACK s g 1800000000000-1 1800000000000-1",
            &["XACK s g 1800000000000-1 1800000000000-1"],
        ),
        ("XACK s g 1800000000000-1", &[]),
        ("XTRIM s MAXLEN ~ 1", &[]),
        ("XTRIM s MAXLEN 1", &["XTRIM s MAXLEN = 1"]),
        ("XSETID s 1900000000000-0", &["XSETID s 1900000000000-0"]),
        ("XGROUP SETID s g $", &["XGROUP SETID s g 1900000000000-0"]),
        ("XGROUP DELCONSUMER s g b", &["XGROUP DELCONSUMER s g b"]),
        ("XGROUP DESTROY s g", &["XGROUP DESTROY s g"]),
    ];
    for (command, effects) in cases {
        bench.line(command);
        assert_eq!(bench.effect_lines(), *effects, "{command}");
    }
}

#[test]
fn what_a_policy_took_is_handed_on_as_plain_commands() {
    let mut bench = Bench::new(Protocol::Resp2);
    for n in 1..=12 {
        bench.line(&format!("XADD s {n}-0 f v"));
    }
    bench.line("XGROUP CREATE s g 0");
    bench.line("XGROUP CREATE s h 0");
    bench.line("XREADGROUP GROUP g a STREAMS s >");
    bench.line("XREADGROUP GROUP h a COUNT 9 STREAMS s >");
    bench.line("XACK s g 1-0 2-0 4-0 5-0 6-0 7-0 8-0 9-0 10-0");
    bench.line("XACK s h 1-0 2-0 3-0 4-0 6-0 7-0");
    bench.take_effects();
    let cases: &[(&str, &[&str])] = &[
        (
            "XTRIM s ACKED MAXLEN 9",
            &["XTRIM s MINID = 3-0", "XDEL s 4-0"],
        ),
        ("XTRIM s MINID 7 ACKED", &["XDEL s 6-0"]),
        ("XTRIM s MINID 7 ACKED", &[]),
        ("XDELEX s ACKED IDS 3 3-0 7-0 7-0", &["XDEL s 7-0"]),
        (
            "XDELEX s DELREF IDS 3 8-0 7-0 8-0",
            &["XDEL s 8-0", "XACK s h 8-0"],
        ),
        ("XDEL s 9-0", &["XDEL s 9-0"]),
        // A reference to what is gone.
        ("XDELEX s IDS 1 9-0 DELREF", &["XACK s h 9-0"]),
        ("XDELEX s IDS 1 9-0 DELREF", &[]),
        (
            "XACKDEL s g IDS 2 3-0 4-0 ACKED",
            &["XDEL s 3-0", "XACK s g 3-0"],
        ),
        (
            "XACKDEL s h DELREF IDS 1 5-0",
            &["XDEL s 5-0", "XACK s h 5-0"],
        ),
        ("XACKDEL s g ACKED IDS 1 11-0", &["XACK s g 11-0"]),
        (
            "XADD s DELREF MAXLEN ~ 3 13-0 f v",
            &["XADD s MAXLEN = 3 13-0 f v"],
        ),
        (
            "XTRIM s MINID 13 DELREF",
            &["XTRIM s MINID = 13-0", "XACK s g 12-0"],
        ),
        ("XADD s ACKED MAXLEN 0 14-0 f v", &["XADD s 14-0 f v"]),
    ];
    for (command, effects) in cases {
        bench.line(command);
        assert_eq!(bench.effect_lines(), *effects, "{command}");
    }
}

#[test]
fn a_message_is_handed_on_behind_its_entry() {
    let mut bench = Bench::new(Protocol::Resp2);
    let cases: &[(&str, &str, &[&str])] = &[
        ("XADD n NOMKSTREAM IDMP p a * f v", "$-1", &[]),
        (
            "XADD s IDMP p a * f v",
            "$15 1800000000000-0",
            &[
                "XADD s 1800000000000-0 f v",
                "XCFGSET s IDMP-DURATION 100 IDMP-MAXSIZE 100",
                "XIDMPRECORD s p a 1800000000000-0",
            ],
        ),
        (
            "XADD s MAXLEN 0 IDMP p a * other fields",
            "$15 1800000000000-0",
            &[],
        ),
        // The entry falls to its own trim.
        (
            "XADD s IDMP p b MAXLEN 0 * f v",
            "$15 1800000000000-1",
            &[
                "XADD s 1800000000000-1 f v",
                "XIDMPRECORD s p b 1800000000000-1",
                "XTRIM s MAXLEN = 0",
            ],
        ),
        ("XADD s IDMP p b * f v", "$15 1800000000000-1", &[]),
        ("XADD s IDMP p a * f v", "$15 1800000000000-0", &[]),
        ("XCFGSET s IDMP-MAXSIZE 100", "+OK", &[]),
        ("XADD s IDMP p b * f v", "$15 1800000000000-1", &[]),
        (
            "XCFGSET s IDMP-MAXSIZE 99",
            "+OK",
            &["XCFGSET s IDMP-MAXSIZE 99"],
        ),
        (
            "XADD s IDMP p b * f v",
            "$15 1800000000000-2",
            &[
                "XADD s 1800000000000-2 f v",
                "XIDMPRECORD s p b 1800000000000-2",
            ],
        ),
        ("XIDMPRECORD s p b 1800000000000-2", "+OK", &[]),
        (
            "XIDMPRECORD s q b 1800000000000-2",
            "+OK",
            &["XIDMPRECORD s q b 1800000000000-2"],
        ),
    ];
    for (command, reply, effects) in cases {
        assert_eq!(bench.line(command), *reply, "{command}");
        assert_eq!(bench.effect_lines(), *effects, "{command}");
    }
}

#[test]
fn a_message_is_known_for_as_long_as_the_window_says() {
    let mut bench = Bench::new(Protocol::Resp2);
    let first = bench.line("XADD s IDMP p a * f v");
    bench.now_ms += 99_999;
    assert_eq!(bench.line("XADD s IDMP p a * f v"), first);
    bench.now_ms += 1;
    let info = bench.line("XINFO STREAM s");
    assert!(
        info.contains(
            "pids-tracked :0 $12 iids-tracked :0 $10 iids-added :1 $15 iids-duplicates :1"
        ),
        "{info}"
    );
    assert_ne!(bench.line("XADD s IDMP p a * f v"), first);
    bench.line("XCFGSET s IDMP-MAXSIZE 2");
    for message in ["a", "b", "c"] {
        bench.line(&format!("XADD s IDMP p {message} * f v"));
    }
    let info = bench.line("XINFO STREAM s");
    assert!(
        info.contains("pids-tracked :1 $12 iids-tracked :2 "),
        "{info}"
    );
    // In a replay the time that ended a message has not passed.
    let other = bench.line("XADD s * f v");
    let record = format!(
        "XIDMPRECORD s p c {}",
        other.split(' ').next_back().unwrap()
    );
    assert!(bench.line(&record).starts_with("-ERR "));
    bench.keyspace.replaying = true;
    assert_eq!(bench.line(&record), "+OK");
    bench.keyspace.replaying = false;
    assert_eq!(bench.line("XADD s IDMP p c * f v"), other);
}

#[test]
fn a_message_that_is_refused_leaves_no_producer() {
    let mut bench = Bench::new(Protocol::Resp2);
    bench.line("XADD s 18446744073709551615-18446744073709551615 f v");
    for (command, reply) in [
        (
            "XADD s IDMP p a 5-5 f v",
            "-ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs",
        ),
        (
            "XADD s IDMP p a 5-* f v",
            "-ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs",
        ),
        (
            "XADD s IDMP p a * f",
            "-ERR wrong number of arguments for 'xadd' command",
        ),
        (
            "XADD s IDMP p a * f v",
            "-ERR The stream has exhausted the last possible ID, unable to add more items",
        ),
        (
            "XADD s IDMPAUTO p IDMP p a * f v",
            "-ERR syntax error, IDMP/IDMPAUTO specified multiple times",
        ),
        (
            "XADD s IDMP p a IDMP p a * f v",
            "-ERR syntax error, IDMP/IDMPAUTO specified multiple times",
        ),
        (
            "XADD s IDMP p a MAXLEN x * f v",
            "-ERR value is not an integer or out of range",
        ),
    ] {
        assert_eq!(bench.line(command), reply, "{command}");
    }
    let info = bench.line("XINFO STREAM s");
    assert!(!info.contains("tracked"), "{info}");
    // Now it is told of producers, and there is none.
    assert_eq!(bench.line("XCFGSET s IDMP-MAXSIZE 100"), "+OK");
    let info = bench.line("XINFO STREAM s");
    assert!(
        info.contains("pids-tracked :0 $12 iids-tracked :0 $10 iids-added :0"),
        "{info}"
    );
}
