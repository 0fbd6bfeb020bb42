//! MIGRATE between two servers: what is moved, what it answers, and what happens to a key that changes meanwhile.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "import/contents.rs"]
#[allow(dead_code, reason = "a part is used")]
mod contents;
#[path = "durability/home.rs"]
#[allow(dead_code, reason = "a part is used")]
mod home;
#[path = "migrate/kills.rs"]
mod kills;
mod peer;
mod support;

use std::net::{IpAddr, TcpListener};

use contents::{ask, contents, fill, numbered};
use peer::{Kind, Proxy, Server, call, try_call, until};
use redis::{Connection, Value};

fn redis() -> Kind {
    Kind::Redis("redis-server".to_owned())
}

/// A server that a Redis of the tests' version takes values of.
fn ours(shards: u32) -> Server {
    Server::start(
        &Kind::Millrace(shards),
        &[
            "--rdb-version-compat",
            "7.0",
            "--enable-debug-command",
            "yes",
        ],
    )
}

fn theirs() -> Server {
    Server::start(&redis(), &[])
}

/// From which server to which.
fn pairs() -> Vec<(Server, Server)> {
    vec![
        (ours(1), theirs()),
        (ours(4), theirs()),
        (ours(4), ours(4)),
        (theirs(), ours(4)),
    ]
}

/// MIGRATE of keys to a port, and what follows the timeout.
fn migrate(
    connection: &mut Connection,
    port: u16,
    keys: &[&str],
    options: &str,
) -> Result<Value, String> {
    let mut command = redis::cmd("MIGRATE");
    command.arg("127.0.0.1").arg(port).arg("").arg(0).arg(5000);
    for word in options.split_whitespace() {
        command.arg(word);
    }
    command.arg("KEYS").arg(keys);
    command.query(connection).map_err(|error| text_of(&error))
}

/// An error as it was sent, without the minus.
fn text_of(error: &redis::RedisError) -> String {
    let code = error.code().unwrap_or("");
    format!("{code} {}", error.detail().unwrap_or(""))
        .trim()
        .to_owned()
}

fn ok() -> Result<Value, String> {
    Ok(Value::Okay)
}

fn number(connection: &mut Connection, line: &str) -> i64 {
    redis::from_redis_value(call(connection, line)).unwrap()
}

#[test]
fn keys_of_every_type_are_moved() {
    for (from, to) in pairs() {
        fill(&from);
        let before = contents(&from);
        let mut connection = from.connect();
        let mut keys: Vec<Vec<u8>> =
            redis::from_redis_value(call(&mut connection, "KEYS *")).unwrap();
        // They end: below.
        for key in ["ends", "hash", "long-ago"] {
            keys.retain(|known| known != key.as_bytes());
        }
        let port = to.port.to_string();
        let mut words: Vec<&[u8]> = vec![
            b"MIGRATE",
            b"127.0.0.1",
            port.as_bytes(),
            b"",
            b"0",
            b"5000",
            b"KEYS",
        ];
        words.extend(keys.iter().map(Vec::as_slice));
        assert_eq!(ask(&mut connection, &words), Value::Okay, "{:?}", from.kind);
        let (here, there) = (contents(&from), contents(&to));
        assert_eq!(there.len(), keys.len());
        for (key, value) in &there {
            assert_eq!(
                before.get(key),
                Some(value),
                "{:?}",
                String::from_utf8_lossy(&key.1)
            );
            assert!(
                !here.contains_key(key),
                "{:?}",
                String::from_utf8_lossy(&key.1)
            );
        }
        assert_eq!(here.len() + there.len(), before.len());
    }
}

