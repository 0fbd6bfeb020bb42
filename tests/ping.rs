//! `millrace ping` and the first word of the command line, as a container starts them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod peer;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use peer::{Server, millrace, run, with_each_server};

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
                client.write_all(&reply.repeat(commands)).unwrap();
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
        (b"+GNOP\r\n", "GNOP"),
        (b"HTTP/1.1 200 OK\r\n", ""),
    ] {
        let ended = run(millrace(&["ping", "--url", &answering(reply)]));
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(shown), "{ended:?}");
        assert_eq!(ended.stdout, "");
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
