//! Floats as C reads them, and limits at the border and one beyond.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::beside_the_oracle;
use crate::support::{Client, Outcome, Server};

/// Texts that are floats to C, or are not. Left out is what 7.0 reads otherwise than 7.2: more ms than 63 bits have.
const FLOATS: &[&str] = &[
    "0x1p-2",
    "0x1",
    "0x1.8p-1",
    "0x.1",
    "0X1P-3",
    "1e-3",
    ".001",
    "1.",
    "1e5000",
    "-1e400",
    "1e-400",
    "1e-5000",
    "-inf",
    "nan",
    "nan(1)",
    "+0.01",
    "-0.001",
    "-0.0015",
    "-0.0000001",
    "-1",
    " 1",
    "1 ",
    "",
    "0x",
    "0x1p",
    "1e",
    "1e+",
    "0.0011",
    "1_0",
    "1f",
    "1l",
    "0b1",
    "1,5",
];

#[test]
fn float_arguments_are_what_c_takes_for_one() {
    beside_the_oracle(|server, oracle| {
        let (mut ours, mut theirs) = (server.connect(), oracle.connect());
        let long = ["1".repeat(5119), "0".repeat(5119), "0".repeat(5120)];
        let texts = FLOATS
            .iter()
            .copied()
            .chain(long.iter().map(String::as_str));
        for text in texts {
            for command in [
                &["BLPOP", "l", text][..],
                &["BLMOVE", "l", "l", "LEFT", "RIGHT", text],
                &["BLMPOP", text, "1", "l", "LEFT"],
                &["INCRBYFLOAT", "f", text],
                &["CONFIG", "SET", "latency-tracking-info-percentiles", text],
                &["CONFIG", "GET", "latency-tracking-info-percentiles"],
                &["DEBUG", "SLEEP", "0x1p-20abc"],
            ] {
                if text.len() > 5000 && command[0] == "CONFIG" {
                    // It would be in the replies to come, in our shortest form and in theirs.
                    continue;
                }
                for client in [&mut ours, &mut theirs] {
                    client.run("DEL l f");
                    client.run("RPUSH l x");
                }
                let (ours, theirs) = (ours.call(command), theirs.call(command));
                assert_eq!(ours.to_string(), theirs.to_string(), "{command:?}");
            }
        }
    });
}

/// Everything that comes back for bytes after which nothing more is sent. A connection may be closed before it has read all.
fn answer(server: &Server, parts: &[&[u8]]) -> Vec<Outcome> {
    let mut client = server.connect();
    for part in parts {
        client.send_raw(part);
    }
    let _ = client.stream().shutdown(Shutdown::Write);
    let mut outcomes = Vec::new();
    loop {
        match client.poll(PATIENCE) {
            Outcome::Reply(reply) => outcomes.push(Outcome::Reply(reply)),
            end => {
                outcomes.push(end);
                return outcomes;
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn declared_counts_and_lengths_have_the_border_of_the_oracle() {
    beside_the_oracle(|server, oracle| {
        let mut requests: Vec<Vec<u8>> = Vec::new();
        for count in [
            0,
            1_048_576,
            1_048_577,
            2_147_483_647,
            2_147_483_648,
            4_294_967_296,
            i64::MAX,
            -1,
            i64::MIN,
        ] {
            requests.push(format!("*{count}\r\nPING\r\n").into_bytes());
            requests.push(format!("*{count}\r\n$3\r\nfoo\r\n").into_bytes());
        }
        for length in [
            0,
            536_870_912,
            536_870_913,
            2_147_483_648,
            4_294_967_296,
            -1,
            i64::MAX,
        ] {
            requests.push(format!("*1\r\n${length}\r\nPING\r\n").into_bytes());
        }
        for length in [65_535, 65_536, 65_537, 65_538] {
            for begin in ["P", "*1", "*0", "$1", "$0"] {
                // The length of a line, which may be the second.
                let head = if begin.starts_with('$') { "*1\r\n" } else { "" };
                let filling = begin[begin.len() - 1..].repeat(length - begin.len());
                requests.push(format!("{head}{begin}{filling}").into_bytes());
                requests.push(format!("{head}{begin}{filling}\r\nPING\r\n").into_bytes());
            }
        }
        for request in requests {
            let (ours, theirs) = (answer(server, &[&request]), answer(oracle, &[&request]));
            let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
            assert_eq!(ours, theirs, "{shown:?} of {} bytes", request.len());
        }
    });
}

#[test]
fn a_request_may_have_more_than_a_million_arguments() {
    beside_the_oracle(|server, oracle| {
        for count in [1_048_576, 1_048_577, 1_200_000] {
            let mut request = format!("*{count}\r\n$3\r\nDEL\r\n").into_bytes();
            request.extend(b"$1\r\nx\r\n".repeat(count - 1));
            request.extend(b"PING\r\n");
            let (ours, theirs) = (answer(server, &[&request]), answer(oracle, &[&request]));
            assert_eq!(ours, theirs, "{count} arguments");
            assert_eq!(ours[1], Outcome::Reply(b"+PONG\r\n".to_vec()));
        }
    });
}

#[test]
fn a_declared_count_reserves_no_memory() {
    beside_the_oracle(|server, _| {
        let before = server.resident_bytes();
        let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send_raw(b"*2147483647\r\n$3\r\nfoo\r\n$536870912\r\nx");
        }
        // What is read and not understood is in CLIENT LIST.
        let mut control = server.connect();
        let deadline = Instant::now() + PATIENCE;
        while control.run("CLIENT LIST").text().matches(" qbuf=3").count() < clients.len() {
            assert!(Instant::now() < deadline, "the declarations are not read");
        }
        let grown = server.growth_below(before, 50 << 20);
        assert!(grown < 50 << 20, "{grown} bytes for 50 declarations");
    });
}

#[test]
fn the_query_buffer_limit_counts_what_is_not_understood_yet() {
    beside_the_oracle(|server, oracle| {
        const LIMIT: usize = 1024 * 1024;
        for one in [server, oracle] {
            let set = one
                .connect()
                .run("CONFIG SET client-query-buffer-limit 1mb");
            assert_eq!(set.to_string(), "+OK");
        }
        let set = |length: usize| {
            let mut request = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${length}\r\n").into_bytes();
            request.extend(std::iter::repeat_n(b'x', length));
            request.extend(b"\r\n");
            request
        };
        // The value with its line end is what waits.
        let ran = |server: &Server, request: &[u8]| {
            matches!(answer(server, &[request])[0], Outcome::Reply(_))
        };
        for length in [LIMIT - 3, LIMIT - 2, LIMIT - 1, LIMIT, 2 * LIMIT] {
            let request = set(length);
            let (ours, theirs) = (ran(server, &request), ran(oracle, &request));
            assert_eq!(ours, theirs, "a value of {length} bytes");
        }
        let mut many = b"*300002\r\n$3\r\nDEL\r\n$1\r\ny\r\n".to_vec();
        many.extend(b"$1\r\nx\r\n".repeat(300_000));
        assert!(ran(server, &many) && ran(oracle, &many));
        for one in [server, oracle] {
            one.connect()
                .run("CONFIG SET client-query-buffer-limit 1gb");
        }
    });
}