#[test]
fn the_end_of_a_key_goes_with_it_and_a_key_that_has_ended_is_not_sent() {
    for (from, to) in pairs() {
        let (mut here, mut there) = (from.connect(), to.connect());
        call(&mut here, "SET ends 1 EX 1000");
        call(&mut here, "SET ended 1 PX 1");
        until("it has ended", || number(&mut here, "EXISTS ended") == 0);
        assert_eq!(
            migrate(&mut here, to.port, &["ended", "ends"], ""),
            ok(),
            "{:?}",
            from.kind
        );
        let left = number(&mut there, "PTTL ends");
        assert!((990_000..=1_000_000).contains(&left), "{left}");
        assert_eq!(number(&mut there, "DBSIZE"), 1);
        assert_eq!(number(&mut here, "DBSIZE"), 0);
        let nothing = Ok(Value::SimpleString("NOKEY".to_owned()));
        assert_eq!(migrate(&mut here, to.port, &["ended", "ends"], ""), nothing);
    }
}

#[test]
fn copy_and_replace_do_what_they_say() {
    for (from, to) in pairs() {
        let (mut here, mut there) = (from.connect(), to.connect());
        call(&mut here, "MSET a 1 b 2 c 3");
        call(&mut there, "SET b other");
        let busy =
            "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
        // Those that it takes are moved all the same.
        assert_eq!(
            migrate(&mut here, to.port, &["a", "b", "missing", "c"], ""),
            Err(busy.to_owned()),
            "{:?}",
            from.kind
        );
        assert_eq!(number(&mut here, "EXISTS a c"), 0);
        assert_eq!(number(&mut here, "EXISTS b"), 1);
        assert_eq!(number(&mut there, "EXISTS a b c"), 3);
        assert_eq!(migrate(&mut here, to.port, &["b"], "COPY REPLACE"), ok());
        assert_eq!(number(&mut there, "GET b"), 2);
        assert_eq!(number(&mut here, "GET b"), 2);
        assert_eq!(migrate(&mut here, to.port, &["b", "b"], "REPLACE"), ok());
        assert_eq!(number(&mut here, "DBSIZE"), 0);
        call(&mut here, "SET one 1");
        let line = format!("MIGRATE 127.0.0.1 {} one 3 5000", to.port);
        assert_eq!(call(&mut here, &line), Value::Okay);
        call(&mut there, "SELECT 3");
        assert_eq!(number(&mut there, "GET one"), 1);
    }
}

