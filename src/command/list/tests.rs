#![allow(clippy::unwrap_used, reason = "tests")]
//! The list handlers on a bare keyspace: replies, events, effects, and effects replayed. `MILLRACE_ORACLE=host:port` also
//! compares random commands with a live redis-server.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;

use super::*;
use crate::client::registry::{ClientHandle, ClientOrigin};
use crate::client::session::Session;
use crate::command::context::{Outcome, Shared, WaitFor};
use crate::command::table::CommandTable;
use crate::command::testing::shared;
use crate::config::Settings;
use crate::ids::{ClientId, ShardId};
use crate::keyspace::{Keyspace, Space};
use crate::resp::Protocol;
use crate::resp::arguments::Request;

/// A keyspace and all a handler needs around it.
struct Bare {
    keyspace: Keyspace,
    session: Session,
    shared: Shared,
    settings: Settings,
    resumed: bool,
    waits: Option<Box<WaitFor>>,
}

impl Bare {
    fn new(chunk_limit: i32) -> Self {
        let settings = Settings {
            list_max_listpack_size: chunk_limit,
            ..Settings::default()
        };
        let shared = shared(&[], 1);
        let mut keyspace = Keyspace::new(ShardId(0), 1, DefaultHashBuilder::default());
        keyspace.effects.set_recording(true);
        keyspace.policy.notify = EventClass::ALL.and_new();
        let handle = Arc::new(ClientHandle::new(
            ClientId(1),
            ClientOrigin::default(),
            ShardId(0),
            0,
        ));
        Bare {
            keyspace,
            session: Session::new(handle, true),
            shared,
            settings,
            resumed: false,
            waits: None,
        }
    }

    /// Runs a command; the reply as the client would get it in MULTI.
    fn run(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let request = Request::from_arguments(words.iter().copied());
        let row = CommandTable::get().find(words[0]).unwrap();
        let mut reply = Reply::new(Protocol::Resp2);
        if !row.command.accepts(words.len()) {
            reply.error(error::wrong_arity(row.command.name).bytes());
            return reply.take();
        }
        let mut space = Space::one(&mut self.keyspace, 1);
        space.now_ms = 1_000_000;
        let mut context = Context {
            space,
            reply: &mut reply,
            session: &mut self.session,
            shared: &self.shared,
            settings: &self.settings,
            row,
            shard: ShardId(0),
            may_block: false,
            resumed: self.resumed,
        };
        let outcome = (row.command.handler)(&mut context, &request.args());
        self.waits = None;
        match outcome {
            Ok(Outcome::Wait(wait)) => self.waits = Some(wait),
            Ok(_) => {}
            Err(error) => {
                reply.clear();
                reply.error(error.bytes());
            }
        }
        reply.take()
    }

    fn text(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        String::from_utf8(self.run(&words))
            .unwrap()
            .replace("\r\n", " ")
            .trim_end()
            .to_owned()
    }

    fn effects(&mut self) -> Vec<Vec<u8>> {
        let mut effects = Vec::new();
        self.keyspace
            .effects
            .drain(|_, effect| effects.push(effect.to_vec()));
        effects
    }

