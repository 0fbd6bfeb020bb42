//! `millrace ping` and the first word of the command line, as a container starts them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod peer;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use peer::{Server, millrace, run, with_each_server};

/// What is said of a peer that speaks something else.
const NO_SERVER: &str = ": the answer is not that of a Redis server\n";

/// A server that answers everything with `reply`; the empty one never answers. Its address.
fn answering(reply: &'static [u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut request = [0; 4096];
            while let Ok(read) = client.read(&mut request) {
                if read == 0 {
                    break;
                }
                let commands = request[..read].iter().filter(|&&byte| byte == b'*').count();
                if client.write_all(&reply.repeat(commands)).is_err() {
                    break;
                }
            }
        }
    });
    format!("redis://127.0.0.1:{port}")
}

#[test]
fn a_server_that_serves_is_healthy() {
    with_each_server(|server| {
        let ended = run(millrace(&["ping", "--url", &server.url()]));
        assert_eq!((ended.code, ended.stdout.as_str()), (0, "PONG\n"));
        let mut command = millrace(&["ping", "--quiet"]);
        command.env("MILLRACE_URL", server.url());
        let ended = run(command);
        assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    });
}

#[test]
fn a_password_is_taken_from_the_address_or_the_environment() {
    for kind in peer::kinds() {
        let server = Server::start(&kind, &["--requirepass", "sesame"]);
        let ended = run(millrace(&["ping", "--url", &server.url()]));
        assert_eq!(ended.code, 1);
        assert!(
            ended
                .stderr
                .ends_with("the server wants a password; set MILLRACE_PASSWORD\n"),
            "{ended:?}"
        );
        let url = format!("redis://:sesame@127.0.0.1:{}", server.port);
        assert_eq!(run(millrace(&["ping", "--url", &url])).code, 0);
        for name in ["MILLRACE_PASSWORD", "REDISCLI_AUTH"] {
            let mut command = millrace(&["ping", "--url", &server.url()]);
            command.env(name, "sesame");
            assert_eq!(run(command).code, 0, "{name}");
        }
    }
}

#[test]
fn anything_but_pong_is_not_healthy() {
    let refused = run(millrace(&["ping", "--url", "redis://127.0.0.1:1"]));
    assert_eq!(refused.code, 1);
    for (reply, shown) in [
        (
            &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
            "does not serve: the server is still loading its data\n",
        ),
        (
            b"-BUSY Redis is busy running a script.\r\n",
            "does not serve: the server is busy with a script\n",
        ),
        (
            b"+GNOP\r\n",
            "does not serve: it answered \"GNOP\" instead of PONG\n",
        ),
        (
            b":7\r\n",
            "does not serve: it answered \"7\" instead of PONG\n",
        ),
        (
            b"*1\r\n+PONG\r\n",
            "does not serve: the answer is not that of a Redis server\n",
        ),
        (b"HTTP/1.1 200 OK\r\n", NO_SERVER),
    ] {
        let ended = run(millrace(&["ping", "--url", &answering(reply)]));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(shown), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn an_answer_without_end_or_very_deep_is_no_pong() {
    for piece in ["+PONG and so on ", "*1\r\n", "*2\r\n+PONG\r\n"] {
        let reply: &'static str = Box::leak(piece.repeat(200_000).into_boxed_str());
        for protocol in ["", "?protocol=resp3"] {
            let url = answering(reply.as_bytes()) + protocol;
            let ended = run(millrace(&["ping", "--url", &url]));
            assert_eq!(ended.code, 1, "{piece:?}{protocol}: {ended:?}");
            assert!(ended.stderr.ends_with(NO_SERVER), "{piece:?}: {ended:?}");
        }
    }
}

#[test]
fn the_user_the_database_and_the_protocol_are_those_of_the_address() {
    for kind in peer::kinds() {
        let server = Server::start(&kind, &["--requirepass", "sesame", "--databases", "4"]);
        let ping = |part: &str, behind: &str| {
            let url = format!("redis://{part}127.0.0.1:{}{behind}", server.port);
            run(millrace(&["ping", "--url", &url]))
        };
        for (part, behind) in [
            (":sesame@", "/3"),
            ("default:sesame@", ""),
            ("default:sesame@", "/3?protocol=resp3"),
            (":sesame@", "?protocol=resp3"),
        ] {
            let ended = ping(part, behind);
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (0, "PONG\n"),
                "{behind}"
            );
        }
        for (part, behind, shown) in [
            (
                ":sesame@",
                "/4",
                "the server answered 'ERR DB index is out of range'\n",
            ),
            (
                ":wrong@",
                "",
                "the server did not accept the user or the password; ",
            ),
            (
                "nobody:sesame@",
                "",
                "the server did not accept the user or the password; ",
            ),
        ] {
            let ended = ping(part, behind);
            assert_eq!(ended.code, 1, "{ended:?}");
            assert!(ended.stderr.contains(shown), "{ended:?}");
        }
    }
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() {
    let started = Instant::now();
    let ended = run(millrace(&[
        "ping",
        "--url",
        &answering(b""),
        "--timeout",
        "200ms",
    ]));
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn only_exact_first_words_are_subcommands() {
    let help = run(millrace(&["help"]));
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("reclaim"));
    assert_eq!(run(millrace(&["ping", "--bogus"])).code, 2);
    assert_eq!(run(millrace(&["--version"])).stdout, "millrace 0.1.0\n");
    // Any other word is the server's: the name of a configuration file.
    for word in ["ping.conf", "./ping", "redis"] {
        let ended = run(millrace(&[word]));
        assert_eq!(ended.code, 1, "{word}: {ended:?}");
        assert!(ended.stderr.contains("configuration file"), "{ended:?}");
    }
}

#[test]
fn ping_of_a_unix_socket_ends_within_its_time_when_nobody_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = SocketAddrUnix::new(&path).unwrap();
    let socket = |flags| {
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = socket(SocketFlags::empty());
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    // Earlier checks, which nobody has accepted, fill the queue until the next would have to wait.
    let mut kept = Vec::new();
    loop {
        let earlier = socket(SocketFlags::NONBLOCK);
        match rustix::net::connect(&earlier, &address) {
            Ok(()) => kept.push(earlier),
            Err(error) => break assert_eq!(error, rustix::io::Errno::AGAIN),
        }
    }
    let url = format!("unix://{}", path.display());
    let begun = Instant::now();
    let mut ping = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["ping", "--timeout", "1s", "--url", &url])
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = ping.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            ping.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(1));
}