#[test]
fn errors_are_those_of_redis() {
    let (server, oracle, target) = (ours(2), theirs(), theirs());
    let guarded = Server::start(&redis(), &["--requirepass", "sesame"]);
    let named = Server::start(&Kind::Millrace(1), &["--requirepass", "sesame"]);
    let (nobody, deaf) = (
        TcpListener::bind(("127.0.0.1", 0)).unwrap(),
        TcpListener::bind(("127.0.0.1", 0)).unwrap(),
    );
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (closed, deaf_port) = (port(&nobody), port(&deaf));
    drop(nobody);
    let (open, locked, named) = (target.port, guarded.port, named.port);
    let lines = [
        format!("MIGRATE 127.0.0.1 {open} k 0"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000 NONSENSE"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000 AUTH"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000 AUTH2 x"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000 KEYS a"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000 KEYS"),
        format!("MIGRATE 127.0.0.1 {open} k x 1000"),
        format!("MIGRATE 127.0.0.1 {open} k 0 x"),
        format!("MIGRATE 127.0.0.1 {open} missing 0 1000"),
        format!("MIGRATE 127.0.0.1 {open} missing 99999999999999999999 1000"),
        format!("MIGRATE 127.0.0.1 {open} k 99 1000"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000 AUTH secret"),
        format!("MIGRATE 127.0.0.1 {locked} k 0 1000"),
        format!("MIGRATE 127.0.0.1 {locked} k 0 1000 AUTH wrong"),
        format!("MIGRATE 127.0.0.1 {locked} k 0 1000 AUTH2 default wrong"),
        format!("MIGRATE 127.0.0.1 {named} k 0 1000 AUTH2 nobody sesame"),
        format!("MIGRATE 127.0.0.1 {closed} k 0 1000"),
        format!("MIGRATE 127.0.0.1 {deaf_port} k 0 100"),
        format!("MIGRATE 127.0.0.1 {locked} k 0 1000 COPY AUTH sesame"),
        format!("MIGRATE 127.0.0.1 {locked} k 0 1000 COPY REPLACE AUTH2 default sesame"),
        format!("MIGRATE 127.0.0.1 {open} k 0 -5"),
        format!("MIGRATE 127.0.0.1 {open} k 0 1000"),
    ];
    let (mut here, mut there) = (server.connect(), oracle.connect());
    let mut targets = [target.connect(), guarded.connect()];
    call(&mut targets[1], "AUTH sesame");
    for line in lines {
        let reply = |connection: &mut Connection| {
            try_call(connection, &line).map_err(|error| text_of(&error))
        };
        let replies = [&mut here, &mut there].map(|connection| {
            call(connection, "SET k v");
            targets.iter_mut().for_each(|target| {
                call(target, "FLUSHALL");
            });
            reply(connection)
        });
        assert_eq!(replies[0], replies[1], "{line}");
    }
    drop(deaf);
    for section in ["commandstats", "errorstats"] {
        let line = |connection: &mut Connection| -> Vec<String> {
            let info: String =
                redis::from_redis_value(call(connection, &format!("INFO {section}"))).unwrap();
            let shown = |line: &str| {
                let fields = line.split([':', ',']);
                let fields = fields.filter(|field| !field.starts_with("usec"));
                fields.collect::<Vec<_>>().join(" ")
            };
            let wanted = ["cmdstat_migrate", "errorstat_IOERR", "cmdstat_del"];
            info.lines()
                .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
                .map(shown)
                .collect()
        };
        assert_eq!(line(&mut here), line(&mut there));
    }
}

/// A server whose requests are held up until the hook has run: once, at the first that has RESTORE.
fn once_at_restore(to: &Server, hook: impl FnOnce() + Send + 'static) -> Proxy {
    let mut hook = Some(hook);
    Proxy::start(to, move |request| {
        if request.contains("RESTORE")
            && let Some(hook) = hook.take()
        {
            hook();
        }
    })
}

fn kept(changed: usize, of: usize) -> Result<Value, String> {
    Err(format!(
        "ERR {changed} of {of} keys changed here while they were sent: they stay here, and the target instance has them as they were"
    ))
}

#[test]
fn a_key_that_changes_meanwhile_stays() {
    for shards in [1, 4] {
        let changes = [
            ("SET k v", "SET k other", "GET k"),
            ("SET k v", "DEL k", "EXISTS k"),
            ("SET k v", "EXPIRE k 1000", "EXISTS k"),
            ("SET k v EX 1000", "PERSIST k", "PTTL k"),
            ("RPUSH k a b", "LPOP k", "LRANGE k 0 -1"),
            ("HSET k f v", "HSET k g w", "HGETALL k"),
            ("SADD k a b", "FLUSHALL", "EXISTS k"),
            ("ZADD k 1 a", "ZINCRBY k 1 a", "ZRANGE k 0 -1 WITHSCORES"),
            ("SET k v", "SWAPDB 0 1", "EXISTS k"),
            // Not a change for WATCH, and one all the same.
            ("XADD k 1-1 f v", "XGROUP CREATE k g 0", "XINFO GROUPS k"),
        ];
        for (before, change, look) in changes {
            let (from, to) = (ours(shards), theirs());
            let mut here = from.connect();
            call(&mut here, before);
            call(&mut here, "SET {x}same 1");
            let mut other = from.connect();
            let (sender, receiver) = std::sync::mpsc::channel();
            let proxy = once_at_restore(&to, move || {
                call(&mut other, change);
                sender.send(call(&mut other, look)).unwrap();
            });
            let reply = migrate(&mut here, proxy.port, &["k", "{x}same"], "");
            let count = if ["FLUSHALL", "SWAPDB 0 1"].contains(&change) {
                2
            } else {
                1
            };
            assert_eq!(reply, kept(count, 2), "{change}");
            assert_eq!(call(&mut here, look), receiver.recv().unwrap(), "{change}");
            assert_eq!(number(&mut here, "EXISTS {x}same"), 0);
            assert_eq!(number(&mut to.connect(), "EXISTS k {x}same"), 2);
        }
    }
}

#[test]
fn a_read_of_a_group_meanwhile_is_a_change() {
    let (from, to) = (ours(1), theirs());
    let mut here = from.connect();
    call(&mut here, "XADD s 1-1 f v");
    call(&mut here, "XGROUP CREATE s g 0");
    let mut other = from.connect();
    let proxy = once_at_restore(&to, move || {
        call(&mut other, "XREADGROUP GROUP g ann STREAMS s >");
    });
    assert_eq!(migrate(&mut here, proxy.port, &["s"], ""), kept(1, 1));
    let Value::Array(pending) = call(&mut here, "XPENDING s g") else {
        panic!("no array")
    };
    assert_eq!(pending[0], Value::Int(1));
}

#[test]
fn a_key_that_is_again_as_it_was_stays_and_one_that_has_ended_meanwhile_has_not_changed() {
    let (from, to) = (ours(4), theirs());
    let mut here = from.connect();
    call(&mut here, "SET again v");
    call(&mut here, "SET ends v PX 300");
    let mut other = from.connect();
    let proxy = once_at_restore(&to, move || {
        call(&mut other, "SET again w");
        call(&mut other, "SET again v");
        call(&mut other, "GET again");
        until("it has ended", || number(&mut other, "EXISTS ends") == 0);
    });
    assert_eq!(
        migrate(&mut here, proxy.port, &["again", "ends"], ""),
        kept(1, 2)
    );
    assert_eq!(number(&mut here, "DBSIZE"), 1);
    let mut other = from.connect();
    let proxy = once_at_restore(&to, move || {
        call(&mut other, "SET ends v PX 1");
        until("it has ended", || number(&mut other, "EXISTS ends") == 0);
    });
    call(&mut here, "SET ends v PX 100000");
    assert_eq!(
        migrate(&mut here, proxy.port, &["ends"], "REPLACE"),
        kept(1, 1)
    );
    let mut other = from.connect();
    let proxy = once_at_restore(&to, move || {
        until("it has ended", || number(&mut other, "EXISTS ends") == 0);
    });
    call(&mut here, "SET ends v PX 300");
    assert_eq!(migrate(&mut here, proxy.port, &["ends"], "REPLACE"), ok());
}

#[test]
fn a_key_that_is_sent_to_its_own_server_is_never_lost() {
    for shards in [1, 4] {
        let server = ours(shards);
        let mut here = server.connect();
        for (write, look) in [
            ("SET k v", "GET k"),
            ("SET k v EX 1000", "GET k"),
            ("RPUSH k a b", "LRANGE k 0 -1"),
            ("XADD k 1-1 f v", "XRANGE k - +"),
        ] {
            call(&mut here, "FLUSHALL");
            call(&mut here, write);
            let before = call(&mut here, look);
            let busy =
                "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
            let reply = migrate(&mut here, server.port, &["k"], "");
            assert_eq!(reply, Err(busy.to_owned()));
            assert_eq!(
                migrate(&mut here, server.port, &["k"], "REPLACE"),
                kept(1, 1)
            );
            assert_eq!(
                migrate(&mut here, server.port, &["k"], "COPY REPLACE"),
                ok()
            );
            assert_eq!(call(&mut here, look), before, "{write}");
            // Into another database it is moved.
            let line = format!("MIGRATE 127.0.0.1 {} k 1 5000", server.port);
            assert_eq!(call(&mut here, &line), Value::Okay);
            assert_eq!(number(&mut here, "DBSIZE"), 0);
            call(&mut here, "SELECT 1");
            assert_eq!(call(&mut here, look), before, "{write}");
            call(&mut here, "SELECT 0");
        }
    }
}

#[test]
fn equal_keys_that_two_servers_send_each_other_are_not_lost() {
    let servers = [ours(1), ours(2)];
    let keys: Vec<String> = (0..20).map(|number| format!("key:{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for _ in 0..10 {
        for server in &servers {
            call(&mut server.connect(), "FLUSHALL");
            numbered(server, 20);
        }
        // Both have read their keys before either gets one.
        let both = std::sync::Barrier::new(2);
        let both = std::sync::Arc::new(both);
        let proxies = [1, 0].map(|to: usize| {
            let both = std::sync::Arc::clone(&both);
            once_at_restore(&servers[to], move || {
                both.wait();
            })
        });
        std::thread::scope(|scope| {
            for (server, proxy) in servers.iter().zip(&proxies) {
                let keys = &keys;
                scope.spawn(move || migrate(&mut server.connect(), proxy.port, keys, "REPLACE"));
            }
        });
        for key in &keys {
            let line = format!("EXISTS {key}");
            let found = servers
                .each_ref()
                .map(|server| number(&mut server.connect(), &line));
            assert_ne!(found, [0, 0], "{key}");
        }
    }
}

#[test]
fn others_go_on_meanwhile_and_the_end_of_the_client_stops_nothing() {
    let (from, to) = (ours(4), theirs());
    numbered(&from, 100);
    let mut here = from.connect();
    let mut other = from.connect();
    let proxy = once_at_restore(&to, move || {
        assert_eq!(number(&mut other, "DBSIZE"), 100);
        call(&mut other, "SET more 1");
        call(&mut other, "CLIENT KILL TYPE normal SKIPME yes");
    });
    let keys: Vec<String> = (0..100).map(|n| format!("key:{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(
        migrate(&mut here, proxy.port, &keys, "").is_err(),
        "it was killed"
    );
    let mut here = from.connect();
    until("they are deleted here", || number(&mut here, "DBSIZE") == 1);
    assert_eq!(number(&mut to.connect(), "DBSIZE"), 100);
}

#[test]
fn who_says_anything_but_ok_has_taken_nothing() {
    let io_error = "IOERR error or timeout reading to target instance";
    let refused = "ERR Target instance replied with error: ERR no";
    let table = [
        ("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", io_error, 2),
        ("\r\n\r\n\r\n", io_error, 2),
        (":1\r\n:1\r\n:1\r\n", io_error, 2),
        ("$2\r\nOK\r\n+OK\r\n+OK\r\n", io_error, 2),
        ("+OK\r\n$-1\r\n+OK\r\n", io_error, 2),
        ("+QUEUED\r\n+OK\r\n+OK\r\n", io_error, 2),
        ("+OK\n+OK\n+OK\n", io_error, 2),
        ("+OK\r\n+OK\r\n+QUEUED\r\n", io_error, 1),
        ("+OK\r\n+OK\r\n+OKAY\r\n", io_error, 1),
        ("+OK\r\n+OK\r\n-ERR no\r\n", refused, 1),
        ("-ERR no\r\n+OK\r\n+OK\r\n", refused, 2),
    ];
    let from = ours(2);
    let mut here = from.connect();
    for (replies, error, kept) in table {
        call(&mut here, "MSET a 1 b 2");
        let (port, target) = answers(2, replies);
        let reply = migrate(&mut here, port, &["a", "b"], "");
        assert_eq!(reply, Err(error.to_owned()), "{replies:?}");
        target.join().unwrap();
        assert_eq!(number(&mut here, "EXISTS a b"), kept, "{replies:?}");
    }
}

/// A server that hears of so many keys, says that, and goes; gives who spoke to it.
fn answers(keys: usize, replies: &'static str) -> (u16, std::thread::JoinHandle<IpAddr>) {
    use std::io::{Read, Write};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let (mut seen, mut part) = (Vec::new(), [0; 4096]);
        while seen
            .windows(7)
            .filter(|window| window == b"RESTORE")
            .count()
            < keys
        {
            let read = stream.read(&mut part).unwrap();
            seen.extend_from_slice(&part[..read]);
        }
        stream.write_all(replies.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // To the end, or what was written could be lost. Who has heard enough may have left.
        let _ = stream.read_to_end(&mut seen);
        from.ip()
    });
    (port, target)
}

#[test]
fn it_comes_from_the_address_that_is_set_and_from_any_where_that_is_none() {
    let from = ours(4);
    let mut here = from.connect();
    for (set, seen) in [
        ("127.0.0.2", "127.0.0.2"),
        ("192.0.2.1", "127.0.0.1"),
        ("::1", "127.0.0.1"),
    ] {
        let set_source = ["SET", "bind-source-addr", set];
        let done: Value = (redis::cmd("CONFIG").arg(&set_source).query(&mut here)).unwrap();
        assert_eq!(done, Value::Okay);
        call(&mut here, "SET a 1");
        let (port, target) = answers(1, "+OK\r\n+OK\r\n");
        assert_eq!(migrate(&mut here, port, &["a"], ""), ok(), "{set}");
        assert_eq!(target.join().unwrap().to_string(), seen, "{set}");
        assert_eq!(number(&mut here, "EXISTS a"), 0);
    }
    // Nobody listens there.
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    call(&mut here, "CONFIG SET bind-source-addr 127.0.0.2");
    call(&mut here, "SET a 1");
    let refused = migrate(&mut here, port, &["a"], "").unwrap_err();
    assert!(refused.starts_with("IOERR "), "{refused}");
    assert_eq!(number(&mut here, "EXISTS a"), 1);
}

#[test]
fn a_target_that_goes_away_takes_nothing_with_it() {
    for shards in [1, 4] {
        let from = ours(shards);
        let mut here = from.connect();
        call(&mut here, "MSET a 1 b 2 c 3");
        // Answers to SELECT and the first key.
        let (port, target) = answers(3, "+OK\r\n+OK\r\n");
        let io_error = "IOERR error or timeout reading to target instance";
        let reply = migrate(&mut here, port, &["a", "b", "c"], "");
        assert_eq!(reply, Err(io_error.to_owned()));
        target.join().unwrap();
        assert_eq!(number(&mut here, "EXISTS a"), 0);
        assert_eq!(number(&mut here, "EXISTS b c"), 2);
    }
}

#[test]
fn in_a_transaction_it_is_refused_and_moves_nothing() {
    let (from, to) = (ours(4), theirs());
    let mut here = from.connect();
    call(&mut here, "SET k v");
    call(&mut here, "MULTI");
    call(
        &mut here,
        &format!("MIGRATE 127.0.0.1 {} k 0 1000", to.port),
    );
    call(&mut here, "GET k");
    let reply = try_call(&mut here, "EXEC");
    let shown = format!("{reply:?}");
    assert!(
        shown.contains("not allowed inside a transaction"),
        "{shown}"
    );
    assert_eq!(number(&mut here, "EXISTS k"), 1);
    assert_eq!(number(&mut to.connect(), "DBSIZE"), 0);
}

#[test]
fn events_tell_of_the_deletion() {
    let (from, to) = (ours(4), theirs());
    let mut here = from.connect();
    call(&mut here, "CONFIG SET notify-keyspace-events KEA");
    call(&mut here, "MSET a 1 b 2");
    let mut listener = from.connect();
    let mut events = listener.as_pubsub();
    events.psubscribe("__keyevent@0__:*").unwrap();
    assert_eq!(migrate(&mut here, to.port, &["a"], "COPY"), ok());
    assert_eq!(migrate(&mut here, to.port, &["b", "a"], "REPLACE"), ok());
    for expected in ["b", "a"] {
        let message = events.get_message().unwrap();
        assert_eq!(message.get_channel_name(), "__keyevent@0__:del");
        assert_eq!(message.get_payload::<String>().unwrap(), expected);
    }
}
