//! What the servers hold: put in, and read back type by type.

use std::collections::BTreeMap;

use redis::{Connection, Value};

use super::peer::{Server, call};

/// The reply to a command of any bytes.
pub(crate) fn ask(connection: &mut Connection, words: &[&[u8]]) -> Value {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query(connection).unwrap()
}

fn sorted(value: Value, per_element: usize) -> Value {
    let Value::Array(values) = value else {
        panic!("no array: {value:?}")
    };
    let mut elements: Vec<Vec<Value>> = values.chunks(per_element).map(<[Value]>::to_vec).collect();
    elements.sort_by_key(|element| format!("{element:?}"));
    Value::Array(elements.concat())
}

/// Value and end of a key.
fn value_of(connection: &mut Connection, key: &[u8]) -> Vec<Value> {
    let kind = ask(connection, &[b"TYPE", key]);
    let Value::SimpleString(name) = &kind else {
        panic!("{kind:?}")
    };
    let value = match name.as_str() {
        "string" => ask(connection, &[b"GET", key]),
        "list" => ask(connection, &[b"LRANGE", key, b"0", b"-1"]),
        "set" => sorted(ask(connection, &[b"SMEMBERS", key]), 1),
        "hash" => sorted(ask(connection, &[b"HGETALL", key]), 2),
        "zset" => ask(connection, &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        "stream" => Value::Array(vec![
            ask(connection, &[b"XRANGE", key, b"-", b"+"]),
            ask(connection, &[b"XINFO", b"GROUPS", key]),
        ]),
        other => panic!("what is a {other}?"),
    };
    vec![kind, value, ask(connection, &[b"PEXPIRETIME", key])]
}

/// All that a server holds: database and key → type, value, end.
pub(crate) fn contents(server: &Server) -> BTreeMap<(usize, Vec<u8>), Vec<Value>> {
    let mut connection = server.connect();
    let mut all = BTreeMap::new();
    for database in 0..16 {
        call(&mut connection, &format!("SELECT {database}"));
        let keys: Vec<Vec<u8>> = redis::from_redis_value(call(&mut connection, "KEYS *")).unwrap();
        for key in keys {
            let value = value_of(&mut connection, &key);
            all.insert((database, key), value);
        }
    }
    all
}

/// Asserts that two servers hold the same.
pub(crate) fn assert_same(from: &Server, to: &Server) {
    let (here, there) = (contents(from), contents(to));
    let different = |key: &&(usize, Vec<u8>)| here.get(*key) != there.get(*key);
    if let Some(key) = here.keys().chain(there.keys()).find(different) {
        let (kinds, name) = ((&from.kind, &to.kind), String::from_utf8_lossy(&key.1));
        let short = |value: Option<&Vec<Value>>| {
            let text = format!("{value:?}");
            text.chars().take(500).collect::<String>()
        };
        panic!(
            "{kinds:?}, key '{name}' of database {}:\n{}\n{}",
            key.0,
            short(here.get(key)),
            short(there.get(key))
        );
    }
}

/// A command of words and very many more.
pub(crate) fn many(
    connection: &mut Connection,
    first: &[&str],
    words: impl Iterator<Item = String>,
) {
    let mut command = redis::Cmd::new();
    for word in first {
        command.arg(*word);
    }
    for word in words {
        command.arg(word);
    }
    command.query::<Value>(connection).unwrap();
}

/// Values of every type and encoding in three databases.
pub(crate) fn fill(server: &Server) {
    let mut connection = server.connect();
    for line in [
        "SET text hello",
        "SET number 12345",
        "SET ends soon EX 1000",
        "SET long-ago 1 EXAT 4000000000",
        "SETBIT bits 1000 1",
        "PFADD visitors ann bob",
        "RPUSH list a b c",
        "SADD numbers 1 2 3",
        "SADD names ann bob",
        "HSET hash f1 v1 f2 v2",
        "EXPIRE hash 2000",
        "ZADD scores 1 a 2.5 b inf c -inf d 1e100 e",
        "XADD stream 1-1 f v g w",
        "XADD stream 2-1 f v",
        "XADD stream 3-1 f v",
        "XDEL stream 2-1",
        "XGROUP CREATE stream g 0",
        "XGROUP CREATE stream idle $",
        "XREADGROUP GROUP g ann COUNT 1 STREAMS stream >",
        "XGROUP CREATE nothing-yet g $ MKSTREAM",
        "SELECT 3",
        "SET text another",
        "SELECT 15",
        "RPUSH last x",
    ] {
        call(&mut connection, line);
    }
    call(&mut connection, "SELECT 0");
    let numbers = || (0..2_000).map(|n: u64| n.to_string());
    let pairs = |name: &'static str| {
        (0..2_000).flat_map(move |n: u64| [n.to_string(), format!("{name}{n}")])
    };
    many(&mut connection, &["RPUSH", "long-list"], numbers());
    many(
        &mut connection,
        &["SADD", "many-names"],
        numbers().map(|n| format!("name-{n}")),
    );
    many(&mut connection, &["HSET", "large-hash"], pairs("value"));
    many(&mut connection, &["ZADD", "many-scores"], pairs("member"));
    let key = b"\xff\x00\r\n*3 \x1b[2J";
    ask(&mut connection, &[b"SET", key, b"\x00\xfe\r\n"]);
    ask(&mut connection, &[b"SET", b"", b"the empty key"]);
}

/// So many small strings.
pub(crate) fn numbered(server: &Server, count: usize) {
    let mut pipeline = redis::pipe();
    for n in 0..count {
        pipeline
            .cmd("SET")
            .arg(format!("key:{n}"))
            .arg(format!("value {n}"))
            .ignore();
    }
    pipeline.query::<()>(&mut server.connect()).unwrap();
}
