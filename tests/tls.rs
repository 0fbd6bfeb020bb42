//! TLS through the public door: what goes over it, who is let in, and what becomes of those who misuse it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;
mod tls {
    pub(crate) mod admission;
    pub(crate) mod authority;
    pub(crate) mod certificates;
    pub(crate) mod client;
    pub(crate) mod metrics;
    pub(crate) mod strangers;
    pub(crate) mod tools;
}

use std::io::{Read, Write};
use std::net::Shutdown;

use support::{Frame, Random, shard_counts};
use tls::client::{TlsClient, TlsServer, VERSIONS, config};

/// Bytes that do not compress to a pattern.
fn value(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.below(256) as u8).collect()
}

#[test]
fn values_of_every_size_come_back_as_they_went() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        let mut random = Random::new(7);
        for version in VERSIONS {
            let config = config(&server.authority, None, &[version]);
            let mut client = TlsClient::connect(server.port, &config).unwrap();
            for length in [0, 1, 16_383, 16_384, 16_385, 65_536, 1_000_000, 10_000_000] {
                let value = value(&mut random, length);
                let set = client.call(&[b"SET", &b"key"[..], &value]);
                assert_eq!(set.to_string(), "+OK");
                let got = client.run("GET key");
                assert!(got.bytes() == value, "{length} bytes with {version:?}");
            }
        }
    }
}

#[test]
fn clients_keep_their_connection_while_they_move_between_threads() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let server = &server;
                scope.spawn(move || {
                    let mut client = server.connect();
                    for round in 0..6 {
                        let key = format!("key-{number}-{round}");
                        for n in 1..=100 {
                            let reply = client.run(&format!("INCR {key}"));
                            assert_eq!(reply, Frame::Integer(n));
                        }
                        for _ in 0..200 {
                            client.send(&["INCR", &key]);
                        }
                        for n in 101..=300 {
                            assert_eq!(client.reply(), Frame::Integer(n));
                        }
                    }
                });
            }
        });
        if shards > 1 {
            let info = server.connect().run("INFO everything").text();
            let moves = support::server::info_field(&info, "millrace_migrations").unwrap();
            assert!(moves.parse::<u64>().unwrap() > 8, "{moves}");
        }
    }
}

#[test]
fn replies_that_nobody_reads_for_a_while_are_whole_in_the_end() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        let mut random = Random::new(11);
        let mut client = server.connect();
        let value = value(&mut random, 100_000);
        client.call(&[b"SET", &b"key"[..], &value]);
        // More than the sockets hold.
        for _ in 0..300 {
            client.send(&["GET", "key"]);
            client.send(&["ECHO", "between"]);
        }
        // Served meanwhile.
        assert_eq!(server.connect().run("PING").to_string(), "+PONG");
        for _ in 0..300 {
            assert!(client.reply().bytes() == value);
            assert_eq!(client.reply().text(), "between");
        }
        assert_eq!(client.run("PING").to_string(), "+PONG");
    }
}

#[test]
fn what_waits_for_the_socket_counts_as_output() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        let mut control = server.server.connect();
        control.run("CLIENT SETNAME control");
        let mut client = server.connect();
        client.call(&[b"SET", &b"key"[..], &[b'x'; 5000]]);
        let (mut asked, mut waiting) = (0, 0);
        // Until the sockets are full: what is asked for then waits in the server, and all of it counts.
        while waiting < 100_000 {
            client.send(&["GET", "key"]);
            asked += 1;
            assert!(asked < 20_000, "the sockets hold 100 MB");
            let list = control.run("CLIENT LIST").text();
            let line = list.lines().find(|line| line.contains(" name= ")).unwrap();
            let field = |name: &str| {
                let value = line
                    .split(' ')
                    .find_map(|word| word.strip_prefix(name))
                    .unwrap();
                value.parse::<usize>().unwrap()
            };
            let omem = field("omem=");
            // What was encrypted is not counted twice.
            assert!(omem <= asked * 5009, "{asked} {omem}");
            assert!(field("tot-mem=") >= omem);
            waiting = omem;
        }
        let set = [
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "normal 90000 0 0",
        ];
        assert_eq!(control.call(&set).to_string(), "+OK");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !server
            .server
            .log()
            .contains("for overcoming of output buffer limits")
        {
            // The sockets may have taken more meanwhile, so one more request need not be enough. It may be closed by now.
            let _ = client.stream.write_all(b"GET key\r\n");
            let _ = client.stream.flush();
            assert!(std::time::Instant::now() < deadline, "nobody is closed");
        }
    }
}