    /// Effects as words.
    fn effect_lines(&mut self) -> Vec<String> {
        self.effects()
            .iter()
            .map(|effect| {
                words_of(effect)
                    .iter()
                    .map(|w| String::from_utf8_lossy(w))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    fn events(&mut self) -> Vec<String> {
        let events = self.keyspace.take_events();
        events
            .iter()
            .map(|event| format!("{} {}", event.name, String::from_utf8_lossy(&event.key)))
            .collect()
    }

    /// Key, encoding, elements of each key of `keys`.
    fn state(&mut self, keys: &[&[u8]]) -> Vec<(Vec<u8>, &'static str, Vec<u8>)> {
        let mut state = Vec::new();
        for key in keys {
            let encoding = self
                .keyspace
                .peek(0, key, 0)
                .map(|entry| entry.value.encoding());
            if let Some(encoding) = encoding {
                state.push((
                    key.to_vec(),
                    encoding,
                    self.run(&[b"lrange", key, b"0", b"-1"]),
                ));
            }
        }
        state
    }
}

impl EventClass {
    fn and_new(self) -> Self {
        Self(self.0 | Self::NEW.0)
    }
}

/// The arguments of a command in RESP.
fn words_of(command: &[u8]) -> Vec<Vec<u8>> {
    use crate::resp::request::{RequestLimits, RequestParser};
    let limits = RequestLimits {
        bulk_bytes_max: 1 << 29,
        argument_count_max: 1 << 20,
        line_bytes_max: 1 << 16,
        unauthenticated: None,
    };
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(command, &limits), Ok(Some(command.len())));
    parser
        .arguments(command)
        .iter()
        .map(<[u8]>::to_vec)
        .collect()
}

#[track_caller]
fn check(bare: &mut Bare, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(bare.text(line), *expected, "{line}");
    }
}

#[test]
fn pushes_and_pops_work_at_both_ends() {
    let mut bare = Bare::new(-2);
    check(
        &mut bare,
        &[
            ("LPUSHX l a", ":0"),
            ("RPUSHX l a", ":0"),
            ("RPUSH l a b c", ":3"),
            ("LPUSH l 1 2", ":5"),
            ("LPUSHX l x", ":6"),
            ("RPUSHX l y", ":7"),
            ("LRANGE l 0 -1", "*7 $1 x $1 2 $1 1 $1 a $1 b $1 c $1 y"),
            ("LLEN l", ":7"),
            ("LPOP l", "$1 x"),
            ("RPOP l", "$1 y"),
            ("LPOP l 2", "*2 $1 2 $1 1"),
            ("RPOP l 2", "*2 $1 c $1 b"),
            ("LPOP l 0", "*0"),
            ("RPOP l 9", "*1 $1 a"),
            ("LPOP l", "$-1"),
            ("LPOP l 0", "*-1"),
            ("LLEN l", ":0"),
            ("LRANGE l 0 -1", "*0"),
            ("LPOP l -1", "-ERR value is out of range, must be positive"),
            (
                "LPOP l 1 2",
                "-ERR wrong number of arguments for 'lpop' command",
            ),
        ],
    );
}

#[test]
fn elements_are_found_changed_and_removed() {
    let mut bare = Bare::new(-2);
    check(
        &mut bare,
        &[
            ("RPUSH l a b c 1 b 2 b", ":7"),
            ("LINDEX l 0", "$1 a"),
            ("LINDEX l -1", "$1 b"),
            ("LINDEX l 7", "$-1"),
            ("LINDEX l -8", "$-1"),
            ("LINDEX n x", "$-1"),
            ("LINDEX l x", "-ERR value is not an integer or out of range"),
            ("LPOS l b", ":1"),
            ("LPOS l b RANK 2", ":4"),
            ("LPOS l b RANK -1", ":6"),
            ("LPOS l b COUNT 0", "*3 :1 :4 :6"),
            ("LPOS l b COUNT 2 RANK -1", "*2 :6 :4"),
            ("LPOS l b COUNT 0 MAXLEN 4", "*1 :1"),
            ("LPOS l z", "$-1"),
            ("LPOS l z COUNT 1", "*0"),
            ("LPOS n z COUNT 1", "*0"),
            ("LPOS n z", "$-1"),
            (
                "LPOS l b RANK 0",
                core::str::from_utf8(&[b"-", error::LPOS_RANK_ZERO.bytes()].concat()).unwrap(),
            ),
            ("LPOS l b COUNT", "-ERR syntax error"),
            ("LINSERT l BEFORE a z", ":8"),
            ("LINSERT l after b y", ":9"),
            ("LINSERT l after q y", ":-1"),
            ("LINSERT n after q y", ":0"),
            ("LINSERT l beside q y", "-ERR syntax error"),
            ("LRANGE l 0 3", "*4 $1 z $1 a $1 b $1 y"),
            ("LSET l 0 w", "+OK"),
            ("LSET l -1 v", "+OK"),
            ("LSET l 9 v", "-ERR index out of range"),
            ("LSET n 0 v", "-ERR no such key"),
            ("LREM l 1 b", ":1"),
            ("LREM l -1 b", ":1"),
            ("LREM l 0 q", ":0"),
            (
                "LREM l -9223372036854775808 q",
                core::str::from_utf8(&[b"-", error::NOT_SYMMETRIC.bytes()].concat()).unwrap(),
            ),
            ("LRANGE l 0 -1", "*7 $1 w $1 a $1 y $1 c $1 1 $1 2 $1 v"),
            ("LTRIM l 1 -2", "+OK"),
            ("LRANGE l -100 100", "*5 $1 a $1 y $1 c $1 1 $1 2"),
            ("LTRIM l 5 9", "+OK"),
            ("LLEN l", ":0"),
            ("LTRIM l 0 0", "+OK"),
        ],
    );
}

#[test]
fn elements_move_between_lists() {
    let mut bare = Bare::new(-2);
    check(
        &mut bare,
        &[
            ("RPUSH a 1 2 3", ":3"),
            ("LMOVE a b LEFT RIGHT", "$1 1"),
            ("RPOPLPUSH a b", "$1 3"),
            ("LMOVE b b RIGHT LEFT", "$1 1"),
            ("LRANGE b 0 -1", "*2 $1 1 $1 3"),
            ("BLMOVE a a LEFT LEFT 0", "$1 2"),
            ("BRPOPLPUSH a b 0", "$1 2"),
            ("LLEN a", ":0"),
            ("LMOVE a b UP LEFT", "-ERR syntax error"),
            ("LMOVE a b LEFT LEFT", "$-1"),
            ("RPOPLPUSH a b", "$-1"),
            (
                "BLMOVE a b LEFT LEFT x",
                "-ERR timeout is not a float or out of range",
            ),
            ("BLMOVE a b LEFT LEFT -1", "-ERR timeout is negative"),
            ("BLMOVE a b LEFT LEFT 0", "$-1"),
        ],
    );
    let wait = bare.waits.take().unwrap();
    assert_eq!(
        (
            wait.keys,
            wait.destinations,
            wait.null_is_array,
            wait.deadline_ms
        ),
        (vec![b"a"[..].into()], vec![b"b"[..].into()], true, None)
    );
}

#[test]
fn the_first_list_that_has_an_element_gives_it() {
    let mut bare = Bare::new(-2);
    check(
        &mut bare,
        &[
            ("RPUSH b 1 2 3 4", ":4"),
            ("BLPOP a b 0", "*2 $1 b $1 1"),
            ("BRPOP a b 0", "*2 $1 b $1 4"),
            ("LMPOP 2 a b RIGHT", "*2 $1 b *1 $1 3"),
            ("RPUSH b 3", ":2"),
            ("BLMPOP 0 2 a b LEFT COUNT 9", "*2 $1 b *2 $1 2 $1 3"),
            ("LMPOP 2 a b RIGHT COUNT 1", "*-1"),
            ("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0"),
            ("LMPOP 9223372036854775807 a LEFT", "-ERR syntax error"),
            (
                "LMPOP 1 a LEFT COUNT 0",
                "-ERR count should be greater than 0",
            ),
            ("LMPOP 1 a LEFT COUNT 1 COUNT 1", "-ERR syntax error"),
            ("LMPOP 1 a LEFT COUNT", "-ERR syntax error"),
            ("LMPOP 1 a UP", "-ERR syntax error"),
            ("LMPOP 2 a LEFT", "-ERR syntax error"),
            (
                "BLMPOP x 1 a LEFT",
                "-ERR timeout is not a float or out of range",
            ),
            ("BLPOP a b 1.5", "*-1"),
        ],
    );
    let wait = bare.waits.take().unwrap();
    assert_eq!((wait.keys.len(), wait.deadline_ms), (2, Some(1_001_500)));
}

#[test]
fn events_and_effects_are_those_of_redis() {
    let mut bare = Bare::new(-2);
    for (line, events, effects) in [
        ("RPUSH a 1 2 3 4", "new a,rpush a", "RPUSH a 1 2 3 4"),
        ("LPUSH a 0", "lpush a", "LPUSH a 0"),
        ("LPOP a", "lpop a", "LPOP a"),
        ("LPOP a 0", "", ""),
        ("LSET a 0 x", "lset a", "LSET a 0 x"),
        ("LINSERT a BEFORE x y", "linsert a", "LINSERT a BEFORE x y"),
        ("LINSERT a BEFORE q y", "", ""),
        ("LTRIM a 0 -1", "ltrim a", ""),
        ("LTRIM a 1 -1", "ltrim a", "LTRIM a 1 -1"),
        ("LREM a 0 q", "", ""),
        ("LREM a 0 2", "lrem a", "LREM a 0 2"),
        (
            "LMOVE a b LEFT RIGHT",
            "new b,rpush b,lpop a",
            "LMOVE a b LEFT RIGHT",
        ),
        (
            "BLMOVE b a LEFT LEFT 0",
            "lpush a,lpop b,del b",
            "LMOVE b a LEFT LEFT",
        ),
        ("BRPOPLPUSH a a 0", "lpush a,rpop a", "RPOPLPUSH a a"),
        ("BLPOP a 0", "lpop a", "LPOP a"),
        ("BLMPOP 0 1 a RIGHT COUNT 5", "rpop a,del a", "RPOP a 2"),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("RPOP a", "rpop a,del a", "RPOP a"),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("LREM a 0 1", "lrem a,del a", "LREM a 0 1"),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("LTRIM a 1 0", "ltrim a,del a", "LTRIM a 1 0"),
        ("RPUSHX a 1", "", ""),
        ("LPOP a", "", ""),
        ("RPUSH a 1", "new a,rpush a", "RPUSH a 1"),
        ("RPOPLPUSH a a", "lpush a,rpop a", "RPOPLPUSH a a"),
    ] {
        bare.text(line);
        assert_eq!(bare.events().join(","), events, "{line}");
        assert_eq!(bare.effect_lines().join(","), effects, "{line}");
    }
}

#[test]
fn other_types_are_refused() {
    let mut bare = Bare::new(-2);
    let mut handle = bare.keyspace.write(0, b"s", 0);
    handle.insert(Value::String(crate::keyspace::value::StringValue::Integer(
        1,
    )));
    handle.covered();
    drop(handle);
    bare.text("RPUSH l a");
    for line in [
        "LPUSH s a",
        "RPUSHX s a",
        "LPOP s",
        "LPOP s 1",
        "LLEN s",
        "LINDEX s x",
        "LRANGE s 0 1",
        "LPOS s a",
        "LSET s 0 a",
        "LTRIM s 0 1",
        "LREM s 0 a",
        "LINSERT s BEFORE a b",
        "LMOVE s l LEFT LEFT",
        "LMOVE l s LEFT LEFT",
        "RPOPLPUSH l s",
        "BLPOP s l 0",
        "BLMPOP 0 2 s l LEFT",
        "LMPOP 2 s l LEFT",
        "BLMOVE s l LEFT LEFT 0",
        "BRPOPLPUSH l s 0",
    ] {
        assert_eq!(
            bare.text(line),
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
            "{line}"
        );
    }
    assert_eq!(bare.text("LRANGE l 0 -1"), "*1 $1 a");
}

const KEYS: [&[u8]; 3] = [b"a", b"b", b"c"];

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        5 => (0u8..6).prop_map(|n| n.to_string().into_bytes()),
        2 => (0usize..60).prop_map(|n| vec![b'x'; n]),
        1 => (1000usize..3000).prop_map(|n| vec![b'y'; n]),
        1 => prop_oneof![4080usize..4100, 8180usize..8200].prop_map(|n| vec![b'z'; n]),
    ]
}