#[test]
fn messages_reach_subscribers_in_order() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        let (mut subscriber, mut publisher) = (server.connect(), server.connect());
        subscriber.run("SUBSCRIBE news");
        let long = "x".repeat(50_000);
        for n in 0..200 {
            publisher.send(&["PUBLISH", "news", &format!("{n} {long}")]);
        }
        for n in 0..200 {
            let message = subscriber.reply();
            let text = message.items()[2].text();
            assert!(text == format!("{n} {long}"), "{n}");
        }
        (0..200).for_each(|_| assert_eq!(publisher.reply(), Frame::Integer(1)));
    }
}

#[test]
fn requests_that_come_with_the_end_of_the_handshake_are_answered() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        for version in VERSIONS {
            let config = config(&server.authority, None, &[version]);
            for length in [1, 40_000, 200_000] {
                let mut client = TlsClient::begin(server.port, &config).unwrap();
                let word = "w".repeat(length);
                let mut bytes = Vec::new();
                support::client::encode(&["ECHO", &word], &mut bytes);
                client.stream.conn.set_buffer_limit(None);
                // Kept until the handshake is over, and sent in one piece with its end.
                client.stream.conn.writer().write_all(&bytes).unwrap();
                assert!(client.reply().text() == word, "{length} with {version:?}");
            }
        }
    }
}

#[test]
fn who_says_that_nothing_more_comes_reads_all_replies_and_the_end() {
    for shards in shard_counts() {
        let server = TlsServer::start(shards, &[]);
        for version in VERSIONS {
            let config = config(&server.authority, None, &[version]);
            let mut client = TlsClient::connect(server.port, &config).unwrap();
            for n in 0..1000 {
                client.send(&["ECHO", &n.to_string()]);
            }
            client.stream.conn.send_close_notify();
            client.stream.flush().unwrap();
            client.stream.sock.shutdown(Shutdown::Write).unwrap();
            for n in 0..1000 {
                assert_eq!(client.reply().text(), n.to_string());
            }
            // An end without a word would be an error of the client.
            assert_eq!(client.stream.read(&mut [0; 10]).unwrap(), 0);
        }
    }
}

#[test]
fn quit_ends_the_connection_in_good_order() {
    let server = TlsServer::start(1, &[]);
    let mut client = server.connect();
    assert_eq!(client.run("QUIT").to_string(), "+OK");
    assert_eq!(client.stream.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn info_and_the_list_of_clients_tell_of_it_as_redis_does() {
    let server = TlsServer::start(1, &[]);
    let mut client = server.connect();
    let info = client.run("INFO server").text();
    let field = |name: &str| support::server::info_field(&info, name).unwrap();
    assert_eq!(field("tcp_port"), server.server.port().to_string());
    let port = server.port;
    assert_eq!(
        field("listener1"),
        format!("name=tls,bind=127.0.0.1,port={port}")
    );
    let list = client.run("CLIENT LIST").text();
    assert!(
        list.contains(&format!(" laddr=127.0.0.1:{port} ")),
        "{list}"
    );
    assert!(list.contains(" flags=N "), "{list}");
    let plain = server.server.connect().run("CONFIG SET port 0").to_string();
    assert_eq!(plain, "+OK");
    let info = client.run("INFO server").text();
    assert!(info.contains(&format!("tcp_port:{port}\r\n")), "{info}");
}