fn number() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => -9i64..9, 1 => -100i64..100].prop_map(|n| n.to_string().into_bytes())
}

/// A random list command.
fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let key = || proptest::sample::select(&KEYS[..]).prop_map(<[u8]>::to_vec);
    let named = |names: &'static [&'static str]| {
        proptest::sample::select(names).prop_map(|name| name.as_bytes().to_vec())
    };
    let ends = || named(&["LEFT", "RIGHT"]);
    prop_oneof![
        6 => (named(&["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"]), key(), proptest::collection::vec(word(), 1..7))
            .prop_map(|(name, key, words)| [vec![name, key], words].concat()),
        2 => (named(&["LPOP", "RPOP"]), key()).prop_map(|(name, key)| vec![name, key]),
        2 => (named(&["LPOP", "RPOP", "LINDEX"]), key(), number()).prop_map(|(name, key, count)| vec![name, key, count]),
        2 => (named(&["LINSERT"]), key(), named(&["BEFORE", "AFTER"]), word(), word()).prop_map(|(name, key, side, pivot, word)| vec![name, key, side, pivot, word]),
        3 => (named(&["LSET", "LREM"]), key(), number(), word()).prop_map(|(name, key, index, word)| vec![name, key, index, word]),
        2 => (named(&["LTRIM", "LRANGE"]), key(), number(), number()).prop_map(|(name, key, start, stop)| vec![name, key, start, stop]),
        2 => (named(&["LMOVE"]), key(), key(), ends(), ends()).prop_map(|(name, from, to, a, b)| vec![name, from, to, a, b]),
        1 => (named(&["LPOS"]), key(), word(), named(&["RANK", "COUNT", "MAXLEN"]), number(), named(&["COUNT", "MAXLEN"]), number())
            .prop_map(|(name, key, word, a, x, b, y)| vec![name, key, word, a, x, b, y]),
        1 => (named(&["LMPOP"]), key(), key(), ends(), number()).prop_map(|(name, a, b, end, count)| vec![name, b"2".to_vec(), a, b, end, b"COUNT".to_vec(), count]),
    ]
}

fn run(bare: &mut Bare, command: &[Vec<u8>]) -> Vec<u8> {
    bare.run(&command.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn effects_replayed_give_the_same_lists(commands in proptest::collection::vec(command(), 0..60), chunk_limit in proptest::sample::select(&[-2, -1, 3, 5][..])) {
        let (mut first, mut second) = (Bare::new(chunk_limit), Bare::new(chunk_limit));
        for command in &commands {
            run(&mut first, command);
        }
        for effect in first.effects() {
            run(&mut second, &words_of(&effect));
        }
        prop_assert_eq!(first.state(&KEYS), second.state(&KEYS));
    }
}

#[test]
#[ignore = "needs MILLRACE_ORACLE=host:port of a redis-server that may be emptied"]
fn random_commands_answer_as_the_oracle_does() {
    use proptest::strategy::ValueTree;
    use redis_protocol::resp2::decode::decode;
    use std::io::{Read, Write};
    let mut socket =
        std::net::TcpStream::connect(std::env::var("MILLRACE_ORACLE").unwrap()).unwrap();
    let mut ask = |command: &[Vec<u8>]| -> Vec<u8> {
        let mut writer = EffectWriter::default();
        writer.args(command.iter().map(Vec::as_slice));
        let mut bytes = Vec::new();
        writer.encode(&mut bytes);
        socket.write_all(&bytes).unwrap();
        let (mut reply, mut piece) = (Vec::new(), [0; 65536]);
        loop {
            let count = socket.read(&mut piece).unwrap();
            reply.extend_from_slice(&piece[..count]);
            if decode(&reply).unwrap().is_some() {
                return reply;
            }
        }
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for round in 0..300 {
        let chunk_limit = [-2, -1, 3, 5][round % 4];
        let mut bare = Bare::new(chunk_limit);
        ask(&[b"FLUSHALL".to_vec()]);
        ask(&[
            "CONFIG",
            "SET",
            "list-max-listpack-size",
            &chunk_limit.to_string(),
        ]
        .map(|word| word.as_bytes().to_vec()));
        for _ in 0..300 {
            let command = command().new_tree(&mut runner).unwrap().current();
            let shown: Vec<_> = command
                .iter()
                .map(|word| String::from_utf8_lossy(&word[..word.len().min(20)]).into_owned())
                .collect();
            assert_eq!(
                run(&mut bare, &command).escape_ascii().to_string(),
                ask(&command).escape_ascii().to_string(),
                "{shown:?} in round {round}"
            );
            for (key, encoding, _) in bare.state(&KEYS) {
                let oracle = ask(&[b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.clone()]);
                let oracle = String::from_utf8(oracle).unwrap();
                assert!(
                    oracle.contains(encoding),
                    "{shown:?} in round {round}: {} is {encoding}, there {oracle}",
                    key.escape_ascii()
                );
            }
        }
        for (key, _, elements) in bare.state(&KEYS) {
            assert_eq!(
                elements,
                ask(&[b"LRANGE".to_vec(), key, b"0".to_vec(), b"-1".to_vec()])
            );
        }
    }
}
